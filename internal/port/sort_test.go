package port

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/sim"
)

// inbox is an owner with room for a number of batches, and for a number from strangers.
type inbox struct{ own, strangers batches }

func (o inbox) Batch(b *datagram.Batch) bool     { return o.own.put(b) }
func (o inbox) Strangers(b *datagram.Batch) bool { return o.strangers.put(b) }

type batches chan *datagram.Batch

func (c batches) put(b *datagram.Batch) bool {
	select {
	case c <- b:
		return true
	default:
		return false
	}
}

// texts takes what is there and gives its batches back.
func (c batches) texts(p *Port) (out []string) {
	for len(c) > 0 {
		b := <-c
		for _, d := range b.D[:b.N] {
			out = append(out, string(d.B))
		}
		p.Recycle(b)
	}
	return out
}

// sorter is a port without traffic of its own, with owners, and with a relay if there is one; pair i belongs to owner i.
func sorter(t testing.TB, owners int, relay ...Relay) (*Port, []inbox) {
	t.Helper()
	n := sim.New(sim.Config{})
	conn, err := n.Listen(netip.MustParseAddrPort("192.0.2.1:8443"))
	if err != nil {
		t.Fatal(err)
	}
	p := New(Config{}, conn, nil)
	var inboxes []inbox
	var all []Owner
	for i := range owners {
		o := inbox{make(batches, 4), make(batches, 4)}
		inboxes, all = append(inboxes, o), append(all, o)
		p.pairs.Claim(pairOf(i), i)
	}
	for _, r := range relay {
		p.SetRelay(r)
	}
	p.Start(all...)
	t.Cleanup(func() {
		p.Close()
		n.Close()
	})
	return p, inboxes
}

// request is a Binding request as far as a port looks at it.
func request(ufrag string) string {
	name := ufrag + ":them"
	padded := name + strings.Repeat("\x00", -len(name)&3)
	return "\x00\x01\x00" + string(rune(4+len(padded))) + "\x21\x12\xa4\x42transaction.\x00\x06\x00" + string(rune(len(name))) + padded
}

func (p *Port) put(t testing.TB, pair int, all ...string) {
	t.Helper()
	b := p.Take()
	for _, s := range all {
		b.Append(pairOf(pair), []byte(s))
	}
	p.Give(b)
}

// Of the 256 first bytes exactly those of STUN, DTLS, RTP and RTCP are handed on (RFC 7983 section 7), in their order.
func TestFirstByte(t *testing.T) {
	p, o := sorter(t, 1)
	kept := map[byte]bool{}
	for first := 0; first < 256; first += datagram.BatchSize {
		var all []string
		for i := range datagram.BatchSize {
			all = append(all, string([]byte{byte(first + i), byte(i)}))
		}
		p.put(t, 0, all...)
		last := -1
		for _, s := range o[0].own.texts(p) {
			kept[s[0]] = true
			if int(s[0]) <= last || s[1] != s[0]-byte(first) {
				t.Fatalf("out of order, or another's bytes: %x", s)
			}
			last = int(s[0])
		}
	}
	for i := range 256 {
		want := i <= 3 || i >= 20 && i <= 63 || i >= 128 && i <= 191
		if kept[byte(i)] != want {
			t.Errorf("first byte %d kept: %v", i, kept[byte(i)])
		}
	}
	if n := p.Stats().Drops[drop.UnknownClass]; n != 256-4-44-64 {
		t.Errorf("%d dropped", n)
	}
}

