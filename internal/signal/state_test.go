package signal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/permit"
	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// withState runs a scenario on a node that keeps shared state.
func withState(t *testing.T, run func(n *node)) {
	t.Helper()
	withStateIn(t, func() bus.Log { return local.NewLog(1 << 30) }, run)
}

// withSlowState runs a scenario on a node whose disk takes as long as the scenario likes.
func withSlowState(t *testing.T, run func(n *node, disk *bustest.SlowLog)) {
	t.Helper()
	var l *bustest.SlowLog
	withStateIn(t, func() bus.Log {
		l = bustest.NewSlowLog(local.NewLog(1 << 30))
		return l
	}, func(n *node) { run(n, l) })
}

func withStateIn(t *testing.T, open func() bus.Log, run func(n *node)) {
	t.Helper()
	scenarioWith(t, signal.Config{State: true}, func(n *node) (rooms.Keeper, func()) { return withScopes(open(), true)(n) }, run)
}

// withScopes starts what keeps shared state, with a log, in open or in token mode.
func withScopes(log bus.Log, open bool) func(n *node) (rooms.Keeper, func()) {
	return func(n *node) (rooms.Keeper, func()) {
		s, err := scopes.NewService(n.Context(), scopes.ServiceConfig{
			Bus: n.bus, Log: log, Linger: 30 * time.Second, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler),
			May: func(scope wire.Scope, _ string) func(state.Access) *wire.Error { return permit.Default(scope, open) },
		})
		if err != nil {
			n.Fatal(err)
		}
		return s, func() {
			if err := s.Close(); err != nil {
				n.Error(err)
			}
		}
	}
}

func setTo(name, value string) wire.RecordWrite {
	return wire.RecordWrite{Name: name, Operations: []wire.Operation{{Op: wire.OperationSet, Path: "n", Value: json.RawMessage(value)}}}
}

func subscribed(names ...string) wire.RecordSubscribe {
	var have []wire.RecordHave
	for _, name := range names {
		have = append(have, wire.RecordHave{Name: name})
	}
	return wire.RecordSubscribe{Records: have}
}

// types returns the types of messages about state, in their order.
func types(all []wire.Message) string {
	var got []string
	for _, m := range all {
		if m.Reply == 0 && (strings.HasPrefix(m.Type, "record") || strings.HasPrefix(m.Type, "presence") || strings.HasPrefix(m.Type, "state") || m.Type == wire.TypeEventPublished) {
			got = append(got, m.Type)
		}
	}
	return strings.Join(got, " ")
}

// Two sessions share a record and an event; the numbering of their messages has no hole.
func TestSharedState(t *testing.T) {
	withState(t, func(n *node) {
		ann, bob := n.connect(), n.connect()
		ann.join("ann")
		bob.join("bob")
		if m := bob.reply(2, wire.TypeRecordSubscribe, subscribed("board")); m.Type != wire.TypeRecords || body[wire.Records](m).Results[0].Record.Version != 0 {
			t.Fatalf("subscribed: %s %s", m.Type, m.Body)
		}
		if m := bob.reply(3, wire.TypeEventSubscribe, wire.EventNames{Names: []string{"wave"}}); m.Type != wire.TypeSubscribed {
			t.Fatalf("subscribed: %s %s", m.Type, m.Body)
		}
		if m := bob.reply(4, wire.TypePresenceSubscribe, wire.PresenceSubscribe{}); string(m.Body) != `{"identities":["ann","bob"]}` {
			t.Errorf("present: %s", m.Body)
		}
		if m := ann.reply(2, wire.TypeRecordWrite, setTo("board", `1`)); m.Type != wire.TypeWritten {
			t.Fatalf("written: %s %s", m.Type, m.Body)
		}
		if m := ann.reply(3, wire.TypeEventPublish, wire.EventPublish{Name: "wave", Value: json.RawMessage(`{"hi":1}`)}); m.Type != wire.TypeOK || string(m.Body) != "{}" {
			t.Errorf("published: %s %s", m.Type, m.Body)
		}
		if got := types(bob.messages()); got != "record-changed event" {
			t.Errorf("bob was told %s", got)
		}
		if m := bob.last(); string(m.Body) != `{"scope":"room","name":"wave","value":{"hi":1},"from":"ann"}` {
			t.Errorf("bob was told %s", m.Body)
		}
		if got := ann.refused(4, wire.TypeRecordWrite, wire.RecordWrite{Name: "board"}); got != wire.CodeBadRequest {
			t.Errorf("no operation: %s", got)
		}
		if got := ann.refused(5, wire.TypeLogRead, wire.LogRead{}); got != wire.CodeUnsupported {
			t.Errorf("the log: %s", got)
		}
		_ = ann.send(6, wire.TypeLeave, wire.Leave{})
		ann.end()
		if got := types(bob.messages()); got != "record-changed event presence-left" {
			t.Errorf("when ann has left bob was told %s", got)
		}
		contiguous(t, 0, bob.messages())
	})
}

