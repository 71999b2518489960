package host

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/stun/v4"
	"github.com/pion/webrtc/v4"
	"golang.org/x/net/ipv4"

	"github.com/parley-rtc/parley/internal/drop"
)

// A call goes on under a flood of 100,000 malformed datagrams of every kind, some of them from the address of a participant. At
// 20,000 a second not one packet is lost; as fast as another process can send them, no gap is above 60 ms. Each datagram is
// counted by the reason for which it was dropped, and those that the kernel dropped are counted too; the heap does not grow.
func TestScenarioFlood(t *testing.T) {
	n := startNode(t)
	defer n.stop()
	c := &churn{node: n, address: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), n.port.Local().Port())}
	call, err := c.callUp()
	if err != nil {
		t.Fatal(err)
	}
	defer call.end()
	for _, rate := range []int{20_000, 0} {
		// The machine may be busy with something else for a moment: that is not the server's fault. What is, comes each time.
		for try := 1; ; try++ {
			problems := call.flood(t, rate)
			if len(problems) == 0 {
				break
			}
			t.Logf("rate %d, try %d: %s", rate, try, strings.Join(problems, "; "))
			if try == 3 {
				t.Errorf("rate %d: %s", rate, strings.Join(problems, "; "))
				break
			}
		}
	}
	_, body := get(t, n.client(t), fmt.Sprintf("http://%s/metrics", c.address))
	if want := fmt.Sprintf("\nparley_udp_kernel_dropped_datagrams_total %d\n", n.port.Stats().UDP.KernelDrops); !strings.Contains(body, want) {
		t.Errorf("the metrics lack %q", want)
	}
}

const (
	floodSize   = 100_000
	floodOwn    = 5_000 // beside those, from the publisher's own address
	callRate    = 200   // packets of media a second
	maxGap      = 60 * time.Millisecond
	maxHeapRise = 8 << 20
)

// quietCall is one who publishes and one who listens.
type quietCall struct {
	*churn
	publisher, listener *visit
	ends                []func()
	track               *webrtc.TrackLocalStaticRTP
	ufrags              string // user name of the publisher's checks
	payload             []byte // of each packet

	// owned by the goroutine that talks; by the test while there is none
	next uint16 // number of the next packet

	mu     sync.Mutex
	times  []time.Time // of arrivals
	counts map[uint16]bool
}

func (c *churn) callUp() (*quietCall, error) {
	ctx := context.Background()
	x := &quietCall{
		churn:     c,
		publisher: &visit{churn: c, ctx: ctx, number: 1, room: "flooded"}, listener: &visit{churn: c, ctx: ctx, number: 2, room: "flooded"},
		next: 100, payload: []byte("\x78not sent again"), counts: map[uint16]bool{},
	}
	pub, kill, err := x.publisher.connection()
	if err != nil {
		return nil, err
	}
	x.ends = append(x.ends, kill)
	if err := x.publisher.publish(pub); err != nil {
		return nil, err
	}
	x.track = pub.GetSenders()[0].Track().(*webrtc.TrackLocalStaticRTP)
	x.ufrags = attribute(pub.RemoteDescription().SDP, "ice-ufrag") + ":" + attribute(pub.LocalDescription().SDP, "ice-ufrag")
	sub, kill, err := x.listener.connection()
	if err != nil {
		return nil, err
	}
	x.ends = append(x.ends, kill)
	sub.OnTrack(func(tr *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { x.listen(tr) })
	if err := x.listener.subscribe(sub); err != nil {
		return nil, err
	}
	for _, v := range []*visit{x.publisher, x.listener} {
		go func() { // reads what the server says, and answers its pings, until the socket is closed
			for {
				if _, _, err := v.socket.Read(ctx); err != nil {
					return
				}
			}
		}()
	}
	return x, x.begin()
}

// begin talks until something of it is heard.
func (x *quietCall) begin() error {
	stop, talked := make(chan struct{}), make(chan int, 1)
	go func() { talked <- x.talk(stop) }()
	defer func() {
		close(stop)
		<-talked
		time.Sleep(100 * time.Millisecond) // for what is on its way
	}()
	for range 100 {
		time.Sleep(50 * time.Millisecond)
		x.mu.Lock()
		heard := len(x.counts)
		x.mu.Unlock()
		if heard > 0 {
			return nil
		}
	}
	return errors.New("nothing is heard of the publisher")
}

func (x *quietCall) end() {
	_, _ = x.publisher.socket.CloseNow(), x.listener.socket.CloseNow()
	for _, f := range x.ends {
		f()
	}
}

func (x *quietCall) listen(tr *webrtc.TrackRemote) {
	b := make([]byte, 1500)
	var p rtp.Packet
	for {
		n, _, err := tr.Read(b)
		if err != nil {
			return
		}
		if p.Unmarshal(b[:n]) == nil {
			x.mu.Lock()
			x.times = append(x.times, time.Now())
			x.counts[p.SequenceNumber] = true
			x.mu.Unlock()
		}
	}
}

// talk sends media until stop, and returns how many packets.
func (x *quietCall) talk(stop chan struct{}) int {
	ticker := time.NewTicker(time.Second / callRate)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return i
		case <-ticker.C:
		}
		h := rtp.Header{Version: 2, SequenceNumber: x.next, Timestamp: uint32(x.next) * 240}
		x.next++
		_ = x.track.WriteRTP(&rtp.Packet{Header: h, Payload: x.payload})
	}
}

