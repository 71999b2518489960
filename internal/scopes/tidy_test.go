package scopes_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

const teaSubject = "rdGVh" // where the commits of tea are

// left counts what is stored of a subject.
func left(t *testing.T, log bus.Log, subject string) (commits, size int) {
	t.Helper()
	if err := log.Read(t.Context(), subject, 0, func(m bus.Stored) error { commits++; size += len(m.Bytes); return nil }); err != nil {
		t.Fatal(err)
	}
	return commits, size
}

// busy writes records of tea so that most of what is stored is not needed any more: a counter, a large record that is there, and one that is deleted.
func (c *town) busy() {
	c.t.Helper()
	for n := range 300 {
		if got := c.put("counter", n); got != "written" {
			c.t.Fatal(got)
		}
	}
	for name, size := range map[string]int{"large": 100 << 10, "other": 50 << 10, "gone": 240 << 10} {
		body := fmt.Sprintf(`{"name":%q,"durable":true,"operations":[{"op":"set","path":"n","value":%q}]}`, name, strings.Repeat("x", size))
		if got := kind(c.ask("tea", "", "record-write", body)); got != "written" {
			c.t.Fatal(got)
		}
	}
	if got := c.ask("tea", "", "record-delete", `{"name":"gone"}`); got != "ok{}" {
		c.t.Fatal(got)
	}
}

// all is what busy has left of records: as they are, and as they were.
func (c *town) all() string {
	return c.ask("tea", "", "record-read", `{"records":[{"name":"counter"},{"name":"counter","version":295},{"name":"large"},{"name":"other"},{"name":"gone"}]}`)
}