// The room's state is there as long as the room, also while all who are in it came by WHIP and use none, and ends with it.
func TestStateLivesWithTheRoom(t *testing.T) {
	withState(t, func(n *node) {
		visit := func(version uint64) {
			t.Helper()
			ann := n.connect()
			ann.join("ann")
			if m := ann.reply(2, wire.TypeRecordSubscribe, subscribed("board")); body[wire.Records](m).Results[0].Record.Version != version {
				t.Errorf("the record is %s, want version %d", m.Body, version)
			}
			ann.reply(3, wire.TypeRecordWrite, setTo("board", `1`))
			_ = ann.send(4, wire.TypeLeave, wire.Leave{})
			ann.end()
		}
		camera, _, refused := n.service.OpenCall(signal.CallOffer{Carrier: rooms.CarrierWHIP, Room: "tea", Identity: "camera", SDP: published(t)})
		if refused != nil {
			t.Fatal(refused)
		}
		visit(0)
		time.Sleep(2 * rooms.DefaultLinger)
		visit(1)
		camera.Hangup()
		<-camera.Done()
		time.Sleep(rooms.DefaultLinger - time.Second)
		visit(2)
		time.Sleep(rooms.DefaultLinger + time.Second)
		if r := n.rooms.Stats().Rooms; r != 0 {
			t.Fatalf("%d rooms", r)
		}
		visit(0)
	})
}

// A repeated request is not carried out twice; a session that resumes goes on with what it is subscribed to.
func TestStateResumes(t *testing.T) {
	withState(t, func(n *node) {
		ann := n.connect()
		j := ann.join("ann")
		ann.reply(2, wire.TypeRecordSubscribe, subscribed("board"))
		ann.reply(3, wire.TypeRecordWrite, setTo("board", `1`))
		seq := ann.last().Seq
		ann.cut()
		bob := n.connect()
		bob.join("bob")
		bob.reply(2, wire.TypeRecordWrite, setTo("board", `2`))
		again := n.connect()
		again.resume(j, 4, seq)
		if got := types(again.messages()); got != wire.TypeRecordChanged {
			t.Errorf("replayed: %s", got)
		}
		if m := again.reply(3, wire.TypeRecordWrite, setTo("board", `1`)); body[wire.Written](m).Version != 1 {
			t.Errorf("repeated: %s", m.Body)
		}
		if m := again.reply(5, wire.TypeRecordRead, wire.RecordRead{Records: []wire.RecordWanted{{Name: "board"}}}); !strings.Contains(string(m.Body), `"version":2`) {
			t.Errorf("read: %s", m.Body)
		}
	})
}

// State has an allowance of its own, of which bulk requests take one for each item.
func TestStatePace(t *testing.T) {
	withState(t, func(n *node) {
		ann := n.connect()
		ann.join("ann")
		var names []string
		for i := range wire.MaxBulkNames {
			names = append(names, fmt.Sprint("e", i))
		}
		for id := range uint64(wire.MaxStateBurst - wire.MaxBulkNames) {
			if m := ann.reply(2+id, wire.TypeEventPublish, wire.EventPublish{Name: "x"}); m.Type != wire.TypeOK {
				t.Fatalf("request %d: %s", id, m.Body)
			}
		}
		if m := ann.reply(1000, wire.TypeEventSubscribe, wire.EventNames{Names: names}); m.Type != wire.TypeSubscribed {
			t.Errorf("the last of the burst: %s", m.Body)
		}
		if got := ann.refused(1001, wire.TypeEventPublish, wire.EventPublish{Name: "x"}); got != wire.CodeRate {
			t.Errorf("beyond: %s", got)
		}
		if m := ann.reply(1002, wire.TypePing, nil); m.Type != wire.TypeOK {
			t.Errorf("what is not about state: %s", m.Body)
		}
		time.Sleep(time.Second / wire.StateRequestsPerSecond)
		if m := ann.reply(1001, wire.TypeEventPublish, wire.EventPublish{Name: "x"}); m.Type != wire.TypeOK {
			t.Errorf("later: %s", m.Body)
		}
	})
}

// Large replies take of the allowance what they are worth, once they are there: what it has not is owed, and is there again in time.
func TestLargeRepliesCount(t *testing.T) {
	withState(t, func(n *node) {
		ann := n.connect()
		ann.join("ann")
		const size = 200 << 10
		each := 1 + state.ReplyCost(size)
		large := wire.Operation{Op: wire.OperationSet, Path: "x", Value: []byte(`"` + strings.Repeat("x", size) + `"`)}
		ann.reply(2, wire.TypeRecordWrite, wire.RecordWrite{Name: "a", Operations: []wire.Operation{large}})
		id, reads := uint64(3), 0
		read := func() bool {
			id++
			return ann.reply(id, wire.TypeRecordRead, wire.RecordRead{Records: []wire.RecordWanted{{Name: "a"}}}).Type == wire.TypeRecords
		}
		for read() {
			reads++
		}
		if left := wire.MaxStateBurst - each; reads != left/each+1 { // the write costs as much, and the last reading owes
			t.Errorf("%d readings that cost %d each", reads, each)
		}
		time.Sleep(time.Second * time.Duration(each) / wire.StateRequestsPerSecond)
		if !read() || read() {
			t.Error("what was owed is not there again in its time, or more is")
		}
	})
}

