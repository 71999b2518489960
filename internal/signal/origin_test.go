package signal

import (
	"crypto/tls"
	"net/http"
	"testing"
)

// A page may talk to the server it came from and to those that list it, and to no other. What sends no Origin is no page.
func TestOrigins(t *testing.T) {
	listed, err := NewOrigins([]string{"https://app.example", "http://localhost:3000", "https://[2001:db8::1]:8443", "https://Upper.Example:443"})
	if err != nil {
		t.Fatal(err)
	}
	every, err := NewOrigins([]string{"*"})
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
		{"own", Origins{}, true, "parley.example", []string{"https://parley.example"}, true},
		{"own, port told", Origins{}, true, "parley.example:443", []string{"https://parley.example"}, true},
		{"own, another port", Origins{}, true, "parley.example:8443", []string{"https://parley.example:8443"}, true},
		{"own, upper case", Origins{}, true, "Parley.Example", []string{"HTTPS://PARLEY.example"}, true},
		{"own, IPv6", Origins{}, true, "[::1]:8443", []string{"https://[::1]:8443"}, true},
		{"own, plain", Origins{}, false, "localhost:8443", []string{"http://localhost:8443"}, true},
		{"own, TLS ended before us", Origins{}, false, "parley.example", []string{"https://parley.example"}, true},
		{"own host, but plain page", Origins{}, true, "parley.example", []string{"http://parley.example"}, false},
		{"other port", Origins{}, true, "parley.example:8443", []string{"https://parley.example"}, false},
		{"other host", Origins{}, true, "parley.example", []string{"https://evil.example"}, false},
		{"subdomain", Origins{}, true, "parley.example", []string{"https://x.parley.example"}, false},
		{"parent domain", Origins{}, true, "x.parley.example", []string{"https://parley.example"}, false},
		{"suffix", Origins{}, true, "parley.example", []string{"https://evilparley.example"}, false},
		{"prefix", Origins{}, true, "parley.example", []string{"https://parley.example.evil"}, false},
		{"user part", Origins{}, true, "parley.example", []string{"https://parley.example@evil.example"}, false},
		{"user part before ours", Origins{}, true, "parley.example", []string{"https://evil@parley.example"}, false},
		{"null", Origins{}, true, "parley.example", []string{"null"}, false},
		{"empty", Origins{}, true, "parley.example", []string{""}, false},
		{"two", Origins{}, true, "parley.example", []string{"https://parley.example", "https://evil.example"}, false},
		{"two in one", Origins{}, true, "parley.example", []string{"https://parley.example https://evil.example"}, false},
		{"with a path", Origins{}, true, "parley.example", []string{"https://parley.example/"}, false},
		{"file", Origins{}, true, "parley.example", []string{"file://"}, false},
		{"extension", Origins{}, true, "parley.example", []string{"chrome-extension://abcdef"}, false},
		{"localhost is not 127.0.0.1", Origins{}, false, "localhost:8443", []string{"http://127.0.0.1:8443"}, false},
		{"rebound name", Origins{}, false, "127.0.0.1:8443", []string{"http://evil.example:8443"}, false},
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
		cross, ok := c.o.Allowed(r)
		if ok != c.want || ok && len(c.origin) == 1 && cross != c.origin[0] || !ok && cross != "" {
			t.Errorf("%s: %v %q", c.name, ok, cross)
		}
	}
	for _, bad := range []string{"", "app.example", "https://", "https://app.example/", "https://*.example", "ftp://app.example", "https://app.example?x", "null"} {
		if _, err := NewOrigins([]string{bad}); err == nil {
			t.Errorf("%q was taken for an origin", bad)
		}
	}
}
