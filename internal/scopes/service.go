package scopes

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// Requests of whoever carries sessions, beside those of wire.
const (
	TypeAttach = "attach" // a session comes
	TypeDetach = "detach" // it is over
	TypeReset  = "reset"  // its messages were lost
)

// Subject is where a node serves requests about scopes.
const Subject = "scopes"

// SessionSubject is where a session's events are published. The session subscribes before it attaches, and resets what it has in all
// scopes when its queue has lost something.
func SessionSubject(session string) string {
	return "scope-session." + base64.RawURLEncoding.EncodeToString([]byte(session))
}

// Request is a message to Subject, by Encode.
type Request struct {
	Scope wire.Scope // of attach, detach and reset; others say it in their body
	Room  string     // of whoever asks, also about the server's scope
	Node  string     // of an attaching session
	By    state.Caller
	Type  string
	Body  json.RawMessage
	// Reply asks for the reply to a request of wire among the session's events, as the one with this number: in its order, and so that
	// nobody waits while it is stored. The Answer then says only that the request is taken, or why it is not.
	Reply uint64
	// Patient: where the scope takes nothing now, a request with Reply waits for BusyTime, and else not at all.
	Patient bool
}

// wait is how long the request waits for a place, if it has a Reply.
func (r Request) wait() time.Duration {
	if r.Patient {
		return BusyTime
	}
	return 0
}

// Answer is the answer to it, as JSON; see DecodeAnswer.
type Answer struct {
	Type  string          `json:"type,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`
	Error *wire.Error     `json:"error,omitempty"`
	// Busy: the scope takes nothing now. Whoever waits may ask again.
	Busy bool `json:"busy,omitempty"`
}

// Event is what is published to sessions. With Reply it is the reply to that request, of the type error where it is refused.
type Event struct {
	Reply uint64          `json:"reply,omitempty"`
	Type  string          `json:"type"`
	Body  json.RawMessage `json:"body"`
}

// ServiceConfig of a Service.
type ServiceConfig struct {
	Bus bus.Bus
	// Log is where the durable records of all scopes are.
	Log bus.Log
	// MaxStored is how many bytes of the log may be used, which must take ShelfReserve more; 0: all that it takes.
	MaxStored int64
	// Faulty tells whether the log takes nothing now, as is known without trying: nothing durable is begun then. It does not wait. Nil: nobody knows.
	Faulty func() bool
	// May returns the rules of a scope, and of the room whose it is. It may return nil: all is allowed.
	May func(scope wire.Scope, room string) func(state.Access) *wire.Error
	// Linger is how long a room's state is kept when nobody uses it any more, and the room is not held.
	Linger time.Duration
	// AcceptTime and AnswerTime of who provides an RPC; 0: state.DefaultAcceptTime, state.DefaultAnswerTime.
	AcceptTime, AnswerTime time.Duration
	Random                 io.Reader
	// Note is told each change of a durable record of a room when it is stored. It does not wait. Nil: nobody is told.
	Note func(room, typ string, body []byte)
	// Loaded is told the last changes of a room's records that are stored, before Note is told others. It does not wait. Nil: nobody is told.
	Loaded func(room string, changes []state.LastChange)
	Logger *slog.Logger
}

// Service runs the scopes of a node: the server's, and one for each room to which somebody is attached, or was while it was held.
type Service struct {
	// static after construction
	config  ServiceConfig
	unserve func()
	server  *Owner
	budget  *Budget
	shelf   *Shelf
	ctx     context.Context // ends with the Service
	end     context.CancelFunc
	wake    chan struct{} // there is something to be tidied; capacity 1
	swept   chan struct{} // closed when nothing is tidied any more

	// guarded by mu
	mu     sync.Mutex
	closed bool
	rooms  map[string]*roomScope
	held   map[string]bool            // rooms that are there, with a scope or without
	idle   datagram.Queue[*roomScope] // those that nobody uses, of rooms that are not there
	rules  uint64                     // how often they have changed
	untidy []*roomScope               // that nobody uses, in the order in which they are tidied, and then end
	ending map[string]chan struct{}   // of rooms whose last scope is still storing; closed when it has

	// atomic
	costly, crowded atomic.Uint64
}

