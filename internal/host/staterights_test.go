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
	var fastest time.Duration
	for round := range 3 { // a busy machine takes longer at times
		useAll(ann, bob)
		start := time.Now()
		put(everybodyBut("ann"))
		ended := ann.endsOf(7)
		took := time.Since(start)
		if fastest == 0 || took < fastest {
			fastest = took
		}
		want := "[event x forbidden, listen-event * forbidden, listen-record * forbidden, presence  forbidden, record x forbidden, result forbidden, rpc x forbidden]"
		if got := "[" + strings.Join(ended, ", ") + "]"; got != want {
			t.Errorf("ended: %s, want %s", got, want)
		}
		useRest(t, n, ann, bob, fmt.Sprint("cid", round))
		put(everybodyBut("nobody"))
		for start := time.Now(); ann.ask(wire.TypeEventPublish, wire.EventPublish{Name: "x"}) != "{}"; time.Sleep(20 * time.Millisecond) {
			if time.Since(start) > 5*time.Second {
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
