package signal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// bothScopes are those that a session belongs to.
var bothScopes = []wire.Scope{wire.ScopeRoom, wire.ScopeServer}

// share is a session's part in shared state. Without one, the node keeps none.
type share struct {
	// static after construction
	events bus.Subscription
	doors  map[wire.Scope]*door // one for each of bothScopes

	// atomic
	caller atomic.Pointer[state.Caller] // replaced where its grants change

	// owned by the session's loop
	lost uint64 // events.Lost() at the last event

	// guarded by Session.mu
	resets int // so often all that the session has in scopes was ended
}

// door is how a session gets into a scope. A scope may take long to open, or wait for a disk: the room and media do not wait for that.
type door struct {
	// static after construction
	asking chan struct{} // held by whoever asks the scope; capacity 1

	// guarded by Session.mu
	open  bool      // the scope was asked to let the session in, and takes requests: they go to it
	held  []waiting // requests until then, in their order
	bytes int       // of their bodies

	// guarded by asking
	left bool // it is over, and nothing lets it in again
}

func newDoor() *door { return &door{asking: make(chan struct{}, 1)} }

func (d *door) lock()   { d.asking <- struct{}{} }
func (d *door) unlock() { <-d.asking }

// tryLock reports false where somebody else asks.
func (d *door) tryLock() bool {
	select {
	case d.asking <- struct{}{}:
		return true
	default:
		return false
	}
}

// waiting is a request that waits at a door.
type waiting struct {
	id uint64
	*asked
}

// newShare begins a session's part: the queue of what scopes tell it.
func (s *Service) newShare(p *seat, source netip.Addr, identity string, grants wire.Grants) *share {
	if !s.config.State {
		return nil
	}
	events, err := s.config.Bus.Subscribe(scopes.SessionSubject(p.id), stateQueue)
	if err != nil {
		s.config.Log.Error("subscribe to a session's events of state", "error", err)
		return nil
	}
	by := state.Caller{Session: p.id, Identity: identity, Room: p.room, Grants: grants, Source: datagram.Source(source)}
	h := &share{events: events, doors: map[wire.Scope]*door{}}
	h.caller.Store(&by)
	for _, scope := range bothScopes {
		h.doors[scope] = newDoor()
	}
	return h
}

// by is who asks.
func (h *share) by() state.Caller { return *h.caller.Load() }

// regrant makes the session what it may do now in both scopes, which end what it may not do any more.
func (s *Session) regrant(g wire.Grants) {
	if s.share == nil || s.share.by().Grants == g {
		return
	}
	by := s.share.by()
	by.Grants = g
	s.share.caller.Store(&by)
	for _, scope := range bothScopes {
		s.service.running.Add(1) // the loop is counted too
		go func() {              // ends when the scope has answered, or not in requestTime
			defer s.service.running.Done()
			defer s.surviveAside()
			_, _ = s.service.letIn(&s.seat, s.share, scope) // where it does not answer, it does this before all else
		}()
	}
}

// enterState makes the session present in both scopes, without waiting for them. The session is among those that Service.Close waits for.
func (s *Session) enterState() {
	if s.share == nil {
		return
	}
	for scope, d := range s.share.doors {
		s.service.running.Add(1)
		go s.enterScope(scope, d) // ends when the scope has answered, or not in requestTime, and what waited for that was asked
	}
}

// enterScope makes the session present in a scope, then asks what its client has asked meanwhile. Where the scope does not answer, that is
// refused, and it is tried again with the next request.
func (s *Session) enterScope(scope wire.Scope, d *door) {
	defer s.service.running.Done()
	defer s.surviveAside()
	_, refused := s.service.letIn(&s.seat, s.share, scope)
	s.passHeld(d, refused)
}

// shut keeps a request, which is noted, and what comes after it at the door: its scope takes nothing now. The room and media do not wait for that.
func (s *Session) shut(id uint64, a *asked) *wire.Error {
	d := s.share.doors[a.scope]
	s.mu.Lock()
	d.open = false
	s.mu.Unlock()
	_, refused := s.hold(id, a)
	s.service.running.Add(1) // the attachment that asks is counted too
	go func() {              // ends when the scope has taken what waits, or has not in BusyTime
		defer s.service.running.Done()
		defer s.surviveAside()
		s.passHeld(d, nil)
	}()
	return refused
}

