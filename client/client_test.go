package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/client"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// ptr is a pointer to a value of an option.
func ptr[T any](v T) *T { return &v }

func code(err error) wire.Code {
	var e *wire.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Rule: what one client writes the others see; a path's function is called when the value there is another; a record that is deleted and made
// anew begins with version 1.
func TestRecord(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		bob, _ := t.join("bob")
		hers, his := t.record(ann, "board", client.RecordOptions{}), t.record(bob, "board", client.RecordOptions{})
		var whole, part heard
		_, err := his.Subscribe("", func(v client.Change) { whole.add("%s", v.Value) })
		t.must(err)
		stop, err := his.Subscribe("a.b[1]", func(v client.Change) { part.add("%s", v.Value) })
		t.must(err)
		if hers.Exists() || hers.Version() != 0 {
			t.Error("it exists")
		}
		t.must(hers.Set(t.Context(), "a.b[1]", "x"))
		t.must(hers.Set(t.Context(), "other", 1))
		t.must(hers.Erase(t.Context(), "a.b[1]"))
		t.heard(&whole, `{"a":{"b":[null,"x"]}}`, `{"a":{"b":[null,"x"]},"other":1}`, `{"a":{"b":[null]},"other":1}`)
		t.heard(&part, `"x"`, ``)
		stop()
		t.must(hers.Write(t.Context(), []wire.Operation{
			{Op: wire.OperationSet, Path: "a", Value: json.RawMessage(`2`)}, {Op: wire.OperationErase, Path: "other"},
		}, client.WriteOptions{Version: ptr(uint64(3))}))
		synctest.Wait()
		var n int
		if ok, err := his.Get("a", &n); !ok || err != nil || n != 2 || his.Version() != 4 {
			t.Errorf("a is %d, %v, %v, at version %d", n, ok, err, his.Version())
		}
		versions, err := his.History(t.Context(), 2)
		if err != nil || len(versions) != 2 || string(versions[0].Value) != `{"a":{"b":[null]},"other":1}` || versions[1].Version != 2 {
			t.Errorf("history: %v, %v", versions, err)
		}
		t.must(hers.Delete(t.Context()))
		synctest.Wait()
		if his.Exists() || code(hers.Delete(t.Context())) != wire.CodeNotFound {
			t.Error("it is still there")
		}
		t.must(his.Set(t.Context(), "", map[string]int{"new": 1}))
		synctest.Wait()
		if hers.Version() != 1 || string(hers.JSON("")) != `{"new":1}` {
			t.Errorf("made anew: %d, %s", hers.Version(), hers.JSON(""))
		}
		t.heard(&part)
		if v, _, err := bob.State().Head(t.Context(), "board"); v != 1 || err != nil {
			t.Errorf("head: %d, %v", v, err)
		}
		if b, err := bob.State().Read(t.Context(), "board", "new"); string(b) != "1" || err != nil {
			t.Errorf("read: %s, %v", b, err)
		}
		if b, err := bob.State().Read(t.Context(), "none", ""); b != nil || err != nil {
			t.Errorf("read what is not there: %s, %v", b, err)
		}
		his.Close()
		if err := his.Set(t.Context(), "new", 2); !errors.Is(err, client.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

// Rule: who subscribes is told by whom a value is another, and with which version; and what is there at first, if he wants that.
func TestChange(t *testing.T) {
	inTown(t, func(t *town) {
		ann, cable := t.join("ann")
		bob, _ := t.join("bob")
		hers, his := t.record(ann, "board", client.RecordOptions{}), t.record(bob, "board", client.RecordOptions{})
		t.must(hers.Set(t.Context(), "", map[string]int{"a": 1}))
		var told, later heard
		_, err := hers.SubscribeNow("a", func(c client.Change) { told.add("%s by %q at %d", c.Value, c.By, c.Version) })
		t.must(err)
		_, err = hers.Subscribe("a", func(c client.Change) { later.add("%s", c.Value) })
		t.must(err)
		t.must(his.Set(t.Context(), "a", 2))
		t.heard(&told, `1 by "" at 1`, `2 by "bob" at 2`)
		t.heard(&later, "2")
		t.must(his.Set(t.Context(), "b", 3))
		t.heard(&told)
		t.must(hers.Set(t.Context(), "a", 4))
		t.heard(&told, `4 by "ann" at 3`) // the server has not told of it yet
		cable.cut(true)
		t.must(his.Set(t.Context(), "a", 5))
		pass(time.Minute)
		cable.mend()
		pass(10 * time.Second)
		t.heard(&told, `5 by "" at 5`) // read anew
		t.must(his.Delete(t.Context()))
		t.heard(&told, ` by "bob" at 0`)
	})
}

// Rule: what a client wants of a record that it creates changes nothing of one that somebody else was faster to create.
func TestCreatedByOthers(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		bob, cable := t.join("bob")
		hers := t.record(ann, "board", client.RecordOptions{})
		his := t.record(bob, "board", client.RecordOptions{TTLSeconds: ptr(60)})
		release := cable.hold()
		t.must(hers.Set(t.Context(), "a", 1))
		result := his.Send([]wire.Operation{{Op: wire.OperationSet, Path: "b", Value: json.RawMessage(`2`)}}, client.WriteOptions{})
		synctest.Wait()
		release()
		t.must(<-result)
		pass(2 * time.Minute)
		if got := string(hers.JSON("")); got != `{"a":1,"b":2}` {
			t.Errorf("later there is %s", got)
		}
		mine := t.record(bob, "mine", client.RecordOptions{TTLSeconds: ptr(60)})
		t.must(mine.Set(t.Context(), "a", 1))
		if pass(2 * time.Minute); mine.Exists() {
			t.Error("what he has created stays")
		}
	})
}

// Rule: the history has all versions that the server has kept, in however many replies they come; what may not be read is told.
func TestHistory(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		long, busy := t.record(ann, "long", client.RecordOptions{}), t.record(ann, "busy", client.RecordOptions{})
		for i := range 9 {
			var many []wire.Operation
			for n := range 20 { // each takes a step back
				o, err := client.SetAt(fmt.Sprintf("n%d", n), i)
				t.must(err)
				many = append(many, o)
			}
			t.must(busy.Write(t.Context(), many, client.WriteOptions{}))
			t.must(long.Set(t.Context(), "n", i))
			if i == 0 {
				t.must(long.Set(t.Context(), "text", strings.Repeat("x", 200<<10)))
				t.must(busy.Set(t.Context(), "text", strings.Repeat("x", 8<<10))) // else it is shorter to keep the document
			}
			pass(time.Second) // for the pace
		}
		for _, r := range []*client.Record{long, busy} {
			versions, err := r.History(t.Context(), 8)
			t.must(err)
			want := r.Version()
			for _, v := range versions {
				if want--; v.Version != want {
					t.Errorf("%s: version %d in place of %d", r.Name(), v.Version, want)
				}
			}
			if len(versions) != 8 {
				t.Errorf("%s: %d versions", r.Name(), len(versions))
			}
		}
		none := t.record(ann, noPast, client.RecordOptions{})
		t.must(none.Set(t.Context(), "", []string{}))
		t.must(none.Set(t.Context(), "", map[string]int{}))
		if versions, err := none.History(t.Context(), 8); code(err) != wire.CodeForbidden {
			t.Errorf("what may not be read: %v, %v", versions, err)
		}
	})
}

