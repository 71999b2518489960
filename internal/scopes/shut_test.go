package scopes_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
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

// put writes a durable record of tea, and returns the code of the answer.
func (c *town) put(name string, n int) string {
	return kind(c.ask("tea", "", "record-write", fmt.Sprintf(`{"name":%q,"durable":true,"operations":[{"op":"set","path":"n","value":%d}]}`, name, n)))
}

// brief writes a record of tea that expires in 5 s.
func (c *town) brief() {
	c.t.Helper()
	got := c.ask("tea", "", "record-write", `{"name":"brief","durable":true,"ttlSeconds":5,"operations":[{"op":"set","path":"n","value":1}]}`)
	if kind(got) != "written" {
		c.t.Fatal(got)
	}
}

// kind is an answer without its body.
func kind(answer string) string {
	typ, _, _ := strings.Cut(answer, "{")
	return typ
}

// value reads what a record of tea is.
func (c *town) value(name string) string {
	got := c.ask("tea", "", "record-read", fmt.Sprintf(`{"records":[{"name":%q}]}`, name))
	_, value, _ := strings.Cut(got, `"value":`)
	value, _, _ = strings.Cut(value, "}")
	return value
}

// lost counts who was told that its subscriptions have ended.
func lost(events bus.Subscription) (n int) {
	for _, e := range heard(events) {
		if strings.Contains(e, "state-lost") {
			n++
		}
	}
	return n
}

// goesOn tells whether all that is not stored works in tea, at once.
func (c *town) goesOn(events bus.Subscription, n int) {
	c.t.Helper()
	start := time.Now()
	for what, got := range map[string]string{
		"a record that is not stored": c.ask("tea", "ann", "record-write", fmt.Sprintf(`{"name":"cursor","operations":[{"op":"set","path":"n","value":%d}]}`, n)),
		"an event":                    c.ask("tea", "", "event-publish", `{"name":"wave"}`),
		"who is there":                c.ask("tea", "ann", "presence-read", `{}`),
	} {
		if !slices.Contains([]string{"written", "ok", "present"}, kind(got)) {
			c.t.Errorf("%s: %s", what, got)
		}
	}
	if got := heard(events); len(got) != 1 || !strings.Contains(got[0], "wave") {
		c.t.Errorf("ann heard %q", got)
	}
	if took := time.Since(start); took != 0 {
		c.t.Errorf("all else took %v", took)
	}
}

// eachFault runs a test with a log for each way in which a disk may take nothing.
func eachFault(t *testing.T, test func(t *testing.T, log *bustest.FailingLog)) {
	for _, log := range []*bustest.FailingLog{
		{}, {Silent: true}, {Keeps: true}, {Keeps: true, Silent: true}, {Shows: true}, {Shows: true, Silent: true},
	} {
		t.Run(fmt.Sprintf("silent %t, keeps %t, shows %t", log.Silent, log.Keeps, log.Shows), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log.Log = local.NewLog(1 << 30)
				test(t, log)
			})
		})
	}
}

// Rule: where a disk takes nothing, be it that it says so or that it does not answer, a commit that is under way fails, and its scope tells its sessions once. From then on durable writes of all scopes
// are refused at once, none is begun, and all else goes on, also what is stored can be read, as it was stored, whatever the log shows. When the disk takes something again, so do the scopes, soon and by themselves: nothing that was
// acknowledged is lost, and nobody is told anything, unless what had failed is stored all the same.
func TestDiskTakesNothing(t *testing.T) { eachFault(t, diskTakesNothing) }

