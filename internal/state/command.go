package state

import (
	"net/netip"

	"github.com/parley-rtc/parley/wire"
)

// Command changes a scope, or asks it. Those with the body of a wire request are answered by exactly one Reply. By is who asks: a
// session that is attached, or with an empty Session somebody who has none and gets nothing but the Reply. Such callers read, write, delete,
// publish, ask who is present, and call RPCs.
type Command interface{ command() }

// Caller is who asks.
type Caller struct {
	Session  string
	Identity string
	// Room and Grants are for Config.May: in the server's scope, too, a participant is in a room.
	Room   string
	Grants wire.Grants
	// Source is where he is, as datagram.Source tells it; zero: not known.
	Source netip.Addr `json:",omitzero"`
}

// Commands of whoever runs the scope.
type (
	// Attach lets a session in. It is present in the scope under its identity, unless its grants hide it.
	Attach struct {
		By Caller
		// Node on which the session is: providers there come first.
		Node string
	}
	// Detach ends a session.
	Detach struct{ Session string }
	// Reset ends all that a session is subscribed to, provides and waits for, as its messages were lost.
	Reset struct{ Session string }
	// Recheck replaces Config.May and ends what it forbids.
	Recheck struct{ May func(Access) *wire.Error }
	// Settle says that what was appended is stored up to this number.
	Settle struct{ UpTo uint64 }
	// Tick does nothing but what is due.
	Tick struct{}
)

// Requests.
type (
	// RecordSubscribe is wire.RecordSubscribe.
	RecordSubscribe struct {
		By Caller
		wire.RecordSubscribe
	}
	// RecordUnsubscribe is wire.RecordUnsubscribe.
	RecordUnsubscribe struct {
		By Caller
		wire.RecordUnsubscribe
	}
	// RecordRead is wire.RecordRead.
	RecordRead struct {
		By Caller
		wire.RecordRead
	}
	// RecordWrite is wire.RecordWrite.
	RecordWrite struct {
		By Caller
		wire.RecordWrite
	}
	// RecordDelete is wire.RecordDelete.
	RecordDelete struct {
		By Caller
		wire.RecordDelete
	}
	// EventSubscribe is wire.EventNames.
	EventSubscribe struct {
		By Caller
		wire.EventNames
	}
	// EventUnsubscribe is wire.EventNames.
	EventUnsubscribe struct {
		By Caller
		wire.EventNames
	}
	// EventPublish is wire.EventPublish.
	EventPublish struct {
		By Caller
		wire.EventPublish
	}
	// RPCProvide is wire.RPCNames.
	RPCProvide struct {
		By Caller
		wire.RPCNames
	}
	// RPCUnprovide is wire.RPCNames.
	RPCUnprovide struct {
		By Caller
		wire.RPCNames
	}
	// RPCRequest is wire.RPCRequest.
	RPCRequest struct {
		By Caller
		wire.RPCRequest
		// Ticket of a caller without a session, not 0: its Reply has it, which comes when the call ends. Others have none.
		Ticket uint64
	}
	// RPCAccept is wire.RPCAccept.
	RPCAccept struct {
		By Caller
		wire.RPCAccept
	}
	// RPCReject is wire.RPCReject.
	RPCReject struct {
		By Caller
		wire.RPCReject
	}
	// RPCAnswer is wire.RPCAnswer.
	RPCAnswer struct {
		By Caller
		wire.RPCAnswer
	}
	// Listen is wire.Listen.
	Listen struct {
		By Caller
		wire.Listen
	}
	// Unlisten is wire.Unlisten.
	Unlisten struct {
		By Caller
		wire.Unlisten
	}
	// ListenReject is wire.ListenReject.
	ListenReject struct {
		By Caller
		wire.ListenReject
	}
	// PresenceSubscribe is wire.PresenceSubscribe.
	PresenceSubscribe struct {
		By Caller
		wire.PresenceSubscribe
	}
	// PresenceUnsubscribe is wire.PresenceUnsubscribe.
	PresenceUnsubscribe struct {
		By Caller
		wire.PresenceUnsubscribe
	}
	// PresenceRead is wire.PresenceRead.
	PresenceRead struct {
		By Caller
		wire.PresenceRead
	}
)

func (Attach) command()              {}
func (Detach) command()              {}
func (Reset) command()               {}
func (Recheck) command()             {}
func (Settle) command()              {}
func (Tick) command()                {}
func (RecordSubscribe) command()     {}
func (RecordUnsubscribe) command()   {}
func (RecordRead) command()          {}
func (RecordWrite) command()         {}
func (RecordDelete) command()        {}
func (EventSubscribe) command()      {}
func (EventUnsubscribe) command()    {}
func (EventPublish) command()        {}
func (RPCProvide) command()          {}
func (RPCUnprovide) command()        {}
func (RPCRequest) command()          {}
func (RPCAccept) command()           {}
func (RPCReject) command()           {}
func (RPCAnswer) command()           {}
func (Listen) command()              {}
func (Unlisten) command()            {}
func (ListenReject) command()        {}
func (PresenceSubscribe) command()   {}
func (PresenceUnsubscribe) command() {}
func (PresenceRead) command()        {}
