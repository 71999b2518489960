package scopes

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// begin fails all that waits, as a commit has failed with an error, and begins again with what is stored, and with what was never to be in the scope
// before.
func (o *Owner) begin(why error, before *state.Scope) {
	o.commits.fail(notStored(why))
	o.commits.tidied(errLoaded)
	if unknown(why) {
		o.doubt(why)
	}
	for _, answer := range o.calls {
		answer(state.Reply{Error: wire.NewError(wire.CodeInternal, "the scope was loaded again: it is not known how the call ended", "look at what the provider has done before it is called again")})
	}
	clear(o.calls)
	if o.commits.purging {
		o.warn((<-o.commits.purged).err)
	}
	o.commits = newCommits()
	if time.Since(o.failed) < loadPause { // again: do not spend all time on it
		select {
		case <-time.After(loadPause):
		case <-o.stop:
			o.over = true
			return
		}
	}
	o.failed = time.Now()
	o.reload(before)
}

// reload begins again with what is stored, however long that takes, and tells all sessions that they have lost their subscriptions.
func (o *Owner) reload(before *state.Scope) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), loadTime)
		err := o.load(ctx, before)
		cancel()
		if err == nil {
			break
		}
		o.config.Logger.Error("a scope cannot be loaded; it is tried again", "subject", o.config.Subject, "error", err)
		select {
		case <-time.After(loadPause):
		case <-o.stop:
			o.over = true
			return
		}
	}
	o.commits.raise(o)
	o.commits.purge(o)
	var all []string
	for _, a := range o.attached {
		o.carryOut(call{}, o.scope.Apply(time.Now(), a))
		all = append(all, a.By.Session)
	}
	if len(all) > 0 {
		body := wire.StateLost{Scope: o.config.State.Scope}
		o.config.Tell(state.Tell{Sessions: all, Type: wire.TypeStateLost, Body: body}, encode(body))
	}
}

// load makes the scope of what is stored, and of what was never to be stored in the one before, if there is one.
func (o *Owner) load(ctx context.Context, before *state.Scope) error {
	if may := o.rules.Load(); may != nil { // as nothing is told before it is done
		o.config.State.May = *may
	}
	scope, there := state.New(o.config.State), newCommits()
	if o.scope != nil { // incarnations go on, whether they were stored or not
		if err := scope.Replay(state.Commit{Incarnations: o.scope.Incarnations()}); err != nil {
			return err
		}
	}
	changes, err := o.replay(ctx, scope, &there)
	if err != nil {
		return fmt.Errorf("load %s: %w", o.config.Subject, err)
	}
	if o.config.Loaded != nil && len(changes) > 0 {
		o.config.Loaded(slices.SortedStableFunc(maps.Values(changes), func(a, b state.LastChange) int { return a.At.Compare(b.At) }))
	}
	if before != nil {
		scope.Keep(before)
	}
	scope.Shut(o.refuses())
	o.scope, o.commits = scope, there
	o.account()
	return nil
}

// replay reads what is stored. Of commits below the highest floor, which the last one has, any may be left, and they are passed over; of the others none may be missing
// behind the first. It returns the last change of each record.
func (o *Owner) replay(ctx context.Context, scope *state.Scope, there *commits) (map[string]state.LastChange, error) {
	newest, err := o.newest(ctx)
	if err != nil || newest.last == 0 {
		return nil, err
	}
	changes, created := map[string]state.LastChange{}, uint64(0)
	there.cleared = newest.floor
	err = o.config.Log.Read(ctx, o.config.Subject, 0, func(m bus.Stored) error {
		switch {
		case m.Number < newest.floor:
			there.cleared = 0 // it is to be purged again
			return nil
		case m.Number > newest.last:
			return nil
		}
		c, err := readCommit(m)
		switch {
		case err != nil:
			return err
		case there.last > 0 && c.Previous != nil && *c.Previous != there.last:
			return fmt.Errorf("%w: commit %d follows commit %d, which is not there", ErrDamaged, m.Number, *c.Previous)
		}
		if err := scope.Replay(c); err != nil {
			return fmt.Errorf("%w: commit %d: %w", ErrDamaged, m.Number, err)
		}
		there.loaded(m.Number, len(m.Bytes), c)
		if o.config.Loaded != nil {
			o.note(changes, c, created, m.At)
		}
		created = c.Incarnations
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case there.last < newest.last:
		return nil, fmt.Errorf("%w: commit %d is not there", ErrDamaged, newest.last)
	}
	if err := scope.Replayed(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return changes, nil
}

// newest is the last commit that is there, or, where it is not known whether that is stored, the last one of which it is: a log whose disk has failed may show what it has in
// memory alone. Of that scope the owner looks again when it is decided.
func (o *Owner) newest(ctx context.Context) (known, error) {
	if k, decided, doubtful := o.config.Shelf.behind(o.config.Subject); doubtful {
		o.decided = decided
		return k, nil
	}
	last, err := o.config.Log.Last(ctx, o.config.Subject)
	if err != nil || last.Number == 0 {
		return known{}, err
	}
	c, err := readCommit(last)
	return known{last.Number, c.Floor}, err
}

// note adds what a commit has changed, behind one by which that incarnation was the last. Of a record that was only copied since, the change was long ago.
func (o *Owner) note(changes map[string]state.LastChange, c state.Commit, created uint64, at time.Time) {
	for _, e := range c.Entries {
		if !copies(c, e, created) {
			changes[e.Name] = state.LastChange{
				RecordNoted: wire.RecordNoted{Scope: o.config.State.Scope, Name: e.Name, Incarnation: e.Incarnation, Version: e.Version},
				Deleted:     e.Deleted, At: at,
			}
		}
	}
}

// copies tells whether an entry is a copy, which commits did not say before they named the one before them. Whole are then, beside copies, only records
// that were created since the commit before, which is not known of the first one.
func copies(c state.Commit, e state.Entry, created uint64) bool {
	switch {
	case e.Copy || e.Whole == nil:
		return e.Copy
	case e.Version > 1:
		return true
	}
	return c.Previous == nil && (created == 0 || e.Incarnation <= created)
}

func readCommit(m bus.Stored) (c state.Commit, err error) {
	if err := json.Unmarshal(m.Bytes, &c); err != nil {
		return c, fmt.Errorf("%w: commit %d: %w", ErrDamaged, m.Number, err)
	}
	return c, nil
}
