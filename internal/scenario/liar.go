package scenario

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
)

// Storm is a subscriber that floods the server with feedback, none of which is true.
type Storm struct {
	client  *Client
	stop    chan struct{}
	running sync.WaitGroup
}

// Lie asks 10,000 times a second for a key frame, 1,000 times for each packet of the last 512 of each stream again, and says as often that
// everything has arrived at once and that there is room for a gigabit. It goes on until Stop.
func (c *Client) Lie() *Storm {
	s := &Storm{client: c, stop: make(chan struct{})}
	s.running.Go(s.run)
	return s
}

// Stop ends a storm.
func (s *Storm) Stop() {
	close(s.stop)
	s.running.Wait()
}

func (s *Storm) run() {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for n := uint16(0); ; n++ {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			s.lie(n)
		}
	}
}

// lie says everything once, and ten times what is said most often. Each is a datagram of its own.
func (s *Storm) lie(n uint16) {
	say := func(p rtcp.Packet) { _ = s.client.pc.WriteRTCP([]rtcp.Packet{p}) } // fails while nothing is connected
	ssrcs := []uint32{}
	for ssrc, all := range s.everything() {
		ssrcs = append(ssrcs, ssrc)
		say(&rtcp.TransportLayerNack{SenderSSRC: 1, MediaSSRC: ssrc, Nacks: all})
		say(&rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: ssrc}}})
	}
	if len(ssrcs) == 0 {
		return
	}
	for i := range 10 {
		say(&rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: ssrcs[i%len(ssrcs)]})
	}
	say(&rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 1, Bitrate: 1e9, SSRCs: ssrcs})
	say(arrivedAtOnce(n))
}

// everything names the last 512 packets of each stream of video, as in requests for repairs.
func (s *Storm) everything() map[uint32][]rtcp.NackPair {
	c := s.client
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[uint32][]rtcp.NackPair{}
	for _, r := range c.current {
		if !r.video || len(r.arrivals) == 0 {
			continue
		}
		for back := 15; back < 512; back += 16 { // the newest first: they are still there
			out[r.ssrc] = append(out[r.ssrc], rtcp.NackPair{PacketID: uint16(r.highest) - uint16(back), LostPackets: 1<<15 - 1})
		}
	}
	return out
}

// arrivedAtOnce says of 100 packets that they came without any delay (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
func arrivedAtOnce(n uint16) *rtcp.TransportLayerCC {
	const packets = 100
	t := &rtcp.TransportLayerCC{
		Header:     rtcp.Header{Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback},
		SenderSSRC: 1, BaseSequenceNumber: n * packets, PacketStatusCount: packets, ReferenceTime: uint32(n), FbPktCount: uint8(n),
		PacketChunks: []rtcp.PacketStatusChunk{&rtcp.RunLengthChunk{
			PacketStatusSymbol: rtcp.TypeTCCPacketReceivedSmallDelta, RunLength: packets,
		}},
	}
	for range packets {
		t.RecvDeltas = append(t.RecvDeltas, &rtcp.RecvDelta{Type: rtcp.TypeTCCPacketReceivedSmallDelta})
	}
	t.Header.Length = uint16(t.MarshalSize()/4) - 1
	return t
}

// Delay is how long the packets of a source that came since start were under way, at most.
func (c *Client) Delay(s *Source, start time.Time) (longest time.Duration) {
	s.client.mu.Lock()
	ssrc := s.ssrc[len(s.ssrc)-1]
	s.client.mu.Unlock()
	c.each(func(a arrival, from *Source) {
		if from == s && a.at.After(start) {
			sent := c.plan.watch.sentAt(s.client.addr, true, ssrc, s.first+uint16(a.count))
			longest = max(longest, a.at.Sub(sent))
		}
	})
	return longest
}

// SentTo is what the server has sent to a client so far: media, and repairs.
func (p *Plan) SentTo(c *Client) (media, repairs int) {
	sent := p.watch.sentTo(c.addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.all() {
		media += sent[r.ssrc].bytes
		repairs += sent[r.rtx].bytes
	}
	return media, repairs
}
