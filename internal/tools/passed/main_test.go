package main

import (
	"strings"
	"testing"
)

// Leaves are counted, not their parents; a package that fails outside a test is one failure; the output of what failed is shown
// in full and that of what passed is not; what failed is told in short too.
func TestReport(t *testing.T) {
	for _, c := range []struct{ name, in, summary, shown, hidden string }{
		{
			"subtests",
			`{"Action":"run","Package":"p","Test":"A"}
{"Action":"run","Package":"p","Test":"A/x"}
{"Action":"output","Package":"p","Test":"A/x","Output":"quiet\n"}
{"Action":"pass","Package":"p","Test":"A/x"}
{"Action":"run","Package":"p","Test":"A/y"}
{"Action":"output","Package":"p","Test":"A/y","Output":"loud\n"}
{"Action":"fail","Package":"p","Test":"A/y"}
{"Action":"fail","Package":"p","Test":"A"}
{"Action":"fail","Package":"p"}`, "s: 1 passed, 1 failed", "loud", "quiet",
		},
		{
			"itself, though its subtests passed",
			`{"Action":"run","Package":"p","Test":"A"}
{"Action":"run","Package":"p","Test":"A/x"}
{"Action":"output","Package":"p","Test":"A","Output":"loud\n"}
{"Action":"pass","Package":"p","Test":"A/x"}
{"Action":"fail","Package":"p","Test":"A"}
{"Action":"fail","Package":"p"}`, "s: 1 passed, 1 failed", "loud", "quiet",
		},
		{
			"build",
			`{"ImportPath":"p","Action":"build-output","Output":"p.go:1: no\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"fail","Package":"p","FailedBuild":"p"}`, "s: 0 passed, 1 failed", "p.go:1: no", "quiet",
		},
		{
			"panic between tests",
			`{"Action":"run","Package":"p","Test":"A"}
{"Action":"pass","Package":"p","Test":"A"}
{"Action":"output","Package":"p","Output":"panic: no\n"}
{"Action":"fail","Package":"p"}`, "s: 1 passed, 1 failed", "panic: no", "quiet",
		},
		{
			"cut short by the time limit",
			`{"Action":"run","Package":"p","Test":"A"}
{"Action":"output","Package":"p","Test":"A","Output":"panic: test timed out after 5m\n"}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"fail","Package":"p"}`, "s: 0 passed, 1 failed", "panic: test timed out", "quiet",
		},
		{"lines that are not events", "warning: odd", "s: 0 passed, 0 failed", "warning: odd", "quiet"},
		{
			"no tests, skipped",
			`{"Action":"skip","Package":"q"}
{"Action":"skip","Package":"p","Test":"A"}`, "s: 0 passed, 0 failed, 1 skipped", "", "quiet",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			r := newReport(&out)
			r.read(strings.NewReader(c.in))
			if got := r.summary("s"); got != c.summary {
				t.Errorf("summary %q, want %q", got, c.summary)
			}
			if !strings.Contains(out.String(), c.shown) || strings.Contains(out.String(), c.hidden) {
				t.Errorf("shown: %q", out.String())
			}
			told := r.inShort.String()
			if r.failed > 0 && !strings.Contains(told, c.shown) || r.failed == 0 && told != "" {
				t.Errorf("told in short: %q", told)
			}
		})
	}
}
