package codec_test

import (
	"bytes"
	"testing"

	"github.com/pion/rtp/codecs"

	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/drop"
)

// Beginnings of payloads as browsers and encoders send them, cut after what matters.
var (
	vp8Key       = []byte{0x90, 0xE0, 0xAB, 0xCD, 0x2F, 0x20, 0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0x68, 0x01}
	vp8KeyNext   = []byte{0x80, 0xE0, 0xAB, 0xCD, 0x2F, 0x20, 0x10, 0x02, 0x00} // its second packet: S = 0
	vp8Delta     = []byte{0x90, 0xE0, 0xAB, 0xCE, 0x30, 0x60, 0x31, 0x05, 0x00, 0x07}
	vp8Partition = []byte{0x91, 0x80, 0x12, 0x10, 0x02, 0x00} // second partition starts: PID = 1, 7-bit id
	vp8Bare      = []byte{0x10, 0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A}

	vp9Key      = []byte{0xAA, 0x81, 0x23, 0x00, 0x40, 0x18, 0x01, 0x40, 0x00, 0xF0, 0x01, 0x04, 0x01, 0x82, 0x49, 0x83} // I L B V: with SS
	vp9KeyUpper = []byte{0xAC, 0x81, 0x23, 0x03, 0x40, 0x82, 0x49}                                                       // SID 1, D: inter-layer predicted
	vp9Delta    = []byte{0xEC, 0x81, 0x24, 0x30, 0x41, 0x86, 0x00}                                                       // P, TID 1
	vp9Flexible = []byte{0xFC, 0x81, 0x25, 0x20, 0x02, 0x86, 0x00}                                                       // F: no TL0PICIDX
	vp9Narrow   = []byte{0x8C, 0x55, 0x82, 0x49, 0x83}

	h264SPS      = []byte{0x67, 0x42, 0xC0, 0x1F, 0xDA, 0x01, 0x40, 0x16, 0xE8}
	h264PPS      = []byte{0x68, 0xCE, 0x3C, 0x80}
	h264IDR      = []byte{0x65, 0xB8, 0x00, 0x04, 0x00}
	h264IDRSlice = []byte{0x65, 0x00, 0x7A, 0x11} // first_mb_in_slice > 0
	h264NonIDR   = []byte{0x41, 0x9A, 0x21, 0x6C}
	h264STAPA    = append(append([]byte{0x78, 0x00, 0x09}, h264SPS...), append([]byte{0x00, 0x04}, h264PPS...)...)
	h264STAPSEI  = []byte{0x78, 0x00, 0x03, 0x06, 0x05, 0x01, 0x00, 0x02, 0x41, 0x9A}
	h264FUAStart = []byte{0x7C, 0x85, 0xB8, 0x00, 0x04, 0x00}
	h264FUANext  = []byte{0x7C, 0x05, 0x11, 0x22}
	h264FUADelta = []byte{0x5C, 0x81, 0x9A, 0x21}

	av1Key   = []byte{0x28, 0x0B, 0x0A, 0x0B, 0x00, 0x00, 0x00, 0x24, 0xCF, 0x7F, 0x0D, 0xBF, 0xFF, 0x30, 0x08} // W = 2, N
	av1Next  = []byte{0x90, 0x11, 0x22, 0x33}                                                                   // Z
	av1Delta = []byte{0x10, 0x32, 0x00, 0x8A}

	// Dependency descriptors, composed by the syntax of appendix A.8: L1T1 of 1280×720 with one chain on frame 0x0123, and
	// L1T2 of 640×360 with template id offset 7 on frame 0xFFFF, both with their template structure; then without.
	ddKeyL1T1 = []byte{0x80, 0x01, 0x23, 0x80, 0x00, 0x3A, 0x41, 0x01, 0x82, 0x7F, 0x81, 0x67, 0x80}
	ddKeyL1T2 = []byte{0xC7, 0xFF, 0xFF, 0x80, 0xE1, 0x1E, 0xA8, 0x51, 0x41, 0x01, 0x0C, 0x09, 0xFC, 0x05, 0x9C}
	ddDelta   = []byte{0xC1, 0x01, 0x24}
	ddMiddle  = []byte{0x00, 0x01, 0x23}
	ddTargets = []byte{0xC1, 0x01, 0x25, 0x40, 0x80} // extended fields with active decode targets and no structure
)

