package host

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"strings"
)

var (
	//go:embed trust/trust.html
	trustPage string
	//go:embed trust/style.css
	trustStyle []byte
	//go:embed trust/parley.mobileconfig
	trustProfile string
)

// trustPages serves /trust: how a phone comes to accept the private certificate authority, which it gets here as a file
// (Android, computers) or as a profile (Apple's devices).
func trustPages(mux *http.ServeMux, ca *x509.Certificate) error {
	sum := sha256.Sum256(ca.Raw)
	about := struct{ Name, Fingerprint, ID, ProfileUUID, RootUUID, Base64 string }{
		Name:        ca.Subject.CommonName,
		Fingerprint: fingerprint(ca.Raw),
		ID:          hex.EncodeToString(sum[:8]),
		ProfileUUID: uuid(sum[:16]),
		RootUUID:    uuid(sum[16:]),
		Base64:      base64.StdEncoding.EncodeToString(ca.Raw),
	}
	var page bytes.Buffer
	if err := template.Must(template.New("page").Parse(trustPage)).Execute(&page, about); err != nil {
		return fmt.Errorf("trust page: %w", err)
	}
	// html/template does not know property lists. All values but the name are letters, digits and base64.
	profile := strings.NewReplacer("{{.Name}}", template.HTMLEscapeString(about.Name), "{{.ID}}", about.ID,
		"{{.ProfileUUID}}", about.ProfileUUID, "{{.RootUUID}}", about.RootUUID, "{{.Base64}}", about.Base64).Replace(trustProfile)

	serve := func(path, contentType, name string, body []byte) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Cache-Control", "no-cache")
			if name != "" {
				w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
			}
			_, _ = w.Write(body)
		})
	}
	serve("/trust", "text/html; charset=utf-8", "", page.Bytes())
	serve("/trust/style.css", "text/css; charset=utf-8", "", trustStyle)
	serve("/trust/parley-ca.crt", "application/x-x509-ca-cert", "parley-ca.crt", encodeCert(ca.Raw))
	serve("/trust/parley.mobileconfig", "application/x-apple-aspen-config", "", []byte(profile))
	return nil
}

// fingerprint is a certificate's SHA-256 hash as browsers show it and as SDP writes it (RFC 8122).
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(pairs, ":")
}

func uuid(b []byte) string {
	return fmt.Sprintf("%X-%X-%X-%X-%X", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
