package host

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"testing"
	"time"
)

// One after another, 1,000 clients come and go, each ending at another stage of its set-up: some by the book, most by vanishing.
// When the time limits are over by which the server finds out (30 s for a session to be resumed and for consent), it is as
// before the first of them: not one goroutine, file descriptor, session, room or Transport more.
func TestScenarioChurn(t *testing.T) {
	const visits, atOnce = 1000, 12
	n := startNode(t, "--linger", "1s")
	defer n.stop()
	c := &churn{node: n, address: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), n.port.Local().Port())}
	c.web.Transport = &http.Transport{DisableKeepAlives: true}
	before := inventory()
	start := time.Now()
	var (
		running sync.WaitGroup
		places  = make(chan struct{}, atOnce)
	)
	for i := range visits {
		stage, place := stages[i%len(stages)], places
		if stage.idle {
			place = make(chan struct{}, 1)
		}
		place <- struct{}{}
		running.Go(func() {
			defer func() { <-place }()
			if err := c.visit(i, stage); err != nil {
				t.Errorf("visit %d, %s: %v", i, stage.name, err)
			}
		})
	}
	running.Wait()
	took := time.Since(start)
	after, left := c.settle(before)
	t.Logf("%d visits in %v, settled %v later: before %+v, after %+v", visits, took.Round(time.Millisecond), (time.Since(start) - took).Round(time.Millisecond), before, after)
	if after.goroutines > before.goroutines || after.files > before.files || left != "" {
		_ = pprof.Lookup("goroutine").WriteTo(t.Output(), 1)
		t.Errorf("left behind: before %+v, after %+v; %s", before, after, left)
	}
}

// stock is what the process holds.
type stock struct{ goroutines, files int }

func inventory() stock {
	files, _ := os.ReadDir("/proc/self/fd")
	return stock{runtime.NumGoroutine(), len(files)}
}

// settle waits until everything is as before, or it should have been.
func (c *churn) settle(before stock) (after stock, left string) {
	for deadline := time.Now().Add(50 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		after, left = inventory(), c.left()
		if left == "" && after.goroutines <= before.goroutines && after.files <= before.files || time.Now().After(deadline) {
			return after, left
		}
	}
}

// left tells what the server still knows of clients.
func (c *churn) left() string {
	s, r, p := c.node.signal.Stats(), c.node.rooms.Stats(), c.node.port.Stats()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	m, err := c.node.shards.Counts(ctx)
	if err != nil {
		return err.Error()
	}
	if s.Sessions+s.Calls+s.Unauthenticated+r.Rooms+r.Participants+r.Hidden+r.Publications+p.Connections+p.Streams+
		m.Rooms+m.Transports+m.Producers+m.Handshakes == 0 {
		return ""
	}
	return fmt.Sprintf("signal %+v, rooms %+v, port %d connections, shard %d rooms, %d transports, %d producers, %d handshakes",
		s, r, p.Connections, m.Rooms, m.Transports, m.Producers, m.Handshakes)
}

// churn makes visits.
type churn struct {
	node    *node
	address netip.AddrPort
	web     http.Client
}

// stage is how far a client gets, and how it ends there.
type stage struct {
	name string
	run  func(*visit) error
	idle bool // it only waits: others need not wait for it
}

var stages = []stage{
	{name: "TCP opened, nothing said", run: (*visit).openTCP},
	{name: "WebSocket opened, cut", run: (*visit).openSocket},
	{name: "WebSocket opened, left waiting", run: (*visit).waitSocket, idle: true},
	{name: "half a message", run: (*visit).halfMessage},
	{name: "joined, cut", run: (*visit).joinAndCut},
	{name: "joined, left while others join", run: (*visit).joinAndLeave},
	{name: "offered, answer not applied", run: (*visit).offerAndCut},
	{name: "ICE checks only", run: (*visit).checkOnly},
	{name: "DTLS ClientHello only", run: func(v *visit) error { return v.shake(1) }},
	{name: "half a DTLS handshake", run: func(v *visit) error { return v.shake(2) }},
	{name: "connected, closed", run: (*visit).connectAndClose},
	{name: "publishing, left", run: (*visit).publishAndLeave},
	{name: "publishing, killed", run: (*visit).publishAndDie},
	{name: "subscribed, killed", run: (*visit).subscribeAndDie},
	{name: "WHIP, then nothing", run: (*visit).whipOnly},
	{name: "WHIP, ended", run: (*visit).whipAndDelete},
}
