package relay

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/stun"
)

// stopped is a loop that does not run: what is given to it stays where it is.
func stopped(t *testing.T) *loop {
	t.Helper()
	l, err := newLoop(Config{FirstPort: FirstPort, LastPort: LastPort})
	if err != nil {
		t.Fatal(err)
	}
	l.own = newOwn(&l.cfg)
	t.Cleanup(l.release)
	return l
}

var pair = datagram.Pair{Local: netip.MustParseAddrPort("192.0.2.1:3478"), Remote: netip.MustParseAddrPort("192.0.2.2:5000"), Proto: datagram.TCP}

// A loop that does not keep up refuses batches of the port, and drops what media send to relayed addresses, but for a bounded number.
func TestInboxIsBounded(t *testing.T) {
	r := &Relay{loop: stopped(t)}
	for i := range maxBatches + 1 {
		if ok := r.Batch(&datagram.Batch{}); ok != (i < maxBatches) {
			t.Errorf("batch %d: %v", i, ok)
		}
	}
	run := datagram.Run{Pair: pair, B: make([]byte, 3000), Size: 1200, Segments: 3}
	for i := range maxFromMedia/(mediaHead+len(run.B)) + 2 {
		want := 0
		if i >= maxFromMedia/(mediaHead+len(run.B)) {
			want = 3
		}
		if dropped := r.FromMedia(run); dropped != want {
			t.Fatalf("run %d: %d dropped, want %d", i, dropped, want)
		}
	}
}

// Addresses that segmentation offload does not reach are remembered, the newest always, and never more than the limit.
func TestFallbacksAreBounded(t *testing.T) {
	f := fallbacks{}
	for i := range 2 * maxFallbacks {
		a := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		if f.add(a); !f.has(a) || len(f) > maxFallbacks {
			t.Fatalf("%d: has %v, %d in all", i, f.has(a), len(f))
		}
	}
}

// A client that does not read loses the oldest payload of its peers, whole frames only, and no answer.
func TestSlowClientLosesOldestPayload(t *testing.T) {
	c := newClient(nil, nil, pair, true)
	answer := append([]byte{0x01, 0x01, 0, 0}, make([]byte, 16)...)
	dropped := 0
	const frames = 2 * dataRingBytes / 1204
	for i := range frames {
		b := bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 600)
		dropped += c.push([]byte{0x40, 0, 1200 >> 8, 1200 & 0xff}, b, nil)
		if i%100 == 0 {
			dropped += 1000 * c.push(answer, nil, nil)
		}
	}
	if want := frames - dataRingBytes/1204; dropped != want {
		t.Errorf("%d dropped, want %d", dropped, want)
	}
	chunk, more := c.take(make([]byte, 0, chunkBytes))
	for n := 0; n < (frames+99)/100; n++ {
		if !bytes.HasPrefix(chunk, answer) {
			t.Fatalf("answer %d is missing", n)
		}
		chunk = chunk[len(answer):]
	}
	for i := dropped; i < frames; i++ {
		if len(chunk) == 0 {
			chunk, _ = c.take(make([]byte, 0, chunkBytes))
		}
		if len(chunk) < 1204 || chunk[4] != byte(i) || chunk[5] != byte(i>>8) {
			t.Fatalf("frame %d is not next", i)
		}
		chunk = chunk[1204:]
	}
	if !more {
		t.Error("the writer is to end")
	}
}

// What is longer than a frame is not queued: the rings could not tell where it ends.
func TestLongFrame(t *testing.T) {
	c := newClient(nil, nil, pair, true)
	head := []byte{0x00, 0x17, 0xff, 0xfc, 0x21, 0x12, 0xa4, 0x42}
	if n := c.push(head, make([]byte, maxFrameBytes-len(head)+1), nil); n != 1 {
		t.Errorf("%d dropped", n)
	}
	if chunk, _ := c.take(make([]byte, 0, chunkBytes)); len(chunk) != 0 {
		t.Errorf("%d bytes are to be written", len(chunk))
	}
}

