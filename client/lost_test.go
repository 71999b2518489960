package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-rtc/parley/client"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

func set(t *town, path string, value any) []wire.Operation {
	o, err := client.SetAt(path, value)
	t.must(err)
	return []wire.Operation{o}
}

// away loses what was sent: the server has carried it out, and the reply is never heard, as the session is over by then.
func (c *cable) away() {
	synctest.Wait()
	c.cut(true)
	pass(time.Minute)
}

// Rule: where nobody else writes, whatever is lost of connections, sessions and replies, no write is refused: each is carried out once. Whoever is told
// that a write was carried out can name the version that it made.
func TestNothingOfOneWriterIsLost(t *testing.T) {
	type step struct{ what, path int }
	rapid.Check(t, func(draw *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{rapid.IntRange(0, 9).Draw(t, "what"), rapid.IntRange(0, 2).Draw(t, "path")}
		}), 1, 30).Draw(draw, "steps")
		failed := ""
		inTown(t, func(t *town) {
			t.giveUp = 24 * time.Hour
			t.join("keeper") // the room is there all the time
			ann, cable := t.join("ann")
			cable.isSlow = true
			cable.cut(false)
			pass(time.Second)
			r := t.record(ann, "board", client.RecordOptions{})
			var want state.Value
			var results []<-chan error
			write := func(path string, n int, o client.WriteOptions) <-chan error {
				operations := set(t, path, n)
				want, _ = want.Apply(operations)
				return r.Send(operations, o)
			}
			for n, s := range steps {
				path := []string{"a", "b.c", "d[0]"}[s.path]
				switch s.what {
				case 0, 1, 2, 3:
					results = append(results, write(path, n, client.WriteOptions{}))
				case 4:
					if want.Exists() {
						want = state.Value{}
						results = append(results, deleted(r))
					}
				case 5:
					cable.cut(s.path > 0)
				case 6:
					cable.hold()
				case 7:
					cable.away()
				case 8:
					cable.cut(false)
					pass(time.Duration(s.path) * 5 * time.Second)
				case 9:
					cable.cut(false)
					pass(time.Minute)
					known := write(path, n, client.WriteOptions{})
					if err := errors.Join(<-known, <-write(path, -n, client.WriteOptions{Version: ptr(r.Version())})); err != nil {
						failed = fmt.Sprintf("the version of write %d: %v", n, err)
					}
				}
			}
			cable.cut(false)
			pass(3 * time.Minute)
			for i, result := range results {
				if err := <-result; err != nil {
					failed = fmt.Sprintf("write %d: %v", i, err)
				}
			}
			late, _ := t.join("late")
			if got := t.record(late, "board", client.RecordOptions{}).JSON(""); string(got) != string(want.JSON()) {
				failed = fmt.Sprintf("the server has %s, written was %s", got, want.JSON())
			}
		})
		if failed != "" {
			draw.Fatal(failed)
		}
	})
}

// deleted begins to delete a record, behind all writes before.
func deleted(r *client.Record) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- r.Delete(context.Background()) }()
	synctest.Wait()
	return ended
}

// Rule: a write whose reply was lost is not a conflict with the one behind it, and one that demands a version ends with nobody knowing.
func TestLostReplies(t *testing.T) {
	inTown(t, func(t *town) {
		t.join("keeper")
		ann, cable := t.join("ann")
		r := t.record(ann, "board", client.RecordOptions{})
		t.must(r.Set(t.Context(), "a", 0))
		cable.hold()
		first, second := r.Send(set(t, "a", 1), client.WriteOptions{}), r.Send(set(t, "a", 2), client.WriteOptions{})
		cable.away()
		cable.mend()
		t.must(<-first)
		t.must(<-second)
		cable.hold()
		third := r.Send(set(t, "a", 3), client.WriteOptions{Version: ptr(r.Version())})
		cable.away()
		cable.mend()
		if err := <-third; !errors.Is(err, client.ErrConnection) {
			t.Errorf("with a version: %v", err)
		}
		synctest.Wait()
		if string(r.JSON("a")) != "3" || r.Pending() {
			t.Errorf("a is %s", r.JSON("a"))
		}
	})
}

