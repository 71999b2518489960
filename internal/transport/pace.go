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

// waits queues a packet of video for which there is no room on the client's network now. What waits of a source that this packet
// ends is dropped.
func (t *Transport) waits(now time.Time, s *slot, p *route.Packet, h *rtp.Header, out *Out) bool {
	begins := p.Frame.Key && p.Frame.Start
	if begins && s.consumer.Began().Equal(now) {
		out.Drops[drop.Paced] += uint64(t.pacer.Clear(s.number, s.consumer.Forget))
	}
	size := len(p.Payload) + aroundPayload
	if t.pacer.Admit(now, size) {
		return false
	}
	q := pacer.Packet{Number: h.SequenceNumber, Size: uint16(size), Slot: s.number, Key: begins}
	if !t.pacer.Push(now, q) {
		t.giveUp(s.number, out)
		out.Drops.Add(drop.Paced)
	}
	return true
}

// leave sends what has waited long enough, and drops what has waited too long.
func (t *Transport) leave(now time.Time, out *Out) {
	for q, ok := t.pacer.Pop(now); ok; q, ok = t.pacer.Pop(now) {
		out.Drops.Add(t.sendLater(now, q, out))
	}
	for slot, late := t.pacer.Late(now); late; slot, late = t.pacer.Late(now) {
		t.giveUp(slot, out)
	}
}

// giveUp drops what waits of a slot, up to the next key frame, and asks for one where there is none.
func (t *Transport) giveUp(number uint8, out *Out) {
	s := t.numbered(number)
	n, key := t.pacer.Drop(number, s.consumer.Forget)
	out.Drops[drop.Paced] += uint64(n)
	if !key {
		s.consumer.RequestKeyFrame()
	}
}

func (t *Transport) sendLater(now time.Time, q pacer.Packet, out *Out) drop.Reason {
	s := t.numbered(q.Slot)
	var (
		p route.Packet
		h rtp.Header
	)
	empty, r := s.consumer.Later(q.Number, t.repair[:], &p, &h)
	if r != drop.None {
		return r
	}
	out.Waited++
	return t.send(now, s, &p, &h, empty, out)
}

// numbered returns the slot with this number, which is that of a slot: none is ever removed.
func (t *Transport) numbered(number uint8) *slot {
	for _, s := range t.slots {
		if s.number == number {
			return s
		}
	}
	panic("transport: no slot has this number")
}
