package client

import (
	"context"
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// listener provides what others subscribe to.
type listener struct {
	// static after construction
	start func(name string) bool
	stop  func(name string)

	// guarded by the Room's mu
	active []string
	ready  chan struct{} // closed when the server has said whether
	isDone bool
	err    error
}

type pattern struct {
	kind wire.ListenKind
	text string
}

func (l *listener) settle(err error) {
	if !l.isDone {
		l.isDone, l.err = true, err
		close(l.ready)
	}
}

// Listen makes this client a provider of the records or events whose names match a pattern, in which "*" stands for any text, until end is
// called. It returns when the server knows, and is kept while the connection is lost.
//
// start: somebody has subscribed to this name, which is now this client's to provide; false leaves it to the next provider. stop: nobody is
// subscribed any more, or another client provides it.
func (s *State) Listen(ctx context.Context, kind wire.ListenKind, text string, start func(name string) bool, stop func(name string)) (end func(), err error) {
	p, l := pattern{kind, text}, &listener{start: start, stop: stop, ready: make(chan struct{})}
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
		if s.patterns[p] == l {
			delete(s.patterns, p)
			s.stopAll(l)
			s.ask(wire.TypeUnlisten, wire.Unlisten{Scope: s.scope, Kind: kind, Pattern: text}, ignore)
		}
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

func (s *State) askListen(p pattern, l *listener) {
	s.insist(wire.TypeListen, wire.Listen{Scope: s.scope, Kind: p.kind, Pattern: p.text}, func(_ wire.Message, err error) {
		switch {
		case isLost(err) || s.patterns[p] != l: // all of them are restored, or it is over
		case err != nil:
			s.endListener(p, err)
		default:
			l.settle(nil)
		}
	})
}

func (s *State) listenStarted(e wire.ListenStart) {
	l := s.patterns[pattern{e.Kind, e.Pattern}]
	if l == nil || slices.Contains(l.active, e.Name) {
		return
	}
	l.active = append(l.active, e.Name)
	s.room.calls.add(func() {
		if l.start(e.Name) {
			return
		}
		s.room.mu.Lock()
		defer s.room.mu.Unlock()
		if i := slices.Index(l.active, e.Name); i >= 0 {
			l.active = slices.Delete(l.active, i, i+1)
			s.ask(wire.TypeListenReject, wire.ListenReject{Scope: s.scope, Kind: e.Kind, Name: e.Name}, ignore)
		}
	})
}

func (s *State) listenStopped(e wire.ListenStop) {
	l := s.patterns[pattern{e.Kind, e.Pattern}]
	if l == nil {
		return
	}
	if i := slices.Index(l.active, e.Name); i >= 0 {
		l.active = slices.Delete(l.active, i, i+1)
		s.room.calls.add(func() { l.stop(e.Name) })
	}
}

func (s *State) stopAll(l *listener) {
	for _, name := range l.active {
		s.room.calls.add(func() { l.stop(name) })
	}
	l.active = nil
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
	if l := s.patterns[p]; l != nil {
		delete(s.patterns, p)
		s.stopAll(l)
		l.settle(err)
	}
}

func (s *State) endListeners(err error) {
	for p := range s.patterns {
		s.endListener(p, err)
	}
}
