package client

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// Room is a participation in a room. Make it with Join. It is safe for concurrent use.
type Room struct {
	// static after construction
	session *session
	calls   *calls
	room    *State
	server  *State
	done    chan struct{}

	// guarded by mu
	mu           sync.Mutex
	identity     string
	granted      wire.GrantsChanged
	name         string
	revision     uint64
	participants []wire.Participant // by time of joining
	chat         []wire.ChatMessage
	lastCall     uint64
	answering    int            // calls of others
	answers      sync.WaitGroup // of them; Add under mu
	listeners    []*user[func(any)]
	watchers     []*user[func(Connection, error)]
}

func newRoom(url string, o Options) *Room {
	r := &Room{calls: newCalls(), done: make(chan struct{})}
	r.room, r.server = newState(r, ""), newState(r, wire.ScopeServer)
	life, end := context.WithCancel(context.Background())
	r.session = &session{
		url: url, http: o.HTTPClient, giveUp: o.GiveUp, room: r, mu: &r.mu, life: life, end: end, done: make(chan struct{}), waiting: map[uint64]*waiting{},
		token: o.TokenSource,
		join: wire.Join{
			Protocol: wire.Protocol, Room: o.Room, Token: o.Token, Identity: o.Identity, Name: o.Name, Metadata: o.Metadata, ManualSubscribe: true,
		},
	}
	if o.HTTPClient == nil {
		r.session.http = http.DefaultClient
	}
	if o.GiveUp == 0 {
		r.session.giveUp = giveUpTime
	}
	return r
}

// State is the state that the room's participants share.
func (r *Room) State() *State { return r.room }

// Server is the state that all rooms of the server share.
func (r *Room) Server() *State { return r.server }

// Name of the room.
func (r *Room) Name() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.name
}

// Identity of this participant.
func (r *Room) Identity() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.identity
}

// Grants are what this participant may do.
func (r *Room) Grants() wire.Grants {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.granted.Grants
}

// Participants who are there, this one too, by time of joining.
func (r *Room) Participants() []wire.Participant {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.participants)
}

// Messages are the last of the chat to everyone, the oldest first.
func (r *Room) Messages() []wire.ChatMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.chat)
}

// Connection tells how the room is connected; of one that has ended, why.
func (r *Room) Connection() (Connection, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.session.state, r.session.err
}

// Watch calls fn when that changes, until stop is called.
func (r *Room) Watch(fn func(c Connection, why error)) (stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return addTo(r, &r.watchers, fn)
}

// Missed is how many events a function was not called with, as too many calls waited: see MaxWaitingCalls. What has come of them is in
// Room.Participants and Room.Messages.
type Missed struct{ Events int }

// Subscribe calls fn with what happens in the room: wire.ParticipantJoined, wire.ParticipantLeft, wire.ParticipantUpdated,
// wire.TrackPublished, wire.TrackUnpublished, wire.TrackMuted, wire.ChatMessage, wire.GrantsChanged, or Missed in place of events, until stop is called.
// What has happened while the connection was lost for longer is told as the difference to what was there before. Publications of who has come are
// in wire.Participant, and those of who has left are gone. Other types may be added.
func (r *Room) Subscribe(fn func(event any)) (stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return addTo(r, &r.listeners, fn)
}

// addTo keeps a function of the application until stop is called. The caller holds mu.
func addTo[F any](r *Room, to *[]*user[F], fn F) (stop func()) {
	u := &user[F]{given: fn}
	*to = append(slices.Clone(*to), u)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		*to = without(*to, u)
	}
}

// Chat sends text to everyone; with to, to that identity alone.
func (r *Room) Chat(ctx context.Context, text, to string) error {
	_, err := r.request(ctx, wire.TypeChat, wire.Chat{Text: text, To: to})
	return err
}

// Update changes this participant's name or metadata, where they are not nil.
func (r *Room) Update(ctx context.Context, name, metadata *string) error {
	_, err := r.request(ctx, wire.TypeUpdate, wire.Update{Name: name, Metadata: metadata})
	return err
}

// Kick ends the session of another participant. It needs the admin grant.
func (r *Room) Kick(ctx context.Context, identity, reason string) error {
	_, err := r.request(ctx, wire.TypeKick, wire.Kick{Identity: identity, Reason: reason})
	return err
}

// Log reads what has happened in the room, after a cursor; 0: from the oldest that is kept. At most limit entries; 0: as many as the server gives
// at once. Whoever wants what follows asks with After of the answer, until that is Last.
func (r *Room) Log(ctx context.Context, after uint64, limit int) (wire.Log, error) {
	m, err := r.request(ctx, wire.TypeLogRead, wire.LogRead{After: after, Limit: limit})
	if err != nil {
		return wire.Log{}, err
	}
	return decode[wire.Log](m)
}

// Leave ends the participation, and returns when there is no connection any more. It may be called more than once.
func (r *Room) Leave() { r.session.leave() }

// Done is closed when the room is over and all functions of the application have returned.
func (r *Room) Done() <-chan struct{} { return r.done }

// request asks and waits for the reply. What was not sent when ctx ends never is.
func (r *Room) request(ctx context.Context, typ string, body any) (wire.Message, error) {
	type answer struct {
		m   wire.Message
		err error
	}
	answers := make(chan answer, 1)
	r.mu.Lock()
	id := r.session.request(typ, body, func(m wire.Message, err error) { answers <- answer{m, err} })
	r.mu.Unlock()
	select {
	case a := <-answers:
		return a.m, a.err
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		r.session.forget(id)
		return wire.Message{}, ctx.Err()
	}
}

