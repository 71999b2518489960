package state

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// The worst that one session can send: nothing may take an owner longer than about 20 ms, as everybody in the scope waits behind it.
func BenchmarkWorst(b *testing.B) {
	for _, c := range []struct {
		name string
		make func(w *worst) Command
	}{
		{"entries-pairs", (*worst).entriesPairs},
		{"entries-merged", (*worst).entriesMerged},
		{"moves-in-widest-list", (*worst).moves},
		{"removes-in-vain", (*worst).removes},
		{"sets-in-widest-object", (*worst).sets},
		{"inserts-in-widest-object", (*worst).inserts},
		{"sets-deep", (*worst).deep},
		{"empty-arrays", func(w *worst) Command { return w.small("[]", 1) }},
		{"small-arrays", func(w *worst) Command { return w.small("[0]", 2) }},
		{"small-objects", func(w *worst) Command { return w.small(`{"":0}`, 2) }},
		{"words", (*worst).words},
		{"numbers", (*worst).numbers},
		{"history-deepest", (*worst).history},
		{"history-many", (*worst).histories},
		{"parts-nested", (*worst).nested},
		{"parts-many", (*worst).parts},
		{"read-large", (*worst).reads},
		{"read-under-rules", (*worst).ruled},
		{"subscribe-same", (*worst).same},
		{"subscribe-among-listeners", (*worst).listened},
		{"listen-among-listeners", (*worst).listens},
		{"leave-listening", (*worst).leaveListening},
		{"leave-with-paths", (*worst).leave},
		{"delete-with-paths", (*worst).deletes},
	} {
		b.Run(c.name, func(b *testing.B) {
			var longest time.Duration
			for range b.N {
				b.StopTimer()
				w := newWorst(b)
				command := c.make(w)
				start := time.Now()
				b.StartTimer()
				effects := w.s.Apply(w.now, command)
				b.StopTimer()
				longest = max(longest, time.Since(start))
				for _, e := range effects {
					if r, ok := e.(Reply); ok && r.Error != nil && r.Error.Code != wire.CodeLimit {
						b.Fatal(r.Error)
					}
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(longest.Microseconds())/1000, "ms-longest")
		})
	}
}

// worst is a scope for one bad request.
type worst struct {
	b   *testing.B
	s   *Scope
	now time.Time
	by  Caller
}

func newWorst(b *testing.B) *worst {
	w := &worst{b: b, s: New(Config{Durable: true}), now: time.Unix(1_800_000_000, 0), by: Caller{Session: "ann1", Identity: "ann"}}
	w.do(Attach{By: w.by})
	return w
}

func (w *worst) do(c Command) {
	for _, e := range w.s.Apply(w.now, c) {
		if r, ok := e.(Reply); ok && r.Error != nil {
			w.b.Fatal(r.Error)
		}
	}
}

func (w *worst) writing(name string, operations ...wire.Operation) RecordWrite {
	return RecordWrite{w.by, wire.RecordWrite{Name: name, Operations: operations}}
}

func repeated(n int, one func(i int) wire.Operation) []wire.Operation {
	all := make([]wire.Operation, n)
	for i := range all {
		all[i] = one(i)
	}
	return all
}

// many is a JSON array of so many of the same.
func many(n int, item string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
}

// texts is a list of different strings of one length.
func texts(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%08d", i)
	}
	return all
}

func listed(all []string) wire.Operation { return set("", `["`+strings.Join(all, `","`)+`"]`) }

// wide is an object of so many members.
func wide(n int) wire.Operation {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(`"k%05d":1`, i)
	}
	return set("", "{"+strings.Join(members, ",")+"}")
}

func (w *worst) entriesPairs() Command {
	w.do(w.writing("a", set("", "[]")))
	long := texts(MaxDiffEntries)
	return w.writing("a", repeated(32, func(i int) wire.Operation {
		if i%2 == 0 {
			return entries(0, long...)
		}
		return wire.Operation{Op: wire.OperationEntries, Value: []byte("[]")}
	})...)
}

// entriesMerged turns half of the list's most around, since when another one was written.
func (w *worst) entriesMerged() Command {
	all := texts(wire.MaxElements - 1)
	w.do(w.writing("a", listed(all)))
	w.do(w.writing("a", entry(wire.OperationInsert, "one more", wire.MaxElements)))
	for i := range MaxDiffEntries / 2 {
		all[i], all[MaxDiffEntries-1-i] = all[MaxDiffEntries-1-i], all[i]
	}
	return w.writing("a", entries(1, all...))
}

