package scopes_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/bus/nats"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// stored is a town whose durable records are in a folder, and may take so many bytes there.
func stored(t *testing.T, folder string, bytes int64) (c *town, end func()) {
	t.Helper()
	node, err := nats.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	log, err := node.Log(t.Context(), "STATE", bus.Limits{MaxBytes: bytes + scopes.ShelfReserve})
	if err != nil {
		t.Fatal(err)
	}
	b := local.New()
	s, err := scopes.NewService(t.Context(), scopes.ServiceConfig{
		Bus: b, Log: log, MaxStored: bytes, Linger: linger, Random: rand.Reader, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		May: func(wire.Scope, string) func(state.Access) *wire.Error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return &town{t, b, s, &atomic.Bool{}}, func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := node.Close(); err != nil {
			t.Error(err)
		}
	}
}

func (c *town) write(name string, size int, durable bool) string {
	b, _ := json.Marshal(strings.Repeat("x", size))
	got := c.ask("tea", "ann", "record-write", fmt.Sprintf(`{"name":%q,"durable":%t,"operations":[{"op":"set","path":"n","value":%s}]}`, name, durable, b))
	code, _, _ := strings.Cut(got, "{")
	return code
}

// Rule: where what is stored of a room takes all the room that it may take, durable writes are refused with limit, and nothing else happens: records that
// are not stored stay and can be written, subscriptions go on, durable records can be read and deleted. When enough is deleted, there is room
// again, also for what had no room, and after a start.
func TestFullStore(t *testing.T) {
	const size = 100 << 10
	folder := t.TempDir()
	c, end := stored(t, folder, 64<<20)
	events := c.come("tea", "ann")
	c.ask("tea", "ann", "event-subscribe", `{"names":["wave"]}`)
	if got := c.write("cursor", 1, false); got != "written" {
		t.Fatal(got)
	}
	n := 0
	for ; c.write(fmt.Sprint("r", n), size, true) == "written"; n++ {
		if n > 30 {
			t.Fatal("it is never full")
		}
	}
	for _, step := range []struct{ what, want string }{
		{c.write("r0", 1, true), "limit"},
		{c.write("cursor", 1, false), "written"},
		{c.ask("tea", "ann", "record-read", `{"records":[{"name":"r0","head":true}]}`)[:7], "records"},
		{c.ask("tea", "", "event-publish", `{"name":"wave"}`), `ok{}`},
	} {
		if step.what != step.want {
			t.Errorf("%s, want %s", step.what, step.want)
		}
	}
	if b, ok := events.Next(); !ok || !strings.Contains(string(b), "wave") {
		t.Errorf("ann, who is subscribed, was told %s", b)
	}
	for i := range n / 2 {
		if got := c.ask("tea", "ann", "record-delete", fmt.Sprintf(`{"name":"r%d"}`, i)); got != "ok{}" {
			t.Fatalf("deletion %d: %s", i, got)
		}
	}
	for start := time.Now(); c.write("again", 1, true) != "written"; time.Sleep(10 * time.Millisecond) { // what is purged is purged beside
		if time.Since(start) > 10*time.Second {
			t.Fatal("it stays full")
		}
	}
	if got := c.Unstored(); got != 0 {
		t.Errorf("%d commits were not stored", got)
	}
	end()
	c, end = stored(t, folder, 64<<20)
	defer end()
	c.come("tea", "ann")
	if got := c.write("again", 1, true); got != "written" {
		t.Errorf("after a start: %s", got)
	}
	if got := c.ask("tea", "ann", "record-read", fmt.Sprintf(`{"records":[{"name":"r%d","head":true}]}`, n-1)); !strings.Contains(got, `"version":1`) {
		t.Errorf("what was not deleted: %s", got)
	}
}

// Rule: a commit for which the store has definitely no room is refused with limit, and takes nothing with it that was never to be stored.
func TestFullLog(t *testing.T) {
	log := local.NewLog(64 << 10)
	h := open(t, log)
	no := false
	cursor := set("cursor", 1)
	cursor.Durable = &no
	if r, err := h.Do(t.Context(), cursor); err != nil || r.Error != nil {
		t.Fatal(r, err)
	}
	if r, err := h.Do(t.Context(), set("a", strings.Repeat("x", 100<<10))); err != nil || r.Error == nil || r.Error.Code != wire.CodeLimit {
		t.Errorf("written: %+v, %v", r, err)
	}
	if r, err := h.Do(context.Background(), cursor); err != nil || r.Error != nil || r.Body.(wire.Written).Version != 2 {
		t.Errorf("what is not stored: %+v, %v", r, err)
	}
}

// fill makes durable records of so many bytes in a room, or in the server's scope where there is none, until one is refused.
func fill(c *town, room string, size int) (n int, refused *wire.Error) {
	c.t.Helper()
	text, _ := json.Marshal(strings.Repeat("x", size))
	for ; n < 10_000; n++ {
		body := fmt.Sprintf(`{"scope":%q,"name":"r%d","durable":true,"operations":[{"op":"set","path":"n","value":%s}]}`, scopeOf(room), n, text)
		r := scopes.Request{Room: room, By: state.Caller{Identity: "ann"}, Type: wire.TypeRecordWrite, Body: json.RawMessage(body)}
		b, err := c.bus.Request(c.t.Context(), scopes.Subject, r.Encode())
		if err != nil {
			c.t.Fatal(err)
		}
		a, err := scopes.DecodeAnswer(b)
		if err != nil {
			c.t.Fatal(err)
		}
		if a.Error != nil {
			return n, a.Error
		}
	}
	c.t.Fatalf("%s is never full", room)
	return 0, nil
}

// scopeOf is the scope that is filled: the server's, where there is no room.
func scopeOf(room string) wire.Scope {
	if room == "" {
		return wire.ScopeServer
	}
	return wire.ScopeRoom
}

// Rule: whoever fills a room takes no more than its share of what is stored, and whoever fills rooms leaves a share to the server's scope. Each refusal says which limit it is, and
// what to do. What is deleted in a room can be written there again, at once, as far as the limit was its own.
func TestShares(t *testing.T) {
	const stored, record = 16 << 20, 50 << 10
	synctest.Test(t, func(t *testing.T) {
		c := newTownWith(t, scopes.ServiceConfig{Log: local.NewLog(stored + scopes.ShelfReserve), MaxStored: stored, Linger: linger})
		first, refused := fill(c, "tea", record)
		if took := first * record; refused.Code != wire.CodeLimit || !strings.Contains(refused.Message, "this room") || took > stored/16 || took < stored/64 {
			t.Errorf("%d bytes in one room, then %+v", took, refused)
		}
		for range 3 {
			if got := c.ask("tea", "", "record-delete", `{"name":"r0"}`); got != "ok{}" {
				t.Fatal(got)
			}
			if n, refused := fill(c, "tea", record); n != 1 || refused == nil {
				t.Errorf("%d more after a deletion, then %+v", n, refused)
			}
		}
		rooms := 1
		for ; strings.Contains(refused.Message, "this room"); rooms++ {
			if rooms > 100 {
				t.Fatal("rooms are never full")
			}
			_, refused = fill(c, fmt.Sprint("room ", rooms), record)
		}
		if refused.Code != wire.CodeLimit || !strings.Contains(refused.Message, "all rooms") || rooms < 16 {
			t.Errorf("%d rooms, then %+v", rooms, refused)
		}
		n, refused := fill(c, "", record)
		if took := n * record; refused.Code != wire.CodeLimit || !strings.Contains(refused.Message, "server") || took < stored/32 {
			t.Errorf("%d bytes in the server's scope, then %+v", took, refused)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
