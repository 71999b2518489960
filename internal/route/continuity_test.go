package route_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
)

// outgoing is one packet as the subscriber gets it.
type outgoing struct {
	number  int64
	header  rtp.Header
	payload []byte
	shot    *shot
	run     int // counts sources
	empty   bool
}

func (o *outgoing) id() uint16 { return binary.BigEndian.Uint16(o.payload[2:]) & 0x7fff }

// watcher is a subscriber that keeps everything.
type watcher struct {
	t        *testing.T
	studio   *studio
	consumer *route.Consumer
	unwrap   rtp.SequenceUnwrapper
	got      map[int64]*outgoing
	first    map[int]int64 // of each run
	last     map[int]int64
	run      int
	began    time.Time
	missed   map[int]int // packets of a run's encoding that came when it was over
}

func watch(t *testing.T, s *studio) *watcher {
	return &watcher{
		t: t, studio: s, consumer: assigned(start, s.producer), got: map[int64]*outgoing{}, first: map[int]int64{}, last: map[int]int64{}, missed: map[int]int{},
	}
}

// take forwards a batch.
func (w *watcher) take(arrived []*shot) {
	w.studio.add(arrived)
	for i := range w.studio.producer.Pending() {
		p := &w.studio.producer.Pending()[i]
		var h rtp.Header
		empty, r := w.consumer.Forward(w.studio.now, p, &h)
		if r != drop.None {
			if r == drop.TooLate || r == drop.LayerLeftOut && arrived[i].due != (time.Time{}) {
				w.missed[w.run]++
			}
			continue
		}
		if begun := w.consumer.Began(); begun != w.began {
			w.began = begun
			w.run++
			w.first[w.run] = 1 << 62
		}
		o := &outgoing{number: w.unwrap.Unwrap(h.SequenceNumber), header: h, shot: arrived[i], run: w.run, empty: empty}
		if !empty {
			o.payload = bytes.Clone(p.Payload)
		}
		if twice := w.got[o.number]; twice != nil {
			w.t.Fatalf("number %d was sent twice", o.number)
		}
		w.got[o.number] = o
		w.first[w.run], w.last[w.run] = min(w.first[w.run], o.number), max(w.last[w.run], o.number)
		if w.studio.random.IntN(10) == 0 {
			w.repair(o)
		}
	}
}

// repair asks for a packet again: it must be what it was.
func (w *watcher) repair(o *outgoing) {
	var (
		buf [route.RepairBytes]byte
		p   route.Packet
		h   rtp.Header
	)
	if r := w.consumer.Resend(w.studio.now.Add(time.Millisecond), o.header.SequenceNumber, 0, buf[:], &p, &h); r != drop.None {
		if r != drop.NackTooOften {
			w.t.Errorf("number %d is not sent again: %v", o.number, r)
		}
		return
	}
	if h.Timestamp != o.header.Timestamp || h.Marker != o.header.Marker || !bytes.Equal(p.Payload[2:], o.payload) {
		w.t.Errorf("number %d differs when it is sent again: %+v %x, was %+v %x", o.number, h, p.Payload[2:20], o.header, o.payload)
	}
}

// Whatever changes the target, and whatever is lost and repaired on the way in, a subscriber's numbers have no hole but those of
// packets that came when their source was over; pictures are whole, come with all that they depend on, and in the order of ids
// and timestamps; and everything can be sent again as it was.
func TestLayersAreContinuous(t *testing.T) {
	for seed := range uint64(24) {
		loss := []int{0, 0, 20, 100}[seed%4]
		t.Run(fmt.Sprintf("seed %d, loss %d", seed, loss), func(t *testing.T) {
			s := newStudio(seed, loss)
			w := watch(t, s)
			for n := range 600 {
				arrived := s.step()
				half := s.random.IntN(len(arrived) + 1)
				w.take(arrived[:half])
				s.settle()
				if n%50 == 49 { // in the middle of a picture, mostly
					w.consumer.SetTarget(route.Layer{Encoding: uint8(s.random.IntN(3)), Temporal: uint8(s.random.IntN(3))})
				}
				w.take(arrived[half:])
				s.settle()
			}
			w.check(loss)
		})
	}
}

func (w *watcher) check(loss int) {
	w.t.Helper()
	if w.run < 4 {
		w.t.Errorf("only %d sources", w.run)
	}
	for run := 1; run <= w.run; run++ {
		w.checkNumbers(run)
		w.checkPictures(run, loss)
	}
	w.checkOrder(loss)
}

func (w *watcher) checkNumbers(run int) {
	if run > 1 && w.first[run] != w.last[run-1]+1 {
		w.t.Errorf("source %d begins with number %d, the one before ended with %d", run, w.first[run], w.last[run-1])
	}
	holes := 0
	for n := w.first[run]; n <= w.last[run]; n++ {
		if w.got[n] == nil {
			holes++
		}
	}
	// What was skipped while the first packet of a key frame was missing is sent when it is asked for: see TestResendOf….
	if skipped := w.skipped(run); holes > w.missed[run]+w.missed[run+1]+skipped {
		w.t.Errorf("source %d: %d holes, %d packets came too late, %d before it began", run, holes, w.missed[run], skipped)
	}
}

// skipped counts packets behind the first of a source that came before it.
func (w *watcher) skipped(run int) int {
	if o := w.got[w.first[run]]; o != nil && o.shot.due != (time.Time{}) {
		return 1 << 10
	}
	return 0
}

// checkPictures looks at each picture of a source: all of it or nothing, and nothing that it depends on is missing.
func (w *watcher) checkPictures(run, loss int) {
	parts := map[*picture]int{}
	var order []*picture
	for n := w.first[run]; n <= w.last[run]; n++ {
		if o := w.got[n]; o != nil && !o.empty {
			if parts[o.shot.picture] == 0 {
				order = append(order, o.shot.picture)
			}
			parts[o.shot.picture]++
		}
	}
	whole := func(p *picture) bool { return parts[p] == p.packets }
	for i, p := range order {
		if i == len(order)-1 || w.skipped(run) > 0 && loss > 0 {
			continue // cut off by the change of source; or begun late
		}
		if !whole(p) && !p.late {
			w.t.Errorf("source %d: %d of %d packets of a picture of T%d", run, parts[p], p.packets, p.temporal)
		}
		for _, ref := range p.refs {
			if whole(p) && !whole(ref) && !(loss > 0 && ref.late) {
				w.t.Errorf("source %d: T%d picture %d of %d without the T%d picture that it depends on", run, p.temporal, i, len(order), ref.temporal)
			}
		}
	}
}

// checkOrder looks at ids and timestamps in the order of numbers.
func (w *watcher) checkOrder(loss int) {
	var last *outgoing
	for n := w.first[1]; n <= w.last[w.run]; n++ {
		o := w.got[n]
		if o == nil || o.empty {
			continue
		}
		if last != nil {
			ids, ticks := (o.id()-last.id())&0x7fff, int32(o.header.Timestamp-last.header.Timestamp)
			same := o.shot.picture == last.shot.picture
			if same && (ids != 0 || ticks != 0) || !same && (ids == 0 || ids > 100 || ticks <= 0) || loss == 0 && !same && ids != 1 {
				w.t.Errorf("number %d: %d ids and %d ticks after the one before (%+v, %+v)", n, ids, ticks, *o.shot.picture, *last.shot.picture)
			}
			if last.header.Marker != !same && last.shot.picture.packets == last.shot.part+1 {
				w.t.Errorf("number %d: marker %v", n, last.header.Marker)
			}
		}
		last = o
	}
}
