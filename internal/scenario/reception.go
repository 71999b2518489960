package scenario

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/wire"
)

// reception is what has come in on one receiving m-line. It is guarded by its client's mu.
type reception struct {
	mid       string
	video     bool
	ssrc, rtx uint32
	fills     []fill
	arrivals  []arrival
	highest   int64
	missing   map[int64]*request // in video
	tried     map[int64]int
}

// fill is a slot event.
type fill struct {
	at          time.Time
	publication string // empty: the slot is
}

// String is short: failures list many.
func (f fill) String() string { return f.at.Format("05.000 ") + f.publication }

// arrival is a packet.
type arrival struct {
	at     time.Time
	number int64 // sequence number, unwrapped
	time   uint32
	source uint16
	count  uint32
	// Of layered video:
	empty  bool    // it fills a number and carries nothing
	head   [7]byte // of the payload
	part   uint8   // of its picture
	shown  uint32  // which picture of the camera it is
	marker bool
}

// reception returns the one with the SSRC. Called with mu held.
func (c *Client) reception(ssrc, mid, kind string) *reception {
	n := number(ssrc)
	r := c.receptions[n]
	if r == nil {
		r = &reception{mid: mid, video: kind == "video", ssrc: n}
		c.receptions[n], c.current[mid] = r, r
		r.fills = c.early[mid]
		delete(c.early, mid)
	}
	return r
}

// all returns the receptions. Called with mu held.
func (c *Client) all() []*reception {
	out := make([]*reception, 0, len(c.receptions))
	for _, r := range c.receptions {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *reception) int { return int(int64(a.ssrc) - int64(b.ssrc)) })
	return out
}

// fill acknowledges a slot event and notes it; it may come before the answer that names the slot's SSRC. Called with mu held, on
// the socket's goroutine; the reply is not waited for.
func (c *Client) fill(s wire.Slot) {
	if s.Generation <= c.generations[s.Mid] {
		return
	}
	c.generations[s.Mid] = s.Generation
	f := fill{time.Now(), s.Publication}
	if r := c.current[s.Mid]; r != nil {
		r.fills = append(r.fills, f)
	} else {
		c.early[s.Mid] = append(c.early[s.Mid], f)
	}
	c.requestID++
	ready := wire.Request{ID: c.requestID, Type: wire.TypeSlotReady, Body: encode(wire.SlotReady{Mid: s.Mid, Generation: s.Generation})}
	if c.socket != nil {
		c.socket.send(ready)
	}
}

// drain reads a track until the PeerConnection is closed. What comes is noted by tap: pion gives repairs to a reader only when
// the next packet comes.
func drain(t *webrtc.TrackRemote) {
	b := make([]byte, 1500)
	for {
		if _, _, err := t.Read(b); err != nil {
			return
		}
	}
}

// tap sees every packet that comes to a client, repairs too.
type tap struct {
	interceptor.NoOp
	client *Client
}

type tapFactory struct{ client *Client }

// NewInterceptor implements interceptor.Factory.
func (f tapFactory) NewInterceptor(string) (interceptor.Interceptor, error) {
	return &tap{client: f.client}, nil
}

// BindRemoteStream implements interceptor.Interceptor.
func (t *tap) BindRemoteStream(_ *interceptor.StreamInfo, r interceptor.RTPReader) interceptor.RTPReader {
	return interceptor.RTPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		n, a, err := r.Read(b, a)
		var p rtp.Packet
		if err == nil && p.Unmarshal(b[:n]) == nil {
			t.client.arrived(&p)
		}
		return n, a, err
	})
}

// repaired returns the reception that an RTX stream repairs. Called with mu held.
func (c *Client) repaired(rtx uint32) *reception {
	for _, r := range c.receptions {
		if r.rtx == rtx && r.video {
			return r
		}
	}
	return nil
}

// arrived notes a packet, or the one that a repair has in it (RFC 4588 §4).
func (c *Client) arrived(p *rtp.Packet) {
	number, payload := p.SequenceNumber, p.Payload
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.receptions[p.SSRC]
	if r == nil {
		if r = c.repaired(p.SSRC); r != nil && len(payload) == 0 {
			return // padding
		}
		number, payload = binary.BigEndian.Uint16(payload), payload[2:]
	}
	if r == nil || len(payload) > 0 && len(payload) < tagBytes {
		panic(fmt.Sprintf("scenario: %s got a packet of %d bytes on SSRC %d, which no answer names", c.Name, len(payload), p.SSRC))
	}
	if !r.video && len(payload) > 0 {
		c.hear(p.PayloadType, payload)
	}
	if len(r.arrivals) == 0 {
		r.highest = 1<<16 + int64(number)
	}
	a := arrival{at: time.Now(), number: r.highest + int64(int16(number-uint16(r.highest))), time: p.Timestamp, empty: len(payload) == 0, marker: p.Marker}
	if !a.empty {
		tag := payload[len(payload)-tagBytes:]
		a.source, a.count = binary.BigEndian.Uint16(tag), binary.BigEndian.Uint32(tag[2:])
	}
	if copy(a.head[:], payload) == len(a.head) && len(payload) > 20 {
		a.part, a.shown = payload[16], binary.BigEndian.Uint32(payload[17:])
	}
	r.note(a.number)
	r.arrivals = append(r.arrivals, a)
}

// Got counts the packets of a publication.
func (c *Client) Got(publication string) (packets int) {
	c.each(func(a arrival, s *Source) {
		if slices.Contains(s.publications, publication) {
			packets++
		}
	})
	return packets
}

// Gap is the longest time since start in which nothing of a source came, up to now.
func (c *Client) Gap(s *Source, start time.Time) (longest time.Duration) {
	times := []time.Time{start, time.Now()}
	c.each(func(a arrival, from *Source) {
		if from == s && a.at.After(start) {
			times = append(times, a.at)
		}
	})
	slices.SortFunc(times, time.Time.Compare)
	for i := range times[1:] {
		longest = max(longest, times[i+1].Sub(times[i]))
	}
	return longest
}

// each calls f for every packet that came, with its source.
func (c *Client) each(f func(arrival, *Source)) {
	c.plan.mu.Lock()
	sources := slices.Clone(c.plan.sources)
	c.plan.mu.Unlock()
	c.mu.Lock()
	receptions := c.all()
	var all []arrival
	for _, r := range receptions {
		all = append(all, r.arrivals...)
	}
	c.mu.Unlock()
	for _, a := range all {
		if a.empty {
			continue
		}
		s := sources[a.source]
		s.client.mu.Lock()
		f(a, s)
		s.client.mu.Unlock()
	}
}
