// Package sdp reads a client's session description (an offer) and writes the server's (an answer), as pure functions over
// pion/sdp's parser.
//
// It knows the subset of SDP that WebRTC uses (RFC 8829) and that Parley serves: one BUNDLE group (RFC 8843), rtcp-mux,
// DTLS-SRTP with the client as DTLS client (RFC 8842), ICE with a lite server (RFC 8839), and data channels (RFC 8841).
// What an m-line is used for is the caller's decision: it gives a [Role] per mid, and gets back the text and a [Negotiated]
// per m-line. The package owns the policy of what is accepted inside an m-line: codecs, feedback and header extensions.
//
//	offer text → ParseOffer → *Offer → Answer(*Local) → *Answer{SDP, Sections}
//
// Nothing of an accepted text can reach an answer but single-line tokens: control characters are refused before parsing.
package sdp
