// Command passed runs go test and tells how it went: one line for each package while it runs, the whole output of whatever
// failed, and as the last line "SUITE: N passed, M failed". Its exit status is 1 when anything failed. Where FAILED names a file,
// what failed is added to it in few words, for whoever runs several suites and sums them up.
//
// Usage: passed -suite NAME -- ARGUMENTS OF GO TEST
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// timeout is for what hangs: on a machine that is slow, what does not hang may take five times as long as usual.
const timeout = "15m"

func main() {
	suite := flag.String("suite", "tests", "`name` of the suite in the last line")
	flag.Parse()
	cmd := exec.Command("go", append([]string{"test", "-json", "-timeout", timeout}, flag.Args()...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "start go test:", err)
		os.Exit(2)
	}
	r := newReport(os.Stdout)
	r.read(out)
	exit := cmd.Wait()
	if exit != nil && r.failed == 0 {
		r.failed++ // go test itself went wrong; it has said why on stderr
		fmt.Println("go test:", exit)
	}
	fmt.Println(r.summary(*suite))
	if err := addTo(os.Getenv("FAILED"), r.inShort.String()); err != nil {
		fmt.Fprintln(os.Stderr, "tell what failed:", err)
	}
	if r.failed > 0 {
		os.Exit(1)
	}
}

// addTo adds text to a file, which "" stands for no file.
func addTo(file, text string) error {
	if file == "" || text == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

// event is one line of go test -json; see go doc test2json. Lines about builds have ImportPath instead of Package.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string
}

// report collects events. It keeps the output of what still runs and of nothing that passed.
type report struct {
	w                       io.Writer
	passed, failed, skipped int
	output                  map[string]*strings.Builder // by key: package, test or build
	parents                 map[string]bool             // tests that have subtests: these count, their parents only where they fail by themselves
	blamed                  map[string]bool             // tests of which a subtest has failed
	counts                  map[string]*count           // by package
	inShort                 strings.Builder             // what failed: names, and two lines of the reason of each
}

type count struct{ passed, failed int }

func newReport(w io.Writer) *report {
	return &report{w: w, output: map[string]*strings.Builder{}, parents: map[string]bool{}, blamed: map[string]bool{}, counts: map[string]*count{}}
}

func (r *report) read(in io.Reader) {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				r.event(e)
			} else {
				r.w.Write(line)
			}
		}
		if err != nil {
			return
		}
	}
}

func (r *report) event(e event) {
	key := e.Package + e.ImportPath + "\x00" + e.Test
	switch e.Action {
	case "run":
		r.above(e, r.parents)
	case "output", "build-output":
		if r.output[key] == nil {
			r.output[key] = &strings.Builder{}
		}
		r.output[key].WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.packageEnds(e, key)
		} else {
			r.testEnds(e, key)
		}
	}
}

// above marks all tests of which one is a subtest.
func (r *report) above(e event, mark map[string]bool) {
	for name, i := e.Test, strings.LastIndexByte(e.Test, '/'); i > 0; i = strings.LastIndexByte(name, '/') {
		name = name[:i]
		mark[e.Package+"\x00"+name] = true
	}
}

func (r *report) testEnds(e event, key string) {
	c := r.count(e.Package)
	leaf := !r.parents[key]
	switch e.Action {
	case "pass":
		if leaf {
			r.passed++
			c.passed++
		}
	case "skip":
		r.skipped++
	case "fail":
		if !r.blamed[key] {
			r.failed++
			c.failed++
			r.tell(e.Package+" "+e.Test, key)
		}
		r.above(e, r.blamed)
		r.show(key)
	}
	delete(r.output, key)
}

func (r *report) packageEnds(e event, key string) {
	c := r.count(e.Package)
	if e.Action == "fail" {
		r.showUnfinished(e.Package)
		if c.failed == 0 { // it did not build, or ended outside a test
			c.failed++
			r.failed++
			cause := key
			if e.FailedBuild != "" {
				cause = e.FailedBuild + "\x00"
			}
			r.tell(e.Package, cause)
		}
		if e.FailedBuild != "" {
			r.show(e.FailedBuild + "\x00")
		}
		r.show(key)
	}
	delete(r.output, key)
	if c.passed+c.failed == 0 {
		return
	}
	mark := "ok  "
	if c.failed > 0 {
		mark = "FAIL"
	}
	fmt.Fprintf(r.w, "%s %4d  %6.1fs  %s\n", mark, c.passed, time.Duration(e.Elapsed*float64(time.Second)).Seconds(), e.Package)
}

// showUnfinished shows what the tests said that the end of their package cut short: by a panic, or by the time limit.
func (r *report) showUnfinished(pkg string) {
	for _, key := range slices.Sorted(maps.Keys(r.output)) {
		if strings.HasPrefix(key, pkg+"\x00") && key != pkg+"\x00" {
			r.tell(strings.Replace(key, "\x00", " ", 1), key)
			r.show(key)
		}
	}
}

func (r *report) count(pkg string) *count {
	if r.counts[pkg] == nil {
		r.counts[pkg] = &count{}
	}
	return r.counts[pkg]
}

func (r *report) show(key string) {
	if b := r.output[key]; b != nil {
		fmt.Fprint(r.w, b.String())
	}
	delete(r.output, key)
}

// tell adds a failure to what is told in short.
func (r *report) tell(name, key string) {
	fmt.Fprintln(&r.inShort, name)
	b := r.output[key]
	if b == nil {
		return
	}
	left := 2
	for line := range strings.Lines(b.String()) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		fmt.Fprintf(&r.inShort, "    %.200s\n", line)
		if left--; left == 0 {
			return
		}
	}
}

func (r *report) summary(suite string) string {
	s := fmt.Sprintf("%s: %d passed, %d failed", suite, r.passed, r.failed)
	if r.skipped > 0 {
		s += fmt.Sprintf(", %d skipped", r.skipped)
	}
	return s
}
