package codec_test

import (
	"bytes"
	"testing"

	"github.com/pion/rtp/codecs"

	"github.com/parley-rtc/parley/internal/codec"
)

// vp8 makes the first packet of a VP8 frame with a 15-bit picture id and TL0PICIDX.
func vp8(picture uint16, tl0 uint8) []byte {
	return []byte{0x90, 0xE0, byte(picture>>8) | 0x80, byte(picture), tl0, 0x20, 0x10, 0x02, 0x00}
}

// dd makes a dependency descriptor of a frame in one packet.
func dd(number uint16) []byte { return []byte{0xC1, byte(number >> 8), byte(number)} }

// source is a Producer: what it sent is what its buffers hold before each Consumer.
type source struct {
	payload, descriptor []byte
	ids                 codec.IDs
}

func newSource(t *testing.T, picture uint16, tl0 uint8, number uint16) *source {
	t.Helper()
	s := &source{payload: vp8(picture, tl0), descriptor: dd(number)}
	f, r := codec.Inspect(codec.VP8, s.payload, true, s.descriptor, false)
	if r != 0 {
		t.Fatal(r)
	}
	s.ids = f.IDs
	return s
}

// sent applies c to the source's packet and returns the ids that go out.
func (s *source) sent(t *testing.T, c *codec.Continuity) (picture uint16, tl0 uint8, number uint16) {
	t.Helper()
	c.Apply(&s.ids, s.payload, s.descriptor)
	return read(t, s.payload, s.descriptor)
}

// read reads ids with pion/rtp.
func read(t *testing.T, payload, descriptor []byte) (picture uint16, tl0 uint8, number uint16) {
	t.Helper()
	var p codecs.VP8Packet
	if _, err := p.Unmarshal(payload); err != nil {
		t.Fatal(err)
	}
	return p.PictureID, p.TL0PICIDX, uint16(descriptor[1])<<8 | uint16(descriptor[2])
}

// The first source's ids go out as they are, and after each switch the next frame's ids follow the highest ones sent, modulo
// their widths. Holes stay, and a late frame takes its place in them.
func TestContinuity(t *testing.T) {
	steps := []struct {
		name            string
		change          bool
		picture         uint16
		tl0             uint8
		number          uint16
		wantPicture     uint16
		wantTL0         uint8
		wantFrameNumber uint16
	}{
		{"first source", false, 100, 5, 1000, 100, 5, 1000},
		{"goes on", false, 101, 6, 1001, 101, 6, 1001},
		{"hole", false, 104, 9, 1004, 104, 9, 1004},
		{"late", false, 102, 7, 1002, 102, 7, 1002},
		{"second source", true, 32767, 255, 65535, 105, 10, 1005},
		{"its ids wrap", false, 0, 0, 0, 106, 11, 1006},
		{"late over the wrap", false, 32766, 254, 65534, 104, 9, 1004},
		{"goes on", false, 1, 1, 1, 107, 12, 1007},
		{"third source", true, 7, 7, 7, 108, 13, 1008},
		{"far ahead", false, 16000, 100, 30000, 16101, 106, 31001},
		{"outgoing ids wrap", false, 32000, 200, 60000, 32101, 206, 61001},
		{"fourth source", true, 0, 0, 0, 32102, 207, 61002},
		{"outgoing ids wrap", false, 1000, 60, 5000, 334, 11, 466},
		{"fifth source", true, 20000, 30, 40000, 335, 12, 467},
	}
	var c codec.Continuity
	for i, s := range steps {
		if s.change {
			c.Switch()
		}
		picture, tl0, number := newSource(t, s.picture, s.tl0, s.number).sent(t, &c)
		if picture != s.wantPicture || tl0 != s.wantTL0 || number != s.wantFrameNumber {
			t.Errorf("step %d, %s: %d, %d, %d; want %d, %d, %d", i, s.name,
				picture, tl0, number, s.wantPicture, s.wantTL0, s.wantFrameNumber)
		}
	}
}

// One buffer serves one Consumer after another, and what Apply returns gives a packet that is sent again the ids that it had,
// whatever was sent or left out since.
func TestContinuitySharesBuffers(t *testing.T) {
	var a, b codec.Continuity
	newSource(t, 50, 50, 50).sent(t, &a)
	newSource(t, 9000, 90, 9000).sent(t, &b)
	a.Switch()
	b.Switch()
	s := newSource(t, 1, 1, 1)
	for range 2 {
		if p, tl0, n := s.sent(t, &a); p != 51 || tl0 != 51 || n != 51 {
			t.Errorf("a gets %d, %d, %d", p, tl0, n)
		}
		if p, tl0, n := s.sent(t, &b); p != 9001 || tl0 != 91 || n != 9001 {
			t.Errorf("b gets %d, %d, %d", p, tl0, n)
		}
	}
	picture := a.Apply(&s.ids, s.payload, s.descriptor)
	newSource(t, 2, 2, 2).sent(t, &a)
	a.LeaveOut(&newSource(t, 3, 3, 3).ids)
	again := newSource(t, 1, 1, 1)
	a.Again(&again.ids, picture, again.payload, again.descriptor)
	if p, tl0, n := read(t, again.payload, again.descriptor); p != 51 || tl0 != 51 || n != 51 {
		t.Errorf("resent with %d, %d, %d", p, tl0, n)
	}
}