func decode[T any](m wire.Message) (T, error) {
	var body T
	if err := json.Unmarshal(m.Body, &body); err != nil {
		return body, wire.NewError(wire.CodeInternal, "the reply "+m.Type+" cannot be understood", "")
	}
	return body, nil
}

// later runs f under mu after a while, unless the room is over by then.
func (r *Room) later(d time.Duration, f func()) {
	time.AfterFunc(d, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.session.state != Ended {
			f()
		}
	})
}

// What the session tells. The caller holds mu.

// enter takes the reply to join: the first, or one that begins a new session in place of a lost one.
func (r *Room) enter(joined *wire.Joined, first bool) {
	r.identity, r.name = joined.Identity, joined.Room.Name
	granted := wire.GrantsChanged{Grants: joined.Grants, Sources: joined.Sources}
	if first {
		r.granted = granted
		r.participants, r.chat, r.revision = joined.Room.Participants, joined.Room.Chat, joined.Room.Revision
		return
	}
	r.replace(joined.Room, granted)
	r.room.restore()
	r.server.restore()
}

func (r *Room) connection(c Connection, why error) {
	for _, u := range r.watchers {
		u.tell(r.calls, func(fn func(Connection, error), _ int) { fn(c, why) })
	}
	for _, s := range []*State{r.room, r.server} {
		s.connection(c, why)
	}
	if c == Ended {
		r.calls.finish()
		go func() { // ends when all that works for the room has
			r.answers.Wait()
			<-r.calls.done
			<-r.session.done
			close(r.done)
		}()
	}
}

func (r *Room) event(m wire.Message) {
	if m.Type == wire.TypeResync {
		if resync, err := decode[wire.Resync](m); err == nil {
			r.replace(resync.Room, wire.GrantsChanged{Grants: resync.Grants, Sources: resync.Sources})
		}
		r.room.restore()
		r.server.restore()
		return
	}
	if m.Rev != 0 {
		if m.Rev <= r.revision {
			return
		}
		r.revision = m.Rev
	}
	if r.roomEvent(m) {
		return
	}
	var scoped struct {
		Scope wire.Scope `json:"scope"`
	}
	switch _ = json.Unmarshal(m.Body, &scoped); scoped.Scope {
	case wire.ScopeRoom:
		r.room.event(m)
	case wire.ScopeServer:
		r.server.event(m)
	}
}

// roomEvent takes what happens in the room, and reports whether that was it.
func (r *Room) roomEvent(m wire.Message) bool {
	switch m.Type {
	case wire.TypeParticipantJoined:
		told(r, m, func(e wire.ParticipantJoined) { r.comes(e.Participant) })
	case wire.TypeParticipantLeft:
		told(r, m, func(e wire.ParticipantLeft) { r.goes(e.Identity) })
	case wire.TypeParticipantUpdated:
		told(r, m, func(e wire.ParticipantUpdated) {
			r.change(e.Identity, func(p *wire.Participant) { p.Name, p.Metadata = e.Name, e.Metadata })
		})
	case wire.TypeTrackPublished:
		told(r, m, func(e wire.TrackPublished) {
			r.change(e.Identity, func(p *wire.Participant) { p.Publications = append(slices.Clone(p.Publications), e.Publication) })
		})
	case wire.TypeTrackUnpublished:
		told(r, m, func(e wire.TrackUnpublished) {
			r.change(e.Identity, func(p *wire.Participant) {
				p.Publications = slices.DeleteFunc(slices.Clone(p.Publications), func(x wire.Publication) bool { return x.ID == e.Publication })
			})
		})
	case wire.TypeTrackMuted:
		told(r, m, func(e wire.TrackMuted) {
			r.change(e.Identity, func(p *wire.Participant) {
				p.Publications = slices.Clone(p.Publications)
				for i := range p.Publications {
					if p.Publications[i].ID == e.Publication {
						p.Publications[i].Muted = e.Muted
					}
				}
			})
		})
	case wire.TypeChatReceived:
		told(r, m, r.says)
	case wire.TypeGrantsChanged:
		told(r, m, func(e wire.GrantsChanged) { r.granted = e })
	default:
		return false
	}
	return true
}

// told applies an event and tells the application.
func told[T any](r *Room, m wire.Message, apply func(T)) {
	e, err := decode[T](m)
	if err != nil {
		return // of a server that speaks another protocol
	}
	apply(e)
	r.tell(e)
}

func (r *Room) tell(event any) {
	for _, u := range r.listeners {
		u.tell(r.calls, func(fn func(any), missed int) {
			if missed > 0 {
				fn(Missed{missed})
			}
			fn(event)
		})
	}
}

func (r *Room) find(identity string) int {
	return slices.IndexFunc(r.participants, func(p wire.Participant) bool { return p.Identity == identity })
}

func (r *Room) comes(p wire.Participant) {
	if i := r.find(p.Identity); i >= 0 {
		r.participants[i] = p
	} else {
		r.participants = append(r.participants, p)
	}
}

func (r *Room) goes(identity string) {
	if i := r.find(identity); i >= 0 {
		r.participants = slices.Delete(r.participants, i, i+1)
	}
}

func (r *Room) change(identity string, f func(*wire.Participant)) {
	if i := r.find(identity); i >= 0 {
		f(&r.participants[i])
	}
}

func (r *Room) says(m wire.ChatMessage) {
	if m.To != "" {
		return // not kept
	}
	if len(r.chat) >= wire.MaxChatKept {
		r.chat = slices.Delete(r.chat, 0, 1)
	}
	r.chat = append(r.chat, m)
}
