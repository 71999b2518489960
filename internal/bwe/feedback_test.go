package bwe_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
)

// say makes feedback with an independent encoder: which of the packets from base on have arrived, 1 ms apart.
func say(t testing.TB, base uint16, reference uint32, chunks []rtcp.PacketStatusChunk, statuses, arrived int) []byte {
	t.Helper()
	cc := &rtcp.TransportLayerCC{
		BaseSequenceNumber: base, PacketStatusCount: uint16(statuses), ReferenceTime: reference, PacketChunks: chunks,
	}
	for range arrived {
		cc.RecvDeltas = append(cc.RecvDeltas, &rtcp.RecvDelta{Type: rtcp.TypeTCCPacketReceivedSmallDelta, Delta: 1000})
	}
	size := 20 + 2*len(chunks) + arrived
	cc.Header = rtcp.Header{Padding: size%4 != 0, Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback, Length: uint16((size+3)/4 - 1)}
	b, err := cc.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	_, packet, _, r := rtp.NextRTCP(b)
	if r != drop.None {
		t.Fatal(r)
	}
	return packet
}

// sentPackets returns a Sender with n packets in flight, 1 ms apart, and the time after them.
func sentPackets(n int) (*bwe.Sender, time.Time) {
	s, now := new(bwe.Sender), t0
	for range n {
		s.Sent(now, 1200)
		now = now.Add(time.Millisecond)
	}
	return s, now
}

func symbols(bits uint16, list ...uint16) *rtcp.StatusVectorChunk {
	return &rtcp.StatusVectorChunk{Type: rtcp.TypeTCCStatusVectorChunk, SymbolSize: bits, SymbolList: list}
}

func run(symbol, n uint16) *rtcp.RunLengthChunk {
	return &rtcp.RunLengthChunk{Type: rtcp.TypeTCCRunLengthChunk, PacketStatusSymbol: symbol, RunLength: n}
}

// Feedback is read in every form that it has, and refused for a reason where it is cut, speaks of what was not sent, or of too much.
func TestFeedbackForms(t *testing.T) {
	one := []rtcp.PacketStatusChunk{run(1, 10)}
	good := say(t, 0, 5, one, 10, 10)
	tooMany := append([]byte(nil), good...)
	binary.BigEndian.PutUint16(tooMany[14:], bwe.MaxStatuses+1)
	empty := append([]byte(nil), good...)
	binary.BigEndian.PutUint16(empty[20:], 0)
	reserved := append([]byte(nil), good...)
	binary.BigEndian.PutUint16(reserved[20:], 3<<13|10)
	for _, x := range []struct {
		name string
		b    []byte
		want drop.Reason
	}{
		{"run", good, drop.None},
		{"vector of bits", say(t, 0, 5, []rtcp.PacketStatusChunk{symbols(0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)}, 14, 4), drop.None},
		{"vector of pairs", say(t, 3, 5, []rtcp.PacketStatusChunk{symbols(1, 1, 0, 1, 0, 0, 0, 1)}, 7, 3), drop.None},
		{"none arrived", say(t, 0, 5, []rtcp.PacketStatusChunk{run(0, 10)}, 10, 0), drop.None},
		{"not sent", say(t, 15, 5, one, 10, 10), drop.RtcpUnknown},
		{"long ago", say(t, 50000, 5, one, 10, 10), drop.RtcpUnknown},
		{"cut header", good[:19], drop.RtcpMalformed},
		{"cut chunks", good[:20], drop.RtcpMalformed},
		{"cut deltas", good[:25], drop.RtcpMalformed},
		{"too many", tooMany, drop.RtcpMalformed},
		{"empty run", empty, drop.RtcpMalformed},
		{"reserved symbol", reserved, drop.RtcpMalformed},
	} {
		s, now := sentPackets(20)
		if r := s.Feedback(now, x.b); r != x.want {
			t.Errorf("%s: %v, want %v", x.name, r, x.want)
		}
		if _, known := s.Estimate(); known != (x.want == drop.None) {
			t.Errorf("%s: known %v", x.name, known)
		}
	}
}

// A storm of feedback is not read: a second of it at most.
func TestFeedbackStorm(t *testing.T) {
	s, now := sentPackets(20)
	b := say(t, 0, 5, []rtcp.PacketStatusChunk{run(1, 10)}, 10, 10)
	read := 0
	for range 10_000 {
		if s.Feedback(now, b) == drop.None {
			read++
		}
		now = now.Add(100 * time.Microsecond)
	}
	if read < 100 || read > 160 {
		t.Errorf("%d of 10000 were read in a second", read)
	}
}

