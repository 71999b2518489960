package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
)

// Limits of what a check accepts.
const (
	repairTime   = time.Second // within which a hole in a video stream is filled
	inFlight     = 300 * time.Millisecond
	startPackets = 100 // that may pass until a key frame's first packet is repaired
	maxBehind    = 10  // packets that may be lost one after the other at a source's end
)

// Sums counts what a check of media has seen.
type Sums struct {
	Streams, Packets, Repeated int
	Fills                      int // times that a slot got a source which then sent something
	// Holes in video are numbers that came later than a higher one; Late took longer than a second, or never came, by losses
	// of the links that the watch has seen; GivenUp never came because the source ended, or the slot got another.
	Holes, Late, GivenUp int
	// Deaf would be Late, but an end of theirs restarted ICE meanwhile, and heard nothing until that was done.
	Deaf int
	// Missing audio packets, all of them lost on a link, or come while nobody listened.
	Missing int
	Slowest time.Duration // that a hole was filled after
}

// CheckMedia looks at every number that every subscriber got so far:
//
//   - a packet comes only from the source that fills the slot, whose numbers it mirrors: outgoing = incoming + an offset that
//     stays while the slot is not filled anew, and the source is heard;
//   - the numbers of a slot go on over changes of source;
//   - a hole in video is filled within a second, a hole in audio stays; every hole that stays has a loss on a link as its
//     cause, or a slot that changed before the repair.
func (p *Plan) CheckMedia() (sums Sums) {
	p.Helper()
	return p.CheckMediaOf(p.clients...)
}

// CheckMediaOf looks as CheckMedia does at what some clients got.
func (p *Plan) CheckMediaOf(clients ...*Client) (sums Sums) {
	p.Helper()
	for _, c := range clients {
		c.mu.Lock()
		receptions := c.all()
		c.mu.Unlock()
		for _, r := range receptions {
			c.mu.Lock()
			copied := *r
			copied.arrivals = slices.Clone(r.arrivals)
			copied.fills = slices.Clone(r.fills)
			c.mu.Unlock()
			p.checkReception(c, &copied, &sums)
		}
	}
	return sums
}

// segment is a part of a reception that one fill has brought.
type segment struct {
	source      *Source
	offset      int64 // outgoing number − the source's count
	low, high   int64
	first, last time.Time
	until       time.Time // when the slot was filled anew; zero: it was not
	seen        map[int64]time.Time
	arrivals    []arrival
}

func (p *Plan) checkReception(c *Client, r *reception, sums *Sums) {
	p.Helper()
	if len(r.arrivals) == 0 || p.isLayered(r) {
		return
	}
	sums.Streams++
	sums.Packets += len(r.arrivals)
	segments := p.segments(r)
	where := fmt.Sprintf("%s, mid %s", c.Name, r.mid)
	p.matchFills(where, c, r, segments)
	if now := c.current[r.mid]; !c.gone && now != nil && now.ssrc == r.ssrc {
		p.checkEnd(where, r)
	}
	sums.Fills += len(segments)
	for i, s := range segments {
		for _, a := range s.arrivals {
			if _, again := s.seen[a.number]; again {
				sums.Repeated++
				continue
			}
			s.seen[a.number] = a.at
		}
		if i == 0 { // what is older than the first that came, nobody knows to be missing
			s.low = r.arrivals[0].number
		}
		end, next := s.high+1, (*segment)(nil)
		if i+1 < len(segments) {
			next = segments[i+1]
			end = next.low
			if end <= s.high {
				p.Errorf("%s: numbers %d to %d are used by two sources", where, end, s.high)
			}
		}
		p.checkHoles(where, c, r, s, end, next, sums)
	}
}

// isLayered reports whether a reception is one that CheckLayers looks at.
func (p *Plan) isLayered(r *reception) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(r.arrivals, func(a arrival) bool { return a.empty || p.sources[a.source].layered != nil })
}

