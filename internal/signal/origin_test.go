package signal

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/wire"
)

// originCase is a request with some Origin headers: to a server that answers to parley.example and to the names below it.
type originCase struct {
	name   string
	tls    bool
	host   string
	origin []string
	want   bool
}

// Without a configuration.
var noOrigins = []originCase{
	{"no origin", false, "parley.example", nil, true},
	{"localhost below localhost", false, "tea.localhost:8443", []string{"http://tea.localhost:8443"}, true},
	{"own name, not known by itself", true, "parley.example", []string{"https://parley.example"}, false},
	{"an address, known by itself", true, "[fe80::1]:8443", []string{"https://[fe80::1]:8443"}, true},
}

// A server that knows its names.
var ownOrigins = []originCase{
	{"own", true, "parley.example", []string{"https://parley.example"}, true},
	{"own, port told", true, "parley.example:443", []string{"https://parley.example"}, true},
	{"own, another port", true, "parley.example:8443", []string{"https://parley.example:8443"}, true},
	{"own, upper case", true, "Parley.Example", []string{"HTTPS://PARLEY.example"}, true},
	{"own, IPv6", true, "[::1]:8443", []string{"https://[::1]:8443"}, true},
	{"own, plain", false, "localhost:8443", []string{"http://localhost:8443"}, true},
	{"own, TLS ended before us", false, "parley.example", []string{"https://parley.example"}, true},
	{"own host, but plain page", true, "parley.example", []string{"http://parley.example"}, false},
	{"other port", true, "parley.example:8443", []string{"https://parley.example"}, false},
	{"other host", true, "parley.example", []string{"https://evil.example"}, false},
	{"subdomain", true, "parley.example", []string{"https://x.parley.example"}, false},
	{"parent domain", true, "x.parley.example", []string{"https://parley.example"}, false},
	{"suffix", true, "parley.example", []string{"https://evilparley.example"}, false},
	{"prefix", true, "parley.example", []string{"https://parley.example.evil"}, false},
	{"user part", true, "parley.example", []string{"https://parley.example@evil.example"}, false},
	{"user part before ours", true, "parley.example", []string{"https://evil@parley.example"}, false},
	{"null", true, "parley.example", []string{"null"}, false},
	{"empty", true, "parley.example", []string{""}, false},
	{"two", true, "parley.example", []string{"https://parley.example", "https://evil.example"}, false},
	{"two in one", true, "parley.example", []string{"https://parley.example https://evil.example"}, false},
	{"with a path", true, "parley.example", []string{"https://parley.example/"}, false},
	{"file", true, "parley.example", []string{"file://"}, false},
	{"extension", true, "parley.example", []string{"chrome-extension://abcdef"}, false},
	{"localhost is not 127.0.0.1", false, "localhost:8443", []string{"http://127.0.0.1:8443"}, false},
	{"rebound name", false, "127.0.0.1:8443", []string{"http://evil.example:8443"}, false},
	{"a stranger's name that leads here", false, "evil.example:8443", []string{"http://evil.example:8443"}, false},
	{"a stranger's name over TLS", true, "evil.example:8443", []string{"https://evil.example:8443"}, false},
	{"looks like localhost", false, "localhost.evil.example:8443", []string{"http://localhost.evil.example:8443"}, false},
	{"looks like an address", false, "127.0.0.1.evil.example:8443", []string{"http://127.0.0.1.evil.example:8443"}, false},
	{"an address of the network", true, "192.168.1.20:8443", []string{"https://192.168.1.20:8443"}, true},
	{"a name of the network", true, "Laptop.local:8443", []string{"https://laptop.local:8443"}, true},
}

// With a list of other servers' pages.
var listedOrigins = []originCase{
	{"a listed name that leads here", false, "app.example", []string{"https://app.example"}, true},
	{"listed", true, "parley.example", []string{"https://app.example"}, true},
	{"listed, port told", true, "parley.example", []string{"https://app.example:443"}, true},
	{"listed, other scheme", true, "parley.example", []string{"http://app.example"}, false},
	{"listed, other port", true, "parley.example", []string{"https://app.example:444"}, false},
	{"listed plain", true, "parley.example", []string{"http://localhost:3000"}, true},
	{"listed IPv6", true, "parley.example", []string{"https://[2001:DB8::1]:8443"}, true},
	{"listed in upper case", true, "parley.example", []string{"https://upper.example"}, true},
	{"own beside a list", true, "parley.example", []string{"https://parley.example"}, true},
}

// With "*".
var everyOrigin = []originCase{
	{"every", true, "parley.example", []string{"https://evil.example"}, true},
	{"every, two", true, "parley.example", []string{"https://a.example", "https://b.example"}, false},
}

// check asks o, and looks at the answer.
func (c originCase) check(t *testing.T, o Origins) {
	t.Helper()
	r := &http.Request{Host: c.host, Header: http.Header{}}
	if c.tls {
		r.TLS = &tls.ConnectionState{}
	}
	for _, o := range c.origin {
		r.Header.Add("Origin", o)
	}
	cross, refused := o.Allowed(r)
	ok := refused == nil
	if !ok && (refused.Code != wire.CodeForbidden || refused.Next == "") {
		t.Errorf("%s: %v", c.name, refused)
	}
	if ok != c.want || ok && len(c.origin) == 1 && cross != c.origin[0] || !ok && cross != "" {
		t.Errorf("%s: %v %q", c.name, ok, cross)
	}
}

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
	for _, c := range noOrigins {
		c.check(t, Origins{})
	}
	for _, c := range ownOrigins {
		c.check(t, own)
	}
	for _, c := range listedOrigins {
		c.check(t, listed)
	}
	for _, c := range everyOrigin {
		c.check(t, every)
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

// Who runs the server hears of each refused origin once, and of no more than a hundred, whoever makes them up.
func TestRefusedOriginsAreTold(t *testing.T) {
	o, err := NewOrigins([]string{"https://app.example"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var heard []string
	o = o.Telling(func(origin string, refused *wire.Error) {
		if refused.Code != wire.CodeForbidden {
			t.Errorf("%s: %v", origin, refused)
		}
		heard = append(heard, origin)
	})
	from := func(origin string) {
		r := httptest.NewRequest("GET", "http://localhost/", nil)
		r.Header.Set("Origin", origin)
		_, _ = o.Allowed(r)
	}
	for _, origin := range []string{"https://app.example", "https://a.example", "https://a.example", "http://localhost", "null"} {
		from(origin)
	}
	if want := []string{"https://a.example", "null"}; !slices.Equal(heard, want) {
		t.Errorf("heard of %q, want %q", heard, want)
	}
	for i := range 2 * maxToldOrigins {
		from(fmt.Sprintf("https://%d.example", i))
	}
	if len(heard) != maxToldOrigins {
		t.Errorf("heard of %d origins", len(heard))
	}
}
