package codec

// inspectAV1 reads the aggregation header (RTP Payload Format For AV1 §4.4):
//
//	|Z|Y| W |N|-|-|-|      Z: continues an OBU of the packet before; N: first packet of a coded video sequence
func inspectAV1(b []byte) (Frame, bool) {
	if len(b) < 2 {
		return Frame{}, false
	}
	key := b[0]&0x88 == 0x08 // N; Z with it would be a contradiction
	return Frame{Start: key, Key: key}, true
}