// Pictures of VP8 that are left out leave no hole in the ids; holes of the source stay, a late packet gets the id of its place,
// and what is left out is left out once, whatever the number of its packets.
func TestContinuityLeavesNoHole(t *testing.T) {
	const out = -1
	steps := []struct {
		picture uint16
		want    int
	}{
		{32764, 32764},
		{32765, out},
		{32765, out},
		{32766, 32765},
		{32767, out},
		{0, 32766},
		{1, out},
		{2, 32767},
		{5, 2}, // 3 and 4 are lost
		{6, out},
		{7, 3},
		{3, 0}, // 3 comes late, behind one that was left out since
		{32766, 32765},
		{0, 32766}, // and these come twice
		{32765, out},
		{6, out},
		{4, out}, // late packets of pictures that are left out change nothing
		{8, 4},
		{4, 1},
		{200, 196},
		{9, 5},
	}
	var c codec.Continuity
	for i, s := range steps {
		src := newSource(t, s.picture, 0, 0)
		if s.want == out {
			c.LeaveOut(&src.ids)
			if left := c.Left(&src.ids); left != (s.picture != 4) {
				t.Errorf("step %d: picture %d is left out: %v", i, s.picture, left)
			}
			continue
		}
		if c.Left(&src.ids) {
			t.Errorf("step %d: picture %d counts as left out", i, s.picture)
		}
		if picture, _, _ := src.sent(t, &c); int(picture) != s.want {
			t.Errorf("step %d: picture %d goes out as %d, want %d", i, s.picture, picture, s.want)
		}
	}
	c.Switch()
	left := newSource(t, 4999, 0, 0)
	c.LeaveOut(&left.ids) // of the source before
	if picture, _, _ := newSource(t, 5000, 0, 0).sent(t, &c); picture != 197 {
		t.Errorf("after a switch: %d", picture)
	}
}

// Ids of VP9 and frame numbers are left as they are within a source: there, holes mean nothing, and references count over them.
func TestContinuityKeepsReferences(t *testing.T) {
	var c codec.Continuity
	for i, payload := range [][]byte{vp9Key, vp9Delta, vp9Flexible} {
		payload, descriptor := bytes.Clone(payload), dd(uint16(i))
		f, _ := codec.Inspect(codec.VP9, payload, true, descriptor, false)
		if i == 1 {
			c.LeaveOut(&f.IDs)
		} else if picture := c.Apply(&f.IDs, payload, descriptor); picture != f.IDs.PictureID {
			t.Errorf("packet %d: picture %d, sent as %d", i, f.IDs.PictureID, picture)
		}
	}
}

// Patching changes ids and nothing else: the id's width, KEYIDX, the layer indices and the coded media stay.
func TestPatchTouchesIDsOnly(t *testing.T) {
	o := codec.Offsets{PictureID: 1, TL0PicIdx: 1, FrameNumber: 1}
	tests := []struct {
		name              string
		kind              codec.Kind
		payload, want     []byte
		descriptor, wantD []byte
	}{
		{"VP8 with KEYIDX", codec.VP8, []byte{0x90, 0xF0, 0xFF, 0xFF, 0xFF, 0x5F, 0x31}, []byte{0x90, 0xF0, 0x80, 0x00, 0x00, 0x5F, 0x31}, nil, nil},
		{"VP8, 7 bits", codec.VP8, []byte{0x90, 0x80, 0x7F, 0x31}, []byte{0x90, 0x80, 0x00, 0x31}, nil, nil},
		{"VP8 without ids", codec.VP8, []byte{0x10, 0x31}, []byte{0x10, 0x31}, nil, nil},
		{"VP9", codec.VP9, []byte{0xE8, 0x81, 0x24, 0x30, 0x41, 0x86}, []byte{0xE8, 0x81, 0x25, 0x30, 0x42, 0x86}, nil, nil},
		{"VP9 flexible", codec.VP9, []byte{0xF8, 0x81, 0x24, 0x30, 0x02, 0x86}, []byte{0xF8, 0x81, 0x25, 0x30, 0x02, 0x86}, nil, nil},
		{"H.264", codec.H264, h264IDR, h264IDR, nil, nil},
		{"AV1", codec.AV1, av1Key, av1Key, ddKeyL1T2, append([]byte{0xC7, 0, 0}, ddKeyL1T2[3:]...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			payload, descriptor := bytes.Clone(tt.payload), bytes.Clone(tt.descriptor)
			f, r := codec.Inspect(tt.kind, payload, false, descriptor, false)
			if r != 0 {
				t.Fatal(r)
			}
			o.Patch(&f.IDs, payload, descriptor)
			if !bytes.Equal(payload, tt.want) || !bytes.Equal(descriptor, tt.wantD) {
				t.Errorf("payload %x, descriptor %x", payload, descriptor)
			}
			o.Patch(&f.IDs, payload, nil) // the subscriber did not negotiate the descriptor
		})
	}
}

