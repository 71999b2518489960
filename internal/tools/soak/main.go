// Command soak lets rooms full of people talk on the real binary for a long time while others come and go, and then looks for what is left
// of them:
//
//	soak -binary bin/parley -duration 10m
//
// A first, short round of the same load fills what the server keeps to be used again. What it holds when that is over (goroutines, file
// descriptors, rooms, sessions, connections, live heap) it must hold again after the soak, of the heap at most 5 % more. The exit
// status is 1 where it does not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/parley-rtc/parley/internal/load"
	"github.com/parley-rtc/parley/wire"
)

func main() {
	s := soak{visitEvery: time.Second, callEvery: 5, idle: 35 * time.Second, tolerance: 0.05}
	flag.StringVar(&s.binary, "binary", "bin/parley", "the server")
	flag.DurationVar(&s.duration, "duration", 10*time.Minute, "how long people talk")
	flag.IntVar(&s.rooms, "rooms", 10, "rooms")
	flag.IntVar(&s.people, "people", 5, "people in each of them")
	flag.DurationVar(&s.warmUp, "warm-up", 15*time.Second, "how long people talk in the first round")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	verdict, err := s.run(ctx, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
	if !verdict.print(os.Stdout) {
		os.Exit(1)
	}
}

// soak is one.
type soak struct {
	// static after construction
	binary           string
	duration, warmUp time.Duration
	visitEvery       time.Duration
	callEvery        int           // one visit in so many is a call of two with media, in a room of its own, which ends with them
	idle             time.Duration // from when nobody is left of the first round, until what is held then is what is always held
	tolerance        float64       // how much more live heap there may be at the end, of what there was at the start
	rooms, people    int

	server *server

	// guarded by mu
	mu     sync.Mutex
	failed []error
}

const (
	talkBitrate = 300_000
	// settleTime is how long the server may take to find out that somebody is gone: 30 s for consent and for a session to be resumed.
	settleTime = 60 * time.Second
)

func (s *soak) run(ctx context.Context, out *os.File) (*verdict, error) {
	server, err := startServer(ctx, s.binary)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	s.server = server
	progress := newProgress(out)
	defer progress.close()
	v := &verdict{duration: s.duration, rooms: s.rooms, people: s.people, tolerance: s.tolerance}
	if _, err := s.talk(ctx, "first", s.warmUp, progress); err != nil {
		return nil, fmt.Errorf("the first round: %w", err)
	}
	if _, err = server.settle(ctx, counts.empty, settleTime, progress); err != nil {
		return nil, err
	}
	if v.before, err = server.settle(ctx, func(counts) bool { return false }, s.idle, progress); err != nil {
		return nil, err
	}
	if v.visits, err = s.talk(ctx, "soak", s.duration, progress); err != nil {
		return nil, err
	}
	if v.after, err = server.settle(ctx, func(c counts) bool { return c.within(v.before, s.tolerance) }, settleTime, progress); err != nil {
		return nil, err
	}
	v.failed = s.failed
	return v, ctx.Err()
}

// talk lets all rooms talk for some time while others come and go, and returns how many did.
func (s *soak) talk(ctx context.Context, name string, d time.Duration, progress *progress) (visits int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	visited := make(chan int, 1)
	running.Go(func() { visited <- s.visits(ctx, name) })
	p := s.plan(name, s.rooms, s.people, d)
	report, err := load.Run(ctx, p, load.Options{Status: func(x load.Status) { progress.show(name, x) }})
	cancel()
	running.Wait()
	switch {
	case err != nil:
		return 0, err
	case report.Interrupted:
		return 0, errors.New("interrupted")
	case report.Joins.Failed > 0:
		return 0, fmt.Errorf("%d could not join", report.Joins.Failed)
	}
	return <-visited, nil
}

func (s *soak) plan(room string, rooms, people int, d time.Duration) *load.Plan {
	return &load.Plan{
		URL: s.server.url, Rooms: rooms, Publishers: people, Meeting: true, Room: room, Ramp: 20, Duration: d,
		Video: "vp8", Audio: true, Bitrate: talkBitrate, FPS: 30,
	}
}

// visits begins one visit every visitEvery, until ctx ends, and waits for them.
func (s *soak) visits(ctx context.Context, name string) (n int) {
	var running sync.WaitGroup
	defer running.Wait()
	ticker := time.NewTicker(s.visitEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return n
		case <-ticker.C:
			room, who := fmt.Sprintf("%s-%d", name, 1+n%s.rooms), fmt.Sprint("visitor-", n)
			call := n%s.callEvery == 0
			n++
			running.Go(func() { s.note(s.visit(room, who, call)) })
		}
	}
}

func (s *soak) visit(room, who string, call bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), visitTimeout)
	defer cancel()
	if !call {
		return s.server.visit(ctx, wire.Join{Protocol: wire.Protocol, Room: room, Identity: who, Name: who})
	}
	report, err := load.Run(ctx, s.plan(who, 1, 2, time.Second), load.Options{})
	if err == nil && report.Joins.Failed > 0 {
		err = fmt.Errorf("%s could not join: %v", who, report.Errors)
	}
	return err
}

const visitTimeout = 30 * time.Second

func (s *soak) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failed = append(s.failed, err)
	}
}

// verdict is what a soak has found.
type verdict struct {
	duration      time.Duration
	rooms, people int
	visits        int
	tolerance     float64 // of the heap
	failed        []error // visits
	before, after counts
}

// print writes the result and reports whether it is good.
func (v *verdict) print(out io.Writer) bool {
	good := len(v.failed) == 0
	fmt.Fprintf(out, "%d rooms of %d for %v, %d visits, %d of them failed\n", v.rooms, v.people, v.duration, v.visits, len(v.failed))
	for _, err := range v.failed[:min(len(v.failed), 3)] {
		fmt.Fprintln(out, "  ", err)
	}
	for _, name := range exact {
		ok := v.after[name] <= v.before[name]
		good = good && ok
		fmt.Fprintf(out, "  %-32s %10.0f → %10.0f  %s\n", name, v.before[name], v.after[name], mark(ok))
	}
	before, after := v.before[heapMetric], v.after[heapMetric]
	ok := after <= before*(1+v.tolerance)
	good = good && ok
	fmt.Fprintf(out, "  %-32s %7.0f KiB → %6.0f KiB (%+.1f %%)  %s\n", "live heap", before/1024, after/1024, 100*(after/before-1), mark(ok))
	fmt.Fprintf(out, "  %-32s %7.0f KiB → %6.0f KiB\n", "resident", v.before[residentMetric]/1024, v.after[residentMetric]/1024)
	result := "passed"
	if !good {
		result = "failed"
	}
	fmt.Fprintf(out, "soak: %s\n", result)
	return good
}

func mark(ok bool) string {
	if ok {
		return "✓"
	}
	return "✗"
}
