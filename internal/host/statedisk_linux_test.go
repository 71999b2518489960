package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/doctor"
	"github.com/parley-rtc/parley/wire"
)

// A room's log of which a bit has changed on disk is served all the same, but for the entry that the bit is in, also as the room's last chat; the operator is told, the doctor warns before, and durable
// records are stored as ever.
func TestScenarioDamagedLog(t *testing.T) {
	k := &killing{t: t, data: t.TempDir()}
	s := k.start()
	v := k.join(s, t.Context(), "ann")
	for i := range 20 {
		if _, err := v.ask(wire.TypeChat, wire.Chat{Text: fmt.Sprint("number ", i, ".")}); err != nil {
			t.Fatal(err)
		}
		for done := false; !done; { // each is a message of its own
			m, err := v.ask(wire.TypeLogRead, wire.LogRead{})
			if err != nil {
				t.Fatal(err)
			}
			done = bytes.Contains(m.Body, fmt.Append(nil, "number ", i, "."))
		}
	}
	s.kill()
	path := filepath.Join(k.data, "state/jetstream/$G/streams/LOG/msgs/1.blk")
	b, err := os.ReadFile(path)
	at := bytes.Index(b, []byte("number 7."))
	if err != nil || at < 0 {
		t.Fatal(at, err)
	}
	b[at] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	check(t, stateFinding(k.data), doctor.Warning, "rooms' logs")
	var text bytes.Buffer
	n := startLogging(t, slog.NewTextHandler(&text, nil), "--data", k.data)
	defer n.stop()
	check(t, stateFinding(k.data), doctor.OK, "whole")
	c := dial(t, n)
	joined := c.request(1, wire.TypeJoin, `{"protocol":1,"room":"tea","identity":"ann"}`)
	read := c.request(2, wire.TypeLogRead, `{}`)
	for i := range 20 {
		for what, body := range map[string]json.RawMessage{"the last chat": joined.Body, "the log": read.Body} {
			if there := bytes.Contains(body, fmt.Append(nil, "number ", i, ".")); there != (i != 7) {
				t.Errorf("number %d is in %s: %v", i, what, there)
			}
		}
	}
	if refused := refusal(c.request(3, wire.TypeRecordWrite, `{"scope":"server","name":"board","operations":[{"op":"set","path":"n","value":1}]}`)); refused != nil {
		t.Errorf("a durable record: %v", refused)
	}
	if !strings.Contains(text.String(), "set aside") || !n.durable || n.store.Stats().Damaged != 1 {
		t.Errorf("durable: %v, %+v; the log says %s", n.durable, n.store.Stats(), text.String())
	}
}

// refusal is the error of a reply; nil: it is none.
func refusal(m wire.Message) *wire.Error {
	if m.Type != wire.TypeError {
		return nil
	}
	var e wire.Error
	if err := json.Unmarshal(m.Body, &e); err != nil {
		panic(err)
	}
	return &e
}

// kept is a log that may be written and read at once.
type kept struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *kept) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *kept) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// durable is what /metrics says of durable records.
func (n *node) durableGauge() string {
	w := httptest.NewRecorder()
	n.metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	_, value, _ := strings.Cut(w.Body.String(), "\nparley_state_durable ")
	value, _, _ = strings.Cut(value, "\n")
	return value
}

// counted counts what a session is told, by type.
func (s *session) counted(of string) (count func() int, stop func()) {
	var told atomic.Int64
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			var m wire.Message
			_, b, err := s.conn.Read(ctx)
			if err != nil {
				return
			}
			if err := json.Unmarshal(b, &m); err == nil && m.Type == of {
				told.Add(1)
			}
		}
	}()
	return func() int { return int(told.Load()) }, func() { cancel(); <-done }
}

