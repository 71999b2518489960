package scopes_test

import (
	"fmt"
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

// Rule: where a disk takes nothing, be it that it says so or that it does not answer, a commit that is under way fails, and its scope tells its sessions once. From then on durable writes of all scopes
// are refused at once, none is begun, and all else goes on, also what is stored can be read, as it was stored, whatever the log shows. When the disk takes something again, so do the scopes, soon and by themselves: nothing that was
// acknowledged is lost, and nobody is told anything, unless what had failed is stored all the same.
func TestDiskTakesNothing(t *testing.T) {
	for _, log := range []*bustest.FailingLog{
		{}, {Silent: true}, {Keeps: true}, {Keeps: true, Silent: true}, {Shows: true}, {Shows: true, Silent: true},
	} {
		t.Run(fmt.Sprintf("silent %t, keeps %t, shows %t", log.Silent, log.Keeps, log.Shows), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { diskTakesNothing(t, log) })
		})
	}
}

func diskTakesNothing(t *testing.T, log *bustest.FailingLog) {
	log.Log = local.NewLog(1 << 30)
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

// Rule: what is not known to be stored is not shown either by a scope that is opened anew meanwhile, also where the last commit of the one before was under way when it ended.
func TestEndedWhileDiskTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &bustest.FailingLog{Log: local.NewLog(1 << 30), Shows: true, Silent: true}
		c := newTownOf(t, log, 6*time.Second)
		c.brief()
		log.Fail(true)
		time.Sleep(time.Minute)
		if got := c.value("brief"); got != `{"n":1` {
			t.Errorf("read %s", got)
		}
		log.Fail(false)
		time.Sleep(time.Minute)
		if got := c.value("brief"); got != "" {
			t.Errorf("read %s", got)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	})
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

// Rule: what is not known to be stored is not shown either by a scope that is opened anew meanwhile.
func TestOpenedWhileDiskTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &bustest.FailingLog{Log: local.NewLog(1 << 30), Shows: true}
		c := newTownOf(t, log, time.Second)
		if got := c.put("board", 1); got != "written" {
			t.Fatal(got)
		}
		log.Fail(true)
		if got := c.put("board", 2); got != "internal" {
			t.Error(got)
		}
		time.Sleep(time.Minute)
		if got := c.value("board"); got != `{"n":1` {
			t.Errorf("read %s", got)
		}
		log.Fail(false)
		time.Sleep(time.Minute)
		if got := c.put("board", 3); got != "written" {
			t.Error(got)
		}
		if got := c.value("board"); got != `{"n":3` {
			t.Errorf("read %s", got)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