// surviveAside is to be deferred by goroutines that work for the session beside its loop.
func (s *Session) surviveAside() {
	if fault := recover(); fault != nil {
		s.service.report(fault)
		s.broken.Store(true)
		nudge(s.wake)
	}
}

// passHeld asks what waits at a door, until nothing does, and opens it.
func (s *Session) passHeld(d *door, refused *wire.Error) {
	for held := s.unhold(d); len(held) > 0; held = s.unhold(d) {
		refused = s.passAll(held, refused)
	}
}

// passAll asks what has waited at a door, in its order. Where the scope does not take one in time, those behind it have waited as long, and are refused,
// as are those that have come meanwhile.
func (s *Session) passAll(held []waiting, refused *wire.Error) *wire.Error {
	for _, w := range held {
		began := time.Now()
		err := s.pass(w, refused)
		if err != nil {
			s.answerState(w.id, refusal(w.id, err), err)
		}
		if err != nil && time.Since(began) >= scopes.BusyTime {
			refused = overloaded("shared state does not take requests now")
		}
	}
	return refused
}

// pass asks what has waited at a door, unless it was given up, or is refused.
func (s *Session) pass(w waiting, refused *wire.Error) *wire.Error {
	s.mu.Lock()
	given := s.over || s.underway[w.id] != w.asked
	if !given && refused != nil {
		s.forgetAsked(w.id)
	}
	s.mu.Unlock()
	if given { // it was answered
		return nil
	}
	if refused != nil {
		return refused
	}
	_, refused = s.request(w.id, w.asked, true)
	return refused
}

// hold keeps a request, which is noted, where the scope has not been asked to let the session in, or says that too much waits for that.
func (s *Session) hold(id uint64, a *asked) (held bool, refused *wire.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.share.doors[a.scope]
	switch {
	case d.open:
		return false, nil
	case len(d.held) > 0 && d.bytes+len(a.body) > MaxHeldBytes:
		s.forgetAsked(id)
		return false, overloaded("shared state does not answer yet, and much of this session waits for it")
	}
	d.held = append(d.held, waiting{id, a})
	d.bytes += len(a.body)
	return true, nil
}

// unhold returns what has waited, or opens the door where nothing has.
func (s *Session) unhold(d *door) []waiting {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := d.held
	d.held, d.bytes, d.open = nil, 0, len(held) == 0
	return held
}

// leaveState ends the session's part. It may be called more than once.
func (s *Service) leaveState(p *seat, h *share) {
	if h == nil {
		return
	}
	h.events.Close()
	for _, scope := range bothScopes {
		d := h.doors[scope]
		d.lock() // behind a request that is letting it in
		d.left = true
		d.unlock()
		s.scopeRequest(p, h, scopes.Request{Scope: scope, Type: scopes.TypeDetach})
	}
}

// letIn attaches a session to a scope, and reports whether it asked for that: not where the session is over, whose client may still ask over
// its old socket.
func (s *Service) letIn(p *seat, h *share, scope wire.Scope) (bool, *wire.Error) {
	d := h.doors[scope]
	d.lock()
	defer d.unlock()
	if d.left {
		return false, nil
	}
	return true, s.scopeRequest(p, h, scopes.Request{Scope: scope, Type: scopes.TypeAttach})
}

// scopeRequest asks for something that has no answer, and logs where it could not be done.
func (s *Service) scopeRequest(p *seat, h *share, r scopes.Request) *wire.Error {
	_, refused := s.askScope(p, h, r)
	if refused != nil {
		s.config.Log.Error("ask shared state to "+r.Type, "error", refused)
	}
	return refused
}

// askScope sends a request to a scope. Like ask, it does not end with a socket.
func (s *Service) askScope(p *seat, h *share, r scopes.Request) (scopes.Answer, *wire.Error) {
	r.Room, r.By = p.room, h.by()
	return s.askScopeIn(context.Background(), r)
}

func (s *Service) askScopeIn(ctx context.Context, r scopes.Request) (scopes.Answer, *wire.Error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	return s.request(ctx, r)
}

