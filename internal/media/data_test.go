package media_test

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/internal/data"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/dtls"
	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/sim"
)

// messenger is a client with data channels that numbers what it sends and keeps the numbers that it receives.
type messenger struct {
	*client
	t               *testing.T
	reliable, lossy *webrtc.DataChannel
	closed          chan struct{} // the reliable channel is
	blocked         chan struct{} // reading waits until it is closed; nil: it does not

	// owned by the test
	sent uint32

	// guarded by mu
	mu   sync.Mutex
	read map[string][]uint32  // by sender, on the reliable channel
	last map[string]time.Time // when something came
}

func (n *node) messenger(shard int) *messenger {
	n.t.Helper()
	m := &messenger{client: n.on(shard), t: n.t, closed: make(chan struct{}), read: map[string][]uint32{}, last: map[string]time.Time{}}
	opened := make(chan struct{}, 2)
	m.reliable, m.lossy = m.channel("parley", nil, opened), m.channel("parley-lossy", &webrtc.DataChannelInit{Ordered: new(bool), MaxRetransmits: new(uint16)}, opened)
	m.reliable.OnMessage(m.hear)
	m.reliable.OnClose(func() { close(m.closed) })
	n.connect(m.client, 1, map[string]sdp.LocalSection{"0": {Role: sdp.RoleData}}, nil)
	m.state(n.t, media.Connected)
	<-opened
	<-opened
	return m
}

func (m *messenger) channel(label string, init *webrtc.DataChannelInit, opened chan struct{}) *webrtc.DataChannel {
	m.t.Helper()
	d, err := m.CreateDataChannel(label, init)
	if err != nil {
		m.t.Fatal(err)
	}
	d.OnOpen(func() { opened <- struct{}{} })
	return d
}

func (m *messenger) hear(message webrtc.DataChannelMessage) {
	if m.blocked != nil {
		<-m.blocked
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := message.Data
	from := string(b[2 : 2+b[1]])
	m.read[from] = append(m.read[from], binary.BigEndian.Uint32(b[2+b[1]:]))
	m.last[from] = time.Now()
}

// send sends numbered messages of a length to everyone, or to one.
func (m *messenger) send(on *webrtc.DataChannel, to string, length, count int) {
	m.t.Helper()
	for range count {
		b := append([]byte{0, byte(len(to))}, to...)
		b = binary.BigEndian.AppendUint32(b, m.sent)
		m.sent++
		if err := on.Send(append(b, make([]byte, max(0, length-len(b)))...)); err != nil {
			m.t.Fatal(err)
		}
	}
}

// want fails the test unless exactly the first count messages of a sender have come, in order, and returns when the last did.
func (m *messenger) want(from *messenger, count int) time.Time {
	m.t.Helper()
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	got := m.read[from.open.Identity]
	for i, number := range got {
		if int(number) != i {
			m.t.Errorf("%s heard message %d of %s in place of %d", m.open.Identity, number, from.open.Identity, i)
			break
		}
	}
	if len(got) != count {
		m.t.Errorf("%s heard %d of %d messages of %s", m.open.Identity, len(got), count, from.open.Identity)
	}
	return m.last[from.open.Identity]
}

// A burst of small messages reaches everyone, on whatever shard, whole and in order, whoever else sends one at the same time.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const burst = 5000
		n := newNodeOf(t, sim.Link{Delay: 20 * time.Millisecond, Loss: 0.01}, 2)
		var all []*messenger
		for i := range 4 {
			all = append(all, n.messenger(i%2))
		}
		for _, m := range all[:2] {
			m.send(m.reliable, "", 18, burst)
		}
		time.Sleep(time.Minute)
		for _, m := range all {
			for _, from := range all[:2] {
				if m != from {
					m.want(from, burst)
				}
			}
		}
		if c := n.counts(); c.Data.Messages != 2*3*burst || c.SlowChannels != 0 || c.Data.HeldRate != 0 {
			t.Errorf("%d messages passed on, %d slow channels, held %v", c.Data.Messages, c.SlowChannels, c.Data.HeldRate)
		}
	})
}

// Limit: beyond data.DeliveryBurst deliveries a sender of reliable messages is slowed down to data.DeliveriesPerSecond, and loses nothing. What it
// sends on the lossy channel meanwhile has an allowance of its own, and is discarded beyond that. Others notice nothing.
func TestDeliveryRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNodeOf(t, sim.Link{Delay: time.Millisecond}, 2)
		var all []*messenger
		for i := range 6 {
			all = append(all, n.messenger(i%2))
		}
		flooder, other, receivers := all[0], all[1], len(all)-1
		const more = 6 * data.DeliveriesPerSecond
		count := (data.DeliveryBurst + more) / receivers
		start := time.Now()
		flooder.send(flooder.reliable, "", 6, count)
		time.Sleep(2 * time.Second)
		begun := time.Now()
		other.send(other.reliable, "", 18, 100)
		time.Sleep(time.Minute)
		for _, m := range all[1:] {
			if took := m.want(flooder, count).Sub(start); took < more/data.DeliveriesPerSecond*time.Second {
				t.Errorf("all of it after %v", took)
			}
		}
		if took := all[2].want(other, 100).Sub(begun); took > 2*time.Second {
			t.Errorf("another's messages took %v", took)
		}
		c := n.counts()
		if c.Data.HeldRate < time.Second || c.SlowChannels != 0 {
			t.Errorf("held for %v, %d slow channels", c.Data.HeldRate, c.SlowChannels)
		}
		flooder.send(flooder.lossy, "", 6, count)
		time.Sleep(time.Minute)
		if c := n.counts(); c.Drops[drop.DataRate] == 0 || c.Drops[drop.DataRate] > more/uint64(receivers) {
			t.Errorf("%d lossy messages discarded", c.Drops[drop.DataRate])
		}
	})
}

