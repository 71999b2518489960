package media

import (
	"crypto/tls"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/parley-rtc/parley/internal/data"
	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/ice"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/transport"
)

// Sender writes datagrams to the network: the port, or a simulated one. It never blocks.
type Sender interface {
	// Send sends what it can, and drops and counts the rest.
	Send(*datagram.Egress)
	// CloseStream ends the TCP connection of a pair whose Transport is over.
	CloseStream(datagram.Pair)
}

// Pairs is where shards say which pairs of addresses are theirs, so that what comes from there reaches them: port.Pairs.
type Pairs interface {
	// Claim makes a pair the shard's. Where it is another's, it returns that one and false; -1: there are too many.
	Claim(pair datagram.Pair, shard int) (holder int, ok bool)
	// Release gives a pair up.
	Release(pair datagram.Pair, shard int)
}

// Config of the shards of a node.
type Config struct {
	// Sender takes what the shards send.
	Sender Sender
	// Pairs is shared with whoever sorts datagrams.
	Pairs Pairs
	// Recycle takes batches back that a shard has done with.
	Recycle func(*datagram.Batch)
	// Certificate of the DTLS handshakes. Its fingerprint is in every answer.
	Certificate tls.Certificate
	Log         *slog.Logger
}

// Shard is one media loop. It owns the Transports and Routers of its rooms; the packet path takes no lock.
type Shard struct {
	// static after construction
	cfg      Config
	index    int      // its number among the node's
	peers    []*Shard // all shards of the node, this one among them
	places   *places  // of all shards
	inbox    chan *datagram.Batch
	waiting  chan *datagram.Batch  // of strangers: a queue of their own
	pipes    chan *route.PipeBatch // what comes from other shards
	spare    chan *route.PipeBatch // of all shards, to be used again
	mail     *mail
	messages *data.Hub // of all shards
	stop     chan struct{}
	done     chan struct{}

	// owned by loop
	transports map[TransportID]*endpoint
	pairs      map[datagram.Pair]*endpoint // addresses that an ICE check has validated
	ufrags     map[string]*endpoint
	rooms      map[RoomID]*room
	producers  map[ProducerID]*room
	handshakes datagram.Queue[*endpoint] // Transports that were checked and have not finished their DTLS handshake
	mirrors    int                       // among the producers
	held       []*datagram.Batch         // batches whose bytes are still in use,
	heldPiped  []*route.PipeBatch        // and those that came by Pipes
	fed        []*room                   // those that got packets in this batch
	letters    []letter                  // read, to be used again
	ending     map[TransportID]*farewell
	asked      map[datagram.Pair]time.Time // when another shard was asked for a pair
	closing    bool
	out        transport.Out
	scratch    *transport.Scratch
	drops      drop.Counts
	counts     Counts
	agenda     agenda
	due        []*task   // taken out of it, to be done now
	burial     task      // of the farewells
	armed      time.Time // when the loop's timer goes off; zero: it does not

	reported      int // faults logged since then
	reportedSince time.Time
}

func newShard(cfg Config, index int, peers []*Shard, spare chan *route.PipeBatch) *Shard {
	s := &Shard{
		cfg: cfg, index: index, peers: peers,
		inbox: make(chan *datagram.Batch, inboxBatches), waiting: make(chan *datagram.Batch, inboxStrangers), mail: newMail(),
		pipes: make(chan *route.PipeBatch, inboxPiped), spare: spare,
		stop: make(chan struct{}), done: make(chan struct{}),
		transports: make(map[TransportID]*endpoint), pairs: make(map[datagram.Pair]*endpoint),
		handshakes: datagram.NewQueue[*endpoint](),
		ufrags:     make(map[string]*endpoint), rooms: make(map[RoomID]*room), producers: make(map[ProducerID]*room),
		ending: make(map[TransportID]*farewell), asked: make(map[datagram.Pair]time.Time),
	}
	s.scratch = transport.NewScratch()
	s.out = transport.Out{Egress: datagram.NewEgress(egressBytes), Drops: &s.drops}
	return s
}

// Batch gives the shard received datagrams; it owns the batch until it recycles it. It reports false when the shard does not keep
// up: the batch is then still the caller's. Safe for concurrent use.
func (s *Shard) Batch(b *datagram.Batch) bool { return offer(s.inbox, b) }

// Strangers is Batch for checks that anybody may have sent. They have a queue of their own, of which one batch is read for every few
// of the others: they do not displace those who take part, nor are they displaced. A client may give up whose first checks are all lost.
func (s *Shard) Strangers(b *datagram.Batch) bool { return offer(s.waiting, b) }

func offer(queue chan<- *datagram.Batch, b *datagram.Batch) bool {
	select {
	case queue <- b:
		return true
	default:
		return false
	}
}