func (s *Service) request(ctx context.Context, r scopes.Request) (scopes.Answer, *wire.Error) {
	b, err := s.config.Bus.Request(ctx, scopes.Subject, r.Encode())
	if errors.Is(err, bus.ErrNoResponders) {
		return scopes.Answer{}, noState()
	}
	var a scopes.Answer
	if err == nil {
		a, err = scopes.DecodeAnswer(b)
	}
	switch {
	case err != nil && ctx.Err() != nil && state.IsRequest(r.Type): // it may have been begun
		return scopes.Answer{}, scopes.Unfinished(r.Type)
	case err != nil:
		return scopes.Answer{}, s.fault("ask shared state to "+r.Type, err)
	}
	return a, a.Error
}

func noState() *wire.Error {
	return wire.NewError(wire.CodeUnsupported, "this server does not keep shared state", "start it without --no-state")
}

// asked is a request of state whose reply has not come.
type asked struct {
	typ   string
	body  json.RawMessage
	scope wire.Scope
	again bool // asked once more, as the scope did not know the session
	after int  // share.resets when it was sent
	sent  bool
	// owned by who sends it
	command state.Command // what body says, until it is sent
}

// writes tells whether the request changes a record, so that its reply may wait for a disk.
func (a *asked) writes() bool { return a.typ == wire.TypeRecordWrite || a.typ == wire.TypeRecordDelete }

// reads tells whether the reply may have as much as wire.MaxBulkBytes in it.
func (a *asked) reads() bool {
	switch a.typ {
	case wire.TypeRecordRead, wire.TypeRecordSubscribe, wire.TypePresenceRead, wire.TypePresenceSubscribe, wire.TypeLogRead:
		return true
	}
	return false
}

// askState begins a request of state. The reply comes among what the scope tells, so that the next request need not wait for it.
func (s *Session) askState(a *Attachment, r wire.Request) {
	if refused := s.begin(a, r); refused != nil {
		s.answerState(r.ID, refusal(r.ID, refused), refused)
	}
}

func (s *Session) begin(a *Attachment, r wire.Request) *wire.Error {
	if s.share == nil {
		return noState()
	}
	scope, command, refused := state.Decode(s.share.by(), r.Type, r.Body)
	if refused == nil {
		refused = s.paceState(state.Cost(command) - 1)
	}
	asks := &asked{typ: r.Type, body: r.Body, scope: scope, command: command}
	if refused == nil && asks.reads() && !s.waitForRoom(a) {
		return nil // whoever resumes the session repeats it
	}
	if refused == nil {
		refused = s.note(r.ID, asks)
	}
	if refused != nil {
		return refused
	}
	if held, refused := s.hold(r.ID, asks); held || refused != nil {
		return refused
	}
	busy, refused := s.request(r.ID, asks, false)
	if busy {
		return s.shut(r.ID, asks)
	}
	return refused
}

// request sends a request that is noted to its scope. It reports busy where the scope takes nothing now; a patient one waits for that.
func (s *Session) request(id uint64, a *asked, patient bool) (busy bool, refused *wire.Error) {
	r := scopes.Request{Room: s.seat.room, By: s.share.by(), Type: a.typ, Body: a.body, Reply: id, Patient: patient}
	ctx := scopes.WithDecoded(context.Background(), r, a.scope, a.command)
	if busy, refused = s.send(ctx, a.scope, r); busy && !patient {
		return busy, refused
	}
	a.command = nil
	if refused != nil {
		s.mu.Lock()
		s.forgetAsked(id)
		s.mu.Unlock()
	}
	return busy, refused
}

// send asks for something that is noted, as r.Reply. No reset comes in between.
func (s *Session) send(ctx context.Context, scope wire.Scope, r scopes.Request) (busy bool, refused *wire.Error) {
	d := s.share.doors[scope]
	if r.Patient {
		d.lock()
	} else if !d.tryLock() {
		return true, overloaded("shared state does not take requests now")
	}
	defer d.unlock()
	s.sent(r.Reply, true)
	answer, refused := s.service.askScopeIn(ctx, r)
	if answer.Busy {
		s.sent(r.Reply, false)
	}
	return answer.Busy, refused
}

// sent notes that a request was sent, or was not.
func (s *Session) sent(id uint64, sent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.underway[id]; a != nil {
		a.sent, a.after = sent, s.share.resets
	}
}

