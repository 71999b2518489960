package client

import (
	"context"
	"errors"
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// records are those of one scope: which ones are open, the subscriptions to them, and whose writes are sent next. All of it is guarded by the
// Room's mu.
type records struct {
	state    *State
	open     map[string]*core
	order    []string // of open, as they were opened
	ready    []*core  // that may have something to send
	underway int
	writes   int // that wait for the server, and their size
	bytes    int
}

func isLost(err error) bool { return errors.Is(err, ErrConnection) }

func currentOf(err error) *wire.RecordState {
	var refused *wire.Error
	if errors.As(err, &refused) {
		return refused.Current
	}
	return nil
}

// use opens a record, or shares it with whoever has opened it before, and waits until it is here.
func (r *records) use(ctx context.Context, name string, o RecordOptions) (*core, error) {
	mu := &r.state.room.mu
	mu.Lock()
	c := r.open[name]
	if c == nil {
		c = &core{name: name, records: r, options: o, ready: make(chan struct{}), over: make(chan struct{})}
		r.open[name] = c
		r.order = append(r.order, name)
		r.subscribe([]*core{c})
	}
	c.users++
	mu.Unlock()
	select {
	case <-c.ready:
	case <-ctx.Done():
		mu.Lock()
		defer mu.Unlock()
		r.close(c)
		return nil, ctx.Err()
	}
	mu.Lock()
	defer mu.Unlock()
	return c, c.ended
}

// close ends the subscription when nobody uses it any more.
func (r *records) close(c *core) {
	if c.users--; c.users > 0 || r.open[c.name] != c {
		return
	}
	r.forget(c.name)
	c.end(ErrClosed)
	r.state.insist(wire.TypeRecordUnsubscribe, func() any {
		if r.open[c.name] != nil {
			return nil // it is used again
		}
		return wire.RecordUnsubscribe{Scope: r.state.scope, Records: []wire.RecordName{{Name: c.name}}}
	}, ignore)
}

func (r *records) forget(name string) {
	c := r.open[name]
	delete(r.open, name)
	r.ready = slices.DeleteFunc(r.ready, func(x *core) bool { return x == c })
	r.order = slices.DeleteFunc(r.order, func(x string) bool { return x == name })
}

// drop: it is over for one record.
func (r *records) drop(name string, err error) {
	if c := r.open[name]; c != nil {
		r.forget(name)
		c.end(err)
	}
}

func (r *records) end(err error) {
	for _, name := range slices.Clone(r.order) {
		r.drop(name, err)
	}
}

// part: the connection is lost. The server may keep the session.
func (r *records) part() {
	for _, c := range r.open {
		c.part()
	}
}

// together: what was told meanwhile is here, and what is not lost goes on.
func (r *records) together() {
	for _, name := range slices.Clone(r.order) {
		if c := r.open[name]; c != nil {
			c.together()
		}
	}
	r.pump()
}

// lose: the server tells nothing any more.
func (r *records) lose() {
	for _, c := range r.open {
		c.replica.live = false
	}
}

// restore subscribes again, naming what is here.
func (r *records) restore() {
	for names := range slices.Chunk(slices.Clone(r.order), maxRestored) {
		cores := make([]*core, len(names))
		for i, name := range names {
			cores[i] = r.open[name]
		}
		r.subscribe(cores)
	}
}

func (r *records) resubscribe(c *core) { r.subscribe([]*core{c}) }

func (r *records) subscribe(cores []*core) {
	var asked []*core
	var asks []int
	r.state.keep(wire.TypeRecordSubscribe, func() any {
		ask := wire.RecordSubscribe{Scope: r.state.scope}
		asked, asks = nil, nil
		for _, c := range cores {
			if r.open[c.name] != c || c.replica.live {
				continue
			}
			asked, asks = append(asked, c), append(asks, c.asked())
			h := c.replica.has()
			ask.Records = append(ask.Records, wire.RecordHave{Name: c.name, Incarnation: h.incarnation, Version: h.version})
		}
		if len(asked) == 0 {
			return nil
		}
		return ask
	}, func(m wire.Message, err error) {
		var results wire.Records
		if err == nil {
			results, err = decode[wire.Records](m)
		}
		for i, c := range asked {
			switch {
			case r.open[c.name] != c || asks[i] != c.asks: // closed meanwhile, or a newer one is on its way
			case err != nil:
				r.failed(c, err)
			default:
				r.taken(c, resultOf(results, i), len(asked) > 1)
			}
		}
	})
}

// past reads earlier versions of a record. What has no room in one reply is asked for again; what cannot be had is left out. With an error, so is what
// was not answered.
func (r *records) past(name string, versions []uint64, done func([]wire.RecordResult, error)) {
	var found []wire.RecordResult
	var read func(versions []uint64)
	read = func(versions []uint64) {
		ask := wire.RecordRead{Scope: r.state.scope}
		for _, v := range versions {
			ask.Records = append(ask.Records, wire.RecordWanted{Name: name, Version: v})
		}
		r.state.insist(wire.TypeRecordRead, func() any { return ask }, func(m wire.Message, err error) {
			var results wire.Records
			if err == nil {
				results, err = decode[wire.Records](m)
			}
			var rest []uint64
			for i, v := range versions {
				x := resultOf(results, i)
				if codeOf(refusal(x.Error)) == wire.CodeLimit {
					rest = append(rest, v)
				}
				found = append(found, x)
			}
			if err == nil && len(rest) > 0 && len(rest) < len(versions) {
				read(rest)
				return
			}
			done(found, err)
		})
	}
	read(versions)
}

// resultOf is what the server says of one of those that were asked for; nothing where it does not.
func resultOf(results wire.Records, i int) wire.RecordResult {
	if i < len(results.Results) {
		return results.Results[i]
	}
	return wire.RecordResult{}
}

func (r *records) failed(c *core, err error) {
	if !r.state.restored(err) {
		r.drop(c.name, err)
	}
}

func (r *records) taken(c *core, result wire.RecordResult, bulk bool) {
	// The values in one reply have a limit, which each alone does not reach.
	if bulk && result.Error != nil && result.Error.Code == wire.CodeLimit {
		r.resubscribe(c)
		return
	}
	if result.Record == nil {
		r.forget(c.name)
	}
	c.taken(result)
}

// admit counts a write that waits, or says that there is no room for it.
func (r *records) admit(size int) error {
	if r.writes >= MaxWaitingWrites || r.bytes+size > MaxWaitingBytes {
		return wire.NewError(wire.CodeLimit, "too many writes wait for the server", "wait for some of them, or until the room is connected again")
	}
	r.writes++
	r.bytes += size
	return nil
}

func (r *records) settled(size int) {
	r.writes--
	r.bytes -= size
}

func (r *records) makeReady(c *core) {
	if r.open[c.name] == c && !slices.Contains(r.ready, c) {
		r.ready = append(r.ready, c)
	}
	r.pump()
}

func (r *records) sent(c *core) {
	r.underway--
	r.makeReady(c)
}

// pump sends what can be sent: of each record one write at a time, so that they keep their order whatever is refused.
func (r *records) pump() {
	for len(r.ready) > 0 && r.underway < maxWritesUnderway && r.state.room.session.isCaughtUp() {
		c := r.ready[0]
		r.ready = r.ready[1:]
		r.underway++
		if !c.send() {
			r.underway--
		}
	}
}
