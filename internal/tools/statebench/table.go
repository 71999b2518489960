package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// row is one figure.
type row struct {
	what, figure, bar string
	reached           bool // of rows with a bar
	beside            string
}

// table is what a run has found.
type table struct{ rows []row }

func (t *table) add(r row) { t.rows = append(t.rows, r) }

// atLeast adds a figure that shall not be less.
func (t *table) atLeast(what string, x, bar float64, unit, beside string) {
	t.add(row{what, fmt.Sprintf("%.0f %s", x, unit), fmt.Sprintf("≥ %.0f", bar), x >= bar, beside})
}

// atMost adds a figure that shall not be more.
func (t *table) atMost(what string, x, bar float64, unit, beside string) {
	t.add(row{what, fmt.Sprintf("%.1f %s", x, unit), fmt.Sprintf("≤ %.1f", bar), x <= bar, beside})
}

// tell adds a figure for which there is no bar.
func (t *table) tell(what, figure, beside string) {
	t.add(row{what: what, figure: figure, beside: beside})
}

func (t *table) print(out io.Writer) {
	for _, r := range t.rows {
		mark := " "
		if r.bar != "" {
			mark = "✗"
			if r.reached {
				mark = "✓"
			}
		}
		fmt.Fprintf(out, "%-44s %24s  %-9s %s  %s\n", r.what, r.figure, r.bar, mark, r.beside)
	}
}

// delays are how long things took.
type delays []time.Duration

// at returns the delay that such a part of all is within; 0 where there are none. It sorts them.
func (d delays) at(part float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(int(part*float64(len(d))), len(d)-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// String tells the middle, and the tail.
func (d delays) String() string {
	return fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", milliseconds(d.at(0.5)), milliseconds(d.at(0.99)))
}
