package client

import (
	"context"
	"maps"
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// names are those that the server knows this session by: events that it is subscribed to, RPCs that it provides. They are kept over lost
// sessions. All of it is guarded by the Room's mu.
type names[U comparable] struct {
	state       *State
	add, remove string // types of requests, with a wire.EventNames or what has the same members
	kept        map[string]*kept[U]
}

// kept is a name and who uses it.
type kept[U comparable] struct {
	users   []U
	settled chan struct{} // closed when the server has said whether
	isDone  bool
	err     error
}

func (k *kept[U]) settle(err error) {
	if !k.isDone {
		k.isDone, k.err = true, err
		close(k.settled)
	}
}

// of returns who uses a name.
func (n *names[U]) of(name string) []U {
	if k := n.kept[name]; k != nil {
		return k.users
	}
	return nil
}

// use returns when the server knows the name.
func (n *names[U]) use(ctx context.Context, name string, user U) (stop func(), err error) {
	mu := &n.state.room.mu
	mu.Lock()
	k := n.kept[name]
	if k == nil {
		k = &kept[U]{settled: make(chan struct{})}
		n.kept[name] = k
		n.ask([]string{name})
	}
	k.users = append(slices.Clone(k.users), user)
	mu.Unlock()
	stop = func() {
		mu.Lock()
		defer mu.Unlock()
		n.leave(name, user)
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

func (n *names[U]) leave(name string, user U) {
	k := n.kept[name]
	if k == nil || !slices.Contains(k.users, user) {
		return
	}
	if k.users = slices.DeleteFunc(slices.Clone(k.users), func(u U) bool { return u == user }); len(k.users) > 0 {
		return
	}
	delete(n.kept, name)
	n.state.ask(n.remove, wire.EventNames{Scope: n.state.scope, Names: []string{name}}, ignore)
}

// restore: the server has forgotten all of it.
func (n *names[U]) restore() {
	for some := range slices.Chunk(slices.Sorted(maps.Keys(n.kept)), wire.MaxBulkNames) {
		n.ask(some)
	}
}

// drop: it is not allowed any more.
func (n *names[U]) drop(name string, err error) {
	if k := n.kept[name]; k != nil {
		delete(n.kept, name)
		k.settle(err)
	}
}

func (n *names[U]) end(err error) {
	for _, name := range slices.Sorted(maps.Keys(n.kept)) {
		n.drop(name, err)
	}
}

func (n *names[U]) ask(some []string) {
	asked := make([]*kept[U], len(some))
	for i, name := range some {
		asked[i] = n.kept[name]
	}
	n.state.insist(n.add, wire.EventNames{Scope: n.state.scope, Names: some}, func(m wire.Message, err error) {
		var body wire.Subscribed
		if err == nil {
			body, err = decode[wire.Subscribed](m)
		}
		if isLost(err) {
			return // all of them are restored
		}
		for i, name := range some {
			failed := err
			if err == nil && i < len(body.Results) {
				failed = refusal(body.Results[i].Error)
			}
			switch {
			case n.kept[name] != asked[i]: // it ended meanwhile
			case failed != nil:
				n.drop(name, failed)
			default:
				asked[i].settle(nil)
			}
		}
	})
}
