package host

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

const (
	maxSlowTime = 10 * time.Second // until a client that takes nothing is dropped, from when more waits for it than may
	maxSlowHeap = 4 << 20          // that it may cost
	maxUnread   = 32 << 20         // bytes that are sent to who reads nothing until more waits than may: the kernel's buffers take some of them
	maxStall    = time.Second / 2  // that others may wait for a packet; a server that waited for the closed window would take eight seconds
	chatAhead   = 16               // messages of a chat that not all have heard; more wait until they have
)

// A client that stops reading its WebSocket, while others chat as fast as they may, is dropped as a slow reader within ten seconds from when more waits
// for it than may, which costs at most 4 MiB. The others get every message, in order, and learn why it left.
func TestScenarioSlowSocket(t *testing.T) {
	n := startNode(t, "--no-state") // what waits for the log of a room has a limit of its own, journal.MaxQueuedBytes
	defer n.stop()
	c := &churn{node: n, address: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), n.port.Local().Port())}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	chat := newChat(t, ctx, c, 6)
	until(t, "histories, and what is kept for a resume, to fill up", func() bool { return chat.said.Load() > 600 })
	before := chat.pace.heap(ctx)
	var conn *net.TCPConn
	slow := &visit{churn: c, ctx: ctx, number: 9, room: "chat", dial: keep(&conn)}
	if err := slow.joinAndCut(); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadBuffer(4 << 10)
	if s := n.signal.Stats(); s.SlowReaders != 0 || s.Sessions != len(chat.talkers)+1 {
		t.Fatalf("%+v", s)
	}
	d := slowDrop{stats: n.signal.Stats, size: wire.MaxChatBytes, said: chat.said.Load, heap: func() uint64 { return chat.pace.heap(ctx) }}
	cost := d.wait(t, before)
	for n.signal.Stats().Sessions+n.port.Stats().Connections > 2*len(chat.talkers) && time.Since(d.told) < maxSlowTime {
		time.Sleep(50 * time.Millisecond)
	}
	if gone := time.Since(d.told); gone > maxSlowTime {
		t.Errorf("it is gone %v after it was told", gone)
	}
	chat.end(t, wire.CodeSlowReader)
	_ = slow.socket.CloseNow()
	t.Logf("%d messages of %d bytes; heap %+d KiB", chat.said.Load(), wire.MaxChatBytes, cost>>10)
}

// slowDrop watches how somebody who reads nothing is dropped.
type slowDrop struct {
	stats func() signal.Stats
	size  int64        // bytes of each message
	said  func() int64 // messages so far
	heap  func() uint64

	told time.Time // when the resync was made
}

// wait waits until the client is dropped as a slow reader, and returns what it cost of the heap.
func (d *slowDrop) wait(t *testing.T, before uint64) (cost int64) {
	t.Helper()
	start, begun, most := time.Now(), d.said(), uint64(0)
	for s := d.stats(); s.SlowReaders == 0; s = d.stats() {
		switch {
		case s.Resyncs == 0 && (d.said()-begun)*d.size > maxUnread:
			t.Fatalf("no resync after %d messages", d.said()-begun)
		case s.Resyncs > 0 && d.told.IsZero():
			d.told = time.Now()
			t.Logf("told after %d messages, in %v", d.said()-begun, d.told.Sub(start).Round(time.Millisecond))
		case !d.told.IsZero() && time.Since(d.told) > 2*maxSlowTime:
			t.Fatal("it is not dropped")
		}
		time.Sleep(100 * time.Millisecond)
		most = max(most, d.heap())
	}
	if d.told.IsZero() {
		t.Fatal("it was dropped without a resync")
	}
	took := time.Since(d.told)
	t.Logf("dropped %v later", took.Round(time.Millisecond))
	cost = int64(most) - int64(before)
	if took > maxSlowTime || cost > maxSlowHeap {
		t.Errorf("it was dropped after %v, and cost %d bytes", took, cost)
	}
	return cost
}

// pace makes those who say something wait for those who hear it, so that a busy machine has no others who are slow, and only what the slow one costs
// is on the heap.
type pace struct {
	behind func() int64 // messages that somebody who reads has not heard
	pause  sync.RWMutex
}

// say says something unless somebody is as far behind as that.
func (p *pace) say(most int64, what func() error) error {
	p.pause.RLock()
	defer p.pause.RUnlock()
	if p.behind() >= most {
		return nil
	}
	return what()
}

// heap is what is in use while nothing is under way but to who does not read.
func (p *pace) heap(ctx context.Context) uint64 {
	p.pause.Lock()
	defer p.pause.Unlock()
	for p.behind() > 0 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	return heap()
}

// heap is what is in use, at the least of some looks: what is allocated while the collector marks counts as used.
func heap() uint64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	least := uint64(math.MaxUint64)
	for range 3 {
		runtime.GC()
		metrics.Read(live)
		least = min(least, live[0].Value.Uint64())
	}
	return least
}

