package scenario

import (
	"net/netip"

	"github.com/parley-rtc/parley/internal/sim"
)

// Rebind lets the NAT in front of a client give it another address, which may be one that it had before last. The client notices nothing.
func (p *Plan) Rebind(c *Client) {
	if len(c.outside) < natAddresses {
		c.outside = append(c.outside, p.address(20))
	} else {
		c.outside = append(c.outside[1:], c.outside[0])
	}
	p.network.Rebind(c.addr, c.outside[len(c.outside)-1])
}

// natAddresses is how many addresses a NAT has to give.
const natAddresses = 2

// Move takes a client from its network to another: the old address is dead, and it has a new one. Its sockets stay where they are.
func (p *Plan) Move(c *Client, l sim.Link) {
	to := p.address(30)
	p.watch.move(c.addr, to)
	p.network.SetLinks(c.at, server.Addr(), sim.Link{Loss: 1})
	p.network.SetLinks(to, server.Addr(), l)
	c.at = to
	c.net.Move(to)
}

// address makes one that nobody has.
func (p *Plan) address(first byte) netip.Addr {
	p.addresses++
	return netip.AddrFrom4([4]byte{first, 0, byte(p.addresses / 250), byte(1 + p.addresses%250)})
}