// Numbers and reference times wrap, and nothing is noticed.
func TestNumbersWrap(t *testing.T) {
	s, now := new(bwe.Sender), t0
	reference := uint32(1<<24 - 4)
	for n := uint32(0); n < 200_000; n += 64 {
		for range 64 {
			if got := s.Sent(now, 1000); got != uint16(n)+uint16(now.Sub(t0)/time.Millisecond%64) {
				t.Fatalf("number %d", got)
			}
			now = now.Add(time.Millisecond)
		}
		if r := s.Feedback(now, say(t, uint16(n), reference, []rtcp.PacketStatusChunk{run(1, 64)}, 64, 64)); r != drop.None {
			t.Fatalf("at %d: %v", n, r)
		}
		reference = (reference + 1) & (1<<24 - 1)
	}
	if e, _ := s.Estimate(); e < 8*mbps {
		t.Errorf("%v b/s where 8000000 arrive", e)
	}
}

// A receiver whose clock is set is heard all the same.
func TestReceiverClockJumps(t *testing.T) {
	s, now := new(bwe.Sender), t0
	for n := range 300 {
		for range 64 {
			s.Sent(now, 1000)
			now = now.Add(time.Millisecond)
		}
		reference := uint32(n)
		if n >= 150 {
			reference += 5_000_000
		}
		if n >= 200 {
			reference -= 4_000_000
		}
		s.Feedback(now, say(t, uint16(n*64), reference, []rtcp.PacketStatusChunk{run(1, 64)}, 64, 64))
	}
	if e, _ := s.Estimate(); e < 4*mbps { // 8 % more each second for 19 s
		t.Errorf("%v b/s where 8000000 arrive", e)
	}
}

// What is in flight longer than the ring reaches back is forgotten, and feedback about it refused; until then the ring grows.
func TestInFlightLimit(t *testing.T) {
	s, now := sentPackets(64)
	s.Feedback(now, say(t, 0, 5, []rtcp.PacketStatusChunk{run(1, 64)}, 64, 64))
	for range bwe.MaxInFlight + 100 {
		s.Sent(now, 100)
		now = now.Add(50 * time.Microsecond)
	}
	old := say(t, 64, 6, []rtcp.PacketStatusChunk{run(1, 10)}, 10, 10)
	if r := s.Feedback(now, old); r != drop.RtcpUnknown {
		t.Errorf("beyond the limit: %v", r)
	}
	if r := s.Feedback(now, say(t, 200, 6, []rtcp.PacketStatusChunk{run(1, 10)}, 10, 10)); r != drop.None {
		t.Errorf("within it: %v", r)
	}
}

// Neither a packet that is sent nor feedback allocates.
func TestSenderAllocatesNothing(t *testing.T) {
	p := newPath(5*mbps, 100*time.Millisecond, 1)
	f := newFlow(p, source{fixed: 2 * mbps}, 1)
	now := play(t0, 5*time.Second, nil, f)
	var a bwe.Arrivals
	buf := make([]byte, 0, 1200)
	n := testing.AllocsPerRun(200, func() {
		for range 20 {
			a.Record(f.sender.Sent(now, 1200), now)
			now = now.Add(2 * time.Millisecond)
		}
		_, packet, _, _ := rtp.NextRTCP(a.AppendFeedback(buf, 1, 2))
		if r := f.sender.Feedback(now, packet); r != drop.None {
			t.Fatal(r)
		}
		f.sender.Timeout(now)
		f.sender.Padding(now)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzFeedback: no feedback breaks a Sender, and the estimate stays within its bounds.
func FuzzFeedback(f *testing.F) {
	f.Add(say(f, 0, 5, []rtcp.PacketStatusChunk{run(1, 10)}, 10, 10), uint64(1))
	f.Add(say(f, 3, 1<<23, []rtcp.PacketStatusChunk{symbols(1, 1, 0, 1, 0, 0, 0, 1)}, 7, 3), uint64(2))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		s, now := sentPackets(300)
		s.Demand(10 * mbps)
		chance := rand.New(rand.NewPCG(seed, 1))
		for range 20 {
			s.Feedback(now, b)
			if next := s.Next(); !next.IsZero() && !next.After(now) {
				s.Timeout(now)
			}
			if n := s.Padding(now); n < 0 || n > 1<<20 {
				t.Fatalf("%d bytes of padding", n)
			}
			s.Sent(now, 100)
			if e, _ := s.Estimate(); e < bwe.MinBitrate || e > bwe.MaxBitrate {
				t.Fatalf("estimate %v", e)
			}
			now = now.Add(time.Duration(chance.IntN(300)) * time.Millisecond)
			if len(b) > 20 {
				b[12+chance.IntN(8)] += byte(chance.IntN(3))
			}
		}
	})
}

// BenchmarkFeedback is what feedback costs for each packet that it is about.
func BenchmarkFeedback(b *testing.B) {
	var (
		s   bwe.Sender
		a   bwe.Arrivals
		now = t0
		buf = make([]byte, 0, 1200)
	)
	b.ReportAllocs()
	for n := 0; n < b.N; n++ {
		seq := s.Sent(now, 1200)
		b.StopTimer()
		a.Record(seq, now)
		now = now.Add(5 * time.Millisecond)
		var packet []byte
		if n%20 == 19 {
			_, packet, _, _ = rtp.NextRTCP(a.AppendFeedback(buf, 1, 2))
		}
		b.StartTimer()
		if packet != nil {
			s.Feedback(now, packet)
		}
	}
}