// chat is a room in which all talk as much as the server lets them, until it ends.
type chat struct {
	talkers []*talker
	said    atomic.Int64
	pace    pace
	isOver  atomic.Bool
}

func newChat(t *testing.T, ctx context.Context, c *churn, people int) *chat {
	t.Helper()
	x := &chat{}
	x.pace.behind = func() (most int64) {
		for _, k := range x.talkers {
			most = max(most, x.said.Load()-k.heardAll.Load())
		}
		return most
	}
	for i := range people {
		k := &talker{visit: &visit{churn: c, ctx: ctx, number: i, room: "chat"}, heard: map[string][]int{}}
		if err := k.joinAndCut(); err != nil {
			t.Fatal(err)
		}
		k.running.Go(k.listen)
		x.talkers = append(x.talkers, k)
	}
	for _, k := range x.talkers {
		k.running.Go(func() { k.talk(x) })
	}
	return x
}

// end ends it once all have heard all that was said, and why somebody left.
func (x *chat) end(t *testing.T, left wire.Code) {
	t.Helper()
	x.pace.pause.Lock() // nobody is saying anything
	x.isOver.Store(true)
	x.pace.pause.Unlock()
	said := x.said.Load()
	deadline := time.Now().Add(patience)
	for i, k := range x.talkers {
		for (k.heardAll.Load() < said || k.left.Load() == nil) && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
		_ = k.socket.CloseNow()
		k.running.Wait()
		for from, numbers := range k.heard {
			for j, number := range numbers {
				if number != j {
					t.Errorf("talker %d heard message %d of %s in place of %d", i, number, from, j)
					break
				}
			}
		}
		if why := k.left.Load(); k.heardAll.Load() != said || why == nil || *why != left {
			t.Errorf("talker %d heard %d of %d messages, and that the slow one left: %v", i, k.heardAll.Load(), said, why)
		}
	}
}

// talker chats.
type talker struct {
	*visit
	running  sync.WaitGroup
	heardAll atomic.Int64
	left     atomic.Pointer[wire.Code] // why somebody did

	// owned by talk
	said int

	// owned by listen until running is done
	heard map[string][]int
}

// talk sends numbered messages, as many as the server lets one send.
func (k *talker) talk(x *chat) {
	ticker := time.NewTicker(time.Second / 45)
	defer ticker.Stop()
	for {
		<-ticker.C
		if x.pace.say(chatAhead, func() error {
			if x.isOver.Load() {
				return net.ErrClosed
			}
			text := fmt.Sprintf("%d %s", k.said, strings.Repeat("x", wire.MaxChatBytes-20))
			k.said++
			x.said.Add(1)
			return put(k.ctx, k.socket, uint64(1000+k.said), wire.TypeChat, wire.Chat{Text: text})
		}) != nil {
			return
		}
	}
}

func (k *talker) listen() {
	for {
		_, b, err := k.socket.Read(k.ctx)
		if err != nil {
			return
		}
		var m wire.Message
		_ = json.Unmarshal(b, &m)
		switch m.Type {
		case wire.TypeChatReceived:
			var chat wire.ChatMessage
			_ = json.Unmarshal(m.Body, &chat)
			number := -1
			_, _ = fmt.Sscan(chat.Text, &number)
			k.heard[chat.From] = append(k.heard[chat.From], number)
			k.heardAll.Add(1)
		case wire.TypeParticipantLeft:
			var left wire.ParticipantLeft
			_ = json.Unmarshal(m.Body, &left)
			k.left.Store(&left.Reason)
		}
	}
}

