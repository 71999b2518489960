package scenario

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/internal/sim"
	"github.com/parley-rtc/parley/wire"
)

// Options of a client.
type Options struct {
	Room string // default "tea"
	// Pairs of slots that it offers at first, and how many it is willing to have; default 4, and as many as are wanted.
	Pairs, MaxPairs int
	// Manual: it subscribes to nothing by itself.
	Manual bool
	// LastN is how many cameras it wants at once; 0: as many as it has slots for.
	LastN int
	// RED: it takes Opus with redundancy.
	RED bool
	// NoMedia: it has no PeerConnection.
	NoMedia bool
	// Simulcast: it can publish one.
	Simulcast bool
	// NoRTX: it takes no repairs, and so no padding either.
	NoRTX bool
	// Feedback: it tells the server when packets arrive, as browsers do.
	Feedback bool
}

// Client is a participant: a session and a PeerConnection.
type Client struct {
	// static after construction
	plan    *Plan
	Name    string
	addr    netip.Addr // its first one; it is the client's name in what the watch has seen
	net     *sim.Net
	options Options
	closing chan struct{} // closed by close
	whip    *whipSession  // nil: it has a session of its own

	// owned by the plan
	at      netip.Addr   // where it is now
	outside []netip.Addr // what its NAT has given it, the last one being in force
	socket  *carrier     // nil while cut
	gone    bool
	cuts    []cut // times without a socket

	// a semaphore: one negotiation at a time (a mutex would freeze virtual time)
	negotiating chan struct{}
	growing     sync.WaitGroup
	asking      sync.WaitGroup
	stopAsking  chan struct{} // of the PeerConnection; owned by the plan
	lines       []func()      // what made each m-line, in order; the holder of negotiating changes it
	unanswered  bool          // it went while an answer was on its way; the holder of negotiating changes it

	// guarded by mu
	mu          sync.Mutex
	pc          *webrtc.PeerConnection
	sources     []*Source
	simulcast   *Simulcast // or nil
	slots       []*slot
	receptions  map[uint32]*reception // by SSRC of the slot; also those of earlier PeerConnections
	heard       map[sound]bool        // of audio that came, with redundancy or as what it was
	redundant   int                   // packets with redundancy that came
	current     map[string]*reception // by mid, of this PeerConnection
	generations map[string]uint64     // by mid, of the last slot event
	early       map[string][]fill     // by mid, slot events that came before the answer
	requestID   uint64
	waiting     map[uint64]*call
	joined      wire.Joined
	seq         uint64
	replica     replica
	transport   []string // states that the server told
	ended       *wire.Ended
	brokenOrder bool // a message came twice, or was left out
}

// cut is a time without a socket; until is zero where it did not end.
type cut struct{ from, until time.Time }

// wasCut tells whether the client had no socket at a time.
func (c *Client) wasCut(at time.Time) bool {
	return slices.ContainsFunc(c.cuts, func(x cut) bool { return !at.Before(x.from) && (x.until.IsZero() || !at.After(x.until)) })
}

// Join lets somebody into a room, connected.
func (p *Plan) Join(name string, o Options) *Client {
	p.Helper()
	if o.Room == "" {
		o.Room = "tea"
	}
	if o.Pairs == 0 {
		o.Pairs = 4
	}
	if o.MaxPairs == 0 {
		o.MaxPairs = wire.MaxSlotPairs
	}
	c := p.newClient(name, o)
	c.connect()
	m := c.request(wire.TypeJoin, wire.Join{Protocol: wire.Protocol, Room: o.Room, Identity: name, Name: name, ManualSubscribe: o.Manual, LastN: o.LastN})
	if m.Type != wire.TypeJoined {
		p.Fatalf("%s: %s %s", name, m.Type, m.Body)
	}
	if !o.NoMedia {
		c.newConnection()
		c.addSlots(o.Pairs, 0)
		c.Offer()
	}
	return c
}

func (p *Plan) newClient(name string, o Options) *Client {
	n := len(p.clients) + 1
	addr := netip.AddrFrom4([4]byte{10, 0, byte(1 + n/250), byte(1 + n%250)})
	c := &Client{
		plan: p, Name: name, addr: addr, at: addr, net: p.network.Net(addr), options: o,
		closing: make(chan struct{}), negotiating: make(chan struct{}, 1), receptions: map[uint32]*reception{}, heard: map[sound]bool{},
		current: map[string]*reception{}, generations: map[string]uint64{}, early: map[string][]fill{}, waiting: map[uint64]*call{},
	}
	p.clients = append(p.clients, c)
	return c
}

func (c *Client) connect() {
	c.plan.Helper()
	s, err := connect(c.plan.signal, c.addr, c.receive)
	if err != nil {
		c.plan.Fatal(err)
	}
	c.mu.Lock()
	c.socket = s
	c.mu.Unlock()
}

