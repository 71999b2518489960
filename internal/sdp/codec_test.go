package sdp

import "testing"

// Two codecs match when a decoder of the one decodes the other.
func TestMatches(t *testing.T) {
	h264 := func(p string) Codec { return Codec{Name: "h264", ClockRate: 90000, Parameters: p} }
	vp9 := func(p string) Codec { return Codec{Name: "vp9", ClockRate: 90000, Parameters: p} }
	av1 := func(p string) Codec { return Codec{Name: "av1", ClockRate: 90000, Parameters: p} }
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