// Rule: what the server would refuse is refused here, and changes nothing that is seen.
func TestRefusedWrites(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		r := t.record(ann, "board", client.RecordOptions{})
		t.must(r.Set(t.Context(), "", map[string]any{"a": []int{1}}))
		for path, want := range map[string]wire.Code{"a[": wire.CodeBadRequest, "__proto__": wire.CodeBadRequest, "a.b": wire.CodeBadRequest} {
			if err := r.Set(t.Context(), path, 1); code(err) != want {
				t.Errorf("%s: %v", path, err)
			}
		}
		if err := r.Set(t.Context(), "a[0]", strings.Repeat("x", wire.MaxRecordBytes)); code(err) != wire.CodeTooLarge {
			t.Errorf("too large: %v", err)
		}
		if err := r.Set(t.Context(), "f", func() {}); err == nil {
			t.Error("a function was set")
		}
		if string(r.JSON("")) != `{"a":[1]}` || r.Pending() {
			t.Errorf("afterwards: %s", r.JSON(""))
		}
	})
}

// Rule: a write that meets another version than it was made for is undone, done all the same, or merged, as the record says.
func TestMerge(t *testing.T) {
	sum := client.MergeBy(func(remote, local json.RawMessage) any { return []json.RawMessage{remote, local} })
	for name, c := range map[string]struct {
		merge client.Merge
		want  string
		code  wire.Code
	}{
		"remote": {client.RemoteWins, `{"n":"bob"}`, wire.CodeConflict},
		"local":  {client.LocalWins, `{"n":"ann"}`, ""},
		"by":     {sum, `[{"n":"bob"},{"n":"ann"}]`, ""},
		"left":   {client.MergeBy(func(_, _ json.RawMessage) any { return nil }), `{"n":"bob"}`, wire.CodeConflict},
	} {
		t.Run(name, func(t *testing.T) {
			inTown(t, func(t *town) {
				ann, cable := t.join("ann")
				bob, _ := t.join("bob")
				hers, his := t.record(ann, "board", client.RecordOptions{Merge: c.merge}), t.record(bob, "board", client.RecordOptions{})
				t.must(hers.Set(t.Context(), "n", "first"))
				synctest.Wait()
				cable.cut(true)
				pass(time.Minute) // the session is over by then
				ended := make(chan error, 1)
				go func() { ended <- hers.Set(t.Context(), "n", "ann") }()
				synctest.Wait()
				if string(hers.JSON("n")) != `"ann"` || !hers.Pending() {
					t.Errorf("cut off ann sees %s", hers.JSON("n"))
				}
				t.must(his.Set(t.Context(), "n", "bob"))
				cable.mend()
				if err := <-ended; code(err) != c.code {
					t.Errorf("the write: %v", err)
				}
				synctest.Wait()
				if a, b := string(hers.JSON("")), string(his.JSON("")); a != c.want || b != c.want {
					t.Errorf("ann sees %s, bob %s", a, b)
				}
			})
		})
	}
}

