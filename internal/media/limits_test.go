package media

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/port"
	"github.com/parley-rtc/parley/internal/sdp"
)

// Limit: beyond maxHandshakes DTLS handshakes at once, a first record is dropped as by a full queue. The client sends it again.
func TestMaxHandshakes(t *testing.T) {
	s, _ := loopless(t, 1)
	e := s.transports[1]
	s.handshakes = maxHandshakes
	s.out.DTLS = []byte{22, 254, 253}
	s.deliver(e, pairOf(1))
	if s.drops[drop.DtlsQueueFull] != 1 || e.association != nil || s.handshakes != maxHandshakes {
		t.Errorf("%d drops, %d handshakes", s.drops[drop.DtlsQueueFull], s.handshakes)
	}
}

// Limit: a Transport is found by maxUfrags user fragments, whose first is in use and whose others are of restarts that have not come
// to pass; older ones are forgotten.
func TestMaxUfrags(t *testing.T) {
	s, _ := loopless(t, 1)
	for i := range 3 * maxUfrags {
		s.restart(epoch, RestartICE{
			Transport: 1, Local: sdp.ICE{Ufrag: fmt.Sprintf("again%d", i), Pwd: "0123456789012345678901ab"},
			Remote: sdp.ICE{Ufrag: fmt.Sprintf("client%d", i), Pwd: "abcdefghijabcdefghijabcd"},
		})
	}
	want := []string{"server1", "again9", "again10", "again11"}
	if len(s.ufrags) != maxUfrags {
		t.Errorf("%d user fragments", len(s.ufrags))
	}
	for _, ufrag := range want {
		if s.ufrags[ufrag] != s.transports[1] {
			t.Errorf("not found by %q", ufrag)
		}
	}
}

// Limit: maxReports faults a minute are logged. All are counted.
func TestMaxReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := newShard(Config{
			Sender: &counter{}, Pairs: port.NewPairs(), Recycle: func(*datagram.Batch) {}, Log: slog.New(slog.NewTextHandler(&log, nil)),
		}, 0, nil, nil)
		fault := func() {
			defer s.recover(nil)
			panic("broken")
		}
		for minute := range 2 {
			for range maxReports + 5 {
				fault()
			}
			if logged := strings.Count(log.String(), "panic=broken"); logged != (minute+1)*maxReports {
				t.Errorf("minute %d: %d logged", minute, logged)
			}
			time.Sleep(time.Minute)
		}
		if s.counts.Panics != 2*(maxReports+5) {
			t.Errorf("%d counted", s.counts.Panics)
		}
	})
}
