package room

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// scene is a room with the replicas of its clients and a model of the media plane. After every command it checks that all of
// them agree with the room, and the invariants that hold whatever happens.
type scene struct {
	t       fataler
	r       *Room
	now     time.Time
	clients map[string]*client // by session
	plane   plane
	log     []string // what the last command brought about, one line each
}

// fataler is what *testing.T and *rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// client is what a client knows from its replies and events alone.
type client struct {
	session, identity string
	carrier           Carrier
	manual            bool
	subscribes        bool
	room              wire.Snapshot
	slots             map[string]wire.Slot
	subscriptions     map[string]string         // only those told
	encodings         map[string]wire.Encodings // only those told
	grow              wire.GrowSlots
	transport         string
	whispers          []wire.ChatMessage
	granted           []wire.GrantsChanged
	ended             *wire.Ended
	pc                pc
}

func newScene(t fataler) *scene {
	return &scene{
		t: t, r: New(Config{Name: "tea", ID: 7, Seed: [32]byte{1}}), now: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC),
		clients: map[string]*client{},
		plane:   plane{transports: map[uint64]*planeTransport{}, producers: map[uint64]uint64{}, ranked: map[uint64]bool{}, lastID: 7 << 32},
	}
}

var allGrants = wire.Grants{Publish: true, Subscribe: true, PublishData: true}

// join joins a WebSocket session named like its identity, with all grants but admin.
func (s *scene) join(identity string) *client {
	s.t.Helper()
	s.must(Join{Session: identity, Carrier: WS, Identity: identity, Grants: allGrants})
	return s.clients[identity]
}

// do carries out a command, and returns the body of its reply or its refusal.
func (s *scene) do(c Command) (any, *wire.Error) {
	s.t.Helper()
	s.now = s.now.Add(time.Millisecond)
	s.log = nil
	var reply *Reply
	if j, ok := c.(Join); ok && s.clients[j.Session] == nil {
		s.clients[j.Session] = &client{
			session: j.Session, carrier: j.Carrier, manual: j.ManualSubscribe,
			subscribes: j.Grants.Subscribe && j.Carrier != WHIP,
		}
		defer func() {
			if reply.Error != nil {
				delete(s.clients, j.Session)
			}
		}()
	}
	for _, e := range s.r.Apply(s.now, c) {
		s.log = append(s.log, describe(e))
		switch e := e.(type) {
		case Reply:
			if reply != nil {
				s.t.Fatalf("%T was replied to twice", c)
			}
			reply = &e
			s.replied(c, e)
		case Tell:
			for _, session := range e.Sessions {
				s.told(s.clients[session], e)
			}
		default:
			s.plane.command(s.t, e)
		}
	}
	s.check()
	_, asks := reflect.TypeOf(c).FieldByName("Session")
	switch c.(type) {
	case Grant, Granted:
		asks = true
	}
	if asks != (reply != nil) {
		s.t.Fatalf("%T: replied %v", c, reply != nil)
	}
	if reply == nil {
		return nil, nil
	}
	return reply.Body, reply.Error
}

func (s *scene) must(c Command) any {
	s.t.Helper()
	body, refused := s.do(c)
	if refused != nil {
		s.t.Fatalf("%T refused: %v", c, refused)
	}
	return body
}

// refused carries out a command that must be refused with this code, and change nothing.
func (s *scene) refused(c Command, code wire.Code) *wire.Error {
	s.t.Helper()
	before := s.r.Snapshot()
	_, refused := s.do(c)
	if refused == nil || refused.Code != code {
		s.t.Fatalf("%T: got %v, want %s", c, refused, code)
	}
	if len(s.log) != 1 {
		s.t.Errorf("%T was refused, and yet brought about:\n%s", c, strings.Join(s.log, "\n"))
	}
	if d := cmp.Diff(before, s.r.Snapshot()); d != "" {
		s.t.Errorf("%T was refused, and yet changed the room:\n%s", c, d)
	}
	return refused
}

