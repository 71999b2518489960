// Package authtest makes tokens that nobody may get in with, for the tests of everything that takes tokens.
package authtest

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
)

// KeyName, Room and Identity are those of [Good].
const (
	KeyName  = "APItest"
	Room     = "tea"
	Identity = "ann"
)

var secretBytes = bytes.Repeat([]byte("0123456789abcdef"), 2)

// Keys has the one key that Good is signed with, and a second one.
func Keys() auth.Keys {
	return auth.Keys{KeyName: secret(secretBytes), "APIother": secret(bytes.Repeat([]byte{'x'}, 48))}
}

func secret(b []byte) auth.Secret {
	s, err := auth.NewSecret(b)
	if err != nil {
		panic(err)
	}
	return s
}

// Object is a JSON object, its values being JSON texts.
type Object map[string]string

// with returns a copy of o with key set, or without it where value is empty.
func (o Object) with(key, value string) Object {
	c := maps.Clone(o)
	if c[key] = value; value == "" {
		delete(c, key)
	}
	return c
}

// text has its keys in order, so that fuzzing's processes make equal tokens.
func (o Object) text() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(o)) {
		fmt.Fprintf(&b, ",%q:%s", k, o[k])
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}"
}

func header() Object { return Object{"alg": `"HS256"`, "typ": `"JWT"`} }

const goodVideo = `{"room":"tea","roomJoin":true}`

func claims(now time.Time) Object {
	return Object{
		"iss": `"` + KeyName + `"`, "sub": `"` + Identity + `"`, "name": `"Ann"`, "video": goodVideo,
		"nbf": unix(now), "exp": unix(now.Add(time.Hour)),
	}
}

func unix(t time.Time) string { return fmt.Sprint(t.Unix()) }

// Good makes a valid token, with the claims in change set (or taken away where empty).
func Good(now time.Time, change Object) string {
	c := claims(now)
	for k, v := range change {
		c = c.with(k, v)
	}
	return signed(header(), c)
}

func signed(h, c Object) string { return seal(h.text(), c.text(), sha256.New, secretBytes) }

