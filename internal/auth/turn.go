package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/parley-rtc/parley/internal/stun"
)

// TURN tells the long-term keys of those who may use the TURN server (RFC 8489 §9.2.2): users with passwords, and holders of
// time-limited credentials, which whoever knows a secret can make without asking the server. Those have the form that coturn, Prosody
// and ejabberd share (draft-uberti-behave-turn-rest-00 §2.2):
//
//	username  1795770000:ann                           when it ends, in seconds since 1970, and whose it is; or the first part alone
//	password  base64(HMAC-SHA1(secret, username))
//
// It does not change, so it may be used concurrently. It keeps no passwords, and whatever prints it sees none of its keys.
type TURN struct {
	realm   string
	users   map[string]*turnKeys
	secrets []Secret
}

// turnKeys are the keys of a user with a password.
type turnKeys struct {
	name   string
	md5    [md5.Size]byte
	sha256 [sha256.Size]byte
}

// NewTURN returns the keys of a realm: of users, passwords by name, and of secrets that time-limited credentials are made with. Any of
// several secrets will do, so that one can replace another while credentials of both are in use.
func NewTURN(realm string, users map[string]string, secrets []Secret) (*TURN, error) {
	if err := checkRealm(realm); err != nil {
		return nil, err
	}
	if len(secrets) > MaxTURNSecrets {
		return nil, fmt.Errorf("%d secrets for TURN: %d are enough to replace one by another", len(secrets), MaxTURNSecrets)
	}
	t := &TURN{realm: realm, users: make(map[string]*turnKeys, len(users)), secrets: secrets}
	for name, password := range users {
		if err := checkTURNText("user name", name); err != nil {
			return nil, err
		}
		if strings.Contains(name, ":") {
			return nil, errors.New("a TURN user's name has no colon in it: that would be a time-limited one")
		}
		if err := checkTURNText("password", password); err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		k := &turnKeys{name: name}
		stun.AppendLongTermKey(k.md5[:0], stun.MD5, name, realm, password)
		stun.AppendLongTermKey(k.sha256[:0], stun.SHA256, name, realm, password)
		t.users[name] = k
	}
	return t, nil
}

// checkRealm: RFC 8489 §14.9, and it stands in quotes.
func checkRealm(realm string) error {
	if err := checkTURNText("realm", realm); err != nil {
		return err
	}
	if utf8.RuneCountInString(realm) > maxRealmRunes || strings.ContainsAny(realm, `"\`) {
		return fmt.Errorf(`a TURN realm has at most %d characters, and neither " nor \`, maxRealmRunes)
	}
	return nil
}

// checkTURNText refuses what SASLprep and OpaqueString (RFC 8265 §4.2) would change or forbid, but for what is composed of accents: whoever
// types those has them composed already.
func checkTURNText(what, s string) error {
	if s == "" || len(s) > MaxTURNTextBytes || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("a TURN %s is printable text of 1 to %d bytes", what, MaxTURNTextBytes)
	}
	return nil
}

// Key appends the keys of a username to dst and says what quotas count it by; it reports false for whom it does not know, or whose time is
// over. A key is MD5, or SHA-256, of username:realm:password (RFC 8489 §9.2.2). There is one for each secret, one after the other: only a
// message's integrity tells which secret its sender's password was made with. Holders of time-limited credentials are counted by their name with a colon
// before it, which no name of a user with a password has: whoever a service calls "ann" is not the operator's ann.
func (t *TURN) Key(dst []byte, now time.Time, username []byte, strong bool) (keys []byte, user string, ok bool) {
	if k := t.users[string(username)]; k != nil {
		if strong {
			return append(dst, k.sha256[:]...), k.name, true
		}
		return append(dst, k.md5[:]...), k.name, true
	}
	expires, who, ok := timeLimited(username)
	if !ok || len(t.secrets) == 0 || !now.Before(expires) {
		return dst, "", false
	}
	by := stun.MD5
	if strong {
		by = stun.SHA256
	}
	for _, s := range t.secrets {
		dst = stun.AppendLongTermKey(dst, by, string(username), t.realm, turnPassword(s, string(username)))
	}
	return dst, ":" + string(who), true
}

// timeLimited takes a time-limited username apart. One without a user is its own, as Prosody's are.
func timeLimited(username []byte) (expires time.Time, user []byte, ok bool) {
	digits, user, named := bytes.Cut(username, []byte(":"))
	if len(digits) == 0 || len(digits) > maxExpiryDigits || len(username) > MaxTURNTextBytes {
		return time.Time{}, nil, false
	}
	seconds := int64(0)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return time.Time{}, nil, false
		}
		seconds = 10*seconds + int64(c-'0')
	}
	if !named || len(user) == 0 {
		user = username
	}
	return time.Unix(seconds, 0), user, true
}

func turnPassword(secret Secret, username string) string {
	mac := hmac.New(sha1.New, secret.Reveal())
	_, _ = io.WriteString(mac, username)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Holds reports whether who has an allocation by a username may keep it: always, since users do not change, and a call may outlast the time-limited name
// that it began with, as with coturn.
func (t *TURN) Holds(time.Time, []byte) bool { return true }

// Format implements fmt.Formatter: keys are as good as passwords.
func (t *TURN) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// NewTURNSecret returns a secret that others know too, who make credentials with it; those of coturn's configurations may be shorter than
// [NewSecret] takes. Whoever guesses a short one from a credential that he has seen can make more.
func NewTURNSecret(text string) (Secret, error) {
	if err := checkTURNText("secret", text); err != nil {
		return Secret{}, err
	}
	c := []byte(text)
	return Secret{func() []byte { return c }}, nil
}
