package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync/atomic"
	"syscall"
)

// target is the server. Its name is resolved once, so that what was checked is what is loaded.
type target struct {
	// static after construction
	url       *url.URL
	addresses []netip.Addr
	anywhere  bool         // public addresses too
	machine   []netip.Addr // of this machine: also where they are public, nobody else is loaded by them
	client    *http.Client

	// atomic
	own atomic.Pointer[netip.Addr] // of this machine, as it reaches the server
}

// resolve finds the server, and refuses one that may be somebody else's.
func (p *Plan) resolve(ctx context.Context) (*target, error) {
	u, err := p.server()
	if err != nil {
		return nil, err
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil, fmt.Errorf("find the server: %w", err)
	}
	t := &target{url: u, anywhere: p.WithConsent, machine: machineAddresses()}
	for _, a := range found {
		if a = a.Unmap(); !t.allowed(a) {
			return nil, fmt.Errorf("%s has the public address %v: load on somebody else's server is an attack; with --with-consent you say that its operator has agreed",
				u.Hostname(), a)
		}
		t.addresses = append(t.addresses, a)
	}
	slices.SortStableFunc(t.addresses, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() }) // IPv4 first: servers offer it always
	t.client = &http.Client{
		Transport:     &http.Transport{DialContext: t.connect, TLSClientConfig: &tls.Config{InsecureSkipVerify: p.Insecure}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return t, nil
}

// allowed reports whether load may go to an address.
func (t *target) allowed(a netip.Addr) bool {
	return t.anywhere || near(a) || slices.Contains(t.machine, a.Unmap())
}

func machineAddresses() (all []netip.Addr) {
	found, _ := net.InterfaceAddrs() // none: then those that are near are left
	for _, a := range found {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, p.Addr().Unmap())
		}
	}
	return all
}

// connect opens a TCP connection to the server, whatever name it was asked for by.
func (t *target) connect(ctx context.Context, _, _ string) (net.Conn, error) {
	port := t.url.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[t.url.Scheme]
	}
	var d net.Dialer
	var last error
	for _, a := range t.addresses {
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(a.String(), port))
		if err == nil {
			if own, ok := conn.LocalAddr().(*net.TCPAddr); ok {
				a := own.AddrPort().Addr().Unmap().WithZone("")
				t.own.Store(&a)
			}
			return conn, nil
		}
		last = errors.Join(last, err)
	}
	return nil, last
}

// local is the address of this machine that leads to the server, once a connection was made.
func (t *target) local() netip.Addr {
	if a := t.own.Load(); a != nil {
		return *a
	}
	return netip.Addr{}
}

// dial opens a session.
func (t *target) dial(ctx context.Context) (*session, error) {
	s, err := dial(ctx, t.url.String(), t.client)
	return s, advise(err)
}

// greet finds out whether a server is there at all.
func (t *target) greet(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, replyTimeout)
	defer done()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url.String()+"/healthz", nil)
	if err != nil {
		return err
	}
	answer, err := t.client.Do(r)
	if err != nil {
		return advise(err)
	}
	_ = answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusOK:
		return nil
	case answer.StatusCode/100 == 3 && t.url.Scheme == "http":
		return fmt.Errorf("%v wants https: give --url https://%s", t.url, t.url.Host)
	}
	return fmt.Errorf("%v answers %s: is it a Parley server?", t.url, answer.Status)
}

// advise adds what to do about an error, where that is known.
func advise(err error) error {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: start the server there, or give --url", err)
	case errors.As(err, &authority), errors.As(err, &name):
		return fmt.Errorf("%w: --insecure goes on without checking the certificate", err)
	}
	return err
}

// close gives back idle connections.
func (t *target) close() { t.client.CloseIdleConnections() }