// segments cuts a reception into parts by source and offset, in the order of their numbers. A source that comes again after another
// may do so with the offset that it had.
func (p *Plan) segments(r *reception) []*segment {
	type key struct {
		source uint16
		offset int64
		turn   int
	}
	found := map[key]*segment{}
	turns, highest := map[uint16]int{}, r.arrivals[0]
	var out []*segment
	for _, a := range r.arrivals {
		if a.number > highest.number {
			if a.source != highest.source {
				turns[a.source]++
			}
			highest = a
		}
		k := key{a.source, a.number - int64(a.count), turns[a.source]}
		s := found[k]
		if s == nil {
			p.mu.Lock()
			s = &segment{source: p.sources[a.source], offset: k.offset, low: a.number, high: a.number, first: a.at, seen: map[int64]time.Time{}}
			p.mu.Unlock()
			found[k] = s
			out = append(out, s)
		}
		s.low, s.high, s.last = min(s.low, a.number), max(s.high, a.number), a.at
		s.arrivals = append(s.arrivals, a)
	}
	slices.SortFunc(out, func(a, b *segment) int { return cmp.Compare(a.low, b.low) })
	return out
}

// matchFills finds the slot event that brought each segment. Nothing comes before it, or after the next but what was on its way.
// To somebody without a socket, slot events come late or not at all.
func (p *Plan) matchFills(where string, c *Client, r *reception, segments []*segment) {
	p.Helper()
	used := map[int]bool{}
	before, last := (*segment)(nil), -1
	for _, s := range segments {
		s.source.client.mu.Lock()
		names := slices.Clone(s.source.publications)
		s.source.client.mu.Unlock()
		at := -1
		for i, f := range r.fills {
			if !used[i] && !f.at.After(s.first) && slices.Contains(names, f.publication) {
				at = i
			}
		}
		if at < 0 && before != nil && before.source == s.source && s.source.ranks() {
			at = last // it was not among the loudest in between
		}
		before, last = s, at
		if at < 0 && c.wasCut(s.first) {
			continue
		}
		if at < 0 {
			p.Errorf("%s: %d packets of %s (%s) from number %d on, at %v, for which no slot event came, or numbers that jumped: slot events %v",
				where, len(s.arrivals), s.source.client.Name, s.source.kind, s.low, s.first, r.fills)
			continue
		}
		used[at] = true
		if at+1 < len(r.fills) {
			s.until = r.fills[at+1].at
			if late := s.last.Sub(s.until); late > inFlight && !c.wasCut(s.until) {
				p.Errorf("%s: a packet of %s came %v after the slot had changed", where, s.source.client.Name, late)
			}
		}
	}
}

// checkEnd: a slot that is filled has got what its source has sent, up to now, apart from losses.
func (p *Plan) checkEnd(where string, r *reception) {
	p.Helper()
	if len(r.fills) == 0 {
		return
	}
	f := r.fills[len(r.fills)-1]
	if f.publication == "" || time.Since(f.at) < repairTime {
		return
	}
	last := r.arrivals[0]
	for _, a := range r.arrivals {
		if a.number > last.number {
			last = a
		}
	}
	p.mu.Lock()
	s := p.sources[last.source]
	p.mu.Unlock()
	if s.stop != nil || s.ranks() { // it still sends, or is not heard
		return
	}
	if behind := s.count - last.count; behind > maxBehind {
		p.Errorf("%s: %d packets at the end are missing", where, behind)
	}
}

