package media

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/port"
	"github.com/parley-rtc/parley/internal/sdp"
)

// Limit: beyond maxHandshakes DTLS handshakes at once, a first record is dropped as by a full queue. The client sends it again.
func TestMaxHandshakes(t *testing.T) {
	s, _ := loopless(t, 1)
	e := s.transports[1]
	s.handshakes = maxHandshakes
	s.out.DTLS = []byte{22, 254, 253}
	s.deliver(e, pairOf(1))
	if s.drops[drop.DtlsQueueFull] != 1 || e.association != nil || s.handshakes != maxHandshakes {
		t.Errorf("%d drops, %d handshakes", s.drops[drop.DtlsQueueFull], s.handshakes)
	}
}

// Limit: a Transport is found by maxUfrags user fragments, whose first is in use and whose others are of restarts that have not come
// to pass; older ones are forgotten.
func TestMaxUfrags(t *testing.T) {
	s, _ := loopless(t, 1)
	for i := range 3 * maxUfrags {
		s.restart(epoch, RestartICE{
			Transport: 1, Local: sdp.ICE{Ufrag: fmt.Sprintf("again%d", i), Pwd: "0123456789012345678901ab"},
			Remote: sdp.ICE{Ufrag: fmt.Sprintf("client%d", i), Pwd: "abcdefghijabcdefghijabcd"},
		})
	}
	want := []string{"server1", "again9", "again10", "again11"}
	if len(s.ufrags) != maxUfrags {
		t.Errorf("%d user fragments", len(s.ufrags))
	}
	for _, ufrag := range want {
		if s.ufrags[ufrag] != s.transports[1] {
			t.Errorf("not found by %q", ufrag)
		}
	}
}

// Limit: maxReports faults a minute are logged. All are counted.
func TestMaxReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := newShard(Config{
			Sender: &counter{}, Pairs: port.NewPairs(), Recycle: func(*datagram.Batch) {}, Log: slog.New(slog.NewTextHandler(&log, nil)),
		}, 0, nil, nil)
		fault := func() {
			defer s.recover(nil)
			panic("broken")
		}
		for minute := range 2 {
			for range maxReports + 5 {
				fault()
			}
			if logged := strings.Count(log.String(), "panic=broken"); logged != (minute+1)*maxReports {
				t.Errorf("minute %d: %d logged", minute, logged)
			}
			time.Sleep(time.Minute)
		}
		if s.counts.Panics != 2*(maxReports+5) {
			t.Errorf("%d counted", s.counts.Panics)
		}
	})
}

// Limit: maxLetterBytes of records and messages wait for the loop. What has no bytes of its own is taken meanwhile.
func TestMaxLetterBytes(t *testing.T) {
	m := newMail()
	record := make([]byte, 1<<20)
	for i := range maxLetterBytes / len(record) {
		if !m.put(letter{transport: 1, record: record}) {
			t.Fatalf("record %d is refused", i)
		}
	}
	if m.put(letter{transport: 1, record: record[:1]}) || m.put(letter{stray: &datagram.Datagram{B: record[:1]}}) {
		t.Error("a byte more is taken")
	}
	if !m.put(letter{command: Unpublish{}}) {
		t.Error("a command is refused")
	}
	m.take(nil)
	if !m.put(letter{transport: 1, record: record}) {
		t.Error("refused although nothing waits any more")
	}
}

// Limit: maxTransports have a place on a shard, and on each of a node. A place that is given up, used or not, is there for the next one.
func TestMaxTransports(t *testing.T) {
	a, b := placed()
	for i := range maxTransports {
		reserve(t, a, source(i), Admitted).checked()
	}
	reserve(t, a, source(0), Full)
	p := reserve(t, b, source(0), Admitted)
	p.Cancel()
	last := reserve(t, b, source(0), Admitted)
	last.checked()
	last.leave(true)
	Place{shard: 0, places: a.places}.leave(true)
	reserve(t, a, source(0), Admitted).Cancel()
	if p := a.places; p.taken[0] != maxTransports-1 || p.taken[1] != 0 || p.unchecked != 0 || len(p.sources) != 0 {
		t.Errorf("left %v, %d, %v", p.taken, p.unchecked, p.sources)
	}
}

// Limit: maxUncheckedPerSource Transports of one source, which is an IPv6 /64 too, wait for their first check, and maxUnchecked of all.
func TestMaxUnchecked(t *testing.T) {
	a, b := placed()
	var mine Place
	for range maxUncheckedPerSource {
		mine = reserve(t, a, netip.MustParseAddr("2001:db8:0:1::1"), Admitted)
	}
	reserve(t, b, netip.MustParseAddr("2001:db8:0:1::2"), Crowded)
	for i := range maxUnchecked - maxUncheckedPerSource {
		reserve(t, b, source(i), Admitted)
	}
	reserve(t, b, source(maxUnchecked), Unchecked)
	mine.checked()
	reserve(t, b, source(maxUnchecked), Admitted)
	reserve(t, a, source(maxUnchecked), Unchecked)
}

// placed are two shards without loops that share places.
func placed() (a, b *Shard) {
	places := newPlaces(2)
	return &Shard{index: 0, places: places}, &Shard{index: 1, places: places}
}

func source(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }

func reserve(t *testing.T, s *Shard, from netip.Addr, want Refusal) Place {
	t.Helper()
	p, r := s.Reserve(from)
	if r != want {
		t.Fatalf("%v on shard %d: %d, want %d", from, s.index, r, want)
	}
	return p
}
