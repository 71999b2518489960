package udp

// ring is a queue of RFC 4571 frames in one buffer, which grows up to a limit and never shrinks. Its zero value with a limit is
// ready to use and holds no memory.
type ring struct {
	limit       int
	buf         []byte
	start, used int
}

// push appends b as a frame and reports false when it does not fit.
func (r *ring) push(b []byte) bool {
	need := r.used + 2 + len(b)
	if need > r.limit {
		return false
	}
	if need > len(r.buf) {
		r.grow(need)
	}
	r.write([]byte{byte(len(b) >> 8), byte(len(b))}) // does not escape: no allocation
	r.write(b)
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

// dropFirst removes the oldest frame.
func (r *ring) dropFirst() { r.discard(r.sizeAt(0)) }

// discard removes n bytes: whole frames.
func (r *ring) discard(n int) {
	r.used -= n
	r.start = (r.start + n) % len(r.buf)
}

// take moves as many whole frames to the end of dst as fit its capacity.
func (r *ring) take(dst []byte) []byte {
	n := 0
	for {
		size := r.sizeAt(n)
		if size == 0 || len(dst)+n+size > cap(dst) {
			break
		}
		n += size
	}
	if n == 0 {
		return dst
	}
	at := len(dst)
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
	hi, lo := r.buf[(r.start+n)%len(r.buf)], r.buf[(r.start+n+1)%len(r.buf)]
	return 2 + int(hi)<<8 + int(lo)
}
