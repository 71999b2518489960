package turn

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

// Config describes a Server.
type Config struct {
	// Realm is that of the credentials, at most MaxRealm bytes. Where it is longer than MaxFullRealm, those who ask over UDP without
	// anything in their first request to make it longer are not told of SHA-256.
	Realm string
	// Secret is what nonces and tickets are made with, random and at least MinSecret bytes.
	Secret []byte
	// Credentials tells keys. Nil: nothing is relayed, and only Binding requests are answered.
	Credentials Credentials
	Own         OwnAddresses
	Policy      Policy
	Limits      Limits
	// NoTCP says that the runtime does not carry connections to peers (442).
	NoTCP bool
	// NoMobility says that allocations stay with the address for which they were made (405).
	NoMobility bool
	// Alternates are where clients discover how their NAT behaves.
	Alternates []Alternate
	// NoDontFragment says that the runtime cannot do as DONT-FRAGMENT asks; the attribute is unknown then (RFC 8656 §14).
	NoDontFragment bool
}

// Server is a STUN and TURN server. One goroutine at a time may use it.
type Server struct {
	// static after construction
	cfg    Config
	limits Limits

	// owned by the loop
	epoch        time.Time // the first time that it was told; zero: none yet
	nonceMAC     hash.Hash // keyed with the secret
	clients      map[datagram.Pair]*allocation
	relays       []*allocation // by RelayID
	users        map[string]*user
	sources      map[netip.Addr]int // allocations by source
	opening      []*opening
	reservations map[uint64]*reservation
	tickets      map[ticket]*allocation
	stats        Stats
	connections  map[ConnID]*connection
	lastConn     ConnID
	tokens       uint64 // how many were made: of opening, to reserve, and to move
	ids          uint64 // of indications
	deadlines    deadlines
	strangers    [strangers]instant // by hash of the source: when it has paid for the answers it has had
	seed         maphash.Seed

	// owned by the loop; the allocation that was found last: datagrams of one client come in runs
	lastPair datagram.Pair
	last     *allocation

	// owned by the loop; scratch: what goes through an interface must not live on the stack
	m   stun.Message
	in  [28]byte
	sum [sha256.Size]byte
}

// New returns a Server without allocations.
func New(cfg Config) (*Server, error) {
	switch {
	case len(cfg.Secret) < MinSecret:
		return nil, fmt.Errorf("turn: a secret of %d bytes, not at least %d", len(cfg.Secret), MinSecret)
	case cfg.Credentials != nil && (cfg.Realm == "" || len(cfg.Realm) > MaxRealm):
		return nil, fmt.Errorf("turn: a realm of %d bytes, not 1 to %d", len(cfg.Realm), MaxRealm)
	case cfg.Credentials != nil && cfg.Own == nil:
		return nil, errors.New("turn: nothing tells own addresses")
	}
	return &Server{
		cfg: cfg, limits: cfg.Limits.withDefaults(), nonceMAC: hmac.New(sha256.New, cfg.Secret), seed: maphash.MakeSeed(),
		clients: map[datagram.Pair]*allocation{}, users: map[string]*user{}, sources: map[netip.Addr]int{},
		reservations: map[uint64]*reservation{}, connections: map[ConnID]*connection{},
		tickets: map[ticket]*allocation{}, stats: Stats{Refused: map[stun.Code]uint64{}},
	}, nil
}

// at turns a time into an instant.
func (s *Server) at(now time.Time) instant {
	if s.epoch.IsZero() {
		s.epoch = now
	}
	return now.Sub(s.epoch)
}

// find returns a client's allocation; nil: it has none.
func (s *Server) find(pair datagram.Pair) *allocation {
	if s.last != nil && s.lastPair == pair {
		return s.last
	}
	a := s.clients[pair]
	if a != nil {
		s.last, s.lastPair = a, pair
	}
	return a
}

// Handle takes what a client has sent: one STUN message, or one ChannelData with or without padding. What is refused with an answer is not
// dropped.
func (s *Server) Handle(now time.Time, pair datagram.Pair, b []byte, out *Out) drop.Reason {
	if len(b) > 0 && b[0]>>6 == 1 {
		return s.channelData(s.at(now), pair, b, out)
	}
	if r := s.m.Parse(b); r != drop.None {
		return r
	}
	q := request{Message: &s.m, now: now, at: s.at(now), pair: pair, out: out}
	switch s.m.Type.Class() {
	case stun.Request:
		return s.request(&q)
	case stun.Indication:
		return s.indication(&q)
	}
	return drop.StunMethod
}

