package sdp

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const testHash = "35:43:F8:4B:76:D3:D0:8E:69:75:CB:D8:80:1A:75:36:AD:B9:77:A9:7C:CE:E5:A1:A8:E8:B1:E8:E2:68:8F:E3"

// smallest is an offer that has just what is needed, for tests that break one thing.
const smallest = `v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=ice-ufrag:MODa
a=ice-pwd:kHCNl2A9oxlX35pM5yirBav1
a=fingerprint:sha-256 ` + testHash + `
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendonly
a=msid:cam voice
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10
a=ssrc:7 cname:me
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=mid:1
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=recvonly
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
`

func offer(t *testing.T, text string) *Offer {
	t.Helper()
	o, err := ParseOffer(text)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func captured(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".offer.sdp")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// An offer's fields say what the text says, inherited values and defaults included.
func TestParseOfferFields(t *testing.T) {
	got := offer(t, smallest)
	want := &Offer{
		ICE:          ICE{Ufrag: "MODa", Pwd: "kHCNl2A9oxlX35pM5yirBav1"},
		Fingerprints: []Fingerprint{{Algorithm: "sha-256", Value: testHash}},
		Setup:        "actpass", Bundle: []string{"0", "1"},
		Sections: []Section{{
			Mid: "0", Kind: Audio, Direction: SendOnly, StreamID: "cam", TrackID: "voice", CNAME: "me", SSRCs: []uint32{7},
			Codecs:     []Codec{{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2, Parameters: "minptime=10"}},
			Extensions: []Extension{{ID: 1, URI: URIMid}}, RTX: map[uint32]uint32{},
			SCTPPort: DefaultSCTPPort, MaxMessage: DefaultMaxMessage,
			Media: "audio", Protocol: "UDP/TLS/RTP/SAVPF", Formats: []string{"111"},
		}, {
			Mid: "1", Kind: Video, Direction: RecvOnly,
			Codecs:     []Codec{{Name: "vp8", PayloadType: 96, ClockRate: 90000, Feedback: []string{"nack"}, RTX: 97}},
			Extensions: []Extension{{ID: 1, URI: URIMid}}, RTX: map[uint32]uint32{},
			SCTPPort: DefaultSCTPPort, MaxMessage: DefaultMaxMessage,
			Media: "video", Protocol: "UDP/TLS/RTP/SAVPF", Formats: []string{"96", "97"},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What browsers offer is understood: SSRCs with their RTX, simulcast by RID, session-level fingerprints, bundle-only
// m-lines with port 0, data channels.
func TestParseOfferOfBrowsers(t *testing.T) {
	tests := []struct {
		name     string
		sections int
		check    func(*Offer) bool
	}{
		{"chromium-publish", 2, func(o *Offer) bool {
			v := o.Sections[1]
			return len(v.SSRCs) == 1 && v.RTX[v.SSRCs[0]] != 0 && v.CNAME == o.Sections[0].CNAME && v.StreamID == o.Sections[0].StreamID
		}},
		{"firefox-publish", 2, func(o *Offer) bool {
			v := o.Sections[1]
			return !v.Rejected && len(v.SSRCs) == 1 && v.RTX[v.SSRCs[0]] != 0 && strings.HasPrefix(v.StreamID, "{") && v.ReducedRTCP
		}},
		{"chromium-simulcast", 2, func(o *Offer) bool {
			return slices.Equal(o.Sections[1].RIDs, []string{"q", "h", "f"}) && len(o.Sections[1].SSRCs) == 0
		}},
		{"firefox-simulcast", 2, func(o *Offer) bool {
			return slices.Equal(o.Sections[1].RIDs, []string{"q", "h", "f"}) && len(o.Sections[1].SSRCs) == 3 && len(o.Sections[1].RTX) == 3
		}},
		{"chromium-slots", 11, func(o *Offer) bool { return o.Sections[10].ReceivesData || o.Sections[0].ReceivesData }},
		{"firefox-session", 13, func(o *Offer) bool {
			i := slices.IndexFunc(o.Sections, func(s Section) bool { return s.Kind == Application })
			return i >= 0 && o.Sections[i].SCTPPort == 5000 && o.Sections[i].MaxMessage == 1073741823
		}},
		{"chromium-screen", 1, func(o *Offer) bool { return o.Sections[0].Kind == Video && o.Sections[0].MixedHeaders }},
		{"pion-publish", 3, func(o *Offer) bool { return o.Sections[1].SSRCs != nil && o.Sections[2].ReceivesData }},
	}
	for _, tt := range tests {
		o := offer(t, captured(t, tt.name))
		if len(o.Sections) != tt.sections || !tt.check(o) {
			t.Errorf("%s: %+v", tt.name, o)
		}
		if o.Setup != "actpass" || len(o.Fingerprints) != 1 {
			t.Errorf("%s: setup %q, fingerprints %v", tt.name, o.Setup, o.Fingerprints)
		}
	}
}

// An offer that cannot be served is refused with a reason; what is merely odd is accepted.
func TestRefusals(t *testing.T) {
	tests := []struct {
		what     string
		old, new string
		reason   string // empty: accepted
	}{
		{"no bundle", "a=group:BUNDLE 0 1\n", "", "not in the BUNDLE group"},
		{"one m-line outside of the bundle", "BUNDLE 0 1", "BUNDLE 0", "not in the BUNDLE group"},
		{"no rtcp-mux", "a=rtcp-mux\na=rtpmap:111", "a=rtpmap:111", "rtcp-mux"},
		{"no fingerprint", "a=fingerprint:sha-256 " + testHash + "\n", "", "no a=fingerprint"},
		{"only a weak fingerprint", "a=fingerprint:sha-256 " + testHash, "a=fingerprint:sha-1 AB:CD", "no a=fingerprint"},
		{"a weak fingerprint beside a strong one", "a=fingerprint:sha-256", "a=fingerprint:md5 AB:CD\na=fingerprint:sha-256", ""},
		{"SDES in place of a fingerprint", "a=fingerprint:sha-256 " + testHash, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x", "no a=fingerprint"},
		{"fingerprint too short", testHash, testHash[:80], "fingerprint"},
		{"fingerprint without colons", testHash, strings.ReplaceAll(testHash, ":", ""), "fingerprint"},
		{"fingerprint in lower case", testHash, strings.ToLower(testHash), ""},
		{"setup passive", "a=setup:actpass", "a=setup:passive", "only waits"},
		{"setup active", "a=setup:actpass", "a=setup:active", ""},
		{"no setup", "a=setup:actpass\n", "", ""},
		{"ufrag too short", "ice-ufrag:MODa", "ice-ufrag:MOD", "ice-ufrag"},
		{"pwd too short", "kHCNl2A9oxlX35pM5yirBav1", "kHCNl2A9oxlX35pM5yirB", "ice-pwd"},
		{"ufrag with other characters", "ice-ufrag:MODa", "ice-ufrag:MO:a", "ice-ufrag"},
		{"ICE-lite client", "t=0 0\n", "t=0 0\na=ice-lite\n", "ICE-lite"},
		{"the same mid twice", "a=mid:1", "a=mid:0", "this a=mid"},
		{"no mid", "a=mid:1\n", "", "no a=mid"},
		{"mid with a space", "a=mid:1", "a=mid:1 1", "cannot be understood: a=mid"},
		{"two mids", "a=mid:1\n", "a=mid:1\na=mid:2\n", "a=mid:2"},
		{"an extension id with two meanings", "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\na=recvonly", "a=extmap:1 urn:x\na=recvonly", "a=extmap:1"},
		{"an extension id twice", "a=recvonly", "a=extmap:1 urn:y\na=recvonly", "extmap"},
		{"extension id 0", "a=recvonly", "a=extmap:0 urn:y\na=recvonly", "extmap"},
		{"extension id 15, which no header can carry", "a=recvonly", "a=extmap:15 urn:y\na=recvonly", ""},
		{"extension ids for another day", "a=recvonly", "a=extmap:4096 urn:y\na=recvonly", ""},
		{"extension in an unknown direction", "a=recvonly", "a=extmap:2/up urn:y\na=recvonly", "extmap"},
		{"plain RTP", "9 UDP/TLS/RTP/SAVPF 111", "9 RTP/AVP 111", "not DTLS-SRTP"},
		{"an SSRC in two m-lines", "a=recvonly", "a=ssrc:7 cname:x\na=recvonly", "another m-line"},
		{"an SSRC that is no number", "a=ssrc:7", "a=ssrc:seven", "a=ssrc"},
		{"FID with one SSRC", "a=recvonly", "a=ssrc-group:FID 8\na=recvonly", "a=ssrc-group"},
		{"a payload type twice", "SAVPF 96 97", "SAVPF 96 96", "payload type"},
		{"a payload type above 127", "SAVPF 96 97", "SAVPF 96 128", "payload type"},
		{"rtpmap twice", "a=rtpmap:97 rtx/90000", "a=rtpmap:96 rtx/90000", "a=rtpmap"},
		{"rtpmap without a clock", "VP8/90000", "VP8", "a=rtpmap"},
		{"a stopped first m-line, which alone has the credentials", "BUNDLE 0 1\nm=audio 9", "BUNDLE 1\nm=audio 0", "ice-ufrag"},
		{"an m-line of text, stopped", "m=video 9 UDP/TLS/RTP/SAVPF 96 97", "m=text 9 UDP/TLS/RTP/SAVPF 96 97", ""},
		{"a bare carriage return", "a=mid:1", "a=mid:1\ra=evil", "control characters"},
		{"a NUL", "a=mid:1", "a=mid:1\x00", "control characters"},
		{"not UTF-8", "a=mid:1", "a=mid:\xff", "not UTF-8"},
		{"not SDP", "v=0", "hello", "not SDP"},
		{"no m-line", smallest[strings.Index(smallest, "m=audio"):], "", "no m-line"},
	}
	for _, tt := range tests {
		text := strings.Replace(smallest, tt.old, tt.new, 1)
		if text == smallest {
			t.Errorf("%s: nothing was replaced", tt.what)
			continue
		}
		_, err := ParseOffer(text)
		var e *Error
		switch {
		case tt.reason == "" && err != nil:
			t.Errorf("%s: %v", tt.what, err)
		case tt.reason != "" && !errors.As(err, &e):
			t.Errorf("%s: accepted (%v)", tt.what, err)
		case tt.reason != "" && !strings.Contains(err.Error(), tt.reason):
			t.Errorf("%s: %v, want …%s…", tt.what, err, tt.reason)
		}
	}
}

// Every limit is refused just beyond it and accepted at it.
func TestLimits(t *testing.T) {
	lines := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format+"\n", i+20)
		}
		return b.String()
	}
	stopped := "m=audio 0 UDP/TLS/RTP/SAVPF 0\nc=IN IP4 0.0.0.0\n"
	beforeDirection := func(add string) string { return strings.Replace(smallest, "a=recvonly\n", add+"a=recvonly\n", 1) }
	tests := []struct {
		what string
		at   string // at the limit, then one more
		more string
	}{
		{"m-lines", smallest + strings.Repeat(stopped, MaxSections-2), smallest + strings.Repeat(stopped, MaxSections-1)},
		{"bytes", pad(smallest, MaxBytes), pad(smallest, MaxBytes+1)},
		{
			"mid", strings.NewReplacer("BUNDLE 0 1", "BUNDLE 0 "+strings.Repeat("m", 16), "mid:1", "mid:"+strings.Repeat("m", 16)).Replace(smallest),
			strings.NewReplacer("BUNDLE 0 1", "BUNDLE 0 "+strings.Repeat("m", 17), "mid:1", "mid:"+strings.Repeat("m", 17)).Replace(smallest),
		},
		{"ufrag", strings.Replace(smallest, "MODa", strings.Repeat("u", 256), 1), strings.Replace(smallest, "MODa", strings.Repeat("u", 257), 1)},
		{"value", beforeDirection("a=x:" + strings.Repeat("v", maxValueBytes) + "\n"), beforeDirection("a=x:" + strings.Repeat("v", maxValueBytes+1) + "\n")},
		{"extensions", beforeDirection(lines("a=extmap:%d urn:x", maxExtensions-1)), beforeDirection(lines("a=extmap:%d urn:x", maxExtensions))},
		{"ssrcs", beforeDirection(lines("a=ssrc:%d cname:x", maxSSRCs)), beforeDirection(lines("a=ssrc:%d cname:x", maxSSRCs+1))},
		{"rids", beforeDirection(lines("a=rid:%d send", maxRIDs)), beforeDirection(lines("a=rid:%d send", maxRIDs+1))},
		{"simulcast", beforeDirection("a=simulcast:send " + strings.Repeat("a;", maxRIDs-1) + "a\n"), beforeDirection("a=simulcast:send " + strings.Repeat("a;", maxRIDs) + "a\n")},
		{"feedback", beforeDirection(lines("a=rtcp-fb:96 x%d", maxFeedback-1)), beforeDirection(lines("a=rtcp-fb:96 x%d", maxFeedback))},
		{"feedback for all", beforeDirection(lines("a=rtcp-fb:* x%d", maxFeedback)), beforeDirection(lines("a=rtcp-fb:* x%d", maxFeedback+1))},
		{"fingerprints", fingerprints(maxFingerprints), fingerprints(maxFingerprints + 1)},
	}
	for _, tt := range tests {
		if _, err := ParseOffer(tt.at); err != nil {
			t.Errorf("%s: at the limit: %v", tt.what, err)
		}
		if _, err := ParseOffer(tt.more); err == nil {
			t.Errorf("%s: beyond the limit: accepted", tt.what)
		}
	}
}

// pad makes a text size bytes long with session-level attributes that mean nothing.
func pad(text string, size int) string {
	line := "a=x:" + strings.Repeat("p", 1000) + "\n"
	head, tail, _ := strings.Cut(text, "m=audio")
	tail = "m=audio" + tail
	for len(head)+len(tail)+2*len(line) <= size {
		head += line
	}
	rest := size - len(head) - len(tail)
	return head + "a=x:" + strings.Repeat("p", rest-5) + "\n" + tail
}

func fingerprints(n int) string {
	line := "a=fingerprint:sha-256 " + testHash + "\n"
	return strings.Replace(smallest, line, strings.Repeat(line, n), 1)
}

// A client may name each m-line's own transport; the one of the BUNDLE group's first living m-line counts (RFC 8843 §7.2).
func TestTransportOfTheTaggedSection(t *testing.T) {
	own := "a=ice-ufrag:other\na=ice-pwd:otherotherotherotherother\na=setup:active\na=fingerprint:sha-256 " + strings.Replace(testHash, "35", "00", 1) + "\na=mid:1\n"
	text := strings.Replace(smallest, "a=mid:1\n", own, 1)
	if o := offer(t, text); o.ICE.Ufrag != "MODa" || o.Setup != "actpass" {
		t.Errorf("first m-line: %+v", o)
	}
	text = strings.Replace(text, "BUNDLE 0 1", "BUNDLE 1 0", 1)
	if o := offer(t, text); o.ICE.Ufrag != "other" || o.Setup != "active" || !strings.HasPrefix(o.Fingerprints[0].Value, "00") {
		t.Errorf("second m-line first in the group: %+v", o)
	}
}

// Whatever the text, ParseOffer refuses it with an *Error or gives an offer that can be answered, line by line.
func FuzzParseOffer(f *testing.F) {
	f.Add(smallest)
	for _, name := range []string{"chromium-session", "firefox-simulcast", "chromium-simulcast", "pion-publish"} {
		f.Add(captured(f, name))
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseOffer(text)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Reason == "" {
				t.Fatalf("no *Error: %v", err)
			}
			return
		}
		a, err := o.Answer(decisions(o))
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("no *Error: %v", err)
			}
			return
		}
		if n := strings.Count(a.SDP, "\nm="); n != len(o.Sections) || len(a.Sections) != n {
			t.Fatalf("%d m-lines answered with %d", len(o.Sections), n)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(a.SDP, "\r\n"), "\r\n") {
			if len(line) < 2 || line[1] != '=' || strings.ContainsAny(line, "\r\n") {
				t.Fatalf("line %q", line)
			}
		}
	})
}