// roomScope is a room's scope while there is one.
type roomScope struct {
	// static after construction
	name   string
	source netip.Addr    // of whoever had it opened
	ready  chan struct{} // closed when owner or err is there

	// written under Service.mu before ready is closed
	owner *Owner
	err   error

	// guarded by Service.mu
	attached map[string]bool
	users    int       // requests under way
	used     time.Time // when the last one ended
	linger   *time.Timer
	queued   bool // in Service.idle
}

// NewService opens the server's scope and serves requests.
func NewService(ctx context.Context, c ServiceConfig) (*Service, error) {
	s := &Service{
		config: c, budget: NewBudget(MaxBytes), rooms: map[string]*roomScope{}, held: map[string]bool{}, idle: datagram.NewQueue[*roomScope](), ending: map[string]chan struct{}{},
		wake: make(chan struct{}, 1), swept: make(chan struct{}),
	}
	s.ctx, s.end = context.WithCancel(context.Background())
	var err error
	if s.shelf, err = NewShelf(ctx, c.Log, c.MaxStored, c.Faulty, c.Logger); err != nil {
		return nil, err
	}
	if s.server, err = s.open(ctx, wire.ScopeServer, ""); err != nil {
		s.shelf.Close()
		return nil, err
	}
	if s.unserve, err = c.Bus.Serve(Subject, s.serve); err != nil {
		err = errors.Join(err, s.server.Close())
		s.shelf.Close()
		return nil, err
	}
	go s.sweep() // ends with ctx
	return s, nil
}

// Close ends all scopes, after what was accepted is stored.
func (s *Service) Close() error {
	s.unserve()
	s.mu.Lock()
	s.closed = true
	var all []*roomScope
	for _, r := range s.rooms {
		r.linger.Stop()
		all = append(all, r)
	}
	clear(s.rooms)
	var ending []chan struct{}
	for _, end := range s.ending {
		ending = append(ending, end)
	}
	s.mu.Unlock()
	s.end()
	<-s.swept
	for _, r := range all {
		if <-r.ready; r.err == nil {
			_ = r.owner.Close() // it has nothing to say
		}
	}
	for _, end := range ending {
		<-end
	}
	defer s.shelf.Close()
	return s.server.Close()
}

// Hold says that a room is there: its state stays, once there is some.
func (s *Service) Hold(room string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[room] = true
	if r := s.rooms[room]; r != nil {
		s.keep(r)
	}
}

// Release says that it has ended, and so does its state, unless somebody uses it, or has within the last Linger.
func (s *Service) Release(room string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.held[room] {
		return
	}
	delete(s.held, room)
	if r := s.rooms[room]; r != nil {
		s.linger(r)
	}
}

func (r *roomScope) unused() bool { return r.users == 0 && len(r.attached) == 0 }

// keep lets a scope stay that may have been about to end. The caller holds mu.
func (s *Service) keep(r *roomScope) {
	r.linger.Stop()
	if r.queued {
		s.idle.Remove(r.source, r)
		r.queued = false
	}
}

// linger lets the scope of a room end in time that nobody uses, or earlier for the sake of others, unless the room is held. The caller holds mu.
func (s *Service) linger(r *roomScope) {
	if s.over(r) && !s.closed && r.err == nil {
		s.idle.Add(r.source, r)
		r.queued = true
		r.linger.Reset(max(0, s.config.Linger-time.Since(r.used)))
	}
}

// Costly counts what was refused as rules would have had to look at too much.
func (s *Service) Costly() uint64 { return s.costly.Load() }

// Crowded counts requests that were refused as there were MaxScopes, and none that had to make way.
func (s *Service) Crowded() uint64 { return s.crowded.Load() }

