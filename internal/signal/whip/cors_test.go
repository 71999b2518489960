package whip_test

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/auth/authtest"
)

// Browsers of listed origins may use everything; the origin is named exactly, and credentials are never allowed.
func TestCORS(t *testing.T) {
	n := newNode(t, authtest.Keys)
	session := "/whip/tea/AAAAAAAAAAAAAAAAAAAAAA"
	for _, c := range []struct {
		name, path, origin, method string
		want                       int
		methods                    string
	}{
		{"endpoint", "/whip/tea", "https://app.example", "POST", 204, "POST, OPTIONS"},
		{"WHEP", "/whep/tea", "https://app.example", "POST", 204, "POST, OPTIONS"},
		{"session", session, "https://app.example", "PATCH", 204, "PATCH, DELETE, OPTIONS"},
		{"own page", "/whip/tea", n.url, "POST", 204, "POST, OPTIONS"},
		{"foreign", "/whip/tea", "https://evil.example", "POST", 403, ""},
		{"null", "/whip/tea", "null", "POST", 403, ""},
		{"other scheme", "/whip/tea", "http://app.example", "POST", 403, ""},
	} {
		a := n.do("OPTIONS", c.path, "", "Origin", c.origin, "Access-Control-Request-Method", c.method, "Access-Control-Request-Headers", "authorization,content-type")
		origin := c.origin
		if c.want == 403 {
			origin = ""
		}
		if a.status != c.want || a.header.Get("Access-Control-Allow-Origin") != origin || a.header.Get("Access-Control-Allow-Methods") != c.methods ||
			a.header.Get("Access-Control-Allow-Credentials") != "" || a.header.Get("Vary") != "Origin" {
			t.Errorf("%s: %d %v", c.name, a.status, a.header)
		}
		if allowed := a.header.Get("Access-Control-Allow-Headers"); c.want == 204 && allowed != "Authorization, Content-Type, If-Match" {
			t.Errorf("%s: %s", c.name, allowed)
		}
	}
	// An error must be readable by the page too.
	a := n.post("/whip/tea", "x", "Origin", "https://app.example")
	if exposed := a.header.Get("Access-Control-Expose-Headers"); a.status != 401 || a.header.Get("Access-Control-Allow-Origin") != "https://app.example" ||
		!strings.Contains(exposed, "Location") || !strings.Contains(exposed, "ETag") || !strings.Contains(exposed, "Link") {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := n.post("/whip/tea", "x"); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("no page, but %v", a.header)
	}
}

// OPTIONS without a preflight tells what the resource takes, and the ICE servers to who may come in.
func TestOptions(t *testing.T) {
	n := newNode(t, authtest.Keys)
	a := n.do("OPTIONS", "/whip/tea", "")
	if a.status != 204 || a.header.Get("Accept-Post") != "application/sdp" || a.header.Get("Allow") != "POST, OPTIONS" || a.header.Get("Link") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := n.do("OPTIONS", "/whip/tea", "", bearer(authtest.Good(time.Now(), nil))...); len(a.header.Values("Link")) != 3 {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := n.do("OPTIONS", "/whip/coffee", "", bearer(authtest.Good(time.Now(), nil))...); a.header.Get("Link") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := n.do("OPTIONS", "/whip/tea/x", ""); a.status != 204 || a.header.Get("Accept-Patch") != fragment {
		t.Errorf("%d %v", a.status, a.header)
	}
}