// checkHoles looks at every number of a segment below end, where the next one begins, if there is one.
func (p *Plan) checkHoles(where string, c *Client, r *reception, s *segment, end int64, next *segment, sums *Sums) {
	p.Helper()
	found := discoveries(s)
	for n := s.low; n < end; n++ {
		came, ok := s.seen[n]
		since, discovered := found[n]
		if ok && !discovered || p.beforeKeys(c, r, n) {
			continue
		}
		cause := p.cause(c, r, s, n)
		if cause == "" && !discovered && next != nil { // it may also have been one of the first of the next segment
			cause = p.cause(c, r, next, n)
		}
		if !r.video {
			if !ok {
				sums.Missing++
				if cause == "" {
					p.Errorf("%s: audio number %d is missing, and no link has lost it; %d of %d to %d of %s, found %v, slot events %v", where, n,
						p.watch.fate(c.addr, false, r.ssrc, uint16(n)), s.low, s.high, s.source.client.Name, since, r.fills)
				}
			}
			continue
		}
		sums.Holes++
		switch {
		case ok && came.Sub(since) <= repairTime:
			sums.Slowest = max(sums.Slowest, came.Sub(since))
		case !ok && (!discovered || s.last.Sub(since) <= repairTime):
			sums.GivenUp++
			if cause == "" {
				p.Errorf("%s: video number %d never came, and no link has lost it; %d, from %d on of %s, found %v, last %v, asked %d times, slot events %v",
					where, n, p.watch.fate(c.addr, false, r.ssrc, uint16(n)), s.low, s.source.client.Name, since, s.last, r.tried[n], r.fills)
			}
		case cause != "" && p.deafness(c, s, since):
			sums.Deaf++
		case cause != "":
			sums.Late++
			p.Logf("%s: video number %d was not there within a second: %s; came %v", where, n, cause, came)
		default:
			p.Errorf("%s: video number %d was missing for longer than a second, and no link has lost it; from %d on, found %v, came %v, last %v, asked %d times",
				where, n, s.low, since, came, s.last, r.tried[n])
		}
	}
}

// deafness tells whether an end did not hear while a hole should have been repaired: the publisher is not reached by requests then, the
// subscriber not by repairs.
func (p *Plan) deafness(c *Client, s *segment, since time.Time) bool {
	from, to := since.Add(-inFlight), since.Add(repairTime)
	return p.watch.wasDeaf(c.addr, from, to) || p.watch.wasDeaf(s.source.client.addr, from, to)
}

// beforeKeys tells whether a number was sent before its client could open anything: the server's last word of the DTLS handshake was
// lost, and said again seconds later. A browser drops what comes meanwhile and begins with what comes after; pion keeps it for later.
func (p *Plan) beforeKeys(c *Client, r *reception, n int64) bool {
	at := p.watch.sentAt(c.addr, false, r.ssrc, uint16(n))
	return !at.IsZero() && r.arrivals[0].at.Sub(at) > inFlight
}

// discoveries tells when each number of a segment could be known to be missing: when a higher one came.
func discoveries(s *segment) map[int64]time.Time {
	out := map[int64]time.Time{}
	highest := s.low - 1
	for _, a := range s.arrivals {
		for n := highest + 1; n < a.number; n++ {
			out[n] = a.at
		}
		highest = max(highest, a.number)
	}
	return out
}

// cause tells which link has lost a packet on its first way, or that nobody listened where it came; empty: neither.
func (p *Plan) cause(c *Client, r *reception, s *segment, n int64) string {
	from := s.source.client
	from.mu.Lock()
	ssrcs := slices.Clone(s.source.ssrc)
	from.mu.Unlock()
	up := neverSent
	for _, ssrc := range ssrcs {
		up = max(up, p.watch.fate(from.addr, true, ssrc, s.source.first+uint16(n-s.offset)))
	}
	switch down := p.watch.fate(c.addr, false, r.ssrc, uint16(n)); {
	case down == lost:
		return "lost on the way to the subscriber"
	case down == missed:
		return "came to a socket that an ICE restart had closed"
	case down == delivered && up == delivered:
		return ""
	case down == neverSent && up == delivered && r.video && n-s.low < startPackets && s.last.Sub(s.first) < repairTime:
		return "passed before the first packet of its key frame was repaired, and the slot was not filled for long enough to ask for it"
	case up == lost:
		return "lost on the way from the publisher"
	case up == neverSent:
		return "never sent"
	}
	return ""
}

