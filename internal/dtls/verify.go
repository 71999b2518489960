package dtls

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/parley-rtc/parley/internal/sdp"
	pion "github.com/pion/dtls/v3"
)

// Reasons for which a handshake that only the client itself can have made ends the association.
var (
	errNoFingerprint  = errors.New("the offer has no fingerprint of SHA-256 or better")
	errNoCertificate  = errors.New("the client has shown no certificate")
	errNotFingerprint = errors.New("the client's certificate does not match the fingerprint in its offer")
	errReplaced       = errors.New("another handshake has taken this one's place")
	errNoProfile      = errors.New("the client offers no usable SRTP profile")
)

// expected is the certificate hashes of which one must match (RFC 8122 §5: any, if there are several).
type expected struct{ sha256, sha384, sha512 [][]byte }

func newExpected(list []sdp.Fingerprint) (expected, error) {
	var e expected
	for _, f := range list {
		sum, err := hex.DecodeString(strings.ReplaceAll(f.Value, ":", ""))
		if err != nil {
			continue
		}
		switch algorithm := strings.ToLower(f.Algorithm); {
		case algorithm == "sha-256" && len(sum) == sha256.Size:
			e.sha256 = append(e.sha256, sum)
		case algorithm == "sha-384" && len(sum) == sha512.Size384:
			e.sha384 = append(e.sha384, sum)
		case algorithm == "sha-512" && len(sum) == sha512.Size:
			e.sha512 = append(e.sha512, sum)
		}
	}
	if len(e.sha256)+len(e.sha384)+len(e.sha512) == 0 {
		return e, errNoFingerprint
	}
	return e, nil
}

// matches compares in constant time.
func (e *expected) matches(certificate []byte) bool {
	s256, s384, s512 := sha256.Sum256(certificate), sha512.Sum384(certificate), sha512.Sum512(certificate)
	found := 0
	for _, x := range e.sha256 {
		found |= subtle.ConstantTimeCompare(x, s256[:])
	}
	for _, x := range e.sha384 {
		found |= subtle.ConstantTimeCompare(x, s384[:])
	}
	for _, x := range e.sha512 {
		found |= subtle.ConstantTimeCompare(x, s512[:])
	}
	return found == 1
}

// verify is asked once the client's Finished is verified and before anything else: whoever gets here holds the certificate's key.
func (e *expected) verify(s *pion.State) error {
	switch {
	case len(s.PeerCertificates) == 0:
		return errNoCertificate
	case !e.matches(s.PeerCertificates[0]):
		return errNotFingerprint
	}
	return nil
}
