package host

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Lifetimes of the private certificate authority and of the certificates that it signs. Apple's devices refuse server
// certificates of more than 825 days, even of authorities that their owner has added.
const (
	authorityLifetime = 10 * 365 * 24 * time.Hour
	leafLifetime      = 90 * 24 * time.Hour
	leafRenewal       = 30 * 24 * time.Hour // before it ends
)

// privateRanges are the addresses for which the authority may sign, besides those that the machine had when it was made. The
// limits are written into its certificate (RFC 5280 §4.2.1.10): a phone that trusts it trusts it for these and nothing else.
var privateRanges = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"),
}

// privateDomains are the names for which it may sign, besides the machine's own.
var privateDomains = []string{"localhost", "local", "lan", "home.arpa", "internal", "test"}

// certNames are the names and addresses that a certificate is for.
type certNames struct {
	dns       []string
	addresses []netip.Addr
}

// authority is a certificate authority of this machine alone, for addresses that no public one certifies.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

const (
	authorityCert = "ca.crt"
	authorityKey  = "ca.key"
	leafFile      = "server.pem"
)

// loadAuthority reads the authority from dir, or makes it where there is none or it is about to end.
func loadAuthority(dir string, now time.Time, own certNames) (*authority, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, authorityCert), filepath.Join(dir, authorityKey))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return makeAuthority(dir, now, own)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("certificates: %w; they are in %s: --data chooses another folder", err, fullPath(dir))
	case err != nil:
		return nil, fmt.Errorf("private certificate authority in %s: %w; delete its files to get a new one", dir, err)
	}
	a := &authority{cert: pair.Leaf}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !a.cert.IsCA {
		return nil, fmt.Errorf("%s is not a certificate authority with an ECDSA key", filepath.Join(dir, authorityCert))
	}
	a.key = key
	if now.Add(leafLifetime).After(a.cert.NotAfter) {
		return makeAuthority(dir, now, own)
	}
	return a, nil
}

func makeAuthority(dir string, now time.Time, own certNames) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "Parley on " + host + ", " + now.Format(time.DateOnly), Organization: []string{"Parley private authority"}},
		NotBefore:             now.Add(-time.Hour), // clocks of phones differ
		NotAfter:              now.Add(authorityLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,

		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         append(slices.Clone(privateDomains), own.dns...),
		PermittedIPRanges:           permittedRanges(own.addresses),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	if err = writePrivate(filepath.Join(dir, authorityKey), keyPEM); err == nil {
		err = writePrivate(filepath.Join(dir, authorityCert), encodeCert(der))
	}
	return &authority{cert, key}, unwritten(err, dir)
}

// unwritten says what to do where a certificate could not be written.
func unwritten(err error, dir string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("certificates: %w; they belong into %s: --data chooses another folder", err, fullPath(dir))
}

func permittedRanges(own []netip.Addr) []*net.IPNet {
	prefixes := slices.Clone(privateRanges)
	for _, a := range own {
		prefixes = append(prefixes, netip.PrefixFrom(a, a.BitLen()))
	}
	var ranges []*net.IPNet
	for _, p := range prefixes {
		ranges = append(ranges, &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())})
	}
	return ranges
}

// permits reports whether the authority may sign for an address.
func (a *authority) permits(addr netip.Addr) bool {
	return slices.ContainsFunc(a.cert.PermittedIPRanges, func(r *net.IPNet) bool {
		p, ok := netip.AddrFromSlice(r.IP)
		bits, _ := r.Mask.Size()
		return ok && netip.PrefixFrom(p, bits).Contains(addr)
	})
}

// leaf returns a certificate for the names that the authority may sign for: the one in dir while it is good, else a new one. So
// browsers that were told to accept it are not asked again after a restart.
func (a *authority) leaf(dir string, now time.Time, names certNames) (*tls.Certificate, error) {
	names.addresses = slices.DeleteFunc(slices.Clone(names.addresses), func(x netip.Addr) bool { return !a.permits(x) })
	path := filepath.Join(dir, leafFile)
	if c, err := tls.LoadX509KeyPair(path, path); err == nil && a.good(c.Leaf, now, names) {
		return &c, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: "Parley"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(leafLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     names.dns,
	}
	for _, addr := range names.addresses {
		template.IPAddresses = append(template.IPAddresses, addr.AsSlice())
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("sign server certificate: %w", err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	chain := append(encodeCert(der), encodeCert(a.cert.Raw)...)
	if err := writePrivate(path, append(chain, keyPEM...)); err != nil {
		return nil, unwritten(err, dir)
	}
	c, err := tls.X509KeyPair(chain, keyPEM)
	return &c, err
}

// good reports whether leaf can be used for a while, for exactly these names.
func (a *authority) good(leaf *x509.Certificate, now time.Time, names certNames) bool {
	if leaf.CheckSignatureFrom(a.cert) != nil || now.Before(leaf.NotBefore) || now.Add(leafRenewal).After(leaf.NotAfter) {
		return false
	}
	var has []netip.Addr
	for _, ip := range leaf.IPAddresses {
		addr, _ := netip.AddrFromSlice(ip)
		has = append(has, addr.Unmap())
	}
	return slices.Equal(sortedAddrs(has), sortedAddrs(names.addresses)) &&
		slices.Equal(slices.Sorted(slices.Values(leaf.DNSNames)), slices.Sorted(slices.Values(names.dns)))
}

func sortedAddrs(a []netip.Addr) []netip.Addr {
	a = slices.Clone(a)
	slices.SortFunc(a, netip.Addr.Compare)
	return slices.Compact(a)
}

func serial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[0] &= 0x7f           // positive (RFC 5280 §4.1.2.2)
	return new(big.Int).SetBytes(b[:])
}

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}
