package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/parley-rtc/parley/wire"
)

const (
	fewUnderway  = 8   // ephemeral writes of one session, where it is not one
	pipelined    = 64  // writes under way in one session
	burstWrites  = 450 // of one session at once: less than its allowance
	burstWriters = 8   // sessions that do so, one after the other
	remembered   = 512 // writes of one session whose beginning is known: more than may be under way
)

// writer writes a record of its own again and again.
type writer struct {
	*session
	name    string
	durable bool

	allowance allowance // of again, owned by who calls it

	// guarded by mu
	mu     sync.Mutex
	sent   [remembered]time.Time // by number
	took   delays
	ended  time.Time // the last reply came
	writes int       // that were begun
	last   int       // of them is the last, where that is known
}

// write begins one.
func (w *writer) write() error {
	w.mu.Lock()
	w.writes++
	w.sent[(w.id+1)%remembered] = time.Now()
	w.mu.Unlock()
	_, err := w.request(wire.TypeRecordWrite, fmt.Appendf(nil,
		`{"name":%q,"durable":%t,"operations":[{"op":"set","path":"n","value":%d},{"op":"set","path":"by","value":{"x":17,"y":4,"colour":"red"}}]}`,
		w.name, w.durable, w.id))
	return err
}

// reply reads until one more write is stored.
func (w *writer) reply() error {
	for {
		m, err := w.next()
		if err != nil {
			return err
		}
		id := number(m, `"reply":`)
		switch typ := typeOf(m); {
		case id < 0 && typ == wire.TypeParticipantJoined:
			continue
		case id < 0 || typ != wire.TypeWritten:
			return fmt.Errorf("%s was told %s", w.name, m[:min(len(m), 300)])
		}
		w.mu.Lock()
		w.ended = time.Now()
		w.took = append(w.took, w.ended.Sub(w.sent[id%remembered]))
		w.mu.Unlock()
		return nil
	}
}

// again writes, as soon as a write is stored the next one, with so many under way, until so many were begun or ctx ends; then it waits for the rest.
// Who is answered faster than its allowance comes back has fewer under way.
func (w *writer) again(ctx context.Context, underway, most int) error {
	more := func() bool { return ctx.Err() == nil && w.writes < most }
	for open := 0; ; {
		for ; open < underway && more() && w.allowance.take(time.Now()); open++ {
			if err := w.write(); err != nil {
				return err
			}
		}
		if open > 0 {
			if err := w.reply(); err != nil {
				return err
			}
			open--
			continue
		}
		if !more() {
			return nil
		}
		wait(ctx, leastInterval)
	}
}

// allowance is what one session may write: some at once, and what comes back. The zero value is one that nothing was taken of.
type allowance struct {
	taken float64
	at    time.Time
}

// take takes one write, or reports that there is none.
func (a *allowance) take(now time.Time) bool {
	left := max(0, a.taken-now.Sub(a.at).Seconds()*wire.StateRequestsPerSecond)
	a.at, a.taken = now, left
	if left > burstWrites-1 {
		return false
	}
	a.taken++
	return true
}

// paced writes at even intervals, whatever was answered, until ctx ends; then it waits for the rest.
func (w *writer) paced(ctx context.Context, first, interval time.Duration) error {
	before, ticking := w.writes, make(chan error, 1)
	go func() { ticking <- w.tick(ctx, first, interval) }() // ends with ctx, or the socket
	for n := before + 1; ; n++ {
		if err := w.reply(); err != nil {
			return errors.Join(err, w.conn.Close(), <-ticking)
		}
		w.mu.Lock()
		last := n == w.last
		w.mu.Unlock()
		if last {
			return <-ticking
		}
	}
}

