package signal_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

// visit asks without a session, and tells the type of the answer, or the code of the refusal.
func visit(ctx context.Context, v *signal.Visitor, typ string, body any) string {
	b, _ := json.Marshal(body)
	answer, _, refused := v.Ask(ctx, typ, b, func(int) *wire.Error { return nil })
	if refused != nil {
		return string(refused.Code)
	}
	return answer
}

func (n *node) visitor(identity string) *signal.Visitor {
	n.Helper()
	v, refused := n.service.Visit(netip.Addr{}, "", "tea", identity)
	if refused != nil {
		n.Fatal(refused)
	}
	return v
}

// Rule: who asks without a session is not told to try again what may be carried out: a write gets the time of the commit before it and of its own,
// and what was begun and has no reply is internal, or timeout for a call.
func TestVisitorWaits(t *testing.T) {
	withSlowState(t, func(n *node, disk *bustest.SlowLog) {
		v := n.visitor("clock")
		first, second := make(chan string, 1), make(chan string, 1)
		go func() { first <- visit(n.Context(), v, wire.TypeRecordWrite, durable("a")) }()
		synctest.Wait()
		go func() { second <- visit(n.Context(), v, wire.TypeRecordWrite, durable("a")) }()
		for range 2 { // a commit each
			time.Sleep(9 * time.Second)
			disk.Stores <- struct{}{}
		}
		if a, b := <-first, <-second; a != wire.TypeWritten || b != wire.TypeWritten {
			t.Errorf("stored after 9 and 18 s: %s, %s", a, b)
		}
		impatient, cancel := context.WithTimeout(n.Context(), time.Second)
		defer cancel()
		if got := visit(impatient, v, wire.TypeRecordWrite, durable("a")); got != string(wire.CodeInternal) {
			t.Errorf("given up: %s", got)
		}
		close(disk.Stores)
	})
}

// Rule: a call without a session of which all providers are silent ends with timeout, however many there are.
func TestVisitorCalls(t *testing.T) {
	withState(t, func(n *node) {
		for i := range 60 {
			s := n.connect()
			s.join(fmt.Sprint("p", i))
			s.reply(2, wire.TypeRPCProvide, wire.RPCNames{Names: []string{"add"}})
		}
		if got := visit(n.Context(), n.visitor("clock"), wire.TypeRPCRequest, wire.RPCRequest{Name: "add"}); got != string(wire.CodeTimeout) {
			t.Errorf("nobody accepts: %s", got)
		}
	})
}

// Rule: in open mode nobody asks under the identity of a session that is in the room; in another room, and when it has left, it is free. Of what all
// rooms share nobody asks under that of a session in any of them.
func TestVisitorIsNobodyElse(t *testing.T) {
	withState(t, func(n *node) {
		ann := n.connect()
		ann.join("ann")
		if _, refused := n.service.Visit(netip.Addr{}, "", "tea", "ann"); refused == nil || refused.Code != wire.CodeForbidden || refused.Next == "" {
			t.Errorf("as ann: %v", refused)
		}
		of := func(scope wire.Scope) wire.RecordWrite {
			w := setTo("board", `1`)
			w.Scope = scope
			return w
		}
		elsewhere, refused := n.service.Visit(netip.Addr{}, "", "milk", "ann")
		if refused != nil {
			t.Fatalf("in another room: %v", refused)
		}
		for scope, want := range map[wire.Scope]string{"": wire.TypeWritten, wire.ScopeServer: string(wire.CodeForbidden)} {
			if got := visit(n.Context(), elsewhere, wire.TypeRecordWrite, of(scope)); got != want {
				t.Errorf("in another room, scope %q: %s", scope, got)
			}
		}
		_ = ann.send(2, wire.TypeLeave, wire.Leave{})
		ann.end()
		if got := visit(n.Context(), n.visitor("ann"), wire.TypeRecordWrite, of(wire.ScopeServer)); got != wire.TypeWritten {
			t.Errorf("when ann has left: %s", got)
		}
	})
}

// Rule: two addresses that ask about as many rooms as they like keep nobody else from having a room's state: over HTTP in open mode, where no room
// has to be there.
func TestGreedyVisitors(t *testing.T) {
	withState(t, func(n *node) {
		ask := func(source, room, typ string, body any) string {
			v, refused := n.service.Visit(netip.MustParseAddr(source), "", room, "")
			if refused != nil {
				n.Fatal(refused)
			}
			return visit(n.Context(), v, typ, body)
		}
		for i := range scopes.MaxScopes {
			ask(fmt.Sprint("192.0.2.", i%2), fmt.Sprint("room ", i), wire.TypePresenceRead, wire.PresenceRead{})
		}
		if got := ask("192.0.2.1", "one more", wire.TypePresenceRead, wire.PresenceRead{}); got != string(wire.CodeOverloaded) {
			t.Errorf("one more of a greedy one: %s", got)
		}
		if got := ask("2001:db8::1", "mine", wire.TypeRecordWrite, setTo("board", `1`)); got != wire.TypeWritten {
			t.Errorf("somebody else: %s", got)
		}
		ann := n.connect() // whose address is that of all who are not known
		ann.join("ann")
		if m := ann.reply(2, wire.TypeRecordWrite, setTo("board", `1`)); m.Type != wire.TypeWritten {
			t.Errorf("in a room: %s %s", m.Type, m.Body)
		}
	})
}
