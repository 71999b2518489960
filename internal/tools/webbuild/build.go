package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

const (
	sdkPath     = "web/sdk"
	examplePath = "web/sdk/example"
	appPath     = "web/app"
)

// build makes all assets. It writes nothing into the repository.
func build(root string) (assets, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	out := assets{}
	steps := []func(string, assets) error{buildSDK, buildTypes, buildExample, buildApp}
	for _, step := range steps {
		if err := step(root, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func buildSDK(root string, out assets) error {
	return bundle(root, out, sdkPath, api.BuildOptions{
		EntryPointsAdvanced: []api.EntryPoint{{InputPath: filepath.Join(root, sdkPath, "src/index.ts"), OutputPath: "sdk/parley"}},
		Sourcemap:           api.SourceMapLinked,
	})
}

// buildTypes lets the TypeScript compiler write declarations: esbuild has none.
func buildTypes(root string, out assets) error {
	sdk := filepath.Join(root, sdkPath)
	dir, err := os.MkdirTemp("", "parley-types-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tsc := filepath.Join(sdk, "node_modules/.bin/tsc")
	if _, err := os.Stat(tsc); err != nil {
		return fmt.Errorf("the TypeScript compiler is not installed: run npm ci --ignore-scripts in %s", sdkPath)
	}
	cmd := exec.Command(tsc, "-p", "tsconfig.types.json", "--outDir", dir)
	cmd.Dir = sdk
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("types of the SDK: %w\n%s", err, text)
	}
	declarations, err := readTree(dir)
	if err != nil {
		return err
	}
	for name, b := range declarations {
		out["sdk/types/"+name] = b
	}
	out["sdk/parley.d.ts"] = []byte("// Types of /sdk/parley.js.\nexport * from \"./types/index.js\";\n")
	return nil
}

func buildExample(root string, out assets) error {
	return buildPage(root, out, examplePath, "sdk/", "sdk/[name]", func(p string) string { return "./" + path.Base(p) })
}

func buildApp(root string, out assets) error {
	if _, err := os.Stat(filepath.Join(root, appPath, "index.html")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	public, err := readTree(filepath.Join(root, appPath, "public"))
	if err != nil {
		return err
	}
	for name, b := range public {
		out[name] = b
	}
	return buildPage(root, out, appPath, "", "assets/[name]-[hash]", func(p string) string { return "/" + p })
}

// reference is a script or stylesheet of a page that has to be built: its path begins with /src/ or ./src/.
var reference = regexp.MustCompile(`(src|href)="\.?/(src/[^"]+)"`)

// buildPage builds what the index.html in dir names, and puts the page, with the names of what was built, at prefix.
func buildPage(root string, out assets, dir, prefix, names string, link func(string) string) error {
	page, err := os.ReadFile(filepath.Join(root, dir, "index.html"))
	if err != nil {
		return err
	}
	var entries []string
	for _, m := range reference.FindAllStringSubmatch(string(page), -1) {
		entries = append(entries, filepath.Join(root, dir, m[2]))
	}
	if len(entries) == 0 {
		return fmt.Errorf("%s/index.html names nothing under /src/", dir)
	}
	made := assets{}
	err = bundle(root, made, dir, api.BuildOptions{
		EntryPoints: entries, EntryNames: names, AssetNames: "assets/[name]-[hash]", ChunkNames: "assets/[name]-[hash]",
		Splitting: true, Sourcemap: api.SourceMapNone,
	})
	if err != nil {
		return err
	}
	text := reference.ReplaceAllStringFunc(string(page), func(s string) string {
		m := reference.FindStringSubmatch(s)
		return m[1] + `="` + link(builtName(made, m[2])) + `"`
	})
	for name, b := range made {
		out[name] = b
	}
	out[prefix+"index.html"] = []byte(text)
	return nil
}

// builtName finds what an entry point was built to: the same base name, with a hash or without, and its new extension.
func builtName(made assets, entry string) string {
	ext := path.Ext(entry)
	base := strings.TrimSuffix(path.Base(entry), ext)
	if ext != ".css" {
		ext = ".js"
	}
	pattern := regexp.MustCompile(`^` + regexp.QuoteMeta(base) + `(-[A-Z0-9]{8})?` + regexp.QuoteMeta(ext) + `$`)
	for name := range made {
		if pattern.MatchString(path.Base(name)) {
			return name
		}
	}
	return entry
}

// bundle runs esbuild with what all builds have in common.
func bundle(root string, out assets, dir string, options api.BuildOptions) error {
	dist := filepath.Join(root, distPath)
	options.AbsWorkingDir = filepath.Join(root, dir)
	options.Outdir = dist
	options.Bundle = true
	options.Format = api.FormatESModule
	options.Platform = api.PlatformBrowser
	options.Target = api.ES2022
	options.Charset = api.CharsetUTF8
	options.LegalComments = api.LegalCommentsNone
	options.MinifyWhitespace, options.MinifyIdentifiers, options.MinifySyntax = true, true, true
	options.Loader = map[string]api.Loader{".svg": api.LoaderFile, ".png": api.LoaderFile, ".woff2": api.LoaderFile}
	options.External = []string{"/sdk/parley.js"}
	options.Define = map[string]string{"process.env.NODE_ENV": `"production"`}
	result := api.Build(options)
	if len(result.Errors) > 0 {
		text := strings.Join(api.FormatMessages(result.Errors, api.FormatMessagesOptions{}), "")
		return errors.New("esbuild in " + dir + " (are its packages installed? npm ci --ignore-scripts):\n" + text)
	}
	for _, f := range result.OutputFiles {
		name, err := filepath.Rel(dist, f.Path)
		if err != nil {
			return err
		}
		out[filepath.ToSlash(name)] = f.Contents
	}
	return nil
}

// installed reports whether everything can be built again here.
func installed(root string) bool {
	for _, name := range []string{"web/sdk/node_modules/.bin/tsc", "web/app/node_modules/preact"} {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			return false
		}
	}
	return true
}
