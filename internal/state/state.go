// Package state decides what shared state is: records, lists, events, RPC, listeners and presence of one scope, which is a room's
// or the server's.
//
// Scope.Apply is a pure function of the scope, a command and the time; all it brings about is in the effects that it returns. A
// scope owns its records, with their versions and histories, who is subscribed to what, who provides which RPC, the calls that are
// under way, and who is present.
//
// Records that are durable are stored by whoever calls Apply: Append effects become commits (Commit), and effects that show what
// they say, or what rules have made of it, wait until these are stored (Waits). Replay brings a scope back from its commits.
//
// Documents (Value) never change, a write makes new ones that share what is the same; so they may be handed to anybody.
package state

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// Config is what a scope is made of.
type Config struct {
	// Scope is told in events.
	Scope wire.Scope
	// Durable: what a record is whose creating write does not say.
	Durable bool
	// May refuses what a caller is not allowed. It is pure, and asked on every path. Nil: all is allowed.
	May func(Access) *wire.Error
	// MaxRecords and MaxBytes of all records together, about as they are in memory; 0: DefaultMaxRecords, DefaultMaxBytes.
	MaxRecords, MaxBytes int
	// AcceptTime and AnswerTime of a provider; 0: DefaultAcceptTime, DefaultAnswerTime.
	AcceptTime, AnswerTime time.Duration
	// Seed of the choice among providers.
	Seed [32]byte
}

// Scope is the state of a room, or of the server. It is not safe for concurrent use.
type Scope struct {
	// static after construction
	config Config
	random *rand.Rand

	// owned by the caller of Apply
	sessions     map[string]*session
	records      map[string]*record
	bytes        int                // of all records, about as they are in memory
	spare        int                // bytes that they may grow by for the sake of other scopes
	full         *wire.Error        // why nothing durable is written; nil: it is
	shut         bool               // nothing durable is written nor deleted
	incarnations uint64             // the last one
	appended     uint64             // entries so far
	settled      uint64             // of these are stored
	unsettled    map[subject]uint64 // of which something shows what was appended up to that number
	unsettling   []unsettling       // these, in order
	images       []image            // of records that are not durable, in the order of their numbers
	imageBytes   int                // of these, about
	gaps         map[string]bool    // of what is being replayed
	watches      map[string]*watch
	events       map[string]*topic
	orphans      []orphan
	starved      []*session            // listeners without room
	providers    map[string][]*session // of each RPC, in the order in which they came
	calls        map[uint64]*call
	callBytes    int // of their values
	lastCall     uint64
	strangers    int             // calls of callers without a session
	listeners    []*listener     // of a kind, those that have the most characters that are no wildcard are the first
	present      map[string]int  // connections of each identity
	there        []string        // all these identities, sorted
	everybody    audience        // subscribed to the presence of all
	picky        map[string]bool // of these, who may not know of every identity: each is asked for
	somebody     map[string]*audience
	timers       timers

	// of one Apply
	now       time.Time
	out       []Effect
	undone    int // operations, to read former versions
	formers   map[former]Value
	looked    bool          // rules have looked at records whose changes may not be stored yet
	depends   bool          // what was asked for last depends on what records say
	alike     bool          // and is the same for every name
	tellings  []*telling    // to listeners
	compared  int           // identities that were asked for since the rules have changed, see MaxKnownAnew
	unfolded  map[Value]any // what rules have looked at last
	kept      int           // bytes of it, as in measure.held
	unfolding int           // bytes that rules had to have unfolded for whoever is asked about, see MaxUnfolded
	steps     int           // elements that they went over for him, see MaxSteps
}

