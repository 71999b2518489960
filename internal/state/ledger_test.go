package state

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-rtc/parley/wire"
)

// kept is a scope and its log, which a ledger keeps short.
type kept struct {
	t       tester
	scene   *scene
	ledger  *Ledger
	log     map[uint64]Commit
	last    uint64
	written int // bytes of what the scope appended
	copied  int // bytes of whole copies that were taken along
}

func newKept(t tester, slack, worth int) *kept {
	c := newScene(t, Config{Durable: true})
	c.attach("ann1")
	return &kept{t: t, scene: c, ledger: NewLedger(slack, worth), log: map[uint64]Commit{}}
}

func size(e Entry) int {
	b, _ := json.Marshal(e)
	return len(b)
}

// apply does what an owner does.
func (k *kept) apply(command Command) {
	c := k.scene
	c.stored = nil
	c.apply(command)
	if len(c.stored) == 0 {
		return
	}
	entries := c.stored[0].Entries
	var notes []Note
	n := 0
	for _, e := range entries {
		notes = append(notes, e.Note(size(e)))
		n += size(e)
	}
	k.written += n
	k.ledger.Copy(n, func(name string) int {
		e, ok := c.s.Whole(name)
		if !ok {
			return 0
		}
		entries, notes = append(entries, e), append(notes, e.Note(size(e)))
		k.copied += size(e)
		n += size(e)
		return size(e)
	})
	k.last += 3 // numbers skip
	k.log[k.last] = reencode(k.t, c.s.Commit(entries))
	k.ledger.Stored(k.last, n, notes)
	if below := k.ledger.Purge(); below > 0 {
		for number := range k.log {
			if number < below {
				delete(k.log, number)
			}
		}
	}
}

// check: what the log has left leads to the scope, and the last message is there.
func (k *kept) check() {
	var left []Commit
	for n := uint64(0); n <= k.last; n++ {
		if c, ok := k.log[n]; ok {
			left = append(left, c)
		}
	}
	if _, ok := k.log[k.last]; !ok && k.last > 0 {
		k.t.Fatalf("the last message was purged")
	}
	k.scene.checkStored(left)
}

// Rule: whatever is written, deleted and created again, what is left of the log leads to the same records.
func TestLedgerKeepsEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := newKept(t, rapid.IntRange(0, 300).Draw(t, "slack"), rapid.IntRange(1, 300).Draw(t, "worth"))
		for range rapid.IntRange(1, 40).Draw(t, "writes") {
			name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
			if rapid.IntRange(0, 5).Draw(t, "delete") == 0 {
				k.apply(RecordDelete{Caller{}, wire.RecordDelete{Name: name}})
			} else {
				k.apply(k.scene.writing("http", name, set("a", fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "value")))))
			}
			k.check()
		}
	})
}

// Rule: however long it goes on, the log is not longer than twice its last whole copies and the slack, beside what is not worth purging;
// and the copies take no more than what is written. A record that nobody writes does not hold it up.
func TestLedgerBounds(t *testing.T) {
	const slack, worth = 20_000, 2_000
	k := newKept(t, slack, worth)
	k.apply(k.scene.writing("http", "quiet", set("a", `"never written again"`)))
	text := `"` + strings.Repeat("x", 100) + `"`
	for i := range 5000 {
		k.apply(k.scene.writing("http", fmt.Sprint("busy", i%10), set("a", text)))
		if limit := 2*k.ledger.live + slack + worth + 4_000; k.ledger.bytes > limit {
			t.Fatalf("after %d writes the log has %d bytes, limit %d", i, k.ledger.bytes, limit)
		}
		if i%50 == 0 && len(k.ledger.order) > 2*len(k.ledger.copies)+64 {
			t.Fatalf("%d entries in the order of %d copies", len(k.ledger.order), len(k.ledger.copies))
		}
	}
	k.check()
	if k.copied > k.written+4_000 {
		t.Errorf("%d bytes were copied for %d that were written", k.copied, k.written)
	}
	if len(k.log) > 1000 {
		t.Errorf("%d of 5000 messages are left", len(k.log))
	}
}
