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
	"github.com/parley-rtc/parley/internal/dtls"
	"github.com/parley-rtc/parley/internal/port"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/srtp"
)

// Limit: maxHandshakes Transports of a shard were checked and have not finished their handshake. One more costs the source its oldest that
// has most, and where none has more than one, the oldest of all. Where its own source has most, it is over itself, with all that it has.
func TestMaxHandshakes(t *testing.T) {
	s, _ := placed()
	told := make([]last, maxHandshakes+5)
	reach := func(i int, from netip.Addr) {
		place, _ := s.Reserve(from)
		s.wait(epoch, i+1, &told[i], place)
		s.check(epoch, i+1)
	}
	reach(0, source(0))
	for i := 1; i < maxHandshakes; i++ {
		reach(i, source(max(2, i))) // the second and the third are of one source
	}
	reach(maxHandshakes, source(0))
	reach(maxHandshakes+1, source(0))
	reach(maxHandshakes+2, netip.Addr{})
	reach(maxHandshakes+3, source(5))
	reach(maxHandshakes+4, netip.Addr{})
	for i := range told {
		// The second, since only its source has two; then source(0) has two itself, and its next one is not let in; nobody else has so many
		// when the first goes for one who is not known. After that all have one: another one of source(5) is not let in, and the third, now
		// the oldest, goes for the last.
		gone := i <= 2 || i == maxHandshakes+1 || i == maxHandshakes+3
		if (told[i].State == Failed) != gone || gone && !strings.Contains(told[i].Reason, "handshake") {
			t.Errorf("%d: %+v", i, told[i])
		}
	}
	if s.handshakes.Len() != maxHandshakes || s.counts.Evicted != 5 {
		t.Errorf("%d handshakes, %d evicted", s.handshakes.Len(), s.counts.Evicted)
	}
	if len(s.transports) != maxHandshakes || len(s.pairs) != maxHandshakes || s.places.taken[0] != maxHandshakes {
		t.Errorf("%d transports, %d pairs, %d places", len(s.transports), len(s.pairs), s.places.taken[0])
	}
	s.key(epoch, s.transports[5], &dtls.Event{Profile: srtp.AEADAES128GCM, Client: keys(1), Server: keys(2)})
	s.command(epoch, CloseTransport{Transport: 6})
	if s.handshakes.Len() != maxHandshakes-2 {
		t.Errorf("%d handshakes, although one is finished and one is over", s.handshakes.Len())
	}
}

// last is a Sink that keeps the last event.
type last struct{ Event }

func (l *last) Post(e Event) bool { l.Event = e; return true }

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
	var used Place
	for i := range maxTransports {
		used = reserve(t, a, source(i), Admitted)
		used.checked()
	}
	reserve(t, a, source(0), Full)
	p := reserve(t, b, source(0), Admitted)
	p.Cancel()
	again := reserve(t, b, source(0), Admitted)
	again.checked()
	again.leave()
	used.leave()
	reserve(t, a, source(0), Admitted).Cancel()
	if p := a.places; p.taken[0] != maxTransports-1 || p.taken[1] != 0 || p.waiting.Len() != 0 {
		t.Errorf("left %v, %d", p.taken, p.waiting.Len())
	}
}

// Limit: maxUncheckedPerSource Transports of one source, which is an IPv6 /64 too, wait for their first check, on whatever shard.
func TestMaxUncheckedPerSource(t *testing.T) {
	a, b := placed()
	var mine Place
	for range maxUncheckedPerSource {
		mine = reserve(t, a, netip.MustParseAddr("2001:db8:0:1::1"), Admitted)
	}
	reserve(t, b, netip.MustParseAddr("2001:db8:0:1::2"), Crowded)
	reserve(t, b, netip.MustParseAddr("2001:db8:0:2::2"), Admitted)
	mine.checked()
	reserve(t, b, netip.MustParseAddr("2001:db8:0:1::2"), Admitted)
	reserve(t, b, netip.MustParseAddr("2001:db8:0:1::2"), Crowded)
}

