package transport_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"github.com/parley-rtc/parley/internal/bwe"
	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/ice"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/srtp"
	"github.com/parley-rtc/parley/internal/transport"
)

var (
	start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	pair  = datagram.Pair{Local: netip.MustParseAddrPort("10.0.0.1:8443"), Remote: netip.MustParseAddrPort("10.0.0.2:5000")}
)

// client is the other end of a Transport: it checks by pion/stun, and holds the keys that DTLS would have given.
type client struct {
	t         *testing.T
	transport *transport.Transport
	in, out   *srtp.Context
	drops     drop.Counts
	result    transport.Out
	repeated  int // packets that came a second time, byte for byte
	sealed    map[string]bool
}

func connect(t *testing.T) *client {
	t.Helper()
	local := sdp.ICE{Ufrag: "server12", Pwd: "0123456789012345678901ab"}
	remote := sdp.ICE{Ufrag: "client34", Pwd: "abcdefghijabcdefghijabcd"}
	tr, err := transport.New(transport.Config{Local: local, Remote: remote, Sender: 1, CNAME: "server"}, start)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, transport: tr, sealed: map[string]bool{}}
	c.result = transport.Out{Egress: datagram.NewEgress(1 << 20), Drops: &c.drops}
	c.check(start)
	theirs, ours := c.keys(1), c.keys(2)
	c.in, c.out = ours, theirs
	tr.SetKeys(start, c.keys(1), c.keys(2))
	if !tr.Ready(start) {
		t.Fatal("not ready")
	}
	return c
}

// check is an ICE check, which nominates the pair and keeps consent for 15 s.
func (c *client) check(now time.Time) {
	c.t.Helper()
	m := stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.NewUsername("server12:client34"),
		stun.RawAttribute{Type: stun.AttrPriority, Value: []byte{0x7e, 0, 1, 0xff}}, stun.RawAttribute{Type: stun.AttrUseCandidate},
		stun.RawAttribute{Type: stun.AttrICEControlling, Value: make([]byte, 8)},
		stun.NewShortTermIntegrity("0123456789012345678901ab"), stun.Fingerprint)
	if r := c.transport.Handle(now, &datagram.Datagram{Pair: pair, B: m.Raw}, &c.result); r != drop.None {
		c.t.Fatal(r)
	}
	c.result.ICE.Reset()
}

func (c *client) keys(fill byte) *srtp.Context {
	ctx, err := srtp.NewContext(srtp.AEADAES128GCM, srtp.Keys{Key: bytes.Repeat([]byte{fill}, 16), Salt: bytes.Repeat([]byte{fill}, 12)})
	if err != nil {
		c.t.Fatal(err)
	}
	return ctx
}

// send seals an RTP packet and gives it to the Transport.
func (c *client) send(now time.Time, h rtp.Header, ext []rtp.Extension, payload []byte) drop.Reason {
	b := make([]byte, 2048)
	n := c.out.Source(h.SSRC).SealRTP(b, rtp.AppendHeader(nil, h, ext), payload)
	return c.transport.Handle(now, &datagram.Datagram{Pair: pair, B: b[:n]}, &c.result)
}

func (c *client) sendRTCP(now time.Time, b []byte) drop.Reason {
	dst := make([]byte, 2048)
	return c.transport.Handle(now, &datagram.Datagram{Pair: pair, B: dst[:c.out.SealRTCP(dst, b)]}, &c.result)
}

// received opens what the Transport has sent.
func (c *client) received() (media []rtp.Packet, control [][]byte) {
	c.t.Helper()
	for _, run := range c.result.Egress.Runs() {
		for b := run.B; len(b) > 0; b = b[min(run.Size, len(b)):] {
			d := bytes.Clone(b[:min(run.Size, len(b))])
			if rtp.IsRTCP(d) {
				plain, r := c.in.OpenRTCP(d)
				if r != drop.None {
					c.t.Fatal(r)
				}
				control = append(control, plain)
				continue
			}
			if c.sealed[string(d)] {
				c.repeated++
				continue
			}
			c.sealed[string(d)] = true
			n, _ := rtp.HeaderLen(d)
			plain, r := c.in.OpenRTP(d, n)
			if r != drop.None {
				c.t.Fatal(r)
			}
			var p rtp.Packet
			if r := p.Parse(plain); r != drop.None {
				c.t.Fatal(r)
			}
			media = append(media, p)
		}
	}
	c.result.Egress.Reset()
	return media, control
}

