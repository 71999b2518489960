package route_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

var (
	start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	vp8   = []sdp.Codec{{Name: "vp8", PayloadType: 96, ClockRate: 90000, RTX: 97}}
	opus  = []sdp.Codec{{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2}}
)

// frame is the first packet of a VP8 frame with a 15-bit picture id (RFC 7741), or a later one.
func frame(seq uint16, ts uint32, picture uint16, first, key bool) []byte {
	b := rtp.AppendHeader(nil, rtp.Header{PayloadType: 96, SequenceNumber: seq, Timestamp: ts, SSRC: 1, Marker: !first}, nil)
	descriptor := []byte{0x80, 0x80, 0x80 | byte(picture>>8), byte(picture)}
	if first {
		descriptor[0] |= 0x10
	}
	b = append(b, descriptor...)
	if key {
		return append(b, 0x10, 2, 0, 0x9d, 1, 0x2a, 0x80, 2, 0x68, 1)
	}
	return append(b, 0x11, 2, 0, 1, 2, 3)
}

func video(r *route.Router, id uint64) *route.Producer {
	return r.Add(route.ProducerConfig{ID: id, Kind: sdp.Video, Codecs: vp8, Clock: new(route.Clock)})
}

func add(t *testing.T, p *route.Producer, index int64, b []byte) {
	t.Helper()
	var in rtp.Packet
	// Behind a packet there is room, where its SRTP tag was.
	if r := in.Parse(append(b, make([]byte, 16)...)[:len(b)]); r != drop.None {
		t.Fatal(r)
	}
	if r := p.Encoding(0).Add(start, &in, index); r != drop.None {
		t.Fatal(r)
	}
}

type sent struct {
	seq     uint16
	ts      uint32
	picture uint16
	reason  drop.Reason
}

// flow forwards what is pending to c and returns what became of it.
func flow(now time.Time, r *route.Router, c *route.Consumer) (out []sent) {
	defer r.EndBatch()
	p := c.Producer()
	if p == nil {
		return nil
	}
	for i := range p.Pending() {
		var h rtp.Header
		packet := &p.Pending()[i]
		_, reason := c.Forward(now, packet, &h)
		s := sent{reason: reason}
		if reason == drop.None {
			s = sent{h.SequenceNumber, h.Timestamp, binary.BigEndian.Uint16(packet.Payload[2:]) & 0x7fff, drop.None}
		}
		out = append(out, s)
	}
	return out
}

func assigned(now time.Time, p *route.Producer) *route.Consumer {
	c := route.NewConsumer(sdp.Video, vp8)
	c.Assign(now, p, 1)
	c.Ready(1)
	return c
}

// A subscriber begins with a key frame's first packet, and gets the publisher's own numbers.
func TestBeginsWithKeyFrame(t *testing.T) {
	r := route.NewRouter()
	p := video(r, 1)
	c := assigned(start, p)
	add(t, p, 65000, frame(65000, 9000, 7, true, false))
	add(t, p, 65001, frame(65001, 12000, 8, true, true))
	add(t, p, 65002, frame(65002, 12000, 8, false, false))
	want := []sent{{reason: drop.NoKeyFrame}, {seq: 65001, ts: 12000, picture: 8}, {seq: 65002, ts: 12000, picture: 8}}
	check(t, flow(start, r, c), want)
}

// A slot that changes its source goes on without a jump in numbers, timestamps and picture ids; a hole stays a hole, and what
// fills it later takes its place; what is older than the change is dropped.
func TestSwitchIsContinuous(t *testing.T) {
	r := route.NewRouter()
	a, b := video(r, 1), video(r, 2)
	c := assigned(start, a)
	add(t, a, 100, frame(100, 1000, 7, true, true))
	flow(start, r, c)

	c.Assign(start, b, 2)
	if c.Producer() != nil {
		t.Fatal("flows before the slot was blanked")
	}
	c.Ready(1)
	if c.Producer() != nil {
		t.Fatal("an older generation's acknowledgement starts the track")
	}
	c.Ready(2)
	now := start.Add(time.Second)
	add(t, b, 70000, frame(70000&0xffff, 5_000_000, 30000, true, true))
	add(t, b, 70002, frame(70002&0xffff, 5_003_000, 30001, false, false))
	add(t, b, 70001, frame(70001&0xffff, 5_003_000, 30001, true, false))
	add(t, b, 69999, frame(69999&0xffff, 4_997_000, 29999, true, false))
	want := []sent{
		{seq: 101, ts: 91000, picture: 8}, {seq: 103, ts: 94000, picture: 9}, {seq: 102, ts: 94000, picture: 9}, {reason: drop.TooLate},
	}
	check(t, flow(now, r, c), want)
}

