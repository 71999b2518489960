package host

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/nats"
	"github.com/parley-rtc/parley/internal/doctor"
	"github.com/parley-rtc/parley/wire"
)

// request sends a request with an id of its own and returns its reply.
func (s *session) request(id uint64, kind, body string) wire.Message {
	s.t.Helper()
	if err := put(s.ctx, s.conn, id, kind, json.RawMessage(body)); err != nil {
		s.t.Fatal(err)
	}
	for {
		_, b, err := s.conn.Read(s.ctx)
		if err != nil {
			s.t.Fatalf("waiting for the reply to %s: %v", kind, err)
		}
		var m wire.Message
		if err := json.Unmarshal(b, &m); err != nil {
			s.t.Fatal(err)
		}
		if m.Reply == id {
			return m
		}
	}
}

// What was acknowledged as durable is there when the server has been started again, and nothing is left running when it has
// stopped; two servers do not use one folder; with --no-state, requests of state are refused as unsupported.
func TestNodeKeepsState(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	data := t.TempDir()
	const join = `{"protocol":1,"room":"tea","identity":"ann"}`
	const write = `{"scope":"server","name":"board","operations":[{"op":"set","path":"n","value":1}]}`
	for version := range uint64(2) {
		n := startNode(t, "--data", data, "--state")
		s := dial(t, n)
		s.request(1, wire.TypeJoin, join)
		if m := s.request(2, wire.TypeRecordWrite, write); m.Type != wire.TypeWritten || !strings.Contains(string(m.Body), fmt.Sprintf(`"version":%d`, version+1)) {
			t.Errorf("start %d: %s %s", version+1, m.Type, m.Body)
		}
		if _, err := nats.Open(filepath.Join(data, "state")); err == nil || !strings.Contains(err.Error(), "another process") {
			t.Errorf("a second server in the folder: %v", err)
		}
		go s.readToEnd()
		n.stop()
	}
	n := startNode(t, "--no-state")
	defer n.stop()
	s := dial(t, n)
	s.request(1, wire.TypeJoin, join)
	if m := s.request(2, wire.TypeRecordWrite, write); !strings.Contains(string(m.Body), `"unsupported"`) {
		t.Errorf("without state: %s %s", m.Type, m.Body)
	}
	go s.readToEnd()
}

// A second server with the data folder of another does without storing anything, and the doctor says so of it, and not of the first.
func TestDoctorFindsSharedFolder(t *testing.T) {
	data := t.TempDir()
	first := startNode(t, "--listen", "127.0.0.1:0", "--no-turn", "--data", data)
	defer first.stop()
	second := startNode(t, "--listen", "127.0.0.1:0", "--no-turn", "--data", data, "--metrics-token", "hunter2")
	defer second.stop()
	for n, want := range map[*node]doctor.Level{first: doctor.OK, second: doctor.Fault} {
		r, _, stderr := examine(t, nil, "--no-loopback", "--no-turn", "--listen", n.port.Local().String(), "--data", data)
		i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.Area == "shared state" })
		if i < 0 || r.Findings[i].Level != want || want == doctor.Fault && !strings.Contains(r.Findings[i].Next, "--data") {
			t.Errorf("want %s: %+v %s", want, r.Findings, stderr)
		}
	}
}

