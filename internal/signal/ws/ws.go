// Package ws carries sessions over WebSockets (RFC 6455): one text message for each wire.Request and wire.Message.
//
// For each socket it owns the connection and two goroutines, one that reads and one that writes. The handshake, what is read, and the close are
// coder/websocket's; the frames of messages are made here, as many in one write as wait. Of the HTTP server nothing stays: most
// sockets are idle, and its goroutine and buffers would be half of what they take. The socket ends when writing does.
package ws

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-rtc/parley/internal/signal"
)

// Path is where the carrier belongs.
const Path = "/v1/session"

// Subprotocol is selected where the client offers it.
const Subprotocol = "parley.v1"

const (
	// writeTime is how long one write may take, as far as the kernel's buffer.
	writeTime = 10 * time.Second
	// graceTime is how long one may take when the socket shall be closed. A write that is interrupted leaves no way to say why.
	graceTime = time.Second
	// maxBatch is when no more messages are put into one write. It is what one TLS record holds.
	maxBatch = 16 << 10
)

// statuses are the close statuses of docs/protocol.md, section 2.1.
var statuses = map[signal.End]websocket.StatusCode{
	signal.EndFinished: websocket.StatusNormalClosure,
	signal.EndRefused:  websocket.StatusPolicyViolation,
	signal.EndTooLarge: websocket.StatusMessageTooBig,
	signal.EndReplaced: 4000,
	signal.EndClosing:  websocket.StatusGoingAway,
}

// Carrier accepts sockets. It is safe for concurrent use.
type Carrier struct {
	// static after construction
	service *signal.Service
	origins signal.Origins
}

// New returns a carrier for Path.
func New(s *signal.Service, o signal.Origins) *Carrier { return &Carrier{s, o} }

// ServeHTTP begins to serve one socket.
func (c *Carrier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, refused := c.origins.Allowed(r); refused != nil {
		// A page is told no reason when its WebSocket is refused, but may ask again by fetch.
		w.Header().Set("Access-Control-Allow-Origin", "*")
		signal.WriteProblem(w, signal.Status(refused), refused)
		return
	}
	a, refused := c.service.Attach(c.service.Source(r))
	if refused != nil {
		signal.WriteProblem(w, signal.Status(refused), refused)
		return
	}
	k := &taker{ResponseWriter: w}
	conn, err := websocket.Accept(k, r, &websocket.AcceptOptions{
		Subprotocols:       []string{Subprotocol},
		InsecureSkipVerify: true, // Origin is checked above
		CompressionMode:    websocket.CompressionDisabled,
		OnPongReceived:     func(context.Context, []byte) { a.Heard() },
	})
	if err != nil {
		a.Release()
		return // Accept has answered
	}
	serve(&carriage{conn: conn, pipe: k.pipe, attachment: a})
}

// carriage is one socket.
type carriage struct {
	// static after construction
	conn       *websocket.Conn
	pipe       *pipe // below it
	attachment *signal.Attachment

	// atomic
	pingDue atomic.Bool
}

// serve begins to move messages, until the socket ends.
func serve(c *carriage) {
	c.conn.SetReadLimit(-1) // read has its own, which tells the client before it closes
	written := make(chan struct{})
	go func() { // ends when the session has nothing for the client any more, or the socket fails
		defer close(written)
		defer c.conn.CloseNow() // a fault has not closed it
		defer c.attachment.Survive()
		c.write()
	}()
	go func() { // ends with the socket
		defer c.attachment.Release()
		defer func() { <-written }()
		defer c.attachment.Survive()
		read(c.conn, c.attachment)
	}()
}

// read carries out what the client sends. It ends at the first error; what the client is still told is for write to say.
func read(conn *websocket.Conn, a *signal.Attachment) {
	for {
		kind, body, err := conn.Reader(context.Background())
		if websocket.CloseStatus(err) == websocket.StatusGoingAway {
			a.Gone()
			return
		}
		if err != nil {
			a.Lost()
			return
		}
		if kind != websocket.MessageText {
			_ = conn.Close(websocket.StatusUnsupportedData, "messages are text")
			a.Lost()
			return
		}
		limit := a.Limit()
		b, err := io.ReadAll(io.LimitReader(body, int64(limit)+1))
		if err != nil {
			a.Lost()
			return
		}
		if len(b) > limit {
			_ = a.TooLarge()
			return
		}
		if a.Receive(b) != nil {
			return
		}
	}
}

// write sends what the session has for the client, and asks for signs of life, then closes the socket, which ends read.
func (c *carriage) write() {
	a := c.attachment
	ping := time.AfterFunc(a.PingTime(), func() {
		c.pingDue.Store(true)
		a.Nudge()
	})
	defer ping.Stop()
	defer context.AfterFunc(a.Context(), c.pipe.hurry)()
	for {
		if err := a.Wait(); err != nil {
			closeFor(c.conn, err)
			a.Lost()
			return
		}
		b := batches.Get().(*[]byte)
		*b = c.gather((*b)[:0])
		if c.pingDue.Swap(false) { // one that is not answered needs nothing here: the session counts the silence
			*b = append(*b, finalPing, 0)
			ping.Reset(a.PingTime())
		}
		err := c.pipe.send(*b)
		if cap(*b) <= 2*maxBatch {
			batches.Put(b)
		}
		if err != nil {
			a.Lost()
			_ = c.conn.CloseNow()
			return
		}
	}
}

// gather appends frames of messages that wait.
func (c *carriage) gather(b []byte) []byte {
	for more := true; more && len(b) < maxBatch; {
		b, more = appendFrame(b, c.attachment.Take)
	}
	return b
}

// closeFor says why, where the client may still be listening.
func closeFor(conn *websocket.Conn, why error) {
	var end signal.End
	if errors.As(why, &end) && statuses[end] != 0 {
		_ = conn.Close(statuses[end], end.Error())
		return
	}
	_ = conn.CloseNow()
}
