package route_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
)

var (
	red      = []sdp.Codec{{Name: "red", PayloadType: 63, ClockRate: 48000, Channels: 2, Parameters: "111/111"}, opus[0]}
	otherRED = []sdp.Codec{
		{Name: "opus", PayloadType: 100, ClockRate: 48000, Channels: 2},
		{Name: "red", PayloadType: 101, ClockRate: 48000, Channels: 2, Parameters: "100/100"},
	}
)

// radio is a publisher of Opus whose frames say "f1", "f2", …, and subscribers.
type radio struct {
	*testing.T
	router    *route.Router
	producer  *route.Producer
	consumers []*route.Consumer
}

func newRadio(t *testing.T, published []sdp.Codec, encrypted bool, taken ...[]sdp.Codec) *radio {
	r := &radio{T: t, router: route.NewRouter()}
	r.producer = r.router.Add(route.ProducerConfig{ID: 1, Kind: sdp.Audio, Codecs: published, Encrypted: encrypted, Clock: new(route.Clock)})
	for _, codecs := range taken {
		c := route.NewConsumer(sdp.Audio, codecs)
		c.Assign(start, r.producer, 1)
		c.Ready(1)
		r.consumers = append(r.consumers, c)
	}
	return r
}

func frameOf(n int64) []byte { return fmt.Append(nil, "f", n) }

// opus sends frame n as it is; red with as many frames before it.
func (r *radio) opus(n int64) drop.Reason { return r.add(111, n, n*960, frameOf(n)) }

func (r *radio) red(n int64, redundant int) drop.Reason {
	var blocks []codec.Block
	for i := redundant; i >= 0; i-- {
		blocks = append(blocks, codec.Block{PayloadType: 111, Offset: uint32(i) * 960, Payload: frameOf(n - int64(i))})
	}
	return r.add(63, n, n*960, codec.AppendRED(nil, blocks))
}

func (r *radio) add(payloadType uint8, n, timestamp int64, payload []byte) drop.Reason {
	r.Helper()
	var in rtp.Packet
	b := rtp.AppendHeader(nil, rtp.Header{PayloadType: payloadType, SequenceNumber: uint16(n), Timestamp: uint32(timestamp)}, nil)
	if reason := in.Parse(append(b, payload...)); reason != drop.None {
		r.Fatal(reason)
	}
	return r.producer.Encoding(0).Add(start, &in, 1<<16+n)
}

// got returns what subscriber i is sent, packet by packet: number and frames, the primary one last, with the payload type of RED in
// front where it is one.
func (r *radio) got(i int) string {
	r.Helper()
	var out []string
	c := r.consumers[i]
	for k := range r.producer.Pending() {
		p := &r.producer.Pending()[k]
		var h rtp.Header
		if _, reason := c.Forward(start, p, &h); reason != drop.None {
			out = append(out, reason.String())
			continue
		}
		payload := c.Wrap(p, &h)
		text := fmt.Sprint(h.SequenceNumber, ":")
		if h.PayloadType == 111 || h.PayloadType == 100 {
			out = append(out, text+string(payload))
			continue
		}
		var blocks [codec.MaxBlocks]codec.Block
		n, reason := codec.ParseRED(payload, &blocks)
		if reason != drop.None {
			r.Fatalf("payload type %d: %v", h.PayloadType, reason)
		}
		text += fmt.Sprint(h.PayloadType, "[")
		for _, b := range blocks[:n] {
			if want := h.Timestamp/960*960 - b.Offset; !bytes.Equal(b.Payload, frameOf(int64(want/960))) {
				r.Errorf("block %q at timestamp %d", b.Payload, want)
			}
			text += string(b.Payload) + " "
		}
		out = append(out, strings.TrimSpace(text)+"]")
	}
	return strings.Join(out, ", ")
}

func (r *radio) check(want ...string) {
	r.Helper()
	for i, w := range want {
		if got := r.got(i); got != w {
			r.Errorf("subscriber %d got %s, want %s", i, got, w)
		}
	}
	r.router.EndBatch()
}

// Redundancy that a publisher sends is passed to those who take it, and taken off for those who do not.
func TestREDPassedAndStripped(t *testing.T) {
	r := newRadio(t, red, false, opus, red, otherRED)
	r.red(7, 0)
	r.check("7:f7", "7:63[f7]", "7:f7")
	r.red(8, 1)
	r.red(9, 1)
	// The third names Opus otherwise than the publisher's blocks do.
	r.check("8:f8, 9:f9", "8:63[f7 f8], 9:63[f8 f9]", "8:f8, 9:f9")
}

