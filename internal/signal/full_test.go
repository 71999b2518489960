package signal_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/wire"
)

// fillScope writes more than one commit takes, and those behind it: 25 times, with the ids from 2. It does so one by one, so that it does not
// depend on who runs first how much the commit takes that the disk hangs on, and the scope takes nothing from its queue after it.
func (s *socket) fillScope() {
	large := durable("large")
	large.Operations[0].Value = json.RawMessage(`"` + strings.Repeat("x", 200<<10) + `"`)
	for id := range uint64(25) {
		_ = s.send(2+id, wire.TypeRecordWrite, large)
		synctest.Wait()
	}
}

// A scope that takes no more, as its disk hangs, keeps nobody waiting for long, and nothing else of a session: what is asked of it is refused in a
// second, all together, with the time after which it may be asked again; it is taken again when the scope takes requests.
func TestFullScope(t *testing.T) {
	withSlowState(t, func(n *node, disk *bustest.SlowLog) {
		wave := wire.EventPublish{Scope: wire.ScopeServer, Name: "wave"}
		ann, bob, cat := n.connect(), n.connect(), n.connect()
		ann.join("ann")
		bob.join("bob")
		cat.join("cat")
		bob.fillScope()
		for id := range uint64(400) { // more than the queue takes
			_ = cat.send(2+id, wire.TypeEventPublish, wave)
		}
		synctest.Wait()
		start := time.Now()
		for id := range uint64(3) {
			_ = ann.send(2+id, wire.TypeEventPublish, wave)
		}
		ann.reply(10, wire.TypeChat, wire.Chat{Text: "hello"})
		if m := ann.reply(11, wire.TypeRecordWrite, setTo("board", `1`)); m.Type != wire.TypeWritten || time.Since(start) != 0 {
			t.Errorf("of the room's state, after %v: %s", time.Since(start), m.Body)
		}
		if got := visit(n.Context(), n.visitor("clock"), wire.TypeEventPublish, wave); got != string(wire.CodeOverloaded) || time.Since(start) != scopes.BusyTime {
			t.Errorf("without a session, after %v: %s", time.Since(start), got)
		}
		for id := range uint64(3) {
			if got := ann.answers(2 + id); len(got) != 1 || code(got[0]) != wire.CodeOverloaded || body[wire.Error](got[0]).RetrySeconds == 0 {
				t.Errorf("request %d: %+v", id, got)
			}
		}
		close(disk.Stores)
		pass(time.Second)
		if m := ann.reply(12, wire.TypeEventPublish, wave); m.Type != wire.TypeOK {
			t.Errorf("afterwards: %s", m.Body)
		}
		for id := range uint64(25) {
			if got := bob.answers(2 + id); len(got) != 1 || got[0].Type != wire.TypeWritten {
				t.Errorf("write %d: %+v", id, got)
			}
		}
		ok, refused := 0, 0
		for id := range uint64(400) {
			switch got := cat.answers(2 + id); {
			case len(got) != 1:
				t.Fatalf("event %d has %d replies", id, len(got))
			case got[0].Type == wire.TypeOK && refused == 0:
				ok++
			case got[0].Type != wire.TypeOK && code(got[0]) == wire.CodeOverloaded:
				refused++
			default:
				t.Fatalf("event %d: %s", id, got[0].Body)
			}
		}
		if ok < 250 || ok+refused != 400 || refused == 0 {
			t.Errorf("of 400 events %d were taken, %d refused", ok, refused)
		}
	})
}

// What waits for a scope that takes no more is asked, in its order, when it takes requests again in time.
func TestScopeThatIsFullForAMoment(t *testing.T) {
	withSlowState(t, func(n *node, disk *bustest.SlowLog) {
		ann, bob := n.connect(), n.connect()
		ann.join("ann")
		bob.join("bob")
		bob.fillScope()
		for id := range uint64(256) {
			_ = ann.send(2+id, wire.TypeEventPublish, wire.EventPublish{Scope: wire.ScopeServer, Name: "wave"})
		}
		for id := range uint64(20) {
			_ = ann.send(1000+id, wire.TypeRecordWrite, durable("small"))
		}
		pass(scopes.BusyTime / 2)
		close(disk.Stores)
		for id := range uint64(20) {
			if got := ann.answers(1000 + id); len(got) != 1 || body[wire.Written](got[0]).Version != id+1 {
				t.Errorf("write %d: %+v", id, got)
			}
		}
	})
}