func diskTakesNothing(t *testing.T, log *bustest.FailingLog) {
	c := newTown(t, log)
	ann, bob := c.come("tea", "ann"), c.come("milk", "bob")
	subscribe := func() { c.ask("tea", "ann", "event-subscribe", `{"names":["wave"]}`) }
	subscribe()
	for n := range 3 {
		if got := c.put("board", n); got != "written" {
			t.Fatal(got)
		}
	}
	if !log.Keeps { // else what expires would find what was kept
		c.brief()
	}
	log.Fail(true)
	start := time.Now()
	if got, took := c.put("board", 9), time.Since(start); got != "internal" || took > scopes.StoreTime {
		t.Errorf("the write under way: %s, after %v", got, took)
	}
	if n := lost(ann); n != 1 || c.Stores() || c.Unstored() != 1 {
		t.Errorf("ann was told %d times; stores: %v, %d not stored", n, c.Stores(), c.Unstored())
	}
	subscribe()
	for n := range 10 {
		start := time.Now()
		for _, name := range []string{"board", "other"} {
			if got := c.put(name, 9); got != "overloaded" {
				t.Errorf("a write: %s", got)
			}
		}
		if got := c.ask("tea", "ann", "record-delete", `{"name":"board"}`); got != "overloaded" {
			t.Errorf("a deletion: %s", got)
		}
		if got := c.ask("milk", "bob", "record-write", writeA+`,"durable":true}`); got != "overloaded" {
			t.Errorf("in another room: %s", got)
		}
		if took, tea, milk := time.Since(start), log.Failed("rdGVh"), log.Failed("rbWlsaw"); took != 0 || tea != 1 || milk != 0 {
			t.Errorf("refused after %v; %d and %d commits have failed", took, tea, milk)
		}
		c.goesOn(ann, n)
		if got := c.value("board"); got != `{"n":2` {
			t.Errorf("what is stored: %s", got)
		}
		if got := c.value("brief"); got != `{"n":1` && !log.Keeps {
			t.Errorf("what cannot be deleted: %q", got)
		}
		time.Sleep(20 * time.Second)
	}
	log.Fail(false)
	time.Sleep(2 * scopes.StoreTime)
	want, again := 2, 0
	if log.Keeps {
		want, again = 9, 1
	}
	if n := lost(ann); n != again || !c.Stores() {
		t.Errorf("ann was told %d times that she has lost something, want %d; stores: %v", n, again, c.Stores())
	}
	if got := c.value("board"); got != fmt.Sprintf(`{"n":%d`, want) {
		t.Errorf("what was stored: %s, want %d", got, want)
	}
	if got := c.value("brief"); got != "" {
		t.Errorf("what was to expire: %s", got)
	}
	subscribe()
	if got := c.put("board", 10); got != "written" {
		t.Errorf("a write: %s", got)
	}
	if n := lost(bob); n != 0 {
		t.Errorf("bob, in another room, has lost something %d times", n)
	}
	c.goesOn(ann, 99)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = newTown(t, log)
	if got := c.value("board"); got != `{"n":10` {
		t.Errorf("after a start: %s", got)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// Rule: what is not known to be stored is not shown either by a scope that is opened anew meanwhile, also where the last commit of the one before was under way when it ended. When
// it is decided, whoever has come to that scope has what was stored, and is told only where that is more than it was shown.
func TestEndedWhileDiskTakesNothing(t *testing.T) {
	eachFault(t, func(t *testing.T, log *bustest.FailingLog) {
		c := newTownOf(t, log, 6*time.Second)
		c.brief()
		log.Fail(true)
		time.Sleep(time.Minute)
		ann := c.come("tea", "ann")
		if got := c.value("brief"); got != `{"n":1` {
			t.Errorf("read %s", got)
		}
		log.Fail(false)
		time.Sleep(time.Minute)
		if got := c.value("brief"); got != "" {
			t.Errorf("read %s", got)
		}
		c.came(ann, log.Keeps)
	})
}

// came ends a test: ann, who has come to tea while it was not known what is stored there, was told that there was more than she was shown, or nothing, and tea goes on.
func (c *town) came(ann bus.Subscription, more bool) {
	c.t.Helper()
	if n := lost(ann); (n == 1) != more || n > 1 {
		c.t.Errorf("ann was told %d times that she has lost something; there was more: %t", n, more)
	}
	if got := c.put("board", 3); got != "written" {
		c.t.Error(got)
	}
	if got := c.value("board"); got != `{"n":3` {
		c.t.Errorf("read %s", got)
	}
	if n := lost(ann); n != 0 {
		c.t.Errorf("ann has lost something %d times by a write", n)
	}
	if err := c.Close(); err != nil {
		c.t.Fatal(err)
	}
}

// Rule: where a log knows that it takes nothing, no commit has to find out: nobody loses anything.
func TestLogKnowsItsFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &bustest.FailingLog{Log: local.NewLog(1 << 30), Silent: true}
		var faulty atomic.Bool
		c := newTownWith(t, scopes.ServiceConfig{Log: log, Linger: linger, Faulty: faulty.Load})
		ann := c.come("tea", "ann")
		c.brief()
		log.Fail(true)
		faulty.Store(true)
		for range 3 {
			if got := c.put("board", 1); got != "overloaded" || c.Stores() {
				t.Errorf("a write: %s; stores: %v", got, c.Stores())
			}
			time.Sleep(time.Minute)
		}
		log.Fail(false)
		faulty.Store(false)
		if got := c.put("board", 1); got != "written" || !c.Stores() {
			t.Errorf("a write: %s; stores: %v", got, c.Stores())
		}
		if n := lost(ann); n != 0 || c.Unstored() != 0 {
			t.Errorf("ann has lost something %d times, %d commits were not stored", n, c.Unstored())
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Rule: what is not known to be stored is not shown either by a scope that is opened anew meanwhile. When it is decided, whoever has come to that scope has what was stored.
func TestOpenedWhileDiskTakesNothing(t *testing.T) {
	eachFault(t, func(t *testing.T, log *bustest.FailingLog) {
		c := newTownOf(t, log, time.Second)
		if got := c.put("board", 1); got != "written" {
			t.Fatal(got)
		}
		log.Fail(true)
		if got := c.put("board", 2); got != "internal" {
			t.Error(got)
		}
		time.Sleep(time.Minute)
		ann := c.come("tea", "ann")
		if got := c.value("board"); got != `{"n":1` {
			t.Errorf("read %s", got)
		}
		log.Fail(false)
		time.Sleep(time.Minute)
		want := `{"n":1`
		if log.Keeps {
			want = `{"n":2`
		}
		if got := c.value("board"); got != want {
			t.Errorf("read %s, want %s", got, want)
		}
		c.came(ann, log.Keeps)
	})
}

// sore is a log in which one subject's last message cannot be read for a while, and that counts the probes.
type sore struct {
	bus.Log
	subject string
	bad     atomic.Bool
	probes  atomic.Int64
}

func (l *sore) Last(ctx context.Context, subject string) (bus.Stored, error) {
	if l.bad.Load() && subject == l.subject {
		return bus.Stored{}, errors.New("a bad sector")
	}
	return l.Log.Last(ctx, subject)
}

func (l *sore) Append(ctx context.Context, subject string, after uint64, b []byte) (uint64, error) {
	if subject == "probe" {
		l.probes.Add(1)
		time.Sleep(10 * time.Millisecond) // as a disk does
	}
	return l.Log.Append(ctx, subject, after, b)
}

// Rule: where it cannot be read how a commit of one scope ended, that scope alone takes nothing durable until it can, and the operator is told once.
func TestEndOfCommitIsUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &bustest.FailingLog{Log: local.NewLog(1 << 30)}
		log, said := &sore{Log: disk, subject: "rdGVh"}, &bytes.Buffer{}
		c := newTownWith(t, scopes.ServiceConfig{Log: log, Linger: linger, Logger: slog.New(slog.NewTextHandler(said, nil))})
		ann := c.come("tea", "ann")
		c.ask("tea", "ann", "event-subscribe", `{"names":["wave"]}`)
		if got := c.put("board", 1); got != "written" {
			t.Fatal(got)
		}
		disk.Fail(true)
		if got := c.put("board", 2); got != "internal" || lost(ann) != 1 {
			t.Errorf("the write under way: %s", got)
		}
		c.ask("tea", "ann", "event-subscribe", `{"names":["wave"]}`)
		log.bad.Store(true)
		disk.Fail(false)
		time.Sleep(10 * time.Second)
		before := log.probes.Load()
		for n := range 60 {
			if got := c.ask("milk", "", "record-write", writeA+`,"durable":true}`); got[:7] != "written" || !c.Stores() {
				t.Errorf("in another room: %s; stores: %t", got, c.Stores())
			}
			if got := c.put("board", 3); got != "overloaded" {
				t.Errorf("where it is not known what is stored: %s", got)
			}
			c.goesOn(ann, n)
			time.Sleep(time.Second + time.Millisecond)
		}
		if n := log.probes.Load() - before; n != 0 {
			t.Errorf("%d probes though all else is stored", n)
		}
		log.bad.Store(false)
		time.Sleep(2 * time.Second)
		if n := strings.Count(said.String(), "cannot be read"); n != 1 {
			t.Errorf("said %d times:\n%s", n, said)
		}
		c.came(ann, false)
	})
}

