package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/wire"
)

const (
	eventName = "tick"
	eventRoom = "events"
	benchKey  = "bench"
	// benchSecret is of a server that lives as long as this program, on an address of this machine.
	benchSecret = "statebench statebench statebench"
	// padding makes an event's value what a position on a whiteboard and the like take.
	padding = 64
	// leastInterval between two events keeps the publisher within its allowance.
	leastInterval = time.Second / wire.StateRequestsPerSecond
	// catchUp is how long subscribers may take to hear the last events.
	catchUp = 10 * time.Second
)

// crowd is a room in which one publishes an event, and all others hear it. A visible participant publishes; a room takes more hidden ones,
// who may only listen.
type crowd struct {
	// static after construction
	epoch       time.Time // of the times in events
	publisher   *session
	subscribers []*subscriber

	// atomic
	delivered atomic.Int64
	failed    atomic.Pointer[error]

	running   sync.WaitGroup
	published int // owned by who publishes
}

// subscriber hears events.
type subscriber struct {
	*session
	heard atomic.Int64

	// guarded by mu
	mu     sync.Mutex
	delays delays
}

// events measures what one publisher reaches.
func (b *bench) events(ctx context.Context) error {
	s, err := b.start(ctx, "events", "--auth", "token", "--keys", benchKey+"="+benchSecret)
	if err != nil {
		return err
	}
	defer func() { _ = s.stop(syscall.SIGKILL) }()
	c, err := b.gather(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	what := fmt.Sprintf("events, 1 to %d", b.subscribers)
	b.progress.step("as fast as it goes")
	most, err := c.measure(ctx, s, b.window, func(ctx context.Context) { c.flood(ctx, b.ahead) })
	if err != nil {
		return err
	}
	b.table.atLeast(what+", sustained", most.perSecond(), 40_000, "deliveries/s", most.usage.String())
	b.table.tell("  CPU of the server for each", fmt.Sprintf("%.1f µs", most.usage.each(most.n)),
		fmt.Sprintf("with %d events under way %v", b.ahead, most.delays))
	b.progress.step(fmt.Sprintf("%d events a second", b.eventsPerSecond))
	half, err := c.measure(ctx, s, b.window, func(ctx context.Context) { c.pace(ctx, time.Second/time.Duration(b.eventsPerSecond)) })
	if err != nil {
		return err
	}
	b.table.atMost(fmt.Sprintf("  at %d deliveries/s, delay p99", b.eventsPerSecond*b.subscribers), milliseconds(half.delays.at(0.99)), 50, "ms",
		fmt.Sprintf("p50 %.1f ms; CPU for each %.1f µs; %v", milliseconds(half.delays.at(0.5)), half.usage.each(half.n), half.usage))
	return nil
}

// gather fills the room.
func (b *bench) gather(ctx context.Context) (*crowd, error) {
	secret, err := auth.NewSecret([]byte(benchSecret))
	if err != nil {
		return nil, err
	}
	enter := func(n int, identity string, grants wire.Grants) (*session, error) {
		claims := auth.Claims{Key: benchKey, Identity: identity, Room: eventRoom, Grants: grants, Expires: time.Now().Add(time.Hour)}
		token, err := auth.Sign(time.Now(), claims, auth.Keys{benchKey: secret})
		if err != nil {
			return nil, err
		}
		return b.join(n, wire.Join{Room: eventRoom, Token: token}, false)
	}
	c := &crowd{epoch: time.Now()}
	all, err := b.joinAll(ctx, b.subscribers, "subscribers", func(i int) (*session, error) {
		s, err := enter(i, fmt.Sprint("subscriber ", i), wire.Grants{Hidden: true})
		if err == nil {
			_, err = s.ask(wire.TypeEventSubscribe, wire.EventNames{Names: []string{eventName}})
		}
		return s, err
	})
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		k := &subscriber{session: s}
		c.subscribers = append(c.subscribers, k)
		c.running.Go(func() { c.fail(c.listen(k)) })
	}
	if c.publisher, err = enter(b.subscribers, "publisher", wire.Grants{PublishData: true}); err != nil {
		c.close()
		return nil, err
	}
	c.running.Go(func() { c.fail(c.replies()) })
	return c, nil
}

