package bwe_test

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/pacer"
)

// path is a narrow path in virtual time: a rate with a tail-drop queue, a delay, and losses by chance. Several flows share it.
type path struct {
	rate  bwe.Bitrate
	queue int // bytes that wait in front of rate
	delay time.Duration
	loss  float64
	// policed: what is beyond the queue is dropped, and the rest does not wait in it.
	policed bool
	// burst is how many packets are lost in a row where loss strikes; 0: one.
	burst  int
	chance *rand.Rand

	free   time.Time // when all that waits has left
	losing int
}

const step = time.Millisecond

// wait returns how long a packet that comes now would wait.
func (p *path) wait(now time.Time) time.Duration { return max(p.free.Sub(now), 0) }

// carry returns when a packet arrives, and whether it does.
func (p *path) carry(now time.Time, size int) (time.Time, bool) {
	if p.rate.Bytes(p.wait(now))+size > p.queue {
		return time.Time{}, false
	}
	p.free = now.Add(p.wait(now) + time.Duration(float64(size)*8/float64(p.rate)*float64(time.Second)))
	if p.losing == 0 && p.chance.Float64() < p.loss/float64(max(p.burst, 1)) {
		p.losing = max(p.burst, 1)
	}
	if p.losing > 0 {
		p.losing--
		return time.Time{}, false
	}
	if p.policed {
		return now.Add(p.delay), true
	}
	return p.free.Add(p.delay), true
}

// flow is one Sender with its pacer, what it sends, and the receiver at the far end of the path.
type flow struct {
	sender   bwe.Sender
	pacer    pacer.Pacer
	source   source
	arrivals bwe.Arrivals
	path     *path
	// feedbackLoss is the part of feedback that is lost; deaf: all of it; lies: the receiver claims that everything arrives at once.
	feedbackLoss float64
	deaf, lies   bool
	reverse      time.Duration
	every        time.Duration // between two feedback packets

	flying   []flight
	answers  []answer
	feedback time.Time // when the next is made
	chance   *rand.Rand

	sent, lost, drops, probes int
	bytes, received           int
	delays                    []time.Duration
}

type flight struct {
	seq  uint16
	at   time.Time
	sent time.Time
	size int
}

type answer struct {
	at time.Time
	b  []byte
}

// source makes frames and audio. Of its options it takes the largest that fits the estimate, but stays with one that nearly does;
// when there are none, all of the estimate.
type source struct {
	options []bwe.Bitrate
	max     bwe.Bitrate // without options: the most that it can use
	fixed   bwe.Bitrate // set: it sends so much whatever the estimate is
	rate    bwe.Bitrate
	frame   time.Time
	audio   time.Time
	n       int
}

const (
	fps        = 30
	audioBytes = 120
	audioRate  = bwe.Bitrate(audioBytes * 8 * 50)
	packetSize = 1200
)

// choose returns what video is sent at.
func (s *source) choose(estimate bwe.Bitrate) bwe.Bitrate {
	estimate -= audioRate
	switch {
	case s.fixed > 0:
		return s.fixed
	case len(s.options) == 0:
		return min(max(estimate, 0), s.max)
	}
	best := bwe.Bitrate(0)
	for _, o := range s.options {
		if o <= estimate || o == s.rate && o <= 6*estimate/5 {
			best = o
		}
	}
	return best
}

func (s *source) demand() bwe.Bitrate {
	most := max(s.max, s.fixed)
	if len(s.options) > 0 {
		most = slices.Max(s.options)
	}
	return audioRate + most
}

func newFlow(p *path, s source, seed uint64) *flow {
	return &flow{path: p, source: s, reverse: p.delay, every: 50 * time.Millisecond, chance: rand.New(rand.NewPCG(seed, 7))}
}

// advance plays one step.
func (f *flow) advance(now time.Time) {
	f.deliver(now)
	f.answer(now)
	f.sender.Demand(f.source.demand())
	f.pacer.SetRate(now, f.sender.Pace())
	f.produce(now, f.estimate())
	f.drain(now)
	if next := f.sender.Next(); !next.IsZero() && !now.Before(next) {
		f.sender.Timeout(now)
		if n := f.sender.Padding(now); n > 0 {
			f.probes++
			for ; n > 0; n -= 300 {
				f.send(now, 300)
			}
		}
	}
}

