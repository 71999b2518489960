package host

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parley-rtc/parley/internal/doctor"
)

const areaCertificate = "certificate"

// lookup finds the addresses of a name.
type lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

// certificateFindings are about what browsers will be shown.
func (c *doctorCommand) certificateFindings(ctx context.Context, now time.Time, find lookup) []doctor.Finding {
	switch {
	case c.Cert != "":
		return []doctor.Finding{certFinding(c.Cert, c.Key, now)}
	case len(c.Domain) > 0:
		var all []doctor.Finding
		for _, name := range c.Domain {
			all = append(all, acmeFinding(filepath.Join(c.Data, "acme"), name, now), c.nameFinding(ctx, name, find))
		}
		return all
	}
	return []doctor.Finding{authorityFinding(filepath.Join(c.Data, "tls"), now)}
}

// certFinding looks at the files of --cert and --key.
func certFinding(cert, key string, now time.Time) doctor.Finding {
	f := doctor.Finding{Area: areaCertificate, Level: doctor.OK}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		f.Level, f.Text, f.Cause = doctor.Fault, fmt.Sprintf("%s and %s cannot be used", cert, key), err.Error()
		f.Next = "give the PEM chain, with the server's own certificate first, and the key that belongs to it"
		return f
	}
	names := slices.Clone(pair.Leaf.DNSNames)
	for _, a := range pair.Leaf.IPAddresses {
		names = append(names, a.String())
	}
	f.Text = fmt.Sprintf("%s is for %s", cert, strings.Join(names, ", "))
	if len(names) == 0 {
		f.Level, f.Text = doctor.Fault, cert+" names nothing that it is for"
		f.Cause, f.Next = "browsers look at subject alternative names alone", "get one with the server's name in them"
		return f
	}
	if dated(&f, pair.Leaf, now, "put the renewed one there: it is read again by itself"); f.Level != doctor.OK {
		return f
	}
	chained(&f, pair, now)
	if fi, err := os.Stat(key); f.Level == doctor.OK && err == nil && fi.Mode().Perm()&0o007 != 0 {
		f.Level, f.Cause, f.Next = doctor.Warning, "everybody on this machine may read "+key, "chmod o= "+key
	}
	return f
}

// dated adds until when a certificate is valid.
func dated(f *doctor.Finding, leaf *x509.Certificate, now time.Time, next string) {
	day := leaf.NotAfter.UTC().Format(time.DateOnly)
	switch {
	case now.After(leaf.NotAfter):
		f.Level, f.Cause = doctor.Fault, fmt.Sprintf("it has expired on %s: browsers refuse it", day)
	case now.Before(leaf.NotBefore):
		f.Level, f.Cause = doctor.Fault, fmt.Sprintf("it is not valid before %s, or this machine's clock is wrong", leaf.NotBefore.UTC().Format(time.DateTime))
	case leaf.NotAfter.Sub(now) < expiresSoon:
		f.Level, f.Cause = doctor.Warning, fmt.Sprintf("it expires on %s", day)
	default:
		f.More = append(f.More, "valid until "+day)
		return
	}
	f.Next = next
}

// chained says so where browsers will not find a way from a certificate to an authority that they know. This machine's authorities stand for
// theirs.
func chained(f *doctor.Finding, pair tls.Certificate, now time.Time) {
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	_, err := pair.Leaf.Verify(x509.VerifyOptions{Intermediates: between, CurrentTime: now})
	var unknown x509.UnknownAuthorityError
	switch {
	case err == nil:
		return
	case !errors.As(err, &unknown):
		f.Cause, f.Next = err.Error(), "get another one"
	case string(pair.Leaf.RawIssuer) == string(pair.Leaf.RawSubject):
		f.Cause, f.Next = "it is signed by itself: browsers warn, and phones may refuse", "get one of an authority that browsers know, or leave --cert out: /trust then helps phones"
	case len(pair.Certificate) == 1:
		f.Cause = fmt.Sprintf("the file has no intermediate certificate, and %q is no authority that this machine knows", pair.Leaf.Issuer.CommonName)
		f.Next = "append the authority's intermediate certificates (of Let's Encrypt: fullchain.pem and not cert.pem)"
	default:
		f.Cause = fmt.Sprintf("this machine does not know its authority, %q", pair.Leaf.Issuer.CommonName)
		f.Next = "nothing, if the visitors' machines do; otherwise get one of an authority that browsers know"
	}
	f.Level = doctor.Warning
}

