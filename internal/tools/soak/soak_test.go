package main

import (
	"errors"
	"strings"
	"testing"
)

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
		v := verdict{before: held("", 0), after: x.after, failed: x.failed}
		var out strings.Builder
		good := v.print(&out)
		if reached := x.after.reached(v.before); good != x.good || reached != x.good && x.failed == nil {
			t.Errorf("%s: passed %v, settled %v\n%s", x.name, good, reached, out.String())
		}
	}
}
