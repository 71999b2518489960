package room

import (
	"slices"

	"github.com/parley-rtc/parley/internal/ice"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// transport is the room's side of a Transport: what its next answer must repeat.
type transport struct {
	// static after construction
	id           uint64
	shard        int
	sdpSession   uint64
	fingerprints []sdp.Fingerprint

	// owned by the room
	local, remote sdp.ICE
	version       uint64
	failed        bool // over in the media plane; the next offer opens another one
}

// continues tells whether an offer goes on with this Transport. Another certificate is another RTCPeerConnection.
func (t *transport) continues(o *sdp.Offer) bool {
	return t != nil && !t.failed && slices.Equal(t.fingerprints, o.Fingerprints)
}

// credentials makes ICE credentials for a Transport on a shard (RFC 8445 §5.3: at least 24 and 128 random bits; here 66 and 192).
// Towards browsers the server is lite; clients of WHIP and WHEP connect sooner to a full agent.
func (r *Room) credentials(shard int, c Carrier) sdp.ICE {
	ufrag := string(ice.ShardLetter(shard)) + r.token(ice.Letters, 11)
	return sdp.ICE{Ufrag: ufrag, Pwd: r.token(ice.Letters, 32), Lite: c == WS}
}

// transportState follows what the media plane saw. A failed Transport is the end of a session that cannot offer again.
func (r *Room) transportState(c TransportState) {
	p := r.transports[c.Transport]
	if p == nil || p.transport.failed {
		return
	}
	if c.State != Failed {
		r.tell(p, wire.TypeTransport, wire.Transport{State: c.State})
		return
	}
	if p.carrier != WS {
		r.expel(p, wire.Ended{Code: wire.CodeTimeout, Message: "the media connection failed", Rejoin: true})
		return
	}
	p.transport.failed = true
	r.tell(p, wire.TypeTransport, wire.Transport{State: c.State})
}

// restart replaces the ICE credentials without an offer (RFC 9725 §4.3.2).
func (r *Room) restart(c Restart) *wire.Error {
	p, refused := r.member(c.Session)
	if refused != nil {
		return refused
	}
	t := p.transport
	if t == nil || t.failed {
		return wire.NewError(wire.CodeNotFound, "this session has no media connection to restart", "send an offer")
	}
	if c.ICE.Ufrag == "" || c.ICE.Pwd == "" {
		return wire.NewError(wire.CodeBadRequest, "an ICE restart needs a user fragment and a password", "send both")
	}
	fresh := c.ICE.Ufrag != t.remote.Ufrag || c.ICE.Pwd != t.remote.Pwd
	if fresh {
		t.local, t.remote = r.credentials(t.shard, p.carrier), c.ICE
		r.emit(RestartICE{Transport: t.id, Local: t.local, Remote: t.remote})
	}
	r.emit(Reply{Body: Restarted{ICE: t.local, Fresh: fresh}})
	return nil
}
