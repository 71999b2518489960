package main

import (
	"math"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)

func mustParse(t *testing.T, text string) Spec {
	t.Helper()
	s, err := ParseSpec(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseSpec(t *testing.T) {
	want := Spec{Rate: 300e3, Queue: 100 * time.Millisecond, Delay: 20 * time.Millisecond, Loss: 0.05, Burst: 4}
	if got := mustParse(t, "rate=300k,queue=100ms,delay=20ms,loss=5%,burst=4"); got != want {
		t.Errorf("%+v", got)
	}
	if got := mustParse(t, "rate=2M"); got != (Spec{Rate: 2e6, Queue: defaultQueue}) {
		t.Errorf("%+v", got)
	}
	for _, text := range []string{"rate", "rate=x", "queue=5", "colour=red", "loss=101%", "delay=-1s"} {
		if _, err := ParseSpec(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// A rate spaces frames, a queue bounds how long they wait, a delay comes on top, and order is kept when the delay falls.
func TestRate(t *testing.T) {
	l := newLane(1)
	l.change(mustParse(t, "rate=80k,queue=200ms,delay=20ms"))
	for i := range 10 { // 1000 bytes are 100 ms
		due, ok := l.admit(start, 1000)
		if want := start.Add(time.Duration(i+1)*100*time.Millisecond + 20*time.Millisecond); ok != (i < 3) || ok && due != want {
			t.Errorf("frame %d: %v %v, want %v", i, due.Sub(start), ok, want.Sub(start))
		}
	}
	l.change(mustParse(t, ""))
	if due, ok := l.admit(start, 1000); !ok || due != start.Add(320*time.Millisecond) {
		t.Errorf("overtaken: %v", due.Sub(start))
	}
	if l.counts != (counts{In: 11, Overflowed: 7, Offered: 11000, Bytes: 4000}) {
		t.Errorf("%+v", l.counts)
	}
}

// Losses have the share and the mean length of run that were asked for.
func TestLoss(t *testing.T) {
	for _, text := range []string{"loss=5%", "loss=20%", "loss=10%,burst=4"} {
		l := newLane(7)
		l.change(mustParse(t, text))
		lost, runs, before := 0, 0, true
		const frames = 200_000
		for range frames {
			_, ok := l.admit(start, 1000)
			if !ok {
				lost++
				if before {
					runs++
				}
			}
			before = ok
		}
		share, length := float64(lost)/frames, float64(lost)/float64(runs)
		want := l.Burst
		if want == 0 {
			want = 1 / (1 - l.Loss)
		}
		if math.Abs(share-l.Loss) > 0.01 || math.Abs(length-want) > 0.1*want {
			t.Errorf("%s: %v lost in runs of %v", text, share, length)
		}
	}
}
