// Package signal runs sessions: it lets participants in, numbers and keeps what they are sent, and carries their requests to
// their rooms over the bus. It knows no carrier; package ws brings it messages, package whip calls.
//
//	carrier's read goroutine → Attachment.Receive → decode → Session: rate, repeated ids → rooms.Do → reply ┐
//	bus → Session.run (one goroutine for each session) → event ──────────────────────────────────────────→ outbox
//	outbox → Attachment.Take → carrier's write goroutine
//
// It owns the sessions' outboxes, reply memories and subscriptions on the bus. A Session outlives the Attachment of a lost
// socket for as long as it can be resumed; a Call (WHIP, WHEP) has neither.
package signal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/wire"
)

// Config is what a Service needs.
type Config struct {
	Bus bus.Bus
	// Keys returns the key pairs of token mode. Nil: open mode. It is called concurrently, for every token.
	Keys func() auth.Keys
	// ICEServers returns what a participant is given for its PeerConnection to this server. Until is when its token ends; zero: it needs none. Nil: none.
	ICEServers func(room, identity string, until time.Time) []wire.ICEServer
	// SourceOf returns the address of the client that a request comes from, behind proxies too. Nil: where the connection comes from.
	SourceOf func(*http.Request) netip.Addr
	// State: a scopes.Service on the bus keeps shared state.
	State bool
	// AcceptTime and AnswerTime of who provides an RPC, as the scopes.Service has them; 0: state.DefaultAcceptTime, state.DefaultAnswerTime.
	AcceptTime, AnswerTime time.Duration
	// Log takes faults of the server. Nil: nothing is logged.
	Log *slog.Logger
}

// Service owns all sessions of a node. It is safe for concurrent use.
type Service struct {
	// static after construction
	config  Config
	closing chan struct{} // closed by Close

	// guarded by mu
	mu       sync.Mutex
	closed   bool
	ends     time.Time // when Drain has said that sessions end; zero: it has not been called
	sessions map[string]*Session
	calls    map[[sha256.Size]byte]*Call // by hash of id: a look-up by the id itself would compare secrets byte by byte
	pending  int                         // attachments without a session
	running  sync.WaitGroup              // sessions, calls, attachments; Add under mu

	// atomic
	counts counts

	refusals refusals // has its own lock
}

type counts struct {
	joins, refused, resumes, resumesRefused, resyncs, slowReaders, timeouts, malformed, tooLarge, tooFast, repeated, requests, panics atomic.Uint64
}

// Stats are counts since the start, and what there is now.
type Stats struct {
	Sessions, Calls, Unauthenticated int
	// Joins and Resumes succeeded, the others did not.
	Joins, JoinsRefused, Resumes, ResumesRefused uint64
	Requests, Repeated                           uint64
	Malformed, TooLarge, TooFast                 uint64
	Resyncs, SlowReaders                         uint64
	// Timeouts: sessions that nobody resumed.
	Timeouts uint64
	// Panics: sessions, calls and sockets that ended by a fault of the server.
	Panics uint64
}

// New returns a Service that is ready.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		config: c, closing: make(chan struct{}),
		sessions: map[string]*Session{}, calls: map[[sha256.Size]byte]*Call{},
	}
}

// TokenMode reports whether a token is needed to come in.
func (s *Service) TokenMode() bool { return s.config.Keys != nil }

// Source returns the address of the client that a request comes from; zero where it cannot be known.
func (s *Service) Source(r *http.Request) netip.Addr {
	if s.config.SourceOf != nil {
		return s.config.SourceOf(r)
	}
	a, _ := netip.ParseAddrPort(r.RemoteAddr)
	return a.Addr()
}

// ICEServers returns what a participant is given for its PeerConnection; never nil. In open mode whoever asks says himself who he is and where, so
// what is relayed is counted by the address that he has asked from; and so it is by that within a room where a token names nobody.
func (s *Service) ICEServers(source netip.Addr, room, identity string, until time.Time) []wire.ICEServer {
	switch at := datagram.Source(source).String(); {
	case !s.TokenMode():
		room, identity = "", at
	case identity == "":
		identity = at
	}
	if s.config.ICEServers == nil {
		return []wire.ICEServer{}
	}
	return append([]wire.ICEServer{}, s.config.ICEServers(room, identity, until)...)
}

// Stats returns the counts.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.counts
	return Stats{
		Sessions: len(s.sessions), Calls: len(s.calls), Unauthenticated: s.pending,
		Joins: c.joins.Load(), JoinsRefused: c.refused.Load(), Resumes: c.resumes.Load(), ResumesRefused: c.resumesRefused.Load(),
		Requests: c.requests.Load(), Repeated: c.repeated.Load(),
		Malformed: c.malformed.Load(), TooLarge: c.tooLarge.Load(), TooFast: c.tooFast.Load(),
		Resyncs: c.resyncs.Load(), SlowReaders: c.slowReaders.Load(), Timeouts: c.timeouts.Load(), Panics: c.panics.Load(),
	}
}

// Close tells every session that it has ended, ends sessions and calls, and waits for them and for attachments. The bus must still
// work. It may be called more than once.
func (s *Service) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	s.mu.Unlock()
	s.running.Wait()
}

// Drain tells every session that it ends within limit: those that there are, and those whose join was on its way.
func (s *Service) Drain(limit time.Duration) {
	s.mu.Lock()
	s.ends = time.Now().Add(limit)
	sessions := slices.Collect(maps.Values(s.sessions))
	s.mu.Unlock()
	for _, v := range sessions {
		v.emit(draining(limit))
	}
}

func draining(left time.Duration) entry {
	return entry{typ: wire.TypeDraining, body: encode(wire.Draining{Seconds: int(math.Ceil(max(left, 0).Seconds()))})}
}

// enter counts something that Close waits for, unless put refuses it. The caller calls s.running.Done later. Put runs under mu.
func (s *Service) enter(put func() *wire.Error) *wire.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return &wire.Error{Code: wire.CodeDraining, Message: "this server is going down", Next: "try again, another server may answer", RetrySeconds: retryOverloadAfter}
	}
	if err := put(); err != nil {
		return err
	}
	s.running.Add(1)
	return nil
}

// full refuses one more session or call. The caller holds mu.
func (s *Service) full() *wire.Error {
	if len(s.sessions)+len(s.calls) >= MaxSessions {
		return overloaded("this server has no room for another session")
	}
	return nil
}

func overloaded(message string) *wire.Error {
	return &wire.Error{Code: wire.CodeOverloaded, Message: message, Next: "try again later", RetrySeconds: retryOverloadAfter}
}

// secret returns n random bytes (n*8 bits of entropy) as text that is safe in URLs and subjects.
func secret(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (Go 1.24)
	return base64.RawURLEncoding.EncodeToString(b)
}
