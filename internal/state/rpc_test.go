package state

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/wire"
)

func provide(c *scene, name string, ids ...string) {
	c.t.Helper()
	for _, id := range ids {
		must[wire.Subscribed](c, RPCProvide{c.by(id), wire.RPCNames{Names: []string{name}}})
	}
}

func request(c *scene, id, name string, number uint64) {
	c.t.Helper()
	must[wire.OK](c, RPCRequest{By: c.by(id), RPCRequest: wire.RPCRequest{Name: name, Call: number, Value: []byte(`[2,3]`)}})
}

func accept(c *scene, id string, call uint64) Command {
	return RPCAccept{c.by(id), wire.RPCAccept{Call: call}}
}

func answer(c *scene, id string, call uint64, value string) Command {
	return RPCAnswer{c.by(id), wire.RPCAnswer{Call: call, Value: []byte(value)}}
}

// asked returns who is asked now, and under which number.
func asked(c *scene) (id string, call uint64) {
	c.t.Helper()
	for id, x := range c.clients {
		for i, e := range x.inbox {
			if b, ok := e.Body.(wire.RPCCall); ok {
				x.inbox = append(x.inbox[:i:i], x.inbox[i+1:]...)
				return id, b.Call
			}
		}
	}
	return "", 0
}

// result is how a call ended: its value, or its code.
func result(c *scene, id string, number uint64) string {
	r, ok := c.clients[id].results[number]
	switch {
	case !ok:
		return "none"
	case r.Error != nil:
		return string(r.Error.Code)
	}
	return string(r.Value)
}

// Rule: one provider is asked; it accepts, answers, and the caller gets that once.
func TestRPC(t *testing.T) {
	c := room(t, "ann1", "bob1", "bob2")
	provide(c, "add", "bob1", "bob2")
	request(c, "ann1", "add", 1)
	who, call := asked(c)
	if other, _ := asked(c); who == "" || other != "" {
		t.Fatalf("asked %q and %q", who, other)
	}
	other := map[string]string{"bob1": "bob2", "bob2": "bob1"}[who]
	c.refused(wire.CodeBadRequest, answer(c, who, call, `5`)) // not accepted
	c.refused(wire.CodeNotFound, accept(c, other, call))
	must[wire.OK](c, accept(c, who, call))
	must[wire.OK](c, accept(c, who, call))
	c.refused(wire.CodeNotFound, answer(c, other, call, `6`))
	c.refused(wire.CodeBadRequest, answer(c, who, call, `{`))
	c.refused(wire.CodeTooLarge, answer(c, who, call, `"`+strings.Repeat("x", wire.MaxRPCBytes)+`"`))
	must[wire.OK](c, answer(c, who, call, `5`))
	c.refused(wire.CodeNotFound, answer(c, who, call, `6`))
	if got := result(c, "ann1", 1); got != `5` {
		t.Errorf("result %s", got)
	}
	c.wait(time.Hour)

	request(c, "ann1", "add", 2)
	who, call = asked(c)
	must[wire.OK](c, accept(c, who, call))
	fail := func(text string) Command { return RPCAnswer{c.by(who), wire.RPCAnswer{Call: call, Failure: text}} }
	c.refused(wire.CodeTooLarge, fail(strings.Repeat("x", MaxFailureBytes+1)))
	must[wire.OK](c, fail(strings.Repeat("x", MaxFailureBytes)))
	if got := result(c, "ann1", 2); got != "rpc-failed" {
		t.Errorf("a failure is %s", got)
	}
	if len(c.s.calls) != 0 {
		t.Errorf("%d calls are left", len(c.s.calls))
	}
}

// Rule: who rejects, does not accept in time, or vanishes leaves the call to the next, each asked once; then it ends with the reason.
func TestRPCNext(t *testing.T) {
	ids := []string{"bob1", "bob2", "bob3"}
	for _, c := range []struct {
		name string
		then func(c *scene, who string, call uint64)
		ends string
	}{
		{"rejects", func(c *scene, who string, call uint64) {
			must[wire.OK](c, RPCReject{c.by(who), wire.RPCReject{Call: call}})
			c.refused(wire.CodeNotFound, accept(c, who, call))
		}, "no-provider"},
		{"does not accept in time", func(c *scene, who string, call uint64) {
			c.wait(DefaultAcceptTime - 1)
			if next, _ := asked(c); next != "" {
				c.t.Errorf("%s was asked too early", next)
			}
			c.wait(1)
			c.refused(wire.CodeNotFound, accept(c, who, call)) // too late
		}, "timeout"},
		{"vanishes before it accepts", func(c *scene, who string, _ uint64) { c.apply(Detach{who}) }, "no-provider"},
		{"vanishes after it accepted", func(c *scene, who string, call uint64) {
			must[wire.OK](c, accept(c, who, call))
			c.apply(Detach{who})
		}, "no-provider"},
		{"loses its messages", func(c *scene, who string, _ uint64) { c.apply(Reset{who}) }, "no-provider"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := room(t, append([]string{"ann1"}, ids...)...)
			provide(s, "add", ids...)
			request(s, "ann1", "add", 1)
			seen := map[string]bool{}
			for range ids {
				who, call := asked(s)
				if who == "" || seen[who] {
					t.Fatalf("asked %q, before %v", who, seen)
				}
				seen[who] = true
				c.then(s, who, call)
			}
			if got := result(s, "ann1", 1); got != c.ends {
				t.Errorf("ended with %s, want %s", got, c.ends)
			}
			if who, _ := asked(s); who != "" {
				t.Errorf("%s was asked twice", who)
			}
		})
	}
}