// offer sends what the client's pc is like now.
func (s *scene) offer(c *client) []wire.AnswerTrack {
	s.t.Helper()
	return s.must(c.offer(s.t)).(wire.Answer).Publications
}

func (c *client) offer(t fataler) Offer {
	t.Helper()
	o, err := sdp.ParseOffer(c.pc.text())
	if err != nil {
		t.Fatalf("test offer: %v\n%s", err, c.pc.text())
	}
	return Offer{Session: c.session, Tracks: c.pc.tracks, Slots: c.pc.slots, SDP: o, Fingerprint: fingerprint(99), Shard: c.pc.restarts % 3}
}

// replied takes what a client learns from a reply.
func (s *scene) replied(c Command, e Reply) {
	switch body := e.Body.(type) {
	case wire.Joined:
		me := s.clients[body.Session]
		me.identity, me.room = body.Identity, body.Room
		me.slots, me.subscriptions, me.encodings = map[string]wire.Slot{}, map[string]string{}, map[string]wire.Encodings{}
	case wire.Answer:
		me := s.clients[c.(Offer).Session]
		me.grow = wire.GrowSlots{}
	case wire.Resync:
		me := s.clients[c.(Resync).Session]
		me.room = body.Room
		me.slots, me.subscriptions, me.encodings = map[string]wire.Slot{}, map[string]string{}, map[string]wire.Encodings{}
		for _, x := range body.Encodings {
			me.encodings[x.Publication] = x
		}
		for _, x := range body.Slots {
			me.slots[x.Mid] = x
		}
		for _, x := range body.Subscriptions {
			me.subscriptions[x.Publication] = described(x)
		}
	}
	if l, ok := c.(Leave); ok && e.Error == nil {
		delete(s.clients, l.Session)
	}
}

// told takes an event, as a client does.
func (s *scene) told(c *client, e Tell) {
	if c == nil {
		s.t.Fatalf("an event %s for a session that is not in the room", e.Type)
	}
	if e.Rev != 0 {
		if e.Rev != c.room.Revision+1 {
			s.t.Fatalf("%s got revision %d after %d", c.session, e.Rev, c.room.Revision)
		}
		c.room.Revision = e.Rev
		applyEvent(&c.room, e.Body)
		return
	}
	switch b := e.Body.(type) {
	case wire.Slot:
		if old := c.slots[b.Mid]; b.Generation <= old.Generation {
			s.t.Fatalf("slot %s has generation %d after %d", b.Mid, b.Generation, old.Generation)
		}
		c.slots[b.Mid] = b
	case wire.Subscription:
		c.subscriptions[b.Publication] = described(b)
		if (b.Reason != "") != (b.Status == wire.SubscriptionPaused || b.Reason == wire.PendingLastN && b.Status == wire.SubscriptionPending) {
			s.t.Fatalf("%s is %s by reason %q", b.Publication, b.Status, b.Reason)
		}
	case wire.Encodings:
		c.encodings[b.Publication] = b
	case wire.GrowSlots:
		c.grow = b
	case wire.GrantsChanged:
		c.granted, c.subscribes = append(c.granted, b), b.Grants.Subscribe
	case wire.Transport:
		c.transport = b.State
	case wire.ChatMessage:
		c.whispers = append(c.whispers, b)
	case wire.Ended:
		c.ended = &b
		delete(s.clients, c.session)
	default:
		s.t.Fatalf("event %s without a revision", e.Type)
	}
	if _, ended := e.Body.(wire.Ended); ended != e.End {
		s.t.Fatalf("event %s has End %v", e.Type, e.End)
	}
}