// Who provides an RPC has the times that the operator gives: here longer ones than usual to accept, and shorter ones to answer.
func TestTimesOfCalls(t *testing.T) {
	n := startNode(t, "--rpc-accept", "5s", "--rpc-answer", "100ms")
	defer n.stop()
	ann, bob := share(t, n, "tea", "ann"), share(t, n, "tea", "bob")
	bob.items(wire.TypeRPCProvide, wire.RPCNames{Names: []string{"add"}})
	if got := ann.ask(wire.TypeRPCRequest, wire.RPCRequest{Name: "add", Call: 1}); strings.Contains(got, "error") {
		t.Fatal(got)
	}
	var call wire.RPCCall
	if err := json.Unmarshal(bob.event(wire.TypeRPCCall).Body, &call); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1200 * time.Millisecond) // of 5 s; it would be too late by default
	if got := bob.ask(wire.TypeRPCAccept, wire.RPCAccept{Call: call.Call}); got != "{}" {
		t.Errorf("accepted in time: %s", got)
	}
	accepted := time.Now()
	if m := ann.event(wire.TypeRPCResult); !strings.Contains(string(m.Body), `"timeout"`) || time.Since(accepted) > 5*time.Second {
		t.Errorf("after %v: %s", time.Since(accepted), m.Body)
	}
	for _, s := range []*sharer{ann, bob} {
		go s.readToEnd()
	}
}

// event returns the next event of a type.
func (s *sharer) event(typ string) wire.Message {
	s.t.Helper()
	if i := slices.IndexFunc(s.told, func(m wire.Message) bool { return m.Type == typ }); i >= 0 {
		return s.told[i]
	}
	for m := s.next(); ; m = s.next() {
		if m.Type == typ {
			return m
		}
	}
}

// Where the data folder takes no store the server starts all the same: durable records are refused, because they would not be there later, and
// those of rooms work.
func TestNodeThatCannotStore(t *testing.T) {
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "state"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, "--data", data)
	defer n.stop()
	s := dial(t, n)
	s.request(1, wire.TypeJoin, `{"protocol":1,"room":"tea","identity":"ann"}`)
	for i, c := range []struct{ more, want string }{
		{`"scope":"server"`, `"unsupported"`},
		{`"scope":"server","durable":false`, `"version":1`},
		{`"scope":"room","durable":true`, `"unsupported"`},
		{`"scope":"room"`, `"version":1`},
	} {
		m := s.request(uint64(i)+2, wire.TypeRecordWrite, `{"name":"board","operations":[{"op":"set","path":"n","value":1}],`+c.more+`}`)
		if !strings.Contains(string(m.Body), c.want) {
			t.Errorf("%s: %s %s, want %s", c.more, m.Type, m.Body, c.want)
		}
	}
	go s.readToEnd()
}

// Where what is stored of the server's scope is damaged the server starts all the same, as one that cannot store; where it is a room's, that room
// has no state and says why, others have theirs.
func TestNodeWithDamagedStore(t *testing.T) {
	data := t.TempDir()
	spoil := func(subject string) {
		t.Helper()
		node, err := nats.Open(filepath.Join(data, "state"))
		if err != nil {
			t.Fatal(err)
		}
		log, err := node.Log(t.Context(), "STATE", bus.Limits{MaxBytes: 2 << 30})
		if err != nil {
			t.Fatal(err)
		}
		last := uint64(0)
		err = log.Read(t.Context(), subject, 0, func(m bus.Stored) error {
			last = m.Number
			return nil
		})
		if err != nil || last == 0 {
			t.Fatalf("nothing of %s is stored, %v", subject, err)
		}
		if _, err := log.Append(t.Context(), subject, last, []byte(`{"e":[{"n":"x`)); err != nil {
			t.Fatal(err)
		}
		if err := node.Close(); err != nil {
			t.Fatal(err)
		}
	}
	run := func(durable bool, writes map[string]string) {
		t.Helper()
		n := startNode(t, "--data", data)
		defer n.stop()
		if n.durable != durable {
			t.Errorf("durable: %v, want %v", n.durable, durable)
		}
		for where, want := range writes {
			room, scope, _ := strings.Cut(where, " ")
			s := dial(t, n)
			s.request(1, wire.TypeJoin, `{"protocol":1,"room":"`+room+`","identity":"ann"}`)
			m := s.request(2, wire.TypeRecordWrite, `{"scope":"`+scope+`","name":"board","durable":true,"operations":[{"op":"set","path":"n","value":1}]}`)
			if !strings.Contains(string(m.Body), want) {
				t.Errorf("%s: %s, want %s", where, m.Body, want)
			}
			if m := s.request(3, wire.TypeChat, `{"text":"hello"}`); m.Type != wire.TypeOK {
				t.Errorf("%s: chat: %s", where, m.Body)
			}
			go s.readToEnd()
		}
	}
	run(true, map[string]string{"tea server": `"version":1`, "tea room": `"version":1`, "milk room": `"version":1`})
	spoil("r" + base64.RawURLEncoding.EncodeToString([]byte("tea")))
	run(true, map[string]string{"tea server": `"version":2`, "tea room": `"internal"`, "milk room": `"version":2`})
	spoil("server")
	run(false, map[string]string{"tea server": `"unsupported"`, "tea room": `"unsupported"`, "milk room": `"unsupported"`})
}

