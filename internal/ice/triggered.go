package ice

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"hash"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

// A full agent checks every pair on which it was checked, until that has been answered (RFC 8445 §7.3.1.4). It needs no answer
// for itself: the client's check has told all that there is to know. But a controlling client that knows its pair to work both ways
// nominates it at once, where it would otherwise wait for the next round of its own checks; pion's takes 200 ms for one.
//
// It has no check list of its own and no timer: the client's candidates are behind NATs more often than not, the server's are not.
// What a check of the client does not bring about is not sent, and both answers together are shorter than 3 times their cause.

// reflexive is the PRIORITY that the pair's client candidate would have if it were discovered by the check (RFC 8445 §7.1.1):
// peer reflexive, any local preference, component 1.
const reflexive = 110<<24 | 65535<<8 | 255

// trigger sends a check back on entry i.
func (a *Agent) trigger(g *generation, i int, out *Out) {
	if e := &a.entries[i]; a.mode == Full && e.proven != g {
		a.ask(g, e.pair, out)
	}
}

// ask sends a check on a pair.
func (a *Agent) ask(g *generation, pair datagram.Pair, out *Out) {
	if g.remoteMAC == nil { // a lite agent's first one
		g.remoteMAC = hmac.New(sha1.New, []byte(g.remote.Pwd))
	}
	id := a.transaction(g)
	r := out.begin(pair, id, bindingRequest)
	r.Text(stun.Username, g.remote.Ufrag, ":", g.local.Ufrag) // the receiver's first (RFC 8445 §7.2.2)
	r.Uint32(stun.Priority, reflexive)
	r.Bytes(stun.ICEControlled, id[len(id)-8:]) // as random as a tie-breaker has to be: the roles are settled
	r.Integrity(g.remoteMAC)
	r.end()
}

// transaction makes the id of a request of the count of requests under a key that nobody else has: who is not on the path cannot guess it
// (RFC 8489 §5).
func (a *Agent) transaction(g *generation) []byte {
	g.requests++
	return g.id(g.requests, &a.sum)
}

// id is the transaction id of request number n.
func (g *generation) id(n uint64, sum *[sha1.Size]byte) []byte {
	binary.BigEndian.PutUint64(sum[:], n)
	g.mac.Reset()
	g.mac.Write(sum[:8])
	return g.mac.Sum(sum[:0])[:stun.IDLen]
}

// response notes that a check of this side was answered. It must be the answer to one of the last few, on the same pair, from
// somebody who knows the client's password (RFC 8445 §7.2.5.2).
func (a *Agent) response(now time.Time, pair datagram.Pair, m *message, out *Out) drop.Reason {
	i := a.find(pair)
	g, moved := a.current, a.move.asked > 0 && a.move.to == pair
	if moved {
		g = a.move.by
	}
	switch {
	case a.mode != Full && !moved || i < 0 || !g.asked(m.ID(), &a.sum):
		return drop.StunMethod
	case !m.Authentic(g.remoteMAC):
		return drop.StunIntegrity
	}
	a.entries[i].proven = g
	if moved {
		a.follow(now, i, out)
	}
	return drop.None
}

// asked reports whether the id is that of one of the last requests.
func (g *generation) asked(id []byte, sum *[sha1.Size]byte) bool {
	for n := g.requests; n > 0 && n+maxAsked > g.requests; n-- {
		if hmac.Equal(id, g.id(n, sum)) {
			return true
		}
	}
	return false
}

// remoteMAC is keyed with the client's password: requests of this side and their responses. Nil where they are not sent.
func remoteMAC(mode Mode, remote Credentials) hash.Hash {
	if mode != Full {
		return nil
	}
	return hmac.New(sha1.New, []byte(remote.Pwd))
}