// receive takes a message of the server.
func (c *Client) receive(m wire.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Seq != 0 {
		c.brokenOrder = c.brokenOrder || m.Seq != c.seq+1
		c.seq = m.Seq
	}
	if call := c.waiting[m.Reply]; m.Reply != 0 && call != nil {
		delete(c.waiting, m.Reply)
		call.reply <- m
	}
	switch m.Type {
	case wire.TypeJoined:
		c.joined = body[wire.Joined](m)
		c.replica.reset(c.joined.Room)
	case wire.TypeAnswer:
		c.learn(body[wire.Answer](m).SDP)
	case wire.TypeSlot:
		c.fill(body[wire.Slot](m))
	case wire.TypeGrowSlots:
		g := body[wire.GrowSlots](m)
		c.growing.Go(func() { c.grow(g) })
	case wire.TypeEncodings:
		if c.simulcast != nil {
			c.simulcast.told(body[wire.Encodings](m))
		}
	case wire.TypeTransport:
		c.transport = append(c.transport, body[wire.Transport](m).State)
	case wire.TypeEnded:
		e := body[wire.Ended](m)
		c.ended = &e
	default:
		c.replica.apply(m)
		if m.Type == wire.TypeResync {
			for _, s := range body[wire.Resync](m).Slots {
				c.fill(s)
			}
		}
	}
}

// call is a request whose reply has not come.
type call struct {
	request wire.Request
	reply   chan wire.Message
}

// post sends a request and returns where its reply will come.
func (c *Client) post(kind string, v any) chan wire.Message {
	reply := make(chan wire.Message, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requestID++
	r := wire.Request{ID: c.requestID, Type: kind, Body: encode(v)}
	c.waiting[r.ID] = &call{r, reply}
	if c.socket != nil {
		c.socket.send(r)
	}
	return reply
}

func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// request sends one and waits for its reply, or until the client is closed.
func (c *Client) request(kind string, v any) wire.Message {
	c.plan.Helper()
	select {
	case m := <-c.post(kind, v):
		return m
	case <-c.closing:
		return wire.Message{}
	case <-time.After(time.Minute):
		c.plan.Fatalf("%s: no reply to %s", c.Name, kind)
		return wire.Message{}
	}
}

// Do sends a request that must be answered by ok.
func (c *Client) Do(kind string, v any) {
	c.plan.Helper()
	if m := c.request(kind, v); m.Type != wire.TypeOK {
		c.plan.Errorf("%s: %s answered by %s %s", c.Name, kind, m.Type, m.Body)
	}
}

// Cut breaks the client's socket; its media stays.
func (c *Client) Cut() {
	c.mu.Lock()
	socket := c.socket
	c.socket = nil
	c.mu.Unlock()
	if socket != nil {
		socket.cut()
		c.cuts = append(c.cuts, cut{from: time.Now()})
	}
}

// Resume goes on with the session over a new socket.
func (c *Client) Resume() {
	c.plan.Helper()
	c.connect()
	c.cuts[len(c.cuts)-1].until = time.Now()
	c.mu.Lock()
	r := wire.Resume{Protocol: wire.Protocol, Session: c.joined.Session, Token: c.joined.ResumeToken, Seq: c.seq}
	c.mu.Unlock()
	if m := c.request(wire.TypeResume, r); m.Type != wire.TypeResumed {
		c.plan.Errorf("%s: resume answered by %s %s", c.Name, m.Type, m.Body)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(c.waiting)) { // as docs/protocol.md wants it
		c.socket.send(c.waiting[id].request)
	}
}

// Leave ends the session and closes the PeerConnection, as a page that is closed does.
func (c *Client) Leave() {
	c.plan.Helper()
	c.Do(wire.TypeLeave, wire.Leave{})
	c.close()
}

// isClosing reports whether close has begun. Any goroutine may ask.
func (c *Client) isClosing() bool {
	select {
	case <-c.closing:
		return true
	default:
		return false
	}
}

// close ends what the client runs.
func (c *Client) close() {
	if c.gone {
		return
	}
	c.gone = true
	close(c.closing)
	for _, s := range c.sources {
		s.Pause()
	}
	c.growing.Wait()
	c.Cut()
	c.disconnect()
}

// Vanish ends the client as a power cut does: nobody is told.
func (c *Client) Vanish() {
	c.plan.SetLink(c, sim.Link{Loss: 1})
	c.close()
}

// Close ends a client that the server has ended.
func (c *Client) Close() { c.close() }

// disconnect closes the PeerConnection.
func (c *Client) disconnect() {
	if c.pc != nil {
		close(c.stopAsking)
		c.asking.Wait()
		_ = c.pc.GracefulClose()
	}
}

// Identity is the participant's in the room.
func (c *Client) Identity() string { return c.joined.Identity }

// Sources are those that the client has published, in order.
func (c *Client) Sources() []*Source { return c.sources }

// TransportState is what the server last told of the client's Transport.
func (c *Client) TransportState() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.transport) == 0 {
		return "new"
	}
	return c.transport[len(c.transport)-1]
}

// Ended tells why the server has ended the session; nil: it has not.
func (c *Client) Ended() *wire.Ended {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// Source is where the client's requests come from.
func (c *Client) Source() netip.Addr { return c.addr }