// New returns an empty scope.
func New(c Config) *Scope {
	if c.MaxRecords == 0 {
		c.MaxRecords = DefaultMaxRecords
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.AcceptTime == 0 {
		c.AcceptTime = DefaultAcceptTime
	}
	if c.AnswerTime == 0 {
		c.AnswerTime = DefaultAnswerTime
	}
	return &Scope{
		config: c, random: rand.New(rand.NewChaCha8(c.Seed)),
		sessions: map[string]*session{}, records: map[string]*record{}, spare: math.MaxInt, unsettled: map[subject]uint64{}, gaps: map[string]bool{},
		watches: map[string]*watch{}, events: map[string]*topic{},
		providers: map[string][]*session{}, calls: map[uint64]*call{}, present: map[string]int{}, picky: map[string]bool{}, somebody: map[string]*audience{}, unfolded: map[Value]any{},
	}
}

// Apply carries out what is due, then a command, and returns their effects, which the caller owns. A command of wire is answered by
// exactly one Reply: at once, but for RPC requests of callers without a session, whose Reply has their Ticket.
func (s *Scope) Apply(now time.Time, c Command) []Effect {
	s.now = now
	s.undone, s.formers = 0, nil
	s.expire()
	s.looked = false // for the sake of that
	switch c := c.(type) {
	case Attach:
		s.attach(c)
	case Detach:
		s.detach(c.Session)
	case Reset:
		s.reset(c.Session)
	case Recheck:
		s.recheck(c)
	case Settle:
		s.settle(c.UpTo)
	case Tick:
	case RecordSubscribe:
		s.fail(s.recordSubscribe(c), s.waits())
	case RecordUnsubscribe:
		s.done(s.recordUnsubscribe(c), s.waits())
	case RecordRead:
		s.fail(s.recordRead(c), s.waits())
	case RecordWrite:
		s.fail(s.recordWrite(c), s.waits(ofRecord(c.Name))) // which shows what it is, or that there is none
	case RecordDelete:
		s.fail(s.recordDelete(c), s.waits(ofRecord(c.Name)))
	case EventSubscribe:
		s.fail(s.eventSubscribe(c), s.waits())
	case EventUnsubscribe:
		s.done(s.eventUnsubscribe(c), s.lagging(Events, c.Names...))
	case EventPublish:
		s.done(s.eventPublish(c), s.waits(ofEvent(c.Name)))
	case RPCProvide:
		s.fail(s.rpcProvide(c), s.waits())
	case RPCUnprovide:
		s.done(s.rpcUnprovide(c), s.lagging(RPCs, c.Names...))
	case RPCRequest:
		s.rpcRequest(c)
	case RPCAccept:
		s.done(s.rpcAccept(c), s.calling())
	case RPCReject:
		s.done(s.rpcReject(c), s.calling())
	case RPCAnswer:
		s.done(s.rpcAnswer(c), s.calling())
	case Listen:
		s.done(s.listen(c), s.waits(ofListener(c.By.Session)))
	case Unlisten:
		s.done(s.unlisten(c), s.waits(ofListener(c.By.Session)))
	case ListenReject:
		s.done(s.listenReject(c), s.waits(ofListener(c.By.Session)))
	case PresenceSubscribe:
		s.fail(s.presenceSubscribe(c), s.waits())
	case PresenceUnsubscribe:
		s.done(s.presenceUnsubscribe(c), s.waits(ofPresence))
	case PresenceRead:
		s.fail(s.presenceRead(c), s.waits())
	}
	s.tellListeners()
	out := s.out
	s.out, s.looked, s.unfolding, s.steps, s.kept, s.compared = nil, false, 0, 0, 0, 0
	clear(s.unfolded)
	return out
}

// Next is when something is due, which any Apply carries out; zero: never.
func (s *Scope) Next() time.Time {
	if len(s.orphans) > 0 {
		return s.now
	}
	return s.timers.next()
}

// Spare says by how many bytes the records may grow for the sake of other scopes, until it is said again.
func (s *Scope) Spare(bytes int) { s.spare = bytes }

// Full says why durable records are not written, as there is no room for more where they are stored, until it is said again; nil: they are.
func (s *Scope) Full(why *wire.Error) { s.full = why }

// Shut says whether nothing can be stored, until it is said again: durable records are not written then, nor deleted, and those that are due to expire do so later.
func (s *Scope) Shut(shut bool) { s.shut = shut }

// count returns the next of numbers that grow, and of which none comes twice also where the last one is not known any more: it is not below
// the time in microseconds, and nobody counts faster than that.
func (s *Scope) count(last uint64) uint64 { return max(last+1, uint64(max(0, s.now.UnixMicro()))) }

// Sizes counts what the scope holds; bytes are about those of all records, of what they were, and of calls in memory.
func (s *Scope) Sizes() (records, bytes, sessions int) {
	return len(s.records), s.bytes + s.imageBytes + s.callBytes, len(s.sessions)
}

func (s *Scope) emit(e Effect) { s.out = append(s.out, e) }

// tell tells an audience, unless nobody is in it.
func (s *Scope) tell(a *audience, except, event string, body any, about subject) {
	if to := a.told(); len(to) > 1 || len(to) == 1 && to[0] != except {
		s.emit(Tell{Sessions: to, Except: except, Type: event, Body: body, Waits: s.waits(about)})
	}
}

func (s *Scope) tellOne(to *session, event string, body any, about subject) {
	if to.leaving {
		return
	}
	s.emit(Tell{Sessions: []string{to.id}, Type: event, Body: body, Waits: s.waits(about)})
}

// done replies to a command whose reply carries nothing.
func (s *Scope) done(refused *wire.Error, waits bool) {
	if refused == nil {
		s.emit(Reply{Type: wire.TypeOK, Body: wire.OK{}, Waits: waits})
	}
	s.fail(refused, waits)
}

// fail replies to a command that was refused; the others have replied already.
func (s *Scope) fail(refused *wire.Error, waits bool) {
	if refused != nil {
		s.emit(Reply{Error: refused, Waits: waits})
	}
}
