package rooms

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/room"
	"github.com/parley-rtc/parley/wire"
)

// carryOut does what a command has brought about: what the media plane must know before what the sessions are told, so that
// whoever acts on an answer is expected. c is the request that it came by, if it came by one.
func (a *actor) carryOut(c *call, effects []room.Effect) {
	for _, e := range effects {
		switch e.(type) {
		case room.Reply, room.Tell:
		default:
			a.command(e)
		}
	}
	for _, e := range effects {
		switch e := e.(type) {
		case room.Reply:
			a.reply(c, e)
		case room.Tell:
			a.tell(e)
		}
	}
}

func (a *actor) reply(c *call, e room.Reply) {
	r := Reply{Type: e.Type, Error: e.Error, Rev: a.room.Revision(), After: a.sequences[c.session]}
	switch body := e.Body.(type) {
	case nil:
	case room.Restarted:
		r.Type, r.Body = TypeRestarted, encode(Restarted(body))
	default:
		r.Body = encode(body)
	}
	switch {
	case r.Error != nil:
		a.service.count(r.Error)
	case r.Type == wire.TypeJoined:
		a.service.joins.Add(1)
		a.enter(c.session, e.Body.(wire.Joined).Identity)
	}
	c.reply <- encode(r)
}

// logged are the events of which a room's log has entries.
var logged = []string{
	wire.TypeParticipantJoined, wire.TypeParticipantLeft, wire.TypeTrackPublished, wire.TypeTrackUnpublished, wire.TypeChatReceived,
}

// tell publishes an event, encoded once, to every session that it is for.
func (a *actor) tell(e room.Tell) {
	body := encode(e.Body)
	if j := a.service.config.Journal; j != nil && e.Rev != 0 && slices.Contains(logged, e.Type) {
		j.Note(a.name, e.Type, body)
	}
	tail := eventTail(e.Rev, e.Type, body, e.End)
	for _, session := range e.Sessions {
		a.publish(session, tail)
		if e.End {
			a.leave(session, e.Body.(wire.Ended).Code)
		}
	}
}

// enter notes a session that has joined.
func (a *actor) enter(session, identity string) {
	a.sequences[session], a.identities[session] = 0, identity
	if p := a.service.config.Presence; p != nil {
		p.Entered(a.name, identity)
	}
}

// leave forgets a session, if it is there.
func (a *actor) leave(session string, why wire.Code) {
	identity, there := a.identities[session]
	delete(a.sequences, session)
	delete(a.identities, session)
	if p := a.service.config.Presence; p != nil && there {
		p.Left(a.name, identity, why)
	}
}

// publish sends one session its next event. Nobody may listen, or too slowly: that is the session's business.
func (a *actor) publish(session string, tail []byte) {
	a.sequences[session]++
	b := make([]byte, 0, len(`{"seq":`)+20+len(tail))
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, a.sequences[session], 10)
	b = append(b, tail...)
	if err := a.service.config.Bus.Publish(SessionSubject(session), b); err != nil {
		a.service.config.Log.Warn("cannot publish an event", "err", err)
	}
}

// eventTail encodes an Event from behind its Seq, which is all that differs between sessions.
func eventTail(rev uint64, kind string, body []byte, end bool) []byte {
	rest := encode(struct {
		Rev  uint64          `json:"rev,omitempty"`
		Type string          `json:"type"`
		Body json.RawMessage `json:"body"`
		End  bool            `json:"end,omitempty"`
	}{rev, kind, body, end})
	rest[0] = ','
	return rest
}

// command gives the shards what brings an effect about.
func (a *actor) command(e room.Effect) {
	a.give(a.spread.orders(e, a.translate(e)))
}

// give gives shards commands, behind those that they are owed. There is one order for all of them: a shard hears of another's
// Producer when that one has heard of it.
func (a *actor) give(orders []order) {
	for _, o := range orders {
		if len(a.owed) > 0 || !a.take(o) {
			a.owed = append(a.owed, o)
		}
	}
}

