package codec

import "encoding/binary"

// NAL unit types (ITU-T H.264 table 7-1; RFC 6184 §5.2 for the aggregation and fragmentation units).
const (
	nalIDR   = 5
	nalSPS   = 7
	nalSTAPA = 24
	nalFUA   = 28
)

// inspectH264 looks for the beginning of a key frame in a single NAL unit, STAP-A or the first FU-A (RFC 6184 §5.6–5.8): a
// sequence parameter set, or the first slice of an IDR picture.
func inspectH264(b []byte, encrypted bool) (Frame, bool) {
	if len(b) < 1 {
		return Frame{}, false
	}
	if encrypted {
		return Frame{}, true
	}
	var key bool
	switch b[0] & 0x1F {
	case nalSTAPA:
		rest := b[1:]
		for len(rest) > 0 {
			if len(rest) < 2 {
				return Frame{}, false
			}
			n := int(binary.BigEndian.Uint16(rest))
			if n == 0 || len(rest) < 2+n {
				return Frame{}, false
			}
			key = key || keyNAL(rest[2]&0x1F, rest[3:2+n])
			rest = rest[2+n:]
		}
	case nalFUA:
		if len(b) < 2 {
			return Frame{}, false
		}
		const start = 0x80
		key = b[1]&start != 0 && keyNAL(b[1]&0x1F, b[2:])
	default:
		key = keyNAL(b[0]&0x1F, b[1:])
	}
	return Frame{Start: key, Key: key}, true
}

// keyNAL reports whether a decoder can begin with a NAL unit of this type, whose bytes after the NAL header are body. A slice
// begins with first_mb_in_slice in Exp-Golomb code: a leading one bit is 0, so a later slice of the same picture does not count.
func keyNAL(kind byte, body []byte) bool {
	return kind == nalSPS || kind == nalIDR && len(body) > 0 && body[0]&0x80 != 0
}
