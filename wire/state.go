package wire

import (
	"encoding/json"
	"time"
)

// Requests, of shared state.
const (
	TypeRecordSubscribe     = "record-subscribe"     // RecordSubscribe → records: Records
	TypeRecordUnsubscribe   = "record-unsubscribe"   // RecordUnsubscribe → ok: OK
	TypeRecordRead          = "record-read"          // RecordRead → records: Records
	TypeRecordWrite         = "record-write"         // RecordWrite → written: Written
	TypeRecordDelete        = "record-delete"        // RecordDelete → ok: OK
	TypeEventSubscribe      = "event-subscribe"      // EventNames → subscribed: Subscribed
	TypeEventUnsubscribe    = "event-unsubscribe"    // EventNames → ok: OK
	TypeEventPublish        = "event-publish"        // EventPublish → ok: OK
	TypeRPCProvide          = "rpc-provide"          // RPCNames → subscribed: Subscribed
	TypeRPCUnprovide        = "rpc-unprovide"        // RPCNames → ok: OK
	TypeRPCRequest          = "rpc-request"          // RPCRequest → ok: OK
	TypeRPCAccept           = "rpc-accept"           // RPCAccept → ok: OK
	TypeRPCReject           = "rpc-reject"           // RPCReject → ok: OK
	TypeRPCAnswer           = "rpc-answer"           // RPCAnswer → ok: OK
	TypeListen              = "listen"               // Listen → ok: OK
	TypeUnlisten            = "unlisten"             // Unlisten → ok: OK
	TypeListenReject        = "listen-reject"        // ListenReject → ok: OK
	TypePresenceSubscribe   = "presence-subscribe"   // PresenceSubscribe → present: Present
	TypePresenceUnsubscribe = "presence-unsubscribe" // PresenceUnsubscribe → ok: OK
	TypePresenceRead        = "presence-read"        // PresenceRead → present: Present
	TypeLogRead             = "log-read"             // LogRead → log: Log
)

// Replies, by [Message.Type].
const (
	TypeRecords    = "records"
	TypeWritten    = "written"
	TypeSubscribed = "subscribed"
	TypePresent    = "present"
	TypeLog        = "log"
)

// Events, of shared state.
const (
	TypeRecordChanged    = "record-changed"     // RecordChanged
	TypeRecordPart       = "record-part"        // RecordPart
	TypeRecordDeleted    = "record-deleted"     // RecordDeleted
	TypeRecordProvided   = "record-provided"    // RecordProvided
	TypeEventPublished   = "event"              // EventPublished
	TypeRPCCall          = "rpc-call"           // RPCCall
	TypeRPCResult        = "rpc-result"         // RPCResult
	TypeListenStart      = "listen-start"       // ListenStart
	TypeListenStop       = "listen-stop"        // ListenStop
	TypePresenceJoined   = "presence-joined"    // PresenceJoined
	TypePresenceLeft     = "presence-left"      // PresenceLeft
	TypeStateUnsubscribe = "state-unsubscribed" // StateUnsubscribed
	TypeStateLost        = "state-lost"         // StateLost
)

// Limits of shared state that a client can rely on.
const (
	MaxStateNameBytes      = 256       // name of a record, event or RPC, and a pattern
	MaxRecordBytes         = 256 << 10 // a record's document in JSON
	MaxRecordDepth         = 24        // nesting of a document
	MaxRecordValues        = 65536     // in one document, and in one write: objects, arrays and what is in them
	MaxPathBytes           = 1 << 10   // a path within a record
	MaxPathSteps           = 24        // keys and places in a path
	MaxWriteOperations     = 256       // of one write
	MaxElements            = 16384     // of each object and array in a document
	MaxArrayGap            = 1 << 10   // places that a write may leave empty before the one that it sets
	MaxBulkNames           = 256       // in one request
	MaxBulkBytes           = 384 << 10 // of values in one reply
	MaxPresent             = 1 << 10   // identities in one reply, where all were asked for
	MaxTTLSeconds          = 31536000  // after which a record can be told to go
	MaxHistory             = 32        // earlier versions of a record that can be read
	MaxEventBytes          = 64 << 10  // an event's value
	MaxRPCBytes            = 64 << 10  // a request's or an answer's value
	MaxStateSubscriptions  = 2048      // of one session: records, paths, events and identities
	MaxProvided            = 256       // RPCs that one session provides
	MaxListens             = 64        // patterns of one session
	MaxListened            = 8192      // names that one session provides so
	MaxOpenCalls           = 256       // RPC requests of one session that have no result yet
	MaxOpenCallBytes       = 1 << 20   // of values of these
	MaxWritesUnderway      = 256       // writes of one session that have no reply yet
	StateRequestsPerSecond = 200       // of one session, after a burst
	MaxStateBurst          = 500       // of state requests
	MaxLogEntries          = 256       // in one reply
)

