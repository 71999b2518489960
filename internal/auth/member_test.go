package auth_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
)

// pairs are key pairs by name, each with a secret of its own.
func pairs(t testing.TB, names ...string) auth.Keys {
	t.Helper()
	keys := auth.Keys{}
	for _, name := range names {
		s, err := auth.NewSecret([]byte(strings.Repeat(name, 32)))
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = s
	}
	return keys
}

func memberKeys(t testing.TB, first string, names ...string) *auth.MemberKeys {
	t.Helper()
	marks, err := auth.NewSecret(bytes.Repeat([]byte("m"), 32))
	if err != nil {
		t.Fatal(err)
	}
	k, err := auth.NewMemberKeys("example.org", first, pairs(t, names...), marks)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Credentials of a member say until when and whose they are, and have the key that the password makes (RFC 8489 §9.2.2), by whichever of the key pairs they were
// made: of any number, one is tried, and the same credentials have none where that pair is gone.
func TestMemberCredentials(t *testing.T) {
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf("key-%03d", i))
	}
	ends := time.Unix(1795770000, 0)
	for _, first := range []string{many[0], many[4], many[999]} {
		maker := memberKeys(t, first, many...)
		mark := maker.Mark("tea", "ann")
		username, password := maker.Credentials(ends, mark)
		all := memberKeys(t, many[500], many...)
		expires, whose, ok := all.Read([]byte(username))
		if !ok || !expires.Equal(ends) || whose != mark {
			t.Errorf("%s: %v %x %v", username, expires, whose, ok)
		}
		want := md5.Sum([]byte(username + ":example.org:" + password))
		if key, ok := all.Key([]byte("x"), []byte(username), false); !ok || string(key) != "x"+string(want[:]) {
			t.Errorf("by %s: %d bytes of keys, %v", first, len(key), ok)
		}
		if raw, err := base64.StdEncoding.DecodeString(password); err != nil || len(raw) != sha1.Size {
			t.Errorf("password %q", password)
		}
		if key, ok := memberKeys(t, "other", "other").Key(nil, []byte(username), false); ok || len(key) > 0 {
			t.Error("a key pair that is gone still tells a key")
		}
	}
	if _, err := auth.NewMemberKeys("r", "a", pairs(t, "b"), auth.Secret{}); err == nil {
		t.Error("credentials of a key pair that there is not")
	}
}

// A mark is the same whenever it is made, another for any other member, and names nobody; nor do the credentials.
func TestMarks(t *testing.T) {
	k := memberKeys(t, "a", "a", "b")
	seen := map[auth.Mark]string{}
	for _, m := range [][2]string{{"tea", "ann"}, {"tea", "bob"}, {"teaa", "nn"}, {"tea", ""}, {"", "tea"}} {
		mark := k.Mark(m[0], m[1])
		if other, ok := seen[mark]; ok || mark != memberKeys(t, "b", "b").Mark(m[0], m[1]) {
			t.Errorf("%v has the mark %x, as %s", m, mark, other)
		}
		seen[mark] = fmt.Sprint(m)
		username, _ := k.Credentials(turnNow, mark)
		if m[1] != "" && (strings.Contains(username, m[1]) || bytes.Contains(mark[:], []byte(m[1]))) {
			t.Errorf("%v: %s", m, username)
		}
	}
}

// What is no username of a member is told no key.
func TestNoMember(t *testing.T) {
	k := memberKeys(t, "a", "a")
	good, _ := k.Credentials(turnNow, k.Mark("tea", "ann"))
	for _, name := range []string{
		"", "ann", "1795770000", "1795770000:", "1795770000:ann", good[:len(good)-1], good + "A", "x" + good, good[11:],
		strings.Replace(good, ":", ":\n", 1)[:len(good)], good[:11] + strings.Repeat("A", len(good)-11), good[:len(good)-1] + "=",
	} {
		if _, _, ok := k.Read([]byte(name)); ok {
			t.Errorf("%q is read", name)
		}
		if key, ok := k.Key([]byte("x"), []byte(name), true); ok || string(key) != "x" {
			t.Errorf("%q has a key", name)
		}
	}
}

// Whatever prints the keys shows nothing of them.
func TestMemberKeysAreRedacted(t *testing.T) {
	k := memberKeys(t, "a", "a")
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(format, k); got != "[redacted]" {
			t.Errorf("%s: %s", format, got)
		}
	}
}
