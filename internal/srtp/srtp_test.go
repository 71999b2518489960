package srtp_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/srtp"
	pion "github.com/pion/srtp/v3"
)

var profiles = []srtp.Profile{srtp.AEADAES128GCM, srtp.AES128CMHMACSHA1_80}

func keys(p srtp.Profile) srtp.Keys {
	material := make([]byte, p.MaterialLen())
	for i := range material {
		material[i] = byte(i*7 + 1)
	}
	client, _, err := srtp.KeysFromExporter(p, material)
	if err != nil {
		panic(err)
	}
	return client
}

func newContext(t testing.TB, p srtp.Profile) *srtp.Context {
	t.Helper()
	c, err := srtp.NewContext(p, keys(p))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newPion(t testing.TB, p srtp.Profile) *pion.Context {
	t.Helper()
	k := keys(p)
	c, err := pion.CreateContext(k.Key, k.Salt, pion.ProtectionProfile(p),
		pion.SRTPReplayProtection(1024), pion.SRTCPReplayProtection(1024))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// header returns an RTP header of 12 bytes, or of 20 with one one-byte extension.
func header(ssrc uint32, seq uint16, extended bool) []byte {
	h := []byte{0x80, 96, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(h[2:], seq)
	binary.BigEndian.PutUint32(h[8:], ssrc)
	if extended {
		h[0] |= 0x10
		h = append(h, 0xbe, 0xde, 0, 1, 0x10, 0xaa, 0, 0)
	}
	return h
}

func seal(t testing.TB, s *srtp.Source, h, payload []byte) []byte {
	t.Helper()
	dst := make([]byte, len(h)+len(payload)+srtp.MaxOverhead)
	n := s.SealRTP(dst, h, payload)
	if n == 0 {
		t.Fatal("not sealed")
	}
	return dst[:n]
}

// What we seal pion opens, and what pion seals we open: all sizes, with and without extensions, over two roll-overs of the
// sequence number.
func TestAgainstPionRTP(t *testing.T) {
	for _, p := range profiles {
		t.Run(p.String(), func(t *testing.T) {
			ours, theirs := newContext(t, p), newPion(t, p)
			oursIn, theirsIn := newContext(t, p), newPion(t, p)
			src := ours.Source(7)
			seq := uint16(65000)
			for i := range 1500 {
				h := header(7, seq, i%2 == 0)
				payload := bytes.Repeat([]byte{byte(i)}, i)
				sealed := seal(t, src, h, payload)
				if len(sealed) != len(h)+len(payload)+p.Overhead() {
					t.Fatalf("overhead %d", len(sealed)-len(h)-len(payload))
				}
				plain := append(bytes.Clone(h), payload...)
				got, err := theirs.DecryptRTP(nil, sealed, nil)
				if err != nil || !bytes.Equal(got, plain) {
					t.Fatalf("packet %d: pion: %v", i, err)
				}
				sealed, err = theirsIn.EncryptRTP(nil, plain, nil)
				if err != nil {
					t.Fatal(err)
				}
				got, r := oursIn.OpenRTP(sealed, len(h))
				if r != drop.None || !bytes.Equal(got, plain) {
					t.Fatalf("packet %d: ours: %v", i, r)
				}
				seq += 97
			}
		})
	}
}

// Sealing in place writes the same packet as sealing from elsewhere.
func TestSealInPlaceIsTheSame(t *testing.T) {
	for _, p := range profiles {
		h, payload := header(7, 1, true), []byte("some payload that is longer than one block")
		want := seal(t, newContext(t, p).Source(7), h, payload)
		b := make([]byte, 200)
		n := copy(b, h)
		n += copy(b[n:], payload)
		n = newContext(t, p).Source(7).SealRTPInPlace(b, len(h), n)
		if !bytes.Equal(b[:n], want) {
			t.Errorf("%v: got %x, want %x", p, b[:n], want)
		}
	}
}

// RTCP agrees with pion in both directions; each sender counts its own index.
func TestAgainstPionRTCP(t *testing.T) {
	for _, p := range profiles {
		t.Run(p.String(), func(t *testing.T) {
			ours, theirs := newContext(t, p), newPion(t, p)
			oursIn, theirsIn := newContext(t, p), newPion(t, p)
			for i := range 200 {
				packet := make([]byte, 8+4*(i%100))
				packet[0], packet[1] = 0x80, 201
				binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)/4-1))
				binary.BigEndian.PutUint32(packet[4:], uint32(i%3))
				dst := make([]byte, 1000)
				n := ours.SealRTCP(dst, packet)
				if n != len(packet)+p.RTCPOverhead() {
					t.Fatalf("overhead %d", n-len(packet))
				}
				got, err := theirs.DecryptRTCP(nil, dst[:n], nil)
				if err != nil || !bytes.Equal(got, packet) {
					t.Fatalf("packet %d: pion: %v", i, err)
				}
				sealed, err := theirsIn.EncryptRTCP(nil, packet, nil)
				if err != nil {
					t.Fatal(err)
				}
				got, r := oursIn.OpenRTCP(sealed)
				if r != drop.None || !bytes.Equal(got, packet) {
					t.Fatalf("packet %d: ours: %v", i, r)
				}
			}
		})
	}
}

