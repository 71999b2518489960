package scopes

import (
	"context"
	"errors"
	"time"
)

// tidying leaves no more stored of a scope than it needs: copies of what lives, then a commit that says that nothing before them is needed, then a purge up to there. Each is stored before the
// next begins, and what is there in between is what the scope is, so it may end anywhere.
type tidying struct {
	copies bool   // there is so much more that it is worth it to copy what lives
	upTo   uint64 // what lives has to be behind this commit
	said   bool   // all is copied, and the commit is stored that says so
	ends   []chan<- error
}

// errLoaded: it ended before it was done, as it has to begin anew.
var errLoaded = errors.New("the scope was loaded again")

// Tidy lets what is due expire, and leaves no more stored than the scope needs. What others ask for goes on meanwhile. It returns an error where that has ended before it was done: nothing is lost.
func (o *Owner) Tidy(ctx context.Context) error {
	end := make(chan error, 1)
	select {
	case o.tidy <- end:
	case <-o.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-end:
		return err
	case <-o.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Tidied tells whether the last commit, if there is one, is of a Tidy.
func (o *Owner) Tidied() bool { return o.tidied.Load() }

// beginTidy begins to tidy, or goes on with it.
func (c *commits) beginTidy(end chan<- error) {
	if c.tidying == nil {
		c.tidying = &tidying{}
	}
	c.tidying.ends = append(c.tidying.ends, end)
}

// tidied ends that, if it has begun.
func (c *commits) tidied(err error) {
	if c.tidying == nil {
		return
	}
	for _, end := range c.tidying.ends {
		end <- err // there is a place
	}
	c.tidying = nil
}

// tidy takes the next step, where nothing else is to be stored, and tells whether that is a commit, and what it says of the expiry. A scope that has come to what it may take, or for which the
// shelf is full, begins by itself, where it takes twice what it needs.
func (c *commits) tidy(o *Owner) (expiry *int64, begin bool) {
	all, live := c.ledger.Sizes()
	worth := all > 2*live+tidySlack
	if c.tidying == nil && worth && o.config.Shelf.crowded(o.config.State.Scope, all) && !c.ends && !time.Now().Before(c.untidy) {
		c.tidying = &tidying{}
	}
	t := c.tidying
	switch {
	case t == nil:
		return nil, false
	case t.said:
		if !c.purging {
			c.tidied(nil)
		}
		return nil, false
	case o.refuses():
		c.tidied(ErrShut)
		return nil, false
	case t.upTo == 0:
		t.copies, t.upTo = worth, max(1, c.last)
	}
	next := o.scope.Expires()
	if !next.IsZero() && !next.After(time.Now()) { // there was more than one Apply does
		return nil, false
	}
	if t.copies {
		if c.ledger.Renew(t.upTo, maxCommitBytes/2, c.whole(o.scope)); len(c.open) > 0 {
			return nil, true
		}
	}
	first := expiryOf(next)
	if c.last == 0 || !t.copies && c.expiry != nil && *c.expiry == first {
		c.tidied(nil)
		return nil, false
	}
	t.said = true
	c.ledger.Slack(0, 1)
	c.floor = max(c.floor, c.ledger.Purge())
	if live == 0 { // nothing is needed but the last incarnation, which this commit has
		c.floor = c.last + 1
	}
	return &first, true
}

// expiryOf is a time as commits say it.
func expiryOf(first time.Time) int64 {
	if first.IsZero() {
		return 0
	}
	return first.Unix() + 1
}
