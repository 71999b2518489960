package transport_test

import (
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/rtp"
)

// A client that has just connected gets the sound that is there already, once, and then what follows.
func TestConnectedGetsTheNewestSound(t *testing.T) {
	k := newTalk(t)
	k.number = 7
	k.pub.send(k.now, rtp.Header{PayloadType: 111, SequenceNumber: 7, Timestamp: 7 * 960, SSRC: 77}, nil, []byte{0x78, 1, 2})
	k.router.EndBatch() // with nobody to forward to
	for range 2 {
		k.sub.transport.Connected(k.now.Add(10*time.Millisecond), &k.sub.result)
	}
	media, _ := k.sub.received()
	if len(media) != 1 || media[0].SequenceNumber() != 7 || media[0].Timestamp() != 7*960 || string(media[0].Payload()) != "\x78\x01\x02" {
		t.Fatalf("got %d packets", len(media))
	}
	k.pass(20*time.Millisecond, 0, 0)
	if k.received != 1 || k.highest != 8 {
		t.Errorf("then %d packets, up to number %d", k.received, k.highest)
	}
}
