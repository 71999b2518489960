package scopes

import (
	"math"
	"sync/atomic"
)

// Budget is what the records of several scopes may take together, in bytes of memory. It is safe for concurrent use; scopes that grow at
// the same moment may exceed it by one write each.
type Budget struct {
	// static after construction
	max int

	// atomic
	used atomic.Int64
}

// NewBudget returns a budget of which nothing is used.
func NewBudget(bytes int) *Budget { return &Budget{max: bytes} }

// left is how much nobody has used.
func (b *Budget) left() int {
	if b == nil {
		return math.MaxInt
	}
	return max(0, b.max-int(b.used.Load()))
}

func (b *Budget) spend(bytes int) {
	if b != nil && bytes != 0 {
		b.used.Add(int64(bytes))
	}
}
