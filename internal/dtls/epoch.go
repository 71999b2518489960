package dtls

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"hash"
	"sync"

	"github.com/parley-rtc/parley/internal/drop"
	pion "github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/prf"
)

// epoch is the state of the records after a handshake: epoch 1, which is the only one, as WebRTC does not renegotiate. The handshake's
// library is out of the way by then; it takes 60 KiB and five goroutines for the same.
//
//	type (1) | 0xfefd (2) | epoch, number (8) | length (2) | explicit nonce (8) | AES-GCM of the content and its tag (16)
type epoch struct {
	in  opener
	out sealer
}

const (
	version       = 0xfefd // DTLS 1.2
	theEpoch      = 1 << 48
	lastNumber    = theEpoch - 1
	saltBytes     = 4
	explicitBytes = 8
	tagBytes      = 16
	overhead      = explicitBytes + tagBytes
)

// half protects one direction (RFC 5288 §3).
type half struct {
	key  []byte
	aead cipher.AEAD // nil before the first record: most clients say nothing after the handshake, and it takes 800 bytes

	// scratch: what goes through an interface must not live on the stack
	nonce [saltBytes + explicitBytes]byte
	extra [recordHeader]byte // epoch and number, type, version, length of the content (RFC 5246 §6.2.3.3)
}

// prepare sets nonce and extra of a record with n bytes of content.
func (h *half) prepare(kind byte, number uint64, explicit []byte, n int) {
	if h.aead == nil {
		h.aead = newAEAD(h.key)
	}
	copy(h.nonce[saltBytes:], explicit)
	binary.BigEndian.PutUint64(h.extra[:], number)
	h.extra[8] = kind
	binary.BigEndian.PutUint16(h.extra[9:], version)
	binary.BigEndian.PutUint16(h.extra[11:], uint16(n))
}

func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("dtls: " + err.Error()) // the length is ours
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic("dtls: " + err.Error())
	}
	return a
}

// opener takes the client's records. Its owner lets one in at a time.
type opener struct {
	half
	seen seen
}

// open appends the content of a whole record to dst.
func (o *opener) open(dst, record []byte) ([]byte, drop.Reason) {
	n := len(record) - recordHeader - overhead
	number := binary.BigEndian.Uint64(record[3:])
	switch {
	case binary.BigEndian.Uint16(record[1:]) != version:
		return dst, drop.DtlsMalformed
	case number&^lastNumber != theEpoch: // a flight of the handshake that comes again, or anybody's
		return dst, drop.DtlsEpoch
	case n < 0:
		return dst, drop.DtlsMalformed
	case !o.seen.lacks(number & lastNumber):
		return dst, drop.DtlsReplay
	}
	body := record[recordHeader:]
	o.prepare(record[0], number, body[:explicitBytes], n)
	content, err := o.aead.Open(dst, o.nonce[:], body[explicitBytes:], o.extra[:])
	if err != nil {
		return dst, drop.DtlsAuth
	}
	o.seen.add(number & lastNumber)
	return content, drop.None
}

// seen is which records have come (RFC 6347 §4.1.2.6). What is older than recordWindow is taken for seen.
type seen struct {
	floor uint64 // of numbers below, nothing is known
	next  uint64 // above all that have come
	bits  [recordWindow/64 + 1]uint64
}

func (s *seen) lacks(number uint64) bool {
	if number >= s.next {
		return true
	}
	return number >= s.floor && s.next-number <= recordWindow && s.bits[number/64%uint64(len(s.bits))]>>(number%64)&1 == 0
}

func (s *seen) add(number uint64) {
	const words = uint64(len(s.bits))
	if number >= s.next {
		first, last := (s.next+63)/64, number/64 // the words that no number has been in yet
		if last >= words {
			first = max(first, last-words+1)
		}
		for w := first; w <= last; w++ {
			s.bits[w%words] = 0
		}
		s.next = number + 1
	}
	s.bits[number/64%words] |= 1 << (number % 64)
}

// sealer makes our records. A record's number is its nonce, and no two have the same: it goes on where the handshake's library stopped,
// which had its nonces from there too.
type sealer struct {
	mu sync.Mutex

	// static after construction
	finished []byte // our message of that name

	// guarded by mu
	half
	next  uint64
	plain uint64 // the same for epoch 0
	over  bool   // our close_notify is out
}

