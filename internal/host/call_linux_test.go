package host

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"golang.org/x/sys/unix"
)

const callRate = 200 // packets of media a second

// quietCall is one who publishes and one who listens.
type quietCall struct {
	*churn
	publisher, listener *visit
	ends                []func()
	track               *webrtc.TrackLocalStaticRTP
	ufrags              string // user name of the publisher's checks
	payload             []byte // of each packet

	// owned by the goroutine that talks; by the test while there is none
	next uint16 // number of the next packet

	// guarded by mu
	mu       sync.Mutex
	sent     map[uint16]time.Time // when each packet was given to the publisher
	heard    map[uint16]bool      // by the listener, opened and authentic
	ssrc     uint32               // of what it heard
	arrivals map[stream]time.Time // at its socket
}

// stream is a packet as its clear header names it.
type stream struct {
	ssrc   uint32
	number uint16
}

func (c *churn) callUp() (*quietCall, error) {
	ctx := context.Background()
	x := &quietCall{
		churn:     c,
		publisher: &visit{churn: c, ctx: ctx, number: 1, room: "flooded"}, listener: &visit{churn: c, ctx: ctx, number: 2, room: "flooded"},
		next: 100, payload: []byte("\x78not sent again"),
	}
	x.forget()
	x.listener.arrived = x.arrive
	pub, kill, err := x.publisher.connection()
	if err != nil {
		return nil, err
	}
	x.ends = append(x.ends, kill)
	if err := x.publisher.publish(pub); err != nil {
		return nil, err
	}
	x.track = pub.GetSenders()[0].Track().(*webrtc.TrackLocalStaticRTP)
	x.ufrags = attribute(pub.RemoteDescription().SDP, "ice-ufrag") + ":" + attribute(pub.LocalDescription().SDP, "ice-ufrag")
	sub, kill, err := x.listener.connection()
	if err != nil {
		return nil, err
	}
	x.ends = append(x.ends, kill)
	sub.OnTrack(func(tr *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { x.listen(tr) })
	if err := x.listener.subscribe(sub); err != nil {
		return nil, err
	}
	for _, v := range []*visit{x.publisher, x.listener} {
		go func() { // reads what the server says, and answers its pings, until the socket is closed
			for {
				if _, _, err := v.socket.Read(ctx); err != nil {
					return
				}
			}
		}()
	}
	return x, x.begin()
}

// begin talks until something of it is heard.
func (x *quietCall) begin() error {
	stop, talked := make(chan struct{}), make(chan int, 1)
	go func() { talked <- x.talk(stop) }()
	defer func() {
		close(stop)
		<-talked
		time.Sleep(100 * time.Millisecond) // for what is on its way
	}()
	for range 100 {
		time.Sleep(50 * time.Millisecond)
		x.mu.Lock()
		heard := len(x.heard)
		x.mu.Unlock()
		if heard > 0 {
			return nil
		}
	}
	return errors.New("nothing is heard of the publisher")
}

func (x *quietCall) end() {
	_, _ = x.publisher.socket.CloseNow(), x.listener.socket.CloseNow()
	for _, f := range x.ends {
		f()
	}
}

// forget begins a new count.
func (x *quietCall) forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sent, x.heard, x.arrivals = map[uint16]time.Time{}, map[uint16]bool{}, map[stream]time.Time{}
}

func (x *quietCall) listen(tr *webrtc.TrackRemote) {
	b := make([]byte, 1500)
	var p rtp.Packet
	for {
		n, _, err := tr.Read(b)
		if err != nil {
			return
		}
		if p.Unmarshal(b[:n]) != nil {
			continue
		}
		x.mu.Lock()
		x.heard[p.SequenceNumber], x.ssrc = true, p.SSRC
		x.mu.Unlock()
	}
}

