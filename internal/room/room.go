// Package room decides what happens in a room: who is in it, what they publish, which publication fills which slot of whom.
//
// Room.Apply is a pure function of the room, a command and the time; all it brings about is in the effects that it returns.
// A room owns its participants, publications, subscriptions, slots, chat and the ids of its Transports and Producers.
//
// Whatever a snapshot holds changes by an event with the next revision, sent to every session that speaks the whole protocol,
// the author's too. Slots, subscriptions and private chat belong to one session; their events carry no revision.
package room

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// Config is what a room is made of.
type Config struct {
	Name string
	// ID is unique on the node, above 0 and below 1<<31. The room's Transports and Producers are numbered from ID<<32 + 1.
	ID uint64
	// Chat of a room of this name before, the oldest first.
	Chat []wire.ChatMessage
	// Seed of all that must not be guessed: ICE credentials, SSRCs, made identities. Random, never used again.
	Seed [32]byte
}

// Room is one room. It is not safe for concurrent use.
type Room struct {
	// static after construction
	name   string
	random *rand.ChaCha8

	// owned by the caller of Apply
	revision     uint64
	metadata     int            // bytes, of all participants
	participants []*participant // by time of joining, hidden ones too
	identities   map[string]*participant
	sessions     map[string]*participant
	transports   map[uint64]*participant
	publications []*publication   // by time
	rulings      map[string]Grant // by identity
	chat         []wire.ChatMessage
	codecs       wire.Codecs
	speakers     wire.Speakers
	lastID       uint64 // of Transports and Producers
	lastNumber   uint64 // of publications
	lastChat     uint64
	turn         uint64 // grows with everybody who begins to speak or to lead

	// of one Apply
	out       []Effect
	unsettled []*participant // whose slots may have to change
	wished    []*publication // of which something else may be wanted
	recodec   bool           // the common codecs may have changed
}

// New returns an empty room.
func New(c Config) *Room {
	r := &Room{
		name: c.Name, random: rand.NewChaCha8(c.Seed), lastID: c.ID << 32, codecs: allCodecs(), speakers: wire.Speakers{Speaking: []string{}},
		identities: map[string]*participant{}, sessions: map[string]*participant{}, transports: map[uint64]*participant{}, rulings: map[string]Grant{},
		chat: slices.Clone(c.Chat[max(0, len(c.Chat)-wire.MaxChatKept):]),
	}
	for _, m := range r.chat {
		r.lastChat = max(r.lastChat, m.ID)
	}
	return r
}

// Apply carries out a command and returns its effects, which the caller owns.
func (r *Room) Apply(now time.Time, c Command) []Effect {
	switch c := c.(type) {
	case Join:
		r.fail(r.join(now, c))
	case Offer:
		r.fail(r.offer(c))
	case Restart:
		r.fail(r.restart(c))
	case Resync:
		r.fail(r.resync(c))
	case Leave:
		r.done(r.leave(c))
	case Unpublish:
		r.done(r.unpublish(c))
	case Subscribe:
		r.done(r.subscribe(c))
	case SlotReady:
		r.done(r.slotReady(c))
	case Mute:
		r.done(r.mute(c))
	case Update:
		r.done(r.update(c))
	case Chat:
		r.done(r.say(now, c))
	case Kick:
		r.done(r.kick(c))
	case Grant:
		r.fail(r.grant(c))
	case Granted:
		r.granted(c)
	case TransportState:
		r.transportState(c)
	case Starved:
		r.starve(c)
	case Speakers:
		r.speak(c)
	case End:
		r.end(c)
	}
	r.settle()
	r.settleWishes()
	out := r.out
	r.out = nil
	return out
}

// Revision grows by one with every change of the room.
func (r *Room) Revision() uint64 { return r.revision }

// Empty tells whether nobody is in the room, not even hidden.
func (r *Room) Empty() bool { return len(r.participants) == 0 }

// Sizes counts participants, hidden ones apart, and publications.
func (r *Room) Sizes() (participants, hidden, publications int) {
	for _, p := range r.participants {
		if p.grants.Hidden {
			hidden++
		}
	}
	return len(r.participants) - hidden, hidden, len(r.publications)
}

// Snapshot is what every participant may know.
func (r *Room) Snapshot() wire.Snapshot {
	s := wire.Snapshot{
		Name: r.name, Revision: r.revision, Participants: []wire.Participant{}, Chat: slices.Clone(r.chat), Codecs: r.codecs,
		Speakers: r.speakers,
	}
	if s.Chat == nil {
		s.Chat = []wire.ChatMessage{}
	}
	for _, p := range r.participants {
		if !p.grants.Hidden {
			s.Participants = append(s.Participants, p.shown())
		}
	}
	return s
}

// resync answers with everything that the session may know.
func (r *Room) resync(c Resync) *wire.Error {
	p, refused := r.member(c.Session)
	if refused != nil {
		return refused
	}
	r.emit(Reply{Type: wire.TypeResync, Body: wire.Resync{
		Room: r.Snapshot(), Slots: p.shownSlots(), Subscriptions: p.shownSubscriptions(r.publications), Encodings: p.shownWishes(), Grants: p.grants, Sources: p.sources,
	}})
	p.asked = wire.GrowSlots{} // the session may have lost it: ask again
	r.unsettle(p)
	return nil
}

// end ends every session.
func (r *Room) end(c End) {
	for len(r.participants) > 0 {
		r.expel(r.participants[len(r.participants)-1], wire.Ended{Code: c.Code, Message: c.Message, Rejoin: c.Rejoin})
	}
}

func (r *Room) emit(e Effect) { r.out = append(r.out, e) }

// done replies to a command whose reply carries nothing.
func (r *Room) done(refused *wire.Error) {
	if refused == nil {
		r.emit(Reply{Type: wire.TypeOK, Body: wire.OK{}})
	}
	r.fail(refused)
}

// fail replies to a command that was refused; the others have replied already.
func (r *Room) fail(refused *wire.Error) {
	if refused != nil {
		r.emit(Reply{Error: refused})
	}
}

// change counts a change of the room and tells every session but one, if any is named. There may be none: the change is an effect all the same.
func (r *Room) change(event string, body any, except *participant) {
	r.revision++
	var sessions []string
	for _, p := range r.participants {
		if p.carrier == WS && p != except {
			sessions = append(sessions, p.session)
		}
	}
	r.emit(Tell{Sessions: sessions, Rev: r.revision, Type: event, Body: body})
}

// tell tells one session something that is not part of the room's snapshot.
func (r *Room) tell(p *participant, event string, body any) {
	if p.carrier == WS {
		r.emit(Tell{Sessions: []string{p.session}, Type: event, Body: body})
	}
}

// member finds the participant of a session.
func (r *Room) member(session string) (*participant, *wire.Error) {
	if p := r.sessions[session]; p != nil {
		return p, nil
	}
	return nil, SessionExpired()
}

// SessionExpired refuses a session that is not in the room.
func SessionExpired() *wire.Error {
	return wire.NewError(wire.CodeSessionExpired, "this session is not part of the room any more", "join again")
}

func (r *Room) nextID() uint64 {
	r.lastID++
	return r.lastID
}

// nameLetters are easy to read aloud.
const nameLetters = "abcdefghijkmnpqrstuvwxyz23456789"

// token returns n random letters, of an alphabet whose length is a power of two.
func (r *Room) token(letters string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.random.Uint64()%uint64(len(letters))]
	}
	return string(b)
}

func (r *Room) nextPublication() string {
	r.lastNumber++
	return "p" + strconv.FormatUint(r.lastNumber, 10)
}
