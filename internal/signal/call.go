package signal

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// CallOffer asks for a Call.
type CallOffer struct {
	Carrier  rooms.Carrier // WHIP or WHEP
	Token    string
	Room     string
	Identity string // WHIP, in open mode; empty: one is made
	Follow   string // WHEP: who is watched; empty: the first who publishes
	SDP      string
	Source   netip.Addr // the client's
}

// Call is a participation without a message channel: one offer and one answer, then nothing but ICE restarts until it ends.
type Call struct {
	// static after construction
	service *Service
	carrier rooms.Carrier
	id      string
	as      string            // identity in the room
	token   [sha256.Size]byte // of the token that opened it
	stop    chan struct{}     // capacity 1; Hangup
	revoked chan struct{}     // capacity 1; the key of the token is gone
	done    chan struct{}     // closed when it is over
	seat    seat

	// guarded by mu
	mu  sync.Mutex
	tag string // changes with every ICE restart
}

// OpenCall joins the room, offers, and returns the call with the answer. Errors are *wire.Error.
func (s *Service) OpenCall(o CallOffer) (c *Call, answer string, err *wire.Error) {
	defer func() {
		if fault := recover(); fault != nil {
			s.report(fault)
			c, answer, err = nil, "", internalFault()
		}
	}()
	c, answer, err = s.openCall(o)
	if err != nil {
		s.counts.refused.Add(1)
		return nil, "", err
	}
	s.counts.joins.Add(1)
	return c, answer, nil
}

func (s *Service) openCall(o CallOffer) (*Call, string, *wire.Error) {
	var claims permit
	err := checkName("the participant", o.Follow)
	if err == nil {
		claims, err = s.admit(time.Now(), wish{token: o.Token, room: o.Room, identity: o.Identity})
	}
	if err == nil {
		err = permitCall(o.Carrier, claims.Claims)
	}
	if err != nil {
		return nil, "", err
	}
	p, reply, err := s.sit(o.Carrier, o.Source, claims, callAdmission(o, claims.Claims))
	if err != nil {
		return nil, "", err
	}
	leave := wire.CodeInternal // unless all goes well
	defer func() {
		if leave != "" {
			s.rise(&p, leave)
		}
	}()
	var joined wire.Joined
	_ = json.Unmarshal(reply.Body, &joined) // the identity is only for ICE servers' user names
	answer, err := s.offer(&p, o.Source, o.SDP)
	c := &Call{
		service: s, carrier: o.Carrier, id: secret(16), as: joined.Identity, token: sha256.Sum256([]byte(o.Token)), tag: secret(8),
		stop: make(chan struct{}, 1), revoked: make(chan struct{}, 1), done: make(chan struct{}), seat: p,
	}
	if err == nil {
		err = s.enter(func() *wire.Error {
			if err := s.full(); err != nil {
				return err
			}
			s.calls[sha256.Sum256([]byte(c.id))] = c
			return nil
		})
	}
	if err != nil {
		leave = wire.CodeLeft
		return nil, "", err
	}
	leave = ""
	go c.run()
	if s.TokenMode() {
		c.recheck(s.config.Keys()) // they may have changed while Recheck could not see this call yet
	}
	return c, answer, nil
}

// permitCall checks the grant that the carrier is for.
func permitCall(carrier rooms.Carrier, c auth.Claims) *wire.Error {
	switch {
	case carrier == rooms.CarrierWHIP && !c.Grants.Publish:
		return wire.NewError(wire.CodeForbidden, "the token does not allow to publish", "get a token with canPublish")
	case carrier == rooms.CarrierWHEP && !c.Grants.Subscribe:
		return wire.NewError(wire.CodeForbidden, "the token does not allow to subscribe", "get a token with canSubscribe")
	}
	return nil
}

// callAdmission gives a call no more than it needs. A viewer's identity is made by the room: the token's may be in the room
// already, and one token may have several viewers.
func callAdmission(o CallOffer, c auth.Claims) rooms.Admission {
	if o.Carrier == rooms.CarrierWHEP {
		return rooms.Admission{Name: c.Name, Grants: wire.Grants{Subscribe: true, Hidden: true}, Follow: o.Follow}
	}
	return rooms.Admission{
		Identity: c.Identity, Name: c.Name, Metadata: c.Metadata,
		Grants: wire.Grants{Publish: true, Hidden: c.Grants.Hidden}, Sources: c.Sources, ManualSubscribe: true,
	}
}