// Unstored counts commits of durable records that could not be stored.
func (s *Service) Unstored() uint64 { return s.shelf.unstored.Load() }

// Stores tells whether durable records are stored now, as far as is known. Where they are not, writes of them are refused.
func (s *Service) Stores() bool { return !s.shelf.refuses() }

// may is Config.May, counted.
func (s *Service) may(scope wire.Scope, room string) func(state.Access) *wire.Error {
	may := s.config.May(scope, room)
	if may == nil {
		return nil
	}
	return func(a state.Access) *wire.Error {
		refused := may(a)
		if refused != nil && refused.Code == wire.CodeLimit {
			s.costly.Add(1)
		}
		return refused
	}
}

// Recheck asks Config.May anew for every scope, and ends what is not allowed any more. It is to be called after the rules have changed. It does
// not wait: what is asked of a scope after it has returned is judged by the new ones.
func (s *Service) Recheck() {
	s.mu.Lock()
	s.rules++
	rooms := maps.Clone(s.rooms)
	maps.DeleteFunc(rooms, func(_ string, r *roomScope) bool { return r.owner == nil }) // who opens them looks whether there are others
	s.mu.Unlock()
	s.server.Recheck(s.may(wire.ScopeServer, ""))
	for name, r := range rooms {
		r.owner.Recheck(s.may(wire.ScopeRoom, name))
	}
}

// logSubject is where a scope's commits are. What a client names is no token of it before it is encoded.
func logSubject(scope wire.Scope, room string) string {
	if scope == wire.ScopeServer {
		return "server"
	}
	return "r" + base64.RawURLEncoding.EncodeToString([]byte(room))
}

func (s *Service) open(ctx context.Context, scope wire.Scope, room string) (*Owner, error) {
	c := state.Config{Scope: scope, Durable: scope == wire.ScopeServer, May: s.may(scope, room), AcceptTime: s.config.AcceptTime, AnswerTime: s.config.AnswerTime}
	if _, err := io.ReadFull(s.config.Random, c.Seed[:]); err != nil {
		return nil, fmt.Errorf("seed scope: %w", err)
	}
	o := Config{State: c, Log: s.config.Log, Subject: logSubject(scope, room), Budget: s.budget, Shelf: s.shelf, Tell: s.tell, Logger: s.config.Logger}
	if scope == wire.ScopeRoom && s.config.Note != nil {
		o.Note = func(typ string, body []byte) { s.config.Note(room, typ, body) }
	}
	if scope == wire.ScopeRoom && s.config.Loaded != nil {
		o.Loaded = func(changes []state.LastChange) { s.config.Loaded(room, changes) }
	}
	return Open(ctx, o)
}

// tell publishes one event, encoded once, to all its sessions.
func (s *Service) tell(e state.Tell, body []byte) {
	b := encodeEvent(0, e.Type, body)
	for _, session := range e.Sessions {
		if session != e.Except {
			s.publish(session, b)
		}
	}
}

// answer publishes the reply to a request of a session.
func (s *Service) answer(session string, request uint64, r state.Reply) {
	typ, body := r.Type, r.Body
	if r.Error != nil {
		typ, body = wire.TypeError, r.Error
	}
	s.publish(session, encodeEvent(request, typ, encode(body)))
}

func (s *Service) publish(session string, b []byte) {
	if err := s.config.Bus.Publish(SessionSubject(session), b); err != nil {
		s.config.Logger.Error("publish an event of state", "error", err)
	}
}

// encodeEvent writes an Event around a body that is encoded already.
func encodeEvent(reply uint64, typ string, body []byte) []byte {
	b := make([]byte, 0, len(body)+64)
	b = append(b, '{')
	if reply != 0 {
		b = append(strconv.AppendUint(append(b, `"reply":`...), reply, 10), ',')
	}
	b = append(strconv.AppendQuote(append(b, `"type":`...), typ), `,"body":`...)
	return append(append(b, body...), '}')
}