// A source without an id leaves that id's run untouched until a source has it again.
func TestContinuityOverSourcesWithoutIDs(t *testing.T) {
	var c codec.Continuity
	newSource(t, 100, 5, 1000).sent(t, &c)
	c.Switch()
	f, _ := codec.Inspect(codec.H264, h264IDR, true, nil, false)
	c.Apply(&f.IDs, bytes.Clone(h264IDR), nil)
	c.Switch()
	if p, tl0, n := newSource(t, 7, 7, 7).sent(t, &c); p != 101 || tl0 != 6 || n != 1001 {
		t.Errorf("%d, %d, %d", p, tl0, n)
	}
}

func TestCodecDoesNotAllocate(t *testing.T) {
	var c codec.Continuity
	var w codec.Widener
	buf := make([]byte, 64)
	n := testing.AllocsPerRun(100, func() {
		for _, k := range []struct {
			kind    codec.Kind
			payload []byte
		}{{codec.VP8, vp8Key}, {codec.VP8, vp8Partition}, {codec.VP9, vp9Key}, {codec.H264, h264STAPA}, {codec.AV1, av1Key}} {
			payload := w.Widen(k.kind, buf[:copy(buf, k.payload)])
			descriptor := buf[48 : 48+copy(buf[48:], ddKeyL1T1)]
			f, r := codec.Inspect(k.kind, payload, true, descriptor, false)
			if r != 0 {
				t.Fatal(r)
			}
			c.Switch()
			c.Apply(&f.IDs, payload, descriptor)
			c.LeaveOut(&f.IDs)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// 7-bit picture ids become 15-bit ones that run on over the 7-bit wrap, in both directions, and over the change to 15 bits
// that some publishers make at 128; nothing else of the payload changes.
func TestWiden(t *testing.T) {
	narrow := func(id uint16) []byte { return []byte{0x90, 0xE0, byte(id) & 0x7F, 9, 0x20, 0x10, 0xAB, 0xCD} }
	steps := []struct {
		in   []byte
		want uint16
	}{
		{narrow(126), 126},
		{narrow(127), 127},
		{narrow(0), 128},
		{narrow(127), 127}, // late
		{narrow(1), 129},
		{narrow(60), 188},
		{narrow(120), 248},
		{narrow(5), 261},
		{vp8(262, 9), 262},
		{vp8(16000, 9), 16000},
		{vp8(32000, 9), 32000},
		{vp8(32767, 9), 32767},
		{narrow(0), 0},
		{narrow(126), 32766}, // late
		{narrow(1), 1},
	}
	var w codec.Widener
	for i, s := range steps {
		buf := append(bytes.Clone(s.in), make([]byte, 16)...)
		got := w.Widen(codec.VP8, buf[:len(s.in)])
		var before, after codecs.VP8Packet
		mediaBefore, _ := before.Unmarshal(s.in)
		media, err := after.Unmarshal(got)
		if err != nil || after.PictureID != s.want || !bytes.Equal(media, mediaBefore) {
			t.Errorf("step %d: %x: id %d, want %d, %v", i, got, after.PictureID, s.want, err)
		}
		after.PictureID, after.Payload, before.PictureID, before.Payload = 0, nil, 0, nil
		if after.TL0PICIDX != before.TL0PICIDX || after.S != before.S || after.TID != before.TID {
			t.Errorf("step %d: %+v became %+v", i, before, after)
		}
	}
	vp9 := append(bytes.Clone(vp9Narrow), 0)
	if got := new(codec.Widener).Widen(codec.VP9, vp9[:len(vp9Narrow)]); !bytes.Equal(got, []byte{0x8C, 0x80, 0x55, 0x82, 0x49, 0x83}) {
		t.Errorf("VP9: %x", got)
	}
	for _, b := range [][]byte{vp8Bare, vp8Key, h264IDR, {0x90}, nil} {
		if got := new(codec.Widener).Widen(codec.VP8, append(bytes.Clone(b), 0)[:len(b)]); !bytes.Equal(got, b) {
			t.Errorf("%x became %x", b, got)
		}
	}
	tight := narrow(3)
	if got := new(codec.Widener).Widen(codec.VP8, tight[:len(tight):len(tight)]); !bytes.Equal(got, narrow(3)) {
		t.Errorf("without room: %x", got)
	}
}
