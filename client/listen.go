package client

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"

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
	stopped  atomic.Bool

	// guarded by the Room's mu
	active  map[string]*assignment // by name
	waiting []turn                 // that the application was not told yet
	turns   int                    // calls that wait to tell one each
	ready   chan struct{}          // closed when the server has said whether
	isDone  bool
	err     error
}

// turn is the beginning or the end of a name.
type turn struct {
	name   string
	starts *assignment // nil: it ends
}

// assignment is a name that is this client's to provide.
type assignment struct {
	kind  wire.ListenKind // static after construction
	begun bool            // Start was called; guarded by the Room's mu
}

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
		l.stopped.Store(true)
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
	for _, name := range e.Names {
		switch {
		case l == nil: // it has ended meanwhile
			s.rejectListen(e.Kind, name)
		case l.active[name] == nil:
			a := &assignment{kind: e.Kind}
			l.active[name] = a
			s.take(l, turn{name, a})
		}
	}
}

// take tells the application a turn, later. There are never more calls for that than turns that waited at once.
func (s *State) take(l *listening, t turn) {
	if l.waiting = append(l.waiting, t); l.turns < len(l.waiting) {
		l.turns++
		s.room.calls.add(func() { s.next(l) })
	}
}

// next tells the application the next turn, unless there is none any more.
func (s *State) next(l *listening) {
	mu := &s.room.mu
	mu.Lock()
	l.turns--
	if len(l.waiting) == 0 {
		mu.Unlock()
		return
	}
	t := l.waiting[0]
	l.waiting = l.waiting[1:]
	if t.starts != nil {
		t.starts.begun = true
	}
	mu.Unlock()
	switch {
	case t.starts != nil:
		s.start(l, t)
	case l.Stop != nil:
		l.Stop(t.name)
	}
}

// start asks the application whether it provides a name.
func (s *State) start(l *listening, t turn) {
	if l.Start == nil || l.Start(t.name) {
		return
	}
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	if l.active[t.name] == t.starts {
		delete(l.active, t.name)
		s.rejectListen(t.starts.kind, t.name)
	}
}

func (s *State) rejectListen(kind wire.ListenKind, name string) {
	s.insist(wire.TypeListenReject, func() any { return wire.ListenReject{Scope: s.scope, Kind: kind, Name: name} }, ignore)
}

func (s *State) listenStopped(e wire.ListenStop) {
	if l := s.patterns[pattern{e.Kind, e.Pattern}]; l != nil {
		for _, name := range e.Names {
			s.stop(l, name)
		}
	}
}

func (s *State) stop(l *listening, name string) {
	a := l.active[name]
	delete(l.active, name)
	switch {
	case a == nil:
	case a.begun:
		s.take(l, turn{name: name})
	default: // the application has never known of it
		l.waiting = slices.DeleteFunc(l.waiting, func(t turn) bool { return t.starts == a })
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
		s.room.calls.add(func() {
			if !l.stopped.Load() {
				l.Ended(err)
			}
		})
	}
}

func (s *State) endListeners(err error) {
	for p := range s.patterns {
		s.endListener(p, err)
	}
}
