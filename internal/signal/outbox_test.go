package signal

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-rtc/parley/wire"
)

// What is written by hand is what encoding/json would write.
func TestAppendMessage(t *testing.T) {
	for _, e := range []entry{
		{typ: "ok"},
		{reply: 7, typ: "ok", body: json.RawMessage(`{"a":[1,"x"]}`)},
		{rev: 9, typ: "chat", body: json.RawMessage(`{}`)},
		{reply: 1, rev: 1<<64 - 1, typ: "track-muted", body: json.RawMessage(`{"muted":true}`)},
	} {
		m := wire.Message{Seq: 12, Reply: e.reply, Rev: e.rev, Type: e.typ, Body: e.body}
		if m.Body == nil {
			m.Body = json.RawMessage("{}")
		}
		want, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(appendMessage(nil, 12, e)); got != string(want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Whatever happens to an outbox, a client that only takes, loses sockets and resumes sees numbers without a hole, no event twice, and
// every reply that it did not take before its number fell out of what is kept.
func TestOutboxNumbersHaveNoHoles(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 7))
		o := newOutbox()
		seen, label := uint64(0), 0
		labels := map[string]bool{}
		for range 400 {
			switch random.IntN(10) {
			case 0:
				o.resume(seen)
			case 1:
				o.collapse(o.next)
			case 2:
				o.trim(o.next)
				o.expire(time.Time{}.Add(KeptTime * time.Duration(random.IntN(2)))) // nothing of what was taken, or all of it
			case 3, 4, 5:
				for range random.IntN(30) {
					b, ok := o.take(time.Time{}, nil)
					if !ok {
						break
					}
					var m wire.Message
					if err := json.Unmarshal(b, &m); err != nil || m.Seq != seen+1 || labels[m.Type] {
						t.Fatalf("seed %d: after %d came %s (%v)", seed, seen, b, err)
					}
					seen, labels[m.Type] = m.Seq, true
				}
			default:
				for range random.IntN(30) {
					label++
					o.add(entry{typ: fmt.Sprint("m", label), reply: uint64(random.IntN(2)), body: json.RawMessage(`{}`)})
				}
			}
			bytes := 0
			for _, e := range o.entries {
				bytes += len(e.body)
			}
			if o.next < o.first || o.next > o.end() || bytes != o.bytes || o.waiting < 0 || o.waitingBytes < 0 {
				t.Fatalf("seed %d: first %d, next %d, end %d, %d bytes (%d), waiting %d", seed, o.first, o.next, o.end(), o.bytes, bytes, o.waiting)
			}
		}
	}
}

// The limits of an outbox: 256 messages and 1 MiB wait, snapshots aside; 1000 messages and 1 MiB are kept, and always the newest.
func TestOutboxLimits(t *testing.T) {
	big := entry{typ: "x", body: json.RawMessage(`"` + strings.Repeat("x", MaxWaitingBytes/4-2) + `"`)}
	o := newOutbox()
	for range MaxWaiting {
		o.add(entry{typ: "x"})
	}
	if o.overfull() {
		t.Error("256 messages are too many")
	}
	if o.add(entry{typ: "x"}); !o.overfull() {
		t.Error("257 messages are not too many")
	}
	o = newOutbox()
	o.add(entry{typ: "joined", body: json.RawMessage(strings.Repeat(" ", 3*MaxWaitingBytes)), whole: true})
	for range 4 {
		o.add(big)
	}
	if o.overfull() {
		t.Error("1 MiB and a snapshot are too much")
	}
	if o.add(entry{typ: "x", body: json.RawMessage("{}")}); !o.overfull() {
		t.Error("more than 1 MiB is not too much")
	}
	o = newOutbox()
	for range wire.ResumeMessages + 1 {
		o.add(entry{typ: "x"})
	}
	if o.trim(o.end()); len(o.entries) != wire.ResumeMessages || o.first != 2 {
		t.Errorf("kept %d from %d", len(o.entries), o.first)
	}
	for range 20 {
		o.add(big)
	}
	if o.trim(o.end()); o.bytes > MaxKeptBytes || len(o.entries) != MaxKeptBytes/len(big.body) {
		t.Errorf("kept %d bytes in %d messages", o.bytes, len(o.entries))
	}
	o.add(entry{typ: "resync", body: json.RawMessage(strings.Repeat(" ", 2*MaxKeptBytes)), whole: true})
	if o.trim(o.end()); len(o.entries) != 1 {
		t.Errorf("kept %d", len(o.entries))
	}
	if next := o.next; next != o.first {
		t.Errorf("next %d, first %d", next, o.first)
	}
	o.trim(o.first)
	if len(o.entries) != 1 {
		t.Error("trimmed what nobody has taken")
	}
}