// A decoder can begin at the first packet of a key frame and nowhere else. Where a dependency descriptor is present it decides.
func TestInspect(t *testing.T) {
	type frame struct{ start, end, key bool }
	tests := []struct {
		name      string
		kind      codec.Kind
		payload   []byte
		marker    bool
		dd        []byte
		encrypted bool
		want      frame
	}{
		{"VP8 key", codec.VP8, vp8Key, false, nil, false, frame{start: true, key: true}},
		{"VP8 key, one packet", codec.VP8, vp8Key, true, nil, false, frame{start: true, end: true, key: true}},
		{"VP8 key, second packet", codec.VP8, vp8KeyNext, true, nil, false, frame{end: true}},
		{"VP8 delta", codec.VP8, vp8Delta, false, nil, false, frame{start: true}},
		{"VP8 later partition", codec.VP8, vp8Partition, false, nil, false, frame{}},
		{"VP8 without extension", codec.VP8, vp8Bare, false, nil, false, frame{start: true, key: true}},
		{"VP8 encrypted: its first byte tells nothing", codec.VP8, vp8Key, false, nil, true, frame{start: true}},
		{"VP8 encrypted, DD", codec.VP8, vp8Delta, false, ddKeyL1T1, true, frame{start: true, key: true}},
		{"VP8, DD contradicts", codec.VP8, vp8Key, false, ddDelta, false, frame{start: true, end: true}},

		{"VP9 key", codec.VP9, vp9Key, false, nil, false, frame{start: true, key: true}},
		{"VP9 key, upper layer", codec.VP9, vp9KeyUpper, true, nil, false, frame{start: true, end: true}},
		{"VP9 delta", codec.VP9, vp9Delta, false, nil, false, frame{start: true, end: true}},
		{"VP9 flexible delta", codec.VP9, vp9Flexible, true, nil, false, frame{start: true, end: true}},
		{"VP9 encrypted: the descriptor suffices", codec.VP9, vp9Key, false, nil, true, frame{start: true, key: true}},

		{"H.264 SPS", codec.H264, h264SPS, false, nil, false, frame{start: true, key: true}},
		{"H.264 PPS", codec.H264, h264PPS, false, nil, false, frame{}},
		{"H.264 IDR", codec.H264, h264IDR, true, nil, false, frame{start: true, end: true, key: true}},
		{"H.264 IDR, later slice", codec.H264, h264IDRSlice, true, nil, false, frame{end: true}},
		{"H.264 non-IDR", codec.H264, h264NonIDR, true, nil, false, frame{end: true}},
		{"H.264 STAP-A with SPS", codec.H264, h264STAPA, false, nil, false, frame{start: true, key: true}},
		{"H.264 STAP-A with SEI", codec.H264, h264STAPSEI, true, nil, false, frame{end: true}},
		{"H.264 FU-A of IDR starts", codec.H264, h264FUAStart, false, nil, false, frame{start: true, key: true}},
		{"H.264 FU-A of IDR goes on", codec.H264, h264FUANext, false, nil, false, frame{}},
		{"H.264 FU-A of non-IDR starts", codec.H264, h264FUADelta, false, nil, false, frame{}},
		{"H.264 encrypted", codec.H264, h264IDR, true, nil, true, frame{end: true}},
		{"H.264 encrypted, DD", codec.H264, h264IDR, true, ddKeyL1T2, true, frame{start: true, end: true, key: true}},

		{"AV1 key", codec.AV1, av1Key, false, nil, false, frame{start: true, key: true}},
		{"AV1 key goes on", codec.AV1, av1Next, true, nil, false, frame{end: true}},
		{"AV1 delta", codec.AV1, av1Delta, true, nil, false, frame{end: true}},
		{"AV1 N and Z contradict", codec.AV1, []byte{0x98, 1, 2}, false, nil, false, frame{}},
		{"AV1 key, DD L1T1", codec.AV1, av1Key, false, ddKeyL1T1, false, frame{start: true, key: true}},
		{"AV1 key, DD L1T2", codec.AV1, av1Key, true, ddKeyL1T2, false, frame{start: true, end: true, key: true}},
		{"AV1 DD of a delta", codec.AV1, av1Delta, true, ddDelta, false, frame{start: true, end: true}},
		{"AV1 DD in the middle", codec.AV1, av1Next, false, ddMiddle, false, frame{}},
		{"AV1 DD with decode targets only", codec.AV1, av1Delta, true, ddTargets, false, frame{start: true, end: true}},
		{"AV1 DD cut off is not used", codec.AV1, av1Key, false, ddDelta[:2], false, frame{start: true, key: true}},

		{"Opus", codec.Opus, []byte{0x78}, false, nil, false, frame{true, true, true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, r := codec.Inspect(tt.kind, tt.payload, tt.marker, tt.dd, tt.encrypted)
			if got := (frame{f.Start, f.End, f.Key}); got != tt.want || r != drop.None {
				t.Errorf("got %+v, %v; want %+v", got, r, tt.want)
			}
		})
	}
}

