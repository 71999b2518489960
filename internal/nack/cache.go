package nack

// Cache keeps the newest packets of one Producer encoding, as plaintext, by index.
type Cache struct {
	// static after construction: their sizes; what is in them is owned by the Producer's loop
	entries []cached
	bytes   []byte // MaxPacket for each entry

	// owned by the Producer's loop
	highest int64
}

type cached struct {
	index int64 // 0: empty
	size  int
}

// NewCache returns a Cache for packets entries, rounded up to a power of two. It holds MaxPacket bytes for each.
func NewCache(packets int) *Cache {
	n := 1
	for n < packets {
		n *= 2
	}
	return &Cache{entries: make([]cached, n), bytes: make([]byte, n*MaxPacket)}
}

// Put keeps a copy of the packet that parts make up, and reports whether it did: not when it is longer than MaxPacket or older
// than what the Cache reaches back to. Indices come from an rtp.SequenceUnwrapper and are never 0.
func (c *Cache) Put(index int64, parts ...[]byte) bool {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if size > MaxPacket || index <= c.highest-int64(len(c.entries)) {
		return false
	}
	c.highest = max(c.highest, index)
	i, dst := c.place(index)
	c.entries[i] = cached{index: index, size: size}
	for _, p := range parts {
		dst = dst[copy(dst, p):]
	}
	return true
}

// Get returns the packet with this index, or nil. It aliases the Cache until the next Put; its capacity ends with it.
func (c *Cache) Get(index int64) []byte {
	i, b := c.place(index)
	if e := c.entries[i]; e.index == index && index != 0 {
		return b[:e.size:e.size]
	}
	return nil
}

func (c *Cache) place(index int64) (int, []byte) {
	i := int(index) & (len(c.entries) - 1)
	return i, c.bytes[i*MaxPacket : (i+1)*MaxPacket]
}