func videoSection(mid string) sdp.Negotiated {
	return sdp.Negotiated{
		Mid: mid, Kind: sdp.Video, Role: sdp.RoleReceive,
		Codecs:     []sdp.Codec{{Name: "vp8", PayloadType: 96, ClockRate: 90000, RTX: 97, Feedback: []string{"nack", "nack pli"}}},
		Extensions: sdp.Extensions{Mid: 4, VideoOrientation: 5, TransportCC: 6},
	}
}

func videoSlot(mid string) sdp.Negotiated {
	return sdp.Negotiated{
		Mid: mid, Kind: sdp.Video, Role: sdp.RoleSend, SSRC: 5000, RTXSSRC: 5001, CNAME: "pair-1",
		Codecs:     []sdp.Codec{{Name: "vp8", PayloadType: 120, ClockRate: 90000, RTX: 121}},
		Extensions: sdp.Extensions{Mid: 9, VideoOrientation: 11, AbsSendTime: 2},
	}
}

// call is a publisher and a subscriber of its video.
type call struct {
	router *route.Router
	pub    *client
	sub    *client
}

func newCall(t *testing.T) *call {
	t.Helper()
	return newCallOf(t, videoSection("0"))
}

// newCallOf is a call whose publisher has negotiated these m-lines, of which the first one feeds the Producer.
func newCallOf(t *testing.T, sections ...sdp.Negotiated) *call {
	t.Helper()
	c := &call{router: route.NewRouter(), pub: connect(t), sub: connect(t)}
	c.pub.transport.Negotiate(start, sections)
	c.sub.transport.Negotiate(start, []sdp.Negotiated{videoSlot("3")})
	n, _ := c.pub.transport.Section("0")
	p := c.router.Add(route.ProducerConfig{ID: 1, Kind: n.Kind, Codecs: n.Codecs, Extensions: n.Extensions, Clock: c.pub.transport.Clock()})
	if !c.pub.transport.Publish("0", p) {
		t.Fatal("cannot publish")
	}
	c.sub.transport.Assign(start, "3", p, 1, true)
	c.pub.result.Egress.Reset()
	c.sub.result.Egress.Reset()
	return c
}

var mid0 = []rtp.Extension{{ID: 4, B: []byte("0")}, {ID: 5, B: []byte{2}}}

func payload(key bool) []byte {
	if key {
		return []byte{0x90, 0x80, 0x80, 1, 0x10, 2, 0, 0x9d, 1, 0x2a, 0x80, 2, 0x68, 1}
	}
	return []byte{0x90, 0x80, 0x80, 2, 0x11, 2, 0, 1, 2, 3}
}

func (c *call) packet(t *testing.T, now time.Time, seq uint16, ext []rtp.Extension, b []byte) {
	t.Helper()
	h := rtp.Header{PayloadType: 96, SequenceNumber: seq, Timestamp: 1000, SSRC: 77, Marker: true}
	if r := c.pub.send(now, h, ext, b); r != drop.None {
		t.Fatal(r)
	}
}

func (c *call) forward(now time.Time) {
	c.sub.transport.Forward(now, &c.sub.result)
	c.router.EndBatch()
}

