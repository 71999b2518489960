package rtp_test

import (
	"bytes"
	"testing"

	pion "github.com/pion/rtp"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
)

// A video packet as Chromium sends it: mid, abs-send-time and transport-cc in the one-byte form, padded to a word.
var chromiumVP8 = []byte{
	0x90, 0xE0, 0x1A, 0x2B, 0x5D, 0x00, 0x10, 0x20, 0xCA, 0xFE, 0xBA, 0xBE,
	0xBE, 0xDE, 0x00, 0x03,
	0x22, 0x6B, 0x01, 0x9C, // id 2: abs-send-time
	0x31, 0x00, 0x2A, // id 3: transport-cc
	0x40, '1', // id 4: mid
	0x00, 0x00, 0x00,
	0x90, 0x80, 0x81, 0x02, 0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A,
}

// Every field of a packet from the field is where RFC 3550 §5.1 and RFC 8285 §4.2 put it.
func TestParseFieldPacket(t *testing.T) {
	var p rtp.Packet
	if r := p.Parse(chromiumVP8); r != drop.None {
		t.Fatal(r)
	}
	want := rtp.Header{PayloadType: 96, Marker: true, SequenceNumber: 0x1A2B, Timestamp: 0x5D001020, SSRC: 0xCAFEBABE}
	if p.Header() != want {
		t.Errorf("header %+v", p.Header())
	}
	if p.HeaderLen() != 28 || !bytes.Equal(p.Payload(), chromiumVP8[28:]) || p.PaddingOnly() {
		t.Errorf("header of %d bytes, payload %x", p.HeaderLen(), p.Payload())
	}
	for id, want := range map[uint8]string{2: "\x6B\x01\x9C", 3: "\x00\x2A", 4: "1"} {
		if got := p.Extension(id); string(got) != want {
			t.Errorf("extension %d is %x", id, got)
		}
	}
	if p.Extension(1) != nil || p.Extension(0) != nil || p.Extension(15) != nil {
		t.Error("an extension that is not there")
	}
}

func TestHeaderBounds(t *testing.T) {
	fixed := []byte{0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3}
	with := func(first byte, tail ...byte) []byte {
		b := append(bytes.Clone(fixed), tail...)
		b[0] = first
		return b
	}
	tests := []struct {
		name   string
		b      []byte
		reason drop.Reason
		header int
		length int // payload
	}{
		{"nothing", nil, drop.RtpMalformed, 0, 0},
		{"11 bytes", fixed[:11], drop.RtpMalformed, 0, 0},
		{"header only", fixed, drop.None, 12, 0},
		{"version 1", with(0x40), drop.RtpMalformed, 0, 0},
		{"CSRC cut off", with(0x81, 1, 2, 3), drop.RtpMalformed, 0, 0},
		{"two CSRCs", with(0x82, 1, 2, 3, 4, 5, 6, 7, 8, 9), drop.None, 20, 1},
		{"extension header cut off", with(0x90, 0xBE, 0xDE, 0), drop.RtpMalformed, 0, 0},
		{"extension cut off", with(0x90, 0xBE, 0xDE, 0, 1, 0, 0, 0), drop.RtpMalformed, 0, 0},
		{"empty extension", with(0x90, 0xBE, 0xDE, 0, 0, 9), drop.None, 16, 1},
		{"extension of 65535 words", with(0x90, 0xBE, 0xDE, 0xFF, 0xFF), drop.RtpMalformed, 0, 0},
		{"padding", with(0xA0, 7, 0, 0, 3), drop.None, 12, 1},
		{"padding only", with(0xA0, 0, 0, 3), drop.None, 12, 0},
		{"padding without a byte", with(0xA0), drop.RtpMalformed, 0, 0},
		{"padding of 0", with(0xA0, 7, 0), drop.RtpMalformed, 0, 0},
		{"padding beyond the payload", with(0xA0, 7, 3), drop.RtpMalformed, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p rtp.Packet
			r := p.Parse(tt.b)
			if r != tt.reason {
				t.Fatalf("reason %v", r)
			}
			if r != drop.None {
				return
			}
			if p.HeaderLen() != tt.header || len(p.Payload()) != tt.length || p.PaddingOnly() != (tt.length == 0) {
				t.Errorf("header %d, payload %x", p.HeaderLen(), p.Payload())
			}
		})
	}
}

// HeaderLen needs clear text only up to the payload: the padding bit of an encrypted packet is not followed.
func TestHeaderLenOfEncryptedPacket(t *testing.T) {
	b := bytes.Clone(chromiumVP8)
	b[0] |= 0x20
	b[len(b)-1] = 0xFF // would be a padding length, were it decrypted
	if n, r := rtp.HeaderLen(b); n != 28 || r != drop.None {
		t.Errorf("%d, %v", n, r)
	}
}

