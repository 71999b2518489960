package port_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/port"
	"github.com/parley-rtc/parley/internal/sim"
	"github.com/parley-rtc/parley/internal/udp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	serverAddr = netip.MustParseAddrPort("10.0.0.1:8443")
	clientAddr = netip.MustParseAddrPort("10.0.0.2:5000")
)

// owner keeps the batches it is given, up to a number.
type owner chan *datagram.Batch

func (o owner) Batch(b *datagram.Batch) bool {
	select {
	case o <- b:
		return true
	default:
		return false
	}
}

func (o owner) Strangers(b *datagram.Batch) bool { return o.Batch(b) }

// memoryListener is a net.Listener of connections in memory, from whatever address the test wants.
type memoryListener struct {
	arrivals chan any // net.Conn or error
	done     chan struct{}
	once     sync.Once
}

func newMemoryListener() *memoryListener {
	return &memoryListener{arrivals: make(chan any), done: make(chan struct{})}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case a := <-l.arrivals:
		if err, ok := a.(error); ok {
			return nil, err
		}
		return a.(net.Conn), nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(serverAddr) }

// dial connects from an address.
func (l *memoryListener) dial(from string) net.Conn {
	server, client := net.Pipe()
	l.arrivals <- &memoryConn{server, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from))}
	synctest.Wait()
	return client
}

type memoryConn struct {
	net.Conn
	remote *net.TCPAddr
}

func (c *memoryConn) RemoteAddr() net.Addr { return c.remote }
func (c *memoryConn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(serverAddr) }

// isOpen reports whether the port has not closed the connection: nothing is ever sent to it in these tests.
func isOpen(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(time.Nanosecond))
	_, err := c.Read(make([]byte, 1))
	return err != io.EOF
}

// bubble is a port on a simulated network and a listener in memory, in a synctest bubble.
type bubble struct {
	*port.Port
	tcp    *memoryListener
	client *sim.Conn
	owner  owner
	relay  *relay // nil: there is none
}

// inBubble runs f with a port, and proves by its end that no goroutine is left.
func inBubble(t *testing.T, cfg port.Config, f func(t *testing.T, b *bubble)) {
	t.Helper()
	inBubbleWith(t, cfg, nil, f)
}

// inBubbleWith is the same with a relay.
func inBubbleWith(t *testing.T, cfg port.Config, r *relay, f func(t *testing.T, b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := sim.New(sim.Config{})
		defer n.Close()
		server, err := n.Listen(serverAddr)
		if err != nil {
			t.Fatal(err)
		}
		client, err := n.Listen(clientAddr)
		if err != nil {
			t.Fatal(err)
		}
		b := &bubble{tcp: newMemoryListener(), client: client, owner: make(owner, 4), relay: r}
		b.Port = port.New(cfg, server, b.tcp)
		if r != nil {
			b.SetRelay(r)
		}
		b.Start(b.owner)
		f(t, b)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := b.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if s := b.Stats(); s.Connections != 0 || s.HalfOpen != 0 || s.Streams != 0 || s.TURN != 0 {
			t.Errorf("after Close: %+v", s)
		}
	})
}

// Of the batches that a peak has left as many are kept as the limit says, and few once nobody uses them.
func TestIdleBatches(t *testing.T) {
	inBubble(t, port.Config{}, func(t *testing.T, b *bubble) {
		for _, c := range []struct {
			idle time.Duration
			most int
		}{{0, 64}, {18 * time.Second, 32}, {time.Minute, 4}} {
			peak := map[*datagram.Batch]bool{}
			for range 100 {
				batch := datagram.NewBatch()
				peak[batch] = true
				b.Recycle(batch)
			}
			time.Sleep(c.idle)
			kept := 0
			for range 100 {
				if peak[b.Take()] {
					kept++
				}
			}
			if kept > c.most || kept < c.most/2 {
				t.Errorf("%d batches are kept after %v, want %d", kept, c.idle, c.most)
			}
		}
	})
}

// A load that comes in bursts keeps the batches that its bursts need.
func TestBatchesInUse(t *testing.T) {
	inBubble(t, port.Config{}, func(t *testing.T, b *bubble) {
		seen := map[*datagram.Batch]bool{}
		for range 60 {
			var burst []*datagram.Batch
			for range 40 {
				burst = append(burst, b.Take())
			}
			for _, batch := range burst {
				seen[batch] = true
				b.Recycle(batch)
			}
			time.Sleep(time.Second)
		}
		if len(seen) > 48 {
			t.Errorf("bursts of 40 batches have made %d", len(seen))
		}
	})
}