// A publisher that goes on with another stream, whose numbers begin anywhere, is followed as a change of source is.
func TestRestartIsContinuous(t *testing.T) {
	r := route.NewRouter()
	p := video(r, 1)
	c := assigned(start, p)
	add(t, p, 70000, frame(70000&0xffff, 1000, 7, true, true))
	flow(start, r, c)
	p.Encoding(0).Restart()
	if due := r.KeyFrameRequests(start, nil); len(due) != 1 {
		t.Error("asks for no key frame")
	}
	add(t, p, 50, frame(50, 9000, 100, true, false))
	add(t, p, 51, frame(51, 12000, 101, true, true))
	check(t, flow(start.Add(time.Second), r, c), []sent{{reason: drop.NoKeyFrame}, {seq: 70001 & 0xffff, ts: 91000, picture: 8}})
}

// A subscriber that does not answer gets its track all the same, 250 ms later.
func TestBlankingEnds(t *testing.T) {
	r := route.NewRouter()
	c := route.NewConsumer(sdp.Video, vp8)
	c.Assign(start, video(r, 1), 1)
	if next := c.Next(); next != start.Add(250*time.Millisecond) {
		t.Errorf("due at %v", next)
	}
	c.Timeout(start.Add(249 * time.Millisecond))
	if c.Producer() != nil {
		t.Error("flows too early")
	}
	c.Timeout(start.Add(250 * time.Millisecond))
	if c.Producer() == nil || !c.Next().IsZero() {
		t.Error("does not flow")
	}
}

// An older assignment than the last is ignored; one of the wrong kind, or of nothing, empties the slot.
func TestAssign(t *testing.T) {
	r := route.NewRouter()
	p := video(r, 1)
	c := assigned(start, p)
	c.Assign(start, nil, 0)
	if c.Producer() != p {
		t.Error("an older generation emptied the slot")
	}
	sound := r.Add(route.ProducerConfig{ID: 2, Kind: sdp.Audio, Codecs: opus, Clock: new(route.Clock)})
	c.Assign(start, sound, 2)
	c.Ready(2)
	if c.Producer() != nil || p.Watched() {
		t.Error("a video slot took audio, or the old source is still watched")
	}
}

// Payload types are those of the subscriber; without a codec in common nothing flows.
func TestPayloadTypes(t *testing.T) {
	r := route.NewRouter()
	p := video(r, 1)
	c := route.NewConsumer(sdp.Video, []sdp.Codec{{Name: "vp8", PayloadType: 120, ClockRate: 90000}})
	c.Assign(start, p, 1)
	c.Ready(1)
	add(t, p, 1, frame(1, 0, 0, true, true))
	var h rtp.Header
	if _, reason := c.Forward(start, &p.Pending()[0], &h); reason != drop.None || h.PayloadType != 120 {
		t.Errorf("got type %d, %v", h.PayloadType, reason)
	}
	c.SetCodecs([]sdp.Codec{{Name: "av1", PayloadType: 45, ClockRate: 90000}})
	if _, reason := c.Forward(start, &p.Pending()[0], &h); reason != drop.CodecMismatch {
		t.Errorf("got %v", reason)
	}
}

// Requests for key frames are merged: the publisher is asked at most once in 500 ms, and again until one comes.
func TestKeyFrameRequestsAreMerged(t *testing.T) {
	r := route.NewRouter()
	p := video(r, 1)
	c := assigned(start, p)
	asked := 0
	for ms := 0; ms < 1600; ms += 10 {
		c.RequestKeyFrame()
		asked += len(r.KeyFrameRequests(start.Add(time.Duration(ms)*time.Millisecond), nil))
	}
	if asked != 4 { // at 0, 500, 1000 and 1500 ms
		t.Errorf("asked %d times", asked)
	}
	add(t, p, 1, frame(1, 0, 0, true, true))
	if !r.NextKeyFrameRequest().IsZero() {
		t.Error("still asks after a key frame")
	}
}

