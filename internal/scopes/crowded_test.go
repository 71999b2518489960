package scopes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// capricious is a log that takes its time, and sometimes says of a commit that it is not stored, which may be wrong.
type capricious struct {
	bus.Log

	mu     sync.Mutex
	random *rand.Rand
}

func (l *capricious) Append(ctx context.Context, subject string, after uint64, b []byte) (uint64, error) {
	l.mu.Lock()
	takes, chance := time.Duration(l.random.IntN(20))*time.Millisecond, l.random.IntN(30)
	l.mu.Unlock()
	time.Sleep(takes)
	if chance == 0 {
		return 0, errors.New("a bad day")
	}
	n, err := l.Log.Append(ctx, subject, after, b)
	if chance == 1 && err == nil {
		return 0, errors.New("a bad day, though it is stored")
	}
	return n, err
}

// crowded is a scope at its limits, with a hand-made description of what those who have records of their own know of them.
type crowded struct {
	t     *testing.T
	owner *Owner
	shelf *Shelf
	log   bus.Log

	mu    sync.Mutex
	codes map[wire.Code]int
}

func (c *crowded) open() {
	logger := slog.New(slog.DiscardHandler)
	shelf, err := NewShelf(context.Background(), c.log, 1<<20, nil, logger)
	if err != nil {
		c.t.Fatal(err)
	}
	c.shelf = shelf
	c.owner, err = Open(context.Background(), Config{
		State: state.Config{Scope: wire.ScopeServer, Durable: true, MaxRecords: 24, MaxBytes: 256 << 10}, Log: c.log, Subject: "server",
		Budget: NewBudget(1 << 20), Shelf: shelf, Tell: func(state.Tell, []byte) {}, Logger: logger,
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *crowded) close() {
	if err := c.owner.Close(); err != nil {
		c.t.Error(err)
	}
	c.shelf.Close()
}

// do asks for something that has to be answered in the time that a request may take.
func (c *crowded) do(command state.Command) state.Reply {
	ctx, cancel := context.WithTimeout(context.Background(), AskTime+2*StoreTime)
	defer cancel()
	r, err := c.owner.Do(ctx, command)
	if err != nil {
		c.t.Errorf("%T: %v", command, err)
	}
	code := wire.Code("")
	if r.Error != nil {
		code = r.Error.Code
	}
	c.mu.Lock()
	c.codes[code]++
	c.mu.Unlock()
	return r
}

// own is a record that nobody else writes, as its writer knows it; version 0: it is not there.
type own struct {
	name                 string
	incarnation, version uint64
	durable              bool
	unsure               bool // perhaps it is otherwise: a write, or a deletion, had no certain end
}

// look compares a record with what its writer knows, and lets it know. What has no certain end is not decided before the shelf is open again, and the owner knows.
func (c *crowded) look(o *own) {
	if o.unsure {
		time.Sleep(5 * time.Second)
	}
	if o.unsure && c.shelf.refuses() {
		return
	}
	result := c.do(state.RecordRead{RecordRead: wire.RecordRead{Records: []wire.RecordWanted{{Name: o.name, Head: true}}}})
	if result.Error != nil { // the store had a bad day
		return
	}
	var is wire.RecordState
	if r := result.Body.(wire.Records).Results[0].Record; r != nil {
		is = *r
	}
	if !o.unsure && (is.Version != o.version || is.Incarnation != o.incarnation) {
		c.t.Errorf("%s is %d/%d, and was acknowledged as %d/%d", o.name, is.Incarnation, is.Version, o.incarnation, o.version)
	}
	if o.unsure && is.Incarnation == o.incarnation && is.Version < o.version {
		c.t.Errorf("%s is %d/%d, after %d/%d", o.name, is.Incarnation, is.Version, o.incarnation, o.version)
	}
	o.incarnation, o.version, o.unsure = is.Incarnation, is.Version, false
}

// anyOperation is one of those that clients have.
func anyOperation(r *rand.Rand) wire.Operation {
	text, _ := json.Marshal(strings.Repeat("x", r.IntN(8<<10)))
	zero := 0
	return []wire.Operation{
		{Op: wire.OperationSet, Path: "a", Value: text},
		{Op: wire.OperationSet, Path: "b.c", Value: text},
		{Op: wire.OperationSet, Value: []byte(`{"a":1}`)},
		{Op: wire.OperationSet, Value: []byte(`["x","y"]`)},
		{Op: wire.OperationErase, Path: "a"},
		{Op: wire.OperationInsert, Value: text},
		{Op: wire.OperationRemove, Value: []byte(`"x"`)},
		{Op: wire.OperationMove, Value: []byte(`"y"`), To: &zero},
		{Op: wire.OperationEntries, Value: []byte(`["z","y"]`)},
	}[r.IntN(9)]
}

func anyWrite(r *rand.Rand, name string) state.RecordWrite {
	w := wire.RecordWrite{Name: name, Operations: []wire.Operation{anyOperation(r)}}
	if r.IntN(4) == 0 {
		history := r.IntN(wire.MaxHistory + 1)
		w.History = &history
	}
	return state.RecordWrite{RecordWrite: w}
}

// write writes a record of one's own, for the version that it has, or for another.
func (c *crowded) write(r *rand.Rand, o *own) {
	w := anyWrite(r, o.name)
	w.Durable = &o.durable
	stale := r.IntN(8) == 0
	if version := o.version; stale || r.IntN(2) == 0 {
		if stale {
			version += 7
		}
		w.Version, w.Incarnation = &version, o.incarnation
	}
	reply := c.do(w)
	switch code := codeOf(reply); {
	case code == "" && !stale:
		b := reply.Body.(wire.Written)
		if b.Version != o.version+1 || o.version > 0 && b.Incarnation != o.incarnation || o.version == 0 && b.Incarnation <= o.incarnation {
			c.t.Errorf("%s, which was %d/%d, is written as %+v", o.name, o.incarnation, o.version, b)
		}
		o.incarnation, o.version = b.Incarnation, b.Version
	case code == wire.CodeConflict && stale, code == wire.CodeBadRequest, code == wire.CodeNotFound && o.version == 0, code == wire.CodeLimit,
		code == wire.CodeOverloaded: // it is as it was
	case code == wire.CodeInternal:
		o.unsure = true
	default:
		c.t.Errorf("%s, which was %d/%d, for another version: %v, is written: %+v", o.name, o.incarnation, o.version, stale, reply.Error)
	}
}

func (c *crowded) delete(o *own) {
	switch code := codeOf(c.do(state.RecordDelete{RecordDelete: wire.RecordDelete{Name: o.name}})); {
	case code == "" && o.version > 0:
		o.version, o.incarnation = 0, 0
	case code == wire.CodeNotFound && o.version == 0, code == wire.CodeOverloaded:
	case code == wire.CodeInternal:
		o.unsure = true
	default:
		c.t.Errorf("%s, which was %d/%d, is deleted: %q", o.name, o.incarnation, o.version, code)
	}
}

func codeOf(r state.Reply) wire.Code {
	if r.Error == nil {
		return ""
	}
	return r.Error.Code
}

// disturb does something about records that all have in common.
func (c *crowded) disturb(r *rand.Rand, by state.Caller) {
	name := fmt.Sprint("common", r.IntN(30))
	var command state.Command
	switch r.IntN(6) {
	case 0:
		command = state.RecordSubscribe{By: by, RecordSubscribe: wire.RecordSubscribe{Records: []wire.RecordHave{{Name: name}, {Name: name, Path: "a"}}}}
	case 1:
		command = state.RecordDelete{By: by, RecordDelete: wire.RecordDelete{Name: name}}
	case 2:
		command = state.EventPublish{By: by, EventPublish: wire.EventPublish{Name: name}}
	default:
		w := anyWrite(r, name)
		ttl, durable := r.IntN(30), r.IntN(2) == 0
		w.By, w.TTLSeconds, w.Durable = by, &ttl, &durable
		command = w
	}
	allowed := []wire.Code{"", wire.CodeBadRequest, wire.CodeLimit, wire.CodeNotFound, wire.CodeInternal, wire.CodeOverloaded}
	if code := codeOf(c.do(command)); !slices.Contains(allowed, code) {
		c.t.Errorf("%T: %s", command, code)
	}
}

// live is somebody with two records of its own, who comes and goes.
func (c *crowded) live(r *rand.Rand, me string) []*own {
	mine := []*own{{name: me + " stored", durable: true}, {name: me + " kept"}}
	by := state.Caller{Session: me, Identity: me}
	for i := range 150 {
		if i%50 == 0 {
			c.do(state.Attach{By: by})
		}
		switch o, chance := mine[r.IntN(2)], r.IntN(10); {
		case o.unsure, chance == 0:
			c.look(o)
		case chance == 1:
			c.delete(o)
		case chance < 5:
			c.disturb(r, by)
		default:
			c.write(r, o)
		}
		if i%50 == 49 {
			c.do(state.Detach{Session: me})
		}
	}
	return mine
}

// tidy tidies the scope again and again, which mostly goes well.
func (c *crowded) tidy(r *rand.Rand) {
	tidied := 0
	for range 30 {
		time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		err := c.owner.Tidy(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			c.t.Error("it has no end")
		}
		if err == nil {
			tidied++
		}
	}
	if tidied < 5 {
		c.t.Errorf("tidied %d times: that says little", tidied)
	}
}

// Rule: where a scope is at its limits, whatever is written, by whom and however the store behaves, everything is answered in time and with a reason, what was acknowledged
// is there, also when it is opened again, and nothing is left of who has gone.
func TestCrowded(t *testing.T) {
	codes := map[wire.Code]int{}
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			c := &crowded{t: t, log: &capricious{Log: local.NewLog(64 << 20), random: rand.New(rand.NewPCG(seed, 1))}, codes: codes}
			c.open()
			all := make([][]*own, 12)
			var wait sync.WaitGroup
			for i := range all {
				wait.Go(func() { all[i] = c.live(rand.New(rand.NewPCG(seed, uint64(i+2))), fmt.Sprint("writer", i)) })
			}
			wait.Go(func() { c.tidy(rand.New(rand.NewPCG(seed, 99))) })
			wait.Wait()
			time.Sleep(time.Minute) // what is mortal is gone, and what was to be stored is
			synctest.Wait()
			c.checkAll(all)
			c.close()
			c.checkEmpty()
			for _, mine := range all {
				mine[1].version, mine[1].incarnation = 0, 0
			}
			c.open()
			defer c.close()
			c.checkAll(all)
		})
	}
	for _, code := range []wire.Code{"", wire.CodeLimit, wire.CodeInternal, wire.CodeConflict} {
		if codes[code] < 20 {
			t.Errorf("of %q there were %d: that says nothing", code, codes[code])
		}
	}
}

func (c *crowded) checkAll(all [][]*own) {
	for _, mine := range all {
		for _, o := range mine {
			c.look(o)
		}
	}
}

// checkEmpty looks into an owner that has ended.
func (c *crowded) checkEmpty() {
	o := c.owner
	if _, _, sessions := o.scope.Sizes(); sessions+len(o.attached)+len(o.late)+len(o.calls) > 0 {
		c.t.Errorf("of who has gone are left %d sessions, %d who are attached, %d late and %d calls", sessions, len(o.attached), len(o.late), len(o.calls))
	}
	if k := &o.commits; len(k.held)+len(k.open)+k.heldBytes+k.openBytes > 0 {
		c.t.Errorf("%d entries of %d bytes wait to be stored, and %d effects of %d bytes for that", len(k.open), k.openBytes, len(k.held), k.heldBytes)
	}
	if left := o.config.Budget.used.Load(); left != 0 {
		c.t.Errorf("%d bytes of the budget are used", left)
	}
}
