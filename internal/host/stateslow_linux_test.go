package host

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-rtc/parley/wire"
)

const (
	stateSubscribers = 9        // beside one that stops reading
	stateRate        = 150      // events a second
	stateBytes       = 15 << 10 // of an event, which counts as one request with what is around it
	stateAhead       = 16       // of these, that not all who read have heard; more wait until they have
)

// watcher is subscribed to an event, and notes which numbers it hears and how late.
type watcher struct {
	*visit
	running sync.WaitGroup
	heard   atomic.Int64

	// owned by listen until running is done
	hole   string
	delays []delay
}

// delay is how late an event of some time was.
type delay struct {
	at   int64 // Unix time in ns
	late time.Duration
}

type timed struct {
	Number int64  `json:"number"`
	At     int64  `json:"at"` // Unix time in ns
	Pad    string `json:"pad"`
}

func (w *watcher) subscribe() error {
	if err := w.joinAndCut(); err != nil {
		return err
	}
	_, err := w.ask(wire.TypeEventSubscribe, wire.EventNames{Names: []string{"tick"}})
	return err
}

func (w *watcher) listen() {
	for {
		_, b, err := w.socket.Read(w.ctx)
		if err != nil {
			return
		}
		var m wire.Message
		var e wire.EventPublished
		var v timed
		if _ = json.Unmarshal(b, &m); m.Type != wire.TypeEventPublished || json.Unmarshal(m.Body, &e) != nil || json.Unmarshal(e.Value, &v) != nil {
			continue
		}
		w.delays = append(w.delays, delay{v.At, time.Duration(time.Now().UnixNano() - v.At)})
		if n := w.heard.Add(1) - 1; n != v.Number && w.hole == "" {
			w.hole = fmt.Sprintf("heard %d in place of %d", v.Number, n)
		}
	}
}

// stateCrowd is a room with subscribers and one who publishes.
type stateCrowd struct {
	*churn
	node      *node
	ctx       context.Context
	publisher *visit
	watchers  []*watcher
	said      atomic.Int64
	pace      pace
}

func newStateCrowd(t testing.TB, n *node) *stateCrowd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	c := &stateCrowd{
		churn: &churn{node: n, address: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), n.port.Local().Port())}, node: n, ctx: ctx,
	}
	c.pace.behind = func() (most int64) {
		for _, w := range c.watchers {
			most = max(most, c.said.Load()-w.heard.Load())
		}
		return most
	}
	c.publisher = &visit{churn: c.churn, ctx: ctx, room: "ticks"}
	if err := c.publisher.joinAndCut(); err != nil {
		t.Fatal(err)
	}
	go func() { // what it is told; ends with its socket
		for {
			if _, _, err := c.publisher.socket.Read(ctx); err != nil {
				return
			}
		}
	}()
	for i := range stateSubscribers {
		w := &watcher{visit: &visit{churn: c.churn, ctx: ctx, number: i + 1, room: "ticks"}}
		if err := w.subscribe(); err != nil {
			t.Fatal(err)
		}
		w.running.Go(w.listen)
		c.watchers = append(c.watchers, w)
	}
	return c
}

// stalled is one more subscriber, which does not read. Where it shall read again it has the usual window: from a small one what waits would take
// it longer than the server waits.
func (c *stateCrowd) stalled(t testing.TB, forGood bool) *watcher {
	t.Helper()
	var conn *net.TCPConn
	w := &watcher{visit: &visit{churn: c.churn, ctx: c.ctx, number: 99, room: "ticks", dial: keep(&conn)}}
	if err := w.subscribe(); err != nil {
		t.Fatal(err)
	}
	if forGood {
		_ = conn.SetReadBuffer(4 << 10)
	}
	return w
}

// publish sends events of so many bytes until stop is closed.
func (c *stateCrowd) publish(stop chan struct{}, size int) {
	ticker := time.NewTicker(time.Second / stateRate)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		if c.pace.say(stateAhead, func() error {
			n := c.said.Add(1) - 1
			value, _ := json.Marshal(timed{Number: n, At: time.Now().UnixNano(), Pad: strings.Repeat("x", size)})
			return put(c.ctx, c.publisher.socket, uint64(100+n), wire.TypeEventPublish, wire.EventPublish{Name: "tick", Value: value})
		}) != nil {
			return
		}
	}
}

// finish waits until all have heard what was said, and ends them.
func (c *stateCrowd) finish(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for _, w := range c.watchers {
		for w.heard.Load() < c.said.Load() && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
		_ = w.socket.CloseNow()
		w.running.Wait()
		if got := w.heard.Load(); got != c.said.Load() || w.hole != "" {
			t.Errorf("subscriber %d heard %d of %d events; %s", w.number, got, c.said.Load(), w.hole)
		}
	}
	_ = c.publisher.socket.CloseNow()
}

