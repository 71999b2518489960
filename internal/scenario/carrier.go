package scenario

import (
	"encoding/json"
	"net/netip"
	"sync"
	"time"

	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

// carrier is a socket in memory: what package ws is between a WebSocket and an Attachment.
type carrier struct {
	// static after construction
	attachment *signal.Attachment
	out        chan []byte   // requests on their way
	stop       chan struct{} // closed by cut
	running    sync.WaitGroup
}

// connect opens a socket of a client at source; each message goes to receive, on one goroutine.
func connect(s *signal.Service, source netip.Addr, receive func(wire.Message)) (*carrier, error) {
	a, refused := s.Attach(source)
	if refused != nil {
		return nil, refused
	}
	c := &carrier{attachment: a, out: make(chan []byte, 64), stop: make(chan struct{})}
	c.running.Go(c.write)
	c.running.Go(func() { c.read(receive) })
	return c, nil
}

// write hands requests over and answers pings.
func (c *carrier) write() {
	ticker := time.NewTicker(c.attachment.PingTime())
	defer ticker.Stop()
	for {
		select {
		case b := <-c.out:
			if c.attachment.Receive(b) != nil {
				return
			}
		case <-ticker.C:
			c.attachment.Heard()
		case <-c.stop:
			return
		case <-c.attachment.Context().Done():
			return
		}
	}
}

func (c *carrier) read(receive func(wire.Message)) {
	for {
		if err := c.attachment.Wait(); err != nil {
			c.attachment.Lost()
			return
		}
		for b, ok := c.attachment.Take(nil); ok; b, ok = c.attachment.Take(nil) {
			var m wire.Message
			if err := json.Unmarshal(b, &m); err != nil {
				panic("scenario: the server sent what is not JSON: " + string(b))
			}
			receive(m)
		}
	}
}

// send queues a request; it never blocks. One that does not fit is lost, as on a socket that breaks.
func (c *carrier) send(r wire.Request) {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	select {
	case c.out <- b:
	default:
	}
}

// cut breaks the socket, and waits until nobody uses it.
func (c *carrier) cut() {
	close(c.stop)
	c.attachment.Lost()
	c.running.Wait()
	c.attachment.Release()
}
