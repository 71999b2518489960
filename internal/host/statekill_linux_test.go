package host

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-rtc/parley/wire"
)

const (
	killWriters  = 8
	killRounds   = 4                      // KILL_ROUNDS in the environment says otherwise
	killAfter    = 600 * time.Millisecond // at most, from when somebody has been answered
	killUnderway = 64                     // requests of one session that are not answered yet
	killMost     = 400                    // requests of one session in one life of the server, which its allowance bears at once
)

// Of a server that is killed (SIGKILL) again and again while eight sessions write through WebSockets, many requests of each under way, nothing
// is lost that it had acknowledged or told, and nothing changes places: of what each session has asked of a scope there is a beginning, whole,
// with every request in it that was answered, and none twice. The room's log keeps what somebody has read of it, and of what one participant
// has said in one life of the server has no holes.
func TestScenarioKilled(t *testing.T) {
	rounds := killRounds
	if text, ok := os.LookupEnv("KILL_ROUNDS"); ok {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	k := &killing{t: t, data: t.TempDir(), both: map[wire.Scope]uint64{}, read: map[uint64]string{}}
	for i := range killWriters {
		for _, scope := range []wire.Scope{wire.ScopeServer, wire.ScopeRoom} {
			k.scripts = append(k.scripts, &script{scope: scope, writer: i, there: -1, sent: -1, answered: -1})
		}
	}
	lives := 0
	for ; lives < rounds || k.acknowledged() < 100*rounds || k.logged == 0; lives++ { // on a slow machine it takes more to tell
		if lives == 10*rounds {
			t.Fatalf("%d writes were acknowledged in %d lives of the server, and the log has %d messages: that is too few to tell", k.acknowledged(), lives, k.logged)
		}
		s := k.start()
		k.check(s)
		k.write(s)
	}
	s := k.start()
	k.check(s)
	s.kill()
	left := 0
	for _, s := range k.scripts {
		left += s.there + 1
	}
	t.Logf("%d lives: %d writes were acknowledged, %d are there; %d chat messages were answered, the log has %d", lives, k.acknowledged(), left, k.said, k.logged)
}

// killing is a server that is killed, and what is known of what it has.
type killing struct {
	t       *testing.T
	data    string
	scripts []*script // two of each writer

	// guarded by mu
	mu    sync.Mutex
	both  map[wire.Scope]uint64 // versions that a subscriber was told
	read  map[uint64]string     // entries of the room's log that somebody was given, by cursor
	after uint64                // the last of them
	// the last that anybody was given, and from where on the log says that it is complete
	reached, complete uint64
	said              int // chat messages that were answered
	logged            int // of those in the log
}

// acknowledged is how many writes were, in all lives of the server.
func (k *killing) acknowledged() (all int) {
	for _, s := range k.scripts {
		all += s.acknowledged
	}
	return all
}

// mortal is one life of the server.
type mortal struct {
	*churn
	cmd *exec.Cmd
}

var meetAt = regexp.MustCompile(`meet +http://localhost:(\d+)`)

// start runs a server in another process.
func (k *killing) start() *mortal {
	k.t.Helper()
	address, cmd := startKilled(k.t, child(childOrder{Main: []string{"serve", "--listen", "127.0.0.1:0", "--data", k.data}}))
	return &mortal{&churn{address: address}, cmd}
}

// startKilled starts the command of a server that writes where it is, and ends it with the test.
func startKilled(t *testing.T, cmd *exec.Cmd) (netip.AddrPort, *exec.Cmd) {
	t.Helper()
	cmd.Stderr = nil // that clients are lost
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if m := meetAt.FindStringSubmatch(lines.Text()); m != nil {
			port, _ := strconv.ParseUint(m[1], 10, 16)
			return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)), cmd
		}
	}
	t.Fatalf("the server did not start: %v", cmd.Wait())
	return netip.AddrPort{}, nil
}

func (s *mortal) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// join lets somebody in.
func (k *killing) join(s *mortal, ctx context.Context, identity string) *visit {
	k.t.Helper()
	v := &visit{churn: s.churn, ctx: ctx}
	err := v.openSocket()
	if err == nil {
		_, err = v.ask(wire.TypeJoin, wire.Join{Protocol: wire.Protocol, Room: "tea", Identity: identity})
	}
	if err != nil {
		k.t.Fatal(err)
	}
	return v
}

