package scopes

import (
	"bytes"
	"context"
	"fmt"

	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// commits is what is to be stored, what is being stored, and what waits for that.
type commits struct {
	open      []entry // entries that were appended since the last commit began
	openBytes int
	running   bool        // a commit is being stored
	result    chan result // of it; capacity 1
	last      uint64      // number of the last one that is stored
	ledger    *state.Ledger
	floor     uint64     // commits with lower numbers are not needed any more, which the next commit says
	said      uint64     // floor of what is stored
	cleared   uint64     // floor below which it was purged
	purging   bool       // it is being purged
	purged    chan error // the end of that; capacity 1
	appended  uint64     // entries so far
	safe      uint64     // of these are stored
	held      []held     // in the order in which they leave
	heldBytes int        // of the values in them
}

// entry is to be stored.
type entry struct {
	bytes  []byte
	note   state.Note
	number uint64 // of state.Append; 0: a copy
}

// held leaves when so many entries are stored, or fails when they cannot be.
type held struct {
	after uint64
	size  int // bytes of the values that it keeps
	leave func()
	fail  func(why *wire.Error)
}

// result is how storing a commit ended.
type result struct {
	number  uint64
	size    int
	entries uint64
	notes   []state.Note
	upTo    uint64 // number of the last state.Append among them; 0: none
	floor   uint64
	err     error
}

func newCommits() commits {
	return commits{result: make(chan result, 1), purged: make(chan error, 1), ledger: state.NewLedger(logSlack, purgeWorth)}
}

// loaded notes a commit that is there.
func (c *commits) loaded(number uint64, size int, commit state.Commit) {
	notes := make([]state.Note, len(commit.Entries))
	for i, e := range commit.Entries {
		notes[i] = e.Note(size / len(commit.Entries))
	}
	c.last, c.floor = number, max(c.floor, commit.Floor)
	c.said = c.floor
	c.ledger.Stored(number, size, notes)
}

// known is the last one that is known to be stored.
func (c *commits) known() known { return known{c.last, c.said} }

func (c *commits) append(e state.Entry, number uint64) {
	b := encode(e)
	c.open, c.openBytes = append(c.open, entry{b, e.Note(len(b)), number}), c.openBytes+len(b)+1
	c.appended++
}

// copy appends whole records beside what is open, so that older messages are not needed any more.
func (c *commits) copy(scope *state.Scope) {
	c.ledger.Copy(min(c.openBytes, maxCopyBytes), func(name string) int {
		e, ok := scope.Whole(name)
		if !ok {
			return 0
		}
		before := c.openBytes
		c.append(e, 0)
		return c.openBytes - before
	})
}

// let lets something out that has values of so many bytes: at once, or when all that was appended is stored.
func (c *commits) let(waits bool, size int, leave func(), fail func(why *wire.Error)) {
	if !waits || c.safe == c.appended {
		leave()
		return
	}
	c.held = append(c.held, held{c.appended, size, leave, fail})
	c.heldBytes += size
}

// full tells whether no more commands are to be taken now.
func (c *commits) full() bool {
	return c.openBytes >= maxOpenBytes || len(c.held) >= maxHeld || c.heldBytes >= maxHeldBytes
}

// start begins to store what is open, or just what is not needed any more, unless something is being stored.
func (c *commits) start(o *Owner) {
	if c.running || len(c.open) == 0 && (c.floor == c.said || o.refuses()) {
		return
	}
	c.ledger.Slack(o.config.Shelf.slack())
	c.copy(o.scope)
	r, size := result{floor: c.floor}, 0
	var all [][]byte
	for _, e := range c.open {
		if len(all) > 0 && size+len(e.bytes) >= maxCommitBytes {
			break
		}
		size += len(e.bytes) + 1
		all, r.notes, r.upTo = append(all, e.bytes), append(r.notes, e.note), max(r.upTo, e.number)
	}
	// It is a state.Commit, whose entries are encoded already.
	b := fmt.Appendf(make([]byte, 0, size+96), `{"c":%d,"p":%d,"f":%d,"e":[%s]}`, o.scope.Incarnations(), c.last, c.floor, bytes.Join(all, []byte(",")))
	r.size, r.entries = len(b), uint64(len(all))
	c.open, c.openBytes, c.running = c.open[len(all):], c.openBytes-size, true
	log, subject, last, done := o.config.Log, o.config.Subject, c.last, c.result
	go func() { // ends with the result, for which there is a place
		ctx, cancel := context.WithTimeout(context.Background(), StoreTime)
		defer cancel()
		r.number, r.err = log.Append(ctx, subject, last, b)
		done <- r
	}()
}

// stored lets out what has waited for this commit.
func (c *commits) stored(r result) {
	c.running, c.last, c.said = false, r.number, r.floor
	c.ledger.Stored(r.number, r.size, r.notes)
	c.safe += r.entries
	n := 0
	for n < len(c.held) && c.held[n].after <= c.safe {
		c.held[n].leave()
		c.heldBytes -= c.held[n].size
		n++
	}
	clear(c.held[:n])
	c.held = c.held[n:]
}

// raise looks what is not needed any more, if that is worth it.
func (c *commits) raise(o *Owner) {
	c.ledger.Slack(o.config.Shelf.slack())
	c.floor = max(c.floor, c.ledger.Purge())
}

// purge begins to purge what is not needed any more, once that is stored: of a purge that a crash has cut short, any commits may be left, and it has to be
// known then that they say nothing.
func (c *commits) purge(o *Owner) {
	if c.purging || c.said == c.cleared {
		return
	}
	c.purging, c.cleared = true, c.said
	log, subject, shelf, below, done := o.config.Log, o.config.Subject, o.config.Shelf, c.said, c.purged
	go func() { // ends with the result, for which there is a place
		ctx, cancel := context.WithTimeout(context.Background(), StoreTime)
		defer cancel()
		err := log.Purge(ctx, subject, below)
		if err == nil {
			err = shelf.measure(ctx)
		}
		done <- err
	}()
}

// fail fails all that waits.
func (c *commits) fail(why *wire.Error) {
	for _, h := range c.held {
		if h.fail != nil {
			h.fail(why)
		}
	}
}