// send sends datagrams from the client.
func (b *bubble) send(all ...string) {
	e := datagram.NewEgress(1 << 16)
	for _, s := range all {
		e.Append(datagram.Pair{Local: clientAddr, Remote: serverAddr}, []byte(s))
	}
	b.client.Send(e)
	synctest.Wait()
}

// Datagrams reach the owner in batches, without those of no class; batches that it gives back are used again; what it has no
// room for is dropped and counted, and those behind it are not held up.
func TestUDPToOwner(t *testing.T) {
	inBubble(t, port.Config{}, func(t *testing.T, b *bubble) {
		b.Pairs().Claim(datagram.Pair{Local: serverAddr, Remote: clientAddr}, 0)
		b.send("\x00stun", "GET unknown", "\x16dtls", "\x80rtp", "\x40turn")
		var got []string
		for len(b.owner) > 0 { // one batch or more, as the reader is scheduled
			batch := <-b.owner
			for _, d := range batch.D[:batch.N] {
				if d.Pair != (datagram.Pair{Local: serverAddr, Remote: clientAddr}) {
					t.Errorf("pair %+v", d.Pair)
				}
				got = append(got, string(d.B))
			}
			b.Recycle(batch)
			if again := b.Take(); again != batch || again.N != 0 {
				t.Error("the batch is not used again")
			}
		}
		if strings.Join(got, " ") != "\x00stun \x16dtls \x80rtp" {
			t.Errorf("got %q", got)
		}
		for range 6 {
			b.send("\x80rtp")
		}
		b.send("only unknown")
		if s := b.Stats(); len(b.owner) != 4 || s.Drops[drop.InboxFull] != 2 || s.Drops[drop.UnknownClass] != 3 {
			t.Errorf("%d batches, drops %v", len(b.owner), s.Drops)
		}
	})
}

// Egress goes out by the protocol of its pair; what has no way is counted.
func TestSendSplits(t *testing.T) {
	inBubble(t, port.Config{}, func(t *testing.T, b *bubble) {
		c := b.tcp.dial("10.0.0.3:7000")
		c.Write([]byte(iceCheck))
		tcp := (<-b.owner).D[0].Pair
		if want := (datagram.Pair{Local: serverAddr, Remote: netip.MustParseAddrPort("10.0.0.3:7000"), Proto: datagram.TCP}); tcp != want {
			t.Fatalf("pair %+v, want %+v", tcp, want)
		}
		gone := tcp
		gone.Remote = clientAddr
		e := datagram.NewEgress(1000)
		e.Append(datagram.Pair{Local: serverAddr, Remote: clientAddr}, []byte("\x01udp"))
		e.Append(tcp, []byte("\x01tcp"))
		e.Append(gone, []byte("\x80gone"))
		e.Append(gone, []byte("\x80gone"))
		b.Send(e)
		batch := datagram.NewBatch()
		if err := b.client.ReadBatch(batch); err != nil || string(batch.D[0].B) != "\x01udp" {
			t.Errorf("UDP: %v", err)
		}
		got := make([]byte, 6)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "\x00\x04\x01tcp" {
			t.Errorf("TCP: %q, %v", got, err)
		}
		if d := b.Stats().Drops[drop.EgressFull]; d != 2 {
			t.Errorf("%d dropped, want 2", d)
		}
	})
}

const (
	// check is a Binding request for the first owner, as far as a port looks at it: header and USERNAME.
	check = "\x00\x01\x00\x10\x21\x12\xa4\x42transaction.\x00\x06\x00\x09Aser:them\x00\x00\x00"
	// iceCheck begins an ICE-TCP connection: the same in a frame.
	iceCheck = "\x00\x24" + check
	// httpFirst is as much of a request as the port reads itself: a write in memory waits until all of it has been read.
	httpFirst = "GET / HTTP"
)

