// Package data passes data messages on among the Transports of a room, wherever their shards are: a message goes from the goroutine that
// reads the sender's channel straight into the queues of its receivers, and no shard has to do with it.
//
//	dtls reads a channel → Member.Message: header, allowance → Association.Send of each receiver → dtls writes
//
// That goroutine waits where the sender is too fast or a receiver of reliable messages is behind, and so nothing is read of the sender,
// and SCTP slows it down. Receivers that are slow at the same time hold it up no longer than one: what is allowed them (dtls.Patience) is
// reckoned from when much waits for them, not from when somebody waits for them.
package data

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/dtls"
)

// Hub knows the members of all rooms of a node. Its methods may be called from any goroutine.
type Hub struct {
	// guarded by mu
	mu    sync.Mutex
	rooms map[uint64]*group

	// atomic
	counts counts
}

// NewHub returns a Hub without members.
func NewHub() *Hub { return &Hub{rooms: make(map[uint64]*group)} }

// group is a room.
type group struct {
	// guarded by mu of the Hub
	members int // that have not left

	// atomic
	joined atomic.Pointer[[]*Member] // never changed, only replaced
}

// Member is a Transport in its room. It is the Inbox of its association.
type Member struct {
	// static after construction
	hub      *Hub
	room     uint64
	group    *group
	identity string

	// static once it has joined
	queue Queue

	// atomic
	maySend atomic.Bool

	// guarded by their own locks
	allowances [dtls.NumChannels]allowance
}

// Member returns a new member of a room, which receives nothing before it has joined. It has to leave.
func (h *Hub) Member(room uint64, identity string, maySend bool) *Member {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.rooms[room]
	if g == nil {
		g = &group{}
		g.joined.Store(&[]*Member{})
		h.rooms[room] = g
	}
	g.members++
	m := &Member{hub: h, room: room, group: g, identity: identity}
	m.maySend.Store(maySend)
	return m
}

// Allow rules whether what the member sends from now on is passed on.
func (m *Member) Allow(maySend bool) { m.maySend.Store(maySend) }

// Queue holds what waits for one client, as its dtls.Association does. Send does not block; what it returns is told there.
type Queue interface {
	Send(c dtls.Channel, b []byte) (r drop.Reason, room <-chan struct{})
}

// Join lets others send to the member, by its queue. It is called once.
func (m *Member) Join(q Queue) {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	m.queue = q
	joined := append(slices.Clone(*m.group.joined.Load()), m)
	m.group.joined.Store(&joined)
}

// Leave ends the membership, whether or not the member has joined.
func (m *Member) Leave() {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	joined := slices.DeleteFunc(slices.Clone(*m.group.joined.Load()), func(x *Member) bool { return x == m })
	m.group.joined.Store(&joined)
	if m.group.members--; m.group.members == 0 {
		delete(m.hub.rooms, m.room)
	}
}

// Message implements dtls.Inbox: it passes a message on to one participant, or to all others in the room.
func (m *Member) Message(ctx context.Context, c dtls.Channel, b []byte) error {
	to, payload, r := m.parse(b)
	if r != drop.None {
		m.hub.counts.drop(r)
		return nil
	}
	joined := *m.group.joined.Load()
	receivers := 0
	for _, x := range joined {
		if m.reaches(x, to) {
			receivers++
		}
	}
	if r, err := m.pay(ctx, c, deliveries(receivers, len(b))); r != drop.None {
		m.hub.counts.drop(r)
		return err
	}
	if receivers == 0 && to != "" {
		m.hub.counts.drop(drop.DataUnknownTo)
		return nil
	}
	return m.pass(ctx, c, joined, to, m.message(b[0], payload))
}

// pass puts a message into the queues of its receivers. Where the sender goes while it waits, each receiver that it has not reached is a
// drop.
func (m *Member) pass(ctx context.Context, c dtls.Channel, joined []*Member, to string, out []byte) error {
	var behind []*Member
	for _, x := range joined {
		if m.reaches(x, to) && m.give(x, c, out) != nil {
			behind = append(behind, x)
		}
	}
	for i, x := range behind {
		for room := m.give(x, c, out); room != nil; room = m.give(x, c, out) {
			if err := m.await(ctx, room); err != nil {
				m.hub.counts.drops[drop.DtlsClosed].Add(uint64(len(behind) - i))
				return err
			}
		}
	}
	return nil
}

// reaches tells whether a message of m reaches x. to is empty where it is for everyone.
func (m *Member) reaches(x *Member, to string) bool { return x != m && (to == "" || to == x.identity) }

// pay waits until the sender may be as fast as it is, or discards a lossy message.
func (m *Member) pay(ctx context.Context, c dtls.Channel, n int) (drop.Reason, error) {
	for {
		now := time.Now()
		wait := m.allowances[c].spend(now, n)
		switch {
		case wait == 0:
			return drop.None, nil
		case c == dtls.Lossy:
			return drop.DataRate, nil
		}
		timer := time.NewTimer(max(wait, rateGrain))
		select {
		case <-timer.C:
			m.hub.counts.rate.Add(int64(time.Since(now)))
		case <-ctx.Done():
			timer.Stop()
			return drop.DtlsClosed, ctx.Err()
		}
	}
}

// give puts a message into the queue of a receiver. Where a reliable one has to wait it returns what for.
func (m *Member) give(x *Member, c dtls.Channel, out []byte) (room <-chan struct{}) {
	r, room := x.queue.Send(c, out)
	switch {
	case r == drop.None:
		m.hub.counts.messages.Add(1)
	case room == nil:
		m.hub.counts.drop(r)
	}
	return room
}

// await waits for room in the queue of a receiver.
func (m *Member) await(ctx context.Context, room <-chan struct{}) error {
	start := time.Now()
	select {
	case <-room:
		m.hub.counts.receiver.Add(int64(time.Since(start)))
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
