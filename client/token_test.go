package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-rtc/parley/client"
	"github.com/parley-rtc/parley/wire"
)

// doorkeeper is a server that lets in by tokens and nothing else, each once, and forgets who was in.
type doorkeeper struct {
	mu     sync.Mutex
	tokens []string // that were shown
}

func (d *doorkeeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"parley.v1"}})
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	for {
		_, text, err := c.Read(r.Context())
		if err != nil {
			return
		}
		b, err := json.Marshal(d.answer(text))
		if err != nil || c.Write(r.Context(), websocket.MessageText, b) != nil {
			return
		}
	}
}

func (d *doorkeeper) answer(text []byte) wire.Message {
	var asked wire.Request
	var join wire.Join
	if err := errors.Join(json.Unmarshal(text, &asked), json.Unmarshal(text, &struct{ Body *wire.Join }{&join})); err != nil {
		return wire.Message{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	refused := wire.CodeSessionExpired
	if asked.Type == wire.TypeJoin {
		if !slices.Contains(d.tokens, join.Token) {
			d.tokens = append(d.tokens, join.Token)
			return wire.Message{Seq: 1, Reply: asked.ID, Type: wire.TypeJoined, Body: []byte(`{"session":"s","resumeSeconds":30,"pingSeconds":20,"identity":"ann"}`)}
		}
		refused = wire.CodeUnauthorized
	}
	return wire.Message{Reply: asked.ID, Type: wire.TypeError, Body: fmt.Appendf(nil, `{"code":%q,"message":"no"}`, refused)}
}

// Rule: whoever joins anew shows the token of then. While none is to be had, the room is sought further.
func TestTokenSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &doorkeeper{}
		p := &pipes{accepted: make(chan net.Conn, 16), closed: make(chan struct{})}
		server, served := &http.Server{Handler: d}, make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(p)
		}()
		way := &cable{pipes: p}
		way.http = &http.Client{Transport: &http.Transport{DialContext: way.dial, DisableKeepAlives: true}}
		asked := 0
		r, err := client.Join(t.Context(), "http://house", client.Options{HTTPClient: way.http, TokenSource: func(context.Context) (string, error) {
			if asked++; asked == 2 {
				return "", errors.New("come back later")
			}
			return fmt.Sprint("token ", asked), nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		way.cut(false)
		pass(10 * time.Second)
		if now, why := r.Connection(); now != client.Connected {
			t.Errorf("%s: %v", now, why)
		}
		r.Leave()
		<-r.Done()
		if want := []string{"token 1", "token 3"}; !slices.Equal(d.tokens, want) {
			t.Errorf("shown %q, want %q", d.tokens, want)
		}
		_ = server.Close()
		<-served
	})
}