// Elements: RFC 8285 §4.2 and §4.3 with their padding, reserved ids, empty elements and lengths out of bounds.
func TestExtensionForms(t *testing.T) {
	packet := func(profile uint16, elements ...byte) []byte {
		for len(elements)%4 != 0 {
			elements = append(elements, 0)
		}
		b := []byte{0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, byte(profile >> 8), byte(profile), 0, byte(len(elements) / 4)}
		return append(append(b, elements...), 0xEE)
	}
	tests := []struct {
		name string
		b    []byte
		id   uint8
		want string
		ok   bool
	}{
		{"one-byte", packet(0xBEDE, 0x10, 0xAA, 0x21, 0xBB, 0xCC), 2, "\xBB\xCC", true},
		{"one-byte, padding between", packet(0xBEDE, 0x10, 0xAA, 0, 0, 0x20, 0xBB), 2, "\xBB", true},
		{"one-byte, id 15 ends", packet(0xBEDE, 0xF0, 0xAA, 0x20, 0xBB), 2, "", false},
		{"one-byte, id 0 with a length ends", packet(0xBEDE, 0x01, 0xAA, 0xAA, 0x20, 0xBB), 2, "", false},
		{"one-byte, beyond the block", packet(0xBEDE, 0x2F, 1, 2, 3), 2, "", false},
		{"two-byte", packet(0x1000, 1, 1, 0xAA, 200, 2, 0xBB, 0xCC), 200, "\xBB\xCC", true},
		{"two-byte, application bits", packet(0x100F, 2, 1, 0xAA), 2, "\xAA", true},
		{"two-byte, empty", packet(0x1000, 2, 0, 3, 1, 9), 2, "", true},
		{"two-byte, padding between", packet(0x1000, 1, 0, 0, 2, 1, 0xAA), 2, "\xAA", true},
		{"two-byte, beyond the block", packet(0x1000, 2, 9, 1, 2), 2, "", false},
		{"two-byte, length cut off", packet(0x1000, 1, 1, 7, 2), 2, "", false},
		{"another profile", packet(0x1234, 0x20, 0xAA), 2, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p rtp.Packet
			if r := p.Parse(tt.b); r != drop.None {
				t.Fatal(r)
			}
			got := p.Extension(tt.id)
			if (got != nil) != tt.ok || string(got) != tt.want {
				t.Errorf("got %x (%v)", got, got != nil)
			}
			if cap(got) != len(got) {
				t.Errorf("an element could grow into its neighbour")
			}
		})
	}
}

// What AppendHeader writes, pion/rtp reads: in the one-byte form where all fits it, else in the two-byte form.
func TestAppendHeaderAgainstPion(t *testing.T) {
	tests := []struct {
		name    string
		ext     []rtp.Extension
		profile uint16
	}{
		{"none", nil, 0},
		{"one-byte", []rtp.Extension{{ID: 1, B: []byte("a")}, {ID: 14, B: []byte("0123456789abcdef")}}, 0xBEDE},
		{"id above 14", []rtp.Extension{{ID: 1, B: []byte("a")}, {ID: 15, B: []byte("b")}}, 0x1000},
		{"17 bytes", []rtp.Extension{{ID: 3, B: []byte("0123456789abcdefg")}}, 0x1000},
		{"empty", []rtp.Extension{{ID: 3}, {ID: 4, B: []byte("xy")}}, 0x1000},
	}
	h := rtp.Header{PayloadType: 111, Marker: true, SequenceNumber: 65535, Timestamp: 1 << 31, SSRC: 0xDEADBEEF}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := rtp.AppendHeader([]byte("before"), h, tt.ext)[6:]

			b = append(b, "payload"...)
			var want pion.Packet
			if err := want.Unmarshal(b); err != nil {
				t.Fatalf("%x: %v", b, err)
			}
			if want.PayloadType != 111 || !want.Marker || want.SequenceNumber != 65535 || want.Timestamp != 1<<31 ||
				want.SSRC != 0xDEADBEEF || want.ExtensionProfile != tt.profile || string(want.Payload) != "payload" {
				t.Errorf("pion reads %v", want)
			}
			var got rtp.Packet
			if r := got.Parse(b); r != drop.None || got.Header() != h {
				t.Errorf("%v, %+v", r, got.Header())
			}
			for _, e := range tt.ext {
				if !bytes.Equal(want.GetExtension(e.ID), e.B) || !bytes.Equal(got.Extension(e.ID), e.B) {
					t.Errorf("extension %d: pion %x, own %x, want %x", e.ID, want.GetExtension(e.ID), got.Extension(e.ID), e.B)
				}
			}
		})
	}
}

