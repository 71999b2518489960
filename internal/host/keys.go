package host

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/goccy/go-yaml"

	"github.com/parley-rtc/parley/internal/auth"
)

const keysFile = "keys.yaml"

// keyring is the node's key pairs and where they come from.
type keyring struct {
	keys   auth.Keys
	first  string // the name with which `parley token` signs: the first of the file
	origin string // for people
	made   bool   // just now: there were none
}

// loadKeys returns the key pairs of --keys, else of keys.yaml in the data folder, which is made with one random pair where there
// is none.
func loadKeys(s *Shared) (keyring, error) {
	if text := s.Keys.Reveal(); text != "" {
		k, err := parseKeys([]byte(text))
		if err != nil {
			return keyring{}, fmt.Errorf("--keys: %w", err)
		}
		k.origin = "--keys"
		return k, nil
	}
	path := s.keysPath()
	_, err := os.Stat(path)
	made := errors.Is(err, fs.ErrNotExist)
	if made {
		b, err := makeKeys()
		if err == nil {
			err = writePrivate(path, b)
		}
		if err != nil {
			return keyring{}, fmt.Errorf("keys: %w; they belong into %s: --data chooses another folder", err, fullPath(path))
		}
	}
	k, err := readKeys(path)
	if k.made = made; made {
		k.origin += " (new)"
	}
	return k, err
}

// fullPath tells people where a file is, wherever the program was started.
func fullPath(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

// keysPath is the file that the key pairs come from; empty: they come from --keys.
func (s *Shared) keysPath() string {
	if s.Keys.Reveal() != "" {
		return ""
	}
	return filepath.Join(s.Data, keysFile)
}

// readKeys reads a keys file.
func readKeys(path string) (keyring, error) {
	b, err := readLimited(path, maxConfigBytes)
	if err != nil {
		return keyring{}, fmt.Errorf("keys: %w; they are in %s: --data chooses another folder", err, fullPath(path))
	}
	k, err := parseKeys(b)
	if err != nil {
		return keyring{}, fmt.Errorf("%s: %w", path, err)
	}
	k.origin = path
	return k, nil
}

// makeKeys writes a keys file with one random pair.
func makeKeys() ([]byte, error) {
	secret, err := auth.MakeSecret(rand.Reader)
	if err != nil {
		return nil, err
	}
	var name [6]byte
	_, _ = rand.Read(name[:]) // never fails
	return fmt.Appendf(nil, "# Key pairs that sign tokens, as NAME: SECRET. Whoever knows a secret can let anybody in.\n%s: %s\n",
		"API"+hex.EncodeToString(name[:]), secret.Reveal()), nil
}

// parseKeys reads lines of NAME: SECRET; NAME=SECRET is taken too, because environment variables often look like that.
func parseKeys(b []byte) (keyring, error) {
	var pairs yaml.MapSlice
	if name, secret, ok := cutPair(string(b)); ok {
		pairs = yaml.MapSlice{{Key: name, Value: secret}}
	} else if err := yaml.Unmarshal(b, &pairs); err != nil {
		return keyring{}, errors.New("give NAME=SECRET, or lines of NAME: SECRET") // the parser's error would quote the secret
	}
	if len(pairs) == 0 || len(pairs) > maxKeys {
		return keyring{}, fmt.Errorf("%d key pairs: give 1 to %d lines of NAME: SECRET", len(pairs), maxKeys)
	}
	k := keyring{keys: auth.Keys{}}
	for _, p := range pairs {
		name, ok := p.Key.(string)
		text, ok2 := p.Value.(string)
		if !ok || !ok2 {
			return keyring{}, fmt.Errorf("key %v: name and secret are text; put numbers into quotes", p.Key)
		}
		secret, err := auth.NewSecret([]byte(text))
		if err != nil {
			return keyring{}, fmt.Errorf("key %s: %w", name, err)
		}
		if k.first == "" {
			k.first = name
		}
		k.keys[name] = secret
	}
	return k, nil
}

// cutPair reads NAME=SECRET, where the text is just that.
func cutPair(text string) (name, secret string, ok bool) {
	i := slices.IndexFunc([]byte(text), func(c byte) bool { return c == '=' || c == ':' || c == '\n' || c == ' ' })
	if i <= 0 || text[i] != '=' || slices.Contains([]byte(text), '\n') {
		return "", "", false
	}
	return text[:i], text[i+1:], true
}

// writePrivate writes a file that only its owner can read, whole or not at all.
func writePrivate(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it has its name
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