// Ids are read as the publisher wrote them.
func TestInspectIDs(t *testing.T) {
	tests := []struct {
		name    string
		kind    codec.Kind
		payload []byte
		dd      []byte
		picture int // -1: absent
		tl0     int
		number  int
	}{
		{"VP8, 15 bits", codec.VP8, vp8Key, nil, 0x2BCD, 0x2F, -1},
		{"VP8, 7 bits", codec.VP8, vp8Partition, nil, 0x12, -1, -1},
		{"VP8, none", codec.VP8, vp8Bare, nil, -1, -1, -1},
		{"VP8, DD", codec.VP8, vp8Key, ddKeyL1T1, 0x2BCD, 0x2F, 0x0123},
		{"VP9, 15 bits", codec.VP9, vp9Delta, nil, 0x0124, 0x41, -1},
		{"VP9, flexible", codec.VP9, vp9Flexible, nil, 0x0125, -1, -1},
		{"VP9, 7 bits", codec.VP9, vp9Narrow, nil, 0x55, -1, -1},
		{"H.264", codec.H264, h264IDR, nil, -1, -1, -1},
		{"AV1, DD", codec.AV1, av1Key, ddKeyL1T2, -1, -1, 0xFFFF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, _ := codec.Inspect(tt.kind, tt.payload, false, tt.dd, false)
			check := func(what string, has bool, got, want int) {
				if has != (want >= 0) || has && got != want {
					t.Errorf("%s: %d (%v), want %d", what, got, has, want)
				}
			}
			check("picture id", f.IDs.HasPictureID(), int(f.IDs.PictureID), tt.picture)
			check("TL0PICIDX", f.IDs.HasTL0PicIdx(), int(f.IDs.TL0PicIdx), tt.tl0)
			check("frame number", f.IDs.HasFrameNumber(), int(f.IDs.FrameNumber), tt.number)
		})
	}
}

// A descriptor that is cut off anywhere is malformed, and so is one with nothing behind it.
func TestInspectCutOff(t *testing.T) {
	tests := []struct {
		kind    codec.Kind
		payload []byte
		least   int // bytes that make it acceptable
	}{
		{codec.VP8, vp8Key, 7},
		{codec.VP8, vp8Partition, 4},
		{codec.VP8, vp8Bare, 2},
		{codec.VP9, vp9Delta, 6},
		{codec.VP9, vp9Flexible, 6},
		{codec.VP9, vp9Narrow, 3},
		{codec.H264, h264STAPA, len(h264STAPA)},
		{codec.H264, h264FUAStart, 2},
		{codec.H264, h264SPS, 1},
		{codec.AV1, av1Key, 2},
	}
	for _, tt := range tests {
		for n := range tt.payload {
			_, r := codec.Inspect(tt.kind, tt.payload[:n:n], false, nil, false)
			// A STAP-A may end after any unit: header alone, or header and SPS.
			whole := tt.kind == codec.H264 && tt.payload[0] == 0x78 && (n == 1 || n == 3+len(h264SPS))
			if ok := n >= tt.least || whole; (r == drop.None) != ok {
				t.Errorf("%v, %d bytes of %x: %v", tt.kind, n, tt.payload, r)
			}
		}
	}
	if _, r := codec.Inspect(codec.H264, []byte{0x78, 0, 0, 0, 1, 0x67}, false, nil, false); r != drop.RtpMalformed {
		t.Errorf("STAP-A with an empty unit: %v", r)
	}
}

