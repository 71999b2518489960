package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/host"
)

// serverVariable makes a process of this test the server.
const serverVariable = "SOAK_TEST_SERVER" // not PARLEY_…, which would be a setting

func TestMain(m *testing.M) {
	if os.Getenv(serverVariable) != "" {
		os.Exit(host.Main(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// Seconds of a soak, the server a process of its own: of 2 rooms of 3, and of some 28 visits, a third of them calls of two, nothing is left,
// not one goroutine, descriptor, room, session or Transport. Live heap moves by some percent in so short a time; a quarter of it is 100 KiB
// for each client with media, and a Transport that is not freed takes ten times as much. Nothing here has to be quick: what is waited for
// has a minute.
func TestScenarioSoak(t *testing.T) {
	t.Setenv(serverVariable, "1")
	out, err := os.Create(t.TempDir() + "/progress")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s := soak{
		binary: os.Args[0], rooms: 2, people: 3, warmUp: 2 * time.Second, duration: 7 * time.Second,
		visitEvery: 250 * time.Millisecond, callEvery: 3, idle: time.Second, tolerance: 0.25,
	}
	v, err := s.run(context.Background(), out)
	if err != nil {
		t.Fatal(err)
	}
	var report strings.Builder
	if good := v.print(&report); !good || v.visits == 0 {
		t.Errorf("%d visits", v.visits)
	}
	t.Log(report.String())
}

// Metrics are summed over their labels, and comments are none.
func TestParse(t *testing.T) {
	c, err := parse(strings.NewReader("# HELP a text with 1 number\n# TYPE a gauge\na 2\nb{x=\"1\",y=\"a b\"} 3\nb{x=\"2\"} 4.5e+03\n"))
	if err != nil || len(c) != 2 || c["a"] != 2 || c["b"] != 4503 {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := parse(strings.NewReader("a x\n")); err == nil {
		t.Error("what is no number was taken")
	}
}

// Of many scrapes the least counts, metric by metric.
func TestLeast(t *testing.T) {
	var c counts
	for _, o := range []counts{{"a": 3, "b": 1}, {"a": 2, "b": 5}, {"a": 4, "b": 2}} {
		c = c.least(o)
	}
	if len(c) != 2 || c["a"] != 2 || c["b"] != 1 {
		t.Errorf("%v", c)
	}
}

// Nobody is left where all that counts clients is 0.
func TestEmpty(t *testing.T) {
	if c := (counts{"go_goroutines": 12, "parley_rooms": 0}); !c.empty() {
		t.Error("a server without clients is not empty")
	}
	for _, name := range clientMetrics {
		if c := (counts{name: 1}); c.empty() {
			t.Errorf("%s is 1, and nobody is left", name)
		}
	}
}

// A soak has passed where nothing is held beyond what was held before, of the heap 5 % more, and every visit succeeded.
func TestVerdict(t *testing.T) {
	held := func(name string, value float64) counts {
		c := counts{heapMetric: 1000}
		for _, x := range exact {
			c[x] = 10
		}
		if name != "" {
			c[name] = value
		}
		return c
	}
	for _, x := range []struct {
		name   string
		after  counts
		failed []error
		good   bool
	}{
		{"as before", held("", 0), nil, true},
		{"less", held("go_goroutines", 9), nil, true},
		{"a goroutine", held("go_goroutines", 11), nil, false},
		{"a file", held("process_open_fds", 11), nil, false},
		{"a room", held("parley_rooms", 11), nil, false},
		{"heap within 5 %", held(heapMetric, 1049), nil, true},
		{"heap beyond it", held(heapMetric, 1051), nil, false},
		{"a visit", held("", 0), []error{errors.New("refused")}, false},
	} {
		v := verdict{before: held("", 0), after: x.after, failed: x.failed, tolerance: 0.05}
		var out strings.Builder
		good := v.print(&out)
		if reached := x.after.within(v.before, v.tolerance); good != x.good || reached != x.good && x.failed == nil {
			t.Errorf("%s: passed %v, settled %v\n%s", x.name, good, reached, out.String())
		}
	}
}
