// Package transport is the Transport of one remote endpoint: ICE, SRTP and RTCP over one association, and the m-lines that were
// negotiated for it. DTLS runs elsewhere; its bytes are handed on, and its keys come back by SetKeys.
//
// A Transport is a core. What comes in by Handle is told apart by its first byte (RFC 7983):
//
//	 0..3    STUN  → the ICE agent, which alone decides which addresses are the client's
//	20..63   DTLS  → Out.DTLS
//	128..191 RTP, RTCP → opened in place → a route.Producer, or the slots that RTCP speaks of
//
// and what goes out is written to Out.Egress, sealed. It belongs to the shard's loop.
package transport

import (
	"errors"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/ice"
	"github.com/parley-rtc/parley/internal/pacer"
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/share"
	"github.com/parley-rtc/parley/internal/srtp"
)

// Role is who starts the DTLS handshake.
type Role uint8

// Roles.
const (
	Passive Role = iota // the server waits for the ClientHello
	Active
)

// Keying is where SRTP keys come from.
type Keying uint8

// Keyings.
const (
	DTLS  Keying = iota // RFC 5764
	SDES                // RFC 4568
	Plain               // no SRTP
)

// ErrNotSupported answers configurations that are not built.
var ErrNotSupported = errors.New("transport: not supported")

// Config describes a Transport.
type Config struct {
	ICE           ice.Mode
	DTLS          Role
	Keying        Keying
	Local, Remote sdp.ICE
	// Sender is the SSRC under which the Transport's own RTCP is sent.
	Sender uint32
	// CNAME goes with Sender in reports (RFC 7022).
	CNAME string
	// Scratch is what the Transports of one loop share; nil: it has its own.
	Scratch *Scratch
}

// Scratch is memory that a Transport needs while it makes one packet, and not afterwards.
type Scratch struct {
	head      [maxHeaderBytes]byte
	repair    [route.RepairBytes]byte
	rtcp      []byte
	blockList []rtp.ReportBlock
	streams   []share.Stream
	choices   []share.Choice
}

// NewScratch returns a Scratch for all Transports of a loop.
func NewScratch() *Scratch { return &Scratch{rtcp: make([]byte, 0, maxCompoundBytes)} }

// Out is what a Transport makes of its input. The caller owns and empties it.
type Out struct {
	Egress *datagram.Egress
	Drops  *drop.Counts
	// DTLS is a record for the association; it aliases the input.
	DTLS []byte
	ICE  ice.Out
	// Probes counts tries of what the client's network carries, Padding the packets that were sent for them.
	Probes, Padding uint64
	// Waited counts packets that were sent later, when the client's network had room for them.
	Waited uint64
	// Starved: other slots than before get nothing for want of bandwidth. See Transport.Starved.
	Starved bool
}

// Transport is one remote endpoint.
type Transport struct {
	// static after construction
	cfg Config

	// owned by loop; side by side what each packet to the client needs
	*Scratch
	out        *srtp.Context // nil until SetKeys
	until      time.Time     // there is consent to send; zero: there is none
	pair       datagram.Pair // on which to
	slots      []*slot       // video before audio, so that a short audio packet ends a run
	pacer      pacer.Pacer   // what of them waits for room on the client's network
	next       time.Time     // by when Timeout must be called, apart from what waits in pacer; zero: never
	reportAt   time.Time
	reduced    bool          // feedback may go alone: the client takes RTCP of reduced size (RFC 5506)
	in         *srtp.Context // nil until SetKeys
	agent      *ice.Agent
	clock      route.Clock
	sections   map[string]*section
	receivers  map[uint32]*receiver // by SSRC; a stream's RTX SSRC leads to the same receiver
	feedback   feedback
	downlink   downlink
	allowance  allowance // of the client's RTCP
	forged     allowance // of others'
	bandwidth  bandwidth
	portions   portions
	rtt        time.Duration
	rttKnown   bool      // else rtt is initialRTT
	measuredAt time.Time // when it was measured last without doubt
}

// New returns a Transport that waits for the client's checks. It answers ErrNotSupported for what is not built.
func New(cfg Config, now time.Time) (*Transport, error) {
	if cfg.DTLS != Passive || cfg.Keying != DTLS {
		return nil, ErrNotSupported
	}
	agent, err := ice.New(ice.Config{
		Mode: cfg.ICE, Local: credentials(cfg.Local), Remote: credentials(cfg.Remote),
	}, now)
	if err != nil {
		return nil, err
	}
	if cfg.Scratch == nil {
		cfg.Scratch = NewScratch()
	}
	return &Transport{
		cfg: cfg, Scratch: cfg.Scratch, agent: agent, sections: make(map[string]*section), receivers: make(map[uint32]*receiver),
		rtt: initialRTT, reportAt: now, next: agent.Next(),
	}, nil
}

// initialRTT is assumed until the first receiver report.
const initialRTT = 100 * time.Millisecond

