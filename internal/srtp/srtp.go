// Package srtp protects and opens RTP and RTCP packets in the caller's buffers (RFC 3711, RFC 7714). A Context is one direction of
// one association; it belongs to one goroutine, allocates only for an SSRC that it has not seen, and never blocks.
//
//	SRTP    | RTP header and extensions | payload (encrypted) | tag |
//	SRTCP   | first 8 bytes | rest (encrypted) | tag 16 | E + index 4 |    AEAD_AES_128_GCM
//	SRTCP   | first 8 bytes | rest (encrypted) | E + index 4 | tag 10 |    AES128_CM_HMAC_SHA1_80
//
// Two things end a call elsewhere and do nothing here: a packet with a wrong tag, and one that was seen before. Both are drop
// reasons. Sealing keeps the promise that GCM lives on: one key never seals two packets with one index, so a sequence number that
// was sealed before is refused (a retransmission goes on its RTX stream).
package srtp

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/parley-rtc/parley/internal/drop"
)

// Profile is a DTLS-SRTP protection profile by its registered number (RFC 5764 §4.1.2, RFC 7714 §14.2).
type Profile uint16

// Profiles.
const (
	AES128CMHMACSHA1_80 Profile = 0x0001
	AEADAES128GCM       Profile = 0x0007
)

// Sizes that callers reserve for.
const (
	// MaxOverhead is by how many bytes SealRTP and SealRTCP make a packet longer at most, whatever the profile.
	MaxOverhead = gcmTagLen + indexLen

	minRTP   = 12
	minRTCP  = 8
	indexLen = 4
)

// ErrProfile says that a profile is not one of the above.
var ErrProfile = errors.New("srtp: unknown protection profile")

// String returns the profile's registered name.
func (p Profile) String() string {
	switch p {
	case AEADAES128GCM:
		return "SRTP_AEAD_AES_128_GCM"
	case AES128CMHMACSHA1_80:
		return "SRTP_AES128_CM_HMAC_SHA1_80"
	}
	return fmt.Sprintf("Profile(%#04x)", uint16(p))
}

// KeyLen returns the length of the master key in bytes; 0 for an unknown profile.
func (p Profile) KeyLen() int {
	if p == AEADAES128GCM || p == AES128CMHMACSHA1_80 {
		return 16
	}
	return 0
}

// SaltLen returns the length of the master salt in bytes; 0 for an unknown profile.
func (p Profile) SaltLen() int {
	switch p {
	case AEADAES128GCM:
		return 12
	case AES128CMHMACSHA1_80:
		return 14
	}
	return 0
}

// Overhead returns by how many bytes SealRTP makes a packet longer.
func (p Profile) Overhead() int {
	if p == AEADAES128GCM {
		return gcmTagLen
	}
	return cmTagLen
}

// RTCPOverhead returns by how many bytes SealRTCP makes a packet longer.
func (p Profile) RTCPOverhead() int { return p.Overhead() + indexLen }

// transform is a profile's arithmetic. All work in place: b is the whole protected packet, its plaintext already where the
// ciphertext goes.
type transform interface {
	sealRTP(b []byte, headerLen int, ssrc uint32, index uint64)
	// sealRTPFrom is sealRTP with the plaintext elsewhere; only the header is already in b.
	sealRTPFrom(b []byte, headerLen int, payload []byte, ssrc uint32, index uint64)
	openRTP(b []byte, headerLen int, ssrc uint32, index uint64) bool
	sealRTCP(b []byte, ssrc, index uint32)
	openRTCP(b []byte, ssrc, index uint32) bool
	// rtcpIndexAt returns where in b the E flag and index stand.
	rtcpIndexAt(b []byte) int
}

// Context holds one direction's keys and what was seen or sent under them: use one to seal and another to open. Nothing in it may
// be used by two goroutines at once.
type Context struct {
	// static after construction
	profile Profile
	t       transform
	tag     int // bytes of tag after an RTP packet

	// owned by the Transport's loop
	sources  map[uint32]*Source // RTP by SSRC
	senders  map[uint32]*Source // incoming RTCP by SSRC
	sentRTCP uint32             // index of the last SRTCP packet sealed
}

