package ice

import (
	"hash"
	"slices"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/stun"
)

// Out is what an agent makes of its input. The caller owns it and empties it by Reset, or by cutting both slices to length 0.
type Out struct {
	// Datagrams to send, in order. Their bytes are valid until the first call with an Out whose Datagrams are empty.
	Datagrams []datagram.Datagram
	Events    []Event
	buf       []byte
}

// Pending reports whether there is anything in o.
func (o *Out) Pending() bool { return len(o.Datagrams)+len(o.Events) > 0 }

// Reset empties o and keeps its memory.
func (o *Out) Reset() { o.Datagrams, o.Events = o.Datagrams[:0], o.Events[:0] }

// Withdraw takes back what was to be sent on a pair.
func (o *Out) Withdraw(pair datagram.Pair) {
	o.Datagrams = slices.DeleteFunc(o.Datagrams, func(d datagram.Datagram) bool { return d.Pair == pair })
}

func (o *Out) event(k Kind, pair datagram.Pair) {
	o.Events = append(o.Events, Event{Kind: k, Pair: pair})
}

// response is a STUN message while it is written, at the end of an Out's buffer: a response, or a request of a full agent.
type response struct {
	stun.Builder
	out  *Out
	pair datagram.Pair
}

// begin starts a message on a pair, with the transaction id of a request: a response has that of its own.
func (o *Out) begin(pair datagram.Pair, id []byte, typ stun.Type) response {
	if len(o.Datagrams) == 0 {
		o.buf = o.buf[:0]
	}
	return response{Builder: stun.Begin(o.buf, typ, id), out: o, pair: pair}
}

// end adds FINGERPRINT and puts the response among the datagrams.
func (r *response) end() {
	r.Fingerprint()
	r.out.buf = r.B
	r.out.Datagrams = append(r.out.Datagrams, datagram.Datagram{Pair: r.pair, B: r.Message()})
}

// generation is the credentials of one ICE session: from New, or from one Restart.
type generation struct {
	local, remote Credentials
	mac           hash.Hash // keyed with the local password: requests to this side and their responses
	remoteMAC     hash.Hash // keyed with the remote password: requests of this side and their responses; nil: it sends none
	requests      uint64    // sent
}

// matches reports whether a USERNAME is ours, a colon, and the client's where that is known (RFC 8445 §7.2.2).
func (g *generation) matches(username []byte) bool {
	n := len(g.local.Ufrag)
	if len(username) <= n || string(username[:n]) != g.local.Ufrag || username[n] != ':' {
		return false
	}
	return g.remote.Ufrag == "" || string(username[n+1:]) == g.remote.Ufrag
}
