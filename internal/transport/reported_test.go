package transport_test

import (
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

// Chromium's reports about voices with redundancy count the time since the last packet was captured at 8 kHz. What goes out to
// subscribers is right nevertheless; and so it is of browsers that count rightly, and without redundancy.
func TestReportsOfRedundancy(t *testing.T) {
	const ms = time.Millisecond
	for _, x := range []struct {
		name        string
		payloadType uint8
		rate        uint32 // at which the publisher counts
		age         time.Duration
		after       time.Duration // the packet's arrival: when the report arrives
		missing     int           // packets between the two
		want        bool
	}{
		{"redundancy", 63, 8000, 20 * ms, 0, 0, true},
		{"redundancy, just before the next packet", 63, 8000, 30 * ms, 19 * ms, 0, true},
		{"redundancy, long frames", 63, 8000, 70 * ms, 5 * ms, 0, true},
		{"redundancy, silence that is not sent", 63, 8000, 25 * ms, 390 * ms, 0, true},
		{"redundancy counted rightly", 63, 48000, 20 * ms, 0, 0, true},
		{"redundancy counted rightly, long frames", 63, 48000, 70 * ms, 5 * ms, 0, true},
		{"redundancy counted rightly, silence that is not sent", 63, 48000, 25 * ms, 390 * ms, 0, true},
		{"redundancy counted rightly, the packet lost", 63, 48000, 25 * ms, 25 * ms, 1, true},
		{"no redundancy", 111, 48000, 20 * ms, 0, 0, true},
		{"the report's packet lost", 63, 8000, 25 * ms, 25 * ms, 1, false},
		{"three packets lost", 63, 8000, 25 * ms, 65 * ms, 3, false},
		{"the report overtaken", 63, 8000, 25 * ms, 0, -1, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			pub, p := redundant(t)
			const timestamp = 4_000_000_000 // of what was captured age before start
			if r := pub.send(start, rtp.Header{PayloadType: x.payloadType, SequenceNumber: 7, Timestamp: timestamp, SSRC: 77}, nil, []byte{111, 0x78, 1}); r != drop.None {
				t.Fatal(r)
			}
			gap := time.Duration(x.missing) * 20 * ms
			told := timestamp + uint32(gap.Milliseconds()*48) + uint32((x.age+x.after-gap).Milliseconds())*(x.rate/1000)
			now := start.Add(x.after)
			pub.sendRTCP(now, rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 77, NTP: rtp.NTP(now), RTPTime: told}, nil))
			got, ok := p.Encoding(0).Timeline().At(now)
			if ok != x.want {
				t.Fatalf("taken: %v", ok)
			}
			if off := int32(got-timestamp) - int32((x.age+x.after).Milliseconds()*48); ok && (off < -1 || off > 1) {
				t.Errorf("off by %d ms", off/48)
			}
		})
	}
}

// redundant is a client that publishes voice with redundancy, if it likes.
func redundant(t *testing.T) (*client, *route.Producer) {
	t.Helper()
	pub := connect(t)
	pub.transport.Negotiate(start, []sdp.Negotiated{{Mid: "0", Kind: sdp.Audio, Role: sdp.RoleReceive, SSRCs: []uint32{77}, Codecs: []sdp.Codec{
		{Name: "red", PayloadType: 63, ClockRate: 48000, Channels: 2, Parameters: "111/111"},
		{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2},
	}}})
	n, _ := pub.transport.Section("0")
	p := route.NewRouter().Add(route.ProducerConfig{ID: 1, Kind: sdp.Audio, Codecs: n.Codecs, Clock: pub.transport.Clock()})
	pub.transport.Publish("0", p)
	return pub, p
}

// A report that was held up, or that came from a busy machine, does not look like what it is; the others say how its client counts.
func TestReportsAgree(t *testing.T) {
	const ms = time.Millisecond
	for name, x := range map[string]struct {
		rate  uint32        // at which the publisher counts
		age   time.Duration // of what is sent
		delay time.Duration // of the report
		off   time.Duration // that may remain
	}{
		"wrong, from a busy machine": {8000, 100 * ms, 0, 75 * ms},
		"right, held up":             {48000, 25 * ms, 15 * ms, ms},
	} {
		t.Run(name, func(t *testing.T) {
			pub, p := redundant(t)
			begin := uint32(4_000_000_000) // of what is captured at start
			for i := range 7 {
				since, age, delay := time.Duration(i)*time.Second, 25*ms, time.Duration(0)
				if i%3 == 2 {
					age, delay = x.age, x.delay
				}
				now := start.Add(since)
				timestamp := begin + uint32((since-age).Milliseconds()*48)
				pub.send(now, rtp.Header{PayloadType: 63, SequenceNumber: uint16(i), Timestamp: timestamp, SSRC: 77}, nil, []byte{111, 0x78, 1})
				told := timestamp + uint32(age.Milliseconds())*(x.rate/1000)
				pub.sendRTCP(now.Add(delay), rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 77, NTP: rtp.NTP(now), RTPTime: told}, nil))
				got, ok := p.Encoding(0).Timeline().At(now)
				if off := int32(got-begin) - int32(since.Milliseconds()*48); !ok || time.Duration(max(off, -off))*ms > 48*x.off || i%3 != 2 && (off < -48 || off > 48) {
					t.Errorf("report %d: %v, off by %d ms", i, ok, off/48)
				}
			}
		})
	}
}

// The audio clock of a busy machine falls behind. It is followed by reports whose own packets are lost, too.
func TestReportsAreFollowed(t *testing.T) {
	const ms = time.Millisecond
	pub, p := redundant(t)
	const speed, age = 40, 25 // samples that there are in a millisecond, in place of 48; milliseconds
	for i := range 30 {
		now := start.Add(time.Duration(i) * time.Second)
		timestamp := uint32(i * 1000 * speed)
		pub.send(now, rtp.Header{PayloadType: 63, SequenceNumber: uint16(2 * i), Timestamp: timestamp, SSRC: 77}, nil, []byte{111, 0x78, 1})
		last := timestamp
		if i > 3 {
			now, last = now.Add(20*ms), timestamp+20*speed
		}
		pub.sendRTCP(now, rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 77, NTP: rtp.NTP(now), RTPTime: last + age*8}, nil))
		got, ok := p.Encoding(0).Timeline().At(now)
		if off := int32(got-last) - age*48; !ok || off < -10*48 || off > 10*48 {
			t.Fatalf("report %d: %v, off by %d ms", i, ok, off/48)
		}
	}
}
