package host

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-rtc/parley/wire"
)

// script is what one writer asks of a scope, request by request.
type script struct {
	scope    wire.Scope
	writer   int
	there    int // the last request that was found to be carried out
	sent     int
	answered int
	both     uint64 // version that was acknowledged

	acknowledged int // in all lives
}

func (s *script) String() string { return fmt.Sprint(s.scope, " script of writer ", s.writer) }

// scriptKind is what a request does.
type scriptKind int

const (
	writeOwn    scriptKind = iota // several paths of a record that nobody else writes
	writeInsert                   // into a list of all
	writeBoth                     // two paths of a record of all
	writeBrief                    // a record
	endBrief                      // and is deleted
	scriptKinds
)

// queueBlock is for how many requests a list is the same.
const queueBlock = 5000

func (s *script) kind(n int) scriptKind { return scriptKind(n) % scriptKinds }

// latest is the last request of a kind up to the nth; -1: there is none.
func (s *script) latest(k scriptKind, n int) int {
	for ; n >= 0 && s.kind(n) != k; n-- {
	}
	return n
}

// count is how many there are.
func (s *script) count(k scriptKind, n int) int {
	if n = s.latest(k, n); n < 0 {
		return 0
	}
	return n/int(scriptKinds) + 1
}

func (s *script) name(k scriptKind, n int) string {
	switch k {
	case writeOwn:
		return fmt.Sprint("own ", s.writer)
	case writeInsert:
		return fmt.Sprint("queue ", n/queueBlock)
	case writeBoth:
		return "both"
	}
	return fmt.Sprint("brief ", s.writer)
}

func (s *script) entry(n int) string { return fmt.Sprint(s.writer, "-", n) }

// request is the nth one.
func (s *script) request(n int) (string, any) {
	durable := true
	k := s.kind(n)
	if k == endBrief {
		return wire.TypeRecordDelete, wire.RecordDelete{Scope: s.scope, Name: s.name(k, n)}
	}
	w := wire.RecordWrite{Scope: s.scope, Name: s.name(k, n), Durable: &durable}
	set := func(paths ...string) {
		for _, path := range paths {
			w.Operations = append(w.Operations, wire.Operation{Op: wire.OperationSet, Path: path, Value: json.RawMessage(strconv.Itoa(n))})
		}
	}
	switch k {
	case writeOwn:
		set("a.n", "b[1].c", "n")
	case writeInsert:
		value, _ := json.Marshal(s.entry(n))
		w.Operations = append(w.Operations, wire.Operation{Op: wire.OperationInsert, Value: value})
	case writeBoth:
		set(fmt.Sprint("s", s.writer), fmt.Sprint("t", s.writer))
	default:
		set("n")
	}
	return wire.TypeRecordWrite, w
}

// wanted is a record, or the script's part of one. Version 0: that of the others counts too.
type wanted struct {
	version uint64
	value   string
}

// after is what there is when the requests up to the nth are carried out, and no other.
func (s *script) after(n int) map[string]wanted {
	all := map[string]wanted{}
	if last := s.latest(writeOwn, n); last >= 0 {
		all[s.name(writeOwn, n)] = wanted{uint64(s.count(writeOwn, n)), fmt.Sprintf(`{"a":{"n":%d},"b":[null,{"c":%d}],"n":%d}`, last, last, last)}
	}
	if last := s.latest(writeBoth, n); last >= 0 {
		all["both"] = wanted{0, fmt.Sprint([]int{last, last})}
	}
	brief := wanted{}
	if last := s.latest(writeBrief, n); last >= 0 && last > s.latest(endBrief, n) {
		brief = wanted{1, fmt.Sprintf(`{"n":%d}`, last)}
	}
	all[s.name(writeBrief, n)] = brief
	queues := map[string][]string{}
	for i := range n + 1 {
		if s.kind(i) == writeInsert {
			queues[s.name(writeInsert, i)] = append(queues[s.name(writeInsert, i)], s.entry(i))
		}
	}
	for name, entries := range queues {
		all[name] = wanted{0, fmt.Sprint(entries)}
	}
	return all
}

// part is what a record of all has of this writer.
func (s *script) part(name string, value json.RawMessage) string {
	if name == "both" {
		var numbers map[string]int
		_ = json.Unmarshal(value, &numbers)
		return fmt.Sprint([]int{numbers[fmt.Sprint("s", s.writer)], numbers[fmt.Sprint("t", s.writer)]})
	}
	var entries []string
	_ = json.Unmarshal(value, &entries)
	return fmt.Sprint(slices.DeleteFunc(entries, func(e string) bool { return !strings.HasPrefix(e, fmt.Sprint(s.writer, "-")) }))
}

// last is the last request of which something is there.
func (s *script) last(found map[string]found) int {
	last := -1
	number := func(record, path string) {
		var fields map[string]any
		if json.Unmarshal(found[record].value, &fields) == nil {
			if n, ok := fields[path].(float64); ok {
				last = max(last, int(n))
			}
		}
	}
	number(s.name(writeOwn, 0), "n")
	number("both", fmt.Sprint("s", s.writer))
	number(s.name(writeBrief, 0), "n")
	for name, f := range found {
		if strings.HasPrefix(name, "queue") {
			var entries []string
			_ = json.Unmarshal(f.value, &entries)
			for _, e := range entries {
				var writer, n int
				if _, err := fmt.Sscanf(e, "%d-%d", &writer, &n); err == nil && writer == s.writer {
					last = max(last, n)
				}
			}
		}
	}
	if _, ok := found[s.name(endBrief, 0)]; !ok && s.kind(last+1) == writeBrief && s.answered > last {
		last += 2 // of what has ended nothing is there
	}
	return last
}