// Who says nothing, or too little, is closed after SniffTimeout; who has said enough to be HTTP by then is served.
func TestSlowFirstBytes(t *testing.T) {
	inBubble(t, port.Config{}, func(t *testing.T, b *bubble) {
		silent, trickle, short := b.tcp.dial("10.0.0.3:1"), b.tcp.dial("10.0.0.3:2"), b.tcp.dial("10.0.0.3:3")
		short.Write([]byte("GET"))
		for range 4 {
			time.Sleep(time.Second)
			trickle.Write([]byte{0})
		}
		time.Sleep(port.SniffTimeout - 4*time.Second - time.Millisecond)
		if !isOpen(silent) || !isOpen(trickle) || b.Stats().HalfOpen != 3 {
			t.Errorf("closed too early: %+v", b.Stats())
		}
		time.Sleep(time.Second)
		if isOpen(silent) || isOpen(trickle) || !isOpen(short) {
			t.Error("silent and trickling connections stay, or the slow HTTP client does not")
		}
		if s := b.Stats(); s.HalfOpen != 0 || s.Connections != 1 || s.Unclassified != 2 || s.Accepted != 3 {
			t.Errorf("%+v", s)
		}
		c, err := b.HTTP().Accept()
		if err != nil {
			t.Fatal(err)
		}
		head := make([]byte, 3)
		if _, err := io.ReadFull(c, head); err != nil || string(head) != "GET" {
			t.Errorf("%q, %v", head, err)
		}
		c.Close()
	})
}

