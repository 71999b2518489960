package state

import "github.com/parley-rtc/parley/wire"

// Effect is what a command brings about. Effects are carried out in order, apart from those that wait.
type Effect interface{ effect() }

// Reply answers a command: with an Error, or with a body of wire.
type Reply struct {
	Type  string
	Body  any
	Error *wire.Error
	// Ticket of the RPC request that it answers, perhaps long after it; 0: it answers the command itself.
	Ticket uint64
	// Waits: it shows durable records, or what rules have made of them, so it is sent when all is stored that was appended before.
	Waits bool
}

// Tell sends one event to sessions.
type Tell struct {
	Sessions []string // shared: not to be changed
	Except   string   // one of them that is not told
	Type     string   // an event of wire
	Body     any
	Waits    bool // as in Reply
}

// Append is a change of a durable record, to be stored. Its number counts what was appended.
type Append struct {
	Entry  Entry
	Number uint64
	// Type and Body of the event that tells it to whom is subscribed to the whole.
	Type string
	Body any
}

func (Reply) effect()  {}
func (Tell) effect()   {}
func (Append) effect() {}