// close ends all sessions, and waits for who reads them.
func (c *crowd) close() {
	c.fail(nil)
	for _, k := range c.subscribers {
		_ = k.conn.Close()
	}
	if c.publisher != nil {
		_ = c.publisher.conn.Close()
	}
	c.running.Wait()
}

// fail notes the first error.
func (c *crowd) fail(err error) { c.failed.CompareAndSwap(nil, &err) }

func (c *crowd) failure() error {
	if err := c.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// listen hears events until the socket ends. Each is the next one.
func (c *crowd) listen(k *subscriber) error {
	for {
		m, err := k.next()
		if err != nil {
			return err
		}
		switch typ := typeOf(m); typ {
		case wire.TypeEventPublished:
		case wire.TypeParticipantJoined:
			continue
		default:
			return fmt.Errorf("a subscriber was told %s", m[:min(len(m), 200)])
		}
		late := time.Since(c.epoch) - time.Duration(number(m, `"at":`))
		if n := number(m, `"n":`); n != k.heard.Load() {
			return fmt.Errorf("a subscriber has heard event %d in place of %d", n, k.heard.Load())
		}
		k.mu.Lock()
		k.delays = append(k.delays, late)
		k.mu.Unlock()
		k.heard.Add(1)
		c.delivered.Add(1)
	}
}

// replies reads what the publisher is told.
func (c *crowd) replies() error {
	for {
		m, err := c.publisher.next()
		if err != nil {
			return err
		}
		if typ := typeOf(m); typ == wire.TypeError || typ == wire.TypeEnded {
			return fmt.Errorf("the publisher was told %s", m)
		}
	}
}

// publish publishes the next event.
func (c *crowd) publish() error {
	_, err := c.publisher.request(wire.TypeEventPublish, fmt.Appendf(nil, `{"name":%q,"value":{"n":%d,"at":%d,"pad":%q}}`,
		eventName, c.published, time.Since(c.epoch), strings.Repeat("x", padding)))
	c.published++
	return err
}

// flood publishes as long as no more events are under way than ahead, until ctx ends.
func (c *crowd) flood(ctx context.Context, ahead int) {
	var last time.Time
	for ctx.Err() == nil && c.failure() == nil {
		room := int64(c.published-ahead)*int64(len(c.subscribers)) < c.delivered.Load()
		if !room || time.Since(last) < leastInterval {
			time.Sleep(200 * time.Microsecond)
			continue
		}
		last = time.Now()
		if err := c.publish(); err != nil {
			c.fail(err)
		}
	}
}

// pace publishes at even intervals, until ctx ends.
func (c *crowd) pace(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for c.failure() == nil {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := c.publish(); err != nil {
			c.fail(err)
		}
	}
}

// measure lets publish run for a while longer than a window, in whose beginning all has settled, and waits until everybody has heard everything.
func (c *crowd) measure(ctx context.Context, s *server, window time.Duration, publish func(context.Context)) (found, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var publishing sync.WaitGroup
	publishing.Go(func() { publish(ctx) })
	wait(ctx, window/5)
	_ = c.taken()
	n, before := c.delivered.Load(), s.usage()
	wait(ctx, window)
	f := found{n: int(c.delivered.Load() - n), usage: s.usage().since(before), delays: c.taken()}
	interrupted := ctx.Err()
	stop()
	publishing.Wait()
	until := time.Now().Add(catchUp)
	for c.delivered.Load() < int64(c.published)*int64(len(c.subscribers)) && c.failure() == nil {
		if time.Now().After(until) {
			return f, fmt.Errorf("%d deliveries of %d", c.delivered.Load(), c.published*len(c.subscribers))
		}
		time.Sleep(time.Millisecond)
	}
	return f, errors.Join(interrupted, c.failure())
}

// taken returns the delays that were noted since the last call.
func (c *crowd) taken() delays {
	var all delays
	for _, k := range c.subscribers {
		k.mu.Lock()
		all, k.delays = append(all, k.delays...), nil
		k.mu.Unlock()
	}
	return all
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// found is what was measured in a window.
type found struct {
	n      int
	usage  usage
	delays delays
}

func (f found) perSecond() float64 { return float64(f.n) / f.usage.wall.Seconds() }