// Whoever does not read is told to resync, and has no subscriptions then; it makes them again and goes on.
func TestStateSlowReader(t *testing.T) {
	withState(t, func(n *node) {
		reading := make(chan struct{}, 1<<20)
		ann, bob := n.connectReading(reading), n.connect()
		reading <- struct{}{}
		ann.join("ann")
		bob.join("bob")
		_ = ann.send(2, wire.TypeEventSubscribe, wire.EventNames{Names: []string{"wave"}})
		for i := range uint64(signal.MaxWaiting + 10) {
			bob.reply(2+i, wire.TypeEventPublish, wire.EventPublish{Name: "wave"})
		}
		for range 2000 {
			reading <- struct{}{}
		}
		all := ann.messages()
		if last := all[len(all)-1]; last.Type != wire.TypeResync {
			t.Fatalf("the last of %d messages is %s", len(all), last.Type)
		}
		contiguous(t, 0, all)
		bob.reply(900, wire.TypeEventPublish, wire.EventPublish{Name: "wave"})
		if n := len(ann.messages()); n != len(all) {
			t.Errorf("told %d messages of what it is not subscribed to any more", n-len(all))
		}
		ann.reply(3, wire.TypeEventSubscribe, wire.EventNames{Names: []string{"wave"}})
		bob.reply(901, wire.TypeEventPublish, wire.EventPublish{Name: "wave"})
		if m := ann.last(); m.Type != wire.TypeEventPublished {
			t.Errorf("subscribed again it was told %s", m.Type)
		}
	})
}

// Where events are lost on their way to the session, the client is told that all that is gone, and can make it again.
func TestStateLost(t *testing.T) {
	withState(t, func(n *node) {
		ann, bob := n.connect(), n.connect()
		ann.join("ann")
		bob.join("bob")
		ann.reply(2, wire.TypeRecordSubscribe, subscribed("board"))
		n.bus.gone.Add(1)
		bob.reply(2, wire.TypeRecordWrite, setTo("board", `1`))
		if got := types(ann.messages()); got != "state-lost state-lost" {
			t.Errorf("ann was told %s", got)
		}
		bob.reply(3, wire.TypeRecordWrite, setTo("board", `2`))
		if got := types(ann.messages()); got != "state-lost state-lost" {
			t.Errorf("without a subscription ann was told %s", got)
		}
		if m := ann.reply(3, wire.TypeRecordSubscribe, subscribed("board")); body[wire.Records](m).Results[0].Record.Version != 2 {
			t.Errorf("subscribed again: %s", m.Body)
		}
		bob.reply(4, wire.TypeRecordWrite, setTo("board", `3`))
		if got := types(ann.messages()); got != "state-lost state-lost record-changed" {
			t.Errorf("subscribed again ann was told %s", got)
		}
	})
}

// A session whose scope does not know it any more comes back with its next request.
func TestStateAttachesAgain(t *testing.T) {
	withState(t, func(n *node) {
		ann := n.connect()
		j := ann.join("ann")
		r := scopes.Request{Scope: wire.ScopeServer, Room: "tea", By: state.Caller{Session: j.Session}, Type: scopes.TypeDetach}
		if _, err := n.bus.Request(n.Context(), scopes.Subject, r.Encode()); err != nil {
			t.Fatal(err)
		}
		if m := ann.reply(2, wire.TypePresenceSubscribe, wire.PresenceSubscribe{Scope: wire.ScopeServer}); string(m.Body) != `{"identities":["ann"]}` {
			t.Errorf("present: %s", m.Body)
		}
	})
}

// Rule: what is asked once more, as the scope did not know the session, waits for what the session asks of the scope at that moment.
func TestStateAsksAgainBesideOthers(t *testing.T) {
	withState(t, func(n *node) {
		ann := n.connect()
		j := ann.join("ann")
		r := scopes.Request{Scope: wire.ScopeServer, Room: "tea", By: state.Caller{Session: j.Session}, Type: scopes.TypeDetach}
		if _, err := n.bus.Request(n.Context(), scopes.Subject, r.Encode()); err != nil {
			t.Fatal(err)
		}
		attach := n.bus.hold(scopes.TypeAttach)
		_ = ann.send(2, wire.TypePresenceSubscribe, wire.PresenceSubscribe{Scope: wire.ScopeServer})
		synctest.Wait() // it is refused, and ann is about to be attached again
		_ = ann.send(3, wire.TypePresenceRead, wire.PresenceRead{Scope: wire.ScopeServer})
		synctest.Wait()
		read := n.bus.hold(wire.TypePresenceRead)
		attach()
		pass(scopes.BusyTime / 2)
		read()
		synctest.Wait()
		for id := range uint64(2) {
			if got := ann.answers(2 + id); len(got) != 1 || string(got[0].Body) != `{"identities":["ann"]}` {
				t.Errorf("request %d: %+v", 2+id, got)
			}
		}
	})
}