// Do gives the shard a command. It never blocks, and reports false when the shard is overloaded or closed. Safe for concurrent
// use.
func (s *Shard) Do(c Command) bool { return s.mail.put(letter{command: c}) }

// end lets the loop end, with all Transports.
func (s *Shard) end() {
	select {
	case <-s.stop:
	default:
		close(s.stop)
	}
}

func (s *Shard) loop() {
	defer close(s.done)
	defer s.closeAll()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case b := <-s.inbox:
			s.readMailFirst()
			s.read(time.Now(), b, nil)
		case b := <-s.waiting:
			s.readMailFirst()
			s.read(time.Now(), b, nil)
		case b := <-s.pipes:
			s.read(time.Now(), nil, b)
		case <-s.mail.wake:
			now := time.Now()
			s.readMail(now)
			s.forward(now)
			s.timeouts(now)
		case <-timer.C:
			s.armed = time.Time{}
			s.timeouts(time.Now())
		case <-s.stop:
			return
		}
		s.arm(timer)
	}
}

// readMailFirst carries out what was ordered before a batch is read: a client may send its first check as soon as it has the
// answer, and the command to expect it was given before that.
func (s *Shard) readMailFirst() {
	select {
	case <-s.mail.wake:
		s.readMail(time.Now())
	default:
	}
}

// arm sets the timer for what is next, where that has changed.
func (s *Shard) arm(timer *time.Timer) {
	if next := s.agenda.next(); !next.Equal(s.armed) {
		s.armed = next
		timer.Reset(max(time.Until(next), timerGrain))
	}
}

// soon has a Transport looked at by the time that it says, and when its handshake should have begun at the latest.
func (s *Shard) soon(e *endpoint) {
	s.agenda.soon(&e.task, e.transport.Next())
	if e.awaitsHello() {
		s.agenda.soon(&e.task, e.handshakeBy)
	}
}

// within has a room looked at by then, or as much later as it may be.
func (s *Shard) within(r *room, at time.Time) { s.agenda.soon(&r.task, transport.Late(at)) }

// read handles a batch, of datagrams or of packets from another shard, and those of the room's members that wait, then forwards what they
// brought. What is due goes out with it: who is awake anyway needs no timer. Feedback about arrivals, of which there may be much at once,
// lets media go first.
func (s *Shard) read(now time.Time, b *datagram.Batch, piped *route.PipeBatch) {
	feedback := false
	for n := 1; ; n++ {
		if b != nil {
			for i := range b.N {
				if rtp.TellsArrivals(b.D[i].B) {
					feedback = true
					continue
				}
				s.receive(now, &b.D[i])
			}
			s.held = append(s.held, b)
		}
		if piped != nil {
			s.receivePiped(piped)
			s.heldPiped = append(s.heldPiped, piped)
		}
		if n == drainBatches || len(s.mail.wake) > 0 {
			break
		}
		b, piped = nil, nil
		select {
		case b = <-s.inbox:
			continue
		case piped = <-s.pipes:
			continue
		default:
		}
		break
	}
	s.forward(now)
	if feedback {
		s.flush()
		s.receiveFeedback(now)
	}
	s.timeouts(now)
	s.release()
}

// receiveFeedback handles what read has left for later.
func (s *Shard) receiveFeedback(now time.Time) {
	for _, b := range s.held {
		for i := range b.N {
			if rtp.TellsArrivals(b.D[i].B) {
				s.receive(now, &b.D[i])
			}
		}
	}
}

// release gives batches back whose packets have been forwarded.
func (s *Shard) release() {
	for i, b := range s.held {
		s.cfg.Recycle(b)
		s.held[i] = nil
	}
	for i, b := range s.heldPiped {
		s.recyclePiped(b)
		s.heldPiped[i] = nil
	}
	s.held, s.heldPiped = s.held[:0], s.heldPiped[:0]
}

// receive gives one datagram to its Transport.
func (s *Shard) receive(now time.Time, d *datagram.Datagram) {
	s.counts.Received++
	e := s.pairs[d.Pair]
	if len(d.B) > 0 && d.B[0] < 4 {
		if ufrag, ok := ice.Ufrag(d.B); ok {
			e = s.ufrags[string(ufrag)]
		}
		if e == nil {
			s.drops.Add(drop.UnknownUfrag)
			return
		}
	}
	if e == nil {
		s.stray(now, d)
		return
	}
	s.handle(now, e, d)
}

func (s *Shard) handle(now time.Time, e *endpoint, d *datagram.Datagram) {
	defer s.recover(e)
	r := e.transport.Handle(now, d, &s.out)
	if s.out.DTLS != nil {
		r = s.deliver(now, e, d.Pair)
	}
	if r == drop.None && e.keyed && d.B[0] >= 20 { // neither STUN nor of the handshake, which anybody can make up
		e.heard = now
	}
	s.drops.Add(r)
	s.tellStarved(e)
	if s.out.ICE.Pending() {
		s.checked(now, e)
	}
	s.feed(e.room)
	s.soon(e)
}