// A stream that no SSRC line announces is known by its MID (RFC 9143 §9.2); the subscriber gets its own payload type, SSRC and
// extension ids; an extension that it did not negotiate is left out.
func TestForwardMapsPerReceiver(t *testing.T) {
	c := newCall(t)
	c.packet(t, start, 10, mid0, payload(true))
	c.forward(start)
	media, _ := c.sub.received()
	if len(media) != 1 {
		t.Fatalf("%d packets, drops %v", len(media), c.sub.drops)
	}
	p := media[0]
	if p.PayloadType() != 120 || p.SSRC() != 5000 || p.SequenceNumber() != 10 || !p.Marker() {
		t.Errorf("header %+v", p.Header())
	}
	if string(p.Extension(9)) != "3" || !bytes.Equal(p.Extension(11), []byte{2}) || len(p.Extension(2)) != 3 || p.Extension(4) != nil {
		t.Errorf("extensions %q %v %v %v", p.Extension(9), p.Extension(11), p.Extension(2), p.Extension(4))
	}
	if !bytes.HasSuffix(p.Payload(), payload(true)[4:]) {
		t.Errorf("payload %x", p.Payload())
	}
}

// What is lost on the way in is asked for; its repair on the RTX stream (RFC 4588) takes the place of what was lost.
func TestRepairUpstream(t *testing.T) {
	c := newCall(t)
	c.packet(t, start, 10, mid0, payload(true))
	c.packet(t, start, 12, mid0, payload(false))
	c.forward(start)
	c.sub.received()
	later := start.Add(50 * time.Millisecond)
	c.pub.transport.Timeout(later, &c.pub.result)
	_, control := c.pub.received()
	if got := nacks(t, control); len(got) != 1 || got[0] != 11 {
		t.Fatalf("asked for %v", got)
	}
	repair := append([]byte{0, 11}, payload(false)...)
	rtx := rtp.Header{PayloadType: 97, SequenceNumber: 900, Timestamp: 1000, SSRC: 78}
	if r := c.pub.send(later, rtx, mid0, repair); r != drop.None {
		t.Fatal(r)
	}
	c.forward(later)
	media, _ := c.sub.received()
	if len(media) != 1 || media[0].SequenceNumber() != 11 || media[0].SSRC() != 5000 || media[0].PayloadType() != 120 {
		t.Fatalf("got %d packets", len(media))
	}
	rtx.SequenceNumber++
	if r := c.pub.send(later, rtx, mid0, repair); r != drop.RtpDuplicate {
		t.Errorf("the same repair again: %v", r)
	}
	rtx.SequenceNumber++
	if r := c.pub.send(later, rtx, mid0, nil); r != drop.RtpPadding {
		t.Errorf("padding: %v", r)
	}
}

func nacks(t *testing.T, control [][]byte) (out []uint16) {
	t.Helper()
	each(t, control, func(h rtp.RTCPHeader, b []byte) {
		if h.Type == rtp.TypeTransportFeedback && h.Count == rtp.FormatNACK {
			for it := rtp.NACKs(b); ; {
				n, ok := it.Next()
				if !ok {
					break
				}
				out = append(out, n)
			}
		}
	})
	return out
}

func each(t *testing.T, control [][]byte, f func(rtp.RTCPHeader, []byte)) {
	t.Helper()
	for _, b := range control {
		for len(b) > 0 {
			h, packet, rest, r := rtp.NextRTCP(b)
			if r != drop.None {
				t.Fatal(r)
			}
			f(h, packet)
			b = rest
		}
	}
}

// A subscriber that has lost a packet gets it on the slot's RTX stream, with the original number in front.
func TestRepairDownstream(t *testing.T) {
	c := newCall(t)
	c.packet(t, start, 10, mid0, payload(true))
	c.forward(start)
	c.sub.received()
	if r := c.sub.sendRTCP(start, rtp.AppendNACK(nil, 1, 5000, []uint16{10, 11})); r != drop.None {
		t.Fatal(r)
	}
	media, _ := c.sub.received()
	if len(media) != 1 {
		t.Fatalf("%d packets", len(media))
	}
	p := media[0]
	if p.SSRC() != 5001 || p.PayloadType() != 121 || binary.BigEndian.Uint16(p.Payload()) != 10 {
		t.Errorf("header %+v, original %d", p.Header(), binary.BigEndian.Uint16(p.Payload()))
	}
	if c.sub.drops[drop.NackUnknown] != 1 {
		t.Errorf("drops %v", c.sub.drops)
	}
}

