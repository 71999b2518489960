package host

import (
	"crypto/rand"
	"encoding/json"
	"hash/maphash"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

// iceHandler answers GET /v1/ice-servers: ICE servers, with credentials that are valid from now on.
type iceHandler struct {
	// static after construction
	node    *node
	origins signal.Origins

	asked sourceLimit // has its own lock
}

func newICEHandler(n *node, o signal.Origins) *iceHandler {
	return &iceHandler{node: n, origins: o, asked: newSourceLimit(iceServersBurst, iceServersEvery)}
}

// ServeHTTP implements http.Handler.
func (h *iceHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.origins.Serves(w, r, http.MethodGet, "Authorization") {
		h.answer(w, r)
	}
}

func (h *iceHandler) answer(w http.ResponseWriter, r *http.Request) {
	source := datagram.Source(sourceOf(r))
	if !h.asked.admit(time.Now(), source) {
		signal.Refuse(w, &wire.Error{Code: wire.CodeRate, Message: "too many requests for ICE servers", Next: "use those that you have, as long as they are valid", RetrySeconds: 1})
		return
	}
	var list func(room, identity string, until time.Time) []wire.ICEServer
	switch r.URL.Query().Get("for") {
	case "server":
		list = h.node.iceServersFor
	case "participant":
		list = h.node.iceServersAmong
	default:
		signal.Refuse(w, wire.NewError(wire.CodeBadRequest, "it was not said what the ICE servers are for", "ask for=server for a connection to this server, for=participant for one to another client"))
		return
	}
	token, _ := signal.BearerToken(r)
	room, identity, until, refused := h.node.signal.Bearer(token)
	if refused != nil {
		signal.Refuse(w, refused)
		return
	}
	if room == "" { // open mode: nobody has said who he is, so each has a name of its own; many may come from one address, which has a limit of its own
		identity = rand.Text()
	}
	now := time.Now()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(struct {
		ICEServers []wire.ICEServer `json:"iceServers"`
		TTLSeconds int              `json:"ttlSeconds"`
	}{list(room, identity, until), int(credentialsEnd(now, until).Sub(now).Seconds())})
}

// sourceLimit lets each source do something burst times at once and then once every so often. It remembers no source: it has a table of fixed size,
// and those that fall on one place share its limit.
type sourceLimit struct {
	// static after construction
	seed  maphash.Seed
	burst time.Duration // as the time in which it comes back
	every time.Duration

	// guarded by mu
	mu   sync.Mutex
	paid []time.Time // by hash: until when what was done has used up the limit
}

func newSourceLimit(burst int, every time.Duration) sourceLimit {
	return sourceLimit{
		seed: maphash.MakeSeed(), burst: time.Duration(burst-1) * every, every: every, paid: make([]time.Time, limitedSources),
	}
}

func (l *sourceLimit) admit(now time.Time, source netip.Addr) bool { return l.admitAll(now, source, 1) }

// Admit implements api.Allowance: a source may ask about shared state without a session as much as a session may.
func (l *sourceLimit) Admit(r *http.Request, cost int) *wire.Error {
	if l.admitAll(time.Now(), datagram.Source(sourceOf(r)), cost) {
		return nil
	}
	return &wire.Error{Code: wire.CodeRate, Message: "too many requests about shared state", Next: "send fewer, and put several operations into one write", RetrySeconds: 1}
}

// Owe implements api.Allowance.
func (l *sourceLimit) Owe(r *http.Request, cost int) {
	l.take(time.Now(), datagram.Source(sourceOf(r)), cost, true)
}

// admitAll lets it do so n times at once, or not at all.
func (l *sourceLimit) admitAll(now time.Time, source netip.Addr, n int) bool {
	return l.take(now, source, n, false)
}

// take uses up as much of the limit, also what is not there where that may be owed.
func (l *sourceLimit) take(now time.Time, source netip.Addr, n int, owed bool) bool {
	b := source.As16()
	l.mu.Lock()
	defer l.mu.Unlock()
	paid := &l.paid[maphash.Bytes(l.seed, b[:])%limitedSources]
	if paid.Before(now) {
		*paid = now
	}
	after := paid.Add(time.Duration(n) * l.every)
	if after.Sub(now) > l.burst+l.every && !owed {
		return false
	}
	*paid = after
	return true
}
