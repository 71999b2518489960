// Package obs is how a running server is observed: the metrics registry behind /metrics and the structured log.
//
// It owns the rule of what may be seen. Secrets never are. Network addresses of clients are personal data: a log line shows a
// short mark instead, the same for the same address as long as the process runs, so that lines can be followed. Redaction goes by
// type, for every attribute of every line; nobody who logs has to think of it.
package obs

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"
)

// LogConfig sets up a log.
type LogConfig struct {
	Level     slog.Level
	JSON      bool // one JSON object a line instead of key=value
	Addresses bool // show addresses as they are
}

// NewLogger returns a logger that writes to w and redacts by type.
func NewLogger(w io.Writer, c LogConfig) *slog.Logger {
	opts := &slog.HandlerOptions{Level: c.Level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		a.Value = redact(a.Value, c.Addresses)
		return a
	}}
	if c.JSON {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// StandardLog adapts l to libraries that want a *log.Logger. Their lines become messages at the given level, with addresses
// redacted wherever one stands in the text.
func StandardLog(l *slog.Logger, level slog.Level, source string) *log.Logger {
	return log.New(lineWriter{l, level, source}, "", 0)
}

type lineWriter struct {
	log    *slog.Logger
	level  slog.Level
	source string
}

func (w lineWriter) Write(b []byte) (int, error) {
	w.log.Log(context.Background(), w.level, w.source, "line", line(strings.TrimSpace(string(b))))
	return len(b), nil
}

// line is text from elsewhere that may have addresses in it.
type line string

// redact returns v as it may be written. Values inside slices and structs are reached by their own methods only, hence no
// type that may hide an address in a struct is logged.
func redact(v slog.Value, addresses bool) slog.Value {
	if v.Kind() != slog.KindAny {
		return v
	}
	switch x := v.Any().(type) {
	case Secret:
		return slog.StringValue(redactedSecret)
	case line:
		return slog.StringValue(scrub(string(x), addresses))
	case error:
		return slog.StringValue(scrub(x.Error(), addresses))
	case fmt.Stringer: // netip.Addr, netip.AddrPort, net.Addr, net.IP, *url.URL, …
		return slog.StringValue(scrub(x.String(), addresses))
	}
	return v
}