// Media carry the MID until a report shows that the subscriber knows their SSRC. Repairs carry it always: Firefox, once it has seen a MID,
// passes only SSRCs with which it has seen one, whatever the answer says of them, and would throw all repairs away.
func TestMIDOfRepairs(t *testing.T) {
	c := newCall(t)
	mids := func(number uint16) (media, repair string) {
		t.Helper()
		c.packet(t, start, number, mid0, payload(number == 10))
		c.forward(start)
		c.sub.sendRTCP(start, rtp.AppendNACK(nil, 1, 5000, []uint16{number}))
		got, _ := c.sub.received()
		if len(got) != 2 || got[0].SSRC() != 5000 || got[1].SSRC() != 5001 {
			t.Fatalf("%d packets", len(got))
		}
		return string(got[0].Extension(9)), string(got[1].Extension(9))
	}
	if media, repair := mids(10); media != "3" || repair != "3" {
		t.Errorf("before a report: %q, %q", media, repair)
	}
	c.sub.sendRTCP(start, rtp.AppendReceiverReport(nil, 1, []rtp.ReportBlock{{SSRC: 5000}}))
	if media, repair := mids(11); media != "" || repair != "3" {
		t.Errorf("after one: %q, %q", media, repair)
	}
}

// A subscriber's request for a key frame reaches the publisher, by either kind of request.
func TestKeyFrameRequest(t *testing.T) {
	for name, request := range map[string][]byte{
		"PLI": rtp.AppendPLI(nil, 1, 5000),
		"FIR": {0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 5000 >> 8, 5000 & 0xff, 3, 0, 0, 0},
	} {
		c := newCall(t)
		c.packet(t, start, 10, mid0, payload(true))
		c.forward(start)
		if due := c.router.KeyFrameRequests(start, nil); len(due) != 0 {
			t.Fatalf("%s: asked without need", name)
		}
		c.sub.sendRTCP(start, request)
		due := c.router.KeyFrameRequests(start, nil)
		if len(due) != 1 {
			t.Fatalf("%s: not passed on", name)
		}
		c.pub.transport.AskKeyFrame(start, due[0], &c.pub.result)
		_, control := c.pub.received()
		asked := false
		each(t, control, func(h rtp.RTCPHeader, b []byte) {
			ssrc, _ := rtp.MediaSSRC(b)
			asked = asked || h.Type == rtp.TypePayloadFeedback && h.Count == rtp.FormatPLI && ssrc == 77
		})
		if !asked {
			t.Errorf("%s: the publisher was not asked", name)
		}
	}
}

// Reports: the publisher hears of its losses, the subscriber has sender reports on the server's clock.
func TestReports(t *testing.T) {
	c := newCall(t)
	c.packet(t, start, 10, mid0, payload(true))
	c.forward(start)
	c.sub.received()
	theirs := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	c.pub.sendRTCP(start, rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 77, NTP: rtp.NTP(theirs), RTPTime: 1000}, nil))
	later := start.Add(time.Second)
	c.sub.transport.Timeout(later, &c.sub.result)
	_, control := c.sub.received()
	found := false
	each(t, control, func(h rtp.RTCPHeader, b []byte) {
		if h.Type != rtp.TypeSenderReport {
			return
		}
		sr, _ := rtp.ParseSenderReport(b)
		found = true
		if sr.SSRC != 5000 || sr.RTPTime != 91000 || sr.Packets != 1 || rtp.FromNTP(sr.NTP).Sub(later).Abs() > time.Millisecond {
			t.Errorf("sender report %+v", sr)
		}
	})
	if !found {
		t.Error("no sender report")
	}
	c.pub.transport.Timeout(later, &c.pub.result)
	_, control = c.pub.received()
	found = false
	each(t, control, func(h rtp.RTCPHeader, b []byte) {
		if block, ok := rtp.ReportBlockAt(b, 0); ok && h.Type == rtp.TypeReceiverReport && block.SSRC == 77 {
			found = block.Highest == 10 && block.LastSR != 0
		}
	})
	if !found {
		t.Error("no receiver report")
	}
}

