package auth

import (
	"encoding/base64"
	"fmt"
	"io"
)

const redacted = "[redacted]"

// Secret is the signing half of a key pair. Whatever prints, logs or encodes it sees "[redacted]"; only [Secret.Reveal] tells
// the bytes. It holds them in a closure: fmt walks unexported fields of a struct around it without asking their methods, and
// follows even pointers there, but not into a function.
type Secret struct{ reveal func() []byte }

// NewSecret copies b. Anything shorter than [MinSecretBytes] is refused: HMAC keys can be guessed offline from one token.
func NewSecret(b []byte) (Secret, error) {
	if len(b) < MinSecretBytes {
		return Secret{}, fmt.Errorf("secret has %d bytes, needs at least %d: make one with `openssl rand -base64 32`", len(b), MinSecretBytes)
	}
	c := append([]byte(nil), b...)
	return Secret{func() []byte { return c }}, nil
}

// MakeSecret makes one from 32 bytes of random, as printable text that fits a key file.
func MakeSecret(random io.Reader) (Secret, error) {
	var b [32]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return Secret{}, fmt.Errorf("make secret: %w", err)
	}
	return NewSecret([]byte(base64.RawURLEncoding.EncodeToString(b[:])))
}

// Reveal returns the bytes, to be written to a key file and nowhere else. The caller does not change them.
func (s Secret) Reveal() []byte {
	if s.reveal == nil {
		return nil
	}
	return s.reveal()
}

// String implements fmt.Stringer.
func (s Secret) String() string { return redacted }

// Format implements fmt.Formatter, so that no verb, not even %x or %#v, tells more.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText implements encoding.TextMarshaler, which YAML encoders and slog's text output use.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON implements json.Marshaler, which slog's JSON output uses.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