// Scope says whose state is meant.
type Scope string

// Scopes.
const (
	ScopeRoom   Scope = "room"   // the room's; the default
	ScopeServer Scope = "server" // shared by all rooms of the server
)

// OperationKind says what an operation does.
type OperationKind string

// Kinds of operations.
const (
	OperationSet     OperationKind = "set"     // path becomes value; missing parents are made
	OperationErase   OperationKind = "erase"   // what is at path is taken away; what follows it in an array moves up
	OperationInsert  OperationKind = "insert"  // a list's entry value, at place at; absent or too large: at its end
	OperationRemove  OperationKind = "remove"  // a list's entry value, the one nearest to place at; absent: the first
	OperationMove    OperationKind = "move"    // a list's entry value, the one nearest to place at, to place to
	OperationEntries OperationKind = "entries" // a list becomes value, as far as it differs from its version base
)

// Operation is a part of a write. In what the server tells, insert, remove and move have the exact places.
type Operation struct {
	Op OperationKind `json:"op"`
	// Path in the document; absent: its root.
	Path  string          `json:"path,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
	At    *int            `json:"at,omitempty"`
	To    *int            `json:"to,omitempty"`
	// Base is the version that entries was made from; absent: the present one.
	Base uint64 `json:"base,omitempty"`
}

// RecordName names a record, or a part of it.
type RecordName struct {
	Name string `json:"name"`
	// Path to the part that is meant; absent: the whole.
	Path string `json:"path,omitempty"`
}

// RecordSubscribe subscribes to records, whether they exist or not, and reads them.
type RecordSubscribe struct {
	Scope   Scope        `json:"scope,omitempty"`
	Records []RecordHave `json:"records"`
}

// RecordHave names what to subscribe to, and what the client has of it.
type RecordHave struct {
	Name string `json:"name"`
	Path string `json:"path,omitempty"`
	// Incarnation and Version that the client has; where they are the present ones, the reply leaves the value out.
	Incarnation uint64 `json:"incarnation,omitempty"`
	Version     uint64 `json:"version,omitempty"`
}

// RecordUnsubscribe ends subscriptions.
type RecordUnsubscribe struct {
	Scope   Scope        `json:"scope,omitempty"`
	Records []RecordName `json:"records"`
}

// RecordRead reads records once.
type RecordRead struct {
	Scope   Scope          `json:"scope,omitempty"`
	Records []RecordWanted `json:"records"`
}

// RecordWanted names what to read of a record.
type RecordWanted struct {
	Name string `json:"name"`
	Path string `json:"path,omitempty"`
	// Version of the present incarnation to read from the history; absent: the present one.
	Version uint64 `json:"version,omitempty"`
	// Head: only incarnation and version.
	Head bool `json:"head,omitempty"`
}

// Records answers item by item, in the order of the request.
type Records struct {
	Results []RecordResult `json:"results"`
}

// RecordResult is a record, or why there is none.
type RecordResult struct {
	Record *RecordState `json:"record,omitempty"`
	Error  *Error       `json:"error,omitempty"`
}

// RecordState is a record, or a part of it, as it is at a version.
type RecordState struct {
	Name string `json:"name"`
	Path string `json:"path,omitempty"`
	// Incarnation grows with each creation of a record in the scope. Clients keep it from applications.
	Incarnation uint64 `json:"incarnation"`
	Version     uint64 `json:"version"` // 0: there is no such record
	// Value is absent where there is none, where only the head was asked for, and with Same.
	Value json.RawMessage `json:"value,omitempty"`
	// Same: it is what the client has.
	Same bool `json:"same,omitempty"`
	// Provided: a pattern's provider is active for this name.
	Provided bool `json:"provided,omitempty"`
	// Expires is when it goes, unless it is written before.
	Expires *time.Time `json:"expires,omitempty"`
}

// RecordWrite writes a record, all of it or nothing. What is not there is created.
type RecordWrite struct {
	Scope      Scope       `json:"scope,omitempty"`
	Name       string      `json:"name"`
	Operations []Operation `json:"operations"`
	// Version that the record must have; 0: it must not exist; absent: any.
	Version *uint64 `json:"version,omitempty"`
	// Incarnation that the record must have; absent: any, and with 0 as version: none.
	Incarnation uint64 `json:"incarnation,omitempty"`
	// TTLSeconds after its last write the record goes; 0: never; absent: as it was said before.
	TTLSeconds *int `json:"ttlSeconds,omitempty"`
	// Durable: stored, if this write creates the record; absent: as is usual in the scope.
	Durable *bool `json:"durable,omitempty"`
	// History is how many earlier versions can be read; absent: as it was said before, 8 at first.
	History *int `json:"history,omitempty"`
	// Initial is what holds where this write creates the record, and it says nothing of that itself.
	Initial *RecordSettings `json:"initial,omitempty"`
}

// RecordSettings are as in a RecordWrite.
type RecordSettings struct {
	TTLSeconds *int `json:"ttlSeconds,omitempty"`
	History    *int `json:"history,omitempty"`
}

// Written answers RecordWrite.
type Written struct {
	Incarnation uint64 `json:"incarnation"`
	Version     uint64 `json:"version"`
}

// RecordDelete deletes a record.
type RecordDelete struct {
	Scope Scope  `json:"scope,omitempty"`
	Name  string `json:"name"`
	// Version and Incarnation that the record must have; absent: any.
	Version     uint64 `json:"version,omitempty"`
	Incarnation uint64 `json:"incarnation,omitempty"`
}

// EventNames are events to subscribe to.
type EventNames struct {
	Scope Scope    `json:"scope,omitempty"`
	Names []string `json:"names"`
}

// Subscribed answers item by item, in the order of the request.
type Subscribed struct {
	Results []NameResult `json:"results"`
}

// NameResult says whether a name was subscribed to.
type NameResult struct {
	Name  string `json:"name"`
	Error *Error `json:"error,omitempty"`
}

// EventPublish tells all subscribers of an event but the sender.
type EventPublish struct {
	Scope Scope           `json:"scope,omitempty"`
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value,omitempty"`
}

