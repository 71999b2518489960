package sdp

import "testing"

// Two codecs match when a decoder of the one decodes the other.
func TestMatches(t *testing.T) {
	h264 := func(p string) Codec { return Codec{Name: "h264", ClockRate: 90000, Parameters: p} }
	vp9 := func(p string) Codec { return Codec{Name: "vp9", ClockRate: 90000, Parameters: p} }
	av1 := func(p string) Codec { return Codec{Name: "av1", ClockRate: 90000, Parameters: p} }
	red := func(p string) Codec { return Codec{Name: "red", ClockRate: 48000, Channels: 2, Parameters: p} }
	opus := Codec{Name: "opus", ClockRate: 48000, Channels: 2, Parameters: "minptime=10"}
	tests := []struct {
		a, b Codec
		want bool
	}{
		{opus, Codec{Name: "opus", ClockRate: 48000, Channels: 2, Parameters: "stereo=1"}, true},
		{opus, Codec{Name: "opus", ClockRate: 48000, Channels: 1}, false},
		{opus, Codec{Name: "pcmu", ClockRate: 8000, Channels: 1}, false},
		{Codec{Name: "vp8", ClockRate: 90000}, Codec{Name: "vp8", ClockRate: 90000, Parameters: "max-fs=12288"}, true},
		{vp9(""), vp9("profile-id=0"), true},
		{vp9(""), vp9("profile-id=2"), false},
		{vp9("profile-id=x"), vp9("profile-id=0"), false},
		{av1("level-idx=5;profile=0;tier=0"), av1(""), true},
		{av1("profile=1"), av1("profile=0"), false},
		{h264("packetization-mode=1;profile-level-id=42e01f"), h264("profile-level-id=42001f;packetization-mode=1"), true},
		{h264("packetization-mode=1;profile-level-id=42e01f"), h264("packetization-mode=1;profile-level-id=4d001f"), false},
		{h264("packetization-mode=1;profile-level-id=42e01f"), h264("packetization-mode=0;profile-level-id=42e01f"), false},
		{h264("packetization-mode=1;profile-level-id=42e01f"), h264("packetization-mode=1; Profile-Level-Id=42E034"), true},
		{h264("packetization-mode=1;profile-level-id=4d801f"), h264("packetization-mode=1;profile-level-id=42e01f"), true},
		{h264("packetization-mode=1;profile-level-id=58c01f"), h264("packetization-mode=1"), true},
		{h264("packetization-mode=1;profile-level-id=64001f"), h264("packetization-mode=1;profile-level-id=640c34"), true},
		{red("111/111"), red("111/111/111"), true},
		{red("111/111"), red("109/109"), false},
		{red("111/111"), opus, false},
	}
	for _, tt := range tests {
		if tt.a.Matches(tt.b) != tt.want || tt.b.Matches(tt.a) != tt.want {
			t.Errorf("%v and %v: want %v", tt.a, tt.b, tt.want)
		}
	}
}

