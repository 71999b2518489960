package host

import (
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/obs"
	"github.com/parley-rtc/parley/internal/signal"
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

// Keys are read again once their file has changed and rests; a file that is still being written, is bad, or is gone changes
// nothing, and neither does one that nobody reads because of --keys.
func TestWatchKeys(t *testing.T) {
	cfg := &Config{Shared: Shared{Data: t.TempDir()}}
	n := &node{cfg: cfg, log: slog.New(slog.DiscardHandler), signal: signal.New(signal.Config{})}
	keys, err := loadKeys(&cfg.Shared)
	if err != nil {
		t.Fatal(err)
	}
	n.keys.Store(&keys)
	n.keysRead = timeOf(cfg.keysPath())
	first := keys.first
	for i, step := range []struct{ text, want string }{
		{"", first}, // as it was
		{"ann: " + aSecret, first},
		{"ann: " + aSecret + "\nbob: " + aSecret + "x", first}, // changed again before the next look
		{"", "ann bob"},
		{"", "ann bob"},
		{"ann: short", "ann bob"},
		{"", "ann bob"},
		{"gone", "ann bob"},
		{"", "ann bob"},
		{"eve: " + aSecret, "ann bob"},
		{"", "eve"},
	} {
		switch step.text {
		case "":
		case "gone":
			err = os.Remove(cfg.keysPath())
		default:
			err = writePrivate(cfg.keysPath(), []byte(step.text))
		}
		if err != nil {
			t.Fatal(err)
		}
		n.watchKeys()
		if got := strings.Join(slices.Sorted(maps.Keys(n.keys.Load().keys)), " "); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
	cfg.Keys = obs.NewSecret("flag: " + aSecret)
	n.watchKeys()
	if n.keys.Load().first != "eve" {
		t.Error("the file was read although there is --keys")
	}
}

// Keys that change at whatever moment between two looks are read within half a second.
func TestKeysAreReadSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := &Config{Shared: Shared{Data: t.TempDir()}}
		n := &node{cfg: cfg, log: slog.New(slog.DiscardHandler), signal: signal.New(signal.Config{}), hurry: func() {}}
		keys, err := loadKeys(&cfg.Shared)
		if err != nil {
			t.Fatal(err)
		}
		n.keys.Store(&keys)
		n.keysRead = timeOf(cfg.keysPath())
		n.startWatch()
		defer n.stop()
		for i := range 8 {
			time.Sleep(time.Duration(i) * 77 * time.Millisecond)
			name := strings.Repeat("k", i+1) // so that the file has another length: the clock of files does not tell so small times apart
			if err := writePrivate(cfg.keysPath(), []byte(name+": "+aSecret)); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			for n.keys.Load().first != name && time.Since(start) < time.Minute {
				time.Sleep(time.Millisecond)
			}
			if took := time.Since(start); took > time.Second/2 {
				t.Errorf("read after %v", took)
			}
		}
	})
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

// Whatever a keys file holds, it gives keys that are long enough, or a refusal that quotes no value.
func FuzzKeys(f *testing.F) {
	for _, s := range []string{"ann: " + aSecret, "ann=" + aSecret, "{ann: " + aSecret + "}", "- x", "a: &x " + aSecret + "\nb: *x", "12: x", "a: [", "? x", "# nothing"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := parseKeys([]byte(text))
		if err != nil {
			return
		}
		if _, ok := k.keys[k.first]; !ok || len(k.keys) > maxKeys {
			t.Fatalf("first %q of %d", k.first, len(k.keys))
		}
		for name, secret := range k.keys {
			if len(secret.Reveal()) < auth.MinSecretBytes {
				t.Errorf("key %q has %d bytes", name, len(secret.Reveal()))
			}
		}
	})
}

// A data folder that cannot be used is named in full, with the way to another one.
func TestUnusableDataFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	full, err := filepath.Abs("file/keys.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = loadKeys(&Shared{Data: "file"})
	if err == nil || !strings.Contains(err.Error(), full+": --data chooses another folder") {
		t.Error(err)
	}
}