// RPCNames are RPCs that the session provides.
type RPCNames struct {
	Scope Scope    `json:"scope,omitempty"`
	Names []string `json:"names"`
}

// RPCRequest asks a provider. The event rpc-result follows.
type RPCRequest struct {
	Scope Scope  `json:"scope,omitempty"`
	Name  string `json:"name"`
	// Call is chosen by the client, unique in its session.
	Call  uint64          `json:"call"`
	Value json.RawMessage `json:"value,omitempty"`
}

// RPCAccept says that the provider takes a call. It begins after the reply.
type RPCAccept struct {
	Scope Scope  `json:"scope,omitempty"`
	Call  uint64 `json:"call"`
}

// RPCReject leaves a call to the next provider.
type RPCReject struct {
	Scope Scope  `json:"scope,omitempty"`
	Call  uint64 `json:"call"`
}

// RPCAnswer answers a call that the provider has accepted.
type RPCAnswer struct {
	Scope Scope           `json:"scope,omitempty"`
	Call  uint64          `json:"call"`
	Value json.RawMessage `json:"value,omitempty"`
	// Failure says what went wrong, in place of a value.
	Failure string `json:"failure,omitempty"`
}

// ListenKind is what a pattern is about.
type ListenKind string

// Kinds of what a pattern is about.
const (
	ListenRecords ListenKind = "record"
	ListenEvents  ListenKind = "event"
)

