package bwe

import (
	"math"
	"time"
)

// losses bounds a rate by losses (draft-ietf-rmcat-gcc-02 §6), but only by those that come from sending too much. Whether they do is
// tried: by a probe, of which a path that carries no more would lose most; and by the loss that stays although less is sent. What
// turns out to be the path's own loss is put up with, and only what exceeds it counts.
type losses struct {
	window lossWindow
	recent float64 // part that was lost lately
	own    float64 // the path's own part of losses,
	proven float64 // and what a trial has shown it to be: it may come back to that
	bound  Bitrate // noBound, or 0 before the first update: none
	trial  trial
}

// lossWindow is what is known of the packets sent in some time.
type lossWindow struct {
	first, last   time.Duration // when its packets were sent
	packets, lost int
	bytes, gone   int           // bytes of all, and of the lost ones
	queue         time.Duration // the longest that was seen
	fastest       Bitrate       // the most that arrived in half a second of it
	open          bool
}

// trial is a bound in question: of what left at rate, the part loss was lost.
type trial struct {
	open   bool
	rate   Bitrate
	loss   float64
	next   time.Duration // when the next probe begins
	pause  time.Duration // until the one after it
	probed bool          // a probe is under way
}

const (
	noBound = Bitrate(math.MaxInt64)

	// A window closes after lossTime when it has lossPackets, after lossTimeMax in any case.
	lossTime    = 500 * time.Millisecond
	lossTimeMax = 3 * time.Second
	lossPackets = 30

	// What is lost beyond the path's own: more than tooMuch lowers the bound, less than little lets it rise (§6).
	tooMuch   = 0.10
	little    = 0.02
	lossRaise = 1.05
	lossShare = 0.95 // of what arrives is sent
	// maxOwn is the most that is believed to be a path's own loss; it follows what is lost in so many windows, and is forgotten in so
	// many.
	maxOwn        = 0.4
	ownWindows    = 8
	provenWindows = 32
	// lessSent is what counts as sending less in a trial.
	lessSent = 0.93
	// A trial sends trialFactor times as much for trialTime, after trialSkip in which what a path had saved up is used. It is repeated
	// after a pause that doubles up to maxTrialPause.
	trialFactor   = 1.5
	trialTime     = 500 * time.Millisecond
	trialSkip     = 250 * time.Millisecond
	trialPause    = 2 * time.Second
	maxTrialPause = 8 * time.Second
)

// add notes a packet that was sent then, and has arrived or was lost.
func (l *losses) add(sent time.Duration, size int, gone bool) {
	w := &l.window
	if !w.open {
		*w = lossWindow{open: true, first: sent}
	}
	w.last = max(w.last, sent)
	w.packets++
	w.bytes += size
	if gone {
		w.lost++
		w.gone += size
	}
}

// recovered takes back a loss: the packet was only late.
func (l *losses) recovered(size int) {
	if w := &l.window; w.lost > 0 {
		w.lost--
		w.gone -= min(size, w.gone)
	}
}

// update closes the window when it is due. queue is how long packets wait, acked what arrives, and estimate what the rate is otherwise.
func (l *losses) update(now, queue time.Duration, acked, estimate Bitrate) {
	if l.bound == 0 {
		l.bound = noBound
	}
	l.window.queue, l.window.fastest = max(l.window.queue, queue), max(l.window.fastest, acked)
	w, span := l.window, l.window.last-l.window.first
	if l.trial.probed {
		l.window = lossWindow{} // the probe's losses are not those of the media
		return
	}
	if !w.open || span < lossTime || w.packets < lossPackets && span < lossTimeMax {
		return
	}
	l.window = lossWindow{}
	l.judge(now, &w, span, estimate)
}

// judge acts on a window.
func (l *losses) judge(now time.Duration, w *lossWindow, span time.Duration, estimate Bitrate) {
	loss, sent, arrived := float64(w.lost)/float64(w.packets), Over(w.bytes, span), Over(w.bytes-w.gone, span)
	if span > 2*lossTime { // hardly anything was sent for most of it, which says nothing of the path
		arrived = max(arrived, w.fastest)
	}
	l.conclude(loss, sent)
	l.recent = (l.recent + loss) / 2
	l.own = min(l.own+(loss-l.own)/ownWindows, l.proven)
	l.proven -= (l.proven - l.own) / provenWindows
	switch excess := (l.recent - l.own) / (1 - l.own); {
	case excess > tooMuch:
		l.bound = max(min(l.bound, arrived.times(lossShare)), MinBitrate)
		// Where packets wait, losses need no other explanation.
		if t := &l.trial; !t.open && w.queue < shortQueue {
			*t = trial{open: true, rate: sent, loss: l.recent, next: max(now, t.next), pause: max(t.pause, trialPause)}
		}
	case excess < little && l.bound != noBound:
		l.trial = trial{}
		if l.bound = l.bound.times(lossRaise); l.bound > estimate.times(2) {
			l.bound = noBound
		}
	}
}

// conclude ends a trial where less is sent than at its beginning: either losses have fallen as if the rest had been too much, or they
// stay.
func (l *losses) conclude(loss float64, sent Bitrate) {
	if !l.trial.open || sent > l.trial.rate.times(lessSent) {
		return
	}
	congested := max(1-(1-l.trial.loss)*float64(l.trial.rate)/float64(max(sent, 1)), 0)
	if loss > (congested+l.trial.loss)/2 {
		l.acquit(loss)
	}
	l.trial.open = false
}

// acquit says that losses do not come from sending too much.
func (l *losses) acquit(loss float64) {
	l.own = min(loss, maxOwn)
	l.proven = l.own
	l.bound, l.trial = noBound, trial{}
}

// giveUp ends a trial whose probe makes packets wait.
func (l *losses) giveUp() { l.trial.open, l.trial.probed = false, false }

// tryAt returns when a probe is to begin; 0: none is.
func (l *losses) tryAt() time.Duration {
	if !l.trial.open {
		return 0
	}
	return l.trial.next
}

// try returns the rate of the probe that begins now.
func (l *losses) try(now time.Duration) Bitrate {
	t := &l.trial
	t.probed, t.next, t.pause = true, now+t.pause, min(2*t.pause, maxTrialPause)
	return t.rate.times(trialFactor)
}

// probed ends a trial by the part of its probe that has arrived. A path that already carried all it can would have lost much of it.
func (l *losses) probed(part float64) {
	t := &l.trial
	if !t.open || !t.probed {
		return
	}
	t.open, t.probed = false, false
	congested := (1 - t.loss) / trialFactor
	if part > (congested+1-t.loss)/2 {
		l.acquit(1 - part)
	}
}

// limit is the highest rate that losses allow.
func (l *losses) limit() Bitrate {
	if l.bound == 0 {
		return noBound
	}
	return l.bound
}

// raise lifts the bound to a rate that was shown to arrive.
func (l *losses) raise(shown Bitrate) {
	if l.bound != 0 {
		l.bound = max(l.bound, shown)
	}
}

// report takes the losses of a receiver report, which make a window of their own.
func (l *losses) report(now time.Duration, packets, gone, bytes int, estimate Bitrate) {
	w := &l.window
	if !w.open {
		*w = lossWindow{open: true, first: now} // what it tells of was sent before that
		return
	}
	w.last = now
	w.packets, w.lost = w.packets+packets, w.lost+gone
	w.bytes += bytes
	w.gone += bytes * gone / max(packets, 1)
	if l.update(now, 0, 0, estimate); !w.open {
		*w = lossWindow{open: true, first: now}
	}
}
