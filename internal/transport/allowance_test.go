package transport_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
)

// The limit of feedbackRate: whatever a client's RTCP asks for, no more than 4,000 of it is read a second, and as many
// may be saved up. The rest is counted, and not even opened; who stops flooding is heard again.
func TestFeedbackLimit(t *testing.T) {
	const rate, burst = 4000, 4000
	c := newCall(t)
	c.packet(t, start, 10, mid0, payload(true))
	c.forward(start)
	requests := map[string]struct {
		b     []byte
		costs int
	}{
		"one request for a key frame":  {rtp.AppendPLI(nil, 1, 5000), 2},
		"forty in one datagram":        {many(40, rtp.AppendPLI(nil, 1, 5000)), 41},
		"a packet again":               {rtp.AppendNACK(nil, 1, 5000, []uint16{10}), 3},
		"packets that were never sent": {rtp.AppendNACK(nil, 1, 5000, numbers(100, 17)), 19},
		"a report without loss":        {rtp.AppendReceiverReport(nil, 1, []rtp.ReportBlock{{SSRC: 5000}}), 2},
	}
	now := start
	for name, x := range requests {
		now = now.Add(2 * time.Second) // the bucket is full
		c.sub.check(now)
		flood := func() (read int) {
			before := c.sub.drops[drop.RtcpTooOften]
			for c.sub.drops[drop.RtcpTooOften] == before {
				c.sub.drops.Add(c.sub.sendRTCP(now, x.b))
				read++
			}
			c.sub.result.Egress.Reset()
			return read
		}
		if got, want := flood(), burst/x.costs+1; got != want {
			t.Errorf("%s: the datagram number %d was the first that was not read, want %d", name, got, want)
		}
		now = now.Add(100 * time.Millisecond)
		if got, least := flood(), rate/10/x.costs; got < least || got > least+2 {
			t.Errorf("%s: 100 ms later %d were read, want %d", name, got, least)
		}
	}
}

// The limit of forgedRate: whoever forges a client's address takes nothing of its allowance, however much he sends, and not more than 1,000 of it is tried to
// be opened a second. What he has seen of the client does not help him: it has come already, or its tag is wrong.
func TestForgedFeedbackSilencesNobody(t *testing.T) {
	const rate = 1000
	c := newCall(t)
	c.packet(t, start, 10, mid0, payload(true))
	c.forward(start)
	c.sub.received()
	key := rtp.AppendPLI(nil, 1, 5000)
	if r := c.sub.sendRTCP(start, key); r != drop.None { // the client is heard
		t.Fatal(r)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for i := range 50_000 {
		b := make([]byte, 60)
		for k := range b {
			b[k] = byte(random.Uint32())
		}
		b[0], b[1], b[56] = 0x81, 206, b[56]|0x80
		if i%2 == 0 {
			binary.BigEndian.PutUint32(b[4:], 1) // who is known to send
		}
		c.sub.drops.Add(c.sub.transport.Handle(start, &datagram.Datagram{Pair: pair, B: b}, &c.sub.result))
	}
	if tried, refused := c.sub.drops[drop.SrtpAuth], c.sub.drops[drop.RtcpTooOften]; tried < rate || tried > rate+2 || tried+refused != 50_000 {
		t.Errorf("%d of 50,000 were opened, %d refused: %v", tried, refused, c.sub.drops)
	}
	for range 100 {
		if r := c.sub.sendRTCP(start, key); r != drop.None {
			t.Fatalf("the client is not heard: %v", r)
		}
	}
	c.sub.sendRTCP(start, rtp.AppendNACK(nil, 1, 5000, []uint16{10}))
	if media, _ := c.sub.received(); len(media) != 1 {
		t.Errorf("%d repairs, want 1", len(media))
	}
}

func many(n int, b []byte) (all []byte) {
	for range n {
		all = append(all, b...)
	}
	return all
}

func numbers(first uint16, n int) (all []uint16) {
	for i := range n {
		all = append(all, first+uint16(i))
	}
	return all
}

// 10,000 requests a second for key frames, and for everything again, bring the publisher two requests a second, and the subscriber
// a quarter more than what was sent, and what could be saved up.
func TestStormIsCapped(t *testing.T) {
	c := newCall(t)
	asked, media, again := 0, 0, 0
	const seconds = 20
	number := uint16(10)
	for now := start; now.Sub(start) < seconds*time.Second; now = now.Add(10 * time.Millisecond) {
		if now.Sub(start)%(5*time.Second) == 0 {
			c.pub.check(now)
			c.sub.check(now)
		}
		c.packet(t, now, number, mid0, append(payload(number == 10), make([]byte, 1000)...))
		number++
		c.forward(now)
		for range 50 {
			c.sub.drops.Add(c.sub.sendRTCP(now, rtp.AppendPLI(nil, 1, 5000)))
			c.sub.drops.Add(c.sub.sendRTCP(now, rtp.AppendNACK(nil, 1, 5000, numbers(number-100, 100))))
		}
		for _, e := range c.router.KeyFrameRequests(now, nil) {
			asked++
			c.pub.transport.AskKeyFrame(now, e, &c.pub.result)
		}
		c.pub.result.Egress.Reset()
		packets, _ := c.sub.received()
		for _, p := range packets {
			if p.SSRC() == 5000 {
				media += len(p.Bytes())
			} else {
				again += len(p.Bytes())
			}
		}
	}
	t.Logf("%d key frames asked for, %d bytes of media, %d again; %v", asked, media, again, c.sub.drops)
	if asked > 2*seconds || asked < seconds {
		t.Errorf("the publisher was asked for %d key frames in %d s", asked, seconds)
	}
	if again > media/2+128<<10 {
		t.Errorf("%d bytes of repairs for %d bytes of media", again, media)
	}
	if c.sub.drops[drop.RtcpTooOften] == 0 || c.sub.drops[drop.NackTooOften] == 0 {
		t.Errorf("drops %v", c.sub.drops)
	}
}
