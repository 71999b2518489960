package load

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/parley-rtc/parley/internal/load/meter"
	"github.com/parley-rtc/parley/wire"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got\n%s", path, got)
	}
}

// delays are n durations around one.
func delays(n int, around time.Duration) (h meter.Histogram) {
	for i := range n {
		h.Add(around + around*time.Duration(i)/time.Duration(n))
	}
	return h
}

// watcher is a subscriber that had a good call.
func watcher(i int) outcome {
	const second = time.Second
	return outcome{
		room: "load-1", identity: fmt.Sprintf("subscriber-%d", i), receives: true, took: time.Duration(20+i) * time.Millisecond,
		result: meter.Result{
			Span:          10 * second,
			Video:         meter.Media{Tracks: 2, Packets: 3000, Bytes: 3_750_000, Repaired: 3, Delay: delays(3000, time.Millisecond), Frames: 600, Sizes: [meter.Sizes]int{300, 200, 100}, Watched: 20 * second},
			Sound:         meter.Media{Tracks: 2, Packets: 1000, Bytes: 100_000, Delay: delays(1000, 700*time.Microsecond)},
			FirstPictures: []time.Duration{time.Duration(60+i) * time.Millisecond, 90 * time.Millisecond},
			FirstSounds:   []time.Duration{30 * time.Millisecond, 31 * time.Millisecond},
		},
		statuses: map[string]string{"p1": wire.SubscriptionActive},
	}
}

func talker(i int) outcome {
	return outcome{
		room: "load-1", identity: fmt.Sprintf("publisher-%d", i), publishes: true, took: 25 * time.Millisecond,
		result: meter.Result{Span: 10 * time.Second}, sent: 1_950_000, late: delays(800, 600*time.Microsecond),
	}
}

func plan() *Plan {
	p := small()
	p.URL, p.Publishers, p.Duration = "http://localhost:8443", 2, 10*time.Second
	return &p
}

func rendered(t *testing.T, r *Report) (table, json string) {
	t.Helper()
	var a, b strings.Builder
	if err := errors.Join(r.WriteTable(&a), r.WriteJSON(&b)); err != nil {
		t.Fatal(err)
	}
	return a.String(), b.String()
}

// A good run, as people and programs see it.
func TestReport(t *testing.T) {
	all := []outcome{talker(1), talker(2), watcher(1), watcher(2), watcher(3)}
	r := summarize(plan(), all, circumstances{"http://localhost:8443", 10 * time.Second, 800 * time.Millisecond, 2, false})
	table, json := rendered(t, r)
	golden(t, "good.txt", table)
	golden(t, "good.json", json)
	if !r.OK {
		t.Error("not ok")
	}
	narrow(t, table)
}

// narrow checks that a table fits into 80 columns.
func narrow(t *testing.T, table string) {
	t.Helper()
	for line := range strings.Lines(table) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 79 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// A bad one: who could not join, was thrown out, saw nothing or something else, and a machine that was too slow.
func TestReportOfFaults(t *testing.T) {
	refused := func(i int) outcome {
		o := watcher(i)
		o.took, o.result, o.statuses = 0, meter.Result{Span: 10 * time.Second}, nil
		o.faults = []fault{{"join", &wire.Error{Code: wire.CodeOverloaded, Message: "the server is full", Next: "try again in a minute"}}}
		return o
	}
	blind, lost, frozen := watcher(3), watcher(4), watcher(5)
	blind.result.FirstPictures, blind.result.FirstSounds, blind.result.Unseen, blind.result.Unheard = nil, nil, 2, 2
	blind.statuses = map[string]string{"p1": wire.SubscriptionPending, "p2": wire.SubscriptionPending, "p3": wire.SubscriptionUnsupportedCodec}
	lost.faults = []fault{{"session", errors.New("the session is lost: EOF")}}
	lost.result.Misdirected = 7
	frozen.result.Video.Lost, frozen.result.Video.Freezes, frozen.result.Video.Frozen = 30, 4, 1500*time.Millisecond
	frozen.result.Video.Bytes /= 20
	slow := talker(1)
	slow.late = delays(800, 60*time.Millisecond)
	p := plan()
	p.Simulcast, p.Meeting = true, true
	r := summarize(p, []outcome{slow, refused(1), refused(2), blind, lost, frozen}, circumstances{"http://localhost:8443", 10 * time.Second, 0, 1, true})
	table, _ := rendered(t, r)
	golden(t, "bad.txt", table)
	before, _, _ := strings.Cut(table, "\nerrors\n")
	narrow(t, before)
	if r.OK || r.Joins.Failed != 2 {
		t.Errorf("ok %v, %+v", r.OK, r.Joins)
	}
}

// Who loads a server that wants tokens is told where they come from.
func TestReportWithoutTokens(t *testing.T) {
	o := watcher(1)
	o.faults = []fault{{"join", &wire.Error{Code: wire.CodeUnauthorized, Message: "no token was given", Next: "get a fresh token"}}}
	table, _ := rendered(t, summarize(plan(), []outcome{o}, circumstances{"http://localhost:8443", 10 * time.Second, 0, 2, false}))
	if !strings.Contains(table, "no token was given") || !strings.Contains(table, "give the server's --data or --keys") {
		t.Error(table)
	}
}

// Where nothing was asked of a kind, nothing is said of it.
func TestReportWithoutVideo(t *testing.T) {
	p := plan()
	p.Video = "none"
	table, json := rendered(t, summarize(p, []outcome{talker(1)}, circumstances{"http://localhost:8443", 10 * time.Second, 0, 2, false}))
	if strings.Contains(table, "video") || strings.Contains(table, "frozen") || strings.Contains(json, `"video": {`) || !strings.Contains(table, "first sound") {
		t.Error(table, json)
	}
}

// An audience that hears some of those who speak misses nothing: servers forward the loudest.
func TestSomeUnheard(t *testing.T) {
	o := watcher(1)
	o.result.Unheard = 5
	if faults := o.troubles(); len(faults) != 0 {
		t.Error(faults)
	}
	r := summarize(plan(), []outcome{o}, circumstances{})
	table, _ := rendered(t, r)
	if r.FirstSound.Failed != 0 || r.Withheld[louder] != 5 || !strings.Contains(table, "5 subscriptions, by the server: others are louder") {
		t.Error(table)
	}
}

// However many kinds of faults there are, so many are told apart.
func TestCauses(t *testing.T) {
	o := watcher(1)
	var tally tally
	tally.withheld = map[string]int{}
	for i := range 2 * maxCauses {
		o.faults = []fault{{fmt.Sprint(i), errors.New("x")}}
		tally.add(&o)
	}
	if all := tally.sorted(); len(all) != maxCauses || all[0].Count != maxCauses+1 {
		t.Errorf("%d causes, the first %+v", len(all), all[0])
	}
	c := newClient(&crew{}, "room", "me", 0, false, true)
	for range 2 * maxFaults {
		c.fail("x", errors.New("x"))
	}
	if len(c.faults) != maxFaults {
		t.Errorf("%d faults of one client", len(c.faults))
	}
}
