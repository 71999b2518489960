// Package scopes runs shared state: an Owner puts the commands to one scope in order, stores what is durable, and lets nothing out
// before that of which a crash could take back what it shows.
//
// An Owner has one goroutine, which owns the scope, and another while a commit is being stored. What is appended meanwhile becomes
// the next commit, so writers share syncs:
//
//	Do ─ inbox ─→ loop: scope.Apply ─ entries ─→ open commit ─ one at a time ─→ bus.Log
//	                 └ effects: at once, or held until the entries before them are stored
//
// Where a commit cannot be stored, the owner forgets what it has in memory, and begins again with what is stored. Where nothing can be, the Shelf is shut, and no owner begins
// anything that would have to be.
package scopes

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

var (
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the scope is closed")
	// ErrDamaged: what is stored does not say what the scope was.
	ErrDamaged = errors.New("what is stored of the scope is damaged")
	// ErrBusy: too much waits for the owner, which takes nothing at present. The request was not begun.
	ErrBusy = errors.New("too much waits for the scope")
	// ErrUnderway is returned where a request was begun and nobody waits for its reply any more: whether it is carried out is not known.
	ErrUnderway = errors.New("the request has no reply yet")
)

// Config of an Owner.
type Config struct {
	State state.Config
	// Log and Subject are where durable records are. Nobody else appends to the subject.
	Log     bus.Log
	Subject string
	// Budget is shared with the other scopes of the node; nil: there is none.
	Budget *Budget
	// Shelf is how much the log takes, shared as well; nil: as much as there is.
	Shelf *Shelf
	// Tell carries out an event that was encoded once for all sessions. It is called by the loop, in order, and does not wait.
	Tell func(t state.Tell, body []byte)
	// Note is told each change of a durable record when it is stored, by the loop, in order. It does not wait. Nil: nobody is told.
	Note func(typ string, body []byte)
	// Loaded is told the last changes that are stored, in order, before Note is told any others: of these, some may not have been noted. It does not wait. Nil: nobody is told.
	Loaded func([]state.LastChange)
	Logger *slog.Logger
}

// Owner runs a scope. Make it with Open. It is safe for concurrent use.
type Owner struct {
	// static after construction
	config Config
	inbox  chan call
	tidy   chan chan<- error // see Tidy
	stop   chan struct{}     // closed by Close
	done   chan struct{}     // closed when the loop has ended
	hurry  chan struct{}     // there are other rules, or something is late; capacity 1
	closed func()

	// guarded by mu
	mu   sync.Mutex
	late []state.Command // who came, went, or is to begin anew, which the loop has not begun in time; two for each session at most

	// atomic
	rules  atomic.Pointer[func(state.Access) *wire.Error] // that hold from the next command on; nil: those of before do
	tidied atomic.Bool                                    // see Tidied

	// owned by loop
	scope    *state.Scope
	attached []state.Attach // in their order
	commits  commits
	timer    *time.Timer
	decided  <-chan struct{}              // closed when it is known what is stored behind the last commit; nil: it is
	unread   bool                         // it could not be read last time, which was said
	over     bool                         // closed before it was loaded again: nothing in memory can be shown
	failed   time.Time                    // when it was loaded again last
	held     int                          // bytes of the budget that are its own
	tickets  uint64                       // given to RPC requests of callers without a session
	calls    map[uint64]func(state.Reply) // which take their replies, by ticket
}

// call is a command on its way.
type call struct {
	command state.Command
	waited  func() bool       // whether somebody still waits for what is not begun yet; from then on it counts as begun
	answer  func(state.Reply) // called once, by the loop; nil: nobody waits
}

// Open loads a scope and starts its owner.
func Open(ctx context.Context, c Config) (*Owner, error) {
	o := &Owner{
		config: c, inbox: make(chan call, inboxCapacity), tidy: make(chan chan<- error), stop: make(chan struct{}), done: make(chan struct{}), hurry: make(chan struct{}, 1),
		timer: time.NewTimer(0), calls: map[uint64]func(state.Reply){},
	}
	o.closed = sync.OnceFunc(func() { close(o.stop) })
	if err := o.load(ctx, nil); err != nil {
		return nil, err
	}
	o.commits.raise(o)
	o.commits.purge(o)
	go o.run()
	return o, nil
}

