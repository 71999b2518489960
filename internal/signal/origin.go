package signal

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Origins says which pages may talk to this server. It never changes after construction. The zero value allows the server's own
// pages.
type Origins struct {
	any  bool
	list map[string]bool
}

// NewOrigins takes origins as browsers write them ("https://app.example"), or "*" for all.
func NewOrigins(allowed []string) (Origins, error) {
	o := Origins{list: map[string]bool{}}
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

// Allowed reports whether r may be served: it comes from no page at all (no Origin), from one of this server, or from one on the
// list. cross is the origin to name in CORS headers; it is empty where there is none.
func (o Origins) Allowed(r *http.Request) (cross string, ok bool) {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return "", true
	}
	if len(values) > 1 {
		return "", false
	}
	if o.any {
		return values[0], true
	}
	scheme, host, ok := parseOrigin(values[0])
	if !ok {
		return "", false
	}
	if o.list[scheme+"://"+host] || ownOrigin(r, scheme, host) {
		return values[0], true
	}
	return "", false
}

// ownOrigin compares with the Host header. Without TLS here, a proxy in front may have added it: both schemes are ours then.
func ownOrigin(r *http.Request, scheme, host string) bool {
	return (r.TLS == nil || scheme == "https") && canonicalHost(scheme, r.Host) == host
}

// parseOrigin takes the serialisation of RFC 6454 §6.2 apart. "null" and anything with more than an origin is none.
func parseOrigin(s string) (scheme, host string, ok bool) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" ||
		strings.ContainsAny(s, "?#*, ") {
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