// A client that asks and does not read its answers is given up.
func TestClientThatReadsNoAnswers(t *testing.T) {
	c := newClient(nil, nil, pair, true)
	answer := append([]byte{0x01, 0x01, 0, 0}, make([]byte, 16)...)
	n := 0
	for n < answerRingBytes && c.push(answer, nil, nil) == 0 {
		n++
	}
	if n != answerRingBytes/len(answer) {
		t.Errorf("%d answers wait", n)
	}
	if chunk, more := c.take(nil); len(chunk) > 0 || more {
		t.Errorf("%d bytes, more: %v; the writer is to end", len(chunk), more)
	}
	if c.push([]byte{0x40, 0, 0, 4}, make([]byte, 4), nil) != 1 {
		t.Error("a frame for a client that is given up counts as sent")
	}
}

// DTLS associations are limited by source and in all; loopback and exempt networks only in all.
func TestGate(t *testing.T) {
	g := gate{all: 6, perSource: 2, exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for _, c := range []struct {
		from string
		ok   bool
	}{
		{"192.0.2.1", true},
		{"192.0.2.1", true},
		{"192.0.2.1", false},
		{"2001:db8::1", true},
		{"2001:db8::2", true},
		{"2001:db8::3", false}, // of the same /64
		{"10.0.0.1", true},
		{"127.0.0.1", true},
		{"127.0.0.1", false}, // the seventh
	} {
		if ok := g.enter(netip.MustParseAddr(c.from)); ok != c.ok {
			t.Errorf("%s: %v", c.from, ok)
		}
	}
	if g.refusals() != 3 {
		t.Errorf("%d refused", g.refusals())
	}
	g.leave(netip.MustParseAddr("192.0.2.1"))
	if !g.enter(netip.MustParseAddr("192.0.2.1")) {
		t.Error("who comes after one has left is refused")
	}
}

// A DTLS association that does not keep up loses datagrams, as a network would.
func TestSessionQueueIsBounded(t *testing.T) {
	n := &session{in: make(chan []byte, sessionQueue)}
	for range sessionQueue {
		if r := n.put(nil); r != drop.None {
			t.Fatal(r)
		}
	}
	if r := n.put(nil); r != drop.DtlsQueueFull {
		t.Errorf("%v", r)
	}
}

// A connection that sends no whole frame is closed after FirstTimeout, whatever it sends.
func TestConnectionWithoutFrame(t *testing.T) {
	l := stopped(t)
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		c := newClient(l, server, pair, true)
		start := time.Now()
		go func() {
			for range 3 { // less than a header, byte by byte
				_, _ = client.Write([]byte{0})
				time.Sleep(4 * time.Second)
			}
		}()
		c.serve()
		if d := time.Since(start); d != FirstTimeout {
			t.Errorf("closed after %v", d)
		}
		client.Close()
		time.Sleep(FirstTimeout)
	})
}

// A connection without an allocation is closed StrangerTimeout after it has begun, however much it asks; one with an allocation lives on, and StrangerTimeout
// longer than that.
func TestStrangersEnd(t *testing.T) {
	for name, x := range map[string]struct{ allocated, want time.Duration }{
		"never":           {0, StrangerTimeout},
		"for two minutes": {2 * time.Minute, 2*time.Minute + StrangerTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, ann := serving(t)
				stop := make(chan struct{})
				go l.play(stop)
				near, far := net.Pipe()
				c := newClient(l, near, ann.pair, true)
				start := time.Now()
				go func() {
					b := stun.Begin(nil, stun.TypeOf(stun.Binding, stun.Request), []byte("test12345678"))
					for {
						if x.allocated > 0 && time.Since(start) >= x.allocated { // before the next frame, with which its end is seen
							l.ask(func() {
								ann.ask(stun.Refresh, func(w *stun.Builder) { w.Uint32(stun.Lifetime, 0) })
							})
							x.allocated = 0
						}
						if _, err := far.Write(b.Message()); err != nil {
							return
						}
						time.Sleep(5 * time.Second)
					}
				}()
				go func() { _, _ = io.Copy(io.Discard, far) }()
				if x.allocated > 0 {
					l.ask(func() { ann.allocate(func(*stun.Builder) {}) })
				}
				c.serve()
				if d := time.Since(start); d < x.want || d > x.want+5*time.Second {
					t.Errorf("closed after %v, want %v", d, x.want)
				}
				far.Close()
				close(stop)
				time.Sleep(10 * time.Second)
			})
		})
	}
}

// play does what is wanted of a loop that does not run.
func (l *loop) play(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Millisecond):
		}
		l.now = time.Now()
		l.takeInbox()
	}
}