func (w *worst) moves() Command {
	w.do(w.writing("a", listed(texts(wire.MaxElements))))
	return w.writing("a", repeated(wire.MaxWriteOperations, func(i int) wire.Operation {
		return entry(wire.OperationMove, fmt.Sprintf("%08d", i), 0, wire.MaxElements-1)
	})...)
}

func (w *worst) removes() Command {
	w.do(w.writing("a", listed(texts(wire.MaxElements))))
	return w.writing("a", repeated(MaxLooked/wire.MaxElements, func(int) wire.Operation { return entry(wire.OperationRemove, "99999999") })...)
}

func (w *worst) sets() Command {
	w.do(w.writing("a", wide(wire.MaxElements)))
	return w.writing("a", repeated(wire.MaxWriteOperations, func(i int) wire.Operation { return set(fmt.Sprintf("k%05d", i), "2") })...)
}

func (w *worst) inserts() Command {
	w.do(w.writing("a", wide(wire.MaxElements-wire.MaxWriteOperations)))
	return w.writing("a", repeated(wire.MaxWriteOperations, func(i int) wire.Operation { return set(fmt.Sprintf("a%05d", i), "2") })...)
}

func (w *worst) deep() Command {
	path := strings.TrimSuffix(strings.Repeat(strings.Repeat("k", 40)+".", wire.MaxPathSteps-1), ".")
	return w.writing("a", repeated(wire.MaxWriteOperations, func(i int) wire.Operation { return set(path, fmt.Sprint(i)) })...)
}

// small writes as many values as there may be, in place of as many.
func (w *worst) small(item string, values int) Command {
	write := w.writing("a", repeated(8, func(i int) wire.Operation {
		return set(fmt.Sprintf("[%d]", i), many((wire.MaxRecordValues/8-2)/values, item))
	})...)
	w.do(write)
	return write
}

func (w *worst) words() Command {
	return w.writing("a", repeated(4, func(i int) wire.Operation { return set(fmt.Sprintf("[%d]", i), many(wire.MaxElements-1, "null")) })[:3]...)
}

func (w *worst) numbers() Command {
	return w.writing("a", repeated(1, func(i int) wire.Operation { return set(fmt.Sprintf("[%d]", i), many(13_000, "1.2345678901234567")) })...)
}

// deepen gives a record the longest history of the widest object.
func (w *worst) deepen(name string) {
	w.do(w.writing(name, wide(wire.MaxElements/2)))
	for range 2 {
		w.do(w.writing(name, repeated(wire.MaxWriteOperations, func(i int) wire.Operation { return set(fmt.Sprintf("a%05d", i), "1") })...))
		w.now = w.now.Add(time.Second)
	}
}

func (w *worst) history() Command {
	w.deepen("a")
	wanted := make([]wire.RecordWanted, wire.MaxBulkNames)
	for i := range wanted {
		wanted[i] = wire.RecordWanted{Name: "a", Version: 1, Path: "k00001"}
	}
	return RecordRead{w.by, wire.RecordRead{Records: wanted}}
}

func (w *worst) histories() Command {
	wanted := make([]wire.RecordWanted, 64)
	for i := range wanted {
		wanted[i] = wire.RecordWanted{Name: fmt.Sprint("a", i), Version: 1, Path: "k00001"}
		w.deepen(wanted[i].Name)
	}
	return RecordRead{w.by, wire.RecordRead{Records: wanted}}
}

func (w *worst) subscribe(name string, paths ...string) {
	for _, path := range paths {
		w.do(RecordSubscribe{w.by, wire.RecordSubscribe{Records: []wire.RecordHave{{Name: name, Path: path}}}})
	}
}

// nested has a subscription at each level of a document whose values are all at the lowest, and are all other ones.
func (w *worst) nested() Command {
	path := "a"
	for range wire.MaxRecordDepth - 3 {
		w.subscribe("a", path)
		path += ".a"
	}
	w.do(w.writing("a", set(path, `[]`)))
	return w.writing("a", set(path, "["+many(12_000, "1234")+","+many(12_000, "5.25")+","+many(12_000, "77")+"]"))
}

func (w *worst) parts() Command {
	for i := range MaxPaths {
		w.subscribe("a", fmt.Sprintf("k%05d", i))
	}
	w.do(w.writing("a", wide(MaxPaths)))
	return w.writing("a", set("", strings.ReplaceAll(string(wide(MaxPaths).Value), ":1", ":2")))
}