// Rule: of two who are connected, the later one to set the whole document is asked to merge where its record has a Merge; else it is the last writer.
func TestMergeConnected(t *testing.T) {
	sum := client.MergeBy(func(remote, local json.RawMessage) any { return []json.RawMessage{remote, local} })
	for name, c := range map[string]struct {
		merge client.Merge
		want  string
		code  wire.Code
	}{
		"none":   {client.Merge{}, `{"n":"ann 2"}`, ""},
		"remote": {client.RemoteWins, `{"n":"bob"}`, wire.CodeConflict},
		"local":  {client.LocalWins, `{"n":"ann 2"}`, ""},
		"by":     {sum, `[{"n":"bob"},{"n":"ann 2"}]`, ""},
	} {
		for _, made := range []bool{true, false} {
			t.Run(fmt.Sprint(name, made), func(t *testing.T) {
				inTown(t, func(t *town) {
					ann, cable := t.join("ann")
					bob, _ := t.join("bob")
					hers, his := t.record(ann, "board", client.RecordOptions{Merge: c.merge}), t.record(bob, "board", client.RecordOptions{})
					if made {
						t.must(hers.Set(t.Context(), "", map[string]string{"n": "first"}))
					}
					synctest.Wait()
					release := cable.hold()
					t.must(his.Set(t.Context(), "", map[string]string{"n": "bob"}))
					set := func(n string) <-chan error {
						return hers.Send([]wire.Operation{{Op: wire.OperationSet, Value: json.RawMessage(`{"n":"` + n + `"}`)}}, client.WriteOptions{})
					}
					results := []<-chan error{set("ann 1"), set("ann 2")}
					synctest.Wait()
					release()
					for _, result := range results {
						if err := <-result; code(err) != c.code {
							t.Errorf("the write: %v", err)
						}
					}
					synctest.Wait()
					a, b := string(hers.JSON("")), string(his.JSON(""))
					if name == "by" && a == `[[{"n":"bob"},{"n":"ann 1"}],{"n":"ann 2"}]` { // one after the other
						a, b = c.want, strings.Replace(b, `[{"n":"bob"},{"n":"ann 1"}]`, `{"n":"bob"}`, 1)
					}
					if a != c.want || b != c.want {
						t.Errorf("ann sees %s, bob %s", a, b)
					}
				})
			})
		}
	}
}

