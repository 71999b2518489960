package obs

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

const redactedSecret = "[redacted]"

// Secret is text from the configuration that is never shown: whatever prints, logs or encodes it sees "[redacted]". It holds
// the text behind a pointer so that fmt, which walks unexported fields without asking their methods, meets an address there.
type Secret struct{ text *string }

// NewSecret returns a Secret that hides text.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Format implements fmt.Formatter, so that no verb tells more.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedSecret) }

// MarshalText implements encoding.TextMarshaler, which JSON, YAML and slog use.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redactedSecret), nil }

// UnmarshalText implements encoding.TextUnmarshaler, by which flags and files fill a Secret.
func (s *Secret) UnmarshalText(b []byte) error {
	*s = NewSecret(string(b))
	return nil
}

// markKey makes marks useless outside this process: without a key, all of IPv4 could be tried in seconds.
var markKey = func() (key [16]byte) {
	_, _ = rand.Read(key[:]) // never fails
	return key
}()

// mark stands for an address in a log. Loopback and unspecified addresses are nobody's and stay as they are.
func mark(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if nobodys(a) {
		return a.String()
	}
	h := hmac.New(sha256.New, markKey[:])
	b, _ := a.MarshalBinary() // never fails
	h.Write(b)
	return "ip-" + hex.EncodeToString(h.Sum(nil)[:4])
}

func nobodys(a netip.Addr) bool { return !a.IsValid() || a.Unmap().IsLoopback() || a.IsUnspecified() }

// scrub returns text with a mark for each address in it; a port after it stays.
func scrub(text string, addresses bool) string {
	if addresses {
		return text
	}
	var out strings.Builder
	for text != "" {
		n := strings.IndexFunc(text, inAddress)
		if n < 0 {
			break
		}
		out.WriteString(text[:n])
		text = text[n:]
		end := strings.IndexFunc(text, func(r rune) bool { return !inAddress(r) })
		if end < 0 {
			end = len(text)
		}
		out.WriteString(scrubWord(text[:end]))
		text = text[end:]
	}
	return out.String() + text
}

// inAddress reports whether r can be part of an address, a zone or a port.
func inAddress(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune(".:[]%", r)
}

func scrubWord(word string) string {
	body := strings.TrimRight(word, ".:")
	tail := word[len(body):]
	if strings.HasSuffix(word, "::") { // an address that ends in zeros, not a colon after one
		body, tail = word, ""
	}
	if ap, err := netip.ParseAddrPort(body); err == nil {
		if nobodys(ap.Addr()) {
			return word
		}
		return fmt.Sprintf("%s:%d%s", mark(ap.Addr()), ap.Port(), tail)
	}
	open, inner := "", body
	if strings.HasPrefix(body, "[") && strings.HasSuffix(body, "]") {
		open, inner = "[", body[1:len(body)-1]
	}
	a, err := netip.ParseAddr(inner)
	if err != nil {
		return word
	}
	if open != "" {
		return "[" + mark(a) + "]" + tail
	}
	return mark(a) + tail
}
