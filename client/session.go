package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-rtc/parley/wire"
)

// session joins, asks and is answered, and goes on over a new connection when the old one is lost (docs/protocol.md, sections 3 to 6).
type session struct {
	// static after construction
	url    string
	http   *http.Client
	giveUp time.Duration
	token  func(context.Context) (string, error) // nil: that of join
	room   *Room                                 // is told; under mu
	mu     *sync.Mutex
	life   context.Context // ends with the session
	end    context.CancelFunc
	done   chan struct{} // closed when the goroutine that reads has ended

	// guarded by mu
	join      wire.Join
	state     Connection
	err       error // why it has ended
	joined    *wire.Joined
	leaving   bool
	conn      *connection
	lastID    uint64
	seen      uint64              // number of the last message
	replayEnd uint64              // the last message of a replay that is going on: only after it is asked again what has no reply
	gap       uint64              // after which message one was missing, plus 1
	waiting   map[uint64]*waiting // requests without a reply
}

// waiting is a request without a reply.
type waiting struct {
	typ  string
	text []byte
	over *connection // over which it was sent last
	lost bool        // a connection was given up for it
	sent time.Time
	done func(wire.Message, error) // called once, under mu
}

// connection is one socket.
type connection struct {
	// static after construction
	socket *websocket.Conn
	ctx    context.Context
	cut    context.CancelFunc
	wake   chan struct{} // capacity 1: out has something

	// guarded by the session's mu
	out   [][]byte // to be sent
	heard time.Time
}

func (s *session) open(ctx context.Context) error {
	c, m, err := s.enter(ctx)
	if err != nil {
		s.end()
		close(s.done)
		return err
	}
	s.mu.Lock()
	err = s.begin(c, m)
	s.mu.Unlock()
	if err != nil {
		s.end()
		close(s.done)
		return err
	}
	go s.run(c)
	go s.room.calls.run()
	return nil
}

// enter opens a connection and joins, with the token of now.
func (s *session) enter(ctx context.Context) (*connection, wire.Message, error) {
	if s.token != nil {
		ctx, cancel := context.WithTimeout(ctx, requestTime)
		defer cancel()
		token, err := s.token(ctx)
		if err != nil {
			return nil, wire.Message{}, fmt.Errorf("get a token: %w", err)
		}
		s.mu.Lock()
		s.join.Token = token
		s.mu.Unlock()
	}
	return s.attach(ctx, wire.TypeJoin, s.join)
}

// attach opens a connection and asks the first request on it. The first message on a new socket is its reply.
func (s *session) attach(ctx context.Context, typ string, body any) (*connection, wire.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	socket, response, err := websocket.Dial(ctx, s.url, &websocket.DialOptions{HTTPClient: s.http, Subprotocols: []string{"parley.v1"}})
	if response != nil && response.Body != nil {
		_ = response.Body.Close()
	}
	if err != nil {
		return nil, wire.Message{}, fmt.Errorf("connect: %w", err)
	}
	m, err := s.greet(ctx, socket, typ, body)
	if err != nil {
		_ = socket.CloseNow()
		return nil, wire.Message{}, err
	}
	c := &connection{socket: socket, wake: make(chan struct{}, 1), heard: time.Now()}
	c.ctx, c.cut = context.WithCancel(s.life)
	return c, m, nil
}

func (s *session) greet(ctx context.Context, socket *websocket.Conn, typ string, body any) (wire.Message, error) {
	socket.SetReadLimit(maxMessageBytes)
	s.mu.Lock()
	_, text, err := s.number(typ, body)
	s.mu.Unlock()
	if err != nil {
		return wire.Message{}, err
	}
	if err := socket.Write(ctx, websocket.MessageText, text); err != nil {
		return wire.Message{}, fmt.Errorf("ask to %s: %w", typ, err)
	}
	_, b, err := socket.Read(ctx)
	if err != nil {
		return wire.Message{}, fmt.Errorf("wait for the reply to %s: %w", typ, err)
	}
	m, err := decodeMessage(b)
	if err == nil && m.Type == wire.TypeError {
		err = decodeError(m)
	}
	return m, err
}