// take reports whether the shard has taken its command.
func (a *actor) take(o order) bool { return a.service.config.Shards[o.shard].Do(o.command) }

// pay tries again what shards could not take.
func (a *actor) pay() {
	for len(a.owed) > 0 && a.take(a.owed[0]) {
		a.owed[0] = order{}
		a.owed = a.owed[1:]
	}
	if len(a.owed) == 0 {
		a.owed = nil
	}
}

// handleStates applies what shards have posted.
func (a *actor) handleStates() {
	a.mu.Lock()
	states := a.states
	a.states = nil
	a.mu.Unlock()
	for _, e := range states {
		if e.State == media.Failed {
			a.give(a.spread.failed(e.Transport))
		}
		a.carryOut(nil, a.room.Apply(time.Now(), reported(e)))
	}
}

// reported is what an event of the shard means to the room.
func reported(e media.Event) room.Command {
	if e.Starved != nil {
		c := room.Starved{Transport: uint64(e.Transport)}
		for _, id := range *e.Starved {
			c.Producers = append(c.Producers, uint64(id))
		}
		return c
	}
	if e.Speakers == nil {
		return room.TransportState{Transport: uint64(e.Transport), State: e.State.String()}
	}
	c := room.Speakers{Dominant: uint64(e.Speakers.Dominant)}
	for _, id := range e.Speakers.Speaking {
		c.Speaking = append(c.Speaking, uint64(id))
	}
	return c
}

// translate turns an effect into a command of the media plane.
func (a *actor) translate(e room.Effect) media.Command {
	switch e := e.(type) {
	case room.OpenTransport:
		place := a.place
		a.place = media.Place{}
		return media.OpenTransport{
			Transport: media.TransportID(e.Transport), Room: a.id, Identity: e.Identity, PublishData: e.PublishData, Place: place,
			Local: e.Local, Remote: e.Remote, Fingerprints: e.Fingerprints, Events: a,
		}
	case room.RestartICE:
		return media.RestartICE{Transport: media.TransportID(e.Transport), Local: e.Local, Remote: e.Remote}
	case room.Negotiate:
		return media.Negotiate{Transport: media.TransportID(e.Transport), Sections: e.Sections}
	case room.StartProducer:
		return media.Publish{
			Transport: media.TransportID(e.Transport), Mid: e.Mid, Producer: media.ProducerID(e.Producer), Encrypted: e.Encrypted,
			Microphone: e.Microphone, Encodings: encodings(e.Encodings),
		}
	case room.Rank:
		return media.Rank{Producer: media.ProducerID(e.Producer), Ranked: e.Ranked}
	case room.StopProducer:
		return media.Unpublish{Producer: media.ProducerID(e.Producer)}
	case room.Assign:
		return media.Assign{
			Transport: media.TransportID(e.Transport), Mid: e.Mid, Generation: e.Generation,
			Producer: media.ProducerID(e.Producer), Immediate: e.Immediate,
		}
	case room.Prefer:
		return media.Prefer{Transport: media.TransportID(e.Transport), Mid: e.Mid, Want: e.Want}
	case room.OpenSlot:
		return media.SlotReady{Transport: media.TransportID(e.Transport), Mid: e.Mid, Generation: e.Generation}
	case room.AllowData:
		return media.AllowData{Transport: media.TransportID(e.Transport), PublishData: e.PublishData}
	case room.CloseTransport:
		return media.CloseTransport{Transport: media.TransportID(e.Transport)}
	}
	panic("rooms: an effect that nobody carries out")
}

// encodings are what the media plane has to know of them.
func encodings(offered []wire.OfferEncoding) []media.Encoding {
	var all []media.Encoding
	for _, e := range offered {
		all = append(all, media.Encoding{RID: e.RID, Width: e.Width, Height: e.Height})
	}
	return all
}

// encode writes JSON as short as it goes: what it writes is never part of HTML.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("rooms: " + err.Error()) // all that is encoded is ours
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