// Rule: without a=rtcp-rsize on every m-line, feedback is part of a compound that begins with a report and has a CNAME (RFC 3550 §6.1,
// RFC 4585 §3.1); with it, feedback is alone (RFC 5506). Reports are compounds in any case.
func TestReducedSize(t *testing.T) {
	full, reduced := videoSection("0"), videoSection("0")
	reduced.ReducedRTCP = true
	idle, other := sdp.Negotiated{Mid: "1", Kind: sdp.Audio, Role: sdp.RoleInactive}, videoSection("1")
	for _, test := range []struct {
		name     string
		sections []sdp.Negotiated
		alone    bool
	}{
		{"not negotiated", []sdp.Negotiated{full}, false},
		{"negotiated", []sdp.Negotiated{reduced, idle}, true},
		{"negotiated on one m-line of two", []sdp.Negotiated{reduced, other}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCallOf(t, test.sections...)
			c.packet(t, start, 10, append(mid0[:2:2], rtp.Extension{ID: 6, B: []byte{0, 1}}), payload(true))
			c.packet(t, start, 12, append(mid0[:2:2], rtp.Extension{ID: 6, B: []byte{0, 2}}), payload(false))
			c.forward(start)
			later := start.Add(50 * time.Millisecond)
			c.pub.transport.Timeout(later, &c.pub.result)
			c.sub.sendRTCP(later, rtp.AppendPLI(nil, 1, 5000))
			c.pub.transport.AskKeyFrame(later, c.router.KeyFrameRequests(later, nil)[0], &c.pub.result)
			_, control := c.pub.received()
			seen := map[[2]uint8]bool{}
			for _, b := range control {
				var kinds []uint8
				each(t, [][]byte{b}, func(h rtp.RTCPHeader, _ []byte) {
					kinds = append(kinds, h.Type)
					if h.Type >= rtp.TypeTransportFeedback {
						seen[[2]uint8{h.Type, h.Count}] = true
					}
				})
				if test.alone && kinds[0] >= rtp.TypeTransportFeedback && len(kinds) == 1 {
					continue
				}
				report := kinds[0] == rtp.TypeReceiverReport && kinds[1] == rtp.TypeSDES && bytes.Contains(b, []byte("\x01\x06server"))
				if !report || test.alone && len(kinds) != 2 {
					t.Errorf("a datagram of %v: %x", kinds, b)
				}
			}
			if len(seen) != 3 {
				t.Errorf("feedback: %v; want NACK, arrivals and PLI", seen)
			}
			if n := testing.AllocsPerRun(100, func() {
				c.pub.transport.AskKeyFrame(later, c.router.Producer(1).Encoding(0), &c.pub.result)
				c.pub.result.Egress.Reset()
			}); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// Feedback about arrivals follows 50 ms after the first packet with a transport-wide number, or as much later as it may be where
// nothing else happens.
func TestFeedback(t *testing.T) {
	c := newCall(t)
	c.pub.transport.Timeout(start, &c.pub.result) // the first report
	c.packet(t, start, 10, append(mid0[:2:2], rtp.Extension{ID: 6, B: []byte{0, 1}}), payload(true))
	later := start.Add(50 * time.Millisecond)
	if next := c.pub.transport.Next(); !next.Equal(transport.Late(later)) {
		t.Fatalf("due at %v", next)
	}
	c.pub.transport.Timeout(later, &c.pub.result)
	_, control := c.pub.received()
	found := false
	each(t, control, func(h rtp.RTCPHeader, _ []byte) {
		found = found || h.Type == rtp.TypeTransportFeedback && h.Count == rtp.FormatTransportCC
	})
	if !found {
		t.Error("no feedback")
	}
}

// Feedback tells when packets came to this machine, not when they were read.
func TestFeedbackIsAboutArrivals(t *testing.T) {
	c := newCall(t)
	c.pub.transport.Timeout(start, &c.pub.result) // the first report
	read := start.Add(40 * time.Millisecond)
	var want bwe.Arrivals
	for i, waited := range []time.Duration{40 * time.Millisecond, 15 * time.Millisecond, 0} {
		number := byte(i + 1)
		b := make([]byte, 2048)
		h := rtp.Header{PayloadType: 96, SequenceNumber: uint16(number), SSRC: 77, Marker: true}
		n := c.pub.out.Source(77).SealRTP(b, rtp.AppendHeader(nil, h, append(mid0[:2:2], rtp.Extension{ID: 6, B: []byte{0, number}})), payload(true))
		at := read.Add(-waited)
		d := datagram.Datagram{Pair: pair, B: b[:n], At: at.UnixNano()}
		if r := c.pub.transport.Handle(read, &d, &c.pub.result); r != drop.None {
			t.Fatal(r)
		}
		want.Record(uint16(number), at)
	}
	c.pub.transport.Timeout(read.Add(50*time.Millisecond), &c.pub.result)
	_, control := c.pub.received()
	feedback := want.AppendFeedback(nil, 1, 77)
	if !slices.ContainsFunc(control, func(b []byte) bool { return bytes.Contains(b, feedback) }) {
		t.Errorf("sent % x, want % x among it", control, feedback)
	}
}

// Bad input is dropped for a reason, and changes nothing.
func TestDrops(t *testing.T) {
	c := newCall(t)
	rtpPacket := rtp.AppendHeader(nil, rtp.Header{PayloadType: 96, SSRC: 77}, nil)
	for _, x := range []struct {
		name string
		got  drop.Reason
		want drop.Reason
	}{
		{"nothing", c.pub.transport.Handle(start, &datagram.Datagram{Pair: pair, B: nil}, &c.pub.result), drop.Empty},
		{"no protocol", c.pub.transport.Handle(start, &datagram.Datagram{Pair: pair, B: []byte{250, 1, 2}}, &c.pub.result), drop.UnknownClass},
		{"not sealed", c.pub.transport.Handle(start, &datagram.Datagram{Pair: pair, B: append(rtpPacket, make([]byte, 40)...)}, &c.pub.result), drop.SrtpAuth},
		{"short", c.pub.transport.Handle(start, &datagram.Datagram{Pair: pair, B: []byte{0x80, 96, 1}}, &c.pub.result), drop.RtpMalformed},
		{"unknown stream", c.pub.send(start, rtp.Header{PayloadType: 33, SSRC: 99}, nil, payload(true)), drop.RtpUnknownSSRC},
		{"unknown mid", c.pub.send(start, rtp.Header{PayloadType: 96, SSRC: 98}, []rtp.Extension{{ID: 4, B: []byte("9")}}, payload(true)), drop.RtpUnknownSSRC},
		{"payload type", c.pub.send(start, rtp.Header{PayloadType: 33, SSRC: 97}, mid0, payload(true)), drop.RtpPayloadType},
	} {
		if x.got != x.want {
			t.Errorf("%s: %v, want %v", x.name, x.got, x.want)
		}
	}
	for name, request := range map[string][]byte{
		"NACK": rtp.AppendNACK(nil, 1, 5999, []uint16{1, 2}), "PLI": rtp.AppendPLI(nil, 1, 5999), "sender report": rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 5999}, nil),
	} {
		before := c.sub.drops
		if r := c.sub.sendRTCP(start, request); r != drop.None || c.sub.drops[drop.RtcpUnknown] != before[drop.RtcpUnknown]+1 {
			t.Errorf("%s of a foreign SSRC: %v, %v", name, r, c.sub.drops)
		}
	}
	fresh, err := transport.New(transport.Config{Local: sdp.ICE{Ufrag: "aaaa", Pwd: "0123456789012345678901ab"}, Remote: sdp.ICE{Ufrag: "bbbb", Pwd: "0123456789012345678901ab"}}, start)
	if err != nil {
		t.Fatal(err)
	}
	if r := fresh.Handle(start, &datagram.Datagram{Pair: pair, B: append(rtpPacket, make([]byte, 40)...)}, &c.pub.result); r != drop.SrtpNoKeys {
		t.Errorf("before keys: %v", r)
	}
}

// Limit: a client has 72 slots. What fills one more does not flow.
func TestSlotLimit(t *testing.T) {
	c := newCall(t)
	var slots []sdp.Negotiated
	for i := range 72 + 1 {
		s := videoSlot(fmt.Sprint(i))
		s.SSRC, s.RTXSSRC = uint32(6000+2*i), uint32(6001+2*i)
		slots = append(slots, s)
	}
	sub := connect(t)
	sub.transport.Negotiate(start, slots)
	for _, s := range slots {
		sub.transport.Assign(start, s.Mid, c.router.Producer(1), 1, true)
	}
	c.packet(t, start, 10, mid0, payload(true))
	sub.transport.Forward(start, &sub.result)
	media, _ := sub.received()
	if len(media) != 72 {
		t.Errorf("%d slots", len(media))
	}
	for _, p := range media {
		if p.SSRC() == slots[72].SSRC {
			t.Error("the one too many flows")
		}
	}
}

// Limit: of the numbers that one request for repair asks for, 256 are answered.
func TestNackLimit(t *testing.T) {
	c := newCall(t)
	var asked []uint16
	for i := range 300 {
		asked = append(asked, uint16(10+i))
		c.packet(t, start, uint16(10+i), mid0, payload(i == 0))
		c.forward(start)
	}
	c.sub.received()
	if r := c.sub.sendRTCP(start, rtp.AppendNACK(nil, 1, 5000, asked)); r != drop.None {
		t.Fatal(r)
	}
	if media, _ := c.sub.received(); len(media) != 256 {
		t.Errorf("%d answered; drops %v", len(media), c.sub.drops)
	}
}

// A new SSRC replaces the old one of its m-line once that is silent, and the subscriber's numbers go on; a client that changes its
// SSRC all the time fills no table.
func TestStreamsAreReplaced(t *testing.T) {
	c := newCall(t)
	now := start
	for ssrc := uint32(100); ssrc < 170; ssrc++ {
		h := rtp.Header{PayloadType: 96, SequenceNumber: uint16(ssrc * 777), SSRC: ssrc}
		if ssrc > 100 {
			if r := c.pub.send(now, h, mid0, payload(true)); r != drop.RtpUnknownSSRC {
				t.Fatalf("SSRC %d while another is heard: %v", ssrc, r)
			}
		}
		now = now.Add(200 * time.Millisecond)
		h.SequenceNumber++
		if r := c.pub.send(now, h, mid0, payload(true)); r != drop.None {
			t.Fatalf("SSRC %d: %v", ssrc, r)
		}
		c.forward(now)
	}
	media, _ := c.sub.received()
	if len(media) != 70 {
		t.Fatalf("%d packets", len(media))
	}
	for i := range media[1:] {
		if media[i+1].SequenceNumber() != media[i].SequenceNumber()+1 {
			t.Fatalf("number %d after %d", media[i+1].SequenceNumber(), media[i].SequenceNumber())
		}
	}
}

// The streams of one client are limited: an m-line beyond the limit stays without.
func TestStreamLimit(t *testing.T) {
	c := connect(t)
	var sections []sdp.Negotiated
	for i := range 80 {
		s := videoSection(fmt.Sprint(i))
		s.SSRCs = []uint32{uint32(1000 + i)}
		sections = append(sections, s)
	}
	c.transport.Negotiate(start, sections)
	last := rtp.Header{PayloadType: 96, SequenceNumber: 1, SSRC: 1079}
	if r := c.send(start, last, nil, payload(true)); r != drop.RtpUnknownSSRC {
		t.Errorf("beyond the limit: %v", r)
	}
	first := rtp.Header{PayloadType: 96, SequenceNumber: 1, SSRC: 1000}
	if r := c.send(start, first, nil, payload(true)); r != drop.Unpublished {
		t.Errorf("within it: %v", r)
	}
}

// A stream without SSRC lines and MID is known by a payload type that only one m-line has (RFC 9143 §9.2).
func TestStreamByPayloadType(t *testing.T) {
	c := connect(t)
	other := videoSection("1")
	other.Codecs = []sdp.Codec{{Name: "h264", PayloadType: 102, ClockRate: 90000, RTX: 97}}
	c.transport.Negotiate(start, []sdp.Negotiated{videoSection("0"), other})
	if r := c.send(start, rtp.Header{PayloadType: 102, SSRC: 1}, nil, payload(true)); r != drop.Unpublished {
		t.Errorf("one m-line has it: %v", r)
	}
	if r := c.send(start, rtp.Header{PayloadType: 97, SSRC: 2}, nil, payload(true)); r != drop.RtpUnknownSSRC {
		t.Errorf("two have it: %v", r)
	}
}

// A publisher without RTX is asked for lost packets too, and answers with the packet itself.
func TestRepairWithoutRTX(t *testing.T) {
	c := newCall(t)
	s := videoSection("0")
	s.Codecs = []sdp.Codec{{Name: "vp8", PayloadType: 96, ClockRate: 90000, Feedback: []string{"nack", "nack pli"}}}
	c.pub.transport.Negotiate(start, []sdp.Negotiated{s})
	for _, seq := range []uint16{10, 12} {
		c.packet(t, start, seq, mid0, payload(seq == 10))
	}
	later := start.Add(50 * time.Millisecond)
	c.pub.transport.Timeout(later, &c.pub.result)
	if _, control := c.pub.received(); len(nacks(t, control)) != 1 {
		t.Error("did not ask")
	}
	c.packet(t, later, 11, mid0, payload(false))
	c.forward(later)
	if media, _ := c.sub.received(); len(media) != 3 {
		t.Errorf("%d packets", len(media))
	}
}

// While consent is late nothing is sent, and nothing keeps the loop awake for it.
func TestLateConsentIsQuiet(t *testing.T) {
	c := newCall(t)
	c.packet(t, start, 10, mid0, payload(true))
	c.packet(t, start, 12, mid0, payload(false))
	late := start.Add(16 * time.Second)
	c.pub.transport.Timeout(late, &c.pub.result)
	if next := c.pub.transport.Next(); !next.After(late.Add(time.Second)) {
		t.Errorf("due %v later", next.Sub(late))
	}
}

// What is not built is refused, not ignored.
func TestNotSupported(t *testing.T) {
	for _, cfg := range []transport.Config{{DTLS: transport.Active}, {Keying: transport.SDES}, {Keying: transport.Plain}, {ICE: ice.None}} {
		if _, err := transport.New(cfg, start); err == nil {
			t.Errorf("%+v was accepted", cfg)
		} else if cfg.ICE == ice.Lite && !errors.Is(err, transport.ErrNotSupported) {
			t.Error(err)
		}
	}
}

// From a datagram to the sealed copy for a subscriber nothing is allocated.
func TestPacketPathAllocatesNothing(t *testing.T) {
	c := newCall(t)
	c.packet(t, start, 10, mid0, payload(true))
	c.forward(start)
	const runs = 200
	var packets [runs + 1][]byte
	for i := range packets {
		b := make([]byte, 2048)
		h := rtp.Header{PayloadType: 96, SequenceNumber: uint16(11 + i), SSRC: 77}
		packets[i] = b[:c.pub.out.Source(77).SealRTP(b, rtp.AppendHeader(nil, h, mid0), append(payload(false), make([]byte, 1100)...))]
	}
	i := 0
	n := testing.AllocsPerRun(runs, func() {
		if r := c.pub.transport.Handle(start, &datagram.Datagram{Pair: pair, B: packets[i]}, &c.pub.result); r != drop.None {
			t.Fatal(r)
		}
		c.forward(start)
		c.sub.result.Egress.Reset()
		i++
	})
	if n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}