// Rule: a write whose reply was lost is judged by the versions since. Where it was carried out it is not again, whatever others have made of it; where
// it was not, it is, unless others have written there; where that cannot be known, its end says so.
func TestLostWritesAreJudged(t *testing.T) {
	for name, c := range map[string]struct {
		reached bool
		others  [][]wire.Operation
		want    string
		version uint64 // that it has in the end
		code    wire.Code
		lost    bool // nobody knows
	}{
		"reached, and nothing since":        {true, nil, `{"a":1}`, 2, "", false},
		"reached, and more since":           {true, [][]wire.Operation{write("b", `1`), write("b", `2`)}, `{"a":1,"b":2}`, 4, "", false},
		"reached, and undone":               {true, [][]wire.Operation{write("b", `1`), write("a", `0`)}, `{"a":0,"b":1}`, 4, "", false},
		"not reached, and nothing since":    {false, nil, `{"a":1}`, 2, "", false},
		"not reached, and more since":       {false, [][]wire.Operation{write("b", `1`), write("b", `2`)}, `{"a":1,"b":2}`, 4, "", false},
		"not reached, and written":          {false, [][]wire.Operation{write("b", `1`), write("a", `2`)}, `{"a":2,"b":1}`, 3, wire.CodeConflict, false},
		"not reached, and written as well":  {false, [][]wire.Operation{write("a", `1`), write("b", `1`)}, `{"a":1,"b":1}`, 3, "", false},
		"too much since, and it is there":   {true, slices.Repeat([][]wire.Operation{write("b", `1`)}, 20), `{"a":1,"b":1}`, 22, "", false},
		"too much since, and it is not":     {false, slices.Repeat([][]wire.Operation{write("b", `1`)}, 20), `{"a":0,"b":1}`, 21, "", true},
		"too much for any history, and not": {false, slices.Repeat([][]wire.Operation{write("b", `1`)}, 50), `{"a":0,"b":1}`, 51, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			inTown(t, func(t *town) {
				ann, cable := t.join("ann")
				bob, _ := t.join("bob")
				hers, his := t.record(ann, "board", client.RecordOptions{}), t.record(bob, "board", client.RecordOptions{})
				t.must(hers.Set(t.Context(), "a", 0))
				synctest.Wait()
				if cable.hold(); !c.reached {
					cable.mute()
				}
				result := hers.Send(set(t, "a", 1), client.WriteOptions{})
				cable.away()
				for _, operations := range c.others {
					t.must(his.Write(t.Context(), operations, client.WriteOptions{}))
				}
				cable.mend()
				if err := <-result; code(err) != c.code || errors.Is(err, client.ErrConnection) != c.lost {
					t.Errorf("the write: %v", err)
				}
				synctest.Wait()
				if a, b := string(hers.JSON("")), string(his.JSON("")); a != c.want || b != c.want {
					t.Errorf("ann sees %s, bob %s, want %s", a, b, c.want)
				}
				if his.Version() != c.version {
					t.Errorf("it has version %d, want %d", his.Version(), c.version)
				}
			})
		})
	}
}

// Rule: a write that is being judged when the session is lost once more is judged in the next one.
func TestLostWhileItIsJudged(t *testing.T) {
	inTown(t, func(t *town) {
		ann, cable := t.join("ann")
		bob, _ := t.join("bob")
		hers, his := t.record(ann, "board", client.RecordOptions{}), t.record(bob, "board", client.RecordOptions{})
		t.must(hers.Set(t.Context(), "a", 0))
		synctest.Wait()
		cable.hold()
		result := hers.Send(set(t, "a", 1), client.WriteOptions{})
		cable.away()
		t.must(his.Set(t.Context(), "b", 1))
		t.must(his.Set(t.Context(), "a", 0)) // so that the versions between alone can tell
		cable.holdWhen(4)                    // it has asked for the versions since then
		cable.mend()
		pass(6 * time.Second)
		if hers.Version() != 4 || !hers.Pending() {
			t.Fatalf("at version %d, pending %v: it is not being judged", hers.Version(), hers.Pending())
		}
		cable.holdWhen(0)
		cable.away()
		cable.mend()
		t.must(<-result)
		if synctest.Wait(); string(hers.JSON("")) != `{"a":0,"b":1}` || his.Version() != 4 {
			t.Errorf("%s, at version %d", hers.JSON(""), his.Version())
		}
	})
}

func write(path, value string) []wire.Operation {
	return []wire.Operation{{Op: wire.OperationSet, Path: path, Value: json.RawMessage(value)}}
}

// Rule: an entry is added once: where the version since may have it, nobody knows whose it is, and where none has it, it is added.
func TestLostEntriesAreJudged(t *testing.T) {
	for name, reached := range map[string]bool{"reached": true, "not reached": false} {
		t.Run(name, func(t *testing.T) {
			inTown(t, func(t *town) {
				ann, cable := t.join("ann")
				bob, _ := t.join("bob")
				hers, his := t.list(ann, "queue"), t.list(bob, "queue")
				t.must(hers.Add(t.Context(), "a"))
				synctest.Wait()
				if cable.hold(); !reached {
					cable.mute()
				}
				ended := make(chan error, 1)
				go func() { ended <- hers.Add(context.Background(), "hers") }()
				cable.away()
				t.must(his.Insert(t.Context(), "his", 0))
				t.must(his.Remove(t.Context(), "a", 1))
				cable.mend()
				if err := <-ended; errors.Is(err, client.ErrConnection) != reached {
					t.Errorf("the addition: %v", err)
				}
				synctest.Wait()
				if got := his.Entries(); !slices.Equal(got, []string{"his", "hers"}) || !slices.Equal(hers.Entries(), got) {
					t.Errorf("ann sees %v, bob %v", hers.Entries(), got)
				}
			})
		})
	}
}

