package host

import (
	"context"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

// front is what every request passes first: it finds out who really asks, over what, sets the headers that every answer has, and
// limits how long the request's body and the answer may take.
type front struct {
	// static after construction
	next      http.Handler
	trusted   []netip.Prefix         // reverse proxies whose headers are believed
	plainHTTP bool                   // answer plain HTTP from elsewhere too
	secure    bool                   // a public certificate: browsers may remember that this is an https site
	named     func(name string) bool // names of this server; nil: none but those of the local network
}

// visitor is what front found out about a request.
type visitor struct {
	address netip.Addr // of the client; invalid when it cannot be known
	secure  bool       // it came over TLS, here or at a proxy
	local   bool       // it comes from this machine, not through a proxy, known or unknown, and not from a stranger's page
	host    string     // under which the client sees this server, with its port
	own     bool       // that host is this server's: no stranger can make it lead here
}

type visitorKey struct{}

// visitorOf returns what front noted about r.
func visitorOf(r *http.Request) visitor {
	v, _ := r.Context().Value(visitorKey{}).(visitor)
	return v
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := f.identify(r)
	f.headers(w.Header(), v)
	limitTime(w, r)
	if !v.secure && !f.plainHTTP && !v.local && !isProbe(r.URL.Path) {
		f.insecure(w, r, v)
		return
	}
	f.next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitorKey{}, v)))
}

// limitTime gives the body of a request, and then its answer, their time: whoever sends or reads them slower holds a connection
// that others could have. Where a connection is taken over, as by WebSockets, both limits end. Those of one request do not
// count for the next one of its connection, which has its own.
func limitTime(w http.ResponseWriter, r *http.Request) {
	now, c := time.Now(), http.NewResponseController(w)
	if r.Body != nil && r.Body != http.NoBody {
		_ = c.SetReadDeadline(now.Add(bodyTimeout)) // a writer without deadlines is a test's
	}
	_ = c.SetWriteDeadline(now.Add(answerTimeout))
}

// identify believes X-Forwarded-For and X-Forwarded-Proto only of proxies that the configuration names.
func (f *front) identify(r *http.Request) visitor {
	v := visitor{secure: r.TLS != nil, host: r.Host, own: f.goesBy(r.Host)}
	forwarded := r.Header.Values("X-Forwarded-For")
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return v
	}
	v.address = remote.Addr().Unmap().WithZone("")
	direct := len(forwarded) == 0 && len(r.Header.Values("Forwarded")) == 0
	// A page under a stranger's name that leads here (DNS rebinding) is shown by this machine's browser, but is none of ours.
	if !f.trusts(v.address) {
		v.local = direct && v.own && (v.address.IsLoopback() || v.address == localAddress(r))
		return v
	}
	// What a proxy passes on is nobody's on this machine, also where it does not say whose it is.
	if !direct { // the proxy is set up for the names that it passes on
		v.own = true
		if host := r.Header.Get("X-Forwarded-Host"); validHost(host) {
			v.host = host
		}
	}
	if proto := r.Header.Get("X-Forwarded-Proto"); proto != "" {
		v.secure = strings.EqualFold(proto, "https")
	}
	v.address = f.client(forwarded)
	return v
}

// client is whom X-Forwarded-For names: the last address that is not a trusted proxy, since whatever stands before it, the client could
// have written itself; where all are trusted, the first of them, which is a client in the proxies' network. It is invalid where the
// proxy has named nobody.
func (f *front) client(forwarded []string) (client netip.Addr) {
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	slices.Reverse(hops)
	for _, hop := range hops[:min(len(hops), maxForwarded)] {
		if hop = strings.TrimSpace(hop); hop == "" {
			continue
		}
		a, err := parseHop(hop)
		if err != nil {
			break
		}
		if client = a; !f.trusts(a) {
			break
		}
	}
	return client
}

// goesBy reports whether a host is this server's: an address, or a name that it is known by.
func (f *front) goesBy(host string) bool {
	return signal.SafeHost(host) || f.named != nil && f.named(signal.HostName(host))
}

// hostOf tells the carriers what front found out.
func hostOf(r *http.Request) (host string, own bool) {
	v := visitorOf(r)
	return v.host, v.own
}

// sourceOf tells them who asks.
func sourceOf(r *http.Request) netip.Addr { return visitorOf(r).address }