// number makes a request of the next number. The caller holds mu.
func (s *session) number(typ string, body any) (uint64, []byte, error) {
	b, err := encode(body)
	if err != nil {
		return 0, nil, err
	}
	if len(b) > wire.MaxMessageBytes-envelopeBytes {
		return 0, nil, wire.NewError(wire.CodeTooLarge, "the request "+typ+" is too large", "send less")
	}
	s.lastID++
	text, err := encode(wire.Request{ID: s.lastID, Type: typ, Body: b})
	return s.lastID, text, err
}

func decodeMessage(b []byte) (wire.Message, error) {
	var m wire.Message
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("read a message of the server: %w", err)
	}
	return m, nil
}

func decodeError(m wire.Message) error {
	refused := &wire.Error{}
	if err := json.Unmarshal(m.Body, refused); err != nil {
		return fmt.Errorf("read an error of the server: %w", err)
	}
	return refused
}

// begin takes the reply to join. The caller holds mu.
func (s *session) begin(c *connection, m wire.Message) error {
	joined := &wire.Joined{}
	if err := json.Unmarshal(m.Body, joined); err != nil {
		c.cut()
		_ = c.socket.CloseNow()
		return fmt.Errorf("read the reply to join: %w", err)
	}
	first := s.state == ""
	s.joined, s.seen, s.replayEnd, s.gap = joined, m.Seq, 0, 0
	s.join.Identity = joined.Identity // a lost session joins again as this participant
	s.room.enter(joined, first)       // before what has waited is sent: that belongs to this session
	s.opened(c)
	return nil
}

// opened goes on over a new connection. The caller holds mu.
func (s *session) opened(c *connection) {
	s.conn = c
	s.become(Connected)
	if s.seen >= s.replayEnd {
		s.repeat()
	}
}

// become tells how the connection is now. The caller holds mu.
func (s *session) become(state Connection) {
	if s.state == state || s.state == Ended {
		return
	}
	s.state = state
	s.room.connection(state, s.err)
}

// isCaughtUp tells whether there is a connection, and all that was told while there was none is here. The caller holds mu.
func (s *session) isCaughtUp() bool { return s.state == Connected && s.replayEnd == 0 }

// repeat sends again what has no reply: the server does it once and answers once more. The caller holds mu.
func (s *session) repeat() {
	s.replayEnd = 0
	for _, id := range slices.Sorted(maps.Keys(s.waiting)) {
		if w := s.waiting[id]; w.over != s.conn {
			s.send(w)
		}
	}
	s.room.room.records.together()
	s.room.server.records.together()
}

// send gives a request to the connection. The caller holds mu.
func (s *session) send(w *waiting) {
	w.over, w.sent = s.conn, time.Now()
	s.conn.push(w.text)
}