// A check goes where its user fragment says, from wherever it comes, and among those of strangers where nobody has validated its
// pair; everything else goes to whose pair it is; the rest is nobody's and is dropped for a reason.
func TestOwner(t *testing.T) {
	const stranger = 99
	for _, c := range []struct {
		name  string
		pair  int
		b     string
		owner int // -1: nobody's
		why   drop.Reason
	}{
		{"check of a new client", stranger, request("Bser"), 1, drop.None},
		{"check from another's pair", 2, request("Bser"), 1, drop.None},
		{"check for a shard that is not there", 0, request("Dser"), -1, drop.UnknownUfrag},
		{"check for no shard", 0, request("-ser"), -1, drop.UnknownUfrag},
		{"other STUN on a known pair", 2, "\x00\x11\x00\x00\x21\x12\xa4\x42transaction.", 2, drop.None},
		{"other STUN from elsewhere", stranger, "\x00\x11\x00\x00\x21\x12\xa4\x42transaction.", -1, drop.UnknownUfrag},
		{"no STUN behind its first byte", stranger, "\x00", -1, drop.UnknownUfrag},
		{"DTLS", 1, "\x16", 1, drop.None},
		{"DTLS from elsewhere", stranger, "\x16", -1, drop.UnknownSource},
		{"RTP", 2, "\x80", 2, drop.None},
		{"RTP from elsewhere", stranger, "\x80", -1, drop.UnknownSource},
		{"TURN channel data", 1, "\x40", -1, drop.UnknownClass},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, owners := sorter(t, 3)
			p.put(t, c.pair, c.b)
			for i, o := range owners {
				strange := c.pair == stranger
				if own, others := o.own.texts(p), o.strangers.texts(p); (len(own) == 1) != (i == c.owner && !strange) ||
					(len(others) == 1) != (i == c.owner && strange) {
					t.Errorf("owner %d got %q, and %q from strangers", i, own, others)
				}
			}
			drops := p.Stats().Drops
			if c.why != drop.None && drops[c.why] != 1 {
				t.Errorf("drops %v", drops)
			}
		})
	}
}

// A mixed batch is split: everyone gets what is his, in order, what strangers sent apart; who has no room loses his part and
// nobody else's.
func TestMixedBatch(t *testing.T) {
	p, owners := sorter(t, 3)
	mixed := func() {
		b := p.Take()
		for i, pair := range []int{1, 1, 0, 2, 1, 99, 0, 1, 2, 1} {
			b.Append(pairOf(pair), fmt.Appendf(nil, "\x80%d", i))
		}
		b.Append(pairOf(1), []byte(request("Aser")))
		b.Append(pairOf(99), []byte(request("Anew")))
		p.Give(b)
	}
	mixed()
	for i, want := range []string{"\x802 \x806 " + request("Aser"), "\x800 \x801 \x804 \x807 \x809", "\x803 \x808"} {
		if got := strings.Join(owners[i].own.texts(p), " "); got != want {
			t.Errorf("owner %d got %q, want %q", i, got, want)
		}
		got, want := strings.Join(owners[i].strangers.texts(p), " "), ""
		if i == 0 {
			want = request("Anew")
		}
		if got != want {
			t.Errorf("owner %d got %q from strangers, want %q", i, got, want)
		}
	}
	for len(owners[2].own) < cap(owners[2].own) {
		p.put(t, 2, "\x80")
	}
	for len(owners[0].strangers) < cap(owners[0].strangers) {
		p.put(t, 99, request("Anew"))
	}
	mixed()
	if len(owners[0].own) != 1 || len(owners[1].own) != 1 || p.Stats().Drops[drop.InboxFull] != 2+1 {
		t.Errorf("%d and %d batches, drops %v", len(owners[0].own), len(owners[1].own), p.Stats().Drops)
	}
}

// relayInbox is a relay with room for a number of batches, and none for anything else.
type relayInbox struct{ batches }

func (r relayInbox) Batch(b *datagram.Batch) bool            { return r.put(b) }
func (r relayInbox) Serve(net.Conn, datagram.Pair)           {}
func (r relayInbox) FromMedia(r2 datagram.Run) (dropped int) { return r2.Segments }

// stunOf is a STUN message of a type, without attributes.
func stunOf(typ string) string { return typ + "\x00\x00\x21\x12\xa4\x42transaction." }

