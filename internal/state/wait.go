package state

import "slices"

// subject is what effects are about that keep their order: a record, an event or an RPC, by its name; the presence of all; or what a session listens to.
type subject struct {
	kind Kind
	name string
}

// listening is the kind of what a session listens to, which has that session's name.
const listening Kind = "listen"

var ofPresence = subject{kind: Presence}

func ofRecord(name string) subject { return subject{Records, name} }

func ofEvent(name string) subject { return subject{Events, name} }

func ofRPC(name string) subject { return subject{RPCs, name} }

func ofListener(session string) subject { return subject{listening, session} }

// waits tells whether an effect about these has to wait for what was appended: as rules have looked at what is not stored, as one about the same waits, or as it shows a
// durable record. It does so for all that was appended, hence what follows it has to wait for no less, or it would overtake it.
func (s *Scope) waits(about ...subject) bool {
	waits, durable := s.looked, false
	for _, x := range about {
		r := s.records[x.name]
		waits, durable = waits || s.lags(x), durable || x.kind == Records && r != nil && r.durable
	}
	if !waits {
		return durable
	}
	for _, x := range about {
		s.unsettle(x)
	}
	return true
}

// lags tells whether something about it waits.
func (s *Scope) lags(about subject) bool { return s.unsettled[about] > 0 }

// lagging tells whether a reply waits that says only that something about these has ended. Nothing follows it.
func (s *Scope) lagging(kind Kind, names ...string) bool {
	return s.looked || slices.ContainsFunc(names, func(name string) bool { return s.lags(subject{kind, name}) })
}

// calling is lagging where it is not known any more which RPC a call was of.
func (s *Scope) calling() bool {
	for x := range s.unsettled {
		if x.kind == RPCs {
			return true
		}
	}
	return s.looked
}

// unstored tells whether what a record is may not be stored yet, or shows what is not. So it is with a successor of a durable record, and where there is none any more,
// until the deletion is stored.
func (s *Scope) unstored(name string) bool {
	r := s.records[name]
	return r != nil && r.durable && r.number > s.settled || s.lags(ofRecord(name))
}

// unsettling is a subject of which something shows what was appended up to that number.
type unsettling struct {
	subject
	number uint64
}

// unsettle has all about this subject wait for what was appended so far.
func (s *Scope) unsettle(about subject) {
	if s.unsettled[about] < s.appended {
		s.unsettled[about] = s.appended
		s.unsettling = append(s.unsettling, unsettling{about, s.appended})
	}
}

// settle forgets what is stored.
func (s *Scope) settle(upTo uint64) {
	s.settled = max(s.settled, upTo)
	n := 0
	for n < len(s.unsettling) && s.unsettling[n].number <= upTo {
		if u := s.unsettling[n]; s.unsettled[u.subject] == u.number {
			delete(s.unsettled, u.subject)
		}
		n++
	}
	s.unsettling = slices.Delete(s.unsettling, 0, n)
	n = 0
	for n < len(s.images) && s.images[n].number <= upTo {
		s.imageBytes -= s.images[n].held()
		n++
	}
	s.images = slices.Delete(s.images, 0, n)
}

// image is what everybody has seen of a record that is not durable, before changes that wait for what was appended up to that number.
type image struct {
	name   string
	number uint64
	record *record // nil: there was none
}

func (i image) held() int {
	if i.record == nil {
		return recordBytes + len(i.name)
	}
	return i.record.held()
}

// keepImage notes what a record is, or that it is not there yet, before it is changed, where that waits. There is one for each number: nobody sees what is in between.
func (s *Scope) keepImage(r *record, there bool) {
	if r.durable || !s.looked && !s.lags(ofRecord(r.name)) || r.imaged == s.appended {
		return
	}
	r.imaged = s.appended
	i := image{name: r.name, number: s.appended}
	if there {
		was := *r
		was.past, was.timer = slices.Clone(r.past), nil
		i.record = &was
	}
	s.images = append(s.images, i)
	s.imageBytes += i.held()
}

// shown returns the records that are not durable, as everybody has seen them, by their names.
func (s *Scope) shown() map[string]*record {
	all := map[string]*record{}
	for name, r := range s.records {
		if !r.durable {
			all[name] = r
		}
	}
	for _, i := range slices.Backward(s.images) { // the oldest one of a record holds
		if i.record == nil {
			delete(all, i.name)
		} else {
			all[i.name] = i.record
		}
	}
	return all
}
