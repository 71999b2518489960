package media

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/data"
	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/dtls"
	"github.com/parley-rtc/parley/internal/ice"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/srtp"
	"github.com/parley-rtc/parley/internal/transport"
)

// room is what a shard knows of a room: its Router, and the Transports among which packets and data messages go round.
type room struct {
	id         RoomID
	router     *route.Router
	endpoints  []*endpoint
	marks      []uint64 // of what fills the slots of each
	publishers map[*route.Producer]*endpoint
	homes      map[*route.Producer]int // mirrors, and the shards that feed them
	ask        []*route.Encoding
	wishes     []route.Wish
	fed        bool // got packets in this batch
	task       task
	speakers   speakers
}

// endpoint is a Transport with its DTLS association and its place in a room.
type endpoint struct {
	// static after construction
	spec OpenTransport
	room *room

	// owned by loop
	place       int // in room.endpoints
	transport   *transport.Transport
	task        task
	association *dtls.Association // nil before the first DTLS record
	member      *data.Member      // nil as long
	joined      bool              // it gets data messages
	handshakeBy time.Time         // when the DTLS handshake must be finished; zero: it is, or the first check has not come
	pair        datagram.Pair     // where the last DTLS record came from
	heard       time.Time         // when something came last that only its client can have sent, checks apart
	pairs       []datagram.Pair
	ufrags      []string
	producers   []*route.Producer
	checked     bool // its first check has come
	keyed       bool
	data        bool // its offer has data channels
	state       State
}

// open makes a Transport, unless the shard is full.
func (s *Shard) open(now time.Time, spec OpenTransport) {
	if s.transports[spec.Transport] != nil {
		spec.Place.Cancel()
		return
	}
	var random [4 + 12]byte
	_, _ = rand.Read(random[:])
	t, err := transport.New(transport.Config{
		ICE: iceMode(spec.Local), Local: spec.Local, Remote: spec.Remote, Sender: binary.BigEndian.Uint32(random[:]),
		CNAME:   base64.RawStdEncoding.EncodeToString(random[4:]), // RFC 7022 §4.2
		Scratch: s.scratch,
	}, now)
	if err != nil || s.closing || len(s.transports) >= maxTransports {
		spec.Place.Cancel()
		spec.Events.Post(Event{Transport: spec.Transport, State: Failed, Reason: "the server takes no more connections"})
		return
	}
	r := s.rooms[spec.Room]
	if r == nil {
		r = &room{id: spec.Room, router: route.NewRouter(), publishers: make(map[*route.Producer]*endpoint), homes: make(map[*route.Producer]int)}
		r.task.room = r
		s.rooms[spec.Room] = r
	}
	e := &endpoint{spec: spec, room: r, transport: t, ufrags: []string{spec.Local.Ufrag}}
	e.task.endpoint = e
	e.place = len(r.endpoints)
	r.endpoints, r.marks = append(r.endpoints, e), append(r.marks, 0)
	s.transports[spec.Transport] = e
	s.ufrags[spec.Local.Ufrag] = e
	if !spec.Place.open(e) {
		s.evict(e, noCheck)
		return
	}
	s.soon(e)
}

func iceMode(local sdp.ICE) ice.Mode {
	if local.Lite {
		return ice.Lite
	}
	return ice.Full
}

// awaitsHello reports whether the client has been heard of, and has not begun its DTLS handshake. One that has begun ends by itself.
func (e *endpoint) awaitsHello() bool { return e.association == nil && !e.handshakeBy.IsZero() }

// checked acts on what an ICE check or its absence has changed.
func (s *Shard) checked(now time.Time, e *endpoint) {
	var end string
	for i := 0; i < len(s.out.ICE.Events); i++ { // claim may add some
		switch ev := s.out.ICE.Events[i]; ev.Kind {
		case ice.Validated:
			if !s.reached(now, e) {
				end = "too many DTLS handshakes go on, and no source has more of them than the client's"
			}
			s.claim(now, e, ev.Pair)
		case ice.Restarted:
			s.keepUfrags(e, len(e.ufrags)-1, len(e.ufrags))
		case ice.Removed:
			s.forgetPair(e, ev.Pair)
		case ice.Selected, ice.ConsentFresh:
			s.connected(now, e)
		case ice.ConsentLate:
			s.tell(e, Disconnected, "nothing heard from the client for 15 s")
		case ice.ConsentLost:
			end = "nothing heard from the client for 30 s"
		case ice.NeverChecked:
			end = "no connectivity check came from the client within 10 s"
		}
	}
	for _, d := range s.out.ICE.Datagrams {
		if !s.out.Egress.Append(d.Pair, d.B) {
			s.drops.Add(drop.EgressFull)
		}
	}
	s.out.ICE.Reset()
	if end != "" {
		s.fail(e, end)
	}
}

