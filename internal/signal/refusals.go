package signal

import (
	"log/slog"
	"sync"
	"time"
)

// refusals tells the operator why tokens were refused, in one line for each reason and refusalsTime. There are few reasons, and nobody
// outside can make new ones. The zero value is ready.
type refusals struct {
	// guarded by mu
	mu   sync.Mutex
	said map[string]*refused // by reason
}

// refused is what happened for one reason.
type refused struct {
	at     time.Time // of the last line
	unsaid int       // since then
}

func (r *refusals) note(now time.Time, log *slog.Logger, why string) {
	if before, isTold := r.count(now, why); isTold {
		log.Warn("refused: "+why, "alsoRefusedSinceTheLastLine", before)
	}
}

// count reports whether it is to be told, and how many of this reason were not since the last time.
func (r *refusals) count(now time.Time, why string) (before int, isTold bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.said == nil {
		r.said = map[string]*refused{}
	}
	last := r.said[why]
	if last != nil && now.Sub(last.at) < refusalsTime {
		last.unsaid++
		return 0, false
	}
	if last != nil {
		before = last.unsaid
	}
	r.said[why] = &refused{at: now}
	return before, true
}
