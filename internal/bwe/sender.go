package bwe

import (
	"time"

	"github.com/parley-rtc/parley/internal/drop"
)

// Sender estimates how much may be sent to one receiver: numbers for what is sent, feedback about them in, an estimate out.
//
//	feedback ─ statuses ─→ packets in flight ─┬─ delays → control ─┐
//	                                          ├─ losses ───────────┼→ Estimate
//	                                          └─ prober ───────────┘
//
// The zero value is ready.
type Sender struct {
	// owned by the Transport's loop
	epoch   time.Time // durations count from here
	flight  flight
	allowed allowance
	clock   receiverClock
	acked   acked
	output  acked // the same of what is sent, by the own clock
	delays  delays
	queue   standing
	control control
	losses  losses
	prober  prober
	lost    []Loss        // that the last feedback has told of
	told    int64         // feedback has told of all before this index, or has been lost
	heard   bool          // feedback has come
	unheard time.Duration // when the first packet was sent after it; 0: none was
	rtt     time.Duration // with the time that the receiver waits with feedback
	demand  Bitrate
	tight   bool    // something has shown that the path does not carry everything
	remb    Bitrate // 0: none has come
}

// silence is how long packets are on their way before missing feedback counts as congestion, and how often it does then; the rate is
// multiplied by silenceShare each time.
const (
	silence      = time.Second
	silenceAgain = 500 * time.Millisecond
	silenceShare = 0.8
)

// Sent notes that a packet of so many bytes, with IP and UDP headers, leaves now, and returns its transport-wide number. While a
// probe is under way it belongs to it.
func (s *Sender) Sent(now time.Time, size int) uint16 { return s.SentOf(now, size, 0) }

// SentOf is Sent for a packet of which Lost is to tell.
func (s *Sender) SentOf(now time.Time, size int, of Origin) uint16 {
	at := s.since(now)
	p := packet{at: uint32(at / tick), origin: of, size: uint16(min(size, 1<<16-1)), fate: flying, probe: s.prober.put(at, size)}
	if s.unheard == 0 {
		s.unheard = at
	}
	s.output.add(at, size)
	return uint16(s.flight.put(p, s.heard))
}

// Number returns the transport-wide number of the next packet.
func (s *Sender) Number() uint16 { return uint16(s.flight.next) }

// Probing reports whether a probe is being sent: Padding then has more to say every few milliseconds.
func (s *Sender) Probing() bool { return s.prober.sending }

// Probes returns how many probes there were.
func (s *Sender) Probes() uint64 { return s.prober.count }

// since returns the time on the Sender's clock, which begins with 1 s so that 0 is before everything.
func (s *Sender) since(now time.Time) time.Duration {
	if s.epoch.IsZero() {
		s.epoch = now.Add(-time.Second)
		s.control.rate = StartBitrate
	}
	return now.Sub(s.epoch)
}

// sentAt returns when a packet of at most 19 hours ago was sent.
func (s *Sender) sentAt(now time.Duration, p *packet) time.Duration {
	ticks := now / tick
	return (ticks - time.Duration(uint32(ticks)-p.at)) * tick
}

// Feedback takes transport-wide feedback: a whole RTCP packet without its padding.
func (s *Sender) Feedback(now time.Time, b []byte) drop.Reason {
	at := s.since(now)
	s.lost = s.lost[:0]
	if !s.allowed.take(at) {
		return drop.RtcpTooOften
	}
	var st statuses
	if r := st.parse(b); r != drop.None {
		return r
	}
	index := s.flight.index(st.base)
	if s.flight.get(index) == nil || index+int64(st.count) > s.flight.next {
		return drop.RtcpUnknown
	}
	arrival, jumped := s.clock.reference(st.reference)
	if jumped {
		s.acked.reset()
		s.delays.reset()
		s.queue = standing{}
	}
	unknown := s.skip(index)
	var newest *packet
	for i := range int64(st.count) {
		symbol, delta, ok := st.next()
		if !ok {
			return drop.RtcpMalformed
		}
		arrival += time.Duration(delta) * unit
		p := s.flight.get(index + i)
		if symbol == missing {
			s.missed(at, index+i)
			continue
		}
		s.arrived(at, p, arrival)
		s.acked.add(arrival, unknown)
		newest, unknown = p, 0
	}
	s.told = max(s.told, index+int64(st.count))
	s.heard, s.unheard = true, 0
	if newest != nil {
		s.measure(at - s.sentAt(at, newest))
	}
	s.conclude(at)
	return drop.None
}

// skip gives up the packets before index that no feedback has told of, and returns how many bytes they have. They count as arrived,
// or the rate would fall with every feedback packet that is lost.
func (s *Sender) skip(index int64) (bytes int) {
	for s.told = max(s.told, index-MaxInFlight); s.told < index; s.told++ {
		if p := s.flight.get(s.told); p != nil && p.fate == flying {
			p.fate = skipped
			bytes += int(p.size)
		}
	}
	return bytes
}