func seal(header, claims string, h func() hash.Hash, key []byte) string {
	text := b64(header) + "." + b64(claims)
	m := hmac.New(h, key)
	m.Write([]byte(text))
	return text + "." + b64(string(m.Sum(nil)))
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// Forgery is a token that must be refused, and what is wrong with it.
type Forgery struct{ Name, Token string }

// Forgeries makes them, at least 60.
func Forgeries(now time.Time) []Forgery {
	var all []Forgery
	add := func(name, token string) { all = append(all, Forgery{name, token}) }
	shapes(now, add)
	algorithms(now, add)
	headers(now, add)
	keys(now, add)
	times(now, add)
	contents(now, add)
	return all
}

// shapes are no JWS at all, or a good one that was bent.
func shapes(now time.Time, add func(name, token string)) {
	good := Good(now, nil)
	p := strings.Split(good, ".")
	last := p[2][:len(p[2])-1]
	for name, token := range map[string]string{
		"empty": "", "one part": p[0], "two parts": p[0] + "." + p[1], "four parts": good + ".x", "five parts, as in JWE": good + "..",
		"only dots": "..", "no header": "." + p[1] + "." + p[2], "no claims": p[0] + ".." + p[2], "no signature": p[0] + "." + p[1] + ".",
		"signature cut": good[:len(good)-4], "signature extended": good + "AAAA", "signature padded": good + "=",
		"last signature bits bent": p[0] + "." + p[1] + "." + last + next(p[2][len(p[2])-1]),
		"signature of zeroes":      p[0] + "." + p[1] + "." + b64(string(make([]byte, 32))),
		"claims exchanged":         p[0] + "." + b64(claims(now).with("sub", `"eve"`).text()) + "." + p[2],
		"header exchanged":         b64(header().with("kid", `"`+KeyName+`"`).text()) + "." + p[1] + "." + p[2],
		"space before":             " " + good, "newline after": good + "\n", "with the scheme": "Bearer " + good,
		"JSON serialisation":  `{"protected":"` + p[0] + `","payload":"` + p[1] + `","signature":"` + p[2] + `"}`,
		"standard alphabet":   strings.NewReplacer("-", "+", "_", "/").Replace(good) + "+/",
		"header not JSON":     seal("HS256", claims(now).text(), sha256.New, secretBytes),
		"header an array":     seal(`["HS256"]`, claims(now).text(), sha256.New, secretBytes),
		"header null":         seal("null", claims(now).text(), sha256.New, secretBytes),
		"claims not JSON":     seal(header().text(), "sub=ann", sha256.New, secretBytes),
		"claims an array":     seal(header().text(), "["+claims(now).text()+"]", sha256.New, secretBytes),
		"claims null":         seal(header().text(), "null", sha256.New, secretBytes),
		"claims cut off":      seal(header().text(), strings.TrimSuffix(claims(now).text(), "}"), sha256.New, secretBytes),
		"two claims objects":  seal(header().text(), claims(now).text()+claims(now).text(), sha256.New, secretBytes),
		"too long":            Good(now, Object{"metadata": `"` + strings.Repeat("m", auth.MaxTokenBytes) + `"`}),
		"claims nested deep":  seal(header().text(), strings.Repeat(`{"a":`, 1500)+"1"+strings.Repeat("}", 1500), sha256.New, secretBytes),
		"part of NUL bytes":   b64("\x00\x00") + "." + p[1] + "." + p[2],
		"base64 of base64":    b64(p[0]) + "." + b64(p[1]) + "." + b64(p[2]),
		"claims not base64":   p[0] + ".%7B%7D." + p[2],
		"non-ASCII full stop": p[0] + "\u3002" + p[1] + "\u3002" + p[2],
	} {
		add("shape: "+name, token)
	}
}

// next returns another letter that decodes to the same bytes if the unused low bits are not looked at.
func next(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

// algorithms are signatures by something else than HS256 with the secret.
func algorithms(now time.Time, add func(name, token string)) {
	c := claims(now)
	for _, alg := range []string{"none", "None", "NONE", "nOnE", ""} {
		h := header().with("alg", `"`+alg+`"`)
		add("alg "+alg+" without a signature", b64(h.text())+"."+b64(c.text())+".")
		add("alg "+alg+" with one", signed(h, c))
	}
	for _, alg := range []string{"HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA", "HS256 ", "hs256"} {
		add("alg "+alg+" claimed", signed(header().with("alg", `"`+alg+`"`), c))
	}
	add("HS384 with the secret", seal(header().with("alg", `"HS384"`).text(), c.text(), sha512.New384, secretBytes))
	add("HS512 with the secret", seal(header().with("alg", `"HS512"`).text(), c.text(), sha512.New, secretBytes))
	add("HS512 under HS256's name", seal(header().text(), c.text(), sha512.New, secretBytes))
	add("no alg", signed(header().with("alg", ""), c))
	add("alg a number", signed(header().with("alg", "256"), c))
	add("alg a list", signed(header().with("alg", `["HS256","none"]`), c))
	add("alg null", signed(header().with("alg", "null"), c))
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	modulus := base64.RawURLEncoding.EncodeToString(key.N.Bytes())
	h := header().with("alg", `"RS256"`).with("jwk", `{"kty":"RSA","e":"AQAB","n":"`+modulus+`"}`)
	sum := sha256.Sum256([]byte(b64(h.text()) + "." + b64(c.text())))
	sig, err := rsa.SignPKCS1v15(nil, key, 0, sum[:])
	if err != nil {
		panic(err)
	}
	add("RS256 by a key that it brings along", b64(h.text())+"."+b64(c.text())+"."+b64(string(sig)))
}

// headers carry the right signature, but ask for something that is not understood.
func headers(now time.Time, add func(name, token string)) {
	for name, h := range map[string]Object{
		"crit b64":              header().with("crit", `["b64"]`).with("b64", "false"),
		"b64 without crit":      header().with("b64", "false"),
		"crit unknown":          header().with("crit", `["x-new"]`).with("x-new", "1"),
		"crit empty":            header().with("crit", "[]"),
		"crit null":             header().with("crit", "null"),
		"crit exp":              header().with("crit", `["exp"]`).with("exp", "1"),
		"zip":                   header().with("zip", `"DEF"`),
		"enc":                   header().with("enc", `"A128GCM"`),
		"typ of something else": header().with("typ", `"logout+jwt"`),
		"typ a number":          header().with("typ", "1"),
		"kid of another key":    header().with("kid", `"APIother"`),
		"kid a path":            header().with("kid", `"../../../../dev/null"`),
		"kid an injection":      header().with("kid", `"x' UNION SELECT 'k"`),
		"kid a number":          header().with("kid", "1"),
		"kid a list":            header().with("kid", `["`+KeyName+`"]`),
		"kid an object":         header().with("kid", `{"k":"v"}`),
	} {
		add("header: "+name, signed(h, claims(now)))
	}
}

// keys are signed with something that is not the secret of iss.
func keys(now time.Time, add func(name, token string)) {
	with := func(key []byte, iss string) string {
		return seal(header().text(), claims(now).with("iss", iss).text(), sha256.New, key)
	}
	own := `"` + KeyName + `"`
	add("key: empty", with(nil, own))
	add("key: the key's name", with([]byte(KeyName), own))
	add("key: a usual default", with([]byte("secret"), own))
	add("key: another key's secret", with(bytes.Repeat([]byte{'x'}, 48), own))
	add("key: this secret under the other name", with(secretBytes, `"APIother"`))
	add("key: the secret with a NUL and more", with(append(bytes.Clone(secretBytes), 0, 1), own))
	add("key: the secret without its last byte", with(secretBytes[:len(secretBytes)-1], own))
	jwk := header().with("jwk", `{"kty":"oct","k":"`+b64("mine")+`"}`)
	add("key: brought along as jwk", seal(jwk.text(), claims(now).text(), sha256.New, []byte("mine")))
	jku := header().with("jku", `"https://192.0.2.1/keys.json"`)
	add("key: to be fetched from jku", seal(jku.text(), claims(now).text(), sha256.New, []byte("mine")))
	x5u := header().with("x5u", `"https://192.0.2.1/key.pem"`)
	add("key: to be fetched from x5u", seal(x5u.text(), claims(now).text(), sha256.New, []byte("mine")))
	for name, iss := range map[string]string{
		"missing": "", "empty": `""`, "unknown": `"APInobody"`, "another case": `"apitest"`, "a list": `["` + KeyName + `"]`,
		"null": "null", "with a space": `"` + KeyName + ` "`, "with a NUL": `"` + KeyName + `\u0000"`,
	} {
		add("iss "+name, with(secretBytes, iss))
		add("iss "+name+", empty key", with(nil, iss))
	}
}

// times are not now, nor within the minutes after.
func times(now time.Time, add func(name, token string)) {
	at := func(d time.Duration) string { return unix(now.Add(d)) }
	for name, change := range map[string]Object{
		"exp missing":             {"exp": ""},
		"exp null":                {"exp": "null"},
		"exp zero":                {"exp": "0"},
		"exp negative":            {"exp": "-1"},
		"exp a string":            {"exp": `"` + at(time.Hour) + `"`},
		"exp true":                {"exp": "true"},
		"exp a list":              {"exp": "[" + at(time.Hour) + "]"},
		"exp beyond every date":   {"exp": "1e308"},
		"exp beyond every number": {"exp": "1e999"},
		"exp past int64":          {"exp": "9223372036854775808"},
		"exp in milliseconds":     {"exp": at(time.Hour) + "000"},
		"exp passed":              {"exp": at(-61 * time.Second), "nbf": at(-time.Hour)},
		"exp and skew just over":  {"exp": at(-60 * time.Second), "nbf": at(-time.Hour)},
		"exp in 25 hours":         {"exp": at(25 * time.Hour)},
		"25 hours, ending soon":   {"exp": at(time.Hour), "nbf": at(-24 * time.Hour)},
		"25 hours since iat":      {"exp": at(time.Hour), "nbf": "", "iat": at(-24 * time.Hour)},
		"without nbf for 25":      {"exp": at(25 * time.Hour), "nbf": ""},
		"nbf ahead":               {"nbf": at(5 * time.Minute)},
		"nbf a string":            {"nbf": `"` + at(0) + `"`},
		"nbf negative":            {"nbf": "-1e300"},
		"iat ahead":               {"iat": at(5 * time.Minute)},
		"iat a string":            {"iat": `"now"`},
	} {
		add("time: "+name, Good(now, change))
	}
}

// contents are properly signed but let nobody in.
func contents(now time.Time, add func(name, token string)) {
	for name, change := range map[string]Object{
		"aud of another service": {"aud": `"billing"`},
		"aud a list":             {"aud": `["parley","billing"]`},
		"no sub":                 {"sub": ""},
		"sub empty":              {"sub": `""`},
		"sub a number":           {"sub": "7"},
		"sub with a newline":     {"sub": `"ann\nadmin"`},
		"sub with a NUL":         {"sub": `"ann\u0000"`},
		"sub too long":           {"sub": `"` + strings.Repeat("a", 129) + `"`},
		"name too long":          {"name": `"` + strings.Repeat("a", 129) + `"`},
		"name an object":         {"name": `{}`},
		"no video":               {"video": ""},
		"video null":             {"video": "null"},
		"video a string":         {"video": `"room"`},
		"video a list":           {"video": "[" + goodVideo + "]"},
		"no roomJoin":            {"video": `{"room":"tea"}`},
		"roomJoin false":         {"video": `{"room":"tea","roomJoin":false}`},
		"roomJoin a string":      {"video": `{"room":"tea","roomJoin":"true"}`},
		"roomJoin a number":      {"video": `{"room":"tea","roomJoin":1}`},
		"only roomAdmin":         {"video": `{"room":"tea","roomAdmin":true}`},
		"no room":                {"video": `{"roomJoin":true}`},
		"room empty":             {"video": `{"room":"","roomJoin":true}`},
		"room a list":            {"video": `{"room":["tea"],"roomJoin":true}`},
		"room with a NUL":        {"video": `{"room":"tea\u0000","roomJoin":true}`},
		"grants at the top":      {"video": "", "room": `"tea"`, "roomJoin": "true"},
		"source unknown":         {"video": `{"room":"tea","roomJoin":true,"canPublishSources":["hologram"]}`},
		"sources a string":       {"video": `{"room":"tea","roomJoin":true,"canPublishSources":"camera"}`},
		"canPublish a string":    {"video": `{"room":"tea","roomJoin":true,"canPublish":"false"}`},
	} {
		add("content: "+name, Good(now, change))
	}
}
