package signal

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// roomRequests are the requests of clients that go to the room as they are. The room has others, which are signalling's own.
var roomRequests = []string{
	wire.TypeLeave, wire.TypeOffer, wire.TypeUnpublish, wire.TypeSubscribe, wire.TypeSlotReady, wire.TypeMute, wire.TypeUpdate,
	wire.TypeChat, wire.TypeKick,
}

// receive carries out one request of the client, or answers why it cannot even be read. It runs on the read goroutine of a.
func (s *Session) receive(a *Attachment, r wire.Request, refused *wire.Error) error {
	s.service.counts.requests.Add(1)
	s.heard(time.Now())
	shared := refused == nil && (state.IsRequest(r.Type) || r.Type == wire.TypeLogRead)
	if !shared && !s.inPace() { // requests of state have an allowance of their own
		s.service.counts.tooFast.Add(1)
		s.emit(refusal(r.ID, &wire.Error{
			Code: wire.CodeRate, Message: fmt.Sprintf("more than %d requests a second", RequestsPerSecond),
			Next: "send fewer, and put several publications into one subscribe", RetrySeconds: 1,
		}))
		return a.over()
	}
	if refused != nil {
		s.service.counts.malformed.Add(1)
		s.emit(refusal(r.ID, refused))
		return a.over()
	}
	if r.Type == wire.TypePing {
		s.emit(entry{reply: r.ID, typ: wire.TypeOK})
		return a.over()
	}
	// A request of the socket before may still be under way. It is soon over: ask has a time limit.
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.repeated(r.ID, shared) {
		s.service.counts.repeated.Add(1)
		return a.over()
	}
	if shared {
		if refused = s.paceState(1); refused != nil { // also of what is refused; what it costs beyond follows when it is read
			s.emit(refusal(r.ID, refused))
			return a.over()
		}
	}
	if shared && r.Type != wire.TypeLogRead {
		s.askState(a, r)
		return a.over()
	}
	if shared && s.share != nil && !s.waitForRoom(a) {
		return a.over() // as in begin
	}
	e, refused := s.perform(a, r)
	s.answer(r.ID, e, refused)
	if r.Type == wire.TypeLeave && e.typ == wire.TypeOK {
		s.mu.Lock()
		s.left = true
		s.mu.Unlock()
		nudge(s.wake)
	}
	return a.over()
}

// answer sends the reply to a request, and keeps it in case the request is repeated.
func (s *Session) answer(id uint64, e entry, refused *wire.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answerLocked(id, e, refused)
}

func (s *Session) answerLocked(id uint64, e entry, refused *wire.Error) {
	if refused == nil || refused.Code != wire.CodeRate { // what came too early may be carried out when it is repeated
		s.replies.put(time.Now(), id, e)
	}
	if !s.over {
		s.add(e)
	}
}

func refusal(request uint64, err *wire.Error) entry {
	return entry{reply: request, typ: wire.TypeError, body: encode(err)}
}

func (s *Session) inPace() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pace.take(time.Now(), 1, MaxRequestBurst, RequestsPerSecond)
}

// repeated answers a request again that was answered before. One that is under way is answered when it is done.
func (s *Session) repeated(id uint64, shared bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.replies.get(time.Now(), id)
	if shared && (ok || s.underway[id] != nil) {
		s.statePace.owe(1) // it is never refused: who hears "rate" takes it for not carried out, and would ask under another id
	}
	if ok && !s.over {
		s.add(e)
	}
	return ok || s.underway[id] != nil
}

// perform asks the room. The entry is the answer, also where it is a refusal.
func (s *Session) perform(a *Attachment, r wire.Request) (entry, *wire.Error) {
	if r.Type == wire.TypeLogRead {
		return s.logged(r)
	}
	if err := s.permit(r); err != nil {
		return refusal(r.ID, err), err
	}
	reply, err := s.service.ask(s.seat.room, rooms.Request{Session: s.id, Source: a.source, Type: r.Type, Body: r.Body})
	if err != nil {
		if err.Code == wire.CodeSessionExpired {
			s.expire()
		}
		return refusal(r.ID, err), err
	}
	return entry{reply: r.ID, typ: reply.Type, body: reply.Body}, nil
}

// expire ends a session that its room does not know any more.
func (s *Session) expire() {
	s.mu.Lock()
	s.expired = true
	s.mu.Unlock()
	nudge(s.wake)
}

// permit refuses what the token does not allow and the room does not know of.
func (s *Session) permit(r wire.Request) *wire.Error {
	c := s.seat.permit
	switch {
	case !slices.Contains(roomRequests, r.Type):
		return wire.NewError(wire.CodeBadRequest, "there is no request of type "+printable(r.Type), "see docs/protocol.md, section 15.1")
	case r.Type == wire.TypeUpdate && !c.UpdateOwn:
		return wire.NewError(wire.CodeForbidden, "the token does not have canUpdateOwnMetadata", "get a token that has it")
	}
	return nil
}

// decodeEvent reads what a room publishes.
func decodeEvent(b []byte) (rooms.Event, error) {
	var e rooms.Event
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("decode event: %w", err)
	}
	return e, nil
}