// What was lost on the way in is recovered from the redundancy of what comes next, takes its place, and is not taken again when it
// comes late.
func TestREDRecovers(t *testing.T) {
	r := newRadio(t, red, false, opus, red)
	r.red(1, 0)
	r.check("1:f1", "1:63[f1]")
	r.red(4, 2)
	r.check("2:f2, 3:f3, 4:f4", "2:f2, 3:f3, 4:63[f2 f3 f4]")
	if reason := r.red(3, 2); reason != drop.RtpDuplicate {
		t.Errorf("a packet that was recovered: %v", reason)
	}
	r.red(7, 1) // 5 is lost for good
	r.check("6:f6, 7:f7", "6:f6, 7:63[f6 f7]")
	r.red(5, 0) // or only late
	r.check("5:f5", "5:63[f5]")
	if reason := r.red(5, 0); reason != drop.RtpDuplicate {
		t.Errorf("the same again: %v", reason)
	}
}

// Nothing is recovered from before the first packet, from blocks that are not of the hole by their timestamps, or that are no Opus.
func TestREDRecoversNothingElse(t *testing.T) {
	r := newRadio(t, red, false, opus)
	r.red(10, 2)
	r.check("10:f10")
	r.red(11, 2)
	r.check("11:f11")
	block := func(payloadType uint8, offset uint32, frame string) codec.Block {
		return codec.Block{PayloadType: payloadType, Offset: offset, Payload: []byte(frame)}
	}
	for i, b := range []codec.Block{block(111, 0, "x"), block(111, 2*960, "x"), block(111, 16383, "x"), block(13, 960, "x"), block(111, 960, "")} {
		n := int64(13 + 2*i)
		r.add(63, n, n*960, codec.AppendRED(nil, []codec.Block{b, block(111, 0, string(frameOf(n)))}))
		r.check(fmt.Sprint(n, ":f", n))
	}
	for name, b := range map[string][]byte{"no block": {0x80}, "comfort noise": {13, 1}} {
		if reason := r.add(63, 40, 40*960, b); reason == drop.None {
			t.Errorf("%s was taken", name)
		}
	}
	if reason := r.add(63, 40, 40*960, []byte{111}); reason != drop.RtpPadding {
		t.Errorf("an empty frame: %v", reason)
	}
}

// A subscriber that loses packets and takes redundancy gets two frames in front of each, whoever publishes; the others do not.
func TestREDMadeUnderLoss(t *testing.T) {
	r := newRadio(t, opus, false, opus, red, otherRED)
	for _, c := range r.consumers {
		c.SetLossy(true)
	}
	r.opus(1)
	r.check("1:f1", "1:f1", "1:f1")
	r.opus(2)
	r.opus(3)
	r.opus(4)
	r.check("2:f2, 3:f3, 4:f4", "2:63[f1 f2], 3:63[f1 f2 f3], 4:63[f2 f3 f4]", "2:101[f1 f2], 3:101[f1 f2 f3], 4:101[f2 f3 f4]")
	r.consumers[1].SetLossy(false)
	r.opus(5)
	r.check("5:f5", "5:f5")
	r.opus(60) // after a pause there is nothing near enough
	r.check("60:f60", "60:f60", "60:f60")
}

// Where the publisher sends one frame of redundancy, a lossy subscriber gets two; where it sends more, that.
func TestREDMadeOfRED(t *testing.T) {
	r := newRadio(t, red, false, red)
	r.consumers[0].SetLossy(true)
	r.red(1, 0)
	r.check("1:63[f1]")
	r.red(2, 1)
	r.red(3, 1)
	r.check("2:63[f1 f2], 3:63[f1 f2 f3]")
	r.red(4, 3)
	r.check("4:63[f1 f2 f3 f4]")
}

// Encrypted audio is passed as it is to those who take its format, and never put together or taken apart.
func TestREDEncrypted(t *testing.T) {
	r := newRadio(t, red, true, opus, red)
	for _, c := range r.consumers {
		c.SetLossy(true)
	}
	r.opus(1)
	r.opus(2)
	r.check("1:f1, 2:f2", "1:f1, 2:f2")
	r.add(63, 3, 3*960, []byte("secret"))
	var h rtp.Header
	p := &r.producer.Pending()[0]
	if _, reason := r.consumers[0].Forward(start, p, &h); reason != drop.CodecMismatch {
		t.Errorf("to one who does not take it: %v", reason)
	}
	if _, reason := r.consumers[1].Forward(start, p, &h); reason != drop.None || h.PayloadType != 63 || string(r.consumers[1].Wrap(p, &h)) != "secret" {
		t.Errorf("to one who takes it: %v, %+v", reason, h)
	}
}