// stuckLog cannot be read on behalf of rooms until it is told so.
type stuckLog struct {
	bus.Log
	reads chan struct{} // closed: now it can
}

func (l stuckLog) Last(ctx context.Context, subject string) (bus.Stored, error) {
	if subject != "server" {
		select {
		case <-l.reads:
		case <-ctx.Done():
			return bus.Stored{}, ctx.Err()
		}
	}
	return l.Log.Last(ctx, subject)
}

func withStuckState(t *testing.T, run func(n *node, reads chan struct{})) {
	t.Helper()
	var reads chan struct{}
	withStateIn(t, func() bus.Log {
		reads = make(chan struct{})
		return stuckLog{local.NewLog(1 << 30), reads}
	}, func(n *node) { run(n, reads) })
}

// Joining and all that is about the room itself, and the other scope, do not wait for a scope that cannot be loaded; what its clients ask of
// it meanwhile is carried out in their order when it is there.
func TestJoinDoesNotWaitForState(t *testing.T) {
	withStuckState(t, func(n *node, reads chan struct{}) {
		start, ann := time.Now(), n.connect()
		ann.join("ann")
		for id := range uint64(3) {
			_ = ann.send(2+id, wire.TypeRecordWrite, setTo("board", fmt.Sprint(id)))
		}
		_ = ann.send(5, wire.TypePresenceRead, wire.PresenceRead{})
		ann.reply(6, wire.TypeChat, wire.Chat{Text: "hello"})
		if m := ann.reply(7, wire.TypePresenceRead, wire.PresenceRead{Scope: wire.ScopeServer}); string(m.Body) != `{"identities":["ann"]}` {
			t.Errorf("present: %s", m.Body)
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("it took %v", waited)
		}
		if got := ann.answers(2); len(got) != 0 {
			t.Errorf("answered before the scope was there: %+v", got)
		}
		close(reads)
		for id := range uint64(3) {
			if got := ann.answers(2 + id); len(got) != 1 || body[wire.Written](got[0]).Version != id+1 {
				t.Errorf("write %d: %+v", id, got)
			}
		}
		if got := ann.answers(5); len(got) != 1 || string(got[0].Body) != `{"identities":["ann"]}` {
			t.Errorf("present: %+v", got)
		}
	})
}

// Of what waits for a scope only so much is held.
func TestHeldIsBounded(t *testing.T) {
	withStuckState(t, func(n *node, reads chan struct{}) {
		ann := n.connect()
		ann.join("ann")
		large, held := setTo("board", `"`+strings.Repeat("x", wire.MaxRecordBytes/2)+`"`), uint64(1) // that of join
		for id := uint64(2); id < 100 && len(ann.answers(held+1)) == 0; id++ {
			if _ = ann.send(id, wire.TypeRecordWrite, large); len(ann.answers(id)) == 0 {
				held = id
			}
		}
		if got := ann.answers(held + 1); held < 3 || held > signal.MaxHeldBytes/(wire.MaxRecordBytes/2)+1 || len(got) != 1 || code(got[0]) != wire.CodeOverloaded {
			t.Errorf("held up to %d, then %+v", held, got)
		}
		close(reads)
		if got := ann.answers(held); len(got) != 1 || got[0].Type != wire.TypeWritten {
			t.Errorf("the last that was held: %+v", got)
		}
	})
}

// What waits for a scope that does not come is refused after a while, and so are the next requests until it does.
func TestStateThatDoesNotCome(t *testing.T) {
	withStuckState(t, func(n *node, reads chan struct{}) {
		ann := n.connect()
		ann.join("ann")
		_ = ann.send(2, wire.TypeRecordWrite, setTo("board", `1`))
		_ = ann.send(3, wire.TypeRecordWrite, setTo("board", `2`))
		pass(11 * time.Second)
		for id := range uint64(2) {
			if got := ann.answers(2 + id); len(got) != 1 || code(got[0]) != wire.CodeOverloaded {
				t.Errorf("write %d: %+v", id, got)
			}
		}
		_ = ann.send(4, wire.TypePresenceRead, wire.PresenceRead{})
		pass(scopes.BusyTime)
		if got := ann.answers(4); len(got) != 1 || code(got[0]) != wire.CodeOverloaded {
			t.Errorf("asked again: %+v", got)
		}
		close(reads)
		if m := ann.reply(5, wire.TypePresenceSubscribe, wire.PresenceSubscribe{}); string(m.Body) != `{"identities":["ann"]}` {
			t.Errorf("present: %s", m.Body)
		}
	})
}

