package transport

import (
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/pacer"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
)

// aroundPayload is about what a packet has beside its payload: headers of IP, UDP and RTP with extensions, and SRTP's tag.
const aroundPayload = 76 // bytes

// paced is what is kept of a slot for pacing.
type paced struct {
	number uint8  // by which the pacer knows the slot
	source uint8  // whose packets may wait
	key    uint32 // timestamp of its last key frame
}

// waits queues a packet of video for which there is no room on the client's network now. What waits of another source is dropped.
func (t *Transport) waits(now time.Time, s *slot, p *route.Packet, h *rtp.Header, empty bool, out *Out) bool {
	source, _ := s.consumer.Source()
	key := p.Frame.Key && p.Frame.Start && (source != s.paced.source || p.Timestamp != s.paced.key)
	if key {
		s.paced.key = p.Timestamp
	}
	if source != s.paced.source {
		t.clear(s, out)
		s.paced.source = source
	}
	size := aroundPayload
	if !empty {
		size += len(p.Payload)
	}
	if t.pacer.Admit(now, size) {
		return false
	}
	t.queue(now, s, pacer.Packet{Number: h.SequenceNumber, Size: uint16(size), Slot: s.paced.number, Key: key}, out)
	return true
}

// queue lets a packet wait. Where too much waits already, what has waited longest makes room.
func (t *Transport) queue(now time.Time, s *slot, q pacer.Packet, out *Out) {
	if t.pacer.Push(now, q) {
		return
	}
	t.giveUp(out)
	if !t.pacer.Push(now, q) {
		s.forget(q)
		out.Drops.Add(drop.Paced)
		s.consumer.Restart()
	}
}

// leave sends what has waited long enough, and drops what has waited too long, or is of no use any more.
func (t *Transport) leave(now time.Time, out *Out) {
	for q, ok := t.pacer.Front(); ok; q, ok = t.pacer.Front() {
		s := t.numbered(q.Slot)
		if source, flows := s.consumer.Source(); !flows || source != s.paced.source {
			t.clear(s, out)
			continue
		}
		if q, ok = t.pacer.Pop(now); !ok {
			break
		}
		if r := t.sendLater(now, s, q, out); r != drop.None {
			out.Drops.Add(r)
			s.consumer.Restart()
		}
	}
	for t.pacer.Late(now) {
		t.giveUp(out)
	}
}

// onlyPaced reports whether nothing is due but what waits, and does that.
func (t *Transport) onlyPaced(now time.Time, out *Out) bool {
	if t.pacer.Waiting() == 0 || !t.next.IsZero() && !now.Add(Slack).Before(t.next) {
		return false
	}
	switch {
	case !t.Ready(now):
		for _, s := range t.slots {
			t.clear(s, out)
		}
	case !now.Before(t.pacer.Next()):
		t.leave(now, out)
	}
	return true
}

// giveUp drops the packet that has waited longest and what needs it, up to the slot's next key frame: if that has not come yet, what comes
// before it is not sent either.
func (t *Transport) giveUp(out *Out) {
	q, _ := t.pacer.Front()
	s := t.numbered(q.Slot)
	n, key := t.pacer.Drop(q.Slot, s.forget)
	out.Drops[drop.Paced] += uint64(n)
	if !key {
		s.consumer.Restart()
	}
}

// clear drops all that waits of a slot.
func (t *Transport) clear(s *slot, out *Out) {
	out.Drops[drop.Paced] += uint64(t.pacer.Clear(s.paced.number, s.forget))
}

func (s *slot) forget(q pacer.Packet) { s.consumer.Forget(q.Number, int(q.Size)-aroundPayload) }

func (t *Transport) sendLater(now time.Time, s *slot, q pacer.Packet, out *Out) drop.Reason {
	var (
		p route.Packet
		h rtp.Header
	)
	empty, r := s.consumer.Later(q.Number, t.repair[:], &p, &h)
	if r != drop.None {
		s.forget(q)
		return r
	}
	out.Waited++
	return t.send(now, s, &p, &h, empty, out)
}

// numbered returns the slot with this number, which is that of a slot: none is ever removed.
func (t *Transport) numbered(number uint8) *slot {
	for _, s := range t.slots {
		if s.paced.number == number {
			return s
		}
	}
	panic("transport: no slot has this number")
}