// Of ten subscribers one stops reading for good. When more waits for it than may, it is sent a resync in place of that, and is dropped as a slow
// reader within ten seconds, at a cost of at most 4 MiB; another one stops for a while, finds a resync in place of what it missed, and begins anew.
// The others hear every event, in order.
func TestScenarioStateSlowSubscriber(t *testing.T) {
	const size = stateBytes
	n := startNode(t, "--state")
	defer n.stop()
	c := newStateCrowd(t, n)
	stop, published := make(chan struct{}), make(chan struct{})
	go func() { defer close(published); c.publish(stop, size) }()
	until(t, "queues, and what is kept for a resume, to fill up", func() bool { return c.said.Load() > 256 })
	before := c.pace.heap(c.ctx)
	dead := c.stalled(t, true)
	cost := c.dropping(t, size, before)
	_ = dead.socket.CloseNow()

	late := c.stalled(t, false)
	resyncs, begun := n.signal.Stats().Resyncs, c.said.Load()
	for ; n.signal.Stats().Resyncs == resyncs; time.Sleep(50 * time.Millisecond) {
		if c.ctx.Err() != nil || (c.said.Load()-begun)*size > maxUnread {
			t.Fatalf("no resync after %d events", c.said.Load()-begun)
		}
	}
	if err := late.begun(); err != nil {
		t.Error(err)
	}
	close(stop)
	<-published
	t.Logf("%d events of %d KiB; heap %+d KiB", c.said.Load(), size>>10, cost>>10)
	if s := n.signal.Stats(); s.SlowReaders != 1 {
		t.Errorf("%d slow readers", s.SlowReaders)
	}
	_ = late.socket.CloseNow()
	c.finish(t)
}

// dropping waits until somebody is dropped as a slow reader, and returns what that cost of the heap.
func (c *stateCrowd) dropping(t *testing.T, size int64, before uint64) (cost int64) {
	t.Helper()
	d := slowDrop{stats: c.node.signal.Stats, size: size, said: c.said.Load, heap: func() uint64 { return c.pace.heap(c.ctx) }}
	return d.wait(t, before)
}

// begun reads until the resync, hears nothing for a while, and subscribes anew.
func (w *watcher) begun() error {
	for m := (wire.Message{}); m.Type != wire.TypeResync; {
		_, b, err := w.socket.Read(w.ctx)
		if err != nil {
			return fmt.Errorf("waiting for the resync: %w", err)
		}
		m = wire.Message{}
		_ = json.Unmarshal(b, &m)
	}
	w.id++
	if err := put(w.ctx, w.socket, w.id, wire.TypePresenceRead, wire.PresenceRead{}); err != nil {
		return err
	}
	for subscribed, events := false, 0; events == 0; {
		_, b, err := w.socket.Read(w.ctx)
		if err != nil {
			return err
		}
		var m wire.Message
		_ = json.Unmarshal(b, &m)
		switch {
		case m.Type == wire.TypeEventPublished && !subscribed:
			return fmt.Errorf("heard an event behind the resync")
		case m.Type == wire.TypeEventPublished:
			events++
		case m.Reply == w.id && !subscribed:
			subscribed = true
			w.id++
			if err := put(w.ctx, w.socket, w.id, wire.TypeEventSubscribe, wire.EventNames{Names: []string{"tick"}}); err != nil {
				return err
			}
		}
	}
	return nil
}

// How late events are for nine subscribers, by turns without and beside one that does not read: medians of the turns' p50 and p99. A turn is shorter
// than the server waits before it drops the slow one, so that it is there all the time, and a rest follows, in which what it cost is over.
func BenchmarkSlowSubscriber(b *testing.B) {
	const turns, turn, rest = 16, 5 * time.Second, time.Second
	n := startNode(b, "--state")
	defer n.stop()
	c := newStateCrowd(b, n)
	stop, published := make(chan struct{}), make(chan struct{})
	go func() { defer close(published); c.publish(stop, stateBytes) }()
	time.Sleep(turn) // it settles
	var starts []int64
	for i := range turns {
		runtime.GC()
		time.Sleep(rest)
		starts = append(starts, time.Now().UnixNano())
		var slow *watcher
		if i%2 == 1 {
			slow = c.stalled(b, true)
		}
		time.Sleep(turn)
		if slow != nil {
			_ = slow.socket.CloseNow()
		}
	}
	close(stop)
	<-published
	c.finish(b)
	var p50, p99 [2][]float64 // without, and beside
	for i, start := range starts {
		late := c.late(start, start+int64(turn))
		p50[i%2] = append(p50[i%2], float64(late[len(late)/2].Microseconds()))
		p99[i%2] = append(p99[i%2], float64(late[len(late)*99/100].Microseconds()))
	}
	for i, name := range []string{"alone", "beside"} {
		b.ReportMetric(median(p50[i]), "p50-"+name+"-µs")
		b.ReportMetric(median(p99[i]), "p99-"+name+"-µs")
	}
	b.ReportMetric(median(p99[1])/median(p99[0]), "p99-ratio")
	b.ReportMetric(0, "ns/op")
}

// late is how late the events of some time were, sorted.
func (c *stateCrowd) late(from, to int64) (late []time.Duration) {
	for _, w := range c.watchers {
		for _, d := range w.delays {
			if d.at >= from && d.at < to {
				late = append(late, d.late)
			}
		}
	}
	slices.Sort(late)
	return late
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}