// Rule: one's own writes that are on their way count as seen, so nobody is in conflict with himself.
func TestMergeOwn(t *testing.T) {
	inTown(t, func(t *town) {
		ann, cable := t.join("ann")
		r := t.record(ann, "board", client.RecordOptions{Merge: client.RemoteWins})
		var results []<-chan error
		for round := range 3 {
			release := cable.hold()
			for n := range 20 {
				o, err := client.SetAt([]string{"", "a"}[n%5/4], map[string]int{"n": n})
				t.must(err)
				results = append(results, r.Send([]wire.Operation{o}, client.WriteOptions{}))
				if n == 10 {
					go func() { _ = r.Delete(t.Context()) }()
				}
				if n%3 == round {
					synctest.Wait()
				}
			}
			synctest.Wait()
			release()
			synctest.Wait()
		}
		for _, result := range results {
			t.must(<-result)
		}
		if got := string(r.JSON("")); got != `{"a":{"n":19},"n":18}` {
			t.Errorf("there is %s", got)
		}
	})
}

// Rule: Update loses nothing that others write meanwhile.
func TestUpdate(t *testing.T) {
	inTown(t, func(t *town) {
		const clients, rounds = 4, 5
		done := make(chan error)
		for i := range clients {
			r, _ := t.join(fmt.Sprint("client", i))
			x := t.record(r, "counter", client.RecordOptions{})
			go func() {
				for range rounds {
					err := x.Update(t.Context(), func(now json.RawMessage) (any, error) {
						var c struct{ N int }
						if now != nil {
							if err := json.Unmarshal(now, &c); err != nil {
								return nil, err
							}
						}
						c.N++
						return c, nil
					})
					if err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range clients {
			t.must(<-done)
		}
		synctest.Wait()
		r, _ := t.join("late")
		if got := string(t.record(r, "counter", client.RecordOptions{}).JSON("N")); got != fmt.Sprint(clients*rounds) {
			t.Errorf("%d updates counted to %s", clients*rounds, got)
		}
		refused := errors.New("no")
		if err := t.record(r, "counter", client.RecordOptions{}).Update(t.Context(), func(json.RawMessage) (any, error) { return nil, refused }); !errors.Is(err, refused) {
			t.Errorf("an error of the function: %v", err)
		}
	})
}

// Rule: two clients that add to a list at once both add; a list that is set keeps what others have changed.
func TestList(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		bob, cable := t.join("bob")
		open := func(r *client.Room) *client.List {
			l, err := r.State().List(t.Context(), "queue", client.RecordOptions{})
			t.must(err)
			return l
		}
		hers, his := open(ann), open(bob)
		var changes heard
		hers.Subscribe(func(entries []string) { changes.add("%v", entries) })
		t.must(hers.Add(t.Context(), "a"))
		t.must(hers.Add(t.Context(), "b"))
		t.heard(&changes, "[a]", "[a b]")
		cable.cut(true)
		synctest.Wait()
		ended := make(chan error, 1)
		go func() { ended <- his.Insert(t.Context(), "his", 1) }()
		synctest.Wait()
		t.must(hers.Insert(t.Context(), "hers", 1))
		cable.mend()
		t.must(<-ended)
		synctest.Wait()
		if got := hers.Entries(); !slices.Equal(got, his.Entries()) || len(got) != 4 || !slices.Contains(got, "his") || !slices.Contains(got, "hers") {
			t.Errorf("ann sees %v, bob %v", got, his.Entries())
		}
		t.must(hers.Remove(t.Context(), "hers", 0))
		t.must(his.Move(t.Context(), "b", 0, 0))
		t.must(his.Set(t.Context(), []string{"b", "x", "a"}))
		synctest.Wait()
		if got := hers.Entries(); !slices.Equal(got, []string{"b", "x", "a"}) {
			t.Errorf("ann sees %v", got)
		}
		many := make([]string, 600)
		for i := range many {
			many[i] = fmt.Sprint(i)
		}
		t.must(his.Set(t.Context(), many))
		synctest.Wait()
		if got := hers.Entries(); !slices.Equal(got, many) {
			t.Errorf("ann sees %d entries", len(got))
		}
	})
}

// Rule: events go to all who are subscribed but the publisher; a subscription outlives the session.
func TestEvents(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		bob, cable := t.join("bob")
		var his, hers heard
		stop, err := bob.State().Subscribe(t.Context(), "wave", func(e client.Event) { his.add("%s %s from %s", e.Name, e.Value, e.From) }, nil)
		t.must(err)
		_, err = ann.State().Subscribe(t.Context(), "wave", func(e client.Event) { hers.add("%s", e.Value) }, nil)
		t.must(err)
		t.must(ann.State().Publish(t.Context(), "wave", map[string]int{"hi": 1}))
		t.must(ann.Server().Publish(t.Context(), "wave", "to nobody"))
		t.heard(&his, `wave {"hi":1} from ann`)
		t.heard(&hers)
		cable.cut(true)
		pass(time.Minute)
		t.must(ann.State().Publish(t.Context(), "wave", "missed"))
		cable.mend()
		pass(10 * time.Second)
		t.must(ann.State().Publish(t.Context(), "wave", nil))
		t.heard(&his, `wave  from ann`)
		stop()
		t.must(ann.State().Publish(t.Context(), "wave", 2))
		t.heard(&his)
		if err := ann.State().Publish(t.Context(), "wave", strings.Repeat("x", wire.MaxEventBytes)); code(err) != wire.CodeTooLarge {
			t.Errorf("too large: %v", err)
		}
		nested := func(levels int) json.RawMessage {
			return json.RawMessage(strings.Repeat("[", levels) + strings.Repeat("]", levels))
		}
		if err := ann.State().Publish(t.Context(), "wave", nested(wire.MaxRecordDepth+1)); code(err) != wire.CodeTooLarge {
			t.Errorf("too deep: %v", err)
		}
		t.must(ann.State().Publish(t.Context(), "wave", nested(wire.MaxRecordDepth)))
		t.must(ann.State().Publish(t.Context(), "wave", map[string]int{"__proto__": 1})) // no document
	})
}