func (s *Server) request(q *request) drop.Reason {
	method := q.Type.Method()
	if method == stun.Binding {
		return s.binding(q)
	}
	if s.cfg.Credentials == nil {
		return drop.StunMethod
	}
	switch method {
	case stun.Allocate, stun.Refresh, stun.CreatePermission, stun.ChannelBind, stun.Connect, stun.ConnectionBind:
	default:
		return drop.StunMethod
	}
	if r, ok := s.authenticate(q); !ok {
		return r
	}
	if n := s.unknown(q); n > 0 {
		return q.refuse(s, stun.UnknownAttribute)
	}
	a := s.find(q.pair)
	value, moves := q.Find(stun.MobilityTicket)
	switch {
	case a != nil && a.name != string(q.username):
		return q.refuse(s, stun.WrongCredentials) // RFC 8656 §5
	case method == stun.Refresh && moves:
		return s.move(q, a, value)
	case method == stun.Allocate:
		return s.allocate(q, a)
	case method == stun.ConnectionBind:
		return s.connectionBind(q)
	case a == nil:
		return q.refuse(s, stun.AllocationMismatch)
	case method == stun.Refresh:
		return s.refresh(q, a)
	case method == stun.CreatePermission:
		return s.createPermission(q, a)
	case method == stun.Connect:
		return s.connect(q, a)
	}
	return s.channelBind(q, a)
}

// binding answers a Binding request, whoever asks (RFC 8489 §2: it needs no authentication).
func (s *Server) binding(q *request) drop.Reason {
	if s.unknown(q) > 0 {
		return q.refuse(s, stun.UnknownAttribute)
	}
	if alt, at := s.alternate(q.pair); alt != nil {
		return s.discover(q, alt, at)
	}
	w := mapped(q, q.asked())
	return w.end(s)
}

func (s *Server) indication(q *request) drop.Reason {
	switch q.Type.Method() {
	case stun.Binding:
		return drop.None // keeps NAT bindings open and means nothing else (RFC 8489 §2)
	case stun.Send:
		return s.send(q)
	}
	return drop.StunMethod
}

// Has reports whether a client has an allocation.
func (s *Server) Has(pair datagram.Pair) bool { return s.find(pair) != nil }

// Next returns when Timeout has something to do; zero: never.
func (s *Server) Next() time.Time {
	if len(s.deadlines) == 0 {
		return time.Time{}
	}
	return s.epoch.Add(s.deadlines[0].at)
}

// Timeout ends what is over.
func (s *Server) Timeout(now time.Time, out *Out) {
	for at := s.at(now); len(s.deadlines) > 0 && s.deadlines[0].at <= at; {
		d := s.deadlines[0]
		s.deadlines.clear(d)
		d.of.expired(s, at, out)
	}
}

// Recheck ends the allocations of a user, as quotas count, whose credentials do not hold any more. It is to be called when that may have changed.
func (s *Server) Recheck(now time.Time, name string, out *Out) {
	u := s.users[name]
	if u == nil {
		return
	}
	for a := u.first; a != nil; {
		next := a.after
		if !s.cfg.Credentials.Holds(now, []byte(a.name)) {
			s.remove(a, out)
		}
		a = next
	}
}

// RecheckAll is Recheck for all users, in portions of maxRechecks relayed addresses: this one begins with from, 0 at first, and more reports that there is
// one that begins with next.
func (s *Server) RecheckAll(now time.Time, from RelayID, out *Out) (next RelayID, more bool) {
	end := min(int(from)+maxRechecks, len(s.relays))
	for id := int(from); id < end; id++ { // allocations may be detached, and so in no map but this one
		if a := s.relays[id]; a != nil && RelayID(id) == a.first() && !s.cfg.Credentials.Holds(now, []byte(a.name)) {
			s.remove(a, out)
		}
	}
	return RelayID(end), end < len(s.relays)
}

// Closed says that the stream connection of a client has ended. Its allocation ends with it (RFC 8656 §3.2: a 5-tuple is what it is), unless it may
// move.
func (s *Server) Closed(_ time.Time, pair datagram.Pair, out *Out) {
	a := s.find(pair)
	switch {
	case a == nil:
	case a.mobile != nil:
		s.detach(a)
	default:
		s.remove(a, out)
	}
}
