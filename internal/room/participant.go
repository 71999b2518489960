package room

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/parley-rtc/parley/wire"
)

// participant is an identity in the room with its one session.
type participant struct {
	// static after construction
	session  string
	carrier  Carrier
	identity string
	manual   bool
	lastN    int    // cameras at once; 0: any number
	follow   string // of WHEP
	joinedAt time.Time

	// owned by the room
	name, metadata string
	grants         wire.Grants
	sources        []wire.Source  // that it may publish; empty: all
	publications   []*publication // by time
	transport      *transport     // nil before the first offer
	slots          []*slot        // of the transport, in the order of the offers
	subscriptions  map[*publication]*subscription
	waiting        []*subscription // wanted, and in no slot
	hears          []*publication  // microphones in its slots, as they are counted there
	spoke, led     uint64          // turn at which it last began to speak, or to lead the conversation; 0: never
	generation     uint64          // of the slot that changed last
	asked          wire.GrowSlots  // what the client was asked for since its last offer
	unsettled      bool
}

func (p *participant) shown() wire.Participant {
	w := wire.Participant{
		Identity: p.identity, Name: p.name, Metadata: p.metadata, JoinedAt: p.joinedAt, Publications: []wire.Publication{},
	}
	for _, pub := range p.publications {
		w.Publications = append(w.Publications, pub.Publication)
	}
	return w
}

// join lets a session in. The same identity again ends the older session.
func (r *Room) join(now time.Time, c Join) *wire.Error {
	if r.sessions[c.Session] != nil {
		return wire.NewError(wire.CodeBadRequest, "this session has joined already", "open another session to join again")
	}
	if c.Carrier == WHEP {
		c.Grants.Hidden = true
		followed := r.followed(c.Follow)
		if followed == nil {
			return r.nobodyPublishes(c.Follow)
		}
		c.Follow = followed.identity
	}
	c.Grants, c.Sources = r.rulings[c.Identity].of(c.Grants, c.Sources)
	older := r.identities[c.Identity]
	if refused := r.admit(c, older); refused != nil {
		return refused
	}
	if older != nil {
		r.expel(older, wire.Ended{Code: wire.CodeReplaced, Message: "the same identity joined again"})
	}
	if c.Identity == "" {
		c.Identity = r.freeIdentity()
	}
	p := &participant{
		session: c.Session, carrier: c.Carrier, identity: c.Identity, grants: c.Grants, sources: c.Sources, manual: c.ManualSubscribe,
		lastN: max(c.LastN, 0), follow: c.Follow, joinedAt: now.Round(0).UTC(), name: c.Name, metadata: c.Metadata,
		subscriptions: map[*publication]*subscription{},
	}
	r.participants = append(r.participants, p)
	r.identities[p.identity], r.sessions[p.session] = p, p
	r.metadata += len(p.metadata)
	for _, pub := range r.publications {
		p.learn(pub)
	}
	if !p.grants.Hidden {
		r.change(wire.TypeParticipantJoined, wire.ParticipantJoined{Participant: p.shown()}, p)
	}
	r.emit(Reply{Type: wire.TypeJoined, Body: wire.Joined{
		Session: p.session, Identity: p.identity, Grants: p.grants, Sources: p.sources, Room: r.Snapshot(),
	}})
	return nil
}

// admit checks who wants to join; older is the participant that would be replaced, if any.
func (r *Room) admit(c Join, older *participant) *wire.Error {
	if refused := r.checkTexts(c); refused != nil {
		return refused
	}
	visible, hidden, _ := r.Sizes()
	metadata := r.metadata + len(c.Metadata)
	if older != nil {
		metadata -= len(older.metadata)
		if older.grants.Hidden {
			hidden--
		} else {
			visible--
		}
	}
	if c.Grants.Hidden && hidden >= MaxHidden || !c.Grants.Hidden && visible >= MaxParticipants {
		return &wire.Error{
			Code: wire.CodeLimit, Message: "this room is full", Next: "try again once somebody has left",
			RetrySeconds: 30,
		}
	}
	return checkRoomMetadata(metadata)
}

func (r *Room) checkTexts(c Join) *wire.Error {
	if !isText(c.Identity, wire.MaxNameBytes) || !isText(c.Name, wire.MaxNameBytes) {
		return badName("identity or name")
	}
	return checkMetadata(c.Metadata)
}

// followed finds whom a WHEP session watches: a visible participant who publishes.
func (r *Room) followed(identity string) *participant {
	for _, p := range r.participants {
		if !p.grants.Hidden && len(p.publications) > 0 && (identity == "" || p.identity == identity) {
			return p
		}
	}
	return nil
}

// freeIdentity makes an identity that nobody has.
func (r *Room) freeIdentity() string {
	for {
		if id := "guest-" + r.token(nameLetters, 8); r.identities[id] == nil {
			return id
		}
	}
}

func (r *Room) leave(c Leave) *wire.Error {
	p, refused := r.member(c.Session)
	if refused != nil {
		return refused
	}
	if c.Reason == "" {
		c.Reason = wire.CodeLeft
	}
	r.remove(p, c.Reason)
	return nil
}

