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
}

// may asks Config.May.
func (s *Scope) may(a Access) *wire.Error {
	if s.config.May == nil {
		return nil
	}
	a.Lookup = func(name string) Value {
		if r := s.records[name]; r != nil {
			return r.value
		}
		return Value{}
	}
	return s.config.May(a)
}

// mayRead asks for a record that need not exist.
func (s *Scope) mayRead(by Caller, name, path string) *wire.Error {
	a := Access{By: by, Kind: Records, Action: Read, Name: name, Path: path}
	if r := s.records[name]; r != nil {
		a.Old, a.Durable = r.value, r.durable
	}
	return s.may(a)
}

// mayUse asks for what has no document. Its value, if any, is read only if somebody decides by it.
func (s *Scope) mayUse(by Caller, kind Kind, action Action, name string, value []byte) *wire.Error {
	a := Access{By: by, Kind: kind, Action: action, Name: name}
	if s.config.May != nil && len(value) > 0 {
		v, refused := Parse(value)
		if refused != nil {
			return refused
		}
		a.New = v
	}
	return s.may(a)
}
