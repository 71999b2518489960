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

// sizeH264 reads the size from a payload that begins with a sequence parameter set, alone or in a STAP-A.
func sizeH264(b []byte) Size {
	switch b[0] & 0x1F {
	case nalSPS:
		return sizeSPS(b[1:])
	case nalSTAPA:
		for rest := b[1:]; len(rest) > 2; {
			n := int(binary.BigEndian.Uint16(rest))
			if rest[2]&0x1F == nalSPS {
				return sizeSPS(rest[3 : 2+n])
			}
			rest = rest[2+n:] // inspectH264 has walked the same way
		}
	}
	return Size{}
}

// sizeSPS reads the size from a sequence parameter set (ITU-T H.264 §7.3.2.1.1), behind its NAL header.
func sizeSPS(sps []byte) Size {
	var plain [maxSPS]byte
	r := bitReader{b: plain[:unescape(plain[:], sps)]}
	profile := r.bits(8)
	r.skip(16) // constraints, level
	r.golomb() // seq_parameter_set_id
	chroma := uint32(1)
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		chroma = r.highProfile()
	}
	r.golomb() // log2_max_frame_num_minus4
	r.pictureOrder()
	r.golomb() // max_num_ref_frames
	r.skip(1)  // gaps_in_frame_num_value_allowed_flag
	width, units := 16*(r.golomb()+1), r.golomb()+1
	frames := r.flag()
	height := 16 * units
	if !frames {
		height *= 2
		r.skip(1) // mb_adaptive_frame_field_flag
	}
	r.skip(1) // direct_8x8_inference_flag
	if r.flag() {
		left, right, top, bottom := r.golomb(), r.golomb(), r.golomb(), r.golomb()
		x, y := cropUnits(chroma, frames)
		width, height = width-x*(left+right), height-y*(top+bottom)
	}
	if r.failed || width == 0 || width > maxPicture || height == 0 || height > maxPicture {
		return Size{}
	}
	return Size{uint16(width), uint16(height)}
}

// unescape copies a NAL unit without its emulation prevention bytes (§7.4.1) as far as dst reaches, and returns the length.
func unescape(dst, nal []byte) (n int) {
	zeros := 0
	for _, b := range nal {
		if n == len(dst) {
			break
		}
		if zeros >= 2 && b == 3 {
			zeros = 0
			continue
		}
		if zeros++; b != 0 {
			zeros = 0
		}
		dst[n] = b
		n++
	}
	return n
}

// highProfile reads what the high profiles have first, and returns chroma_format_idc.
func (r *bitReader) highProfile() uint32 {
	chroma := r.golomb()
	lists := 8
	if chroma == 3 {
		r.skip(1) // separate_colour_plane_flag
		lists = 12
	}
	r.golomb() // bit_depth_luma_minus8
	r.golomb() // bit_depth_chroma_minus8
	r.skip(1)  // qpprime_y_zero_transform_bypass_flag
	if !r.flag() {
		return chroma
	}
	for i := range lists {
		if !r.flag() {
			continue
		}
		entries := 16
		if i >= 6 {
			entries = 64
		}
		r.scalingList(entries)
	}
	return chroma
}

// scalingList reads over a scaling_list (§7.3.2.1.1.1).
func (r *bitReader) scalingList(entries int) {
	last, next := int32(8), int32(8)
	for range entries {
		if next != 0 {
			next = (last + r.signedGolomb()) & 0xFF
		}
		if next != 0 {
			last = next
		}
	}
}

// pictureOrder reads over what depends on pic_order_cnt_type.
func (r *bitReader) pictureOrder() {
	switch r.golomb() {
	case 0:
		r.golomb() // log2_max_pic_order_cnt_lsb_minus4
	case 1:
		r.skip(1)
		r.golomb() // offset_for_non_ref_pic
		r.golomb() // offset_for_top_to_bottom_field
		for n := min(r.golomb(), 255); n > 0 && !r.failed; n-- {
			r.golomb()
		}
	}
}

// cropUnits are the pixels of one unit of cropping (table 6-1, equations 7-19 to 7-22).
func cropUnits(chroma uint32, frames bool) (x, y uint32) {
	x, y = 1, 1
	if chroma == 1 || chroma == 2 {
		x = 2
	}
	if chroma == 1 {
		y = 2
	}
	if !frames {
		y *= 2
	}
	return x, y
}

// golomb reads ue(v) (§9.1): as many zeros as bits follow the first one.
func (r *bitReader) golomb() uint32 {
	zeros := 0
	for !r.flag() {
		if zeros++; zeros > 31 || r.failed {
			r.failed = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.bits(zeros)
}

// signedGolomb reads se(v) (§9.1.1).
func (r *bitReader) signedGolomb() int32 {
	k := r.golomb()
	if k&1 != 0 {
		return int32(k/2 + 1)
	}
	return -int32(k / 2)
}
