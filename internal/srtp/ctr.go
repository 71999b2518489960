package srtp

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// ctr is counter mode from any counter block, several blocks at a time and without allocation. The standard library has fast
// counter mode in two places: cipher.NewCTR allocates for each packet, and GCM begins to count at a block of its own. But that block
// can be chosen. For a nonce N of 16 bytes it follows upon (NIST SP 800-38D §7.1, with H = AES(0) and L = N's length)
//
//	J = GHASH(N) = ((N·H) ⊕ L)·H
//
// in GF(2^128), so for a wanted J the nonce is N = J·H⁻² ⊕ L·H⁻¹. The tag that GCM makes too costs nothing beside, and nobody needs
// it.
type ctr struct {
	// static after construction
	gcm   cipher.AEAD
	table [16]element // the multiples of H⁻² by the polynomials of degree 3 at most
	fixed element     // L·H⁻¹

	// owned by the Transport's loop; scratch: what goes through an interface must not live on the stack
	nonce [aes.BlockSize]byte
}

// minCTR is from how many blocks on it is worth it.
const minCTR = 4

// newCTR returns nil for the one key in 2^128 whose H is 0.
func newCTR(block cipher.Block) *ctr {
	gcm, err := cipher.NewGCMWithNonceSize(block, aes.BlockSize)
	if err != nil {
		panic("srtp: " + err.Error()) // AES has the right block size
	}
	c := &ctr{gcm: gcm}
	block.Encrypt(c.nonce[:], c.nonce[:])
	h := load(c.nonce[:])
	if h == (element{}) {
		return nil
	}
	inverse := h.inverse()
	c.fixed = inverse.times(element{lo: 8 * aes.BlockSize})
	x := inverse.times(inverse)
	for bit := 8; bit > 0; bit >>= 1 { // the highest bit is the lowest power
		c.table[bit] = x
		x = x.timesX()
	}
	for i := range c.table {
		low := i & -i
		c.table[i] = c.table[i&^low].plus(c.table[low])
	}
	return c
}

// xor encrypts whole blocks of src to dst, which has room for one more block, and spoils that. The first counter block is counter; only
// its last 32 bits count.
func (c *ctr) xor(dst, src []byte, counter *[aes.BlockSize]byte) {
	j := load(counter[:])
	j.lo = j.lo&^0xffffffff | uint64(uint32(j.lo)-1)
	c.multiply(j).plus(c.fixed).store(c.nonce[:])
	c.gcm.Seal(dst[:0], c.nonce[:], src, nil)
}

// multiply returns x·H⁻², four bits at a time, the highest power first.
func (c *ctr) multiply(x element) (z element) {
	for _, word := range [2]uint64{x.lo, x.hi} {
		for range 16 {
			carry := z.lo & 15
			z = element{z.hi >> 4, z.lo>>4 | z.hi<<60}
			z.hi ^= uint64(reduced[carry]) << 48
			z = z.plus(c.table[word&15])
			word >>= 4
		}
	}
	return z
}

// element is one of GF(2^128) as GCM writes them: the coefficient of x^0 is the highest bit of the first byte.
type element struct{ hi, lo uint64 }

// modulus is x^128 = 1 + x + x^2 + x^7.
const modulus = 0xe1 << 56

// reduced is what four coefficients that go beyond x^127 become, in the highest 16 bits.
var reduced = func() (t [16]uint16) {
	for i := range t {
		x := element{lo: uint64(i)}
		for range 4 {
			x = x.timesX()
		}
		t[i] = uint16(x.hi >> 48)
	}
	return t
}()

func load(b []byte) element {
	return element{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (x element) store(b []byte) {
	binary.BigEndian.PutUint64(b, x.hi)
	binary.BigEndian.PutUint64(b[8:], x.lo)
}

func (x element) plus(y element) element { return element{x.hi ^ y.hi, x.lo ^ y.lo} }

func (x element) timesX() element {
	over := -(x.lo & 1)
	return element{x.hi>>1 ^ over&modulus, x.lo>>1 | x.hi<<63}
}

// times is the product bit by bit (NIST SP 800-38D §6.3), in the same time whatever the bits are.
func (x element) times(y element) (z element) {
	for _, word := range [2]uint64{x.hi, x.lo} {
		for range 64 {
			take := -(word >> 63)
			z = z.plus(element{y.hi & take, y.lo & take})
			y = y.timesX()
			word <<= 1
		}
	}
	return z
}

// inverse is x^(2^128 − 2).
func (x element) inverse() element {
	z := x
	for range 126 { // x^(2^n − 1) becomes x^(2^(n+1) − 1)
		z = z.times(z).times(x)
	}
	return z.times(z)
}
