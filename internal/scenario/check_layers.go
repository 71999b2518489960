package scenario

import (
	"fmt"
	"slices"
	"time"
)

// LayerSums counts what CheckLayers has seen.
type LayerSums struct {
	Packets, Empty int           // empty ones beside
	Pictures       int           // that were whole
	Switches       int           // of encoding
	Late           int           // holes that were filled after more than a second, or never
	Longest        time.Duration // between two pictures
	Drift          time.Duration // by which timestamps have left the line on which they began
}

// CheckLayers looks at what a client has got of a simulcast:
//
//   - every number comes, apart from those of an encoding that was left before their repair;
//   - an encoding begins with a key frame; each of its pictures is whole, and none comes without those that it depends on;
//   - picture ids and timestamps go on over everything; how far timestamps leave the line to the publisher's clock is measured.
func (p *Plan) CheckLayers(c *Client, s *Simulcast) (sums LayerSums) {
	p.Helper()
	arrivals := c.layered(s)
	if len(arrivals) == 0 {
		p.Errorf("%s got nothing", c.Name)
		return sums
	}
	byNumber := map[int64]arrival{}
	first, last := arrivals[0].number, arrivals[0].number
	for _, a := range arrivals {
		if b, again := byNumber[a.number]; again && (b.head != a.head || b.time != a.time || b.marker != a.marker || b.count != a.count) {
			p.Errorf("%s: number %d came as %+v and as %+v", c.Name, a.number, b, a)
		}
		if _, again := byNumber[a.number]; !again {
			byNumber[a.number] = a
		}
		first, last = min(first, a.number), max(last, a.number)
	}
	var (
		run  *layerRun
		line uint32
	)
	for n := first; n <= last; n++ {
		a, ok := byNumber[n]
		switch {
		case !ok && run != nil:
			run.holes = append(run.holes, n)
		case !ok:
		case a.empty:
			sums.Empty++
			if run != nil {
				run.last = n
			}
		default:
			run = p.inRun(c, s, run, a, &sums)
			if sums.Packets == 0 {
				line = a.time - 3000*a.shown
			}
			sums.Packets++
			drift := time.Duration(int32(a.time-3000*a.shown-line)) * time.Second / 90000
			sums.Drift = max(sums.Drift, drift, -drift)
		}
	}
	if run != nil {
		p.endRun(c, run, &sums)
	}
	return sums
}

// layerRun is what came of one encoding, between two switches.
type layerRun struct {
	encoding *Encoding
	holes    []int64
	last     int64 // number
	shots    []shot
}

// shot is a picture, as far as it has come.
type shot struct {
	id       uint16
	time     uint32
	temporal uint8
	key      bool
	parts    int
	of       int
	at       time.Time
}

// inRun adds a packet, in the order of numbers, to the run that it belongs to.
func (p *Plan) inRun(c *Client, s *Simulcast, run *layerRun, a arrival, sums *LayerSums) *layerRun {
	p.Helper()
	i := slices.IndexFunc(s.encodings, func(e *Encoding) bool { return e.number == a.source })
	e := s.encodings[i]
	if run != nil && run.encoding != e {
		p.endRun(c, run, sums)
		sums.Switches++
		if id := (a.id() - run.shots[len(run.shots)-1].id) & 0x7fff; id == 0 || id > 100 {
			p.Errorf("%s: picture id %d after a switch, %d before", c.Name, a.id(), run.shots[len(run.shots)-1].id)
		}
		run = nil
	}
	if run == nil {
		run = &layerRun{encoding: e}
		if a.head[0]&0x10 == 0 || a.head[6]&1 != 0 {
			p.Errorf("%s: encoding %s does not begin with a key frame: %x", c.Name, e.rid, a.head)
		}
	}
	run.last = a.number
	if n := len(run.shots); n == 0 || run.shots[n-1].id != a.id() {
		if n > 0 && (int32(a.time-run.shots[n-1].time) <= 0 || (a.id()-run.shots[n-1].id)&0x7fff > 100) {
			p.Errorf("%s: number %d: picture %d at %d after %d at %d", c.Name, a.number, a.id(), a.time, run.shots[n-1].id, run.shots[n-1].time)
		}
		run.shots = append(run.shots, shot{id: a.id(), time: a.time, temporal: a.head[5] >> 6, of: e.packets, at: a.at})
	}
	x := &run.shots[len(run.shots)-1]
	x.parts++
	x.key = x.key || a.head[0]&0x10 != 0 && a.head[6]&1 == 0
	if a.marker != (int(a.part) == e.packets-1) {
		p.Errorf("%s: number %d has marker %v", c.Name, a.number, a.marker)
	}
	return run
}

// endRun checks the pictures of an encoding.
func (p *Plan) endRun(c *Client, run *layerRun, sums *LayerSums) {
	p.Helper()
	sums.Late += len(run.holes)
	var previous time.Time
	have := [3]bool{} // temporal layers whose newest picture is there
	for i, x := range run.shots {
		if x.parts != x.of {
			if i < len(run.shots)-1 && len(run.holes) == 0 {
				p.Errorf("%s: %d of %d packets of picture %d of %s", c.Name, x.parts, x.of, i, run.encoding.rid)
			}
			have[x.temporal] = false
			continue
		}
		if x.key {
			have = [3]bool{}
		}
		if x.temporal > 0 && !have[0] || x.temporal == 0 && !x.key && !have[0] && len(run.holes) == 0 {
			p.Errorf("%s: picture %d of %s, T%d, without its base", c.Name, i, run.encoding.rid, x.temporal)
		}
		have[x.temporal] = true
		sums.Pictures++
		if !previous.IsZero() {
			sums.Longest = max(sums.Longest, x.at.Sub(previous))
		}
		previous = x.at
	}
}

// layered returns what came of a simulcast, padding included, in the order of arrival.
func (c *Client) layered(s *Simulcast) (all []arrival) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.all() {
		if r.video && slices.ContainsFunc(r.arrivals, func(a arrival) bool {
			return slices.ContainsFunc(s.encodings, func(e *Encoding) bool { return !a.empty && e.number == a.source })
		}) {
			all = append(all, r.arrivals...)
		}
	}
	return all
}

// Gets tells which encoding of a simulcast a client got last, and when its first picture since then came.
func (c *Client) Gets(s *Simulcast) (rid string, since time.Time) {
	for _, a := range slices.Backward(c.layered(s)) {
		if a.empty {
			continue
		}
		i := slices.IndexFunc(s.encodings, func(e *Encoding) bool { return e.number == a.source })
		if rid != "" && s.encodings[i].rid != rid {
			break
		}
		rid, since = s.encodings[i].rid, a.at
	}
	return rid, since
}

func (a *arrival) id() uint16 { return (uint16(a.head[2])<<8 | uint16(a.head[3])) & 0x7fff }

// String names a packet in failures.
func (s LayerSums) String() string {
	return fmt.Sprintf("%d packets and %d empty ones, %d pictures, %d switches, %d late, longest gap %v, drift %v",
		s.Packets, s.Empty, s.Pictures, s.Switches, s.Late, s.Longest, s.Drift)
}
