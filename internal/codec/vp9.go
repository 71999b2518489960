package codec

// inspectVP9 reads the VP9 payload descriptor (RFC 9628 §4.2):
//
//	|I|P|L|F|B|E|V|Z|      P: inter-picture predicted; B, E: a layer's frame starts, ends
//	|M| PICTURE ID  |      I; with M a second byte: 15 bits
//	| TID |U| SID |D|      L: layer indices; D: inter-layer predicted
//	|   TL0PICIDX   |      L and not F (flexible mode)
//	| P_DIFF      |N|      P and F, up to three, then with V the scalability structure: not needed here
func inspectVP9(b []byte) (Frame, bool) {
	if len(b) < 1 {
		return Frame{}, false
	}
	flags := b[0]
	f := Frame{Start: flags&0x08 != 0, End: flags&0x04 != 0}
	f.Key = f.Start && flags&0x40 == 0
	at := 1
	if flags&0x80 != 0 {
		if at = f.IDs.readPictureID(b, at); at == 0 {
			return Frame{}, false
		}
	}
	if flags&0x20 != 0 {
		if len(b) <= at {
			return Frame{}, false
		}
		// Only the base layer's frame stands by itself: those above are predicted from it, or do not carry the picture.
		if b[at]&0x0F != 0 {
			f.Key = false
		}
		at++
		if flags&0x10 == 0 {
			if at = f.IDs.readTL0PicIdx(b, at); at == 0 {
				return Frame{}, false
			}
		}
	}
	return f, len(b) > at
}