// arrive notes when the kernel had a packet for the listener.
func (x *quietCall) arrive(at time.Time, b []byte) {
	if len(b) < 12 || b[0]>>6 != 2 {
		return
	}
	x.mu.Lock()
	x.arrivals[stream{binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint16(b[2:])}] = at
	x.mu.Unlock()
}

// talk sends media until stop, and returns how many packets.
func (x *quietCall) talk(stop chan struct{}) int {
	ticker := time.NewTicker(callInterval)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return i
		case <-ticker.C:
		}
		h := rtp.Header{Version: 2, SequenceNumber: x.next, Timestamp: uint32(x.next) * 240}
		x.mu.Lock()
		x.sent[x.next] = time.Now().Round(0) // the kernel's time of arrival is of the wall clock too
		x.mu.Unlock()
		x.next++
		_ = x.track.WriteRTP(&rtp.Packet{Header: h, Payload: x.payload})
	}
}

// reception is what came of the packets that were sent.
type reception struct {
	Media, Lost int
	// Gap is the longest time that the listener's socket waited for media. Where the talker was late it was not waiting, and time in which the
	// talker stood still counts as none: it goes before the server, so that this machine had none for anybody. Late is the most that happened.
	Gap, Late time.Duration
}

const callInterval = time.Second / callRate

// standstill is a time for which the talker stood still.
type standstill struct{ from, until time.Time }

// standstills are those of so many packets from first on, where at least one packet was due and not sent. The caller holds mu.
func (x *quietCall) standstills(first uint16, sent int) (all []standstill) {
	for i := 1; i < sent; i++ {
		due, at := x.sent[first+uint16(i-1)].Add(callInterval), x.sent[first+uint16(i)]
		if at.Sub(due) > callInterval {
			all = append(all, standstill{due, at})
		}
	}
	return all
}

// running is how much of a time there was but for standstills.
func running(from, until time.Time, without []standstill) time.Duration {
	d := until.Sub(from)
	for _, s := range without {
		begin, end := s.from, s.until
		if begin.Before(from) {
			begin = from
		}
		if end.After(until) {
			end = until
		}
		d -= max(0, end.Sub(begin))
	}
	return d
}

// received tells what became of so many packets from first on.
func (x *quietCall) received(first uint16, sent int) (r reception) {
	x.mu.Lock()
	defer x.mu.Unlock()
	still := x.standstills(first, sent)
	var (
		waits time.Time // since when the listener waits for a packet
		last  time.Time // when the last packet was sent
		fresh = true    // nothing has been lost since
	)
	r.Media = sent
	for i := range sent {
		// Numbers go on over trials: the server's offset stays, so what comes is what was sent.
		number := first + uint16(i)
		at := x.sent[number]
		if i > 0 {
			r.Late = max(r.Late, at.Sub(last)-callInterval)
		}
		last = at
		if due := at.Add(-callInterval); fresh && due.After(waits) {
			waits = due
		}
		arrived := x.arrivals[stream{x.ssrc, number}]
		if fresh = x.heard[number] && !arrived.IsZero(); !fresh {
			r.Lost++
			continue
		}
		r.Gap = max(r.Gap, running(waits, arrived, still))
		waits = arrived
	}
	r.Gap = max(r.Gap, running(waits, last, still))
	return r
}

// stamped is a socket that tells when the kernel got each datagram (SO_TIMESTAMPNS): who reads it may be late.
type stamped struct {
	net.PacketConn
	conn    *net.UDPConn
	arrived func(at time.Time, b []byte)
	control [64]byte // owned by the only reader
}

func newStamped(conn *net.UDPConn, arrived func(time.Time, []byte)) (*stamped, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	if cerr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20) // nor does he lose what he is late for
	}); cerr != nil {
		return nil, cerr
	}
	return &stamped{PacketConn: conn, conn: conn, arrived: arrived}, err
}

func (s *stamped) ReadFrom(b []byte) (int, net.Addr, error) {
	n, controls, _, from, err := s.conn.ReadMsgUDP(b, s.control[:])
	if err != nil {
		return n, nil, err
	}
	if at, ok := timestamp(s.control[:controls]); ok {
		s.arrived(at, b[:n])
	}
	return n, from, nil
}