// What waits for a scope that lets the session in, and then takes nothing, is refused together: nobody waits as often as there are requests before
// his.
func TestStateThatTakesNothing(t *testing.T) {
	withStuckState(t, func(n *node, reads chan struct{}) {
		ann := n.connect()
		ann.join("ann")
		const requests = 20
		for id := range uint64(requests) {
			_ = ann.send(2+id, wire.TypeEventPublish, wire.EventPublish{Name: "wave"})
		}
		goOn := n.bus.hold(wire.TypeEventPublish)
		close(reads)
		pass(11 * time.Second)
		for id := range uint64(requests) {
			if got := ann.answers(2 + id); len(got) != 1 || got[0].Type != wire.TypeError {
				t.Errorf("request %d of %d: %+v", id, requests, got)
			}
		}
		goOn()
		if m := ann.reply(1000, wire.TypeEventPublish, wire.EventPublish{Name: "wave"}); m.Type != wire.TypeOK {
			t.Errorf("afterwards: %s %s", m.Type, m.Body)
		}
	})
}

// Whoever leaves while a scope lets it in is not present in it afterwards.
func TestLeavesBeforeStateComes(t *testing.T) {
	withStuckState(t, func(n *node, reads chan struct{}) {
		ann := n.connect()
		ann.join("ann")
		_ = ann.send(2, wire.TypeRecordWrite, setTo("board", `1`))
		_ = ann.send(3, wire.TypeLeave, wire.Leave{})
		ann.end()
		close(reads)
		bob := n.connect()
		bob.join("bob")
		if m := bob.reply(2, wire.TypePresenceRead, wire.PresenceRead{}); string(m.Body) != `{"identities":["bob"]}` {
			t.Errorf("present: %s", m.Body)
		}
		if m := bob.reply(3, wire.TypeRecordRead, wire.RecordRead{Records: []wire.RecordWanted{{Name: "board"}}}); !strings.Contains(string(m.Body), string(wire.CodeNotFound)) {
			t.Errorf("written by who had left: %s", m.Body)
		}
	})
}

// Whoever loses its socket for too long is not present any more.
func TestStateTimeout(t *testing.T) {
	withState(t, func(n *node) {
		ann, bob := n.connect(), n.connect()
		ann.join("ann")
		bob.join("bob")
		bob.reply(2, wire.TypePresenceSubscribe, wire.PresenceSubscribe{})
		ann.cut()
		for id := range uint64(4) { // bob is still there
			time.Sleep(wire.ResumeSeconds * time.Second / 4)
			bob.reply(3+id, wire.TypePing, nil)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := types(bob.messages()); got != wire.TypePresenceLeft {
			t.Errorf("bob was told %s", got)
		}
	})
}

// Whoever has been sent away does not come back into shared state by what it still asks over its old socket.
func TestStateAfterTheEnd(t *testing.T) {
	withState(t, func(n *node) {
		old, bob := n.connect(), n.connect()
		old.join("ann")
		bob.join("bob")
		again := n.connect()
		again.join("ann") // ends the older session
		synctest.Wait()
		_ = old.send(2, wire.TypePresenceSubscribe, wire.PresenceSubscribe{})
		_ = old.send(3, wire.TypeEventPublish, wire.EventPublish{Name: "wave"})
		_ = again.send(2, wire.TypeLeave, wire.Leave{})
		again.end()
		if m := bob.reply(2, wire.TypePresenceRead, wire.PresenceRead{}); string(m.Body) != `{"identities":["bob"]}` {
			t.Errorf("present: %s", m.Body)
		}
	})
}

// durable is a write to the server's scope, where records are stored.
func durable(name string) wire.RecordWrite {
	w := setTo(name, `1`)
	w.Scope = wire.ScopeServer
	return w
}

// answers returns the replies to a request, in their order.
func (s *socket) answers(id uint64) (got []wire.Message) {
	for _, m := range s.messages() {
		if m.Reply == id {
			got = append(got, m)
		}
	}
	return got
}

// A write that is being stored keeps no later request of its session waiting; repeated meanwhile, over another socket too, it is carried out
// once and answered once.
func TestWritesArePipelined(t *testing.T) {
	withSlowState(t, func(n *node, disk *bustest.SlowLog) {
		ann, bob := n.connect(), n.connect()
		j := ann.join("ann")
		bob.join("bob")
		bob.reply(2, wire.TypeEventSubscribe, wire.EventNames{Names: []string{"wave"}})
		_ = ann.send(2, wire.TypeRecordWrite, durable("board"))
		if got := ann.answers(2); len(got) != 0 {
			t.Fatalf("answered before it is stored: %s", got[0].Body)
		}
		if m := ann.reply(3, wire.TypeEventPublish, wire.EventPublish{Name: "wave"}); m.Type != wire.TypeOK {
			t.Errorf("published meanwhile: %s %s", m.Type, m.Body)
		}
		if m := ann.reply(4, wire.TypeRecordWrite, setTo("note", `1`)); m.Type != wire.TypeWritten {
			t.Errorf("an ephemeral record meanwhile: %s %s", m.Type, m.Body)
		}
		if got := types(bob.messages()); got != "event" {
			t.Errorf("bob was told %s", got)
		}
		_ = ann.send(2, wire.TypeRecordWrite, durable("board"))
		seq := ann.last().Seq
		ann.cut()
		again := n.connect()
		again.resume(j, 5, seq)
		_ = again.send(2, wire.TypeRecordWrite, durable("board"))
		close(disk.Stores)
		if got := again.answers(2); len(got) != 1 || body[wire.Written](got[0]).Version != 1 {
			t.Errorf("stored: %+v", got)
		}
		if m := again.reply(2, wire.TypeRecordWrite, durable("board")); body[wire.Written](m).Version != 1 {
			t.Errorf("repeated after its reply: %s", m.Body)
		}
		if m := again.reply(6, wire.TypeRecordWrite, durable("board")); body[wire.Written](m).Version != 2 {
			t.Errorf("the next write: %s", m.Body)
		}
	})
}

// The reply to a write comes before the event that tells its own session of it, of a record that is stored too.
func TestReplyBeforeOwnEvent(t *testing.T) {
	withState(t, func(n *node) {
		ann := n.connect()
		ann.join("ann")
		for i, scope := range []wire.Scope{wire.ScopeRoom, wire.ScopeServer} {
			id := uint64(10 * (i + 1))
			ann.reply(id, wire.TypeRecordSubscribe, wire.RecordSubscribe{Scope: scope, Records: []wire.RecordHave{{Name: "board"}}})
			before := len(ann.messages())
			w := setTo("board", `1`)
			w.Scope = scope
			ann.reply(id+1, wire.TypeRecordWrite, w)
			var got []string // replies too
			for _, m := range ann.messages()[before:] {
				got = append(got, m.Type)
			}
			if want := []string{"written", "record-changed"}; !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", scope, got, want)
			}
		}
	})
}