// localAddress is the address at which the request arrived. A client that has the same one is this machine itself.
func localAddress(r *http.Request) netip.Addr {
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if ap, err := netip.ParseAddrPort(a.String()); err == nil {
			return ap.Addr().Unmap().WithZone("")
		}
	}
	return netip.Addr{}
}

func (f *front) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(f.trusted, func(p netip.Prefix) bool { return p.Contains(a) })
}

// parseHop reads an address of X-Forwarded-For, which some proxies write with a port.
func parseHop(hop string) (netip.Addr, error) {
	if ap, err := netip.ParseAddrPort(hop); err == nil {
		return ap.Addr().Unmap().WithZone(""), nil
	}
	a, err := netip.ParseAddr(trimBrackets(hop))
	return a.Unmap().WithZone(""), err
}

// contentPolicy lets pages run the server's own scripts and nothing else. Media elements play MediaStreams and blobs;
// connections go to this origin (and so do its WebSockets); inline styles are not needed, because scripts set them by CSSOM.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; " +
	"media-src 'self' blob: mediastream:; connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; " +
	"frame-ancestors 'self'; base-uri 'none'; form-action 'self'"

// permissionsPolicy keeps what a call needs for this origin and gives up the rest.
const permissionsPolicy = "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), fullscreen=(self), " +
	"picture-in-picture=(self), speaker-selection=(self), screen-wake-lock=(self), clipboard-write=(self), " +
	"geolocation=(), payment=(), usb=(), serial=(), hid=(), midi=(), gyroscope=(), magnetometer=(), accelerometer=()"

func (f *front) headers(h http.Header, v visitor) {
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Permissions-Policy", permissionsPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // a room's name is nobody else's business
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if f.secure && v.secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// insecure answers a request over plain HTTP from another machine. Browsers give pages no camera there, so pages are sent to
// https at the same port; an API call is refused, because its secrets have already crossed the network once and must not again.
func (f *front) insecure(w http.ResponseWriter, r *http.Request, v visitor) {
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Header.Get("Upgrade") == "" && !isAPI(r.URL.Path) && validHost(r.Host) {
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, "https://"+r.Host+r.URL.RequestURI(), http.StatusTemporaryRedirect)
		return
	}
	if !v.own && v.address.IsLoopback() {
		signal.WriteProblem(w, http.StatusForbidden, wire.NewError(wire.CodeForbidden, "this server does not go by the name that was used",
			"use localhost or the server's address, or name the page's origin with --origins"))
		return
	}
	signal.WriteProblem(w, http.StatusForbidden, wire.NewError(wire.CodeForbidden, "this call came over plain HTTP from another machine",
		"use https:// at the same port; where a proxy ends TLS, start parley with --behind-proxy; to allow plain HTTP, with --plain-http"))
}

// isAPI reports whether a path is for programs rather than for browsers' address bars.
func isAPI(path string) bool {
	for _, p := range []string{"/v1/", "/whip/", "/whep/", "/metrics"} {
		if strings.HasPrefix(path, p) || path == strings.TrimSuffix(p, "/") {
			return true
		}
	}
	return false
}

// isProbe reports whether a path tells only whether the server lives, which orchestrators ask by plain HTTP.
func isProbe(path string) bool {
	return path == "/healthz" || path == "/livez" || path == "/readyz" || path == "/version"
}

// validHost keeps a Host header from turning into some other part of a URL.
func validHost(host string) bool {
	u, err := url.Parse("https://" + host + "/")
	return err == nil && host != "" && u.Host == host && u.User == nil
}

// metricsGate shows /metrics to programs on this machine, and to others that bring --metrics-token. A request that any proxy
// has passed on comes from elsewhere, even when the proxy runs here.
func metricsGate(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := visitorOf(r)
		given, _ := signal.BearerToken(r)
		byToken := token != "" && subtle.ConstantTimeCompare([]byte(given), []byte(token)) == 1
		if !byToken && !v.local {
			signal.Refuse(w, wire.NewError(wire.CodeUnauthorized, "metrics are for this machine, by its address, localhost or its own name",
				"ask there, or set --metrics-token and send it as Authorization: Bearer TOKEN"))
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func trimBrackets(host string) string { return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]") }

func splitHostPort(s string) (string, uint16, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return host, uint16(n), err
}
