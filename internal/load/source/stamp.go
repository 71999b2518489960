package source

import (
	"encoding/binary"
	"time"
)

// Stamp says what a packet is, and when it was sent:
//
//	|            "load"             |
//	|            source             |
//	|            frame              |
//	|     part      |     parts     |
//	| encoding |K|  |               |
//	|   time of sending (64 bits)   |
//
// The time is in nanoseconds since 1970 by the sender's clock; who reads it must have the same one.
type Stamp struct {
	Source   uint32
	Frame    uint32
	Part     uint16 // of Parts, from 0
	Parts    uint16
	Encoding uint8
	Key      bool
	Sent     time.Time
}

// StampSize is the length of a stamp.
const StampSize = 28

const magic = 0x6c6f6164

// Append appends s.
func (s Stamp) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, magic)
	b = binary.BigEndian.AppendUint32(b, s.Source)
	b = binary.BigEndian.AppendUint32(b, s.Frame)
	b = binary.BigEndian.AppendUint16(b, s.Part)
	b = binary.BigEndian.AppendUint16(b, s.Parts)
	var key byte
	if s.Key {
		key = 1
	}
	b = append(b, s.Encoding, key, 0, 0)
	return binary.BigEndian.AppendUint64(b, uint64(s.Sent.UnixNano()))
}

// ParseStamp reads the stamp at the end of a payload; false where there is none, because somebody else sent it.
func ParseStamp(payload []byte) (Stamp, bool) {
	if len(payload) < StampSize {
		return Stamp{}, false
	}
	b := payload[len(payload)-StampSize:]
	if binary.BigEndian.Uint32(b) != magic {
		return Stamp{}, false
	}
	s := Stamp{
		Source: binary.BigEndian.Uint32(b[4:]), Frame: binary.BigEndian.Uint32(b[8:]),
		Part: binary.BigEndian.Uint16(b[12:]), Parts: binary.BigEndian.Uint16(b[14:]),
		Encoding: b[16], Key: b[17] == 1, Sent: time.Unix(0, int64(binary.BigEndian.Uint64(b[20:]))),
	}
	return s, s.Parts > 0 && s.Part < s.Parts
}
