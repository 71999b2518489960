package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/load"
)

// progress shows how far a soak is: a bar on a terminal, a line a minute elsewhere.
type progress struct {
	out      *os.File
	terminal bool
	told     time.Time
	shown    bool
}

func newProgress(out *os.File) *progress {
	_, err := unix.IoctlGetWinsize(int(out.Fd()), unix.TIOCGWINSZ)
	return &progress{out: out, terminal: err == nil}
}

func (p *progress) show(name string, s load.Status) {
	switch s.Phase {
	case load.Joining:
		p.line(fmt.Sprintf("%s: %d of %d have joined", name, s.Joined, s.Clients), 0)
	case load.Measuring:
		done := float64(s.Elapsed) / float64(max(s.Duration, 1))
		p.line(fmt.Sprintf("%s: %v of %v, %v received", name, s.Elapsed.Round(time.Second), s.Duration, s.Received), done)
	case load.Leaving:
		p.line(name+": everybody leaves", 1)
	}
}

func (p *progress) wait(d, limit time.Duration) {
	p.line(fmt.Sprintf("waiting until nothing is left: %v of at most %v", d.Round(time.Second), limit), float64(d)/float64(limit))
}

const (
	barWidth  = 30
	lineEvery = time.Minute
)

func (p *progress) line(text string, done float64) {
	now := time.Now()
	switch {
	case p.terminal:
		full := int(min(max(done, 0), 1) * barWidth)
		fmt.Fprintf(p.out, "\r\033[K%s%s %s", strings.Repeat("█", full), strings.Repeat("░", barWidth-full), text)
		p.shown = true
	case now.Sub(p.told) >= lineEvery:
		fmt.Fprintln(p.out, text)
		p.told = now
	}
}

func (p *progress) close() {
	if p.shown {
		fmt.Fprint(p.out, "\r\033[K")
	}
}