// applyEvent leads a replica from one revision to the next. It copies what it changes: snapshots share slices.
func applyEvent(s *wire.Snapshot, event any) {
	of := func(identity string) *wire.Participant {
		s.Participants = slices.Clone(s.Participants)
		i := slices.IndexFunc(s.Participants, func(p wire.Participant) bool { return p.Identity == identity })
		s.Participants[i].Publications = slices.Clone(s.Participants[i].Publications)
		return &s.Participants[i]
	}
	switch b := event.(type) {
	case wire.ParticipantJoined:
		s.Participants = append(slices.Clone(s.Participants), b.Participant)
	case wire.ParticipantLeft:
		s.Participants = slices.DeleteFunc(slices.Clone(s.Participants),
			func(p wire.Participant) bool { return p.Identity == b.Identity })
	case wire.ParticipantUpdated:
		p := of(b.Identity)
		p.Name, p.Metadata = b.Name, b.Metadata
	case wire.TrackPublished:
		p := of(b.Identity)
		p.Publications = append(p.Publications, b.Publication)
	case wire.TrackUnpublished:
		p := of(b.Identity)
		p.Publications = slices.DeleteFunc(p.Publications, func(x wire.Publication) bool { return x.ID == b.Publication })
	case wire.TrackMuted:
		p := of(b.Identity)
		i := slices.IndexFunc(p.Publications, func(x wire.Publication) bool { return x.ID == b.Publication })
		p.Publications[i].Muted = b.Muted
	case wire.ChatMessage:
		s.Chat = append(slices.Clone(s.Chat), b)
		if len(s.Chat) > wire.MaxChatKept {
			s.Chat = s.Chat[1:]
		}
	case wire.Codecs:
		s.Codecs = b
	case wire.Speakers:
		s.Speakers = b
	default:
		panic(fmt.Sprintf("event %T has a revision", event))
	}
}

// check holds the room against every replica, the plane, and what must always be true.
func (s *scene) check() {
	s.t.Helper()
	snapshot := s.r.Snapshot()
	for session, c := range s.clients {
		p := s.r.sessions[session]
		if p == nil {
			if c.room.Name != "" {
				s.t.Fatalf("%s is not in the room and was not told", session)
			}
			continue
		}
		if c.carrier == WS {
			s.checkReplica(c, p, snapshot)
		}
		s.checkSlots(p)
	}
	if len(s.r.sessions) != len(s.r.participants) || len(s.r.identities) != len(s.r.participants) {
		s.t.Fatalf("%d participants, %d sessions, %d identities", len(s.r.participants), len(s.r.sessions), len(s.r.identities))
	}
	for _, identity := range append(slices.Clone(snapshot.Speakers.Speaking), snapshot.Speakers.Dominant) {
		if identity != "" && s.r.identities[identity] == nil {
			s.t.Fatalf("%s speaks and is not there", identity)
		}
	}
	s.checkPlane()
	s.checkRanks()
	s.checkWishes()
	if len(s.r.unsettled) != 0 || len(s.r.chat) > wire.MaxChatKept || len(s.r.publications) > MaxRoomPublications {
		s.t.Fatalf("limits crossed, or slots left unsettled")
	}
}

func (s *scene) checkReplica(c *client, p *participant, snapshot wire.Snapshot) {
	s.t.Helper()
	if d := cmp.Diff(snapshot, c.room); d != "" {
		s.t.Fatalf("the replica of %s differs (-room +replica):\n%s\nafter\n%s", c.session, d, strings.Join(s.log, "\n"))
	}
	for _, want := range p.shownSlots() {
		got := c.slots[want.Mid]
		got.Mid = want.Mid
		if want.Generation != 0 && got != want {
			s.t.Fatalf("%s believes %+v, the room %+v", c.session, got, want)
		}
	}
	for _, want := range p.shownSubscriptions(s.r.publications) {
		got, told := c.subscriptions[want.Publication]
		if !told {
			if got = wire.SubscriptionPending; c.manual {
				got = wire.SubscriptionOff
			}
		}
		if got != described(want) {
			s.t.Fatalf("%s believes %s is %s, the room %s", c.session, want.Publication, got, described(want))
		}
	}
}

