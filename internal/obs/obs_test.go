package obs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// Metrics pass Prometheus's own linter, and Parley's begin with parley_.
func TestMetricsLint(t *testing.T) {
	m := NewMetrics("v1")
	m.Collect(func(s *Samples) {
		s.Counter("dropped_total", "Datagrams dropped, by reason.", 3, "reason", "empty")
		s.Counter("dropped_total", "Datagrams dropped, by reason.", 4, "reason", "oversized")
		s.Gauge("rooms", "Rooms that exist.", 2)
	})
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{`parley_build_info{go="go`, `parley_dropped_total{reason="empty"} 3`, "parley_rooms 2", "go_goroutines "} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %q in\n%s", want, w.Body)
		}
	}
}

// Limit: MaxScrapes scrapes run at once; one more is answered 503, and harms none of the others.
func TestMaxScrapes(t *testing.T) {
	m := NewMetrics("v1")
	entered, leave := make(chan struct{}), make(chan struct{})
	m.Collect(func(s *Samples) {
		entered <- struct{}{}
		<-leave
		s.Gauge("rooms", "Rooms that exist.", 2)
	})
	h, codes := m.Handler(), make(chan int)
	for range MaxScrapes {
		go func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
			codes <- w.Code
		}()
		<-entered
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("one more: %d", w.Code)
	}
	close(leave)
	for range MaxScrapes {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("got %d", code)
		}
	}
}

// No way of printing, logging or encoding a secret shows it.
func TestSecretNeverShows(t *testing.T) {
	s := NewSecret("hunter2")
	var log bytes.Buffer
	NewLogger(&log, LogConfig{Addresses: true}).Info("m", "a", s, "b", &s, "c", struct{ S Secret }{s}, "d", []Secret{s})
	NewLogger(&log, LogConfig{JSON: true, Addresses: true}).Info("m", "a", s, "b", &s, "c", struct{ S Secret }{s}, "d", []Secret{s})
	encoded, _ := json.Marshal(map[string]any{"s": s, "p": &s})
	shown := log.String() + string(encoded) + fmt.Sprintf("%v %+v %#v %s %q %x %d %v", s, s, s, s, s, s, s, struct{ S Secret }{s})
	if strings.Contains(shown, "hunter2") || strings.Contains(shown, "68756e74657232") {
		t.Error("shown:", shown)
	}
	if s.Reveal() != "hunter2" || (Secret{}).Reveal() != "" {
		t.Error("Reveal does not tell")
	}
}

// Addresses become marks in every form in which they reach a log, the same mark for the same address; --log-addresses shows them.
func TestAddressesBecomeMarks(t *testing.T) {
	v4, v6 := netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7")
	opErr := &net.OpError{Op: "read", Net: "tcp", Addr: &net.TCPAddr{IP: v4.AsSlice(), Port: 5}, Err: errors.New("reset")}
	attrs := []any{
		"a", v4, "b", netip.AddrPortFrom(v6, 9), "c", opErr, "d", net.IP(v4.AsSlice()),
		"e", &net.UDPAddr{IP: v6.AsSlice(), Port: 1}, "f", fmt.Errorf("dial %v: %w", v6, opErr),
	}
	for _, asJSON := range []bool{false, true} {
		var log bytes.Buffer
		l := NewLogger(&log, LogConfig{JSON: asJSON})
		l.Info("m", attrs...)
		l.With(attrs...).WithGroup("g").Info("m", slog.Group("h", attrs...))
		StandardLog(l, slog.LevelInfo, "http").Printf("TLS handshake error from %v: EOF", netip.AddrPortFrom(v4, 77))
		if strings.Contains(log.String(), "203.0.113.7") || strings.Contains(log.String(), "2001:db8") {
			t.Error("shown:", log.String())
		}
		if !strings.Contains(log.String(), mark(v4)+":77") {
			t.Error("no mark for the address of a foreign line:", log.String())
		}
		log.Reset()
		NewLogger(&log, LogConfig{JSON: asJSON, Addresses: true}).Info("m", "a", v4)
		if !strings.Contains(log.String(), "203.0.113.7") {
			t.Error("not shown although asked for:", log.String())
		}
	}
}

// scrub finds addresses in running text and leaves times, words and versions alone.
func TestScrub(t *testing.T) {
	m4, m6 := mark(netip.MustParseAddr("203.0.113.7")), mark(netip.MustParseAddr("2001:db8::"))
	for in, want := range map[string]string{
		"":                                  "",
		"read 203.0.113.7:5->203.0.113.7:6": "read " + m4 + ":5->" + m4 + ":6",
		"from 203.0.113.7.":                 "from " + m4 + ".",
		"from [2001:db8::]:4: bad":          "from " + m6 + ":4: bad",
		"(2001:db8::)":                      "(" + m6 + ")",
		"at 12:30:05 version 1.2.3 cafe":    "at 12:30:05 version 1.2.3 cafe",
		"on 127.0.0.1:8443 and [::]:8443":   "on 127.0.0.1:8443 and [::]:8443",
		"[2001:db8::%eth0]":                 "[" + m6 + "]",
		"fe::x:y":                           "fe::x:y",
	} {
		if got := scrub(in, false); got != want {
			t.Errorf("scrub(%q) = %q, want %q", in, got, want)
		}
	}
}

// Whatever the text, scrub ends, and text without a digit or colon stays as it is.
func FuzzScrub(f *testing.F) {
	f.Add("from 203.0.113.7:9: x [::1]")
	f.Add("::%[].")
	f.Fuzz(func(t *testing.T, in string) {
		out := scrub(in, false)
		if strings.Contains(out, "203.0.113.") {
			if _, err := netip.ParseAddr(out); err == nil {
				t.Errorf("scrub(%q) = %q", in, out)
			}
		}
		if !strings.ContainsAny(in, "0123456789:") && out != in {
			t.Errorf("scrub(%q) = %q", in, out)
		}
	})
}
