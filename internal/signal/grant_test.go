package signal_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/auth/authtest"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

// tokenOf is a token for tea.
func tokenOf(identity, more string) string {
	return authtest.Good(time.Now(), authtest.Object{"sub": fmt.Sprintf("%q", identity), "video": `{"room":"tea","roomJoin":true` + more + `}`})
}

// Rule: who rules what others may do is an admin by his token, in the room that it names, about somebody who is there; and says what.
func TestGrantRefused(t *testing.T) {
	scenario(t, authtest.Keys, func(n *node) {
		admin, no := tokenOf("boss", `,"roomAdmin":true`), new(false)
		bob := rooms.Grant{Identity: "bob", Publish: no}
		for name, c := range map[string]struct {
			token string
			grant rooms.Grant
			want  wire.Code
		}{
			"no token":         {"", bob, wire.CodeUnauthorized},
			"no admin":         {tokenOf("bob", ""), bob, wire.CodeForbidden},
			"no room":          {admin, bob, wire.CodeNotFound},
			"nothing":          {admin, rooms.Grant{Identity: "bob"}, wire.CodeBadRequest},
			"no name":          {admin, rooms.Grant{Identity: "b\x00b", Publish: no}, wire.CodeBadRequest},
			"a very long name": {admin, rooms.Grant{Identity: strings.Repeat("b", 1000), Publish: no}, wire.CodeTooLarge},
		} {
			if _, refused := n.service.Grant(c.token, c.grant); refused == nil || refused.Code != c.want || refused.Next == "" {
				t.Errorf("%s: %+v, want %s and what to do", name, refused, c.want)
			}
		}
		ann := n.connect()
		ann.reply(1, wire.TypeJoin, wire.Join{Protocol: 1, Token: tokenOf("ann", "")})
		if _, refused := n.service.Grant(admin, bob); refused == nil || refused.Code != wire.CodeNotFound {
			t.Errorf("nobody of this name: %v", refused)
		}
	})
	scenario(t, nil, func(n *node) {
		if _, refused := n.service.Grant("", rooms.Grant{Identity: "bob", Publish: new(false)}); refused == nil || refused.Code != wire.CodeForbidden {
			t.Errorf("in open mode: %v", refused)
		}
	})
}

// Rule: whoever may not publish data any more has nothing left of what it provided in shared state, and may not do it over its session, a resumed or a
// new one, nor over HTTP; the others see no difference. When it may again, it does.
func TestGrantsOfSharedState(t *testing.T) {
	scenarioWith(t, signal.Config{State: true, Keys: authtest.Keys}, withScopes(local.NewLog(1<<30), false), func(n *node) {
		admin, token := tokenOf("boss", `,"roomAdmin":true`), tokenOf("bob", "")
		bob := n.connect()
		j := body[wire.Joined](bob.reply(1, wire.TypeJoin, wire.Join{Protocol: 1, Token: token}))
		bob.reply(2, wire.TypeRPCProvide, wire.RPCNames{Names: []string{"add"}})
		bob.reply(3, wire.TypeRecordSubscribe, subscribed("board"))
		rule := func(may bool) {
			t.Helper()
			g, refused := n.service.Grant(admin, rooms.Grant{Identity: "bob", PublishData: &may})
			if refused != nil || g.Grants.PublishData != may || !g.Grants.Publish {
				t.Fatalf("granted %+v, %v", g, refused)
			}
			synctest.Wait()
		}
		over := func(s *socket, id uint64) string {
			return s.reply(id, wire.TypeRecordWrite, setTo("board", `1`)).Type + " " + s.reply(id+1, wire.TypeChat, wire.Chat{Text: "x"}).Type
		}
		http := func() string {
			v, refused := n.service.Visit(netip.Addr{}, token, "", "")
			if refused != nil {
				t.Fatal(refused)
			}
			return visit(n.Context(), v, wire.TypeRecordWrite, setTo("board", `2`))
		}
		rule(false)
		var told []string
		for _, m := range bob.messages() {
			if m.Reply == 0 {
				told = append(told, m.Type)
			}
		}
		if got := strings.Join(told, " "); got != wire.TypeGrantsChanged+" "+wire.TypeStateUnsubscribe {
			t.Errorf("bob was told %s", got)
		}
		if a, b := over(bob, 10), http(); a != "error error" || b != string(wire.CodeForbidden) {
			t.Errorf("in the session: %s; over HTTP: %s", a, b)
		}
		last := bob.last().Seq
		bob.cut()
		again := n.connect()
		again.resume(j, 20, last)
		if got := over(again, 21); got != "error error" {
			t.Errorf("resumed: %s", got)
		}
		fresh := n.connect()
		if got := body[wire.Joined](fresh.reply(1, wire.TypeJoin, wire.Join{Protocol: 1, Token: token})); got.Grants.PublishData {
			t.Errorf("joined again: %+v", got.Grants)
		}
		if a, b := over(fresh, 2), http(); a != "error error" || b != string(wire.CodeForbidden) {
			t.Errorf("joined again: %s; over HTTP: %s", a, b)
		}
		rule(true)
		if a, b := over(fresh, 30), http(); a != "written ok" || b != wire.TypeWritten {
			t.Errorf("given back: %s; over HTTP: %s", a, b)
		}
	})
}

// Rule: a session that has missed that its grants have changed, as too much was published to it at once, has them from what it is given instead.
func TestGrantsAfterAResync(t *testing.T) {
	scenarioWith(t, signal.Config{State: true, Keys: authtest.Keys}, withScopes(local.NewLog(1<<30), false), func(n *node) {
		bob := n.connect()
		bob.reply(1, wire.TypeJoin, wire.Join{Protocol: 1, Token: tokenOf("bob", "")})
		n.bus.set(func(m []byte) bool { return strings.Contains(string(m), wire.TypeGrantsChanged) }, false)
		if _, refused := n.service.Grant(tokenOf("boss", `,"roomAdmin":true`), rooms.Grant{Identity: "bob", PublishData: new(false)}); refused != nil {
			t.Fatal(refused)
		}
		n.bus.set(nil, false)
		n.connect().reply(1, wire.TypeJoin, wire.Join{Protocol: 1, Token: tokenOf("ann", "")}) // of which bob hears, behind a hole
		m := bob.last()
		if m.Type != wire.TypeResync || body[wire.Resync](m).Grants.PublishData {
			t.Fatalf("bob was told %s %s", m.Type, m.Body)
		}
		if got := bob.refused(2, wire.TypeRecordWrite, setTo("board", `1`)); got != wire.CodeForbidden {
			t.Errorf("afterwards: %s", got)
		}
	})
}
