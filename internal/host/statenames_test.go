package host

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/wire"
)

// sharer is a session that keeps what it is told beside replies.
type sharer struct {
	*session
	id   uint64
	told []wire.Message
}

func share(t *testing.T, n *node, room, identity string) *sharer {
	t.Helper()
	s := &sharer{session: dial(t, n)}
	s.ask(wire.TypeJoin, wire.Join{Protocol: wire.Protocol, Room: room, Identity: identity})
	return s
}

// next reads one message.
func (s *sharer) next() wire.Message {
	s.t.Helper()
	_, b, err := s.conn.Read(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	var m wire.Message
	if err := json.Unmarshal(b, &m); err != nil {
		s.t.Fatal(err)
	}
	return m
}

// ask sends a request and returns the code with which it was refused, or its reply's body.
func (s *sharer) ask(kind string, body any) string {
	s.t.Helper()
	s.id++
	if err := put(s.ctx, s.conn, s.id, kind, body); err != nil {
		s.t.Fatal(err)
	}
	for {
		m := s.next()
		if m.Reply != s.id {
			s.told = append(s.told, m)
			continue
		}
		if m.Type == wire.TypeError {
			var e wire.Error
			_ = json.Unmarshal(m.Body, &e)
			return string(e.Code)
		}
		return string(m.Body)
	}
}

// items is what became of each item of a bulk request: "" or a code.
func (s *sharer) items(kind string, body any) []string {
	s.t.Helper()
	var reply struct {
		Results []struct{ Error wire.Error }
		Refused []wire.NameResult
	}
	text := s.ask(kind, body)
	if err := json.Unmarshal([]byte(text), &reply); err != nil {
		return []string{text}
	}
	var codes []string
	for _, r := range reply.Results {
		codes = append(codes, string(r.Error.Code))
	}
	for _, r := range reply.Refused {
		codes = append(codes, r.Name+" "+string(r.Error.Code))
	}
	return codes
}

// heard returns what was told about names before the event that another one publishes now: type and name.
func (s *sharer) heard(by *sharer) []string {
	s.t.Helper()
	by.ask(wire.TypeEventPublish, wire.EventPublish{Name: "fence"})
	var got []string
	for {
		for _, m := range s.told {
			var b struct{ Name, Identity string }
			_ = json.Unmarshal(m.Body, &b)
			switch {
			case m.Type == wire.TypeEventPublished && b.Name == "fence":
				s.told = nil
				slices.Sort(got)
				return got
			case b.Name != "" && m.Type != wire.TypeParticipantJoined:
				got = append(got, m.Type+" "+b.Name)
			case b.Identity != "" && strings.HasPrefix(m.Type, "presence"):
				got = append(got, m.Type+" "+b.Identity)
			}
		}
		s.told = []wire.Message{s.next()}
	}
}

// secretRules are those of a room in which what is under secret/ is ann's alone.
const secretRules = `
room:
  record:
    "*": {create: true, read: true, write: true, delete: true, listen: true}
    "secret/*":
      create: user.identity == "ann"
      read: user.identity == "ann"
      write: user.identity == "ann"
  event:
    "*": {publish: true, subscribe: true, listen: true}
    "secret/*": {publish: user.identity == "ann", subscribe: user.identity == "ann"}
  rpc:
    "*": {provide: true, request: true}
    "secret/*": {provide: user.identity == "ann", request: user.identity == "ann"}
  presence:
    "*": {read: true, subscribe: true}
    "secret/*": {read: user.identity == "ann", subscribe: user.identity == "ann"}
`

// Over WebSockets names with any characters but control characters mean nothing but themselves, for every verb. Of a bulk request for one that
// is allowed and one that is not only the first is delivered; in another room nothing is.
func TestScenarioStateNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(secretRules), 0o600); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, "--state", "--state-rules", path)
	defer n.stop()
	ann, bob, eve := share(t, n, "tea", "ann"), share(t, n, "tea", "bob"), share(t, n, "tea.*", "eve")
	for _, s := range []*sharer{bob, eve} {
		s.ask(wire.TypeEventSubscribe, wire.EventNames{Names: []string{"fence"}})
	}
	for _, name := range []string{"a.b", "*", ">", "tea.>", "a b", " ", "日本/ä", "$JS.API.>", `\`, "..", `"`, strings.Repeat("n", wire.MaxStateNameBytes)} {
		sharesOnly(t, ann, bob, eve, name)
	}
	for _, name := range []string{"", "a\x00b", "\x00", "a\nb", "\x7f", strings.Repeat("n", wire.MaxStateNameBytes+1)} {
		sharesNothing(t, ann, bob, name)
	}
	for _, s := range []*sharer{ann, bob, eve} {
		go s.readToEnd()
	}
}

