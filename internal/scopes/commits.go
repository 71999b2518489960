package scopes

import (
	"bytes"
	"context"
	"fmt"

	"github.com/parley-rtc/parley/internal/state"
)

// commits is what is to be stored, what is being stored, and what waits for that.
type commits struct {
	open      [][]byte // entries that were appended since the last commit began
	openBytes int
	running   bool        // a commit is being stored
	result    chan result // of it; capacity 1
	last      uint64      // number of the last one that is stored
	appended  uint64      // entries so far
	safe      uint64      // of these are stored
	held      []held      // in the order in which they leave
}

// held leaves when so many entries are stored, or fails when they cannot be.
type held struct {
	after       uint64
	leave, fail func()
}

// result is how storing a commit ended.
type result struct {
	number  uint64
	entries uint64
	err     error
}

func newCommits(last uint64) commits {
	return commits{last: last, result: make(chan result, 1)}
}

func (c *commits) append(e state.Entry) {
	b := encode(e)
	c.open, c.openBytes = append(c.open, b), c.openBytes+len(b)+1
	c.appended++
}

// let lets something out: at once, or when all that was appended is stored.
func (c *commits) let(waits bool, leave, fail func()) {
	if !waits || c.safe == c.appended {
		leave()
		return
	}
	c.held = append(c.held, held{c.appended, leave, fail})
}

// full tells whether no more commands are to be taken now.
func (c *commits) full() bool { return c.openBytes >= maxOpenBytes || len(c.held) >= maxHeld }

func (c *commits) idle() bool { return c.safe == c.appended }

// start begins to store what is open, unless something is being stored.
func (c *commits) start(o *Owner) {
	if c.running || len(c.open) == 0 {
		return
	}
	size, n := 0, 0
	for n < len(c.open) && (n == 0 || size+len(c.open[n]) < maxCommitBytes) {
		size += len(c.open[n]) + 1
		n++
	}
	// It is a state.Commit, whose entries are encoded already.
	b := fmt.Appendf(make([]byte, 0, size+64), `{"c":%d,"e":[%s]}`, o.scope.Incarnations(), bytes.Join(c.open[:n], []byte(",")))
	c.open, c.openBytes, c.running = c.open[n:], c.openBytes-size, true
	log, subject, last, done := o.config.Log, o.config.Subject, c.last, c.result
	go func() { // ends with the result, for which there is a place
		ctx, cancel := context.WithTimeout(context.Background(), storeTime)
		defer cancel()
		number, err := log.Append(ctx, subject, last, b)
		done <- result{number, uint64(n), err}
	}()
}

// stored lets out what has waited for this commit.
func (c *commits) stored(r result) {
	c.running, c.last = false, r.number
	c.safe += r.entries
	n := 0
	for n < len(c.held) && c.held[n].after <= c.safe {
		c.held[n].leave()
		n++
	}
	clear(c.held[:n])
	c.held = c.held[n:]
}

// fail fails all that waits.
func (c *commits) fail() {
	for _, h := range c.held {
		if h.fail != nil {
			h.fail()
		}
	}
}
