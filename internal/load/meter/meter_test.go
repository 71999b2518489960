package meter

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/load/source"
)

var start = time.Unix(1_700_000_000, 0)

func at(d time.Duration) time.Time { return start.Add(d) }

const ms = time.Millisecond

// Quantiles are within 3 % of the exact ones, the maximum is exact, and merging is adding.
func TestHistogram(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var a, b, sum Histogram
	var all []time.Duration
	for i := range 20_000 {
		d := time.Duration(random.ExpFloat64()*20_000) * time.Microsecond
		all = append(all, d)
		if i%2 == 0 {
			a.Add(d)
		} else {
			b.Add(d)
		}
	}
	sum.Merge(&a)
	sum.Merge(&b)
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.95, 0.99, 1} {
		exact := all[min(int(q*float64(len(all))), len(all)-1)]
		if got := sum.Quantile(q); got < exact*97/100-ms/1000 || got > exact*103/100+ms/1000 {
			t.Errorf("%v: %v in place of %v", q, got, exact)
		}
	}
	if sum.Count() != 20_000 || sum.Max() != all[len(all)-1] {
		t.Errorf("%d, at most %v", sum.Count(), sum.Max())
	}
	var none, odd Histogram
	odd.Add(-time.Second)
	odd.Add(time.Hour)
	if none.Quantile(0.5) != 0 || odd.Quantile(0) > ms/1000 || odd.Quantile(1) < time.Minute {
		t.Errorf("%v, %v, %v", none.Quantile(0.5), odd.Quantile(0), odd.Quantile(1))
	}
}

// Every bucket begins where the one before ends.
func TestBuckets(t *testing.T) {
	for i := range buckets {
		if got := bucket(lower(i)); got != i {
			t.Fatalf("%v is in bucket %d, not %d", lower(i), got, i)
		}
		if i > 0 && bucket(lower(i)-1) != i-1 {
			t.Fatalf("%v is not in bucket %d", lower(i)-1, i-1)
		}
	}
}

// A packet is lost when neither it nor its repair comes; what comes twice counts once; what came before Begin does not count.
func TestLoss(t *testing.T) {
	var s sequence
	for _, n := range []uint16{65533, 65534, 1, 65535, 65535, 4} { // 0, 2 and 3 are missing
		s.note(start, n, false, true)
	}
	if s.received != 5 || s.lost() != 3 || s.repaired != 0 {
		t.Errorf("%d received, %d lost", s.received, s.lost())
	}
	s.note(start, 2, true, true)
	if s.received != 6 || s.lost() != 2 || s.repaired != 1 {
		t.Errorf("%d received, %d lost, %d repaired", s.received, s.lost(), s.repaired)
	}
	s.begin()
	s.note(start, 3, true, true)
	s.note(start, 5, false, true)
	if s.received != 1 || s.lost() != 0 || s.repaired != 0 {
		t.Errorf("after begin: %d received, %d lost, %d repaired", s.received, s.lost(), s.repaired)
	}
	if s.note(start, 64000, false, true) {
		t.Error("a number from long ago is new")
	}
}

// Missing numbers are asked for at once, again after a round trip as measured, ten times at most; and never more than maxMissing.
func TestRepairsAreAskedFor(t *testing.T) {
	var s sequence
	ask := func(d time.Duration) []uint16 { return s.asks(at(d), nil) }
	s.note(at(0), 1, false, true)
	s.note(at(0), 4, false, true)
	if got := ask(0); !slices.Equal(got, []uint16{2, 3}) {
		t.Errorf("at once: %v", got)
	}
	if got := ask(50 * ms); got != nil {
		t.Errorf("too soon: %v", got)
	}
	s.note(at(60*ms), 2, true, true) // a round trip of 60 ms, seen once: (60 + 3·10) / 4
	if got := ask(60 * ms); !slices.Equal(got, []uint16{3}) {
		t.Errorf("after a round trip: %v", got)
	}
	tries := 2
	for d := 60 * ms; d < 5*time.Second; d += 10 * ms {
		tries += len(ask(d))
	}
	if tries != maxAsks || len(s.missing) != 0 {
		t.Errorf("%d tries, then %v", tries, s.missing)
	}
	s.note(at(0), 4+1000, false, true)
	if n := len(ask(time.Minute)); n != maxMissing {
		t.Errorf("%d asked for at a time", n)
	}
}

// view is a Receiver with one participant, whose picture comes by slot 1 and whose sound by slot 0.
func view() *Receiver {
	r := NewReceiver(start, map[uint32]bool{7: true, 8: true, 9: true})
	r.Publish(at(10*ms), "p1", 7, true, true)
	r.Publish(at(10*ms), "p2", 8, false, true)
	for mid, id := range map[string]string{"1": "p1", "0": "p2"} {
		r.Subscription(at(10*ms), id, true)
		r.Fill(at(10*ms), mid, id)
	}
	return r
}

