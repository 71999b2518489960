package host

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	_ "golang.org/x/crypto/x509roots/fallback" // for images that hold nothing but this program
)

// acmeProtocol is what a certificate authority's TLS-ALPN check asks for (RFC 8737).
const acmeProtocol = "acme-tls/1"

// acme gets and renews public certificates. Checks by TLS-ALPN arrive at the one port, which must then be 443 to the outside;
// checks by HTTP arrive at port 80, where that is free.
type acme struct {
	// static after construction
	domains []string
	cache   *certmagic.Cache
	magic   *certmagic.Config
	issuer  *certmagic.ACMEIssuer

	// owned by the caller of start and stop
	cancel context.CancelFunc
	web    *http.Server
	done   chan struct{}
}

func newACME(cfg *Config, log *slog.Logger) (*acme, error) {
	a := &acme{domains: cfg.Domain}
	quiet := zap.NewNop() // its lines have addresses in them; events say enough
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return a.magic, nil },
		Logger:           quiet,
	})
	a.magic = certmagic.New(a.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: filepath.Join(cfg.Data, "acme")},
		Logger:  quiet,
		OnEvent: func(_ context.Context, event string, about map[string]any) error {
			logACME(log, event, about)
			return nil
		},
		ShouldEmitFunc: func(event string) bool { return event != "tls_get_certificate" },
	})
	_, port, err := splitListen(cfg.Listen)
	if err != nil {
		return nil, err
	}
	template := certmagic.ACMEIssuer{
		CA:                        certmagic.LetsEncryptProductionCA,
		Email:                     cfg.ACMEEmail,
		Agreed:                    true,
		AltTLSALPNPort:            int(port),
		DisableDistributedSolvers: true,
		Logger:                    quiet,
	}
	if cfg.ACMECA != "" {
		template.CA = cfg.ACMECA
	}
	if cfg.ACMERoots != "" {
		b, err := readLimited(cfg.ACMERoots, maxConfigBytes)
		if err != nil {
			return nil, fmt.Errorf("--acme-roots: %w", err)
		}
		template.TrustedRoots = x509.NewCertPool()
		if !template.TrustedRoots.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("--acme-roots %s: no PEM certificate in it", cfg.ACMERoots)
		}
	}
	a.issuer = certmagic.NewACMEIssuer(a.magic, template)
	a.magic.Issuers = []certmagic.Issuer{a.issuer}
	return a, nil
}

func logACME(log *slog.Logger, event string, about map[string]any) {
	switch event {
	case "cert_obtaining":
		log.Info("asking for a certificate", "name", about["identifier"])
	case "cert_obtained":
		log.Info("got a certificate", "name", about["identifier"])
	case "cached_managed_cert":
		log.Info("public certificate in use", "names", about["sans"])
	case "cert_failed":
		log.Error("no certificate: does the name lead to this machine, and is port 443 or 80 open from outside?",
			"name", about["identifier"], "err", about["error"])
	}
}

// start begins to get certificates; the one port must be open by now. http is the listener on port 80, or nil; it is owned from
// now on. Whatever else comes there is sent to https.
func (a *acme) start(http80 net.Listener, httpsPort uint16) error {
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel, a.done = cancel, make(chan struct{})
	a.issuer.DisableHTTPChallenge = http80 == nil
	if http80 == nil {
		close(a.done)
	} else {
		a.issuer.AltHTTPPort = http80.Addr().(*net.TCPAddr).Port
		a.web = &http.Server{
			Handler:           a.issuer.HTTPChallengeHandler(http.HandlerFunc(redirectToHTTPS(httpsPort))),
			ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
			ReadTimeout: bodyTimeout, WriteTimeout: bodyTimeout, // redirects and short checks: there is nothing to upload
		}
		go func() {
			defer close(a.done)
			_ = a.web.Serve(http80) // until stop
		}()
	}
	return a.magic.ManageAsync(ctx, a.domains)
}

func (a *acme) stop() {
	a.cancel()
	if a.web != nil {
		_ = a.web.Close()
	}
	<-a.done
	a.cache.Stop()
}

func (a *acme) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return a.magic.GetCertificate(hello)
}

// redirectToHTTPS sends every page to the same place on the given port.
func redirectToHTTPS(port uint16) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if host = trimBrackets(host); strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		if !validHost(host) {
			http.Error(w, "no such host", http.StatusBadRequest)
			return
		}
		http.Redirect(w, r, "https://"+host+portSuffix(port, 443)+r.URL.RequestURI(), http.StatusPermanentRedirect)
	}
}