// CheckIsolation: the server has sent nobody a stream that it had not announced to him, and nothing on a slot that was never
// filled.
func (p *Plan) CheckIsolation() {
	p.Helper()
	for _, c := range p.clients {
		for ssrc, sent := range p.watch.sentTo(c.addr) {
			c.mu.Lock()
			i := slices.IndexFunc(c.all(), func(r *reception) bool { return r.ssrc == ssrc || r.rtx == ssrc })
			filled := i >= 0 && (len(c.all()[i].fills) > 0 || len(c.cuts) > 0) || i < 0 && c.gone && c.unanswered
			c.mu.Unlock()
			if !filled {
				p.Errorf("%s was sent %d packets on SSRC %d, which fills no slot of his", c.Name, sent.packets, ssrc)
			}
		}
	}
}

// CheckReplicas: every client's copy of the room, made of events, is the room's own snapshot as somebody who joins now gets it,
// and no client has missed a message or got one twice.
func (p *Plan) CheckReplicas() {
	p.Helper()
	observer := p.Join("observer", Options{NoMedia: true, Manual: true})
	p.Pass(time.Second)
	for _, c := range p.clients {
		if c.gone || c.socket == nil || c.options.Room != observer.options.Room {
			continue
		}
		c.mu.Lock()
		if have, want := c.replica.text(), observer.replica.text(); have != want {
			p.Errorf("%s has another room than the server:\n%s\nthe server's:\n%s", c.Name, have, want)
		}
		if c.brokenOrder {
			p.Errorf("%s missed a message, or got one twice", c.Name)
		}
		c.mu.Unlock()
	}
	observer.Leave()
}

// linkDrops are reasons that losses and changes of slot bring by themselves. Everything else is a fault.
var linkDrops = []drop.Reason{
	drop.UnknownSource, drop.UnknownUfrag, drop.DtlsClosed, drop.SrtpNoKeys, drop.RtpUnknownSSRC, // before and after a Transport, or a section
	drop.NoKeyFrame, drop.TooLate, drop.Unpublished, drop.SlotSwitching, // around a change of slot
	drop.NackUnknown, drop.NackTooOften, drop.RtpDuplicate, // repairs
	drop.StunIntegrity, // a check that pion makes between two restarts
	drop.SrtpReplay,    // pion sends a repair again under the number that it had
	drop.DtlsEpoch,     // a flight of the handshake whose answer was lost
	drop.RtcpUnknown, drop.Consent, drop.LayerLeftOut,
	drop.NotLoudest, // of those who tell how loud they are
}

// Finish ends what everybody sends, and checks the rooms and what was dropped. also are reasons that the plan has brought about.
func (p *Plan) Finish(also ...drop.Reason) {
	p.Helper()
	p.quiet()
	p.CheckReplicas()
	p.CheckDrops(also...)
	p.Logf("drops %v", p.Counts().Drops)
}

// FinishMedia is Finish and checks also what everybody got, packet by packet.
func (p *Plan) FinishMedia(also ...drop.Reason) Sums {
	p.Helper()
	p.Finish(also...)
	sums := p.CheckMedia()
	p.CheckIsolation()
	p.Logf("%+v", sums)
	return sums
}

// quiet ends what everybody sends, and lets what is under way arrive, or be repaired.
func (p *Plan) quiet() {
	for _, c := range p.clients {
		for _, s := range c.sources {
			s.Pause()
		}
		if c.simulcast != nil {
			c.simulcast.Pause()
		}
	}
	p.Pass(2 * time.Second)
}

// CheckDrops: nothing was dropped for a reason that has no place on lossy links, apart from those that the plan has brought about.
func (p *Plan) CheckDrops(also ...drop.Reason) {
	p.Helper()
	c := p.Counts()
	for r, n := range c.Drops {
		if n > 0 && !slices.Contains(linkDrops, drop.Reason(r)) && !slices.Contains(also, drop.Reason(r)) {
			p.Errorf("%d datagrams dropped: %s", n, drop.Reason(r))
		}
	}
	if c.Panics > 0 {
		p.Errorf("%d faults", c.Panics)
	}
}
