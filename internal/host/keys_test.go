package host

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/obs"
)

const aSecret = "0123456789abcdef0123456789abcdef"

// The first start makes a key pair that only the owner can read; later starts find the same.
func TestKeysAreMadeOnce(t *testing.T) {
	s := &Shared{Data: filepath.Join(t.TempDir(), "new", "data")}
	first, err := loadKeys(s)
	if err != nil || len(first.keys) != 1 || !strings.HasSuffix(first.origin, "keys.yaml (new)") {
		t.Fatalf("%v %v", first, err)
	}
	again, err := loadKeys(s)
	if err != nil || again.first != first.first || string(again.keys[again.first].Reveal()) != string(first.keys[first.first].Reveal()) {
		t.Errorf("%v %v", again, err)
	}
	for path, want := range map[string]fs.FileMode{s.Data: 0o700, filepath.Join(s.Data, keysFile): 0o600} {
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", path, fi.Mode(), err, want)
		}
	}
}

// --keys takes YAML and NAME=SECRET, and comes before the file.
func TestKeysFromSettings(t *testing.T) {
	for _, text := range []string{
		"ann: " + aSecret, "ann=" + aSecret, "ann: " + aSecret + "\nbob: " + aSecret + "\n", "{ann: " + aSecret + "}",
		"ann=" + aSecret + "==",
	} {
		k, err := loadKeys(&Shared{Keys: obs.NewSecret(text), Data: "/does/not/exist"})
		if err != nil || k.first != "ann" || !strings.HasPrefix(string(k.keys["ann"].Reveal()), aSecret) || k.origin != "--keys" {
			t.Errorf("%q: %v, %v", text, k.first, err)
		}
	}
}

// Bad key pairs are refused, and no refusal quotes a secret.
func TestBadKeys(t *testing.T) {
	for text, want := range map[string]string{
		"ann: short":                      "32",
		"just-text-0123456789abcdef":      "NAME: SECRET",
		"ann: 0123456789: abcdef0123":     "NAME: SECRET",
		"- " + aSecret:                    "NAME: SECRET",
		"12: " + aSecret:                  "put numbers into quotes",
		"ann: [" + aSecret + "]":          "put numbers into quotes",
		strings.Repeat("a: b\n", maxKeys): "NAME: SECRET", // the same name twice
		"# nothing":                       "0 key pairs",
	} {
		_, err := parseKeys([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "abcdef") {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

// parley token prints a token that its key pair verifies, with the grants asked for.
func TestTokenCommand(t *testing.T) {
	data := t.TempDir()
	out := stdout(t, nil, "token", "--data", data, "--room", "tea", "--name", "Ann B.", "--admin", "--no-publish", "--ttl", "1h")
	k, err := loadKeys(&Shared{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	c, err := auth.Verify(time.Now(), strings.TrimSpace(out), k.keys)
	if err != nil || c.Room != "tea" || c.Name != "Ann B." || !strings.HasPrefix(c.Identity, "ann-b-") {
		t.Errorf("%+v, %v", c, err)
	}
	if g := c.Grants; !g.Admin || g.Publish || !g.Subscribe || !g.PublishData || g.Hidden {
		t.Errorf("grants %+v", g)
	}
	for _, args := range [][]string{
		{"--room", "tea", "--ttl", "25h"},
		{"--room", "tea", "--ttl", "0s"},
		{"--name", "Ann"},
		{"--room", "tea", "--key-name", "other"},
		{"--room", strings.Repeat("x", 200)},
	} {
		if _, stderr, exit := run(nil, append([]string{"token", "--data", data}, args...)...); exit != 2 {
			t.Errorf("%v: exit %d, %s", args, exit, stderr)
		}
	}
}
