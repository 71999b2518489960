package srtp_test

import (
	"testing"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/srtp"
)

// The packet path allocates nothing: sealing, opening, and dropping what is forged or replayed.
func TestNoAllocation(t *testing.T) {
	for _, p := range profiles {
		t.Run(p.String(), func(t *testing.T) {
			out, in := newContext(t, p), newContext(t, p)
			src := out.Source(9)
			payload, dst := make([]byte, 1200), make([]byte, 1400)
			h := header(9, 0, true)
			var seq uint16
			next := func() int {
				seq++
				h[2], h[3] = byte(seq>>8), byte(seq)
				n := src.SealRTP(dst, h, payload)
				if n == 0 {
					t.Fatal("not sealed")
				}
				return n
			}
			in.OpenRTP(dst[:next()], len(h)) // the first packet of an SSRC makes its state
			in.OpenRTCP(dst[:out.SealRTCP(dst, make([]byte, 28))])
			rtcp := make([]byte, 28)
			replay := make([]byte, 1400)
			for name, f := range map[string]func(){
				"seal and open": func() {
					if _, r := in.OpenRTP(dst[:next()], len(h)); r != drop.None {
						t.Fatal(r)
					}
				},
				"seal in place": func() {
					n := next()
					seq++
					dst[2], dst[3] = byte(seq>>8), byte(seq)
					src.SealRTPInPlace(dst, len(h), n-p.Overhead())
				},
				"forged": func() {
					n := next()
					dst[n-1] ^= 1
					if _, r := in.OpenRTP(dst[:n], len(h)); r != drop.SrtpAuth {
						t.Fatal(r)
					}
				},
				"replayed": func() {
					n := next()
					copy(replay, dst[:n])
					in.OpenRTP(dst[:n], len(h))
					if _, r := in.OpenRTP(replay[:n], len(h)); r != drop.SrtpReplay {
						t.Fatal(r)
					}
				},
				"forged SSRC": func() {
					n := next()
					dst[8] = 0xee
					if _, r := in.OpenRTP(dst[:n], len(h)); r != drop.SrtpAuth {
						t.Fatal(r)
					}
				},
				"rtcp": func() {
					if _, r := in.OpenRTCP(dst[:out.SealRTCP(dst, rtcp)]); r != drop.None {
						t.Fatal(r)
					}
				},
			} {
				if got := testing.AllocsPerRun(100, f); got != 0 {
					t.Errorf("%s: %v allocations", name, got)
				}
			}
		})
	}
}

func BenchmarkSealRTP(b *testing.B) {
	for _, p := range profiles {
		b.Run(p.String(), func(b *testing.B) {
			src := newContext(b, p).Source(9)
			payload, dst, h := make([]byte, 1200), make([]byte, 1400), header(9, 0, true)
			b.SetBytes(1200)
			var seq uint16
			for b.Loop() {
				seq++
				h[2], h[3] = byte(seq>>8), byte(seq)
				src.SealRTP(dst, h, payload)
			}
		})
	}
}

// Whatever arrives, opening neither panics nor returns more than was given; and nothing random is ever authentic.
func FuzzOpen(f *testing.F) {
	out := newContext(f, srtp.AEADAES128GCM)
	f.Add(seal(f, out.Source(9), header(9, 1, true), []byte("payload")), 20)
	dst := make([]byte, 100)
	f.Add(dst[:out.SealRTCP(dst, make([]byte, 28))], 12)
	f.Add([]byte{0x80}, 12)
	f.Fuzz(func(t *testing.T, b []byte, headerLen int) {
		for _, p := range profiles {
			c := newContext(t, p)
			in := append([]byte(nil), b...)
			if plain, r := c.OpenRTP(in, headerLen); (r == drop.None) != (plain != nil) || len(plain) > len(b) {
				t.Errorf("RTP: %v, %d bytes", r, len(plain))
			}
			in = append(in[:0], b...)
			if plain, r := c.OpenRTCP(in); (r == drop.None) != (plain != nil) || len(plain) > len(b) {
				t.Errorf("RTCP: %v, %d bytes", r, len(plain))
			}
		}
	})
}
