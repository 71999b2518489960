package whip

import (
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

// exposed are the headers that a page of another origin may read.
const exposed = "Location, Link, ETag, Retry-After, Accept-Post, Accept-Patch"

// bearer returns the request's token, or answers 401 where one is needed.
func (c *Carrier) bearer(w http.ResponseWriter, r *http.Request) (string, bool) {
	t, ok := signal.BearerToken(r)
	if !ok && c.service.TokenMode() {
		signal.Refuse(w, wire.NewError(wire.CodeUnauthorized, "there is no token", "send Authorization: Bearer with a token for this room"))
		return "", false
	}
	return t, true
}

// admitted is bearer, and tells of a token that is not valid: what is as large as a description is only read of who has one.
func (c *Carrier) admitted(w http.ResponseWriter, r *http.Request) (string, bool) {
	t, ok := c.bearer(w, r)
	if !ok {
		return "", false
	}
	if _, _, _, refused := c.service.Bearer(t); refused != nil {
		signal.Refuse(w, refused)
		return "", false
	}
	return t, true
}

func isType(r *http.Request, want string) bool {
	values := r.Header.Values("Content-Type")
	if len(values) != 1 {
		return false
	}
	got, _, err := mime.ParseMediaType(values[0])
	return err == nil && got == want
}

// accepts reports whether Accept allows the type. The most specific range decides (RFC 9110 §12.5.1).
func accepts(values []string, want string) bool {
	accept := strings.Join(values, ",")
	if strings.TrimSpace(accept) == "" {
		return true
	}
	group, _, _ := strings.Cut(want, "/")
	best, ok := 0, false
	for item := range strings.SplitSeq(accept, ",") {
		kind, parameters, err := mime.ParseMediaType(strings.TrimSpace(item))
		if err != nil {
			continue
		}
		rank := map[string]int{"*/*": 1, group + "/*": 2, want: 3}[kind]
		if rank == 0 || rank < best {
			continue
		}
		q, err := strconv.ParseFloat(parameters["q"], 64)
		best, ok = rank, err != nil || q > 0
	}
	return ok
}

// matches compares strongly (RFC 9110 §13.1.1): a weak tag never matches.
func matches(ifMatch, tag string) bool {
	for item := range strings.SplitSeq(ifMatch, ",") {
		if strings.TrimSpace(item) == `"`+tag+`"` {
			return true
		}
	}
	return false
}

// link adds a Link header for each ICE server (RFC 9725 §4.6); until is when the token that was shown ends.
func (c *Carrier) link(head http.Header, r *http.Request, room, identity string, until time.Time) {
	for _, s := range c.service.ICEServers(c.service.Source(r), room, identity, until) {
		for _, uri := range s.URLs {
			l := "<" + uri + `>; rel="ice-server"`
			if s.Username != "" {
				l += fmt.Sprintf(`; username=%s; credential=%s; credential-type="password"`, quote(s.Username), quote(s.Credential))
			}
			head.Add("Link", l)
		}
	}
}

// quote writes a quoted-string (RFC 9110 §5.6.4).
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