// Rule: nobody else is asked because a provider that accepted is slow; its answer comes too late then.
func TestRPCAnswerTime(t *testing.T) {
	c := room(t, "ann1", "bob1", "bob2")
	provide(c, "add", "bob1", "bob2")
	request(c, "ann1", "add", 1)
	who, call := asked(c)
	c.wait(DefaultAcceptTime / 2)
	must[wire.OK](c, accept(c, who, call))
	c.wait(DefaultAnswerTime - 1)
	if got := result(c, "ann1", 1); got != "none" {
		t.Errorf("ended early with %s", got)
	}
	c.wait(1)
	if got := result(c, "ann1", 1); got != "timeout" {
		t.Errorf("ended with %s", got)
	}
	c.refused(wire.CodeNotFound, answer(c, who, call, `5`))
	if next, _ := asked(c); next != "" {
		t.Errorf("%s was asked", next)
	}
}

// Rule: the caller's end ends the call; nobody else is asked for it.
func TestRPCCallerEnds(t *testing.T) {
	c := room(t, "ann1", "bob1", "bob2")
	provide(c, "add", "bob1", "bob2")
	request(c, "ann1", "add", 1)
	who, call := asked(c)
	c.apply(Detach{"ann1"})
	c.refused(wire.CodeNotFound, accept(c, who, call))
	c.wait(time.Hour)
	if next, _ := asked(c); next != "" || len(c.s.calls) != 0 {
		t.Errorf("%s was asked, %d calls are left", next, len(c.s.calls))
	}
}

// Rule: a call that its caller may not make any more, by rules, by other grants, or by what a record says, ends as forbidden; its provider's answer
// gets not-found, and no other provider is asked.
func TestRPCCallerForbidden(t *testing.T) {
	denied := func(a Access) bool {
		return a.Action == Request && string(a.New.JSON()) == `[2,3]` && !a.By.Grants.Admin
	}
	member := func(a Access) bool {
		return a.Action == Request && !a.Lookup("members").Get(Path{{Key: a.By.Identity}}).Exists()
	}
	for name, take := range map[string]func(c *scene){
		"rules": func(c *scene) {
			c.apply(Recheck{forbid(func(a Access) bool { a.By.Grants.Admin = false; return denied(a) })})
		},
		"grants": func(c *scene) { c.apply(Attach{By: Caller{Session: "ann1", Identity: "ann"}}) },
		"record": func(c *scene) { c.write("http", "members", erase("ann")) },
	} {
		for _, caller := range []string{"ann1", ""} {
			for _, then := range []string{"answers", "rejects"} {
				if caller == "" && name == "grants" {
					continue
				}
				what := fmt.Sprintf("%s, session %q, the provider %s", name, caller, then)
				c := newScene(t, Config{May: forbid(denied)})
				if name == "record" {
					c.s.config.May = forbid(member)
				}
				c.write("http", "members", set("ann", `1`))
				by := Caller{Session: caller, Identity: "ann", Grants: wire.Grants{Admin: true}}
				c.attachAs(Caller{Session: "ann1", Identity: "ann", Grants: by.Grants}, "")
				c.attach("bob1", "bob2")
				provide(c, "add", "bob1", "bob2")
				c.apply(RPCRequest{By: by, RPCRequest: wire.RPCRequest{Name: "add", Call: 1, Value: []byte(`[2,3]`)}, Ticket: uint64(1 - len(caller)/4)})
				who, call := asked(c)
				must[wire.OK](c, accept(c, who, call))
				take(c)
				if then == "answers" {
					c.refused(wire.CodeNotFound, answer(c, who, call, `5`))
				} else if reject := (RPCReject{c.by(who), wire.RPCReject{Call: call}}); name == "record" {
					must[wire.OK](c, reject)
				} else {
					c.refused(wire.CodeNotFound, reject)
				}
				got := c.clients["ann1"].results[1].Error
				if caller == "" {
					got = c.results[1].Error
				}
				if got == nil || got.Code != wire.CodeForbidden {
					t.Errorf("%s: it ended with %v", what, got)
				}
				if next, _ := asked(c); next != "" || len(c.s.calls) > 0 || c.s.strangers != 0 {
					t.Errorf("%s: %q was asked, %d calls are left", what, next, len(c.s.calls))
				}
			}
		}
	}
}

