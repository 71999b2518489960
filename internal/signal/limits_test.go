package signal

import (
	"fmt"
	"net/netip"
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
