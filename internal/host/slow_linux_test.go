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

	"github.com/parley-rtc/parley/wire"
)

const (
	maxSlowTime = 10 * time.Second // until a client that takes nothing is dropped
	maxSlowHeap = 4 << 20          // that it may cost
	maxStall    = time.Second / 2  // that others may wait for a packet; a server that waited for the closed window would take eight seconds
)

// A client that stops reading its WebSocket, while others chat as fast as they may, is dropped as a slow reader within ten
// seconds, which costs at most 4 MiB. The others get every message, in order, and learn why it left.
func TestScenarioSlowSocket(t *testing.T) {
	n := startNode(t, "--no-state") // what waits for the log of a room has a limit of its own, journal.MaxQueuedBytes
	defer n.stop()
	c := &churn{node: n, address: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), n.port.Local().Port())}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var talkers []*talker
	for i := range 6 {
		k := &talker{visit: &visit{churn: c, ctx: ctx, number: i, room: "chat"}, heard: map[string][]int{}}
		if err := k.joinAndCut(); err != nil {
			t.Fatal(err)
		}
		k.running.Go(k.listen)
		talkers = append(talkers, k)
	}
	stop := make(chan struct{})
	for _, k := range talkers {
		k.running.Go(func() { k.talk(stop) })
	}
	time.Sleep(3 * time.Second) // histories and what is kept for a resume fill up
	before := heap()
	var conn *net.TCPConn
	slow := &visit{churn: c, ctx: ctx, number: 9, room: "chat", dial: keep(&conn)}
	if err := slow.joinAndCut(); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadBuffer(4 << 10)
	if s := n.signal.Stats(); s.SlowReaders != 0 || s.Sessions != len(talkers)+1 {
		t.Fatalf("%+v", s)
	}
	start, most := time.Now(), uint64(0)
	for n.signal.Stats().SlowReaders == 0 && time.Since(start) < 2*maxSlowTime {
		time.Sleep(250 * time.Millisecond)
		most = max(most, heap())
	}
	took := time.Since(start)
	for n.signal.Stats().Sessions+n.port.Stats().Connections > 2*len(talkers) && time.Since(start) < 2*maxSlowTime {
		time.Sleep(50 * time.Millisecond)
	}
	gone := time.Since(start)
	close(stop)
	time.Sleep(500 * time.Millisecond)
	_ = slow.socket.CloseNow()
	said := 0
	for _, k := range talkers {
		said += int(k.said.Load())
	}
	for i, k := range talkers {
		_ = k.socket.CloseNow()
		k.running.Wait()
		heard := 0
		for from, numbers := range k.heard {
			heard += len(numbers)
			for j, number := range numbers {
				if number != j {
					t.Errorf("talker %d heard message %d of %s in place of %d", i, number, from, j)
					break
				}
			}
		}
		if heard != said || k.left != wire.CodeSlowReader {
			t.Errorf("talker %d heard %d of %d messages, and that the slow one left: %q", i, heard, said, k.left)
		}
	}
	t.Logf("%d messages of %d bytes; told after %v, gone after %v; heap %+d KiB", said, wire.MaxChatBytes, took.Round(time.Millisecond), gone.Round(time.Millisecond), (int64(most)-int64(before))>>10)
	if gone > maxSlowTime {
		t.Errorf("dropped after %v", gone)
	}
	if most > before+maxSlowHeap {
		t.Errorf("cost %d bytes", most-before)
	}
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

// talker chats.
type talker struct {
	*visit
	said    atomic.Int64
	running sync.WaitGroup

	// owned by listen
	heard map[string][]int
	left  wire.Code
}

// talk sends numbered messages, as many as the server lets one send.
func (k *talker) talk(stop chan struct{}) {
	ticker := time.NewTicker(time.Second / 45)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		text := fmt.Sprintf("%d %s", k.said.Add(1)-1, strings.Repeat("x", wire.MaxChatBytes-20))
		if put(k.ctx, k.socket, uint64(1000+k.said.Load()), wire.TypeChat, wire.Chat{Text: text}) != nil {
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
		case wire.TypeParticipantLeft:
			var left wire.ParticipantLeft
			_ = json.Unmarshal(m.Body, &left)
			k.left = left.Reason
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
	time.Sleep(time.Second)
	if slow.bridge.frames.Load() < callRate/2 || n.port.Stats().Streams != 1 {
		t.Fatalf("%d frames over TCP, %d connections", slow.bridge.frames.Load(), n.port.Stats().Streams)
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
	case <-time.After(2*maxSlowTime - took):
	}
	toldAfter := time.Since(start)
	close(stop)
	media := <-talked
	time.Sleep(300 * time.Millisecond)
	r := call.received(first, media)
	t.Logf("cut off after %v, told %q after %v; heap %+d KiB; another lost %d of %d packets, longest gap %v",
		took.Round(time.Millisecond), state, toldAfter.Round(time.Millisecond), (int64(most)-int64(before))>>10, r.Lost, r.Media, r.Gap.Round(time.Millisecond))
	if took > maxSlowTime || toldAfter > maxSlowTime+time.Second {
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
