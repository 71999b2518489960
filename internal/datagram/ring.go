package datagram

// RingHead is of how many bytes a frame tells its length.
const RingHead = 4

// Ring is a queue of frames for a connection in one buffer, which grows up to a limit and never shrinks. A frame tells its own length. A new one holds no
// memory.
type Ring struct {
	limit, first int
	size         func(head [RingHead]byte) int
	buf          []byte
	start, used  int
}

// NewRing returns a ring for so many bytes at most. First is what its buffer has when it is first used, RingHead at least. Size returns how long the frame
// is that begins with a head; of shorter frames the rest of that is anything.
func NewRing(limit, first int, size func(head [RingHead]byte) int) Ring {
	return Ring{limit: limit, first: first, size: size}
}

// Push appends the frame that head, b and tail make, and reports false when it does not fit. It keeps none of them.
func (r *Ring) Push(head, b, tail []byte) bool {
	need := r.used + len(head) + len(b) + len(tail)
	if need > r.limit {
		return false
	}
	if need > len(r.buf) {
		r.grow(need)
	}
	r.write(head)
	r.write(b)
	r.write(tail)
	return true
}

// grow moves the frames to a larger buffer.
func (r *Ring) grow(need int) {
	size := max(len(r.buf), r.first)
	for size < need {
		size *= 2
	}
	buf := make([]byte, min(size, r.limit))
	r.copyOut(buf[:r.used])
	r.buf, r.start = buf, 0
}

func (r *Ring) write(b []byte) {
	if len(b) == 0 {
		return
	}
	at := (r.start + r.used) % len(r.buf)
	n := copy(r.buf[at:], b)
	copy(r.buf, b[n:])
	r.used += len(b)
}

// copyOut copies the first len(dst) bytes.
func (r *Ring) copyOut(dst []byte) {
	if len(dst) == 0 {
		return
	}
	n := copy(dst, r.buf[r.start:])
	copy(dst[n:], r.buf)
}

// DropFirst removes the oldest frame and reports whether there was one.
func (r *Ring) DropFirst() bool {
	n := r.sizeAt(0)
	r.discard(n)
	return n > 0
}

// discard removes n bytes: whole frames.
func (r *Ring) discard(n int) {
	if n > 0 {
		r.used -= n
		r.start = (r.start + n) % len(r.buf)
	}
}

// Take moves as many whole frames to the end of dst as fit its capacity; the first one in any case, where dst is empty.
func (r *Ring) Take(dst []byte) []byte {
	n := 0
	for {
		size := r.sizeAt(n)
		if size == 0 || len(dst)+n+size > cap(dst) && len(dst)+n > 0 {
			break
		}
		n += size
	}
	if n == 0 {
		return dst
	}
	at := len(dst)
	if at+n > cap(dst) {
		dst = make([]byte, 0, n)
	}
	dst = dst[:at+n]
	r.copyOut(dst[at:])
	r.discard(n)
	return dst
}

// sizeAt returns the size of the frame that begins n bytes after the oldest, or 0.
func (r *Ring) sizeAt(n int) int {
	if n >= r.used {
		return 0
	}
	at := (r.start + n) % len(r.buf)
	if at+RingHead <= len(r.buf) {
		return r.size([RingHead]byte(r.buf[at:]))
	}
	var head [RingHead]byte
	copy(head[copy(head[:], r.buf[at:]):], r.buf)
	return r.size(head)
}
