// Package dtls runs the DTLS association of a Transport, and SCTP with its data channels inside it, on goroutines of its own, and
// joins them to the shard that owns the Transport: Deliver and Send take bytes without ever blocking, a Sink is given datagrams
// and events.
//
//	shard → Deliver → queue → records that can be the client's → pion/dtls, until the handshake is finished
//	shard → Deliver → opened here → queue → pion/sctp → data channels, from then on
//	shard ← Sink.Datagram, Sink.Event ← …
//	Inbox.Message ← data channels ← Send
//
// The server is passive (RFC 5763 §5) and wants a certificate whose fingerprint the client's offer had (RFC 8122): before that is
// verified no key and no message leaves this package.
//
// Whoever forges the client's address cannot take an association over, and cannot end its handshake on this side before the deadline:
// records that no client sends are left out, each ClientHello gets an attempt of its own, an attempt that fails ends nothing but
// itself, and old attempts make way for new ones. He can delay it: beyond maxAttempts new ClientHellos in stalledAfter, which bound
// the work, one has to be sent again, and a flood leaves the client's own little chance. And what the server answers to a ClientHello
// that comes while the client waits for its own answer may end the handshake on the client's side, as a ServerHello forged without
// the server would: DTLS 1.2 does not protect its first flights.
package dtls

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/srtp"
	pion "github.com/pion/dtls/v3"
)

// Config describes an Association.
type Config struct {
	// ID is what the Sink is told with everything.
	ID uint64
	// Certificate of the server, with an ECDSA key.
	Certificate tls.Certificate
	// Fingerprints of the client's certificate; one of them must match.
	Fingerprints []sdp.Fingerprint
	Sink         Sink
	Inbox        Inbox
	// Deadline for the handshake; 0 means the constant of that name.
	Deadline time.Duration
}

// Sink takes what associations make, on their goroutines. Its methods never block and report false when they could not take it: a
// datagram is then lost, an event offered again. Bytes of a datagram are the caller's again when Datagram returns.
type Sink interface {
	Datagram(id uint64, b []byte) bool
	Event(id uint64, e Event) bool
}

// Kind of an Event.
type Kind uint8

// Kinds of events. Failed and Closed are the last of an association; there is one of them unless Close was called.
const (
	Connected     Kind = iota + 1 // the handshake is finished and the fingerprint verified: Profile, Client, Server
	Failed                        // the handshake: Reason, Stranger
	Closed                        // by the client: Reason
	ChannelOpened                 // Channel
	ChannelClosed                 // Channel, Reason, Lost
)

// Event is what an association tells. Which fields are set is said at its Kind.
type Event struct {
	Kind           Kind
	Profile        srtp.Profile
	Client, Server srtp.Keys // what the client and what the server seals with
	Channel        Channel
	Reason         string // for people
	Stranger       bool   // the client's certificate is not what its offer told
	Lost           int    // messages that waited for a client that was too slow, and lost its channel for that; 0: it was not
}

// Association is one DTLS association. Its methods may be called from any goroutine.
type Association struct {
	// static after construction; expected and options by the loop of the handshake, before it starts another goroutine
	cfg      Config
	expected expected
	options  []pion.ServerOption
	ctx      context.Context
	cancel   context.CancelFunc
	done     chan struct{}
	results  chan result    // room for every attempt there may be
	work     sync.WaitGroup // goroutines, but the one that waits for them

	// guarded by mu; while the loop of the handshake runs, it may read in without
	mu       sync.Mutex
	in       chan []byte // datagrams for the loop; nil: it is over
	epoch    *epoch      // nil: the handshake is not finished
	link     *link       // nil: no data have come yet
	ending   bool        // after the handshake
	broken   bool        // by an alert of the client, to which nothing is said
	channels [NumChannels]*channel
	slow     int // channels that were closed because the client did not read them
	counts   Counts

	// owned by loop
	trying   context.Context // of the attempts
	attempts []*attempt      // oldest first
	ever     int
	begun    [maxAttempts]time.Time // when the last ones began; the oldest at ever%maxAttempts
	last     error                  // of an attempt that failed
	early    [][]byte               // datagrams for after the handshake

	// atomic
	latest atomic.Pointer[attempt] // whose ClientHello came last
	proved atomic.Pointer[attempt] // which the client has finished
}

// Counts is what an association has discarded.
type Counts struct {
	Refused uint64 // data channels without a known label, one too many, or over for a message that was too long
	Lost    uint64 // datagrams that the sink did not take
}