// Rule: when a room's scope ends as nobody uses it any more, no more is left of it than what lives, and the last incarnation. It has all it had when it is opened again: records,
// versions and histories. A room of which no more is stored than it needs is not written anew.
func TestRoomLeavesLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := local.NewLog(1 << 30)
		c := newTown(t, log)
		c.busy()
		want := c.all()
		if commits, size := left(t, log, teaSubject); commits < 300 || size < 400<<10 {
			t.Fatalf("%d commits of %d bytes: that says nothing", commits, size)
		}
		leave := func() { time.Sleep(2 * linger); synctest.Wait() }
		leave()
		if commits, size := left(t, log, teaSubject); commits > 4 || size > 160<<10 {
			t.Errorf("%d commits of %d bytes are left", commits, size)
		}
		if got := c.all(); got != want || !strings.Contains(got, `"n":294`) || !strings.Contains(got, "not-found") {
			t.Errorf("opened again: %.300s, it was %.300s", got, want)
		}
		first, _ := log.First(t.Context(), teaSubject)
		c.put("counter", 7)
		leave()
		if again, _ := log.First(t.Context(), teaSubject); again.Number != first.Number {
			t.Errorf("it begins with %d, and with %d after one write", first.Number, again.Number)
		}
		before, _ := left(t, log, teaSubject)
		c.all()
		leave()
		if after, _ := left(t, log, teaSubject); after != before {
			t.Errorf("%d commits, and %d when it was only read", before, after)
		}
		old := c.ask("tea", "", "record-read", `{"records":[{"name":"counter","head":true}]}`)
		for _, name := range []string{"counter", "large", "other"} {
			c.ask("tea", "", "record-delete", fmt.Sprintf(`{"name":%q}`, name))
		}
		leave()
		if commits, size := left(t, log, teaSubject); commits != 1 || size > 200 {
			t.Errorf("%d commits of %d bytes are left of nothing", commits, size)
		}
		c.put("counter", 1)
		if again := c.ask("tea", "", "record-read", `{"records":[{"name":"counter","head":true}]}`); incarnation(t, again) <= incarnation(t, old) {
			t.Errorf("it was %s, and is %s when it is made again", old, again)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

func incarnation(t *testing.T, answer string) uint64 {
	t.Helper()
	var body wire.Records
	if err := json.Unmarshal([]byte(strings.TrimPrefix(answer, wire.TypeRecords)), &body); err != nil || len(body.Results) != 1 || body.Results[0].Record == nil {
		t.Fatalf("%s: %v", answer, err)
	}
	return body.Results[0].Record.Incarnation
}

// mortal is a log that ends with one of the steps that change it, before it or behind it. A purge may also have removed the first of its messages, or the others.
type mortal struct {
	bus.Log
	how int // 0: before, 1: behind, 2: without the first, 3: without the others

	mu      sync.Mutex
	steps   int // that it takes still
	dead    bool
	missing map[uint64]bool
}

func (l *mortal) step() (dead, dies bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.steps--
	dead, dies = l.dead, l.steps == 0
	l.dead = dead || dies
	return dead, dies
}

func (l *mortal) Append(ctx context.Context, subject string, after uint64, b []byte) (uint64, error) {
	dead, dies := l.step()
	if dead || dies && l.how == 0 {
		return 0, bus.ErrClosed
	}
	n, err := l.Log.Append(ctx, subject, after, b)
	if dies {
		err = bus.ErrClosed
	}
	return n, err
}

func (l *mortal) Purge(ctx context.Context, subject string, below uint64) error {
	dead, dies := l.step()
	switch {
	case dead || dies && l.how == 0:
		return bus.ErrClosed
	case !dies || l.how == 1:
		return l.Log.Purge(ctx, subject, below)
	}
	l.missing = map[uint64]bool{}
	first := true
	return l.Read(ctx, subject, 0, func(m bus.Stored) error {
		if m.Number < below {
			l.missing[m.Number] = first == (l.how == 2)
			first = false
		}
		return nil
	})
}

// Rule: wherever kill -9 ends the tidying of a room, and whatever a purge that it has cut short has left, the room is what it was when it is opened again, and is tidy when it has been left again.
func TestTidyingCutShort(t *testing.T) {
	for _, deleted := range []bool{false, true} {
		steps := 1
		for dies := true; dies; steps++ {
			for how := range 4 {
				synctest.Test(t, func(t *testing.T) { dies = tidyingCutShort(t, deleted, steps, how) })
			}
		}
		if steps < 4 {
			t.Errorf("deleted: %t: it is done in %d steps", deleted, steps-2)
		}
	}
}

func tidyingCutShort(t *testing.T, deleted bool, steps, how int) (dies bool) {
	log := &mortal{Log: local.NewLog(1 << 30), how: how, steps: math.MaxInt}
	c := newTown(t, log)
	c.busy()
	if deleted {
		for _, name := range []string{"counter", "large", "other"} {
			c.ask("tea", "", "record-delete", fmt.Sprintf(`{"name":%q}`, name))
		}
	}
	want := c.all()
	log.mu.Lock()
	log.steps = steps
	log.mu.Unlock()
	time.Sleep(2 * linger)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	found := &gappy{Log: log.Log, t: t, missing: log.missing}
	c = newTown(t, found)
	if got := c.all(); got != want {
		t.Errorf("deleted: %t: killed at step %d in way %d: %.200s, want %.200s", deleted, steps, how, got, want)
	}
	time.Sleep(2 * linger)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := found.Log.Purge(t.Context(), teaSubject, found.below); err != nil { // which it has not done itself
		t.Fatal(err)
	}
	if commits, size := left(t, found.Log, teaSubject); commits > 5 || size > 160<<10 || deleted && size > 500 {
		t.Errorf("deleted: %t: killed at step %d in way %d: %d commits of %d bytes are left", deleted, steps, how, commits, size)
	}
	return log.dead
}

// Rule: while a disk fails a room that nobody uses any more ends as it is, and no commit of it is begun; when it can be stored again, the room is tidied after it was used the next time.
func TestNotTidiedWhileDiskFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &bustest.FailingLog{Log: local.NewLog(1 << 30)}
		c := newTown(t, log)
		c.busy()
		before, _ := left(t, log.Log, teaSubject)
		log.Fail(true)
		if got := c.ask("milk", "", "record-write", writeA+`,"durable":true}`); got != "internal" {
			t.Fatal(got)
		}
		time.Sleep(2 * linger)
		synctest.Wait()
		if after, _ := left(t, log.Log, teaSubject); after != before || log.Failed(teaSubject) > 0 {
			t.Errorf("%d commits, then %d; %d were begun", before, after, log.Failed(teaSubject))
		}
		log.Fail(false)
		time.Sleep(time.Minute)
		c.all()
		time.Sleep(2 * linger)
		if after, _ := left(t, log.Log, teaSubject); after > 4 {
			t.Errorf("%d commits are left", after)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// gate is a log whose commits of copies, and those without entries, of rooms wait until it is opened, and which counts how many do.
type gate struct {
	bus.Log
	open    chan struct{}
	waiting atomic.Int32
}

func (l *gate) Append(ctx context.Context, subject string, after uint64, b []byte) (uint64, error) {
	if s := string(b); subject != "server" && (floorAlone(b) || strings.Contains(s, `"k":true`)) {
		l.waiting.Add(1)
		defer l.waiting.Add(-1)
		select {
		case <-l.open:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return l.Log.Append(ctx, subject, after, b)
}

// Rule: rooms are tidied one after the other. Who comes meanwhile is served at once, also in the room that is being tidied, and finds what was there.
func TestTidyingKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &gate{Log: local.NewLog(1 << 30), open: make(chan struct{})}
		c := newTown(t, log)
		c.busy()
		c.ask("tea", "", "record-write", writeA+"}")
		for i := range 5 {
			if got := c.ask(fmt.Sprint("room", i), "", "record-write", writeA+`,"durable":true}`); !strings.HasPrefix(got, "written") {
				t.Fatal(got)
			}
		}
		time.Sleep(linger + time.Second)
		if n := log.waiting.Load(); n != 1 {
			t.Fatalf("%d rooms are being tidied", n)
		}
		start := time.Now()
		events := c.come("tea", "ann")
		c.ask("tea", "ann", "record-subscribe", `{"records":[{"name":"counter"}]}`)
		if got := c.ask("tea", "", "record-read", `{"records":[{"name":"a","head":true}]}`); !strings.Contains(got, `"version":1`) {
			t.Errorf("what is not stored: %s", got)
		}
		for i := range 5 {
			if got := c.ask(fmt.Sprint("room", i), "", "record-read", `{"records":[{"name":"a","head":true}]}`); !strings.Contains(got, `"version":1`) {
				t.Errorf("another room: %s", got)
			}
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("it took %v", took)
		}
		close(log.open)
		if got := c.put("counter", 400); got != "written" {
			t.Error(got)
		}
		if got := heard(events); len(got) != 1 || !strings.Contains(got[0], `"version":301`) {
			t.Errorf("ann heard %.200q", got)
		}
		time.Sleep(3 * linger)
		if got := c.ask("tea", "", "record-read", `{"records":[{"name":"a","head":true}]}`); !strings.Contains(got, `"version":1`) {
			t.Errorf("ann is there, and what is not stored: %s", got)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// torn is a log in which somebody else has written to tea, and which cannot be read then.
type torn struct {
	bus.Log
	isTorn atomic.Bool
}

func (l *torn) Append(ctx context.Context, subject string, after uint64, b []byte) (uint64, error) {
	if subject == teaSubject && l.isTorn.Load() {
		return 0, bus.ErrSequence
	}
	return l.Log.Append(ctx, subject, after, b)
}

func (l *torn) Read(ctx context.Context, subject string, after uint64, visit func(bus.Stored) error) error {
	if subject == teaSubject && l.isTorn.Load() {
		return errors.New("it cannot be read")
	}
	return l.Log.Read(ctx, subject, after, visit)
}

// Rule: a room that cannot be tidied, as it cannot be loaded again, keeps no other from ending, and ends itself.
func TestOneIsNotTidied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &torn{Log: local.NewLog(1 << 30)}
		c := newTown(t, log)
		c.put("counter", 1)
		log.isTorn.Store(true)
		if got := c.put("counter", 2); got == "written" {
			t.Fatal(got)
		}
		time.Sleep(time.Second)
		for _, body := range []string{writeA + `,"durable":true}`, `{"name":"b","operations":[{"op":"set","path":"n","value":1}]}`} {
			if got := c.ask("milk", "", "record-write", body); !strings.HasPrefix(got, "written") {
				t.Fatal(got)
			}
		}
		time.Sleep(linger + time.Minute)
		if got := c.ask("milk", "", "record-read", `{"records":[{"name":"b","head":true}]}`); !strings.Contains(got, "not-found") {
			t.Errorf("milk has not ended: %s", got)
		}
		log.isTorn.Store(false)
		if got := c.all(); !strings.Contains(got, `"n":1`) {
			t.Errorf("tea: %.200s", got)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Rule: a room that was used while it was being tidied stays as long as after any other use.
func TestUsedWhileTidied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &gate{Log: local.NewLog(1 << 30), open: make(chan struct{})}
		c := newTown(t, log)
		c.put("counter", 1)
		c.ask("tea", "", "record-write", writeA+"}")
		is := func(want string) {
			t.Helper()
			if got := c.ask("tea", "", "record-read", `{"records":[{"name":"a","head":true}]}`); !strings.Contains(got, want) {
				t.Errorf("what is not stored: %s", got)
			}
		}
		time.Sleep(linger + time.Second)
		is(`"version":1`)
		close(log.open)
		time.Sleep(linger - time.Second)
		is(`"version":1`)
		time.Sleep(linger + time.Second)
		is("not-found")
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Rule: copies that cannot be stored disturb nobody: a scope is loaded again only for what somebody may wait for. What is written then is stored.
func TestCopiesFail(t *testing.T) {
	for what, log := range map[string]*bustest.FailingLog{"not stored": {}, "stored": {Keeps: true}, "shown": {Shows: true}} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log.Log = local.NewLog(1 << 30)
				h := open(t, log)
				ann := h.attach("ann")
				for n := range 300 {
					h.now(set("a", n))
				}
				h.now(state.RecordSubscribe{By: ann, RecordSubscribe: wire.RecordSubscribe{Records: []wire.RecordHave{{Name: "a"}}}})
				h.heard()
				log.Fail(true)
				if err := h.Tidy(t.Context()); err == nil {
					t.Error("it is said to be tidy")
				}
				log.Fail(false)
				for range 2 {
					if r := h.now(set("a", 1)); r.Error != nil {
						t.Fatal(r.Error)
					}
				}
				if told := h.heard(); len(told) != 2 || strings.Contains(fmt.Sprint(told), "state-lost") {
					t.Errorf("ann was told %q", told)
				}
				if err := h.Tidy(t.Context()); err != nil {
					t.Error(err)
				}
				all := numbers(t, log)
				if err := h.Tidy(t.Context()); err != nil || len(all) > 4 || !slices.Equal(numbers(t, log), all) {
					t.Errorf("commits %d are left, then %d, %v", all, numbers(t, log), err)
				}
				if err := h.Close(); err != nil {
					t.Fatal(err)
				}
				if got, err := versions(open(t, log).Owner, names); err != nil || got["a"] != 302 {
					t.Errorf("opened again: %v, %v", got, err)
				}
			})
		})
	}
}

// Rule: where there is no room for more, a scope that is asked to write gives back what it does not need, though it may not write, so that there is room again.
func TestFullScopeIsTidied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := local.NewLog(1 << 30)
		c := newTown(t, log)
		c.busy()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		size, _ := log.Size(t.Context())
		c = newTownWith(t, scopes.ServiceConfig{Log: log, MaxStored: size, Linger: linger})
		if got := c.ask("tea", "", "record-write", writeA+`,"durable":true}`); got != "limit" {
			t.Fatalf("%d bytes are stored, and a write is answered %s", size, got)
		}
		synctest.Wait()
		if after, _ := log.Size(t.Context()); after > size/2 {
			t.Errorf("%d bytes are stored, and %d when it is full", size, after)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Rule: records whose time is over leave the disk though nobody opens their room again, within an hour, one room after the other; rooms that were not left tidy, as the server ended before, are tidied as well, and
// purges that it has not finished are. Rooms for which there is nothing to do are not opened.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := local.NewLog(1 << 30)
		log := &purgeless{Log: inner}
		c := newTown(t, log)
		write := func(room, name string, ttl time.Duration, size int) {
			t.Helper()
			body := fmt.Sprintf(`{"name":%q,"durable":true,"ttlSeconds":%d,"operations":[{"op":"set","path":"n","value":%q}]}`, name, int(ttl.Seconds()), strings.Repeat("x", size))
			if got := kind(c.ask(room, "", "record-write", body)); got != "written" {
				t.Fatal(got)
			}
		}
		bytes := func(room string) int {
			t.Helper()
			_, n := left(t, inner, "r"+base64.RawURLEncoding.EncodeToString([]byte(room)))
			return n
		}
		for i := range 5 {
			write(fmt.Sprint("brief", i), "a", 3*time.Hour, 20<<10)
		}
		write("mixed", "brief", 3*time.Hour, 20<<10)
		write("mixed", "long", 0, 100)
		write("kept", "a", 0, 20<<10)
		write("later", "a", 100*time.Hour, 20<<10)
		time.Sleep(2*time.Hour + 50*time.Minute)
		if n := bytes("brief0"); n < 20<<10 {
			t.Fatalf("%d bytes before it is over", n)
		}
		log.opened.Store(0)
		log.most.Store(0)
		time.Sleep(time.Hour + 10*time.Minute)
		for i := range 5 {
			if n := bytes(fmt.Sprint("brief", i)); n > 200 {
				t.Errorf("%d bytes are left of a room of which all is over", n)
			}
		}
		if mixed, kept, later := bytes("mixed"), bytes("kept"), bytes("later"); mixed > 1000 || kept < 20<<10 || later < 20<<10 {
			t.Errorf("left are %d bytes of a small record and one that is over, %d and %d of what lives", mixed, kept, later)
		}
		if n := log.opened.Load(); n != 6 || log.most.Load() > 1 {
			t.Errorf("%d rooms were opened, want 6; %d at once", n, log.most.Load())
		}

		c.busy()
		if err := c.Close(); err != nil { // tea is not tidy
			t.Error(err)
		}
		log.ends.Store(true)
		c = newTown(t, log)
		write("cut short", "a", 0, 20<<10)
		c.ask("cut short", "", "record-delete", `{"name":"a"}`)
		time.Sleep(2 * linger)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		log.ends.Store(false)
		c = newTown(t, log)
		tea, cut := bytes("tea"), bytes("cut short")
		time.Sleep(time.Hour)
		if tea < 300<<10 || bytes("tea") > 160<<10 || cut < 20<<10 || bytes("cut short") > 200 {
			t.Errorf("of tea %d bytes were left, then %d; of a purge that was cut short %d, then %d", tea, bytes("tea"), cut, bytes("cut short"))
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// purgeless is a log that counts which rooms are read, how many at once, and whose process ends before it has purged anything.
type purgeless struct {
	bus.Log
	ends                  atomic.Bool
	opened, reading, most atomic.Int32
}

func (l *purgeless) Read(ctx context.Context, subject string, after uint64, visit func(bus.Stored) error) error {
	l.opened.Add(1)
	if n := l.reading.Add(1); n > l.most.Load() {
		l.most.Store(n)
	}
	defer l.reading.Add(-1)
	time.Sleep(time.Millisecond)
	return l.Log.Read(ctx, subject, after, visit)
}

func (l *purgeless) Purge(ctx context.Context, subject string, below uint64) error {
	if l.ends.Load() {
		return bus.ErrClosed
	}
	return l.Log.Purge(ctx, subject, below)
}

// Rule: where there is no room for more, open scopes give back what they do not need also where nobody writes to them, within ten minutes, and stay open.
func TestFullShelfIsSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const stored = 16 << 20
		log := local.NewLog(stored + scopes.ShelfReserve)
		c := newTownWith(t, scopes.ServiceConfig{Log: log, MaxStored: stored, Linger: linger})
		refused := 0
		for room := 0; refused == 0; room++ {
			name := fmt.Sprint("room", room)
			if room > 200 {
				t.Fatal("it is never full")
			}
			c.come(name, fmt.Sprint("ann", room))
			c.ask(name, "", "record-write", strings.Replace(writeA, `"a"`, `"small"`, 1)+`,"durable":true}`)
			for range 2 {
				body := fmt.Sprintf(`{"name":"a","durable":true,"operations":[{"op":"set","path":"n","value":%q}]}`, strings.Repeat("x", 90<<10))
				if got := kind(c.ask(name, "", "record-write", body)); got == "limit" {
					refused = room
				}
				c.ask(name, "", "record-delete", `{"name":"a"}`)
			}
		}
		c.ask("room0", "", "record-write", writeA+"}")
		for i := range 4 { // the server's scope takes what rooms may not
			c.ask("room0", "", "record-write", fmt.Sprintf(`{"scope":"server","name":"r%d","operations":[{"op":"set","path":"n","value":%q}]}`, i, strings.Repeat("x", 100<<10)))
		}
		size, _ := log.Size(t.Context())
		time.Sleep(11 * time.Minute)
		if after, _ := log.Size(t.Context()); refused < 20 || after > size/10 {
			t.Errorf("%d bytes of %d rooms, where little lives, and %d after a while", size, refused, after)
		}
		if got := c.ask("room0", "", "record-read", `{"records":[{"name":"a","head":true}]}`); !strings.Contains(got, `"version":1`) {
			t.Errorf("what is not stored: %s", got)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