// sharesOnly lets bob ask for the name and a secret, in both orders, and ann use both.
func sharesOnly(t *testing.T, ann, bob, eve *sharer, name string) {
	const secret = "secret/x"
	both := []string{secret, name}
	write := func(name string) wire.RecordWrite {
		return wire.RecordWrite{Name: name, Operations: []wire.Operation{{Op: wire.OperationSet, Path: "a", Value: json.RawMessage(`1`)}}}
	}
	for _, s := range []*sharer{bob, eve} {
		want := fmt.Sprint([]string{"forbidden", ""})
		for kind, body := range map[string]any{
			wire.TypeRecordSubscribe: wire.RecordSubscribe{Records: []wire.RecordHave{{Name: secret}, {Name: name}}},
			wire.TypeEventSubscribe:  wire.EventNames{Names: both}, wire.TypeRPCProvide: wire.RPCNames{Names: both},
		} {
			if got := fmt.Sprint(s.items(kind, body)); got != want {
				t.Errorf("%q: %s: %s, want %s", name, kind, got, want)
			}
		}
		if got := s.items(wire.TypePresenceSubscribe, wire.PresenceSubscribe{Identities: both}); fmt.Sprint(got) != "[secret/x forbidden]" {
			t.Errorf("%q: presence: %s", name, got)
		}
	}
	bob.told, eve.told = nil, nil
	for _, name := range both {
		ann.ask(wire.TypeRecordWrite, write(name))
		ann.ask(wire.TypeEventPublish, wire.EventPublish{Name: name})
		ann.ask(wire.TypeRPCRequest, wire.RPCRequest{Name: name, Call: ann.id})
	}
	want := []string{"event " + name, "record-changed " + name, "rpc-call " + name}
	if got := bob.heard(ann); !slices.Equal(got, want) {
		t.Errorf("%q: bob was told %q, want %q", name, got, want)
	}
	eve.ask(wire.TypePresenceRead, wire.PresenceRead{})
	if len(eve.told) > 0 {
		t.Errorf("%q: in another room eve was told %v", name, eve.told)
	}
	for kind, body := range map[string]any{
		wire.TypeRecordRead:   wire.RecordRead{Records: []wire.RecordWanted{{Name: name}, {Name: secret}}},
		wire.TypePresenceRead: wire.PresenceRead{Identities: []string{secret}},
	} {
		if got := fmt.Sprint(bob.items(kind, body)); got != "[ forbidden]" && got != "[secret/x forbidden]" {
			t.Errorf("%q: %s: %s", name, kind, got)
		}
	}
	bob.ask(wire.TypeRecordUnsubscribe, wire.RecordUnsubscribe{Records: []wire.RecordName{{Name: name}}})
	bob.ask(wire.TypeEventUnsubscribe, wire.EventNames{Names: both})
	bob.ask(wire.TypeRPCUnprovide, wire.RPCNames{Names: both})
	ann.ask(wire.TypeRecordWrite, write(name))
	ann.ask(wire.TypeEventPublish, wire.EventPublish{Name: name})
	ann.ask(wire.TypeRecordDelete, wire.RecordDelete{Name: name})
	if got := bob.heard(ann); len(got) > 0 {
		t.Errorf("%q: unsubscribed, bob was told %q", name, got)
	}
}

// sharesNothing uses what is no name.
func sharesNothing(t *testing.T, ann, bob *sharer, name string) {
	refused := func(got string) bool { return got == "bad-request" || got == "too-large" }
	for kind, body := range map[string]any{
		wire.TypeRecordSubscribe: wire.RecordSubscribe{Records: []wire.RecordHave{{Name: name}, {Name: "fine"}}},
		wire.TypeRecordRead:      wire.RecordRead{Records: []wire.RecordWanted{{Name: name}, {Name: "fine"}}},
		wire.TypeEventSubscribe:  wire.EventNames{Names: []string{name, "fine"}}, wire.TypeRPCProvide: wire.RPCNames{Names: []string{name, "fine"}},
	} {
		if got := bob.items(kind, body); len(got) != 2 || !refused(got[0]) || refused(got[1]) {
			t.Errorf("%s of %q: %q", kind, name, got)
		}
	}
	for kind, body := range map[string]any{
		wire.TypeRecordWrite:  wire.RecordWrite{Name: name, Operations: []wire.Operation{{Op: wire.OperationSet, Path: "a", Value: json.RawMessage(`1`)}}},
		wire.TypeRecordDelete: wire.RecordDelete{Name: name}, wire.TypeEventPublish: wire.EventPublish{Name: name},
		wire.TypeRPCRequest: wire.RPCRequest{Name: name, Call: 1 << 40}, wire.TypeListen: wire.Listen{Kind: wire.ListenRecords, Pattern: name},
	} {
		if got := ann.ask(kind, body); !refused(got) {
			t.Errorf("%s of %q: %s", kind, name, got)
		}
	}
	if got := bob.heard(ann); len(got) > 0 {
		t.Errorf("%q: bob was told %q", name, got)
	}
}