// Do carries out a command. Of a request it returns the reply, once it may be sent. A request that has no place within BusyTime, or is not begun within
// AskTime, is not carried out; after ErrUnderway nobody knows whether it is, after any other error it is not. Who came or went, or has lost its messages (Reset), is not forgotten when ctx ends: the loop has it before all else
// that it does then.
func (o *Owner) Do(ctx context.Context, command state.Command) (state.Reply, error) {
	begin, wait := ctx, AskTime
	if lapses(command) {
		var cancel context.CancelFunc
		begin, cancel = context.WithTimeout(ctx, AskTime)
		defer cancel()
		wait = BusyTime
	}
	var decided atomic.Bool // whether it is begun or given up: whoever swaps it first
	replies := make(chan state.Reply, 1)
	c := call{command: command, waited: func() bool { return decided.CompareAndSwap(false, true) }, answer: once(func(r state.Reply) { replies <- r })}
	if err := o.put(begin, c, wait); err != nil {
		o.keepLate(command)
		return state.Reply{}, err
	}
	err := ErrClosed
	select {
	case r := <-replies:
		return r, nil
	case <-begin.Done():
		err = begin.Err()
	case <-o.done:
	}
	if decided.CompareAndSwap(false, true) {
		o.keepLate(command)
		return state.Reply{}, err
	}
	select {
	case r := <-replies:
		return r, nil
	case <-ctx.Done():
	case <-o.done:
	}
	select {
	case r := <-replies: // at the same moment
		return r, nil
	default:
		return state.Reply{}, ErrUnderway
	}
}

// keepLate keeps a command that lasts for the loop: nobody gives it a second time, and whoever has gone would be there for ever, or have what it was told to have lost. What the
// session has asked before is overtaken, which nobody waits for any more either.
func (o *Owner) keepLate(c state.Command) {
	session := lasts(c)
	if session == "" {
		return
	}
	_, goes := c.(state.Detach)
	_, resets := c.(state.Reset)
	o.mu.Lock()
	o.late = append(slices.DeleteFunc(o.late, func(l state.Command) bool {
		_, reset := l.(state.Reset)
		return lasts(l) == session && (goes || reset == resets)
	}), c)
	o.mu.Unlock()
	o.nudge()
}

func (o *Owner) takeLate() []state.Command {
	o.mu.Lock()
	defer o.mu.Unlock()
	late := o.late
	o.late = nil
	return late
}

func (o *Owner) nudge() {
	select {
	case o.hurry <- struct{}{}:
	default:
	}
}

// lasts returns the session that comes or goes by a command, or begins anew, however late that is; "": none.
func lasts(c state.Command) string {
	switch c := c.(type) {
	case state.Reset:
		return c.Session
	case state.Attach:
		return c.By.Session
	case state.Detach:
		return c.Session
	}
	return ""
}

// lapses tells whether a command is a request, which is not begun any more for whoever has given it up.
func lapses(c state.Command) bool {
	switch c.(type) {
	case state.Attach, state.Detach, state.Recheck, state.Reset, state.Settle, state.Tick:
		return false
	}
	return true
}

// Ask takes a request that is answered later. What is asked or done after Ask has returned is carried out after it. The loop calls answer,
// once, in its order among what Tell tells; answer does not wait. It is not called after an error, or where the owner is closed before. Ask waits
// so long for a place, if at all.
func (o *Owner) Ask(ctx context.Context, command state.Command, wait time.Duration, answer func(state.Reply)) error {
	until := time.Now().Add(AskTime)
	c := call{command: command, waited: func() bool { return time.Now().Before(until) }, answer: once(answer)}
	return o.put(ctx, c, wait)
}

// Recheck lets other rules hold for all that the owner does from now on, and ends what they do not allow. It does not wait, and needs no
// place in the inbox: an owner that is held up has them before it does anything else.
func (o *Owner) Recheck(may func(state.Access) *wire.Error) {
	o.rules.Store(&may)
	o.nudge()
}

func (o *Owner) put(ctx context.Context, c call, wait time.Duration) error {
	select {
	case o.inbox <- c: // mostly there is a place, and no timer is needed
		return nil
	case <-o.done:
		return ErrClosed
	default:
	}
	if wait == 0 {
		return ErrBusy
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case o.inbox <- c:
		return nil
	case <-o.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return ErrBusy
	}
}

// once lets the first answer through: a fault may come after it.
func once(answer func(state.Reply)) func(state.Reply) {
	answered := false
	return func(r state.Reply) {
		if !answered {
			answered = true
			answer(r)
		}
	}
}

// Close ends the owner, after what was accepted is stored.
func (o *Owner) Close() error {
	o.closed()
	<-o.done
	return nil
}