func (s *Service) offer(p *seat, source netip.Addr, description string) (string, *wire.Error) {
	reply, err := s.ask(p.room, rooms.Request{Session: p.id, Source: source, Type: wire.TypeOffer, Body: encode(wire.Offer{SDP: description})})
	if err != nil {
		return "", err
	}
	var answer wire.Answer
	if err := json.Unmarshal(reply.Body, &answer); err != nil || reply.Type != wire.TypeAnswer {
		return "", s.fault("read the room's reply to offer", fmt.Errorf("%s: %w", reply.Type, err))
	}
	return answer.SDP, nil
}

// FindCall returns the call with this id, or false once it is over. The id is as good as a key.
func (s *Service) FindCall(carrier rooms.Carrier, id string) (*Call, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.calls[sha256.Sum256([]byte(id))]
	if !ok || c.carrier != carrier {
		return nil, false
	}
	return c, true
}

// ID is as hard to guess as a key of 128 bits.
func (c *Call) ID() string { return c.id }

// Room is where the call is.
func (c *Call) Room() string { return c.seat.room }

// Identity is the participant's in the room.
func (c *Call) Identity() string { return c.as }

// Until is when the token of the call ends; zero: it needs none.
func (c *Call) Until() time.Time { return c.seat.permit.Expires }

// Tag is the entity tag of the current ICE session, without quotes.
func (c *Call) Tag() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tag
}

// Done is closed once the call is over.
func (c *Call) Done() <-chan struct{} { return c.done }

// Authorize checks a later request's token: it must be the one that opened the call, even if that has expired since, or a valid
// one that could have.
func (c *Call) Authorize(token string) *wire.Error {
	if !c.service.TokenMode() {
		return nil
	}
	if got := sha256.Sum256([]byte(token)); subtle.ConstantTimeCompare(got[:], c.token[:]) == 1 {
		return nil
	}
	claims, err := c.service.admit(time.Now(), wish{token: token})
	if err != nil {
		return err
	}
	if claims.Room != c.seat.room || claims.Identity != c.seat.permit.Identity {
		return wire.NewError(wire.CodeForbidden, "the token is for another room or identity", "use the token that the session was opened with")
	}
	return nil
}

// Restart gives the client's new ICE credentials to the room and returns the server's with their entity tag. Where the client's
// are those of before, as in a request that was sent again, nothing restarts, and both are the ones of before too.
func (c *Call) Restart(remote sdp.ICE) (local sdp.ICE, tag string, err *wire.Error) {
	reply, err := c.service.ask(c.seat.room, rooms.Request{
		Session: c.seat.id, Type: rooms.TypeRestart, Body: encode(rooms.Restart{ICE: remote}),
	})
	if err != nil {
		return sdp.ICE{}, "", err
	}
	var r rooms.Restarted
	if err := json.Unmarshal(reply.Body, &r); err != nil || reply.Type != rooms.TypeRestarted {
		return sdp.ICE{}, "", c.service.fault("read the room's reply to restart", fmt.Errorf("%s: %w", reply.Type, err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Fresh {
		c.tag = secret(8)
	}
	return r.ICE, c.tag, nil
}

// Hangup ends the call and waits until the room knows.
func (c *Call) Hangup() {
	nudge(c.stop)
	<-c.done
}

// recheck ends a call whose token was signed with none of these keys.
func (c *Call) recheck(keys auth.Keys) {
	if !c.seat.permit.holds(keys) {
		nudge(c.revoked)
	}
}

// run waits for the end.
func (c *Call) run() {
	defer c.service.running.Done()
	defer close(c.done)
	defer c.survive()
	why := c.wait()
	c.forget()
	if why == "" {
		c.seat.events.Close()
	} else {
		c.service.rise(&c.seat, why)
	}
}

// forget takes the call out of the table.
func (c *Call) forget() {
	c.service.mu.Lock()
	defer c.service.mu.Unlock()
	delete(c.service.calls, sha256.Sum256([]byte(c.id)))
}

// wait returns what to tell the room, or nothing where it was the room that ended the call.
func (c *Call) wait() wire.Code {
	lost := c.seat.events.Lost()
	for {
		select {
		case _, open := <-c.seat.events.Ready():
			b, ok := c.seat.events.Next()
			switch {
			case !ok && !open:
				return wire.CodeDraining
			case !ok:
				continue
			}
			if e, err := decodeEvent(b); err != nil || e.End {
				return ""
			}
			if now := c.seat.events.Lost(); now != lost { // the end may have been among them
				lost = now
				if _, err := c.service.ask(c.seat.room, rooms.Request{Session: c.seat.id, Type: rooms.TypeSnapshot}); err != nil {
					return wire.CodeInternal
				}
			}
		case <-c.stop:
			return wire.CodeLeft
		case <-c.revoked:
			return wire.CodeUnauthorized
		case <-c.service.closing:
			return wire.CodeDraining
		}
	}
}
