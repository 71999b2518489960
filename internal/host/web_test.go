package host

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

// echo answers with what front has found out.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	v := visitorOf(r)
	plain(w, 200, v.address.String()+map[bool]string{true: " secure", false: " plain"}[v.secure]+map[bool]string{true: " local", false: ""}[v.local])
})

func request(remote, url string, header ...string) *http.Request {
	r := httptest.NewRequest("GET", url, nil)
	r.RemoteAddr = remote
	if !strings.HasPrefix(url, "https") {
		r.TLS = nil
	} else {
		r.TLS = &tls.ConnectionState{}
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	arrived := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:8443"))
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, arrived))
}

// The client's address is that of the connection, and only of trusted proxies is another one believed: the last that is no
// trusted proxy itself, or the first where all are. Where the proxy names nobody, it is not known: its clients are not one.
func TestVisitor(t *testing.T) {
	f := &front{
		next: echo, trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}, plainHTTP: true,
		named: func(name string) bool { return name == "h" },
	}
	const fwd, proto = "X-Forwarded-For", "X-Forwarded-Proto"
	for _, c := range []struct {
		name, remote, url string
		header            []string
		want              string
	}{
		{"direct", "203.0.113.7:5", "https://h/", nil, "203.0.113.7 secure"},
		{"loopback", "127.0.0.2:5", "http://h/", nil, "127.0.0.2 plain local"},
		{"own address", "192.0.2.1:5", "http://h/", nil, "192.0.2.1 plain local"}, // where request says that it arrived
		{"loopback, by its name", "127.0.0.1:5", "http://H.:8443/", nil, "127.0.0.1 plain local"},
		{"loopback, by localhost", "127.0.0.1:5", "http://localhost:8443/", nil, "127.0.0.1 plain local"},
		{"loopback, by a stranger's name", "127.0.0.1:5", "http://evil.example:8443/", nil, "127.0.0.1 plain"},
		{"own address, by a stranger's name", "192.0.2.1:5", "http://evil.example/", nil, "192.0.2.1 plain"},
		{"own address, passed on", "192.0.2.1:5", "http://h/", []string{fwd, "192.0.2.1"}, "192.0.2.1 plain"},
		{"v4 in v6", "[::ffff:203.0.113.7]:5", "http://h/", nil, "203.0.113.7 plain"},
		{"forged by a stranger", "203.0.113.7:5", "http://h/", []string{fwd, "127.0.0.1", proto, "https"}, "203.0.113.7 plain"},
		{"proxy", "10.0.0.1:5", "http://h/", []string{fwd, "203.0.113.7", proto, "https"}, "203.0.113.7 secure"},
		{"proxy tells plain", "10.0.0.1:5", "https://h/", []string{fwd, "203.0.113.7", proto, "http"}, "203.0.113.7 plain"},
		{"forged before the proxy", "10.0.0.1:5", "http://h/", []string{fwd, "127.0.0.1, 203.0.113.7"}, "203.0.113.7 plain"},
		{"two proxies", "10.0.0.1:5", "http://h/", []string{fwd, "1.1.1.1, 203.0.113.7", fwd, "10.0.0.2"}, "203.0.113.7 plain"},
		{"with port and brackets", "[::1]:5", "http://h/", []string{fwd, "[2001:db8::1]:77"}, "2001:db8::1 plain"},
		{"not an address", "10.0.0.1:5", "http://h/", []string{fwd, "203.0.113.7, unknown"}, "invalid IP plain"},
		{"proxy that does not say for whom", "[::1]:5", "http://localhost/", nil, "invalid IP plain"},
		{"names nobody", "10.0.0.1:5", "http://h/", []string{fwd, " , "}, "invalid IP plain"},
		{"client in the proxies' network", "10.0.0.1:5", "http://h/", []string{fwd, "10.0.0.9"}, "10.0.0.9 plain"},
		{"the same through two proxies", "10.0.0.1:5", "http://h/", []string{fwd, "10.0.0.9, 10.0.0.2"}, "10.0.0.9 plain"},
		{"the same, to the proxy itself", "10.0.0.1:5", "http://h/", []string{fwd, "10.0.0.1"}, "10.0.0.1 plain"},
		{"not an address, before one there", "10.0.0.1:5", "http://h/", []string{fwd, "unknown, 10.0.0.9"}, "10.0.0.9 plain"},
		{"Forwarded", "203.0.113.7:5", "http://h/", []string{"Forwarded", "for=1.2.3.4"}, "203.0.113.7 plain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			f.ServeHTTP(w, request(c.remote, c.url, c.header...))
			if w.Body.String() != c.want {
				t.Errorf("got %s, want %s", w.Body, c.want)
			}
		})
	}
	// Limit: maxForwarded addresses are looked at.
	w := httptest.NewRecorder()
	f.ServeHTTP(w, request("10.0.0.1:5", "http://h/", fwd, "203.0.113.7"+strings.Repeat(", 10.0.0.2", maxForwarded)))
	if w.Body.String() != "10.0.0.2 plain" {
		t.Error(w.Body)
	}
}