// run is the loop.
func (o *Owner) run() {
	defer close(o.done)
	defer o.timer.Stop()
	defer func() { o.config.Budget.spend(-o.held) }()
	for {
		o.commits.start(o)
		o.tidied.Store(!o.commits.running && (o.commits.last == 0 || o.commits.expiry != nil))
		o.arm()
		inbox := o.inbox
		if o.commits.full() {
			inbox = nil
		}
		select {
		case c := <-inbox:
			o.handle(c)
			for n := len(o.inbox); n > 0 && !o.commits.full(); n-- { // what is there goes into the same commit
				o.handle(<-o.inbox)
			}
		case end := <-o.tidy:
			o.handle(call{command: state.Tick{}}) // what is over needs no copy
			o.commits.beginTidy(end)
		case r := <-o.commits.result:
			o.settle(r)
		case p := <-o.commits.purged:
			o.commits.ended(o, p)
		case <-o.decided:
			o.decide()
		case <-o.hurry:
			o.handle(call{command: state.Tick{}})
		case <-o.timer.C:
			o.handle(call{command: state.Tick{}})
		case <-o.stop:
			o.finish()
			return
		}
	}
}

// arm sets the timer to what the scope, or the log, waits for.
func (o *Owner) arm() {
	next, due := o.scope.Next(), o.commits.due()
	if next.IsZero() || !due.IsZero() && due.Before(next) {
		next = due
	}
	if next.IsZero() {
		o.timer.Stop()
	} else {
		o.timer.Reset(time.Until(next))
	}
}

// warn tells of a purge that failed: the messages are read again at the next start, and no harm is done.
func (o *Owner) warn(err error) {
	if err != nil {
		o.config.Logger.Warn("old commits of a scope were not purged", "subject", o.config.Subject, "error", err)
	}
}

// finish stores what is left to be stored.
func (o *Owner) finish() {
	defer func() {
		if o.commits.purging {
			o.warn((<-o.commits.purged).err)
		}
	}()
	o.commits.ends = true
	o.commits.tidied(ErrClosed)
	for o.commits.start(o); o.commits.running; o.commits.start(o) {
		r := <-o.commits.result
		switch {
		case r.err == nil:
			o.config.Shelf.put(o.config.Subject, r)
			o.release(r)
		case !r.waitedFor():
			o.commits.postpone(o, r)
		default:
			o.config.Shelf.put(o.config.Subject, r)
			o.config.Logger.Error("the last changes of a scope were not stored", "subject", o.config.Subject, "error", r.err)
			o.commits.fail(notStored(r.err))
			if unknown(r.err) {
				o.doubt(r.err) // for the next owner of the scope
			}
			return
		}
	}
}

// handle applies one command, unless it is a request for which nobody waits any more.
func (o *Owner) handle(c call) {
	if o.over {
		if c.answer != nil {
			c.answer(state.Reply{Error: overloaded()})
		}
		return
	}
	defer o.survive(c)
	o.scope.Spare(o.config.Budget.left())
	o.scope.Full(o.config.Shelf.refusal(o.config.State.Scope, o.commits.live()))
	o.scope.Shut(o.refuses())
	if may := o.rules.Swap(nil); may != nil {
		o.config.State.May = *may // also for the scope that is loaded again
		o.carryOut(call{}, o.scope.Apply(time.Now(), state.Recheck{May: *may}))
	}
	for _, late := range o.takeLate() {
		o.list(late)
		o.carryOut(call{}, o.scope.Apply(time.Now(), late))
	}
	if c.waited != nil && (lapses(c.command) || lasts(c.command) != "") && !c.waited() {
		c.answer(state.Reply{Error: overloaded()})
		return
	}
	o.list(c.command)
	if r, ok := c.command.(state.RPCRequest); ok && r.By.Session == "" {
		o.tickets++
		r.Ticket = o.tickets
		o.calls[r.Ticket] = c.answer
		c.command, c.answer = r, nil
	}
	o.carryOut(c, o.scope.Apply(time.Now(), c.command))
	o.account()
}

// list keeps in mind who is attached.
func (o *Owner) list(c state.Command) {
	switch c := c.(type) {
	case state.Attach:
		o.attached = append(deleteSession(o.attached, c.By.Session), c)
	case state.Detach:
		o.attached = deleteSession(o.attached, c.Session)
	}
}

// account tells the budget what the scope holds now.
func (o *Owner) account() {
	_, held, _ := o.scope.Sizes()
	o.config.Budget.spend(held - o.held)
	o.held = held
}

