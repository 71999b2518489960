package transport_test

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

// simulcast is a call whose publisher sends two encodings, which the room lists in another order than the m-line does.
func simulcast(t *testing.T) (*call, *route.Producer) {
	c := &call{router: route.NewRouter(), pub: connect(t), sub: connect(t)}
	section := videoSection("0")
	section.RIDs, section.Extensions.RID, section.Extensions.RepairedRID = []string{"f", "q"}, 7, 8
	section.ReducedRTCP = true
	c.pub.transport.Negotiate(start, []sdp.Negotiated{section})
	c.sub.transport.Negotiate(start, []sdp.Negotiated{videoSlot("3")})
	p := c.router.Add(route.ProducerConfig{
		ID: 1, Kind: sdp.Video, Codecs: section.Codecs, Extensions: section.Extensions, Clock: c.pub.transport.Clock(),
		Encodings: []route.EncodingConfig{{RID: "q"}, {RID: "f"}},
	})
	c.pub.transport.Publish("0", p)
	c.sub.transport.Assign(start, "3", p, 1, true)
	c.pub.result.Egress.Reset()
	return c, p
}

// of are the extensions that say which encoding a stream is.
func of(rid string) []rtp.Extension {
	return []rtp.Extension{{ID: 4, B: []byte("0")}, {ID: 7, B: []byte(rid)}}
}

func repairOf(rid string) []rtp.Extension {
	return []rtp.Extension{{ID: 4, B: []byte("0")}, {ID: 8, B: []byte(rid)}}
}

func (c *call) stream(now time.Time, ssrc uint32, payloadType uint8, seq uint16, ext []rtp.Extension, b []byte) drop.Reason {
	return c.pub.send(now, rtp.Header{PayloadType: payloadType, SequenceNumber: seq, Timestamp: 1000, SSRC: ssrc, Marker: true}, ext, b)
}

// Streams of one m-line are told apart by the RID of their first packets, and RTX by the repaired RID; what has none of the two, or
// one that was not accepted, belongs nowhere.
func TestStreamsByRID(t *testing.T) {
	c, p := simulcast(t)
	encodings := func() (got []uint8) {
		for _, x := range p.Pending() {
			got = append(got, x.Encoding)
		}
		c.router.EndBatch()
		return got
	}
	for i, x := range []struct {
		ssrc        uint32
		payloadType uint8
		seq         uint16
		ext         []rtp.Extension
		want        drop.Reason
	}{
		{70, 96, 8, mid0, drop.RtpUnknownSSRC},
		{70, 96, 9, of("x"), drop.RtpUnknownSSRC},
		{71, 97, 1, repairOf("f"), drop.RtpUnknownSSRC}, // what it repairs is not there yet
		{70, 96, 10, of("f"), drop.None},
		{80, 96, 500, of("q"), drop.None},
		{70, 96, 12, nil, drop.None},                  // the client has heard that its SSRC is known
		{90, 96, 0, of("q"), drop.RtpUnknownSSRC},     // another stream of an encoding that has one
		{71, 97, 2, repairOf("q"), drop.RtpDuplicate}, // of number 500
		{82, 97, 1, nil, drop.RtpUnknownSSRC},
		{81, 97, 1, repairOf("f"), drop.None}, // of number 11
	} {
		b := payload(true)
		if x.payloadType == 97 {
			b = append(binary.BigEndian.AppendUint16(nil, map[uint32]uint16{71: 500, 81: 11}[x.ssrc]), b...)
		}
		if r := c.stream(start, x.ssrc, x.payloadType, x.seq, x.ext, b); r != x.want {
			t.Errorf("packet %d: %v, want %v", i, r, x.want)
		}
	}
	c.stream(start, 70, 96, 14, nil, payload(false))
	if r := c.stream(start, 83, 97, 1, of("f"), append([]byte{0, 13}, payload(false)...)); r != drop.None {
		t.Errorf("RTX with the RID of what it repairs: %v", r)
	}
	if got := encodings(); !slices.Equal(got, []uint8{1, 0, 1, 1, 1, 1}) {
		t.Errorf("packets of encodings %v", got)
	}
	late := start.Add(time.Second)
	if r := c.stream(late, 90, 96, 1, of("q"), payload(true)); r != drop.None {
		t.Errorf("an encoding that goes on with another SSRC: %v", r)
	}
	c.stream(late, 70, 96, 15, nil, payload(true))
	if got := encodings(); !slices.Equal(got, []uint8{0, 1}) {
		t.Errorf("packets of encodings %v", got)
	}
}

// A key frame is asked of the encoding that needs it; lost packets are asked for, and sender reports heard, stream by stream.
func TestEncodingsAreStreamsOfTheirOwn(t *testing.T) {
	c, p := simulcast(t)
	c.stream(start, 70, 96, 10, of("f"), payload(true))
	c.stream(start, 80, 96, 500, of("q"), payload(true))
	c.stream(start, 80, 96, 502, nil, payload(false))
	c.router.EndBatch()
	c.router.KeyFrameRequests(start, nil)
	p.Encoding(0).RequestKeyFrame()
	for _, e := range c.router.KeyFrameRequests(start.Add(time.Second), nil) {
		c.pub.transport.AskKeyFrame(start, e, &c.pub.result)
	}
	_, control := c.pub.received()
	if len(control) != 1 {
		t.Fatalf("%d messages", len(control))
	}
	if ssrc, ok := rtp.MediaSSRC(control[0]); !ok || ssrc != 80 {
		t.Errorf("a key frame of %d is asked for", ssrc)
	}
	c.pub.transport.Timeout(start.Add(50*time.Millisecond), &c.pub.result)
	_, control = c.pub.received()
	asked := 0
	for _, b := range control {
		h, packet, _, _ := rtp.NextRTCP(b)
		if ssrc, _ := rtp.MediaSSRC(packet); h.Type == rtp.TypeTransportFeedback && h.Count == rtp.FormatNACK && ssrc == 80 {
			asked++
		}
	}
	if asked != 1 {
		t.Errorf("%d requests for repair of the stream that lost a packet", asked)
	}
	report := rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 80, NTP: rtp.NTP(start), RTPTime: 7}, nil)
	c.pub.sendRTCP(start, report)
	if _, ok := p.Encoding(0).Timeline().At(start); !ok {
		t.Error("the report of one stream is not heard")
	}
	if _, ok := p.Encoding(1).Timeline().At(start); ok {
		t.Error("the report of one stream counts for another")
	}
}

// An m-line that is negotiated with other rids has other streams; one whose Producer has gone feeds nothing.
func TestRIDsChange(t *testing.T) {
	c, p := simulcast(t)
	c.stream(start, 70, 96, 10, of("f"), payload(true))
	c.pub.transport.Unpublish(p)
	if r := c.stream(start, 70, 96, 11, nil, payload(true)); r != drop.Unpublished {
		t.Errorf("without a Producer: %v", r)
	}
	c.pub.transport.Publish("0", p)
	if r := c.stream(start, 70, 96, 12, nil, payload(true)); r != drop.None {
		t.Errorf("with one again: %v", r)
	}
	plain := videoSection("0")
	plain.SSRCs = []uint32{90}
	c.pub.transport.Negotiate(start, []sdp.Negotiated{plain})
	c.pub.transport.Publish("0", p)
	if r := c.stream(start, 90, 96, 1, nil, payload(true)); r != drop.None {
		t.Errorf("the stream of now: %v", r)
	}
	if r := c.stream(start, 70, 96, 13, nil, payload(true)); r != drop.RtpUnknownSSRC {
		t.Errorf("a stream of before: %v", r)
	}
}