// write lets all write until the server is killed.
func (k *killing) write(s *mortal) {
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	reader := k.join(s, ctx, "reader")
	for _, scope := range []wire.Scope{wire.ScopeServer, wire.ScopeRoom} {
		if _, err := reader.ask(wire.TypeRecordSubscribe, wire.RecordSubscribe{Scope: scope, Records: []wire.RecordHave{{Name: "both"}}}); err != nil {
			k.t.Fatal(err)
		}
	}
	var sessions []*visit
	for i := range killWriters {
		sessions = append(sessions, k.join(s, ctx, fmt.Sprint("writer", i)))
	}
	var all sync.WaitGroup
	first := make(chan struct{}, 1)
	all.Go(func() { k.reads(reader) })
	for i, v := range sessions {
		w := &killWriter{killing: k, visit: v, number: i, scripts: k.scripts[2*i : 2*i+2], room: make(chan struct{}, killUnderway), first: first, waiting: map[uint64]asked{}}
		all.Go(w.send)
		all.Go(w.receive)
	}
	select {
	case <-first:
	case <-ctx.Done():
		k.t.Error("nobody was answered")
	}
	time.Sleep(rand.N(killAfter))
	s.kill()
	all.Wait()
}

// asked is what a reply is about.
type asked struct {
	script *script // nil: it is chat
	number int
}

// killWriter is one session that writes.
type killWriter struct {
	*killing
	*visit
	number  int
	scripts []*script
	room    chan struct{}   // has an element for each request without a reply
	first   chan<- struct{} // hears that somebody was answered

	// guarded by killing.mu
	waiting map[uint64]asked
}

// send goes on with its scripts, and says something now and then, until the server is gone.
func (w *killWriter) send() {
	for n := range killMost {
		select {
		case w.room <- struct{}{}:
		case <-w.ctx.Done():
			return
		}
		w.id++
		w.mu.Lock()
		var typ string
		var body any
		if n%40 == 39 {
			w.waiting[w.id] = asked{}
			typ, body = wire.TypeChat, wire.Chat{Text: fmt.Sprint(w.number, " ", n)}
		} else {
			s := w.scripts[n%2]
			s.sent++
			w.waiting[w.id] = asked{s, s.sent}
			typ, body = s.request(s.sent)
		}
		w.mu.Unlock()
		if put(w.ctx, w.socket, w.id, typ, body) != nil {
			return
		}
	}
}

// receive takes replies until the server is gone.
func (w *killWriter) receive() {
	for {
		_, b, err := w.socket.Read(w.ctx)
		if err != nil {
			for { // send waits for nobody
				select {
				case <-w.room:
				default:
					_ = w.socket.CloseNow()
					return
				}
			}
		}
		var m wire.Message
		if err := json.Unmarshal(b, &m); err != nil {
			w.t.Error(err)
		}
		if m.Reply == 0 {
			continue
		}
		<-w.room
		w.mu.Lock()
		a, ok := w.waiting[m.Reply]
		switch delete(w.waiting, m.Reply); {
		case !ok:
			w.t.Errorf("what nobody has asked is answered: %s", b)
		case a.script == nil && m.Type == wire.TypeOK:
			w.said++
		case a.script == nil:
			w.t.Errorf("chat: %s", b)
		default:
			w.acknowledge(a.script, a.number, m)
		}
		w.mu.Unlock()
		select {
		case w.first <- struct{}{}:
		default:
		}
	}
}

// acknowledge notes that a request was carried out. The caller holds mu.
func (w *killWriter) acknowledge(s *script, number int, m wire.Message) {
	want := wire.TypeWritten
	if s.kind(number) == endBrief {
		want = wire.TypeOK
	}
	var written wire.Written
	_ = json.Unmarshal(m.Body, &written)
	version := written.Version
	switch kind := s.kind(number); {
	case m.Type != want:
		w.t.Errorf("%v: request %d: %s %s", s, number, m.Type, m.Body)
	case number != s.answered+1:
		w.t.Errorf("%v: request %d was acknowledged after %d", s, number, s.answered)
	case kind == writeOwn && version != uint64(s.count(writeOwn, number)), kind == writeBoth && version <= s.both:
		w.t.Errorf("%v: request %d made version %d", s, number, version)
	}
	if s.kind(number) == writeBoth {
		s.both = version
	}
	s.answered = number
	s.acknowledged++
}

