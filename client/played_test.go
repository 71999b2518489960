package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// played is a room whose server the test plays.
type played struct {
	*testing.T
	room *Room
	conn *connection
	seq  uint64
}

func play(t *testing.T, run func(p *played)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &played{T: t, room: newRoom("", Options{})}
		go p.room.calls.run()
		defer func() {
			p.locked(func(s *session) { s.finish(ErrClosed) })
			close(p.room.session.done)
			<-p.room.Done()
		}()
		p.join()
		run(p)
	})
}

func (p *played) locked(act func(s *session)) {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	act(p.room.session)
}

// join begins a session, the first one or another in place of one that is lost.
func (p *played) join() { p.joinAs(wire.Joined{Identity: "ann"}) }

func (p *played) joinAs(joined wire.Joined) {
	p.conn, p.seq = &connection{wake: make(chan struct{}, 1)}, 1
	p.locked(func(s *session) {
		if err := s.begin(p.conn, wire.Message{Seq: p.seq, Body: p.json(joined)}); err != nil {
			p.Error(err)
		}
	})
}

// lose ends the session.
func (p *played) lose() {
	p.locked(func(s *session) {
		s.become(Resuming)
		s.startRejoining()
	})
}

// resume goes on over another connection, over which so many messages are replayed.
func (p *played) resume(replayed int) {
	p.conn = &connection{wake: make(chan struct{}, 1)}
	p.locked(func(s *session) {
		s.replayEnd = s.seen + uint64(replayed)
		s.opened(p.conn)
	})
}

func (p *played) json(v any) json.RawMessage {
	p.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		p.Fatal(err)
	}
	return b
}

// asked returns the newest request of a type, which must be there; body is filled with what it says.
func (p *played) asked(typ string, body any) (id uint64) {
	p.Helper()
	synctest.Wait()
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	for _, text := range slices.Backward(p.conn.out) {
		var r wire.Request
		if err := json.Unmarshal(text, &r); err != nil {
			p.Fatal(err)
		}
		if r.Type != typ {
			continue
		}
		if err := json.Unmarshal(r.Body, body); err != nil {
			p.Fatal(err)
		}
		return r.ID
	}
	p.Fatalf("no %s was asked", typ)
	return 0
}

// tell sends a message.
func (p *played) tell(reply uint64, typ string, body any) {
	p.Helper()
	p.seq++
	m := wire.Message{Seq: p.seq, Reply: reply, Type: typ, Body: p.json(body)}
	p.locked(func(s *session) {
		p.conn.heard = time.Now()
		s.receive(m)
	})
	synctest.Wait()
}

// answer replies to the newest request of a type.
func (p *played) answer(request, typ string, body any) {
	p.Helper()
	p.tell(p.asked(request, &struct{}{}), typ, body)
}

// board is a record at a version.
func board(incarnation, version uint64, value string) wire.Records {
	st := &wire.RecordState{Name: "board", Incarnation: incarnation, Version: version}
	if value != "" {
		st.Value = json.RawMessage(value)
	}
	return wire.Records{Results: []wire.RecordResult{{Record: st}}}
}

// record opens one that is there.
func (p *played) record(o RecordOptions) *Record {
	p.Helper()
	opened := make(chan *Record, 1)
	go func() {
		r, err := p.room.State().Record(p.Context(), "board", o)
		if err != nil {
			p.Error(err)
		}
		opened <- r
	}()
	p.answer(wire.TypeRecordSubscribe, wire.TypeRecords, board(3, 5, `{"a":1}`))
	return <-opened
}

func set(path, value string) []wire.Operation {
	return []wire.Operation{{Op: wire.OperationSet, Path: path, Value: json.RawMessage(value)}}
}

func (p *played) changed(incarnation, version uint64, operations []wire.Operation) {
	p.Helper()
	p.tell(0, wire.TypeRecordChanged, wire.RecordChanged{
		Scope: wire.ScopeRoom, Name: "board", Incarnation: incarnation, Version: version, Operations: operations, By: "bob",
	})
}