// DecodeEvent reads what was published to a session. Its body is a part of b, which all sessions that are told the same share.
func DecodeEvent(b []byte) (Event, error) {
	var e Event
	rest, ok := bytes.CutPrefix(b, []byte(`{"reply":`))
	if ok {
		digits, after, _ := bytes.Cut(rest, []byte{','})
		n, err := strconv.ParseUint(string(digits), 10, 64)
		if err != nil {
			return e, fmt.Errorf("event %.100q: %w", b, err)
		}
		e.Reply, rest = n, after
	} else {
		rest = bytes.TrimPrefix(b, []byte{'{'})
	}
	typ, body, ok := bytes.Cut(rest, []byte(`,"body":`)) // no type has a comma in it
	quoted, isType := bytes.CutPrefix(typ, []byte(`"type":`))
	text, err := strconv.Unquote(string(quoted))
	if !ok || !isType || err != nil || !bytes.HasSuffix(body, []byte{'}'}) {
		return e, fmt.Errorf("event %.100q is not what this package writes", b)
	}
	e.Type, e.Body = text, json.RawMessage(body[:len(body)-1])
	return e, nil
}

// serve carries out one request.
func (s *Service) serve(ctx context.Context, b []byte) []byte {
	r, err := requestOf(ctx, b)
	if err != nil {
		return encode(Answer{Error: wire.NewError(wire.CodeBadRequest, "the request cannot be understood", "see docs/protocol.md, section 18")})
	}
	scope, command, refused := read(ctx, r)
	if refused != nil {
		return encode(Answer{Error: refused})
	}
	owner, done, err := s.owner(ctx, scope, r)
	if errors.Is(err, ErrBusy) {
		return encode(busy())
	}
	if err != nil {
		return encode(Answer{Error: closedTo(err)})
	}
	defer done()
	if r.Reply != 0 && state.IsRequest(r.Type) {
		return asked(owner.Ask(ctx, command, r.wait(), func(reply state.Reply) { s.answer(r.By.Session, r.Reply, reply) }))
	}
	reply, err := owner.Do(ctx, command)
	switch {
	case errors.Is(err, ErrBusy):
		return encode(busy())
	case errors.Is(err, ErrUnderway):
		return encode(Answer{Error: Unfinished(r.Type)})
	case err != nil:
		return encode(Answer{Error: overloaded()})
	case reply.Error != nil:
		return encode(Answer{Error: reply.Error})
	case reply.Type == "":
		return taken
	}
	return encode(Answer{Type: reply.Type, Body: encode(reply.Body)})
}

// asked answers a request whose reply is among the session's events.
func asked(err error) []byte {
	switch {
	case err == nil:
		return taken
	case errors.Is(err, ErrBusy):
		return encode(busy())
	}
	return encode(Answer{Error: overloaded()})
}

func read(ctx context.Context, r Request) (wire.Scope, state.Command, *wire.Error) {
	r.By.Room = r.Room
	switch r.Type {
	case TypeAttach:
		return r.Scope, state.Attach{By: r.By, Node: r.Node}, nil
	case TypeDetach:
		return r.Scope, state.Detach{Session: r.By.Session}, nil
	case TypeReset:
		return r.Scope, state.Reset{Session: r.By.Session}, nil
	}
	if d, ok := ctx.Value(decodedKey{}).(*decoded); ok {
		return d.scope, d.command, nil
	}
	return state.Decode(r.By, r.Type, r.Body)
}

// requestOf is the request of a message.
func requestOf(ctx context.Context, b []byte) (Request, error) {
	if d, ok := ctx.Value(decodedKey{}).(*decoded); ok {
		return d.request, nil
	}
	return decodeRequest(b)
}

type decodedKey struct{}

// decoded is a request, and what its body says.
type decoded struct {
	request Request
	scope   wire.Scope
	command state.Command
}

