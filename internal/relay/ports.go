package relay

import "math/bits"

// ports are the ports of one local address and protocol that are taken. Ports are chosen at random among those that are free, which a
// peer that wants to guess them cannot predict (RFC 8656 §7.2, RFC 6056).
type ports struct {
	first, last int
	taken       []uint64 // by port−first
	free        int
}

func newPorts(first, last int) *ports {
	n := last - first + 1
	return &ports{first: first, last: last, taken: make([]uint64, (n+63)/64), free: n}
}

func (p *ports) has(port int) bool {
	i := port - p.first
	return p.taken[i/64]&(1<<(i%64)) != 0
}

// take marks a port; the kernel may have refused it since another program has it.
func (p *ports) take(port int) {
	if !p.has(port) {
		i := port - p.first
		p.taken[i/64] |= 1 << (i % 64)
		p.free--
	}
}

func (p *ports) release(port int) {
	if p.has(port) {
		i := port - p.first
		p.taken[i/64] &^= 1 << (i % 64)
		p.free++
	}
}

// choose returns the first free port from a random one on; where even, an even one; where next, one with a free port above. It returns 0 when
// there is none.
func (p *ports) choose(random uint64, even, next bool) int {
	n := p.last - p.first + 1
	start := p.first + int(random%uint64(n))
	for i := 0; i < n; i++ {
		port := start + i
		if port > p.last {
			port -= n
		}
		if at := port - p.first; at%64 == 0 && i+64 <= n && port+63 <= p.last && bits.OnesCount64(p.taken[at/64]) == 64 {
			i += 63 // all of these are taken
			continue
		}
		if p.has(port) || even && port%2 != 0 || next && (port == p.last || p.has(port+1)) {
			continue
		}
		return port
	}
	return 0
}
