package rtp_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pion/rtcp"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/rtp"
)

// unmarshal reads b with pion/rtcp, the oracle of these tests.
func unmarshal(t *testing.T, b []byte) []rtcp.Packet {
	t.Helper()
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		t.Fatalf("pion refuses %x: %v", b, err)
	}
	return packets
}

// marshal writes a packet with pion/rtcp and splits it with NextRTCP.
func marshal(t *testing.T, p rtcp.Packet) (rtp.RTCPHeader, []byte) {
	t.Helper()
	b, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	h, packet, rest, r := rtp.NextRTCP(b)
	if r != drop.None || len(rest) != 0 {
		t.Fatalf("%x: %v, %d bytes left", b, r, len(rest))
	}
	return h, packet
}

var (
	ownBlocks = []rtp.ReportBlock{
		{SSRC: 1, FractionLost: 128, Lost: 1000, Highest: 0x10002, Jitter: 7, LastSR: 0xAABBCCDD, Delay: 65536},
		{SSRC: 2, FractionLost: 0, Lost: 0, Highest: 3, Jitter: 0},
	}
	pionBlocks = []rtcp.ReceptionReport{
		{SSRC: 1, FractionLost: 128, TotalLost: 1000, LastSequenceNumber: 0x10002, Jitter: 7, LastSenderReport: 0xAABBCCDD, Delay: 65536},
		{SSRC: 2, LastSequenceNumber: 3},
	}
)

// What the builders append, pion/rtcp reads back.
func TestBuildersAgainstPion(t *testing.T) {
	sr := rtp.SenderReport{SSRC: 9, NTP: 0x1122334455667788, RTPTime: 1, Packets: 2, Octets: 3}
	tests := []struct {
		name string
		got  []byte
		want []rtcp.Packet
	}{
		{"SR", rtp.AppendSenderReport(nil, sr, ownBlocks), []rtcp.Packet{&rtcp.SenderReport{
			SSRC: 9, NTPTime: 0x1122334455667788, RTPTime: 1, PacketCount: 2, OctetCount: 3, Reports: pionBlocks,
		}}},
		{"RR", rtp.AppendReceiverReport(nil, 9, ownBlocks), []rtcp.Packet{
			&rtcp.ReceiverReport{SSRC: 9, Reports: pionBlocks, ProfileExtensions: []byte{}},
		}},
		{"RR without blocks", rtp.AppendReceiverReport(nil, 9, nil), []rtcp.Packet{
			&rtcp.ReceiverReport{SSRC: 9, ProfileExtensions: []byte{}},
		}},
		{"PLI", rtp.AppendPLI(nil, 9, 8), []rtcp.Packet{&rtcp.PictureLossIndication{SenderSSRC: 9, MediaSSRC: 8}}},
		{"NACK", rtp.AppendNACK(nil, 9, 8, []uint16{65535, 0, 15, 16, 40, 41}), []rtcp.Packet{
			&rtcp.TransportLayerNack{SenderSSRC: 9, MediaSSRC: 8, Nacks: []rtcp.NackPair{
				{PacketID: 65535, LostPackets: 1<<0 | 1<<15}, {PacketID: 16}, {PacketID: 40, LostPackets: 1},
			}},
		}},
		{"compound", rtp.AppendPLI(rtp.AppendSDES(nil, 9, "x"), 9, 8), []rtcp.Packet{
			&rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{
				{Source: 9, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "x"}}},
			}},
			&rtcp.PictureLossIndication{SenderSSRC: 9, MediaSSRC: 8},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := unmarshal(t, tt.got); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%x\ngot  %v\nwant %v", tt.got, got, tt.want)
			}
		})
	}
}

