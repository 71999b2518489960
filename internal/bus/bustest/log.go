package bustest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
)

// RunLog runs the suite of logs. open returns a new, empty log with about these limits.
func RunLog(t *testing.T, open func(t *testing.T, l bus.Limits) bus.Log) {
	for _, rule := range []struct {
		name   string
		limits bus.Limits
		test   func(t *testing.T, l bus.Log)
	}{
		{"messages are read in the order in which they were appended, subject by subject", bus.Limits{MaxBytes: 1 << 20}, appendsInOrder},
		{"who does not know the last message appends nothing", bus.Limits{MaxBytes: 1 << 20}, wrongSequence},
		{"of those who append after the same message one succeeds", bus.Limits{MaxBytes: 1 << 20}, races},
		{"purged messages are gone, and numbers go on", bus.Limits{MaxBytes: 1 << 20}, purges},
		{"the first message of a subject is the oldest that is there", bus.Limits{MaxBytes: 1 << 20}, findsFirst},
		{"the last message of a subject is the newest", bus.Limits{MaxBytes: 1 << 20}, findsLast},
		{"a log tells how large it is", bus.Limits{MaxBytes: 1 << 20}, tellsSize},
		{"a log tells how much of it each subject takes", bus.Limits{MaxBytes: 1 << 20}, tellsSizes},
		{"an erased subject is as if it had never been, and others stay", bus.Limits{MaxBytes: 1 << 20}, erases},
		{"a full log takes no more, and takes again when there is room", bus.Limits{MaxBytes: 64 << 10}, fullLog},
		{"a log that forgets makes room for what is new, whosever it is", bus.Limits{MaxBytes: 64 << 10, Forget: true}, forgets},
		{
			"where a log has forgotten all of a subject, its writer goes on behind the message that it knows, but not where others have written",
			bus.Limits{MaxBytes: 64 << 10, Forget: true},
			forgetsAll,
		},
		{
			"large messages are read one after the other, and those that are purged meanwhile are not waited for",
			bus.Limits{MaxBytes: 80 << 20},
			readsLarge,
		},
		{"a message is the reader's own, and reading ends with the visitor's error", bus.Limits{MaxBytes: 1 << 20}, readsCopies},
		{"what is not a subject, and what is too large, is refused", bus.Limits{MaxBytes: 16 << 20}, logLimits},
		{"a call ends with its context", bus.Limits{MaxBytes: 1 << 20}, logContext},
		{"a closed log refuses everything", bus.Limits{MaxBytes: 1 << 20}, closedLog},
	} {
		t.Run(rule.name, func(t *testing.T) {
			l := open(t, rule.limits)
			rule.test(t, l)
			if err := l.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// ForgetsByAge is a rule of logs apart from the others, as it takes time: messages of this age are gone, and their writer goes on.
func ForgetsByAge(t *testing.T, l bus.Log, age time.Duration) {
	start := time.Now() // so that a machine which stands still afterwards makes nothing look forgotten too soon
	old := store(t, l, "r.a", 0, "old")
	for first := old; first != 0; time.Sleep(age / 10) {
		m, err := l.First(t.Context(), "r.a")
		if first = m.Number; err != nil || first == 0 && time.Since(start) < age || time.Since(start) > 100*age {
			t.Fatalf("after %v of %v the first is %d, %v", time.Since(start), age, first, err)
		}
	}
	store(t, l, "r.a", old, "new")
	WantLog(t, l, "r.a", old, "new")
}

// store appends, and returns the number.
func store(t *testing.T, l bus.Log, subject string, after uint64, m string) uint64 {
	t.Helper()
	n, err := l.Append(t.Context(), subject, after, []byte(m))
	if err != nil {
		t.Fatalf("append %.20q to %s after %d: %v", m, subject, after, err)
	}
	return n
}

// WantLog compares what is stored on a subject behind a number.
func WantLog(t *testing.T, l bus.Log, subject string, after uint64, want ...string) {
	t.Helper()
	var got []string
	last := after
	err := l.Read(t.Context(), subject, after, func(m bus.Stored) error {
		if m.Number <= last || m.At.IsZero() {
			t.Errorf("message %d of %v came after %d", m.Number, m.At, last)
		}
		last = m.Number
		got = append(got, string(m.Bytes))
		return nil
	})
	if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Fatalf("%s after %d: got %.200q, %v; want %.200q", subject, after, got, err, want)
	}
}

func appendsInOrder(t *testing.T, l bus.Log) {
	var a, b, middle uint64
	var want []string
	for i := range 300 {
		a = store(t, l, "r.a", a, fmt.Sprint(i))
		if next := store(t, l, "r.ab", b, "b"); next <= a {
			t.Fatalf("number %d came after %d", next, a)
		} else {
			b = next
		}
		if i == 99 {
			middle = a
		}
		want = append(want, fmt.Sprint(i))
	}
	store(t, l, "r.a", a, "")
	want = append(want, "")
	WantLog(t, l, "r.a", 0, want...)
	WantLog(t, l, "r.a", middle, want[100:]...)
	WantLog(t, l, "r.a", a, "")
	WantLog(t, l, "r.a", a+100)
	WantLog(t, l, "r.nobody", 0)
}

func wrongSequence(t *testing.T, l bus.Log) {
	first := store(t, l, "r.a", 0, "first")
	second := store(t, l, "r.a", first, "second")
	store(t, l, "r.b", 0, "of another subject")
	for _, after := range []uint64{0, first, second + 1, 99} {
		if _, err := l.Append(t.Context(), "r.a", after, []byte("x")); !errors.Is(err, bus.ErrSequence) {
			t.Errorf("after %d: got %v, want ErrSequence", after, err)
		}
	}
	if _, err := l.Append(t.Context(), "r.new", first, []byte("x")); !errors.Is(err, bus.ErrSequence) {
		t.Errorf("on a new subject: got %v, want ErrSequence", err)
	}
	store(t, l, "r.a", second, "third")
	WantLog(t, l, "r.a", 0, "first", "second", "third")
}

func races(t *testing.T, l bus.Log) {
	var mu sync.Mutex
	var wait sync.WaitGroup
	won := 0
	for i := range 8 {
		wait.Go(func() {
			_, err := l.Append(t.Context(), "r.a", 0, fmt.Append(nil, i))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, bus.ErrSequence) {
				t.Errorf("got %v", err)
			}
		})
	}
	wait.Wait()
	if won != 1 {
		t.Errorf("%d succeeded", won)
	}
}

func purges(t *testing.T, l bus.Log) {
	a1 := store(t, l, "r.a", 0, "a1")
	store(t, l, "r.b", 0, "b1")
	a2 := store(t, l, "r.a", a1, "a2")
	a3 := store(t, l, "r.a", a2, "a3")
	for _, below := range []uint64{0, a1, a3, a2} {
		if err := l.Purge(t.Context(), "r.a", below); err != nil {
			t.Fatalf("purge: %v", err)
		}
	}
	WantLog(t, l, "r.a", 0, "a3")
	WantLog(t, l, "r.b", 0, "b1")
	if a4 := store(t, l, "r.a", a3, "a4"); a4 <= a3 {
		t.Errorf("number %d after %d", a4, a3)
	}
	if err := l.Purge(t.Context(), "r.nobody", 99); err != nil {
		t.Errorf("purge nothing: %v", err)
	}
	WantLog(t, l, "r.a", 0, "a3", "a4")
}

func findsFirst(t *testing.T, l bus.Log) {
	want := func(subject string, number uint64, text string) {
		t.Helper()
		m, err := l.First(t.Context(), subject)
		if err != nil || m.Number != number || string(m.Bytes) != text || m.At.IsZero() != (number == 0) {
			t.Errorf("the first of %s: got %d of %v, %q, %v; want %d, %q", subject, m.Number, m.At, m.Bytes, err, number, text)
		}
		copy(m.Bytes, "XX") // they are the caller's
	}
	want("r.a", 0, "")
	store(t, l, "r.b", 0, "b1")
	a1 := store(t, l, "r.a", 0, "a1")
	a2 := store(t, l, "r.a", a1, "a2")
	a3 := store(t, l, "r.a", a2, "a3")
	want("r.a", a1, "a1")
	want("r.a", a1, "a1")
	want("r", 0, "")
	for _, below := range []uint64{a2, a2} {
		if err := l.Purge(t.Context(), "r.a", below); err != nil {
			t.Fatal(err)
		}
		want("r.a", a2, "a2")
	}
	if err := l.Purge(t.Context(), "r.a", a3+1); err != nil {
		t.Fatal(err)
	}
	want("r.a", 0, "")
}

func findsLast(t *testing.T, l bus.Log) {
	want := func(subject string, number uint64, text string) {
		t.Helper()
		m, err := l.Last(t.Context(), subject)
		if err != nil || m.Number != number || string(m.Bytes) != text || m.At.IsZero() != (number == 0) {
			t.Errorf("the last of %s: got %d of %v, %q, %v; want %d, %q", subject, m.Number, m.At, m.Bytes, err, number, text)
		}
		copy(m.Bytes, "XX") // they are the caller's
	}
	want("r.a", 0, "")
	a1 := store(t, l, "r.a", 0, "a1")
	a2 := store(t, l, "r.a", a1, "a2")
	store(t, l, "r.b", 0, "b1")
	want("r.a", a2, "a2")
	want("r.a", a2, "a2")
	want("r", 0, "")
	if err := l.Purge(t.Context(), "r.a", a2+1); err != nil {
		t.Fatal(err)
	}
	want("r.a", 0, "")
}

// fill stores more than a log of 64 KiB takes.
func fill(t *testing.T, l bus.Log, subject string) {
	t.Helper()
	var last uint64
	for range 100 {
		last = store(t, l, subject, last, string(make([]byte, 2<<10)))
	}
}

func forgets(t *testing.T, l bus.Log) {
	store(t, l, "r.a", 0, "the oldest")
	fill(t, l, "r.b")
	WantLog(t, l, "r.a", 0)
	kept, first := 0, uint64(0)
	err := l.Read(t.Context(), "r.b", 0, func(m bus.Stored) error {
		if kept++; first == 0 {
			first = m.Number
		}
		return nil
	})
	if err != nil || kept < 20 || kept > 32 {
		t.Errorf("kept %d of 2 KiB in 64, %v", kept, err)
	}
	if m, err := l.First(t.Context(), "r.b"); err != nil || m.Number != first {
		t.Errorf("the first is %d, %v; what is read begins with %d", m.Number, err, first)
	}
}

func forgetsAll(t *testing.T, l bus.Log) {
	idle := store(t, l, "r.idle", 0, "long ago")
	fill(t, l, "r.busy")
	WantLog(t, l, "r.idle", 0)
	store(t, l, "r.idle", idle, "now")
	if _, err := l.Append(t.Context(), "r.idle", idle, []byte("too late")); !errors.Is(err, bus.ErrSequence) {
		t.Errorf("behind a forgotten message where there is another one: %v", err)
	}
	WantLog(t, l, "r.idle", idle, "now")
}

func tellsSize(t *testing.T, l bus.Log) {
	size := func(least int64) {
		t.Helper()
		if n, err := l.Size(t.Context()); err != nil || n < least || n > least+3*256 {
			t.Errorf("%d bytes, %v, where there are %d in messages", n, err, least)
		}
	}
	size(0)
	n := store(t, l, "r.a", 0, strings.Repeat("x", 10_000))
	last := store(t, l, "r.a", n, strings.Repeat("x", 5_000))
	store(t, l, "r.b", 0, strings.Repeat("x", 2_000))
	size(17_000)
	if err := l.Purge(t.Context(), "r.a", last); err != nil {
		t.Fatal(err)
	}
	size(7_000)
}

func tellsSizes(t *testing.T, l bus.Log) {
	wants := func(want map[string]int64) {
		t.Helper()
		sizes, err := l.Sizes(t.Context())
		if err != nil || len(sizes) != len(want) {
			t.Fatalf("sizes %v, %v, where there are %v in messages", sizes, err, want)
		}
		var sum int64
		for subject, size := range sizes {
			sum += size
			if least := want[subject]; size < least || size > least+2*256 {
				t.Errorf("%s takes %d, where there are %d in messages", subject, size, least)
			}
		}
		if all, err := l.Size(t.Context()); err != nil || sum != all {
			t.Errorf("subjects take %d, and all %d, %v", sum, all, err)
		}
	}
	wants(map[string]int64{})
	first := store(t, l, "r.a", 0, strings.Repeat("x", 10_000))
	last := store(t, l, "r.a", first, strings.Repeat("x", 5_000))
	store(t, l, "r.b", 0, strings.Repeat("x", 2_000))
	wants(map[string]int64{"r.a": 15_000, "r.b": 2_000})
	if err := l.Purge(t.Context(), "r.a", last); err != nil {
		t.Fatal(err)
	}
	wants(map[string]int64{"r.a": 5_000, "r.b": 2_000})
}

func erases(t *testing.T, l bus.Log) {
	for range 2 { // again: there is nothing
		if err := l.Erase(t.Context(), "r.a"); err != nil {
			t.Fatalf("erase nothing: %v", err)
		}
	}
	var last uint64
	for i := range 3 {
		store(t, l, "r.b", 0, fmt.Sprint("b", i))
		last = store(t, l, "r.a", last, fmt.Sprint("a", i))
		if i < 2 {
			if err := l.Erase(t.Context(), "r.b"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Erase(t.Context(), "r.a"); err != nil {
		t.Fatal(err)
	}
	WantLog(t, l, "r.a", 0)
	WantLog(t, l, "r.b", 0, "b2")
	if n := store(t, l, "r.a", 0, "anew"); n <= last {
		t.Errorf("number %d after %d", n, last)
	}
	WantLog(t, l, "r.a", 0, "anew")
	if err := l.Erase(t.Context(), "r.*"); !errors.Is(err, bus.ErrSubject) {
		t.Errorf("what is no subject: got %v", err)
	}
	WantLog(t, l, "r.b", 0, "b2")
}

func fullLog(t *testing.T, l bus.Log) {
	var last uint64
	kept := 0
	for {
		n, err := l.Append(t.Context(), "r.a", last, make([]byte, 4<<10))
		if errors.Is(err, bus.ErrFull) {
			break
		}
		if err != nil || kept > 16 {
			t.Fatalf("after %d messages of 4 KiB in 64: %v", kept, err)
		}
		last = n
		kept++
	}
	if kept < 10 {
		t.Errorf("full after %d messages of 4 KiB in 64", kept)
	}
	if err := l.Purge(t.Context(), "r.a", last); err != nil {
		t.Fatal(err)
	}
	store(t, l, "r.a", last, "there is room")
}

func readsLarge(t *testing.T, l bus.Log) {
	var last uint64
	for i := range 16 {
		last = store(t, l, "r.a", last, string(bytes.Repeat([]byte{byte(i)}, bus.MaxStoredBytes)))
	}
	n := 0
	err := l.Read(t.Context(), "r.a", 0, func(m bus.Stored) error {
		if len(m.Bytes) != bus.MaxStoredBytes || m.Bytes[0] != byte(n) {
			t.Errorf("message %d has %d bytes, the first is %d", n, len(m.Bytes), m.Bytes[0])
		}
		n++
		return nil
	})
	if err != nil || n != 16 {
		t.Errorf("read %d of 16, %v", n, err)
	}
	n = 0
	err = l.Read(t.Context(), "r.a", 0, func(bus.Stored) error {
		n++
		return l.Purge(t.Context(), "r.a", last+1)
	})
	if err != nil || n == 0 || n > 16 {
		t.Errorf("read %d while they were purged, %v", n, err)
	}
	WantLog(t, l, "r.a", 0)
}

func readsCopies(t *testing.T, l bus.Log) {
	b := []byte("as it was")
	if _, err := l.Append(t.Context(), "r.a", 0, b); err != nil {
		t.Fatal(err)
	}
	copy(b, "XX")
	stop := errors.New("stop")
	err := l.Read(t.Context(), "r.a", 0, func(m bus.Stored) error {
		copy(m.Bytes, "YY")
		return stop
	})
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	WantLog(t, l, "r.a", 0, "as it was")
}

func logLimits(t *testing.T, l bus.Log) {
	for _, subject := range []string{"", "a.", "a.*", "a.>", ">", "a b", "a\x00", "ä"} {
		_, appendErr := l.Append(t.Context(), subject, 0, nil)
		_, firstErr := l.First(t.Context(), subject)
		_, lastErr := l.Last(t.Context(), subject)
		for what, err := range map[string]error{
			"Append": appendErr, "First": firstErr, "Last": lastErr, "Purge": l.Purge(t.Context(), subject, 1), "Erase": l.Erase(t.Context(), subject),
			"Read": l.Read(t.Context(), subject, 0, func(bus.Stored) error { return nil }),
		} {
			if !errors.Is(err, bus.ErrSubject) {
				t.Errorf("%s on %q: got %v, want ErrSubject", what, subject, err)
			}
		}
	}
	if _, err := l.Append(t.Context(), "r.a", 0, make([]byte, bus.MaxStoredBytes+1)); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	store(t, l, "r.a", 0, string(bytes.Repeat([]byte("x"), bus.MaxStoredBytes)))
}

func logContext(t *testing.T, l bus.Log) {
	store(t, l, "r.a", 0, "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, appendErr := l.Append(ctx, "r.a", 1, nil)
	_, firstErr := l.First(ctx, "r.a")
	_, lastErr := l.Last(ctx, "r.a")
	_, sizeErr := l.Size(ctx)
	_, sizesErr := l.Sizes(ctx)
	for what, err := range map[string]error{
		"Append": appendErr, "First": firstErr, "Last": lastErr, "Size": sizeErr, "Sizes": sizesErr, "Erase": l.Erase(ctx, "r.a"), "Purge": l.Purge(ctx, "r.a", 1), "Read": l.Read(ctx, "r.a", 0, func(bus.Stored) error { return nil }),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

func closedLog(t *testing.T, l bus.Log) {
	store(t, l, "r.a", 0, "x")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, appendErr := l.Append(t.Context(), "r.a", 1, nil)
	_, firstErr := l.First(t.Context(), "r.a")
	_, lastErr := l.Last(t.Context(), "r.a")
	_, sizeErr := l.Size(t.Context())
	_, sizesErr := l.Sizes(t.Context())
	for what, err := range map[string]error{
		"Append": appendErr, "First": firstErr, "Last": lastErr, "Size": sizeErr, "Sizes": sizesErr, "Erase": l.Erase(t.Context(), "r.a"), "Purge": l.Purge(t.Context(), "r.a", 1),
		"Read": l.Read(t.Context(), "r.a", 0, func(bus.Stored) error { return nil }),
	} {
		if !errors.Is(err, bus.ErrClosed) {
			t.Errorf("%s: got %v, want ErrClosed", what, err)
		}
	}
}
