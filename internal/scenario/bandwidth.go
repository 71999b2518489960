package scenario

import (
	"cmp"
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/bwe"
)

// pathBytes is what IP and UDP add to a datagram.
const pathBytes = 28

// Volume is what the server has sent to a client so far, on all its SSRCs, with headers.
func (p *Plan) Volume(c *Client) (bytes int) {
	for _, v := range p.watch.sentTo(c.addr) {
		bytes += v.bytes + v.packets*pathBytes
	}
	return bytes
}

// Rates lets time pass, and returns at which rate the server sent to a client in each second.
func (p *Plan) Rates(c *Client, seconds int) (rates []bwe.Bitrate) {
	for range seconds {
		before := p.Volume(c)
		p.Pass(time.Second)
		rates = append(rates, bwe.Over(p.Volume(c)-before, time.Second))
	}
	return rates
}

// Waited returns for how long the sound that came to a client since then had waited on its link at most. Where sound is sent twice this may
// be one packet more than the queue.
func (c *Client) Waited(since time.Time) (longest time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.all() {
		for _, a := range r.arrivals {
			if !r.video && a.at.After(since) {
				sent := c.plan.watch.sentAt(c.addr, false, r.ssrc, uint16(a.number))
				longest = max(longest, a.at.Sub(sent)-c.plan.delay)
			}
		}
	}
	return longest
}

// jitterBuffer is how much later than need be a client shows pictures, so that those which had to be repaired are in time. Browsers learn
// it from repairs: about a round trip, which they take to be 100 ms where they know none.
const jitterBuffer = 100 * time.Millisecond

// Stills tells how long a client's picture of a simulcast stood still since then: the longest time without a new one, and all of what was
// longer than still.
func (c *Client) Stills(s *Simulcast, start time.Time, still time.Duration) (longest, sum time.Duration) {
	times := append(c.shown(s), time.Now())
	slices.SortFunc(times, time.Time.Compare)
	last := start
	for _, at := range times {
		if !at.After(last) {
			continue
		}
		gap := at.Sub(last)
		longest, last = max(longest, gap), at
		if gap > still {
			sum += gap
		}
	}
	return longest, sum
}

// frame is a picture of one encoding, as far as it has come.
type frame struct {
	shown  uint32
	source uint16
	head   [7]byte
	parts  [64]bool
	come   int
	at     time.Time // when the last part came
}

func (f *frame) temporal() uint8 { return f.head[5] >> 6 }

// shown returns when each picture that came of a simulcast was shown: when it was whole, and the base layer before it, but not before its
// time.
func (c *Client) shown(s *Simulcast) (times []time.Time) {
	var (
		based time.Time // when the base layer was there; zero: something of it is missing
		tl0   uint8
		from  uint16
	)
	frames := c.frames(s)
	if len(frames) == 0 {
		return nil
	}
	begin := frames[0].at.Add(-time.Duration(frames[0].shown) * time.Second / 30)
	for _, f := range frames {
		due := begin.Add(time.Duration(f.shown)*time.Second/30 + jitterBuffer)
		key, packets := f.head[6]&1 == 0, s.encodingOf(f.source).packets
		if key {
			packets *= s.keyTimes
		}
		whole := f.come == packets
		switch {
		case key && whole:
			based = f.at
		case f.source != from, f.temporal() == 0 && (!whole || f.head[4] != tl0+1):
			based = time.Time{}
		case f.temporal() == 0 && !based.IsZero() && f.at.After(based):
			based = f.at
		}
		from = f.source
		if f.temporal() == 0 {
			tl0 = f.head[4]
		}
		if whole && !based.IsZero() {
			times = append(times, slices.MaxFunc([]time.Time{f.at, based, due}, time.Time.Compare))
		}
	}
	return times
}

// frames puts together what came of a simulcast, in the order in which the camera has seen it.
func (c *Client) frames(s *Simulcast) (all []*frame) {
	type key struct {
		shown  uint32
		source uint16
	}
	found := map[key]*frame{}
	for _, a := range c.layered(s) {
		if a.empty || s.encodingOf(a.source) == nil {
			continue
		}
		k := key{a.shown, a.source}
		f := found[k]
		if f == nil {
			f = &frame{shown: a.shown, source: a.source}
			found[k] = f
			all = append(all, f)
		}
		if f.parts[a.part] {
			continue
		}
		f.parts[a.part], f.at = true, a.at
		f.come++
		if a.part == 0 || f.come == 1 {
			f.head = a.head
		}
	}
	slices.SortStableFunc(all, func(a, b *frame) int { return cmp.Compare(a.shown, b.shown) })
	return all
}

func (s *Simulcast) encodingOf(source uint16) *Encoding {
	for _, e := range s.encodings {
		if e.number == source {
			return e
		}
	}
	return nil
}