// Packets that arrive in another order, up to the window and across a roll-over, are all opened; each a second time is a replay.
func TestReorderedOnceReplayedNever(t *testing.T) {
	for _, p := range profiles {
		t.Run(p.String(), func(t *testing.T) {
			out, in := newPion(t, p), newContext(t, p)
			var sealed [][]byte
			for i := range 3000 {
				b, err := out.EncryptRTP(nil, header(9, uint16(64000+i), false), nil)
				if err != nil {
					t.Fatal(err)
				}
				sealed = append(sealed, b)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			for at := 0; at < len(sealed); at += 500 { // shuffled within half a window
				part := sealed[at : at+500]
				rng.Shuffle(len(part)-1, func(i, j int) { part[i+1], part[j+1] = part[j+1], part[i+1] })
			}
			for i, b := range sealed {
				if _, r := in.OpenRTP(bytes.Clone(b), 12); r != drop.None {
					t.Fatalf("packet %d: %v", i, r)
				}
			}
			for i, b := range sealed {
				if _, r := in.OpenRTP(bytes.Clone(b), 12); r != drop.SrtpReplay {
					t.Fatalf("packet %d again: %v", i, r)
				}
			}
		})
	}
}

// A packet WindowSize behind the newest is a replay as far as anyone can tell; one less is opened.
func TestWindowEdge(t *testing.T) {
	for _, late := range []struct {
		behind int
		want   drop.Reason
	}{{srtp.WindowSize - 1, drop.None}, {srtp.WindowSize, drop.SrtpReplay}} {
		for newest := 2000; newest < 2000+130; newest++ { // wherever the newest stands within a word of the window
			out, in := newContext(t, srtp.AEADAES128GCM), newContext(t, srtp.AEADAES128GCM)
			src := out.Source(9)
			first := seal(t, src, header(9, uint16(newest-late.behind), false), nil)
			last := seal(t, src, header(9, uint16(newest), false), nil)
			for i := range late.behind { // open all between, so that a stale bit would show
				if i > 0 {
					b := seal(t, src, header(9, uint16(newest-late.behind+i), false), nil)
					if _, r := in.OpenRTP(b, 12); r != drop.None {
						t.Fatal(r)
					}
				}
			}
			if _, r := in.OpenRTP(last, 12); r != drop.None {
				t.Fatal(r)
			}
			if _, r := in.OpenRTP(first, 12); r != late.want {
				t.Fatalf("newest %d, %d behind: got %v, want %v", newest, late.behind, r, late.want)
			}
		}
	}
}

// What follows of a sender's SRTCP is told by its SSRC and index alone: the next ones and those that others have overtaken, up to a limit; not what has
// come, nor what nobody can have sent, nor who has never been heard.
func TestFollowsRTCP(t *testing.T) {
	for _, p := range profiles {
		t.Run(p.String(), func(t *testing.T) {
			in, out := newContext(t, p), newContext(t, p)
			tag := p.Overhead()
			packet := func(ssrc, index uint32) []byte {
				b := make([]byte, 8+tag+4)
				binary.BigEndian.PutUint32(b[4:], ssrc)
				at := 8
				if p == srtp.AEADAES128GCM { // the tag comes first
					at += tag
				}
				binary.BigEndian.PutUint32(b[at:], 1<<31|index)
				return b
			}
			if in.FollowsRTCP(packet(7, 1)) {
				t.Error("somebody follows who has never been heard")
			}
			for i := range 3 {
				plain, dst := make([]byte, 8), make([]byte, 100)
				plain[7] = 7
				sealed := dst[:out.SealRTCP(dst, plain)]
				if i == 1 {
					continue // lost
				}
				if _, r := in.OpenRTCP(sealed); r != drop.None {
					t.Fatal(r)
				}
			}
			for index, want := range map[uint32]bool{1: false, 2: true, 3: false, 4: true, 3 + 1<<14: true, 4 + 1<<14: false, 1 << 30: false} {
				if got := in.FollowsRTCP(packet(7, index)); got != want {
					t.Errorf("index %d after 1 and 3: %v", index, got)
				}
			}
			if in.FollowsRTCP(packet(8, 4)) || in.FollowsRTCP(packet(7, 4)[1:]) {
				t.Error("another sender, or half a packet, follows")
			}
		})
	}
}

// A wrong tag, whichever byte was changed and however often, is counted and nothing else: the next good packet is opened.
func TestBadTagsChangeNothing(t *testing.T) {
	for _, p := range profiles {
		t.Run(p.String(), func(t *testing.T) {
			src, in := newContext(t, p).Source(9), newContext(t, p)
			rtcpOut := newContext(t, p)
			rng := rand.New(rand.NewPCG(3, 4))
			for seq := range uint16(300) {
				good := seal(t, src, header(9, seq, false), []byte("payload"))
				for i := range good {
					bad := bytes.Clone(good)
					bad[i] ^= byte(1 << rng.IntN(8))
					if _, r := in.OpenRTP(bad, 12); r == drop.None {
						t.Fatalf("byte %d changed: opened", i)
					}
				}
				if _, r := in.OpenRTP(good, 12); r != drop.None {
					t.Fatalf("good packet %d: %v", seq, r)
				}
				dst := make([]byte, 100)
				good = dst[:rtcpOut.SealRTCP(dst, make([]byte, 28))]
				for i := range good {
					bad := bytes.Clone(good)
					bad[i] ^= byte(1 << rng.IntN(8))
					if _, r := in.OpenRTCP(bad); r == drop.None {
						t.Fatalf("RTCP byte %d changed: opened", i)
					}
				}
				if _, r := in.OpenRTCP(good); r != drop.None {
					t.Fatalf("good RTCP packet %d: %v", seq, r)
				}
			}
		})
	}
}

// Random packets never make state: a flood of forged SSRCs leaves room for the real ones.
func TestForgedSSRCsTakeNoRoom(t *testing.T) {
	in, out := newContext(t, srtp.AEADAES128GCM), newContext(t, srtp.AEADAES128GCM)
	forged, rtcp := make([]byte, 60), make([]byte, 60)
	for i := range uint32(4 * srtp.MaxSources) {
		copy(forged, header(i, 1, false))
		if _, r := in.OpenRTP(forged, 12); r != drop.SrtpAuth {
			t.Fatal(r)
		}
		binary.BigEndian.PutUint32(rtcp[4:], i)
		rtcp[56] = 0x80
		if _, r := in.OpenRTCP(rtcp); r != drop.SrtpAuth {
			t.Fatal(r)
		}
	}
	if _, r := in.OpenRTP(seal(t, out.Source(5), header(5, 1, false), nil), 12); r != drop.None {
		t.Fatal(r)
	}
}

// Limit: MaxSources SSRCs are known; packets of one more are dropped, those of the first go on.
func TestMaxSources(t *testing.T) {
	in, out := newContext(t, srtp.AEADAES128GCM), newContext(t, srtp.AEADAES128GCM)
	rtcp := func(ssrc uint32) []byte {
		p, dst := make([]byte, 8), make([]byte, 100)
		binary.BigEndian.PutUint32(p[4:], ssrc)
		return dst[:out.SealRTCP(dst, p)]
	}
	for ssrc := range uint32(srtp.MaxSources) {
		if _, r := in.OpenRTP(seal(t, out.Source(ssrc), header(ssrc, 1, false), nil), 12); r != drop.None {
			t.Fatal(r)
		}
		if _, r := in.OpenRTCP(rtcp(ssrc)); r != drop.None {
			t.Fatal(r)
		}
	}
	if out.Source(srtp.MaxSources) != nil {
		t.Error("one source more than the limit")
	}
	other := newContext(t, srtp.AEADAES128GCM)
	if _, r := in.OpenRTP(seal(t, other.Source(srtp.MaxSources), header(srtp.MaxSources, 1, false), nil), 12); r != drop.SrtpSources {
		t.Errorf("RTP: got %v", r)
	}
	if _, r := in.OpenRTCP(rtcp(srtp.MaxSources)); r != drop.SrtpSources {
		t.Errorf("RTCP: got %v", r)
	}
	if _, r := in.OpenRTP(seal(t, out.Source(0), header(0, 2, false), nil), 12); r != drop.None {
		t.Errorf("known SSRC: %v", r)
	}
}

// One key never seals two packets with one index (RFC 7714 §8.1): a number sealed before, or too old to tell, is refused; 2¹⁶
// packets later the same number has another index and another nonce.
func TestNumberIsSealedOnce(t *testing.T) {
	for _, p := range profiles {
		sealed := 1<<16 + 100
		src := newContext(t, p).Source(9)
		dst := make([]byte, 100)
		seen := map[string]bool{}
		for i := range sealed {
			n := src.SealRTP(dst, header(9, uint16(i), false), make([]byte, 16))
			if n == 0 {
				t.Fatalf("%v: packet %d refused", p, i)
			}
			if stream := string(dst[12:28]); seen[stream] { // zeros encrypted: the key stream itself
				t.Fatalf("%v: packet %d: key stream repeats", p, i)
			} else {
				seen[stream] = true
			}
		}
		for _, back := range []int{1, 2, 99, srtp.WindowSize, 30000} {
			if n := src.SealRTP(dst, header(9, uint16(sealed-back), false), nil); n != 0 {
				t.Errorf("%v: sealed again %d back", p, back)
			}
			copy(dst, header(9, uint16(sealed-back), false))
			if n := src.SealRTPInPlace(dst, 12, 12); n != 0 {
				t.Errorf("%v: sealed again in place %d back", p, back)
			}
		}
	}
}

// Too short is a reason (or a 0), never a panic.
func TestTooShort(t *testing.T) {
	for _, p := range profiles {
		c := newContext(t, p)
		for n := range 12 + p.Overhead() {
			if _, r := c.OpenRTP(make([]byte, n), 12); r != drop.SrtpShort {
				t.Errorf("%v: RTP of %d bytes: %v", p, n, r)
			}
		}
		for n := range 8 + p.RTCPOverhead() {
			if _, r := c.OpenRTCP(make([]byte, n)); r != drop.SrtpShort {
				t.Errorf("%v: RTCP of %d bytes: %v", p, n, r)
			}
		}
		if _, r := c.OpenRTP(make([]byte, 100), 100); r != drop.SrtpShort {
			t.Errorf("header without payload and tag: %v", r)
		}
		if _, r := c.OpenRTP(make([]byte, 100), 11); r != drop.SrtpShort {
			t.Errorf("header of 11 bytes: %v", r)
		}
		if n := c.Source(1).SealRTP(make([]byte, 12+p.Overhead()), header(1, 1, false), []byte{1}); n != 0 {
			t.Errorf("sealed into a buffer too short: %d", n)
		}
		if n := c.Source(1).SealRTPInPlace(make([]byte, 12+p.Overhead()), 12, 13); n != 0 {
			t.Errorf("sealed in a buffer too short: %d", n)
		}
		if n := c.SealRTCP(make([]byte, 7+p.RTCPOverhead()), make([]byte, 8)); n != 0 {
			t.Errorf("RTCP sealed into a buffer too short: %d", n)
		}
	}
}

// RFC 5764 §4.2: client key, server key, client salt, server salt.
func TestKeysFromExporter(t *testing.T) {
	for _, p := range profiles {
		k, s := p.KeyLen(), p.SaltLen()
		m := make([]byte, p.MaterialLen())
		for i := range m {
			m[i] = byte(i)
		}
		client, server, err := srtp.KeysFromExporter(p, m)
		if err != nil {
			t.Fatal(err)
		}
		if int(client.Key[0]) != 0 || int(server.Key[0]) != k || int(client.Salt[0]) != 2*k || int(server.Salt[0]) != 2*k+s {
			t.Errorf("%v: %v %v", p, client, server)
		}
		if len(client.Key) != k || len(server.Key) != k || len(client.Salt) != s || len(server.Salt) != s {
			t.Errorf("%v: lengths %v %v", p, client, server)
		}
		if _, _, err := srtp.KeysFromExporter(p, m[1:]); err == nil {
			t.Errorf("%v: short material accepted", p)
		}
		if _, err := srtp.NewContext(p, srtp.Keys{Key: m[:k-1], Salt: m[:s]}); err == nil {
			t.Errorf("%v: short key accepted", p)
		}
	}
	if _, err := srtp.NewContext(2, srtp.Keys{}); err == nil {
		t.Error("unknown profile accepted")
	}
	if _, _, err := srtp.KeysFromExporter(2, nil); err == nil {
		t.Error("unknown profile accepted")
	}
}
