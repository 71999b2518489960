package client

import (
	"context"
	"maps"
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// Present asks who is there, of those named, or of all. Where the caller may not know of some, the error says why, and the others are told all the
// same.
func (s *State) Present(ctx context.Context, identities ...string) (present []string, err error) {
	if len(identities) == 0 {
		return s.everybody(ctx)
	}
	var refused error
	named := slices.Compact(slices.Sorted(slices.Values(identities)))
	for part := range slices.Chunk(named, wire.MaxBulkNames) {
		for rest := part; len(rest) > 0; {
			body, err := s.readPresence(ctx, wire.PresenceRead{Scope: s.scope, Identities: rest})
			if err != nil {
				return nil, err
			}
			present = append(present, body.Identities...)
			asked := len(rest)
			if rest, err = apart(body.Refused, asked); err != nil && refused == nil {
				refused = err
			}
		}
	}
	return slices.Sorted(slices.Values(present)), refused
}

// apart is those of so many names that are to be asked for in another request, as they were too much for one together; err is why another was refused.
func apart(results []wire.NameResult, asked int) (names []string, err error) {
	for _, r := range results {
		if codeOf(refusal(r.Error)) == wire.CodeLimit {
			names = append(names, r.Name)
		}
	}
	alone := len(names) == asked // each is too much
	for _, r := range results {
		if err == nil && (alone || codeOf(refusal(r.Error)) != wire.CodeLimit) {
			err = refusal(r.Error)
		}
	}
	if alone {
		names = nil
	}
	return names, err
}

// everybody asks page by page.
func (s *State) everybody(ctx context.Context) (present []string, err error) {
	for after := ""; ; after = present[len(present)-1] {
		body, err := s.readPresence(ctx, wire.PresenceRead{Scope: s.scope, After: after})
		if err != nil {
			return nil, err
		}
		present = append(present, body.Identities...)
		if !body.More || len(body.Identities) == 0 {
			return present, nil
		}
	}
}

func (s *State) readPresence(ctx context.Context, ask wire.PresenceRead) (wire.Present, error) {
	m, err := s.request(ctx, wire.TypePresenceRead, ask)
	if err != nil {
		return wire.Present{}, err
	}
	return decode[wire.Present](m)
}

// WatchPresence calls fn when somebody comes or goes, of those named or of all, until stop is called, also over lost connections. It returns who
// is there when it begins. With an err, fn is called for the last time: it is not allowed any more, or the room is over.
func (s *State) WatchPresence(ctx context.Context, fn func(identity string, present bool, err error), identities ...string) (present []string, stop func(), err error) {
	if len(identities) > wire.MaxBulkNames {
		return nil, nil, wire.NewError(wire.CodeLimit, "too many identities at once", "watch them in parts")
	}
	w := &presenceWatch{identities: slices.Clone(identities), user: &user[func(string, bool, error)]{given: fn}, present: map[string]bool{}, ready: make(chan error, 1)}
	mu := &s.room.mu
	mu.Lock()
	s.presence.watches = append(s.presence.watches, w)
	s.presence.subscribe(w)
	mu.Unlock()
	stop = func() {
		mu.Lock()
		defer mu.Unlock()
		s.presence.unwatch(w)
	}
	select {
	case err = <-w.ready:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return w.first, stop, nil
}

// presence is who is watched in one scope. All of it is guarded by the Room's mu.
type presence struct {
	state   *State
	watches []*presenceWatch
}

// presenceWatch is one use of WatchPresence.
type presenceWatch struct {
	// static after construction
	identities []string // none: all
	*user[func(identity string, present bool, err error)]
	ready chan error // capacity 1

	first   []string // who was there; written before ready is
	begun   bool
	present map[string]bool
	heard   map[string]bool // who fn knows to be there; once it is begun, of the goroutine that calls
	asks    int             // how often it was subscribed to: only the newest result counts
	told    map[string]bool // whether they are there, of whom it was told while the list was read page by page; nil: it is not
}

func (w *presenceWatch) means(identity string) bool {
	return len(w.identities) == 0 || slices.Contains(w.identities, identity)
}

// subscribe asks for what one watches, and tells what has changed since it was told.
func (p *presence) subscribe(w *presenceWatch) {
	w.asks++
	w.told = nil
	p.ask(w, reading{asks: w.asks}, w.identities)
}

// reading is what the replies to one subscription have told.
type reading struct {
	asks  int
	found []string
	alone []string // identities that are asked for one by one: together they were too many for one request
}

func (p *presence) ask(w *presenceWatch, r reading, identities []string) {
	p.read(w, r, len(identities) > 1, wire.TypePresenceSubscribe, wire.PresenceSubscribe{Scope: p.state.scope, Identities: identities})
}

// read asks for those who are there, beside those that are known, request by request.
func (p *presence) read(w *presenceWatch, r reading, bulk bool, typ string, ask any) {
	isOver := func() bool { return !slices.Contains(p.watches, w) || w.asks != r.asks }
	p.state.keep(typ, func() any {
		if isOver() {
			return nil
		}
		return ask
	}, func(m wire.Message, err error) {
		var body wire.Present
		if err == nil {
			body, err = decode[wire.Present](m)
		}
		if p.state.restored(err) || isOver() { // it is asked for again, or nobody wants it
			return
		}
		for _, refused := range body.Refused {
			if e := refusal(refused.Error); bulk && codeOf(e) == wire.CodeLimit {
				r.alone = append(r.alone, refused.Name)
			} else if err == nil {
				err = e
			}
		}
		if err != nil {
			p.drop(w, err)
			return
		}
		r.found = append(r.found, body.Identities...)
		p.goOn(w, r, body.More && len(body.Identities) > 0)
	})
}

// goOn asks for what is missing.
func (p *presence) goOn(w *presenceWatch, r reading, more bool) {
	if !more && len(r.alone) == 0 {
		p.replace(w, r.found)
		return
	}
	if w.told == nil { // from the first reply on it is told who comes and goes
		w.told = map[string]bool{}
	}
	if more {
		p.read(w, r, false, wire.TypePresenceRead, wire.PresenceRead{Scope: p.state.scope, After: r.found[len(r.found)-1]})
		return
	}
	next := r.alone[0]
	r.alone = r.alone[1:]
	p.ask(w, r, []string{next})
}

// replace takes those who are there in place of those who were. Of whom it was told meanwhile is known better.
func (p *presence) replace(w *presenceWatch, listed []string) {
	now, told := map[string]bool{}, w.told
	w.told = nil
	for _, identity := range listed {
		now[identity] = true
	}
	for identity, present := range told {
		now[identity] = present
	}
	maps.DeleteFunc(now, func(_ string, present bool) bool { return !present })
	if !w.begun {
		w.begun, w.first, w.present, w.heard = true, slices.Sorted(maps.Keys(now)), now, maps.Clone(now)
		w.ready <- nil
		return
	}
	for _, identity := range slices.Sorted(maps.Keys(w.present)) {
		if !now[identity] {
			p.tell(w, identity, false)
		}
	}
	for _, identity := range slices.Sorted(maps.Keys(now)) {
		p.tell(w, identity, true)
	}
}

func (p *presence) tell(w *presenceWatch, identity string, present bool) {
	if !w.begun || w.present[identity] == present {
		return
	}
	w.present[identity] = present
	if !present {
		delete(w.present, identity)
	}
	w.tell(p.state.room.calls, func(fn func(string, bool, error), missed int) {
		if missed == 0 {
			w.hear(identity, present, fn)
			return
		}
		p.state.room.mu.Lock()
		now := maps.Clone(w.present)
		p.state.room.mu.Unlock()
		w.hearAll(now, fn)
	})
}

// hear calls fn with what it does not know yet.
func (w *presenceWatch) hear(identity string, present bool, fn func(string, bool, error)) {
	if w.heard[identity] == present || w.stopped.Load() {
		return
	}
	if w.heard[identity] = present; !present {
		delete(w.heard, identity)
	}
	fn(identity, present, nil)
}

// hearAll calls fn with all that has come of what it was not called with.
func (w *presenceWatch) hearAll(now map[string]bool, fn func(string, bool, error)) {
	for _, identity := range slices.Sorted(maps.Keys(w.heard)) {
		w.hear(identity, now[identity], fn)
	}
	for _, identity := range slices.Sorted(maps.Keys(now)) {
		w.hear(identity, true, fn)
	}
}

func (p *presence) is(identity string, present bool) {
	for _, w := range p.watches {
		if !w.means(identity) {
			continue
		}
		if w.told != nil {
			w.told[identity] = present
		}
		p.tell(w, identity, present)
	}
}

func (p *presence) restore() {
	for _, w := range p.watches {
		p.subscribe(w)
	}
}

// drop ends a watch that goes on no more, also as to those of it that were not refused.
func (p *presence) drop(w *presenceWatch, err error) {
	p.remove(w)
	p.release(w.identities)
	if !w.begun {
		w.ready <- err
		return
	}
	w.last(p.state.room.calls, func(fn func(string, bool, error)) { fn("", false, err) })
}

func (p *presence) remove(w *presenceWatch) {
	p.watches = slices.DeleteFunc(slices.Clone(p.watches), func(x *presenceWatch) bool { return x == w })
}

func (p *presence) end(err error) {
	for _, w := range p.watches {
		p.drop(w, err)
	}
}

// unsubscribed: it is not allowed any more to watch an identity; empty: all.
func (p *presence) unsubscribed(identity string, err error) {
	for _, w := range p.watches {
		if identity == "" && len(w.identities) == 0 || slices.Contains(w.identities, identity) {
			p.drop(w, err)
		}
	}
}

// unwatch ends a watch, and with it on the server what nobody else here watches.
func (p *presence) unwatch(w *presenceWatch) {
	w.stopped.Store(true)
	if !slices.Contains(p.watches, w) {
		return
	}
	p.remove(w)
	p.release(w.identities)
}

// release ends on the server what nobody here watches any more, of those named, or all at once.
func (p *presence) release(identities []string) {
	p.state.insist(wire.TypePresenceUnsubscribe, func() any {
		unused := slices.DeleteFunc(slices.Clone(identities), p.names)
		if len(identities) > 0 && len(unused) == 0 || len(identities) == 0 && p.namesAll() {
			return nil
		}
		return wire.PresenceUnsubscribe{Scope: p.state.scope, Identities: unused}
	}, ignore)
}

// names tells whether an identity is watched by name.
func (p *presence) names(identity string) bool {
	return slices.ContainsFunc(p.watches, func(w *presenceWatch) bool { return slices.Contains(w.identities, identity) })
}

// namesAll tells whether all are watched, not by name.
func (p *presence) namesAll() bool {
	return slices.ContainsFunc(p.watches, func(w *presenceWatch) bool { return len(w.identities) == 0 })
}
