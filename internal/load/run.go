package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/load/source"
)

// Options are what a run needs besides its plan.
type Options struct {
	// Token makes a token for a participant; nil: the server needs none.
	Token func(room, identity string) (string, error)
	// Status is called now and then with how far the run is; nil: nobody looks.
	Status func(Status)
}

// Phase is what a run does.
type Phase int

// Phases.
const (
	Joining Phase = iota
	Measuring
	Leaving
)

// Status is how far a run is.
type Status struct {
	Phase                   Phase
	Clients, Joined, Failed int
	Elapsed, Duration       time.Duration // of the measurement
	Received                Bitrate       // by all clients
	Lost, Packets           int
}

// crew is what the clients of a run have in common.
type crew struct {
	// static after construction
	plan   *Plan
	target *target
	token  func(room, identity string) (string, error)
	rooms  map[string]map[uint32]bool // the sources of each room
}

func (c *crew) sources(room string) map[uint32]bool { return c.rooms[room] }

// run is one run.
type run struct {
	// static after construction
	*crew
	status                  func(Status)
	publishers, subscribers []*client

	// owned by Run
	joining     sync.WaitGroup
	begun       time.Time
	interrupted bool
}

// Run carries out a plan, which has been checked. When ctx ends, it reports what was measured so far. An error says that nothing
// could be measured at all.
func Run(ctx context.Context, p *Plan, o Options) (*Report, error) {
	t, err := p.resolve(ctx)
	if err != nil {
		return nil, err
	}
	defer t.close()
	if err := t.greet(ctx); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	r := newRun(p, t, o)
	before := processorTime()
	r.begun = time.Now()
	r.ramp(ctx, r.publishers)
	if p.Path == "" || !r.nobody() { // a path by which nobody comes in is told after half of the time
		r.ramp(ctx, r.subscribers)
	}
	r.settle(ctx)
	if ctx.Err() == nil {
		before = processorTime()
		r.begin()
		r.wait(ctx, p.Duration)
	}
	r.interrupted = ctx.Err() != nil
	if p.Path != "" {
		for _, c := range r.clients() {
			c.measurePing(ctx)
		}
	}
	report := r.report(time.Now(), processorTime()-before)
	r.tell(Leaving)
	r.leave()
	return report, nil
}

func newRun(p *Plan, t *target, o Options) *run {
	r := &run{crew: &crew{plan: p, target: t, token: o.Token, rooms: map[string]map[uint32]bool{}}, status: o.Status}
	name := p.Room
	if name == "" {
		name = fmt.Sprintf("load-%04d", rand.IntN(10000)) // two runs at once do not meet
	}
	for i := range p.Rooms {
		room := fmt.Sprintf("%s-%d", name, i+1)
		sources := map[uint32]bool{}
		for j := range p.Publishers {
			c := newClient(r.crew, room, "publisher", j, true, p.Meeting)
			r.publishers = append(r.publishers, c)
			for _, video := range []bool{false, true} {
				sources[source.ID(room, c.identity, video)] = true
			}
		}
		r.rooms[room] = sources
		for j := range p.Subscribers {
			r.subscribers = append(r.subscribers, newClient(r.crew, room, "subscriber", j, false, true))
		}
	}
	return r
}

func (r *run) clients() []*client {
	return append(r.publishers[:len(r.publishers):len(r.publishers)], r.subscribers...)
}

// ramp joins clients at the rate of the plan and waits for all of them. Publishers come first, so that what subscribers wait for is
// there.
func (r *run) ramp(ctx context.Context, clients []*client) {
	ticker := time.NewTicker(time.Duration(float64(time.Second) / float64(r.plan.Ramp)))
	defer ticker.Stop()
	shown := time.Time{}
	for i, c := range clients {
		if i > 0 {
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			break
		}
		r.joining.Go(func() { c.join(ctx) })
		if time.Since(shown) >= statusEvery {
			shown = time.Now()
			r.tell(Joining)
		}
	}
	all := make(chan struct{})
	go func() { r.joining.Wait(); close(all) }() // joins end by themselves
	for {
		select {
		case <-all:
			r.tell(Joining)
			return
		case <-time.After(statusEvery):
			r.tell(Joining)
		}
	}
}

// settle waits until everybody sees and hears, for settleTime at most: the first seconds of a call are measured by themselves.
func (r *run) settle(ctx context.Context) {
	ctx, done := context.WithTimeout(ctx, settleTime)
	defer done()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil {
		waiting := 0
		for _, c := range r.clients() {
			waiting += c.waiting()
		}
		if waiting == 0 {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

func (r *run) begin() {
	r.begun = time.Now()
	for _, c := range r.clients() {
		c.begin(r.begun)
	}
	r.tell(Measuring)
}

// wait lets the time of measurement pass.
func (r *run) wait(ctx context.Context, duration time.Duration) {
	end := time.NewTimer(duration)
	defer end.Stop()
	ticker := time.NewTicker(statusEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			r.tell(Measuring)
			return
		case <-ticker.C:
			r.tell(Measuring)
			if r.nobody() {
				return
			}
		}
	}
}

// nobody reports whether no client is left that works.
func (r *run) nobody() bool {
	for _, c := range r.clients() {
		if c.well() {
			return false
		}
	}
	return true
}

// tell tells whoever looks how far the run is.
func (r *run) tell(phase Phase) {
	if r.status == nil {
		return
	}
	s := Status{Phase: phase, Elapsed: min(time.Since(r.begun), r.plan.Duration), Duration: r.plan.Duration}
	for _, c := range r.clients() {
		c.count(&s)
	}
	r.status(s)
}

// leave ends all clients.
func (r *run) leave() {
	ctx, done := context.WithTimeout(context.Background(), leaveTimeout)
	defer done()
	var leaving sync.WaitGroup
	for _, c := range r.clients() {
		leaving.Go(func() { c.leave(ctx) })
	}
	leaving.Wait()
}