// acmeFinding looks at the public certificate that the server has got for a name.
func acmeFinding(folder, name string, now time.Time) doctor.Finding {
	f := doctor.Finding{Area: areaCertificate, Level: doctor.OK, Text: "a public one for " + name}
	files, _ := filepath.Glob(filepath.Join(folder, "certificates", "*", name, name+".crt"))
	if len(files) == 0 {
		f.Level, f.Text = doctor.Note, "there is none for "+name+" yet: the server asks for it when it starts"
		return f
	}
	var newest *x509.Certificate // of several authorities'
	for _, file := range files {
		if c, err := readCert(file); err == nil && (newest == nil || c.NotAfter.After(newest.NotAfter)) {
			newest = c
		}
	}
	if newest == nil {
		f.Level, f.Cause, f.Next = doctor.Fault, files[0]+" cannot be read", "delete it: the server gets another one"
		return f
	}
	dated(&f, newest, now, "the server renews it by itself: its log says why it could not. Port 443 or 80 must be open from outside")
	return f
}

func readCert(path string) (*x509.Certificate, error) {
	b, err := readLimited(path, maxConfigBytes)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM certificate in it", path)
	}
	return x509.ParseCertificate(block.Bytes)
}

// nameFinding looks whether a name leads here.
func (c *doctorCommand) nameFinding(ctx context.Context, name string, find lookup) doctor.Finding {
	f := doctor.Finding{Area: "name", Level: doctor.OK}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := find(ctx, "ip", name)
	if err != nil {
		f.Level, f.Text, f.Cause = doctor.Fault, name+" is not found", err.Error()
		f.Next = "add A and AAAA records with this machine's public addresses where the name is registered"
		return f
	}
	own := slices.Clone(c.Advertise)
	if list, err := interfaces(); err == nil {
		for _, i := range list {
			own = append(own, i.addresses...)
		}
	}
	var strange []string
	for i, a := range found {
		found[i] = a.Unmap()
		if !slices.Contains(own, found[i]) {
			strange = append(strange, found[i].String())
		}
	}
	f.Text = fmt.Sprintf("%s leads to %s", name, strings.Trim(fmt.Sprint(found), "[]"))
	if len(strange) > 0 {
		f.Level = doctor.Warning
		f.Cause = strings.Join(strange, ", ") + ": no address of this machine, and none that --advertise names"
		f.Next = "if a router has it and passes the port on, --advertise it; otherwise correct the name's A and AAAA records"
	}
	return f
}

// authorityFinding looks at the private authority and what it has signed.
func authorityFinding(folder string, now time.Time) doctor.Finding {
	f := doctor.Finding{Area: areaCertificate, Level: doctor.OK, Text: "of a private authority: browsers warn until they trust it, which /trust helps with"}
	ca, err := readCert(filepath.Join(folder, authorityCert))
	if errors.Is(err, fs.ErrNotExist) {
		f.Level, f.Text = doctor.Note, "there is none yet: the server makes a private authority when it starts"
		return f
	}
	if err != nil {
		f.Level, f.Cause, f.Next = doctor.Fault, err.Error(), "run the doctor as the server's user; or delete the files in "+folder+" to get a new authority"
		return f
	}
	dated(&f, ca, now, "set this machine's clock right; the server makes a new authority by itself, which phones have to trust anew")
	return f
}