func (r *Room) kick(c Kick) *wire.Error {
	p, refused := r.member(c.Session)
	if refused != nil {
		return refused
	}
	if !p.grants.Admin {
		return wire.NewError(wire.CodeForbidden, "only an admin may kick", "join with a token that has the roomAdmin grant")
	}
	if !isText(c.Reason, MaxReasonBytes) {
		return wire.NewError(wire.CodeTooLarge, "the reason of a kick is too long", "shorten it to 256 bytes")
	}
	target := r.identities[c.Identity]
	if target == nil {
		return noParticipant(c.Identity)
	}
	if c.Reason == "" {
		c.Reason = "an admin ended this session"
	}
	r.expel(target, wire.Ended{Code: wire.CodeKicked, Message: c.Reason})
	return nil
}

// expel ends a session that did not ask for it.
func (r *Room) expel(p *participant, ended wire.Ended) {
	r.emit(Tell{Sessions: []string{p.session}, Type: wire.TypeEnded, Body: ended, End: true})
	r.remove(p, ended.Code)
}

// remove takes a participant out of the room with everything that was its own.
func (r *Room) remove(p *participant, reason wire.Code) {
	if p.transport != nil {
		r.emit(CloseTransport{p.transport.id}) // and all its Producers
		delete(r.transports, p.transport.id)
	}
	for _, pub := range p.publications {
		r.forget(pub)
	}
	r.hear(p, nil)
	for _, pub := range r.publications {
		if p.subscriptions[pub] != nil {
			r.wish(pub)
		}
	}
	r.participants = slices.DeleteFunc(r.participants, func(o *participant) bool { return o == p })
	delete(r.identities, p.identity)
	delete(r.sessions, p.session)
	r.metadata -= len(p.metadata)
	r.recodec = true
	if !p.grants.Hidden {
		r.silence(p)
		r.change(wire.TypeParticipantLeft, wire.ParticipantLeft{Identity: p.identity, Reason: reason}, nil)
	}
}

func (r *Room) update(c Update) *wire.Error {
	p, refused := r.member(c.Session)
	if refused != nil {
		return refused
	}
	name, metadata := p.name, p.metadata
	if c.Name != nil {
		name = *c.Name
	}
	if c.Metadata != nil {
		metadata = *c.Metadata
	}
	if !isText(name, wire.MaxNameBytes) {
		return badName("name")
	}
	if refused := checkMetadata(metadata); refused != nil {
		return refused
	}
	if refused := checkRoomMetadata(r.metadata - len(p.metadata) + len(metadata)); refused != nil {
		return refused
	}
	if name == p.name && metadata == p.metadata {
		return nil
	}
	r.metadata += len(metadata) - len(p.metadata)
	p.name, p.metadata = name, metadata
	if !p.grants.Hidden {
		r.change(wire.TypeParticipantUpdated,
			wire.ParticipantUpdated{Identity: p.identity, Name: name, Metadata: metadata}, nil)
	}
	return nil
}

// CheckName refuses what cannot be the name of a room.
func CheckName(name string) *wire.Error {
	if name == "" || !isText(name, wire.MaxNameBytes) {
		return badName("name of the room")
	}
	return nil
}

// isText tells whether s fits so many bytes and is UTF-8 without control characters.
func isText(s string, maxBytes int) bool {
	if len(s) > maxBytes || !utf8.ValidString(s) {
		return false
	}
	for _, c := range s {
		if unicode.IsControl(c) {
			return false
		}
	}
	return true
}

func badName(what string) *wire.Error {
	return wire.NewError(wire.CodeBadRequest, "the "+what+" is empty, too long, or has control characters",
		"use 1 to 128 bytes of UTF-8 without control characters")
}

func checkMetadata(s string) *wire.Error {
	if len(s) > wire.MaxMetadataBytes {
		return wire.NewError(wire.CodeTooLarge, "the metadata is too large", "use at most 16384 bytes")
	}
	if !utf8.ValidString(s) {
		return wire.NewError(wire.CodeBadRequest, "the metadata is not UTF-8", "encode bytes as text, base64 for example")
	}
	return nil
}

func checkRoomMetadata(n int) *wire.Error {
	if n > MaxRoomMetadataBytes {
		return wire.NewError(wire.CodeLimit, "the metadata of all participants together is too large",
			"keep metadata short, and large values elsewhere")
	}
	return nil
}

func noParticipant(identity string) *wire.Error {
	return wire.NewError(wire.CodeNotFound, "no participant "+identity+" in this room", "")
}

// NobodyPublishes refuses a viewer of a room in which nobody publishes.
func NobodyPublishes() *wire.Error {
	return &wire.Error{
		Code: wire.CodeNotFound, Message: "nobody publishes in this room", Next: "try again once somebody does", RetrySeconds: retryWatch,
	}
}

// nobodyPublishes refuses a viewer, and tells one who named somebody whom else there is: a display name is easily taken for an identity.
func (r *Room) nobodyPublishes(identity string) *wire.Error {
	publish, more := r.publishers()
	if identity == "" || len(publish) == 0 {
		return NobodyPublishes()
	}
	next := "participant is an identity, not a name; these publish: " + strings.Join(publish, ", ")
	if more > 0 {
		next += fmt.Sprintf(" and %d more", more)
	}
	return &wire.Error{Code: wire.CodeNotFound, Message: identity + " does not publish in this room", Next: next, RetrySeconds: retryWatch}
}

// publishers are the identities of those whom a viewer could watch, the first of them, and the number of the others.
func (r *Room) publishers() (first []string, more int) {
	for _, p := range r.participants {
		switch {
		case p.grants.Hidden || len(p.publications) == 0:
		case len(first) < maxToldPublishers:
			first = append(first, p.identity)
		default:
			more++
		}
	}
	return first, more
}
