package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/parley-rtc/parley/wire"
)

const (
	connectionsPerSource = 500 // a server takes 768
	joining              = 16  // sessions at once: a server takes 64 half-open connections of one address
)

// session has joined a room.
type session struct {
	*socket

	// owned by the goroutine that asks
	id uint64
}

// source is the address that the nth connection comes from.
func source(n int) net.IP { return net.IPv4(127, 0, 1, byte(1+n/connectionsPerSource)) }

// join opens the nth session.
func (b *bench) join(n int, j wire.Join, secure bool) (*session, error) {
	k, err := dial(b.address, source(n), secure)
	if err != nil {
		return nil, err
	}
	s := &session{socket: k}
	j.Protocol = wire.Protocol
	if _, err := s.ask(wire.TypeJoin, j); err != nil {
		_ = k.conn.Close()
		return nil, err
	}
	return s, nil
}

// joinAll opens so many sessions, each of which begin makes ready.
func (b *bench) joinAll(ctx context.Context, n int, what string, begin func(i int) (*session, error)) ([]*session, error) {
	b.progress.step(fmt.Sprintf("%d %s", n, what))
	all := make([]*session, n)
	var next, done atomic.Int64
	var failed atomic.Pointer[error]
	var running sync.WaitGroup
	for range min(joining, n) {
		running.Go(func() {
			for i := int(next.Add(1) - 1); i < n && failed.Load() == nil && ctx.Err() == nil; i = int(next.Add(1) - 1) {
				s, err := begin(i)
				if err != nil {
					err = fmt.Errorf("session %d: %w", i, err)
					failed.Store(&err)
					return
				}
				all[i] = s
				b.progress.count(int(done.Add(1)), n, what)
			}
		})
	}
	running.Wait()
	if err := failed.Load(); err != nil {
		closeAll(all)
		return nil, *err
	}
	return all, ctx.Err()
}

// closeAll closes what there is of them.
func closeAll(all []*session) {
	for _, s := range all {
		if s != nil {
			_ = s.conn.Close()
		}
	}
}

// request sends one, and returns its number.
func (s *session) request(typ string, body []byte) (uint64, error) {
	s.id++
	return s.id, s.send(fmt.Appendf(nil, `{"id":%d,"type":%q,"body":%s}`, s.id, typ, body))
}

// ask sends a request and returns the body of its reply. Nobody else reads meanwhile.
func (s *session) ask(typ string, body any) (json.RawMessage, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	id, err := s.request(typ, b)
	if err != nil {
		return nil, err
	}
	for {
		b, err := s.next()
		if err != nil {
			return nil, err
		}
		var m wire.Message
		if err := json.Unmarshal(b, &m); err != nil {
			return nil, err
		}
		switch {
		case m.Reply != id:
		case m.Type == wire.TypeError:
			return nil, fmt.Errorf("%s: %s", typ, m.Body)
		default:
			return m.Body, nil
		}
	}
}
