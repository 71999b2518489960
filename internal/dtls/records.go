package dtls

import "encoding/binary"

// Content types (RFC 5246 §6.2.1) and the client's handshake types (§7.4).
const (
	changeCipherSpec = 20
	alert            = 21
	handshake        = 22
	applicationData  = 23

	clientHello       = 1
	certificate       = 11
	certificateVerify = 15
	clientKeyExchange = 16
	finished          = 20

	warning     = 1 // levels of alerts (§7.2), and the one that ends a connection in peace
	fatal       = 2
	closeNotify = 0

	recordHeader    = 13
	handshakeHeader = 12
)

// admit appends to dst the records of a datagram that a client of a passive association can have sent. What it leaves out is
// forged or broken, and would end a handshake that takes it for the client's: alerts and application data before there are keys,
// unknown types, lengths out of bounds, fragments of nothing. Epochs above 1 would be renegotiation, which WebRTC does not do.
func admit(dst, b []byte) []byte {
	for len(b) >= recordHeader {
		n := recordHeader + int(binary.BigEndian.Uint16(b[11:]))
		if n > len(b) {
			break
		}
		if plausible(b[:n]) {
			dst = append(dst, b[:n]...)
		}
		b = b[n:]
	}
	return dst
}

func plausible(record []byte) bool {
	body := record[recordHeader:]
	if record[1] != 0xfe || len(body) == 0 {
		return false
	}
	switch binary.BigEndian.Uint16(record[3:]) {
	case 1:
		return record[0] >= changeCipherSpec && record[0] <= applicationData
	case 0:
		number := binary.BigEndian.Uint64(record[3:]) // the epoch before it is 0
		switch {
		case number >= replayWindow:
			return false
		case record[0] == changeCipherSpec:
			return len(body) == 1 && body[0] == 1
		case record[0] == handshake:
			return plausibleHandshake(body)
		}
	}
	return false
}

// plausibleHandshake reports whether a plaintext record holds whole fragments of messages that a client sends.
func plausibleHandshake(b []byte) bool {
	for len(b) > 0 {
		if len(b) < handshakeHeader {
			return false
		}
		length, sequence := uint24(b[1:]), binary.BigEndian.Uint16(b[4:])
		offset, n := uint24(b[6:]), uint24(b[9:])
		switch {
		case length > maxHandshakeBytes, offset+n > length, n == 0 && length > 0, handshakeHeader+n > len(b),
			sequence > maxMessageSequence, (b[0] == clientHello) != (sequence == 0):
			return false
		}
		switch b[0] {
		case clientHello, certificate, clientKeyExchange, certificateVerify:
		default:
			return false
		}
		b = b[handshakeHeader+n:]
	}
	return true
}

func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

// random is what tells one ClientHello from another.
type random [32]byte

// helloRandom returns the random of the ClientHello with which an admitted datagram begins.
func helloRandom(b []byte) (r random, ok bool) {
	body := b[recordHeader:]
	const at = handshakeHeader + 2 // after client_version
	if b[0] != handshake || b[4] != 0 || body[0] != clientHello || uint24(body[6:]) != 0 || len(body) < at+len(r) {
		return r, false
	}
	return random(body[at:]), true
}

// inspect tells whether an admitted datagram ends a handshake, and whether it has records from after one. They are protected, so
// anybody could have made them up.
func inspect(b []byte) (finishes, says bool) {
	for ; len(b) >= recordHeader; b = b[recordHeader+int(binary.BigEndian.Uint16(b[11:])):] {
		if binary.BigEndian.Uint16(b[3:]) > 0 {
			finishes = finishes || b[0] == handshake
			says = says || b[0] == alert || b[0] == applicationData
		}
	}
	return finishes, says
}

// plaintextAlert reports whether a datagram that the DTLS library wants to send is an alert without protection. Whatever went
// wrong with a handshake, perhaps a forged one, the client goes on until the deadline.
func plaintextAlert(b []byte) bool {
	return len(b) > recordHeader && b[0] == alert && binary.BigEndian.Uint16(b[3:]) == 0
}