// Start starts an association. It ends by Close, or after it has told Failed or Closed.
func Start(cfg Config) *Association {
	if cfg.Deadline == 0 {
		cfg.Deadline = Deadline
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &Association{
		cfg: cfg, in: make(chan []byte, queueDatagrams), ctx: ctx, cancel: cancel,
		done: make(chan struct{}), results: make(chan result, maxAttempts),
	}
	a.work.Go(a.begin)
	return a
}

// Deliver gives the association a datagram from the client. It copies b.
func (a *Association) Deliver(b []byte) drop.Reason {
	switch {
	case a.ctx.Err() != nil:
		return drop.DtlsClosed
	case len(b) > maxDatagram:
		return drop.Oversized
	}
	r, again := a.take(b)
	if again {
		_ = a.repeat() // where it is over, so is the client's wait
	}
	return r
}

// take gives a datagram to the handshake, or opens it after that. A fault in it must not leave mu locked: it is the shard's goroutine, which closes
// the association then.
func (a *Association) take(b []byte) (r drop.Reason, again bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.ending:
		return drop.DtlsClosed, false
	case a.epoch == nil:
		return a.queue(b), false
	}
	return a.receive(b)
}

// queue gives the loop of the handshake a datagram. The caller holds mu.
func (a *Association) queue(b []byte) drop.Reason {
	admitted := admit(make([]byte, 0, len(b)), b)
	if len(admitted) == 0 {
		return drop.DtlsMalformed
	}
	select {
	case a.in <- admitted:
		return drop.None
	default:
		return drop.DtlsQueueFull
	}
}

// Close ends the association without waiting; see Done. Nothing is told of it.
func (a *Association) Close() {
	a.cancel()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.end(nil)
}

// Done is closed when every goroutine of the association has ended and the sink is not called any more.
func (a *Association) Done() <-chan struct{} { return a.done }

// Counts returns what was discarded so far.
func (a *Association) Counts() Counts {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts
}

// begin owns the handshake attempts. It goes on with the one that wins, or ends the association.
func (a *Association) begin() {
	defer a.recover()
	if why := a.connect(); why != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.end(why)
	}
}

// connect returns why the association is over; nil: it is not, or its owner has closed it.
func (a *Association) connect() *Event {
	var err error
	if a.expected, err = newExpected(a.cfg.Fingerprints); err != nil {
		return failed(err)
	}
	a.options = serverOptions(&a.cfg)
	won, err := a.handshake()
	switch {
	case err != nil:
		return failed(err)
	case won == nil:
		return nil
	}
	defer won.close()
	event, err := connected(won.conn, &a.expected)
	if err != nil {
		return failed(err)
	}
	a.tell(event)
	if err := a.establish(won); err != nil {
		return &Event{Kind: Closed, Reason: err.Error()}
	}
	return nil
}

func failed(err error) *Event {
	return &Event{Kind: Failed, Reason: err.Error(), Stranger: errors.Is(err, errNotFingerprint) || errors.Is(err, errNoCertificate)}
}

// end says goodbye where there has been a handshake that the client has not broken, and tells why it ends when all is over that runs; nil:
// the owner knows. The first end counts. The caller holds mu.
func (a *Association) end(why *Event) {
	if a.ending {
		return
	}
	a.ending = true
	l := a.link
	go func() {
		defer close(a.done)
		defer a.cancel()
		defer a.recover()
		if l != nil {
			_ = l.Close()
		}
		a.work.Wait()
		if a.epoch != nil && !a.broken { // after a fatal alert both sides are silent (RFC 5246 §7.2.2)
			_ = a.say(alert, []byte{warning, closeNotify}) // to the client's own too (§7.2.1)
		}
		if why != nil {
			a.tell(*why)
		}
	}()
}

// tell gives the sink an event, again and again until it takes it or the association is closed.
func (a *Association) tell(e Event) {
	for !a.cfg.Sink.Event(a.cfg.ID, e) {
		select {
		case <-time.After(retryEvery):
		case <-a.ctx.Done():
			return
		}
	}
}

// send gives the sink a datagram, once.
func (a *Association) send(b []byte) {
	if !a.cfg.Sink.Datagram(a.cfg.ID, b) {
		a.count(func(c *Counts) { c.Lost++ })
	}
}

func (a *Association) count(f func(*Counts)) {
	a.mu.Lock()
	f(&a.counts)
	a.mu.Unlock()
}

// recover turns a panic in one goroutine into the end of this association, and of nothing else.
func (a *Association) recover() {
	if r := recover(); r != nil {
		a.tell(Event{Kind: Failed, Reason: fmt.Sprintf("internal fault: %v", r)})
		a.cancel()
		a.mu.Lock()
		defer a.mu.Unlock()
		a.end(nil)
	}
}