// WithDecoded tells what the request says that ctx is for. The bus takes it along within this process, and it is not decoded again; on
// another node it is. Nobody uses the command afterwards.
func WithDecoded(ctx context.Context, r Request, scope wire.Scope, command state.Command) context.Context {
	return context.WithValue(ctx, decodedKey{}, &decoded{r, scope, command})
}

// closedTo tells why a scope cannot be opened.
func closedTo(err error) *wire.Error {
	if errors.Is(err, ErrDamaged) {
		return wire.NewError(wire.CodeInternal, "what is stored of the room's state is damaged, so that there is none", "tell whoever runs the server: its log says more")
	}
	if errors.Is(err, errCrowded) {
		return &wire.Error{
			Code: wire.CodeOverloaded, Message: "too many rooms have shared state on this server", Next: "try again when others have ended", RetrySeconds: retryAfter,
		}
	}
	return overloaded()
}

func overloaded() *wire.Error {
	return &wire.Error{Code: wire.CodeOverloaded, Message: "the scope cannot be asked now", Next: "try again later", RetrySeconds: retryAfter}
}

func busy() Answer {
	return Answer{Busy: true, Error: &wire.Error{
		Code: wire.CodeOverloaded, Message: "too much waits for the scope: the request was not begun", Next: "try again later", RetrySeconds: retryBusy,
	}}
}

// Repeats tells whether it does no harm to carry out a request of this type twice.
func Repeats(typ string) bool {
	switch typ {
	case wire.TypeRecordWrite, wire.TypeRecordDelete, wire.TypeEventPublish, wire.TypeRPCRequest, wire.TypeRPCAccept, wire.TypeRPCReject,
		wire.TypeRPCAnswer, wire.TypeListenReject:
		return false
	}
	return true
}

// Unfinished is told of a request of this type that may have been begun, and whose reply nobody waits for any more.
func Unfinished(typ string) *wire.Error {
	switch {
	case Repeats(typ):
		return overloaded()
	case typ == wire.TypeRPCRequest:
		return wire.NewError(wire.CodeTimeout, "the call has not ended in time: it is not known whether a provider carries it out", "ask again only for what may happen twice")
	}
	return wire.NewError(wire.CodeInternal, "there is no reply yet: it is not known whether the request is carried out", "read what is there, then ask again")
}

// owner finds a scope, or opens it, and holds it until done is called.
func (s *Service) owner(ctx context.Context, scope wire.Scope, by Request) (owner *Owner, done func(), err error) {
	if scope == wire.ScopeServer {
		return s.server, func() {}, nil
	}
	s.mu.Lock()
	r := s.rooms[by.Room]
	switch {
	case s.closed:
		s.mu.Unlock()
		return nil, nil, ErrClosed
	case r == nil && !s.makeRoom(by):
		s.mu.Unlock()
		s.crowded.Add(1)
		return nil, nil, errCrowded
	case r == nil:
		r = s.add(by.Room, by.By.Source)
	}
	r.users++
	switch by.Type {
	case TypeAttach:
		r.attached[by.By.Session] = true
	case TypeDetach:
		delete(r.attached, by.By.Session)
	}
	if r.err == nil {
		s.keep(r)
	}
	s.mu.Unlock()
	done = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		r.users--
		r.used = time.Now()
		s.linger(r)
	}
	if err = r.opened(ctx, by); err == nil {
		err = r.err
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return r.owner, done, nil
}

// add begins to open the scope of a room that has none. The caller holds mu.
func (s *Service) add(room string, source netip.Addr) *roomScope {
	r := &roomScope{name: room, source: source, ready: make(chan struct{}), attached: map[string]bool{}}
	r.linger = time.AfterFunc(s.config.Linger, func() { s.retire(r) })
	s.rooms[room] = r
	go s.openRoom(room, r, s.ending[room], s.rules) // ends when ready is closed
	return r
}

