package turn

import (
	"net/netip"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

// Alternate is how a server is reached over UDP at two addresses of one family, each with the same two ports, so that clients discover how their NAT
// behaves (RFC 5780).
type Alternate struct {
	Local  [2]netip.Addr // of the sockets
	Public [2]netip.Addr // as clients see them; not valid: the same
	Ports  [2]uint16
}

// corner is one of an Alternate's four sockets, as indexes.
type corner struct{ addr, port int }

func (a *Alternate) local(c corner) netip.AddrPort {
	return netip.AddrPortFrom(a.Local[c.addr], a.Ports[c.port])
}

func (a *Alternate) public(c corner) netip.AddrPort {
	if p := a.Public[c.addr]; p.IsValid() {
		return netip.AddrPortFrom(p, a.Ports[c.port])
	}
	return a.local(c)
}

// alternate finds the socket to which something came; nil: it is none of those.
func (s *Server) alternate(pair datagram.Pair) (*Alternate, corner) {
	if pair.Proto != datagram.UDP {
		return nil, corner{}
	}
	for i := range s.cfg.Alternates {
		a := &s.cfg.Alternates[i]
		for n := range 4 {
			if c := (corner{n >> 1, n & 1}); a.local(c) == pair.Local {
				return a, c
			}
		}
	}
	return nil, corner{}
}

// Flags of CHANGE-REQUEST (RFC 5780 §7.2).
const (
	changeIP   = 1 << 2
	changePort = 1 << 1
)

// discover answers a Binding request that came to one of an Alternate's sockets.
func (s *Server) discover(q *request, alt *Alternate, at corner) drop.Reason {
	change, changes := q.Find(stun.ChangeRequest)
	port, ported := q.Find(stun.ResponsePort)
	_, padded := q.Find(stun.Padding)
	if changes && len(change) != 4 || ported && len(port) != 4 || ported && padded {
		return q.refuse(s, stun.BadRequest)
	}
	from := at
	if changes && change[3]&changeIP != 0 {
		from.addr ^= 1
	}
	if changes && change[3]&changePort != 0 {
		from.port ^= 1
	}
	to := q.asked()
	to.pair.Local = alt.local(from)
	if ported {
		// Another port than the one that has asked may be somebody else's: it gets the least there is, and not often.
		to.pair.Remote = netip.AddrPortFrom(to.pair.Remote.Addr(), uint16(port[0])<<8|uint16(port[1]))
		if to.pair.Remote.Port() == 0 {
			return q.refuse(s, stun.BadRequest)
		}
		if !s.mayAnswer(q) {
			return drop.TurnUnproven
		}
		w := mapped(q, to)
		return w.end(s)
	}
	// MAPPED-ADDRESS beside the XORed one tells of routers that change addresses in what they forward (§4.6). A short request gets less.
	for plain := true; ; plain = false {
		w := mapped(q, to)
		w.PlainAddress(stun.ResponseOrigin, alt.public(from))
		w.PlainAddress(stun.OtherAddress, alt.public(corner{at.addr ^ 1, at.port ^ 1}))
		if plain {
			w.PlainAddress(stun.MappedAddress, q.pair.Remote)
		}
		if padded {
			w.padding(len(q.Raw))
		}
		if r := w.end(s); r != drop.TurnLarge {
			return r
		}
		if !plain {
			w = mapped(q, to)
			return w.end(s)
		}
	}
}

// mapped is an answer with the address of the client who asks.
func mapped(q *request, to asked) answer {
	w := to.answer(stun.Success, q.out)
	w.Address(stun.XORMappedAddress, q.pair.Remote)
	return w
}

// padding makes the answer as long as the request is, and no longer (RFC 5780 §6.1, §7.6).
func (w *answer) padding(size int) {
	n := size - len(w.Message()) - 4
	if w.to.fingerprint {
		n -= 8
	}
	w.Bytes(stun.Padding, zeros[:min(max(n, 0), len(zeros))])
}

// zeros is what PADDING is made of. Requests that came in fragments are longer, and get no more.
var zeros [datagram.MaxBytes]byte