// Only formats that the server forwards are accepted, with the parameters that an answer needs.
func TestAccept(t *testing.T) {
	tests := []struct {
		kind       Kind
		codec      Codec
		parameters string
		want       bool
	}{
		{Audio, Codec{Name: "opus", ClockRate: 48000, Channels: 2}, "useinbandfec=1", true},
		{Audio, Codec{Name: "opus", ClockRate: 48000, Channels: 2, Parameters: "stereo=1;useinbandfec=0;sprop-stereo=1"}, "stereo=1;sprop-stereo=1;useinbandfec=1", true},
		{Audio, Codec{Name: "red", ClockRate: 48000, Channels: 2}, "", false},
		{Audio, Codec{Name: "pcmu", ClockRate: 8000, Channels: 1}, "", false},
		{Audio, Codec{Name: "opus", PayloadType: 72, ClockRate: 48000, Channels: 2}, "", false},
		{Video, Codec{Name: "vp8", ClockRate: 90000, Parameters: "max-fs=12288;max-fr=60"}, "", true},
		{Video, Codec{Name: "vp9", ClockRate: 90000, Parameters: "max-fs=12288;profile-id=2"}, "profile-id=2", true},
		{Video, Codec{Name: "vp9", ClockRate: 90000, Parameters: "profile-id=1"}, "", false},
		{Video, Codec{Name: "vp9", ClockRate: 90000, Parameters: "max-fs=12288"}, "", true},
		{Video, Codec{Name: "av1", ClockRate: 90000, Parameters: "profile=0"}, "profile=0", true},
		{Video, Codec{Name: "h264", ClockRate: 90000, Parameters: "packetization-mode=1;profile-level-id=42e01f"}, "packetization-mode=1;profile-level-id=42e01f", true},
		{Video, Codec{Name: "h264", ClockRate: 90000, Parameters: "profile-level-id=42e01f"}, "", false},
		{Video, Codec{Name: "h264", ClockRate: 90000, Parameters: "packetization-mode=1;profile-level-id=f4001f"}, "", false},
		{Video, Codec{Name: "h264", ClockRate: 90000, Parameters: "packetization-mode=1;profile-level-id=junk"}, "", false},
		{Video, Codec{Name: "h265", ClockRate: 90000}, "", false},
		{Video, Codec{Name: "ulpfec", ClockRate: 90000}, "", false},
		{Video, Codec{Name: "vp8", ClockRate: 8000}, "", false},
	}
	for _, tt := range tests {
		got := accept(&Section{Kind: tt.kind, Codecs: []Codec{tt.codec}}, RoleReceive)
		if (len(got) == 1) != tt.want || len(got) == 1 && got[0].Parameters != tt.parameters {
			t.Errorf("%v: %v", tt.codec, got)
		}
	}
}

// Redundancy (RFC 2198) is accepted for Opus of the same m-line and nothing else, is answered as it was offered, and is not what the
// stream counts as.
func TestAcceptRED(t *testing.T) {
	opus := Codec{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2}
	pcmu := Codec{Name: "pcmu", PayloadType: 0, ClockRate: 8000, Channels: 1}
	red := func(pt uint8, rate uint32, p string) Codec {
		return Codec{Name: "red", PayloadType: pt, ClockRate: rate, Channels: 2, Parameters: p}
	}
	for _, tt := range []struct {
		red  Codec
		want bool
	}{
		{red(63, 48000, "111/111"), true},
		{red(63, 48000, "111"), true},
		{red(63, 48000, "111/111/111"), true},
		{red(63, 48000, ""), false},
		{red(63, 48000, "0/0"), false},
		{red(63, 48000, "111/0"), false},
		{red(63, 48000, "112/112"), false},
		{red(63, 48000, "63/63"), false},
		{red(63, 48000, "111/x"), false},
		{red(63, 8000, "111/111"), false},
		{red(72, 48000, "111/111"), false},
	} {
		got := accept(&Section{Kind: Audio, Codecs: []Codec{tt.red, opus, pcmu}}, RoleReceive)
		if (len(got) == 2) != tt.want || len(got) == 2 && (got[0].Parameters != tt.red.Parameters || got[0].Carries() != 111) {
			t.Errorf("%v: %v", tt.red, got)
		}
		if c := (&Negotiated{Codecs: got}).Codec(); c.Name != "opus" {
			t.Errorf("%v: the stream counts as %s", tt.red, c.Name)
		}
	}
	if got := accept(&Section{Kind: Video, Codecs: []Codec{{Name: "vp8", PayloadType: 96, ClockRate: 90000}, {Name: "red", PayloadType: 63, ClockRate: 90000, Parameters: "96/96"}}}, RoleSend); len(got) != 1 {
		t.Errorf("redundancy of video: %v", got)
	}
	if c := new(Negotiated).Codec(); c.Name != "" {
		t.Errorf("an m-line of nothing counts as %s", c.Name)
	}
}
