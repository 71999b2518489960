package route

import "time"

// lossAge is how long a subscriber's loss counts: it reports every five seconds at least.
const lossAge = 15 * time.Second

// SetLoss notes which part of what the server sends the subscriber loses.
func (c *Consumer) SetLoss(now time.Time, fraction float32) { c.loss, c.lossAt = fraction, now }

// Loss returns the worst loss among the subscribers, those on other shards too, from 0 to 1.
func (p *Producer) Loss(now time.Time) (worst float32) {
	for _, c := range p.consumers {
		if now.Sub(c.lossAt) < lossAge {
			worst = max(worst, c.loss)
		}
	}
	for i := range p.outlets {
		if o := &p.outlets[i]; now.Before(o.until) {
			worst = max(worst, float32(o.loss)/100)
		}
	}
	return worst
}

func percent(loss float32) uint8 { return uint8(100*loss + 0.5) }

// Sent returns the highest outgoing number and how many packets went out. Where the publisher's loss left holes, the number grows
// faster.
func (c *Consumer) Sent() (number int64, packets uint32) { return c.highest, c.packets }