// Rule: the providers of the caller's node come first, all of them; each of several is chosen at times.
func TestRPCProviderChoice(t *testing.T) {
	c := newScene(t, Config{})
	for id, node := range map[string]string{"ann1": "n1", "far1": "n2", "far2": "n2", "own1": "n1", "own2": "n1"} {
		c.attachAs(Caller{Session: id, Identity: id[:3]}, node)
	}
	provide(c, "add", "far1", "own1", "far2", "own2")
	first := map[string]int{}
	for n := range 40 {
		request(c, "ann1", "add", uint64(n))
		var order string
		for range 4 {
			who, call := asked(c)
			if order == "" {
				first[who]++
			}
			order += who[:3]
			must[wire.OK](c, RPCReject{c.by(who), wire.RPCReject{Call: call}})
		}
		if order != "ownownfarfar" {
			t.Fatalf("asked in the order %s", order)
		}
	}
	if first["own1"] < 5 || first["own2"] < 5 {
		t.Errorf("asked first: %v", first)
	}
}

// Rule: without a provider there is none; one that withdrew is none, but answers what it was asked before. One may ask oneself.
func TestRPCProviders(t *testing.T) {
	c := room(t, "ann1", "bob1")
	request(c, "ann1", "add", 1)
	if got := result(c, "ann1", 1); got != "no-provider" {
		t.Errorf("nobody provides: %s", got)
	}
	provide(c, "add", "bob1", "bob1")
	request(c, "ann1", "add", 2)
	who, call := asked(c)
	must[wire.OK](c, RPCUnprovide{c.by("bob1"), wire.RPCNames{Names: []string{"add"}}})
	request(c, "ann1", "add", 3)
	if got := result(c, "ann1", 3); got != "no-provider" {
		t.Errorf("withdrawn: %s", got)
	}
	must[wire.OK](c, accept(c, who, call))
	must[wire.OK](c, answer(c, who, call, `5`))
	if got := result(c, "ann1", 2); got != `5` {
		t.Errorf("asked before: %s", got)
	}
	provide(c, "self", "ann1")
	request(c, "ann1", "self", 4)
	if who, _ := asked(c); who != "ann1" {
		t.Errorf("asked %q", who)
	}
	c.refused(wire.CodeBadRequest, RPCRequest{By: c.by("ann1"), RPCRequest: wire.RPCRequest{Name: "self", Call: 4}})
	c.refused(wire.CodeSessionExpired, RPCRequest{By: Caller{Session: "gone"}, RPCRequest: wire.RPCRequest{Name: "self", Call: 5}})
}

// Rule: who has no session gets one reply, when the call has ended, and is no provider's business afterwards.
func TestRPCWithoutSession(t *testing.T) {
	c := room(t, "bob1", "bob2")
	ticket := uint64(0)
	call := func(name string) {
		ticket++
		replies := c.apply(RPCRequest{By: Caller{Identity: "shop"}, RPCRequest: wire.RPCRequest{Name: name, Call: 9, Value: []byte(`1`)}, Ticket: ticket})
		if len(replies) > 0 {
			t.Errorf("%s: replied without the ticket: %+v", name, replies)
		}
	}
	ended := func() string {
		r, ok := c.results[ticket]
		switch b, _ := r.Body.(wire.RPCResult); {
		case !ok:
			return "none"
		case r.Error != nil:
			return string(r.Error.Code)
		default:
			return fmt.Sprint(r.Type, " ", b.Call, " ", string(b.Value))
		}
	}
	call("add")
	if got := ended(); got != "no-provider" {
		t.Errorf("nobody provides: %s", got)
	}
	call("a\x00")
	if got := ended(); got != "bad-request" {
		t.Errorf("no name: %s", got)
	}
	provide(c, "add", "bob1", "bob2")
	call("add")
	who, id := asked(c)
	must[wire.OK](c, RPCReject{c.by(who), wire.RPCReject{Call: id}})
	who, id = asked(c)
	must[wire.OK](c, accept(c, who, id))
	if got := ended(); got != "none" {
		t.Errorf("under way: %s", got)
	}
	must[wire.OK](c, answer(c, who, id, `2`))
	if got := ended(); got != "rpc-result 9 2" {
		t.Errorf("answered: %s", got)
	}
	c.refused(wire.CodeNotFound, answer(c, who, id, `2`))
	call("add")
	c.wait(DefaultAcceptTime)
	c.wait(DefaultAcceptTime)
	if got := ended(); got != "timeout" || len(c.s.calls) > 0 {
		t.Errorf("nobody accepts: %s, %d calls are left", got, len(c.s.calls))
	}
	first := ticket
	for range MaxCallsWithoutSession {
		call("add")
	}
	if got := ended(); got != "none" {
		t.Errorf("the last that there may be: %s", got)
	}
	call("add")
	if got := ended(); got != "limit" {
		t.Errorf("beyond: %s", got)
	}
	for range 2 {
		c.wait(DefaultAcceptTime)
		for !c.s.Next().IsZero() && !c.s.Next().After(c.now) { // so many at once
			c.wait(0)
		}
	}
	if n := uint64(len(c.results)); n != ticket || c.s.strangers != 0 || ticket != first+MaxCallsWithoutSession+1 {
		t.Errorf("%d of %d have a reply, %d are left", n, ticket, c.s.strangers)
	}
}