// RFC 8489 §5, RFC 8656 §12.4: with a relay, ChannelData and whatever STUN is not an ICE agent's go there from wherever they come, also from a
// pair that media use; all else goes where it goes without.
func TestRelay(t *testing.T) {
	const (
		stranger = 99
		toRelay  = -2
		nobody   = -1
	)
	channelData := "\x40\x00\x00\x03abc"
	for _, c := range []struct {
		name        string
		b           string
		known, from int // where it goes from the pair of owner 1, and from a stranger's
	}{
		{"ChannelData", channelData, toRelay, toRelay},
		{"the last channel", "\x7f\xff\x00\x00", toRelay, toRelay},
		{"Allocate", stunOf("\x00\x03"), toRelay, toRelay},
		{"Refresh", stunOf("\x00\x04"), toRelay, toRelay},
		{"Send", stunOf("\x00\x16"), toRelay, toRelay},
		{"CreatePermission", stunOf("\x00\x08"), toRelay, toRelay},
		{"ChannelBind", stunOf("\x00\x09"), toRelay, toRelay},
		{"Binding", stunOf("\x00\x01"), toRelay, toRelay},
		{"Binding with a name that is no user fragment", strings.ReplaceAll(request("abc"), ":", "-"), toRelay, toRelay},
		{"check", request("Cser"), 2, 2},
		{"keepalive", stunOf("\x00\x11"), 1, toRelay},
		{"answer to a check", stunOf("\x01\x01"), 1, nobody},
		{"refusal of a check", stunOf("\x01\x11"), 1, nobody},
		{"another cookie", strings.Replace(stunOf("\x00\x03"), "\x21", "\x22", 1), 1, nobody},
		{"RTP", "\x80", 1, nobody},
		{"DTLS", "\x16", 1, nobody},
	} {
		t.Run(c.name, func(t *testing.T) {
			for pair, want := range map[int]int{1: c.known, stranger: c.from} {
				r := relayInbox{make(batches, 4)}
				p, owners := sorter(t, 3, r)
				p.put(t, pair, c.b)
				got := nobody
				if len(r.texts(p)) == 1 {
					got = toRelay
				}
				for i, o := range owners {
					if n := len(o.own.texts(p)) + len(o.strangers.texts(p)); n == 1 && got == nobody {
						got = i
					} else if n != 0 {
						t.Errorf("pair %d: owner %d got it too", pair, i)
					}
				}
				if got != want {
					t.Errorf("pair %d: goes to %d, want %d", pair, got, want)
				}
			}
		})
	}
}

// In a mixed batch the relay gets its part, in order, and media theirs; what the relay has no room for is lost to nobody else, and counted.
func TestMixedBatchWithRelay(t *testing.T) {
	r := relayInbox{make(batches, 1)}
	p, owners := sorter(t, 2, r)
	for range 2 {
		p.put(t, 1, "\x80a", "\x40\x001", "\x80b", stunOf("\x00\x03"), "\x40\x002", "\x80c")
	}
	if got, want := fmt.Sprintf("%q", r.texts(p)), fmt.Sprintf("%q", []string{"\x40\x001", stunOf("\x00\x03"), "\x40\x002"}); got != want {
		t.Errorf("the relay got %s, want %s", got, want)
	}
	if got := strings.Join(owners[1].own.texts(p), ""); got != "\x80a\x80b\x80c\x80a\x80b\x80c" {
		t.Errorf("the owner got %q", got)
	}
	if n := p.Stats().Drops[drop.InboxFull]; n != 3 {
		t.Errorf("%d dropped", n)
	}
}

// What relayed addresses have for media goes to whose check it is, or whose pair; they reach nothing else through memory: no allocation is
// made from one, and nothing of it is taken for media of a client that has moved.
func TestRelayedToMedia(t *testing.T) {
	r := relayInbox{make(batches, 4)}
	p, owners := sorter(t, 2, r)
	give := func(pair datagram.Pair, s string) {
		b := p.Take()
		pair.Proto = datagram.Relayed
		b.Append(pair, []byte(s))
		p.Give(b)
	}
	known := pairOf(1)
	known.Proto = datagram.Relayed
	p.Pairs().Claim(known, 1)
	give(pairOf(1), "\x80rtp")
	give(pairOf(99), request("Bnew"))
	if own, strangers := owners[1].own.texts(p), owners[1].strangers.texts(p); len(own) != 1 || len(strangers) != 1 {
		t.Errorf("own %q, strangers %q", own, strangers)
	}
	for _, s := range []string{"\x40\x00\x00\x01x", stunOf("\x00\x03"), stunOf("\x00\x01"), "\x80" + strings.Repeat("x", 20)} {
		give(pairOf(0), s) // which is somebody's by UDP
	}
	for i, o := range owners {
		if n := len(o.own) + len(o.strangers); n != 0 {
			t.Errorf("owner %d got %d", i, n)
		}
	}
	if len(r.batches) != 0 {
		t.Error("the relay got something from itself")
	}
	dropped := uint64(0)
	for _, n := range p.Stats().Drops {
		dropped += n
	}
	if dropped != 4 {
		t.Errorf("drops %v", p.Stats().Drops)
	}
}

