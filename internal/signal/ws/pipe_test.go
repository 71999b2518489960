package ws

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// Messages of every length of header, many in one write, are read by a WebSocket client as they were sent, with pings in between.
func TestAppendFrame(t *testing.T) {
	sizes := []int{0, 1, 125, 126, 127, 65535, 65536, 200_000, 3}
	var b []byte
	for _, n := range sizes {
		var ok bool
		b, ok = appendFrame(b, func(dst []byte) ([]byte, bool) { return append(dst, strings.Repeat("x", n)...), true })
		if !ok {
			t.Fatal("nothing was appended")
		}
		b = append(b, finalPing, 0)
	}
	before := bytes.Clone(b)
	if b, ok := appendFrame(b, func(dst []byte) ([]byte, bool) { return dst, false }); ok || !bytes.Equal(b, before) {
		t.Error("something was appended where there is nothing")
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k := &taker{ResponseWriter: w}
		conn, err := websocket.Accept(k, r, nil)
		if err == nil {
			defer conn.CloseNow()
			err = k.pipe.send(b)
		}
		if err == nil {
			_, _, _ = conn.Read(r.Context()) // until the client has read all
		} else {
			t.Error(err)
		}
	}))
	defer s.Close()
	conn, _, err := websocket.Dial(t.Context(), s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(-1)
	for _, n := range sizes {
		if _, m, err := conn.Read(t.Context()); err != nil || string(m) != strings.Repeat("x", n) {
			t.Fatalf("%d bytes in place of %d: %v", len(m), n, err)
		}
	}
}

// What the client has sent right behind its handshake is read first.
func TestEarly(t *testing.T) {
	near, far := net.Pipe()
	go func() { _, _ = far.Write([]byte("later")); _ = far.Close() }()
	p := &pipe{Conn: near, early: []byte("early, ")}
	if b, err := io.ReadAll(p); err != nil || string(b) != "early, later" {
		t.Errorf("%q, %v", b, err)
	}
}

// Behind a close frame no message follows.
func TestNothingFollowsAClose(t *testing.T) {
	near, far := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, far) }()
	p := &pipe{Conn: near}
	if err := p.send([]byte{finalText, 0}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte{finalClose, 0}); err != nil {
		t.Fatal(err)
	}
	if err := p.send([]byte{finalText, 0}); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	_ = near.Close()
}

// A write that nobody reads ends after writeTime; where it is time to close, graceTime after that, and so do those that begin then.
func TestWriteTimes(t *testing.T) {
	for _, hurry := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close()
			p, begun, want := &pipe{Conn: near}, time.Now(), writeTime
			if hurry {
				want = time.Second + graceTime
				time.AfterFunc(time.Second, p.hurry)
			}
			if err := p.send([]byte{finalText, 0}); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) != want {
				t.Errorf("%v after %v", err, time.Since(begun))
			}
			if err := p.send([]byte{finalText, 0}); hurry && time.Since(begun) != want || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the next one: %v after %v", err, time.Since(begun))
			}
			_ = near.Close()
		})
	}
}
