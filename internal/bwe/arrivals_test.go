package bwe_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/rtp"
)

var t0 = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// decode reads feedback with pion/rtcp and returns the arrival times, in 250 µs units from the packets' time base, by number.
func decode(t *testing.T, b []byte) (arrived map[uint16]int64, packets []*rtcp.TransportLayerCC) {
	t.Helper()
	arrived = map[uint16]int64{}
	for len(b) > 0 {
		_, _, rest, r := rtp.NextRTCP(b)
		if r != 0 {
			t.Fatalf("feedback does not parse: %v", r)
		}
		whole := b[:len(b)-len(rest)]
		if len(whole) > 1200 {
			t.Fatalf("packet of %d bytes", len(whole))
		}
		cc := new(rtcp.TransportLayerCC)
		if err := cc.Unmarshal(whole); err != nil {
			t.Fatalf("pion refuses %x: %v", whole, err)
		}
		packets = append(packets, cc)
		at, delta, n := int64(cc.ReferenceTime)*256, 0, uint16(0)
		note := func(symbol uint16) {
			if n == cc.PacketStatusCount {
				return
			}
			if symbol != rtcp.TypeTCCPacketNotReceived {
				at += cc.RecvDeltas[delta].Delta / rtcp.TypeTCCDeltaScaleFactor
				delta++
				arrived[cc.BaseSequenceNumber+n] = at
			}
			n++
		}
		for _, chunk := range cc.PacketChunks {
			switch c := chunk.(type) {
			case *rtcp.RunLengthChunk:
				for range c.RunLength {
					note(c.PacketStatusSymbol)
				}
			case *rtcp.StatusVectorChunk:
				for _, symbol := range c.SymbolList {
					note(symbol)
				}
			}
		}
		if n != cc.PacketStatusCount || delta != len(cc.RecvDeltas) {
			t.Fatalf("chunks cover %d of %d, %d of %d deltas", n, cc.PacketStatusCount, delta, len(cc.RecvDeltas))
		}
		b = rest
	}
	return arrived, packets
}

// Feedback names every packet that has arrived, with its time to 250 µs, and no other; an independent decoder agrees.
func TestFeedbackReportsArrivals(t *testing.T) {
	type arrival struct {
		seq uint16
		at  time.Duration
	}
	tests := []struct {
		name     string
		arrivals []arrival
		packets  int
	}{
		{"one", []arrival{{7, 0}}, 1},
		{"run", []arrival{{1, 0}, {2, time.Millisecond}, {3, 2 * time.Millisecond}}, 1},
		{"hole", []arrival{{1, 0}, {2, time.Millisecond}, {9, 2 * time.Millisecond}, {40, 3 * time.Millisecond}}, 1},
		{"wrap", []arrival{{65534, 0}, {65535, time.Millisecond}, {0, 2 * time.Millisecond}, {1, 3 * time.Millisecond}}, 1},
		{"large delta", []arrival{{1, 0}, {2, 500 * time.Millisecond}, {3, 501 * time.Millisecond}}, 1},
		{"reordered", []arrival{{1, 0}, {3, 5 * time.Millisecond}, {2, 20 * time.Millisecond}, {4, 21 * time.Millisecond}}, 1},
		{"before the first", []arrival{{5, 0}, {4, time.Millisecond}}, 1},
		{"delta beyond 16 bits", []arrival{{1, 0}, {2, 9 * time.Second}, {3, 9*time.Second + time.Millisecond}}, 2},
		{"not on a 64 ms boundary", []arrival{{1, 0}, {2, 100 * time.Millisecond}}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var a bwe.Arrivals
			for _, x := range tt.arrivals {
				a.Record(x.seq, t0.Add(x.at))
			}
			got, packets := decode(t, a.AppendFeedback(nil, 0x11111111, 0x22222222))
			if len(packets) != tt.packets || len(got) != len(tt.arrivals) {
				t.Fatalf("%d packets, %d arrivals: %v", len(packets), len(got), got)
			}
			for _, x := range tt.arrivals {
				if at, ok := got[x.seq]; !ok || at != int64(x.at/(250*time.Microsecond)) {
					t.Errorf("%d arrived at %d×250 µs, want %v (%v)", x.seq, at, x.at, ok)
				}
			}
			if p := packets[0]; p.SenderSSRC != 0x11111111 || p.MediaSSRC != 0x22222222 || p.FbPktCount != 0 {
				t.Errorf("header %+v", p)
			}
			if b := a.AppendFeedback(nil, 1, 2); len(b) != 0 {
				t.Errorf("nothing has arrived since, but %x", b)
			}
		})
	}
}

// The feedback packet count grows by one per packet, and losses between two feedbacks are reported in the second.
func TestFeedbackContinues(t *testing.T) {
	var a bwe.Arrivals
	a.Record(10, t0)
	a.AppendFeedback(nil, 1, 2)
	a.Record(13, t0.Add(100*time.Millisecond))
	_, packets := decode(t, a.AppendFeedback(nil, 1, 2))
	if p := packets[0]; p.BaseSequenceNumber != 11 || p.PacketStatusCount != 3 || p.FbPktCount != 1 || p.ReferenceTime != 1 {
		t.Errorf("got %+v", p)
	}
}

