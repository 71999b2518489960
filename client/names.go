package client

import (
	"context"
	"maps"
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// names are those that the server knows this session by: events that it is subscribed to, RPCs that it provides. They are kept over lost
// sessions. All of it is guarded by the Room's mu.
type names[F any] struct {
	state       *State
	add, remove string              // types of requests, with a wire.EventNames or what has the same members
	ended       func(F) func(error) // what is told that it has ended; it may be nil
	kept        map[string]*kept[F]
}

// kept is a name and who uses it.
type kept[F any] struct {
	users   []*user[F]
	settled chan struct{} // closed when the server has said whether
	isDone  bool
	err     error
}

func (k *kept[F]) settle(err error) {
	if !k.isDone {
		k.isDone, k.err = true, err
		close(k.settled)
	}
}

// of returns who uses a name.
func (n *names[F]) of(name string) []*user[F] {
	if k := n.kept[name]; k != nil {
		return k.users
	}
	return nil
}

// use returns when the server knows the name.
func (n *names[F]) use(ctx context.Context, name string, given F) (stop func(), err error) {
	mu, u := &n.state.room.mu, &user[F]{given: given}
	mu.Lock()
	k := n.kept[name]
	isNew := k == nil
	if isNew {
		k = &kept[F]{settled: make(chan struct{})}
		n.kept[name] = k
	}
	k.users = append(slices.Clone(k.users), u)
	if isNew {
		n.ask([]string{name})
	}
	mu.Unlock()
	stop = func() {
		mu.Lock()
		defer mu.Unlock()
		n.leave(name, u)
	}
	select {
	case <-k.settled:
	case <-ctx.Done():
		stop()
		return nil, ctx.Err()
	}
	mu.Lock()
	defer mu.Unlock()
	if k.err != nil {
		return nil, k.err
	}
	return stop, nil
}

func (n *names[F]) leave(name string, u *user[F]) {
	u.stopped.Store(true)
	k := n.kept[name]
	if k == nil || !slices.Contains(k.users, u) {
		return
	}
	if k.users = without(k.users, u); len(k.users) > 0 {
		return
	}
	delete(n.kept, name)
	n.state.insist(n.remove, func() any {
		if n.kept[name] != nil {
			return nil // it is used again
		}
		return wire.EventNames{Scope: n.state.scope, Names: []string{name}}
	}, ignore)
}

// restore: the server has forgotten all of it.
func (n *names[F]) restore() {
	for some := range slices.Chunk(slices.Sorted(maps.Keys(n.kept)), wire.MaxBulkNames) {
		n.ask(some)
	}
}

// drop: it is not allowed any more, or the session has ended.
func (n *names[F]) drop(name string, err error) {
	k := n.kept[name]
	if k == nil {
		return
	}
	delete(n.kept, name)
	if !k.isDone {
		k.settle(err)
		return
	}
	for _, u := range k.users {
		if ended := n.ended(u.given); ended != nil {
			u.last(n.state.room.calls, func(F) { ended(err) })
		}
	}
}

func (n *names[F]) end(err error) {
	for _, name := range slices.Sorted(maps.Keys(n.kept)) {
		n.drop(name, err)
	}
}

func (n *names[F]) ask(some []string) {
	entries := make([]*kept[F], len(some))
	for i, name := range some {
		entries[i] = n.kept[name]
	}
	var asked []string
	var of []*kept[F]
	n.state.keep(n.add, func() any {
		asked, of = nil, nil
		for i, name := range some {
			if entries[i] != nil && n.kept[name] == entries[i] {
				asked, of = append(asked, name), append(of, entries[i])
			}
		}
		if len(asked) == 0 {
			return nil
		}
		return wire.EventNames{Scope: n.state.scope, Names: asked}
	}, func(m wire.Message, err error) {
		var body wire.Subscribed
		if err == nil {
			body, err = decode[wire.Subscribed](m)
		}
		if n.state.restored(err) {
			return
		}
		for i, name := range asked {
			failed := err
			if err == nil && i < len(body.Results) {
				failed = refusal(body.Results[i].Error)
			}
			switch {
			case n.kept[name] != of[i]: // it ended meanwhile
			case len(asked) > 1 && codeOf(failed) == wire.CodeLimit: // perhaps only of what one request may ask for
				n.ask([]string{name})
			case failed != nil:
				n.drop(name, failed)
			default:
				of[i].settle(nil)
			}
		}
	})
}