// broken is a log that takes nothing but probes.
type broken struct{ sore }

func (l *broken) Append(ctx context.Context, subject string, after uint64, b []byte) (uint64, error) {
	if subject != "probe" {
		return 0, errors.New("no commit today")
	}
	return l.sore.Append(ctx, subject, after, b)
}

// Rule: where probes are taken, and commits fail all the same, there is a pause between the probes.
func TestProbesPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &broken{sore{Log: local.NewLog(1 << 30)}}
		c := newTown(t, log)
		for range 200 {
			for i := range 10 {
				_ = c.ask(fmt.Sprint("room", i), "", "record-write", writeA+`,"durable":true}`)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := log.probes.Load(); n < 2 || n > 20 {
			t.Errorf("%d probes", n)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// floorless is a log that does not answer to commits of the floor alone, nor takes probes, for a while.
type floorless struct {
	bus.Log
	keeps bool // the commits are stored all the same
	bad   atomic.Bool
}

func (l *floorless) Append(ctx context.Context, subject string, after uint64, b []byte) (uint64, error) {
	switch {
	case l.bad.Load() && subject == "probe":
		return 0, errors.New("no probe today")
	case !l.bad.Load() || !floorAlone(b):
		return l.Log.Append(ctx, subject, after, b)
	case l.keeps:
		_, _ = l.Log.Append(ctx, subject, after, b)
	}
	<-ctx.Done()
	return 0, ctx.Err()
}

// Rule: what was acknowledged behind a commit that is in doubt is there, also in a scope that is opened before that is decided.
func TestAcknowledgedBehindDoubt(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		t.Run(fmt.Sprintf("keeps %t", keeps), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &floorless{Log: local.NewLog(1 << 30), keeps: keeps}
				log.bad.Store(true)
				c := newTownOf(t, log, time.Second)
				c.come("tea", "ann")
				for i := range 8 {
					if got := c.write(fmt.Sprint("litter", i), 200<<10, true); got != "written" {
						t.Fatal(got)
					}
				}
				for i := range 8 {
					c.ask("tea", "", "record-delete", fmt.Sprintf(`{"name":"litter%d"}`, 7-i))
				}
				if got := c.put("board", 1); got != "written" || c.Stores() {
					t.Errorf("a write behind: %s; stores: %t", got, c.Stores())
				}
				c.ask("tea", "ann", scopes.TypeDetach, "")
				time.Sleep(time.Minute)
				ann := c.come("tea", "ann")
				if got := c.value("board"); got != `{"n":1` {
					t.Errorf("what was acknowledged: %q", got)
				}
				log.bad.Store(false)
				time.Sleep(time.Minute)
				c.came(ann, false)
			})
		})
	}
}

