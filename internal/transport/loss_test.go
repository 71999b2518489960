package transport_test

import (
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

// talk is a publisher of Opus and a subscriber that takes redundancy, who loses some of what is sent to it, as its reports tell.
type talk struct {
	*call
	t           *testing.T
	now         time.Time
	number      uint16 // of the publisher
	received    int
	highest     uint32 // that the subscriber knows of
	first       uint32
	lastPayload uint8
}

var (
	opus = sdp.Codec{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2}
	red  = sdp.Codec{Name: "red", PayloadType: 63, ClockRate: 48000, Channels: 2, Parameters: "111/111"}
)

func newTalk(t *testing.T) *talk {
	t.Helper()
	return newTalkOf(t, opus, red)
}

// newTalkOf is a talk whose subscriber takes these codecs.
func newTalkOf(t *testing.T, codecs ...sdp.Codec) *talk {
	t.Helper()
	k := &talk{call: &call{router: route.NewRouter(), pub: connect(t), sub: connect(t)}, t: t, now: start}
	k.pub.transport.Negotiate(start, []sdp.Negotiated{{Mid: "0", Kind: sdp.Audio, Role: sdp.RoleReceive, Codecs: []sdp.Codec{opus}, SSRCs: []uint32{77}}})
	k.sub.transport.Negotiate(start, []sdp.Negotiated{{Mid: "3", Kind: sdp.Audio, Role: sdp.RoleSend, Codecs: codecs, SSRC: 5000, CNAME: "x"}})
	p := k.router.Add(route.ProducerConfig{ID: 1, Kind: sdp.Audio, Codecs: []sdp.Codec{opus}, Clock: k.pub.transport.Clock()})
	k.pub.transport.Publish("0", p)
	k.sub.transport.Assign(start, "3", p, 1, true)
	return k
}

// pass lets time pass, of which up loses and down tell the parts (1 of so many; 0: none) that are lost on the way to the server and
// from it. The subscriber reports every second.
func (k *talk) pass(d time.Duration, up, down int) {
	k.t.Helper()
	for end := k.now.Add(d); k.now.Before(end); {
		k.now = k.now.Add(20 * time.Millisecond)
		k.number++
		if k.number%50 == 0 {
			k.pub.check(k.now)
			k.sub.check(k.now)
			lost := int32(k.highest-k.first) + 1 - int32(k.received)
			k.sub.sendRTCP(k.now, rtp.AppendReceiverReport(nil, 9, []rtp.ReportBlock{{SSRC: 5000, Highest: k.highest, Lost: lost}}))
		}
		if up > 0 && int(k.number)%up == 0 {
			continue
		}
		h := rtp.Header{PayloadType: 111, SequenceNumber: k.number, Timestamp: uint32(k.number) * 960, SSRC: 77}
		if r := k.pub.send(k.now, h, nil, []byte{0x78, 1, 2}); r != drop.None {
			k.t.Fatal(r)
		}
		k.forward(k.now)
		media, _ := k.sub.received()
		for _, p := range media {
			if k.received == 0 {
				k.first = uint32(p.SequenceNumber())
			}
			k.lastPayload = p.PayloadType()
			if p.PayloadType() == 63 {
				var blocks [codec.MaxBlocks]codec.Block
				if n, r := codec.ParseRED(p.Payload(), &blocks); r != drop.None || n < 2 {
					k.t.Fatalf("%d blocks, %v", n, r)
				}
			}
			if down == 0 || int(p.SequenceNumber())%down != 0 {
				k.received, k.highest = k.received+1, uint32(p.SequenceNumber())
			}
		}
	}
}

// told returns the report block that the publisher gets next.
func (k *talk) told() (block rtp.ReportBlock) {
	k.t.Helper()
	k.now = k.now.Add(time.Second)
	k.pub.result.Egress.Reset()
	k.pub.transport.Timeout(k.now, &k.pub.result)
	_, control := k.pub.received()
	each(k.t, control, func(h rtp.RTCPHeader, b []byte) {
		if h.Type == rtp.TypeReceiverReport {
			block, _ = rtp.ReportBlockAt(b, 0)
		}
	})
	return block
}

// A subscriber that loses packets gets redundancy within two reports, and no longer once it has lost next to nothing for ten
// seconds.
func TestLossBringsRedundancy(t *testing.T) {
	k := newTalk(t)
	k.pass(3*time.Second, 0, 0)
	if k.lastPayload != 111 {
		t.Error("redundancy without loss")
	}
	k.pass(3*time.Second, 0, 20)
	if k.lastPayload != 63 {
		t.Error("no redundancy at 5 % loss")
	}
	k.pass(9*time.Second, 0, 0)
	k.pass(2*time.Second, 0, 33)
	k.pass(9*time.Second, 0, 0)
	if k.lastPayload != 63 {
		t.Error("redundancy ended at once")
	}
	k.pass(9*time.Second, 0, 0)
	if k.lastPayload != 111 {
		t.Error("redundancy does not end")
	}
}

// A subscriber that loses packets and takes no redundancy is sent each one twice, byte for byte, the second time with the next one; and no
// longer once it has lost next to nothing for a while, though all that it loses then are both copies of one.
func TestLossWithoutRedundancyIsSentTwice(t *testing.T) {
	k := newTalkOf(t, opus)
	k.pass(3*time.Second, 0, 0)
	if k.sub.repeated > 0 {
		t.Error("sent twice without loss")
	}
	k.pass(3*time.Second, 0, 20)
	k.sub.repeated = 0
	k.pass(30*time.Second, 0, 300) // both copies of one in 300: as where 6 % are lost
	if k.sub.repeated != 1500 || k.lastPayload != 111 {
		t.Errorf("%d of 1500 sent twice, payload type %d", k.sub.repeated, k.lastPayload)
	}
	if told := k.told().FractionLost; told < 5 || told > 26 {
		t.Errorf("told %d/256", told)
	}
	k.sub.repeated = 0
	k.now = k.now.Add(100 * time.Millisecond)
	k.pass(20*time.Millisecond, 0, 0)
	if k.sub.repeated > 0 {
		t.Error("sent twice after a pause")
	}
	k.pass(40*time.Second, 0, 0)
	k.sub.repeated = 0
	k.pass(time.Second, 0, 0)
	if k.sub.repeated > 0 {
		t.Error("does not end")
	}
}

// A packet of sound that is longer than what is kept of one is sent once.
func TestLongSoundIsSentOnce(t *testing.T) {
	k := newTalkOf(t, opus)
	k.pass(6*time.Second, 0, 20)
	for i, c := range []struct{ bytes, repeated int }{{400, 1}, {600, 1}, {400, 0}, {3, 1}} {
		k.now, k.number, k.sub.repeated = k.now.Add(20*time.Millisecond), k.number+1, 0
		h := rtp.Header{PayloadType: 111, SequenceNumber: k.number, Timestamp: uint32(k.number) * 960, SSRC: 77}
		if r := k.pub.send(k.now, h, nil, make([]byte, c.bytes)); r != drop.None {
			t.Fatal(r)
		}
		k.forward(k.now)
		k.sub.received()
		if k.sub.repeated != c.repeated {
			t.Errorf("packet %d: %d of the one before it", i, k.sub.repeated)
		}
	}
}

// Keeping packets of sound and sending them again allocates nothing, once a subscriber was found to need it.
func TestSendingTwiceAllocatesNothing(t *testing.T) {
	k := newTalkOf(t, opus)
	k.pass(6*time.Second, 0, 20)
	const runs = 100
	var packets [runs + 1][]byte
	for i := range packets {
		k.number++
		h := rtp.Header{PayloadType: 111, SequenceNumber: k.number, Timestamp: uint32(k.number) * 960, SSRC: 77}
		packets[i] = make([]byte, 2048)
		packets[i] = packets[i][:k.pub.out.Source(77).SealRTP(packets[i], rtp.AppendHeader(nil, h, nil), make([]byte, 160))]
	}
	i, sent := 0, 0
	n := testing.AllocsPerRun(runs, func() {
		k.now = k.now.Add(20 * time.Millisecond)
		if r := k.pub.transport.Handle(k.now, &datagram.Datagram{Pair: pair, B: packets[i]}, &k.pub.result); r != drop.None {
			t.Fatal(r)
		}
		k.forward(k.now)
		sent += k.sub.result.Egress.Datagrams()
		k.sub.result.Egress.Reset()
		i++
	})
	if n != 0 || sent != 2*len(packets) { // with each one the one before it
		t.Errorf("%v allocations a packet, %d datagrams for %d packets", n, sent, len(packets))
	}
}

// What is lost on the way from the publisher is no loss of the subscriber's: it brings no redundancy, and the publisher is not told of
// it twice.
func TestUplinkLossIsNotDownlinkLoss(t *testing.T) {
	k := newTalk(t)
	k.pass(10*time.Second, 10, 0)
	if k.lastPayload != 111 {
		t.Error("uplink loss brings redundancy")
	}
	if got := k.told().FractionLost; got < 22 || got > 29 { // 10 % of 256 is 25.6
		t.Errorf("told %d/256", got)
	}
}

// The publisher is told the worst loss among its subscribers as its fraction lost, so that its encoder sends for it, up to 20 %; and the
// number of lost packets of its own network alone. It is forgotten when the subscriber reports no more.
func TestPublisherIsToldOfDownlinkLoss(t *testing.T) {
	for _, c := range []struct{ up, down, least, most int }{
		{0, 0, 0, 0},
		{0, 10, 22, 29},
		{0, 3, 46, 52},  // 20 %, not 33
		{10, 9, 46, 55}, // together
	} {
		k := newTalk(t)
		k.pass(10*time.Second, c.up, c.down)
		block := k.told()
		lost := int32(0)
		if c.up > 0 {
			lost = 500 / int32(c.up)
		}
		if got := int(block.FractionLost); got < c.least || got > c.most || block.Lost < lost-1 || block.Lost > lost {
			t.Errorf("1/%d up, 1/%d down: told %d/256, %d packets of %d", c.up, c.down, got, block.Lost, lost)
		}
		if c.down > 0 && c.up == 0 {
			k.now = k.now.Add(15 * time.Second)
			k.pub.check(k.now)
			if got := k.told().FractionLost; got != 0 {
				t.Errorf("told %d/256 of somebody who reports no more", got)
			}
		}
	}
}