// film feeds frames at 50 a second: those of number from to below to, two packets each.
type film struct {
	r   *Receiver
	seq uint16
	key bool
}

func (f *film) frames(from, to uint32, skip ...uint32) (asked []time.Duration) {
	for n := from; n < to; n++ {
		now := at(time.Duration(n) * 20 * ms)
		for part := range uint16(2) {
			f.seq++
			if slices.Contains(skip, n) && part == 1 {
				continue
			}
			w := f.r.Packet(now, Packet{Mid: "1", Video: true, Seq: f.seq, Size: 1000, Stamped: true, Stamp: source.Stamp{
				Source: 7, Frame: n, Part: part, Parts: 2, Key: f.key || n == 1, Sent: now.Add(-3 * ms),
			}})
			if w.Key {
				asked = append(asked, now.Sub(start))
			}
		}
		f.key = false
	}
	return asked
}

// A call without loss: the first picture is timed from the beginning of the join, and nothing is lost or frozen.
func TestGoodCall(t *testing.T) {
	r := view()
	f := &film{r: r}
	f.frames(1, 50)
	r.Packet(at(30*ms), Packet{Mid: "0", Seq: 9, Size: 100, Stamped: true, Stamp: source.Stamp{Source: 8, Parts: 1, Key: true, Sent: at(25 * ms)}})
	f.r.Begin(at(time.Second))
	f.frames(50, 100)
	got := r.Result(at(1990 * ms))
	if len(got.FirstPictures) != 1 || got.FirstPictures[0] != 20*ms || len(got.FirstSounds) != 1 || got.FirstSounds[0] != 30*ms {
		t.Errorf("first: %v, %v", got.FirstPictures, got.FirstSounds)
	}
	v := got.Video
	if v.Tracks != 1 || v.Packets != 100 || v.Lost != 0 || v.Bytes != 100_000 || v.Frames != 50 || v.Freezes != 0 || v.Watched != 990*ms {
		t.Errorf("video %+v", v)
	}
	if v.Delay.Count() != 100 || v.Delay.Max() != 3*ms || got.Span != 990*ms || got.Sound.Packets != 0 || got.Unseen+got.Unheard+got.Misdirected != 0 {
		t.Errorf("%+v", got)
	}
}

// A lost packet holds the picture until a key frame: it is asked for after patience, once a second; the pause is one freeze.
func TestFreeze(t *testing.T) {
	r := view()
	f := &film{r: r}
	f.frames(1, 50)
	asked := f.frames(50, 150, 50)
	if want := []time.Duration{1500 * ms, 2500 * ms}; !slices.Equal(asked, want) {
		t.Errorf("a key frame was asked for at %v, not %v", asked, want)
	}
	if got := r.Result(at(2980 * ms)).Video; got.Freezes != 1 || got.Frozen != 2*time.Second {
		t.Errorf("while it lasts: %d freezes, %v", got.Freezes, got.Frozen)
	}
	f.key = true
	f.frames(150, 200)
	if got := r.Result(at(3980 * ms)).Video; got.Freezes != 1 || got.Frozen != 2020*ms || got.Frames != 49+50 || got.Lost != 1 {
		t.Errorf("afterwards: %d freezes, %v, %d frames, %d lost", got.Freezes, got.Frozen, got.Frames, got.Lost)
	}
}

// A repair in time shows the frames that waited for it, and is no freeze.
func TestRepairInTime(t *testing.T) {
	r := view()
	f := &film{r: r}
	f.frames(1, 50)
	f.frames(50, 53, 50)
	w := r.Packet(at(1060*ms), Packet{Mid: "1", Video: true, Seq: 2 * 50, Size: 1000, Repair: true, Stamped: true, Stamp: source.Stamp{
		Source: 7, Frame: 50, Part: 1, Parts: 2, Sent: at(1000 * ms),
	}})
	f.frames(53, 60)
	if got := r.Result(at(1180 * ms)).Video; got.Freezes != 0 || got.Lost != 0 || got.Repaired != 1 || got.Frames != 59 || w.Key || len(w.Repairs) > 0 {
		t.Errorf("%+v, %+v", got, w)
	}
}