// waitForRoom waits until what one more reading may answer fits the outbox, so that nobody becomes a slow reader by what he asked for. It
// reports false where the socket is lost before.
func (s *Session) waitForRoom(a *Attachment) bool {
	for {
		s.mu.Lock()
		fits := s.over || s.fits(wire.MaxBulkBytes)
		s.mu.Unlock()
		if fits {
			return true
		}
		select {
		case <-s.emptied:
		case <-a.open.Done():
			return false
		}
	}
}

// fits tells whether there is room in the outbox for so many bytes, beside what the readings under way may answer. The caller holds mu.
func (s *Session) fits(bytes int) bool {
	return s.outbox.waitingBytes+s.reading*wire.MaxBulkBytes+bytes <= MaxWaitingBytes
}

// note keeps in mind what is asked, unless that is too much.
func (s *Session) note(id uint64, a *asked) *wire.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case a.writes() && s.writes >= wire.MaxWritesUnderway:
		return wire.NewError(wire.CodeLimit, fmt.Sprintf("%d writes of this session have no reply yet", wire.MaxWritesUnderway), "wait for some of them")
	case len(s.underway) >= MaxStateUnderway:
		return overloaded("too many requests of this session have no reply yet")
	}
	s.underway[id] = a
	s.weigh(a, 1)
	return nil
}

// forgetAsked takes a request off those that are under way, and returns it. The caller holds mu.
func (s *Session) forgetAsked(id uint64) *asked {
	a := s.underway[id]
	delete(s.underway, id)
	if a != nil {
		s.weigh(a, -1)
	}
	return a
}

// weigh counts a request among those that are under way, or takes it off. The caller holds mu.
func (s *Session) weigh(a *asked, n int) {
	switch {
	case a.writes():
		s.writes += n
	case a.reads():
		s.reading += n
		nudge(s.emptied)
	}
}

// stateReply passes on the reply to a request. Who is not attached, as the scope has been opened anew, is attached, and asks again, behind whoever asks
// meanwhile.
func (s *Session) stateReply(e scopes.Event) {
	var refused *wire.Error
	if e.Type == wire.TypeError {
		refused = &wire.Error{}
		if err := json.Unmarshal(e.Body, refused); err != nil {
			refused = s.service.fault("read a refusal of state", err)
		}
	}
	s.mu.Lock()
	a := s.underway[e.Reply]
	again := a != nil && refused != nil && refused.Code == wire.CodeSessionExpired && !a.again
	if again {
		a.again = true
	}
	s.mu.Unlock()
	answer := entry{reply: e.Reply, typ: e.Type, body: e.Body}
	if again {
		again, _ = s.service.letIn(&s.seat, s.share, a.scope)
	}
	if again {
		r := scopes.Request{Room: s.seat.room, By: s.share.by(), Type: a.typ, Body: a.body, Reply: e.Reply, Patient: true}
		if _, refused = s.send(context.Background(), a.scope, r); refused == nil {
			return
		}
		answer = refusal(e.Reply, refused)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statePace.owe(state.ReplyCost(len(answer.body)))
	if refused != nil && refused.Current != nil && !s.fits(len(answer.body)) { // several times a large record: not all writes can be told of it at once
		refused = overloaded("the write was not carried out, and too much waits for this client to tell it the record that is there")
		answer = refusal(e.Reply, refused)
	}
	if s.forgetAsked(e.Reply) != nil { // else it was given up
		answer.asked = true
		s.answerLocked(e.Reply, answer, refused) // at once: whoever waits for room is to see it under way, or waiting for the socket
	}
}

// answerState is answer, of a request of state.
func (s *Session) answerState(id uint64, e entry, refused *wire.Error) {
	e.asked = true
	s.answer(id, e, refused)
}

// any and subscribes are what giveUp is about: all, or what a reset has ended.
func (a *asked) any() bool { return true }

func (a *asked) subscribes() bool {
	switch a.typ {
	case wire.TypeRecordSubscribe, wire.TypeEventSubscribe, wire.TypePresenceSubscribe, wire.TypeRPCProvide, wire.TypeListen:
		return true
	}
	return false
}

// giveUp answers what was sent before the last reset, as replies may have been lost, or say what is not so any more.
func (s *Session) giveUp(about func(*asked) bool) {
	s.mu.Lock()
	all := maps.Clone(s.underway)
	maps.DeleteFunc(all, func(_ uint64, a *asked) bool { return !a.sent || a.after == s.share.resets || !about(a) })
	for id := range all {
		s.forgetAsked(id)
	}
	s.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(all)) {
		refused := wire.NewError(wire.CodeInternal, "the reply was lost: it is not known whether the request was carried out", "read what is there")
		if scopes.Repeats(all[id].typ) {
			refused = overloaded("the reply was lost, or what was subscribed to has ended")
		}
		s.answerState(id, refusal(id, refused), refused)
	}
}

