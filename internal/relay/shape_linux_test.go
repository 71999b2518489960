package relay_test

import (
	"encoding/binary"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// counted is a socket that counts what comes, until it is closed.
type counted struct {
	net.PacketConn
	n atomic.Int64
}

func (c *counted) count(done chan<- struct{}) {
	defer close(done)
	b := make([]byte, 2000)
	for {
		if _, _, err := c.ReadFrom(b); err != nil {
			return
		}
		c.n.Add(1)
	}
}

// shaped is what a bucket lets through that fills at rate, in bytes a second, for up to 250 ms.
type shaped struct {
	rate float64
	has  float64
	last time.Time
}

func (b *shaped) pass(now time.Time, n float64) bool {
	if b.last.IsZero() {
		b.has, b.last = b.rate/4, now
	}
	b.has = min(b.has+b.rate*now.Sub(b.last).Seconds(), b.rate/4)
	b.last = now
	if b.has <= 0 {
		return false
	}
	b.has -= n
	return true
}

// Over real sockets, of three times as much as an allocation may relay, each way as much arrives as a bucket of that rate lets through, within a tenth; of two allocations of one
// user together as much as the user may relay. What is compared is counts: the bucket is given the times at which datagrams were really sent.
func TestScenarioShaping(t *testing.T) {
	const (
		rate, payload = 60_000, 972 // 60 datagrams of 1,000 bytes a second
		cost          = payload + 28
		span          = 3 * time.Second
	)
	for name, x := range map[string]struct {
		allocations    int
		userRate, want float64
	}{
		"one allocation":         {1, 0, rate},
		"two of a user":          {2, 0, 2 * rate},
		"two, beyond the user's": {2, 1.5 * rate, 1.5 * rate},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t)
			cfg.Turn.Limits.AllocationRate, cfg.Turn.Limits.UserRate = rate, int(x.userRate)
			if x.userRate == 0 {
				cfg.Turn.Limits.UserRate = -1
			}
			r := open(t, cfg)
			peer := &counted{PacketConn: listenPacket(t, "127.0.0.1:0")}
			heard := make(chan struct{})
			var relayed []*counted
			var ends []chan struct{}
			for range x.allocations {
				c := client(t, listenPacket(t, "127.0.0.1:0"), r.UDP()[0].String())
				a, err := c.Allocate()
				if err != nil {
					t.Fatal(err)
				}
				exchange(t, a, echo(t, "127.0.0.1:0"), "hello") // there is a permission for the peers' address now
				one, end := &counted{PacketConn: a}, make(chan struct{})
				relayed, ends = append(relayed, one), append(ends, end)
				go one.count(end)
			}
			go peer.count(heard)
			time.Sleep(300 * time.Millisecond) // what was exchanged has been paid for
			model := shaped{rate: x.want}
			var let, offered int64
			b := make([]byte, payload)
			for start := time.Now(); time.Since(start) < span; time.Sleep(time.Millisecond) {
				for time.Since(start).Seconds()*3*x.want > float64(offered*cost) {
					to := relayed[offered%int64(len(relayed))]
					offered++
					binary.BigEndian.PutUint64(b, uint64(offered))
					now := time.Now()
					if _, err := to.WriteTo(b, peer.LocalAddr()); err != nil {
						t.Fatal(err)
					}
					if _, err := peer.WriteTo(b, to.LocalAddr()); err != nil {
						t.Fatal(err)
					}
					if model.pass(now, cost) {
						let++
					}
				}
			}
			time.Sleep(100 * time.Millisecond) // for what is on its way
			back := int64(0)
			for _, one := range relayed {
				back += one.n.Load()
			}
			t.Logf("offered %d each way, a bucket lets %d through; %d have come to the peer and %d back", offered, let, peer.n.Load(), back)
			for way, got := range map[string]int64{"to the peer": peer.n.Load(), "back": back} {
				if got < let*9/10 || got > let*11/10 {
					t.Errorf("%s: %d datagrams, want %d within a tenth", way, got, let)
				}
			}
			peer.Close()
			<-heard
			for i, one := range relayed {
				one.Close()
				<-ends[i]
			}
		})
	}
}