// Rule: a provider answers, fails or leaves the call to others; when none is left, the caller is told.
func TestRPC(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		bob, _ := t.join("bob")
		stop, err := bob.State().Provide(t.Context(), "add", client.Provider{
			Accepts: func(c client.Call) bool { return string(c.Value) != `[]` },
			Answer: func(_ context.Context, c client.Call) (any, error) {
				var n []int
				if err := json.Unmarshal(c.Value, &n); err != nil {
					return nil, errors.New("numbers, please, " + c.From)
				}
				return n[0] + n[1], nil
			},
		})
		t.must(err)
		if got, err := ann.State().Request(t.Context(), "add", []int{2, 3}); string(got) != "5" || err != nil {
			t.Errorf("answered %s, %v", got, err)
		}
		if _, err := ann.State().Request(t.Context(), "add", "x"); code(err) != wire.CodeRPCFailed || !strings.Contains(err.Error(), "numbers, please, ann") {
			t.Errorf("failed: %v", err)
		}
		if _, err := ann.State().Request(t.Context(), "add", []int{}); code(err) != wire.CodeNoProvider {
			t.Errorf("rejected: %v", err)
		}
		if _, err := bob.State().Provide(t.Context(), "add", client.Provider{}); code(err) != wire.CodeBadRequest {
			t.Errorf("provided twice: %v", err)
		}
		stop()
		if _, err := ann.State().Request(t.Context(), "add", []int{2, 3}); code(err) != wire.CodeNoProvider {
			t.Errorf("nobody provides: %v", err)
		}
	})
}

// Rule: of what others subscribe to, a pattern's client provides each name once, until nobody is subscribed.
func TestListen(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		bob, _ := t.join("bob")
		var told heard
		end, err := ann.State().Listen(t.Context(), wire.ListenRecords, "sensor/*", client.Listener{
			Start: func(name string) bool { told.add("start %s", name); return name != "sensor/no" },
			Stop:  func(name string) { told.add("stop %s", name) },
		})
		t.must(err)
		r := t.record(bob, "sensor/1", client.RecordOptions{})
		t.heard(&told, "start sensor/1")
		if !r.Provided() {
			t.Error("it is not provided")
		}
		r.Close()
		t.heard(&told, "stop sensor/1")
		no := t.record(bob, "sensor/no", client.RecordOptions{})
		t.heard(&told, "start sensor/no")
		if no.Provided() {
			t.Error("it was rejected")
		}
		yes := t.record(bob, "sensor/2", client.RecordOptions{})
		var provided heard
		yes.SubscribeProvided(func(p bool) { provided.add("%v", p) })
		t.heard(&told, "start sensor/2")
		end()
		t.heard(&told, "stop sensor/2")
		t.heard(&provided, "false")
	})
}

