package client

import (
	"context"
	"maps"
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// Listener provides what others subscribe to. What is nil is not called.
type Listener struct {
	// Start: somebody has subscribed to this name, which is now this client's to provide; false leaves it to the next provider.
	Start func(name string) bool
	// Stop: nobody is subscribed any more, or another client provides it.
	Stop func(name string)
	// Ended is called when it has ended, and not by end: it is not allowed any more, or the room is over.
	Ended func(error)
}

// listening is one use of Listen.
type listening struct {
	Listener // static after construction

	// guarded by the Room's mu
	active map[string]*assignment // by name
	ready  chan struct{}          // closed when the server has said whether
	isDone bool
	err    error
}

// assignment is a name that is this client's to provide.
type assignment struct{ begun bool } // Start was called

type pattern struct {
	kind wire.ListenKind
	text string
}

func (l *listening) settle(err error) {
	if !l.isDone {
		l.isDone, l.err = true, err
		close(l.ready)
	}
}

// Listen makes this client a provider of the records or events whose names match a pattern, in which "*" stands for any text, until end is
// called, which calls Stop for each name that was begun. It returns when the server knows, and is kept while the connection is lost.
func (s *State) Listen(ctx context.Context, kind wire.ListenKind, text string, listener Listener) (end func(), err error) {
	p, l := pattern{kind, text}, &listening{Listener: listener, active: map[string]*assignment{}, ready: make(chan struct{})}
	mu := &s.room.mu
	mu.Lock()
	if s.patterns[p] != nil {
		mu.Unlock()
		return nil, wire.NewError(wire.CodeBadRequest, "this client listens to "+text+" already", "end the first one")
	}
	s.patterns[p] = l
	s.askListen(p, l)
	mu.Unlock()
	end = func() {
		mu.Lock()
		defer mu.Unlock()
		s.unlisten(p, l)
	}
	select {
	case <-l.ready:
	case <-ctx.Done():
		end()
		return nil, ctx.Err()
	}
	mu.Lock()
	defer mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	return end, nil
}

func (s *State) unlisten(p pattern, l *listening) {
	if s.patterns[p] != l {
		return
	}
	delete(s.patterns, p)
	s.stopAll(l)
	s.insist(wire.TypeUnlisten, func() any {
		if s.patterns[p] != nil {
			return nil // it is used again
		}
		return wire.Unlisten{Scope: s.scope, Kind: p.kind, Pattern: p.text}
	}, ignore)
}

func (s *State) askListen(p pattern, l *listening) {
	s.keep(wire.TypeListen, func() any {
		if s.patterns[p] != l {
			return nil
		}
		return wire.Listen{Scope: s.scope, Kind: p.kind, Pattern: p.text}
	}, func(_ wire.Message, err error) {
		switch {
		case s.restored(err) || s.patterns[p] != l: // it is asked for again, or it is over
		case err != nil:
			s.endListener(p, err)
		default:
			l.settle(nil)
		}
	})
}

func (s *State) listenStarted(e wire.ListenStart) {
	l := s.patterns[pattern{e.Kind, e.Pattern}]
	if l == nil { // it has ended meanwhile
		s.rejectListen(e)
		return
	}
	if l.active[e.Name] == nil {
		a := &assignment{}
		l.active[e.Name] = a
		s.room.calls.add(func() { s.start(l, a, e) })
	}
}

// start asks the application whether it provides a name, unless that was taken away before.
func (s *State) start(l *listening, a *assignment, e wire.ListenStart) {
	mu := &s.room.mu
	mu.Lock()
	a.begun = l.active[e.Name] == a
	mu.Unlock()
	if !a.begun || l.Start == nil || l.Start(e.Name) {
		return
	}
	mu.Lock()
	defer mu.Unlock()
	if l.active[e.Name] == a {
		delete(l.active, e.Name)
		s.rejectListen(e)
	}
}

func (s *State) rejectListen(e wire.ListenStart) {
	s.insist(wire.TypeListenReject, func() any { return wire.ListenReject{Scope: s.scope, Kind: e.Kind, Name: e.Name} }, ignore)
}

func (s *State) listenStopped(e wire.ListenStop) {
	if l := s.patterns[pattern{e.Kind, e.Pattern}]; l != nil {
		s.stop(l, e.Name)
	}
}

func (s *State) stop(l *listening, name string) {
	a := l.active[name]
	delete(l.active, name)
	if a != nil && a.begun && l.Stop != nil {
		s.room.calls.add(func() { l.Stop(name) })
	}
}

func (s *State) stopAll(l *listening) {
	for _, name := range slices.Sorted(maps.Keys(l.active)) {
		s.stop(l, name)
	}
}

// loseListeners: others provide meanwhile what this client has provided.
func (s *State) loseListeners() {
	for _, l := range s.patterns {
		s.stopAll(l)
	}
}

func (s *State) restoreListeners() {
	for p, l := range s.patterns {
		s.askListen(p, l)
	}
}

func (s *State) endListener(p pattern, err error) {
	l := s.patterns[p]
	if l == nil {
		return
	}
	delete(s.patterns, p)
	s.stopAll(l)
	if !l.isDone {
		l.settle(err)
	} else if l.Ended != nil {
		s.room.calls.add(func() { l.Ended(err) })
	}
}

func (s *State) endListeners(err error) {
	for p := range s.patterns {
		s.endListener(p, err)
	}
}
