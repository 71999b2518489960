package srtp

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

const gcmTagLen = 16

// gcm is AEAD_AES_128_GCM (RFC 7714).
type gcm struct {
	// static after construction
	rtpKey            []byte
	rtcp              cipher.AEAD
	rtpSalt, rtcpSalt [12]byte

	// owned by the Transport's loop
	rtp cipher.AEAD // nil before the first packet: from clients that only receive none comes, and it takes 800 bytes

	// scratch: what goes through an interface must not live on the stack
	nonce [12]byte
	aad   [minRTCP + indexLen]byte
}

func newGCM(s session) *gcm {
	g := &gcm{rtpKey: bytes.Clone(s.rtp.key), rtcp: newAEAD(s.rtcp.key)}
	copy(g.rtpSalt[:], s.rtp.salt)
	copy(g.rtcpSalt[:], s.rtcp.salt)
	return g
}

func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("srtp: " + err.Error()) // the length was checked
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic("srtp: " + err.Error())
	}
	return a
}

// media protects RTP.
func (g *gcm) media() cipher.AEAD {
	if g.rtp == nil {
		g.rtp = newAEAD(g.rtpKey)
	}
	return g.rtp
}

// rtpNonce: two zero bytes, SSRC, roll-over counter and sequence number, XOR salt (RFC 7714 §8.1).
func (g *gcm) rtpNonce(ssrc uint32, index uint64) []byte {
	g.nonce = g.rtpSalt
	x := binary.BigEndian.Uint64(g.nonce[4:]) ^ (uint64(ssrc)<<48 | index)
	binary.BigEndian.PutUint64(g.nonce[4:], x)
	g.nonce[2] ^= byte(ssrc >> 24)
	g.nonce[3] ^= byte(ssrc >> 16)
	return g.nonce[:]
}

// rtcpNonce: two zero bytes, SSRC, two zero bytes, index without the E flag, XOR salt (RFC 7714 §9.1): as for RTP with an index of
// 31 bits.
func (g *gcm) rtcpNonce(ssrc, index uint32) []byte {
	g.nonce = g.rtcpSalt
	x := binary.BigEndian.Uint64(g.nonce[4:]) ^ (uint64(ssrc)<<48 | uint64(index))
	binary.BigEndian.PutUint64(g.nonce[4:], x)
	g.nonce[2] ^= byte(ssrc >> 24)
	g.nonce[3] ^= byte(ssrc >> 16)
	return g.nonce[:]
}

func (g *gcm) sealRTP(b []byte, headerLen int, ssrc uint32, index uint64) {
	g.sealRTPFrom(b, headerLen, b[headerLen:len(b)-gcmTagLen], ssrc, index)
}

func (g *gcm) sealRTPFrom(b []byte, headerLen int, payload []byte, ssrc uint32, index uint64) {
	g.media().Seal(b[headerLen:headerLen], g.rtpNonce(ssrc, index), payload, b[:headerLen])
}

func (g *gcm) openRTP(b []byte, headerLen int, ssrc uint32, index uint64) bool {
	_, err := g.media().Open(b[headerLen:headerLen], g.rtpNonce(ssrc, index), b[headerLen:], b[:headerLen])
	return err == nil
}

func (g *gcm) rtcpIndexAt(b []byte) int { return len(b) - indexLen }

// rtcpAAD: the first 8 bytes, then E flag and index (RFC 7714 §9.2).
func (g *gcm) rtcpAAD(b []byte) []byte {
	copy(g.aad[:], b[:minRTCP])
	copy(g.aad[minRTCP:], b[len(b)-indexLen:])
	return g.aad[:]
}

func (g *gcm) sealRTCP(b []byte, ssrc, index uint32) {
	plain := b[minRTCP : len(b)-indexLen-gcmTagLen]
	g.rtcp.Seal(plain[:0], g.rtcpNonce(ssrc, index), plain, g.rtcpAAD(b))
}

func (g *gcm) openRTCP(b []byte, ssrc, index uint32) bool {
	sealed := b[minRTCP : len(b)-indexLen]
	_, err := g.rtcp.Open(sealed[:0], g.rtcpNonce(ssrc, index), sealed, g.rtcpAAD(b))
	return err == nil
}