// claim makes e the owner of a pair. A pair on which another Transport is heard stays with it: a client that forges the source of its
// checks gains nothing by it.
func (s *Shard) claim(now time.Time, e *endpoint, pair datagram.Pair) {
	if old := s.pairs[pair]; old != nil && old != e {
		if old.holds(now) {
			s.refuse(now, e, pair, drop.PairTaken)
			return
		}
		s.forgetPair(old, pair)
	}
	switch holder, ok := s.cfg.Pairs.Claim(pair, s.index); {
	case ok:
	case holder < 0:
		s.refuse(now, e, pair, drop.PairLimit)
		return
	default:
		s.refuse(now, e, pair, drop.PairTaken)
		s.ask(now, holder, pair)
		return
	}
	s.pairs[pair] = e
	e.pairs = append(e.pairs, pair)
}

// refuse lets a Transport have nothing of a pair. Its client's check is not answered: an error would be the end of the pair for it (RFC 8445 §7.2.5.2.4), while
// what has not been answered is asked again.
func (s *Shard) refuse(now time.Time, e *endpoint, pair datagram.Pair, r drop.Reason) {
	s.drops.Add(r)
	e.transport.RemovePair(now, pair, &s.out)
	s.out.ICE.Withdraw(pair)
}

// ask asks another shard for a pair. A letter wakes all of a shard, so there is one for each pair in a while, however often its client checks there.
func (s *Shard) ask(now time.Time, holder int, pair datagram.Pair) {
	if at, ok := s.asked[pair]; ok && now.Sub(at) < askEvery {
		return
	}
	if len(s.asked) >= maxAsked {
		clear(s.asked)
	}
	s.asked[pair] = now
	s.peers[holder].mail.put(letter{ask: func(o *Shard) { o.giveUp(time.Now(), pair) }})
}

// holds reports whether a Transport keeps its addresses: its client is heard there.
func (e *endpoint) holds(now time.Time) bool {
	return e.transport.Agent().CanSend(now) || !e.heard.IsZero() && now.Sub(e.heard) < ice.ConsentFor
}

// giveUp lets another shard have a pair on which nobody is heard any more.
func (s *Shard) giveUp(now time.Time, pair datagram.Pair) {
	if e := s.pairs[pair]; e != nil && !e.holds(now) {
		s.forgetPair(e, pair)
	}
}

// keepUfrags leaves the user fragments e.ufrags[from:to].
func (s *Shard) keepUfrags(e *endpoint, from, to int) {
	for i, ufrag := range e.ufrags {
		if i < from || i >= to {
			delete(s.ufrags, ufrag)
		}
	}
	e.ufrags = slices.Clone(e.ufrags[from:to])
}

func (s *Shard) forgetPair(e *endpoint, pair datagram.Pair) {
	if s.pairs[pair] == e {
		delete(s.pairs, pair)
		s.cfg.Pairs.Release(pair, s.index)
	}
	for i, p := range e.pairs {
		if p == pair {
			e.pairs = append(e.pairs[:i], e.pairs[i+1:]...)
			return
		}
	}
}

// connected tells the room, once there are both keys and a selected pair.
func (s *Shard) connected(now time.Time, e *endpoint) {
	if _, ok := e.transport.Agent().Selected(); ok && e.keyed && e.state != Connected {
		e.transport.Connected(now, &s.out)
		s.tell(e, Connected, "")
	}
}

func (s *Shard) tell(e *endpoint, state State, reason string) {
	if e.state == state {
		return
	}
	e.state = state
	if !e.spec.Events.Post(Event{Transport: e.spec.Transport, State: state, Reason: reason}) && state != Failed {
		s.drop(e)
	}
}

// fail ends a Transport and tells its room why.
func (s *Shard) fail(e *endpoint, reason string) {
	s.tell(e, Failed, reason)
	s.drop(e)
}

