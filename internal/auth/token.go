// Package auth decides who may do what: it verifies and signs the tokens that let a participant into a room, and those of operators.
//
// A token is a JWT (RFC 7519) signed with HMAC-SHA256, with the claim names that LiveKit's back ends use, so that they can mint
// tokens for Parley unchanged:
//
//	{"alg":"HS256","typ":"JWT"}
//	{"iss":"<key>", "sub":"<identity>", "name":"…", "metadata":"…", "nbf":…, "exp":…,
//	 "video":{"room":"…", "roomJoin":true, "canPublish":…, "canSubscribe":…, "canPublishData":…, "canPublishSources":[…],
//	          "canUpdateOwnMetadata":…, "roomAdmin":…, "hidden":…}}
//
// The key is found by iss in a table and by nothing else; its only algorithm is HS256. It owns no state: keys and time are
// arguments.
package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/parley-rtc/parley/wire"
)

// Keys are the key pairs: secrets by key name, which tokens carry as iss.
type Keys map[string]Secret

// Claims are what a valid token says.
type Claims struct {
	Key      string // name of the key that signed it (iss)
	ID       string // jti; may be empty
	Identity string // sub
	Name     string
	Metadata string
	Room     string
	Grants   wire.Grants
	// Sources that may be published; nil: all.
	Sources []wire.Source
	// UpdateOwn: the participant may change its own name and metadata.
	UpdateOwn bool
	NotBefore time.Time // zero: not told
	Expires   time.Time
}

// payload is the JSON form of Claims. Times are numbers and only numbers: jwt's own type takes strings too.
type payload struct {
	jwt.RegisteredClaims `json:"-"` // only for its methods, which the parser wants and does not call

	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	ID       string   `json:"jti,omitempty"`
	Audience any      `json:"aud,omitempty"`
	Expires  *float64 `json:"exp"`
	Before   *float64 `json:"nbf,omitempty"`
	IssuedAt *float64 `json:"iat,omitempty"`
	Name     string   `json:"name,omitempty"`
	Metadata string   `json:"metadata,omitempty"`
	Video    *video   `json:"video,omitempty"`
}

type video struct {
	Room              string   `json:"room"`
	RoomJoin          bool     `json:"roomJoin"`
	RoomAdmin         bool     `json:"roomAdmin,omitempty"`
	Hidden            bool     `json:"hidden,omitempty"`
	CanPublish        *bool    `json:"canPublish,omitempty"`
	CanSubscribe      *bool    `json:"canSubscribe,omitempty"`
	CanPublishData    *bool    `json:"canPublishData,omitempty"`
	CanPublishSources []string `json:"canPublishSources,omitempty"`
	// LiveKit's rule for this one: absent is false.
	CanUpdateOwnMetadata *bool `json:"canUpdateOwnMetadata,omitempty"`
}

// sourceNames are LiveKit's names of sources.
var sourceNames = map[string]wire.Source{
	"microphone": wire.SourceMicrophone, "camera": wire.SourceCamera,
	"screen_share": wire.SourceScreen, "screen_share_audio": wire.SourceScreenAudio,
}

// parser never validates claims itself: it would ask the clock.
var parser = jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithStrictDecoding(),
	jwt.WithoutClaimsValidation())

// Verify checks a token against keys and returns what it says. The error wraps a *wire.Error with code unauthorized; it never
// quotes the token. [Why] tells more of it.
func Verify(now time.Time, token string, keys Keys) (Claims, error) {
	p, expires, before, err := open(now, token, keys)
	if err != nil {
		return Claims{}, err
	}
	c, err := p.claims()
	c.Expires, c.NotBefore = expires, before
	if err != nil {
		return Claims{}, err
	}
	return c, nil
}

