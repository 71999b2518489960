package main

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// idle measures the memory of sessions that do nothing but answer pings.
func (b *bench) idle(ctx context.Context, secure bool) error {
	name, bar := "ws", 40.0
	if secure {
		name, bar = "wss", 64.0
	}
	s, err := b.start(ctx, "idle-"+name, "--auth", "open")
	if err != nil {
		return err
	}
	defer func() { _ = s.stop(syscall.SIGKILL) }()
	if secure { // the first one may have a certificate made
		k, err := b.join(0, wire.Join{Room: "first"}, secure)
		if err != nil {
			return err
		}
		_ = k.conn.Close()
	}
	before, err := s.memory()
	if err != nil {
		return err
	}
	begun := time.Now()
	var reading sync.WaitGroup
	all, err := b.joinAll(ctx, b.idleSessions, "sessions over "+name, func(i int) (*session, error) {
		k, err := b.join(i, wire.Join{Room: fmt.Sprint("room ", i/b.idleRoomSize)}, secure)
		if err != nil {
			return nil, err
		}
		reading.Go(func() { // ends with the socket
			for err := error(nil); err == nil; {
				_, err = k.next()
			}
		})
		return k, nil
	})
	if err != nil {
		return err
	}
	joined := time.Since(begun)
	defer reading.Wait()
	defer closeAll(all)
	b.progress.step("they do nothing")
	wait(ctx, b.settle/2)
	u := s.usage()
	wait(ctx, b.settle/2)
	u = s.usage().since(u)
	after, err := s.memory()
	if err != nil {
		return err
	}
	if after.sessions < float64(len(all)) {
		return fmt.Errorf("%.0f sessions are left of %d", after.sessions, len(all))
	}
	each := func(before, after float64) float64 { return (after - before) / 1024 / float64(len(all)) }
	b.table.atMost(fmt.Sprintf("%d idle sessions, %s, resident each", len(all), name), each(before.resident, after.resident), bar, "KiB",
		fmt.Sprintf("heap in use %.1f, stacks %.1f KiB; joined in %.1f s; then %v",
			each(before.heap, after.heap), each(before.stacks, after.stacks), joined.Seconds(), u))
	return ctx.Err()
}

// memory is what a server holds.
type memory struct{ resident, heap, stacks, sessions float64 }

func (s *server) memory() (m memory, err error) {
	if m.resident, err = s.resident(); err != nil { // before the metrics, which take some
		return m, err
	}
	for name, to := range map[string]*float64{
		"go_memstats_heap_inuse_bytes": &m.heap, "go_memstats_stack_inuse_bytes": &m.stacks, "parley_sessions": &m.sessions,
	} {
		if *to, err = s.metric(name); err != nil {
			return m, err
		}
	}
	return m, nil
}
