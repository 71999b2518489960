package room

import (
	"cmp"
	"slices"

	"github.com/parley-rtc/parley/wire"
)

// Where a participant wants more cameras than he may see at once, or has fewer pairs than there are people, those whom he has given
// priority come first, then those who spoke last. Who is seen already gives way only to somebody who is ahead, so nothing moves
// before somebody else leads the conversation.

// standing is how near somebody is to being seen or heard.
type standing struct {
	priority uint8
	shows    bool   // a camera that is on, and is looked at
	turn     uint64 // when he last spoke; 0: never
}

func (a standing) compare(b standing) int {
	if c := cmp.Compare(a.priority, b.priority); c != 0 {
		return c
	}
	if a.shows != b.shows {
		if a.shows {
			return 1
		}
		return -1
	}
	return cmp.Compare(a.turn, b.turn)
}

// ofCamera is by who led the conversation last: pictures should not change with every remark.
func (s *subscription) ofCamera() standing {
	return standing{s.want.Priority, !s.publication.Muted && !s.want.Paused, s.publication.owner.led}
}

// ofPair is by who said anything last: without a pair he is not heard.
func (p *participant) ofPair(owner *participant) standing {
	best := standing{turn: owner.spoke}
	for _, pub := range owner.publications {
		if s := p.subscriptions[pub]; s != nil && s.wanted && paired(pub) {
			best.priority = max(best.priority, s.want.Priority)
		}
	}
	return best
}

// paired tells whether a publication goes to a pair that is its owner's.
func paired(pub *publication) bool {
	return pub.Source == wire.SourceMicrophone || pub.Source == wire.SourceCamera
}

// choose decides which cameras are left out, where the participant wants so many at once. What is left out gives its slot back.
func (p *participant) choose(all []*publication) {
	if p.lastN == 0 {
		return
	}
	var cameras []*subscription
	for _, pub := range all {
		if s := p.subscriptions[pub]; s != nil && s.wanted && pub.Source == wire.SourceCamera {
			cameras = append(cameras, s)
		}
	}
	slices.SortStableFunc(cameras, func(a, b *subscription) int {
		if c := b.ofCamera().compare(a.ofCamera()); c != 0 {
			return c
		}
		return cmp.Compare(seen(b), seen(a))
	})
	for i, s := range cameras {
		if s.left = i >= p.lastN; s.left && s.line != nil {
			p.withdraw(s)
		}
	}
}

func seen(s *subscription) int {
	if s.left || s.line == nil {
		return 0
	}
	return 1
}

// withdraw takes a subscription out of its slot and lets it wait.
func (p *participant) withdraw(s *subscription) {
	s.vacate()
	p.waiting = append(p.waiting, s)
}

// lineUp lets those wait in front who are nearest to a slot; equals keep their order.
func (p *participant) lineUp() {
	slices.SortStableFunc(p.waiting, func(a, b *subscription) int {
		return p.ofPair(b.publication.owner).compare(p.ofPair(a.publication.owner))
	})
}

// promote gives pairs of those who are behind to those who are ahead and wait, in one switch.
func (p *participant) promote() {
	for range p.slots {
		if !p.promoteOne() {
			return
		}
	}
}

func (p *participant) promoteOne() bool {
	for _, s := range p.waiting {
		owner := s.publication.owner
		if s.left || !paired(s.publication) || p.pairOf(owner) != nil {
			continue
		}
		if slot := p.weakest(s.publication, p.ofPair(owner)); slot != nil {
			for _, l := range slot.lines() {
				if l.filled != nil {
					p.withdraw(l.filled)
				}
			}
			p.lineUp()
			p.placeWaiting()
			return true
		}
	}
	return false
}

// pairOf finds the pair that a participant's microphone or camera fills.
func (p *participant) pairOf(owner *participant) *slot {
	for _, s := range p.slots {
		if s.owner() == owner {
			return s
		}
	}
	return nil
}

// owner is whose microphone or camera is in the pair; nil: nobody's.
func (s *slot) owner() *participant {
	for _, l := range s.lines() {
		if s.audio != nil && l.filled != nil && paired(l.filled.publication) {
			return l.filled.publication.owner
		}
	}
	return nil
}

// weakest finds the pair, fit for the publication, of whoever is furthest behind, if he is behind it.
func (p *participant) weakest(pub *publication, ahead standing) (found *slot) {
	for _, s := range p.slots {
		owner := s.owner()
		if owner == nil || !s.line(pub.Kind).fits(pub) {
			continue
		}
		if is := p.ofPair(owner); is.compare(ahead) < 0 {
			found, ahead = s, is
		}
	}
	return found
}
