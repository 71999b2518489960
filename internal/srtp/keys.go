package srtp

import (
	"crypto/aes"
	"errors"
)

// Keys is the master key and salt of one direction.
type Keys struct {
	Key, Salt []byte
}

// MaterialLen returns how many bytes to export from DTLS for KeysFromExporter.
func (p Profile) MaterialLen() int { return 2 * (p.KeyLen() + p.SaltLen()) }

// KeysFromExporter divides what DTLS exported under the label EXTRACTOR-dtls_srtp into what the DTLS client and what the DTLS server
// seals with (RFC 5764 §4.2). They alias material.
func KeysFromExporter(p Profile, material []byte) (client, server Keys, err error) {
	k, s := p.KeyLen(), p.SaltLen()
	if k == 0 {
		return Keys{}, Keys{}, ErrProfile
	}
	if len(material) != p.MaterialLen() {
		return Keys{}, Keys{}, errors.New("srtp: exported key material has the wrong length")
	}
	client = Keys{Key: material[:k:k], Salt: material[2*k : 2*k+s : 2*k+s]}
	server = Keys{Key: material[k : 2*k : 2*k], Salt: material[2*k+s:]}
	return client, server, nil
}

// session holds the keys that packets are protected with.
type session struct {
	rtp, rtcp sessionKeys
}

type sessionKeys struct {
	key  []byte
	auth []byte // HMAC key; none for GCM
	salt []byte
}

// Labels of the key derivation (RFC 3711 §4.3.1, §4.3.2).
const (
	labelRTPKey  = 0
	labelRTPAuth = 1
	labelRTPSalt = 2
	labelRTCP    = 3 // added to each of the above
)

func derive(p Profile, k Keys) session {
	one := func(first byte) sessionKeys {
		s := sessionKeys{
			key:  deriveBytes(k, first+labelRTPKey, p.KeyLen()),
			salt: deriveBytes(k, first+labelRTPSalt, p.SaltLen()),
		}
		if p == AES128CMHMACSHA1_80 {
			s.auth = deriveBytes(k, first+labelRTPAuth, 20)
		}
		return s
	}
	return session{rtp: one(0), rtcp: one(labelRTCP)}
}

// deriveBytes is the AES-CM pseudo-random function of RFC 3711 §4.3.3 with a key derivation rate of 0. A 96-bit salt stands on the
// left, as if 16 zero bits followed (RFC 7714 §11).
func deriveBytes(k Keys, label byte, n int) []byte {
	block, err := aes.NewCipher(k.Key)
	if err != nil {
		panic("srtp: " + err.Error()) // the length was checked
	}
	var in, out [aes.BlockSize]byte
	copy(in[:14], k.Salt)
	in[7] ^= label
	b := make([]byte, 0, n+aes.BlockSize)
	for i := byte(0); len(b) < n; i++ {
		in[15] = i
		block.Encrypt(out[:], in[:])
		b = append(b, out[:]...)
	}
	return b[:n:n]
}
