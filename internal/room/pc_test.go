package room

import (
	"fmt"
	"strings"

	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// pc is a client's RTCPeerConnection: what its next offer says.
type pc struct {
	certificate, restarts int
	lines                 []mline
	tracks                []wire.OfferTrack
	slots                 []wire.OfferSlot
	data                  bool
	made                  int // slots, ever: it numbers their mids
}

type mline struct {
	mid, direction, stream string
	codecs                 []string // "opus" makes it audio
	stopped                bool
	descriptor             bool // the dependency descriptor is offered
	rids                   []string
}

func fingerprint(certificate int) sdp.Fingerprint {
	return sdp.Fingerprint{Algorithm: "sha-256", Value: strings.TrimSuffix(strings.Repeat(fmt.Sprintf("%02X:", certificate), 32), ":")}
}

var rtpmaps = map[string]string{
	"opus": "111 opus/48000/2", "vp8": "96 VP8/90000", "vp9": "98 VP9/90000", "h264": "102 H264/90000", "av1": "45 AV1/90000",
	"g722": "9 G722/8000", "h263": "34 H263/90000",
}

func (p *pc) text() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0")
	bundle := ""
	for _, l := range p.lines {
		if !l.stopped {
			bundle += " " + l.mid
		}
	}
	if p.data {
		bundle += " data"
	}
	line("a=group:BUNDLE%s", bundle)
	line("a=ice-ufrag:user%d\r\na=ice-pwd:passwordpasswordpassword%d", p.restarts, p.restarts)
	line("a=fingerprint:sha-256 %s\r\na=setup:actpass", fingerprint(p.certificate).Value)
	for _, l := range p.lines {
		l.write(line)
	}
	if p.data {
		line("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:data\r\na=sctp-port:5000")
	}
	return b.String()
}

func (l *mline) write(line func(string, ...any)) {
	kind, port, types := "video", 9, ""
	for _, c := range l.codecs {
		if c == "opus" || c == "g722" {
			kind = "audio"
		}
		types += " " + strings.Fields(rtpmaps[c])[0]
	}
	if l.stopped {
		port = 0
	}
	line("m=%s %d UDP/TLS/RTP/SAVPF%s\r\nc=IN IP4 0.0.0.0\r\na=mid:%s\r\na=%s\r\na=rtcp-mux", kind, port, types, l.mid, l.direction)
	if l.descriptor {
		line("a=extmap-allow-mixed\r\na=extmap:12 %s", sdp.URIDependencyDescriptor)
	}
	if len(l.rids) > 0 {
		line("a=extmap:4 %s\r\na=extmap:10 %s", sdp.URIMid, sdp.URIRID)
		for _, rid := range l.rids {
			line("a=rid:%s send", rid)
		}
		line("a=simulcast:send %s", strings.Join(l.rids, ";"))
	}
	if l.stream != "" {
		line("a=msid:%s %s", l.stream, l.mid)
	}
	for _, c := range l.codecs {
		line("a=rtpmap:%s", rtpmaps[c])
		if c == "h264" {
			line("a=fmtp:102 packetization-mode=1;profile-level-id=42e01f")
		}
	}
}

func (l *mline) audio() bool { return l.codecs[0] == "opus" || l.codecs[0] == "g722" }

// publish adds a sending m-line.
func (p *pc) publish(mid string, source wire.Source, codecs ...string) {
	p.lines = append(p.lines, mline{mid: mid, direction: "sendonly", codecs: codecs, stream: "local"})
	p.tracks = append(p.tracks, wire.OfferTrack{Mid: mid, Source: source})
}

// simulcast adds a sending m-line with three encodings, which is 1280 × 720.
func (p *pc) simulcast(mid string, source wire.Source, codecs ...string) {
	p.publish(mid, source, codecs...)
	p.lines[len(p.lines)-1].rids = []string{"q", "h", "f"}
	t := &p.tracks[len(p.tracks)-1]
	for i, rid := range []string{"q", "h", "f"} {
		t.Encodings = append(t.Encodings, wire.OfferEncoding{RID: rid, Width: 320 << i, Height: 180 << i})
	}
}

// receive adds so many pairs and video-only slots, whose mids are a0, v0, a1, …, s7.
func (p *pc) receive(pairs, videos int, codecs ...string) {
	for range pairs {
		a, v := fmt.Sprintf("a%d", p.made), fmt.Sprintf("v%d", p.made)
		p.made++
		p.lines = append(p.lines, mline{mid: a, direction: "recvonly", codecs: []string{"opus"}},
			mline{mid: v, direction: "recvonly", codecs: codecs})
		p.slots = append(p.slots, wire.OfferSlot{Audio: a, Video: v})
	}
	for range videos {
		mid := fmt.Sprintf("s%d", p.made)
		p.made++
		p.lines = append(p.lines, mline{mid: mid, direction: "recvonly", codecs: codecs})
		p.slots = append(p.slots, wire.OfferSlot{Video: mid})
	}
}

// renew is a new RTCPeerConnection with the same m-lines.
func (p *pc) renew() {
	p.certificate++
	p.restarts++
}