func (c *connection) push(text []byte) {
	c.out = append(c.out, text)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// request is ask for what the application asks: only so many may wait. The number that it returns is for forget. The caller holds mu.
func (s *session) request(typ string, body any, done func(wire.Message, error)) (id uint64) {
	if s.state != Ended && len(s.waiting) >= MaxWaitingRequests {
		done(wire.Message{}, wire.NewError(wire.CodeLimit, "too many requests wait for the server", "wait for some of them"))
		return 0
	}
	return s.ask(typ, body, done)
}

// isUnsent tells whether a request still waits for a connection. The caller holds mu.
func (s *session) isUnsent(id uint64) bool { return s.waiting[id] != nil && s.waiting[id].over == nil }

// forget takes back a request that was not sent yet, and reports whether. The caller holds mu.
func (s *session) forget(id uint64) bool {
	if !s.isUnsent(id) {
		return false
	}
	delete(s.waiting, id)
	return true
}

// ask sends a request, once there is a connection; done is called under mu, perhaps before ask returns. Whoever asks has a limit of its own.
// The caller holds mu.
func (s *session) ask(typ string, body any, done func(wire.Message, error)) (id uint64) {
	if s.state == Ended {
		done(wire.Message{}, s.err)
		return 0
	}
	id, text, err := s.number(typ, body)
	if err != nil {
		done(wire.Message{}, err)
		return 0
	}
	w := &waiting{typ: typ, text: text, done: done}
	s.waiting[id] = w
	if s.isCaughtUp() {
		s.send(w)
	}
	return id
}

// drop ends the wait for a reply. The caller holds mu.
func (s *session) drop(id uint64, err error) {
	w := s.waiting[id]
	delete(s.waiting, id)
	w.done(wire.Message{}, err)
}

func (s *session) dropAll(err error) {
	for _, id := range slices.Sorted(maps.Keys(s.waiting)) {
		if s.waiting[id] != nil { // what is told of one may end others
			s.drop(id, err)
		}
	}
}

// run reads until the session is over, over one connection after the other.
func (s *session) run(c *connection) {
	defer close(s.done)
	for c != nil {
		s.serve(c)
		s.mu.Lock()
		s.conn = nil
		over := s.state == Ended
		if !over {
			for id, w := range s.waiting {
				if w.typ == wire.TypePing {
					delete(s.waiting, id)
				}
			}
			s.become(Resuming)
		}
		s.mu.Unlock()
		if over {
			return
		}
		c = s.comeBack()
	}
}

// serve reads what comes over a connection until that is lost.
func (s *session) serve(c *connection) {
	var writer sync.WaitGroup
	writer.Go(func() { s.write(c) })
	defer writer.Wait()
	defer c.cut()
	defer func() { _ = c.socket.CloseNow() }()
	for {
		_, text, err := c.socket.Reader(c.ctx)
		if err != nil {
			return
		}
		b, err := io.ReadAll(&hearing{s, c, text})
		if err != nil {
			return
		}
		m, err := decodeMessage(b)
		if err != nil {
			return
		}
		s.mu.Lock()
		more := s.receive(m)
		s.mu.Unlock()
		if !more {
			return
		}
	}
}

// hearing is a message that comes in parts, perhaps slowly.
type hearing struct {
	session    *session
	connection *connection
	text       io.Reader
}

func (h *hearing) Read(b []byte) (int, error) {
	n, err := h.text.Read(b)
	h.session.mu.Lock()
	defer h.session.mu.Unlock()
	h.connection.heard = time.Now()
	return n, err
}

// receive takes a message, and reports whether the connection is still of use. The caller holds mu.
func (s *session) receive(m wire.Message) bool {
	if m.Seq != 0 {
		switch {
		case m.Seq <= s.seen:
			return true
		case m.Seq != s.seen+1 && m.Type != wire.TypeResync: // a resync stands for everything before it
			if s.gap == s.seen+1 { // again, after a resume: the server does not have it any more
				s.joined = nil
			}
			s.gap = s.seen + 1
			return false
		}
		s.seen = m.Seq
	}
	more := true
	if m.Reply != 0 {
		s.reply(m)
	} else {
		more = s.event(m)
	}
	if s.replayEnd > 0 && s.seen >= s.replayEnd && s.state == Connected {
		s.repeat()
	}
	return more
}

func (s *session) reply(m wire.Message) {
	w := s.waiting[m.Reply]
	if w == nil {
		return
	}
	delete(s.waiting, m.Reply)
	if m.Type == wire.TypeError {
		w.done(wire.Message{}, decodeError(m))
		return
	}
	w.done(m, nil)
}

func (s *session) event(m wire.Message) bool {
	if m.Type != wire.TypeEnded {
		s.room.event(m)
		return true
	}
	var ended wire.Ended
	switch err := json.Unmarshal(m.Body, &ended); {
	case s.leaving:
		s.finish(ErrClosed)
	case err != nil || !ended.Rejoin:
		s.finish(wire.NewError(ended.Code, ended.Message, ""))
	default:
		s.joined = nil
	}
	return false
}

// write sends what waits, pings, and looks for what takes too long, until the connection is cut.
func (s *session) write(c *connection) {
	defer c.cut()
	tick := time.NewTicker(sweepTime)
	defer tick.Stop()
	for {
		s.mu.Lock()
		out := c.out
		c.out = nil
		s.mu.Unlock()
		for _, text := range out {
			ctx, cancel := context.WithTimeout(c.ctx, requestTime)
			err := c.socket.Write(ctx, websocket.MessageText, text)
			cancel()
			if err != nil {
				return
			}
		}
		select {
		case <-c.ctx.Done():
			return
		case <-c.wake:
		case now := <-tick.C:
			if !s.sweep(c, now) {
				return
			}
		}
	}
}

// sweep ends requests that have no reply in time, and pings where nothing has come for a while (docs/protocol.md, section 5). It reports false where
// nothing at all has come since a request was sent that is over time: the connection is lost, and the request is repeated over the next one.
func (s *session) sweep(c *connection, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	isPinged := false
	doubts := s.joined != nil && now.Sub(c.heard) >= time.Duration(s.joined.PingSeconds)*time.Second
	for _, id := range slices.Sorted(maps.Keys(s.waiting)) {
		w := s.waiting[id]
		if w == nil {
			continue
		}
		isPinged = isPinged || w.typ == wire.TypePing
		if w.over != c {
			continue
		}
		silent, waited := !c.heard.After(w.sent), now.Sub(w.sent)
		switch {
		case waited >= requestTime && silent && !w.lost: // once, as it may be the request that takes so long
			w.lost = true
			return false
		case waited >= requestTime:
			s.drop(id, wire.NewError(wire.CodeTimeout, "the server did not answer "+w.typ+" in time", "try again"))
		case waited >= doubtTime && silent: // is it the request that takes long, or the connection that is lost?
			doubts = true
		}
	}
	if doubts && !isPinged && s.conn == c {
		s.ask(wire.TypePing, wire.Ping{}, func(wire.Message, error) {})
	}
	return true
}

// comeBack seeks a new connection: first to resume the session, then to join again. Nil: the session is over.
func (s *session) comeBack() *connection {
	lost := time.Now()
	for attempt := 0; ; attempt++ {
		s.mu.Lock()
		joined := s.joined
		if s.state == Resuming && (joined == nil || time.Since(lost) >= time.Duration(joined.ResumeSeconds)*time.Second) {
			s.startRejoining()
		}
		resuming := s.state == Resuming
		s.mu.Unlock()
		if !s.pause(backoff(attempt)) {
			return nil
		}
		c, err := s.retry(resuming, joined)
		if err == nil {
			return c
		}
		switch {
		case s.life.Err() != nil:
			return nil
		case resuming && !passing(err):
			s.mu.Lock()
			s.startRejoining()
			s.mu.Unlock()
			attempt = -1
		case !passing(err) || time.Since(lost) > s.giveUp:
			s.mu.Lock()
			s.finish(fmt.Errorf("%w: %w", ErrConnection, err))
			s.mu.Unlock()
			return nil
		case codeOf(err) != "" && !s.pause(pauseOf(err, 0)):
			return nil
		}
	}
}

// backoff is the pause before a try, ± a quarter so that the clients of a restarted server do not come at once.
func backoff(attempt int) time.Duration {
	d := min(firstPause<<min(attempt, 16), longPause)
	return time.Duration(float64(d) * (0.75 + rand.Float64()/2))
}

// pause waits, and reports false at the end of the session.
func (s *session) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.life.Done():
		return false
	}
}

