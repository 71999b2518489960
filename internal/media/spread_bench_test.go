package media

import (
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/port"
	"github.com/parley-rtc/parley/internal/udp"
)

// BenchmarkSpread is one publisher and 200 subscribers, on one shard with one core and on two shards with two: loops, channels, Pipe,
// real opening and sealing. Packets go nowhere, or through a real socket to sockets on loopback that nobody reads: those drop what they
// get, and the kernel's work up to there is done by whoever sends.
func BenchmarkSpread(b *testing.B) {
	for shards := 1; shards <= 2; shards++ {
		b.Run(fmt.Sprintf("null/%d", shards), func(b *testing.B) { spread(b, shards, nil) })
		b.Run(fmt.Sprintf("udp/%d", shards), func(b *testing.B) {
			for _, i := range upTo(subscribers + 1) {
				c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(pairOf(i).Remote))
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				_ = c.SetReadBuffer(4096)
			}
			conn, err := udp.Listen(udp.Config{Listen: "127.0.0.1:0"})
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			spread(b, shards, conn)
		})
	}
}

const subscribers = 200

// meter is a Sender that counts datagrams by the subscriber's shard, and sends them where there is a socket.
type meter struct {
	conn     udp.Conn
	shards   int
	sent     [2]atomic.Int64
	lost     atomic.Int64
	progress chan struct{} // capacity 1
}

func (m *meter) Send(e *datagram.Egress) {
	if m.conn != nil {
		m.lost.Add(int64(m.conn.Send(e)))
	}
	last := int(e.Runs()[0].Pair.Remote.Addr().As4()[3])
	m.sent[(last+1)%m.shards].Add(int64(e.Datagrams()))
	select {
	case m.progress <- struct{}{}:
	default:
	}
}

func (m *meter) CloseStream(datagram.Pair) {}

// underWay is how many frames are fed before the first of them has left: less than any queue on the way holds.
const underWay = 8

func spread(b *testing.B, n int, conn udp.Conn) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	out := &meter{conn: conn, shards: n, progress: make(chan struct{}, 1)}
	shards := NewShards(n, Config{
		Sender: out, Pairs: port.NewPairs(), Recycle: func(*datagram.Batch) {}, Log: slog.New(slog.DiscardHandler),
	})
	defer shards.Close()
	here := make([][]int, n) // Transports by shard, the publisher on the first
	for _, i := range upTo(subscribers + 1) {
		here[(i+1)%n] = append(here[(i+1)%n], i)
	}
	var section Mirror
	for i, s := range shards {
		do(s, func(s *Shard) {
			now := time.Now()
			connectAll(now, s, here[i])
			if i == 0 {
				fanOut(now, s, here[0])
				section.Section, _ = s.transports[1].transport.Section("0")
				return
			}
			s.command(now, Mirror{Room: 1, Producer: 1, Section: section.Section})
			subscribe(now, s, here[i])
		})
	}
	do(shards[0], func(*Shard) {}) // it has had the other's wishes by then
	batches := frames(b, b.N/(5*subscribers)+1)
	for i := range out.sent {
		out.sent[i].Store(0)
	}
	b.ResetTimer()
	for i, batch := range batches {
		wait(out, here, i-underWay)
		if !shards[0].Batch(batch) {
			b.Fatal("the inbox is full")
		}
	}
	wait(out, here, len(batches))
	b.StopTimer()
	if c, err := shards.Counts(b.Context()); err != nil || c.Drops[drop.PipeFull] != 0 || c.Panics != 0 {
		b.Errorf("%+v, %v", c, err)
	}
	if n := out.lost.Load(); n > 0 {
		b.Errorf("%d datagrams were not sent", n)
	}
	b.ReportMetric(float64(len(batches)*5*subscribers)/b.Elapsed().Seconds(), "packets/s")
}

// do lets a loop do something, and waits until it has.
func do(s *Shard, f func(*Shard)) {
	done := make(chan struct{})
	s.mail.put(letter{ask: func(s *Shard) { f(s); close(done) }})
	<-done
}

// wait waits until so many frames have left on every shard.
func wait(out *meter, here [][]int, frames int) {
	for {
		behind := false
		for i, transports := range here {
			if i == 0 {
				transports = transports[1:]
			}
			behind = behind || out.sent[i].Load() < int64(frames*5*len(transports))
		}
		if !behind {
			return
		}
		<-out.progress
	}
}
