package dtls

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/parley-rtc/parley/internal/drop"
	pion "github.com/pion/dtls/v3"
)

// direction returns both ends of one direction, with a key of n bytes.
func direction(n int) (*sealer, *opener) {
	key := bytes.Repeat([]byte{7}, n)
	s, o := &sealer{}, &opener{}
	s.key, o.key = key, key
	s.nonce, o.nonce = [12]byte{1, 2, 3, 4}, [12]byte{1, 2, 3, 4}
	return s, o
}

// A nonce is used once (RFC 5288 §3: to use one twice under a key gives that away). It is the record's number, which counts on over
// 2^16 and ends before it would wrap: no more is sealed then.
func TestNoncesAreDistinct(t *testing.T) {
	s, _ := direction(16)
	const first = 41
	s.next = first
	seen := map[[explicitBytes]byte]bool{}
	var b []byte
	for i := range uint64(1<<16 + 1000) {
		var ok bool
		if b, ok = s.seal(b[:0], applicationData, []byte("x")); !ok {
			t.Fatal("not sealed")
		}
		nonce := [explicitBytes]byte(b[recordHeader:])
		if seen[nonce] {
			t.Fatalf("nonce %x twice", nonce)
		}
		seen[nonce] = true
		if n := binary.BigEndian.Uint64(b[3:]); n != 1<<48+first+i || n != binary.BigEndian.Uint64(nonce[:]) {
			t.Fatalf("record %d is numbered %#x, with nonce %x", i, n, nonce)
		}
	}
	s.next = lastNumber
	if _, ok := s.seal(nil, applicationData, nil); !ok {
		t.Error("the last number was not used")
	}
	for range 2 {
		if b, ok := s.seal(nil, applicationData, nil); ok || len(b) > 0 {
			t.Errorf("sealed beyond the last number: %x", b)
		}
	}
}

// Our records go on with the number that follows from the handshake's, and the client's are taken from where it is: with every cipher
// suite that may be chosen, both ways.
func TestEpochGoesOnFromTheHandshake(t *testing.T) {
	for suite := range suites {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, sha256Of(clientCert))
			defer s.end()
			client := s.client(pion.WithCertificates(clientCert), pion.WithCipherSuites(suite))
			if err := client.Handshake(); err != nil {
				t.Fatal(err)
			}
			s.want(Connected)
			last := uint64(0)
			for _, d := range s.sent {
				for len(d) > 0 {
					var r []byte
					r, d, _ = cut(d)
					last = max(last, binary.BigEndian.Uint64(r[3:]))
				}
			}
			assoc := s.associate(client)
			s.dial(assoc, 1, "parley", 0)
			s.want(ChannelOpened)
			sent := len(s.sent)
			if first := binary.BigEndian.Uint64(s.sent[sent-1][3:]); first < last {
				t.Errorf("a record is numbered %#x after %#x", first, last)
			}
			want := last
			for _, d := range s.sent {
				if n := binary.BigEndian.Uint64(d[3:]); n>>48 == 1 {
					if want++; n != want {
						t.Errorf("a record is numbered %#x, want %#x", n, want)
					}
				}
			}
			_ = assoc.Close()
			_ = client.Close()
			s.want(ChannelClosed, Closed)
			s.nonces()
		})
	}
}

// What is sealed is opened, once, whatever its length; anything changed about it is not its sender's.
func TestOpen(t *testing.T) {
	for _, key := range []int{16, 32} {
		for _, n := range []int{0, 1, 2, 1163, 1500} {
			s, o := direction(key)
			want := bytes.Repeat([]byte{byte(n)}, n)
			b, _ := s.seal(nil, applicationData, want)
			for bit := range 8 * len(b) {
				if at := bit / 8; at == 11 || at == 12 {
					continue // the length, by which a record is found
				}
				forged := bytes.Clone(b)
				forged[bit/8] ^= 1 << (bit % 8)
				if got, r := o.open(nil, forged); r == drop.None || len(got) > 0 {
					t.Fatalf("opened with bit %d changed", bit)
				}
			}
			for short := recordHeader; short < len(b); short++ {
				if _, r := o.open(nil, b[:short]); r == drop.None {
					t.Fatalf("opened %d of %d bytes", short, len(b))
				}
			}
			if got, r := o.open(nil, b); r != drop.None || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes: %x, %v", n, got, r)
			}
			if _, r := o.open(nil, b); r != drop.DtlsReplay {
				t.Errorf("again: %v", r)
			}
		}
	}
}

