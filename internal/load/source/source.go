// Package source makes the media of synthetic participants: packets that a server can tell apart and forward like those of a
// browser, with the time of sending in them.
//
// Payload descriptors are valid, and so are the few bytes of coded media that tell key frames; all else is filling, which no
// decoder could show. The end of each payload is a Stamp.
package source

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/parley-rtc/parley/internal/codec"
)

// Packet is a packet to send. Its payload is valid until the source is asked for more.
type Packet struct {
	Payload   []byte
	Timestamp uint32
	Marker    bool
}

// ID is the number by which stamps name what a participant of a room sends.
func ID(room, identity string, video bool) uint32 {
	h := fnv.New32a()
	fmt.Fprintf(h, "%q %q %v", room, identity, video) // never fails
	return h.Sum32()
}

// Config describes one encoding.
type Config struct {
	ID       uint32
	Codec    codec.Kind
	Encoding uint8 // its place among simulcast encodings, the lowest first
	Bitrate  int   // bit/s of payloads
	FPS      int   // of video
	Width    uint16
	Height   uint16
}

// opusInterval is the length of an Opus frame.
const opusInterval = 20 * time.Millisecond

// Interval is the time from one frame to the next.
func (c Config) Interval() time.Duration {
	if c.Codec.Video() {
		return time.Second / time.Duration(c.FPS)
	}
	return opusInterval
}

// Source makes the frames of one encoding. Frames are numbered from 1; encodings of one picture have the same number.
type Source struct {
	// static after construction
	config Config
	head   header

	// owned by the caller's loop
	pictures uint32 // frames made
	begins   bool   // the next frame is a key frame in any case
	wantKey  bool
	key      time.Time // when the last key frame was made
	owed     int       // bytes that key frames took beyond the bitrate
	packets  []Packet
	buffer   []byte
}

// New returns a source that begins with a key frame.
func New(c Config) *Source {
	return &Source{config: c, head: headers[c.Codec], begins: true}
}

// Config returns what it was made with.
func (s *Source) Config() Config { return s.config }

// RequestKey asks for a key frame. It comes with the next frame, but not sooner than KeyInterval after the last one: encoders of
// browsers do not make more of them either.
func (s *Source) RequestKey() { s.wantKey = true }

// Begin makes the next frame a key frame, as when a layer is sent anew.
func (s *Source) Begin() { s.begins = true }

// Frame makes a frame with the given number, sent now. The result is valid until the next call.
func (s *Source) Frame(now time.Time, number uint32) []Packet {
	s.packets, s.buffer = s.packets[:0], s.buffer[:0]
	stamp := Stamp{Source: s.config.ID, Encoding: s.config.Encoding, Frame: number, Sent: now}
	if s.config.Codec.Video() {
		s.picture(stamp)
	} else {
		s.sound(stamp)
	}
	s.pictures++
	return s.packets
}

// sound is one packet.
func (s *Source) sound(stamp Stamp) {
	const samples = uint32(48000 * opusInterval / time.Second)
	size := s.config.Bitrate / 8 / int(time.Second/opusInterval)
	stamp.Key, stamp.Parts = true, 1
	s.add(part{size: size, count: 1}, stamp, stamp.Frame*samples)
}

// picture is a video frame in packets of about the same size, as browsers make them.
func (s *Source) picture(stamp Stamp) {
	if stamp.Key = s.begins || s.wantKey && stamp.Sent.Sub(s.key) >= KeyInterval; stamp.Key {
		s.begins, s.wantKey, s.key = false, false, stamp.Sent
	}
	size := s.size(stamp.Key)
	stamp.Parts = uint16((size + maxPayload - 1) / maxPayload)
	timestamp := uint32(uint64(stamp.Frame) * 90000 / uint64(s.config.FPS))
	for i := range stamp.Parts {
		stamp.Part = i
		share := size*int(i+1)/int(stamp.Parts) - size*int(i)/int(stamp.Parts)
		s.add(part{i, stamp.Parts, share, stamp.Key, uint16(s.pictures), &s.config}, stamp, timestamp)
	}
}

// size is the length of a frame's payloads. A key frame is keyFactor times as long, which those after it save again, a quarter of
// each at most.
func (s *Source) size(key bool) int {
	usual := s.config.Bitrate / 8 / s.config.FPS
	if key {
		s.owed += usual * (keyFactor - 1)
		return max(usual, minFrame) * keyFactor
	}
	saved := min(s.owed, usual/4)
	s.owed -= saved
	return max(usual-saved, minFrame)
}

// add makes a packet: a head, filling up to the size of the part, a stamp.
func (s *Source) add(p part, stamp Stamp, timestamp uint32) {
	start := len(s.buffer)
	s.buffer = s.head(s.buffer, p)
	for fill := p.size - StampSize - (len(s.buffer) - start); fill > 0; fill-- {
		s.buffer = append(s.buffer, filling)
	}
	s.buffer = stamp.Append(s.buffer)
	end := len(s.buffer)
	s.packets = append(s.packets, Packet{s.buffer[start:end:end], timestamp, p.last() && s.config.Codec.Video()})
}