// survive keeps a fault in this scope: it is loaded again, and whoever asked for what brought the fault about is told.
func (o *Owner) survive(c call) {
	fault := recover()
	if fault == nil {
		return
	}
	o.config.Logger.Error("a scope is loaded again after a fault", "subject", o.config.Subject, "fault", fault, "stack", string(debug.Stack()))
	if c.answer != nil {
		c.answer(state.Reply{Error: wire.NewError(wire.CodeInternal, "a fault of the server", "read what is there, and try again")})
	}
	var why error
	if o.commits.running { // whether it is stored is seen when the scope is loaded
		r := <-o.commits.result
		o.config.Shelf.put(o.config.Subject, r)
		why = r.err
	}
	o.begin(why, nil) // what failed is not trusted
}

// carryOut lets effects out, or holds them until what is before them is stored.
func (o *Owner) carryOut(c call, effects []state.Effect) {
	answered := false
	for _, e := range effects {
		switch e := e.(type) {
		case state.Append:
			o.commits.append(e.Entry, e.Number)
			if o.config.Note != nil {
				body := noted(e.Body)
				o.commits.let(true, sizeOf(body), func() { o.config.Note(e.Type, encode(body)) }, nil)
			}
		case state.Tell:
			o.commits.let(e.Waits, sizeOf(e.Body), func() { o.config.Tell(e, encode(e.Body)) }, nil)
		case state.Reply:
			to := c.answer
			if e.Ticket != 0 {
				to = o.calls[e.Ticket]
				delete(o.calls, e.Ticket)
			} else {
				answered = true
			}
			o.commits.let(e.Waits, sizeOf(e.Body)+sizeOf(e.Error), func() { to(e) }, func(why *wire.Error) { to(state.Reply{Error: why}) })
		}
	}
	if !answered && c.answer != nil {
		c.answer(state.Reply{})
	}
}

// settle deals with the end of a commit.
func (o *Owner) settle(r result) {
	if r.err != nil && !r.waitedFor() {
		o.commits.postpone(o, r)
		return
	}
	o.config.Shelf.put(o.config.Subject, r)
	if r.err == nil {
		o.release(r)
		return
	}
	o.config.Logger.Error("a commit was not stored: the scope is loaded again", "subject", o.config.Subject, "error", r.err)
	o.begin(r.err, o.scope)
}

func (o *Owner) release(r result) {
	o.commits.stored(r)
	if r.entries > 0 { // else one that says only what is not needed would lead to the next
		o.commits.raise(o)
	}
	o.commits.purge(o)
	if r.upTo > 0 {
		o.handle(call{command: state.Settle{UpTo: r.upTo}})
	}
}

// refuses tells whether nothing durable is to be begun.
func (o *Owner) refuses() bool { return o.decided != nil || o.config.Shelf.refuses() }

// doubt says that there may be more than what is known to be stored.
func (o *Owner) doubt(why error) {
	o.decided = o.config.Shelf.doubt(o.config.Subject, o.commits.known(), why)
}

// decide looks whether the commit is stored that was in doubt. The scope has what was stored before it, so that it is loaded again only where it is.
func (o *Owner) decide() {
	unread := o.unread
	o.decided, o.unread = nil, false
	if o.commits.running { // the end of that says as much
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), loadTime)
	defer cancel()
	last, err := o.config.Log.Last(ctx, o.config.Subject)
	switch {
	case err != nil:
		o.lookAgain(err, unread)
	case sameBehind(o.commits.last, last):
		o.commits.last = last.Number
	case last.Number != o.commits.last:
		o.begin(nil, o.scope)
	}
}

// lookAgain has the owner decide a little later, as it cannot read what is stored. Until then it refuses what is durable, alone: the log has
// taken something since, so that others need not.
func (o *Owner) lookAgain(why error, said bool) {
	if !said {
		o.config.Logger.Error("it cannot be read how the last commit of a scope ended: its writes of durable records are refused until it can, which is tried each second", "subject", o.config.Subject, "error", why)
	}
	decided := make(chan struct{})
	time.AfterFunc(loadPause, func() { close(decided) })
	o.decided, o.unread = decided, true
}

func notStored(why error) *wire.Error {
	if errors.Is(why, bus.ErrFull) {
		return state.Full()
	}
	return &wire.Error{
		Code: wire.CodeInternal, Message: "the change could not be stored, or it is not known whether it was",
		Next: "read the record, then write again", RetrySeconds: 1,
	}
}

func deleteSession(all []state.Attach, session string) []state.Attach {
	return slices.DeleteFunc(all, func(a state.Attach) bool { return a.By.Session == session })
}