// timestamp reads the only control message that is asked for.
func timestamp(control []byte) (at time.Time, ok bool) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) != 1 || len(messages[0].Data) < 16 {
		return at, false
	}
	d := messages[0].Data
	return time.Unix(int64(binary.NativeEndian.Uint64(d)), int64(binary.NativeEndian.Uint64(d[8:]))), true
}

// A packet's time of arrival is the kernel's: a reader who comes late changes nothing about it.
func TestStampedSocket(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var at time.Time
	s, err := newStamped(conn, func(t time.Time, _ []byte) { at = t })
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now().Round(0)
	if _, err := conn.WriteTo([]byte("x"), conn.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Read(func(fd uintptr) bool { // waits until it is there
			_, _, err := unix.Recvfrom(int(fd), make([]byte, 10), unix.MSG_PEEK)
			return err == nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	after := time.Now().Round(0)
	if n, from, err := s.ReadFrom(make([]byte, 10)); n != 1 || err != nil || from.String() != conn.LocalAddr().String() {
		t.Fatalf("%d bytes from %v, %v", n, from, err)
	}
	if at.Before(before) || at.After(after) {
		t.Errorf("arrived at %v, sent between %v and %v", at, before, after)
	}
}

// A gap is what the listener waited, by the rule of received: lost packets make one longer, a talker who is late or stands still does not, and
// what is lost at the end counts too.
func TestGaps(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name          string
		sent, arrived []time.Duration // 0: lost
		want          reception
	}{
		{"in time", []time.Duration{5 * ms, 10 * ms, 15 * ms}, []time.Duration{6 * ms, 11 * ms, 16 * ms}, reception{Media: 3, Gap: 6 * ms}},
		{"one late", []time.Duration{5 * ms, 10 * ms, 15 * ms}, []time.Duration{6 * ms, 41 * ms, 41 * ms}, reception{Media: 3, Gap: 35 * ms}},
		{"lost", []time.Duration{5 * ms, 10 * ms, 15 * ms, 20 * ms}, []time.Duration{6 * ms, 0, 0, 21 * ms}, reception{Media: 4, Lost: 2, Gap: 15 * ms}},
		{"late talker", []time.Duration{5 * ms, 50 * ms, 55 * ms}, []time.Duration{6 * ms, 51 * ms, 56 * ms}, reception{Media: 3, Gap: 6 * ms, Late: 40 * ms}},
		{"the end lost", []time.Duration{5 * ms, 10 * ms, 40 * ms}, []time.Duration{6 * ms, 0, 0}, reception{Media: 3, Lost: 2, Gap: 9 * ms, Late: 25 * ms}},
		{
			"machine stands still",
			[]time.Duration{5 * ms, 10 * ms, 108 * ms, 113 * ms},
			[]time.Duration{6 * ms, 109 * ms, 110 * ms, 114 * ms},
			reception{Media: 4, Gap: 10 * ms, Late: 93 * ms},
		},
		{
			"server late, then talker",
			[]time.Duration{5 * ms, 10 * ms, 15 * ms, 20 * ms, 60 * ms},
			[]time.Duration{6 * ms, 11 * ms, 0, 0, 61 * ms},
			reception{Media: 5, Lost: 2, Gap: 15 * ms, Late: 35 * ms},
		},
	} {
		x := &quietCall{ssrc: 7}
		x.forget()
		start := time.Unix(1000, 0)
		for i, at := range c.sent {
			number := uint16(i + 65535) // over the turn of the numbers
			x.sent[number] = start.Add(at)
			if c.arrived[i] > 0 {
				x.heard[number], x.arrivals[stream{7, number}] = true, start.Add(c.arrived[i])
			}
		}
		if got := x.received(65535, len(c.sent)); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
