package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Spec says what happens to frames in one direction. The zero Spec passes all of them at once.
type Spec struct {
	Rate  float64       // bit/s; 0: without limit
	Queue time.Duration // that a frame may wait for the rate; what would wait longer is lost
	Delay time.Duration // after that
	Loss  float64       // share of frames, 0 to 1
	Burst float64       // mean length of a run of losses; up to 1: each by itself
}

// defaultQueue is what waits in front of a rate where nothing else is said.
const defaultQueue = 200 * time.Millisecond

// ParseSpec reads "rate=300k,queue=200ms,delay=20ms,loss=5%,burst=4". What is not named is off.
func ParseSpec(text string) (Spec, error) {
	s := Spec{Queue: defaultQueue}
	for field := range strings.SplitSeq(text, ",") {
		if field == "" {
			continue
		}
		name, value, _ := strings.Cut(field, "=")
		var err error
		switch name {
		case "rate":
			s.Rate, err = number(value)
		case "queue":
			s.Queue, err = time.ParseDuration(value)
		case "delay":
			s.Delay, err = time.ParseDuration(value)
		case "loss":
			s.Loss, err = number(value)
		case "burst":
			s.Burst, err = number(value)
		default:
			err = fmt.Errorf("known are rate, queue, delay, loss and burst")
		}
		if err != nil {
			return Spec{}, fmt.Errorf("%q: %w", field, err)
		}
	}
	if s.Loss < 0 || s.Loss > 1 || s.Rate < 0 || s.Queue < 0 || s.Delay < 0 || s.Burst < 0 {
		return Spec{}, fmt.Errorf("%q is out of bounds", text)
	}
	return s, nil
}

var units = map[byte]float64{'k': 1e3, 'M': 1e6, '%': 0.01}

func number(text string) (float64, error) {
	unit := 1.0
	if n := len(text); n > 0 && units[text[n-1]] != 0 {
		unit, text = units[text[n-1]], text[:n-1]
	}
	x, err := strconv.ParseFloat(text, 64)
	return x * unit, err
}

// lane is one direction. It knows no clock and no socket.
type lane struct {
	Spec
	chance *rand.Rand
	free   time.Time // when the rate has sent all that waits
	last   time.Time // when the latest frame arrives: order is kept
	losing bool      // within a run of losses
	counts counts
}

// counts are of frames, and of their bytes: those that came, and those that arrive.
type counts struct {
	In, Lost, Overflowed int
	Offered, Bytes       int
	Waits                float64 // ms that the latest frame waits for the rate
}

func newLane(seed uint64) *lane { return &lane{chance: rand.New(rand.NewPCG(seed, 0))} }

// change puts another Spec in force. What waits stays as it is.
func (l *lane) change(s Spec) { l.Spec, l.losing, l.counts.Waits = s, false, 0 }

// admit tells when a frame of size bytes that came now arrives, or false where it never does.
func (l *lane) admit(now time.Time, size int) (time.Time, bool) {
	l.counts.In++
	l.counts.Offered += size
	if l.lose() {
		l.counts.Lost++
		return time.Time{}, false
	}
	due := now
	if l.Rate > 0 {
		begin := now
		if l.free.After(now) {
			begin = l.free
		}
		if begin.Sub(now) > l.Queue {
			l.counts.Overflowed++
			return time.Time{}, false
		}
		l.free = begin.Add(time.Duration(float64(size) * 8 / l.Rate * float64(time.Second)))
		due = l.free
		l.counts.Waits = float64(begin.Sub(now)) / float64(time.Millisecond)
	}
	l.counts.Bytes += size
	if due = due.Add(l.Delay); due.Before(l.last) {
		due = l.last
	}
	l.last = due
	return due, true
}

// lose draws whether a frame is lost. Runs are those of a Gilbert model: after a lost frame the next is lost with the chance that makes runs
// of the mean length, after one that passed with the chance that makes the share of losses.
func (l *lane) lose() bool {
	x := l.chance.Float64()
	switch {
	case l.Loss == 0:
		l.losing = false
	case l.Burst <= 1:
		l.losing = x < l.Loss
	case l.losing:
		l.losing = x >= 1/l.Burst
	default:
		l.losing = x < l.Loss/(l.Burst*(1-l.Loss))
	}
	return l.losing
}
