package route

import "time"

// share is what the subscriber's network has room for of one Consumer's Producer. The zero value is everything.
type share struct {
	limited bool
	limit   Layer // the highest
	starved bool  // not even the lowest
}

// Offers returns what can be sent now, in ascending order, up to the layer that is wanted; none where nothing is wanted, or nobody
// knows yet. The slice is valid until the next call for the same Producer.
func (c *Consumer) Offers(now time.Time) []LayerRate {
	if c.producer == nil || c.phase < paused || c.want.Paused {
		return nil
	}
	layers := c.producer.Layers(now)
	top, n := Choose(layers, c.want), 0
	for i := range layers {
		if l := layers[i].Layer; l.Encoding == top.Encoding && l.Spatial == top.Spatial {
			n = i + 1
		}
	}
	return layers[:n]
}

// Limit says up to which layer there is room.
func (c *Consumer) Limit(now time.Time, l Layer) { c.allow(now, share{limited: true, limit: l}) }

// Unlimit says that there is room for everything.
func (c *Consumer) Unlimit(now time.Time) { c.allow(now, share{}) }

// Starve says that there is no room even for the lowest layer: nothing is sent until there is.
func (c *Consumer) Starve(now time.Time) { c.allow(now, share{starved: true}) }

func (c *Consumer) allow(now time.Time, s share) {
	if s != c.share {
		c.share = s
		c.aim(now)
	}
}

// Starved reports whether nothing is sent because there is no room for it.
func (c *Consumer) Starved() bool { return c.share.starved && c.producer != nil }

// Generation returns that of what fills the slot.
func (c *Consumer) Generation() uint64 { return c.generation }

// choose returns the layer that is wanted, or the highest below it that there is room for.
func (c *Consumer) choose(layers []LayerRate) Layer {
	choice := Choose(layers, c.want)
	if !c.share.limited {
		return choice
	}
	for i := range layers {
		switch l := layers[i].Layer; {
		case l.Encoding == c.share.limit.Encoding && l.Spatial == c.share.limit.Spatial:
			return c.share.limit
		case l.Encoding == choice.Encoding && l.Spatial == choice.Spatial:
			return choice
		}
	}
	return choice
}

// Fill returns the id of the Producer that fills the slot, be it that nothing flows; 0: none.
func (c *Consumer) Fill() uint64 {
	if c.producer == nil {
		return 0
	}
	return c.producer.ID()
}