// shownAs is the status of a subscription that fills a slot.
func shownAs(s *subscription) string {
	if s.want.Paused || s.starved {
		return wire.SubscriptionPaused
	}
	return wire.SubscriptionActive
}

// checkSlots checks the rules of assignment for one participant.
func (s *scene) checkSlots(p *participant) {
	s.t.Helper()
	pairs, videos := p.slotCounts()
	if pairs > wire.MaxSlotPairs || videos > MaxVideoSlots || len(p.publications) > wire.MaxPublications {
		s.t.Fatalf("%s has %d pairs, %d videos, %d publications", p.session, pairs, videos, len(p.publications))
	}
	filled := map[*publication]bool{}
	for i, slot := range p.slots {
		for _, l := range slot.lines() {
			if l.filled == nil {
				continue
			}
			pub := l.filled.publication
			if filled[pub] || p.subscriptions[pub] != l.filled || l.filled.line != l || l.filled.status != shownAs(l.filled) {
				s.t.Fatalf("%s: slot %d is at odds with the subscription to %s", p.session, i, pub.ID)
			}
			filled[pub] = true
			if pub.owner == p || !l.open || pub.Kind != l.kind || !matches(l.codecs, pub.codec) {
				s.t.Fatalf("%s: slot %d cannot carry %s", p.session, i, pub.ID)
			}
			if p.carrier == WS && l.kind == wire.KindVideo && (slot.audio != nil) != (pub.Source == wire.SourceCamera) {
				s.t.Fatalf("%s: slot %d is not for a %s", p.session, i, pub.Source)
			}
		}
		if slot.audio != nil && slot.video != nil && slot.audio.filled != nil && slot.video.filled != nil {
			a, v := slot.audio.filled.publication, slot.video.filled.publication
			if a.owner != v.owner || a.Source != wire.SourceMicrophone || v.Source != wire.SourceCamera {
				s.t.Fatalf("%s: pair %d holds %s and %s", p.session, i, a.ID, v.ID)
			}
		}
	}
	for pub, sub := range p.subscriptions {
		waits := slices.Contains(p.waiting, sub)
		if (sub.line != nil) != filled[pub] || waits != (sub.wanted && sub.line == nil) || sub.wanted == (sub.status == wire.SubscriptionOff) {
			s.t.Fatalf("%s: subscription to %s: %+v, waits %v", p.session, pub.ID, *sub, waits)
		}
		if sub.status == wire.SubscriptionPending && p.transport != nil && !sub.left && p.place(pub) != nil {
			s.t.Fatalf("%s: %s waits although a slot is free", p.session, pub.ID)
		}
	}
	if p.transport != nil {
		s.checkChoice(p)
	}
}

// checkChoice checks that nobody is seen or heard who is behind somebody who is not.
func (s *scene) checkChoice(p *participant) {
	s.t.Helper()
	cameras := 0
	for pub, sub := range p.subscriptions {
		if sub.line != nil && pub.Source == wire.SourceCamera {
			cameras++
		}
		if sub.left && (!sub.wanted || pub.Source != wire.SourceCamera || sub.status == wire.SubscriptionPending && sub.reason != wire.PendingLastN) {
			s.t.Fatalf("%s: %s is left out: %+v", p.session, pub.ID, *sub)
		}
		for other, o := range p.subscriptions {
			if sub.left && o.wanted && !o.left && other.Source == wire.SourceCamera && sub.ofCamera().compare(o.ofCamera()) > 0 {
				s.t.Fatalf("%s: %s is left out for %s, which is behind it", p.session, pub.ID, other.ID)
			}
		}
	}
	if p.lastN > 0 && cameras > p.lastN {
		s.t.Fatalf("%s sees %d cameras and wants %d", p.session, cameras, p.lastN)
	}
	for _, sub := range p.waiting {
		owner := sub.publication.owner
		if sub.left || !paired(sub.publication) || p.pairOf(owner) != nil {
			continue
		}
		if slot := p.weakest(sub.publication, p.ofPair(owner)); slot != nil {
			s.t.Fatalf("%s: %s waits for the pair of %s, who is behind", p.session, owner.identity, slot.owner().identity)
		}
	}
}