// More than 256 writes without a reply are refused with limit; when they have theirs, the session goes on.
func TestWritesUnderway(t *testing.T) {
	withSlowState(t, func(n *node, disk *bustest.SlowLog) {
		ann := n.connect()
		ann.join("ann")
		for id := range uint64(wire.MaxWritesUnderway) {
			_ = ann.send(2+id, wire.TypeRecordWrite, durable("board"))
		}
		if got := ann.refused(1000, wire.TypeRecordDelete, wire.RecordDelete{Scope: wire.ScopeServer, Name: "board"}); got != wire.CodeLimit {
			t.Errorf("one more: %s", got)
		}
		if m := ann.reply(1001, wire.TypeEventPublish, wire.EventPublish{Name: "x"}); m.Type != wire.TypeOK {
			t.Errorf("what is no write: %s", m.Body)
		}
		close(disk.Stores)
		if n := count(ann.messages(), wire.TypeWritten); n != wire.MaxWritesUnderway {
			t.Errorf("%d writes were answered", n)
		}
		if m := ann.reply(1002, wire.TypeRecordDelete, wire.RecordDelete{Scope: wire.ScopeServer, Name: "board"}); m.Type != wire.TypeOK {
			t.Errorf("afterwards: %s", m.Body)
		}
	})
}

// A session asks no more while too much of what it has asked has no reply.
func TestStateUnderway(t *testing.T) {
	withState(t, func(n *node) {
		ann := n.connect()
		ann.join("ann")
		n.bus.set(func(m []byte) bool { return bytes.HasPrefix(m, []byte(`{"reply"`)) }, false)
		for id := range uint64(signal.MaxStateUnderway) {
			_ = ann.send(2+id, wire.TypeEventPublish, wire.EventPublish{Name: "x"})
			time.Sleep(time.Second / wire.StateRequestsPerSecond)
		}
		if got := ann.refused(5000, wire.TypeEventPublish, wire.EventPublish{Name: "x"}); got != wire.CodeOverloaded {
			t.Errorf("one more: %s", got)
		}
	})
}