// Listen makes the session an active provider: it is told which names of the pattern somebody is subscribed to.
type Listen struct {
	Scope   Scope      `json:"scope,omitempty"`
	Kind    ListenKind `json:"kind"`
	Pattern string     `json:"pattern"`
}

// Unlisten ends that.
type Unlisten struct {
	Scope   Scope      `json:"scope,omitempty"`
	Kind    ListenKind `json:"kind"`
	Pattern string     `json:"pattern"`
}

// ListenReject leaves a name to the next provider.
type ListenReject struct {
	Scope Scope      `json:"scope,omitempty"`
	Kind  ListenKind `json:"kind"`
	Name  string     `json:"name"`
}

// PresenceSubscribe subscribes to who is there.
type PresenceSubscribe struct {
	Scope Scope `json:"scope,omitempty"`
	// Identities to be told of; absent: all.
	Identities []string `json:"identities,omitempty"`
}

// PresenceUnsubscribe ends such subscriptions.
type PresenceUnsubscribe struct {
	Scope      Scope    `json:"scope,omitempty"`
	Identities []string `json:"identities,omitempty"`
}

// PresenceRead asks who is there.
type PresenceRead struct {
	Scope Scope `json:"scope,omitempty"`
	// Identities to be asked about; absent: all.
	Identities []string `json:"identities,omitempty"`
	// After is the last identity of the reply before, if that had more.
	After string `json:"after,omitempty"`
}

// Present lists those who are there, of those who were asked for, by name.
type Present struct {
	Identities []string `json:"identities"`
	// Refused are those about whom nothing is told, and why.
	Refused []NameResult `json:"refused,omitempty"`
	// More: there are more, which presence-read gives with After.
	More bool `json:"more,omitempty"`
}

// LogRead reads the room's log.
type LogRead struct {
	// After is the cursor of the last entry that the client has; 0: from the oldest that is kept.
	After uint64 `json:"after"`
	// Limit of entries; absent: MaxLogEntries.
	Limit int `json:"limit,omitempty"`
}

// Log answers LogRead.
type Log struct {
	Entries []LogEntry `json:"entries"`
	// After is the cursor to ask with for what follows. Where it is Last, nothing does yet; there may be more where there are no entries.
	After uint64 `json:"after"`
	// First is the cursor of the oldest entry that is kept.
	First uint64 `json:"first"`
	// Complete is the cursor from which on none is gone; before it are entries about records alone, or only others. If it is above After + 1 of the
	// reading before, entries are gone.
	Complete uint64 `json:"complete"`
	// Last is the cursor of the newest.
	Last uint64 `json:"last"`
}

// LogEntry is one thing that happened in a room, as the event of that type tells it.
type LogEntry struct {
	Cursor uint64          `json:"cursor"`
	At     time.Time       `json:"at"`
	Type   string          `json:"type"`
	Body   json.RawMessage `json:"body"`
}

// RecordChanged tells who is subscribed to a whole record what was written. It applies to the version before.
type RecordChanged struct {
	Scope       Scope       `json:"scope"`
	Name        string      `json:"name"`
	Incarnation uint64      `json:"incarnation"`
	Version     uint64      `json:"version"` // 1: the record was created, and the operations begin with nothing
	Operations  []Operation `json:"operations"`
	By          string      `json:"by,omitempty"` // whose identity wrote it
}

