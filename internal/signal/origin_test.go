package signal

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/wire"
)

// A page may talk to the server it came from and to those that list it, and to no other. What sends no Origin is no page.
func TestOrigins(t *testing.T) {
	// The server of these tests goes by parley.example and the names below it.
	named := func(r *http.Request) (string, bool) {
		name := HostName(r.Host)
		return r.Host, SafeHost(r.Host) || name == "parley.example" || strings.HasSuffix(name, ".parley.example")
	}
	own, err := NewOrigins(nil, named)
	if err != nil {
		t.Fatal(err)
	}
	listed, err := NewOrigins([]string{"https://app.example", "http://localhost:3000", "https://[2001:db8::1]:8443", "https://Upper.Example:443"}, named)
	if err != nil {
		t.Fatal(err)
	}
	every, err := NewOrigins([]string{"*"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		o      Origins
		tls    bool
		host   string
		origin []string
		want   bool
	}{
		{"no origin", Origins{}, false, "parley.example", nil, true},
		{"own", own, true, "parley.example", []string{"https://parley.example"}, true},
		{"own, port told", own, true, "parley.example:443", []string{"https://parley.example"}, true},
		{"own, another port", own, true, "parley.example:8443", []string{"https://parley.example:8443"}, true},
		{"own, upper case", own, true, "Parley.Example", []string{"HTTPS://PARLEY.example"}, true},
		{"own, IPv6", own, true, "[::1]:8443", []string{"https://[::1]:8443"}, true},
		{"own, plain", own, false, "localhost:8443", []string{"http://localhost:8443"}, true},
		{"own, TLS ended before us", own, false, "parley.example", []string{"https://parley.example"}, true},
		{"own host, but plain page", own, true, "parley.example", []string{"http://parley.example"}, false},
		{"other port", own, true, "parley.example:8443", []string{"https://parley.example"}, false},
		{"other host", own, true, "parley.example", []string{"https://evil.example"}, false},
		{"subdomain", own, true, "parley.example", []string{"https://x.parley.example"}, false},
		{"parent domain", own, true, "x.parley.example", []string{"https://parley.example"}, false},
		{"suffix", own, true, "parley.example", []string{"https://evilparley.example"}, false},
		{"prefix", own, true, "parley.example", []string{"https://parley.example.evil"}, false},
		{"user part", own, true, "parley.example", []string{"https://parley.example@evil.example"}, false},
		{"user part before ours", own, true, "parley.example", []string{"https://evil@parley.example"}, false},
		{"null", own, true, "parley.example", []string{"null"}, false},
		{"empty", own, true, "parley.example", []string{""}, false},
		{"two", own, true, "parley.example", []string{"https://parley.example", "https://evil.example"}, false},
		{"two in one", own, true, "parley.example", []string{"https://parley.example https://evil.example"}, false},
		{"with a path", own, true, "parley.example", []string{"https://parley.example/"}, false},
		{"file", own, true, "parley.example", []string{"file://"}, false},
		{"extension", own, true, "parley.example", []string{"chrome-extension://abcdef"}, false},
		{"localhost is not 127.0.0.1", own, false, "localhost:8443", []string{"http://127.0.0.1:8443"}, false},
		{"rebound name", own, false, "127.0.0.1:8443", []string{"http://evil.example:8443"}, false},
		{"a stranger's name that leads here", own, false, "evil.example:8443", []string{"http://evil.example:8443"}, false},
		{"a stranger's name over TLS", own, true, "evil.example:8443", []string{"https://evil.example:8443"}, false},
		{"looks like localhost", own, false, "localhost.evil.example:8443", []string{"http://localhost.evil.example:8443"}, false},
		{"looks like an address", own, false, "127.0.0.1.evil.example:8443", []string{"http://127.0.0.1.evil.example:8443"}, false},
		{"an address of the network", own, true, "192.168.1.20:8443", []string{"https://192.168.1.20:8443"}, true},
		{"a name of the network", own, true, "Laptop.local:8443", []string{"https://laptop.local:8443"}, true},
		{"localhost below localhost", Origins{}, false, "tea.localhost:8443", []string{"http://tea.localhost:8443"}, true},
		{"own name, not known by itself", Origins{}, true, "parley.example", []string{"https://parley.example"}, false},
		{"an address, known by itself", Origins{}, true, "[fe80::1]:8443", []string{"https://[fe80::1]:8443"}, true},
		{"a listed name that leads here", listed, false, "app.example", []string{"https://app.example"}, true},
		{"listed", listed, true, "parley.example", []string{"https://app.example"}, true},
		{"listed, port told", listed, true, "parley.example", []string{"https://app.example:443"}, true},
		{"listed, other scheme", listed, true, "parley.example", []string{"http://app.example"}, false},
		{"listed, other port", listed, true, "parley.example", []string{"https://app.example:444"}, false},
		{"listed plain", listed, true, "parley.example", []string{"http://localhost:3000"}, true},
		{"listed IPv6", listed, true, "parley.example", []string{"https://[2001:DB8::1]:8443"}, true},
		{"listed in upper case", listed, true, "parley.example", []string{"https://upper.example"}, true},
		{"own beside a list", listed, true, "parley.example", []string{"https://parley.example"}, true},
		{"every", every, true, "parley.example", []string{"https://evil.example"}, true},
		{"every, two", every, true, "parley.example", []string{"https://a.example", "https://b.example"}, false},
	} {
		r := &http.Request{Host: c.host, Header: http.Header{}}
		if c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		for _, o := range c.origin {
			r.Header.Add("Origin", o)
		}
		cross, refused := c.o.Allowed(r)
		ok := refused == nil
		if !ok && (refused.Code != wire.CodeForbidden || refused.Next == "") {
			t.Errorf("%s: %v", c.name, refused)
		}
		if ok != c.want || ok && len(c.origin) == 1 && cross != c.origin[0] || !ok && cross != "" {
			t.Errorf("%s: %v %q", c.name, ok, cross)
		}
	}
	for _, bad := range []string{"", "app.example", "https://", "https://app.example/", "https://*.example", "ftp://app.example", "https://app.example?x", "null"} {
		if _, err := NewOrigins([]string{bad}, nil); err == nil {
			t.Errorf("%q was taken for an origin", bad)
		}
	}
}

// An origin that is taken has a scheme and a host and nothing else, and reads the same when it is written again.
func FuzzParseOrigin(f *testing.F) {
	for _, s := range []string{
		"https://app.example", "http://localhost:3000", "https://[2001:DB8::1]:443", "null", "https://a@b", "file://", "https://a/", "https://a:b", "http://%31",
		"https://a b", "https://[::1%25eth0]", "HTTPS://A.:443",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		scheme, host, ok := parseOrigin(s)
		if !ok {
			return
		}
		if scheme != "http" && scheme != "https" || host == "" || strings.ContainsAny(host, "/?#@, ") || host != strings.ToLower(host) {
			t.Fatalf("%q: %q %q", s, scheme, host)
		}
		if again, same, ok := parseOrigin(scheme + "://" + host); !ok || again != scheme || same != host {
			t.Errorf("%q: %q %q, then %v %q %q", s, scheme, host, ok, again, same)
		}
		SafeHost(host)
	})
}
