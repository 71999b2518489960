package webui

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func sample(t *testing.T) *Site {
	t.Helper()
	long := strings.Repeat("parley ", 500)
	s, err := newSite(fstest.MapFS{
		"index.html":             {Data: []byte("<!doctype html>" + long)},
		"assets/app-ABCDEFGH.js": {Data: []byte(long)},
		"assets/dot.png":         {Data: []byte("\x89PNG" + long)},
		"sdk/index.html":         {Data: []byte("sdk")},
		"sdk/parley.js":          {Data: []byte(long)},
		"sdk/types/index.d.ts":   {Data: []byte(long)},
		"sdk/tiny.map":           {Data: []byte("{}")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ask(s *Site, method, path string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

// Every page and file is found under its path, with its type, and nothing else is.
func TestPaths(t *testing.T) {
	s := sample(t)
	for _, c := range []struct {
		path, location, mediaType string
		status                    int
	}{
		{"/", "", "text/html; charset=utf-8", 200},
		{"/r/tea", "", "text/html; charset=utf-8", 200},
		{"/r/caf%C3%A9%20noir", "", "text/html; charset=utf-8", 200},
		{"/r/", "/", "", 307},
		{"/r", "/", "", 307},
		{"/r/tea/", "/r/tea", "", 307},
		{"/r/caf%C3%A9%20noir/?a=b", "/r/caf%C3%A9%20noir?a=b", "", 307},
		{"/r/tea/more", "", "", 404},
		{"/r/tea//", "", "", 404},
		{"/doctor", "", "text/html; charset=utf-8", 200},
		{"/doctor/", "/doctor", "", 307},
		{"/sdk", "/sdk/", "", 307},
		{"/sdk/", "", "text/html; charset=utf-8", 200},
		{"/sdk/parley.js", "", "text/javascript; charset=utf-8", 200},
		{"/sdk/types/index.d.ts", "", "application/typescript; charset=utf-8", 200},
		{"/assets/dot.png", "", "image/png", 200},
		{"/assets/", "", "", 404},
		{"/sdk/../index.html", "", "", 404},
		{"/nothing", "", "", 404},
	} {
		got := ask(s, "GET", c.path)
		if got.StatusCode != c.status || got.Header.Get("Location") != c.location {
			t.Errorf("GET %s: %d to %q, want %d to %q", c.path, got.StatusCode, got.Header.Get("Location"), c.status, c.location)
		}
		if c.mediaType != "" && got.Header.Get("Content-Type") != c.mediaType {
			t.Errorf("GET %s: type %q, want %q", c.path, got.Header.Get("Content-Type"), c.mediaType)
		}
	}
}

// Files whose names contain their hash are kept for ever; all others are asked for again each time, and not sent again
// while they are the same.
func TestCaching(t *testing.T) {
	s := sample(t)
	if got := ask(s, "GET", "/assets/app-ABCDEFGH.js").Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
		t.Errorf("hashed file: Cache-Control %q", got)
	}
	first := ask(s, "GET", "/sdk/parley.js")
	if got := first.Header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("SDK: Cache-Control %q", got)
	}
	tag := first.Header.Get("ETag")
	for _, known := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
		if again := ask(s, "GET", "/sdk/parley.js", "If-None-Match", known); again.StatusCode != http.StatusNotModified {
			t.Errorf("If-None-Match %s: %d, want 304", known, again.StatusCode)
		}
	}
	if other := ask(s, "GET", "/sdk/parley.js", "If-None-Match", `"other"`); other.StatusCode != 200 {
		t.Errorf("another tag: %d, want 200", other.StatusCode)
	}
}

// Text is compressed for those who take it, under a tag of its own; what does not get shorter is not.
func TestCompression(t *testing.T) {
	s := sample(t)
	for _, c := range []struct {
		path, accept string
		want         bool
	}{
		{"/sdk/parley.js", "gzip, deflate, br", true},
		{"/sdk/parley.js", "br;q=1.0, *;q=0.5", true},
		{"/sdk/parley.js", "", false},
		{"/sdk/parley.js", "gzip;q=0", false},
		{"/sdk/parley.js", "gzip; q=0.000, *", false},
		{"/sdk/parley.js", "br", false},
		{"/assets/dot.png", "gzip", false},
		{"/sdk/tiny.map", "gzip", false},
	} {
		got := ask(s, "GET", c.path, "Accept-Encoding", c.accept)
		packed := got.Header.Get("Content-Encoding") == "gzip"
		if packed != c.want {
			t.Errorf("%s with %q: compressed %v, want %v", c.path, c.accept, packed, c.want)
		}
		body, _ := io.ReadAll(got.Body)
		if packed {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			body, _ = io.ReadAll(z)
			if got.Header.Get("ETag") == ask(s, "GET", c.path).Header.Get("ETag") {
				t.Error("both forms have one tag")
			}
		}
		if want := s.files[c.path].body; !bytes.Equal(body, want) {
			t.Errorf("%s with %q: %d bytes, want %d", c.path, c.accept, len(body), len(want))
		}
	}
}

// Pages of other origins may import the SDK, and nothing else.
func TestOrigins(t *testing.T) {
	s := sample(t)
	if got := ask(s, "GET", "/sdk/parley.js").Header.Get("Access-Control-Allow-Origin"); got != "*" {
		t.Errorf("SDK: %q", got)
	}
	if got := ask(s, "GET", "/").Header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("app: %q", got)
	}
}

// HEAD tells what GET would; other methods are refused.
func TestMethods(t *testing.T) {
	s := sample(t)
	head := ask(s, "HEAD", "/")
	if body, _ := io.ReadAll(head.Body); len(body) != 0 || head.Header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %d bytes, length %q", len(body), head.Header.Get("Content-Length"))
	}
	post := ask(s, "POST", "/")
	if post.StatusCode != http.StatusMethodNotAllowed || post.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", post.StatusCode, post.Header.Get("Allow"))
	}
}

// What is embedded is whole: the SDK with its types, and every file that a page names.
func TestEmbedded(t *testing.T) {
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"/sdk/parley.js", "/sdk/parley.js.map", "/sdk/parley.d.ts", "/sdk/types/index.d.ts", "/sdk/", "/favicon.ico"} {
		if got := ask(s, "GET", p); got.StatusCode != 200 {
			t.Errorf("GET %s: %d", p, got.StatusCode)
		}
	}
	if f := s.files["/sdk/example.js"]; f == nil || bytes.Count(f.body, []byte("\n")) < 25 || !bytes.Contains(f.body, []byte("await room.publish(")) {
		t.Error("/sdk/example.js is not for reading")
	}
	named := regexp.MustCompile(`(?:src|href)="\.?(/[^"]+\.(?:js|css|svg|png))"`)
	for _, page := range []struct{ file, folder string }{{"/index.html", ""}, {"/sdk/index.html", "/sdk"}} {
		f := s.files[page.file]
		if f == nil || !named.Match(f.body) {
			t.Errorf("%s: missing, or names nothing", page.file)
			continue
		}
		for _, m := range named.FindAllSubmatch(f.body, -1) {
			if p := page.folder + string(m[1]); s.files[p] == nil {
				t.Errorf("%s names %s, which is not embedded", page.file, p)
			}
		}
	}
}