// A repair has the content that was sent, with the original number in front, on the RTX payload type; it is not given twice
// within a round trip, nor for another source's numbers.
func TestResend(t *testing.T) {
	r := route.NewRouter()
	a, b := video(r, 1), video(r, 2)
	c := assigned(start, a)
	add(t, a, 10, frame(10, 1000, 7, true, true))
	flow(start, r, c)
	c.Assign(start, b, 2)
	c.Ready(2)
	add(t, b, 500, frame(500, 0, 99, true, true))
	check(t, flow(start, r, c), []sent{{seq: 11, ts: 1001, picture: 8}})

	var (
		buf [route.RepairBytes]byte
		p   route.Packet
		h   rtp.Header
	)
	resend := func(number uint16) drop.Reason {
		return c.Resend(start.Add(time.Millisecond), number, 50*time.Millisecond, buf[:], &p, &h)
	}
	if reason := resend(11); reason != drop.None {
		t.Fatal(reason)
	}
	if got := binary.BigEndian.Uint16(p.Payload); got != 11 || h.PayloadType != 97 || h.Timestamp != 1001 {
		t.Errorf("original number %d, type %d, timestamp %d", got, h.PayloadType, h.Timestamp)
	}
	if picture := binary.BigEndian.Uint16(p.Payload[4:]) & 0x7fff; picture != 8 {
		t.Errorf("picture id %d, sent as 8", picture)
	}
	for number, want := range map[uint16]drop.Reason{11: drop.NackTooOften, 10: drop.NackUnknown, 12: drop.NackUnknown} {
		if reason := resend(number); reason != want {
			t.Errorf("%d: %v, want %v", number, reason, want)
		}
	}
}

// Where a key frame's first packet comes late, by a repair, what had come meanwhile is given to the subscriber that asks for it
// within a second: each of its packets as often as any other.
func TestResendOfWhatPassedWhileWaiting(t *testing.T) {
	r := route.NewRouter()
	p := video(r, 1)
	c := assigned(start, p)
	add(t, p, 11, frame(11, 1000, 7, false, false))
	add(t, p, 12, frame(12, 1000, 7, false, false))
	add(t, p, 9, frame(9, 500, 6, false, false))
	check(t, flow(start, r, c), []sent{{reason: drop.NoKeyFrame}, {reason: drop.NoKeyFrame}, {reason: drop.NoKeyFrame}})
	add(t, p, 10, frame(10, 1000, 7, true, true))
	add(t, p, 13, frame(13, 4000, 8, true, false))
	check(t, flow(start, r, c), []sent{{seq: 10, ts: 1000, picture: 7}, {seq: 13, ts: 4000, picture: 8}})
	var (
		buf    [route.RepairBytes]byte
		packet route.Packet
		h      rtp.Header
	)
	for _, x := range []struct {
		number uint16
		after  time.Duration
		want   drop.Reason
	}{
		{11, time.Second, drop.None},
		{11, time.Second, drop.NackTooOften},
		{9, time.Second, drop.NackUnknown},
		{14, time.Second, drop.NackUnknown},
		{12, time.Second + 1, drop.NackUnknown},
	} {
		if reason := c.Resend(start.Add(x.after), x.number, 50*time.Millisecond, buf[:], &packet, &h); reason != x.want {
			t.Errorf("%d after %v: %v, want %v", x.number, x.after, reason, x.want)
		}
	}
}

// A sender report relates the subscriber's timestamps to the server's clock, through the publisher's own report.
func TestReport(t *testing.T) {
	r := route.NewRouter()
	p := video(r, 1)
	c := assigned(start, p)
	add(t, p, 1, frame(1, 1000, 0, true, true))
	flow(start, r, c)
	if _, _, _, ok := c.Report(start); ok {
		t.Error("reports before the publisher has")
	}
	theirs := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC) // a clock that is far off
	p.Encoding(0).Timeline().Observe(theirs, 1000, start.Add(40*time.Millisecond))
	ts, packets, octets, ok := c.Report(start.Add(1040 * time.Millisecond))
	if !ok || ts != 91000 || packets != 1 || octets != 14 {
		t.Errorf("got %d, %d packets, %d octets, %v", ts, packets, octets, ok)
	}
}

