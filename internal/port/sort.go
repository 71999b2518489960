package port

import (
	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/ice"
)

// sorted is whose each datagram of a batch is, in their order.
type sorted [datagram.BatchSize]uint8

// hand gives the datagrams of b to their owners and reports whether b itself was given away: otherwise it is the caller's again.
// Where all are one owner's, which is the rule, the batch goes as it is. Otherwise it goes to whom most of it belongs, and the
// others get copies in batches of their own, so that no two owners hold parts of one.
func (p *Port) hand(b *datagram.Batch) bool {
	var of sorted
	p.sort(b, &of)
	if b.N == 0 {
		return false
	}
	var counts [ice.MaxShards]uint8
	main := of[0]
	for _, o := range of[:b.N] {
		if counts[o]++; counts[o] > counts[main] {
			main = o
		}
	}
	if int(counts[main]) < b.N {
		for o := range p.owners {
			if counts[o] > 0 && o != int(main) {
				p.handCopies(b, &of, uint8(o))
			}
		}
		keep(b, &of, main)
	}
	return p.give(b, main)
}

// handCopies gives owner its datagrams of b in another batch.
func (p *Port) handCopies(b *datagram.Batch, of *sorted, owner uint8) {
	part := p.Take()
	for i := range b.N {
		if of[i] == owner {
			part.Append(b.D[i].Pair, b.D[i].B)
		}
	}
	if !p.give(part, owner) {
		p.Recycle(part)
	}
}

// keep leaves in b what is owner's.
func keep(b *datagram.Batch, of *sorted, owner uint8) {
	kept := 0
	for i := range b.N {
		if of[i] == owner {
			b.D[kept] = b.D[i]
			kept++
		}
	}
	b.N = kept
}

// give hands over a batch whose datagrams are all one owner's.
func (p *Port) give(b *datagram.Batch, owner uint8) bool {
	if p.owners[owner].Batch(b) {
		return true
	}
	p.drops[drop.InboxFull].Add(uint64(b.N))
	return false
}

// sort finds out whose each datagram of b is, and removes those that are nobody's. Datagrams of one sender come in bursts, so the
// table is asked once for each burst.
func (p *Port) sort(b *datagram.Batch, of *sorted) {
	var (
		kept  int
		owner = -1
		pair  *datagram.Pair // that is owner's
	)
	for i := range b.N {
		d := &b.D[i]
		o, r := owner, drop.None
		if o < 0 || !isMedia(d.B[0]) || d.Pair != *pair {
			o, r = p.ownerOf(d)
		}
		if r != drop.None {
			p.drops[r].Add(1)
			continue
		}
		of[kept] = uint8(o)
		if kept != i {
			b.D[kept] = *d
		}
		if isMedia(d.B[0]) {
			owner, pair = o, &b.D[kept].Pair
		}
		kept++
	}
	b.N = kept
}

// lastSTUN is the highest first byte of a STUN message (RFC 7983 section 7).
const lastSTUN = 3

// isMedia reports whether b is the first byte of DTLS, RTP or RTCP.
func isMedia(b byte) bool { return b >= 20 && b <= 63 || b >= 128 && b <= 191 }

// ownerOf tells whose a datagram is. A check belongs where its user fragment says; everything else to whom has validated its pair
// of addresses, and where nobody has, it costs no owner anything.
func (p *Port) ownerOf(d *datagram.Datagram) (int, drop.Reason) {
	switch first := d.B[0]; {
	case first <= lastSTUN:
		if ufrag, ok := ice.Ufrag(d.B); ok {
			if o, ok := ice.Shard(ufrag); ok && o < len(p.owners) {
				return o, drop.None
			}
			return 0, drop.UnknownUfrag
		}
		if o, ok := p.pairs.Owner(&d.Pair); ok {
			return o, drop.None
		}
		return 0, drop.UnknownUfrag
	case isMedia(first):
		if o, ok := p.pairs.Owner(&d.Pair); ok {
			return o, drop.None
		}
		return 0, drop.UnknownSource
	}
	return 0, drop.UnknownClass
}
