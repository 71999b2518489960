package host

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/internal/data"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/wire"
)

const (
	floodMessages  = 60_000 // reliable, to each of floodReceivers
	floodLossy     = 3      // lossy ones beside each of them
	floodReceivers = 3
	floodTime      = time.Minute // until all of it has arrived, on a machine that is busy
)

// A participant floods three others with data messages, on both channels at once and as fast as SCTP lets it, in the room of a call. The call
// loses no packet and waits for none longer than maxStall; nobody loses a reliable message or gets one out of order; the flood is slowed
// down to what is allowed.
func TestScenarioDataFlood(t *testing.T) {
	n, address, call := nodeInCall(t)
	if _, err := call.ask("talk"); err != nil {
		t.Fatal(err)
	}
	out, err := behind(child(childOrder{Messages: &messagesOrder{address, "flooded", floodMessages}})).Output()
	if err != nil {
		t.Fatal(err)
	}
	a, err := call.ask("stop")
	if err != nil {
		t.Fatal(err)
	}
	var got messagesAnswer
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	c, err := n.shards.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := a.Reception
	t.Logf("%+v; held %v for the rate, %v for receivers; %d lossy ones beyond the rate; %d of %d media packets lost, longest gap %v (talker late %v)",
		got, c.Data.HeldRate.Round(time.Millisecond), c.Data.HeldReceiver.Round(time.Millisecond), c.Drops[drop.DataRate], r.Lost, r.Media, r.Gap.Round(time.Millisecond), r.Late.Round(time.Millisecond))
	for i, x := range got.Receivers {
		if x.InOrder != floodMessages || x.Astray != 0 {
			t.Errorf("receiver %d got %d of %d messages in order, and %d others", i, x.InOrder, floodMessages, x.Astray)
		}
	}
	if r.Lost > 0 || r.Gap > maxStall+r.Late { // a machine that has no time for the talker has none for the server
		t.Errorf("the call lost %d of %d packets and had a gap of %v", r.Lost, r.Media, r.Gap)
	}
	const beyond = floodMessages*floodReceivers - data.DeliveryBurst
	if least := beyond / data.DeliveriesPerSecond * time.Second; got.Took < least {
		t.Errorf("the flood took %v; the rate allows %v", got.Took, least)
	}
	if c.SlowChannels != 0 {
		t.Errorf("%d channels were closed", c.SlowChannels)
	}
}

// messagesOrder is a flood of data messages by another process.
type messagesOrder struct {
	Address  netip.AddrPort
	Room     string
	Messages int
}

type messagesAnswer struct {
	Took      time.Duration // until the last reliable message had arrived
	Receivers []heardMessages
}

// heardMessages is what one receiver got on the reliable channel.
type heardMessages struct {
	InOrder int // messages, each with the number that was due
	Astray  int
	Lossy   int
}

// run floods, and prints what came of it.
func (o messagesOrder) run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*floodTime)
	defer cancel()
	c := &churn{address: o.Address}
	var (
		mu      sync.Mutex
		answer  = messagesAnswer{Receivers: make([]heardMessages, floodReceivers)}
		missing = floodReceivers * o.Messages
		all     = make(chan struct{})
	)
	for i := range answer.Receivers {
		v, err := c.messenger(ctx, 10+i, o.Room)
		if err != nil {
			return err
		}
		defer func() { _ = v.end() }()
		r := &answer.Receivers[i]
		v.reliable.OnMessage(func(m webrtc.DataChannelMessage) {
			mu.Lock()
			defer mu.Unlock()
			if int(binary.BigEndian.Uint32(m.Data[2+m.Data[1]:])) != r.InOrder {
				r.Astray++
				return
			}
			r.InOrder++
			if missing--; missing == 0 {
				close(all)
			}
		})
		v.lossy.OnMessage(func(webrtc.DataChannelMessage) {
			mu.Lock()
			defer mu.Unlock()
			r.Lossy++
		})
	}
	flooder, err := c.messenger(ctx, 20, o.Room)
	if err != nil {
		return err
	}
	defer func() { _ = flooder.end() }()
	start := time.Now()
	if err := flooder.flood(o.Messages); err != nil {
		return err
	}
	select {
	case <-all:
	case <-time.After(floodTime):
	}
	mu.Lock()
	defer mu.Unlock()
	answer.Took = time.Since(start)
	return json.NewEncoder(os.Stdout).Encode(answer)
}

// messenger is a visit with data channels.
type messenger struct {
	*visit
	kill            func()
	reliable, lossy *webrtc.DataChannel
}

// messenger joins a room and opens both channels.
func (c *churn) messenger(ctx context.Context, number int, room string) (*messenger, error) {
	m := &messenger{visit: &visit{churn: c, ctx: ctx, number: number, room: room}}
	pc, kill, err := m.connection()
	if err != nil {
		return nil, err
	}
	m.kill = kill
	opened := make(chan struct{}, 2)
	for _, d := range []struct {
		to    **webrtc.DataChannel
		label string
		init  *webrtc.DataChannelInit
	}{{&m.reliable, "parley", nil}, {&m.lossy, "parley-lossy", &webrtc.DataChannelInit{Ordered: new(bool), MaxRetransmits: new(uint16)}}} {
		if *d.to, err = pc.CreateDataChannel(d.label, d.init); err != nil {
			return nil, errors.Join(err, m.end())
		}
		(*d.to).OnOpen(func() { opened <- struct{}{} })
	}
	answer, err := m.offer(pc, wire.Offer{})
	if err == nil {
		err = m.connected(pc, answer)
	}
	if err != nil {
		return nil, errors.Join(err, m.end())
	}
	go func() { // reads what the server says, and answers its pings, until the socket is closed
		for err := error(nil); err == nil; {
			_, _, err = m.socket.Read(ctx)
		}
	}()
	for range 2 {
		select {
		case <-opened:
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("opening data channels: %w", ctx.Err()), m.end())
		}
	}
	return m, nil
}

func (m *messenger) end() error {
	var err error
	if m.socket != nil {
		err = m.socket.CloseNow()
	}
	m.kill()
	return err
}

// flood sends numbered messages of 18 bytes on both channels, as fast as they go.
func (m *messenger) flood(count int) error {
	const most = 1 << 20 // bytes that wait here, as browsers have it
	room := make(chan struct{}, 1)
	m.reliable.SetBufferedAmountLowThreshold(most / 2)
	m.reliable.OnBufferedAmountLow(func() {
		select {
		case room <- struct{}{}:
		default:
		}
	})
	for i := range count {
		b := make([]byte, 18)
		binary.BigEndian.PutUint32(b[2:], uint32(i))
		for m.reliable.BufferedAmount() > most {
			select {
			case <-room:
			case <-m.ctx.Done():
				return m.ctx.Err()
			}
		}
		err := m.reliable.Send(b)
		for range floodLossy {
			if m.lossy.BufferedAmount() < most {
				err = errors.Join(err, m.lossy.Send(b))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