// RFC 6347 §4.1.2.6: no record is taken twice. Of the recordWindow newest those that have not come are, of older ones none. What is
// forged does not move the window.
func TestReplayWindow(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 3))
		start := rng.Uint64N(1 << 20)
		w := seen{floor: start, next: start}
		came, newest := map[uint64]bool{}, start
		for range 5000 {
			var n uint64
			switch rng.IntN(10) {
			case 0:
				n = newest + rng.Uint64N(3*recordWindow)
			case 1:
				n = newest - min(newest, rng.Uint64N(2*recordWindow))
			default:
				n = newest + 20 - min(newest+20, rng.Uint64N(60))
			}
			want := n >= start && !came[n] && n+recordWindow > newest
			if got := w.lacks(n); got != want {
				t.Fatalf("seed %d: %d is lacking: %v, with %d the newest", seed, n, got, newest)
			}
			if want && rng.IntN(4) > 0 {
				w.add(n)
				came[n], newest = true, max(newest, n)
			}
		}
	}
	_, o := direction(16)
	forged := record(applicationData, 1, lastNumber, make([]byte, 40))
	if _, r := o.open(nil, forged); r != drop.DtlsAuth || o.seen.next != 0 {
		t.Errorf("%v, and the window is at %d", r, o.seen.next)
	}
}

// Nothing is allocated for a record that is sealed, opened, forged, replayed or of another epoch.
func TestRecordsAllocateNothing(t *testing.T) {
	s, o := direction(16)
	content, sealed, opened := make([]byte, 1100), make([]byte, 0, 1200), make([]byte, 0, 1200)
	next := func() []byte {
		b, _ := s.seal(sealed, applicationData, content)
		return b
	}
	o.open(opened, next()) // the first makes the cipher
	for want, change := range map[drop.Reason]func(b []byte) []byte{
		drop.None:       func(b []byte) []byte { return b },
		drop.DtlsAuth:   func(b []byte) []byte { b[len(b)-1]++; return b },
		drop.DtlsEpoch:  func(b []byte) []byte { b[4] = 0; return b },
		drop.DtlsReplay: func(b []byte) []byte { o.open(opened, b); return b },
	} {
		if n := testing.AllocsPerRun(100, func() {
			if _, r := o.open(opened, change(next())); r != want {
				t.Fatalf("%v, want %v", r, want)
			}
		}); n > 0 {
			t.Errorf("%v: %v allocations", want, n)
		}
	}
}

// The goodbye is the last record.
func TestNothingIsSaidAfterGoodbye(t *testing.T) {
	quiet(t, func(s *scene, client *pion.Conn) {
		s.a.Close()
		<-s.a.Done()
		sent := len(s.sent)
		if err := s.a.say(applicationData, []byte("late")); err == nil || len(s.sent) != sent {
			s.t.Errorf("%d records, %v", len(s.sent)-sent, err)
		}
	})
}

// Of a datagram full of forged records only the first few cost something: what follows them is not looked at, and is not the client's.
func TestForgedRecordsAreBounded(t *testing.T) {
	s, o := direction(16)
	a := &Association{epoch: &epoch{in: *o}}
	forged := record(applicationData, 1, 1000, make([]byte, overhead))
	for n, heard := range map[int]bool{maxForged: false, maxForged - 1: true} {
		own, _ := s.seal(nil, handshake, []byte{finished})
		r, again := a.receive(append(bytes.Repeat(forged, n), own...))
		if r != drop.DtlsAuth || heard != again {
			t.Errorf("after %d: %v, answered %v", n, r, again)
		}
	}
}

// Whatever a datagram holds, only what the client has sealed is heeded, however often and in whatever company it comes.
func FuzzReceive(f *testing.F) {
	stranger, _ := direction(32)
	for n := range 3 {
		b, _ := stranger.seal(nil, applicationData, make([]byte, 10*n))
		f.Add(b)
		f.Add(b[1:])
	}
	f.Add(record(alert, 1, 5, make([]byte, 40)))
	f.Add(record(handshake, 0, 5, make([]byte, 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, o := direction(16)
		s.next = 1 << 20
		own, _ := s.seal(nil, handshake, []byte{finished})
		a := &Association{epoch: &epoch{in: *o}}
		if r, again := a.receive(b); r == drop.None || again || a.link != nil || a.ending {
			t.Fatalf("%x is taken for the client's", b)
		}
		whole, records := true, 0
		for rest := b; whole && len(rest) > 0; records++ {
			_, rest, whole = cut(rest)
		}
		whole = whole && records < maxForged
		if _, again := a.receive(append(bytes.Clone(b), own...)); whole && !again {
			t.Fatalf("after %x the client's own is not heard", b)
		}
	})
}

// BenchmarkRecord seals and opens one record of the usual greatest length.
func BenchmarkRecord(b *testing.B) {
	s, o := direction(16)
	content, sealed, opened := make([]byte, sctpMTU), make([]byte, 0, maxDatagram), make([]byte, 0, maxDatagram)
	b.SetBytes(sctpMTU)
	for b.Loop() {
		r, _ := s.seal(sealed, applicationData, content)
		if _, why := o.open(opened, r); why != drop.None {
			b.Fatal(why)
		}
	}
}

// A fault in opening a datagram leaves no lock behind: the shard recovers from it, and closes the association.
func TestFaultLeavesNoLock(t *testing.T) {
	a := &Association{epoch: &epoch{}, ctx: t.Context()}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no fault")
			}
		}()
		a.Deliver(record(applicationData, 1, 1000, make([]byte, overhead)))
	}()
	if !a.mu.TryLock() {
		t.Error("it is still locked")
	}
}
