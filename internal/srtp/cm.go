package srtp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"hash"
)

const cmTagLen = 10

// cm is AES128_CM_HMAC_SHA1_80 (RFC 3711 §4.1.1, §4.2.1), for clients without GCM.
type cm struct {
	// static after construction
	rtp, rtcp cmKeys

	// owned by the Transport's loop; scratch: what goes through an interface must not live on the stack
	counter [aes.BlockSize]byte
	stream  [aes.BlockSize]byte
	rest    [2 * aes.BlockSize]byte
	roc     [4]byte
	sum     [sha1.Size]byte
}

// cmKeys are the session keys for RTP or RTCP.
type cmKeys struct {
	// static after construction
	block cipher.Block
	ctr   *ctr // nil: none
	salt  [14]byte

	// owned by the Transport's loop: it is reset for each packet
	mac hash.Hash
}

func newCM(s session) *cm {
	c := &cm{rtp: newCMKeys(s.rtp), rtcp: newCMKeys(s.rtcp)}
	c.rtp.ctr = newCTR(c.rtp.block)
	return c
}

func newCMKeys(k sessionKeys) cmKeys {
	block, err := aes.NewCipher(k.key)
	if err != nil {
		panic("srtp: " + err.Error()) // the length was checked
	}
	c := cmKeys{block: block, mac: hmac.New(sha1.New, k.auth)}
	copy(c.salt[:], k.salt)
	return c
}

// xor adds the key stream of a packet to src and writes the result to dst, which is as long (RFC 3711 §4.1.1). The 16-bit block
// counter cannot run over: packets are below 64 KiB.
func (c *cm) xor(k *cmKeys, dst, src []byte, ssrc uint32, index uint64) {
	c.counter = [aes.BlockSize]byte{}
	binary.BigEndian.PutUint32(c.counter[4:], ssrc)
	binary.BigEndian.PutUint64(c.counter[8:], index<<16)
	for i, s := range k.salt {
		c.counter[i] ^= s
	}
	first := 0
	if whole := len(src)/aes.BlockSize - 1; k.ctr != nil && whole >= minCTR {
		// All but the last block and what is behind it, which may be overwritten meanwhile.
		size := whole * aes.BlockSize
		n := copy(c.rest[:], src[size:])
		k.ctr.xor(dst, src[:size], &c.counter)
		dst, src, first = dst[size:], c.rest[:n], whole
	}
	for block := uint16(first); len(src) > 0; block++ {
		binary.BigEndian.PutUint16(c.counter[14:], block)
		k.block.Encrypt(c.stream[:], c.counter[:])
		n := subtle.XORBytes(dst, src, c.stream[:])
		dst, src = dst[n:], src[n:]
	}
}

// tag returns the tag of an authenticated portion; tail is the roll-over counter for RTP and nothing for RTCP.
func (c *cm) tag(k *cmKeys, b, tail []byte) []byte {
	k.mac.Reset()
	k.mac.Write(b)
	k.mac.Write(tail)
	return k.mac.Sum(c.sum[:0])[:cmTagLen]
}

func (c *cm) rtpTag(b []byte, index uint64) []byte {
	binary.BigEndian.PutUint32(c.roc[:], uint32(index>>16))
	return c.tag(&c.rtp, b, c.roc[:])
}

func (c *cm) sealRTP(b []byte, headerLen int, ssrc uint32, index uint64) {
	c.sealRTPFrom(b, headerLen, b[headerLen:len(b)-cmTagLen], ssrc, index)
}

func (c *cm) sealRTPFrom(b []byte, headerLen int, payload []byte, ssrc uint32, index uint64) {
	end := len(b) - cmTagLen
	c.xor(&c.rtp, b[headerLen:end], payload, ssrc, index)
	copy(b[end:], c.rtpTag(b[:end], index))
}

func (c *cm) openRTP(b []byte, headerLen int, ssrc uint32, index uint64) bool {
	end := len(b) - cmTagLen
	if !hmac.Equal(b[end:], c.rtpTag(b[:end], index)) {
		return false
	}
	c.xor(&c.rtp, b[headerLen:end], b[headerLen:end], ssrc, index)
	return true
}

func (c *cm) rtcpIndexAt(b []byte) int { return len(b) - cmTagLen - indexLen }

func (c *cm) sealRTCP(b []byte, ssrc, index uint32) {
	at, end := c.rtcpIndexAt(b), len(b)-cmTagLen
	c.xor(&c.rtcp, b[minRTCP:at], b[minRTCP:at], ssrc, uint64(index))
	copy(b[end:], c.tag(&c.rtcp, b[:end], nil))
}

func (c *cm) openRTCP(b []byte, ssrc, index uint32) bool {
	at, end := c.rtcpIndexAt(b), len(b)-cmTagLen
	if !hmac.Equal(b[end:], c.tag(&c.rtcp, b[:end], nil)) {
		return false
	}
	c.xor(&c.rtcp, b[minRTCP:at], b[minRTCP:at], ssrc, uint64(index))
	return true
}