// checkPlane checks that the media plane does what the room believes.
func (s *scene) checkPlane() {
	s.t.Helper()
	transports := 0
	for _, p := range s.r.participants {
		if p.transport == nil {
			continue
		}
		transports++
		t := s.plane.transports[p.transport.id]
		if t == nil || s.r.transports[p.transport.id] != p {
			s.t.Fatalf("%s has no transport in the plane", p.session)
		}
		if len(t.producing) != len(p.publications) {
			s.t.Fatalf("%s has %d publications, %d producers", p.session, len(p.publications), len(t.producing))
		}
		for _, pub := range p.publications {
			if t.producing[pub.mid] != pub.producer {
				s.t.Fatalf("%s: m-line %s feeds another producer", p.session, pub.mid)
			}
		}
		for _, l := range p.lines() {
			want := uint64(0)
			if l.filled != nil {
				want = l.filled.publication.producer
			}
			if t.assigned[l.mid] != want || t.generation[l.mid] != l.generation {
				s.t.Fatalf("%s: slot %s carries %d in the plane, want %d", p.session, l.mid, t.assigned[l.mid], want)
			}
		}
	}
	if len(s.plane.transports) != transports || len(s.r.transports) != transports {
		s.t.Fatalf("%d transports in the plane, %d known, %d in use", len(s.plane.transports), len(s.r.transports), transports)
	}
}

// checkRanks checks that a microphone is ranked while all who listen to it listen to more than three, and nothing else is.
func (s *scene) checkRanks() {
	s.t.Helper()
	listeners, alone := map[*publication]int{}, map[*publication]int{}
	for _, p := range s.r.participants {
		heard := p.microphones()
		for _, pub := range heard {
			listeners[pub]++
			if len(heard) <= 3 {
				alone[pub]++
			}
		}
	}
	for _, pub := range s.r.publications {
		want := pub.Source == wire.SourceMicrophone && listeners[pub] > 0 && alone[pub] == 0
		if s.plane.ranked[pub.producer] != want {
			s.t.Fatalf("%s is ranked: %v; %d listeners, %d of them listen to few", pub.ID, !want, listeners[pub], alone[pub])
		}
	}
}

// checkWishes checks that publishers were told what the media plane gives somebody.
func (s *scene) checkWishes() {
	s.t.Helper()
	wanted := map[uint64]int{} // sizes, by Producer
	for _, t := range s.plane.transports {
		for mid, producer := range t.assigned {
			if producer == 0 || t.wants[mid].Paused {
				continue
			}
			for _, pub := range s.r.publications {
				if pub.producer == producer {
					wanted[producer] = max(wanted[producer], pub.reach(t.wants[mid]))
				}
			}
		}
	}
	for _, pub := range s.r.publications {
		if pub.Kind != wire.KindVideo || pub.owner.carrier != WS {
			continue
		}
		n := wanted[pub.producer]
		if pub.told != n {
			s.t.Fatalf("%s was told that %d sizes of %s are wanted, but %d are", pub.owner.session, pub.told, pub.ID, n)
		}
		got, told := s.clients[pub.owner.session].encodings[pub.ID]
		if !told && n == pub.sizes() {
			continue
		}
		if d := cmp.Diff(pub.shownEncodings(), got); d != "" || len(got.Active) != min(n, max(len(pub.encodings), 1)) {
			s.t.Fatalf("%s believes %+v of %s, %d sizes are wanted:\n%s", pub.owner.session, got, pub.ID, n, d)
		}
	}
}

