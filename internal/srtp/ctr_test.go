package srtp

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// Counter mode by way of GCM gives the key stream of counter mode, for any key and any first counter, in place or not, and writes
// no further than one block beyond.
func TestCTR(t *testing.T) {
	rnd := rand.NewChaCha8([32]byte{1})
	var key, counter [aes.BlockSize]byte
	for round := range 300 {
		_, _ = rnd.Read(key[:])
		_, _ = rnd.Read(counter[:])
		switch round % 3 { // SRTP counts from 0 in the last 16 bits
		case 0:
			counter[14], counter[15] = 0, 0
		case 1:
			binary.BigEndian.PutUint32(counter[12:], 0)
		}
		binary.BigEndian.PutUint16(counter[12:], binary.BigEndian.Uint16(counter[12:])&0x7fff) // GCM counts in 32 bits, cipher in 128
		block, err := aes.NewCipher(key[:])
		if err != nil {
			t.Fatal(err)
		}
		src := make([]byte, aes.BlockSize*(1+round%100))
		_, _ = rnd.Read(src)
		want := make([]byte, len(src))
		cipher.NewCTR(block, counter[:]).XORKeyStream(want, src)
		dst := bytes.Repeat([]byte{0xee}, len(src)+2*aes.BlockSize)
		place := dst[:len(src)]
		if round%2 == 0 {
			copy(place, src)
		} else {
			place = src
		}
		newCTR(block).xor(dst, place, &counter)
		if !bytes.Equal(dst[:len(src)], want) {
			t.Fatalf("round %d: key %x, counter %x, %d bytes differ", round, key, counter, len(src))
		}
		if !bytes.Equal(dst[len(src)+aes.BlockSize:], bytes.Repeat([]byte{0xee}, aes.BlockSize)) {
			t.Fatalf("round %d: wrote beyond", round)
		}
	}
}

// Packets of any length are the same as block by block, which is what the standard says (RFC 3711 §4.1.1); nothing of the caller's
// beyond them changes.
func TestCMOfAnyLength(t *testing.T) {
	rnd := rand.NewChaCha8([32]byte{2})
	k := session{rtp: sessionKeys{key: make([]byte, 16), salt: make([]byte, 14), auth: make([]byte, 20)}}
	k.rtcp = k.rtp
	_, _ = rnd.Read(k.rtp.key)
	_, _ = rnd.Read(k.rtp.salt)
	fast, slow := newCM(k), newCM(k)
	slow.rtp.ctr = nil
	for n := range 200 {
		index := rnd.Uint64() >> 16
		src := make([]byte, n)
		_, _ = rnd.Read(src)
		got, want := bytes.Repeat([]byte{0xee}, n+32), bytes.Repeat([]byte{0xee}, n+32)
		fast.xor(&fast.rtp, got[:n], src, 7, index)
		slow.xor(&slow.rtp, want[:n], src, 7, index)
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: %x, not %x", n, got, want)
		}
		fast.xor(&fast.rtp, got[:n], got[:n], 7, index)
		if !bytes.Equal(got[:n], src) {
			t.Fatalf("%d bytes, in place", n)
		}
	}
}

// The inverse is one: x·x⁻¹ = 1.
func TestElement(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	one := element{hi: 1 << 63}
	for range 100 {
		x := element{rnd.Uint64(), rnd.Uint64()}
		if x.times(x.inverse()) != one || x.times(one) != x {
			t.Fatalf("inverse of %x", x)
		}
	}
}
