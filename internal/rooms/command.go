package rooms

import (
	"encoding/json"
	"strconv"

	"github.com/parley-rtc/parley/internal/room"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// command decodes a request. SDP is parsed here already, so that a large offer keeps only its own session waiting.
func (s *Service) command(r Request) (room.Command, *wire.Error) {
	switch r.Type {
	case TypeGrant:
		b, refused := body[Grant](r)
		return room.Grant(b), refused
	case TypeGranted:
		b, refused := body[Granted](r)
		return room.Granted(b), refused
	}
	if r.Session == "" {
		return nil, badRequest("the request names no session")
	}
	switch r.Type {
	case wire.TypeJoin:
		return join(r)
	case wire.TypeOffer:
		return s.offer(r)
	case wire.TypeLeave:
		return room.Leave{Session: r.Session, Reason: wire.CodeLeft}, nil
	case TypeGone:
		b, refused := body[Gone](r)
		return room.Leave{Session: r.Session, Reason: b.Reason}, refused
	case TypeSnapshot:
		return room.Resync{Session: r.Session}, nil
	case TypeRestart:
		b, refused := body[Restart](r)
		return room.Restart{Session: r.Session, ICE: b.ICE}, refused
	}
	return change(r)
}

// change decodes the requests that are a body and nothing else.
func change(r Request) (room.Command, *wire.Error) {
	switch r.Type {
	case wire.TypeUnpublish:
		b, refused := body[wire.Unpublish](r)
		return room.Unpublish{Session: r.Session, Publication: b.Publication}, refused
	case wire.TypeSubscribe:
		b, refused := body[wire.Subscribe](r)
		return room.Subscribe{
			Session: r.Session, Publications: b.Publications, Subscribed: b.Subscribed,
			Width: b.Width, Height: b.Height, Priority: b.Priority, Paused: b.Paused,
		}, refused
	case wire.TypeSlotReady:
		b, refused := body[wire.SlotReady](r)
		return room.SlotReady{Session: r.Session, Mid: b.Mid, Generation: b.Generation}, refused
	case wire.TypeMute:
		b, refused := body[wire.Mute](r)
		return room.Mute{Session: r.Session, Publication: b.Publication, Muted: b.Muted}, refused
	case wire.TypeUpdate:
		b, refused := body[wire.Update](r)
		return room.Update{Session: r.Session, Name: b.Name, Metadata: b.Metadata}, refused
	case wire.TypeChat:
		b, refused := body[wire.Chat](r)
		return room.Chat{Session: r.Session, Text: b.Text, To: b.To}, refused
	case wire.TypeKick:
		b, refused := body[wire.Kick](r)
		return room.Kick{Session: r.Session, Identity: b.Identity, Reason: b.Reason}, refused
	}
	return nil, badRequest("a room has no request of type " + strconv.Quote(r.Type))
}

func join(r Request) (room.Command, *wire.Error) {
	if r.Join == nil {
		return nil, badRequest("the join has no admission")
	}
	switch r.Carrier {
	case CarrierWS, CarrierWHIP, CarrierWHEP:
	default:
		return nil, badRequest("the join names no carrier that a room knows")
	}
	return room.Join{
		Session: r.Session, Carrier: r.Carrier, Identity: r.Join.Identity, Name: r.Join.Name, Metadata: r.Join.Metadata,
		Grants: r.Join.Grants, Sources: r.Join.Sources, ManualSubscribe: r.Join.ManualSubscribe, LastN: r.Join.LastN,
		Follow: r.Join.Follow,
	}, nil
}

func (s *Service) offer(r Request) (room.Command, *wire.Error) {
	b, refused := body[wire.Offer](r)
	if refused != nil {
		return nil, refused
	}
	if len(b.SDP) > wire.MaxSDPBytes {
		return nil, wire.NewError(wire.CodeTooLarge, "the session description is too large",
			"leave codecs out that are not needed; use at most 393216 bytes")
	}
	description, err := sdp.ParseOffer(b.SDP)
	if err != nil {
		return nil, room.Refusal(err)
	}
	return room.Offer{
		Session: r.Session, Tracks: b.Tracks, Slots: b.Slots, SDP: description,
		Candidates: s.config.Candidates(), Fingerprint: s.config.Fingerprint,
	}, nil
}

// body decodes the body of a request; an absent one is empty.
func body[T any](r Request) (T, *wire.Error) {
	var b T
	if len(r.Body) == 0 {
		return b, nil
	}
	if err := json.Unmarshal(r.Body, &b); err != nil {
		return b, badRequest("the body of " + r.Type + " cannot be understood: " + err.Error())
	}
	return b, nil
}

func badRequest(what string) *wire.Error {
	return wire.NewError(wire.CodeBadRequest, what, "see the protocol's table of requests")
}

func overloaded() *wire.Error {
	return &wire.Error{Code: wire.CodeOverloaded, Message: "the server does not keep up", Next: "try again", RetrySeconds: 1}
}