// A subscriber over ICE-TCP that stops reading, so that its window closes, is cut off within ten seconds, is told so, and costs
// at most 4 MiB. Another subscriber loses nothing, and waits for nothing.
func TestScenarioZeroWindow(t *testing.T) {
	n := startNode(t)
	defer n.stop()
	c := &churn{node: n, address: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), n.port.Local().Port())}
	call, err := c.callUp()
	if err != nil {
		t.Fatal(err)
	}
	defer call.end()
	call.payload = append([]byte{0x78}, make([]byte, 1000)...) // 1.6 Mb/s
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	slow := &visit{churn: c, ctx: ctx, number: 9, room: call.listener.room}
	if slow.bridge, err = newBridge(slow.own(), c.address); err != nil {
		t.Fatal(err)
	}
	defer slow.bridge.close()
	pc, kill, err := slow.connection()
	if err != nil {
		t.Fatal(err)
	}
	defer kill()
	if err := slow.subscribe(pc); err != nil {
		t.Fatal(err)
	}
	defer slow.socket.CloseNow()
	told := make(chan string, 16)
	go func() {
		for {
			_, b, err := slow.socket.Read(ctx)
			if err != nil {
				return
			}
			var m wire.Message
			var state wire.Transport
			if _ = json.Unmarshal(b, &m); m.Type == wire.TypeTransport && json.Unmarshal(m.Body, &state) == nil && state.State != "connected" {
				told <- state.State
			}
		}
	}()

	call.forget()
	first, stop, talked := call.next, make(chan struct{}), make(chan int, 1)
	go func() { talked <- call.talk(stop) }()
	until(t, "frames over TCP", func() bool { return slow.bridge.frames.Load() >= callRate/2 })
	if streams := n.port.Stats().Streams; streams != 1 {
		t.Fatalf("%d connections", streams)
	}
	before := heap()
	slow.bridge.freeze()
	start, most := time.Now(), uint64(0)
	for n.port.Stats().Streams > 0 && time.Since(start) < 2*maxSlowTime {
		time.Sleep(250 * time.Millisecond)
		most = max(most, heap())
	}
	took := time.Since(start)
	state := "nothing"
	select {
	case state = <-told:
	case <-time.After(patience):
	}
	toldAfter := time.Since(start)
	close(stop)
	media := <-talked
	time.Sleep(300 * time.Millisecond)
	r := call.received(first, media)
	t.Logf("cut off after %v, told %q after %v; heap %+d KiB; another lost %d of %d packets, longest gap %v (talker late %v)",
		took.Round(time.Millisecond), state, toldAfter.Round(time.Millisecond), (int64(most)-int64(before))>>10, r.Lost, r.Media,
		r.Gap.Round(time.Millisecond), r.Late.Round(time.Millisecond))
	if took > maxSlowTime+r.Late || toldAfter > maxSlowTime+time.Second+r.Late { // a machine that has no time for the talker has none for the server
		t.Errorf("cut off after %v, told %q after %v", took, state, toldAfter)
	}
	if r.Lost > 0 || r.Gap > maxStall || most > before+maxSlowHeap {
		t.Errorf("another lost %d of %d packets and got nothing for %v; the heap has grown by %d bytes", r.Lost, r.Media, r.Gap, most-before)
	}
}

// bridge carries what a PeerConnection sends by UDP over one ICE-TCP connection (RFC 4571), and back.
type bridge struct {
	udp    *net.UDPConn
	tcp    *net.TCPConn
	frames atomic.Int64 // from the server
	frozen chan struct{}
	client atomic.Pointer[netip.AddrPort]
	done   sync.WaitGroup
}

func newBridge(local *net.UDPAddr, server netip.AddrPort) (*bridge, error) {
	udp, err := net.ListenUDP("udp4", local)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp4", server.String())
	if err != nil {
		return nil, err
	}
	b := &bridge{udp: udp, tcp: conn.(*net.TCPConn), frozen: make(chan struct{})}
	_ = b.tcp.SetReadBuffer(16 << 10)
	b.done.Go(b.up)
	b.done.Go(b.down)
	return b, nil
}

func (b *bridge) up() {
	buf := make([]byte, 2048)
	for {
		n, from, err := b.udp.ReadFromUDPAddrPort(buf[2:])
		if err != nil {
			return
		}
		b.client.Store(&from)
		binary.BigEndian.PutUint16(buf, uint16(n))
		if _, err := b.tcp.Write(buf[:2+n]); err != nil {
			return
		}
	}
}

func (b *bridge) down() {
	buf := make([]byte, 2048)
	for {
		select {
		case <-b.frozen:
			return
		default:
		}
		if _, err := io.ReadFull(b.tcp, buf[:2]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(buf))
		if _, err := io.ReadFull(b.tcp, buf[:n]); err != nil {
			return
		}
		b.frames.Add(1)
		if to := b.client.Load(); to != nil {
			_, _ = b.udp.WriteToUDPAddrPort(buf[:n], *to)
		}
	}
}

// freeze stops reading what the server sends.
func (b *bridge) freeze() { close(b.frozen) }

func (b *bridge) close() {
	_ = b.udp.Close()
	_ = b.tcp.Close()
	b.done.Wait()
}

// through replaces the server's candidates in an answer by the bridge.
func (b *bridge) through(answer string) string {
	var out []string
	for line := range strings.SplitSeq(answer, "\r\n") {
		if strings.HasPrefix(line, "a=candidate:") {
			continue
		}
		out = append(out, line)
		if strings.HasPrefix(line, "a=ice-pwd:") {
			local := b.udp.LocalAddr().(*net.UDPAddr)
			out = append(out, fmt.Sprintf("a=candidate:1 1 udp 2130706431 %s %d typ host", local.IP, local.Port))
		}
	}
	return strings.Join(out, "\r\n")
}

// keep is an HTTP client that shows its connection.
func keep(to **net.TCPConn) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		*to, _ = conn.(*net.TCPConn)
		return conn, err
	}}}
}
