package auth_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
)

// turnNow is before the time-limited credentials of these tests end.
var turnNow = time.Unix(1795769999, 0)

func turnSecret(t testing.TB, text string) auth.Secret {
	t.Helper()
	s, err := auth.NewTURNSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newTURN(t testing.TB, realm string, users map[string]string, secrets ...string) *auth.TURN {
	t.Helper()
	var all []auth.Secret
	for _, s := range secrets {
		all = append(all, turnSecret(t, s))
	}
	k, err := auth.NewTURN(realm, users, all)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// RFC 8489 §9.2.2 (the example of RFC 5389 §15.4) and RFC 5769 §2.4: a user's key is MD5 of username:realm:password, and a request that
// was made with it is found to be so.
func TestTURNUserKey(t *testing.T) {
	k := newTURN(t, "realm", map[string]string{"user": "pass"})
	key, user, ok := k.Key([]byte("before"), turnNow, []byte("user"), false)
	if got := fmt.Sprintf("%x", bytes.TrimPrefix(key, []byte("before"))); got != "8493fbc53ba582fb4c044c456bdc40eb" || user != "user" || !ok {
		t.Errorf("%s, %s, %v", got, user, ok)
	}

	const name = "マトリックス"
	request, err := hex.DecodeString("000100602112a44278ad3433c6ad72c029da412e" +
		"00060012e3839ee38388e383aae38383e382afe382b90000" +
		"0015001c662f2f3439396b39353464364f4c33346f4c39465354767936347341" +
		"0014000b6578616d706c652e6f726700")
	if err != nil {
		t.Fatal(err)
	}
	k = newTURN(t, "example.org", map[string]string{name: "TheMatrIX"})
	key, user, ok = k.Key(nil, turnNow, []byte(name), false)
	mac := hmac.New(sha1.New, key)
	mac.Write(request)
	if got := fmt.Sprintf("%x", mac.Sum(nil)); got != "f67024656dd64a3e02b8e0712e85c9a28ca89666" || user != name || !ok {
		t.Errorf("RFC 5769 §2.4: integrity %s, %s, %v", got, user, ok)
	}
}

// Time-limited credentials have one key for each secret, as `openssl dgst -sha1 -hmac` and `openssl dgst -md5` or -sha256 make them; who they are counted for
// is what stands after the time, or the whole name where nothing does, with a colon before it: never the user with a password of the same name.
func TestTURNTimeLimitedKey(t *testing.T) {
	k := newTURN(t, "example.org", map[string]string{"ann": "ann's"}, "north", "south")
	for _, c := range []struct {
		strong bool
		want   string
	}{
		{false, "d23c6f40276c1de89ba8ca3a5be7a6a4" + "788c1a36d75d373f666c7225e6e06431"},
		{true, "8a84b03ceb6b75210cb6cf2a30f606c1b3be9504612c0155d949f395b5a1057d" + "36a0ebec369ee28354d1c500f353c4473e4f86be2dc43a1f4dca9f209067c8ea"},
	} {
		key, user, ok := k.Key(nil, turnNow, []byte("1795770000:ann"), c.strong)
		if fmt.Sprintf("%x", key) != c.want || user != ":ann" || !ok {
			t.Errorf("%x, %s, %v", key, user, ok)
		}
	}
	if _, user, ok := k.Key(nil, turnNow, []byte("ann"), false); user != "ann" || !ok {
		t.Errorf("ann with a password is counted for %q, %v", user, ok)
	}
	for name, want := range map[string]string{"1795770000": ":1795770000", "1795770000:": ":1795770000:", "1795770000:a:b": ":a:b"} {
		if _, user, ok := k.Key(nil, turnNow, []byte(name), false); user != want || !ok {
			t.Errorf("%s is counted for %q, %v", name, user, ok)
		}
	}
}

// There is no key for whom nobody knows, for whom the time is over, and for what is not a time; without a secret nothing time-limited is
// taken. What was in dst stays.
func TestTURNNoKey(t *testing.T) {
	k := newTURN(t, "example.org", map[string]string{"ann": "ann's"}, "north")
	for _, name := range []string{
		"", "bob", "Ann", "ann ", ":ann", "1795769999:ann", "1795769999", "0:ann", "-1:ann", "+1795770000:ann", " 1795770000:ann",
		"1795770000.5:ann", "9999999999999:ann", "99999999999999999999:ann", "0x7fffffff:ann", "ann:1795770000",
		"1795770000:" + strings.Repeat("x", auth.MaxTURNTextBytes),
	} {
		if key, user, ok := k.Key([]byte("x"), turnNow, []byte(name), false); ok || user != "" || string(key) != "x" {
			t.Errorf("%.40q: %x, %s, %v", name, key, user, ok)
		}
	}
	k = newTURN(t, "example.org", map[string]string{"ann": "ann's"})
	if _, _, ok := k.Key(nil, turnNow, []byte("1795770000:ann"), false); ok {
		t.Error("a key without a secret")
	}
}

// Names, passwords, realms and secrets that a client would spell otherwise, or that are too long or too many, are refused, and no refusal quotes
// a password.
func TestTURNRefusals(t *testing.T) {
	long := strings.Repeat("x", auth.MaxTURNTextBytes+1)
	for _, c := range []struct {
		realm string
		users map[string]string
	}{
		{"", nil},
		{"a\nb", nil},
		{`a"b`, nil},
		{`a\b`, nil},
		{strings.Repeat("ä", 128), nil},
		{"r", map[string]string{"": "secret word"}},
		{"r", map[string]string{long: "secret word"}},
		{"r", map[string]string{"a:b": "secret word"}},
		{"r", map[string]string{"\x00": "secret word"}},
		{"r", map[string]string{"a\u00adb": "secret word"}},
		{"r", map[string]string{"a\u00a0b": "secret word"}},
		{"r", map[string]string{"\xff": "secret word"}},
		{"r", map[string]string{"a": ""}},
		{"r", map[string]string{"a": "secret word\t"}},
		{"r", map[string]string{"a": long}},
	} {
		if _, err := auth.NewTURN(c.realm, c.users, nil); err == nil || strings.Contains(err.Error(), "secret word") {
			t.Errorf("%.20q %.40q: %v", c.realm, c.users, err)
		}
	}
	var secrets []auth.Secret
	for range auth.MaxTURNSecrets + 1 {
		secrets = append(secrets, turnSecret(t, "north"))
	}
	if _, err := auth.NewTURN("r", nil, secrets[1:]); err != nil {
		t.Error(err)
	}
	if _, err := auth.NewTURN("r", nil, secrets); err == nil {
		t.Error("more secrets than the limit")
	}
	for _, text := range []string{"", "a\nb", long} {
		if _, err := auth.NewTURNSecret(text); err == nil {
			t.Errorf("%.20q is a secret", text)
		}
	}
}

// Whatever prints or logs the keys shows nothing of them.
func TestTURNIsRedacted(t *testing.T) {
	k := newTURN(t, "realm", map[string]string{"user": "pass"}, "north")
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "turn", k)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		fmt.Fprintf(&out, format, k)
		fmt.Fprintf(&out, format, struct{ K *auth.TURN }{k})
	}
	for _, bad := range []string{"8493", "132 147", "132, 147", "0x84", "north", "6e6f727468", "pass"} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("%q in %s", bad, out.String())
		}
	}
}

// A user's key is found without an allocation.
func TestTURNKeyAllocatesNothing(t *testing.T) {
	k := newTURN(t, "realm", map[string]string{"user": "pass"}, "north")
	name, dst := []byte("user"), make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { dst, _, _ = k.Key(dst[:0], turnNow, name, true) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
