package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// sources are the files and folders that the assets are made from.
var sources = []string{
	"web/sdk/src", "web/sdk/example", "web/sdk/tsconfig.json", "web/sdk/tsconfig.types.json", "web/sdk/package-lock.json",
	"web/app/src", "web/app/public", "web/app/index.html", "web/app/tsconfig.json",
	"web/app/package-lock.json",
}

// bundler is the version of esbuild in go.mod: another one may write the same program in other words.
var bundler = regexp.MustCompile(`github\.com/evanw/esbuild v\S+`)

// sums is the text of the sum file for these assets.
func sums(root string, built assets) (string, error) {
	source, err := sourceSum(root)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("sources %s\nassets %s\n", source, sumOf(built)), nil
}

func sourceSum(root string) (string, error) {
	all := assets{}
	for _, name := range sources {
		file := filepath.Join(root, filepath.FromSlash(name))
		info, err := os.Stat(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return "", err
		case !info.IsDir():
			if all[name], err = os.ReadFile(file); err != nil {
				return "", err
			}
			continue
		}
		tree, err := readTree(file)
		if err != nil {
			return "", err
		}
		for below, b := range tree {
			all[name+"/"+below] = b
		}
	}
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", err
	}
	all["bundler"] = bundler.Find(module)
	return sumOf(all), nil
}

// sumOf hashes names and contents, each with its length so that no two trees look alike.
func sumOf(files assets) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%d %s %d\n", len(name), name, len(files[name]))
		_, _ = h.Write(files[name])
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}