// describe is one line of a transcript.
func describe(e Effect) string {
	switch e := e.(type) {
	case Reply:
		if e.Error != nil {
			return "reply error " + string(e.Error.Code)
		}
		return strings.TrimSpace("reply " + e.Type + " " + describeBody(e.Body))
	case Tell:
		s := "tell " + strings.Join(e.Sessions, ",")
		if e.Rev != 0 {
			s += fmt.Sprintf(" #%d", e.Rev)
		}
		return s + " " + e.Type + " " + describeBody(e.Body)
	case OpenTransport:
		return fmt.Sprintf("open transport %d for %s", e.Transport&0xff, e.Identity)
	case RestartICE:
		return fmt.Sprintf("restart ice of %d with %s", e.Transport&0xff, e.Remote.Ufrag)
	case Negotiate:
		return fmt.Sprintf("negotiate %d: %d m-lines", e.Transport&0xff, len(e.Sections))
	case StartProducer:
		return fmt.Sprintf("start producer %d on %d/%s", e.Producer&0xff, e.Transport&0xff, e.Mid)
	case Rank:
		return fmt.Sprintf("rank producer %d: %v", e.Producer&0xff, e.Ranked)
	case StopProducer:
		return fmt.Sprintf("stop producer %d", e.Producer&0xff)
	case Assign:
		s := fmt.Sprintf("assign %d to %d/%s generation %d", e.Producer&0xff, e.Transport&0xff, e.Mid, e.Generation)
		if e.Immediate {
			s += " at once"
		}
		return s
	case Prefer:
		return fmt.Sprintf("prefer %+v in %d/%s", e.Want, e.Transport&0xff, e.Mid)
	case OpenSlot:
		return fmt.Sprintf("open slot %d/%s generation %d", e.Transport&0xff, e.Mid, e.Generation)
	case CloseTransport:
		return fmt.Sprintf("close transport %d", e.Transport&0xff)
	}
	return fmt.Sprintf("%T", e)
}

func describeBody(body any) string {
	switch b := body.(type) {
	case wire.Joined:
		return fmt.Sprintf("%s at #%d", b.Identity, b.Room.Revision)
	case wire.Answer:
		var s []string
		for _, p := range b.Publications {
			s = append(s, p.Mid+"="+p.Publication)
		}
		return strings.Join(s, " ")
	case wire.ParticipantJoined:
		return b.Participant.Identity
	case wire.ParticipantLeft:
		return b.Identity + " " + string(b.Reason)
	case wire.TrackPublished:
		return fmt.Sprintf("%s %s %s %s", b.Identity, b.Publication.ID, b.Publication.Source, b.Publication.Codec)
	case wire.TrackUnpublished:
		return b.Identity + " " + b.Publication
	case wire.Slot:
		return fmt.Sprintf("%s generation %d %s", b.Mid, b.Generation, b.Publication)
	case wire.Subscription:
		return b.Publication + " " + described(b)
	case wire.Encodings:
		return strings.TrimSpace(fmt.Sprintf("%s %q", b.Publication, b.Active))
	case wire.Ended:
		return string(b.Code)
	case wire.GrowSlots:
		return fmt.Sprintf("%d %d", b.Pairs, b.Videos)
	case wire.Codecs:
		return strings.Join(b.Audio, ",") + " " + strings.Join(b.Video, ",")
	case wire.Transport:
		return b.State
	case wire.Speakers:
		return fmt.Sprintf("%q %v", b.Dominant, b.Speaking)
	}
	return ""
}

// described is a subscription's status with its reason.
func described(s wire.Subscription) string { return strings.TrimSpace(s.Status + " " + s.Reason) }

// transcript compares what the last command brought about.
func (s *scene) transcript(want ...string) {
	s.t.Helper()
	if d := cmp.Diff(want, s.log); d != "" {
		s.t.Errorf("(-want +got):\n%s", d)
	}
}

var _ fataler = (*testing.T)(nil)
