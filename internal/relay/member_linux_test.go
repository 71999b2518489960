package relay

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/mmsg"
	"github.com/parley-rtc/parley/internal/stun"
	"github.com/parley-rtc/parley/internal/turn"
)

// member is a client of a loop that does not run: what it sends is dealt with at once.
type member struct {
	t     *testing.T
	l     *loop
	pair  datagram.Pair
	nonce []byte
	ids   uint64
}

// serving is a stopped loop with a core, and a client of it by TCP on loopback who may relay to loopback.
func serving(t *testing.T, change ...func(*turn.Config)) (*loop, *member) {
	t.Helper()
	l := stopped(t)
	l.now = time.Now()
	credentials, err := auth.NewTURN("test", map[string]string{"ann": "secret of ann"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := turn.Config{
		Realm: "test", Secret: bytes.Repeat([]byte("s"), turn.MinSecret), Credentials: credentials, Own: l.own,
		Policy: turn.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	}
	for _, f := range change {
		f(&cfg)
	}
	if l.core, err = turn.New(cfg); err != nil {
		t.Fatal(err)
	}
	at := datagram.Pair{Local: netip.MustParseAddrPort("127.0.0.1:3478"), Remote: netip.MustParseAddrPort("127.0.0.1:4000"), Proto: datagram.TCP}
	return l, &member{t: t, l: l, pair: at}
}

// ask sends a request, with credentials once it has been told a nonce, and returns the answer.
func (m *member) ask(method stun.Method, with func(*stun.Builder)) (answer stun.Message, code stun.Code) {
	m.t.Helper()
	for range 2 {
		m.ids++
		w := stun.Begin(nil, stun.TypeOf(method, stun.Request), binary.BigEndian.AppendUint64([]byte("test"), m.ids))
		with(&w)
		if m.nonce != nil {
			w.Text(stun.Username, "ann")
			w.Text(stun.Realm, "test")
			w.Bytes(stun.Nonce, m.nonce)
			w.Integrity(hmac.New(sha1.New, stun.AppendLongTermKey(nil, stun.MD5, "ann", "test", "secret of ann")))
		}
		m.l.out.Reset()
		m.l.handle(m.pair, w.Message())
		if len(m.l.out.Clients) != 1 {
			m.t.Fatalf("method %#x: %d answers, dropped %v", method, len(m.l.out.Clients), m.l.drops)
		}
		if r := answer.Parse(slices.Clone(m.l.out.Clients[0].Head)); r != drop.None {
			m.t.Fatal(r)
		}
		m.l.out.Reset()
		value, refused := answer.Find(stun.ErrorCode)
		if !refused {
			return answer, 0
		}
		if code = stun.CodeIn(value); code != stun.Unauthenticated {
			return answer, code
		}
		nonce, _ := answer.Find(stun.Nonce)
		m.nonce = slices.Clone(nonce)
	}
	m.t.Fatalf("method %#x: not authenticated", method)
	return answer, code
}

// allocate makes an allocation, for which more is asked.
func (m *member) allocate(more func(*stun.Builder)) stun.Message {
	m.t.Helper()
	answer, code := m.ask(stun.Allocate, func(w *stun.Builder) {
		w.Bytes(stun.RequestedTransport, []byte{17, 0, 0, 0})
		more(w)
	})
	if code != 0 {
		m.t.Fatal("allocate: ", code)
	}
	return answer
}

// connection is a connection of the client.
func (m *member) connection() *client {
	here, there := net.Pipe()
	m.t.Cleanup(func() {
		here.Close()
		there.Close()
	})
	return newClient(m.l, here, m.pair, true)
}

// Whoever comes from an address whose last client's end has not been told yet is somebody else: he does not have that one's allocation, and when that
// one has moved (RFC 8016), it is not he whose connection is closed.
func TestStrangerAtAnOldAddress(t *testing.T) {
	for _, mobile := range []bool{false, true} {
		l, ann := serving(t)
		l.came(ann.connection())
		allocated := ann.allocate(func(w *stun.Builder) {
			if mobile {
				w.Bytes(stun.MobilityTicket, nil)
			}
		})
		stranger := ann.connection()
		l.came(stranger)
		if l.core.Has(ann.pair) {
			t.Errorf("mobile: %v: the stranger has the allocation", mobile)
		}
		if n := l.core.Stats().Allocations; (n == 1) != mobile {
			t.Errorf("mobile: %v: %d allocations", mobile, n)
		}
		if !mobile {
			continue
		}
		ticket, _ := allocated.Find(stun.MobilityTicket)
		away := &member{t: t, l: l, pair: ann.pair}
		away.pair.Remote = netip.MustParseAddrPort("127.0.0.1:5000")
		if _, code := away.ask(stun.Refresh, func(w *stun.Builder) { w.Bytes(stun.MobilityTicket, ticket) }); code != 0 {
			t.Fatal("move: ", code)
		}
		if stranger.closed || l.clients[ann.pair] != stranger || !l.core.Has(away.pair) {
			t.Errorf("the stranger is closed: %v", stranger.closed)
		}
	}
}

// Where a client that moves is still connected from where it was, that connection is closed.
func TestOldConnectionIsClosed(t *testing.T) {
	l, ann := serving(t)
	old := ann.connection()
	l.came(old)
	allocated := ann.allocate(func(w *stun.Builder) { w.Bytes(stun.MobilityTicket, nil) })
	ticket, _ := allocated.Find(stun.MobilityTicket)
	away := &member{t: t, l: l, pair: ann.pair}
	away.pair.Remote = netip.MustParseAddrPort("127.0.0.1:5000")
	if _, code := away.ask(stun.Refresh, func(w *stun.Builder) { w.Bytes(stun.MobilityTicket, ticket) }); code != 0 || !old.closed {
		t.Errorf("%d, closed: %v", code, old.closed)
	}
}

// A fault in anything that others want of the loop, or that the kernel tells it, costs that and nothing else: it is counted, and who waits for it goes on.
func TestFaultsEndNothing(t *testing.T) {
	l, ann := serving(t)
	l.cfg.Log = slog.New(slog.DiscardHandler)
	c := ann.connection()
	l.came(c)
	done := 0
	l.call(func() { panic("of a call") })
	l.call(func() { done++ })
	waited := make(chan bool)
	asking := make(chan struct{})
	go func() {
		close(asking)
		waited <- l.ask(func() { panic("of somebody who waits") })
	}()
	<-asking
	for more := true; more; runtime.Gosched() { // until that is in the inbox
		l.inbox.mu.Lock()
		more = len(l.inbox.next.calls) < 3
		l.inbox.mu.Unlock()
	}
	c.buf = append([]byte(nil), 0x40, 0, 0, 0)
	c.have = len(c.buf)
	l.post(func(w *waiting) bool {
		w.clients = append(w.clients, c)
		return true
	})
	l.core = nil // whatever it is given is a fault
	l.takeInbox()
	<-waited
	select {
	case <-c.free:
	default:
		t.Error("the client's buffer is not free")
	}
	l.icmp(&socket{}, netip.MustParseAddrPort("127.0.0.1:1"), &unix.SockExtendedErr{Type: 3, Code: 3})
	if want := uint64(5); l.stats.Panics != want || done != 1 { // a client's frame, and then whether it has an allocation
		t.Errorf("%d faults, want %d; %d calls done", l.stats.Panics, want, done)
	}
}

// revocable are credentials that may stop to hold.
type revocable struct {
	turn.Credentials
	revoked bool
}

func (r *revocable) Holds(time.Time, []byte) bool { return !r.revoked }

// Of all allocations a portion is looked at in each turn of the loop, so that packets are relayed in between.
func TestRecheckTakesTurns(t *testing.T) {
	const allocations, portion = 520, 512
	var credentials *revocable
	l, ann := serving(t, func(c *turn.Config) {
		credentials = &revocable{Credentials: c.Credentials}
		c.Credentials, c.Limits = credentials, turn.Limits{PerUser: allocations, PerSource: allocations}
	})
	for i := range allocations {
		m := &member{t: t, l: l, pair: ann.pair}
		m.pair.Remote = netip.AddrPortFrom(ann.pair.Remote.Addr(), uint16(5000+i))
		m.allocate(func(*stun.Builder) {})
	}
	credentials.revoked = true
	r := &Relay{loop: l}
	r.Recheck()
	for _, want := range []int{allocations - portion, 0} {
		l.takeInbox()
		if n := l.core.Stats().Allocations; n != want {
			t.Errorf("%d allocations are left, want %d", n, want)
		}
	}
	l.takeInbox()
	if l.inbox.waits() {
		t.Error("it goes on")
	}
}

// What many connections have sent at once is relayed as they are read, when more than maxUnsent datagrams wait: the last connection's do not wait for all, and
// none is lost.
func TestUnsentIsBounded(t *testing.T) {
	l, ann := serving(t)
	waited, sent := []int{}, 0 // of each time that something was sent
	l.wr.write = func(_ int, msgs []mmsg.Header) (int, unix.Errno) {
		if n := len(l.out.Peers); len(waited) == 0 || waited[len(waited)-1] != n {
			waited = append(waited, n)
		}
		sent += len(msgs)
		return len(msgs), 0
	}
	const frames = maxUnsent/2 + 100 // two connections are more than the limit, one is not
	for i := range 3 {
		m := &member{t: t, l: l, pair: ann.pair}
		m.pair.Remote = netip.AddrPortFrom(ann.pair.Remote.Addr(), uint16(5000+i))
		c := m.connection()
		l.came(c)
		m.allocate(func(*stun.Builder) {})
		if _, code := m.ask(stun.ChannelBind, func(w *stun.Builder) {
			w.Bytes(stun.ChannelNumber, []byte{0x40, 0, 0, 0})
			w.Address(stun.XORPeerAddress, netip.MustParseAddrPort("127.0.0.1:9"))
		}); code != 0 {
			t.Fatal(code)
		}
		c.buf = bytes.Repeat([]byte{0x40, 0, 0, 0}, frames)
		c.have = len(c.buf)
		l.post(func(w *waiting) bool {
			w.clients = append(w.clients, c)
			return true
		})
	}
	l.takeInbox()
	if want := []int{2 * frames, frames}; !slices.Equal(waited, want) || sent != 3*frames {
		t.Errorf("sent when %v datagrams waited, want %v; %d in all of %d", waited, want, sent, 3*frames)
	}
}