// The host that carriers compare with Origin is this server's own where no stranger can make its name lead here: addresses, names of
// the local network, names that it is known by, and what a trusted proxy has passed on.
func TestOwnHost(t *testing.T) {
	f := &front{
		trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32")}, plainHTTP: true,
		named: func(name string) bool { return name == "meet.example.org" },
	}
	origins, err := signal.NewOrigins(nil, hostOf)
	if err != nil {
		t.Fatal(err)
	}
	const fwd = "X-Forwarded-For"
	for _, c := range []struct {
		name, remote, url, origin string
		header                    []string
		want                      bool
	}{
		{"localhost", "127.0.0.1:5", "http://localhost:8443/", "http://localhost:8443", nil, true},
		{"LAN address", "192.168.1.30:5", "https://192.168.1.20:8443/", "https://192.168.1.20:8443", nil, true},
		{"machine on the LAN", "192.168.1.30:5", "https://laptop.local:8443/", "https://laptop.local:8443", nil, true},
		{"own name", "203.0.113.7:5", "https://meet.example.org/", "https://meet.example.org", nil, true},
		{"rebound name", "127.0.0.1:5", "http://evil.example:8443/", "http://evil.example:8443", nil, false},
		{"rebound name over TLS", "203.0.113.7:5", "https://evil.example/", "https://evil.example", nil, false},
		{"a proxy's name", "10.0.0.1:5", "http://proxied.example/", "https://proxied.example", []string{fwd, "203.0.113.7"}, true},
		{"a proxy that tells the name", "10.0.0.1:5", "http://10.0.0.9:8443/", "https://proxied.example", []string{fwd, "203.0.113.7", "X-Forwarded-Host", "proxied.example"}, true},
		{"a proxy's machine itself", "127.0.0.1:5", "http://evil.example:8443/", "http://evil.example:8443", nil, false},
		{"a proxy that nobody named", "203.0.113.9:5", "https://proxied.example/", "https://proxied.example", []string{fwd, "203.0.113.7"}, false},
		{"a forged name", "203.0.113.9:5", "https://meet.example.org/", "https://evil.example", []string{fwd, "1.2.3.4", "X-Forwarded-Host", "evil.example"}, false},
	} {
		f.next = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if _, refused := origins.Allowed(r); (refused == nil) != c.want {
				t.Errorf("%s: %v", c.name, refused)
			}
		})
		f.ServeHTTP(httptest.NewRecorder(), request(c.remote, c.url, append(c.header, "Origin", c.origin)...))
	}
}

