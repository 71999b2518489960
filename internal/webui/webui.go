// Package webui serves the meeting app and the SDK, which are embedded as they were built (see internal/tools/webbuild).
//
// It owns the files below dist: each with its type, an entity tag, and a compressed form made when it is first asked for.
//
//	/ and /r/{room}   the app
//	/doctor           the same, for who wonders whether calls work
//	/assets/…         its scripts and styles; their names contain their hash, so they never change
//	/sdk/parley.js    the SDK, for pages of any origin; /sdk/ shows the smallest use of it
package webui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed all:dist
var embedded embed.FS

// Site answers GET and HEAD for the embedded files. It is safe for concurrent use.
type Site struct {
	files map[string]*file // static after construction; by URL path
}

// file is one embedded file.
type file struct {
	// static after construction
	body      []byte
	mediaType string
	tag       string // without quotes
	forever   bool   // never changes under this name
	anyOrigin bool   // pages of other origins may use it

	once   sync.Once // guards packed
	packed []byte    // gzip; nil where that is not shorter
}

// New reads the embedded files.
func New() (*Site, error) {
	dist, err := fs.Sub(embedded, "dist")
	if err != nil {
		return nil, fmt.Errorf("embedded pages: %w", err)
	}
	return newSite(dist)
}

func newSite(dist fs.FS) (*Site, error) {
	s := &Site{files: map[string]*file{}}
	err := fs.WalkDir(dist, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(dist, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		s.files["/"+name] = &file{
			body: body, mediaType: mediaType(name), tag: base64.RawURLEncoding.EncodeToString(sum[:12]),
			forever: strings.HasPrefix(name, "assets/"), anyOrigin: strings.HasPrefix(name, "sdk/"),
		}
		return nil
	})
	return s, err
}

// mediaTypes by extension. The system's own table differs from machine to machine.
var mediaTypes = map[string]string{
	".html":        "text/html; charset=utf-8",
	".css":         "text/css; charset=utf-8",
	".js":          "text/javascript; charset=utf-8",
	".ts":          "application/typescript; charset=utf-8",
	".map":         "application/json",
	".json":        "application/json",
	".webmanifest": "application/manifest+json",
	".svg":         "image/svg+xml",
	".png":         "image/png",
	".ico":         "image/x-icon",
	".woff2":       "font/woff2",
	".wasm":        "application/wasm",
	".txt":         "text/plain; charset=utf-8",
}

func mediaType(name string) string {
	if t, ok := mediaTypes[path.Ext(name)]; ok {
		return t
	}
	return "application/octet-stream"
}

// ServeHTTP implements http.Handler.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this page can only be read", http.StatusMethodNotAllowed)
		return
	}
	name, moved := locate(r.URL.Path)
	if moved {
		to := url.URL{Path: name, RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, to.String(), http.StatusTemporaryRedirect)
		return
	}
	f := s.files[name]
	if f == nil {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "there is no such page", http.StatusNotFound)
		return
	}
	f.serve(w, r)
}

// locate finds the file for a path, or where else to go. Every room is the same page.
func locate(p string) (name string, moved bool) {
	switch room, isRoom := strings.CutPrefix(p, "/r/"); {
	case p == "/", p == "/doctor", isRoom && room != "" && !strings.Contains(room, "/"):
		return "/index.html", false
	case isRoom && strings.IndexByte(room, '/') == len(room)-1 && len(room) > 1:
		return strings.TrimSuffix(p, "/"), true
	case p == "/doctor/":
		return "/doctor", true
	case p == "/r", isRoom && room == "":
		return "/", true
	case p == "/favicon.ico": // what browsers ask for where a page names no icon
		return "/icon.svg", false
	case p == "/sdk":
		return "/sdk/", true
	case p == "/sdk/":
		return "/sdk/index.html", false
	}
	return p, false
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	body, tag := f.body, f.tag
	if packed := f.gzip(); packed != nil {
		h.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			body, tag = packed, f.tag+"-gzip"
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", `"`+tag+`"`)
	h.Set("Cache-Control", "no-cache") // ask every time, which costs nothing while the tag is the same
	if f.forever {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if f.anyOrigin {
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	if isKnown(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.mediaType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body)
	}
}

// gzip compresses the file the first time that it is asked for.
func (f *file) gzip() []byte {
	f.once.Do(func() {
		if strings.HasPrefix(f.mediaType, "image/") && f.mediaType != "image/svg+xml" || strings.HasPrefix(f.mediaType, "font/") {
			return // compressed already
		}
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a valid one
		_, _ = z.Write(f.body)                                // a bytes.Buffer takes everything
		_ = z.Close()
		if b.Len() < len(f.body) {
			f.packed = b.Bytes()
		}
	})
	return f.packed
}

// acceptsGzip reads Accept-Encoding (RFC 9110 §12.5.3).
func acceptsGzip(header string) bool {
	accepts := false
	for _, item := range strings.Split(header, ",") {
		coding, parameters, _ := strings.Cut(strings.TrimSpace(item), ";")
		q, hasQ := strings.CutPrefix(strings.ReplaceAll(parameters, " ", ""), "q=")
		weight, err := strconv.ParseFloat(q, 64)
		wanted := !hasQ || err == nil && weight > 0
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			return wanted
		case "*":
			accepts = wanted
		}
	}
	return accepts
}

// isKnown tells whether If-None-Match names the tag (RFC 9110 §13.1.2: weak comparison).
func isKnown(header, tag string) bool {
	for _, known := range strings.Split(header, ",") {
		known = strings.TrimPrefix(strings.TrimSpace(known), "W/")
		if known == "*" || known == `"`+tag+`"` {
			return true
		}
	}
	return false
}
