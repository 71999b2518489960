package scopes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// commits is what is to be stored, what is being stored, and what waits for that.
type commits struct {
	open      []entry // entries that were appended since the last commit began
	openBytes int
	running   bool        // a commit is being stored
	result    chan result // of it; capacity 1
	last      uint64      // number of the last one that is known to be stored
	doubted   bool        // one that changes nothing may be behind it
	ledger    *state.Ledger
	floor     uint64     // commits with lower numbers are not needed any more, which the next commit says
	said      uint64     // floor of what is stored
	expiry    *int64     // what the last one says of it; see state.Commit
	tidying   *tidying   // nil: it is not
	untidy    time.Time  // when that may begin by itself again; zero: it has not failed
	ends      bool       // nothing is begun any more
	later     time.Time  // when it is tried again to store the floor alone; zero: it has not failed
	cleared   uint64     // floor below which it was purged
	purging   bool       // it is being purged
	purged    chan purge // the end of that; capacity 1
	appended  uint64     // entries so far
	changed   uint64     // of these up to the last that is no copy
	safe      uint64     // of these are stored
	held      []held     // in the order in which they leave
	heldBytes int        // of the values in them
}

// purge is how one ended.
type purge struct {
	below uint64 // nothing is left below this number
	err   error
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
	behind  uint64 // number of the commit before it
	size    int
	entries uint64
	notes   []state.Note
	upTo    uint64 // number of the last state.Append among them; 0: none, it has copies or the floor alone
	floor   uint64
	expiry  *int64
	err     error
}

func newCommits() commits {
	return commits{result: make(chan result, 1), purged: make(chan purge, 1), ledger: state.NewLedger(logSlack, purgeWorth)}
}

// loaded notes a commit that is there.
func (c *commits) loaded(number uint64, size int, commit state.Commit) {
	notes := make([]state.Note, len(commit.Entries))
	for i, e := range commit.Entries {
		notes[i] = e.Note(size / len(commit.Entries))
	}
	c.last, c.floor = number, max(c.floor, commit.Floor)
	c.said, c.expiry = c.floor, commit.Expiry
	c.ledger.Stored(number, size+storedOverhead, notes)
}

// known is the last one that is known to be stored.
func (c *commits) known() known { return known{c.last, c.said} }

func (c *commits) append(e state.Entry, number uint64) {
	b := encode(e)
	c.open, c.openBytes = append(c.open, entry{b, e.Note(len(b)), number}), c.openBytes+len(b)+1
	c.appended++
	if number > 0 {
		c.changed = c.appended
	}
}

// copy appends whole records beside what is open, so that older messages are not needed any more.
func (c *commits) copy(scope *state.Scope) {
	c.ledger.Copy(min(c.openBytes, maxCopyBytes), c.whole(scope))
}

// whole appends a copy of a record, and returns its size.
func (c *commits) whole(scope *state.Scope) func(name string) int {
	return func(name string) int {
		e, ok := scope.Whole(name)
		if !ok {
			return 0
		}
		before := c.openBytes
		c.append(e, 0)
		return c.openBytes - before
	}
}

// let lets something out that has values of so many bytes: at once, or when all changes that were appended are stored.
func (c *commits) let(waits bool, size int, leave func(), fail func(why *wire.Error)) {
	if !waits || c.safe >= c.changed {
		leave()
		return
	}
	c.held = append(c.held, held{c.changed, size, leave, fail})
	c.heldBytes += size
}

// live is about how many bytes the records take as whole copies, when what is open is stored.
func (c *commits) live() int {
	_, live := c.ledger.Sizes()
	return live + c.openBytes
}

// full tells whether no more commands are to be taken now.
func (c *commits) full() bool {
	return c.openBytes >= maxOpenBytes || len(c.held) >= maxHeld || c.heldBytes >= maxHeldBytes
}

// start begins to store what is open, or just what is not needed any more, unless something is being stored.
func (c *commits) start(o *Owner) {
	if c.running {
		return
	}
	var expiry *int64
	if len(c.open) == 0 {
		tidies := false
		if expiry, tidies = c.tidy(o); !tidies && !c.mayStart(o) {
			return
		}
	} else {
		c.ledger.Slack(o.config.Shelf.slack(o.config.State.Scope))
		c.copy(o.scope)
	}
	r, size := result{behind: c.last, floor: c.floor, expiry: expiry}, 0
	var all [][]byte
	for _, e := range c.open {
		if len(all) > 0 && size+len(e.bytes) >= maxCommitBytes {
			break
		}
		size += len(e.bytes) + 1
		all, r.notes, r.upTo = append(all, e.bytes), append(r.notes, e.note), max(r.upTo, e.number)
	}
	r.entries = uint64(len(all))
	clear(c.open[:len(all)])
	c.open, c.openBytes, c.running = c.open[len(all):], c.openBytes-size, true
	// It is a state.Commit, whose entries are encoded already.
	incarnations, entries := o.scope.Incarnations(), bytes.Join(all, []byte(","))
	encode := func(last uint64) []byte {
		b := fmt.Appendf(make([]byte, 0, size+128), `{"c":%d,"p":%d,"f":%d,`, incarnations, last, r.floor)
		if r.expiry != nil {
			b = fmt.Appendf(b, `"x":%d,`, *r.expiry)
		}
		return append(append(append(b, `"e":[`...), entries...), "]}"...)
	}
	log, subject, doubted, done := o.config.Log, o.config.Subject, c.doubted, c.result
	go func() { // ends with the result, for which there is a place
		ctx, cancel := context.WithTimeout(context.Background(), StoreTime)
		defer cancel()
		r.store(ctx, log, subject, doubted, encode)
		done <- r
	}()
}