// Rule: presence is told of those who are watched, also what changed while the connection was lost.
func TestPresence(t *testing.T) {
	inTown(t, func(t *town) {
		ann, cable := t.join("ann")
		bob, _ := t.join("bob")
		var all, named heard
		present, _, err := ann.State().WatchPresence(t.Context(), func(identity string, is bool, _ error) { all.add("%s %v", identity, is) })
		t.must(err)
		if !slices.Equal(present, []string{"ann", "bob"}) {
			t.Errorf("present: %v", present)
		}
		_, stop, err := ann.State().WatchPresence(t.Context(), func(identity string, is bool, _ error) { named.add("%s %v", identity, is) }, "carl")
		t.must(err)
		t.join("carl")
		t.heard(&all, "carl true")
		t.heard(&named, "carl true")
		stop()
		cable.cut(true)
		bob.Leave()
		pass(time.Minute)
		t.join("dora")
		cable.mend()
		pass(10 * time.Second)
		got := all.take()
		slices.Sort(got)
		if !slices.Equal(got, []string{"bob false", "dora true"}) {
			t.Errorf("over a lost session: %v", got)
		}
		if got, err := ann.State().Present(t.Context(), "dora", "bob"); !slices.Equal(got, []string{"dora"}) || err != nil {
			t.Errorf("asked: %v, %v", got, err)
		}
	})
}

// Rule: who may not be asked about is not told to be absent, and a watch that is refused in part keeps nothing on the server.
func TestPresenceRefused(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		if present, err := ann.State().Present(t.Context(), noOne); code(err) != wire.CodeForbidden {
			t.Errorf("no one: %v, %v", present, err)
		}
		present, err := ann.State().Present(t.Context(), noOne, "ann", "bob")
		if code(err) != wire.CodeForbidden || !slices.Equal(present, []string{"ann"}) {
			t.Errorf("some: %v, %v", present, err)
		}
		watch := func(identities ...string) error {
			_, _, err := ann.State().WatchPresence(t.Context(), func(string, bool, error) {}, identities...)
			return err
		}
		for round := range wire.MaxStateSubscriptions/(wire.MaxBulkNames-1) + 1 {
			names := []string{noOne}
			for i := range wire.MaxBulkNames - 1 {
				names = append(names, fmt.Sprintf("%d-%d", round, i))
			}
			if err := watch(names...); code(err) != wire.CodeForbidden {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		t.must(watch("ann"))
	})
}

// Rule: any number of names can be asked about.
func TestPresenceOfMany(t *testing.T) {
	inTown(t, func(t *town) {
		t.crowd(scopes.TypeAttach, 0, wire.MaxBulkNames+10)
		ann, _ := t.join("ann")
		var names []string
		for i := range wire.MaxBulkNames + 20 {
			names = append(names, fmt.Sprintf("p%05d", i))
		}
		present, err := ann.State().Present(t.Context(), names...)
		if err != nil || !slices.Equal(present, names[:wire.MaxBulkNames+10]) {
			t.Errorf("%d are present, %v", len(present), err)
		}
	})
}

// crowd lets so many in, or out, who are only present.
func (t *town) crowd(typ string, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		r := scopes.Request{
			Scope: wire.ScopeRoom, Room: "tea", Type: typ, By: state.Caller{Session: fmt.Sprint("crowd", i), Identity: fmt.Sprintf("p%05d", i)},
		}
		_, err := t.house.bus.Request(t.Context(), scopes.Subject, r.Encode())
		t.must(err)
	}
}

