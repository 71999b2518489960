package source

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/internal/drop"
)

var start = time.Unix(1_700_000_000, 123_456_789)

// A server finds in each packet what it forwards by: where frames begin and end, which are key frames, and ids that count.
func TestPayloadsAreValid(t *testing.T) {
	for _, kind := range []codec.Kind{codec.Opus, codec.VP8, codec.VP9, codec.H264, codec.AV1} {
		for _, bitrate := range []int{32_000, 1_500_000, 20_000_000} {
			if kind == codec.Opus {
				bitrate = 32_000
			}
			s := New(Config{ID: 7, Codec: kind, Bitrate: bitrate, FPS: 30, Width: 1280, Height: 720})
			for number := uint32(1); number <= 3; number++ {
				packets := s.Frame(start.Add(time.Duration(number)*time.Second), number)
				for i, p := range packets {
					what := []any{kind, bitrate, "frame", number, "packet", i, "of", len(packets)}
					f, refused := codec.Inspect(kind, p.Payload, p.Marker, nil, false)
					if refused != drop.None {
						t.Fatal(append(what, refused)...)
					}
					key := i == 0 && (number == 1 || !kind.Video())
					if kind == codec.H264 && number == 1 && i == 1 {
						key = true // parameter sets and the picture that follows them
					}
					if f.Key != key || p.Marker != (kind.Video() && i == len(packets)-1) {
						t.Error(append(what, "key", f.Key, "marker", p.Marker)...)
					}
					if (kind == codec.VP8 || kind == codec.VP9) && (f.IDs.PictureID != uint16(number-1) || f.Start != (i == 0)) {
						t.Error(append(what, f)...)
					}
					got, ok := ParseStamp(p.Payload)
					want := Stamp{ID(`a"`, "b", true), number, uint16(i), uint16(len(packets)), 0, number == 1 || !kind.Video(), start.Add(time.Duration(number) * time.Second)}
					want.Source = 7
					if !ok || !got.Sent.Equal(want.Sent) {
						t.Error(append(what, got)...)
					}
					got.Sent = want.Sent
					if got != want || len(p.Payload) > maxPayload+len(parameterSets)+StampSize {
						t.Error(append(what, got, len(p.Payload))...)
					}
				}
			}
		}
	}
}

// Packets are at most maxPayload long, and with key frames too the bitrate is what was asked for, within 3 %.
func TestBitrate(t *testing.T) {
	for _, bitrate := range []int{300_000, 1_500_000, 8_000_000} {
		s := New(Config{Codec: codec.VP8, Bitrate: bitrate, FPS: 30, Width: 640, Height: 360})
		total, keys := 0, 0
		const seconds = 20
		for i := range uint32(30 * seconds) {
			if i%150 == 0 {
				s.RequestKey()
			}
			for _, p := range s.Frame(start.Add(time.Duration(i)*time.Second/30), i+1) {
				total += len(p.Payload)
				if len(p.Payload) > maxPayload {
					t.Fatalf("%d bytes", len(p.Payload))
				}
				if stamp, _ := ParseStamp(p.Payload); stamp.Key && stamp.Part == 0 {
					keys++
				}
			}
		}
		if got := total * 8 / seconds; got < bitrate*97/100 || got > bitrate*103/100 || keys != 4 {
			t.Errorf("%d bit/s in place of %d, %d key frames", got, bitrate, keys)
		}
	}
}

// However many key frames are asked for, there are three a second at most, and one that came too soon is made later.
func TestKeyInterval(t *testing.T) {
	s := New(Config{Codec: codec.VP8, Bitrate: 100_000, FPS: 30})
	var keys []uint32
	for i := range uint32(31) {
		if i < 12 {
			s.RequestKey()
		}
		if stamp, _ := ParseStamp(s.Frame(start.Add(time.Duration(i)*time.Second/30), i)[0].Payload); stamp.Key {
			keys = append(keys, i)
		}
	}
	if !slices.Equal(keys, []uint32{0, 9, 18}) {
		t.Errorf("key frames %v", keys)
	}
	for i := range uint32(3) { // anew, however soon
		s.Begin()
		if stamp, _ := ParseStamp(s.Frame(start.Add(time.Second), 31+i)[0].Payload); !stamp.Key {
			t.Errorf("frame %d is no key frame", 31+i)
		}
	}
}

// Timestamps follow the clock of the codec.
func TestTimestamps(t *testing.T) {
	video := New(Config{Codec: codec.AV1, Bitrate: 100_000, FPS: 24})
	audio := New(Config{Codec: codec.Opus, Bitrate: 32_000})
	for _, c := range []struct {
		source *Source
		fps    uint32
		clock  uint32
	}{{video, 24, 90000}, {audio, 50, 48000}} {
		before := c.source.Frame(start, c.fps)[0].Timestamp
		if after := c.source.Frame(start, 2*c.fps)[0]; after.Timestamp-before != c.clock {
			t.Errorf("%v: %d in a second", c.source.Config().Codec, after.Timestamp-before)
		}
	}
	if n := len(audio.packets[0].Payload); n != 80 {
		t.Errorf("%d bytes of audio", n)
	}
	if video.Config().Interval() != time.Second/24 || audio.Config().Interval() != 20*time.Millisecond {
		t.Error("intervals")
	}
}

// What others send has no stamp.
func TestForeignPayloads(t *testing.T) {
	good := Stamp{Parts: 1}.Append(nil)
	contradiction := Stamp{Part: 1, Parts: 1}.Append(nil)
	for _, b := range [][]byte{nil, good[1:], append(good[:len(good):len(good)], 0), contradiction} {
		if s, ok := ParseStamp(b); ok {
			t.Errorf("% x: %+v", b, s)
		}
	}
	if ID("a", "b", true) == ID("a", "b", false) || ID("a", "b", true) == ID("ab", "", true) {
		t.Error("two sources have one id")
	}
}