// seal appends a record to dst. It reports false when the numbers are used up (RFC 6347 §4.1: they must not wrap). The caller holds mu.
func (s *sealer) seal(dst []byte, kind byte, content []byte) ([]byte, bool) {
	if s.next > lastNumber {
		return dst, false
	}
	number := theEpoch | s.next
	s.next++
	dst = append(dst, kind, version>>8, version&0xff)
	dst = binary.BigEndian.AppendUint64(dst, number)
	dst = binary.BigEndian.AppendUint16(dst, uint16(overhead+len(content)))
	dst = binary.BigEndian.AppendUint64(dst, number)
	s.prepare(kind, number, dst[len(dst)-explicitBytes:], len(content))
	return s.aead.Seal(dst, s.nonce[:], content, s.extra[:]), true
}

// flight appends our last flight of the handshake to dst, as new records: a message that is sent again keeps its own number, but not that of its
// record (RFC 6347 §4.2.2), which a client that has had the first one would take for a replay. The caller holds mu.
func (s *sealer) flight(dst []byte) ([]byte, bool) {
	dst = append(dst, changeCipherSpec, version>>8, version&0xff)
	dst = binary.BigEndian.AppendUint64(dst, s.plain)
	s.plain++
	dst = append(dst, 0, 1, 1)
	return s.seal(dst, handshake, s.finished)
}

// exported is of what pion's State serializes (gob tells fields by their names, and it has no other way out) what the records need.
type exported struct {
	LocalEpoch, RemoteEpoch   uint16
	LocalRandom, RemoteRandom [32]byte
	CipherSuiteID             uint16
	MasterSecret              []byte
	SequenceNumber            uint64 // of our next record
	RemoteSequenceNumber      uint64 // above all of the client's that have come
}

// suites are those that a handshake may choose: their keys' length and their hash.
var suites = map[pion.CipherSuiteID]struct {
	key  int
	hash func() hash.Hash
}{
	pion.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: {16, sha256.New},
	pion.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: {32, sha512.New384},
}

// newEpoch goes on from a finished handshake, of which nothing may be sent after the snapshot. flight is the last one of it.
func newEpoch(snapshot *pion.State, flight []byte) (*epoch, error) {
	b, err := snapshot.MarshalBinary()
	if err != nil {
		return nil, err
	}
	var x exported
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&x); err != nil {
		return nil, err
	}
	suite, known := suites[pion.CipherSuiteID(x.CipherSuiteID)]
	switch {
	case !known:
		return nil, fmt.Errorf("cipher suite %#x", x.CipherSuiteID)
	case x.LocalEpoch != 1 || x.RemoteEpoch != 1 || len(x.MasterSecret) == 0:
		return nil, errors.New("the handshake is not finished")
	}
	keys, err := prf.GenerateEncryptionKeys(x.MasterSecret, x.RemoteRandom[:], x.LocalRandom[:], 0, suite.key, saltBytes, suite.hash)
	if err != nil {
		return nil, err
	}
	e := &epoch{}
	e.in.key, e.out.key = bytes.Clone(keys.ClientWriteKey), bytes.Clone(keys.ServerWriteKey)
	copy(e.in.nonce[:], keys.ClientWriteIV)
	copy(e.out.nonce[:], keys.ServerWriteIV)
	e.in.seen.floor, e.in.seen.next = x.RemoteSequenceNumber, x.RemoteSequenceNumber
	e.out.next = x.SequenceNumber
	if err := e.out.remember(flight); err != nil {
		return nil, err
	}
	return e, nil
}

// remember notes what is in our last flight: ChangeCipherSpec, and Finished as the first record of our epoch.
func (s *sealer) remember(flight []byte) error {
	first, rest, _ := cut(flight)
	second, rest, ok := cut(rest)
	own := opener{half: half{key: s.key, nonce: s.nonce}}
	if ok && first[0] == changeCipherSpec && second[0] == handshake && len(rest) == 0 {
		content, why := own.open(nil, second)
		if why == drop.None && len(content) > 0 && content[0] == finished {
			s.plain, s.finished = binary.BigEndian.Uint64(first[3:])+1, content
			return nil
		}
	}
	return errors.New("the handshake has not ended with ChangeCipherSpec and Finished")
}
