package host

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	"golang.org/x/net/ipv4"

	"github.com/parley-rtc/parley/internal/drop"
)

// A call goes on under a flood of 100,000 malformed datagrams of every kind, some of them from the address of a participant. At
// 20,000 a second not one packet is lost; as fast as another process can send them, no gap is above 60 ms. Each datagram is
// counted by the reason for which it was dropped, and those that the kernel dropped are counted too; the heap does not grow.
func TestScenarioFlood(t *testing.T) {
	n, address, call := nodeInCall(t)
	for _, rate := range []int{floodRate, 0} {
		f := flood{node: n, address: address, call: call, rate: rate}
		if err := f.run(); err != nil {
			t.Fatal(err)
		}
		f.judge(t)
	}
	_, body := get(t, n.client(t), fmt.Sprintf("http://%s/metrics", address))
	if want := fmt.Sprintf("\nparley_udp_kernel_dropped_datagrams_total %d\n", n.port.Stats().UDP.KernelDrops); !strings.Contains(body, want) {
		t.Errorf("the metrics lack %q", want)
	}
}

const (
	floodSize   = 100_000
	floodOwn    = 5_000 // beside those, from the publisher's own address
	maxGap      = 60 * time.Millisecond
	floodRate   = 20_000 // a second, which a flood as fast as can be exceeds
	maxHeapRise = 8 << 20
)

// flood is one trial: a call with a flood in the middle.
type flood struct {
	node    *node
	address netip.AddrPort
	call    *remoteCall
	rate    int // datagrams a second; 0: as fast as can be

	// what came of it
	sent          int
	took          time.Duration // that the sending took, without what this machine kept it from
	before, after tally
	reception     reception
}

func (f *flood) run() error {
	if _, err := f.call.ask("talk"); err != nil {
		return err
	}
	time.Sleep(500 * time.Millisecond)
	f.before = f.tally()
	own := make(chan error, 1)
	go func() {
		_, err := f.call.ask("own", f.rate)
		own <- err
	}()
	out, err := child(childOrder{Flood: &floodOrder{f.address, f.rate, f.call.ufrags}}).Output()
	if err == nil {
		_, err = fmt.Sscan(string(out), &f.sent, &f.took)
	}
	if err := errors.Join(err, <-own); err != nil {
		return err
	}
	for start := time.Now(); time.Since(start) < patience; time.Sleep(100 * time.Millisecond) {
		if f.after = f.tally(); f.accounted() >= uint64(f.sent+floodOwn) {
			break
		}
	}
	a, err := f.call.ask("stop")
	f.reception = a.Reception
	return err
}

// drops are those of the trial by their reasons.
func (f *flood) drops() (drops drop.Counts) {
	for r := range drops {
		drops[r] = f.after.drops[r] - f.before.drops[r]
	}
	return drops
}

// kernel is how many the kernel has dropped.
func (f *flood) kernel() uint64 { return f.after.kernel - f.before.kernel }

// accounted is how many have been dropped, for whatever reason.
func (f *flood) accounted() uint64 {
	sum := f.kernel()
	for _, n := range f.drops() {
		sum += n
	}
	return sum
}

// judge tells what went wrong.
func (f *flood) judge(t *testing.T) {
	kernel, r := f.kernel(), f.reception
	t.Logf("rate %d: %d + %d datagrams in %v; %d of %d media packets lost, longest gap %v (talker late %v); kernel dropped %d; heap %+d KiB; %v",
		f.rate, f.sent, floodOwn, f.took.Round(time.Millisecond), r.Lost, r.Media, r.Gap.Round(time.Millisecond), r.Late.Round(time.Millisecond),
		kernel, (int64(f.after.heap)-int64(f.before.heap))>>10, f.drops())
	if f.rate > 0 && (r.Lost > 0 || kernel > 0) {
		t.Errorf("rate %d: %d media packets lost, the kernel dropped %d datagrams", f.rate, r.Lost, kernel)
	}
	if reached := float64(f.sent) / f.took.Seconds(); reached < cmp.Or(0.9*float64(f.rate), floodRate) {
		t.Errorf("rate %d: the flood reached only %.0f datagrams a second", f.rate, reached)
	}
	if r.Gap > maxGap || r.Lost > r.Media/10 {
		t.Errorf("rate %d: a gap of %v, %d media packets lost", f.rate, r.Gap, r.Lost)
	}
	if all, accounted := uint64(f.sent+floodOwn), f.accounted(); accounted < all || accounted > all+uint64(r.Lost)+floodSlack {
		t.Errorf("rate %d: %d datagrams came, %d are accounted for, %d of them by the kernel", f.rate, all, accounted, kernel)
	}
	if f.after.heap > f.before.heap+maxHeapRise {
		t.Errorf("rate %d: the heap has grown by %d bytes", f.rate, f.after.heap-f.before.heap)
	}
}

// floodSlack is what the call itself drops meanwhile, such as reports about a slot that is empty.
const floodSlack = 20

