package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/internal/load/meter"
	"github.com/parley-rtc/parley/internal/load/source"
	"github.com/parley-rtc/parley/wire"
)

// client is one participant.
type client struct {
	// static after construction
	*crew
	room, identity      string
	number              int // among its kind in the room
	publishes, receives bool

	// static after join
	session  *session // nil: a call by WHIP
	location string   // of the call
	pc       *webrtc.PeerConnection
	sending  []*sender
	up       chan struct{} // closed when media can flow
	leaving  chan struct{} // closed when nothing counts any more
	work     sync.WaitGroup

	// guarded by negotiating, which is held while an offer is under way
	negotiating sync.Mutex
	slots       []slot

	// guarded by mu
	mu          sync.Mutex
	meter       *meter.Receiver
	lines       map[uint32]line
	generations map[string]uint64
	owners      map[string]string   // of publications
	statuses    map[string]string   // of subscriptions
	published   map[string]string   // mids of own publications
	wanted      map[string][]string // rids of own publications that somebody wants; absent: all
	took        time.Duration       // to join; 0: it has not
	faults      []fault
	late        meter.Histogram // how late frames were sent
	sent        int64           // bytes of RTP packets
	ping        time.Duration   // the quickest; 0: none was measured
}

// slot is a pair of receiving m-lines, or a video-only one.
type slot struct{ audio, video *webrtc.RTPTransceiver }

// fault is something that went wrong with a client.
type fault struct {
	cause string // as it is counted
	err   error
}

func newClient(c *crew, room, kind string, number int, publishes, receives bool) *client {
	return &client{
		crew: c, room: room, identity: fmt.Sprintf("%s-%d", kind, number+1), number: number, publishes: publishes, receives: receives,
		up: make(chan struct{}), leaving: make(chan struct{}),
		lines: map[uint32]line{}, generations: map[string]uint64{}, owners: map[string]string{}, statuses: map[string]string{},
		published: map[string]string{}, wanted: map[string][]string{},
		meter: meter.NewReceiver(time.Now(), nil),
	}
}

// join enters the room and returns when media can flow, or with a fault that is noted.
func (c *client) join(ctx context.Context) {
	began := time.Now()
	ctx, done := context.WithTimeout(ctx, c.plan.patience())
	defer done()
	cause, err := c.enter(ctx, began)
	if err != nil {
		if !errors.Is(context.Cause(ctx), context.Canceled) {
			c.fail(cause, err)
		}
		return
	}
	c.mu.Lock()
	c.took = time.Since(began)
	c.mu.Unlock()
	if c.publishes {
		c.send()
	}
}

func (c *client) enter(ctx context.Context, began time.Time) (cause string, err error) {
	c.mu.Lock()
	c.meter = meter.NewReceiver(began, c.sources(c.room))
	c.mu.Unlock()
	if c.plan.Path == PathWHIP && c.publishes {
		return c.call(ctx)
	}
	if c.session, err = c.target.dial(ctx); err != nil {
		return "connect", err
	}
	wish := wire.Join{Protocol: wire.Protocol, Room: c.room, Identity: c.identity, Name: c.identity, ManualSubscribe: !c.receives}
	if c.token != nil {
		if wish.Token, err = c.token(c.room, c.identity); err != nil {
			return "token", err
		}
	}
	var joined wire.Joined
	if err := c.session.request(ctx, wire.TypeJoin, wish, &joined); err != nil {
		return "join", err
	}
	c.session.keepAlive(time.Duration(max(joined.PingSeconds, 1)) * time.Second)
	if c.pc, err = c.connection(ctx); err != nil {
		return relayCause(err), err
	}
	c.pc.OnConnectionStateChange(c.changed)
	c.pc.OnTrack(c.drain)
	c.snapshot(joined.Room, true)
	c.work.Go(c.follow)
	if err := c.negotiate(ctx, firstPairs, firstVideos); err != nil {
		return "offer", err
	}
	return c.await(ctx)
}

// await waits until media can flow, by the path that they should take.
func (c *client) await(ctx context.Context) (cause string, err error) {
	if c.plan.Path != PathTCP {
		c.work.Go(c.nudge)
	}
	select {
	case <-c.up:
	case <-c.lost():
		return "session", c.session.fault()
	case <-ctx.Done():
		return "media", fmt.Errorf("not connected after %v: ICE is %v, the connection %v", c.plan.patience(), c.pc.ICEConnectionState(), c.pc.ConnectionState())
	}
	if pair, _ := c.selected(); pair != nil {
		err = c.plan.Path.astray(pair)
	}
	return "path", err
}

// lost is closed when the session is over; a call has none.
func (c *client) lost() <-chan struct{} {
	if c.session == nil {
		return nil
	}
	return c.session.over
}

// changed follows the state of the PeerConnection.
func (c *client) changed(s webrtc.PeerConnectionState) {
	switch s {
	case webrtc.PeerConnectionStateConnected:
		select {
		case <-c.up:
		default:
			close(c.up)
		}
	case webrtc.PeerConnectionStateFailed:
		c.fail("media", errors.New("the connection has failed"))
	}
}

