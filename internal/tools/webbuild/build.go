package main

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
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

// buildExample makes the SDK's example page, which names its script and style as they are served.
func buildExample(root string, out assets) error {
	dir := filepath.Join(root, examplePath)
	page, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil {
		return err
	}
	out["sdk/index.html"] = page
	return bundle(root, out, examplePath, api.BuildOptions{
		EntryPoints: []string{filepath.Join(dir, "src/example.ts"), filepath.Join(dir, "src/example.css")},
		EntryNames:  "sdk/[name]",
		External:    []string{"/sdk/parley.js"},
	})
}

// buildApp makes the meeting app. All but its page gets a name that contains a hash.
func buildApp(root string, out assets) error {
	dir := filepath.Join(root, appPath)
	page, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the SDK alone
	}
	if err != nil {
		return err
	}
	made := assets{}
	err = bundle(root, made, appPath, api.BuildOptions{
		EntryPointsAdvanced: []api.EntryPoint{{InputPath: filepath.Join(dir, "src/main.tsx"), OutputPath: "app"}},
		EntryNames:          "assets/[name]-[hash]", AssetNames: "assets/[name]-[hash]", ChunkNames: "assets/[name]-[hash]",
		Splitting: true,
	})
	if err != nil {
		return err
	}
	text, err := nameAssets(string(page), dir, made)
	if err != nil {
		return err
	}
	maps.Copy(out, made)
	out["index.html"] = []byte(text)
	out["licences.txt"], err = licences(dir)
	return err
}

// reference is a file that the app's page names.
var reference = regexp.MustCompile(`"/assets/([^"/]+)"`)

// nameAssets puts the names with hashes into the page: for app.js and app.css those that were made, for any other file that
// of its copy, which it makes.
func nameAssets(page, dir string, made assets) (string, error) {
	var errs []error
	text := reference.ReplaceAllStringFunc(page, func(quoted string) string {
		name := reference.FindStringSubmatch(quoted)[1]
		ext := path.Ext(name)
		base := strings.TrimSuffix(name, ext)
		if base == "app" {
			built := regexp.MustCompile(`^assets/app-[A-Z0-9]{8}` + regexp.QuoteMeta(ext) + `$`)
			for made := range made {
				if built.MatchString(made) {
					return `"/` + made + `"`
				}
			}
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			errs = append(errs, fmt.Errorf("%s/index.html names %s: %w", appPath, quoted, err))
			return quoted
		}
		sum := sha256.Sum256(b)
		hashed := "assets/" + base + "-" + base32.StdEncoding.EncodeToString(sum[:5]) + ext
		made[hashed] = b
		return `"/` + hashed + `"`
	})
	return text, errors.Join(errs...)
}

// licences gathers the texts that must go with what others wrote and the app contains.
func licences(dir string) ([]byte, error) {
	var out []byte
	for _, part := range []struct{ title, file string }{
		{"Preact", "node_modules/preact/LICENSE"},
		{"@preact/signals", "node_modules/@preact/signals/LICENSE"},
		{"@preact/signals-core", "node_modules/@preact/signals-core/LICENSE"},
		{"Icons", "LICENSE-icons"},
	} {
		b, err := os.ReadFile(filepath.Join(dir, part.file))
		if err != nil {
			return nil, err
		}
		out = fmt.Appendf(out, "%s\n\n%s\n\n", part.title, strings.TrimSpace(string(b)))
	}
	return out, nil
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
