package host

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/bus/nats"
	"github.com/parley-rtc/parley/wire"
)

// request sends a request with an id of its own and returns its reply.
func (s *session) request(id uint64, kind, body string) wire.Message {
	s.t.Helper()
	m, err := json.Marshal(wire.Request{ID: id, Type: kind, Body: json.RawMessage(body)})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.conn.Write(s.ctx, websocket.MessageText, m); err != nil {
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

// With --state what was acknowledged as durable is there when the server has been started again, and nothing is left running when it has
// stopped; two servers do not use one folder; without it, requests of state are refused as unsupported.
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
	n := startNode(t)
	defer n.stop()
	s := dial(t, n)
	s.request(1, wire.TypeJoin, join)
	if m := s.request(2, wire.TypeRecordWrite, write); !strings.Contains(string(m.Body), `"unsupported"`) {
		t.Errorf("without state: %s %s", m.Type, m.Body)
	}
	go s.readToEnd()
}
