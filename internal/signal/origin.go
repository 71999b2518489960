package signal

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"github.com/parley-rtc/parley/wire"
)

// Origins says which pages may talk to this server. The zero value allows the server's own pages, as far as [SafeHost] knows
// them.
type Origins struct {
	// static after construction
	any  bool
	list map[string]bool
	host HostOf
	told *told // nil: nobody is told
}

// told remembers which origins were refused, so that each is told once, and only the first ones.
type told struct {
	// static after construction
	tell func(origin string, refused *wire.Error)

	// guarded by mu
	mu    sync.Mutex
	known map[string]bool // at most maxToldOrigins
}

// HostOf returns the host under which a client sees the server, with its port, and whether that is the server's own.
type HostOf func(*http.Request) (host string, own bool)

// NewOrigins takes origins as browsers write them ("https://app.example"), or "*" for all. Host decides which pages are the
// server's own; nil: those whose Host header is a SafeHost.
func NewOrigins(allowed []string, host HostOf) (Origins, error) {
	o := Origins{list: map[string]bool{}, host: host}
	for _, s := range allowed {
		if s == "*" {
			o.any = true
			continue
		}
		scheme, host, ok := parseOrigin(s)
		if !ok {
			return Origins{}, fmt.Errorf("allowed origin %q: write it as https://app.example or http://localhost:3000, without a path", s)
		}
		o.list[scheme+"://"+host] = true
	}
	return o, nil
}

// Telling returns o, which calls tell once for each origin that it refuses, for the first maxToldOrigins of them. Tell may be called
// from several goroutines.
func (o Origins) Telling(tell func(origin string, refused *wire.Error)) Origins {
	o.told = &told{tell: tell, known: map[string]bool{}}
	return o
}

func (t *told) refused(origin string, e *wire.Error) {
	if t == nil {
		return
	}
	origin = origin[:min(len(origin), maxToldOriginBytes)]
	t.mu.Lock()
	isNew := !t.known[origin] && len(t.known) < maxToldOrigins
	if isNew {
		t.known[origin] = true
	}
	t.mu.Unlock()
	if isNew {
		t.tell(origin, e)
	}
}

// Allowed tells whether r may be served: it comes from no page at all (no Origin), from one of this server, or from one on the
// list. cross is the origin to name in CORS headers; it is empty where there is none.
func (o Origins) Allowed(r *http.Request) (cross string, refused *wire.Error) {
	cross, refused = o.judge(r)
	if refused != nil {
		o.told.refused(r.Header.Get("Origin"), refused)
	}
	return cross, refused
}

func (o Origins) judge(r *http.Request) (cross string, refused *wire.Error) {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return "", nil
	}
	foreign := wire.NewError(wire.CodeForbidden, "pages of this origin may not use this server", "ask whoever runs it to allow the origin with --origins")
	if len(values) > 1 {
		return "", foreign
	}
	if o.any {
		return values[0], nil
	}
	scheme, host, ok := parseOrigin(values[0])
	if !ok {
		return "", foreign
	}
	if o.list[scheme+"://"+host] {
		return values[0], nil
	}
	seen, own := o.hostOf(r)
	switch {
	case !sameOrigin(r, scheme, host, seen):
		return "", foreign
	case !own:
		// A stranger's name may lead to this machine, so that a stranger's page is of the same origin (DNS rebinding).
		return "", wire.NewError(wire.CodeForbidden, "this server does not go by the name of this page",
			"open it by its address, or have whoever runs it name "+values[0]+" with --origins, or with --domain, --cert or --behind-proxy")
	}
	return values[0], nil
}

func (o Origins) hostOf(r *http.Request) (host string, own bool) {
	if o.host == nil {
		return r.Host, SafeHost(r.Host)
	}
	return o.host(r)
}

// sameOrigin compares with the host that the client sees. Without TLS here, a proxy in front may have added it: both schemes are
// ours then.
func sameOrigin(r *http.Request, scheme, host, seen string) bool {
	return (r.TLS == nil || scheme == "https") && canonicalHost(scheme, seen) == host
}

// safeDomains are those in which no stranger can have a name: they are reserved, or delegated to nobody.
var safeDomains = []string{"localhost", "local", "lan", "home.arpa", "internal", "test"}

// SafeHost reports whether no stranger can make the host, which may have a port, lead to this server: it is an address, localhost,
// or a name of the local network.
func SafeHost(host string) bool {
	name := HostName(host)
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" {
		return true
	}
	for _, d := range safeDomains {
		if strings.HasSuffix(name, "."+d) {
			return true
		}
	}
	return false
}

// HostName is the name or address of a host without port, brackets and final dot, in lower case.
func HostName(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	} else if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// parseOrigin takes the serialisation of RFC 6454 §6.2 apart. "null" and anything with more than an origin is none.
func parseOrigin(s string) (scheme, host string, ok bool) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" ||
		strings.ContainsAny(s, "?#*%, ") {
		return "", "", false
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return "", "", false
	}
	return u.Scheme, canonicalHost(u.Scheme, u.Host), true
}

// canonicalHost writes host in lower case, without the port that the scheme implies.
func canonicalHost(scheme, host string) string {
	host = strings.ToLower(host)
	if h, port, err := net.SplitHostPort(host); err == nil && (port == "443" && scheme == "https" || port == "80" && scheme == "http") {
		host = h
		if strings.Contains(h, ":") {
			host = "[" + h + "]"
		}
	}
	return host
}
