// Command webbuild bundles the SDK (web/sdk) and the meeting app (web/app) into internal/webui/dist, which is committed so
// that go install needs neither Node nor this command.
//
//	web/sdk/src/index.ts      → sdk/parley.js, sdk/parley.js.map
//	web/sdk/src               → sdk/parley.d.ts, sdk/types/… (by the TypeScript compiler)
//	web/sdk/example           → sdk/index.html with its script and style
//	web/app/index.html        → index.html; the scripts and styles that it names under /src/ → assets/NAME-HASH.js, .css
//	web/app/public/…          → as it is
//
// internal/webui/dist.sum holds the hash of all sources and of all that was built. With -check nothing is written: it fails
// where the sums differ and, where the web packages are installed, where building again gives something else.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

const (
	distPath = "internal/webui/dist"
	sumPath  = "internal/webui/dist.sum"
)

// assets are files by slash-separated path below dist.
type assets map[string][]byte

func main() {
	check := flag.Bool("check", false, "write nothing; fail where the committed files are out of date")
	fixture := flag.String("fixture", "", "build nothing; show the app's screens without a server at this `address` until interrupted")
	root := flag.String("root", ".", "the repository")
	flag.Parse()
	act := write
	if *fixture != "" {
		act = func(root string) error { return serveFixture(root, *fixture) }
	}
	if *check {
		act = verify
	}
	if err := act(*root); err != nil {
		fmt.Fprintln(os.Stderr, "webbuild:", err)
		os.Exit(1)
	}
}

// write builds everything and replaces what was built before.
func write(root string) error {
	built, err := build(root)
	if err != nil {
		return err
	}
	sum, err := sums(root, built)
	if err != nil {
		return err
	}
	dist := filepath.Join(root, distPath)
	if err := os.RemoveAll(dist); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(built)) {
		file := filepath.Join(dist, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, built[name], 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, sumPath), []byte(sum), 0o644)
}

// verify fails where the committed files are not what the sources make.
func verify(root string) error {
	committed, err := readTree(filepath.Join(root, distPath))
	if err != nil {
		return err
	}
	want, err := sums(root, committed)
	if err != nil {
		return err
	}
	have, err := os.ReadFile(filepath.Join(root, sumPath))
	if err != nil {
		return err
	}
	if string(have) != want {
		return fmt.Errorf("%s is not what the sources under web/ make: run make gen", distPath)
	}
	if !installed(root) {
		return nil
	}
	built, err := build(root)
	if err != nil {
		return err
	}
	return compare(committed, built)
}

func compare(committed, built assets) error {
	var errs []error
	for name := range built {
		if string(committed[name]) != string(built[name]) {
			errs = append(errs, fmt.Errorf("%s/%s differs from what the sources make: run make gen", distPath, name))
		}
	}
	for name := range committed {
		if _, ok := built[name]; !ok {
			errs = append(errs, fmt.Errorf("%s/%s is not made from anything: run make gen", distPath, name))
		}
	}
	return errors.Join(errs...)
}

// readTree reads all files below dir; none where it does not exist.
func readTree(dir string) (assets, error) {
	out := assets{}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		out[filepath.ToSlash(name)] = b
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	return out, err
}
