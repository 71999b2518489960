package client_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-rtc/parley/client"
)

// Rule: whatever several clients write, and however their connections are lost, for moments or for so long that their sessions are over: when
// all is well again they see the same, and it is what the server has; of the entries that were added to the list each is there as often as its
// addition was confirmed, and at most once more for each that ended with nobody knowing.
func TestClientsConverge(t *testing.T) {
	rapid.Check(t, func(draw *rapid.T) {
		const clients = 3
		type step struct{ who, what, path int }
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{rapid.IntRange(0, clients-1).Draw(t, "who"), rapid.IntRange(0, 9).Draw(t, "what"), rapid.IntRange(0, 2).Draw(t, "path")}
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
				merge := []client.Merge{client.RemoteWins, client.LocalWins, {}}[i]
				records = append(records, t.record(r, "board", client.RecordOptions{Merge: merge}))
				l, err := r.State().List(t.Context(), "queue", client.RecordOptions{})
				t.must(err)
				lists, cables = append(lists, l), append(cables, c)
			}
			type addition struct {
				entry string
				err   error
			}
			added := make(chan addition, len(steps))
			writes := make(chan error, len(steps))
			begun := 0
			for n, s := range steps {
				r, l, c := records[s.who], lists[s.who], cables[s.who]
				path := []string{"a", "b.c", "d[0]"}[s.path]
				switch s.what {
				case 0:
					begun++
					go func() { writes <- r.Set(context.Background(), "", map[string]int{path[:1]: n}) }()
				case 1, 2:
					begun++
					go func() { writes <- r.Set(context.Background(), path, n) }()
				case 3:
					begun++
					go func() { writes <- r.Erase(context.Background(), path) }()
				case 4:
					begun++
					go func() { writes <- r.Delete(context.Background()) }()
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
				}
				if s.path > 0 {
					synctest.Wait()
				}
			}
			for _, c := range cables {
				c.mend()
			}
			pass(3 * time.Minute)
			for range begun {
				<-writes // refused or not: it has ended
			}
			failed = check(t, records, lists)
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

// check compares what all see with what the server has.
func check(t *town, records []*client.Record, lists []*client.List) string {
	late, _ := t.join("late")
	document := string(t.record(late, "board", client.RecordOptions{}).JSON(""))
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
