package turn

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

// A nonce is the nonce cookie with the security feature "password algorithms" (RFC 8489 §9.2, §18.1), and then, in base64, the lowest 16 bits of the
// time in nonceTick and 48 bits of an HMAC of all of the time and the client's address:
//
//	obMatJos2 AAAB 11 characters
//
// It is short because whoever asks for it with 28 bytes may get no more than 84. Where the realm leaves no room for PASSWORD-ALGORITHMS, the
// cookie is left out with them.
const (
	nonceCookie = "obMatJos2AAAB"
	nonceTick   = 16 // seconds
	nonceBytes  = 8
	nonceTail   = (nonceBytes*8 + 5) / 6
)

// algorithms is the value of PASSWORD-ALGORITHMS, the one that is preferred first.
var algorithms = stun.MD5.Append(stun.SHA256.Append(nil))

// appendNonce appends a nonce for a client's address.
func (s *Server) appendNonce(dst []byte, now time.Time, pair datagram.Pair, full bool) []byte {
	if full {
		dst = append(dst, nonceCookie...)
	}
	var raw [nonceBytes]byte
	s.sealNonce(&raw, uint64(now.Unix()/nonceTick), pair, full)
	return base64.RawStdEncoding.AppendEncode(dst, raw[:])
}

func (s *Server) sealNonce(raw *[nonceBytes]byte, tick uint64, pair datagram.Pair, full bool) {
	in := &s.in
	binary.BigEndian.PutUint64(in[:], tick)
	ip := pair.Remote.Addr().As16()
	copy(in[8:], ip[:])
	binary.BigEndian.PutUint16(in[24:], 0)
	if pair.Proto == datagram.UDP { // by TCP nobody forges an address, and a client of RFC 6062 has one nonce for all its connections
		binary.BigEndian.PutUint16(in[24:], pair.Remote.Port())
	}
	in[26], in[27] = byte(pair.Proto), 0
	if full {
		in[27] = 1
	}
	s.nonceMAC.Reset()
	s.nonceMAC.Write(in[:])
	sum := s.nonceMAC.Sum(s.sum[:0])
	binary.BigEndian.PutUint16(raw[:], uint16(tick))
	copy(raw[2:], sum)
}

// fresh reports whether a nonce is one of ours for this client, and not too old; and whether PASSWORD-ALGORITHMS came with it.
func (s *Server) fresh(nonce []byte, now time.Time, pair datagram.Pair) (full, ok bool) {
	tail, full := bytes.CutPrefix(nonce, []byte(nonceCookie))
	var raw, want [nonceBytes]byte
	if len(tail) != nonceTail {
		return full, false
	}
	if n, err := base64.RawStdEncoding.Decode(raw[:], tail); err != nil || n != nonceBytes {
		return full, false
	}
	tick := uint64(now.Unix() / nonceTick)
	age := uint64(uint16(tick) - binary.BigEndian.Uint16(raw[:]))
	s.sealNonce(&want, tick-age, pair, full)
	return full, hmac.Equal(raw[:], want[:]) && age < uint64(NonceLifetime/time.Second/nonceTick)
}

// authenticate finds out who has sent a request, in the order of RFC 8489 §9.2.4. It answers and reports false where that is not proven.
func (s *Server) authenticate(q *request) (drop.Reason, bool) {
	if !q.HasIntegrity() && !q.HasIntegritySHA256() {
		return s.challenge(q, stun.Unauthenticated), false
	}
	username, named := q.Find(stun.Username)
	_, realmed := q.Find(stun.Realm)
	nonce, nonced := q.Find(stun.Nonce)
	if !named || !realmed || !nonced || len(username) > MaxUsername {
		return q.refuse(s, stun.BadRequest), false
	}
	full, ok := s.fresh(nonce, q.now, q.pair)
	if !ok {
		return s.challenge(q, stun.StaleNonce), false
	}
	if q.keyBy, ok = q.algorithm(full); !ok {
		return q.refuse(s, stun.BadRequest), false
	}
	q.username = username
	if !s.key(q) || !q.proven() {
		return s.challenge(q, stun.Unauthenticated), false
	}
	return drop.None, true
}

// algorithm is by what the password of a request was made a key. It reports false where somebody on the way has taken the better one out of
// the challenge (RFC 8489 §9.2.4, §9.2.5).
func (q *request) algorithm(offered bool) (stun.Algorithm, bool) {
	one, chosen := q.Find(stun.PasswordAlgorithm)
	all, listed := q.Find(stun.PasswordAlgorithms)
	if !offered || !chosen && !listed {
		return stun.MD5, true
	}
	if !chosen || !bytes.Equal(all, algorithms) {
		return 0, false
	}
	return stun.AlgorithmIn(one)
}

