package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progressEvery is how often a long step says how far it is.
const progressEvery = 5 * time.Second

// progress tells what is being done. It is safe for concurrent use.
type progress struct {
	// static after construction
	out io.Writer

	// guarded by mu
	mu   sync.Mutex
	part string
	told time.Time
}

func (p *progress) begin(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.part = part
}

// step tells what begins.
func (p *progress) step(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = time.Now()
	fmt.Fprintf(p.out, "%s: %s\n", p.part, what)
}

// count tells how far it is, now and then.
func (p *progress) count(done, all int, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.told) >= progressEvery {
		p.told = now
		fmt.Fprintf(p.out, "%s: %d of %d %s\n", p.part, done, all, what)
	}
}
