package media

import (
	"time"

	"github.com/parley-rtc/parley/internal/drop"
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
		s.askKeyFrames(now, r)
	}
	s.flush()
}

func (s *Shard) letter(now time.Time, l *letter) {
	switch {
	case l.command != nil:
		s.command(now, l.command)
		return
	case l.ask != nil:
		l.ask(s)
		return
	}
	e := s.transports[l.transport]
	switch {
	case e == nil:
		s.drops.Add(drop.DtlsClosed)
	case l.event != nil:
		s.associated(now, e, l.event)
	default:
		s.send(e, l.record)
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
			e.transport.Negotiate(c.Sections)
		}
	case Publish:
		s.publish(c)
	case Unpublish:
		s.unpublish(c.Producer)
	case Assign:
		s.assign(now, c)
	case SlotReady:
		if e := s.transports[c.Transport]; e != nil {
			if slot := e.transport.Slot(c.Mid); slot != nil {
				slot.Ready(c.Generation)
			}
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
	s.forgetUfrags(e, maxUfrags)
}

// closeAll ends every Transport and waits for their associations.
func (s *Shard) closeAll() {
	for _, l := range s.mail.close() {
		if c, ok := l.command.(OpenTransport); ok {
			c.Events.Post(Event{Transport: c.Transport, State: Failed, Reason: closing})
		}
		if l.ask != nil {
			l.ask(s)
		}
	}
	for _, e := range s.transports {
		s.fail(e, closing)
	}
	for _, a := range s.ending {
		<-a.Done()
	}
}

const closing = "the server is closing"