// SDES chunks end with one to four null bytes on a word (RFC 3550 §6.5).
func TestSDES(t *testing.T) {
	for _, cname := range []string{"", "a", "ab", "abc", "abcd", "abcde", strings.Repeat("x", 255)} {
		b := rtp.AppendSDES(nil, 9, cname)
		want := []rtcp.SourceDescriptionChunk{{Source: 9, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: cname}}}}
		if got := unmarshal(t, b)[0].(*rtcp.SourceDescription); !reflect.DeepEqual(got.Chunks, want) {
			t.Errorf("%q: %v", cname, got)
		}
	}
}

// What pion/rtcp writes, the decoders read.
func TestDecodersAgainstPion(t *testing.T) {
	h, p := marshal(t, &rtcp.SenderReport{SSRC: 9, NTPTime: 1 << 63, RTPTime: 5, PacketCount: 6, OctetCount: 7, Reports: pionBlocks})
	if h != (rtp.RTCPHeader{Type: rtp.TypeSenderReport, Count: 2, SSRC: 9}) {
		t.Errorf("header %+v", h)
	}
	sr, r := rtp.ParseSenderReport(p)
	if sr != (rtp.SenderReport{SSRC: 9, NTP: 1 << 63, RTPTime: 5, Packets: 6, Octets: 7}) || r != drop.None {
		t.Errorf("SR %+v, %v", sr, r)
	}
	_, rr := marshal(t, &rtcp.ReceiverReport{SSRC: 9, Reports: pionBlocks})
	for _, packet := range [][]byte{p, rr} {
		for i, want := range ownBlocks {
			if got, ok := rtp.ReportBlockAt(packet, i); got != want || !ok {
				t.Errorf("block %d: %+v, %v", i, got, ok)
			}
		}
		if _, ok := rtp.ReportBlockAt(packet, 2); ok {
			t.Error("a third block")
		}
	}

	_, p = marshal(t, &rtcp.TransportLayerNack{SenderSSRC: 9, MediaSSRC: 8, Nacks: []rtcp.NackPair{
		{PacketID: 65534, LostPackets: 0b1000_0000_0000_0111}, {PacketID: 100},
	}})
	if media, ok := rtp.MediaSSRC(p); media != 8 || !ok {
		t.Errorf("media %d", media)
	}
	var numbers []uint16
	for it := rtp.NACKs(p); ; {
		n, ok := it.Next()
		if !ok {
			break
		}
		numbers = append(numbers, n)
	}
	if want := []uint16{65534, 65535, 0, 1, 14, 100}; !slices.Equal(numbers, want) {
		t.Errorf("NACK %v, want %v", numbers, want)
	}

	_, p = marshal(t, &rtcp.FullIntraRequest{SenderSSRC: 9, FIR: []rtcp.FIREntry{{SSRC: 1, SequenceNumber: 2}, {SSRC: 3, SequenceNumber: 4}}})
	it := rtp.FIRs(p)
	for _, want := range [][2]uint32{{1, 2}, {3, 4}} {
		if ssrc, n, ok := it.Next(); ssrc != want[0] || uint32(n) != want[1] || !ok {
			t.Errorf("FIR %d %d %v", ssrc, n, ok)
		}
	}
	if _, _, ok := it.Next(); ok {
		t.Error("a third FIR entry")
	}
}

