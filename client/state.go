package client

import (
	"context"
	"encoding/json"
	"time"

	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// State is what applications share: of a room, or of the server. What is subscribed to or provided is kept while the connection is lost.
type State struct {
	// static after construction
	room  *Room
	scope wire.Scope // empty: the room's

	// guarded by the Room's mu
	records  *records
	topics   *names[subscriber]
	provided *names[Provider]
	rpcs     *rpcs
	patterns map[pattern]*listening
	presence *presence
}

func newState(r *Room, scope wire.Scope) *State {
	s := &State{room: r, scope: scope, patterns: map[pattern]*listening{}}
	s.records = &records{state: s, open: map[string]*core{}}
	s.topics = &names[subscriber]{
		state: s, kept: map[string]*kept[subscriber]{}, add: wire.TypeEventSubscribe, remove: wire.TypeEventUnsubscribe,
		ended: func(x subscriber) func(error) { return x.ended },
	}
	s.provided = &names[Provider]{
		state: s, kept: map[string]*kept[Provider]{}, add: wire.TypeRPCProvide, remove: wire.TypeRPCUnprovide,
		ended: func(p Provider) func(error) { return p.Ended },
	}
	s.rpcs = &rpcs{state: s, open: map[uint64]*openCall{}}
	s.presence = &presence{state: s}
	return s
}

// RecordOptions of a record that is opened. Whoever has opened it first in this Room has decided them.
type RecordOptions struct {
	// Merge: what becomes of a write that met another version.
	Merge Merge
	// Durable: stored, if this client creates the record; nil: in the server's scope.
	Durable *bool
	// TTLSeconds and History of the record, if this client creates it; not of one that somebody else created: see WriteOptions.
	TTLSeconds, History *int
}

// Record follows a record, whether it exists or not. It returns when the record is here.
func (s *State) Record(ctx context.Context, name string, o RecordOptions) (*Record, error) {
	c, err := s.records.use(ctx, name, o)
	if err != nil {
		return nil, err
	}
	return newRecord(c), nil
}

// List follows a list, whether it exists or not. It returns when the list is here.
func (s *State) List(ctx context.Context, name string, o RecordOptions) (*List, error) {
	c, err := s.records.use(ctx, name, o)
	if err != nil {
		return nil, err
	}
	return newList(c), nil
}

// Read reads a record, or what is at a path in it, once; nil: nothing is there.
func (s *State) Read(ctx context.Context, name, path string) (json.RawMessage, error) {
	st, err := s.read(ctx, wire.RecordWanted{Name: name, Path: path})
	if codeOf(err) == wire.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return st.Value, nil
}

// Head asks for a record's version, and when it expires (zero: never); version 0: there is no such record.
func (s *State) Head(ctx context.Context, name string) (version uint64, expires time.Time, err error) {
	st, err := s.read(ctx, wire.RecordWanted{Name: name, Head: true})
	switch {
	case codeOf(err) == wire.CodeNotFound:
		return 0, expires, nil
	case err != nil:
		return 0, expires, err
	case st.Expires != nil:
		expires = *st.Expires
	}
	return st.Version, expires, nil
}

func (s *State) read(ctx context.Context, wanted wire.RecordWanted) (*wire.RecordState, error) {
	results, err := s.readAll(ctx, wanted)
	if err != nil {
		return nil, err
	}
	return recordOf(results[0])
}

func recordOf(result wire.RecordResult) (*wire.RecordState, error) {
	switch {
	case result.Error != nil:
		return nil, result.Error
	case result.Record == nil:
		return nil, wire.NewError(wire.CodeInternal, "the server did not say what the record is", "")
	}
	return result.Record, nil
}

// readAll reads records once. What one request may not ask for together with the others is asked for again.
func (s *State) readAll(ctx context.Context, wanted ...wire.RecordWanted) ([]wire.RecordResult, error) {
	results := make([]wire.RecordResult, len(wanted))
	rest := make([]int, len(wanted)) // places of those that are asked for
	for i := range rest {
		rest[i] = i
	}
	for {
		ask := wire.RecordRead{Scope: s.scope}
		for _, i := range rest {
			ask.Records = append(ask.Records, wanted[i])
		}
		m, err := s.request(ctx, wire.TypeRecordRead, ask)
		if err != nil {
			return nil, err
		}
		body, err := decode[wire.Records](m)
		if err != nil {
			return nil, err
		}
		asked := rest
		rest = nil
		for at, i := range asked {
			results[i] = resultOf(body, at)
			if codeOf(refusal(results[i].Error)) == wire.CodeLimit {
				rest = append(rest, i)
			}
		}
		if len(rest) == 0 || len(rest) == len(asked) { // each alone is too much
			return results, nil
		}
	}
}

// request asks, again while the server says that it is too much at once, and waits for the reply.
func (s *State) request(ctx context.Context, typ string, body any) (wire.Message, error) {
	for attempt := 0; ; attempt++ {
		m, err := s.room.request(ctx, typ, body)
		if !crowded(err) || isLost(err) { // a room that has ended says what it was refused last
			return m, err
		}
		timer := time.NewTimer(pauseOf(err, attempt))
		select {
		case <-timer.C:
		case <-s.room.session.life.Done():
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return m, ctx.Err()
		}
	}
}

// ask asks the server. The caller holds mu; done is called under it.
func (s *State) ask(typ string, body any, done func(wire.Message, error)) {
	s.room.session.ask(typ, body, done)
}

func ignore(wire.Message, error) {}

// insist asks again, later, while the server says that it is too much at once. The body is made anew each time; nil: nothing is asked any more.
// done is not called after that, nor after the end of the room's session.
func (s *State) insist(typ string, body func() any, done func(wire.Message, error)) {
	s.persist(typ, body, crowded, 0, done)
}

// keep does the same for what is kept until somebody ends it: nothing that passes is its end.
func (s *State) keep(typ string, body func() any, done func(wire.Message, error)) {
	s.persist(typ, body, func(err error) bool { return codeOf(err) != "" && passing(err) }, 0, done)
}

func (s *State) persist(typ string, body func() any, passes func(error) bool, attempt int, done func(wire.Message, error)) {
	now := body()
	if now == nil {
		return
	}
	s.ask(typ, now, func(m wire.Message, err error) {
		if passes(err) && s.room.session.state != Ended {
			s.room.later(pauseOf(err, attempt), func() { s.persist(typ, body, passes, attempt+1, done) })
			return
		}
		done(m, err)
	})
}

// restored tells whether what is kept over lost sessions will be asked for again in the next one.
func (s *State) restored(err error) bool { return isLost(err) && s.room.session.state != Ended }

// What the Room tells. The caller holds mu.

func (s *State) connection(c Connection, why error) {
	switch c {
	case Resuming:
		s.records.part()
	case Rejoining:
		s.lose()
	case Ended:
		s.records.end(why)
		s.topics.end(why)
		s.provided.end(why)
		s.rpcs.lose(why)
		s.endListeners(why)
		s.presence.end(why)
	}
}

// lose: the server has forgotten this session.
func (s *State) lose() {
	s.records.lose()
	s.rpcs.lose(ErrConnection)
	s.loseListeners()
}

// restore makes all subscriptions again: the server has forgotten them.
func (s *State) restore() {
	s.lose()
	s.records.restore()
	s.topics.restore()
	s.provided.restore()
	s.restoreListeners()
	s.presence.restore()
}

func (s *State) event(m wire.Message) {
	switch m.Type {
	case wire.TypeRecordChanged:
		scoped(m, func(e wire.RecordChanged) { s.withCore(e.Name, func(c *core) { c.changed(e) }) })
	case wire.TypeRecordDeleted:
		scoped(m, func(e wire.RecordDeleted) { s.withCore(e.Name, func(c *core) { c.deleted(e) }) })
	case wire.TypeRecordProvided:
		scoped(m, func(e wire.RecordProvided) { s.withCore(e.Name, func(c *core) { c.provide(e.Provided) }) })
	case wire.TypeEventPublished:
		scoped(m, s.published)
	case wire.TypeRPCCall:
		scoped(m, s.rpcs.called)
	case wire.TypeRPCResult:
		scoped(m, s.rpcs.result)
	case wire.TypeListenStart:
		scoped(m, s.listenStarted)
	case wire.TypeListenStop:
		scoped(m, s.listenStopped)
	case wire.TypePresenceJoined:
		scoped(m, func(e wire.PresenceJoined) { s.presence.is(e.Identity, true) })
	case wire.TypePresenceLeft:
		scoped(m, func(e wire.PresenceLeft) { s.presence.is(e.Identity, false) })
	case wire.TypeStateUnsubscribe:
		scoped(m, s.unsubscribed)
	case wire.TypeStateLost:
		s.restore()
	}
}

// scoped applies an event. One that cannot be read is of a server that speaks another protocol.
func scoped[T any](m wire.Message, apply func(T)) {
	if e, err := decode[T](m); err == nil {
		apply(e)
	}
}

func (s *State) withCore(name string, f func(*core)) {
	if c := s.records.open[name]; c != nil {
		f(c)
	}
}

// unsubscribed: the rules do not allow something any more.
func (s *State) unsubscribed(e wire.StateUnsubscribed) {
	err := refusal(e.Error)
	if err == nil {
		err = ErrClosed
	}
	switch e.Kind {
	case wire.SubscribedRecord:
		if e.Path == "" {
			s.records.drop(e.Name, err)
		}
	case wire.SubscribedEvent:
		s.topics.drop(e.Name, err)
	case wire.ProvidedRPC:
		s.provided.drop(e.Name, err)
	case wire.SubscribedPresence:
		s.presence.unsubscribed(e.Name, err)
	case wire.ListenedRecord:
		s.endListener(pattern{wire.ListenRecords, e.Name}, err)
	case wire.ListenedEvent:
		s.endListener(pattern{wire.ListenEvents, e.Name}, err)
	}
}

// at reads a path, and writes it as the server does.
func at(path string) (state.Path, string, error) {
	p, refused := state.ParsePath(path)
	if refused != nil {
		return nil, "", refused
	}
	return p, p.String(), nil
}