// Whoever only connects costs no writer, and whoever is answered no room for payload, until there is some.
func TestStrangersCostLittle(t *testing.T) {
	c := newClient(nil, nil, pair, true)
	c.serving = true
	c.startWriter()
	if c.writes {
		t.Error("there is a writer, and nothing to write")
	}
	c.serving = false
	c.push(append([]byte{0x01, 0x01, 0, 0}, make([]byte, 16)...), nil, nil)
	chunk, _ := c.take(make([]byte, 0, answerStart))
	if len(chunk) != 20 || cap(chunk) != answerStart {
		t.Errorf("%d bytes in %d", len(chunk), cap(chunk))
	}
	for range 100 {
		c.push([]byte{0x40, 0, 0, 200}, make([]byte, 200), nil)
	}
	if chunk, _ = c.take(make([]byte, 0, answerStart)); cap(chunk) != chunkBytes || len(chunk) < chunkBytes-204 {
		t.Errorf("payload: %d bytes in %d", len(chunk), cap(chunk))
	}
}

// A client that does not take what is written is closed after StallTimeout.
func TestStalledClient(t *testing.T) {
	l := stopped(t)
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		c := newClient(l, server, pair, true)
		start := time.Now()
		c.push([]byte{0x40, 0, 0, 4}, make([]byte, 4), nil)
		c.serve()
		if d := time.Since(start); d != StallTimeout {
			t.Errorf("closed after %v", d)
		}
		client.Close()
	})
}

// Bytes of a connection wait as long as the core says, piece by piece, none is lost, and what waits is not idle.
func TestSpliceWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, sender := net.Pipe()
		far, receiver := net.Pipe()
		var active atomic.Int64
		var carried atomic.Uint64
		active.Store(time.Now().UnixNano())
		var pieces []int
		w := way{active: &active, carried: &carried, piece: 100, stop: make(chan struct{}), pace: func(n int) time.Duration {
			pieces = append(pieces, n)
			return 2 * SpliceIdleTimeout
		}}
		start := time.Now()
		sent := bytes.Repeat([]byte("0123456789"), 25)
		go func() {
			_, _ = sender.Write(sent[10:])
			sender.Close()
		}()
		done := make(chan []byte)
		go func() {
			got, _ := io.ReadAll(receiver)
			done <- got
		}()
		w.carry(far, near, sent[:10])
		far.Close()
		if got := <-done; !bytes.Equal(got, sent) || carried.Load() != 250 {
			t.Errorf("%d bytes of %d, counted %d", len(got), len(sent), carried.Load())
		}
		if want := []int{10, 100, 100, 40}; !slices.Equal(pieces, want) || time.Since(start) != 8*SpliceIdleTimeout {
			t.Errorf("pieces of %v after %v", pieces, time.Since(start))
		}
	})
}

// Bytes that wait do not keep a connection that has ended.
func TestSpliceEndsWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		w := way{stop: stop, active: &atomic.Int64{}, piece: 100, pace: func(int) time.Duration { return time.Hour }}
		start := time.Now()
		time.AfterFunc(time.Second, func() { close(stop) })
		if w.write(nil, []byte("x")) || time.Since(start) != time.Second {
			t.Errorf("after %v", time.Since(start))
		}
	})
}

// A connection to a peer ends when nothing has come either way for SpliceIdleTimeout, and not while one way is busy.
func TestIdleSplice(t *testing.T) {
	l := stopped(t)
	synctest.Test(t, func(t *testing.T) {
		atServer, client := net.Pipe()
		toPeer, peer := net.Pipe()
		_, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := newClient(l, atServer, pair, true)
		to := &connection{id: 1, conn: toPeer, client: c}
		start := time.Now()
		const busy = 3 * SpliceIdleTimeout
		go func() {
			for time.Since(start) < busy {
				_, _ = client.Write([]byte("x"))
				time.Sleep(SpliceIdleTimeout / 2)
			}
		}()
		go func() {
			b := make([]byte, 10)
			for {
				if _, err := peer.Read(b); err != nil {
					return
				}
			}
		}()
		to.splice(c)
		if d := time.Since(start); d < busy+SpliceIdleTimeout/2 || d > busy+SpliceIdleTimeout {
			t.Errorf("ended after %v", d)
		}
		client.Close()
		peer.Close()
	})
}
