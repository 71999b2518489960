package scenario

import (
	"encoding/binary"
	"fmt"

	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/drop"
)

// sound is what one packet of a source of audio is about.
type sound struct {
	source uint16
	count  uint32
}

// hear notes the frames in a packet of audio. Called with mu held.
func (c *Client) hear(payloadType uint8, payload []byte) {
	if payloadType != payloadRED {
		c.note(payload)
		return
	}
	var blocks [codec.MaxBlocks]codec.Block
	n, r := codec.ParseRED(payload, &blocks)
	if r != drop.None {
		panic(fmt.Sprintf("scenario: %s got redundancy that cannot be read: %v", c.Name, r))
	}
	if n > 1 {
		c.redundant++
	}
	for _, b := range blocks[:n] {
		c.note(b.Payload)
	}
}

func (c *Client) note(payload []byte) {
	tag := payload[len(payload)-tagBytes:]
	c.heard[sound{binary.BigEndian.Uint16(tag), binary.BigEndian.Uint32(tag[2:])}] = true
}

// Redundant counts the packets that came with redundancy.
func (c *Client) Redundant() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.redundant
}

// Position is how many packets the source has sent. Only while it is paused.
func (s *Source) Position() uint32 { return s.count }

// Unheard is the part of a source's frames between two positions that did not come to the client in any way.
func (c *Client) Unheard(s *Source, from, to uint32) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	missing := 0
	for n := from; n < to; n++ {
		if !c.heard[sound{s.number, n}] {
			missing++
		}
	}
	return float64(missing) / float64(to-from)
}

// Speakers is who speaks, as the client was told.
func (c *Client) Speakers() (dominant string, speaking []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.replica.room.Speakers
	return s.Dominant, s.Speaking
}

// Status is that of the client's subscription to a publication, with its reason.
func (c *Client) Status(publication string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replica.known[publication]
}