// reads follows what is told and the room's log until the server is gone.
func (k *killing) reads(v *visit) {
	ask := func() {
		v.id++
		_ = put(v.ctx, v.socket, v.id, wire.TypeLogRead, wire.LogRead{After: k.after})
	}
	for ask(); ; {
		_, b, err := v.socket.Read(v.ctx)
		if err != nil {
			_ = v.socket.CloseNow()
			return
		}
		var m wire.Message
		_ = json.Unmarshal(b, &m)
		switch m.Type {
		case wire.TypeRecordChanged:
			var e wire.RecordChanged
			_ = json.Unmarshal(m.Body, &e)
			k.mu.Lock()
			k.both[e.Scope] = e.Version
			k.mu.Unlock()
		case wire.TypeLog:
			k.given(m)
			time.Sleep(100 * time.Millisecond) // ten readings' allowance of it
			ask()
		case wire.TypeError:
			k.t.Errorf("reading: %s", b)
		}
	}
}

// given notes what somebody was given of the log.
func (k *killing) given(m wire.Message) (more bool) {
	var log wire.Log
	if err := json.Unmarshal(m.Body, &log); err != nil {
		k.t.Error(err)
	}
	for _, e := range log.Entries {
		text := e.Type + " " + string(e.Body)
		switch before, ok := k.read[e.Cursor]; {
		case ok && before != text:
			k.t.Errorf("entry %d of the log was %s, and is %s", e.Cursor, before, text)
		case !ok && e.Cursor < k.reached: // whoever had read so far never hears of it
			k.t.Errorf("entry %d of the log came when %d had been read", e.Cursor, k.reached)
		}
		k.read[e.Cursor], k.after, k.reached = text, e.Cursor, max(k.reached, e.Cursor)
	}
	k.complete = log.Complete
	return len(log.Entries) > 0
}

// wasKilled tells whether what is missing of the log before these entries may be what a life of the server had not stored at its end: changes of records
// among which something was said that is stored, as both are stored at once, that first. Nobody has read anything of that. What follows of the same life was said, too;
// of the next one only what catches up with the records may come before somebody joins.
func (k *killing) wasKilled(rest []uint64) bool {
	isNext := false
	for _, cursor := range rest {
		typ, body, _ := strings.Cut(k.read[cursor], " ")
		switch typ {
		case wire.TypeRecordChanged, wire.TypeRecordDeleted:
			isNext = true
		case wire.TypeParticipantJoined:
			var joined wire.ParticipantJoined
			_ = json.Unmarshal([]byte(body), &joined)
			return joined.Participant.Identity == checker
		default:
			if isNext {
				return false
			}
		}
	}
	return true
}

// checker is who joins first in each life of the server.
const checker = "checker"

// check reads everything, in the next life of the server.
func (k *killing) check(s *mortal) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	v := k.join(s, ctx, checker)
	for _, scope := range []wire.Scope{wire.ScopeServer, wire.ScopeRoom} {
		found := k.records(v, scope)
		writes := 0
		for _, s := range k.scripts {
			if s.scope == scope {
				k.compare(s, found)
				writes += s.count(writeBoth, s.there)
			}
		}
		if version := found["both"].version; version != uint64(writes) || version < k.both[scope] {
			k.t.Errorf("%s: there are %d writes in version %d, and %d was told", scope, writes, version, k.both[scope])
		}
	}
	k.checkLog(v)
	k.checkNoted(v)
	if _, err := v.ask(wire.TypeLeave, wire.Leave{}); err != nil {
		k.t.Error(err)
	}
	_ = v.socket.CloseNow()
}

// asked is ask, as soon as the session's allowance bears it.
func (v *visit) asked(kind string, body any) (wire.Message, error) {
	for {
		m, err := v.ask(kind, body)
		var refused wire.Error
		if err == nil || json.Unmarshal(m.Body, &refused) != nil || refused.Code != wire.CodeRate {
			return m, err
		}
		time.Sleep(time.Duration(refused.RetrySeconds) * time.Second)
	}
}

// found is a record that is there.
type found struct {
	version, incarnation uint64
	value                json.RawMessage
}

// records reads what the scripts have written.
func (k *killing) records(v *visit, scope wire.Scope) map[string]found {
	k.t.Helper()
	names := map[string]bool{"both": true}
	for _, s := range k.scripts {
		if s.scope == scope {
			names[s.name(writeOwn, 0)], names[s.name(writeBrief, 0)] = true, true
			for n := 0; n <= s.sent; n += queueBlock {
				names[s.name(writeInsert, n)] = true
			}
		}
	}
	all := map[string]found{}
	for name := range names {
		m, err := v.asked(wire.TypeRecordRead, wire.RecordRead{Scope: scope, Records: []wire.RecordWanted{{Name: name}}})
		var r wire.Records
		if err == nil {
			err = json.Unmarshal(m.Body, &r)
		}
		if err != nil || len(r.Results) != 1 {
			k.t.Fatalf("reading %s: %s, %v", name, m.Body, err)
		}
		if x := r.Results[0]; x.Record != nil {
			all[name] = found{x.Record.Version, x.Record.Incarnation, x.Record.Value}
		} else if x.Error.Code != wire.CodeNotFound {
			k.t.Fatalf("reading %s: %v", name, x.Error)
		}
	}
	return all
}

