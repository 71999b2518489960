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

// Unfold is Value.Any, made once where several are asked for. The result is not to be changed.
func (a Access) Unfold(v Value) any {
	if a.scope == nil || !v.root() {
		return v.Any()
	}
	return a.scope.unfold(v)
}

// may asks Config.May.
func (s *Scope) may(a Access) *wire.Error {
	s.depends = false
	if s.config.May == nil {
		return nil
	}
	a.Lookup = func(name string) Value {
		s.depends = true
		s.looked = s.looked || a.Kind == Records && s.waits(name)
		if r := s.records[name]; r != nil {
			return r.value
		}
		return Value{}
	}
	a.scope = s
	return s.config.May(a)
}

func (s *Scope) unfold(v Value) any {
	x, ok := s.unfolded[v]
	if !ok {
		x = v.Any()
		if s.unfoldedBytes += v.Size(); s.unfoldedBytes <= MaxUnfoldedBytes {
			s.unfolded[v] = x
		}
	}
	return x
}

// mayRead asks for a record that need not exist.
func (s *Scope) mayRead(by Caller, name, path string) *wire.Error {
	a := Access{By: by, Kind: Records, Action: Read, Name: name, Path: path}
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
