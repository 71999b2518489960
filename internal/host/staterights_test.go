package host

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// revokeTime is how soon what is taken away ends.
const revokeTime = 500 * time.Millisecond

// everybodyBut are rules of a room in which everybody may do everything, but this one.
func everybodyBut(identity string) string {
	kinds := map[string]string{
		"record": "create read write delete listen", "event": "publish subscribe listen", "rpc": "provide request", "presence": "read subscribe",
	}
	b := strings.Builder{}
	b.WriteString("room:\n")
	for kind, actions := range kinds {
		fmt.Fprintf(&b, "  %s:\n    \"*\":\n", kind)
		for action := range strings.FieldsSeq(actions) {
			fmt.Fprintf(&b, "      %s: user.identity != %q\n", action, identity)
		}
	}
	return b.String()
}

// When the file of rules takes rights away from who uses them, what is subscribed to, provided and listened to ends in revokeTime, and so does
// a call that is under way; whoever loses it is told, and told nothing more of it.
func TestScenarioStateRevoked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(everybodyBut("nobody"))
	n := startNode(t, "--state", "--state-rules", path)
	defer n.stop()
	ann, bob := share(t, n, "tea", "ann"), share(t, n, "tea", "bob")
	fastest := time.Minute
	for round := 0; round < 3 || fastest > revokeTime && round < 20; round++ { // a busy machine takes longer at times
		useAll(ann, bob)
		start := time.Now()
		put(everybodyBut("ann"))
		ended := ann.endsOf(7)
		fastest = min(fastest, time.Since(start))
		want := "[event x forbidden, listen-event * forbidden, listen-record * forbidden, presence  forbidden, record x forbidden, result forbidden, rpc x forbidden]"
		if got := "[" + strings.Join(ended, ", ") + "]"; got != want {
			t.Errorf("ended: %s, want %s", got, want)
		}
		useRest(t, n, ann, bob, fmt.Sprint("cid", round))
		put(everybodyBut("nobody"))
		for start := time.Now(); ann.ask(wire.TypeEventPublish, wire.EventPublish{Name: "x"}) != "{}"; time.Sleep(20 * time.Millisecond) {
			if time.Since(start) > patience {
				t.Fatal("the node did not see that its rules have changed")
			}
		}
	}
	if fastest > revokeTime {
		t.Errorf("what was taken away ended after %v", fastest)
	}
	for _, s := range []*sharer{ann, bob} {
		go s.readToEnd()
	}
}