// A batch that is all one owner's goes as it is, and none is split or sorted with an allocation.
func TestSortAllocatesNothing(t *testing.T) {
	r := relayInbox{make(batches, 4)}
	p, owners := sorter(t, 3, r)
	whole := p.Take()
	whole.Append(pairOf(2), []byte("\x80"))
	p.Give(whole)
	if b := <-owners[2].own; b != whole {
		t.Error("another batch came")
	} else {
		p.Recycle(b)
	}
	n := testing.AllocsPerRun(100, func() {
		b := p.Take()
		for i := range datagram.BatchSize - 1 {
			b.Append(pairOf(i%3), []byte("\x80rtp"))
		}
		b.Append(pairOf(1), []byte("\x40\x00\x00\x00"))
		p.Give(b)
		for _, o := range owners {
			p.Recycle(<-o.own)
		}
		p.Recycle(<-r.batches)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever arrives from whomever is handed to one owner, unchanged, or counted as dropped for one reason; and what no owner has
// validated comes among strangers' checks, if at all.
func FuzzSort(f *testing.F) {
	f.Add(request("BAAAAAAA"), true)
	f.Add(request("zAAAAAAA"), false)
	f.Add(request("AAA"), false)
	f.Add(request("AAAAAAAA")[:30], false)
	f.Add("\x80rtp", true)
	f.Add("\x16dtls", false)
	f.Add("\x40turn", true)
	f.Fuzz(func(t *testing.T, s string, known bool) {
		if len(s) == 0 || len(s) > datagram.MaxBytes {
			return
		}
		p, owners := sorter(t, 2)
		pair := 0
		if !known {
			pair = 2
		}
		p.put(t, pair, s)
		handed := uint64(0)
		for _, o := range owners {
			own, strangers := o.own.texts(p), o.strangers.texts(p)
			for _, got := range append(own, strangers...) {
				handed++
				if got != s {
					t.Errorf("%q became %q", s, got)
				}
			}
			if !known && len(own) > 0 || len(strangers) > 0 && s[0] > lastSTUN {
				t.Errorf("%q of a stranger among what is known: %q, %q", s, own, strangers)
			}
		}
		dropped := uint64(0)
		for _, n := range p.Stats().Drops {
			dropped += n
		}
		if handed+dropped != 1 {
			t.Errorf("handed on %d times, dropped %d times", handed, dropped)
		}
	})
}

// BenchmarkSort is what the port does with a datagram of 1200 bytes: of one owner, or of several in turn.
func BenchmarkSort(b *testing.B) {
	for _, owners := range []int{1, 2, 4} {
		b.Run(fmt.Sprint(owners), func(b *testing.B) {
			p, inboxes := sorter(b, owners)
			d := append([]byte{0x80}, make([]byte, 1199)...)
			batch, full := p.Take(), [datagram.BatchSize]datagram.Datagram{}
			for i := range full {
				full[i] = datagram.Datagram{Pair: pairOf(i / 5 % owners), B: d}
			}
			for b.Loop() {
				batch.D, batch.N = full, datagram.BatchSize
				if !p.hand(batch) {
					b.Fatal("refused")
				}
				for _, o := range inboxes {
					if got := <-o.own; got != batch {
						p.Recycle(got)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*datagram.BatchSize), "ns/datagram")
		})
	}
}

// The limit of strayRate and strayBurst: of what may be media from addresses that nobody has validated, the first owner may look at 200
// packets a second, and 50 at once. It is only RTP and RTCP, of a header's length, by UDP.
func TestStrayLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, owners := sorter(t, 3)
		packet := "\x80" + strings.Repeat("x", 11)
		passed := func(n int) (all int) {
			for range n {
				p.put(t, 99, packet)
				all += len(owners[0].strangers.texts(p))
			}
			return all
		}
		for _, b := range []string{packet[:11], "\x16" + packet, "\x40" + packet} {
			p.put(t, 99, b)
		}
		tcp := p.Take()
		pair := pairOf(99)
		pair.Proto = datagram.TCP
		tcp.Append(pair, []byte(packet))
		p.Give(tcp)
		if n := len(owners[0].strangers); n != 0 {
			t.Errorf("%d are taken for media", n)
		}
		if n := passed(1000); n != 50 {
			t.Errorf("%d passed at once", n)
		}
		time.Sleep(100 * time.Millisecond)
		if n := passed(1000); n != 20 {
			t.Errorf("%d passed after 100 ms", n)
		}
		if len(owners[1].strangers)+len(owners[2].strangers)+len(owners[0].own) != 0 {
			t.Error("another owner got some")
		}
		if n := p.Stats().Drops[drop.UnknownSource]; n != 3+2000-70 {
			t.Errorf("%d dropped", n)
		}
	})
}