// key finds the key of a request's username. Who has an allocation keeps the key that he came with, as long as that holds: a call may outlast a time-limited
// name.
func (s *Server) key(q *request) (ok bool) {
	if a := s.held(q); a != nil && a.name == string(q.username) && a.keyBy == q.keyBy {
		q.key, q.user = a.key, a.user.name
		return s.cfg.Credentials.Holds(q.now, q.username)
	}
	q.key, q.user, ok = s.cfg.Credentials.Key(nil, q.now, q.username, q.keyBy == stun.SHA256)
	return ok
}

// held returns the allocation that a request is about: its 5-tuple's, or the one that comes there (RFC 8016), or that it is a connection of (RFC 6062); nil:
// there is none. Whose it is is not proven yet.
func (s *Server) held(q *request) *allocation {
	if a := s.find(q.pair); a != nil {
		return a
	}
	switch q.Type.Method() {
	case stun.Refresh:
		if value, ok := q.Find(stun.MobilityTicket); ok && len(value) == len(ticket{}) {
			return s.tickets[ticket(value)]
		}
	case stun.ConnectionBind:
		if value, ok := q.Find(stun.ConnectionID); ok && len(value) == 4 {
			if c := s.connections[ConnID(binary.BigEndian.Uint32(value))]; c != nil {
				return c.a
			}
		}
	}
	return nil
}

// proven verifies the request by one of the keys that its sender may have. The others are forgotten.
func (q *request) proven() bool {
	size := md5.Size
	if q.keyBy == stun.SHA256 {
		size = sha256.Size
	}
	for keys := q.key; len(keys) >= size; keys = keys[size:] {
		if q.key = keys[:size:size]; q.provenByKey() {
			return true
		}
	}
	return false
}

// provenByKey verifies the request by its key, by the better integrity that it has, and notes that the answer has the same.
func (q *request) provenByKey() bool {
	if q.HasIntegritySHA256() {
		mac := hmac.New(sha256.New, q.key)
		if !q.AuthenticSHA256(mac) {
			return false
		}
		q.mac = mac
		return true
	}
	mac := hmac.New(sha1.New, q.key)
	if !q.Authentic(mac) {
		return false
	}
	q.mac = mac
	return true
}

// challenge answers with what a client needs to prove who it is.
func (s *Server) challenge(q *request, c stun.Code) drop.Reason {
	if !s.mayAnswer(q) {
		return drop.TurnUnproven
	}
	full := len(s.cfg.Realm) <= MaxFullRealm || q.pair.Proto != datagram.UDP || s.challengeLen() <= amplification*len(q.Raw)
	var nonce [len(nonceCookie) + nonceTail]byte
	w := q.asked().refusal(c, q.out)
	w.Text(stun.Realm, s.cfg.Realm)
	w.Bytes(stun.Nonce, s.appendNonce(nonce[:0], q.now, q.pair, full))
	if full {
		w.Bytes(stun.PasswordAlgorithms, algorithms)
	}
	return w.end(s)
}

// challengeLen is how long a challenge is that has everything.
func (s *Server) challengeLen() int {
	return stun.HeaderLen + 8 + 4 + (len(s.cfg.Realm)+3)&^3 + 4 + (len(nonceCookie)+nonceTail+3)&^3 + 4 + len(algorithms) + 8
}

// mayAnswer reports whether a stranger's source has not had too many answers, and counts one more. Nobody is remembered by it: the table
// holds times, and whom they are of only a hash tells. Whoever has an allocation has a count of his own, so that others who pretend to be at his
// address cannot keep him from the next nonce.
func (s *Server) mayAnswer(q *request) bool {
	addr := q.pair.Remote.Addr()
	if q.pair.Proto != datagram.UDP || addr.IsLoopback() {
		return true
	}
	every := time.Second / instant(s.limits.Challenges)
	paid := s.stranger(addr)
	if a := s.find(q.pair); a != nil {
		paid = &a.unproven
	}
	if *paid > q.at+time.Second-every {
		return false
	}
	*paid = max(*paid, q.at) + every
	return true
}

// repay takes back what one answer has cost a source: it went to a client who has used it. So however many come from behind one NAT at once, it is
// those who do not answer that are limited.
func (s *Server) repay(q *request) {
	if paid := s.stranger(q.pair.Remote.Addr()); q.pair.Proto == datagram.UDP && *paid > q.at {
		*paid = max(*paid-time.Second/instant(s.limits.Challenges), q.at)
	}
}

// stranger is the place in the table of an address's source.
func (s *Server) stranger(a netip.Addr) *instant {
	b := datagram.Source(a).As16()
	return &s.strangers[maphash.Bytes(s.seed, b[:])%strangers]
}