// Agent returns the ICE agent.
func (t *Transport) Agent() *ice.Agent { return t.agent }

// Restart replaces the ICE credentials after an offer with new ones. The selected pair goes on until a new one is nominated.
func (t *Transport) Restart(now time.Time, local, remote sdp.ICE) error {
	defer t.schedule(now)
	return t.agent.Restart(now, credentials(local), credentials(remote))
}

func credentials(c sdp.ICE) ice.Credentials { return ice.Credentials{Ufrag: c.Ufrag, Pwd: c.Pwd} }

// RemovePair forgets a pair that cannot be used any more; another takes its place where there is one.
func (t *Transport) RemovePair(now time.Time, pair datagram.Pair, out *Out) {
	t.agent.RemovePair(now, pair, &out.ICE)
	t.schedule(now)
}

// Clock relates the client's clock to the server's, for the Producers that it feeds.
func (t *Transport) Clock() *route.Clock { return &t.clock }

// SetKeys starts SRTP, once DTLS has finished.
func (t *Transport) SetKeys(now time.Time, in, out *srtp.Context) {
	t.in, t.out = in, out
	for _, s := range t.slots {
		s.bind(out)
	}
	t.schedule(now)
}

// Keyed selects the pair on which the client has finished its DTLS handshake, until the client nominates one.
func (t *Transport) Keyed(now time.Time, pair datagram.Pair, out *Out) {
	t.agent.Keyed(now, pair, &out.ICE)
	t.schedule(now)
}

// Connected begins to send, now that the client can be sent to: it asks for the key frames that slots have been waiting for.
func (t *Transport) Connected(now time.Time, out *Out) {
	for _, s := range t.slots {
		s.consumer.WantKeyFrame()
		t.greet(now, s, out)
	}
	t.schedule(now)
}

// Ready reports whether media can be sent now: there are keys, a selected pair, and consent.
func (t *Transport) Ready(now time.Time) bool { return t.out != nil && now.Before(t.until) }

// Handle takes one datagram from the client. Anything but STUN must come from an address that a check has validated: the
// caller looks the Transport up by such addresses only, but for Stray.
func (t *Transport) Handle(now time.Time, d *datagram.Datagram, out *Out) drop.Reason {
	if len(d.B) == 0 {
		return drop.Empty
	}
	switch first := d.B[0]; {
	case first < 4:
		defer t.schedule(now)
		return t.agent.Handle(now, d.Pair, d.B, &out.ICE)
	case first >= 20 && first < 64:
		out.DTLS = d.B
		return drop.None
	case first >= 128 && first < 192:
		return t.media(now, d, out)
	}
	return drop.UnknownClass
}

func (t *Transport) media(now time.Time, d *datagram.Datagram, out *Out) drop.Reason {
	if t.in == nil {
		return drop.SrtpNoKeys
	}
	if rtp.IsRTCP(d.B) {
		defer t.schedule(now)
		return t.handleRTCP(now, d.B, out)
	}
	return t.handleRTP(now, d)
}

// Timeout does what is due: consent, slots that were not blanked in time, repair requests, reports, feedback.
func (t *Transport) Timeout(now time.Time, out *Out) {
	if t.onlyPaced(now, out) {
		return
	}
	defer t.schedule(now)
	t.agent.Timeout(now, &out.ICE)
	t.pair, t.until = t.agent.Route()
	for _, s := range t.slots {
		s.consumer.Timeout(now)
	}
	if !t.Ready(now) {
		return
	}
	t.probe(now, out)
	t.requestRepairs(now, out)
	if !now.Before(t.reportAt) {
		t.report(now, out)
		t.reportAt = now.Add(reportInterval)
	}
	t.sendFeedback(now, out)
}

// Next returns by when Timeout must be called; zero: never. It may have something to do from Slack before on: whoever is awake then
// calls it already.
func (t *Transport) Next() time.Time { return earliest(t.next, t.pacer.Next()) }

// schedule finds out by when Timeout must be called. What would be sent then is left out while nothing may be sent.
func (t *Transport) schedule(now time.Time) {
	t.pair, t.until = t.agent.Route()
	t.next = t.agent.Next()
	for _, s := range t.slots {
		t.next = earliest(t.next, s.consumer.Next())
	}
	if !t.Ready(now) {
		return
	}
	t.next = earliest(t.next, Late(t.reportAt))
	for _, r := range t.receivers {
		t.next = earliest(t.next, r.register.Next())
	}
	t.next = earliest(t.next, Late(t.feedback.next))
	t.next = earliest(t.next, t.nextProbe())
}

// Late returns by when that must be done which is due at that time and does not matter to the moment. A zero time is never.
func Late(due time.Time) time.Time {
	if due.IsZero() {
		return due
	}
	return due.Add(Slack)
}

// earliest returns the earlier of two times, of which a zero one means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