// compare finds out how much of a script is there, and whether that is all of it up to there.
func (k *killing) compare(s *script, found map[string]found) {
	k.t.Helper()
	there := s.last(found)
	if there < s.answered || there > s.sent {
		k.t.Errorf("%v: of %d requests %d were acknowledged, and %d are there", s, s.sent+1, s.answered+1, there+1)
	}
	for name, want := range s.after(there) {
		have := found[name]
		value := string(have.value)
		if name == "both" || strings.HasPrefix(name, "queue") {
			value = s.part(name, have.value)
		}
		if value != want.value || want.version > 0 && have.version != want.version {
			k.t.Errorf("%v: after request %d %s is %d %s, want %d %s", s, there, name, have.version, value, want.version, want.value)
		}
	}
	s.there, s.sent, s.answered = there, there, there // it goes on from here
}

// checkNoted waits until the room's log has the last version of each of its records, or its end.
func (k *killing) checkNoted(v *visit) {
	k.t.Helper()
	there := k.records(v, wire.ScopeRoom)
	var missing []string
	for start := time.Now(); time.Since(start) < patience; {
		last := map[string]found{}
		for _, cursor := range slices.Sorted(maps.Keys(k.read)) {
			typ, body, _ := strings.Cut(k.read[cursor], " ")
			var e wire.RecordNoted
			if err := json.Unmarshal([]byte(body), &e); err != nil {
				k.t.Error(err)
			}
			switch typ {
			case wire.TypeRecordChanged:
				last[e.Name] = found{version: e.Version, incarnation: e.Incarnation}
			case wire.TypeRecordDeleted:
				delete(last, e.Name)
			}
		}
		missing = nil
		for name, have := range there {
			if have.value = nil; !reflect.DeepEqual(last[name], have) {
				missing = append(missing, fmt.Sprintf("%s: %+v, not %+v", name, last[name], have))
			}
			delete(last, name)
		}
		for name := range last {
			missing = append(missing, name+" is gone, which it does not say")
		}
		if len(missing) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
		k.checkLog(v)
	}
	k.t.Errorf("the room's log lacks %q", missing)
}

// checkLog reads all of the room's log again.
func (k *killing) checkLog(v *visit) {
	k.t.Helper()
	reached := k.after
	for k.after = 0; ; {
		m, err := v.asked(wire.TypeLogRead, wire.LogRead{After: k.after})
		if err != nil {
			k.t.Fatal(err)
		}
		if !k.given(m) {
			break
		}
	}
	if k.after < reached {
		k.t.Errorf("the log was read to entry %d, and ends with %d", reached, k.after)
	}
	cursors := make([]uint64, 0, len(k.read))
	for cursor := range k.read {
		cursors = append(cursors, cursor)
	}
	slices.Sort(cursors)
	for i, cursor := range cursors {
		if i > 0 && cursor != cursors[i-1]+1 && cursor > k.complete && !k.wasKilled(cursors[i:]) { // before complete, changes may be forgotten
			k.t.Errorf("entry %d of the log follows %d", cursor, cursors[i-1])
		}
	}
	said := map[string]int{} // by whom
	k.logged = 0
	for _, cursor := range cursors {
		typ, body, _ := strings.Cut(k.read[cursor], " ")
		var e wire.ChatMessage
		var joined wire.ParticipantJoined
		_ = json.Unmarshal([]byte(body), &e)
		switch typ {
		case wire.TypeParticipantJoined: // in a new life of the server
			_ = json.Unmarshal([]byte(body), &joined)
			said[joined.Participant.Identity] = -1
		case wire.TypeChatReceived:
			k.logged++
			var writer, n int
			_, _ = fmt.Sscan(e.Text, &writer, &n)
			if last := said[e.From]; last < 0 && n != 39 || last >= 0 && n != last+40 {
				k.t.Errorf("%s said %d, and %d before it", e.From, n, last)
			}
			said[e.From] = n
		}
	}
}