// The rules that docs/hosting.md gives as an example do what it says beside them: the app's shared state goes on in rooms, what the file says nothing of
// is as without it, and the log says so at start and when the file has changed.
func TestDocumentedRules(t *testing.T) {
	text, err := os.ReadFile("../../docs/hosting.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "```yaml\n")
	example, _, _ = strings.Cut(example, "```\n")
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	log := make(logLines, 100)
	n := startLogging(t, log, "--state-rules", path)
	defer n.stop()
	log.await(t, "unnamed=room event, room presence, room rpc, server event, server rpc")
	log.await(t, "ask for user.identity")
	ann, bob := share(t, n, "tea", "ann"), share(t, n, "tea", "bob")
	set := `"operations":[{"op":"set","path":"n","value":1}]}`
	for _, step := range []struct {
		who        *sharer
		kind, body string
		want       string // in the reply
	}{
		{ann, wire.TypeRecordWrite, `{"name":"parley.hands","operations":[{"op":"insert","value":"ann"}]}`, `"version":1`},
		{bob, wire.TypeRecordWrite, `{"name":"parley.hands","operations":[{"op":"remove","value":"ann"}]}`, `"version":2`},
		{ann, wire.TypeRecordWrite, `{"name":"parley.board",` + set, `"version":1`},
		{bob, wire.TypeRecordSubscribe, `{"records":[{"name":"parley.board"},{"name":"parley.notes"}]}`, `"name":"parley.notes","incarnation":0`},
		{bob, wire.TypeRecordWrite, `{"name":"parley.notes",` + set, `"version":1`},
		{ann, wire.TypeRecordWrite, `{"name":"lesson/1",` + set, "forbidden"},
		{ann, wire.TypeEventSubscribe, `{"names":["wave"]}`, `[{"name":"wave"}]`},
		{bob, wire.TypeEventPublish, `{"name":"wave","value":1}`, "{}"},
		{ann, wire.TypeRPCProvide, `{"names":["add"]}`, `[{"name":"add"}]`},
		{ann, wire.TypePresenceRead, `{}`, `["ann","bob"]`},
		{ann, wire.TypeRecordWrite, `{"scope":"server","name":"user/ann",` + set, `"version":1`},
		{bob, wire.TypeRecordWrite, `{"scope":"server","name":"user/ann",` + set, "forbidden"},
		{bob, wire.TypeRecordRead, `{"scope":"server","records":[{"name":"user/ann"}]}`, `{"n":1}`},
		{bob, wire.TypeRecordDelete, `{"scope":"server","name":"user/ann"}`, "forbidden"},
		{bob, wire.TypeRecordWrite, `{"scope":"server","name":"user",` + set, "forbidden"},
		{ann, wire.TypePresenceSubscribe, `{"scope":"server"}`, `["ann","bob"]`},
		{ann, wire.TypeRecordDelete, `{"scope":"server","name":"user/ann"}`, "{}"},
		{ann, wire.TypeEventPublish, `{"scope":"server","name":"wave","value":1}`, "{}"},
	} {
		if got := step.who.ask(step.kind, json.RawMessage(step.body)); !strings.Contains(got, step.want) {
			t.Errorf("%s %s: %s, want %s", step.kind, step.body, got, step.want)
		}
	}
	if err := os.WriteFile(path, []byte(example+"  event:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	log.await(t, "unnamed=room event, room presence, room rpc, server rpc")
	if got := ann.ask(wire.TypeEventPublish, json.RawMessage(`{"scope":"server","name":"wave","value":1}`)); got != "forbidden" {
		t.Errorf("an event that no rule is about: %s", got)
	}
	for _, s := range []*sharer{ann, bob} {
		go s.readToEnd()
	}
}

// What the file says of single identities holds for whoever asks for all who are there, in lists and when somebody comes or goes, and when the file changes: who is
// subscribed is told about whom it may know now, and about whom no more.
func TestScenarioPresenceOfSome(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	put := func(secret string) {
		t.Helper()
		rules := "room:\n  presence:\n    \"*\": {read: true, subscribe: true}\n    secret/*: {read: " + secret + ", subscribe: " + secret + "}\n"
		if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("user.admin")
	n := startNode(t, "--state-rules", path)
	defer n.stop()
	first, bob := share(t, n, "tea", "secret/x"), share(t, n, "tea", "bob")
	for _, kind := range []string{wire.TypePresenceRead, wire.TypePresenceSubscribe} {
		if got := bob.ask(kind, wire.PresenceRead{}); got != `{"identities":["bob"]}` {
			t.Errorf("%s: %s", kind, got)
		}
	}
	second, ann := share(t, n, "tea", "secret/y"), share(t, n, "tea", "ann")
	told := func(want string) {
		t.Helper()
		m := bob.event(wire.TypePresenceJoined)
		bob.told = nil
		if !strings.Contains(string(m.Body), want) {
			t.Errorf("bob was told %s, want %s", m.Body, want)
		}
	}
	told(`"ann"`) // and not of the one before
	put("true")
	told(`"secret/x"`)
	put("user.admin")
	if m := bob.event(wire.TypePresenceLeft); !strings.Contains(string(m.Body), `"secret/x"`) {
		t.Errorf("bob was told %s", m.Body)
	}
	if got := bob.ask(wire.TypePresenceRead, wire.PresenceRead{}); got != `{"identities":["ann","bob"]}` {
		t.Errorf("then %s", got)
	}
	for _, s := range []*sharer{first, second, ann, bob} {
		go s.readToEnd()
	}
}

// useAll makes ann use all that can be taken away; bob answers no call.
func useAll(ann, bob *sharer) {
	bob.ask(wire.TypeRPCProvide, wire.RPCNames{Names: []string{"slow"}})
	for _, use := range []struct {
		kind string
		body any
	}{
		{wire.TypeRecordSubscribe, wire.RecordSubscribe{Records: []wire.RecordHave{{Name: "x"}}}},
		{wire.TypeEventSubscribe, wire.EventNames{Names: []string{"x"}}},
		{wire.TypePresenceSubscribe, wire.PresenceSubscribe{}},
		{wire.TypeRPCProvide, wire.RPCNames{Names: []string{"x"}}},
		{wire.TypeListen, wire.Listen{Kind: wire.ListenRecords, Pattern: "*"}},
		{wire.TypeListen, wire.Listen{Kind: wire.ListenEvents, Pattern: "*"}},
	} {
		ann.ask(use.kind, use.body)
	}
	ann.ask(wire.TypeRPCRequest, wire.RPCRequest{Name: "slow", Call: ann.id})
	for !slices.ContainsFunc(bob.told, func(m wire.Message) bool { return m.Type == wire.TypeRPCCall }) {
		bob.told = append(bob.told, bob.next())
	}
	var call wire.RPCCall
	_ = json.Unmarshal(bob.told[len(bob.told)-1].Body, &call)
	bob.ask(wire.TypeRPCAccept, wire.RPCAccept{Call: call.Call})
	ann.told, bob.told = nil, nil
}

// endsOf waits for so many ends, and returns what they are of.
func (s *sharer) endsOf(count int) (ended []string) {
	for len(ended) < count {
		m := s.next()
		var b struct {
			Kind, Name string
			Error      *wire.Error
		}
		_ = json.Unmarshal(m.Body, &b)
		switch {
		case m.Type == wire.TypeStateUnsubscribe:
			ended = append(ended, fmt.Sprint(b.Kind, " ", b.Name, " ", b.Error.Code))
		case m.Type == wire.TypeRPCResult && b.Error != nil:
			ended = append(ended, fmt.Sprint("result ", b.Error.Code))
		}
	}
	slices.Sort(ended)
	return ended
}

// useRest makes bob, and somebody who comes, do what ann would have been told.
func useRest(t *testing.T, n *node, ann, bob *sharer, identity string) {
	t.Helper()
	bob.ask(wire.TypeRecordWrite, wire.RecordWrite{Name: "x", Operations: []wire.Operation{{Op: wire.OperationSet, Path: "a", Value: json.RawMessage(`1`)}}})
	bob.ask(wire.TypeEventPublish, wire.EventPublish{Name: "x"})
	bob.ask(wire.TypeEventSubscribe, wire.EventNames{Names: []string{identity}})
	bob.ask(wire.TypeRecordSubscribe, wire.RecordSubscribe{Records: []wire.RecordHave{{Name: identity}}})
	bob.ask(wire.TypeRPCRequest, wire.RPCRequest{Name: "x", Call: bob.id})
	go share(t, n, "tea", identity).readToEnd()
	if got := ann.ask(wire.TypeRecordRead, wire.RecordRead{Records: []wire.RecordWanted{{Name: "x"}}}); !strings.Contains(got, "forbidden") {
		t.Errorf("ann reads %s", got)
	}
	for _, m := range ann.told {
		if m.Type != wire.TypeParticipantJoined {
			t.Errorf("ann was told %s %s", m.Type, m.Body)
		}
	}
	ann.told, bob.told = nil, nil
}
