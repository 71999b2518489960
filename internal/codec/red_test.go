package codec_test

import (
	"bytes"
	"testing"

	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/drop"
)

// A payload as Chromium sends it: one redundant block of 20 ms before, then the primary.
func TestParseRED(t *testing.T) {
	payload := []byte{0x80 | 111, 960 >> 6, 960 & 0x3f << 2, 3, 111, 'o', 'l', 'd', 'n', 'e', 'w', '!'}
	var blocks [codec.MaxBlocks]codec.Block
	n, r := codec.ParseRED(payload, &blocks)
	if n != 2 || r != drop.None {
		t.Fatalf("%d blocks, %v", n, r)
	}
	if b := blocks[0]; b.PayloadType != 111 || b.Offset != 960 || string(b.Payload) != "old" || cap(b.Payload) != 3 {
		t.Errorf("redundant: %+v", b)
	}
	if b := blocks[1]; b.PayloadType != 111 || b.Offset != 0 || string(b.Payload) != "new!" {
		t.Errorf("primary: %+v", b)
	}
	if out := codec.AppendRED(nil, blocks[:2]); !bytes.Equal(out, payload) {
		t.Errorf("written again: % x", out)
	}
}

// Redundant blocks may be empty, and so may the primary; there may be no redundancy at all.
func TestParseREDEdges(t *testing.T) {
	redundant := []byte{0x80 | 111, 0, 0, 0}
	for _, c := range []struct {
		name    string
		payload []byte
		blocks  int
	}{
		{"primary alone", []byte{111, 1, 2}, 1},
		{"empty primary", []byte{111}, 1},
		{"empty blocks", append(append(bytes.Clone(redundant), redundant...), 111), 3},
		{"as many as there may be", append(bytes.Repeat(redundant, codec.MaxBlocks-1), 111), codec.MaxBlocks},
		{"nothing", nil, 0},
		{"no primary", redundant, 0},
		{"a header that is cut off", []byte{0x80 | 111, 0, 0}, 0},
		{"a block that is cut off", []byte{0x80 | 111, 0, 0, 5, 111, 1, 2, 3, 4}, 0},
		{"too many blocks", append(bytes.Repeat(redundant, codec.MaxBlocks), 111), 0},
	} {
		var blocks [codec.MaxBlocks]codec.Block
		n, r := codec.ParseRED(c.payload, &blocks)
		if n != c.blocks || (r == drop.None) != (c.blocks > 0) {
			t.Errorf("%s: %d blocks, %v", c.name, n, r)
		}
	}
}

// Offsets have 14 bits and lengths 10; what does not fit cannot be told.
func TestBlockFits(t *testing.T) {
	for _, c := range []struct {
		offset uint32
		bytes  int
		want   bool
	}{{16383, 1023, true}, {16384, 10, false}, {960, 1024, false}} {
		b := codec.Block{Offset: c.offset, Payload: make([]byte, c.bytes)}
		if b.Fits() != c.want {
			t.Errorf("offset %d, %d bytes: %v", c.offset, c.bytes, !c.want)
		}
	}
	var blocks [codec.MaxBlocks]codec.Block
	out := codec.AppendRED(nil, []codec.Block{{PayloadType: 127, Offset: 16383, Payload: make([]byte, 1023)}, {PayloadType: 1}})
	if n, r := codec.ParseRED(out, &blocks); n != 2 || r != drop.None || blocks[0].Offset != 16383 || len(blocks[0].Payload) != 1023 || blocks[0].PayloadType != 127 {
		t.Errorf("%d blocks, %v: %+v", n, r, blocks[0])
	}
}

func TestREDAllocatesNothing(t *testing.T) {
	payload := []byte{0x80 | 111, 960 >> 6, 960 & 0x3f << 2, 3, 111, 'o', 'l', 'd', 'n', 'e', 'w'}
	out := make([]byte, 0, 100)
	n := testing.AllocsPerRun(100, func() {
		var blocks [codec.MaxBlocks]codec.Block
		n, _ := codec.ParseRED(payload, &blocks)
		codec.AppendRED(out, blocks[:n])
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever comes, blocks lie within the payload, and writing them again gives the same payload.
func FuzzParseRED(f *testing.F) {
	f.Add([]byte{0x80 | 111, 960 >> 6, 960 & 0x3f << 2, 3, 111, 'o', 'l', 'd', 'n', 'e', 'w'})
	f.Add([]byte{111, 1, 2})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, payload []byte) {
		var blocks [codec.MaxBlocks]codec.Block
		n, r := codec.ParseRED(payload, &blocks)
		if r != drop.None {
			return
		}
		for i := range n - 1 {
			if !blocks[i].Fits() {
				t.Fatalf("block %d does not fit: %+v", i, blocks[i])
			}
		}
		if out := codec.AppendRED(nil, blocks[:n]); !bytes.Equal(out, payload) {
			t.Fatalf("% x was written again as % x", payload, out)
		}
	})
}