func (f *flow) produce(now time.Time, estimate bwe.Bitrate) {
	s := &f.source
	if s.audio.IsZero() {
		s.audio, s.frame = now, now
	}
	for ; !now.Before(s.audio); s.audio = s.audio.Add(20 * time.Millisecond) {
		f.pacer.Spend(now, audioBytes)
		f.send(now, audioBytes)
	}
	for ; !now.Before(s.frame); s.frame = s.frame.Add(time.Second / fps) {
		s.rate = s.choose(estimate)
		size := s.rate.Bytes(time.Second/fps) * (80 + f.chance.IntN(40)) / 100
		if s.n++; s.n%300 == 1 {
			size *= 5 // a key frame
		}
		for ; size > 0; size -= packetSize {
			q := pacer.Packet{Size: uint16(min(size, packetSize)), Slot: 1}
			if f.pacer.Admit(now, int(q.Size)) {
				f.send(now, int(q.Size))
			} else if !f.pacer.Push(now, q) {
				f.drop(1)
			}
		}
	}
}

func (f *flow) drain(now time.Time) {
	for f.pacer.Late(now) {
		f.drop(1)
	}
	for q, ok := f.pacer.Pop(now); ok; q, ok = f.pacer.Pop(now) {
		f.send(now, int(q.Size))
	}
}

func (f *flow) drop(slot uint8) {
	n, _ := f.pacer.Drop(slot, func(pacer.Packet) {})
	f.drops += n
}

func (f *flow) send(now time.Time, size int) {
	seq := f.sender.Sent(now, size)
	f.sent++
	f.bytes += size
	at, ok := f.path.carry(now, size)
	if f.lies {
		at, ok = now.Add(f.path.delay), true
	}
	if !ok {
		f.lost++
		return
	}
	f.flying = append(f.flying, flight{seq, at, now, size})
}

// deliver lets packets arrive and feedback leave.
func (f *flow) deliver(now time.Time) {
	n := 0
	for ; n < len(f.flying) && !f.flying[n].at.After(now); n++ {
		p := &f.flying[n]
		f.arrivals.Record(p.seq, p.at)
		f.received += p.size
		f.delays = append(f.delays, p.at.Sub(p.sent)-f.path.delay)
	}
	f.flying = f.flying[n:]
	if f.feedback.IsZero() {
		f.feedback = now
	}
	if now.Before(f.feedback) {
		return
	}
	f.feedback = f.feedback.Add(f.every)
	b := f.arrivals.AppendFeedback(nil, 1, 2)
	if len(b) > 0 && !f.deaf && f.chance.Float64() >= f.feedbackLoss {
		f.answers = append(f.answers, answer{now.Add(f.reverse), b})
	}
}

func (f *flow) answer(now time.Time) {
	for len(f.answers) > 0 && !f.answers[0].at.After(now) {
		if r := f.sender.Feedback(now, f.answers[0].b); r != drop.None {
			panic(r.String())
		}
		f.answers = f.answers[1:]
	}
}

// estimate returns the rate alone.
func (f *flow) estimate() bwe.Bitrate {
	rate, _ := f.sender.Estimate()
	return rate
}

// play lets flows run for d, and calls each, if set, after every step with the time since the beginning.
func play(start time.Time, d time.Duration, each func(at time.Duration), flows ...*flow) time.Time {
	for at := time.Duration(0); at < d; at += step {
		for _, f := range flows {
			f.advance(start.Add(at))
		}
		if each != nil {
			each(at)
		}
	}
	return start.Add(d)
}

func newPath(rate bwe.Bitrate, queue time.Duration, seed uint64) *path {
	return &path{rate: rate, queue: rate.Bytes(queue), delay: 20 * time.Millisecond, chance: rand.New(rand.NewPCG(seed, 1))}
}

// narrow changes the rate; the queue holds as long a time as before.
func (p *path) narrow(rate bwe.Bitrate) {
	p.queue = int(float64(p.queue) * float64(rate) / float64(p.rate))
	p.rate = rate
}