// Rule: of a crowd all are told, page by page, also who has gone and come while the connection was lost.
func TestPresencePages(t *testing.T) {
	inTown(t, func(t *town) {
		const many = 2*wire.MaxPresent + 10
		t.crowd(scopes.TypeAttach, 0, many)
		ann, cable := t.join("ann")
		want := []string{"ann"}
		for i := range many {
			want = append(want, fmt.Sprintf("p%05d", i))
		}
		var all heard
		got, stop, err := ann.State().WatchPresence(t.Context(), func(identity string, is bool, _ error) { all.add("%s %v", identity, is) })
		t.must(err)
		if !slices.Equal(got, want) {
			t.Errorf("%d are present, from %v to %v", len(got), got[0], got[len(got)-1])
		}
		cable.cut(true)
		t.crowd(scopes.TypeDetach, many-1, many)
		t.crowd(scopes.TypeAttach, many, many+1)
		pass(time.Minute)
		cable.mend()
		pass(10 * time.Second)
		t.heard(&all, fmt.Sprintf("p%05d false", many-1), fmt.Sprintf("p%05d true", many))
		stop()
		want[many] = fmt.Sprintf("p%05d", many)
		if got, err := ann.State().Present(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Errorf("asked: %d are present, %v", len(got), err)
		}
	})
}

// Rule: the room knows who is there and what was said, and tells what changed while the connection was lost.
func TestRoom(t *testing.T) {
	inTown(t, func(t *town) {
		ann, cable := t.join("ann")
		var told, connection heard
		ann.Subscribe(func(event any) {
			switch e := event.(type) {
			case wire.ParticipantJoined:
				told.add("joined %s", e.Participant.Identity)
			case wire.ParticipantLeft:
				told.add("left %s", e.Identity)
			case wire.ChatMessage:
				told.add("%s: %s", e.From, e.Text)
			}
		})
		ann.Watch(func(c client.Connection, _ error) { connection.add("%s", c) })
		bob, _ := t.join("bob")
		t.must(bob.Chat(t.Context(), "hello", ""))
		t.must(bob.Chat(t.Context(), "psst", "ann"))
		t.heard(&told, "joined bob", "bob: hello", "bob: psst")
		cable.cut(false)
		pass(5 * time.Second)
		t.must(bob.Chat(t.Context(), "again", ""))
		t.heard(&connection, "resuming", "connected")
		cable.cut(true)
		pass(time.Minute)
		t.join("carl")
		t.must(bob.Chat(t.Context(), "late", ""))
		bob.Leave()
		cable.mend()
		pass(10 * time.Second)
		t.heard(&connection, "resuming", "rejoining", "connected")
		got := told.take()
		slices.Sort(got)
		if !slices.Equal(got, []string{"bob: again", "bob: late", "joined carl", "left bob"}) {
			t.Errorf("told %q", got)
		}
		var there []string
		for _, p := range ann.Participants() {
			there = append(there, p.Identity)
		}
		if slices.Sort(there); !slices.Equal(there, []string{"ann", "carl"}) || len(ann.Messages()) != 3 || ann.Identity() != "ann" || ann.Name() != "tea" {
			t.Errorf("there are %v, said was %v", there, ann.Messages())
		}
	})
}

// Rule: who is replaced by another session of the same identity has ended, and so has all that it follows.
func TestReplaced(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		r := t.record(ann, "board", client.RecordOptions{})
		t.join("ann")
		<-ann.Done()
		if c, err := ann.Connection(); c != client.Ended || code(err) != wire.CodeReplaced {
			t.Errorf("%s, %v", c, err)
		}
		<-r.Done()
		if code(r.Err()) != wire.CodeReplaced || code(r.Set(t.Context(), "a", 1)) != wire.CodeReplaced {
			t.Errorf("the record: %v", r.Err())
		}
		if err := ann.Chat(t.Context(), "x", ""); code(err) != wire.CodeReplaced {
			t.Errorf("chat: %v", err)
		}
	})
}

// Rule: a server that cannot be found is given up after a while, and one that refuses at once.
func TestGivesUp(t *testing.T) {
	inTown(t, func(t *town) {
		ann, cable := t.join("ann")
		cable.cut(true)
		start := time.Now()
		<-ann.Done()
		if took := time.Since(start); took < 5*time.Minute || took > 6*time.Minute {
			t.Errorf("given up after %v", took)
		}
		if _, err := ann.Connection(); !errors.Is(err, client.ErrConnection) {
			t.Errorf("ended by %v", err)
		}
		if _, err := client.Join(t.Context(), "http://house", client.Options{Room: "\x00", HTTPClient: t.cable().http}); code(err) != wire.CodeBadRequest {
			t.Errorf("a room of no name: %v", err)
		}
		if _, err := client.Join(t.Context(), "ftp://house", client.Options{}); err == nil {
			t.Error("joined by FTP")
		}
	})
}
