// Package ws carries sessions over WebSockets (RFC 6455): one text message for each wire.Request and wire.Message.
//
// For each socket it owns the connection and four goroutines: the HTTP server's, which reads, one that writes, one that pings, and
// one that cuts short what is being written when it is time to close. The socket ends when writing does.
package ws

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-rtc/parley/internal/signal"
)

// Path is where the carrier belongs.
const Path = "/v1/session"

// Subprotocol is selected where the client offers it.
const Subprotocol = "parley.v1"

const (
	// writeTime is how long one message may take to be written, as far as the kernel's buffer.
	writeTime = 10 * time.Second
	// graceTime is how long one that is being written may take when the socket shall be closed. A write that is interrupted leaves
	// no way to say why.
	graceTime = time.Second
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

// ServeHTTP serves one socket until it ends.
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
	defer a.Release()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{Subprotocol},
		InsecureSkipVerify: true, // Origin is checked above
		CompressionMode:    websocket.CompressionDisabled,
		OnPongReceived:     func(context.Context, []byte) { a.Heard() },
	})
	if err != nil {
		return // Accept has answered
	}
	serve(conn, a)
}

// serve moves messages until the socket ends.
func serve(conn *websocket.Conn, a *signal.Attachment) {
	conn.SetReadLimit(-1) // read has its own, which tells the client before it closes
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	var done sync.WaitGroup
	done.Go(func() {
		defer a.Survive()
		ping(ctx, conn, a)
	})
	done.Go(func() {
		defer interrupt()
		defer conn.CloseNow() // a fault has not closed it
		defer a.Survive()
		write(ctx, conn, a)
	})
	done.Go(func() {
		defer interrupt()
		defer a.Survive()
		grace(ctx, a)
	})
	read(conn, a)
	done.Wait()
}

// grace waits until what is being written has had its time after the socket shall be closed, or ctx has ended.
func grace(ctx context.Context, a *signal.Attachment) {
	select {
	case <-a.Context().Done():
	case <-ctx.Done():
		return
	}
	timer := time.NewTimer(graceTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
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

// write sends what the session has for the client, then closes the socket, which ends read.
func write(ctx context.Context, conn *websocket.Conn, a *signal.Attachment) {
	for {
		b, err := a.Next()
		if err != nil {
			closeFor(conn, err)
			a.Lost()
			return
		}
		limited, cancel := context.WithTimeout(ctx, writeTime)
		err = conn.Write(limited, websocket.MessageText, b)
		cancel()
		if err != nil {
			a.Lost()
			_ = conn.CloseNow()
			return
		}
	}
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

// ping asks for signs of life; read hears the answers.
func ping(ctx context.Context, conn *websocket.Conn, a *signal.Attachment) {
	ticker := time.NewTicker(a.PingTime())
	defer ticker.Stop()
	for {
		select {
		case <-a.Context().Done():
			return
		case <-ticker.C:
			limited, cancel := context.WithTimeout(ctx, a.PingTime())
			_ = conn.Ping(limited) // one that is not answered needs nothing here: the session counts the silence
			cancel()
		}
	}
}