// arrived takes word of a packet that has arrived.
func (s *Sender) arrived(now time.Duration, p *packet, arrival time.Duration) {
	sent, size := s.sentAt(now, p), int(p.size)
	switch p.fate {
	case arrived, skipped:
		return
	case lost:
		s.losses.recovered(size)
	default:
		s.losses.add(sent, size, false)
	}
	p.fate = arrived
	s.acked.add(arrival, size)
	s.delays.add(now, sent, arrival)
	s.queue.add(now, sent, arrival)
	s.prober.heard(p.probe, arrival, size)
}

func (s *Sender) missed(now time.Duration, index int64) {
	p := s.flight.get(index)
	if p.fate != flying {
		return
	}
	p.fate = lost
	s.losses.add(s.sentAt(now, p), int(p.size), true)
	s.prober.missed(p.probe)
	if p.origin == 0 || len(s.lost) == maxLost {
		return
	}
	if twin := s.flight.get(index - 1); p.origin&Copy != 0 && twin != nil && twin.fate == arrived {
		return
	}
	s.lost = append(s.lost, Loss{p.origin &^ Copy, now - s.sentAt(now, p)})
}

// Lost returns the packets that the last feedback said are lost, each once. It is good until the next feedback.
func (s *Sender) Lost() []Loss { return s.lost }

// measure takes the time from sending a packet to the feedback about it.
func (s *Sender) measure(rtt time.Duration) {
	if s.rtt == 0 {
		s.rtt = rtt
	}
	s.rtt += (rtt - s.rtt) / 8
}

// conclude changes the rate by what feedback has said.
func (s *Sender) conclude(now time.Duration) {
	s.output.add(now, 0)
	s.control.idle = s.output.rate() < s.control.rate.times(deepest)
	s.control.update(now, s.usage(now), &s.acked, s.queue.queue(), s.rtt, s.demand)
	s.losses.update(now, s.queue.queue(), s.acked.rate(), s.control.rate)
	s.tight = s.tight || s.control.decreased == now
	if s.losses.trial.probed && s.queue.queue() > shortQueue {
		s.losses.giveUp()
		s.prober.stop()
	}
	if s.prober.done(now) {
		s.losses.probed(s.prober.part())
		if shown := s.prober.result(s.losses.own); shown > 0 {
			s.control.raise(shown)
			s.losses.raise(shown)
		}
	}
	s.control.rate = min(max(s.control.rate, MinBitrate), MaxBitrate)
}

// usage returns what delays say, by their slope or by their length.
func (s *Sender) usage(now time.Duration) usage {
	switch u := s.queue.check(now); {
	case u == overuse:
		s.control.decreased = 0 // at once
		return overuse
	case u == underuse && s.delays.usage == normal:
		return underuse
	}
	return s.delays.usage
}

// REMB takes a receiver's own estimate (draft-alvestrand-rmcat-remb-03), for clients that send no transport-wide feedback. sent is what
// was sent lately: a receiver does not estimate much more than it gets, so only less than that means that there is no more.
func (s *Sender) REMB(rate, sent Bitrate) {
	if s.remb == 0 {
		s.remb = StartBitrate
	}
	if rate > s.remb || rate < sent {
		s.remb, s.tight = rate, s.tight || rate < sent
	} else if s.demand > s.remb {
		s.remb = min(s.remb.times(rembRaise), s.demand)
	}
	s.remb = min(max(s.remb, MinBitrate), MaxBitrate)
}

// rembRaise is by how much the rate grows with a report that says nothing against it, of which there are one to five a second.
const rembRaise = 1.05

// LossReport takes what a receiver report says of sent packets with so many bytes, of which lost have not arrived. Like REMB it counts
// for clients that send no transport-wide feedback. Packets that were never sent must not be among the lost ones.
func (s *Sender) LossReport(now time.Time, sent, lost, bytes int) {
	if s.heard || s.remb == 0 {
		return
	}
	s.losses.report(s.since(now), sent, lost, bytes, s.remb)
}

// Heard reports whether transport-wide feedback has come: without it nothing can be tried out.
func (s *Sender) Heard() bool { return s.heard }

// Estimate returns how much may be sent, and whether anything is known of it: before, nothing should be held back.
func (s *Sender) Estimate() (rate Bitrate, known bool) {
	switch {
	case s.heard:
		return max(min(s.control.rate, s.losses.limit()), MinBitrate), true
	case s.remb > 0:
		return max(min(s.remb, s.losses.limit()), MinBitrate), true
	}
	return StartBitrate, false
}

// carries is how much of what arrives without a queue a path carries at least: measurements differ by some percent.
const carries = 1.1

