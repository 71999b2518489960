package relay

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/datagram"
)

// RFC 8656 §12.5 and RFC 8489 §6.2.2: over a stream ChannelData is padded to four bytes, which its length does not count, and a STUN message is its
// header and what its length says.
func TestFrame(t *testing.T) {
	for _, c := range []struct {
		name, begin string
		n, exact    int
	}{
		{"nothing", "", 0, 0},
		{"ChannelData not yet whole", "\x40\x00\x00", 0, 0},
		{"empty ChannelData", "\x40\x00\x00\x00", 4, 4},
		{"ChannelData of one byte", "\x40\x00\x00\x01", 8, 5},
		{"ChannelData of four bytes", "\x4f\xff\x00\x04", 8, 8},
		{"a channel of RFC 5766", "\x7f\xfe\x00\x05", 12, 9},
		{"the longest ChannelData that a datagram can carry", "\x40\x00\xff\xe3", 4 + 65508, 4 + 65507},
		{"ChannelData longer than that", "\x40\x00\xff\xe5", -1, 0},
		{"a STUN message without attributes", "\x00\x01\x00\x00", 20, 20},
		{"a STUN message", "\x00\x03\x00\x24", 56, 56},
		{"STUN's first byte", "\x00", 0, 0},
		{"a STUN message of a length that none has", "\x00\x01\x00\x03", -1, 0},
		{"RTP", "\x80", -1, 0},
		{"TLS inside", "\x16\x03\x01\x02", -1, 0}, // 0x16 is below 0x40, but no length of STUN is 0x0102
	} {
		n := frame([]byte(c.begin))
		if n != c.n {
			t.Errorf("%s: %d, want %d", c.name, n, c.n)
		}
		if n > 0 && exact([]byte(c.begin)) != c.exact {
			t.Errorf("%s: %d without padding, want %d", c.name, exact([]byte(c.begin)), c.exact)
		}
	}
}

// Frames that are cut from a stream are what it is made of: whatever comes, none is empty, longer than the limit, or longer without padding.
func FuzzFrame(f *testing.F) {
	f.Add([]byte("\x40\x00\x00\x05hello\x00\x00\x00\x00\x01\x00\x00\x21\x12\xa4\x42transactionX"))
	f.Add([]byte("\x00\x03\x00\x08\x21\x12\xa4\x42transactionX\x00\x19\x00\x04\x11\x00\x00\x00\x40\x01\x00\x00"))
	f.Add([]byte("\x16\x03\x01\x02\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for at := 0; at < len(b); {
			n := frame(b[at:])
			if n == 0 && len(b)-at >= 4 {
				t.Fatalf("%x is neither a frame nor refused", b[at:])
			}
			if n <= 0 {
				return
			}
			if n > maxFrameBytes || n%4 != 0 || n < exact(b[at:]) || n-exact(b[at:]) > 3 {
				t.Fatalf("%x: %d bytes, %d without padding", b[at:], n, exact(b[at:]))
			}
			at += n
		}
	})
}

// channelData is a frame on channel 0x4000 with padding.
func channelData(payload string) []byte {
	b := append([]byte{0x40, 0, byte(len(payload) >> 8), byte(len(payload))}, payload...)
	return append(b, make([]byte, -len(payload)&3)...)
}

// A ring of frames gives them back whole and in order, with their padding, and drops the oldest one; one that is longer than a write is taken alone.
func TestRingOfFrames(t *testing.T) {
	r := datagram.NewRing(dataRingBytes, ringStart, frameOf)
	long := channelData(strings.Repeat("x", 2*chunkBytes))
	for _, f := range [][]byte{channelData("dropped"), long, channelData("a"), channelData(""), bindingAnswer, channelData("last")} {
		r.Push(f[:4], f[4:], nil)
	}
	r.DropFirst()
	if got := r.Take(make([]byte, 0, chunkBytes)); !bytes.Equal(got, long) {
		t.Errorf("%d bytes, want %d", len(got), len(long))
	}
	want := slices.Concat(channelData("a"), channelData(""), bindingAnswer, channelData("last"))
	if got := r.Take(make([]byte, 0, chunkBytes)); !bytes.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// bindingAnswer is one without attributes.
var bindingAnswer = append([]byte{0x01, 0x01, 0, 0, 0x21, 0x12, 0xa4, 0x42}, "transaction."...)