// logged reads the room's log, which has an order of its own.
func (s *Session) logged(r wire.Request) (entry, *wire.Error) {
	refused := noState()
	if s.share != nil {
		refused = s.paceState(logCost - 1)
	}
	var typ string
	var body json.RawMessage
	if refused == nil {
		ctx, cancel := context.WithTimeout(context.Background(), requestTime)
		defer cancel()
		by := s.share.by()
		by.Session = ""
		typ, body, refused = s.service.readLog(ctx, s.seat.room, by, r.Body)
	}
	if refused != nil {
		return refusal(r.ID, refused), refused
	}
	s.mu.Lock()
	s.statePace.owe(state.ReplyCost(len(body)))
	s.mu.Unlock()
	return entry{reply: r.ID, typ: typ, body: body}, nil
}

// paceState takes what a request costs from the allowance of requests of state.
func (s *Session) paceState(cost int) *wire.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.statePace.take(time.Now(), cost, wire.MaxStateBurst, wire.StateRequestsPerSecond) {
		return nil
	}
	s.service.counts.tooFast.Add(1)
	return &wire.Error{
		Code: wire.CodeRate, Message: fmt.Sprintf("more than %d requests of state a second", wire.StateRequestsPerSecond),
		Next: "send fewer, and put several operations into one write", RetrySeconds: 1,
	}
}

// stateReady receives when scopes have told something; nil, from which nothing comes, where there are none.
func (s *Session) stateReady() <-chan struct{} {
	if s.share == nil {
		return nil
	}
	return s.share.events.Ready()
}

// stateEvent takes one message of a scope.
func (s *Session) stateEvent(b []byte) {
	e, err := scopes.DecodeEvent(b)
	if err != nil {
		s.service.config.Log.Error("read an event of state", "error", err)
		return
	}
	if e.Reply != 0 {
		s.stateReply(e)
	}
	if s.share.events.Lost() != s.share.lost {
		s.resetState()
		for _, scope := range bothScopes {
			s.emit(entry{typ: wire.TypeStateLost, body: encode(wire.StateLost{Scope: scope})})
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Reply == 0 && !s.over && s.resync != wanted { // a resync ends what this is about
		s.add(entry{typ: e.Type, body: e.Body})
	}
}

// resetState ends all that the session has in both scopes, and forgets what they have told of it, apart from replies.
func (s *Session) resetState() {
	if s.share == nil {
		return
	}
	replies, lost := s.resetScopes()
	for _, e := range replies {
		s.stateReply(e)
	}
	if lost {
		s.giveUp((*asked).any)
		return
	}
	s.giveUp((*asked).subscribes) // a reply that waits for a disk would come after what says that they have ended
}

// resetScopes asks both scopes at once, while nothing else does, and returns the replies among what they have told until then, and whether
// some of that was lost.
func (s *Session) resetScopes() (replies []scopes.Event, lost bool) {
	for _, scope := range bothScopes {
		d := s.share.doors[scope]
		d.lock()
		defer d.unlock()
	}
	var asking sync.WaitGroup
	for _, scope := range bothScopes {
		asking.Go(func() { // ends when the scope has answered, or not in requestTime
			defer s.surviveAside()
			s.service.scopeRequest(&s.seat, s.share, scopes.Request{Scope: scope, Type: scopes.TypeReset})
		})
	}
	asking.Wait()
	for b, ok := s.share.events.Next(); ok; b, ok = s.share.events.Next() {
		if e, err := scopes.DecodeEvent(b); err == nil && e.Reply != 0 {
			replies = append(replies, e)
		}
	}
	n := s.share.events.Lost()
	lost, s.share.lost = n != s.share.lost, n
	s.mu.Lock()
	s.share.resets++
	s.mu.Unlock()
	return replies, lost
}