// The line from a subscriber's timestamps to wall-clock time goes on when the source changes, however long the new publisher's
// packets take from capture to arrival: or its lips would be off its voice until the subscriber has forgotten the old reports.
func TestSwitchKeepsTheLine(t *testing.T) {
	r := route.NewRouter()
	a, b := video(r, 1), video(r, 2)
	c := assigned(start, a)
	add(t, a, 1, frame(1, 1000, 0, true, true))
	flow(start, r, c)
	a.Encoding(0).Timeline().Observe(start, 1000, start) // no delay at all
	before, _, _, _ := c.Report(start.Add(time.Second))

	c.Assign(start, b, 2)
	c.Ready(2)
	now := start.Add(2 * time.Second)
	b.Encoding(0).Timeline().Observe(now, 500_000+90*150, now) // what was captured 150 ms ago arrives now
	add(t, b, 1, frame(1, 500_000, 0, true, true))
	flow(now, r, c)
	after, _, _, ok := c.Report(start.Add(3 * time.Second))
	if !ok || after-before != 2*90000 {
		t.Errorf("the line moves by %d ticks in 2 s, want 180000", after-before)
	}
}

// A Consumer that waits asks again with every packet that it cannot use: the key frame that came may have been lost.
func TestWaitingAsksAgain(t *testing.T) {
	r := route.NewRouter()
	p := video(r, 1)
	c := assigned(start, p)
	add(t, p, 1, frame(1, 0, 0, true, true)) // passes before the subscriber can be sent to
	r.EndBatch()
	if due := r.KeyFrameRequests(start, nil); len(due) != 0 {
		t.Error("asks while the key frame that came may do")
	}
	add(t, p, 2, frame(2, 0, 1, true, false))
	check(t, flow(start, r, c), []sent{{reason: drop.NoKeyFrame}})
	if due := r.KeyFrameRequests(start, nil); len(due) != 1 {
		t.Error("does not ask again")
	}
	c.Clear()
	if !r.NextKeyFrameRequest().IsZero() {
		t.Error("asks for nobody")
	}
}

// Removing a Producer leaves its subscribers silent and nothing behind.
func TestRemove(t *testing.T) {
	r := route.NewRouter()
	p := video(r, 1)
	c := assigned(start, p)
	add(t, p, 1, frame(1, 0, 0, true, true))
	r.Remove(1)
	if c.Producer() != nil || r.Producer(1) != nil || p.Watched() {
		t.Error("something is left")
	}
	r.EndBatch()
	r.Remove(1)
}

// The packet path allocates nothing.
func TestForwardAllocatesNothing(t *testing.T) {
	r := route.NewRouter()
	p := video(r, 1)
	c := assigned(start, p)
	key, delta := frame(1, 0, 0, true, true), frame(2, 0, 1, true, false)
	buf := make([]byte, 64)
	index := int64(1)
	step := func(b []byte) {
		var in rtp.Packet
		in.Parse(buf[:copy(buf, b)])
		p.Encoding(0).Add(start, &in, index)
		var h rtp.Header
		c.Forward(start, &p.Pending()[0], &h)
		r.EndBatch()
		index++
	}
	step(key)
	if n := testing.AllocsPerRun(100, func() { step(delta) }); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

func check(t *testing.T, got, want []sent) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("packet %d: got %+v, want %+v", i, got[i], want[i])
		}
	}
}

// BenchmarkForward is one packet of a plain stream for one of fifty subscribers, without its seal.
func BenchmarkForward(b *testing.B) {
	r := route.NewRouter()
	p := video(r, 1)
	var consumers [50]*route.Consumer
	for i := range consumers {
		consumers[i] = assigned(start, p)
	}
	buf := make([]byte, 64)
	for i := range b.N/len(consumers) + 1 {
		var in rtp.Packet
		in.Parse(buf[:copy(buf, frame(uint16(i), uint32(i)*600, uint16(i), i%5 == 0, i == 0))])
		p.Encoding(0).Add(start, &in, 1<<16+int64(i))
		for _, c := range consumers {
			var h rtp.Header
			c.Forward(start, &p.Pending()[0], &h)
		}
		r.EndBatch()
	}
}