// open reads a token, whosever it is, once it is known to be signed with a key, and valid now.
func open(now time.Time, token string, keys Keys) (p *payload, expires, before time.Time, err error) {
	p = &payload{}
	switch {
	case token == "":
		return nil, expires, before, refuse("no token was given")
	case len(token) > MaxTokenBytes:
		return nil, expires, before, refuse(fmt.Sprintf("the token is longer than %d bytes", MaxTokenBytes))
	case strings.ContainsAny(token, "\r\n"): // base64 decoders skip them: one token would have many spellings
		return nil, expires, before, refuse("the token has line ends in it")
	}
	if _, err := parser.ParseWithClaims(token, p, func(t *jwt.Token) (any, error) { return keyOf(t, p, keys) }); err != nil {
		told := refuse("the token is malformed, of another algorithm than HS256, of an unknown key, or its signature is wrong")
		return nil, expires, before, &refusal{told: told, why: whyUnreadable(err)}
	}
	expires, before, err = p.times(now)
	return p, expires, before, err
}

// keyOf finds the secret, after a look at the header: nothing there may change how the token is read (RFC 7515 §4.1.11: an
// extension that is not understood and marked critical is refused).
func keyOf(t *jwt.Token, p *payload, keys Keys) (any, error) {
	for _, name := range []string{"crit", "b64", "zip", "enc"} {
		if _, ok := t.Header[name]; ok {
			return nil, fmt.Errorf("header %s is not understood", name)
		}
	}
	if typ, ok := t.Header["typ"]; ok {
		if s, ok := typ.(string); !ok || !strings.EqualFold(s, "JWT") {
			return nil, fmt.Errorf("header typ is not JWT")
		}
	}
	if kid, ok := t.Header["kid"]; ok && kid != any(p.Issuer) {
		return nil, fmt.Errorf("header kid is not the iss claim")
	}
	secret, ok := keys[p.Issuer]
	if b := secret.Reveal(); ok && p.Issuer != "" && len(b) >= MinSecretBytes {
		return b, nil
	}
	return nil, errNoKey
}

var errNoKey = errors.New("no such key")

// refusal is an error that tells the operator more than the client: which keys there are is nobody else's business.
type refusal struct {
	told *wire.Error
	why  string
}

func (r *refusal) Error() string { return r.told.Error() }

func (r *refusal) Unwrap() error { return r.told }

// Why is what the operator may know of an error of [Verify]: one of few texts, with nothing of the token in it.
func Why(err error) string {
	var r *refusal
	var told *wire.Error
	switch {
	case errors.As(err, &r):
		return r.why
	case errors.As(err, &told):
		return told.Message
	}
	return "the token is not valid"
}

// whyUnreadable says which of the faults it is that a client is told together.
func whyUnreadable(err error) string {
	switch {
	case errors.Is(err, errNoKey):
		return "the token is of an unknown key: was it made with another --data or --keys?"
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return "the token's signature is wrong, or its algorithm is not HS256: was it changed, or made with another secret of the same key?"
	}
	return "the token is malformed: was it copied whole?"
}

func (p *payload) times(now time.Time) (expires, before time.Time, err error) {
	if p.Expires == nil {
		return expires, before, refuse("the token has no exp claim")
	}
	start := now.Add(MaxSkew) // the minter's clock may be ahead
	for _, c := range []struct {
		claim *float64
		name  string
		at    *time.Time
	}{{p.Before, "nbf", &before}, {p.IssuedAt, "iat", nil}, {p.Expires, "exp", &expires}} {
		if c.claim == nil {
			continue
		}
		at, ok := date(*c.claim)
		if !ok {
			return expires, before, refuse("the token's " + c.name + " claim is not a time")
		}
		if c.at != nil {
			*c.at = at
		}
		if c.name == "exp" {
			continue
		}
		if at.After(now.Add(MaxSkew)) {
			return expires, before, refuse("the token is not valid yet (" + c.name + "): check the clock of whoever made it")
		}
		start = at // iat comes last: it tells best when the token was made
	}
	switch {
	case !now.Before(expires.Add(MaxSkew)):
		err = refuse("the token has expired")
	case expires.Sub(start) > MaxLifetime || expires.Sub(now) > MaxLifetime+MaxSkew:
		err = refuse(fmt.Sprintf("the token is valid for longer than %v", MaxLifetime))
	}
	return expires, before, err
}

// date reads a NumericDate (RFC 7519 §2). Its bounds keep arithmetic on it from overflowing.
func date(f float64) (time.Time, bool) {
	if !(f >= 0 && f < 1e11) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(f * 1000)), true
}

