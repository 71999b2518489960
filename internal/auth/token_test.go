package auth_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/auth/authtest"
	"github.com/parley-rtc/parley/wire"
)

var now = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// No forged, stale, foreign or bent token is accepted, each is refused with "unauthorized", and no refusal quotes the token.
func TestForgeries(t *testing.T) {
	all := authtest.Forgeries(now)
	if len(all) < 60 {
		t.Fatalf("only %d forgeries", len(all))
	}
	seen := map[string]bool{}
	for _, f := range all {
		if seen[f.Name] {
			t.Errorf("forgery %q is there twice", f.Name)
		}
		seen[f.Name] = true
		c, err := auth.Verify(now, f.Token, authtest.Keys())
		var refused *wire.Error
		if !errors.As(err, &refused) || refused.Code != wire.CodeUnauthorized || refused.Next == "" {
			t.Errorf("%s: accepted as %+v, error %v", f.Name, c, err)
			continue
		}
		if parts := strings.Split(f.Token, "."); len(parts) > 1 && len(parts[1]) > 8 && strings.Contains(err.Error(), parts[1]) {
			t.Errorf("%s: the refusal quotes the token", f.Name)
		}
	}
	t.Logf("%d forgeries refused", len(all))
}

// Claim names and defaults are LiveKit's: an absent canPublish, canSubscribe, canPublishData is true, an absent
// canUpdateOwnMetadata false.
func TestVerifyReadsClaims(t *testing.T) {
	for _, c := range []struct {
		name   string
		video  string
		grants wire.Grants
		source []wire.Source
		update bool
	}{
		{"defaults", `{"room":"tea","roomJoin":true}`, wire.Grants{Publish: true, Subscribe: true, PublishData: true}, nil, false},
		{
			"all denied", `{"room":"tea","roomJoin":true,"canPublish":false,"canSubscribe":false,"canPublishData":false,"canUpdateOwnMetadata":false}`,
			wire.Grants{},
			nil, false,
		},
		{
			"all allowed", `{"room":"tea","roomJoin":true,"canPublish":true,"canSubscribe":true,"canPublishData":true,"roomAdmin":true,"hidden":true,"canUpdateOwnMetadata":true}`,
			wire.Grants{Publish: true, Subscribe: true, PublishData: true, Admin: true, Hidden: true},
			nil, true,
		},
		{
			"some sources", `{"room":"tea","roomJoin":true,"canPublishSources":["microphone","screen_share","SCREEN_SHARE_AUDIO","camera"]}`,
			wire.Grants{Publish: true, Subscribe: true, PublishData: true},
			[]wire.Source{wire.SourceMicrophone, wire.SourceScreen, wire.SourceScreenAudio, wire.SourceCamera},
			false,
		},
		{
			"claims for other services", `{"room":"tea","roomJoin":true,"ingressAdmin":true,"roomRecord":true,"agent":true}`,
			wire.Grants{Publish: true, Subscribe: true, PublishData: true},
			nil, false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := authtest.Good(now, authtest.Object{"video": c.video, "metadata": `"m"`, "jti": `"7"`, "sha256": `""`})
			got, err := auth.Verify(now, token, authtest.Keys())
			if err != nil {
				t.Fatal(err)
			}
			want := auth.Claims{
				Key: authtest.KeyName, ID: "7", Identity: "ann", Name: "Ann", Metadata: "m", Room: "tea", Grants: c.grants,
				Sources: c.source, UpdateOwn: c.update, NotBefore: now, Expires: now.Add(time.Hour),
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// A clock may be wrong by up to a minute, in both directions; a day is the longest life.
func TestTimesAtTheirLimits(t *testing.T) {
	at := func(d time.Duration) string { return fmt.Sprint(now.Add(d).Unix()) }
	for name, change := range map[string]authtest.Object{
		"just expired":        {"exp": at(-59 * time.Second)},
		"not quite yet":       {"nbf": at(60 * time.Second)},
		"issued ahead":        {"iat": at(60 * time.Second)},
		"a day":               {"exp": at(24 * time.Hour)},
		"a day, minter ahead": {"nbf": at(60 * time.Second), "exp": at(24*time.Hour + 60*time.Second)},
		"without nbf":         {"nbf": ""},
		"with a fraction":     {"exp": at(time.Hour) + ".5"},
		"as it is":            {},
	} {
		if _, err := auth.Verify(now, authtest.Good(now, change), authtest.Keys()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]authtest.Object{
		"just expired":             {"exp": at(-60 * time.Second)},
		"not yet":                  {"nbf": at(61 * time.Second)},
		"issued too far ahead":     {"iat": at(61 * time.Second)},
		"a second more than a day": {"exp": at(24*time.Hour + time.Second)},
	} {
		if _, err := auth.Verify(now, authtest.Good(now, change), authtest.Keys()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// What Sign makes, Verify reads; what Verify would refuse, Sign does not make.
func TestSign(t *testing.T) {
	want := auth.Claims{
		Key: authtest.KeyName, ID: "j", Identity: "ann", Name: "Ann", Metadata: "m", Room: "tea",
		Grants: wire.Grants{Publish: true, Admin: true}, Sources: []wire.Source{wire.SourceCamera, wire.SourceMicrophone},
		UpdateOwn: true, NotBefore: now, Expires: now.Add(6 * time.Hour),
	}
	token, err := auth.Sign(now, want, authtest.Keys())
	if err != nil {
		t.Fatal(err)
	}
	got, err := auth.Verify(now, token, authtest.Keys())
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Error(err, d)
	}
	for name, change := range map[string]func(*auth.Claims){
		"unknown key":  func(c *auth.Claims) { c.Key = "nobody" },
		"no identity":  func(c *auth.Claims) { c.Identity = "" },
		"no room":      func(c *auth.Claims) { c.Room = "" },
		"too long":     func(c *auth.Claims) { c.Expires = now.Add(25 * time.Hour) },
		"no end":       func(c *auth.Claims) { c.Expires = time.Time{} },
		"odd identity": func(c *auth.Claims) { c.Identity = "a\nb" },
		"big metadata": func(c *auth.Claims) { c.Metadata = strings.Repeat("m", wire.MaxMetadataBytes+1) },
	} {
		c := want
		if change(&c); true {
			if _, err := auth.Sign(now, c, authtest.Keys()); err == nil {
				t.Errorf("%s: signed", name)
			}
		}
	}
}

// A secret under 32 bytes is refused, in a table of keys too.
func TestShortSecrets(t *testing.T) {
	if _, err := auth.NewSecret(make([]byte, auth.MinSecretBytes-1)); err == nil {
		t.Error("31 bytes taken")
	}
	if _, err := auth.NewSecret(make([]byte, auth.MinSecretBytes)); err != nil {
		t.Error(err)
	}
	if _, err := auth.Verify(now, authtest.Good(now, nil), auth.Keys{authtest.KeyName: {}}); err == nil {
		t.Error("verified with a secret that was never set")
	}
	if _, err := auth.MakeSecret(strings.NewReader("short")); err == nil {
		t.Error("made from too little randomness")
	}
	s, err := auth.MakeSecret(bytes.NewReader(make([]byte, 32)))
	if err != nil || len(s.Reveal()) < auth.MinSecretBytes {
		t.Error(err, s.Reveal())
	}
}

// A secret shows in no way of printing, logging or encoding, not even from an unexported field.
func TestSecretsAreRedacted(t *testing.T) {
	const plain = "correct horse battery staple, all of it"
	s, err := auth.NewSecret([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	hidden := struct{ s auth.Secret }{s}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", &s)
		fmt.Fprintf(&out, verb+"\n", hidden)
		fmt.Fprintf(&out, verb+"\n", auth.Keys{"k": s})
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "secret", s, "keys", auth.Keys{"k": s}, "hidden", hidden)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secret", s, "keys", auth.Keys{"k": s}, "hidden", hidden)
	if err := json.NewEncoder(&out).Encode([]any{s, &s, auth.Keys{"k": s}}); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&out, s.String())
	for _, leak := range []string{plain, fmt.Sprintf("%x", plain), fmt.Sprintf("%X", plain), fmt.Sprint([]byte(plain)), "0x63, 0x6f"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("shows %q", leak)
		}
	}
}

// No input panics, and nothing that fuzzing finds is accepted unless it is the good token.
func FuzzVerify(f *testing.F) {
	good := authtest.Good(now, nil)
	f.Add(good)
	for _, x := range authtest.Forgeries(now) {
		f.Add(x.Token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := auth.Verify(now, token, authtest.Keys()); err == nil && token != good {
			t.Errorf("accepted %q", token)
		}
	})
}

// The operator is told which of the faults it is that clients are told together, in words that hold nothing of the token.
func TestWhy(t *testing.T) {
	good := authtest.Good(now, nil)
	for token, want := range map[string]string{
		"":                 "no token was given",
		"x":                "malformed",
		good[:len(good)-3]: "signature is wrong",
		authtest.Good(now, authtest.Object{"iss": `"stranger"`}):                                                                              "unknown key: was it made with another --data or --keys?",
		authtest.Good(now, authtest.Object{"exp": fmt.Sprint(now.Add(-time.Hour).Unix()), "iat": fmt.Sprint(now.Add(-2 * time.Hour).Unix())}): "expired",
		authtest.Good(now, authtest.Object{"video": `{"room":"a/b","roomJoin":true}`}):                                                        "has a / in it",
	} {
		_, err := auth.Verify(now, token, authtest.Keys())
		var told *wire.Error
		if err == nil || !errors.As(err, &told) || told.Code != wire.CodeUnauthorized {
			t.Errorf("%q: %v", want, err)
			continue
		}
		if why := auth.Why(err); !strings.Contains(why, want) || strings.Contains(why, "stranger") {
			t.Errorf("%q, want %q", why, want)
		}
		if strings.Contains(told.Message+told.Next, "--data") {
			t.Errorf("the client is told %q", told.Message)
		}
	}
}
