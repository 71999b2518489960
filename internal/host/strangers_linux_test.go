package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/parley-rtc/parley/internal/stun"
)

const (
	strangerSources  = 64_000
	strangerRounds   = 2
	strangersRate    = 40_000 // a second
	maxStrangersHeap = 1 << 20
)

// Requests without credentials, or with forged ones, from 64,000 sources leave no memory behind: the heap grows by less than 1 MiB. What goes out is at
// most 3 times what came in, in all and for each answer. Meanwhile and afterwards a user is served.
func TestScenarioStrangersFlood(t *testing.T) {
	l := newNATLab(t)
	l.publicNamespace("public")
	l.must(l.ip("public", "addr add 20.5.0.0/16 dev lo")) // all of which are this machine's from now on, as 127.0.0.0/8 are
	r := l.relayIn("public", "turn", "--listen", "20.0.0.1:3478", "--user", "ann:hunter2")
	var s *strangers
	user := func() error {
		a, err := dialAsker("udp", s.to, "ann", "hunter2")
		if err != nil {
			return err
		}
		defer a.close()
		if code, err := a.allocate(askUDP); err != nil || code != 0 {
			return fmt.Errorf("a user's allocation: code %d, %w", code, err)
		}
		return nil
	}
	l.must(l.inside("public", func() (err error) {
		s, err = newStrangers(netip.MustParseAddrPort("20.0.0.1:3478"))
		return err
	}))
	defer s.conn.Close()
	before, err := r.tally()
	l.must(err)
	began := time.Now()
	flooded := make(chan error, 1)
	go func() { flooded <- s.flood() }()
	err = l.inside("public", user)
	l.must(errors.Join(err, <-flooded, s.end(), l.inside("public", user)))
	after, err := r.tally()
	l.must(err)
	b, a := before.Stats, after.Stats
	in, out := a.ReceivedBytes-b.ReceivedBytes, a.SentBytes-b.SentBytes
	t.Logf("%d requests from %d sources in %v: %d came (%d bytes), the kernel dropped %d; %d answers (%d bytes, %.2f times), %d arrived; heap %+d KiB",
		strangerSources*strangerRounds, strangerSources, time.Since(began).Round(time.Millisecond), a.Received-b.Received, in, a.KernelDrops-b.KernelDrops,
		a.Sent-b.Sent, out, float64(out)/float64(in), s.answers.Load(), (int64(after.Heap)-int64(before.Heap))>>10)
	if after.Heap > before.Heap+maxStrangersHeap {
		t.Errorf("the heap has grown by %d bytes", after.Heap-before.Heap)
	}
	if out > 3*in || s.longest.Load() > 3*shortestRequest {
		t.Errorf("%d bytes for %d; an answer of %d", out, in, s.longest.Load())
	}
	if came := a.Received - b.Received; came < strangerSources || came+a.KernelDrops-b.KernelDrops < strangerSources*strangerRounds {
		t.Errorf("only %d requests came, and the kernel dropped %d", came, a.KernelDrops-b.KernelDrops)
	}
	if s.answers.Load() < strangerSources/2 {
		t.Errorf("only %d answers arrived: nothing is shown", s.answers.Load())
	}
}

// shortestRequest is an Allocate with nothing but REQUESTED-TRANSPORT.
const shortestRequest = stun.HeaderLen + 8

// strangers is a socket that sends from all addresses of a network, and hears all answers.
type strangers struct {
	to   netip.AddrPort
	conn *ipv4.PacketConn
	done chan struct{} // closed when no more answers come

	answers, longest atomic.Int64
}

// newStrangers opens one in the namespace of this thread.
func newStrangers(to netip.AddrPort) (*strangers, error) {
	c, err := net.ListenPacket("udp4", "0.0.0.0:0")
	if err != nil {
		return nil, err
	}
	s := &strangers{to: to, conn: ipv4.NewPacketConn(c), done: make(chan struct{})}
	_ = c.(*net.UDPConn).SetReadBuffer(16 << 20)
	go func() {
		defer close(s.done)
		messages := make([]ipv4.Message, 64)
		for i := range messages {
			messages[i].Buffers = [][]byte{make([]byte, 1500)}
		}
		for {
			n, err := s.conn.ReadBatch(messages, 0)
			if err != nil {
				return
			}
			for _, m := range messages[:n] {
				s.answers.Add(1)
				s.longest.Store(max(s.longest.Load(), int64(m.N)))
			}
		}
	}()
	return s, nil
}

