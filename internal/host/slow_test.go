package host

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// pipes is a network of in-memory connections, on which time is virtual. A pipe holds nothing: who does not read stops who writes.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	a, b := net.Pipe()
	p.conns <- b
	return a
}

// overPipes runs the web server in a bubble.
func overPipes(t *testing.T, next http.HandlerFunc, run func(t *testing.T, p *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := newServer(&front{next: next, plainHTTP: true}, slog.New(slog.DiscardHandler))
		served := make(chan struct{})
		go func() { _ = server.Serve(p); close(served) }()
		run(t, p)
		close(p.closed)
		_ = server.Close()
		<-served
	})
}

// A body that comes byte by byte costs its connection after the time for bodies, whether anyone wants to read it or not.
func TestSlowBody(t *testing.T) {
	for name, next := range map[string]http.HandlerFunc{
		"read": func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			plain(w, 200, map[bool]string{true: "slow", false: "whole"}[err != nil])
		},
		"not read": func(w http.ResponseWriter, _ *http.Request) { plain(w, 404, "slow") },
	} {
		t.Run(name, func(t *testing.T) {
			overPipes(t, next, func(t *testing.T, p *pipes) {
				conn := p.dial()
				start, sent := time.Now(), make(chan struct{})
				go func() {
					defer close(sent)
					_, err := io.WriteString(conn, "POST /whip/tea HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
					for err == nil {
						time.Sleep(time.Second)
						_, err = conn.Write([]byte("x"))
					}
				}()
				answer, _ := io.ReadAll(conn) // until the server closes
				if took := time.Since(start); took < bodyTimeout || took > bodyTimeout+2*time.Second || !strings.HasSuffix(string(answer), "slow") {
					t.Errorf("closed after %v: %s", took, answer)
				}
				_ = conn.Close()
				<-sent
			})
		})
	}
}

// A page that is read byte by byte costs its connection after the time for answers.
func TestSlowReader(t *testing.T) {
	overPipes(t, func(w http.ResponseWriter, _ *http.Request) { plain(w, 200, strings.Repeat("x", 1<<20)) }, func(t *testing.T, p *pipes) {
		conn := p.dial()
		start := time.Now()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		var err error
		for b := make([]byte, 1); err == nil; time.Sleep(time.Second) {
			_, err = conn.Read(b)
		}
		if took := time.Since(start); took < answerTimeout || took > answerTimeout+2*time.Second {
			t.Errorf("closed after %v: %v", took, err)
		}
		_ = conn.Close()
	})
}

// The time limits are those of one request: a connection that is used now and then goes on.
func TestTimeLimitsAreOfOneRequest(t *testing.T) {
	overPipes(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		plain(w, 200, string(b))
		if err != nil {
			t.Error(err)
		}
	}, func(t *testing.T, p *pipes) {
		conn := p.dial()
		answers := bufio.NewReader(conn)
		for range 4 {
			if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(bodyTimeout - time.Second)
			if _, err := conn.Write([]byte("ok")); err != nil {
				t.Fatal(err)
			}
			r, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(r.Body); string(b) != "ok" {
				t.Fatalf("%s, %v", b, err)
			}
			time.Sleep(idleTimeout - time.Second)
		}
		_ = conn.Close()
	})
}

// A WebSocket lives as long as it likes.
func TestTimeLimitsEndWithHijack(t *testing.T) {
	overPipes(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		for err == nil {
			var kind websocket.MessageType
			var b []byte
			if kind, b, err = conn.Read(context.Background()); err == nil {
				err = conn.Write(context.Background(), kind, b)
			}
		}
		if websocket.CloseStatus(err) != websocket.StatusNormalClosure {
			t.Error(err)
		}
	}, func(t *testing.T, p *pipes) {
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return p.dial(), nil }}
		conn, _, err := websocket.Dial(t.Context(), "http://localhost", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(2 * answerTimeout)
			err := conn.Write(t.Context(), websocket.MessageText, []byte("x"))
			if err == nil {
				_, _, err = conn.Read(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		transport.CloseIdleConnections()
	})
}
