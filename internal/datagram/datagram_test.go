package datagram_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-rtc/parley/internal/datagram"
)

var (
	local = netip.MustParseAddrPort("192.0.2.1:8443")
	ann   = datagram.Pair{Local: local, Remote: netip.MustParseAddrPort("192.0.2.7:5000")}
	bob   = datagram.Pair{Local: local, Remote: netip.MustParseAddrPort("[2001:db8::7]:5000")}
)

// shape is a Run without its bytes.
type shape struct{ Size, Segments, Bytes int }

// Neighbours to one destination join while they are of one size; a shorter one is the last of its run (UDP_SEGMENT).
func TestRunsJoinWhatOneGSOMessageCanCarry(t *testing.T) {
	annTCP := ann
	annTCP.Proto = datagram.TCP
	type put struct {
		pair datagram.Pair
		n    int
	}
	many := func(n, size int) (p []put) {
		for range n {
			p = append(p, put{ann, size})
		}
		return p
	}
	for _, c := range []struct {
		name string
		puts []put
		want []shape
	}{
		{"nothing", nil, nil},
		{"one", []put{{ann, 100}}, []shape{{100, 1, 100}}},
		{"equal sizes join", many(3, 100), []shape{{100, 3, 300}}},
		{"a shorter one ends the run", []put{{ann, 100}, {ann, 40}, {ann, 40}}, []shape{{100, 2, 140}, {40, 1, 40}}},
		{"a longer one opens a run", []put{{ann, 100}, {ann, 101}}, []shape{{100, 1, 100}, {101, 1, 101}}},
		{"another destination opens a run", []put{{ann, 100}, {bob, 100}, {ann, 100}}, []shape{{100, 1, 100}, {100, 1, 100}, {100, 1, 100}}},
		{"another protocol opens a run", []put{{ann, 100}, {annTCP, 100}}, []shape{{100, 1, 100}, {100, 1, 100}}},
		{"an empty one is nothing", []put{{ann, 100}, {ann, 0}, {ann, 100}}, []shape{{100, 2, 200}}},
		{"segments are limited", many(datagram.MaxRunSegments+1, 10), []shape{{10, datagram.MaxRunSegments, 10 * datagram.MaxRunSegments}, {10, 1, 10}}},
		{"bytes are limited", many(49, 1350), []shape{{1350, 48, 48 * 1350}, {1350, 1, 1350}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := datagram.NewEgress(1 << 17)
			for _, p := range c.puts {
				if ok := e.Append(p.pair, make([]byte, p.n)); ok != (p.n > 0) {
					t.Fatalf("append of %d bytes: %v", p.n, ok)
				}
			}
			var got []shape
			for _, r := range e.Runs() {
				got = append(got, shape{r.Size, r.Segments, len(r.B)})
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// What goes in comes out, byte for byte and in order, each to its own pair.
func TestRunsHoldTheBytesInOrder(t *testing.T) {
	e := datagram.NewEgress(64)
	e.Append(ann, []byte("aaaa"))
	e.Append(ann, []byte("bb"))
	e.Append(bob, []byte("cc"))
	runs := e.Runs()
	if len(runs) != 2 || string(runs[0].B) != "aaaabb" || runs[0].Pair != ann || string(runs[1].B) != "cc" || runs[1].Pair != bob {
		t.Errorf("got %+v", runs)
	}
	if e.Len() != 8 || e.Free() != 56 {
		t.Errorf("len %d, free %d", e.Len(), e.Free())
	}
	e.Reset()
	if len(e.Runs()) != 0 || e.Len() != 0 || e.Free() != 64 {
		t.Errorf("after reset: %d runs, len %d, free %d", len(e.Runs()), e.Len(), e.Free())
	}
}

// The capacity is fixed: what does not fit is refused and what is there stays as it is.
func TestEgressRefusesWhatDoesNotFit(t *testing.T) {
	e := datagram.NewEgress(10)
	if !e.Append(ann, []byte("12345678")) || e.Append(ann, []byte("abc")) || !e.Append(ann, []byte("ab")) {
		t.Error("8 and 2 of 10 bytes fit, 3 more do not")
	}
	if e.Reserve(1) != nil {
		t.Error("a full Egress reserves nothing")
	}
	if r := e.Runs(); len(r) != 1 || string(r[0].B) != "12345678ab" {
		t.Errorf("got %+v", r)
	}
}

// Reserved bytes count only from Commit on; fewer may be committed than were reserved, and no neighbour can be overwritten.
func TestReserveThenCommit(t *testing.T) {
	e := datagram.NewEgress(100)
	copy(e.Reserve(50), "abandoned")
	b := e.Reserve(50)
	if len(b) != 50 || cap(b) != 50 {
		t.Fatalf("reserved len %d cap %d", len(b), cap(b))
	}
	copy(b, "sealed")
	e.Commit(ann, 6)
	e.Commit(ann, 0)
	if r := e.Runs(); len(r) != 1 || string(r[0].B) != "sealed" || r[0].Segments != 1 {
		t.Errorf("got %+v", r)
	}
}

// What waited to be read arrived before; where nothing is known of that, or the system's clock was set meanwhile, it arrives now.
func TestArrival(t *testing.T) {
	now := time.Now()
	for _, c := range []struct{ before, want time.Duration }{
		{30 * time.Millisecond, 30 * time.Millisecond}, {0, 0}, {time.Second, time.Second}, {time.Second + 1, 0}, {-1, 0}, {time.Duration(now.UnixNano()), 0},
	} {
		d := datagram.Datagram{At: now.UnixNano() - int64(c.before)}
		if got := now.Sub(d.Arrival(now)); got != c.want {
			t.Errorf("%v before now: arrived %v before, want %v", c.before, got, c.want)
		}
	}
}

// A batch takes BatchSize datagrams of at most MaxBytes and copies them.
func TestBatchLimits(t *testing.T) {
	b := datagram.NewBatch()
	if b.Append(ann, make([]byte, datagram.MaxBytes+1)) {
		t.Error("took a datagram that is too long")
	}
	p := bytes.Repeat([]byte{7}, datagram.MaxBytes)
	for i := range datagram.BatchSize {
		if !b.Append(ann, p) {
			t.Fatalf("refused datagram %d", i)
		}
	}
	if b.Append(ann, p) {
		t.Error("took one more than BatchSize")
	}
	p[0] = 8
	for i := range b.N {
		if d := b.D[i]; d.Pair != ann || len(d.B) != datagram.MaxBytes || d.B[0] != 7 {
			t.Fatalf("datagram %d was not copied", i)
		}
		if cap(b.Storage(i)) != datagram.MaxBytes {
			t.Fatalf("storage %d reaches into its neighbour", i)
		}
	}
	b.Reset()
	if b.N != 0 || !b.Append(bob, p) || b.D[0].Pair != bob {
		t.Error("not reusable after Reset")
	}
}

// Filling, listing and emptying allocate nothing once the slices have grown.
func TestNoAllocation(t *testing.T) {
	e, b, p := datagram.NewEgress(1<<16), datagram.NewBatch(), make([]byte, 1200)
	work := func() {
		e.Reset()
		b.Reset()
		for i := range datagram.BatchSize {
			pair := ann
			if i%5 == 0 {
				pair = bob
			}
			if !e.Append(pair, p) || !b.Append(pair, p) {
				t.Fatal("does not fit")
			}
		}
		if len(e.Runs()) == 0 {
			t.Fatal("no runs")
		}
	}
	work()
	if n := testing.AllocsPerRun(100, work); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestProtoAsInCandidateLines(t *testing.T) {
	if datagram.UDP.String() != "udp" || datagram.TCP.String() != "tcp" {
		t.Errorf("%v, %v", datagram.UDP, datagram.TCP)
	}
}

// One source is one IPv4 address, mapped or not, or one IPv6 /64.
func TestSource(t *testing.T) {
	for _, c := range []struct{ a, b string }{
		{"192.0.2.1", "::ffff:192.0.2.1"},
		{"2001:db8:1:2:3::4", "2001:db8:1:2::9"},
		{"fe80::1%eth0", "fe80::2%2"},
	} {
		if a, b := datagram.Source(netip.MustParseAddr(c.a)), datagram.Source(netip.MustParseAddr(c.b)); a != b {
			t.Errorf("%s is %v, %s is %v", c.a, a, c.b, b)
		}
	}
	if datagram.Source(netip.MustParseAddr("192.0.2.1")) == datagram.Source(netip.MustParseAddr("192.0.2.2")) ||
		datagram.Source(netip.MustParseAddr("2001:db8:0:1::1")) == datagram.Source(netip.MustParseAddr("2001:db8:0:2::1")) {
		t.Error("different sources are one")
	}
}