// NACKs survive the way there and back in any order, also over the wrap.
func TestNACKRoundTrip(t *testing.T) {
	for _, want := range [][]uint16{
		{1}, {1, 2, 3}, {1, 17, 18}, {1, 18}, {65530, 65535, 0, 5, 9}, {9, 3, 7}, {5, 5},
	} {
		var got []uint16
		for it := rtp.NACKs(rtp.AppendNACK(nil, 1, 2, want)); ; {
			n, ok := it.Next()
			if !ok {
				break
			}
			got = append(got, n)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if b := rtp.AppendNACK(nil, 1, 2, nil); len(b) != 0 {
		t.Errorf("a NACK of nothing: %x", b)
	}
}

// Limits: more than 31 blocks continue in RRs, a CNAME is cut after 255 bytes, lost saturates.
func TestWireLimits(t *testing.T) {
	blocks := make([]rtp.ReportBlock, 70)
	for i := range blocks {
		blocks[i].SSRC = uint32(i)
	}
	packets := unmarshal(t, rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 1}, blocks))
	if len(packets) != 3 || len(packets[0].(*rtcp.SenderReport).Reports) != 31 || len(packets[1].(*rtcp.ReceiverReport).Reports) != 31 ||
		packets[2].(*rtcp.ReceiverReport).Reports[7].SSRC != 69 {
		t.Errorf("got %v", packets)
	}
	if b := rtp.AppendSDES(nil, 1, strings.Repeat("x", 300)); !bytes.Equal(b, rtp.AppendSDES(nil, 1, strings.Repeat("x", 255))) {
		t.Error("a CNAME of 300 bytes")
	}
	for lost, want := range map[int32]int32{-1: -1, -1 << 30: -1 << 23, 1 << 30: 1<<23 - 1} {
		b := rtp.AppendReceiverReport(nil, 1, []rtp.ReportBlock{{Lost: lost}})
		if got, _ := rtp.ReportBlockAt(b, 0); got.Lost != want {
			t.Errorf("lost %d comes back as %d", lost, got.Lost)
		}
	}
}

func TestNextRTCPBounds(t *testing.T) {
	tests := []struct {
		name   string
		b      []byte
		reason drop.Reason
		size   int
		ssrc   uint32
	}{
		{"nothing", nil, drop.RtcpMalformed, 0, 0},
		{"3 bytes", []byte{0x80, 201, 0}, drop.RtcpMalformed, 0, 0},
		{"version 1", []byte{0x40, 201, 0, 0}, drop.RtcpMalformed, 0, 0},
		{"longer than the datagram", []byte{0x80, 201, 0, 1}, drop.RtcpMalformed, 0, 0},
		{"without an SSRC", []byte{0x80, 203, 0, 0}, drop.None, 4, 0},
		{"with one", []byte{0x80, 201, 0, 1, 0, 0, 0, 7}, drop.None, 8, 7},
		{"padded", []byte{0xA0, 201, 0, 2, 0, 0, 0, 7, 0, 0, 0, 4}, drop.None, 8, 7},
		{"padded from an odd byte", []byte{0xA0, 205, 0, 2, 0, 0, 0, 7, 9, 0, 0, 3}, drop.None, 9, 7},
		{"padding over the header", []byte{0xA0, 201, 0, 1, 0, 0, 0, 8}, drop.RtcpMalformed, 0, 0},
		{"padding of 0", []byte{0xA0, 201, 0, 1, 0, 0, 0, 0}, drop.RtcpMalformed, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, p, rest, r := rtp.NextRTCP(tt.b)
			if r != tt.reason || len(p) != tt.size || len(rest) != 0 || h.SSRC != tt.ssrc {
				t.Errorf("%+v, %x, rest %x, %v", h, p, rest, r)
			}
		})
	}
}

// Decoders given less than their packet type needs answer no.
func TestDecodersOfShortPackets(t *testing.T) {
	full := rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 1}, ownBlocks)
	for n := range len(full) {
		b := full[:n:n]
		if _, r := rtp.ParseSenderReport(b); (r == drop.None) != (n >= 28) {
			t.Errorf("SR of %d bytes: %v", n, r)
		}
		if _, ok := rtp.ReportBlockAt(b, 1); ok {
			t.Errorf("block 1 in %d bytes", n)
		}
		fir, nacks := rtp.FIRs(b[:min(n, 19)]), rtp.NACKs(b[:min(n, 15)])
		_, _, okFIR := fir.Next()
		_, okNACK := nacks.Next()
		_, okMedia := rtp.MediaSSRC(b[:min(n, 11)])
		if okFIR || okNACK || okMedia {
			t.Errorf("%d bytes: %v %v %v", n, okFIR, okNACK, okMedia)
		}
	}
}