// drop ends a Transport silently.
func (s *Shard) drop(e *endpoint) {
	if s.transports[e.spec.Transport] != e {
		return
	}
	delete(s.transports, e.spec.Transport)
	e.spec.Place.leave()
	s.handshakes.Remove(e.spec.Place.source(), e)
	s.agenda.remove(&e.task)
	s.keepUfrags(e, 0, 0)
	if e.member != nil { // also where a fault has kept its association from beginning
		e.member.Leave()
	}
	s.farewell(e)
	for len(e.pairs) > 0 {
		s.forgetPair(e, e.pairs[0])
	}
	for len(e.producers) > 0 {
		s.unpublish(ProducerID(e.producers[0].ID()))
	}
	e.transport.Close()
	s.leave(e)
}

// farewell is a Transport that is over, but whose association still has its close_notify to send: for WHIP and WHEP clients there
// is no other word of the end.
type farewell struct {
	association *dtls.Association
	pair        datagram.Pair // where its records go; zero: nowhere, for want of consent
	streams     []datagram.Pair
}

func (s *Shard) farewell(e *endpoint) {
	now := time.Now()
	f := &farewell{association: e.association}
	for _, p := range e.pairs {
		if p.Proto == datagram.TCP {
			f.streams = append(f.streams, p)
		}
	}
	if e.association == nil {
		s.closeStreams(f)
		return
	}
	if pair, ok := e.transport.Agent().Selected(); ok && e.transport.Agent().CanSend(now) {
		f.pair = pair
	}
	e.association.Close()
	s.ending[e.spec.Transport] = f
	s.agenda.soon(&s.burial, now.Add(farewellCheck))
}

// bury forgets the farewells that have been said. An association is done when its last word is in the mail, which may not have been read yet.
func (s *Shard) bury(now time.Time) {
	var said []TransportID
	for id, f := range s.ending {
		select {
		case <-f.association.Done():
			said = append(said, id)
		default:
			s.agenda.soon(&s.burial, now.Add(farewellCheck))
		}
	}
	if len(said) == 0 {
		return
	}
	s.readMail(now)
	for _, id := range said {
		s.closeStreams(s.ending[id])
		delete(s.ending, id)
	}
}

func (s *Shard) closeStreams(f *farewell) {
	for _, p := range f.streams {
		s.cfg.Sender.CloseStream(p)
	}
}

// closePair forgets a pair whose TCP connection is gone; another takes its place where there is one.
func (s *Shard) closePair(now time.Time, pair datagram.Pair) {
	e := s.pairs[pair]
	if e == nil {
		return
	}
	e.transport.RemovePair(now, pair, &s.out)
	s.checked(now, e)
	s.soon(e)
}

func (s *Shard) leave(e *endpoint) {
	r := e.room
	others, marks := make([]*endpoint, 0, len(r.endpoints)), make([]uint64, 0, len(r.endpoints)) // the old ones may be being ranged over
	for i, x := range r.endpoints {
		if x != e {
			x.place = len(others)
			others, marks = append(others, x), append(marks, r.marks[i])
		}
	}
	r.endpoints, r.marks = others, marks
	if len(r.endpoints) == 0 {
		s.closeMirrors(r)
		s.agenda.remove(&r.task)
		delete(s.rooms, r.id)
	}
}

// deliver gives a DTLS record to the association, which the first record starts. The pair is one that a check has validated.
func (s *Shard) deliver(now time.Time, e *endpoint, pair datagram.Pair) drop.Reason {
	record := s.out.DTLS
	s.out.DTLS = nil
	e.pair = pair
	if e.association == nil {
		e.member = s.messages.Member(uint64(e.spec.Room), e.spec.Identity, e.spec.PublishData)
		e.association = dtls.Start(dtls.Config{
			ID: uint64(e.spec.Transport), Certificate: s.cfg.Certificate, Fingerprints: e.spec.Fingerprints,
			Sink: sink{s.mail}, Inbox: e.member, Deadline: max(1, e.handshakeBy.Sub(now)),
		})
		e.receiveData()
	}
	return e.association.Deliver(record)
}

// receiveData lets data messages reach a client whose offer has data channels.
func (e *endpoint) receiveData() {
	if e.data && e.member != nil && !e.joined {
		e.joined = true
		e.member.Join(e.association)
	}
}

// allowData rules whether what the client sends is passed on.
func (e *endpoint) allowData(may bool) {
	e.spec.PublishData = may
	if e.member != nil {
		e.member.Allow(may)
	}
}

// sink takes what associations send and tell, on their goroutines.
type sink struct{ mail *mail }