// Rule: nor does one begin by what an owner does before all else: what is due is not deleted by other rules either, where the log knows that it takes nothing.
func TestRecheckWhileLogIsFaulty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &bustest.FailingLog{Log: local.NewLog(1 << 30)}
		var faulty atomic.Bool
		shelf, err := scopes.NewShelf(t.Context(), log, 0, faulty.Load, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer shelf.Close()
		goesOn := make(chan struct{})
		o, err := scopes.Open(t.Context(), scopes.Config{
			State: state.Config{Scope: wire.ScopeServer, Durable: true}, Log: log, Subject: "server", Shelf: shelf,
			Tell: func(state.Tell, []byte) { <-goesOn }, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		h := &house{t: t, Owner: o}
		h.now(state.EventSubscribe{By: h.attach("ann"), EventNames: wire.EventNames{Names: []string{"wave"}}})
		brief, ttl := set("brief", 1), 5
		brief.TTLSeconds = &ttl
		if r := h.now(brief); r.Error != nil {
			t.Fatal(r.Error)
		}
		h.later(state.EventPublish{EventPublish: wire.EventPublish{Name: "wave"}})
		time.Sleep(6 * time.Second) // the owner is held up while it tells ann
		log.Fail(true)
		faulty.Store(true)
		o.Recheck(func(state.Access) *wire.Error { return nil })
		close(goesOn)
		time.Sleep(time.Minute)
		if failed := log.Failed("server"); failed != 0 {
			t.Errorf("%d commits were begun", failed)
		}
		log.Fail(false)
		faulty.Store(false)
	})
}
