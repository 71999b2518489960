package client_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/parley-rtc/parley/client"
	"github.com/parley-rtc/parley/wire"
)

func (t *town) list(r *client.Room, name string) *client.List {
	t.Helper()
	l, err := r.State().List(t.Context(), name, client.RecordOptions{})
	t.must(err)
	return l
}

func many(n int) []string {
	entries := make([]string, n)
	for i := range entries {
		entries[i] = fmt.Sprint(i)
	}
	return entries
}

// Rule: a list that is set keeps what others add meanwhile, also where more differs than one write can name, be it that writes before are not
// confirmed or that nobody knows of the list.
func TestLongListsAreSetInParts(t *testing.T) {
	for name, before := range map[string][]string{"pending": {"a"}, "new": nil} {
		t.Run(name, func(t *testing.T) {
			inTown(t, func(t *town) {
				ann, _ := t.join("ann")
				bob, cable := t.join("bob")
				hers, his := t.list(ann, "queue"), t.list(bob, "queue")
				if before != nil {
					t.must(his.Set(t.Context(), before))
				}
				synctest.Wait()
				cable.cut(true)
				synctest.Wait()
				if before != nil {
					go func() { _ = his.Add(t.Context(), "b") }()
					synctest.Wait()
				}
				set := make(chan error, 1)
				go func() { set <- his.Set(t.Context(), many(600)) }()
				synctest.Wait()
				t.must(hers.Add(t.Context(), "hers"))
				cable.mend()
				t.must(<-set)
				synctest.Wait()
				if got := hers.Entries(); len(got) != 601 || !slices.Contains(got, "hers") || !slices.Equal(got, his.Entries()) {
					t.Errorf("ann sees %d entries, bob %d", len(got), len(his.Entries()))
				}
			})
		})
	}
}

// Rule: a list that is set in parts ends with the first that is refused: what is behind it is not written, and what is seen is what the server has.
func TestPartsEndWithARefusal(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		bob, cable := t.join("bob")
		hers, his := t.list(ann, "queue"), t.list(bob, "queue")
		t.must(his.Add(t.Context(), "a"))
		synctest.Wait()
		cable.cut(true)
		synctest.Wait()
		ended := make(chan error, 3)
		begin := func(write func() error) {
			go func() { ended <- write() }()
			synctest.Wait()
		}
		begin(func() error { return his.Add(t.Context(), "b") })
		wanted := append([]string{"a", "b"}, many(900)...)
		wanted[500] = noEntry // is in the second of four parts
		begin(func() error { return his.Set(t.Context(), wanted) })
		begin(func() error { return his.Add(t.Context(), "behind") })
		if got := his.Entries(); len(got) != 903 {
			t.Errorf("bob sees %d entries at once", len(got))
		}
		cable.mend()
		var codes []wire.Code
		for range 3 {
			codes = append(codes, code(<-ended))
		}
		if slices.Sort(codes); !slices.Equal(codes, []wire.Code{"", "", wire.CodeForbidden}) {
			t.Errorf("ended by %q", codes)
		}
		synctest.Wait()
		want := append(slices.Clone(wanted[:2+wire.MaxWriteOperations]), "behind")
		if got := hers.Entries(); !slices.Equal(got, want) || !slices.Equal(his.Entries(), want) || his.Pending() {
			t.Errorf("ann sees %d entries, bob %d, want %d", len(got), len(his.Entries()), len(want))
		}
	})
}

// Rule: of a list that is set in parts nothing is written where not all of them may wait.
func TestPartsWaitTogether(t *testing.T) {
	inTown(t, func(t *town) {
		ann, cable := t.join("ann")
		l, r := t.list(ann, "queue"), t.record(ann, "board", client.RecordOptions{})
		cable.cut(true)
		synctest.Wait()
		for n := range client.MaxWaitingWrites - 2 {
			r.Send(set(t, "n", n), client.WriteOptions{})
		}
		if err := l.Set(t.Context(), many(600)); code(err) != wire.CodeLimit || len(l.Entries()) > 0 {
			t.Errorf("three parts where there is room for two: %v, %d entries", err, len(l.Entries()))
		}
		ended := make(chan error, 1)
		go func() { ended <- l.Set(t.Context(), many(500)) }()
		synctest.Wait()
		cable.mend()
		t.must(<-ended)
	})
}

// Rule: the changes that are told lead from the entries of before to those of now; where too much differs, there are none.
func TestEntryChanges(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		bob, _ := t.join("bob")
		hers, his := t.list(ann, "queue"), t.list(bob, "queue")
		var told heard
		stop := hers.SubscribeEntries(func(changes []client.EntryChange, entries []string) {
			if len(entries) > 3 {
				told.add("%d changes", len(changes))
				return
			}
			told.add("%v %v", changes, entries)
		})
		t.must(his.Add(t.Context(), "a"))
		t.must(his.Insert(t.Context(), "b", 0))
		t.must(his.Move(t.Context(), "a", 1, 0))
		t.must(his.Remove(t.Context(), "b", 1))
		t.heard(&told, "[{insert a 0 0}] [a]", "[{insert b 0 0}] [b a]", "[{move a 1 0}] [a b]", "[{remove b 1 0}] [a]")
		t.must(his.Set(t.Context(), many(5000)))
		t.heard(&told, "0 changes")
		stop()
		t.must(his.Set(t.Context(), nil))
		t.heard(&told)
	})
}

// Rule: a deletion can demand a version.
func TestDeleteVersion(t *testing.T) {
	inTown(t, func(t *town) {
		ann, _ := t.join("ann")
		r := t.record(ann, "board", client.RecordOptions{})
		t.must(r.Set(t.Context(), "n", 1))
		t.must(r.Set(t.Context(), "n", 2))
		if err := r.DeleteVersion(t.Context(), 1); code(err) != wire.CodeConflict || !r.Exists() {
			t.Errorf("another version: %v", err)
		}
		if t.must(r.DeleteVersion(t.Context(), 2)); r.Exists() {
			t.Error("it is still there")
		}
	})
}