// The lines of the W3C's definition: three times the average of up to 30 intervals, or the average and 150 ms, whichever is longer.
func TestFreezeThreshold(t *testing.T) {
	for _, c := range []struct {
		interval, gap time.Duration
		freeze        bool
	}{
		{20 * ms, 169 * ms, false},
		{20 * ms, 170 * ms, true},
		{100 * ms, 299 * ms, false},
		{100 * ms, 300 * ms, true},
		{75 * ms, 225 * ms, true},
	} {
		var p picture
		now := start
		for i := range 40 {
			if i < 5 {
				now = now.Add(time.Second) // too long ago to count
			} else {
				now = now.Add(c.interval)
			}
			p.show(now)
		}
		before := p.freezes
		p.show(now.Add(c.gap))
		if got := p.freezes > before; got != c.freeze {
			t.Errorf("%v after intervals of %v: %v", c.gap, c.interval, got)
		}
	}
}

// While the server does not forward a publication, its picture may stand still, and it is not waited for.
func TestPausedBySubscription(t *testing.T) {
	r := view()
	f := &film{r: r}
	f.frames(1, 50)
	r.Subscription(at(990*ms), "p1", false)
	r.Subscription(at(5*time.Second), "p1", true)
	f.seq = 100
	f.key = true
	f.frames(300, 310)
	if got := r.Result(at(6200 * ms)); got.Video.Freezes != 0 || got.Video.Watched > 1500*ms || got.Unseen != 0 || got.Unheard != 1 {
		t.Errorf("%+v", got)
	}
	r.Subscription(at(6300*ms), "p2", false)
	if got := r.Result(at(6300 * ms)); got.Unheard != 0 {
		t.Errorf("%+v", got)
	}
}

// Another encoding begins with a key frame, which replaces the one of the same number.
func TestSwitchOfEncoding(t *testing.T) {
	r := view()
	seq := uint16(0)
	feed := func(encoding uint8, frame uint32, key bool) {
		seq++
		now := at(time.Duration(frame) * 20 * ms)
		r.Packet(now, Packet{Mid: "1", Video: true, Seq: seq, Stamped: true, Stamp: source.Stamp{Source: 7, Encoding: encoding, Frame: frame, Parts: 1, Key: key, Sent: now}})
	}
	feed(0, 1, true)
	feed(0, 2, false)
	feed(2, 2, false) // builds on what never came
	feed(2, 3, false)
	feed(0, 3, false)
	feed(2, 3, true)
	feed(2, 4, false)
	feed(0, 4, false) // of no use any more
	feed(2, 5, false)
	if got := r.Result(at(100 * ms)).Video; got.Frames != 5 || got.Freezes != 0 || got.Sizes != [Sizes]int{3, 0, 2} {
		t.Errorf("%+v", got)
	}
}

// A slot that changes hands brings no freeze; what is on its way when it does is nobody's fault, but what comes of another
// participant, or of another room, is.
func TestMisdirected(t *testing.T) {
	r := view()
	f := &film{r: r}
	f.frames(1, 50)
	r.Publish(at(time.Second), "p3", 9, true, false)
	r.Fill(at(time.Second), "1", "p3")
	if f.frames(50, 52); r.Result(at(2*time.Second)).Misdirected != 0 {
		t.Error("late packets count")
	}
	send := func(d time.Duration, of uint32) {
		f.seq++
		r.Packet(at(d), Packet{Mid: "1", Video: true, Seq: f.seq, Stamped: true, Stamp: source.Stamp{Source: of, Frame: 1, Parts: 1, Key: true, Sent: at(d)}})
	}
	send(1200*ms, 9)
	send(1300*ms, 66) // of another room
	send(3*time.Second, 7)
	got := r.Result(at(3 * time.Second))
	if got.Misdirected != 2 || len(got.FirstPictures) != 2 || got.FirstPictures[1] != 200*ms || got.Video.Freezes != 1 {
		t.Errorf("%+v", got)
	}
	r.Unpublish(at(4*time.Second), "p3")
	send(6*time.Second, 7) // the slot is empty
	if got := r.Result(at(7 * time.Second)); got.Misdirected != 2 || len(got.FirstPictures) != 2 {
		t.Errorf("%+v", got)
	}
}

// Whatever a server sends, what is remembered stays bounded.
func TestLimits(t *testing.T) {
	r := NewReceiver(start, map[uint32]bool{1: true})
	for i := range 2 * maxKnown {
		id := string(rune('a' + i))
		r.Publish(start, id, 1, true, false)
		r.Fill(start, id, id)
		for frame := range uint32(3 * maxFrames) {
			r.Packet(start, Packet{Mid: id, Video: true, Seq: uint16(frame * 2), Stamped: true, Stamp: source.Stamp{Source: 1, Frame: frame, Parts: 2}})
		}
	}
	if len(r.publications) != maxKnown || len(r.slots) != maxKnown {
		t.Errorf("%d publications, %d slots", len(r.publications), len(r.slots))
	}
}
