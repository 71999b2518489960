package datagram

// Run is consecutive datagrams to one destination: all of Size bytes, the last one of Size or fewer. A runtime sends it as one
// GSO message, or as Segments datagrams where there is no GSO.
type Run struct {
	Pair     Pair
	B        []byte
	Size     int
	Segments int
}

// run is a Run by offsets: the buffer may move while it is filled.
type run struct {
	pair           Pair
	start, end     int
	size, segments int
	closed         bool // a shorter datagram has ended it
}

// Egress collects datagrams to send, in order, in one buffer; neighbours to the same destination join into runs. It belongs to
// one goroutine. Its capacity is fixed: what does not fit is the caller's to drop or to send later.
type Egress struct {
	buf  []byte
	runs []run
	out  []Run
}

// NewEgress returns an Egress that holds capacity bytes.
func NewEgress(capacity int) *Egress { return &Egress{buf: make([]byte, 0, capacity)} }

// Reserve returns n writable bytes where the next datagram goes, or nil when they do not fit. They become part of the Egress
// by Commit; without it the next Reserve returns the same bytes.
func (e *Egress) Reserve(n int) []byte {
	at := len(e.buf)
	if at+n > cap(e.buf) {
		return nil
	}
	return e.buf[at : at+n : at+n]
}

// Commit makes the first n reserved bytes a datagram for pair. No bytes are no datagram: GSO cannot express an empty segment.
func (e *Egress) Commit(pair Pair, n int) {
	if n <= 0 {
		return
	}
	at := len(e.buf)
	e.buf = e.buf[:at+n]
	if k := len(e.runs); k > 0 {
		r := &e.runs[k-1]
		if !r.closed && n <= r.size && r.segments < MaxRunSegments && at+n-r.start <= MaxRunBytes && r.pair == pair {
			r.end, r.segments, r.closed = at+n, r.segments+1, n < r.size
			return
		}
	}
	e.runs = append(e.runs, run{pair: pair, start: at, end: at + n, size: n, segments: 1})
}

// Append copies b into the Egress as a datagram for pair, and reports whether it fitted.
func (e *Egress) Append(pair Pair, b []byte) bool {
	dst := e.Reserve(len(b))
	if dst == nil || len(b) == 0 {
		return false
	}
	copy(dst, b)
	e.Commit(pair, len(b))
	return true
}

// Runs returns what is to be sent, in order. It is valid until the next Append, Commit or Reset.
func (e *Egress) Runs() []Run {
	e.out = e.out[:0]
	for i := range e.runs {
		r := &e.runs[i]
		e.out = append(e.out, Run{Pair: r.pair, B: e.buf[r.start:r.end], Size: r.size, Segments: r.segments})
	}
	return e.out
}

// Datagrams returns the number of datagrams held.
func (e *Egress) Datagrams() (n int) {
	for i := range e.runs {
		n += e.runs[i].segments
	}
	return n
}

// Len returns the number of bytes held.
func (e *Egress) Len() int { return len(e.buf) }

// Free returns how many more bytes fit.
func (e *Egress) Free() int { return cap(e.buf) - len(e.buf) }

// Reset empties the Egress.
func (e *Egress) Reset() {
	e.buf = e.buf[:0]
	e.runs = e.runs[:0]
}
