package main

import (
	"errors"
	"fmt"
	"maps"
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

// buildSDK makes the module that pages import, with its map: it is read by those who build on it.
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

// buildExample makes the SDK's example page, which names its script and style as they are served: readable, for it is to be read.
func buildExample(root string, out assets) error {
	dir := filepath.Join(root, examplePath)
	page, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil {
		return err
	}
	out["sdk/index.html"] = page
	return bundleReadable(root, out, examplePath, api.BuildOptions{
		EntryPoints: []string{filepath.Join(dir, "src/example.ts"), filepath.Join(dir, "src/example.css")},
		EntryNames:  "sdk/[name]",
		External:    []string{"/sdk/parley.js"},
	})
}

// buildApp makes the meeting app. What its page names under /src/ is built and gets a name that contains a hash; what is in
// its folder public is taken as it is.
func buildApp(root string, out assets) error {
	dir := filepath.Join(root, appPath)
	public, err := readTree(filepath.Join(dir, "public"))
	if err != nil {
		return err
	}
	maps.Copy(out, public)
	page, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil {
		return err
	}
	var entries []string
	for _, m := range reference.FindAllStringSubmatch(string(page), -1) {
		entries = append(entries, filepath.Join(dir, filepath.FromSlash(m[1])))
	}
	made := assets{}
	err = bundle(root, made, appPath, api.BuildOptions{
		EntryPoints: entries, EntryNames: "assets/[name]-[hash]", AssetNames: "assets/[name]-[hash]",
		ChunkNames: "assets/[name]-[hash]", Splitting: true,
	})
	if err != nil {
		return err
	}
	maps.Copy(out, made)
	out["index.html"], err = nameAssets(page, made)
	return err
}

// reference is a source that the app's page names.
var reference = regexp.MustCompile(`"/(src/[^"]+)"`)

// nameAssets puts the names of what was made into the page, in place of the sources'.
func nameAssets(page []byte, made assets) ([]byte, error) {
	var errs []error
	text := reference.ReplaceAllFunc(page, func(quoted []byte) []byte {
		source := string(reference.FindSubmatch(quoted)[1])
		ext := path.Ext(source)
		base := strings.TrimSuffix(path.Base(source), ext)
		if ext != ".css" {
			ext = ".js"
		}
		built := regexp.MustCompile(`^assets/` + regexp.QuoteMeta(base) + `-[A-Z0-9]{8}` + regexp.QuoteMeta(ext) + `$`)
		for name := range made {
			if built.MatchString(name) {
				return []byte(`"/` + name + `"`)
			}
		}
		errs = append(errs, fmt.Errorf("%s/index.html names %s, from which nothing was made", appPath, quoted))
		return quoted
	})
	return text, errors.Join(errs...)
}

// bundle runs esbuild so that what it makes is small.
func bundle(root string, out assets, dir string, options api.BuildOptions) error {
	options.MinifyWhitespace, options.MinifyIdentifiers, options.MinifySyntax = true, true, true
	return bundleReadable(root, out, dir, options)
}

// bundleReadable runs esbuild with what all builds have in common.
func bundleReadable(root string, out assets, dir string, options api.BuildOptions) error {
	dist := filepath.Join(root, distPath)
	options.AbsWorkingDir = filepath.Join(root, dir)
	options.Outdir = dist
	options.Bundle = true
	options.Format = api.FormatESModule
	options.Platform = api.PlatformBrowser
	options.Target = api.ES2022
	options.Charset = api.CharsetUTF8
	options.LegalComments = api.LegalCommentsNone
	options.Loader = map[string]api.Loader{".svg": api.LoaderFile, ".png": api.LoaderFile, ".woff2": api.LoaderFile}
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