// flood sends a request from every source, and again.
func (s *strangers) flood() error {
	const burst = 64
	to := net.UDPAddrFromAddrPort(s.to)
	messages := make([]ipv4.Message, burst)
	pace := steady{rate: strangersRate, due: time.Now()}
	for i := 0; i < strangerSources*strangerRounds; i += burst {
		pace.wait(burst)
		for j := range messages {
			n := (i + j) % strangerSources
			source := ipv4.ControlMessage{Src: net.IPv4(20, 5, byte(n>>8), byte(n))}
			messages[j] = ipv4.Message{Buffers: [][]byte{strangersRequest(i + j)}, OOB: source.Marshal(), Addr: to}
		}
		for rest := messages; len(rest) > 0; {
			n, err := s.conn.WriteBatch(rest, 0)
			if err != nil {
				return err
			}
			rest = rest[n:]
		}
	}
	return nil
}

// strangersRequest is an Allocate: as short as can be, or with credentials and a nonce that nobody was given.
func strangersRequest(i int) []byte {
	var id [stun.IDLen]byte
	binary.BigEndian.PutUint64(id[:], uint64(i))
	w := stun.Begin(nil, stun.TypeOf(stun.Allocate, stun.Request), id[:])
	askUDP(&w)
	if i/strangerSources%2 == 1 { // every other round
		w.Text(stun.Username, "ann")
		w.Text(stun.Realm, "parley")
		w.Text(stun.Nonce, "obMatJos2AAABAAAAAAAAAAA")
		w.Bytes(stun.MessageIntegrity, make([]byte, 20))
	}
	return w.Message()
}

// end hears what is still on its way.
func (s *strangers) end() error {
	if err := s.conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		return err
	}
	<-s.done
	return nil
}

// Allocations are limited by user, by source and in all, over real sockets as in the core: 486; and what one gives back another may have.
func TestScenarioAllocationQuotas(t *testing.T) {
	l := newNATLab(t)
	l.publicNamespace("public")
	l.relayIn("public", "turn", "--listen", ":3478", "--user", "ann:hunter2", "--user", "bob:hunter2", "--user", "eve:hunter2",
		"--user-allocations", "2", "--source-allocations", "3", "--allocations", "4")
	v4, v6 := netip.MustParseAddrPort("20.0.0.1:3478"), netip.MustParseAddrPort("[2a00:1::1]:3478")
	var first *asker
	for i, x := range []struct {
		who  string
		at   netip.AddrPort
		want stun.Code
	}{
		{"ann", v4, 0},
		{"ann", v4, 0},
		{"ann", v6, stun.AllocationQuota}, // the user's third
		{"bob", v4, 0},
		{"bob", v4, stun.AllocationQuota}, // the source's fourth
		{"bob", v6, 0},
		{"eve", v6, stun.AllocationQuota}, // the fifth of all
		{"eve", v6, 0},                    // once one has ended
	} {
		l.must(l.inside("public", func() error {
			if i == 7 {
				if _, code, err := first.ask(stun.Refresh, bytesOf(stun.Lifetime, 0, 0, 0, 0)); err != nil || code != 0 {
					return fmt.Errorf("the end of one: code %d, %w", code, err)
				}
			}
			a, err := dialAsker("udp", x.at, x.who, "hunter2")
			if err != nil {
				return err
			}
			t.Cleanup(a.close)
			if i == 0 {
				first = a
			}
			if code, err := a.allocate(askUDP); err != nil || code != x.want {
				t.Errorf("%d: %s at %v: code %d, want %d; %v", i, x.who, x.at, code, x.want, err)
			}
			return nil
		}))
	}
}