// mayStart tells whether it is time to say what is not needed any more.
func (c *commits) mayStart(o *Owner) bool {
	now := time.Now()
	if c.floor == c.said || now.Before(c.later) {
		return false
	}
	if o.refuses() {
		c.later = now.Add(floorPause)
		return false
	}
	return true
}

// store appends a commit behind the last one. doubted: one that changes nothing may be behind that, and is the last one then.
func (r *result) store(ctx context.Context, log bus.Log, subject string, doubted bool, encode func(last uint64) []byte) {
	b := encode(r.behind)
	r.size = len(b)
	r.number, r.err = log.Append(ctx, subject, r.behind, b)
	if !doubted || !errors.Is(r.err, bus.ErrSequence) {
		return
	}
	last, err := log.Last(ctx, subject)
	if err != nil {
		r.err = err
		return
	}
	if sameBehind(r.behind, last) {
		r.behind = last.Number
		r.store(ctx, log, subject, false, encode)
	}
}

// sameBehind tells whether what is stored changes nothing, as it has copies or the floor alone, and is the next one behind that commit.
func sameBehind(behind uint64, m bus.Stored) bool {
	c, err := readCommit(m)
	return err == nil && c.Previous != nil && *c.Previous == behind && !slices.ContainsFunc(c.Entries, func(e state.Entry) bool { return !e.Copy })
}

// waitedFor tells whether somebody may wait for a commit that failed. Nobody does for one that changes nothing, unless others write to the scope as well.
func (r result) waitedFor() bool { return r.upTo > 0 || errors.Is(r.err, bus.ErrSequence) }

// postpone puts a commit off that failed and changes nothing. Whether it is stored all the same is found out with the next one. Its copies are not needed.
func (c *commits) postpone(o *Owner, r result) {
	c.running, c.last, c.later = false, r.behind, time.Now().Add(floorPause)
	c.untidy = c.later
	c.safe += r.entries
	c.tidied(r.err)
	if errors.Is(r.err, bus.ErrFull) {
		c.makeRoom(o)
		return
	}
	c.doubted = true
	o.warn(r.err)
	if unknown(r.err) {
		o.doubt(r.err)
	}
}

// due is when there is something to be stored again; zero: not before something else happens.
func (c *commits) due() time.Time {
	if c.running || c.floor == c.said {
		return time.Time{}
	}
	return c.later
}

// stored lets out what has waited for this commit.
func (c *commits) stored(r result) {
	c.running, c.last, c.doubted, c.said, c.expiry, c.later = false, r.number, false, r.floor, r.expiry, time.Time{}
	c.ledger.Stored(r.number, r.size+storedOverhead, r.notes)
	if c.safe += r.entries; r.expiry != nil { // what is before it counts no more
		c.ledger.Slack(0, 1)
		c.ledger.Purge()
	}
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
	c.ledger.Slack(o.config.Shelf.slack(o.config.State.Scope))
	c.floor = max(c.floor, c.ledger.Purge())
}

// purge begins to purge what is not needed any more, once that is stored: of a purge that a crash has cut short, any commits may be left, and it has to be
// known then that they say nothing.
func (c *commits) purge(o *Owner) {
	if c.purging || c.said <= c.cleared {
		return
	}
	c.cleared = c.said
	below := c.said
	c.remove(o, func(context.Context) (uint64, error) { return below, nil })
}

// makeRoom purges the oldest commit, where it is not needed any more and the log has no room to say so. It is one alone, as there is no hole then in what a
// crash leaves. The last one stays, whatever the floor is: the next one is stored behind it.
func (c *commits) makeRoom(o *Owner) {
	if c.purging { // that makes room as well
		return
	}
	log, subject, floor, last := o.config.Log, o.config.Subject, c.floor, c.last
	c.remove(o, func(ctx context.Context) (uint64, error) {
		switch first, err := log.First(ctx, subject); {
		case first.Number == 0:
			return floor, err
		case first.Number >= min(floor, last):
			return 0, err
		default:
			return min(first.Number+1, floor), err
		}
	})
}

// remove purges below a number that is found out beside the loop; 0: nothing is to be purged.
func (c *commits) remove(o *Owner, find func(context.Context) (uint64, error)) {
	c.purging = true
	log, subject, shelf, done := o.config.Log, o.config.Subject, o.config.Shelf, c.purged
	go func() { // ends with the result, for which there is a place
		ctx, cancel := context.WithTimeout(context.Background(), StoreTime)
		defer cancel()
		below, err := find(ctx)
		if err == nil && below > 0 {
			err = log.Purge(ctx, subject, below)
		}
		if err == nil && below > 0 {
			err = shelf.measure(ctx)
		}
		done <- purge{below, err}
	}()
}

// ended deals with the end of a purge. Where nothing is left below the floor, it needs no commit that says so.
func (c *commits) ended(o *Owner, p purge) {
	c.purging = false
	switch {
	case p.err != nil:
		o.warn(p.err)
	case p.below > 0: // else what failed is tried again after its pause
		c.later = time.Time{}
		if p.below >= c.floor {
			c.said, c.cleared = c.floor, c.floor
		}
	}
	c.purge(o)
}

// fail fails all that waits.
func (c *commits) fail(why *wire.Error) {
	for _, h := range c.held {
		if h.fail != nil {
			h.fail(why)
		}
	}
}