// negotiate offers what there is and brings the slots up to the given numbers.
func (c *client) negotiate(ctx context.Context, pairs, videos int) error {
	c.negotiating.Lock()
	defer c.negotiating.Unlock()
	if c.publishes && c.sending == nil {
		if err := c.addSenders(); err != nil {
			return err
		}
	}
	if c.receives {
		if err := c.addSlots(pairs, videos); err != nil {
			return err
		}
	}
	offer, err := c.pc.CreateOffer(nil)
	if err == nil {
		err = c.pc.SetLocalDescription(offer)
	}
	if err != nil {
		return err
	}
	var answer wire.Answer
	if err := c.session.request(ctx, wire.TypeOffer, wire.Offer{SDP: offer.SDP, Tracks: c.tracks(), Slots: c.offered()}, &answer); err != nil {
		return err
	}
	all, err := lines(answer.SDP)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	c.mu.Lock()
	c.lines = all
	for _, p := range answer.Publications {
		c.published[p.Publication] = p.Mid
	}
	c.direct()
	c.mu.Unlock()
	return c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer.SDP})
}

// addSlots adds those that are missing to so many pairs and video-only slots, or to what the protocol allows.
func (c *client) addSlots(pairs, videos int) error {
	pairs, videos = min(pairs, wire.MaxSlotPairs), min(videos, maxVideos)
	for _, s := range c.slots {
		if s.audio != nil {
			pairs--
		} else {
			videos--
		}
	}
	receive := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
	for i := range max(pairs, 0) + max(videos, 0) {
		var s slot
		var err error
		if s.video, err = c.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, receive); err != nil {
			return err
		}
		if i < pairs {
			if s.audio, err = c.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio, receive); err != nil {
				return err
			}
		}
		c.slots = append(c.slots, s)
	}
	return nil
}

func (c *client) offered() []wire.OfferSlot {
	var offered []wire.OfferSlot
	for _, s := range c.slots {
		o := wire.OfferSlot{Video: s.video.Mid()}
		if s.audio != nil {
			o.Audio = s.audio.Mid()
		}
		offered = append(offered, o)
	}
	return offered
}

// follow takes in events until the session is over.
func (c *client) follow() {
	ended := false
	for m := range c.session.events {
		if err := c.event(m); err != nil {
			c.fail(m.Type, err)
		}
		ended = ended || m.Type == wire.TypeEnded
	}
	if !ended {
		c.fail("session", fmt.Errorf("the session is lost: %w", c.session.fault()))
	}
}

func (c *client) event(m wire.Message) error {
	switch m.Type {
	case wire.TypeParticipantJoined:
		return with(m, func(b wire.ParticipantJoined) { c.participant(b.Participant, false) })
	case wire.TypeParticipantLeft:
		return with(m, func(b wire.ParticipantLeft) { c.gone(b.Identity) })
	case wire.TypeTrackPublished:
		return with(m, func(b wire.TrackPublished) { c.learn(b.Identity, b.Publication, false) })
	case wire.TypeTrackUnpublished:
		return with(m, func(b wire.TrackUnpublished) { c.forget(b.Publication) })
	case wire.TypeSlot:
		return with(m, c.fill)
	case wire.TypeSubscription:
		return with(m, c.subscription)
	case wire.TypeGrowSlots:
		return with(m, c.grow)
	case wire.TypeEncodings:
		return with(m, c.encodings)
	case wire.TypeResync:
		return with(m, c.resync)
	case wire.TypeTransport:
		return with(m, func(b wire.Transport) {
			if b.State == "failed" {
				c.fail("media", errors.New("the server says that the connection has failed"))
			}
		})
	case wire.TypeEnded:
		return with(m, func(b wire.Ended) { c.fail("ended", &wire.Error{Code: b.Code, Message: b.Message}) })
	case wire.TypeError:
		return with(m, func(b wire.Error) { c.fail("request", &b) })
	}
	return nil
}

// with reads the body of a message.
func with[B any](m wire.Message, f func(B)) error {
	var b B
	if err := json.Unmarshal(m.Body, &b); err != nil {
		return fmt.Errorf("read %s: %w", m.Type, err)
	}
	f(b)
	return nil
}

// snapshot notes who is in the room.
func (c *client) snapshot(room wire.Snapshot, before bool) {
	for _, p := range room.Participants {
		c.participant(p, before)
	}
}

func (c *client) participant(p wire.Participant, before bool) {
	for _, t := range p.Publications {
		c.learn(p.Identity, t, before)
	}
}