// A TLS client that stops in the middle of its handshake is closed after HandshakeTimeout; without a certificate at once.
func TestSlowHandshake(t *testing.T) {
	const hello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03"
	inBubble(t, port.Config{TLS: testTLS("h2")}, func(t *testing.T, b *bubble) {
		c := b.tcp.dial("10.0.0.3:1")
		c.Write([]byte(hello))
		time.Sleep(port.HandshakeTimeout - time.Millisecond)
		if !isOpen(c) {
			t.Error("closed too early")
		}
		time.Sleep(time.Second)
		if s := b.Stats(); isOpen(c) || s.Insecure != 1 || s.Connections != 0 {
			t.Errorf("still open: %+v", s)
		}
	})
	inBubble(t, port.Config{}, func(t *testing.T, b *bubble) {
		c := b.tcp.dial("10.0.0.3:1")
		c.Write([]byte(hello))
		synctest.Wait()
		if s := b.Stats(); isOpen(c) || s.Insecure != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// Each limit holds: what exceeds it is refused, or evicts the oldest half-open connection; others are not hurt; and places that
// become free can be taken again.
func TestConnectionLimits(t *testing.T) {
	limits := port.Limits{Connections: 5, PerSource: 3, HalfOpen: 4, HalfOpenPerSource: 2, Streams: 2, StreamsPerSource: 1, TURN: 2, TURNPerSource: 1}
	from := func(source, n int) string { return fmt.Sprintf("10.0.%d.1:%d", source, n+1) }
	open := func(all []net.Conn) (n int) {
		for _, c := range all {
			if isOpen(c) {
				n++
			}
		}
		return n
	}
	dial := func(b *bubble, n int, first string, from func(int) string) (all []net.Conn) {
		for i := range n {
			c := b.tcp.dial(from(i))
			all = append(all, c)
			if first != "" && isOpen(c) {
				c.Write([]byte(first))
				synctest.Wait()
			}
		}
		return all
	}
	for _, c := range []struct {
		name             string
		first            string
		from             func(int) string
		open             int
		refused, evicted uint64
	}{
		{"in all", httpFirst, func(i int) string { return from(i, 0) }, 5, 5, 0},
		{"per source", httpFirst, func(i int) string { return from(0, i) }, 3, 7, 0},
		{"per IPv6 source", httpFirst, func(i int) string { return fmt.Sprintf("[2001:db8::%d]:1", i+1) }, 3, 7, 0},
		{"half-open", "", func(i int) string { return from(i, 0) }, 4, 0, 6},
		{"half-open per source", "", func(i int) string { return from(0, i) }, 2, 8, 0},
		{"ICE-TCP", iceCheck, func(i int) string { return from(i, 0) }, 2, 8, 0},
		{"ICE-TCP per source", iceCheck, func(i int) string { return from(0, i) }, 1, 9, 0},
		{"ICE-TCP per IPv6 source", iceCheck, func(i int) string { return fmt.Sprintf("[2001:db8::%d]:1", i+1) }, 1, 9, 0},
		{"ICE-TCP from loopback", iceCheck, func(i int) string { return fmt.Sprintf("127.0.0.1:%d", i+1) }, 2, 8, 0},
		{"TURN", turnFirst, func(i int) string { return from(i, 0) }, 2, 8, 0},
		{"TURN per source", turnFirst, func(i int) string { return from(0, i) }, 1, 9, 0},
		{"TURN per IPv6 source", turnFirst, func(i int) string { return fmt.Sprintf("[2001:db8::%d]:1", i+1) }, 1, 9, 0},
		{"loopback has no limit of its own", httpFirst, func(i int) string { return fmt.Sprintf("127.0.0.1:%d", i+1) }, 5, 5, 0},
		{"nor have exempt sources", httpFirst, func(i int) string { return fmt.Sprintf("192.0.2.1:%d", i+1) }, 5, 5, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := port.Config{Limits: limits, Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
			inBubbleWith(t, cfg, newRelay(), func(t *testing.T, b *bubble) {
				b.owner <- nil // so that the streams' batches are dropped or not: it does not matter
				all := dial(b, 10, c.first, c.from)
				s := b.Stats()
				if n := open(all); n != c.open || s.Connections != c.open || s.Refused != c.refused || s.Evicted != c.evicted {
					t.Errorf("%d open, %+v", n, s)
				}
				for _, conn := range all {
					conn.Close()
				}
				for range c.open * strings.Count(c.first, "HTTP") {
					if conn, err := b.HTTP().Accept(); err == nil {
						conn.Close()
					}
				}
				synctest.Wait()
				if s := b.Stats(); s.Connections != 0 || s.HalfOpen != 0 || s.Streams != 0 || s.TURN != 0 {
					t.Fatalf("after all have gone: %+v", s)
				}
				if n := open(dial(b, 1, c.first, c.from)); n != 1 {
					t.Error("a free place cannot be taken")
				}
			})
		})
	}
}

// HTTP connections that nobody accepts are limited, too; after Close of the HTTP listener they are closed at once.
func TestHTTPBacklog(t *testing.T) {
	inBubble(t, port.Config{}, func(t *testing.T, b *bubble) {
		const backlog = 128
		for i := range backlog + 2 {
			c := b.tcp.dial(fmt.Sprintf("127.0.0.1:%d", i+1))
			c.Write([]byte(httpFirst))
		}
		synctest.Wait()
		if s := b.Stats(); s.Connections != backlog {
			t.Errorf("%+v", s)
		}
		b.HTTP().Close()
		b.HTTP().Close()
		if _, err := b.HTTP().Accept(); err == nil {
			t.Error("accepts after Close")
		}
		c := b.tcp.dial("127.0.0.1:9999")
		c.Write([]byte(httpFirst))
		synctest.Wait()
		if s := b.Stats(); s.Connections != 0 || isOpen(c) {
			t.Errorf("%+v", s)
		}
	})
}

// Where no descriptor is left the listener is asked again later, and goes on when there is one; Close does not wait for it.
func TestAcceptErrors(t *testing.T) {
	inBubble(t, port.Config{}, func(t *testing.T, b *bubble) {
		start := time.Now()
		for range 12 {
			b.tcp.arrivals <- syscall.EMFILE
		}
		c := b.tcp.dial("10.0.0.3:1")
		if took := time.Since(start); took < time.Second || took > 10*time.Second {
			t.Errorf("asked again 12 times in %v", took)
		}
		if !isOpen(c) {
			t.Error("does not go on")
		}
		b.tcp.arrivals <- syscall.EMFILE
	})
}

// An ICE-TCP connection ends with its client, by CloseStream, because nothing is ever answered, or with the port; each is told
// once.
func TestStreamsEnd(t *testing.T) {
	var told []datagram.Pair
	var mu sync.Mutex
	count := func() int {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return len(told)
	}
	cfg := port.Config{StreamClosed: func(p datagram.Pair) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, p)
	}}
	var want []datagram.Pair
	inBubble(t, cfg, func(t *testing.T, b *bubble) {
		start := func(from string) net.Conn {
			c := b.tcp.dial(from)
			c.Write([]byte(iceCheck))
			batch := <-b.owner
			want = append(want, batch.D[0].Pair)
			b.Recycle(batch)
			return c
		}
		start("10.0.0.3:1").Close()
		if count() != 1 {
			t.Error("the client's end is not told")
		}
		start("10.0.0.3:2")
		b.CloseStream(want[1])
		b.CloseStream(want[0])
		if count() != 2 {
			t.Error("CloseStream is not told")
		}
		start("10.0.0.3:3")
		time.Sleep(udp.AnswerTimeout - time.Millisecond)
		if count() != 2 {
			t.Error("closed too early")
		}
		time.Sleep(time.Millisecond)
		if count() != 3 {
			t.Error("stays without an answer")
		}
		start("10.0.0.3:4") // the port's Close ends it
	})
	if !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}