// The round-trip time is arrival − LSR − DLSR, modulo 2^32 (RFC 3550 §6.4.1's own figures).
func TestRoundTrip(t *testing.T) {
	b := rtp.ReportBlock{LastSR: 0xb7052000, Delay: 0x00054000}
	if rtt, ok := b.RoundTrip(0xb710_8000); rtt != 0x0006_2000 || !ok {
		t.Errorf("%#x, %v", rtt, ok)
	}
	if _, ok := b.RoundTrip(0xb705_2001); ok {
		t.Error("a delay longer than the time since the SR")
	}
	if _, ok := (&rtp.ReportBlock{}).RoundTrip(5); ok {
		t.Error("no SR has been answered")
	}
}

func TestRTCPDoesNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 2000)
	numbers := []uint16{1, 2, 3, 70, 71}
	fir := []byte{0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 3, 0, 0, 0}
	n := testing.AllocsPerRun(100, func() {
		b := rtp.AppendSenderReport(dst[:0], rtp.SenderReport{SSRC: 1, NTP: 1 << 40}, ownBlocks)
		b = rtp.AppendReceiverReport(b, 1, ownBlocks)
		b = rtp.AppendSDES(b, 1, "name")
		b = rtp.AppendNACK(b, 1, 2, numbers)
		b = rtp.AppendPLI(b, 1, 2)
		b = append(b, fir...)
		for len(b) > 0 {
			_, p, rest, r := rtp.NextRTCP(b)
			if r != drop.None {
				t.Fatal(r)
			}
			visit(p)
			b = rest
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// visit runs every decoder over one packet.
func visit(p []byte) {
	_, _ = rtp.ParseSenderReport(p)
	for i := 0; ; i++ {
		if _, ok := rtp.ReportBlockAt(p, i); !ok {
			break
		}
	}
	_, _ = rtp.MediaSSRC(p)
	nacks, firs := rtp.NACKs(p), rtp.FIRs(p)
	for ok := true; ok; {
		_, ok = nacks.Next()
	}
	for ok := true; ok; {
		_, _, ok = firs.Next()
	}
}

// Whatever bytes come, splitting ends and no decoder panics or reads beyond its packet.
func FuzzRTCP(f *testing.F) {
	b := rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 1}, ownBlocks)
	b = rtp.AppendSDES(b, 1, "name")
	b = rtp.AppendNACK(b, 1, 2, []uint16{1, 2, 3, 70})
	f.Add(append(b, 0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 3, 0, 0, 0)) // a FIR
	f.Add([]byte{0xA0, 205, 0, 2, 0, 0, 0, 7, 9, 0, 0, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			_, p, rest, r := rtp.NextRTCP(b)
			if r != drop.None {
				return
			}
			if len(p) < 4 || len(rest) >= len(b) {
				t.Fatal("no progress")
			}
			visit(p)
			b = rest
		}
	})
}

// Feedback about arrivals is known by its first two bytes, padded or not, and nothing else is taken for it.
func TestTellsArrivals(t *testing.T) {
	arrivals, err := (&rtcp.TransportLayerCC{
		Header:       rtcp.Header{Padding: true, Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback, Length: 5},
		PacketChunks: []rtcp.PacketStatusChunk{&rtcp.RunLengthChunk{PacketStatusSymbol: rtcp.TypeTCCPacketNotReceived, RunLength: 1}}, PacketStatusCount: 1,
	}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if !rtp.TellsArrivals(arrivals) || !rtp.TellsArrivals(arrivals[:2]) {
		t.Errorf("not known: %x", arrivals)
	}
	for name, b := range map[string][]byte{
		"NACK": rtp.AppendNACK(nil, 9, 8, []uint16{1}), "PLI": rtp.AppendPLI(nil, 9, 8), "report": rtp.AppendReceiverReport(nil, 9, nil),
		"application": {0x8f, 206}, "sender report": {0x8f, 200}, "media": {0x8f, 96}, "version 1": {0x4f, 205}, "one byte": {0x8f}, "nothing": nil,
	} {
		if rtp.TellsArrivals(b) {
			t.Errorf("%s is taken for it", name)
		}
	}
}
