package signal

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// newMember is a session with a part in shared state, whose loop the test is.
func newMember(t *testing.T, v *Service, i int) *Session {
	t.Helper()
	p := seat{id: fmt.Sprint("session", i), room: "tea"}
	var err error
	if p.events, err = v.config.Bus.Subscribe(fmt.Sprint("session.", i), 1); err != nil {
		t.Fatal(err)
	}
	s := newSession(v, p, "")
	s.share = v.newShare(&s.seat, netip.Addr{}, fmt.Sprint("member ", i), wire.Grants{PublishData: true})
	s.enterState()
	synctest.Wait()
	return s
}

func (s *Session) do(t *testing.T, typ string, body any) {
	t.Helper()
	if _, refused := s.service.askScope(&s.seat, s.share, scopes.Request{Type: typ, Body: encode(body)}); refused != nil {
		t.Fatal(typ, refused)
	}
}

// What many are told is encoded once on a node, however many they are: the bytes that wait in all their outboxes are the same ones. It holds
// for events and for changes of records, at 10 and at 500 subscribers.
func TestOneEncodingForAll(t *testing.T) {
	for _, subscribers := range []int{10, 500} {
		synctest.Test(t, func(t *testing.T) {
			b := local.New()
			all, err := scopes.NewService(context.Background(), scopes.ServiceConfig{
				Bus: b, Log: local.NewLog(1 << 20), Linger: time.Second, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler),
				May: func(wire.Scope, string) func(state.Access) *wire.Error { return nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			v := New(Config{Bus: b, State: true})
			var members []*Session
			for i := range subscribers {
				s := newMember(t, v, i)
				s.do(t, wire.TypeEventSubscribe, wire.EventNames{Names: []string{"tick"}})
				s.do(t, wire.TypeRecordSubscribe, wire.RecordSubscribe{Records: []wire.RecordHave{{Name: "board"}}})
				members = append(members, s)
			}
			writer := newMember(t, v, subscribers)
			writer.do(t, wire.TypeEventPublish, wire.EventPublish{Name: "tick", Value: json.RawMessage(`{"n":1}`)})
			writer.do(t, wire.TypeRecordWrite, wire.RecordWrite{Name: "board", Operations: []wire.Operation{{Op: wire.OperationSet, Value: json.RawMessage(`{"n":1}`)}}})
			synctest.Wait()
			bodies := map[string]map[*byte]int{}
			for _, s := range members {
				s.each(s.share.events, true, s.stateEvent)
				for _, e := range s.outbox.entries {
					if bodies[e.typ] == nil {
						bodies[e.typ] = map[*byte]int{}
					}
					bodies[e.typ][unsafe.SliceData(e.body)]++
				}
			}
			for _, typ := range []string{wire.TypeEventPublished, wire.TypeRecordChanged} {
				if len(bodies[typ]) != 1 {
					t.Errorf("%s: %d encodings for %d subscribers", typ, len(bodies[typ]), subscribers)
				}
				for _, n := range bodies[typ] {
					if n != subscribers {
						t.Errorf("%s: %d of %d subscribers were told", typ, n, subscribers)
					}
				}
			}
			for _, s := range append(members, writer) {
				v.leaveState(&s.seat, s.share)
			}
			if err := all.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
