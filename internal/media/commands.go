package media

import (
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/sdp"
)

// readMail carries out commands, sends DTLS records and hears DTLS associations, in the order in which they came.
func (s *Shard) readMail(now time.Time) {
	s.letters = s.mail.take(s.letters)
	for i := range s.letters {
		s.letter(now, &s.letters[i])
		s.letters[i] = letter{}
		if s.out.Egress.Len() > flushBytes {
			s.flush()
		}
	}
	for _, r := range s.rooms {
		s.settle(now, r)
		s.rank(now, r)
	}
	s.flush()
}

func (s *Shard) letter(now time.Time, l *letter) {
	e := s.transports[l.about()]
	defer s.recover(e)
	switch {
	case l.command != nil:
		s.command(now, l.command)
	case l.ask != nil:
		l.ask(s)
	case l.wishes != nil:
		s.wished(now, l.wishes)
	case l.gone != nil:
		s.forgetMirrors(l.gone)
	case l.stray != nil:
		s.stray(now, l.stray)
	case e != nil && l.event != nil:
		s.associated(now, e, l.event)
	case e != nil:
		s.send(now, e, l.record)
	default:
		s.late(l)
	}
	if e != nil && s.transports[e.spec.Transport] == e {
		s.soon(e)
	}
}

// late takes what an association still says after its Transport is over.
func (s *Shard) late(l *letter) {
	f := s.ending[l.transport]
	if f == nil || l.record == nil || !f.pair.Remote.IsValid() {
		s.drops.Add(drop.DtlsClosed)
		return
	}
	if !s.out.Egress.Append(f.pair, l.record) {
		s.drops.Add(drop.EgressFull)
	}
}

func (s *Shard) command(now time.Time, c Command) {
	switch c := c.(type) {
	case OpenTransport:
		s.open(now, c)
	case RestartICE:
		s.restart(now, c)
	case Negotiate:
		if e := s.transports[c.Transport]; e != nil {
			e.transport.Negotiate(now, c.Sections)
			e.data = slices.ContainsFunc(c.Sections, func(n sdp.Negotiated) bool { return n.Role == sdp.RoleData })
			e.receiveData()
		}
	case Publish:
		s.publish(c)
	case Rank:
		if r := s.producers[c.Producer]; r != nil {
			r.router.Rank(uint64(c.Producer), c.Ranked)
		}
	case Mirror:
		s.mirror(now, c)
	case Span:
		s.span(c)
	case Unpublish:
		s.unpublish(c.Producer)
	case Assign:
		s.assign(now, c)
	case Prefer:
		if e := s.transports[c.Transport]; e != nil {
			e.transport.Prefer(now, c.Mid, c.Want)
		}
	case SlotReady:
		if e := s.transports[c.Transport]; e != nil {
			e.transport.SlotReady(now, c.Mid, c.Generation)
		}
	case AllowData:
		if e := s.transports[c.Transport]; e != nil {
			e.allowData(c.PublishData)
		}
	case CloseTransport:
		if e := s.transports[c.Transport]; e != nil {
			s.drop(e)
		}
	}
}

func (s *Shard) restart(now time.Time, c RestartICE) {
	e := s.transports[c.Transport]
	if e == nil {
		return
	}
	if err := e.transport.Restart(now, c.Local, c.Remote); err != nil {
		s.fail(e, err.Error())
		return
	}
	s.ufrags[c.Local.Ufrag] = e
	e.ufrags = append(e.ufrags, c.Local.Ufrag)
	if n := len(e.ufrags); n > maxUfrags { // the first is the one in use
		delete(s.ufrags, e.ufrags[1])
		e.ufrags = slices.Delete(e.ufrags, 1, 2)
	}
}

// closeAll ends every Transport, says farewell to the clients, and waits for the associations.
func (s *Shard) closeAll() {
	s.closing = true
	for _, e := range s.transports {
		s.fail(e, "the server is closing")
	}
	tick := time.NewTicker(closeCheck)
	defer tick.Stop()
	for s.bury(time.Now()); len(s.ending) > 0; s.bury(time.Now()) {
		select {
		case <-s.mail.wake:
		case <-tick.C:
		}
		s.readMail(time.Now())
	}
	s.mail.close()
	s.readMail(time.Now())
}