// Carried returns what the path carries: the estimate, or what arrives where that is more and hardly a queue is to be seen. After a
// decrease the estimate is less than that, so that a queue can drain.
func (s *Sender) Carried() Bitrate {
	rate, _ := s.Estimate()
	if s.heard && s.queue.queue() < shortQueue {
		rate = max(rate, s.acked.rate().times(carries))
	}
	return rate
}

// Tight reports whether anything has ever shown that the path does not carry everything. Before, the estimate is only where the search
// for it began, and less than the path carries.
func (s *Sender) Tight() bool { return s.tight || s.losses.limit() != noBound }

// Demand says how much would be sent if the estimate allowed it. The Sender probes until it has found that and some room beyond it.
func (s *Sender) Demand(rate Bitrate) { s.demand = rate }

// Timeout does what is due: it starts probes, and lowers the rate while feedback is missing.
func (s *Sender) Timeout(now time.Time) {
	at := s.since(now)
	if due := s.silent(); due > 0 && at >= due {
		s.control.rate, s.tight = max(s.control.rate.times(silenceShare), MinBitrate), true
		s.unheard += silenceAgain
	}
	if due := s.probeAt(); due > 0 && at >= due {
		rate, _ := s.Estimate()
		probe := max(rate.times(probeFactor), min(rate.times(lowProbeFactor), lowProbe))
		s.prober.start(at, min(probe, s.demand.times(roomFactor), MaxBitrate), 0, probeTime)
	}
	if due := s.trialAt(); due > 0 && at >= due {
		s.prober.start(at, min(s.losses.try(at), MaxBitrate), trialSkip, trialTime)
	}
}

// Pace returns how fast what is to be sent may leave; 0: at once, since nothing has shown that the path does not carry everything.
func (s *Sender) Pace() Bitrate {
	if !s.heard || !s.Tight() {
		return 0
	}
	rate, _ := s.Estimate()
	carried := s.control.capacity.lower().times(1 / (1 - s.losses.own)) // what it loses by itself it carries too
	rate = min(rate.times(paceFactor), max(rate, carried))
	if s.prober.sending {
		rate = max(rate, s.prober.rate)
	}
	return rate
}

// paceFactor: frames leave faster than the estimate where the path was found to carry more, so that they wait less here; not much
// faster, so that they do not wait elsewhere.
const paceFactor = 1.5

// Padding returns how many bytes a probe needs now beside the media; 0: no probe is under way.
func (s *Sender) Padding(now time.Time) int { return s.prober.due(s.since(now)) }

// silent returns when missing feedback counts; 0: never.
func (s *Sender) silent() time.Duration {
	if !s.heard || s.unheard == 0 {
		return 0
	}
	return s.unheard + silence + 2*s.rtt
}

// probeAt returns when the next probe begins; 0: never.
func (s *Sender) probeAt() time.Duration {
	rate, _ := s.Estimate()
	if !s.heard || s.prober.sending || rate >= s.demand.times(roomFactor) {
		return 0
	}
	return max(s.prober.next(rate < s.demand), s.control.decreased+probeAfterDrop, 1)
}

// trialAt returns when the next probe begins that tells where losses come from; 0: never.
func (s *Sender) trialAt() time.Duration {
	if !s.heard || s.prober.sending {
		return 0
	}
	return s.losses.tryAt()
}

// Next returns when Timeout or Padding has something to do; zero: never.
func (s *Sender) Next() time.Time {
	next := s.silent()
	for _, at := range [...]time.Duration{s.probeAt(), s.trialAt(), s.prober.step()} {
		if next == 0 || at != 0 && at < next {
			next = at
		}
	}
	if next == 0 {
		return time.Time{}
	}
	return s.epoch.Add(next)
}

// allowance bounds how often something may be done.
type allowance struct {
	spent time.Duration // when what was done is paid for
}

func (a *allowance) take(now time.Duration) bool {
	const price = time.Second / feedbackRate
	if a.spent-now > feedbackBurst*price {
		return false
	}
	a.spent = max(a.spent, now) + price
	return true
}

// receiverClock unwraps reference times.
type receiverClock struct {
	known bool
	last  uint32        // units of 64 ms
	at    time.Duration // what last is
}

const (
	// clockStart is where a receiver's clock begins here: packets may have arrived before the first reference.
	clockStart = time.Hour
	// A clock that went back or forward further than this was set, or has been silent for long.
	clockBack    = -time.Second
	clockForward = 10 * time.Second
)

// reference returns the time of a reference, and whether the clock has jumped, so that times before it are of no use.
func (c *receiverClock) reference(units uint32) (at time.Duration, jumped bool) {
	step := time.Duration(int32((units-c.last)<<8)>>8) * reference * unit
	if !c.known || step < clockBack || step > clockForward {
		jumped = c.known
		*c = receiverClock{known: true, last: units, at: clockStart}
		return c.at, jumped
	}
	c.last, c.at = units, c.at+step
	return c.at, false
}
