package srtp

import (
	"encoding/binary"

	"github.com/parley-rtc/parley/internal/drop"
)

const encryptedFlag = 1 << 31

// SealRTCP writes the compound packet, protected, to dst and returns its length, len(packet) + RTCPOverhead; 0 when dst is too short
// or 2³¹ packets have been sealed. dst may begin where packet does, but must not overlap it otherwise.
//
// One index counts for all SSRCs: RFC 3711 §3.2.1 wants it unique per SSRC and key, which that is.
func (c *Context) SealRTCP(dst, packet []byte) int {
	n := len(packet) + c.tag + indexLen
	if len(packet) < minRTCP || len(dst) < n || c.sentRTCP == maxRTCPIndex {
		return 0
	}
	c.sentRTCP++
	b := dst[:n:n]
	copy(b, packet)
	binary.BigEndian.PutUint32(b[c.t.rtcpIndexAt(b):], encryptedFlag|c.sentRTCP)
	c.t.sealRTCP(b, binary.BigEndian.Uint32(packet[4:]), c.sentRTCP)
	return n
}

// FollowsRTCP reports whether a packet looks like one of the next of a sender that has been heard: by its SSRC and index, which are in the clear. To look costs
// hardly anything, and who has not seen that sender's packets can only guess.
func (c *Context) FollowsRTCP(b []byte) bool {
	if len(b) < minRTCP+c.tag+indexLen {
		return false
	}
	s := c.senders[binary.BigEndian.Uint32(b[4:])]
	index := uint64(binary.BigEndian.Uint32(b[c.t.rtcpIndexAt(b):]) &^ encryptedFlag)
	return s != nil && s.unseen(index) && index <= s.newest+maxRTCPAhead
}

// OpenRTCP opens a compound packet in place and returns it without tag and index, aliasing b. Unencrypted SRTCP is refused like a
// wrong tag: WebRTC never negotiates it (RFC 5764 §4.1.2).
func (c *Context) OpenRTCP(b []byte) ([]byte, drop.Reason) {
	if len(b) < minRTCP+c.tag+indexLen {
		return nil, drop.SrtpShort
	}
	ssrc := binary.BigEndian.Uint32(b[4:])
	word := binary.BigEndian.Uint32(b[c.t.rtcpIndexAt(b):])
	if word&encryptedFlag == 0 {
		return nil, drop.SrtpAuth
	}
	index := word &^ encryptedFlag
	s := c.senders[ssrc]
	if s == nil && len(c.senders) >= MaxSources {
		return nil, drop.SrtpSources
	}
	if s != nil && !s.unseen(uint64(index)) {
		return nil, drop.SrtpReplay
	}
	if !c.t.openRTCP(b, ssrc, index) {
		return nil, drop.SrtpAuth
	}
	if s == nil {
		s = c.add(c.senders, ssrc)
	}
	s.mark(uint64(index))
	return b[:len(b)-c.tag-indexLen], drop.None
}