func (p *payload) claims() (Claims, error) {
	switch {
	case p.Audience != nil: // RFC 7519 §4.1.3: a token for somebody else is refused; Parley has no audience name
		return Claims{}, refuse("the token has an aud claim: it is meant for another service")
	case p.Subject == "":
		return Claims{}, refuse("the token has no sub claim, which is the participant's identity")
	case p.Video == nil || !p.Video.RoomJoin:
		return Claims{}, refuse("the token does not have video.roomJoin")
	case p.Video.Room == "":
		return Claims{}, refuse("the token names no video.room")
	case !FitsPath(p.Video.Room):
		return Claims{}, refuse("the token's video.room is . or .., or has a / in it, which no room's name may")
	case len(p.Metadata) > wire.MaxMetadataBytes:
		return Claims{}, refuse(fmt.Sprintf("the token's metadata is longer than %d bytes", wire.MaxMetadataBytes))
	}
	for _, s := range []string{p.Subject, p.Name, p.Video.Room} {
		if len(s) > wire.MaxNameBytes || !utf8.ValidString(s) || strings.ContainsFunc(s, isControl) {
			return Claims{}, refuse(fmt.Sprintf("sub, name and video.room are text of at most %d bytes without control characters", wire.MaxNameBytes))
		}
	}
	v := p.Video
	c := Claims{
		Key: p.Issuer, ID: p.ID, Identity: p.Subject, Name: p.Name, Metadata: p.Metadata, Room: v.Room,
		Grants: wire.Grants{
			Publish: unlessFalse(v.CanPublish), Subscribe: unlessFalse(v.CanSubscribe),
			PublishData: unlessFalse(v.CanPublishData), Admin: v.RoomAdmin, Hidden: v.Hidden,
		},
		UpdateOwn: v.CanUpdateOwnMetadata != nil && *v.CanUpdateOwnMetadata,
	}
	for _, s := range v.CanPublishSources {
		source, ok := sourceNames[strings.ToLower(s)]
		if !ok {
			return Claims{}, refuse("the token's video.canPublishSources has a source that does not exist")
		}
		c.Sources = append(c.Sources, source)
	}
	return c, nil
}

// FitsPath reports whether a room's name can be one part of a path, as in links to it.
func FitsPath(room string) bool { return room != "." && room != ".." && !strings.Contains(room, "/") }

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// unlessFalse is LiveKit's rule for most grants: absent is true.
func unlessFalse(b *bool) bool { return b == nil || *b }

func refuse(why string) *wire.Error {
	return wire.NewError(wire.CodeUnauthorized, why, "get a fresh token from whoever runs this service, for this room")
}

// Sign makes the token for c with the key c.Key. Whatever [Verify] would refuse is refused here. NotBefore may be zero.
func Sign(now time.Time, c Claims, keys Keys) (string, error) {
	secret, ok := keys[c.Key]
	if !ok {
		return "", fmt.Errorf("sign token: no key %q", c.Key)
	}
	g := c.Grants
	p := payload{
		Issuer: c.Key, Subject: c.Identity, ID: c.ID, Name: c.Name, Metadata: c.Metadata,
		Expires: seconds(c.Expires), IssuedAt: seconds(now), Before: seconds(c.NotBefore),
		Video: &video{
			Room: c.Room, RoomJoin: true, RoomAdmin: g.Admin, Hidden: g.Hidden,
			CanPublish: &g.Publish, CanSubscribe: &g.Subscribe, CanPublishData: &g.PublishData, CanUpdateOwnMetadata: &c.UpdateOwn,
		},
	}
	for name, source := range sourceNames {
		if slices.Contains(c.Sources, source) {
			p.Video.CanPublishSources = append(p.Video.CanPublishSources, name)
		}
	}
	slices.Sort(p.Video.CanPublishSources)
	token, err := p.sign(secret)
	if err == nil {
		_, err = Verify(now, token, keys)
	}
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}

func (p *payload) sign(secret Secret) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, p).SignedString(secret.Reveal())
}

func seconds(t time.Time) *float64 {
	if t.IsZero() {
		return nil
	}
	f := float64(t.Unix())
	return &f
}