// learn notes a publication, and says how large its picture is shown where there are sizes to choose from.
func (c *client) learn(identity string, p wire.Publication, before bool) {
	if identity == c.identity || !c.receives {
		return
	}
	video := p.Kind == wire.KindVideo
	c.mu.Lock()
	c.owners[p.ID] = identity
	c.meter.Publish(time.Now(), p.ID, source.ID(c.room, identity, video), video, before)
	c.mu.Unlock()
	if sizes := c.plan.encodings(); video && len(sizes) > 1 && p.Layers != "" {
		size := sizes[c.number%len(sizes)]
		wish := wire.Subscribe{Publications: []string{p.ID}, Subscribed: true, Width: &size.width, Height: &size.height}
		_, _ = c.session.send(wire.TypeSubscribe, wish, nil) // fails only with the session
	}
}

func (c *client) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.owners, id)
	delete(c.statuses, id)
	c.meter.Unpublish(time.Now(), id)
}

func (c *client) gone(identity string) {
	c.mu.Lock()
	var ids []string
	for id, owner := range c.owners {
		if owner == identity {
			ids = append(ids, id)
		}
	}
	c.mu.Unlock()
	for _, id := range ids {
		c.forget(id)
	}
}

// fill notes what a slot carries from now on, and says that it may come.
func (c *client) fill(s wire.Slot) {
	c.mu.Lock()
	fresh := s.Generation > c.generations[s.Mid]
	if fresh {
		c.generations[s.Mid] = s.Generation
		c.meter.Fill(time.Now(), s.Mid, s.Publication)
	}
	c.mu.Unlock()
	if fresh {
		_, _ = c.session.send(wire.TypeSlotReady, wire.SlotReady{Mid: s.Mid, Generation: s.Generation}, nil) // fails only with the session
	}
}

func (c *client) subscription(s wire.Subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statuses[s.Publication] = s.Status
	if s.Reason != "" {
		c.statuses[s.Publication] += " for " + s.Reason
	}
	c.meter.Subscription(time.Now(), s.Publication, s.Status == wire.SubscriptionActive)
}

func (c *client) grow(g wire.GrowSlots) {
	ctx, done := context.WithTimeout(context.Background(), replyTimeout)
	defer done()
	if err := c.negotiate(ctx, g.Pairs, g.Videos); err != nil {
		c.fail("offer", err)
	}
}

func (c *client) resync(r wire.Resync) {
	there := map[string]bool{}
	for _, p := range r.Room.Participants {
		for _, t := range p.Publications {
			there[t.ID] = true
		}
	}
	c.mu.Lock()
	var ids []string
	for id := range c.owners {
		if !there[id] {
			ids = append(ids, id)
		}
	}
	c.mu.Unlock()
	for _, id := range ids {
		c.forget(id)
	}
	c.snapshot(r.Room, false)
	for _, s := range r.Subscriptions {
		c.subscription(s)
	}
	for _, s := range r.Slots {
		c.fill(s)
	}
}

// drain reads a track, and the reports about it, until the PeerConnection is closed. What comes is noted by tap.
func (c *client) drain(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
	go func() { // ends with the PeerConnection
		for {
			if _, _, err := r.ReadRTCP(); err != nil {
				return
			}
		}
	}()
	b := make([]byte, 1500)
	for {
		if _, _, err := t.Read(b); err != nil {
			return
		}
	}
}

// arrived notes a packet of so many bytes, and asks for what it shows to be missing.
func (c *client) arrived(now time.Time, p *rtp.Packet, size int) {
	c.mu.Lock()
	l, known := c.lines[p.SSRC]
	if !known {
		c.mu.Unlock()
		return
	}
	got := meter.Packet{Mid: l.mid, Video: l.video, Seq: p.SequenceNumber, Size: size, Repair: l.repair}
	payload := p.Payload
	if l.repair {
		var ok bool
		if got.Seq, payload, ok = unwrap(p); !ok {
			c.mu.Unlock()
			return
		}
	}
	got.Stamp, got.Stamped = source.ParseStamp(payload)
	want := c.meter.Packet(now, got)
	var packets []rtcp.Packet
	if len(want.Repairs) > 0 {
		packets = append(packets, &rtcp.TransportLayerNack{MediaSSRC: l.ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(slices.Clone(want.Repairs))})
	}
	if want.Key {
		packets = append(packets, &rtcp.PictureLossIndication{MediaSSRC: l.ssrc})
	}
	c.mu.Unlock()
	if len(packets) > 0 {
		_ = c.pc.WriteRTCP(packets) // fails only while nothing is connected
	}
}

// fail notes a fault, unless the client is leaving.
func (c *client) fail(cause string, err error) {
	select {
	case <-c.leaving:
		return
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, fault{cause, err})
	}
}

// begin starts to count anew.
func (c *client) begin(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.meter.Begin(now)
	c.late, c.sent = meter.Histogram{}, 0
}

// leave ends what there is of the client, and waits for its goroutines.
func (c *client) leave(ctx context.Context) {
	close(c.leaving)
	if c.session != nil {
		_ = c.session.request(ctx, wire.TypeLeave, wire.Leave{}, nil) // it ends anyway
		c.session.close()
	}
	if c.location != "" {
		c.hangUp(ctx)
	}
	if c.pc != nil {
		_ = c.pc.GracefulClose()
	}
	c.work.Wait()
}
