package media

import (
	"fmt"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/srtp"
)

// audience are subscribers that give feedback: a Sender to which everything arrives.
type audience struct {
	counter
	now   time.Time
	ears  map[datagram.Pair]*ear
	batch *datagram.Batch
}

// ear is one of them.
type ear struct {
	pair     datagram.Pair
	next     uint16 // transport-wide number of the next packet
	arrivals bwe.Arrivals
	out      *srtp.Context
	feedback []byte
}

func newAudience(t testing.TB, transports []int) *audience {
	a := &audience{ears: map[datagram.Pair]*ear{}, batch: datagram.NewBatch()}
	for _, i := range transports {
		ctx, err := srtp.NewContext(srtp.AEADAES128GCM, keys(1))
		if err != nil {
			t.Fatal(err)
		}
		a.ears[pairOf(i)] = &ear{pair: pairOf(i), out: ctx, feedback: make([]byte, 0, 1200)}
	}
	return a
}

// Send implements Sender.
func (a *audience) Send(e *datagram.Egress) {
	a.counter.Send(e)
	for _, run := range e.Runs() {
		x := a.ears[run.Pair]
		for i := 0; x != nil && i < run.Segments; i++ {
			if b := run.B[i*run.Size:]; b[0] >= 128 && !rtp.IsRTCP(b) {
				x.arrivals.Record(x.next, a.now.Add(20*time.Millisecond))
				x.next++
			}
		}
	}
}

// answer makes a datagram of feedback for each subscriber.
func (a *audience) answer() []*datagram.Batch {
	all := []*datagram.Batch{a.batch}
	a.batch.Reset()
	for _, x := range a.ears {
		b := x.arrivals.AppendFeedback(x.feedback, 1, 1)
		last := all[len(all)-1]
		if len(b) == 0 {
			continue
		}
		if last.N == datagram.BatchSize {
			last = datagram.NewBatch()
			all = append(all, last)
		}
		sealed := last.Storage(last.N)
		last.Append(x.pair, sealed[:x.out.SealRTCP(sealed, b)])
	}
	return all
}

// measured is a publisher and subscribers with feedback, in time that the test plays.
type measured struct {
	s        *Shard
	a        *audience
	frames   []*datagram.Batch
	n        int
	feedback int           // frames between two feedback packets
	spent    time.Duration // by the shard
}

func newMeasured(t testing.TB, subscribers, frameCount int) *measured {
	s, _ := loopless(t, subscribers+1)
	fanOut(epoch, s, upTo(subscribers+1))
	m := &measured{s: s, a: newAudience(t, upTo(subscribers + 1)[1:]), frames: frames(t, frameCount), feedback: 2}
	s.cfg.Sender = m.a
	return m
}

// frame plays 33 ms: a frame, timers every 5 ms, and feedback now and then.
func (m *measured) frame() {
	m.a.now = epoch.Add(time.Duration(m.n) * 33 * time.Millisecond)
	for i := 0; m.n%150 == 149 && i < len(m.s.transports); i++ {
		m.s.check(m.a.now, i+1)
	}
	var answers []*datagram.Batch
	if m.n%m.feedback == m.feedback-1 {
		answers = m.a.answer()
	}
	begin := time.Now()
	for _, b := range answers {
		if b.N > 0 {
			m.s.read(m.a.now, b, nil)
		}
	}
	m.s.read(m.a.now, m.frames[m.n], nil)
	for range 6 {
		m.a.now = m.a.now.Add(5 * time.Millisecond)
		if next := m.s.agenda.next(); !next.IsZero() && !m.a.now.Before(next) {
			m.s.timeouts(m.a.now)
		}
	}
	m.spent += time.Since(begin)
	m.n++
}

// With feedback, once the first probes have found room, each subscriber's share of a frame still is one run, and nothing is allocated.
func TestFeedbackKeepsRuns(t *testing.T) {
	const subscribers, warm, runs = 8, 400, 50
	m := newMeasured(t, subscribers, warm+runs+1)
	for range warm {
		m.frame()
	}
	m.a.counter = counter{}
	for range runs {
		m.frame()
	}
	if c := m.s.count(); c.Estimated != subscribers || c.Probes == 0 || c.Padding == 0 || c.Estimate/subscribers < 3e6 {
		t.Errorf("%+v", c)
	}
	// A sender report is a run of its own.
	if want := runs * subscribers; m.a.runs < want || m.a.runs > want+3*subscribers {
		t.Errorf("%d datagrams in %d runs, want %d", m.a.datagrams, m.a.runs, want)
	}
}

// onSend is a Sender that calls a function.
type onSend func(*datagram.Egress)

func (f onSend) Send(e *datagram.Egress) { f(e) }
func (onSend) CloseStream(datagram.Pair) {}

// However much feedback comes with a frame, and before it, the frame has left for every subscriber when the first of it is read.
func TestMediaGoBeforeFeedback(t *testing.T) {
	const subscribers = 4
	s, _ := loopless(t, subscribers+1)
	fanOut(epoch, s, upTo(subscribers+1))
	frame := frames(t, 1)[0]
	b := datagram.NewBatch()
	for i := range subscribers {
		b.Append(pairOf(i+2), append([]byte{0x8f, 205, 0, 7}, make([]byte, 48)...)) // its tag is wrong, which counts when it is read
	}
	for _, d := range frame.D[:frame.N] {
		b.Append(d.Pair, d.B)
	}
	sent := 0
	s.cfg.Sender = onSend(func(e *datagram.Egress) {
		if sent += e.Datagrams(); s.drops[drop.SrtpAuth] > 0 && sent <= subscribers*frame.N {
			t.Errorf("%d read before the frame was sent", s.drops[drop.SrtpAuth])
		}
	})
	s.read(epoch, b, nil)
	if sent < subscribers*frame.N || s.drops[drop.SrtpAuth] != subscribers {
		t.Errorf("%d datagrams sent, drops %v", sent, s.drops)
	}
}

// BenchmarkFeedback is BenchmarkFanOut with subscribers that give feedback every 66 ms: the shard's time for each packet, its share of
// feedback, timers and probes among it.
func BenchmarkFeedback(b *testing.B) {
	for _, subscribers := range []int{10, 50, 200} {
		for name, every := range map[string]int{"none": 1 << 30, "feedback": 2} {
			b.Run(fmt.Sprintf("%d/%s", subscribers, name), func(b *testing.B) {
				n := b.N/(5*subscribers) + 2
				m := newMeasured(b, subscribers, n)
				m.feedback = every
				m.frame()
				m.spent = 0
				for range n - 1 {
					m.frame()
				}
				b.ReportMetric(float64(m.spent.Nanoseconds())/float64((n-1)*5*subscribers), "ns/packet")
			})
		}
	}
}
