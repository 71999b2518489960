package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-rtc/parley/wire"
)

// session is a signalling connection (docs/protocol.md sections 2 to 5). It matches replies with requests, hands on events in order,
// and knows nothing of media. It does not resume: a lost socket is its end.
type session struct {
	// static after construction
	socket *websocket.Conn
	events chan wire.Message // closed when the session is over
	over   chan struct{}
	cancel context.CancelFunc
	work   sync.WaitGroup

	// guarded by mu
	mu      sync.Mutex
	next    uint64 // id of the next request
	waiting map[uint64]chan wire.Message
	silent  bool  // nothing was sent since the last look
	err     error // why it is over
}

// dial opens a session, on which nobody has joined yet.
func dial(ctx context.Context, url string, client *http.Client) (*session, error) {
	socket, _, err := websocket.Dial(ctx, url+"/v1/session", &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{"parley.v1"}})
	if err != nil {
		return nil, err
	}
	socket.SetReadLimit(maxMessage)
	life, cancel := context.WithCancel(context.Background())
	s := &session{
		socket: socket, events: make(chan wire.Message, maxEvents), over: make(chan struct{}), cancel: cancel,
		next: 1, waiting: map[uint64]chan wire.Message{},
	}
	s.work.Go(func() { s.read(life) })
	return s, nil
}

// request sends a request and waits for its reply, whose body goes to into unless that is nil. A refusal is a *wire.Error.
func (s *session) request(ctx context.Context, kind string, body, into any) error {
	reply := make(chan wire.Message, 1)
	id, err := s.send(kind, body, reply)
	if err != nil {
		return err
	}
	defer func() {
		s.mu.Lock()
		delete(s.waiting, id)
		s.mu.Unlock()
	}()
	select {
	case m := <-reply:
		if m.Type == wire.TypeError {
			refused := &wire.Error{}
			if err := json.Unmarshal(m.Body, refused); err != nil {
				return fmt.Errorf("read an error: %w", err)
			}
			return refused
		}
		if into == nil {
			return nil
		}
		return json.Unmarshal(m.Body, into)
	case <-ctx.Done():
		return fmt.Errorf("wait for the reply to %s: %w", kind, ctx.Err())
	case <-s.over:
		return s.fault()
	}
}

// send sends a request. Its reply goes to reply; where that is nil it is ignored, unless it is a refusal, which is handed on like an
// event.
func (s *session) send(kind string, body any, reply chan wire.Message) (id uint64, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	r := wire.Request{ID: s.next, Type: kind, Body: b}
	s.next++
	s.silent = false
	if reply != nil {
		s.waiting[r.ID] = reply
	}
	s.mu.Unlock()
	if b, err = json.Marshal(r); err != nil {
		return 0, err
	}
	// Not with the caller's context: a write that is interrupted closes the socket.
	ctx, done := context.WithTimeout(context.Background(), replyTimeout)
	defer done()
	if err := s.socket.Write(ctx, websocket.MessageText, b); err != nil {
		return 0, fmt.Errorf("send %s: %w", kind, err)
	}
	return r.ID, nil
}

// read takes in messages until the socket ends.
func (s *session) read(ctx context.Context) {
	err := s.receive(ctx)
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	_ = s.socket.CloseNow()
	close(s.over)
	close(s.events)
}

func (s *session) receive(ctx context.Context) error {
	for {
		_, b, err := s.socket.Read(ctx)
		if err != nil {
			return err
		}
		var m wire.Message
		if err := json.Unmarshal(b, &m); err != nil {
			return fmt.Errorf("read a message: %w", err)
		}
		s.mu.Lock()
		reply := s.waiting[m.Reply]
		delete(s.waiting, m.Reply)
		s.mu.Unlock()
		switch {
		case reply != nil:
			reply <- m
		case m.Reply != 0 && m.Type != wire.TypeError:
		default:
			select {
			case s.events <- m:
			default:
				return errors.New("more events came than could be looked at")
			}
		}
	}
}

// keepAlive pings whenever nothing else was sent for an interval, and ends the session when three intervals bring no reply
// (docs/protocol.md section 5).
func (s *session) keepAlive(interval time.Duration) {
	s.work.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-s.over:
				return
			case <-ticker.C:
			}
			s.mu.Lock()
			silent := s.silent
			s.silent = true
			s.mu.Unlock()
			if !silent {
				continue
			}
			ctx, done := context.WithTimeout(context.Background(), 3*interval)
			if err := s.request(ctx, wire.TypePing, wire.Ping{}, nil); err != nil {
				s.cancel() // its socket is as good as lost
			}
			done()
		}
	})
}

// fault tells why the session is over.
func (s *session) fault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// close ends the session and waits for its goroutines.
func (s *session) close() {
	s.cancel()
	s.work.Wait()
}