// What was taken is kept for as long as replies are, and what waits until it is taken.
func TestOutboxForgets(t *testing.T) {
	now, o := time.Now(), newOutbox()
	large := entry{typ: "x", body: json.RawMessage(strings.Repeat(" ", MaxKeptBytes/4))}
	for range 3 {
		o.add(large)
	}
	o.take(now, nil)
	o.take(now.Add(time.Second), nil)
	for after, want := range map[time.Duration]int{KeptTime - 1: 3, KeptTime: 2, KeptTime + time.Second: 1, 100 * KeptTime: 1} {
		kept := o
		kept.entries = slices.Clone(o.entries)
		if kept.expire(now.Add(after)); len(kept.entries) != want || kept.bytes != want*len(large.body) || kept.end() != o.end() {
			t.Errorf("after %v: %d messages, %d bytes, then %d", after, len(kept.entries), kept.bytes, kept.end())
		}
	}
	o.resume(0) // all of it waits again
	if o.expire(now.Add(100 * KeptTime)); len(o.entries) != 3 {
		t.Errorf("%d of what a resumed session waits for", len(o.entries))
	}
	for range 3 {
		o.take(now, nil)
	}
	o.expire(now.Add(KeptTime))
	if o.first != 4 || o.bytes != 0 || len(o.entries) != 0 || o.resume(3) != true || o.resume(2) != false || o.end() != 3 {
		t.Errorf("when all is forgotten: first %d, %d bytes, then %d", o.first, o.bytes, o.end())
	}
}

// Replies are kept for 60 seconds; 256 of them; 1 MiB of them, but always the newest.
func TestKeptReplies(t *testing.T) {
	now := time.Now()
	var r replies
	for id := range uint64(MaxKeptReplies + 1) {
		r.put(now, id+1, entry{typ: "ok", body: json.RawMessage("{}")})
	}
	if _, ok := r.get(now, 1); ok {
		t.Error("257 are kept")
	}
	if _, ok := r.get(now.Add(KeptTime-1), 2); !ok {
		t.Error("the second is gone")
	}
	if _, ok := r.get(now.Add(KeptTime), 2); ok || r.bytes != 0 || len(r.order)+len(r.byID) != 0 {
		t.Errorf("still there: %d bytes", r.bytes)
	}
	large := entry{typ: "answer", body: json.RawMessage(strings.Repeat(" ", MaxKeptReplyBytes+1))}
	r.put(now, 1, entry{typ: "ok"})
	r.put(now, 2, large)
	if _, ok := r.get(now, 1); ok {
		t.Error("more than 1 MiB is kept")
	}
	if got, ok := r.get(now, 2); !ok || cmp.Diff(len(large.body), len(got.body)) != "" {
		t.Error("the newest is not kept")
	}
}

// Decoding never panics; what it takes is what encoding/json would, of at most 32 levels, with an id and a type.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"id":1,"type":"join","body":{"protocol":1,"room":"tea"}}`, `{"id":2,"type":"ping"}`, `{"id":3,"type":"ping","body":null}`,
		`{"ID":4,"Type":"x"}`, `{"id":1e3,"type":"x"}`, `{"id":18446744073709551616,"type":"x"}`, `{"id":1,"id":2,"type":"x"}`, `[]`, `"\u0000"`,
		`{"id":1,"type":"x","body":{"a":"[[[[\"[[["}}`, strings.Repeat("[", 100), `{"id":1,"type":"\ud800"}`, "\xff", `{"id":1,"type":"x","body":7}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decode(b)
		var plain wire.Request
		if err == nil {
			if json.Unmarshal(b, &plain) != nil || r.ID == 0 || r.ID > MaxRequestID || r.Type == "" || plain.ID != r.ID {
				t.Errorf("%q was taken as %+v", b, r)
			}
			var join wire.Join
			_ = decodeBody(r, &join)
		} else if err.Code != wire.CodeBadRequest || strings.Contains(err.Message, string(b)) && len(b) > 8 {
			t.Errorf("%q: %v", b, err)
		}
	})
}

// Nesting is counted outside of strings only.
func TestDepth(t *testing.T) {
	deep := func(n int) []byte {
		return []byte(`{"id":1,"type":"x","body":` + strings.Repeat(`{"a":`, n-1) + "1" + strings.Repeat("}", n-1) + "}")
	}
	if _, err := decode(deep(MaxDepth)); err != nil {
		t.Error(err)
	}
	if _, err := decode(deep(MaxDepth + 1)); err == nil {
		t.Error("33 levels taken")
	}
	if _, err := decode([]byte(`{"id":1,"type":"x","body":{"a":"` + strings.Repeat(`[{\"`, 50) + `"}}`)); err != nil {
		t.Error(err)
	}
}
