package port

import (
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/ice"
	"github.com/parley-rtc/parley/internal/stun"
)

// place is an owner's number, twice; plus one for what comes to it from strangers. The last place is the relay's.
type place uint8

const (
	relayPlace = place(2 * ice.MaxShards)
	places     = int(relayPlace) + 1
)

func (at place) owner() int      { return int(at / 2) }
func (at place) strangers() bool { return at%2 != 0 }

// sorted is where each datagram of a batch goes, in their order.
type sorted [datagram.BatchSize]place

// hand gives the datagrams of b to their owners and reports whether b itself was given away: otherwise it is the caller's again.
// Where all go to one place, which is the rule, the batch goes as it is. Otherwise it goes where most of it belongs, and the
// other places get copies in batches of their own, so that no two owners hold parts of one.
func (p *Port) hand(b *datagram.Batch) bool {
	var of sorted
	p.sort(b, &of)
	if b.N == 0 {
		return false
	}
	var counts [places]uint8
	main := of[0]
	for _, at := range of[:b.N] {
		if counts[at]++; counts[at] > counts[main] {
			main = at
		}
	}
	if int(counts[main]) < b.N {
		for at := range place(2 * len(p.owners)) {
			if counts[at] > 0 && at != main {
				p.handCopies(b, &of, at)
			}
		}
		if counts[relayPlace] > 0 && main != relayPlace {
			p.handCopies(b, &of, relayPlace)
		}
		keep(b, &of, main)
	}
	return p.give(b, main)
}

// handCopies gives what of b goes to one place in another batch.
func (p *Port) handCopies(b *datagram.Batch, of *sorted, at place) {
	part := p.Take()
	for i := range b.N {
		if of[i] == at {
			part.Append(b.D[i].Pair, b.D[i].B)
		}
	}
	if !p.give(part, at) {
		p.Recycle(part)
	}
}

// keep leaves in b what goes to one place.
func keep(b *datagram.Batch, of *sorted, at place) {
	kept := 0
	for i := range b.N {
		if of[i] == at {
			b.D[kept] = b.D[i]
			kept++
		}
	}
	b.N = kept
}

// give hands over a batch whose datagrams all go to one place.
func (p *Port) give(b *datagram.Batch, at place) (taken bool) {
	switch {
	case at == relayPlace:
		taken = p.relay.Batch(b)
	case at.strangers():
		taken = p.owners[at.owner()].Strangers(b)
	default:
		taken = p.owners[at.owner()].Batch(b)
	}
	if taken {
		return true
	}
	p.drops[drop.InboxFull].Add(uint64(b.N))
	return false
}

// sort finds out whose each datagram of b is, and removes those that are nobody's. Datagrams of one sender come in bursts, so the
// table is asked once for each burst.
func (p *Port) sort(b *datagram.Batch, of *sorted) {
	var (
		kept int
		at   place
		pair *datagram.Pair // whose media goes there; nil: none
	)
	for i := range b.N {
		d := &b.D[i]
		to, r := at, drop.None
		if pair == nil || !isMedia(d.B[0]) || d.Pair != *pair {
			to, r = p.placeOf(d)
		}
		if r != drop.None {
			p.drops[r].Add(1)
			continue
		}
		of[kept] = to
		if kept != i {
			b.D[kept] = *d
		}
		if isMedia(d.B[0]) {
			at, pair = to, &b.D[kept].Pair
		}
		kept++
	}
	b.N = kept
}

// lastSTUN is the highest first byte of a STUN message (RFC 7983 section 7).
const lastSTUN = 3

// isMedia reports whether b is the first byte of DTLS, RTP or RTCP.
func isMedia(b byte) bool { return b >= 20 && b <= 63 || b >= 128 && b <= 191 }

// isChannelData reports whether b is the first byte of TURN's ChannelData, a channel number: RFC 8656 §12 ends them at 0x4FFF, but clients of
// RFC 5766 take any up to 0x7FFF, and nothing else that comes begins like these.
func isChannelData(b byte) bool { return b >= 0x40 && b <= 0x7f }

// placeOf tells where a datagram goes. A check belongs where its user fragment says, though a stranger can make that up; what is for STUN and
// TURN, to the relay, whoever else uses the same pair of addresses: browsers send both from one socket. Everything else belongs to whom has
// validated its pair, and where nobody has, it costs no owner anything, but for a few strays.
func (p *Port) placeOf(d *datagram.Datagram) (place, drop.Reason) {
	first, relay := d.B[0], p.relay != nil && d.Pair.Proto == datagram.UDP
	if first > lastSTUN && !isMedia(first) {
		if relay && isChannelData(first) {
			return relayPlace, drop.None
		}
		return 0, drop.UnknownClass
	}
	owner, known := p.pairs.Owner(&d.Pair)
	if first <= lastSTUN {
		if ufrag, ok := ice.Ufrag(d.B); ok {
			o, ok := ice.Shard(ufrag)
			switch {
			case !ok || o >= len(p.owners):
				return 0, drop.UnknownUfrag
			case !known:
				return place(2*o + 1), drop.None
			}
			return place(2 * o), drop.None
		}
		if relay && isForRelay(d.B, known) {
			return relayPlace, drop.None
		}
	}
	switch {
	case known:
		return place(2 * owner), drop.None
	case first <= lastSTUN:
		return 0, drop.UnknownUfrag
	case first >= 128 && len(d.B) >= minMedia && d.Pair.Proto == datagram.UDP && p.strays.admit(time.Now()):
		return place(1), drop.None
	}
	return 0, drop.UnknownSource
}

// isForRelay reports whether a STUN message without a user fragment is for the STUN and TURN server: every request is. Answers to checks and
// indications are for the agent whose pair it is.
func isForRelay(b []byte, known bool) bool {
	if !stun.Is(b) {
		return false
	}
	switch stun.TypeIn(b) {
	case stun.TypeOf(stun.Binding, stun.Indication):
		return !known
	case stun.TypeOf(stun.Binding, stun.Success), stun.TypeOf(stun.Binding, stun.Error):
		return false
	}
	return true
}

// minMedia is the length of an RTP header.
const minMedia = 12

// strays limits what passes of media from addresses that nobody has validated: a bucket that fills with strayRate up to strayBurst. A client
// whose address has changed sends 50 packets a second and more, of which one is enough.
type strays struct {
	fullAt time.Time // when nothing will be missing in the bucket
}

func (s *strays) admit(now time.Time) bool {
	const interval = time.Second / strayRate
	if s.fullAt.Before(now) {
		s.fullAt = now
	}
	if s.fullAt.Sub(now) > (strayBurst-1)*interval {
		return false
	}
	s.fullAt = s.fullAt.Add(interval)
	return true
}
