package load

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// WriteTable writes the report for people, in lines of less than 80 columns unless an error is longer.
func (r *Report) WriteTable(out io.Writer) error {
	var b strings.Builder
	row(&b, "server", "%s", r.Server)
	row(&b, "load", "%s, for %v", r.Load.who(), seconds(r.Seconds))
	row(&b, "media", "%s", r.Load.media())
	b.WriteByte('\n')
	r.times(&b)
	r.media(&b)
	r.clients(&b)
	r.faults(&b)
	_, err := io.WriteString(out, b.String())
	return err
}

// row writes what goes by a name.
func row(b *strings.Builder, name, format string, args ...any) {
	fmt.Fprintf(b, "  %-13s  %s\n", name, fmt.Sprintf(format, args...))
}

// who says who was there.
func (l *Load) who() string {
	who := plural(l.Publishers, "publisher")
	if l.Subscribers > 0 {
		who += " and " + plural(l.Subscribers, "subscriber")
	}
	if l.Meeting {
		who += " (meeting)"
	}
	return plural(l.Rooms, "room") + " of " + who
}

// media says what was sent.
func (l *Load) media() string {
	var media []string
	if l.Video != "none" {
		media = append(media, fmt.Sprintf("%s at %v", strings.ToUpper(l.Video), Bitrate(l.Bitrate)))
		if l.Simulcast {
			media[0] += " in three sizes"
		}
	}
	if l.Audio {
		media = append(media, "Opus")
	}
	return strings.Join(media, ", ")
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

// table aligns columns of numbers to the right, and the first to the left.
func table(b *strings.Builder, rows [][]string) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, r := range rows {
		fmt.Fprintf(w, "%-13s\t%s\t\n", r[0], strings.Join(r[1:], "\t"))
	}
	_ = w.Flush() // into memory
	b.WriteByte('\n')
}

func (r *Report) times(b *strings.Builder) {
	rows := [][]string{{"", "done", "failed", "p50", "p95", "longest"}}
	for _, t := range []struct {
		name string
		Times
		shown bool
	}{{"join", r.Joins, true}, {"first picture", r.FirstPicture, r.Video != nil}, {"first sound", r.FirstSound, r.Audio != nil}} {
		if t.shown {
			rows = append(rows, []string{t.name, strconv.Itoa(t.Done), strconv.Itoa(t.Failed), ms(t.P50), ms(t.P95), ms(t.Max)})
		}
	}
	table(b, rows)
}

func (r *Report) media(b *strings.Builder) {
	rows := [][]string{{"", "tracks", "packets", "lost", "repaired", "delay p50", "p95", "p99"}}
	for _, m := range []struct {
		name string
		*Media
	}{{"video", r.Video}, {"audio", r.Audio}} {
		if m.Media != nil {
			rows = append(rows, []string{
				m.name, strconv.Itoa(m.Tracks), strconv.Itoa(m.Packets), fmt.Sprintf("%.2f %%", m.LostPercent), strconv.Itoa(m.Repaired),
				ms(m.DelayP50), ms(m.DelayP95), ms(m.DelayP99),
			})
		}
	}
	table(b, rows)
}

func (r *Report) clients(b *strings.Builder) {
	if r.Video != nil {
		row(b, "frozen", "%s, %v of %v watched (%.2f %%)", plural(r.Frozen.Times, "time"), seconds(r.Frozen.Seconds), seconds(r.Frozen.Watched), r.Frozen.Percent)
	}
	if len(r.Sizes) > 0 {
		row(b, "sizes", "%s", shares(r.Sizes))
	}
	row(b, "received", "%v", r.Received)
	row(b, "sent", "%v", r.Sent)
	for _, reason := range r.reasons() {
		row(b, "withheld", "%s, by the server: %s", plural(r.Withheld[reason], "subscription"), reason)
	}
	used := plural(r.Machine.Cores, "core")
	if r.Machine.Used > 0 {
		used = fmt.Sprintf("%.2f of %s used", r.Machine.Used, used)
	}
	row(b, "this machine", "%s; frames left up to %s late (p99)", used, ms(r.Machine.LateP99))
	if r.Machine.Busy {
		row(b, "", "It was too busy to send on time: delays and freezes are")
		row(b, "", "partly its own. Ask for less, or keep it free of other work.")
	}
}

// shares tells how often each size was seen.
func shares(all []Size) string {
	total := 0
	for _, s := range all {
		total += s.Frames
	}
	var parts []string
	for _, s := range all {
		parts = append(parts, fmt.Sprintf("%d×%d %.0f %%", s.Width, s.Height, percent(s.Frames, total)))
	}
	return strings.Join(parts, ", ")
}

// String tells the median, and how far others are from it.
func (s Spread) String() string {
	lowest, median, highest := Bitrate(s.Lowest).String(), Bitrate(s.Median).String(), Bitrate(s.Highest).String()
	switch {
	case s.Clients == 0:
		return "nothing"
	case s.Clients == 1:
		return median + " by one client"
	case lowest == highest:
		return fmt.Sprintf("%s by each of %d clients", median, s.Clients)
	}
	return fmt.Sprintf("%s: median of %d clients (%s to %s)", median, s.Clients, lowest, highest)
}

func (r *Report) faults(b *strings.Builder) {
	if r.Interrupted {
		b.WriteString("\nInterrupted: this is what was measured until then.\n")
	}
	if len(r.Errors) == 0 {
		return
	}
	b.WriteString("\nerrors\n")
	for _, c := range r.Errors {
		fmt.Fprintf(b, "%6d ×  %s: %s\n", c.Count, c.Cause, c.Example)
		if c.Next != "" {
			fmt.Fprintf(b, "%10s→ %s\n", "", c.Next)
		}
	}
}

// ms writes milliseconds with three digits.
func ms(f float64) string {
	if f == 0 {
		return "–"
	}
	return strconv.FormatFloat(f, 'f', digits(f), 64) + " ms"
}

// seconds is a span in seconds, as a person would say it.
type seconds float64

// String implements fmt.Stringer.
func (s seconds) String() string {
	if s < 10 {
		return strings.TrimSuffix(strconv.FormatFloat(float64(s), 'f', 1, 64), ".0") + " s"
	}
	return strconv.FormatFloat(float64(s), 'f', 0, 64) + " s"
}
