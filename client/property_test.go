package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-rtc/parley/client"
	"github.com/parley-rtc/parley/wire"
)

// Rule: whatever several clients write, and however their connections are lost, for moments or for so long that their sessions are over: when
// all is well again all that they have written has ended, also what a function has made of it and what is refused; they see the same, and it is what
// the server has; of the entries that were added to the list each is there as often as its addition was confirmed, and at most once more for each
// that ended with nobody knowing.
func TestClientsConverge(t *testing.T) {
	rapid.Check(t, func(draw *rapid.T) {
		const clients = 4
		type step struct{ who, what, path int }
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{rapid.IntRange(0, clients-1).Draw(t, "who"), rapid.IntRange(0, 13).Draw(t, "what"), rapid.IntRange(0, 2).Draw(t, "path")}
		}), 1, 40).Draw(draw, "steps")
		failed := ""
		inTown(t, func(t *town) {
			t.giveUp = 24 * time.Hour
			t.join("keeper") // the room is there all the time
			var records []*client.Record
			var lists []*client.List
			var cables []*cable
			for i := range clients {
				r, c := t.join(fmt.Sprint("client", i))
				merge := []client.Merge{client.RemoteWins, client.LocalWins, {}, client.MergeBy(mergeBoth)}[i]
				records = append(records, t.record(r, noList, client.RecordOptions{Merge: merge}))
				l, err := r.State().List(t.Context(), "queue", client.RecordOptions{})
				t.must(err)
				lists, cables = append(lists, l), append(cables, c)
			}
			type addition struct {
				entry string
				err   error
			}
			added := make(chan addition, len(steps))
			var results []<-chan error
			release := make([]func(), clients)
			for n, s := range steps {
				r, l, c := records[s.who], lists[s.who], cables[s.who]
				path := []string{"a", "b.c", "d[0]"}[s.path]
				switch s.what {
				case 0:
					results = append(results, r.Send(set(t, "", map[string]int{path[:1]: n}), client.WriteOptions{}))
				case 1:
					results = append(results, r.Send(set(t, path, n), client.WriteOptions{}))
				case 2, 10, 11: // the first goes alone, the others together behind it
					for i := range 4 {
						results = append(results, r.Send(set(t, path, n*10+i), client.WriteOptions{}))
					}
				case 3:
					results = append(results, r.Send([]wire.Operation{{Op: wire.OperationErase, Path: path}}, client.WriteOptions{}))
				case 4:
					results = append(results, deleted(r))
				case 5, 6:
					entry := fmt.Sprint("entry", n)
					go func() { added <- addition{entry, l.Insert(context.Background(), entry, s.path)} }()
				case 7:
					c.cut(false)
				case 8:
					c.cut(true)
				case 9:
					c.mend()
					pass(time.Duration(s.path) * 20 * time.Second)
				case 12:
					if release[s.who] = toggled(c, release[s.who]); s.path == 0 {
						pass(time.Second)
					}
				case 13: // it begins anew
					results = append(results, deleted(r), r.Send(set(t, path, n), client.WriteOptions{}))
				}
				if s.path > 0 {
					synctest.Wait()
				}
			}
			for i, c := range cables {
				c.mend()
				if release[i] != nil {
					release[i]()
				}
			}
			pass(3 * time.Minute)
			failed = check(t, records, lists)
			for i, result := range results {
				if len(result) == 0 {
					failed = fmt.Sprintf("write %d has not ended", i)
				}
			}
			entries := map[string]int{}
			for _, e := range lists[0].Entries() {
				entries[e]++
			}
			for range cap(added) {
				select {
				case a := <-added:
					if n := entries[a.entry]; a.err == nil && n != 1 || n > 1 {
						failed = fmt.Sprintf("%s is there %d times, its addition ended by %v", a.entry, n, a.err)
					}
				default:
				}
			}
		})
		if failed != "" {
			draw.Fatal(failed)
		}
	})
}

// mergeBoth makes of a conflict what may be there, what may not, or nothing.
func mergeBoth(remote, local json.RawMessage) any {
	switch len(remote) % 3 {
	case 0:
		return []string{"refused"} // see noList
	case 1:
		return map[string]int{"remote": len(remote), "local": len(local)}
	}
	return nil
}

// toggled lets a client hear nothing, or hear again, and returns how to make it hear.
func toggled(c *cable, release func()) func() {
	if release == nil {
		return c.hold()
	}
	release()
	return nil
}

// Rule: nothing that was written for a record that is deleted since is in its successor.
func TestNothingReachesASuccessor(t *testing.T) {
	const clients = 2
	type step struct{ who, what int }
	rapid.Check(t, func(draw *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{rapid.IntRange(0, clients-1).Draw(t, "who"), rapid.IntRange(0, 7).Draw(t, "what")}
		}), 5, 30).Draw(draw, "steps")
		failed := ""
		inTown(t, func(t *town) {
			t.giveUp = 24 * time.Hour
			witness, _ := t.join("witness")
			_, err := t.record(witness, "board", client.RecordOptions{}).Subscribe("", func(c client.Change) {
				if stray := strays(c.Value); stray != "" {
					failed = fmt.Sprintf("%s is in %s", stray, c.Value)
				}
			})
			t.must(err)
			var records []*client.Record
			var cables []*cable
			for i := range clients {
				r, c := t.join(fmt.Sprint("client", i))
				records, cables = append(records, t.record(r, "board", client.RecordOptions{})), append(cables, c)
			}
			release := make([]func(), clients)
			for n, s := range steps {
				r, c := records[s.who], cables[s.who]
				switch s.what {
				case 0, 1:
					if life := r.JSON("life"); life != nil && !r.Pending() {
						for i := range 3 { // the first goes alone, the others together behind it
							r.Send(write(fmt.Sprintf("of.w%d", n*10+i), string(life)), client.WriteOptions{})
						}
					}
				case 2, 3:
					_ = deleted(r)
					r.Send(set(t, "", map[string]int{"life": n + 1}), client.WriteOptions{Version: ptr(uint64(0))})
				case 4:
					release[s.who] = toggled(c, release[s.who])
				case 5:
					c.cut(n%2 == 0)
				case 6:
					c.mend()
					pass(time.Minute)
				case 7:
					pass(time.Second)
				}
				if n%2 == 0 {
					synctest.Wait()
				}
			}
			for i, c := range cables {
				c.mend()
				if release[i] != nil {
					release[i]()
				}
			}
			pass(3 * time.Minute)
		})
		if failed != "" {
			draw.Fatal(failed)
		}
	})
}

// strays names what was written in another life of a record than this one.
func strays(document json.RawMessage) string {
	var now struct {
		Life int
		Of   map[string]int
	}
	_ = json.Unmarshal(document, &now) // nothing of it is there where there is none
	for name, life := range now.Of {
		if life != now.Life {
			return name
		}
	}
	return ""
}

// check compares what all see with what the server has.
func check(t *town, records []*client.Record, lists []*client.List) string {
	late, _ := t.join("late")
	document := string(t.record(late, noList, client.RecordOptions{}).JSON(""))
	l, err := late.State().List(t.Context(), "queue", client.RecordOptions{})
	t.must(err)
	for i, r := range records {
		if got := string(r.JSON("")); got != document || r.Pending() {
			return fmt.Sprintf("client %d sees %s, the server has %s (pending: %v)", i, got, document, r.Pending())
		}
		if got, want := fmt.Sprint(lists[i].Entries()), fmt.Sprint(l.Entries()); got != want {
			return fmt.Sprintf("client %d sees %s, the server has %s", i, got, want)
		}
	}
	return ""
}