// feed notes that a room has got packets.
func (s *Shard) feed(r *room) {
	if !r.fed && r.router.Pending() {
		r.fed = true
		s.fed = append(s.fed, r)
	}
	s.within(r, r.router.Floor().Next())
}

// tellStarved tells the room what is not sent for want of bandwidth, where that has changed.
func (s *Shard) tellStarved(e *endpoint) {
	if !s.out.Starved {
		return
	}
	s.out.Starved = false
	starved := []ProducerID{}
	for _, id := range e.transport.Starved(nil) {
		starved = append(starved, ProducerID(id))
	}
	e.spec.Events.Post(Event{Transport: e.spec.Transport, Starved: &starved})
}

// recover keeps a broken invariant of one Transport from ending the room: it closes that Transport alone. e may be nil.
func (s *Shard) recover(e *endpoint) {
	r := recover()
	if r == nil {
		return
	}
	s.out.DTLS, s.out.Starved = nil, false
	s.out.ICE.Reset()
	s.report(r)
	if e != nil {
		s.fail(e, "internal fault")
	}
}

// report counts a fault, and logs it unless the minute has had enough of them.
func (s *Shard) report(fault any) {
	s.counts.Panics++
	if now := time.Now(); now.Sub(s.reportedSince) >= time.Minute {
		s.reported, s.reportedSince = 0, now
	}
	if s.reported++; s.reported <= maxReports {
		s.cfg.Log.Error("transport failed on an internal fault", "panic", fault, "stack", string(debug.Stack()))
	}
}

// forward sends what the batch brought, subscriber by subscriber.
func (s *Shard) forward(now time.Time) {
	for _, r := range s.fed {
		s.ship(r)            // before Consumers patch the packets
		r.router.Settle(now) // a layer that begins with this batch begins with its key frame
		marks, endpoints := r.marks, r.endpoints
		for i := range marks {
			if marks[i]&r.router.Marks() == 0 {
				continue
			}
			s.forwardTo(now, endpoints[i])
			if s.out.Egress.Len() > flushBytes {
				s.flush()
			}
		}
		r.router.EndBatch()
		r.fed = false
		s.settle(now, r)
	}
	clear(s.fed)
	s.fed = s.fed[:0]
}

func (s *Shard) forwardTo(now time.Time, e *endpoint) {
	defer s.recover(e)
	e.transport.Forward(now, &s.out)
	s.soon(e)
}

func (s *Shard) flush() {
	if s.out.Egress.Len() == 0 {
		return
	}
	s.counts.Sent += uint64(s.out.Egress.Datagrams())
	s.counts.SentBytes += uint64(s.out.Egress.Len())
	s.cfg.Sender.Send(s.out.Egress)
	s.out.Egress.Reset()
}

// timeouts lets Transports and rooms do what is due, and sends everything that waits.
func (s *Shard) timeouts(now time.Time) {
	s.due = s.agenda.take(now.Add(transport.Slack), s.due[:0])
	for i, t := range s.due {
		s.due[i] = nil
		switch {
		case t.endpoint != nil:
			s.timeout(now, t.endpoint)
			s.look(now, t.endpoint.room)
		case t.room != nil:
			s.look(now, t.room)
		default:
			s.bury(now)
		}
	}
	s.flush()
}

func (s *Shard) timeout(now time.Time, e *endpoint) {
	if s.transports[e.spec.Transport] != e {
		return // one before it in the list has ended it
	}
	defer s.recover(e)
	e.transport.Timeout(now, &s.out)
	s.tellStarved(e)
	if s.out.ICE.Pending() {
		s.checked(now, e)
	}
	if e.awaitsHello() && !now.Before(e.handshakeBy) {
		s.counts.Unfinished++
		s.fail(e, "no DTLS handshake began within 30 s of the first connectivity check")
	}
	s.soon(e)
	if s.out.Egress.Len() > flushBytes {
		s.flush()
	}
}

// look does what a room has to do.
func (s *Shard) look(now time.Time, r *room) {
	if s.rooms[r.id] == r {
		defer s.recover(nil)
		s.settle(now, r)
		s.rank(now, r)
	}
}

// settle brings Consumers in line with the layers that there are, and asks publishers for the key frames that are missed.
func (s *Shard) settle(now time.Time, r *room) {
	r.router.Settle(now)
	r.ask = r.router.KeyFrameRequests(now, r.ask[:0])
	for _, encoding := range r.ask {
		if e := r.publishers[encoding.Producer()]; e != nil {
			e.transport.AskKeyFrame(now, encoding, &s.out)
		}
	}
	s.agenda.soon(&r.task, r.router.NextKeyFrameRequest())
	s.wish(now, r)
}