// Rule: what a call was about is not kept longer than the call.
func TestEndedCallsKeepNothing(t *testing.T) {
	c := room(t, "ann1", "bob1")
	provide(c, "add", "bob1")
	request(c, "ann1", "add", 1)
	who, call := asked(c)
	must[wire.OK](c, accept(c, who, call))
	must[wire.OK](c, answer(c, who, call, `5`))
	request(c, "ann1", "add", 2)
	c.apply(Detach{"ann1"})
	for _, x := range c.s.timers {
		if x.call != nil && (x.call.value != nil || x.call.caller != nil || x.call.tried != nil) {
			t.Errorf("a timer keeps %+v", x.call)
		}
	}
}

func TestRPCLimits(t *testing.T) {
	c := room(t, "ann1", "bob1")
	provide(c, "add", "bob1")
	for n := range wire.MaxOpenCalls {
		request(c, "ann1", "add", uint64(n))
	}
	c.refused(wire.CodeLimit, RPCRequest{By: c.by("ann1"), RPCRequest: wire.RPCRequest{Name: "add", Call: 9999}})
	_, call := asked(c)
	must[wire.OK](c, RPCReject{c.by("bob1"), wire.RPCReject{Call: call}})
	request(c, "ann1", "add", 9999)
	c.refused(wire.CodeTooLarge, RPCRequest{By: c.by("bob1"), RPCRequest: wire.RPCRequest{Name: "add", Value: []byte(`"` + strings.Repeat("x", wire.MaxRPCBytes) + `"`)}})
	for n := range wire.MaxProvided - 1 {
		provide(c, fmt.Sprint("rpc", n), "bob1")
	}
	r := must[wire.Subscribed](c, RPCProvide{c.by("bob1"), wire.RPCNames{Names: []string{"add", "one more"}}}).Results
	if r[0].Error != nil || r[1].Error == nil || r[1].Error.Code != wire.CodeLimit {
		t.Errorf("got %+v", r)
	}
}

// Rule: the values of calls without a result are bounded, of one session and of all, and what has ended makes room.
func TestRPCBytes(t *testing.T) {
	large := []byte(`"` + strings.Repeat("x", wire.MaxRPCBytes-2) + `"`)
	call := func(c *scene, id string, n int) RPCRequest {
		return RPCRequest{By: c.by(id), RPCRequest: wire.RPCRequest{Name: "add", Call: uint64(n), Value: large}}
	}
	c := room(t, "bob1")
	provide(c, "add", "bob1")
	const each, all = wire.MaxOpenCallBytes / wire.MaxRPCBytes, MaxCallBytes / wire.MaxRPCBytes
	for n := range all {
		id := fmt.Sprint("ann", n/each)
		if n%each == 0 {
			c.attach(id)
		}
		must[wire.OK](c, call(c, id, n))
		if n == each-1 {
			c.refused(wire.CodeLimit, call(c, id, each))
		}
	}
	if _, bytes, _ := c.s.Sizes(); bytes < MaxCallBytes {
		t.Errorf("the scope says that it holds %d bytes", bytes)
	}
	c.attach("cid1")
	c.refused(wire.CodeLimit, call(c, "cid1", 0))
	c.apply(Detach{"ann0"})
	must[wire.OK](c, call(c, "cid1", 0))
}
