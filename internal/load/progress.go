package load

import (
	"fmt"
	"io"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Progress shows how far a run is: on a terminal as a bar, elsewhere as a line for each phase.
type Progress struct {
	// static after construction
	out      io.Writer
	terminal bool

	// owned by the caller
	last  Status
	begun bool
	bars  *mpb.Progress // nil: not on a terminal, or nothing to show
	bar   *mpb.Bar

	// atomic
	text atomic.Pointer[string] // what stands behind the bar; mpb's goroutine reads it
}

// barWidth is the width of a bar in columns: with its texts it fits into 80.
const barWidth = 24

// NewProgress returns one that writes to out, which may be a terminal.
func NewProgress(out io.Writer, terminal bool) *Progress {
	return &Progress{out: out, terminal: terminal}
}

// Show shows a status. It is called by one goroutine.
func (p *Progress) Show(s Status) {
	fresh := !p.begun || s.Phase != p.last.Phase
	if fresh {
		p.Close()
	}
	p.last, p.begun = s, true
	switch {
	case !p.terminal && fresh:
		fmt.Fprintln(p.out, s.line())
	case p.terminal && s.Phase != Leaving:
		p.draw(s)
	}
}

// line is a phase without a terminal.
func (s Status) line() string {
	switch s.Phase {
	case Joining:
		return fmt.Sprintf("joining %s", plural(s.Clients, "client"))
	case Measuring:
		return fmt.Sprintf("%d have joined, %d failed; measuring for %v", s.Joined, s.Failed, s.Duration)
	}
	return "leaving"
}

// draw shows a bar.
func (p *Progress) draw(s Status) {
	total, current, text := int64(s.Clients), int64(s.Joined+s.Failed), fmt.Sprintf("%d of %d", s.Joined, s.Clients)
	name := "joining"
	if s.Phase == Measuring {
		total, current, name = s.Duration.Milliseconds(), s.Elapsed.Milliseconds(), "measuring"
		text = fmt.Sprintf("%v of %v  %v  lost %.2f %%", seconds(s.Elapsed.Seconds()), seconds(s.Duration.Seconds()), s.Received, percent(s.Lost, s.Lost+s.Packets))
	}
	if s.Failed > 0 {
		text += fmt.Sprintf("  %d failed", s.Failed)
	}
	p.text.Store(&text)
	if p.bar == nil {
		p.bars = mpb.New(mpb.WithOutput(p.out), mpb.WithWidth(barWidth))
		p.bar = p.bars.New(total, mpb.BarStyle().Lbound("").Rbound("").Filler("━").Tip("━").Padding("─"), mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-9s ", name))), mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return " " + *p.text.Load() })))
	}
	p.bar.SetCurrent(current)
}

// Close takes the bar away.
func (p *Progress) Close() {
	if p.bar != nil {
		p.bar.Abort(true)
		p.bars.Wait()
		p.bar, p.bars = nil, nil
	}
}
