package host

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// Names with any characters but control characters mean nothing but themselves also for lists, for whoever listens to patterns, for programs
// without a session, and in the room's log.
func TestScenarioStateNamesEverywhere(t *testing.T) {
	n := startNode(t)
	defer n.stop()
	ann, bob := share(t, n, "tea", "ann"), share(t, n, "tea", "bob")
	names := []string{"a.b", "*", ">", "tea.>", "a b", " ", "日本/ä", "$JS.API.>", `\`, `\*`, "..", `"`}
	for _, name := range names {
		keepsList(t, ann, name)
		listens(t, ann, bob, name)
		if got := overHTTP(t, n, name); got != `["y","x"]` {
			t.Errorf("%q over HTTP: %s", name, got)
		}
	}
	var found []string
	for start := time.Now(); len(found) < len(names) && time.Since(start) < patience; time.Sleep(20 * time.Millisecond) {
		found = inLog(t, bob)
	}
	if !slices.Equal(found, names) {
		t.Errorf("in the log are lists named %q", found)
	}
	for _, s := range []*sharer{ann, bob} {
		go s.readToEnd()
	}
}

// keepsList makes a durable list of y and x.
func keepsList(t *testing.T, ann *sharer, name string) {
	t.Helper()
	at := func(i int) *int { return &i }
	for i, operations := range [][]wire.Operation{
		{{Op: wire.OperationSet, Value: json.RawMessage(`["x"]`)}},
		{{Op: wire.OperationInsert, At: at(1), Value: json.RawMessage(`"y"`)}, {Op: wire.OperationInsert, At: at(2), Value: json.RawMessage(`"z"`)}},
		{{Op: wire.OperationMove, At: at(1), To: at(0), Value: json.RawMessage(`"y"`)}, {Op: wire.OperationRemove, At: at(2), Value: json.RawMessage(`"z"`)}},
	} {
		isFirst := i == 0
		if got := ann.ask(wire.TypeRecordWrite, wire.RecordWrite{Name: name, Operations: operations, Durable: &isFirst}); !strings.Contains(got, fmt.Sprintf(`"version":%d`, i+1)) {
			t.Errorf("%q: write %d: %s", name, i+1, got)
		}
	}
}

// listens lets ann provide the name alone, and bob use it and another one.
func listens(t *testing.T, ann, bob *sharer, name string) {
	t.Helper()
	pattern := strings.NewReplacer(`\`, `\\`, "*", `\*`).Replace(name)
	for _, kind := range []wire.ListenKind{wire.ListenRecords, wire.ListenEvents} {
		ann.told = nil
		if got := ann.ask(wire.TypeListen, wire.Listen{Kind: kind, Pattern: pattern}); got != "{}" {
			t.Errorf("%q: listen: %s", name, got)
		}
		if kind == wire.ListenRecords {
			bob.ask(wire.TypeRecordSubscribe, wire.RecordSubscribe{Records: []wire.RecordHave{{Name: "another"}, {Name: name}}})
			bob.ask(wire.TypeRecordUnsubscribe, wire.RecordUnsubscribe{Records: []wire.RecordName{{Name: "another"}, {Name: name}}})
		} else {
			bob.ask(wire.TypeEventSubscribe, wire.EventNames{Names: []string{"another", name}})
			bob.ask(wire.TypeEventUnsubscribe, wire.EventNames{Names: []string{"another", name}})
		}
		for _, typ := range []string{wire.TypeListenStart, wire.TypeListenStop} {
			var told wire.ListenStart
			if err := json.Unmarshal(ann.event(typ).Body, &told); err != nil || !slices.Equal(told.Names, []string{name}) || told.Kind != kind {
				t.Errorf("%q: %s tells of %s %q", name, typ, told.Kind, told.Names)
			}
		}
		if got := ann.ask(wire.TypeUnlisten, wire.Listen{Kind: kind, Pattern: pattern}); got != "{}" {
			t.Errorf("%q: unlisten: %s", name, got)
		}
	}
}

// overHTTP is what a program without a session reads.
func overHTTP(t *testing.T, n *node, name string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"room": "tea", "identity": "clock", "items": []any{
		map[string]any{"type": wire.TypeRecordRead, "body": wire.RecordRead{Records: []wire.RecordWanted{{Name: name}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d/v1/state", n.port.Local().Port()), "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var answer struct{ Results []struct{ Body wire.Records } }
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil || len(answer.Results) != 1 || len(answer.Results[0].Body.Results) != 1 {
		t.Fatalf("%q over HTTP: %s, %v", name, r.Status, err)
	}
	if record := answer.Results[0].Body.Results[0].Record; record != nil {
		return string(record.Value)
	}
	return "nothing"
}

// inLog returns the names of records whose third version is in the room's log, in its order.
func inLog(t *testing.T, s *sharer) (names []string) {
	t.Helper()
	var log wire.Log
	if err := json.Unmarshal([]byte(s.ask(wire.TypeLogRead, wire.LogRead{})), &log); err != nil {
		t.Fatal(err)
	}
	for _, e := range log.Entries {
		var changed wire.RecordChanged
		if e.Type == wire.TypeRecordChanged && json.Unmarshal(e.Body, &changed) == nil && changed.Version == 3 {
			names = append(names, changed.Name)
		}
	}
	return names
}

// A listener is told of all of five thousand names, and when it goes the next one is, and neither has got too much to be told.
func TestScenarioListensToThousands(t *testing.T) {
	const sessions, each = 10, 500
	n := startNode(t)
	defer n.stop()
	for i := range sessions {
		s := share(t, n, "tea", fmt.Sprint("ann", i))
		for first := 0; first < each; first += each / 2 {
			names := make([]string, each/2)
			for k := range names {
				names[k] = fmt.Sprintf("stock/%d/%d", i, first+k)
			}
			if got := s.items(wire.TypeEventSubscribe, wire.EventNames{Names: names}); len(got) != len(names) {
				t.Fatal(got)
			}
		}
		go s.readToEnd()
	}
	first, second := share(t, n, "tea", "pro1"), share(t, n, "tea", "pro2")
	for _, s := range []*sharer{first, second} {
		if got := s.ask(wire.TypeListen, wire.Listen{Kind: wire.ListenEvents, Pattern: "stock/*"}); got != "{}" {
			t.Fatal(got)
		}
	}
	first.hears(sessions * each)
	first.ask(wire.TypeLeave, struct{}{})
	go first.readToEnd()
	second.hears(sessions * each)
	go second.readToEnd()
}

// hears reads until the session was told of so many names that are its to provide.
func (s *sharer) hears(names int) {
	s.t.Helper()
	told := slices.Clone(s.told)
	for got := 0; ; {
		for _, m := range told {
			var b wire.ListenStart
			switch m.Type {
			case wire.TypeResync, wire.TypeStateLost, wire.TypeEnded:
				s.t.Fatalf("after %d names: %s %s", got, m.Type, m.Body)
			case wire.TypeListenStart:
				if err := json.Unmarshal(m.Body, &b); err != nil {
					s.t.Fatal(err)
				}
				got += len(b.Names)
			}
		}
		if got >= names {
			return
		}
		told = []wire.Message{s.next()}
	}
}
