// Command wiregen writes what follows from the wire package: the SDK's TypeScript types (web/sdk/src/wire.gen.ts) and the
// message tables of docs/protocol.md, between markers of this form:
//
//	<!-- gen:requests -->
//	…
//	<!-- /gen -->
//
// It reads Go source, not values: comments are part of what it copies. It also writes docs/openapi.json, which package api makes of its types.
// With -check it writes nothing and fails where a file is not what it would write.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/parley-rtc/parley/internal/api"
)

const (
	typesPath    = "web/sdk/src/wire.gen.ts"
	protocolPath = "docs/protocol.md"
	documentPath = "docs/openapi.json"
)

func main() {
	check := flag.Bool("check", false, "write nothing; fail where a generated file is out of date")
	root := flag.String("root", ".", "the repository")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "wiregen:", err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	protocol, err := readPackage(filepath.Join(root, "wire"))
	if err != nil {
		return err
	}
	if err := put(root, typesPath, typescript(protocol), check); err != nil {
		return err
	}
	if err := put(root, documentPath, api.Document(), check); err != nil {
		return err
	}
	page, err := os.ReadFile(filepath.Join(root, protocolPath))
	if err != nil {
		return err
	}
	tables, err := markdown(protocol, page)
	if err != nil {
		return fmt.Errorf("%s: %w", protocolPath, err)
	}
	return put(root, protocolPath, tables, check)
}

// put writes b to the file, or in check mode compares it.
func put(root, path string, b []byte, check bool) error {
	file := filepath.Join(root, filepath.FromSlash(path))
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch {
	case bytes.Equal(old, b):
		return nil
	case check:
		return fmt.Errorf("%s is not what wire says: run make gen", path)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o644)
}
