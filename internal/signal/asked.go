package signal

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

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
