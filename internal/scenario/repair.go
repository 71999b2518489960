package scenario

import (
	"maps"
	"slices"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

// request is a missing number of a video slot.
type request struct {
	asked time.Time
	tries int
}

// Browsers look every 20 ms what is missing, and ask again after a round trip, which they take to be 100 ms where they know none, at most
// ten times; then they ask for a key frame.
const (
	askInterval = 20 * time.Millisecond
	leastRTT    = 100 * time.Millisecond
	maxAsks     = 10
)

func (p *Plan) askAgain() time.Duration { return max(leastRTT, 2*p.delay+askInterval) }

// note keeps the list of what is missing. Called with the client's mu held.
func (r *reception) note(number int64) {
	if r.missing == nil {
		r.missing = map[int64]*request{}
	}
	delete(r.missing, number)
	for n := r.highest + 1; n < number && r.video; n++ {
		r.missing[n] = &request{}
	}
	r.highest = max(r.highest, number)
}

// ask asks for what is missing until stop is closed.
func (c *Client) ask(pc *webrtc.PeerConnection, stop chan struct{}) {
	ticker := time.NewTicker(askInterval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-ticker.C:
			if packets := c.wanted(now); len(packets) > 0 {
				_ = pc.WriteRTCP(packets) // fails while nothing is connected
			}
		}
	}
}

func (c *Client) wanted(now time.Time) []rtcp.Packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []rtcp.Packet
	for _, r := range c.current {
		var (
			numbers []uint16
			lost    bool
		)
		for _, n := range slices.Sorted(maps.Keys(r.missing)) {
			switch q := r.missing[n]; {
			case q.tries == maxAsks:
				delete(r.missing, n)
				lost = true
			case now.Sub(q.asked) >= c.plan.askAgain():
				q.asked = now
				q.tries++
				if r.tried == nil {
					r.tried = map[int64]int{}
				}
				r.tried[n] = q.tries
				numbers = append(numbers, uint16(n))
			}
		}
		if len(numbers) > 0 {
			out = append(out, &rtcp.TransportLayerNack{SenderSSRC: 1, MediaSSRC: r.ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(numbers)})
		}
		if lost {
			out = append(out, &rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: r.ssrc})
		}
	}
	return out
}