// judged begins a write whose session is lost, and returns in the next one, in which it is being judged.
func (p *played) judged(o RecordOptions) (r *Record, first <-chan error) {
	p.Helper()
	r = p.record(o)
	first = r.Send(set("light", "true"), WriteOptions{})
	p.asked(wire.TypeRecordWrite, &struct{}{})
	p.lose()
	p.join()
	p.answer(wire.TypeRecordSubscribe, wire.TypeRecords, board(3, 7, `{"a":1,"b":1}`))
	p.asked(wire.TypeRecordRead, &struct{}{})
	return r, first
}

// Rule: a call that waited for the connection is sent once, and its result is told, whatever the server has forgotten by then.
func TestCallThatWaited(t *testing.T) {
	for how, back := range map[string]func(*played){
		"a resync, and then it is sent": func(p *played) {
			p.resume(1)
			p.tell(0, wire.TypeResync, wire.Resync{})
		},
		"a new session": (*played).join,
	} {
		t.Run(how, func(t *testing.T) {
			play(t, func(p *played) {
				p.locked(func(s *session) { s.become(Resuming) })
				if how == "a new session" {
					p.lose()
				}
				result := make(chan error, 1)
				go func() { result <- request(p) }()
				synctest.Wait()
				back(p)
				p.answer(wire.TypeRPCRequest, wire.TypeOK, struct{}{})
				p.tell(0, wire.TypeRPCResult, wire.RPCResult{Scope: wire.ScopeRoom, Call: 1})
				if err := <-result; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Rule: where the server answers a ping, a request without a reply ends, and not the connection.
func TestSlowRequest(t *testing.T) {
	play(t, func(p *played) {
		ended := make(chan error, 1)
		go func() { ended <- publish(p) }()
		p.asked(wire.TypeEventPublish, &struct{}{})
		time.Sleep(doubtTime)
		if !p.room.session.sweep(p.conn, time.Now()) {
			p.Error("lost at once")
		}
		p.answer(wire.TypePing, wire.TypeOK, struct{}{})
		time.Sleep(requestTime - doubtTime)
		if !p.room.session.sweep(p.conn, time.Now()) {
			p.Error("lost, though there was a reply")
		}
		if err := <-ended; codeOf(err) != wire.CodeTimeout {
			p.Errorf("told: %v", err)
		}
	})
}

// Rule: what has become of who stays, while the connection was lost for long or too much happened at once, is told as if it had been heard.
func TestDifferenceIsTold(t *testing.T) {
	mic := wire.Publication{ID: "1", Kind: wire.KindAudio, Source: wire.SourceMicrophone}
	camera := wire.Publication{ID: "2", Kind: wire.KindVideo, Source: wire.SourceCamera}
	screen := wire.Publication{ID: "3", Kind: wire.KindVideo, Source: wire.SourceScreen}
	other := wire.Publication{ID: "2", Kind: wire.KindVideo, Source: wire.SourceScreen} // of a room that has begun anew
	muted := mic
	muted.Muted = true
	ann := func(name string, published ...wire.Publication) wire.Snapshot {
		return wire.Snapshot{Revision: 9, Participants: []wire.Participant{{Identity: "ann"}, {Identity: "bob", Name: name, Publications: published}}}
	}
	grants := wire.Grants{Publish: true}
	first := wire.Joined{Identity: "ann", Grants: grants, Room: ann("Bob", mic, camera)}
	for name, c := range map[string]struct {
		now    wire.Snapshot
		grants wire.Grants
		want   []any
	}{
		"nothing": {ann("Bob", mic, camera), grants, nil},
		"one goes, one comes, one is muted, and a name": {ann("Robert", muted, screen), grants, []any{
			wire.TrackUnpublished{Identity: "bob", Publication: "2"},
			wire.ParticipantUpdated{Identity: "bob", Name: "Robert"},
			wire.TrackMuted{Identity: "bob", Publication: "1", Muted: true},
			wire.TrackPublished{Identity: "bob", Publication: screen},
		}},
		"another one of the same name": {ann("Bob", mic, other), grants, []any{
			wire.TrackUnpublished{Identity: "bob", Publication: "2"}, wire.TrackPublished{Identity: "bob", Publication: other},
		}},
		"grants": {ann("Bob", mic, camera), wire.Grants{Subscribe: true}, []any{wire.GrantsChanged{Grants: wire.Grants{Subscribe: true}}}},
	} {
		for how, tell := range map[string]func(*played){
			"resync": func(p *played) { p.tell(0, wire.TypeResync, wire.Resync{Room: c.now, Grants: c.grants}) },
			"rejoin": func(p *played) {
				p.lose()
				p.joinAs(wire.Joined{Identity: "ann", Grants: c.grants, Room: c.now})
			},
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				play(t, func(p *played) {
					p.lose()
					p.joinAs(first)
					var told []any
					synctest.Wait()
					p.room.Subscribe(func(event any) { told = append(told, event) })
					tell(p)
					if synctest.Wait(); !reflect.DeepEqual(told, c.want) {
						t.Errorf("told %s, want %s", p.json(told), p.json(c.want))
					}
					if p.room.Grants() != c.grants || !reflect.DeepEqual(p.room.Participants(), c.now.Participants) {
						t.Errorf("now there are %s", p.json(p.room.Participants()))
					}
				})
			})
		}
	}
}

// Rule: what is written while others are judged has seen what was there then, and nothing since.
func TestWrittenWhileOthersAreJudged(t *testing.T) {
	play(t, func(p *played) {
		r, first := p.judged(RecordOptions{Merge: MergeBy(func(_, local json.RawMessage) any { return local })})
		second := r.Send(set("", `{"mine":true}`), WriteOptions{})
		p.changed(3, 8, set("a", "2"))
		p.answer(wire.TypeRecordRead, wire.TypeRecords, board(3, 6, `{"a":1}`))
		p.answer(wire.TypeRecordWrite, wire.TypeWritten, wire.Written{Incarnation: 3, Version: 9})
		p.changed(3, 9, set("light", "true"))
		if err := <-first; err != nil {
			p.Error(err)
		}
		var ask wire.RecordWrite
		p.asked(wire.TypeRecordWrite, &ask)
		if ask.Version == nil || *ask.Version != 7 {
			p.Errorf("it replaces version %s", p.json(ask.Version))
		}
		if len(second) != 0 {
			p.Error("it has ended")
		}
	})
}

// Rule: what is written while others are judged, for a record that is deleted meanwhile, does not change its successor.
func TestDeletedWhileOthersAreJudged(t *testing.T) {
	play(t, func(p *played) {
		r, first := p.judged(RecordOptions{})
		r.Send(set("c", "1"), WriteOptions{})
		p.tell(0, wire.TypeRecordDeleted, wire.RecordDeleted{Scope: wire.ScopeRoom, Name: "board", Incarnation: 3, Version: 8})
		p.changed(4, 1, set("", `{"x":1}`))
		p.answer(wire.TypeRecordRead, wire.TypeRecords, board(3, 6, `{"a":1}`))
		if err := <-first; codeOf(err) != wire.CodeConflict {
			p.Errorf("the first: %v", err)
		}
		var ask wire.RecordWrite
		p.asked(wire.TypeRecordWrite, &ask)
		if ask.Incarnation != 3 {
			p.Errorf("it is written to incarnation %d", ask.Incarnation)
		}
	})
}

// Rule: what was written is not seen any more where its record, which was deleted before its change came, is read anew, whenever it is answered.
func TestDeletedBeforeItIsTold(t *testing.T) {
	for _, when := range []string{"before", "while it is read", "after"} {
		t.Run(when, func(t *testing.T) {
			play(t, func(p *played) {
				r := p.record(RecordOptions{})
				result := r.Send(set("a", "2"), WriteOptions{})
				written := func(now string) {
					if now == when {
						p.answer(wire.TypeRecordWrite, wire.TypeWritten, wire.Written{Incarnation: 3, Version: 6})
					}
				}
				written("before")
				p.tell(0, wire.TypeStateLost, wire.StateLost{Scope: wire.ScopeRoom})
				written("while it is read")
				p.answer(wire.TypeRecordSubscribe, wire.TypeRecords, board(0, 0, ""))
				written("after")
				if err := <-result; err != nil || r.Exists() || r.Version() != 0 {
					t.Errorf("%v, and it is %s of version %d", err, r.JSON(""), r.Version())
				}
			})
		})
	}
}

// Rule: nothing is called once what was returned to end it has returned: neither that a pattern has ended, nor what answers a call that the server
// has not agreed to by then; that is left to others.
func TestEndedIsNotCalled(t *testing.T) {
	play(t, func(p *played) {
		s := p.room.State()
		hold, ends := make(chan struct{}), make(chan func(), 2)
		p.room.Watch(func(Connection, error) { <-hold })
		go func() {
			end, err := s.Listen(p.Context(), wire.ListenRecords, "x*", Listener{Ended: func(err error) { p.Errorf("the pattern: %v", err) }})
			if err != nil {
				p.Error(err)
			}
			ends <- end
		}()
		p.answer(wire.TypeListen, wire.TypeOK, struct{}{})
		p.lose() // from now on all calls wait
		p.join()
		refused := wire.NewError(wire.CodeForbidden, "no", "")
		p.tell(0, wire.TypeStateUnsubscribe, wire.StateUnsubscribed{Scope: wire.ScopeRoom, Kind: wire.ListenedRecord, Name: "x*", Error: refused})
		(<-ends)()
		go func() {
			end, err := s.Provide(p.Context(), "add", Provider{Answer: func(context.Context, Call) (any, error) {
				p.Error("it answers")
				return nil, nil
			}})
			if err != nil {
				p.Error(err)
			}
			ends <- end
		}()
		p.answer(wire.TypeRPCProvide, wire.TypeSubscribed, wire.Subscribed{Results: []wire.NameResult{{Name: "add"}}})
		p.tell(0, wire.TypeRPCCall, wire.RPCCall{Scope: wire.ScopeRoom, Name: "add", Call: 77, From: "bob"})
		accept := p.asked(wire.TypeRPCAccept, &struct{}{})
		(<-ends)()
		p.tell(accept, wire.TypeOK, struct{}{})
		var reject wire.RPCReject
		if p.asked(wire.TypeRPCReject, &reject); reject.Call != 77 {
			p.Errorf("rejected: %d", reject.Call)
		}
		close(hold)
	})
}

// operation is one that can be refused.
type operation struct {
	begin  func(p *played) (run func() error) // run returns what is told
	refuse func(p *played, refused *wire.Error)
	but    []wire.Code // that are not told
}

// passing codes are asked about again for what is kept until somebody ends it, crowded ones for all that may be asked twice.
var (
	codes = []wire.Code{
		wire.CodeBadRequest, wire.CodeTooLarge, wire.CodeLimit, wire.CodeRate, wire.CodeForbidden, wire.CodeNotFound, wire.CodeConflict, wire.CodeNoProvider,
		wire.CodeRPCFailed, wire.CodeTimeout, wire.CodeOverloaded, wire.CodeUnsupported, wire.CodeSessionExpired, wire.CodeInternal,
	}
	passingCodes = []wire.Code{wire.CodeRate, wire.CodeOverloaded, wire.CodeTimeout, wire.CodeInternal}
	crowdedCodes = []wire.Code{wire.CodeRate, wire.CodeOverloaded}
	absent       = []wire.Code{wire.CodeNotFound}
)

// refuseWhole refuses a request, refuseItem one of the results of one.
func refuseWhole(request string) func(*played, *wire.Error) {
	return func(p *played, refused *wire.Error) { p.answer(request, wire.TypeError, refused) }
}

func refuseItem(request, reply string) func(*played, *wire.Error) {
	return func(p *played, refused *wire.Error) {
		p.answer(request, reply, map[string]any{"results": []any{map[string]any{"name": "board", "error": refused}}})
	}
}

func nobody(request string) func(*played, *wire.Error) {
	return func(p *played, refused *wire.Error) {
		p.answer(request, wire.TypePresent, wire.Present{Refused: []wire.NameResult{{Name: "bob", Error: refused}}})
	}
}

func unsubscribed(kind wire.SubscriptionKind, name string) func(*played, *wire.Error) {
	return func(p *played, refused *wire.Error) {
		p.tell(0, wire.TypeStateUnsubscribe, wire.StateUnsubscribed{Scope: wire.ScopeRoom, Kind: kind, Name: name, Error: refused})
	}
}

// agreed begins what is kept, and returns how to wait for its end.
func agreed(request, reply string, body any, keep func(*played, func(error)) error) func(*played) func() error {
	return func(p *played) func() error {
		over, begun := make(chan error, 1), make(chan error, 1)
		go func() { begun <- keep(p, func(err error) { over <- err }) }()
		p.answer(request, reply, body)
		if err := <-begun; err != nil {
			p.Error(err)
		}
		return func() error { return <-over }
	}
}

func asking(f func(p *played) error) func(*played) func() error {
	return func(p *played) func() error { return func() error { return f(p) } }
}

func keeping(keep func(*played, func(error)) error) func(*played) func() error {
	return asking(func(p *played) error { return keep(p, func(error) {}) })
}

// having is done with a record that is there.
func having(f func(r *Record) error) func(*played) func() error {
	return func(p *played) func() error {
		r := p.record(RecordOptions{})
		return func() error { return f(r) }
	}
}

func subscribe(p *played, ended func(error)) error {
	_, err := p.room.State().Subscribe(p.Context(), "wave", func(Event) {}, ended)
	return err
}

func provide(p *played, ended func(error)) error {
	_, err := p.room.State().Provide(p.Context(), "add", Provider{Ended: ended})
	return err
}

func listen(p *played, ended func(error)) error {
	_, err := p.room.State().Listen(p.Context(), wire.ListenRecords, "x*", Listener{Ended: ended})
	return err
}

func watching(identities ...string) func(*played, func(error)) error {
	return func(p *played, ended func(error)) error {
		_, _, err := p.room.State().WatchPresence(p.Context(), func(_ string, _ bool, err error) { ended(err) }, identities...)
		return err
	}
}

func present(identities ...string) func(*played) func() error {
	return asking(func(p *played) error {
		_, err := p.room.State().Present(p.Context(), identities...)
		return err
	})
}

func open(p *played) error {
	_, err := p.room.State().Record(p.Context(), "board", RecordOptions{})
	return err
}

func read(p *played) error {
	_, err := p.room.State().Read(p.Context(), "board", "")
	return err
}

func request(p *played) error {
	_, err := p.room.State().Request(p.Context(), "add", nil)
	return err
}

func publish(p *played) error { return p.room.State().Publish(p.Context(), "wave", 1) }

func waitForEnd(r *Record) error {
	<-r.Done()
	return r.Err()
}

func writeOne(r *Record) error { return r.Set(context.Background(), "a", 2) }

func history(r *Record) error {
	_, err := r.History(context.Background(), 1)
	return err
}

func operations() map[string]operation {
	one := wire.Subscribed{Results: []wire.NameResult{{}}}
	return map[string]operation{
		"a record, refused alone":       {asking(open), refuseItem(wire.TypeRecordSubscribe, wire.TypeRecords), nil},
		"a record, refused whole":       {asking(open), refuseWhole(wire.TypeRecordSubscribe), passingCodes},
		"a record that ends":            {having(waitForEnd), unsubscribed(wire.SubscribedRecord, "board"), nil},
		"a write":                       {having(writeOne), refuseWhole(wire.TypeRecordWrite), crowdedCodes},
		"a deletion":                    {having(func(r *Record) error { return r.Delete(context.Background()) }), refuseWhole(wire.TypeRecordDelete), crowdedCodes},
		"reading":                       {asking(read), refuseItem(wire.TypeRecordRead, wire.TypeRecords), absent},
		"reading, refused whole":        {asking(read), refuseWhole(wire.TypeRecordRead), append(absent, crowdedCodes...)},
		"a history":                     {having(history), refuseItem(wire.TypeRecordRead, wire.TypeRecords), absent},
		"an event":                      {asking(publish), refuseWhole(wire.TypeEventPublish), nil},
		"a subscription":                {keeping(subscribe), refuseItem(wire.TypeEventSubscribe, wire.TypeSubscribed), nil},
		"a subscription, refused whole": {keeping(subscribe), refuseWhole(wire.TypeEventSubscribe), passingCodes},
		"a subscription that ends": {
			agreed(wire.TypeEventSubscribe, wire.TypeSubscribed, one, subscribe), unsubscribed(wire.SubscribedEvent, "wave"), nil,
		},
		"a call": {asking(request), refuseWhole(wire.TypeRPCRequest), nil},
		"a call's result": {asking(request), func(p *played, refused *wire.Error) {
			p.tell(0, wire.TypeRPCResult, wire.RPCResult{Scope: wire.ScopeRoom, Call: 1, Error: refused})
		}, nil},
		"a provider":           {keeping(provide), refuseItem(wire.TypeRPCProvide, wire.TypeSubscribed), nil},
		"a provider that ends": {agreed(wire.TypeRPCProvide, wire.TypeSubscribed, one, provide), unsubscribed(wire.ProvidedRPC, "add"), nil},
		"a pattern":            {keeping(listen), refuseWhole(wire.TypeListen), passingCodes},
		"a pattern that ends":  {agreed(wire.TypeListen, wire.TypeOK, struct{}{}, listen), unsubscribed(wire.ListenedRecord, "x*"), nil},
		"who is there":         {present(), refuseWhole(wire.TypePresenceRead), crowdedCodes},
		"whether one is there": {present("bob"), nobody(wire.TypePresenceRead), nil},
		"watching one":         {keeping(watching("bob")), nobody(wire.TypePresenceSubscribe), nil},
		"watching all":         {keeping(watching()), refuseWhole(wire.TypePresenceSubscribe), passingCodes},
		"watching that ends": {
			agreed(wire.TypePresenceSubscribe, wire.TypePresent, wire.Present{}, watching("bob")), unsubscribed(wire.SubscribedPresence, "bob"), nil,
		},
	}
}

// Rule: whatever the server refuses of shared state with a code of docs/protocol.md, section 18.9, is told with that code, what the server says is
// wrong, and what it says can be done; but for what is tried again as it may go better, and what an operation has a better answer for.
func TestEachCodeIsTold(t *testing.T) {
	for name, o := range operations() {
		for _, c := range codes {
			if slices.Contains(o.but, c) {
				continue
			}
			t.Run(fmt.Sprint(name, "/", c), func(t *testing.T) {
				play(t, func(p *played) {
					result := make(chan error, 1)
					run := o.begin(p)
					go func() { result <- run() }()
					synctest.Wait()
					o.refuse(p, &wire.Error{Code: c, Message: "what is wrong", Next: "what to do", RetrySeconds: 7})
					want := wire.Error{Code: c, Message: "what is wrong", Next: "what to do", RetrySeconds: 7}
					if c == wire.CodeConflict && (name == "a write" || name == "a deletion") {
						want = wire.Error{Code: c, Message: "others have changed what was written", Next: "look at what is there, and write again"}
					}
					var got *wire.Error
					if err := <-result; !errors.As(err, &got) || *got != want {
						t.Errorf("told: %v", err)
					}
				})
			})
		}
	}
}