// NewContext derives the session keys of one direction from a master key and salt (see KeysFromExporter).
func NewContext(p Profile, keys Keys) (*Context, error) {
	if p.KeyLen() == 0 {
		return nil, ErrProfile
	}
	if len(keys.Key) != p.KeyLen() || len(keys.Salt) != p.SaltLen() {
		return nil, fmt.Errorf("srtp: %v wants a key of %d and a salt of %d bytes, not %d and %d",
			p, p.KeyLen(), p.SaltLen(), len(keys.Key), len(keys.Salt))
	}
	c := &Context{
		profile: p,
		tag:     p.Overhead(),
		sources: make(map[uint32]*Source),
		senders: make(map[uint32]*Source),
	}
	s := derive(p, keys)
	if p == AEADAES128GCM {
		c.t = newGCM(s)
	} else {
		c.t = newCM(s)
	}
	return c, nil
}

// Profile returns the profile that the Context was made for.
func (c *Context) Profile() Profile { return c.profile }

// Source returns the state of an SSRC that this side sends, making it if needed. Keep it: SealRTP then costs no look-up. It
// returns nil when MaxSources are in use.
func (c *Context) Source(ssrc uint32) *Source {
	if s := c.sources[ssrc]; s != nil {
		return s
	}
	if len(c.sources) >= MaxSources {
		return nil
	}
	return c.add(c.sources, ssrc)
}

func (c *Context) add(to map[uint32]*Source, ssrc uint32) *Source {
	s := &Source{c: c, ssrc: ssrc}
	to[ssrc] = s
	return s
}

// SealRTP writes a protected packet to dst: header, payload encrypted, tag. It returns the packet's length, len(header) +
// len(payload) + Overhead, or 0 when dst is too short or the header's sequence number was sealed before. dst must not overlap
// header or payload.
func (s *Source) SealRTP(dst, header, payload []byte) int {
	n := len(header) + len(payload) + s.c.tag
	if len(header) < minRTP || len(dst) < n {
		return 0
	}
	index, ok := s.take(binary.BigEndian.Uint16(header[2:]))
	if !ok {
		return 0
	}
	copy(dst, header)
	s.c.t.sealRTPFrom(dst[:n:n], len(header), payload, s.ssrc, index)
	return n
}

// SealRTPInPlace protects the n bytes of header and payload that stand at the beginning of b, the header being headerLen bytes.
// It returns the packet's length, or 0 as SealRTP does.
func (s *Source) SealRTPInPlace(b []byte, headerLen, n int) int {
	if headerLen < minRTP || n < headerLen || len(b) < n+s.c.tag {
		return 0
	}
	index, ok := s.take(binary.BigEndian.Uint16(b[2:]))
	if !ok {
		return 0
	}
	n += s.c.tag
	s.c.t.sealRTP(b[:n:n], headerLen, s.ssrc, index)
	return n
}

// OpenRTP opens a packet in place, its header with CSRCs and extensions being headerLen bytes, and returns header and payload
// without the tag, aliasing b. After any reason but None the bytes of b are spent, and nothing else has happened.
func (c *Context) OpenRTP(b []byte, headerLen int) ([]byte, drop.Reason) {
	if headerLen < minRTP || len(b) < headerLen+c.tag {
		return nil, drop.SrtpShort
	}
	ssrc := binary.BigEndian.Uint32(b[8:])
	s := c.sources[ssrc]
	if s == nil && len(c.sources) >= MaxSources {
		return nil, drop.SrtpSources
	}
	index := uint64(binary.BigEndian.Uint16(b[2:]))
	if s != nil {
		index = s.estimate(uint16(index))
		if index > maxIndex || !s.unseen(index) {
			return nil, drop.SrtpReplay
		}
	}
	if !c.t.openRTP(b, headerLen, ssrc, index) {
		return nil, drop.SrtpAuth
	}
	if s == nil {
		s = c.add(c.sources, ssrc)
	}
	s.mark(index)
	return b[:len(b)-c.tag], drop.None
}