// Limit: maxUnchecked Transports of all sources wait for their first check. Four sources that fill it keep nobody out: they give up their
// oldest, in turn. Who has as many as they is refused.
func TestMaxUnchecked(t *testing.T) {
	a, b := placed()
	const sources = maxUnchecked / maxUncheckedPerSource
	var all []Place
	for i := range maxUnchecked {
		all = append(all, reserve(t, a, source(i%sources), Admitted))
	}
	for i := range maxUncheckedPerSource {
		reserve(t, b, source(sources+i), Admitted)
		a.madeWay(t, all[i])
	}
	const left = maxUncheckedPerSource - maxUncheckedPerSource/sources
	if n, most := a.places.waiting.Len(), a.places.waiting.Holds(source(0)); n != maxUnchecked || most != left {
		t.Errorf("%d wait, %d of one source that had %d", n, most, maxUncheckedPerSource)
	}
	reserve(t, b, source(0), Unchecked)
	all[maxUncheckedPerSource].leave() // the oldest of that source
	reserve(t, b, source(0), Admitted)
	reserve(t, b, source(0), Unchecked)
	if len(a.mail.letters) > 0 {
		t.Error("somebody had to make way although a place was free, or for nobody")
	}
}

// Limit: a thousand sources with one Transport each keep nobody out either: the oldest of all makes way. A source that is not known has no
// more than one, so it is never refused, and whoever has two makes way before.
func TestMaxUncheckedOfUnknownSources(t *testing.T) {
	a, b := placed()
	var all []Place
	for range maxUnchecked - 3 {
		all = append(all, reserve(t, a, netip.Addr{}, Admitted))
	}
	two := reserve(t, a, source(1), Admitted)
	all = append(all, reserve(t, a, source(1), Admitted), reserve(t, a, source(2), Admitted))
	reserve(t, b, netip.Addr{}, Admitted)
	a.madeWay(t, two)
	reserve(t, b, source(2), Unchecked)
	for i := range all {
		reserve(t, b, netip.Addr{}, Admitted)
		a.madeWay(t, all[i])
	}
}

// Nobody is let in for whom no other is told to make way, and who asks only takes nobody's place.
func TestPlaceIsKept(t *testing.T) {
	a, b := placed()
	for i := range maxUnchecked {
		reserve(t, a, source(i/2), Admitted)
	}
	if r := b.Refuses(source(maxUnchecked)); r != Admitted || len(a.mail.letters) > 0 {
		t.Errorf("%d, %d letters", r, len(a.mail.letters))
	}
	if r := b.Refuses(source(1)); r != Unchecked {
		t.Errorf("%d for one who has most", r)
	}
	a.mail.close()
	reserve(t, b, source(maxUnchecked), Unchecked)
	if n := a.places.waiting.Len(); n != maxUnchecked {
		t.Errorf("%d wait", n)
	}
}

// A Transport that has to make way is told to have failed, also where its command comes only then. Whose first check was faster stays, and
// so does whatever came in its place.
func TestMakeWay(t *testing.T) {
	s, _ := placed()
	told := make([]last, 4)
	var places []Place
	open := func(i int) { s.wait(epoch, i+1, &told[i], places[i]) }
	for i := range told {
		places = append(places, reserve(t, s, source(i), Admitted))
	}
	open(0)
	open(2)
	s.check(epoch, 3)
	open(3)
	s.command(epoch, CloseTransport{Transport: 4})
	for _, p := range places {
		s.makeWay(p.reserved)
	}
	open(1)
	for i, want := range []State{Failed, Failed, 0, 0} {
		if told[i].State != want || want == Failed && told[i].Reason != noCheck {
			t.Errorf("%d: %+v", i, told[i])
		}
	}
	if len(s.transports) != 1 || s.transports[3] == nil || s.counts.Evicted != 2 || s.places.taken[0] != 1 || s.places.waiting.Len() != 0 {
		t.Errorf("%d left, %d evicted, places %v", len(s.transports), s.counts.Evicted, s.places.taken)
	}
}

// placed are two shards whose loops do not run, and that share places.
func placed() (a, b *Shard) {
	places, peers := newPlaces(2), make([]*Shard, 2)
	for i := range peers {
		peers[i] = newShard(Config{
			Sender: &counter{}, Pairs: port.NewPairs(), Recycle: func(*datagram.Batch) {}, Log: slog.New(slog.DiscardHandler),
		}, i, peers, nil)
		peers[i].places = places
	}
	return peers[0], peers[1]
}

// madeWay reads the shard's mail, by which that place, and no other, is given to somebody else.
func (s *Shard) madeWay(t *testing.T, want Place) {
	t.Helper()
	letters := s.mail.take(nil)
	for _, l := range letters {
		l.ask(s)
	}
	if len(letters) != 1 || !want.reserved.evicted {
		t.Fatalf("%d had to make way; the right one: %v", len(letters), want.reserved.evicted)
	}
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
