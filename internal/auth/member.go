package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/parley-rtc/parley/internal/stun"
)

// Mark stands for a member of a room wherever what it relays is counted. Whoever watches the network learns neither room nor identity by it.
type Mark [12]byte

// MemberKeys makes and tells time-limited TURN credentials of members of rooms. They are made of the key pairs that sign tokens, so that there is no second secret
// to keep, and have the form of the others that TURN tells:
//
//	username  1795770000:M7vc…            when it ends, and in base64 by which key pair it was made (4 bytes) and whose it is (12)
//	password  base64(HMAC-SHA1(secret, username))
//
// So it does not matter how many key pairs there are: one is tried. It does not change, so it may be used concurrently.
type MemberKeys struct {
	realm string
	first memberPair
	pairs map[pairID][]memberPair // mostly one
	marks Secret
}

// memberPair is what a key pair becomes for TURN.
type memberPair struct {
	id     pairID
	secret Secret
}

// pairID tells in a username which key pair it was made by.
type pairID [4]byte

// NewMemberKeys returns the keys of a realm. Credentials are made by the key pair called first, and told of all. Marks is what marks are made with, and
// secret too.
func NewMemberKeys(realm, first string, keys Keys, marks Secret) (*MemberKeys, error) {
	if err := checkRealm(realm); err != nil {
		return nil, err
	}
	k := &MemberKeys{realm: realm, pairs: make(map[pairID][]memberPair, len(keys)), marks: marks}
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		p := newMemberPair(keys[name])
		k.pairs[p.id] = append(k.pairs[p.id], p)
		if name == first {
			k.first = p
		}
	}
	if k.first.secret.Reveal() == nil {
		return nil, fmt.Errorf("no key pair %q to make TURN credentials with", first)
	}
	return k, nil
}

// newMemberPair derives a secret that is as secret as the key pair, and tells nothing of it.
func newMemberPair(key Secret) memberPair {
	derive := func(what string) []byte {
		mac := hmac.New(sha256.New, key.Reveal())
		_, _ = io.WriteString(mac, what)
		return mac.Sum(nil)
	}
	secret := derive("members' TURN credentials")
	return memberPair{pairID(derive("its name in them")), Secret{func() []byte { return secret }}}
}

// Mark is that of a member, always the same.
func (k *MemberKeys) Mark(room, identity string) (m Mark) {
	mac := hmac.New(sha256.New, k.marks.Reveal())
	_, _ = io.WriteString(mac, "member\x00"+room+"\x00"+identity) // names have no control characters
	copy(m[:], mac.Sum(nil))
	return m
}

// Credentials makes those of a member, valid until expires.
func (k *MemberKeys) Credentials(expires time.Time, m Mark) (username, password string) {
	b := append(k.first.id[:], m[:]...)
	username = strconv.FormatInt(expires.Unix(), 10) + ":" + base64.RawURLEncoding.EncodeToString(b)
	return username, turnPassword(k.first.secret, username)
}

// Read tells what a username says; ok is false where none of the key pairs has made it, as far as can be seen.
func (k *MemberKeys) Read(username []byte) (expires time.Time, m Mark, ok bool) {
	expires, _, m, ok = k.read(username)
	return expires, m, ok
}

func (k *MemberKeys) read(username []byte) (expires time.Time, pairs []memberPair, m Mark, ok bool) {
	expires, who, ok := timeLimited(username)
	var b [len(pairID{}) + len(m)]byte
	if !ok || len(who) != base64.RawURLEncoding.EncodedLen(len(b)) || bytes.ContainsAny(who, "\r\n") { // which the decoder skips
		return expires, nil, m, false
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(b[:], who); err != nil {
		return expires, nil, m, false
	}
	pairs = k.pairs[pairID(b[:])]
	return expires, pairs, Mark(b[len(pairID{}):]), len(pairs) > 0
}

// Key appends the key of a username to dst, as TURN.Key does; it does not look at the time. Where two key pairs go by one id in usernames, there is a key
// for each.
func (k *MemberKeys) Key(dst []byte, username []byte, strong bool) (keys []byte, ok bool) {
	_, pairs, _, ok := k.read(username)
	by := stun.MD5
	if strong {
		by = stun.SHA256
	}
	for _, p := range pairs {
		dst = stun.AppendLongTermKey(dst, by, string(username), k.realm, turnPassword(p.secret, string(username)))
	}
	return dst, ok
}

// Format implements fmt.Formatter: keys are as good as passwords.
func (k *MemberKeys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }
