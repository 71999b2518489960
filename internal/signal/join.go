package signal

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/wire"
)

// seat is a place in a room: a session's identifier, and the subscription to what it is told.
type seat struct {
	id     string
	room   string
	permit permit
	events bus.Subscription
	after  uint64 // Seq of the last event that is dealt with
}

// sit takes a place in the room of c. The reply is the room's.
func (s *Service) sit(carrier rooms.Carrier, source netip.Addr, c permit, admission rooms.Admission) (seat, rooms.Reply, *wire.Error) {
	p := seat{id: secret(16), room: c.Room, permit: c}
	// First listen, then join: events may come before the reply does.
	queue := callEventQueue
	if carrier == rooms.CarrierWS {
		queue = eventQueue
	}
	events, err := s.config.Bus.Subscribe(rooms.SessionSubject(p.id), queue)
	if err != nil {
		return seat{}, rooms.Reply{}, s.fault("subscribe to a session's events", err)
	}
	p.events = events
	reply, refused := s.ask(p.room, rooms.Request{Session: p.id, Carrier: carrier, Source: source, Type: wire.TypeJoin, Join: &admission})
	if refused != nil {
		events.Close()
		return seat{}, rooms.Reply{}, refused
	}
	p.after = reply.After
	return p, reply, nil
}

// rise gives the place up.
func (s *Service) rise(p *seat, why wire.Code) {
	_, _ = s.ask(p.room, rooms.Request{Session: p.id, Type: rooms.TypeGone, Body: encode(rooms.Gone{Reason: why})})
	p.events.Close()
}

// ask sends a request to a room. What it needs does not end with a socket: a request that was begun is finished, so that its
// reply can be repeated.
func (s *Service) ask(room string, r rooms.Request) (rooms.Reply, *wire.Error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	reply, err := rooms.Do(ctx, s.config.Bus, room, r)
	if err != nil {
		return rooms.Reply{}, s.fault("ask a room to "+r.Type, err)
	}
	return reply, reply.Error
}

// fault logs what went wrong inside, and tells the client only that something did.
func (s *Service) fault(what string, err error) *wire.Error {
	s.config.Log.Error(what, "error", err)
	return overloaded("the room could not be reached")
}

// join answers the request that begins a session.
func (a *Attachment) join(r wire.Request) *wire.Error {
	var j wire.Join
	if err := decodeBody(r, &j); err != nil {
		return err
	}
	refused := checkProtocol(j.Protocol)
	var c permit
	if refused == nil {
		c, refused = a.service.admit(time.Now(), wish{token: j.Token, room: j.Room, identity: j.Identity, name: j.Name, metadata: j.Metadata})
	}
	if refused == nil {
		refused = a.begin(r.ID, c, j)
	}
	if refused != nil {
		a.service.counts.refused.Add(1)
		return refused
	}
	a.service.counts.joins.Add(1)
	return nil
}

func checkProtocol(version int) *wire.Error {
	if version != wire.Protocol {
		return wire.NewError(wire.CodeProtocol, fmt.Sprintf("the client speaks protocol %d, this server %d", version, wire.Protocol), "load the client that belongs to this server")
	}
	return nil
}

// begin joins the room and starts the session.
func (a *Attachment) begin(request uint64, c permit, j wire.Join) *wire.Error {
	v := a.service
	p, reply, refused := v.sit(rooms.CarrierWS, a.source, c, rooms.Admission{
		Identity: c.Identity, Name: c.Name, Metadata: c.Metadata, Grants: c.Grants, Sources: c.Sources,
		ManualSubscribe: j.ManualSubscribe, LastN: j.LastN,
	})
	if refused != nil {
		return refused
	}
	leave := wire.CodeInternal // unless all goes well
	defer func() {
		if leave != "" {
			v.rise(&p, leave)
		}
	}()
	var joined wire.Joined
	if err := json.Unmarshal(reply.Body, &joined); err != nil || reply.Type != wire.TypeJoined {
		return v.fault("read the room's reply to join", fmt.Errorf("%s: %w", reply.Type, err))
	}
	token := secret(32)
	joined.Session, joined.ResumeToken, joined.ResumeSeconds = p.id, token, wire.ResumeSeconds
	joined.PingSeconds, joined.ICEServers = int(pingTime/time.Second), v.ICEServers(a.source, p.room, joined.Identity, c.Expires)
	s := newSession(v, p, token)
	s.share = v.newShare(&p, a.source, joined.Identity, joined.Grants)
	s.revision = joined.Room.Revision
	s.emit(entry{reply: request, typ: wire.TypeJoined, body: encode(joined), whole: true})
	var ends time.Time
	refused = v.enter(func() *wire.Error {
		if err := v.full(); err != nil {
			return err
		}
		v.sessions[s.id] = s
		ends = v.ends
		return nil
	})
	if refused != nil {
		if s.share != nil {
			s.share.events.Close()
		}
		leave = wire.CodeLeft
		return refused
	}
	if !ends.IsZero() {
		s.emit(draining(time.Until(ends)))
	}
	leave = ""
	s.attach(a)
	a.joined()
	s.enterState()
	go s.run()
	if v.TokenMode() {
		s.recheck(v.config.Keys()) // they may have changed while Recheck could not see this session yet
	}
	return nil
}

// resume answers the request that continues a session. Why it is refused stays the same for every cause: a stranger must not learn
// which sessions there are.
func (a *Attachment) resume(r wire.Request) *wire.Error {
	var q wire.Resume
	if err := decodeBody(r, &q); err != nil {
		return err
	}
	if err := checkProtocol(q.Protocol); err != nil {
		return err
	}
	v := a.service
	v.mu.Lock()
	s := v.sessions[q.Session]
	v.mu.Unlock()
	got := sha256.Sum256([]byte(q.Token))
	if s == nil || subtle.ConstantTimeCompare(got[:], s.token[:]) != 1 || !s.resume(a, r.ID, q.Seq) {
		v.counts.resumesRefused.Add(1)
		return wire.NewError(wire.CodeSessionExpired, "there is no such session to resume", "join again")
	}
	v.counts.resumes.Add(1)
	a.joined()
	return nil
}
