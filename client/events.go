package client

import (
	"context"
	"encoding/json"

	"github.com/parley-rtc/parley/wire"
)

// Event is one that somebody has published.
type Event struct {
	Name  string
	Value json.RawMessage // nil: there is none
	From  string          // identity; empty: the server
	// Missed is how many events of the name before this one the function was not called with, as too many calls waited: see MaxWaitingCalls.
	Missed int
}

// Publish tells all who are subscribed to the name, but this client. A nil value is none. It returns when the server has it, whether anybody is
// there or not.
func (s *State) Publish(ctx context.Context, name string, value any) error {
	b, err := payload("event", value, wire.MaxEventBytes)
	if err != nil {
		return err
	}
	_, err = s.room.request(ctx, wire.TypeEventPublish, wire.EventPublish{Scope: s.scope, Name: name, Value: b})
	return err
}

// subscriber is one use of Subscribe.
type subscriber struct {
	event func(Event)
	ended func(error)
}

// Subscribe calls fn with each event of the name, until stop is called. It returns when the subscription stands, which is kept while the
// connection is lost. Unless ended is nil, it is called when the subscription has ended otherwise: it is not allowed any more, or the room is over.
func (s *State) Subscribe(ctx context.Context, name string, fn func(Event), ended func(error)) (stop func(), err error) {
	return s.topics.use(ctx, name, subscriber{fn, ended})
}

func (s *State) published(e wire.EventPublished) {
	for _, u := range s.topics.of(e.Name) {
		u.tell(s.room.calls, func(x subscriber, missed int) { x.event(Event{e.Name, e.Value, e.From, missed}) })
	}
}
