package turn

import (
	"hash"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

// request is a message from a client while it is answered.
type request struct {
	*stun.Message
	now  time.Time
	at   instant // the same
	pair datagram.Pair
	out  *Out

	// who sent it, once that is proven
	username []byte
	user     string // for quotas
	key      []byte
	keyBy    stun.Algorithm
	mac      hash.Hash // for the answer; nil: nothing is proven

	unknown  [maxUnknown]stun.Attr
	unknowns int
}

// unknown notes the attributes that nobody here understands and that must be understood, and returns how many there are.
func (s *Server) unknown(q *request) int {
	for a := q.Attributes(); a.Next() && q.unknowns < maxUnknown; {
		if a.Type.Required() && !s.understood(q, a.Type) {
			q.unknown[q.unknowns] = a.Type
			q.unknowns++
		}
	}
	return q.unknowns
}

func (s *Server) understood(q *request, t stun.Attr) bool {
	switch t {
	case stun.Username, stun.Userhash, stun.Realm, stun.Nonce, stun.PasswordAlgorithm, stun.ErrorCode, stun.UnknownAttributes,
		stun.ChannelNumber, stun.Lifetime, stun.XORPeerAddress, stun.DataValue, stun.XORRelayedAddress, stun.XORMappedAddress,
		stun.MappedAddress, stun.RequestedAddressFamily, stun.EvenPort, stun.RequestedTransport, stun.ReservationToken,
		stun.ConnectionID:
		return true
	case stun.DontFragment:
		return !s.cfg.NoDontFragment
	case stun.ChangeRequest, stun.ResponsePort, stun.Padding:
		alt, _ := s.alternate(q.pair)
		return alt != nil
	}
	return false
}

// asked is what an answer needs of its request, however much later it is given.
type asked struct {
	id          [stun.IDLen]byte
	method      stun.Method
	pair        datagram.Pair
	mac         hash.Hash
	sha256      bool // MESSAGE-INTEGRITY-SHA256 it is
	fingerprint bool
	size        int
}

func (q *request) asked() asked {
	return asked{
		id: [stun.IDLen]byte(q.ID()), method: q.Type.Method(), pair: q.pair, mac: q.mac, sha256: q.HasIntegritySHA256(),
		fingerprint: q.Fingerprint, size: len(q.Raw),
	}
}

// answer is a STUN message while it is written.
type answer struct {
	stun.Builder
	to  asked
	out *Out
	err stun.Code // 0: none
}

func (q *request) answer(c stun.Class) answer { return q.asked().answer(c, q.out) }

func (q asked) answer(c stun.Class, out *Out) answer {
	return answer{Builder: stun.Begin(out.room(maxAnswer), stun.TypeOf(q.method, c), q.id[:]), to: q, out: out}
}

// refusal is an answer with an error.
func (q asked) refusal(c stun.Code, out *Out) answer {
	w := q.answer(stun.Error, out)
	w.err = c
	w.ErrorCode(c)
	return w
}

// end protects the answer as its request was and sends it, unless it would amplify: over UDP, who has proved nothing may not be where he
// seems to be.
func (w *answer) end(s *Server) drop.Reason {
	switch {
	case w.to.mac != nil && w.to.sha256:
		w.IntegritySHA256(w.to.mac)
	case w.to.mac != nil:
		w.Integrity(w.to.mac)
	}
	if w.to.fingerprint {
		w.Fingerprint()
	}
	b := w.Message()
	if w.to.mac == nil && w.to.pair.Proto == datagram.UDP && len(b) > amplification*w.to.size {
		return drop.TurnLarge
	}
	if w.err != 0 {
		s.stats.Refused[w.err]++
	}
	w.out.buf = w.B
	w.out.Clients = append(w.out.Clients, ToClient{Pair: w.to.pair, Head: b})
	return drop.None
}

// refuse answers with an error. To strangers only so many are sent.
func (q *request) refuse(s *Server, c stun.Code) drop.Reason {
	if q.mac == nil && !s.mayAnswer(q) {
		return drop.TurnUnproven
	}
	w := q.asked().refusal(c, q.out)
	if c == stun.UnknownAttribute {
		w.UnknownAttributes(q.unknown[:q.unknowns])
	}
	return w.end(s)
}

// maxAnswer is more than any answer is long: its longest attributes are the realm, the nonce and the list of unknown attributes.
const maxAnswer = 512

// outChunk is how much of an Out's memory is got at a time.
const outChunk = 16 << 10

// room returns the end of o's buffer, with space for n bytes that whoever keeps them sets buf to.
func (o *Out) room(n int) []byte {
	if cap(o.buf)-len(o.buf) < n {
		o.buf = make([]byte, 0, outChunk)
	}
	return o.buf
}
