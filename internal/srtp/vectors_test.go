package srtp

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/drop"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 3711 B.3: session keys from a master key and salt.
func TestKeyDerivationVectors(t *testing.T) {
	k := Keys{
		Key:  unhex(t, "E1F97A0D3E018BE0D64FA32C06DE4139"),
		Salt: unhex(t, "0EC675AD498AFEEBB6960B3AABE6"),
	}
	s := derive(AES128CMHMACSHA1_80, k)
	for _, c := range []struct {
		name, want string
		got        []byte
	}{
		{"cipher key", "C61E7A93744F39EE10734AFE3FF7A087", s.rtp.key},
		{"cipher salt", "30CBBC08863D8C85D49DB34A9AE1", s.rtp.salt},
		{"auth key", "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4", s.rtp.auth},
	} {
		if !bytes.Equal(c.got, unhex(t, c.want)) {
			t.Errorf("%s: got %X, want %s", c.name, c.got, c.want)
		}
	}
}

// RFC 3711 B.2: the key stream of AES counter mode.
func TestCounterModeVector(t *testing.T) {
	c := newCM(session{
		rtp: sessionKeys{
			key:  unhex(t, "2B7E151628AED2A6ABF7158809CF4F3C"),
			salt: unhex(t, "F0F1F2F3F4F5F6F7F8F9FAFBFCFD"),
		},
		rtcp: sessionKeys{key: make([]byte, 16)},
	})
	got := make([]byte, 48)
	c.xor(&c.rtp, got, make([]byte, 48), 0, 0)
	want := unhex(t, `E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB
		41E95B3BB0A2E8DD477901E4FCA894C0`)
	if !bytes.Equal(got, want) {
		t.Errorf("got %X", got)
	}
}

// withSessionKeys returns a GCM Context whose session keys are the ones of RFC 7714 §16, both for RTP and RTCP.
func withSessionKeys(t *testing.T) *Context {
	t.Helper()
	c, err := NewContext(AEADAES128GCM, Keys{Key: make([]byte, 16), Salt: make([]byte, 12)})
	if err != nil {
		t.Fatal(err)
	}
	k := sessionKeys{
		key:  unhex(t, "000102030405060708090a0b0c0d0e0f"),
		salt: unhex(t, "517569642070726f2071756f"),
	}
	c.t = newGCM(session{rtp: k, rtcp: k})
	return c
}

// RFC 7714 §16.1: an RTP packet under AEAD_AES_128_GCM.
func TestGCMVectorRTP(t *testing.T) {
	plain := unhex(t, `8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e6973206469766973
		6120696e207061727465732074726573`)
	want := unhex(t, `8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f
		42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce`)
	got := make([]byte, 200)
	n := withSessionKeys(t).Source(0x5501a0b2).SealRTP(got, plain[:12], plain[12:])
	if !bytes.Equal(got[:n], want) {
		t.Errorf("sealed: %x", got[:n])
	}
	opened, r := withSessionKeys(t).OpenRTP(want, 12)
	if r != drop.None || !bytes.Equal(opened, plain) {
		t.Errorf("opened: %v %x", r, opened)
	}
}

// RFC 7714 §17.1: an RTCP packet under AEAD_AES_128_GCM, index 0x5d4.
func TestGCMVectorRTCP(t *testing.T) {
	plain := unhex(t, `81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61
		deadbeefdeadbeefdeadbeefdeadbeefdeadbeef`)
	want := unhex(t, `81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1
		730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4`)
	c := withSessionKeys(t)
	c.sentRTCP = 0x5d3
	got := make([]byte, 200)
	n := c.SealRTCP(got, plain)
	if !bytes.Equal(got[:n], want) {
		t.Errorf("sealed: %x", got[:n])
	}
	opened, r := withSessionKeys(t).OpenRTCP(want)
	if r != drop.None || !bytes.Equal(opened, plain) {
		t.Errorf("opened: %v %x", r, opened)
	}
}

// RFC 7714 §17.3: authenticated but not encrypted SRTCP is valid there; WebRTC never negotiates it, so it is refused.
func TestUnencryptedRTCPIsRefused(t *testing.T) {
	b := unhex(t, `81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeef
		deadbeefdeadbeefdeadbeef841dd9683dd78ec92ae58790125f62b3000005d4`)
	if _, r := withSessionKeys(t).OpenRTCP(b); r != drop.SrtpAuth {
		t.Errorf("got %v", r)
	}
}

// 2³¹ SRTCP packets is the end of a key (RFC 3711 §9.2): the index never starts again.
func TestRTCPIndexEnds(t *testing.T) {
	c := withSessionKeys(t)
	c.sentRTCP = maxRTCPIndex - 1
	p, dst := make([]byte, 8), make([]byte, 64)
	if c.SealRTCP(dst, p) == 0 {
		t.Error("the last index must still be used")
	}
	if n := c.SealRTCP(dst, p); n != 0 {
		t.Errorf("sealed %d bytes past the last index", n)
	}
}

// 2⁴⁸ RTP packets is the end of a key (RFC 3711 §9.2).
func TestRTPIndexEnds(t *testing.T) {
	s := withSessionKeys(t).Source(1)
	s.mark(maxIndex - 1)
	h, dst := make([]byte, 12), make([]byte, 64)
	h[2], h[3] = 0xff, 0xff
	if s.SealRTP(dst, h, nil) == 0 {
		t.Error("the last index must still be used")
	}
	h[2], h[3] = 0, 0
	if n := s.SealRTP(dst, h, nil); n != 0 {
		t.Errorf("sealed %d bytes past the last index", n)
	}
}