// A retransmission packet becomes the packet that it repeats: number, payload type and SSRC (RFC 4588 §4).
func TestUnwrapRTX(t *testing.T) {
	original := bytes.Clone(chromiumVP8)
	b := bytes.Clone(original[:28])
	b[1], b[2], b[3], b[8] = 0x80|97, 0x77, 0x77, 0x11
	b[0] |= 0x20
	b = append(b, 0x1A, 0x2B) // original sequence number
	b = append(b, original[28:]...)
	b = append(b, 0, 2) // padding
	var p rtp.Packet
	if r := p.Parse(b); r != drop.None {
		t.Fatal(r)
	}
	if r := p.UnwrapRTX(96, 0xCAFEBABE); r != drop.None {
		t.Fatal(r)
	}
	p.Resize(len(p.Payload()))
	if !bytes.Equal(p.Bytes(), original) {
		t.Errorf("got  %x\nwant %x", p.Bytes(), original)
	}
	var again rtp.Packet
	if r := again.Parse(p.Bytes()); r != drop.None || !bytes.Equal(again.Payload(), original[28:]) || string(p.Extension(4)) != "1" {
		t.Errorf("%v, payload %x", r, again.Payload())
	}

	for _, tt := range []struct {
		payload []byte
		want    drop.Reason
	}{{nil, drop.RtpPadding}, {[]byte{1}, drop.RtpMalformed}, {[]byte{0, 1}, drop.None}} {
		_ = p.Parse(append(rtp.AppendHeader(nil, rtp.Header{}, nil), tt.payload...))
		if r := p.UnwrapRTX(96, 1); r != tt.want {
			t.Errorf("payload %x: %v", tt.payload, r)
		}
	}
}

// Resize lets a payload grow into what is left of the buffer.
func TestResize(t *testing.T) {
	buf := append(bytes.Clone(chromiumVP8), make([]byte, 16)...)
	var p rtp.Packet
	_ = p.Parse(buf[:len(chromiumVP8)])
	n := len(p.Payload())
	grown := p.Payload()[:n+1]
	grown[n] = 0x55
	p.Resize(n + 1)
	if got := p.Payload(); len(got) != n+1 || got[n] != 0x55 || len(p.Bytes()) != len(chromiumVP8)+1 {
		t.Errorf("%x", got)
	}
}

func TestIsRTCP(t *testing.T) {
	for kind := range 256 {
		want := kind >= 192 && kind <= 223
		if got := rtp.IsRTCP([]byte{0x80, byte(kind)}); got != want {
			t.Errorf("%d: %v", kind, got)
		}
	}
	if rtp.IsRTCP([]byte{0x80}) {
		t.Error("a single byte is RTCP")
	}
}

func TestPacketPathDoesNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 1500)
	in := bytes.Clone(chromiumVP8)
	n := testing.AllocsPerRun(100, func() {
		var p rtp.Packet
		if p.Parse(in) != drop.None {
			t.Fatal("does not parse")
		}
		ext := [3]rtp.Extension{{ID: 5, B: p.Extension(4)}, {ID: 6, B: p.Extension(2)}, {ID: 20, B: p.Extension(3)}}
		h := p.Header()
		dst = rtp.AppendHeader(dst[:0], h, ext[:2])
		dst = rtp.AppendHeader(dst[:0], h, ext[:])
		dst = append(dst, p.Payload()...)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A packet that pion/rtp and this package both accept has the same fields for both; nothing panics.
func FuzzPacket(f *testing.F) {
	f.Add(chromiumVP8)
	f.Add([]byte{0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3})
	f.Add([]byte{0xB1, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 1, 1, 1, 1, 0x10, 0, 0, 2, 1, 0, 0, 2, 3, 9, 9, 9, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var p rtp.Packet
		if p.Parse(bytes.Clone(b)) != drop.None {
			return
		}
		var want pion.Header
		if n, err := want.Unmarshal(b); err == nil {
			if want.SequenceNumber != p.SequenceNumber() || want.SSRC != p.SSRC() || want.Timestamp != p.Timestamp() ||
				want.Marker != p.Marker() || want.PayloadType != p.PayloadType() || n != p.HeaderLen() {
				t.Fatalf("pion reads %v, own %+v", want, p.Header())
			}
		}
		for id := range 256 {
			_ = p.Extension(uint8(id))
		}
		before := len(p.Payload())
		if p.UnwrapRTX(96, 7) == drop.None && (len(p.Payload()) != before-2 || p.SSRC() != 7) {
			t.Fatal("RTX")
		}
	})
}