func (s *session) retry(resuming bool, joined *wire.Joined) (*connection, error) {
	if !resuming {
		c, m, err := s.enter(s.life)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return c, s.begin(c, m)
	}
	s.mu.Lock()
	ask := wire.Resume{Protocol: wire.Protocol, Session: joined.Session, Token: joined.ResumeToken, Seq: s.seen}
	s.mu.Unlock()
	c, m, err := s.attach(s.life, wire.TypeResume, ask)
	if err != nil {
		return nil, err
	}
	var resumed wire.Resumed
	if err := json.Unmarshal(m.Body, &resumed); err != nil {
		return nil, errors.Join(fmt.Errorf("read the reply to resume: %w", err), c.socket.CloseNow())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replayEnd = s.seen + uint64(resumed.Replayed)
	s.opened(c)
	return c, nil
}

// startRejoining gives the session up: what was asked in it will not be answered. The caller holds mu.
func (s *session) startRejoining() {
	s.joined = nil
	s.seen, s.replayEnd, s.gap = 0, 0, 0
	s.dropAll(ErrConnection)
	s.become(Rejoining)
}

// finish ends the session. The caller holds mu.
func (s *session) finish(err error) {
	if s.state == Ended {
		return
	}
	s.state, s.err = Ended, err
	s.end()
	s.dropAll(err)
	s.room.connection(Ended, err)
}

// leave tells the server, where that can be done now, and ends the session.
func (s *session) leave() {
	left := make(chan struct{})
	s.mu.Lock()
	s.leaving = true
	if s.state == Connected {
		s.ask(wire.TypeLeave, wire.Leave{}, func(wire.Message, error) { close(left) })
	} else {
		close(left)
	}
	s.mu.Unlock()
	timer := time.NewTimer(leaveTime)
	defer timer.Stop()
	select {
	case <-left:
	case <-timer.C:
	}
	s.mu.Lock()
	s.finish(ErrClosed)
	s.mu.Unlock()
	<-s.done
}