// The rules are those of the file; when it has changed they hold at once, and a file that cannot be used changes nothing.
func TestStateRules(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("server:\n  record:\n    \"*\": {create: true, write: \"name == 'board'\", read: true}\n")
	n := startNode(t, "--state", "--state-rules", path)
	defer n.stop()
	s := dial(t, n)
	s.request(1, wire.TypeJoin, `{"protocol":1,"room":"tea","identity":"ann"}`)
	var looks watched // the node's own are another goroutine's
	id := uint64(1)
	write := func(name string) string {
		id++
		m := s.request(id, wire.TypeRecordWrite, `{"scope":"server","name":"`+name+`","operations":[{"op":"set","path":"n","value":1}]}`)
		if m.Type == wire.TypeError {
			var e wire.Error
			if err := json.Unmarshal(m.Body, &e); err != nil {
				t.Fatal(err)
			}
			return string(e.Code)
		}
		return m.Type
	}
	for _, step := range []struct{ rules, board, other string }{
		{"", "written", "written"}, // created
		{"", "written", "forbidden"},
		{"server:\n  record:\n    \"*\": {write: \"name != 'board'\"}\n", "forbidden", "written"},
		{"server: {record: {\"*\": {write: \"nonsense(\"}}}", "forbidden", "written"},
		{"server: {reccord: {}}", "forbidden", "written"},
		{"server: {record: {}}\n", "forbidden", "forbidden"},
		{"room: {record: {}}\n", "written", "written"}, // of the server's they say nothing: what holds without rules
	} {
		if step.rules != "" {
			put(step.rules)
			n.watchRules(&looks)
			n.watchRules(&looks) // it was not changed any more
		}
		if board, other := write("board"), write("other"); board != step.board || other != step.other {
			t.Errorf("with %q: %s, %s; want %s, %s", step.rules, board, other, step.board, step.other)
		}
	}
	put("server:\n  record:\n    \"*\": {write: \"name == 'board'\"}\n") // and nobody but the node looks
	for start := time.Now(); write("board") != "written"; time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatal("the node did not see that its rules have changed")
		}
	}
	go s.readToEnd()
	for _, text := range []string{"server: {record: {\"*\": {write: \"1\"}}}", "hall: {}", "- x", "server: {record: {\"*\": {write: 3}}}"} {
		put(text)
		if _, err := readRules(path); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

// With --state a room's log outlives the server: what was said is in the snapshot of the room that opens again, and all that has happened can be
// read on.
func TestNodeKeepsLogs(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	data := t.TempDir()
	const join = `{"protocol":1,"room":"tea","identity":"ann"}`
	n := startNode(t, "--data", data, "--state")
	s := dial(t, n)
	s.request(1, wire.TypeJoin, join)
	s.request(2, wire.TypeChat, `{"text":"hello"}`)
	s.request(3, wire.TypeChat, `{"text":"psst","to":"ann"}`)
	s.request(4, wire.TypeRecordWrite, `{"name":"board","durable":true,"operations":[{"op":"set","path":"n","value":1}]}`)
	s.request(5, wire.TypeRecordWrite, `{"name":"note","operations":[{"op":"set","path":"n","value":1}]}`)
	go s.readToEnd()
	n.stop()
	n = startNode(t, "--data", data, "--state")
	s = dial(t, n)
	var joined wire.Joined
	if err := json.Unmarshal(s.request(1, wire.TypeJoin, join).Body, &joined); err != nil || len(joined.Room.Chat) != 1 || joined.Room.Chat[0].Text != "hello" {
		t.Errorf("chat: %+v, %v", joined.Room.Chat, err)
	}
	var log wire.Log
	if err := json.Unmarshal(s.request(2, wire.TypeLogRead, `{"after":0,"limit":4}`).Body, &log); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, e := range log.Entries {
		if got = append(got, e.Type); e.Cursor != log.First+uint64(i) {
			t.Errorf("entry %d has cursor %d, the first %d", i, e.Cursor, log.First)
		}
	}
	if want := "participant-joined chat record-changed participant-left"; strings.Join(got, " ") != want {
		t.Errorf("the log has %q, want %q", got, want)
	}
	go s.readToEnd()
	n.stop()
}

// What the rules let somebody read because of what a record says now is not what it said before: the log tells that to nobody who may not read all of
// it, after the record was made public and after it was deleted.
func TestLogTellsNoFormerVersions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	rules := "room:\n  record:\n" +
		"    \"*\": {create: true, write: true, delete: true, read: \"user.identity == 'ann' or old == nil or old.public == true\"}\n" +
		"    board: {create: true, write: true, read: \"user.room == 'tea'\"}\n" +
		"    away: {create: true, write: true, read: \"user.room != 'tea'\"}\n"
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, "--state", "--state-rules", path)
	defer n.stop()
	ann := dial(t, n)
	ann.request(1, wire.TypeJoin, `{"protocol":1,"room":"tea","identity":"ann"}`)
	write := `,"durable":true,"operations":[{"op":"set","path":"text","value":"private"}]}`
	for i, r := range [][2]string{
		{wire.TypeRecordWrite, `{"name":"shown"` + write},
		{wire.TypeRecordWrite, `{"name":"gone"` + write},
		{wire.TypeRecordWrite, `{"name":"hidden"` + write},
		{wire.TypeRecordWrite, `{"name":"away"` + write},
		{wire.TypeRecordWrite, `{"name":"shown","operations":[{"op":"set","path":"","value":{"public":true}}]}`},
		{wire.TypeRecordDelete, `{"name":"gone"}`},
		{wire.TypeRecordWrite, `{"name":"board"` + write},
	} {
		if m := ann.request(uint64(i)+2, r[0], r[1]); m.Type == wire.TypeError {
			t.Fatalf("%s %s: %s", r[0], r[1], m.Body)
		}
	}
	go ann.readToEnd()
	bob := dial(t, n)
	bob.request(1, wire.TypeJoin, `{"protocol":1,"room":"tea","identity":"bob"}`)
	var got []string
	for id, start := uint64(2), time.Now(); len(got) < 5; id++ { // what has happened is in the log soon after
		if time.Since(start) > patience {
			t.Fatalf("bob reads %q", got)
		}
		m := bob.request(id, wire.TypeLogRead, `{"after":0}`)
		var log wire.Log
		if err := json.Unmarshal(m.Body, &log); err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, e := range log.Entries {
			var body wire.RecordChanged
			if err := json.Unmarshal(e.Body, &body); err != nil {
				t.Fatal(err)
			}
			if body.Name == "board" != strings.Contains(string(e.Body), "private") {
				t.Errorf("bob reads %s", e.Body)
			}
			if body.Version > 0 {
				got = append(got, fmt.Sprint(e.Type, " ", body.Name, " ", body.Version))
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	if want := "[record-changed shown 1 record-changed gone 1 record-changed shown 2 record-deleted gone 1 record-changed board 1]"; fmt.Sprint(got) != want {
		t.Errorf("bob reads %q, want %q", got, want)
	}
	go bob.readToEnd()
}
