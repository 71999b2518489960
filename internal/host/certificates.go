package host

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// certificates chooses the certificate for each TLS handshake:
//
//	--cert      that one, for every name
//	--domain    the public one for its names; the private authority's for all others
//	otherwise   the private authority's
//
// refresh is called now and then: it renews and reads again what has changed. It and the handshakes run concurrently.
type certificates struct {
	// static after construction
	cfg *Config
	log *slog.Logger
	dir string     // of the private authority
	ca  *authority // nil with --cert
	acm *acme      // nil without --domain

	// owned by the goroutine that calls refresh
	seen fileTimes // of --cert and --key

	// atomic
	leaf atomic.Pointer[tls.Certificate]
}

// fileTime tells whether a file has changed; the zero value is of one that cannot be looked at.
type fileTime struct {
	at   time.Time
	size int64
}

func timeOf(path string) fileTime {
	fi, err := os.Stat(path)
	if err != nil {
		return fileTime{}
	}
	return fileTime{fi.ModTime(), fi.Size()}
}

// fileTimes tell whether the certificate files have changed.
type fileTimes struct{ cert, key fileTime }

func newCertificates(cfg *Config, log *slog.Logger, now time.Time, names certNames) (*certificates, error) {
	c := &certificates{cfg: cfg, log: log, dir: filepath.Join(cfg.Data, "tls")}
	if cfg.Cert != "" {
		return c, c.readFiles(now)
	}
	var err error
	if c.ca, err = loadAuthority(c.dir, now, names); err != nil {
		return nil, err
	}
	if len(cfg.Domain) > 0 {
		if c.acm, err = newACME(cfg, log); err != nil {
			return nil, err
		}
	}
	return c, c.renew(now, names)
}

// config is what every TLS connection begins with.
func (c *certificates) config() *tls.Config {
	t := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: c.get,
	}
	if c.acm != nil {
		t.NextProtos = append(t.NextProtos, acmeProtocol)
	}
	return t
}

func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c.acm != nil && (slices.Contains(c.cfg.Domain, strings.ToLower(hello.ServerName)) || slices.Contains(hello.SupportedProtos, acmeProtocol)) {
		return c.acm.get(hello)
	}
	return c.leaf.Load(), nil
}

// dtlsCertificate makes the certificate of the DTLS handshakes. Clients know it by its fingerprint, which every answer carries,
// so it is nobody's name and as short-lived as the process.
func dtlsCertificate(now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Parley"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(authorityLifetime),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// refresh brings the certificate up to date. What goes wrong is logged, and the old one stays.
func (c *certificates) refresh(now time.Time, names certNames) {
	var err error
	if c.cfg.Cert != "" {
		if t, statErr := c.times(); statErr != nil || t == c.seen {
			err = statErr
		} else if err = c.readFiles(now); err == nil {
			c.log.Info("certificate files have changed and were read again", "cert", c.cfg.Cert)
		}
	} else {
		err = c.renew(now, names)
	}
	if err != nil {
		c.log.Error("certificate: the old one stays in use", "err", err)
	}
}

func (c *certificates) renew(now time.Time, names certNames) error {
	leaf, err := c.ca.leaf(c.dir, now, names)
	if err != nil {
		return err
	}
	if old := c.leaf.Swap(leaf); old != nil && !slices.Equal(old.Certificate[0], leaf.Certificate[0]) {
		c.log.Info("the private certificate was renewed", "until", leaf.Leaf.NotAfter)
	}
	return nil
}

// readFiles reads --cert and --key, and warns where browsers will refuse them.
func (c *certificates) readFiles(now time.Time) error {
	seen, err := c.times()
	if err != nil {
		return fmt.Errorf("--cert: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(c.cfg.Cert, c.cfg.Key)
	if err != nil {
		return fmt.Errorf("--cert %s and --key %s: %w", c.cfg.Cert, c.cfg.Key, err)
	}
	c.seen = seen
	c.leaf.Store(&pair)
	switch {
	case now.After(pair.Leaf.NotAfter):
		c.log.Warn("--cert: the certificate has expired, and browsers refuse it", "cert", c.cfg.Cert, "expired", pair.Leaf.NotAfter)
	case now.Before(pair.Leaf.NotBefore):
		c.log.Warn("--cert: the certificate is not valid yet, and browsers refuse it", "cert", c.cfg.Cert, "validFrom", pair.Leaf.NotBefore)
	}
	return nil
}

// certified are the names, and then the addresses, that --cert is for; none without it. A wildcard is not one to go to.
func (c *certificates) certified() (hosts []string) {
	pair := c.leaf.Load()
	if c.cfg.Cert == "" || pair == nil || pair.Leaf == nil {
		return nil
	}
	for _, name := range pair.Leaf.DNSNames {
		if !strings.HasPrefix(name, "*") && name != "localhost" {
			hosts = append(hosts, name)
		}
	}
	for _, ip := range pair.Leaf.IPAddresses {
		if !ip.IsLoopback() {
			hosts = append(hosts, ip.String())
		}
	}
	return hosts
}

func (c *certificates) times() (fileTimes, error) {
	for _, path := range []string{c.cfg.Cert, c.cfg.Key} {
		if _, err := os.Stat(path); err != nil {
			return fileTimes{}, err
		}
	}
	return fileTimes{timeOf(c.cfg.Cert), timeOf(c.cfg.Key)}, nil
}