// While the disk is full a room goes on: chat is told, and what is not durable is written. Of durable records the first write that meets it is uncertain, and the others are refused before they begin: its scope's
// subscriptions end once, and not again. When there is room, all of it is stored, what was said meanwhile too, without a restart, and nothing that was acknowledged is lost. /metrics has it.
func TestScenarioFullDisk(t *testing.T) {
	if bustest.Apart(t) {
		return
	}
	data := t.TempDir()
	if err := unix.Mount("tmpfs", data, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(data, 0) })
	var log kept
	n := startLogging(t, slog.NewTextHandler(&log, nil), "--data", data)
	defer func() { n.stop() }()
	c := dial(t, n)
	id := uint64(0)
	ask := func(kind, body string) wire.Message {
		id++
		return c.request(id, kind, body)
	}
	write := func(value int) *wire.Error {
		t.Helper()
		return refusal(ask(wire.TypeRecordWrite, fmt.Sprintf(`{"scope":"server","name":"board","operations":[{"op":"set","path":"n","value":"%d%s"}]}`, value, strings.Repeat("x", 10_000))))
	}
	ask(wire.TypeJoin, `{"protocol":1,"room":"tea","identity":"ann"}`)
	if refused := write(1); refused != nil {
		t.Fatal(refused)
	}
	bob := dial(t, n)
	bob.request(1, wire.TypeJoin, `{"protocol":1,"room":"tea","identity":"bob"}`)
	lost, stop := bob.counted(wire.TypeStateLost)
	defer stop()
	filler, err := os.Create(filepath.Join(data, "filler"))
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	if refused := write(2); refused == nil || refused.Code != wire.CodeInternal {
		t.Errorf("the write that meets it: %v", refused)
	}
	began := time.Now()
	for i := range 20 {
		if refused := write(3); refused == nil || refused.Code != wire.CodeOverloaded || refused.RetrySeconds == 0 {
			t.Errorf("another: %v", refused)
		}
		if refused := refusal(ask(wire.TypeChat, fmt.Sprintf(`{"text":"number %d."}`, i))); refused != nil {
			t.Errorf("chat: %v", refused)
		}
		if refused := refusal(ask(wire.TypeRecordWrite, `{"name":"hand","operations":[{"op":"set","path":"up","value":true}]}`)); refused != nil {
			t.Errorf("what is not durable: %v", refused)
		}
	}
	if took := time.Since(began); took > 5*time.Second || !n.store.Stats().Faulty || n.scopes.Unstored() != 1 || lost() != 1 || n.durableGauge() != "0" {
		t.Errorf("it took %v; %+v, %d commits were not stored, bob has lost his subscriptions %d times; durable: %s", took, n.store.Stats(), n.scopes.Unstored(), lost(), n.durableGauge())
	}
	kept := ask(wire.TypeRecordRead, `{"scope":"server","records":[{"name":"board"}]}`)
	if !bytes.Contains(kept.Body, []byte(`"n":"1x`)) {
		t.Errorf("what is stored: %.200s", kept.Body)
	}
	if err := errors.Join(filler.Close(), os.Remove(filler.Name())); err != nil {
		t.Fatal(err)
	}
	for n.durableGauge() != "1" {
		time.Sleep(10 * time.Millisecond)
	}
	if refused := write(4); refused != nil {
		t.Errorf("when there is room: %v", refused)
	}
	for !bytes.Contains(ask(wire.TypeLogRead, `{}`).Body, []byte("number 19.")) {
		time.Sleep(10 * time.Millisecond)
	}
	if lost() != 1 {
		t.Errorf("when there is room bob has lost his subscriptions %d times", lost())
	}
	if n.journal.Dropped() != 0 || log.count("nothing can be stored") != 1 || log.count("level=ERROR") > 3 {
		t.Errorf("%d entries were dropped; the log says %s", n.journal.Dropped(), &log.text)
	}
	n.stop()
	n = startNode(t, "--data", data)
	c, id = dial(t, n), 0
	ask(wire.TypeJoin, `{"protocol":1,"room":"tea","identity":"ann"}`)
	there := ask(wire.TypeRecordRead, `{"scope":"server","records":[{"name":"board"}]}`)
	if !bytes.Contains(there.Body, []byte(`"n":"4x`)) || !bytes.Contains(there.Body, []byte(`"version":2`)) {
		t.Errorf("after a start: %.200s", there.Body)
	}
}