// A receiver that does not read what comes (its window is shut) holds a sender up until it loses its channel, which is when it has been
// behind for dtls.Patience; others then have every message, in order, and it may open a channel again.
func TestClosedWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 4000
		n := newNodeOf(t, sim.Link{Delay: 5 * time.Millisecond}, 2)
		sender, good, bystander, bad := n.messenger(0), n.messenger(0), n.messenger(1), n.messenger(1)
		bad.blocked = make(chan struct{})
		start := time.Now()
		sender.send(sender.reliable, "", 1000, count)
		time.Sleep(5 * time.Second)
		begun := time.Now()
		bystander.send(bystander.reliable, good.open.Identity, 18, 10)
		time.Sleep(time.Second)
		if took := good.want(bystander, 10).Sub(begun); took > time.Second {
			t.Errorf("what another sends takes %v", took)
		}
		if sender.reliable.BufferedAmount() < 1000*count/4 {
			t.Errorf("only %d bytes wait at the sender", sender.reliable.BufferedAmount())
		}
		time.Sleep(time.Minute)
		for _, m := range []*messenger{good, bystander} {
			if took := m.want(sender, count).Sub(start); took < dtls.Patience || took > dtls.Patience+5*time.Second {
				t.Errorf("everything arrived after %v", took)
			}
		}
		c := n.counts()
		if c.SlowChannels != 1 || c.Drops[drop.DataSlow] == 0 || c.Data.HeldReceiver < dtls.Patience-time.Second || c.Data.HeldReceiver > dtls.Patience+time.Second {
			t.Errorf("%d slow channels, %d messages lost, held %v", c.SlowChannels, c.Drops[drop.DataSlow], c.Data.HeldReceiver)
		}
		close(bad.blocked)
		<-bad.closed
		bad.read = map[string][]uint32{}
		opened := make(chan struct{}, 1)
		bad.channel("parley", nil, opened).OnMessage(bad.hear)
		<-opened
		time.Sleep(time.Second)
		sender.sent = 0
		sender.send(sender.reliable, bad.open.Identity, 18, 10)
		time.Sleep(time.Minute) // until the library asks for the window again
		bad.want(sender, 10)
	})
}

// Several receivers that do not read hold a sender up no longer than one: their time runs at once.
func TestManyClosedWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 4000
		n := newNodeOf(t, sim.Link{Delay: 5 * time.Millisecond}, 2)
		sender, good := n.messenger(0), n.messenger(1)
		var bad []*messenger
		for i := range 3 {
			m := n.messenger(i % 2)
			m.blocked = make(chan struct{})
			bad = append(bad, m)
		}
		start := time.Now()
		sender.send(sender.reliable, "", 1000, count)
		time.Sleep(time.Minute)
		if took := good.want(sender, count).Sub(start); took > dtls.Patience+5*time.Second {
			t.Errorf("everything arrived after %v", took)
		}
		if c := n.counts(); c.SlowChannels != uint64(len(bad)) {
			t.Errorf("%d slow channels", c.SlowChannels)
		}
		for _, m := range bad {
			close(m.blocked)
		}
	})
}

// When everybody has left nothing is left of their rooms, also where a sender was held up.
func TestMessengersLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNodeOf(t, sim.Link{Delay: 5 * time.Millisecond}, 2)
		sender, bad := n.messenger(0), n.messenger(1)
		n.network.SetLinks(serverAddress.Addr(), netip.MustParseAddr("10.0.1.2"), sim.Link{Loss: 1})
		sender.send(sender.reliable, "", 1000, 3000)
		time.Sleep(3 * time.Second)
		if c := n.counts(); c.Data.Rooms != 1 {
			t.Errorf("%d rooms", c.Data.Rooms)
		}
		// The sender's library must not hear of the end: it would wait with a lock held, which stops virtual time.
		n.network.SetLinks(serverAddress.Addr(), netip.MustParseAddr("10.0.1.1"), sim.Link{Loss: 1})
		n.shards[0].Do(media.CloseTransport{Transport: sender.id})
		n.shards[1].Do(media.CloseTransport{Transport: bad.id})
		time.Sleep(time.Second)
		if c := n.counts(); c.Data.Rooms != 0 || c.Transports != 0 {
			t.Errorf("%d rooms, %d Transports are left", c.Data.Rooms, c.Transports)
		}
	})
}