// opened waits until the scope is there, or has failed; if it has to, for as long as the request can.
func (r *roomScope) opened(ctx context.Context, by Request) error {
	select {
	case <-r.ready:
		return nil
	default:
	}
	var late <-chan time.Time
	if by.Reply != 0 {
		if !by.Patient {
			return ErrBusy
		}
		timer := time.NewTimer(BusyTime)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-r.ready:
		return nil
	case <-late:
		return ErrBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errCrowded = errors.New("there are MaxScopes, and none has to make way")

// makeRoom makes place for the scope of one more room, and reports whether there is some. Of scopes that nobody uses, whose rooms are not there, the
// one makes way that has not been used for longest, of the source that has most of them; not for the sake of that source, or of one that has as
// many, unless people are in the room. The caller holds mu.
func (s *Service) makeRoom(by Request) bool {
	if len(s.rooms) < MaxScopes {
		return true
	}
	source := by.By.Source
	if s.held[by.Room] {
		source = netip.Addr{}
	}
	r, ok := s.idle.Yields(source)
	if !ok || len(s.ending) >= maxEnding {
		return false
	}
	go s.finish(r, s.remove(r)) // ends when what is left is stored, or has failed
	return true
}

// openRoom loads a room's scope for those who wait for it, when the one before has ended.
func (s *Service) openRoom(room string, r *roomScope, before chan struct{}, rules uint64) {
	defer close(r.ready)
	if before != nil {
		<-before
	}
	ctx, cancel := context.WithTimeout(context.Background(), loadTime)
	defer cancel()
	owner, err := s.open(ctx, wire.ScopeRoom, room)
	s.mu.Lock()
	defer s.mu.Unlock()
	r.owner, r.err = owner, err
	switch {
	case err == nil && s.rules != rules: // they have changed meanwhile
		owner.Recheck(s.may(wire.ScopeRoom, room))
	case err != nil && s.rooms[room] == r:
		s.fail(r)
	}
}

// fail keeps why a scope could not be opened, for whoever asks meanwhile: it takes long to read as much again, to find the same. The caller holds mu.
func (s *Service) fail(r *roomScope) {
	s.keep(r)
	pause, next := openPause, "see that the disk of the data folder can be read"
	if errors.Is(r.err, ErrDamaged) {
		pause, next = damagedPause, "stop the server and put back a copy of the data folder"
	}
	s.config.Logger.Error("the state of a room cannot be opened; whoever asks for it is refused, and it is tried again after a while. What to do: "+next,
		"room", r.name, "after", pause, "error", r.err)
	r.linger = time.AfterFunc(pause, func() { s.forget(r) })
}

// forget lets a scope be opened again.
func (s *Service) forget(r *roomScope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rooms[r.name] == r {
		delete(s.rooms, r.name)
	}
}

// retire ends the scope of a room that nobody has used for a while, when what is stored of it is tidy.
func (s *Service) retire(r *roomScope) {
	s.mu.Lock()
	var end chan struct{}
	switch {
	case !s.over(r):
	case r.owner == nil || r.owner.Tidied():
		end = s.remove(r)
	default:
		s.untidy = append(s.untidy, r)
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	s.mu.Unlock()
	if end != nil {
		s.finish(r, end)
	}
}

// over tells whether a scope may end. The caller holds mu.
func (s *Service) over(r *roomScope) bool {
	return s.rooms[r.name] == r && r.unused() && !s.held[r.name]
}

// remove takes a scope out of the table. It is to be finished, and end closed then. The caller holds mu.
func (s *Service) remove(r *roomScope) (end chan struct{}) {
	s.keep(r)
	delete(s.rooms, r.name)
	end = make(chan struct{})
	s.ending[r.name] = end
	return end
}

func (s *Service) finish(r *roomScope, end chan struct{}) {
	if <-r.ready; r.err == nil {
		_ = r.owner.Close() // it has nothing to say
	}
	s.mu.Lock()
	if s.ending[r.name] == end { // else another one, which waits for this one, ends behind it
		delete(s.ending, r.name)
	}
	s.mu.Unlock()
	close(end)
}