// tick begins a write at each interval, and the last one when ctx has ended.
func (w *writer) tick(ctx context.Context, first, interval time.Duration) error {
	wait(ctx, first)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if err := w.write(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	w.mu.Lock()
	w.last = w.writes + 1 // before it is begun, so that its reply is known for the last
	w.mu.Unlock()
	return w.write()
}

// writersIn lets so many into a room.
func (b *bench) writersIn(ctx context.Context, room string, n int, durable bool) ([]*writer, error) {
	all, err := b.joinAll(ctx, n, "writers", func(i int) (*session, error) { return b.join(i, wire.Join{Room: room}, false) })
	if err != nil {
		return nil, err
	}
	writers := make([]*writer, n)
	for i, s := range all {
		writers[i] = &writer{session: s, name: fmt.Sprint("record ", i), durable: durable}
	}
	return writers, nil
}

// during lets all write for a window, and a fifth of it before that, in which all settles.
func (b *bench) during(ctx context.Context, s *server, all []*writer, write func(ctx context.Context, i int, w *writer) error) (found, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	failed := make([]error, len(all))
	for i, w := range all {
		running.Go(func() { failed[i] = write(ctx, i, w) })
	}
	wait(ctx, b.window/5)
	_ = taken(all)
	before := s.usage()
	wait(ctx, b.window)
	f := found{usage: s.usage().since(before), delays: taken(all)}
	f.n = len(f.delays)
	interrupted := ctx.Err()
	stop()
	running.Wait()
	_ = taken(all)
	return f, errors.Join(interrupted, errors.Join(failed...))
}

// taken returns how long the writes took that ended since the last call.
func taken(all []*writer) delays {
	var d delays
	for _, w := range all {
		w.mu.Lock()
		d, w.took = append(d, w.took...), nil
		w.mu.Unlock()
	}
	return d
}

// writing starts a server, and writers in one room of it. End ends all of them.
func (b *bench) writing(ctx context.Context, name string, count int, durable bool) (s *server, all []*writer, end func(), err error) {
	if s, err = b.start(ctx, name, "--auth", "open"); err != nil {
		return nil, nil, nil, err
	}
	all, err = b.writersIn(ctx, name, count, durable)
	end = func() {
		for _, w := range all {
			_ = w.conn.Close()
		}
		_ = s.stop(syscall.SIGKILL)
	}
	if err != nil {
		end()
	}
	return s, all, end, err
}

// durable measures writes that are stored before they are answered.
func (b *bench) durable(ctx context.Context) error {
	s, all, end, err := b.writing(ctx, "durable", b.writers, true)
	if err != nil {
		return err
	}
	defer end()
	sync1, err := syncTime(b.folder)
	if err != nil {
		return err
	}
	b.progress.step("one write under way each")
	most, err := b.during(ctx, s, all, func(ctx context.Context, _ int, w *writer) error { return w.again(ctx, 1, 1<<30) })
	if err != nil {
		return err
	}
	b.progress.step(fmt.Sprintf("%d writes a second", b.durablePerSecond))
	interval := time.Duration(b.writers) * time.Second / time.Duration(b.durablePerSecond)
	paced, err := b.during(ctx, s, all, func(ctx context.Context, i int, w *writer) error {
		return w.paced(ctx, interval*time.Duration(i)/time.Duration(len(all)), interval)
	})
	if err != nil {
		return err
	}
	burst, err := b.bursts(ctx, s)
	if err != nil {
		return err
	}
	sync2, err := syncTime(b.folder)
	if err != nil {
		return err
	}
	b.table.tell("a sync of this disk: 4 KiB and fdatasync, p50", fmt.Sprintf("%.2f ms", milliseconds(sync1)),
		fmt.Sprintf("before all; %.2f ms after it; the lesser one counts", milliseconds(sync2)))
	what := fmt.Sprintf("durable writes, %d writers", b.writers)
	bar := 2 + milliseconds(min(sync1, sync2))
	b.table.atLeast(what+", one under way each", most.perSecond(), 4000, "writes/s", fmt.Sprintf("%v; CPU for each %.0f µs; %v", most.delays, most.usage.each(most.n), most.usage))
	b.table.atLeast(fmt.Sprintf("  one session, %d under way", pipelined), burst.perSecond(), 4000, "writes/s", fmt.Sprintf("%v; %v", burst.delays, burst.usage))
	b.table.atMost(fmt.Sprintf("  at %.0f writes/s, p50", paced.perSecond()), milliseconds(paced.delays.at(0.5)), bar, "ms",
		fmt.Sprintf("p99 %.1f ms; CPU for each %.0f µs; %v", milliseconds(paced.delays.at(0.99)), paced.usage.each(paced.n), paced.usage))
	return nil
}

// bursts lets sessions pipeline, one after the other: one alone has no allowance for as long as it takes to measure anything.
func (b *bench) bursts(ctx context.Context, s *server) (found, error) {
	b.progress.step(fmt.Sprintf("%d writes under way in one session", pipelined))
	all, err := b.writersIn(ctx, "bursts", burstWriters, true)
	if err != nil {
		return found{}, err
	}
	var f found
	for _, w := range all {
		defer w.conn.Close()
		before, begun := s.usage(), time.Now()
		if err := w.again(ctx, pipelined, burstWrites); err != nil {
			return f, err
		}
		u := s.usage().since(before)
		f.usage = usage{f.usage.wall + w.ended.Sub(begun), f.usage.server + u.server, f.usage.load + u.load, f.usage.others + u.others, f.usage.stolen + u.stolen}
		f.delays = append(f.delays, w.took...)
	}
	f.n = len(f.delays)
	return f, ctx.Err()
}

// ephemeral measures writes that are kept in memory.
func (b *bench) ephemeral(ctx context.Context) error {
	s, all, end, err := b.writing(ctx, "ephemeral", b.ephemeralWriters, false)
	if err != nil {
		return err
	}
	defer end()
	for _, underway := range []int{1, fewUnderway} {
		b.progress.step(fmt.Sprintf("%d under way each", underway))
		f, err := b.during(ctx, s, all, func(ctx context.Context, _ int, w *writer) error { return w.again(ctx, underway, 1<<30) })
		if err != nil {
			return err
		}
		b.table.atLeast(fmt.Sprintf("ephemeral writes, %d writers, %d under way", b.ephemeralWriters, underway), f.perSecond(), 20_000, "writes/s",
			fmt.Sprintf("%v; CPU for each %.1f µs; %v", f.delays, f.usage.each(f.n), f.usage))
	}
	return nil
}