func (w *worst) reads() Command {
	wanted := make([]wire.RecordWanted, wire.MaxBulkNames)
	for i := range wanted {
		wanted[i] = wire.RecordWanted{Name: fmt.Sprint("a", i%16)}
		if i < 16 {
			w.do(w.writing(wanted[i].Name, set("", many(12_000, "1.2345678901234567"))))
		}
	}
	return RecordRead{w.by, wire.RecordRead{Records: wanted}}
}

// ruled reads documents of the smallest objects under rules that look at each.
func (w *worst) ruled() Command {
	wanted := make([]wire.RecordWanted, wire.MaxBulkNames)
	for i := range wanted {
		wanted[i] = wire.RecordWanted{Name: fmt.Sprint("a", i), Head: true}
		if i < 16 {
			w.do(w.writing(wanted[i].Name, set("", many(13_000, `{"":0}`))))
		}
	}
	w.s.config.May = func(a Access) *wire.Error {
		_, refused := a.Unfold(a.Old)
		return refused
	}
	return RecordRead{w.by, wire.RecordRead{Records: wanted}}
}

func (w *worst) same() Command {
	have := make([]wire.RecordHave, wire.MaxBulkNames)
	for i := range have {
		have[i] = wire.RecordHave{Name: fmt.Sprint("a", i%16)}
		if i < 16 {
			w.do(w.writing(have[i].Name, set("", many(12_000, "1.2345678901234567"))))
		}
		have[i].Version, have[i].Incarnation = 1, w.s.records[have[i].Name].incarnation
	}
	return RecordSubscribe{w.by, wire.RecordSubscribe{Records: have}}
}

func (w *worst) leave() Command {
	long := strings.Repeat("k", 40)
	for i := range wire.MaxStateSubscriptions {
		w.subscribe(fmt.Sprint("a", i/MaxPaths), fmt.Sprintf("%s.%s.%s[%d]", long, long, long, i%MaxPaths))
	}
	return Detach{w.by.Session}
}

// deletes deletes a record to all of whose paths 200 sessions are subscribed.
func (w *worst) deletes() Command {
	w.do(w.writing("a", wide(1)))
	by := w.by
	for i := range 200 {
		w.by = Caller{Session: fmt.Sprint("other", i)}
		w.do(Attach{By: w.by})
		for k := range MaxPaths {
			w.subscribe("a", fmt.Sprintf("[%d]", k))
		}
	}
	return RecordDelete{by, wire.RecordDelete{Name: "a"}}
}

// patterns are as many as a scope may have, and to compare names with them takes long.
func (w *worst) patterns(but int) {
	for i := range MaxListeners - but {
		by := Caller{Session: fmt.Sprint("pro", i/wire.MaxListens), Identity: "pro"}
		if i%wire.MaxListens == 0 {
			w.do(Attach{By: by})
		}
		w.do(Listen{by, wire.Listen{Kind: wire.ListenEvents, Pattern: fmt.Sprintf("*e*x%d", i)}})
	}
}

// names of events to which sessions of their own are subscribed.
func (w *worst) names(n int) {
	for i := range n / wire.MaxBulkNames {
		by := Caller{Session: fmt.Sprint("sub", i), Identity: "sub"}
		w.do(Attach{By: by})
		c := w.subscribing(i)
		c.By = by
		w.do(c)
	}
}

func (w *worst) subscribing(part int) EventSubscribe {
	names := make([]string, wire.MaxBulkNames)
	for i := range names {
		names[i] = fmt.Sprintf("event %d %s", part*wire.MaxBulkNames+i, strings.Repeat("e", 40))
	}
	return EventSubscribe{w.by, wire.EventNames{Names: names}}
}

func (w *worst) listened() Command {
	w.patterns(0)
	return w.subscribing(0)
}

func (w *worst) listens() Command {
	w.patterns(1)
	w.names(2 * wire.MaxListened)
	return Listen{w.by, wire.Listen{Kind: wire.ListenEvents, Pattern: "event*"}}
}

// leaveListening: all that somebody provides goes to another one.
func (w *worst) leaveListening() Command {
	w.do(w.listens())
	by := Caller{Session: "pro0", Identity: "pro"}
	w.do(Unlisten{by, wire.Unlisten{Kind: wire.ListenEvents, Pattern: "*e*x0"}})
	w.do(Listen{by, wire.Listen{Kind: wire.ListenEvents, Pattern: "*"}})
	return Detach{w.by.Session}
}