// tally is what the server has counted so far.
type tally struct {
	drops  drop.Counts
	kernel uint64
	heap   uint64
}

func (f *flood) tally() (s tally) {
	p := f.node.port.Stats()
	s.drops, s.kernel = p.Drops, p.UDP.KernelDrops
	m, _ := f.node.shards.Counts(context.Background())
	s.drops.Merge(&m.Drops)
	relay := f.node.turn.relay.Stats()
	s.drops.Merge(&relay.Drops)
	s.heap = heap()
	return s
}

// fromOwnAddress sends garbage from the publisher's socket, as somebody who forges its address would.
func (x *quietCall) fromOwnAddress(rate int) {
	r := rand.New(rand.NewPCG(7, 7))
	to := net.UDPAddrFromAddrPort(x.address)
	for i := range floodOwn {
		b := randomBytes(r, 40+r.IntN(200))
		switch i % 4 {
		case 0: // DTLS application data
			copy(b, []byte{23, 254, 253, 0, 1, 0, 0})
		case 1: // RTP
			b[0], b[1] = 0x80, 111
		case 2: // RTCP
			b[0], b[1] = 0x80, 200
		case 3: // of no protocol
			b[0] = 100
		}
		_, _ = x.publisher.conn.WriteTo(b, to)
		if rate > 0 && i%20 == 19 {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// floodOrder is what another process shall send.
type floodOrder struct {
	Address netip.AddrPort
	Rate    int // datagrams a second; 0: as fast as can be
	Ufrags  string
}

// send sends the flood from several addresses, and tells how many went and how long it took.
func (o floodOrder) send() (sent int, took time.Duration) {
	r := rand.New(rand.NewPCG(1, uint64(o.Rate)))
	var conns []*ipv4.PacketConn
	for range 4 {
		conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(o.Address))
		if err != nil {
			panic(err)
		}
		conns = append(conns, ipv4.NewPacketConn(conn))
	}
	messages := make([]ipv4.Message, floodSize)
	for i := range messages {
		messages[i].Buffers = [][]byte{o.datagram(r, i)}
	}
	const burst = 50
	start := time.Now()
	pace := steady{rate: o.Rate, due: start}
	for i := 0; i < floodSize; i += burst {
		pace.wait(burst)
		for rest := messages[i : i+burst]; len(rest) > 0; {
			n, err := conns[i/burst%len(conns)].WriteBatch(rest, 0)
			if err != nil {
				panic(err)
			}
			sent, rest = sent+n, rest[n:]
		}
	}
	return sent, time.Since(start) - pace.lost
}

// steady keeps to a rate. What this machine keeps it from is not made up for beyond maxLate: that would be another rate.
type steady struct {
	rate int // a second; 0: none
	due  time.Time
	lost time.Duration // that was not made up for
}

const maxLate = 20 * time.Millisecond

// wait waits until so many more are due.
func (s *steady) wait(count int) {
	if s.rate == 0 {
		return
	}
	time.Sleep(time.Until(s.due))
	if late := time.Since(s.due) - maxLate; late > 0 {
		s.due, s.lost = s.due.Add(late), s.lost+late
	}
	s.due = s.due.Add(time.Duration(count) * time.Second / time.Duration(s.rate))
}

// datagram is one that a server must not like.
func (o floodOrder) datagram(r *rand.Rand, i int) []byte {
	size := 20 + r.IntN(300)
	b := randomBytes(r, size)
	switch i % 10 {
	case 0: // what no STUN parser understands
		b[0] &= 3
	case 1: // a STUN header, and a length that is not its own
		return append(stunRequest(o.Ufrags, "0123456789012345678901")[:20+r.IntN(20)], b[:r.IntN(4)]...)
	case 2: // a check that names a Transport and does not know its password
		return stunRequest(o.Ufrags, fmt.Sprintf("%022d", i))
	case 3: // a check for nobody: the first letter tells the shard that it would be for
		return stunRequest(string(o.Ufrags[0])+"obody:nobody", "0123456789012345678901")
	case 4: // a DTLS record
		copy(b, []byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0})
		binary.BigEndian.PutUint16(b[11:], uint16(size-13))
	case 5: // RTP
		b[0], b[1] = 0x80, byte(96+r.IntN(30))
	case 6: // RTCP
		b[0], b[1] = 0x81, byte(200+r.IntN(7))
	case 7: // of no protocol, or TURN's
		b[0] = 64 + b[0]%64
	case 8: // nothing, too much, or one byte
		return slices.Concat(make([]byte, []int{0, 1, 2500}[r.IntN(3)]))
	}
	return b
}

func stunRequest(user, password string) []byte {
	m, err := stun.Build(stun.BindingRequest, stun.TransactionID, stun.NewUsername(user),
		stun.RawAttribute{Type: stun.AttrPriority, Value: []byte{110, 0, 0, 255}}, stun.RawAttribute{Type: stun.AttrUseCandidate},
		stun.NewShortTermIntegrity(password), stun.Fingerprint)
	if err != nil {
		panic(err)
	}
	return m.Raw
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