// RecordPart tells who is subscribed to a path that the value there has changed.
type RecordPart struct {
	Scope       Scope  `json:"scope"`
	Name        string `json:"name"`
	Path        string `json:"path"`
	Incarnation uint64 `json:"incarnation"`
	Version     uint64 `json:"version"`
	// Value is absent where there is nothing any more.
	Value json.RawMessage `json:"value,omitempty"`
	By    string          `json:"by,omitempty"`
}

// RecordDeleted tells that a record was deleted, or that its time is over. Subscriptions stay.
type RecordDeleted struct {
	Scope       Scope  `json:"scope"`
	Name        string `json:"name"`
	Incarnation uint64 `json:"incarnation"`
	Version     uint64 `json:"version"` // its last
	Expired     bool   `json:"expired,omitempty"`
	By          string `json:"by,omitempty"`
}

// RecordNoted is what a room's log tells of a change instead of RecordChanged or RecordDeleted, where it does not tell what was written.
type RecordNoted struct {
	Scope       Scope  `json:"scope"`
	Name        string `json:"name"`
	Incarnation uint64 `json:"incarnation"`
	Version     uint64 `json:"version"`
}

// RecordProvided tells a record's subscribers whether a pattern's provider is active for it.
type RecordProvided struct {
	Scope    Scope  `json:"scope"`
	Name     string `json:"name"`
	Provided bool   `json:"provided"`
}

// EventPublished is an event as its subscribers get it.
type EventPublished struct {
	Scope Scope           `json:"scope"`
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value,omitempty"`
	From  string          `json:"from,omitempty"`
}

// RPCCall asks a provider to accept or to reject, and then to answer.
type RPCCall struct {
	Scope Scope           `json:"scope"`
	Name  string          `json:"name"`
	Call  uint64          `json:"call"` // unique in the scope
	Value json.RawMessage `json:"value,omitempty"`
	From  string          `json:"from,omitempty"`
}

// RPCResult ends a call: with a value, or with an error.
type RPCResult struct {
	Scope Scope           `json:"scope"`
	Call  uint64          `json:"call"` // as in rpc-request
	Value json.RawMessage `json:"value,omitempty"`
	Error *Error          `json:"error,omitempty"`
}

// ListenStart tells the provider of a pattern that somebody has subscribed to these names, which are now its to provide.
type ListenStart struct {
	Scope   Scope      `json:"scope"`
	Kind    ListenKind `json:"kind"`
	Pattern string     `json:"pattern"`
	Names   []string   `json:"names"`
}

// ListenStop tells that nobody is subscribed to these any more.
type ListenStop struct {
	Scope   Scope      `json:"scope"`
	Kind    ListenKind `json:"kind"`
	Pattern string     `json:"pattern"`
	Names   []string   `json:"names"`
}

// PresenceJoined tells that an identity has its first connection.
type PresenceJoined struct {
	Scope    Scope  `json:"scope"`
	Identity string `json:"identity"`
}

// PresenceLeft tells that an identity has lost its last connection.
type PresenceLeft struct {
	Scope    Scope  `json:"scope"`
	Identity string `json:"identity"`
}

// SubscriptionKind is what was subscribed to.
type SubscriptionKind string

// Kinds of what was subscribed to.
const (
	SubscribedRecord   SubscriptionKind = "record"
	SubscribedEvent    SubscriptionKind = "event"
	SubscribedPresence SubscriptionKind = "presence" // without a name: of all
	ProvidedRPC        SubscriptionKind = "rpc"
	ListenedRecord     SubscriptionKind = "listen-record" // name is the pattern
	ListenedEvent      SubscriptionKind = "listen-event"
)

// StateUnsubscribed tells that the rules do not allow something any more.
type StateUnsubscribed struct {
	Scope Scope            `json:"scope"`
	Kind  SubscriptionKind `json:"kind"`
	Name  string           `json:"name,omitempty"`
	Path  string           `json:"path,omitempty"`
	Error *Error           `json:"error"`
}

// StateLost tells that all subscriptions, provided RPCs and patterns of the session in this scope are gone, because messages about
// them were. The client makes them again.
type StateLost struct {
	Scope Scope `json:"scope"`
}
