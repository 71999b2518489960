package signal

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/wire"
)

// A node has at most MaxSessions sessions and calls; one socket is queued at most maxDirect unnumbered messages.
func TestNodeLimits(t *testing.T) {
	s := New(Config{})
	for i := range MaxSessions - 1 {
		s.sessions[fmt.Sprint(i)] = nil
	}
	if err := s.full(); err != nil {
		t.Error(err)
	}
	s.calls[[32]byte{}] = nil
	if err := s.full(); err == nil || err.Code != wire.CodeOverloaded || err.RetrySeconds == 0 {
		t.Errorf("one too many: %v", err)
	}
	a, err := s.Attach(netip.Addr{}) // a session that is there must still be able to come back
	if err != nil {
		t.Fatal(err)
	}
	defer a.Release()
	for range maxDirect + 1 {
		a.send(entry{typ: wire.TypeError})
	}
	if len(a.direct) != maxDirect {
		t.Errorf("%d messages", len(a.direct))
	}
}

// A session whose joined message nobody has taken cannot be resumed from the start: who has not seen it has no token. Once it is
// taken, a client may go on from before or after it.
func TestResumeFromTheStart(t *testing.T) {
	v := New(Config{})
	a, refused := v.Attach(netip.Addr{})
	if refused != nil {
		t.Fatal(refused)
	}
	defer a.Release()
	s := newSession(v, seat{id: "s"}, "token")
	s.emit(entry{reply: 1, typ: wire.TypeJoined, whole: true})
	s.attach(a)
	if s.resume(a, 2, 0) {
		t.Error("resumed before joined was taken")
	}
	if b, _ := s.take(a, nil); b == nil {
		t.Fatal("joined is not there")
	}
	s.emit(entry{typ: wire.TypeChat})
	if !s.resume(a, 2, 0) {
		t.Error("not resumed from 0")
	}
	if !s.resume(a, 3, 1) {
		t.Error("not resumed after joined, which nobody has taken since")
	}
	if b, _ := s.take(a, nil); !strings.Contains(string(b), `"seq":2,"type":"chat"`) {
		t.Errorf("then comes %s", b)
	}
}
