package turn

import (
	"net/netip"
)

// channel is a number bound to a peer (RFC 8656 §12).
type channel struct {
	peer      netip.AddrPort
	until     instant
	permitted instant // until when there is a permission for the peer's address
	number    uint16
	outside   bool // the peer may be reached where it is not an own address
}

// channels are those of one allocation: found by number at once, and by peer at once where it is the one that was found last.
type channels struct {
	all   []channel
	table []slot // by number, a power of two, at most half full; open addressing
	last  int    // index of the channel whose peer was found last
}

type slot struct {
	number uint16
	index  uint8 // in all
	used   bool
}

// numbered returns the channel of a number, bound or over; nil: there is none.
func (c *channels) numbered(number uint16) *channel {
	if len(c.table) == 0 {
		return nil
	}
	mask := len(c.table) - 1
	for i := int(number) & mask; c.table[i].used; i = (i + 1) & mask {
		if c.table[i].number == number {
			return &c.all[c.table[i].index]
		}
	}
	return nil
}

// to returns the channel of a peer, bound or over; nil: there is none.
func (c *channels) to(peer netip.AddrPort) *channel {
	if c.last < len(c.all) && c.all[c.last].peer == peer {
		return &c.all[c.last]
	}
	for i := range c.all {
		if c.all[i].peer == peer {
			c.last = i
			return &c.all[i]
		}
	}
	return nil
}

// bind adds a channel, after those that are over are forgotten. It returns nil where there are as many as there may be.
func (c *channels) bind(now instant, number uint16, peer netip.AddrPort, most int) *channel {
	kept := c.all[:0]
	for _, ch := range c.all {
		if now < ch.until {
			kept = append(kept, ch)
		}
	}
	c.all = kept
	full := len(c.all) >= most
	if !full {
		c.all = append(c.all, channel{number: number, peer: peer})
	}
	c.index()
	if full {
		return nil
	}
	return &c.all[len(c.all)-1]
}

// index makes the table again.
func (c *channels) index() {
	size := 2
	for size < 2*len(c.all) {
		size *= 2
	}
	if size == len(c.table) {
		clear(c.table)
	} else {
		c.table = make([]slot, size)
	}
	for at := range c.all {
		number := c.all[at].number
		i := int(number) & (size - 1)
		for c.table[i].used {
			i = (i + 1) & (size - 1)
		}
		c.table[i] = slot{number: number, index: uint8(at), used: true}
	}
}
