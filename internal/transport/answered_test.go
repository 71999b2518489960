package transport_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
)

// farPublisher sends video, of which each tenth packet is lost, and receives nothing. It answers each request for repair.
type farPublisher struct {
	*call
	t     *testing.T
	now   time.Time
	seq   uint16 // of video
	rtx   uint16
	delay time.Duration // each way
	// under way: to the server numbers that are repaired, from it the requests
	repairs, requests []underWay
	asked             map[uint16]int
	missing           map[uint16]bool
	deaf, lossless    bool // nothing reaches it; all that it sends arrives
}

type underWay struct {
	at     time.Time
	number uint16
}

func newFarPublisher(t *testing.T, delay time.Duration) *farPublisher {
	t.Helper()
	return &farPublisher{call: newCall(t), t: t, now: start, delay: delay, asked: map[uint16]int{}, missing: map[uint16]bool{}}
}

// run lets time pass, in which packets come every 20 ms.
func (f *farPublisher) run(d time.Duration) {
	f.t.Helper()
	for end := f.now.Add(d); f.now.Before(end); f.now = f.now.Add(time.Millisecond) {
		if f.now.Sub(start)%(20*time.Millisecond) == 0 {
			if f.seq++; f.seq%10 == 0 && !f.lossless {
				f.missing[f.seq] = true
			} else {
				f.packet(f.t, f.now, f.seq, mid0, payload(f.seq == 1))
			}
		}
		if f.now.Sub(start)%(5*time.Second) == 0 {
			f.pub.check(f.now) // consent
		}
		f.answer()
		f.pub.transport.Timeout(f.now, &f.pub.result)
		_, control := f.pub.received()
		for _, n := range nacks(f.t, control) {
			f.asked[n]++
			if !f.deaf {
				f.requests = append(f.requests, underWay{f.now.Add(f.delay), n})
			}
		}
		f.router.EndBatch()
	}
}

// answer lets arrive what is due.
func (f *farPublisher) answer() {
	for ; len(f.requests) > 0 && !f.now.Before(f.requests[0].at); f.requests = f.requests[1:] {
		f.repairs = append(f.repairs, underWay{f.now.Add(f.delay), f.requests[0].number})
	}
	for ; len(f.repairs) > 0 && !f.now.Before(f.repairs[0].at); f.repairs = f.repairs[1:] {
		f.rtx++
		h := rtp.Header{PayloadType: 97, SequenceNumber: f.rtx, Timestamp: 1000, SSRC: 78}
		number := f.repairs[0].number
		r := f.pub.send(f.now, h, mid0, append(binary.BigEndian.AppendUint16(nil, number), payload(false)...))
		delete(f.missing, number)
		if r != drop.None && r != drop.RtpDuplicate {
			f.t.Fatal(r)
		}
	}
}

// most is how often one number has been asked for since the last call.
func (f *farPublisher) most() (times int) {
	for _, n := range f.asked {
		times = max(times, n)
	}
	f.asked = map[uint16]int{}
	return times
}

// Repairs alone tell how far away a publisher is that receives nothing. Each loss is asked for once, and where the way becomes longer, soon once
// again.
func TestRepairsTellRoundTrip(t *testing.T) {
	for _, c := range []struct{ before, after time.Duration }{
		{71 * time.Millisecond, 71 * time.Millisecond},
		{20 * time.Millisecond, 90 * time.Millisecond},
		{110 * time.Millisecond, 15 * time.Millisecond},
	} {
		f := newFarPublisher(t, c.before)
		f.run(3 * time.Second)
		f.most()
		f.run(3 * time.Second)
		if n := f.most(); n != 1 {
			t.Errorf("%v away: a packet is asked for %d times", c.before, n)
		}
		f.delay = c.after
		f.run(6 * time.Second)
		f.most()
		f.run(3 * time.Second)
		if n := f.most(); n != 1 {
			t.Errorf("%v away after %v: a packet is asked for %d times", c.after, c.before, n)
		}
	}
}

// While a publisher does not hear for half a second, as when its network changes, requests last longer than that where a round trip is long.
func TestRequestsOutlastDeafness(t *testing.T) {
	f := newFarPublisher(t, 71*time.Millisecond)
	f.run(3 * time.Second)
	f.deaf = true
	f.run(500 * time.Millisecond)
	f.deaf, f.lossless = false, true
	f.run(time.Second)
	if len(f.missing) > 0 {
		t.Errorf("%d packets have not been repaired", len(f.missing))
	}
}