// Whoever reads much at once is no slow reader: a reading waits until there is room for what it answers, and all are answered.
func TestLargeReadings(t *testing.T) {
	withState(t, func(n *node) {
		reading := make(chan struct{}, 1<<20)
		ann := n.connectReading(reading)
		reading <- struct{}{}
		ann.join("ann")
		w := setTo("large", `"`+strings.Repeat("x", wire.MaxRecordBytes-100)+`"`)
		_ = ann.send(2, wire.TypeRecordWrite, w)
		const readings = 20
		go func() {
			for id := range uint64(readings) {
				_ = ann.send(3+id, wire.TypeRecordRead, wire.RecordRead{Records: []wire.RecordWanted{{Name: "large"}}})
			}
		}()
		synctest.Wait()
		for range 100 {
			reading <- struct{}{}
			synctest.Wait()
		}
		if all := ann.messages(); count(all, wire.TypeRecords) != readings || count(all, wire.TypeEnded) != 0 || count(all, wire.TypeResync) != 0 {
			t.Errorf("%d of %d readings were answered; the last message is %s", count(all, wire.TypeRecords), readings, ann.last().Type)
		}
		contiguous(t, 0, ann.messages())
	})
}

// As many replies at once as a session may wait for make no slow reader of it.
func TestRepliesAtOnce(t *testing.T) {
	withSlowState(t, func(n *node, disk *bustest.SlowLog) {
		reading := make(chan struct{}, 1<<20)
		ann := n.connectReading(reading)
		reading <- struct{}{}
		ann.join("ann")
		for id := range uint64(wire.MaxWritesUnderway) {
			_ = ann.send(2+id, wire.TypeRecordWrite, durable("board"))
		}
		for id := range uint64(10) {
			_ = ann.send(1000+id, wire.TypeEventPublish, wire.EventPublish{Name: "x"})
		}
		close(disk.Stores)
		synctest.Wait()
		close(reading)
		if all := ann.messages(); count(all, wire.TypeWritten) != wire.MaxWritesUnderway || count(all, wire.TypeResync) != 0 {
			t.Errorf("%d writes were answered; the last message is %s", count(all, wire.TypeWritten), ann.last().Type)
		}
	})
}

// Where replies may have been lost, what is under way is given up: a write as one of which nobody knows, all that can be repeated as to be
// repeated.
func TestStateRepliesLost(t *testing.T) {
	withSlowState(t, func(n *node, disk *bustest.SlowLog) {
		ann := n.connect()
		ann.join("ann")
		_ = ann.send(2, wire.TypeRecordWrite, durable("board"))
		_ = ann.send(3, wire.TypeRecordRead, wire.RecordRead{Scope: wire.ScopeServer, Records: []wire.RecordWanted{{Name: "board"}}})
		n.bus.gone.Add(1)
		ann.reply(4, wire.TypeEventPublish, wire.EventPublish{Name: "x"})
		for id, want := range map[uint64]wire.Code{2: wire.CodeInternal, 3: wire.CodeOverloaded} {
			if got := ann.answers(id); len(got) != 1 || code(got[0]) != want {
				t.Errorf("request %d: %+v, want %s", id, got, want)
			}
		}
		if got := types(ann.messages()); got != "state-lost state-lost" {
			t.Errorf("told %s", got)
		}
		close(disk.Stores)
		if got := ann.answers(2); len(got) != 1 {
			t.Errorf("answered %d times", len(got))
		}
	})
}

// Rule: many conflicts about a large record make no slow reader: what has no room is overloaded.
func TestConflictsAtOnce(t *testing.T) {
	withState(t, func(n *node) {
		reading := make(chan struct{}, 1<<20)
		ann, bob := n.connectReading(reading), n.connect()
		reading <- struct{}{}
		ann.join("ann")
		bob.join("bob")
		bob.reply(2, wire.TypeRecordWrite, setTo("large", `"`+strings.Repeat("x", wire.MaxRecordBytes-100)+`"`))
		const writes = 20
		for id := range uint64(writes) {
			w := setTo("large", `1`)
			w.Version = new(uint64)
			_ = ann.send(2+id, wire.TypeRecordWrite, w)
			synctest.Wait()
		}
		close(reading)
		synctest.Wait()
		all, conflicts, crowded := ann.messages(), 0, 0
		for _, m := range all {
			if m.Type == wire.TypeError {
				switch body[wire.Error](m).Code {
				case wire.CodeConflict:
					conflicts++
				case wire.CodeOverloaded:
					crowded++
				}
			}
		}
		if conflicts < 2 || conflicts+crowded != writes || count(all, wire.TypeEnded) != 0 || count(all, wire.TypeResync) != 0 {
			t.Errorf("%d conflicts and %d overloaded of %d; the last message is %s", conflicts, crowded, writes, ann.last().Type)
		}
	})
}

