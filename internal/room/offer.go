package room

import (
	"errors"
	"slices"

	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// negotiation is an offer that is being answered. Nothing of the room changes until the answer stands.
type negotiation struct {
	p        *participant
	sdp      *sdp.Offer
	sections map[string]*sdp.Section // by mid
	tracks   []wire.OfferTrack
	opened   bool // on a new Transport
	t        *transport
	slots    []*slot
	local    sdp.Local
	answer   *sdp.Answer
	results  map[string]*sdp.Negotiated // by mid
}

// offer answers an offer and brings publications and slots in line with it.
func (r *Room) offer(c Offer) *wire.Error {
	p, refused := r.member(c.Session)
	if refused != nil {
		return refused
	}
	if !slices.ContainsFunc(c.SDP.Sections, func(s sdp.Section) bool { return !s.Rejected }) {
		// Such an offer need not have credentials or fingerprints, and there is nothing to carry.
		return wire.NewError(wire.CodeSDP, "every m-line of the offer is stopped", "keep one m-line, or leave the room")
	}
	n := &negotiation{p: p, sdp: c.SDP, sections: map[string]*sdp.Section{}, results: map[string]*sdp.Negotiated{}}
	for i := range c.SDP.Sections {
		n.sections[c.SDP.Sections[i].Mid] = &c.SDP.Sections[i]
	}
	slots := c.Slots
	switch n.tracks = c.Tracks; p.carrier {
	case WHIP:
		n.tracks, slots = n.impliedTracks(), nil
	case WHEP:
		n.tracks, slots = nil, n.impliedSlots()
	}
	if refused := r.checkTracks(n); refused != nil {
		return refused
	}
	r.prepareTransport(n, c)
	if refused := r.prepareSlots(n, slots); refused != nil {
		return refused
	}
	if refused := n.negotiate(); refused != nil {
		return refused
	}
	if refused := n.checkCodecs(); refused != nil {
		return refused
	}
	if refused := n.checkEncrypted(); refused != nil {
		return refused
	}
	if n.opened && c.Admit != nil {
		if refused := c.Admit(); refused != nil {
			return refused
		}
	}
	r.commit(n)
	return nil
}

// prepareTransport decides whether the offer goes on with the Transport that there is.
func (r *Room) prepareTransport(n *negotiation, c Offer) {
	if n.p.transport.continues(n.sdp) {
		t := *n.p.transport
		n.t = &t
	} else {
		n.opened = true
		n.t = &transport{id: r.lastID + 1, shard: c.Shard, sdpSession: r.random.Uint64() >> 2, fingerprints: n.sdp.Fingerprints}
	}
	if n.t.remote != n.sdp.ICE {
		n.t.local, n.t.remote = r.credentials(n.t.shard, n.p.carrier), n.sdp.ICE
	}
	n.t.version++
	n.local = sdp.Local{
		ICE: n.t.local, Fingerprint: c.Fingerprint, Setup: "passive", Candidates: c.Candidates,
		SessionID: n.t.sdpSession, Version: n.t.version, SCTPPort: sdp.DefaultSCTPPort, MaxMessage: maxDataMessage,
		Sections: map[string]sdp.LocalSection{},
	}
	for mid, s := range n.sections {
		if s.Kind == sdp.Application && s.ReceivesData && !s.Rejected {
			n.local.Sections[mid] = sdp.LocalSection{Role: sdp.RoleData}
		}
	}
	for _, t := range n.tracks {
		if sends(n.sections[t.Mid]) {
			n.local.Sections[t.Mid] = sdp.LocalSection{Role: sdp.RoleReceive}
		}
	}
}

// negotiate writes the answer. Package sdp refuses a track without a codec: each that sends has one afterwards.
func (n *negotiation) negotiate() *wire.Error {
	answer, err := n.sdp.Answer(&n.local)
	if err != nil {
		return Refusal(err)
	}
	n.answer = answer
	for i := range answer.Sections {
		n.results[answer.Sections[i].Mid] = &answer.Sections[i]
	}
	return nil
}

// checkCodecs refuses a WHEP viewer who could see and hear nothing: it has no other way to learn that.
func (n *negotiation) checkCodecs() *wire.Error {
	if n.p.carrier != WHEP || len(n.p.subscriptions) == 0 {
		return nil
	}
	for pub := range n.p.subscriptions {
		for _, s := range n.slots {
			l := s.line(pub.Kind)
			if l != nil && n.results[l.mid] != nil && matches(n.results[l.mid].Codecs, pub.codec) {
				return nil
			}
		}
	}
	return wire.NewError(wire.CodeUnsupportedCodec, "the offer has no codec of what "+n.p.follow+" publishes",
		"offer to receive all codecs that can be decoded")
}

// checkEncrypted refuses an encrypted publication that could never start: the payload descriptors of VP8 and H.264 do not say
// where key frames are, and the server does not look behind them.
func (n *negotiation) checkEncrypted() *wire.Error {
	for _, t := range n.tracks {
		if !t.Encrypted || !sends(n.sections[t.Mid]) {
			continue
		}
		result := n.results[t.Mid]
		if c := result.Codec().Name; (c == "vp8" || c == "h264") && result.Extensions.DependencyDescriptor == 0 {
			return wire.NewError(wire.CodeUnsupported, "encrypted "+c+" on m-line "+t.Mid+" without a dependency descriptor: its key frames cannot be found",
				"offer the dependency descriptor header extension and extmap-allow-mixed, or publish vp9 or av1")
		}
	}
	return nil
}

// commit makes the answered offer the truth: first the Transport, then what is gone, then what is new.
func (r *Room) commit(n *negotiation) {
	p, mark := n.p, len(r.out)
	if n.opened {
		r.openTransport(n)
	} else if n.t.remote != p.transport.remote {
		r.emit(RestartICE{Transport: n.t.id, Local: n.t.local, Remote: n.t.remote})
	}
	p.transport = n.t
	kept := r.dropTracks(n)
	r.emit(Negotiate{Transport: n.t.id, Sections: n.answer.Sections})
	r.commitSlots(n)
	publications := r.commitTracks(n, kept)
	r.out = slices.Insert(r.out, mark, Effect(Reply{
		Type: wire.TypeAnswer,
		Body: wire.Answer{SDP: n.answer.SDP, Publications: publications},
	}))
	p.asked = wire.GrowSlots{}
	r.recodec = true
	r.unsettle(p)
}

func (r *Room) openTransport(n *negotiation) {
	p := n.p
	if p.transport != nil {
		r.emit(CloseTransport{p.transport.id})
		delete(r.transports, p.transport.id)
	}
	r.lastID = n.t.id
	r.transports[n.t.id] = p
	r.emit(OpenTransport{
		Transport: n.t.id, Shard: n.t.shard, Identity: p.identity, PublishData: p.maySendData(),
		Local: n.t.local, Remote: n.t.remote, Fingerprints: n.t.fingerprints,
	})
}

// Refusal turns the error of package sdp into that of a reply.
func Refusal(err error) *wire.Error {
	refused := wire.NewError(wire.CodeSDP, err.Error(), "")
	var reason *sdp.Error
	if errors.As(err, &reason) {
		refused.Message, refused.Next = reason.Fault(), reason.Next
		if reason.NoCodec {
			refused.Code = wire.CodeUnsupportedCodec
		}
	}
	return refused
}

func sends(s *sdp.Section) bool {
	return !s.Rejected && (s.Direction == sdp.SendOnly || s.Direction == sdp.SendRecv)
}

func receives(s *sdp.Section) bool {
	return !s.Rejected && (s.Direction == sdp.RecvOnly || s.Direction == sdp.SendRecv)
}

func matches(codecs []sdp.Codec, c sdp.Codec) bool {
	return slices.ContainsFunc(codecs, c.Matches)
}