// Frames that are too large for three of them in a packet are not repeated; of a long batch, the oldest packets go without.
func TestREDLimits(t *testing.T) {
	r := newRadio(t, opus, false, red)
	c := r.consumers[0]
	c.SetLossy(true)
	send := func(n int64, size int) int {
		r.add(111, n, n*960, bytes.Repeat([]byte{1}, size))
		var h rtp.Header
		p := &r.producer.Pending()[len(r.producer.Pending())-1]
		c.Forward(start, p, &h)
		return len(c.Wrap(p, &h))
	}
	for i, s := range []struct{ size, want int }{
		{400, 400},
		{400, 400 + 1 + 404},
		{341, 341 + 1 + 2*404},
		{400, 400 + 1 + 345 + 404},
		{401, 401 + 1 + 404}, // 345 more would be beyond 1150
		{10, 10},
		{10, 10 + 1 + 14},
	} {
		if got := send(int64(i+1), s.size); got != s.want {
			t.Errorf("frame %d: %d bytes, want %d", i+1, got, s.want)
		}
	}
	r.router.EndBatch()
	for n := int64(100); n < 120; n++ {
		r.opus(n)
	}
	got := strings.Split(r.got(0), ", ")
	if got[0] != "100:f100" || got[4] != "104:f104" || got[5] != "105:63[f104 f105]" || got[19] != "119:63[f117 f118 f119]" {
		t.Errorf("got %v", got)
	}
}

// A stream that begins anew has no history, and its numbers say nothing about those before.
func TestREDRestart(t *testing.T) {
	r := newRadio(t, red, false, opus, red)
	r.consumers[1].SetLossy(true)
	r.opus(1000)
	r.check("1000:f1000")
	r.producer.Encoding(0).Restart()
	r.red(5, 2)
	if got := r.got(0); got != "1001:f5" {
		t.Errorf("got %s", got)
	}
}

// Taking apart and putting together allocate nothing.
func TestREDPathAllocatesNothing(t *testing.T) {
	r := newRadio(t, red, false, opus, red)
	r.consumers[1].SetLossy(true)
	n := int64(1)
	payload := codec.AppendRED(nil, []codec.Block{{PayloadType: 111, Offset: 960, Payload: make([]byte, 80)}, {PayloadType: 111, Payload: make([]byte, 80)}})
	b := append(rtp.AppendHeader(nil, rtp.Header{PayloadType: 63}, nil), payload...)
	step := func() {
		var in rtp.Packet
		buf := b
		in.Parse(buf)
		n += 2
		buf[4], buf[5], buf[6], buf[7] = byte(n*960>>24), byte(n*960>>16), byte(n*960>>8), byte(n*960&0xff)
		r.producer.Encoding(0).Add(start, &in, n)
		for _, c := range r.consumers {
			for i := range r.producer.Pending() {
				var h rtp.Header
				c.Forward(start, &r.producer.Pending()[i], &h)
				c.Wrap(&r.producer.Pending()[i], &h)
			}
		}
		r.router.EndBatch()
	}
	for range 4 {
		step()
	}
	if got := testing.AllocsPerRun(100, step); got != 0 {
		t.Errorf("%v allocations a packet", got)
	}
}

// Redundancy crosses a Pipe as it came, and is taken apart, recovered from, passed and made on the far side as on the near one; the worst
// loss there counts here.
func TestREDBeyondPipe(t *testing.T) {
	for _, takes := range [][]sdp.Codec{opus, red, otherRED} {
		s := newSpan(t, route.ProducerConfig{Kind: sdp.Audio, Codecs: red}, takes)
		s.here.SetLossy(true)
		s.there.SetLossy(true)
		for _, n := range []int64{1, 2, 4, 5} {
			blocks := []codec.Block{{PayloadType: 111, Offset: 960, Payload: frameOf(n - 1)}, {PayloadType: 111, Payload: frameOf(n)}}
			h := rtp.AppendHeader(nil, rtp.Header{PayloadType: 63, SequenceNumber: uint16(n), Timestamp: uint32(n * 960)}, nil)
			s.add(1<<16+n, append(h, codec.AppendRED(nil, blocks)...))
			here, there := s.cross()
			same(t, here, there)
			if want := map[bool]int{true: 2, false: 1}[n == 4]; len(here) != want {
				t.Errorf("%d packets at %d", len(here), n)
			}
		}
		s.there.SetLoss(s.now, 0.07)
		s.wish()
		if loss := s.producer.Loss(s.now); loss < 0.069 || loss > 0.071 {
			t.Errorf("loss %v", loss)
		}
		s.here.SetLoss(s.now, 0.1)
		if loss := s.producer.Loss(s.now); loss != 0.1 {
			t.Errorf("loss %v", loss)
		}
		if loss := s.producer.Loss(s.now.Add(time.Minute)); loss != 0 {
			t.Errorf("loss %v a minute later", loss)
		}
	}
}