// Rule: what was written for a record that was deleted meanwhile does not change its successor.
func TestWritesForAnotherIncarnation(t *testing.T) {
	inTown(t, func(t *town) {
		ann, cable := t.join("ann")
		bob, _ := t.join("bob")
		hers, his := t.record(ann, "board", client.RecordOptions{}), t.record(bob, "board", client.RecordOptions{})
		t.must(hers.Set(t.Context(), "items[0].name", "old"))
		synctest.Wait()
		release := cable.hold()
		t.must(his.Delete(t.Context()))
		t.must(his.Set(t.Context(), "items[0].name", "new"))
		first, second := hers.Send(set(t, "n", 1), client.WriteOptions{}), hers.Send(set(t, "items[0].done", true), client.WriteOptions{})
		synctest.Wait()
		release()
		if a, b := <-first, <-second; code(a) != wire.CodeConflict || code(b) != wire.CodeConflict {
			t.Errorf("the writes: %v, %v", a, b)
		}
		synctest.Wait()
		if got := string(hers.JSON("")); got != `{"items":[{"name":"new"}]}` || got != string(his.JSON("")) {
			t.Errorf("ann sees %s, bob %s", got, his.JSON(""))
		}
	})
}

// Rule: what a function makes of a deletion that met another version is there afterwards.
func TestMergedDeletion(t *testing.T) {
	inTown(t, func(t *town) {
		ann, cable := t.join("ann")
		bob, _ := t.join("bob")
		keep := client.MergeBy(func(remote, local json.RawMessage) any {
			if local != nil {
				t.Errorf("wanted was %s", local)
			}
			return remote
		})
		hers, his := t.record(ann, "board", client.RecordOptions{Merge: keep}), t.record(bob, "board", client.RecordOptions{})
		t.must(hers.Set(t.Context(), "n", 1))
		synctest.Wait()
		cable.away()
		ended := deleted(hers)
		t.must(his.Set(t.Context(), "n", 2))
		cable.mend()
		t.must(<-ended)
		synctest.Wait()
		if a, b := string(hers.JSON("")), string(his.JSON("")); a != `{"n":2}` || b != a {
			t.Errorf("ann sees %s, bob %s", a, b)
		}
	})
}

// Rule: writes that a function has made one of end together when that is refused.
func TestMergedWritesAreRefused(t *testing.T) {
	inTown(t, func(t *town) {
		ann, cable := t.join("ann")
		bob, _ := t.join("bob")
		asList := client.MergeBy(func(_, _ json.RawMessage) any { return []string{"x"} })
		hers, his := t.record(ann, noList, client.RecordOptions{Merge: asList}), t.record(bob, noList, client.RecordOptions{})
		t.must(hers.Set(t.Context(), "n", 1))
		synctest.Wait()
		release := cable.hold()
		t.must(his.Delete(t.Context()))
		t.must(his.Set(t.Context(), "n", 2))
		var results []<-chan error
		for n := range 4 { // the first goes alone, the others together behind it
			results = append(results, hers.Send(set(t, "n", n), client.WriteOptions{}))
		}
		synctest.Wait()
		release()
		pass(10 * time.Second)
		for i, result := range results {
			select {
			case err := <-result:
				if code(err) != wire.CodeForbidden {
					t.Errorf("write %d: %v", i, err)
				}
			default:
				t.Errorf("write %d has not ended", i)
			}
		}
		if got := string(hers.JSON("")); got != `{"n":2}` {
			t.Errorf("ann sees %s", got)
		}
	})
}

// Rule: a record can be closed while a write is underway whose result nobody takes, and such writes do not count any more.
func TestClosedWhileUnderway(t *testing.T) {
	inTown(t, func(t *town) {
		ann, cable := t.join("ann")
		for n := range 20 {
			r := t.record(ann, "board", client.RecordOptions{})
			result := r.Send(set(t, "n", n), client.WriteOptions{})
			r.Close()
			synctest.Wait()
			if err := <-result; !errors.Is(err, client.ErrClosed) {
				t.Errorf("the write: %v", err)
			}
			r.Close()
		}
		r := t.record(ann, "board", client.RecordOptions{})
		result := r.Send(set(t, "n", 0), client.WriteOptions{}) // not taken
		r.Close()
		synctest.Wait()
		r = t.record(ann, "board", client.RecordOptions{})
		cable.cut(true)
		synctest.Wait()
		var refused []int
		for n := range client.MaxWaitingWrites + 1 {
			select {
			case err := <-r.Send(set(t, "n", n), client.WriteOptions{}):
				refused = append(refused, n)
				if code(err) != wire.CodeLimit {
					t.Errorf("write %d: %v", n, err)
				}
			default:
			}
		}
		if !slices.Equal(refused, []int{client.MaxWaitingWrites}) {
			t.Errorf("writes %v are refused", refused)
		}
		if len(result) != 1 {
			t.Errorf("the first write was told %d times", len(result))
		}
	})
}

