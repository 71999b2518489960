package relay

// ring is a queue of frames for a connection in one buffer, which grows up to a limit and never shrinks. A frame tells its own length. The
// zero value with a limit is ready to use and holds no memory.
type ring struct {
	limit       int
	buf         []byte
	start, used int
}

// push appends the frame that head, b and tail make, and reports false when it does not fit.
func (r *ring) push(head, b, tail []byte) bool {
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
func (r *ring) grow(need int) {
	size := max(len(r.buf), ringStart)
	for size < need {
		size *= 2
	}
	buf := make([]byte, min(size, r.limit))
	r.copyOut(buf[:r.used])
	r.buf, r.start = buf, 0
}

func (r *ring) write(b []byte) {
	if len(b) == 0 {
		return
	}
	at := (r.start + r.used) % len(r.buf)
	n := copy(r.buf[at:], b)
	copy(r.buf, b[n:])
	r.used += len(b)
}

// copyOut copies the first len(dst) bytes.
func (r *ring) copyOut(dst []byte) {
	if len(dst) == 0 {
		return
	}
	n := copy(dst, r.buf[r.start:])
	copy(dst[n:], r.buf)
}

// dropFirst removes the oldest frame and reports whether there was one.
func (r *ring) dropFirst() bool {
	n := r.sizeAt(0)
	r.discard(n)
	return n > 0
}

// discard removes n bytes: whole frames.
func (r *ring) discard(n int) {
	if n > 0 {
		r.used -= n
		r.start = (r.start + n) % len(r.buf)
	}
}

// take moves as many whole frames to the end of dst as fit its capacity; the first one in any case.
func (r *ring) take(dst []byte) []byte {
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
		dst = append(make([]byte, 0, n), dst...)
	}
	dst = dst[:at+n]
	r.copyOut(dst[at:])
	r.discard(n)
	return dst
}

// sizeAt returns the size of the frame that begins n bytes after the oldest, or 0.
func (r *ring) sizeAt(n int) int {
	if n >= r.used {
		return 0
	}
	var head [4]byte
	for i := range head {
		head[i] = r.buf[(r.start+n+i)%len(r.buf)]
	}
	return frame(head[:])
}