// Plain HTTP from elsewhere than loopback: pages go to https on the same port, API calls are refused with a code, probes are
// answered; from loopback, and with --plain-http, everything is.
func TestPlainHTTP(t *testing.T) {
	for _, c := range []struct {
		name   string
		f      front
		r      *http.Request
		status int
		where  string
	}{
		{"page", front{}, request("192.168.1.30:5", "http://192.168.1.20:8443/r/tea?x=1"), 307, "https://192.168.1.20:8443/r/tea?x=1"},
		{"IPv6 page", front{}, request("[2001:db8::1]:5", "http://[2001:db8::2]:8443/"), 307, "https://[2001:db8::2]:8443/"},
		{"no host", front{}, withHost(request("192.168.1.30:5", "http://h/"), ""), 403, ""},
		{"odd host", front{}, withHost(request("192.168.1.30:5", "http://h/"), "evil.example/@h"), 403, ""},
		{"session", front{}, request("192.168.1.30:5", "http://h/v1/session", "Upgrade", "websocket"), 403, ""},
		{"websocket elsewhere", front{}, request("192.168.1.30:5", "http://h/r/tea", "Upgrade", "websocket"), 403, ""},
		{"whip", front{}, withMethod(request("192.168.1.30:5", "http://h/whip/tea"), "POST"), 403, ""},
		{"probe", front{}, request("192.168.1.30:5", "http://h/readyz"), 200, ""},
		{"loopback", front{}, request("127.0.0.1:5", "http://localhost:8443/v1/session"), 200, ""},
		{"IPv6 loopback", front{}, request("[::1]:5", "http://localhost:8443/"), 200, ""},
		{"through a proxy nobody named", front{}, request("127.0.0.1:5", "http://h/v1/session", "X-Forwarded-For", "203.0.113.7"), 403, ""},
		{"loopback, by a stranger's name", front{}, request("127.0.0.1:5", "http://evil.example:8443/v1/session"), 403, ""},
		{"TLS", front{}, request("192.168.1.30:5", "https://h/v1/session"), 200, ""},
		{"--plain-http", front{plainHTTP: true}, request("192.168.1.30:5", "http://h/v1/session"), 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.f.next = echo
			w := httptest.NewRecorder()
			c.f.ServeHTTP(w, c.r)
			if w.Code != c.status || w.Header().Get("Location") != c.where {
				t.Errorf("%d to %q, want %d to %q", w.Code, w.Header().Get("Location"), c.status, c.where)
			}
			if w.Code == 403 {
				var p struct{ Code, Next string }
				if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Code != string(wire.CodeForbidden) || p.Next == "" {
					t.Errorf("%s: %v", w.Body, err)
				}
			}
		})
	}
}

func withHost(r *http.Request, host string) *http.Request { r.Host = host; return r }

func withMethod(r *http.Request, method string) *http.Request { r.Method = method; return r }

// Every answer, also a refusal, carries the security headers; browsers are told to stay on https only for a public certificate.
func TestSecurityHeaders(t *testing.T) {
	for _, c := range []struct {
		f    front
		url  string
		hsts bool
	}{{front{}, "https://h/", false}, {front{secure: true}, "https://h/", true}, {front{secure: true}, "http://h/v1/x", false}} {
		c.f.next = echo
		w := httptest.NewRecorder()
		c.f.ServeHTTP(w, request("192.168.1.30:5", c.url))
		csp := w.Header().Get("Content-Security-Policy")
		if strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "script-src 'self';") {
			t.Errorf("policy %q", csp)
		}
		if !strings.Contains(w.Header().Get("Permissions-Policy"), "camera=(self)") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("headers %v", w.Header())
		}
		if got := w.Header().Get("Strict-Transport-Security") != ""; got != c.hsts {
			t.Errorf("%s: HSTS %v", c.url, got)
		}
	}
}

// Metrics are for this machine and for who brings the token, and no proxy's request counts as this machine's.
func TestMetricsGate(t *testing.T) {
	for _, c := range []struct {
		name, token string
		r           *http.Request
		status      int
	}{
		{"loopback", "", request("127.0.0.1:5", "http://localhost/metrics"), 200},
		{"loopback, by a stranger's name", "", request("127.0.0.1:5", "http://evil.example:8443/metrics"), 403},
		{"loopback, by a stranger's name over TLS", "", request("127.0.0.1:5", "https://evil.example:8443/metrics"), 401},
		{"elsewhere", "", request("192.168.1.30:5", "https://h/metrics"), 401},
		{"empty bearer, no token set", "", request("192.168.1.30:5", "https://h/metrics", "Authorization", "Bearer "), 401},
		{"passed on by a proxy here", "", request("127.0.0.1:5", "https://h/metrics", "X-Forwarded-For", "127.0.0.1"), 401},
		{"token", "hunter2", request("192.168.1.30:5", "https://h/metrics", "Authorization", "Bearer hunter2"), 200},
		{"wrong token", "hunter2", request("192.168.1.30:5", "https://h/metrics", "Authorization", "Bearer hunter3"), 401},
		{"loopback with token set", "hunter2", request("127.0.0.1:5", "http://127.0.0.1:8443/metrics"), 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			(&front{next: metricsGate(c.token, echo)}).ServeHTTP(w, c.r)
			if w.Code != c.status {
				t.Errorf("status %d, want %d", w.Code, c.status)
			}
		})
	}
	// A proxy on this machine that names nobody may have been asked by anybody.
	w := httptest.NewRecorder()
	f := &front{next: metricsGate("", echo), trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	f.ServeHTTP(w, request("127.0.0.1:5", "https://localhost/metrics"))
	if w.Code != http.StatusUnauthorized {
		t.Errorf("a proxy without X-Forwarded-For: status %d", w.Code)
	}
}