// Rule: no subscription is acknowledged after the resync that has ended it, also where its reply waits for a disk: it is refused before.
func TestNoSubscriptionAfterResync(t *testing.T) {
	withSlowState(t, func(n *node, disk *bustest.SlowLog) {
		reading := make(chan struct{}, 1<<20)
		ann, bob := n.connectReading(reading), n.connect()
		reading <- struct{}{}
		ann.join("ann")
		bob.join("bob")
		_ = bob.send(2, wire.TypeRecordWrite, durable("board"))
		_ = ann.send(2, wire.TypeEventSubscribe, wire.EventNames{Names: []string{"wave"}})
		synctest.Wait()
		_ = ann.send(3, wire.TypeRecordSubscribe, wire.RecordSubscribe{Scope: wire.ScopeServer, Records: []wire.RecordHave{{Name: "board"}}})
		synctest.Wait()
		for i := range uint64(signal.MaxWaiting + 10) {
			bob.reply(3+i, wire.TypeEventPublish, wire.EventPublish{Name: "wave"})
		}
		close(disk.Stores)
		synctest.Wait()
		close(reading)
		synctest.Wait()
		got := ann.answers(3)
		all := ann.messages()
		after := slices.IndexFunc(all, func(m wire.Message) bool { return m.Type == wire.TypeResync })
		if len(got) != 1 || got[0].Type != wire.TypeError || body[wire.Error](got[0]).Code != wire.CodeOverloaded || after < 0 || got[0].Seq > all[after].Seq {
			t.Errorf("the resync is message %d of %d; the subscription was answered %+v", after, len(all), got)
		}
	})
}

// Rule: a subscription that reaches its scope while the client is about to be told that all have ended ends with them, or stays: none is refused and
// carried out all the same.
func TestSubscriptionDuringReset(t *testing.T) {
	withState(t, func(n *node) {
		ann, bob := n.connect(), n.connect()
		ann.join("ann")
		bob.join("bob")
		ann.reply(2, wire.TypePresenceSubscribe, wire.PresenceSubscribe{})
		goOn := n.bus.hold(wire.TypeEventSubscribe)
		go func() { _ = ann.send(3, wire.TypeEventSubscribe, wire.EventNames{Names: []string{"wave"}}) }()
		synctest.Wait()
		n.bus.gone.Add(1)
		carol := n.connect()
		carol.join("carol") // ann is told, and finds out that something was lost
		synctest.Wait()
		goOn()
		synctest.Wait()
		lost := ann.messages()
		bob.reply(2, wire.TypeEventPublish, wire.EventPublish{Name: "wave"})
		got := ann.answers(3)
		if len(got) != 1 || types(lost) != "state-lost state-lost" {
			t.Fatalf("answered %+v; told %s", got, types(lost))
		}
		begun := slices.IndexFunc(lost, func(m wire.Message) bool { return m.Type == wire.TypeStateLost })
		stays := got[0].Type != wire.TypeError && got[0].Seq > lost[begun].Seq
		if told := len(ann.messages()) > len(lost); told != stays {
			t.Errorf("answered %s, %d messages after that all had ended; told of an event: %v", got[0].Type, int64(got[0].Seq)-int64(lost[begun].Seq), told)
		}
	})
}

// Rule: a session that has lost what its scopes told stands still for the slower of them alone, where they do not answer.
func TestResetOfBothAtOnce(t *testing.T) {
	withState(t, func(n *node) {
		ann, bob := n.connect(), n.connect()
		ann.join("ann")
		bob.join("bob")
		ann.reply(2, wire.TypeEventSubscribe, wire.EventNames{Names: []string{"wave"}})
		goOn := n.bus.hold(scopes.TypeReset)
		defer goOn()
		n.bus.gone.Add(1)
		bob.reply(2, wire.TypeEventPublish, wire.EventPublish{Name: "wave"}) // ann finds out that something was lost
		bob.reply(3, wire.TypeChat, wire.Chat{Text: "hello"})
		pass(scopes.StoreTime)
		if got := ann.messages(); types(got) != "state-lost state-lost" || len(chats(got)) != 1 {
			t.Errorf("ann was told %s, and %q by bob", types(got), chats(got))
		}
	})
}

// Rule: requests of state that are refused, or repeated, take of the allowance too.
func TestRefusedRequestsCount(t *testing.T) {
	withState(t, func(n *node) {
		ann := n.connect()
		ann.join("ann")
		ann.reply(2, wire.TypeEventPublish, wire.EventPublish{Name: "x"})
		for id := range uint64(wire.MaxStateBurst/2 - 1) {
			_ = ann.send(2, wire.TypeEventPublish, wire.EventPublish{Name: "x"})
			if got := ann.refused(10+id, wire.TypeEventPublish, wire.EventPublish{Scope: "hall", Name: "x"}); got != wire.CodeBadRequest {
				t.Fatalf("request %d: %s", id, got)
			}
		}
		ann.reply(3, wire.TypeEventPublish, wire.EventPublish{Name: "x"})
		if got := ann.refused(4, wire.TypeEventPublish, wire.EventPublish{Name: "x"}); got != wire.CodeRate {
			t.Errorf("beyond: %s", got)
		}
		if m := ann.reply(2, wire.TypeEventPublish, wire.EventPublish{Name: "x"}); m.Type != wire.TypeOK {
			t.Errorf("what was carried out, repeated beyond: %s %s", m.Type, m.Body)
		}
	})
}
