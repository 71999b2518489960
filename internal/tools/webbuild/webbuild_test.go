package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is committed is what the sources make.
func TestRepositoryIsCurrent(t *testing.T) {
	if err := verify("../../.."); err != nil {
		t.Error(err)
	}
}

// repository has sources, built files, and the sums of both.
func repository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	put(t, root, "go.mod", "require github.com/evanw/esbuild v0.28.2\n")
	put(t, root, "web/sdk/src/index.ts", "export {};\n")
	put(t, root, "internal/webui/dist/sdk/parley.js", "export{};\n")
	built, err := readTree(filepath.Join(root, distPath))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := sums(root, built)
	if err != nil {
		t.Fatal(err)
	}
	put(t, root, sumPath, sum)
	return root
}

func put(t *testing.T, root, name, text string) {
	t.Helper()
	file := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A change of a source, of the bundler, or of what was built is found without building; other files do not count.
func TestVerifyFindsDrift(t *testing.T) {
	if err := verify(repository(t)); err != nil {
		t.Fatalf("nothing has changed: %v", err)
	}
	for _, c := range []struct {
		name, file, text string
		drift            bool
	}{
		{"a source changed", "web/sdk/src/index.ts", "export const a = 1;\n", true},
		{"a source is new", "web/sdk/src/more.ts", "", true},
		{"the app's page is new", "web/app/index.html", "<p>", true},
		{"another bundler", "go.mod", "require github.com/evanw/esbuild v0.29.0\n", true},
		{"a built file changed", "internal/webui/dist/sdk/parley.js", "export{}\n", true},
		{"a built file is new", "internal/webui/dist/more.js", "", true},
		{"a test changed", "web/sdk/test/session.test.ts", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := repository(t)
			put(t, root, c.file, c.text)
			if err := verify(root); (err != nil) != c.drift {
				t.Errorf("verify: %v, want an error: %v", err, c.drift)
			}
		})
	}
}

// Building again must give the same files, no fewer and no more.
func TestCompare(t *testing.T) {
	committed := assets{"a.js": []byte("a"), "b.js": []byte("b")}
	for _, c := range []struct {
		name  string
		built assets
		want  string // part of the error; empty: none
	}{
		{"the same", assets{"a.js": []byte("a"), "b.js": []byte("b")}, ""},
		{"one differs", assets{"a.js": []byte("a"), "b.js": []byte("c")}, "b.js differs"},
		{"one is new", assets{"a.js": []byte("a"), "b.js": []byte("b"), "c.js": []byte("c")}, "c.js differs"},
		{"one is gone", assets{"a.js": []byte("a")}, "b.js is not made"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := compare(committed, c.built)
			if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("compare: %v, want %q", err, c.want)
			}
		})
	}
}

// The page names what was made, which has a hash in its name.
func TestNameAssets(t *testing.T) {
	made := assets{"assets/main-ABCDEFGH.js": nil, "assets/main-IJKLMNOP.css": nil, "assets/main-more-ABCDEFGH.js": nil}
	got, err := nameAssets([]byte(`<link href="/icon.svg"><link href="/src/styles/main.css"><script src="/src/main.tsx">`), made)
	want := `<link href="/icon.svg"><link href="/assets/main-IJKLMNOP.css"><script src="/assets/main-ABCDEFGH.js">`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if _, err := nameAssets([]byte(`<script src="/src/other.ts">`), made); err == nil || !strings.Contains(err.Error(), "other.ts") {
		t.Errorf("a source from which nothing was made: %v", err)
	}
}