// The process is alive from start to end, and ready only while it takes new sessions.
func TestProbes(t *testing.T) {
	mux, ready := http.NewServeMux(), true
	probes(mux, func() bool { return ready })
	for _, ready = range []bool{true, false} {
		for path, want := range map[string]int{"/healthz": 200, "/livez": 200, "/readyz": map[bool]int{true: 200, false: 503}[ready], "/version": 200} {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			if w.Code != want {
				t.Errorf("ready %v, %s: %d, want %d", ready, path, w.Code, want)
			}
		}
	}
}

// The redirect of port 80 leads to the https port, whatever the request's own was.
func TestRedirectFromPort80(t *testing.T) {
	for _, c := range []struct {
		port        uint16
		host, where string
	}{
		{443, "meet.example.org", "https://meet.example.org/r/tea"},
		{8443, "meet.example.org:80", "https://meet.example.org:8443/r/tea"},
		{8443, "[2001:db8::1]", "https://[2001:db8::1]:8443/r/tea"},
		{443, "[2001:db8::1]:80", "https://[2001:db8::1]/r/tea"},
	} {
		w := httptest.NewRecorder()
		redirectToHTTPS(c.port)(w, withHost(httptest.NewRequest("GET", "http://h/r/tea", nil), c.host))
		if got := w.Header().Get("Location"); got != c.where {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// An address of X-Forwarded-For that is taken is one, without the frills, and reads the same when it is written again.
func FuzzHop(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:77", "[::1]", "::ffff:192.0.2.1", "fe80::1%eth0", "[fe80::1%eth0]:1", "unknown", "_hidden", "[[::1]]", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseHop(s)
		if err != nil {
			return
		}
		if !a.IsValid() || a.Is4In6() || a.Zone() != "" {
			t.Fatalf("%q: %v", s, a)
		}
		if again, err := parseHop(a.String()); err != nil || again != a {
			t.Errorf("%q: %v, then %v, %v", s, a, again, err)
		}
	})
}

// Behind a proxy that does not say whose requests it passes on, the clients do not share one source's limit (docs/protocol.md, section 8.4).
func TestSilentProxy(t *testing.T) {
	const perSource = 256
	n := startNode(t, "--behind-proxy", "127.0.0.1/32", "--auth", "open", "--linger", "1s")
	defer n.stop()
	offer, err := os.ReadFile("../sdp/testdata/chromium-publish.offer.sdp")
	if err != nil {
		t.Fatal(err)
	}
	post := func(i int, forwardedFor string) int {
		url := fmt.Sprintf("http://127.0.0.1:%d/whip/room%d", n.port.Local().Port(), i%16)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(offer))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/sdp")
		r.Header.Set("X-Forwarded-Proto", "https")
		if forwardedFor != "" {
			r.Header.Set("X-Forwarded-For", forwardedFor)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		_, _ = io.Copy(io.Discard, a.Body)
		return a.StatusCode
	}
	for i := range perSource + 1 {
		if status := post(i, ""); status != http.StatusCreated {
			t.Fatalf("offer %d: %d", i, status)
		}
	}
	if status := post(0, "203.0.113.7"); status != http.StatusCreated {
		t.Errorf("%d for a client that is named", status)
	}
}