func (k sink) Datagram(id uint64, b []byte) bool {
	return k.mail.put(letter{transport: TransportID(id), record: append([]byte(nil), b...)})
}

func (k sink) Event(id uint64, e dtls.Event) bool {
	return k.mail.put(letter{transport: TransportID(id), event: &e})
}

// send writes a DTLS record to the client: as with media, only where its checks give consent (RFC 7675 §5.1). What is dropped SCTP and
// DTLS send again.
func (s *Shard) send(now time.Time, e *endpoint, record []byte) {
	pair, ok := e.transport.Agent().Selected()
	if !ok {
		pair = e.pair
	}
	if !e.transport.Agent().Consents(now, pair) {
		s.drops.Add(drop.Consent)
		return
	}
	if !s.out.Egress.Append(pair, record) {
		s.drops.Add(drop.EgressFull)
	}
}

// associated acts on what a DTLS association tells.
func (s *Shard) associated(now time.Time, e *endpoint, ev *dtls.Event) {
	switch ev.Kind {
	case dtls.Connected:
		s.key(now, e, ev)
	case dtls.Failed:
		if ev.Stranger {
			s.counts.Strangers++
		} else {
			s.counts.Unfinished++
		}
		s.fail(e, ev.Reason)
	case dtls.Closed:
		s.fail(e, ev.Reason)
	case dtls.ChannelClosed:
		if ev.Lost > 0 {
			s.counts.SlowChannels++
			s.drops[drop.DataSlow] += uint64(ev.Lost)
		}
	}
}

// key starts SRTP with the keys of the finished handshake: what the client writes with, the server reads with.
func (s *Shard) key(now time.Time, e *endpoint, ev *dtls.Event) {
	in, err := srtp.NewContext(ev.Profile, ev.Client)
	if err != nil {
		s.fail(e, err.Error())
		return
	}
	out, err := srtp.NewContext(ev.Profile, ev.Server)
	if err != nil {
		s.fail(e, err.Error())
		return
	}
	e.transport.SetKeys(now, in, out)
	e.keyed, e.handshakeBy = true, time.Time{}
	s.handshakes.Remove(e.spec.Place.source(), e)
	e.transport.Keyed(now, e.pair, &s.out)
	s.checked(now, e)
	s.connected(now, e)
	s.soon(e)
}

func (s *Shard) publish(c Publish) {
	e := s.transports[c.Transport]
	if e == nil || s.producers[c.Producer] != nil {
		return
	}
	n, ok := e.transport.Section(c.Mid)
	if !ok {
		return
	}
	cfg := producerConfig(c.Producer, n, c.Encrypted, c.Microphone, c.Encodings)
	cfg.Clock = e.transport.Clock()
	p := e.room.router.Add(cfg)
	e.transport.Publish(c.Mid, p)
	e.producers = append(e.producers, p)
	e.room.publishers[p] = e
	s.producers[c.Producer] = e.room
}

// producerConfig describes a Producer, but for the Clock, which is where its Transport is.
func producerConfig(id ProducerID, n sdp.Negotiated, encrypted, microphone bool, encodings []Encoding) route.ProducerConfig {
	return route.ProducerConfig{
		ID: uint64(id), Kind: n.Kind, Codecs: n.Codecs, Extensions: n.Extensions, Encrypted: encrypted, Microphone: microphone,
		Encodings: encodings,
	}
}

func (s *Shard) unpublish(id ProducerID) {
	r := s.producers[id]
	if r == nil {
		return
	}
	p := r.router.Producer(uint64(id))
	if e := r.publishers[p]; e != nil {
		e.transport.Unpublish(p)
		for i, x := range e.producers {
			if x == p {
				e.producers = append(e.producers[:i:i], e.producers[i+1:]...)
				break
			}
		}
	}
	for _, shard := range p.Outlets(nil) {
		s.peers[shard].mail.put(letter{gone: []ProducerID{id}}) // where it does not fit, the answer to the next wish tells it
	}
	if p.IsMirror() {
		s.mirrors--
	}
	delete(r.homes, p)
	delete(r.publishers, p)
	delete(s.producers, id)
	r.router.Remove(uint64(id))
}

func (s *Shard) assign(now time.Time, c Assign) {
	e := s.transports[c.Transport]
	if e == nil {
		return
	}
	e.transport.Assign(now, c.Mid, e.room.router.Producer(uint64(c.Producer)), c.Generation, c.Immediate)
	e.room.marks[e.place] = e.transport.Marks()
	s.soon(e)
}
