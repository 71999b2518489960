package sdp

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func answer(t *testing.T, o *Offer, change func(*Local)) *Answer {
	t.Helper()
	l := decisions(o)
	if change != nil {
		change(l)
	}
	a, err := o.Answer(l)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The Negotiated values mean the same as the text: what a shard is told to expect and to send.
func TestNegotiated(t *testing.T) {
	a := answer(t, offer(t, smallest), nil)
	want := []Negotiated{{
		Mid: "0", Kind: Audio, Role: RoleReceive, SSRCs: []uint32{7}, RTX: map[uint32]uint32{}, CNAME: "me", Extensions: Extensions{Mid: 1},
		Codecs: []Codec{{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2, Parameters: "minptime=10;useinbandfec=1"}},
	}, {
		Mid: "1", Kind: Video, Role: RoleSend, SSRC: 1002, RTXSSRC: 1003, CNAME: "cname-1", Extensions: Extensions{Mid: 1},
		Codecs: []Codec{{Name: "vp8", PayloadType: 96, ClockRate: 90000, Feedback: []string{"nack"}, RTX: 97}},
	}}
	if diff := cmp.Diff(want, a.Sections); diff != "" {
		t.Error(diff)
	}
}

// Transport-wide feedback goes both ways; the receiver's own estimate is taken where the server sends.
func TestTransportFeedback(t *testing.T) {
	a := answer(t, offer(t, captured(t, "chromium-session")), nil)
	for _, s := range a.Sections {
		for _, c := range s.Codecs {
			if got := slices.Contains(c.Feedback, "transport-cc"); got != !c.IsRED() {
				t.Errorf("m-line %s, %s: transport-cc %v", s.Mid, c.Name, got)
			}
			if got := slices.Contains(c.Feedback, "goog-remb"); got != (s.Role == RoleSend && s.Kind == Video) {
				t.Errorf("m-line %s, %s: goog-remb %v", s.Mid, c.Name, got)
			}
			if s.Kind == Audio && slices.Contains(c.Feedback, "nack") {
				t.Errorf("m-line %s, %s: feedback %v", s.Mid, c.Name, c.Feedback)
			}
		}
		if s.Kind != Application && s.Extensions.TransportCC == 0 {
			t.Errorf("m-line %s: no transport-wide sequence number", s.Mid)
		}
	}
}

// An m-line that goes inactive keeps its extensions and feedback, so that it can publish again.
func TestInactiveKeepsWhatPublishingNeeds(t *testing.T) {
	text := captured(t, "chromium-simulcast")
	sending := answer(t, offer(t, text), nil).Sections[1]
	o := offer(t, strings.ReplaceAll(text, "a=sendonly", "a=inactive"))
	inactive := answer(t, o, nil).Sections[1]
	if inactive.Role != RoleInactive || inactive.Extensions != sending.Extensions || inactive.Extensions.RID == 0 {
		t.Errorf("sending %+v\ninactive %+v", sending, inactive)
	}
	if !cmp.Equal(inactive.Codecs, sending.Codecs) {
		t.Errorf("sending %v\ninactive %v", sending.Codecs, inactive.Codecs)
	}
}

// What the caller asks for must be possible, and what is impossible is told, with the m-line.
func TestRoles(t *testing.T) {
	h265 := strings.Replace(smallest, "VP8/90000", "H265/90000", 1)
	slot := LocalSection{Role: RoleSend, StreamID: "s", TrackID: "t", CNAME: "c", SSRC: 1, RTXSSRC: 2}
	tests := []struct {
		what   string
		text   string
		mid    string
		local  LocalSection
		role   Role // in the answer
		reason string
	}{
		{"receiving on a sending m-line", smallest, "0", LocalSection{Role: RoleReceive}, RoleReceive, ""},
		{"sending on a receiving m-line", smallest, "1", slot, RoleSend, ""},
		{"inactive", smallest, "1", LocalSection{}, RoleInactive, ""},
		{"rejected", smallest, "1", LocalSection{Role: RoleReject}, RoleReject, ""},
		{"receiving where the client only receives", smallest, "1", LocalSection{Role: RoleReceive}, 0, "does not send"},
		{"sending where the client only sends", smallest, "0", slot, 0, "does not receive"},
		{"a slot without SSRC", smallest, "1", LocalSection{Role: RoleSend, StreamID: "s"}, 0, "SSRC"},
		{"data on a video m-line", smallest, "1", LocalSection{Role: RoleData}, 0, "application"},
		{"an unknown role", smallest, "1", LocalSection{Role: 99}, 0, "role 99"},
		{"a mid that is not there", smallest, "9", slot, 0, "no such m-line"},
		{"a slot without a codec in common", h265, "1", slot, RoleReject, ""},
		{"a publication without a codec in common", strings.Replace(h265, "recvonly", "sendonly", 1), "1", LocalSection{Role: RoleReceive}, 0, "no codec"},
		{"a stopped m-line", strings.Replace(smallest, "m=video 9", "m=video 0", 1), "1", LocalSection{}, RoleReject, ""},
		{"receiving on a stopped m-line", strings.Replace(smallest, "m=video 9", "m=video 0", 1), "1", LocalSection{Role: RoleReceive}, 0, "stopped"},
		{"data", captured(t, "firefox-slots"), "10", LocalSection{Role: RoleData}, RoleData, ""},
		{"data that nobody asked for", captured(t, "firefox-slots"), "10", LocalSection{}, RoleReject, ""},
		{"media on an application m-line", captured(t, "firefox-slots"), "10", slot, 0, "data channels only"},
		{"data over something older", strings.Replace(captured(t, "firefox-slots"), "UDP/DTLS/SCTP webrtc-datachannel", "DTLS/SCTP 5000", 1), "10", LocalSection{Role: RoleData}, 0, "not understood"},
	}
	for _, tt := range tests {
		o := offer(t, tt.text)
		l := decisions(o)
		l.Sections = map[string]LocalSection{tt.mid: tt.local}
		a, err := o.Answer(l)
		if tt.reason != "" {
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(e.Reason, tt.reason) || e.Mid != tt.mid {
				t.Errorf("%s: %v", tt.what, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.what, err)
			continue
		}
		i := slices.IndexFunc(a.Sections, func(n Negotiated) bool { return n.Mid == tt.mid })
		if a.Sections[i].Role != tt.role {
			t.Errorf("%s: role %d, want %d", tt.what, a.Sections[i].Role, tt.role)
		}
		if a.Sections[i].Role == RoleReject && a.Sections[i].SSRC != 0 {
			t.Errorf("%s: a rejected m-line has an SSRC", tt.what)
		}
	}
}

// A rejected m-line has port 0 and is not in the BUNDLE group; candidates move to the first one that is left.
func TestCandidatesAreInTheFirstAcceptedSection(t *testing.T) {
	a := answer(t, offer(t, smallest), func(l *Local) { l.Sections["0"] = LocalSection{Role: RoleReject} })
	audio, video, _ := strings.Cut(a.SDP, "m=video")
	if strings.Contains(audio, "candidate") || !strings.Contains(audio, "m=audio 0 ") || !strings.Contains(audio, "a=group:BUNDLE 1\r\n") {
		t.Error(audio)
	}
	if strings.Count(video, "a=candidate:") != 2 || !strings.Contains(video, "a=end-of-candidates\r\n") {
		t.Error(video)
	}
	all := answer(t, offer(t, smallest), func(l *Local) {
		l.Sections["0"], l.Sections["1"] = LocalSection{Role: RoleReject}, LocalSection{Role: RoleReject}
	})
	if strings.Contains(all.SDP, "BUNDLE") || strings.Contains(all.SDP, "candidate") {
		t.Error(all.SDP)
	}
}

// An extension that the offer limits to one direction is accepted where packets flow that way, and answered reversed.
func TestExtensionDirections(t *testing.T) {
	tests := []struct {
		limit     string
		direction string // of the m-line
		want      string // in the answer; empty: not there
	}{
		{"", "sendonly", "a=extmap:5 "},
		{"/sendonly", "sendonly", "a=extmap:5/recvonly "},
		{"/recvonly", "sendonly", ""},
		{"/sendrecv", "recvonly", "a=extmap:5/sendrecv "},
		{"/recvonly", "recvonly", "a=extmap:5/sendonly "},
		{"/sendonly", "recvonly", ""},
		{"/inactive", "recvonly", ""},
	}
	for _, tt := range tests {
		text := strings.Replace(smallest, "a=recvonly", "a=extmap:5"+tt.limit+" "+URIAbsSendTime+"\na="+tt.direction, 1)
		a := answer(t, offer(t, text), nil)
		if tt.want == "" && strings.Contains(a.SDP, URIAbsSendTime) || !strings.Contains(a.SDP, tt.want) {
			t.Errorf("%s on %s: want %q in %s", tt.limit, tt.direction, tt.want, a.SDP)
		}
		if (a.Sections[1].Extensions.AbsSendTime == 5) != (tt.want != "") {
			t.Errorf("%s on %s: id %d", tt.limit, tt.direction, a.Sections[1].Extensions.AbsSendTime)
		}
	}
}

// The dependency descriptor is accepted only where extmap-allow-mixed was offered, at either level, and the answer then says
// that too: with its template structure it does not fit a one-byte header.
func TestDependencyDescriptorNeedsMixedHeaders(t *testing.T) {
	lines := "a=extmap:5 " + URIDependencyDescriptor + "\na=recvonly"
	for what, tt := range map[string]struct {
		text string
		want uint8
	}{
		"not offered":          {strings.Replace(smallest, "a=recvonly", lines, 1), 0},
		"offered for all":      {strings.Replace(strings.Replace(smallest, "a=recvonly", lines, 1), "t=0 0\n", "t=0 0\na=extmap-allow-mixed\n", 1), 5},
		"offered for the line": {strings.Replace(smallest, "a=recvonly", "a=extmap-allow-mixed\n"+lines, 1), 5},
		"of another line":      {strings.Replace(strings.Replace(smallest, "a=recvonly", lines, 1), "a=sendonly", "a=extmap-allow-mixed\na=sendonly", 1), 0},
	} {
		a := answer(t, offer(t, tt.text), nil)
		_, video, _ := strings.Cut(a.SDP, "m=video")
		if got := a.Sections[1].Extensions.DependencyDescriptor; got != tt.want || strings.Contains(video, URIDependencyDescriptor) != (tt.want != 0) ||
			strings.Contains(video, "a=extmap-allow-mixed\r\n") != (tt.want != 0) {
			t.Errorf("%s: id %d in %s", what, got, video)
		}
	}
}

// A slot is asked for packets again only where its codec has RTX; a publisher is asked with and without.
func TestNackNeedsRTXTowardsSubscribers(t *testing.T) {
	without := strings.NewReplacer("RTP/SAVPF 96 97", "RTP/SAVPF 96", "a=rtpmap:97 rtx/90000\n", "", "a=fmtp:97 apt=96\n", "").Replace(smallest)
	colliding := strings.NewReplacer("RTP/SAVPF 96 97", "RTP/SAVPF 96 72", ":97 ", ":72 ").Replace(smallest)
	for what, tt := range map[string]struct {
		text string
		want bool
	}{
		"a slot with RTX":                {smallest, true},
		"a slot without RTX":             {without, false},
		"a slot with RTX that is no RTX": {colliding, false},
		"a publisher with RTX":           {strings.Replace(smallest, "a=recvonly", "a=sendonly", 1), true},
		"a publisher without RTX":        {strings.Replace(without, "a=recvonly", "a=sendonly", 1), true},
	} {
		a := answer(t, offer(t, tt.text), nil)
		if got := slices.Contains(a.Sections[1].Codecs[0].Feedback, "nack"); got != tt.want || strings.Contains(a.SDP, "a=rtcp-fb:96 nack\r\n") != tt.want {
			t.Errorf("%s: nack %v in %s", what, got, a.SDP)
		}
	}
}

// What Parley does not do yet is said so, with a value that callers can test for.
func TestNotSupported(t *testing.T) {
	if _, err := (&Local{}).Offer(); !errors.Is(err, ErrNotSupported) {
		t.Error(err)
	}
	o := offer(t, smallest)
	l := decisions(o)
	l.Setup = "active"
	var e *NotSupported
	if _, err := o.Answer(l); !errors.As(err, &e) {
		t.Error(err)
	}
}

// The server's own mistakes are found before a client sees them.
func TestLocalMistakes(t *testing.T) {
	for what, change := range map[string]func(*Local){
		"short password":  func(l *Local) { l.ICE.Pwd = "short" },
		"bad fingerprint": func(l *Local) { l.Fingerprint.Value = "AB" },
		"host name":       func(l *Local) { l.Candidates[0].Address = "example.org" },
	} {
		o := offer(t, smallest)
		l := decisions(o)
		change(l)
		if _, err := o.Answer(l); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

// Simulcast is accepted where packets can say which encoding they are of, three encodings at most, and a slot has none.
func TestSimulcast(t *testing.T) {
	lines := "a=extmap:10 " + URIRID + "\na=rid:a send\na=rid:b send\na=rid:c send\na=rid:d send max-width=1280\n"
	for what, tt := range map[string]struct {
		lines, direction string
		want             []string
	}{
		"two":                {lines + "a=simulcast:send b;a", "sendonly", []string{"b", "a"}},
		"both directions":    {lines + "a=rid:z recv\na=simulcast:recv z send b;a", "sendrecv", []string{"b", "a"}},
		"four":               {lines + "a=simulcast:send a;b;c;d", "sendonly", []string{"a", "b", "c"}},
		"one":                {lines + "a=simulcast:send a", "sendonly", nil},
		"one that is none":   {lines + "a=simulcast:send a;x", "sendonly", nil},
		"alternatives":       {lines + "a=simulcast:send a,d;~b", "sendonly", []string{"a", "b"}},
		"no rids on packets": {strings.Replace(lines, URIRID, URIAudioLevel, 1) + "a=simulcast:send a;b", "sendonly", nil},
		"rids on slots only": {strings.Replace(lines, "a=extmap:10 "+URIRID, "a=extmap:10/recvonly "+URIRID, 1) + "a=simulcast:send a;b", "sendonly", nil},
		"to a slot":          {lines + "a=simulcast:send a;b", "recvonly", nil},
	} {
		a := answer(t, offer(t, strings.Replace(smallest, "a=recvonly", tt.lines+"\na="+tt.direction, 1)), nil)
		line := "a=simulcast:recv " + strings.Join(tt.want, ";") + "\r\n"
		if !slices.Equal(a.Sections[1].RIDs, tt.want) || strings.Contains(a.SDP, "a=simulcast") != (tt.want != nil) || tt.want != nil && !strings.Contains(a.SDP, line) {
			t.Errorf("%s: %q in %s", what, a.Sections[1].RIDs, a.SDP)
		}
		for _, rid := range tt.want {
			if !strings.Contains(a.SDP, "a=rid:"+rid+" recv\r\n") {
				t.Errorf("%s: no %s in %s", what, rid, a.SDP)
			}
		}
	}
}

// RTCP of reduced size is negotiated where it was offered, and only there (RFC 5506 §5).
func TestReducedRTCP(t *testing.T) {
	without := strings.Replace(captured(t, "chromium-session"), "a=rtcp-rsize\r\n", "", 1)
	a := answer(t, offer(t, without), nil)
	var got []bool
	for _, s := range a.Sections {
		if s.Role == RoleReceive || s.Role == RoleSend {
			got = append(got, s.ReducedRTCP)
		}
	}
	if n := strings.Count(a.SDP, "a=rtcp-rsize\r\n"); len(got) < 2 || got[0] || !got[1] || n != len(got)-1 {
		t.Errorf("negotiated %v, and told %d times", got, n)
	}
}

// The answer says that the server keeps to RFC 8445 to a client that says so itself, among whatever other options, at the session level.
func TestICE2(t *testing.T) {
	text := captured(t, "chromium-publish")
	for line, want := range map[string]bool{
		"": false, "a=ice-options:trickle\r\n": false, "a=ice-options:ice2\r\n": true, "a=ice-options:trickle ice2\r\n": true, "a=ice-options:ice22\r\n": false,
	} {
		a := answer(t, offer(t, strings.Replace(text, "t=0 0\r\n", "t=0 0\r\n"+line, 1)), nil)
		head, _, _ := strings.Cut(a.SDP, "m=")
		if got := strings.Contains(head, "a=ice-options:ice2\r\n"); got != want || strings.Count(a.SDP, "ice-options") > 1 {
			t.Errorf("%q: %v\n%s", line, got, head)
		}
	}
}
