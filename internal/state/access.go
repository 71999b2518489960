package state

import "github.com/parley-rtc/parley/wire"

// Kind is what somebody wants to use.
type Kind string

// Kinds.
const (
	Records  Kind = "record"
	Events   Kind = "event"
	RPCs     Kind = "rpc"
	Presence Kind = "presence"
)

// Action is what somebody wants to do with it.
type Action string

// Actions.
const (
	Create    Action = "create"
	Read      Action = "read"
	Write     Action = "write"
	Delete    Action = "delete"
	Listening Action = "listen"
	Publish   Action = "publish"
	Subscribe Action = "subscribe"
	Provide   Action = "provide"
	Request   Action = "request"
)

// Access is what Config.May decides about.
type Access struct {
	By     Caller
	Kind   Kind
	Action Action
	// Name of the record, event or RPC; the pattern of a listener, which is asked for each name again; the identity whose presence is
	// wanted, or "*" for all.
	Name string
	Path string
	// Old and New are the record's document before and after: Old in all actions but Create, New in Create and Write. New is the
	// value of an event or a request, too.
	Old, New Value
	// Durable: the record is, or will be.
	Durable bool
	// Lookup returns the document of another record of the scope.
	Lookup func(name string) Value

	scope *Scope // nil: nobody's
}

// Depends is called by a May that decides by Old or Durable; Lookup does so by itself. Who may read, subscribe or provide because of what
// records say is asked for again before it is told anything.
func (a Access) Depends() {
	if a.scope != nil {
		a.scope.depends = true
	}
}

// Alike is called by a May that decides alike about every name of this kind, for this action and this caller. Where it is not called, who wants
// to know of the presence of all is asked about each.
func (a Access) Alike() {
	if a.scope != nil {
		a.scope.alike = true
	}
}

// Unfold is Value.Any, made once where several are asked for. The result is not to be changed. It is refused where that is too much to look
// at for one request: each takes its time, while everybody in the scope waits.
func (a Access) Unfold(v Value) (any, *wire.Error) {
	if a.scope == nil || !v.root() {
		return v.Any(), nil
	}
	return a.scope.unfold(v)
}

// ReadsAny reports whether somebody may read a record whatever it, and any other record, says. may is a Config.May.
func ReadsAny(may func(Access) *wire.Error, by Caller, name string) bool {
	if may == nil {
		return true
	}
	var s Scope // notes what may depends on
	a := Access{By: by, Kind: Records, Action: Read, Name: name, scope: &s}
	a.Lookup = func(string) Value {
		s.depends = true
		return Value{}
	}
	return may(a) == nil && !s.depends
}

// may asks Config.May.
func (s *Scope) may(a Access) *wire.Error { return s.mayUnder(s.config.May, a) }

// mayUnder asks such a function.
func (s *Scope) mayUnder(may func(Access) *wire.Error, a Access) *wire.Error {
	s.depends, s.alike = false, may == nil
	if may == nil {
		return nil
	}
	a.Lookup = func(name string) Value {
		s.depends = true
		s.looked = s.looked || s.unstored(name)
		if r := s.records[name]; r != nil {
			return r.value
		}
		return Value{}
	}
	a.scope = s
	return may(a)
}

func (s *Scope) unfold(v Value) (any, *wire.Error) {
	if x, ok := s.unfolded[v]; ok {
		return x, nil
	}
	n := v.measured().held()
	if s.unfolding+n > MaxUnfolded {
		return nil, tooCostly()
	}
	s.unfolding += n
	if s.kept += n; s.kept > MaxUnfolded {
		clear(s.unfolded)
		s.kept = n
	}
	x := v.Any()
	s.unfolded[v] = x
	return x, nil
}

// Step is called before rules go over so many elements, and refuses what is too much for one request.
func (a Access) Step(elements int) *wire.Error {
	switch {
	case a.scope == nil:
		return nil
	case a.scope.steps+elements > MaxSteps:
		return tooCostly()
	}
	a.scope.steps += elements
	return nil
}

func tooCostly() *wire.Error {
	return wire.NewError(wire.CodeLimit, "the rules would have to look at too much for one request", "ask for this one in another request")
}

// apart asks about somebody else than whoever sent the command: what rules have to look at for that is not the sender's.
func (s *Scope) apart(ask func() *wire.Error) *wire.Error {
	unfolding, steps := s.unfolding, s.steps
	s.unfolding, s.steps = 0, 0
	refused := ask()
	s.unfolding, s.steps = unfolding, steps
	return refused
}

// mayRead asks for a record that need not exist.
func (s *Scope) mayRead(by Caller, name, path string) *wire.Error {
	a := Access{By: by, Kind: Records, Action: Read, Name: name, Path: path}
	if r := s.records[name]; r != nil {
		a.Old, a.Durable = r.value, r.durable
	}
	return s.may(a)
}

// mayDelete is the same for the end of it.
func (s *Scope) mayDelete(by Caller, name string) *wire.Error {
	a := Access{By: by, Kind: Records, Action: Delete, Name: name}
	if r := s.records[name]; r != nil {
		a.Old, a.Durable = r.value, r.durable
	}
	return s.may(a)
}

// mayUse asks for what has no document. Its value, if any, is JSON that was checked, and is read only if somebody decides by it.
func (s *Scope) mayUse(by Caller, kind Kind, action Action, name string, value []byte) *wire.Error {
	a := Access{By: by, Kind: kind, Action: action, Name: name}
	if s.config.May != nil && len(value) > 0 {
		a.New = parseLoose(value)
	}
	return s.may(a)
}