// flood runs the call for a while with a flood in the middle, and tells what went wrong.
func (x *quietCall) flood(t *testing.T, rate int) (problems []string) {
	t.Helper()
	fault := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	x.mu.Lock()
	x.times, x.counts = nil, map[uint16]bool{}
	x.mu.Unlock()
	first, stop, talked := x.next, make(chan struct{}), make(chan int, 1)
	go func() { talked <- x.talk(stop) }()
	time.Sleep(500 * time.Millisecond)
	before := x.tally()
	start := time.Now()
	own := make(chan struct{})
	go func() {
		defer close(own)
		x.fromOwnAddress(rate)
	}()
	sent, err := x.child(rate)
	<-own
	took := time.Since(start)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	after := x.tally()
	close(stop)
	media := <-talked
	time.Sleep(300 * time.Millisecond)

	lost, gap := x.received(first, media)
	dropped, kernel := uint64(0), after.kernel-before.kernel
	var reasons []string
	for r := range after.drops {
		if d := after.drops[r] - before.drops[r]; d > 0 {
			dropped += d
			reasons = append(reasons, fmt.Sprintf("%s %d", drop.Reason(r), d))
		}
	}
	t.Logf("rate %d: %d + %d datagrams in %v; %d of %d media packets lost, longest gap %v; kernel dropped %d; heap %+d KiB; %s",
		rate, sent, floodOwn, took.Round(time.Millisecond), lost, media, gap.Round(time.Millisecond), kernel,
		(int64(after.heap)-int64(before.heap))>>10, strings.Join(reasons, ", "))
	if rate > 0 && (lost > 0 || kernel > 0) {
		fault("%d media packets lost, the kernel dropped %d datagrams", lost, kernel)
	}
	if gap > maxGap || lost > media/10 {
		fault("a gap of %v, %d media packets lost", gap, lost)
	}
	if all := uint64(sent + floodOwn); dropped+kernel < all || dropped+kernel > all+uint64(lost)+floodSlack {
		fault("%d datagrams came, %d are accounted for and %d by the kernel", all, dropped, kernel)
	}
	if after.heap > before.heap+maxHeapRise {
		fault("the heap has grown by %d bytes", after.heap-before.heap)
	}
	return problems
}

// floodSlack is what the call itself drops meanwhile, such as reports about a slot that is empty.
const floodSlack = 20

// tally is what the server has counted so far.
type tally struct {
	drops  drop.Counts
	kernel uint64
	heap   uint64
}

func (x *quietCall) tally() (s tally) {
	p := x.node.port.Stats()
	s.drops, s.kernel = p.Drops, p.UDP.KernelDrops
	m, _ := x.node.shards.Counts(context.Background())
	s.drops.Merge(&m.Drops)
	s.heap = heap()
	return s
}

// received tells how many of the packets from first on are missing, and the longest time between two that came.
func (x *quietCall) received(first uint16, sent int) (lost int, gap time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	// Numbers go on over tries: the server's offset stays, so what comes is what was sent.
	for i := range sent {
		if !x.counts[first+uint16(i)] {
			lost++
		}
	}
	for i, at := range x.times {
		if i > 0 {
			gap = max(gap, at.Sub(x.times[i-1]))
		}
	}
	return lost, gap
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

// floodVariable tells a process of this test what to send; it then does that and nothing else.
const floodVariable = "PARLEY_TEST_FLOOD"

type floodOrder struct {
	Address netip.AddrPort
	Rate    int // datagrams a second; 0: as fast as can be
	Ufrags  string
}

func init() {
	order := os.Getenv(floodVariable)
	if order == "" {
		return
	}
	var o floodOrder
	if err := json.Unmarshal([]byte(order), &o); err != nil {
		panic(err)
	}
	fmt.Print(o.send())
	os.Exit(0)
}

// child lets another process send the flood, and returns how many datagrams it has sent.
func (x *quietCall) child(rate int) (sent int, err error) {
	order, _ := json.Marshal(floodOrder{x.address, rate, x.ufrags})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), floodVariable+"="+string(order))
	out, err := cmd.Output()
	if err == nil {
		_, err = fmt.Sscan(string(out), &sent)
	}
	return sent, err
}

// send sends the flood from several addresses.
func (o floodOrder) send() (sent int) {
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
	for i := 0; i < floodSize; i += burst {
		if o.Rate > 0 {
			time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(o.Rate))))
		}
		for rest := messages[i : i+burst]; len(rest) > 0; {
			n, err := conns[i/burst%len(conns)].WriteBatch(rest, 0)
			if err != nil {
				panic(err)
			}
			sent, rest = sent+n, rest[n:]
		}
	}
	return sent
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
	case 3: // a check for nobody
		return stunRequest("nobody:nobody", "0123456789012345678901")
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