// Rule: a connection over which nothing comes any more is given up by the first request that is over time, however much is sent. What was written
// meanwhile waits for the next one, and is carried out once.
func TestSilence(t *testing.T) {
	inTown(t, func(t *town) {
		ann, cable := t.join("ann")
		bob, _ := t.join("bob")
		hers, his := t.record(ann, "board", client.RecordOptions{}), t.record(bob, "board", client.RecordOptions{})
		var told heard
		ann.Watch(func(c client.Connection, _ error) { told.add("%s", c) })
		cable.hold()
		pass(time.Second)
		written := hers.Send(set(t, "n", 1), client.WriteOptions{})
		for range 14 {
			go func() { _ = ann.State().Publish(context.Background(), "x", 1) }()
			pass(time.Second)
		}
		t.heard(&told, "resuming", "connected")
		select {
		case err := <-written:
			t.must(err)
		default:
			t.Error("the write waits")
		}
		if his.Version() != 1 || string(hers.JSON("n")) != "1" {
			t.Errorf("at version %d, ann sees %s", his.Version(), hers.JSON("n"))
		}
	})
}

// Rule: what waited for a place in an array meets who changed the array meanwhile, as another entry may be there: it changes none that it was not
// made for.
func TestPlacesMeet(t *testing.T) {
	erase := wire.Operation{Op: wire.OperationErase, Path: "items[1]"}
	for name, operations := range map[string][]wire.Operation{
		"erased":      {erase},
		"a member":    write("items[1].done", `true`),
		"erased next": {erase, erase},
	} {
		t.Run(name, func(t *testing.T) {
			inTown(t, func(t *town) {
				ann, cable := t.join("ann")
				bob, _ := t.join("bob")
				hers, his := t.record(ann, "board", client.RecordOptions{}), t.record(bob, "board", client.RecordOptions{})
				entry := func(id int) map[string]any { return map[string]any{"id": id, "done": false} }
				t.must(hers.Set(t.Context(), "items", []any{entry(0), entry(1), entry(2), entry(3)}))
				cable.away()
				result := hers.Send(operations, client.WriteOptions{})
				t.must(his.Erase(t.Context(), "items[0]"))
				want := string(his.JSON(""))
				cable.mend()
				if err := <-result; code(err) != wire.CodeConflict {
					t.Errorf("the write: %v", err)
				}
				synctest.Wait()
				if a, b := string(hers.JSON("")), string(his.JSON("")); a != want || b != want {
					t.Errorf("ann sees %s, bob %s, want %s", a, b, want)
				}
			})
		})
	}
}

// Rule: what waited while the connection was lost meets what others wrote meanwhile, also where the session is resumed.
func TestResumedWritesMeet(t *testing.T) {
	for name, merge := range map[string]client.Merge{
		"undone": {}, "merged": client.MergeBy(func(remote, _ json.RawMessage) any { return json.RawMessage(`{"both":` + string(remote) + `}`) }),
	} {
		t.Run(name, func(t *testing.T) {
			inTown(t, func(t *town) {
				ann, cable := t.join("ann")
				bob, _ := t.join("bob")
				hers, his := t.record(ann, "board", client.RecordOptions{Merge: merge}), t.record(bob, "board", client.RecordOptions{})
				t.must(hers.Set(t.Context(), "a", 0))
				synctest.Wait()
				cable.cut(true)
				pass(time.Second)
				met, alone := hers.Send(set(t, "a", 1), client.WriteOptions{}), hers.Send(set(t, "b", 1), client.WriteOptions{})
				t.must(his.Set(t.Context(), "a", 2))
				cable.mend()
				pass(10 * time.Second)
				want, refused := `{"a":2,"b":1}`, wire.CodeConflict
				if name == "merged" {
					want, refused = `{"b":1,"both":{"a":2}}`, wire.Code("")
				}
				if err := <-met; code(err) != refused {
					t.Errorf("what met: %v", err)
				}
				t.must(<-alone)
				if got := string(his.JSON("")); got != want || got != string(hers.JSON("")) {
					t.Errorf("bob sees %s, ann %s, want %s", got, hers.JSON(""), want)
				}
			})
		})
	}
}