func TestKinds(t *testing.T) {
	for k := codec.Opus; k <= codec.RED; k++ {
		if got, ok := codec.Parse(k.String()); got != k || !ok {
			t.Errorf("%v: %v, %v", k, got, ok)
		}
		if want := map[bool]uint32{true: 90000, false: 48000}[k.Video()]; k.ClockRate() != want {
			t.Errorf("%v runs at %d Hz", k, k.ClockRate())
		}
	}
	for _, name := range []string{"", "VP8", "rtx", "h265"} {
		if k, ok := codec.Parse(name); ok {
			t.Errorf("%q is %v", name, k)
		}
	}
	for _, k := range []codec.Kind{0, 200} {
		if k.String() != "unknown" || k.ClockRate() != 0 || k.Video() {
			t.Errorf("kind %d: %v, %d", uint8(k), k, k.ClockRate())
		}
	}
}

// Where pion/rtp accepts a payload, both read the same ids; no payload makes Inspect, Patch or Widen panic, and what has been
// patched reads back as the sum.
func FuzzInspect(f *testing.F) {
	for _, b := range [][]byte{vp8Key, vp8Delta, vp8Partition, vp9Key, vp9Flexible, vp9Narrow, h264STAPA, h264FUAStart, av1Key} {
		f.Add(uint8(codec.VP8), b, ddKeyL1T1)
		f.Add(uint8(codec.VP9), b, ddDelta)
		f.Add(uint8(codec.H264), b, []byte{})
		f.Add(uint8(codec.AV1), b, ddTargets)
	}
	f.Fuzz(func(t *testing.T, k uint8, payload, dd []byte) {
		kind := codec.Kind(k)
		frame, r := codec.Inspect(kind, payload, true, dd, false)
		if r != drop.None {
			return
		}
		ids := frame.IDs
		switch kind {
		case codec.VP8:
			var p codecs.VP8Packet
			if _, err := p.Unmarshal(payload); err == nil && (p.PictureID != ids.PictureID || p.TL0PICIDX != ids.TL0PicIdx) {
				t.Fatalf("pion reads %+v, own %+v", p, ids)
			}
		case codec.VP9:
			var p codecs.VP9Packet
			if _, err := p.Unmarshal(payload); err == nil && (p.PictureID != ids.PictureID || p.TL0PICIDX != ids.TL0PicIdx || len(dd) < 3 && p.B != frame.Start) {
				t.Fatalf("pion reads %+v, own %+v", p, ids)
			}
		}
		payload, dd = bytes.Clone(payload), bytes.Clone(dd)
		o := codec.Offsets{PictureID: 1, TL0PicIdx: 2, FrameNumber: 3}
		o.Patch(&ids, payload, dd)
		again, r := codec.Inspect(kind, payload, true, dd, false)
		if r != drop.None || again.Key != frame.Key || ids.HasTL0PicIdx() && again.IDs.TL0PicIdx != ids.TL0PicIdx+2 ||
			ids.HasFrameNumber() && again.IDs.FrameNumber != ids.FrameNumber+3 || (again.IDs.PictureID-ids.PictureID)&0x7F != 1 && ids.HasPictureID() {
			t.Fatalf("patched: %+v, before: %+v, %v", again, frame, r)
		}
		var w codec.Widener
		wide := w.Widen(kind, append(payload, 0)[:len(payload)])
		if after, r := codec.Inspect(kind, wide, true, dd, false); r != drop.None || after.IDs.PictureID != again.IDs.PictureID || after.Key != again.Key {
			t.Fatalf("widened: %+v, before: %+v, %v", after, again, r)
		}
	})
}
