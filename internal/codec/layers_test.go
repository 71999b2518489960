package codec_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/drop"
)

// A dependency descriptor, composed by the syntax of RTP Payload Format For AV1, appendix A.8.
type (
	structure struct {
		offset    int
		targets   int
		chains    int
		templates []kindOfFrame
		sizes     []codec.Size
	}
	kindOfFrame struct {
		spatial, temporal int
		indications       string // one of "-DSR" for each decode target
		diffs             []int
	}
	// described is one frame's descriptor.
	described struct {
		template, number int
		last             bool // the packet ends the frame, too
		structure        *structure
		active           int    // decode targets; -1: not told
		indications      string // of its own
		diffs            []int  // of its own
	}
)

type bitWriter struct {
	b []byte
	n int
}

func (w *bitWriter) put(v, n int) {
	for i := n - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.n/8] |= byte(v>>i&1) << (7 - w.n%8)
		w.n++
	}
}

func (w *bitWriter) nonSymmetric(v, n int) {
	bits := 0
	for x := n; x > 0; x >>= 1 {
		bits++
	}
	if short := 1<<bits - n; v < short {
		w.put(v, bits-1)
	} else {
		w.put(v+short, bits)
	}
}

func (w *bitWriter) indications(s string) {
	for _, c := range s {
		w.put(strings.IndexRune("-DSR", c), 2)
	}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (d described) bytes() []byte {
	var w bitWriter
	w.put(1, 1)
	w.put(bit(d.last), 1)
	w.put(d.template, 6)
	w.put(d.number, 16)
	if d.structure == nil && d.active < 0 && d.indications == "" && d.diffs == nil {
		return w.b
	}
	w.put(bit(d.structure != nil), 1)
	w.put(bit(d.active >= 0), 1)
	w.put(bit(d.indications != ""), 1)
	w.put(bit(d.diffs != nil), 1)
	w.put(0, 1)
	targets := 9
	if d.structure != nil {
		d.structure.write(&w)
		targets = d.structure.targets
	}
	if d.active >= 0 {
		w.put(d.active, targets)
	}
	w.indications(d.indications)
	if d.diffs != nil {
		for _, diff := range d.diffs {
			w.put(1, 2)
			w.put(diff-1, 4)
		}
		w.put(0, 2)
	}
	return w.b
}

func (s *structure) write(w *bitWriter) {
	w.put(s.offset, 6)
	w.put(s.targets-1, 5)
	for i, t := range s.templates {
		if i > 0 {
			switch before := s.templates[i-1]; {
			case t.spatial > before.spatial:
				w.put(2, 2)
			case t.temporal > before.temporal:
				w.put(1, 2)
			default:
				w.put(0, 2)
			}
		}
	}
	w.put(3, 2)
	for _, t := range s.templates {
		w.indications(t.indications)
	}
	for _, t := range s.templates {
		for _, diff := range t.diffs {
			w.put(1, 1)
			w.put(diff-1, 4)
		}
		w.put(0, 1)
	}
	w.nonSymmetric(s.chains, s.targets+1)
	if s.chains > 0 {
		for target := range s.targets {
			w.nonSymmetric(target*s.chains/s.targets, s.chains)
		}
		for range len(s.templates) * s.chains {
			w.put(1, 4)
		}
	}
	w.put(bit(s.sizes != nil), 1)
	for _, size := range s.sizes {
		w.put(int(size.Width)-1, 16)
		w.put(int(size.Height)-1, 16)
	}
}

// Three temporal layers, as libwebrtc sends them.
var l1t3 = structure{offset: 9, targets: 3, chains: 1, templates: []kindOfFrame{
	{0, 0, "SSS", nil}, {0, 0, "SSS", []int{4}}, {0, 1, "-DS", []int{2}}, {0, 2, "--D", []int{1}}, {0, 2, "--D", []int{1}},
}}

// Three spatial and three temporal layers, each frame depending on the spatial layer below. Targets are S0T0, S0T1, …
var l3t3 = structure{targets: 9, chains: 3, sizes: []codec.Size{{320, 180}, {640, 360}, {1280, 720}}, templates: []kindOfFrame{
	{0, 0, "SSSSSSSSS", nil},
	{0, 0, "SSSRRRRRR", []int{12}},
	{0, 1, "-DS-RR-RR", []int{6}},
	{0, 2, "--D--R--R", []int{3}},
	{1, 0, "---SSSSSS", []int{1}},
	{1, 0, "---SSSRRR", []int{12, 1}},
	{1, 1, "----DS-RR", []int{6, 1}},
	{1, 2, "-----D--R", []int{3, 1}},
	{2, 0, "------SSS", []int{1}},
	{2, 0, "------SSS", []int{12, 1}},
	{2, 1, "-------DS", []int{6, 1}},
	{2, 2, "--------D", []int{3, 1}},
}}

// layer is what a test compares of a Frame.
type layer struct {
	key               bool
	spatial, temporal uint8
	up                uint8
	step              bool
}

func seen(t *testing.T, s *codec.Stream, kind codec.Kind, payload, descriptor []byte) layer {
	t.Helper()
	f, r := s.Inspect(kind, payload, false, descriptor, false)
	if r != drop.None {
		t.Fatal(r)
	}
	return layer{f.Key, f.Spatial, f.Temporal, f.Switch, f.Step}
}

// A dependency descriptor tells the layer of each frame, with which temporal layers a decoder can go on from it, and whether a
// spatial layer can begin with it.
func TestDependencyDescriptorLayers(t *testing.T) {
	tests := []struct {
		structure *structure
		frames    []described
		want      []layer
	}{
		{&l1t3, []described{
			{template: 9, structure: &l1t3, active: -1},
			{template: 12, active: -1},
			{template: 11, active: -1},
			{template: 13, active: -1},
			{template: 10, active: -1},
			{template: 11, active: -1, indications: "-RR"},
			{template: 14, active: -1},
		}, []layer{
			{true, 0, 0, 0b111, false},
			{false, 0, 2, 0, false},
			{false, 0, 1, 0b100, false},
			{false, 0, 2, 0, false},
			{false, 0, 0, 0b111, false},
			{false, 0, 1, 0, false},
			{}, // 14 is beyond the structure
		}},
		{&l3t3, []described{
			{template: 0, structure: &l3t3, active: -1},
			{template: 4, active: -1},
			{template: 8, active: -1},
			{template: 3, active: -1},
			{template: 7, active: -1},
			{template: 11, active: -1},
			{template: 2, active: -1},
			{template: 6, active: -1},
			{template: 10, active: -1},
			{template: 1, active: -1},
			{template: 5, active: -1},
			{template: 9, active: -1},
			{template: 1, active: -1},
			{template: 5, active: -1, diffs: []int{1}},
			{template: 9, active: -1, diffs: []int{2, 1}},
		}, []layer{
			{true, 0, 0, 0b111, false},
			{false, 1, 0, 0b111, true},
			{false, 2, 0, 0b111, true},
			{false, 0, 2, 0, false},
			{false, 1, 2, 0, false},
			{false, 2, 2, 0, false},
			{false, 0, 1, 0b100, false},
			{false, 1, 1, 0b100, false},
			{false, 2, 1, 0b100, false},
			{false, 0, 0, 0b111, false},
			{false, 1, 0, 0b111, false},
			{false, 2, 0, 0b111, false},
			{false, 0, 0, 0b111, false},
			{false, 1, 0, 0b111, true},
			{false, 2, 0, 0b111, true}, // the upper layers come back
		}},
	}
	for i, tt := range tests {
		var s codec.Stream
		for n, d := range tt.frames {
			d.number = 65530 + n // over the wrap
			if got := seen(t, &s, codec.AV1, av1Delta, d.bytes()); got != tt.want[n] {
				t.Errorf("structure %d, frame %d: %+v, want %+v", i, n, got, tt.want[n])
			}
		}
		if size := s.Size(2); tt.structure.sizes != nil && size != tt.structure.sizes[2] {
			t.Errorf("structure %d: size %v", i, size)
		}
	}
}

// Active decode targets say which layers the publisher sends; a structure makes all of them active, and what an older frame says
// does not count.
func TestActiveDecodeTargets(t *testing.T) {
	var s codec.Stream
	if !s.Active(2, 2) {
		t.Error("a layer is inactive before anything was told")
	}
	steps := []struct {
		d         described
		s0, s1, t bool // S0T2, S1T2, S0T1
	}{
		{described{template: 0, number: 10, structure: &l3t3, active: 0b000_000_111}, true, false, true},
		{described{template: 1, number: 30, active: 0b000_111_111}, true, true, true},
		{described{template: 1, number: 20, active: 1}, true, true, true}, // late
		{described{template: 1, number: 40, active: 1}, false, false, false},
		{described{template: 0, number: 35, structure: &l3t3, active: -1}, true, true, true},
		{described{template: 0, number: 5, structure: &l1t3, active: -1}, true, true, true}, // a late structure
	}
	for i, x := range steps {
		seen(t, &s, codec.AV1, av1Delta, x.d.bytes())
		if s0, s1, t1 := s.Active(0, 2), s.Active(1, 2), s.Active(0, 1); s0 != x.s0 || s1 != x.s1 || t1 != x.t {
			t.Errorf("step %d: %v, %v, %v", i, s0, s1, t1)
		}
	}
	if got := seen(t, &s, codec.AV1, av1Delta, described{template: 11, number: 41, active: -1}.bytes()); got.spatial != 2 {
		t.Errorf("the late structure was believed: %+v", got)
	}
}

// A frame whose structure is missing counts as one of the base layer, and so does one whose descriptor is cut off.
func TestDependencyDescriptorWithoutStructure(t *testing.T) {
	var s codec.Stream
	if got := seen(t, &s, codec.AV1, av1Delta, described{template: 3, active: -1}.bytes()); got != (layer{}) {
		t.Errorf("%+v", got)
	}
	whole := described{template: 8, number: 1, structure: &l3t3, active: -1}.bytes()
	for n := 4; n < len(whole); n++ {
		var s codec.Stream
		f, _ := s.Inspect(codec.AV1, av1Delta, false, whole[:n], false)
		if f.Spatial != 0 || s.Size(0) != (codec.Size{}) {
			t.Fatalf("%d bytes of %d were believed: %+v", n, len(whole), f)
		}
	}
	if got := seen(t, &s, codec.VP9, vp9Key, whole); got.key || got.spatial != 2 {
		t.Errorf("the upper layer of a key picture is a key frame: %+v", got)
	}
}

// Limits: a structure with more templates or spatial layers than there can be is not believed; temporal layers above the fourth
// count as the fourth.
func TestStructureLimits(t *testing.T) {
	many := func(n int, change func(i int, k *kindOfFrame)) *structure {
		s := &structure{targets: 1}
		for i := range n {
			k := kindOfFrame{indications: "S"}
			change(i, &k)
			s.templates = append(s.templates, k)
		}
		return s
	}
	same := func(int, *kindOfFrame) {}
	for i, x := range []struct {
		s    *structure
		last int // template
		want layer
	}{
		{many(64, func(i int, k *kindOfFrame) { k.temporal = i / 63 }), 63, layer{temporal: 1, up: 2}},
		{many(65, func(i int, k *kindOfFrame) { k.temporal = i / 62 }), 63, layer{}},
		{many(4, func(i int, k *kindOfFrame) { k.spatial = i }), 3, layer{spatial: 3, up: 1, step: true}},
		{many(5, func(i int, k *kindOfFrame) { k.spatial = i }), 3, layer{}},
		{many(6, func(i int, k *kindOfFrame) { k.temporal = i }), 5, layer{temporal: 3, up: 8}},
		{many(1, same), 0, layer{up: 1}},
	} {
		var s codec.Stream
		seen(t, &s, codec.AV1, av1Delta, described{structure: x.s, active: -1}.bytes())
		if got := seen(t, &s, codec.AV1, av1Delta, described{template: x.last, number: 1, active: -1}.bytes()); got != x.want {
			t.Errorf("structure %d: %+v, want %+v", i, got, x.want)
		}
	}
}

// VP8 and VP9 tell layers and switch points in their own descriptors.
func TestPayloadDescriptorLayers(t *testing.T) {
	tests := []struct {
		name    string
		kind    codec.Kind
		payload []byte
		want    layer
	}{
		{"VP8 key", codec.VP8, vp8Key, layer{key: true}},
		{"VP8 T1, Y", codec.VP8, vp8Delta, layer{temporal: 1, step: true}},
		{"VP8 T2", codec.VP8, []byte{0x90, 0x20, 0x80, 0x31}, layer{temporal: 2}},
		{"VP8 with KEYIDX alone", codec.VP8, []byte{0x90, 0x10, 0xFF, 0x31}, layer{}},
		{"VP9 T1, U", codec.VP9, vp9Delta, layer{temporal: 1, up: 0xFE}},
		{"VP9 T1", codec.VP9, vp9Flexible, layer{temporal: 1}},
		{"VP9 key, S1, D", codec.VP9, vp9KeyUpper, layer{spatial: 1, step: true}},
		{"VP9 S1, P", codec.VP9, []byte{0xEC, 0x81, 0x23, 0x03, 0x40, 0x82}, layer{spatial: 1}},
		{"VP9 beyond what is told apart", codec.VP9, []byte{0xEC, 0x81, 0x23, 0xEE, 0x40, 0x82}, layer{spatial: 3, temporal: 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := seen(t, new(codec.Stream), tt.kind, tt.payload, nil); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

// A key frame tells its size: VP8 in its frame header, H.264 in its sequence parameter set, VP9 in the scalability structure.
func TestSizes(t *testing.T) {
	sps := func(s string) []byte { b, _ := hex.DecodeString(s); return b }
	aggregate := func(units ...[]byte) []byte {
		b := []byte{0x78}
		for _, u := range units {
			b = append(append(b, byte(len(u)>>8), byte(len(u))), u...)
		}
		return b
	}
	vp9 := []byte{0xAA, 0x81, 0x23, 0x00, 0x40, 0x30, 0x01, 0x40, 0x00, 0xB4, 0x02, 0x80, 0x01, 0x68, 0x82, 0x49}
	baseline := sps("6742c01ed900a02ff970110000030001000003003c0f162e48")
	tests := []struct {
		name    string
		kind    codec.Kind
		payload []byte
		spatial uint8
		want    codec.Size
	}{
		{"VP8", codec.VP8, vp8Key, 0, codec.Size{640, 360}},
		{"VP8, cut off", codec.VP8, vp8Key[:12], 0, codec.Size{}},
		{"VP9", codec.VP9, vp9, 0, codec.Size{320, 180}},
		{"VP9, S1", codec.VP9, vp9, 1, codec.Size{640, 360}},
		{"VP9, cut off", codec.VP9, vp9[:13], 1, codec.Size{}},
		{"H.264 baseline", codec.H264, baseline, 0, codec.Size{640, 360}},
		{"H.264 high, cropped", codec.H264, sps("67640028acd940780227e5c044000003000400000300f03c60c658"), 0, codec.Size{1920, 1080}},
		{"H.264 high 4:4:4, cropped", codec.H264, sps("67f4000d919b282a33c7c5e022000003000200000300781e28532c"), 0, codec.Size{322, 182}},
		{"H.264 high 10", codec.H264, sps("676e000ba6cd942c4ec044000003000400000300f03c50a658"), 0, codec.Size{176, 144}},
		{"H.264 interlaced, default scaling lists", codec.H264, sps("67640028acd94078044fde0220000003002000000783e2c5b2c0"), 0, codec.Size{1920, 1080}},
		{"H.264 STAP-A", codec.H264, aggregate([]byte{6, 5, 1}, baseline, h264PPS), 0, codec.Size{640, 360}},
		{"H.264 cut off", codec.H264, baseline[:6], 0, codec.Size{}},
		{"H.264 IDR", codec.H264, h264IDR, 0, codec.Size{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s codec.Stream
			if _, r := s.Inspect(tt.kind, tt.payload, false, nil, false); r != drop.None || s.Size(tt.spatial) != tt.want {
				t.Errorf("%v, %v; want %v", s.Size(tt.spatial), r, tt.want)
			}
			var encrypted codec.Stream
			if encrypted.Inspect(tt.kind, tt.payload, false, nil, true); tt.kind != codec.VP9 && encrypted.Size(0) != (codec.Size{}) {
				t.Error("looked into encrypted media")
			}
		})
	}
	if new(codec.Stream).Size(200) != (codec.Size{}) {
		t.Error("a layer that cannot be has a size")
	}
}

// After the first structure, nothing is allocated, not even by others.
func TestStreamDoesNotAllocate(t *testing.T) {
	var s codec.Stream
	key, delta := described{structure: &l3t3, active: 511}.bytes(), described{template: 9, active: -1, diffs: []int{3}}.bytes()
	seen(t, &s, codec.AV1, av1Delta, key)
	n := testing.AllocsPerRun(100, func() {
		s.Inspect(codec.AV1, av1Delta, true, key, false)
		s.Inspect(codec.AV1, av1Delta, true, delta, false)
		s.Inspect(codec.VP9, vp9Key, true, nil, false)
		s.Inspect(codec.VP8, vp8Key, true, nil, false)
		s.Inspect(codec.H264, h264STAPA, true, nil, false)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever two packets of a stream say, layers stay within what is told apart, reading does not change a packet, and a base
// layer's frame is no step.
func FuzzStream(f *testing.F) {
	for _, d := range []described{{structure: &l1t3, active: -1}, {structure: &l3t3, active: 5}, {template: 9, active: -1, diffs: []int{1, 2}}} {
		f.Add(uint8(codec.AV1), av1Key, d.bytes(), av1Delta, described{template: 10, active: 3, indications: "-DSR"}.bytes())
		f.Add(uint8(codec.H264), h264SPS, d.bytes(), h264STAPA, ddTargets)
		f.Add(uint8(codec.VP9), vp9Key, d.bytes(), vp9Flexible, ddMiddle)
	}
	f.Add(uint8(codec.VP8), vp8Key, []byte{}, vp8Delta, []byte{})
	f.Add(uint8(codec.VP9), []byte("0200"), []byte("\xb000\xcb"), []byte("0"), []byte("0")) // S1 whose descriptor says key frame
	f.Fuzz(func(t *testing.T, k uint8, first, firstDD, second, secondDD []byte) {
		var s codec.Stream
		before := fmt.Sprintf("%x%x%x%x", first, firstDD, second, secondDD)
		for _, p := range []struct{ payload, dd []byte }{{first, firstDD}, {second, secondDD}, {first, firstDD}} {
			frame, r := s.Inspect(codec.Kind(k), p.payload, true, p.dd, false)
			if r != drop.None {
				continue
			}
			if frame.Spatial >= codec.SpatialLayers || frame.Temporal >= codec.TemporalLayers {
				t.Fatalf("layer %d, %d", frame.Spatial, frame.Temporal)
			}
			if frame.Step && frame.Spatial == 0 && frame.Temporal == 0 || frame.Key && frame.Spatial > 0 {
				t.Fatalf("%+v", frame)
			}
			for spatial := range uint8(codec.SpatialLayers) {
				s.Active(spatial, frame.Temporal)
			}
		}
		if after := fmt.Sprintf("%x%x%x%x", first, firstDD, second, secondDD); after != before {
			t.Fatal("reading has changed a packet")
		}
		if bytes.Equal(first, second) && len(firstDD)+len(secondDD) == 0 {
			a, _ := s.Inspect(codec.Kind(k), first, true, nil, false)
			b, _ := s.Inspect(codec.Kind(k), second, true, nil, false)
			if a != b {
				t.Fatalf("%+v, then %+v", a, b)
			}
		}
	})
}
