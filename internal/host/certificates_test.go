package host

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"encoding/xml"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	lan    = netip.MustParseAddr("192.168.1.20")
	public = netip.MustParseAddr("203.0.113.7")
	other  = netip.MustParseAddr("198.51.100.1")
	start  = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
)

func names(a ...netip.Addr) certNames {
	return certNames{dns: []string{"localhost", "desk", "desk.local"}, addresses: append([]netip.Addr{netip.MustParseAddr("127.0.0.1")}, a...)}
}

// The private authority certifies this machine's names and private addresses, browsers' rules hold, and it can certify nothing
// else: its own certificate forbids it.
func TestAuthorityIsConstrained(t *testing.T) {
	dir := t.TempDir()
	ca, err := loadAuthority(dir, start, names(lan, public))
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.leaf(dir, start, names(lan, public, other))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	for name, ok := range map[string]bool{
		"localhost": true, "desk": true, "desk.local": true, "127.0.0.1": true, "192.168.1.20": true,
		"203.0.113.7":  true,  // the machine had it when the authority was made
		"198.51.100.1": false, // it came later and is not private
		"example.org":  false,
	} {
		_, err := leaf.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: start, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		if (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if d := leaf.Leaf.NotAfter.Sub(leaf.Leaf.NotBefore); d > 825*24*time.Hour {
		t.Errorf("valid for %v, which Apple refuses", d)
	}
	for _, bad := range []certNames{{dns: []string{"example.org"}}, {dns: []string{"localhost"}, addresses: []netip.Addr{other}}} {
		forged := &authority{cert: withoutRanges(ca.cert), key: ca.key}
		leaf, err := forged.leaf(t.TempDir(), start, bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: start}); err == nil {
			t.Errorf("a certificate for %v is accepted", bad)
		}
	}
}

// withoutRanges lets a test sign what authority.leaf would leave out.
func withoutRanges(c *x509.Certificate) *x509.Certificate {
	d := *c
	d.PermittedIPRanges = permittedRanges([]netip.Addr{other})
	return &d
}

// The server certificate stays over restarts, so that accepted warnings stay accepted; it is renewed when the addresses change
// and before it ends. The authority stays as long as it outlives what it signs.
func TestRenewal(t *testing.T) {
	dir := t.TempDir()
	issue := func(now time.Time, n certNames) (*authority, []byte) {
		t.Helper()
		ca, err := loadAuthority(dir, now, n)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := ca.leaf(dir, now, n)
		if err != nil {
			t.Fatal(err)
		}
		return ca, leaf.Certificate[0]
	}
	ca, first := issue(start, names(lan))
	if _, again := issue(start.Add(time.Hour), names(lan)); !bytes.Equal(first, again) {
		t.Error("a restart made a new certificate")
	}
	reordered := names()
	reordered.addresses = append([]netip.Addr{lan}, reordered.addresses...)
	if _, again := issue(start, reordered); !bytes.Equal(first, again) {
		t.Error("another order of addresses made a new certificate")
	}
	if _, again := issue(start, names(lan, netip.MustParseAddr("10.1.1.1"))); bytes.Equal(first, again) {
		t.Error("a new address made no new certificate")
	}
	_, first = issue(start, names(lan))
	if _, again := issue(start.Add(leafLifetime-leafRenewal+time.Hour), names(lan)); bytes.Equal(first, again) {
		t.Error("no new certificate before the end")
	}
	late := start.Add(authorityLifetime - leafLifetime)
	if same, _ := issue(late.Add(-time.Hour), names(lan)); !bytes.Equal(same.cert.Raw, ca.cert.Raw) {
		t.Error("the authority changed")
	}
	if renewed, _ := issue(late.Add(time.Hour), names(lan)); bytes.Equal(renewed.cert.Raw, ca.cert.Raw) {
		t.Error("the authority would end before what it signs")
	}
	if err := os.WriteFile(filepath.Join(dir, authorityKey), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadAuthority(dir, start, names(lan)); err == nil || !strings.Contains(err.Error(), "delete its files") {
		t.Errorf("a torn key: %v", err)
	}
}

// Where certificates cannot be written it is said where they belong and what to do, once.
func TestCertificatesCannotBeWritten(t *testing.T) {
	dir := filepath.Join(writeFile(t, "file", ""), "tls")
	ca, err := makeAuthority(t.TempDir(), start, names())
	if err != nil {
		t.Fatal(err)
	}
	_, authorityErr := makeAuthority(dir, start, names())
	_, leafErr := ca.leaf(dir, start, names(lan))
	for what, err := range map[string]error{"authority": authorityErr, "leaf": leafErr} {
		if err == nil || strings.Count(err.Error(), dir) != 1 || !strings.Contains(err.Error(), "--data chooses another folder") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// --cert is read again when it changes; while the files do not fit, the old certificate stays.
func TestCertificateFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	cfg := &Config{Cert: filepath.Join(dir, "c.pem"), Key: filepath.Join(dir, "k.pem")}
	write := func(at time.Time) []byte {
		t.Helper()
		fresh := t.TempDir()
		ca, err := makeAuthority(fresh, start, names())
		if err != nil {
			t.Fatal(err)
		}
		cert, _ := os.ReadFile(filepath.Join(fresh, authorityCert))
		key, _ := os.ReadFile(filepath.Join(fresh, authorityKey))
		for path, b := range map[string][]byte{cfg.Cert: cert, cfg.Key: key} {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		return ca.cert.Raw
	}
	var log bytes.Buffer
	first := write(start)
	c, err := newCertificates(cfg, slog.New(slog.NewTextHandler(&log, nil)), start, names())
	if err != nil {
		t.Fatal(err)
	}
	served := func() []byte {
		cert, err := c.get(&tls.ClientHelloInfo{ServerName: "any.example"})
		if err != nil {
			t.Fatal(err)
		}
		return cert.Certificate[0]
	}
	if !bytes.Equal(served(), first) {
		t.Error("another certificate is served")
	}
	second := write(start.Add(time.Minute))
	c.refresh(start, names())
	if !bytes.Equal(served(), second) || !strings.Contains(log.String(), "read again") {
		t.Error("the new certificate is not served:", log.String())
	}
	if err := os.WriteFile(cfg.Key, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.refresh(start, names())
	if !bytes.Equal(served(), second) || !strings.Contains(log.String(), "the old one stays") {
		t.Error("a torn key:", log.String())
	}
	third := write(start.Add(2 * time.Minute))
	c.refresh(start, names())
	if !bytes.Equal(served(), third) {
		t.Error("the repaired certificate is not served")
	}
	if err := os.Remove(cfg.Cert); err != nil {
		t.Fatal(err)
	}
	c.refresh(start, names())
	if !bytes.Equal(served(), third) {
		t.Error("a missing file took the certificate away")
	}
	if _, err := newCertificates(cfg, slog.Default(), start, names()); err == nil {
		t.Error("a start without the file is not refused")
	}
}

// A handshake for a public name gets that name's certificate; any other, and none, gets the private one.
func TestChoiceOfCertificate(t *testing.T) {
	cfg := &Config{Listen: ":443", Domain: []string{"meet.example.org"}}
	cfg.Data = t.TempDir()
	c, err := newCertificates(cfg, slog.New(slog.DiscardHandler), start, names(lan))
	if err != nil {
		t.Fatal(err)
	}
	defer c.acm.cache.Stop()
	for _, name := range []string{"", "localhost", "else.example.org"} {
		if got, err := c.get(&tls.ClientHelloInfo{ServerName: name}); err != nil || got != c.leaf.Load() {
			t.Errorf("%q: not the private certificate, %v", name, err)
		}
	}
	if got := c.config(); !strings.Contains(strings.Join(got.NextProtos, " "), "h2 http/1.1 acme-tls/1") {
		t.Errorf("protocols %v", got.NextProtos)
	}
}

// /trust offers the authority's certificate as a file and as a profile; both hold it whole and the page shows its fingerprint.
func TestTrustPages(t *testing.T) {
	ca, err := makeAuthority(t.TempDir(), start, names())
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	if err := trustPages(mux, ca.cert); err != nil {
		t.Fatal(err)
	}
	get := func(path string) (*httptest.ResponseRecorder, []byte) {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w, w.Body.Bytes()
	}
	w, page := get("/trust")
	if w.Code != 200 || !bytes.Contains(page, []byte(fingerprint(ca.cert.Raw))) || bytes.Contains(page, []byte("{{")) || bytes.Contains(page, []byte("style=")) {
		t.Errorf("%d\n%s", w.Code, page)
	}
	w, file := get("/trust/parley-ca.crt")
	if block, _ := pem.Decode(file); block == nil || !bytes.Equal(block.Bytes, ca.cert.Raw) || w.Header().Get("Content-Type") != "application/x-x509-ca-cert" {
		t.Errorf("%v\n%s", w.Header(), file)
	}
	w, profile := get("/trust/parley.mobileconfig")
	if w.Header().Get("Content-Type") != "application/x-apple-aspen-config" || bytes.Contains(profile, []byte("{{")) ||
		!bytes.Contains(profile, []byte(base64.StdEncoding.EncodeToString(ca.cert.Raw))) {
		t.Errorf("%v\n%s", w.Header(), profile)
	}
	for d := xml.NewDecoder(bytes.NewReader(profile)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// The names of --cert are where to go; one that browsers refuse, because it has expired or is not valid yet, is warned of.
func TestOwnCertificate(t *testing.T) {
	dir := t.TempDir()
	cfg := &Config{Cert: filepath.Join(dir, "c.pem"), Key: filepath.Join(dir, "k.pem"), Listen: ":8443"}
	writeOwnCertificate(t, cfg, &x509.Certificate{
		SerialNumber: serial(), NotBefore: start, NotAfter: start.Add(time.Hour),
		DNSNames: []string{"*.example.org", "localhost", "meet.example.org"}, IPAddresses: []net.IP{net.ParseIP("127.0.0.1"), net.ParseIP("2001:db8::1")},
	})
	for at, want := range map[time.Duration]string{-time.Minute: "is not valid yet", time.Minute: "", 2 * time.Hour: "has expired"} {
		var log bytes.Buffer
		c, err := newCertificates(cfg, slog.New(slog.NewTextHandler(&log, nil)), start.Add(at), names())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log.String(), want) || want == "" && log.Len() > 0 {
			t.Errorf("after %v: %q", at, log.String())
		}
		s := &summary{cfg: cfg, port: 8443, certified: c.certified(), offers: chooseAddresses(netip.IPv6Unspecified(), home, nil)}
		var out strings.Builder
		s.write(&out)
		text := strings.Join(strings.Fields(out.String()), " ")
		if want := "meet https://meet.example.org:8443 meet https://[2001:db8::1]:8443 meet http://localhost:8443 on this machine media"; !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
		if strings.Contains(text, "*") || s.others() != "https://meet.example.org:8443" {
			t.Errorf("others: %s\n%s", s.others(), out.String())
		}
	}
}

func writeOwnCertificate(t *testing.T, cfg *Config, template *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cfg.Cert: {Type: "CERTIFICATE", Bytes: der}, cfg.Key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