// A packet that arrives after its number was reported missing is reported by the next feedback.
func TestLateArrivalIsReported(t *testing.T) {
	var a bwe.Arrivals
	a.Record(10, t0)
	a.Record(12, t0.Add(time.Millisecond))
	a.AppendFeedback(nil, 1, 2)
	a.Record(11, t0.Add(2*time.Millisecond))
	got, _ := decode(t, a.AppendFeedback(nil, 1, 2))
	if at, ok := got[11]; !ok || at != 8 {
		t.Errorf("got %v", got)
	}
}

// Random loss, delay and reordering: an independent decoder finds every arrival at its time.
func TestFeedbackRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var a bwe.Arrivals
	const first = 65000
	a.Record(first, t0)
	want, got := map[uint16]int64{first: 0}, map[uint16]int64{}
	at, seq := time.Duration(0), first+100
	for range 400 {
		for range rng.IntN(60) {
			at += time.Duration(rng.IntN(3000)) * time.Microsecond
			if rng.IntN(50) == 0 {
				at += time.Duration(rng.IntN(300)) * time.Millisecond
			}
			seq++
			if rng.IntN(10) == 0 {
				seq += rng.IntN(30)
			}
			late := uint16(seq)
			if rng.IntN(10) == 0 {
				late -= uint16(rng.IntN(20))
			}
			if _, dup := want[late]; !dup {
				a.Record(late, t0.Add(at))
				want[late] = int64(at / (250 * time.Microsecond))
			}
		}
		arrived, _ := decode(t, a.AppendFeedback(nil, 1, 2))
		for s, v := range arrived {
			if old, twice := got[s]; twice && old != v {
				t.Fatalf("%d reported at %d and at %d", s, old, v)
			}
			got[s] = v
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d reported, %d arrived", len(got), len(want))
	}
	for s, v := range want {
		if got[s] != v {
			t.Fatalf("%d reported at %d, arrived at %d", s, got[s], v)
		}
	}
}

// drain calls AppendFeedback until there is nothing left, and returns what the calls appended.
func drain(t *testing.T, a *bwe.Arrivals) (all []byte, calls int) {
	t.Helper()
	for {
		b := a.AppendFeedback(nil, 1, 2)
		if len(b) == 0 {
			return all, calls
		}
		if len(b) > 1100 {
			t.Errorf("%d bytes for one datagram", len(b))
		}
		all, calls = append(all, b...), calls+1
	}
}

// What one call appends fits one datagram, whatever was lost and however late the rest came; the next call goes on where it ended.
func TestFeedbackFitsOneDatagram(t *testing.T) {
	for name, arrives := range map[string]func(i int) (time.Duration, bool){
		"all, close together": func(i int) (time.Duration, bool) { return time.Duration(i) * time.Millisecond, true },
		"all, far apart":      func(i int) (time.Duration, bool) { return time.Duration(i) * 100 * time.Millisecond, true },
		"all beyond 16 bits":  func(i int) (time.Duration, bool) { return time.Duration(i) * 9 * time.Second, true },
		"every other":         func(i int) (time.Duration, bool) { return time.Duration(i) * 100 * time.Millisecond, i%2 == 0 },
		"runs of losses":      func(i int) (time.Duration, bool) { return time.Duration(i) * 9 * time.Second, i%200 == 0 },
		"deltas of all sizes": func(i int) (time.Duration, bool) {
			return time.Duration(i/2) * 100 * time.Millisecond, i%3 > 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			var a bwe.Arrivals
			want := map[uint16]time.Duration{}
			for i := range bwe.Window {
				if at, ok := arrives(i); ok {
					a.Record(uint16(i), t0.Add(at))
					want[uint16(i)] = at
				}
			}
			b, _ := drain(t, &a)
			got, packets := decode(t, b)
			if len(got) != len(want) {
				t.Errorf("%d of %d arrivals", len(got), len(want))
			}
			for seq, at := range want {
				if got[seq] != int64(at/(250*time.Microsecond)) {
					t.Fatalf("%d arrived at %d×250 µs, want %v", seq, got[seq], at)
				}
			}
			for i, p := range packets {
				if p.FbPktCount != uint8(i) {
					t.Fatalf("packet %d is counted as %d", i, p.FbPktCount)
				}
			}
		})
	}
}

// Limits: what is further back than Window is forgotten, a full window is reported in packets that fit a datagram each, and a jump
// over the window leaves one arrival.
func TestWindow(t *testing.T) {
	var a bwe.Arrivals
	for i := range bwe.Window + 500 {
		a.Record(uint16(i), t0.Add(time.Duration(i)*100*time.Millisecond)) // every delta is large
	}
	b, calls := drain(t, &a)
	got, packets := decode(t, b)
	if len(got) != bwe.Window || len(packets) != 3 || calls != 3 {
		t.Errorf("%d arrivals in %d packets of %d calls", len(got), len(packets), calls)
	}
	a.Record(5, t0.Add(time.Hour))
	if b := a.AppendFeedback(nil, 1, 2); len(b) != 0 {
		t.Errorf("a number beyond the window is reported: %x", b)
	}
	a.Record(30000, t0.Add(time.Hour))
	got, _ = decode(t, a.AppendFeedback(nil, 1, 2))
	if len(got) != 1 {
		t.Errorf("after a jump: %v", got)
	}
}

func TestArrivalsDoNotAllocate(t *testing.T) {
	var a bwe.Arrivals
	b := make([]byte, 0, 4096)
	seq, at := uint16(0), t0
	n := testing.AllocsPerRun(100, func() {
		for range 40 {
			seq += 1 + seq%3/2
			at = at.Add(time.Millisecond)
			a.Record(seq, at)
		}
		b = a.AppendFeedback(b[:0], 1, 2)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
