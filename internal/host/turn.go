package host

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	ossignal "os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/obs"
	"github.com/parley-rtc/parley/internal/port"
	"github.com/parley-rtc/parley/internal/relay"
	"github.com/parley-rtc/parley/internal/turn"
)

// turnCommand is the STUN and TURN server without rooms.
type turnCommand struct {
	Listen     []string     `group:"Network" placeholder:"[HOST]:PORT" help:"UDP and TCP port, for TLS too where there is --cert; may be repeated. Default: :3478."`
	DTLS       []string     `group:"Network" name:"dtls" placeholder:"[HOST]:PORT" help:"UDP port for TURN over DTLS, with --cert; may be repeated. Usual: :5349. Default: none."`
	Advertise  []netip.Addr `group:"Network" placeholder:"IP" help:"Address under which peers reach relayed addresses, such as the public one of a router in front of this machine."`
	Cert       string       `group:"Certificate" placeholder:"FILE" help:"PEM certificate chain; read again when it changes."`
	Key        string       `group:"Certificate" placeholder:"FILE" help:"PEM private key of --cert."`
	Realm      string       `group:"Access" default:"parley" env:"PARLEY_TURN_REALM" placeholder:"NAME" help:"Realm of the credentials, at most 36 bytes; with 12 or fewer all clients are told of SHA-256. Default: parley."`
	Users      secretLines  `group:"Access" name:"user" env:"PARLEY_TURN_USER" placeholder:"NAME:PASSWORD" help:"Who may use relayed addresses; may be repeated."`
	Secrets    secretLines  `group:"Access" name:"secret" env:"PARLEY_TURN_SECRET" placeholder:"TEXT" help:"Secret with which others make time-limited credentials: coturn's static-auth-secret. May be repeated, to replace one."`
	relayFlags `embed:"" group:"Relay"`
	Metrics    string     `group:"Process" placeholder:"[HOST]:PORT" help:"TCP port for Prometheus, which shows /metrics to everybody who reaches it. Default: none."`
	LogLevel   slog.Level `group:"Log" default:"info" placeholder:"LEVEL" help:"debug, info, warn or error. Default: info."`
	LogFormat  string     `group:"Log" enum:"text,json" default:"text" placeholder:"text|json" help:"One line of key=value, or one JSON object. Default: text."`
	LogAddress bool       `group:"Log" name:"log-addresses" help:"Show network addresses in the log instead of marks."`
}

// Help implements kong.HelpProvider.
func (turnCommand) Help() string {
	return `A STUN and TURN server (RFC 8489, 8656) for clients of any service, by UDP, TCP and TLS on one port. Without --user and --secret it answers STUN and
relays nothing. Flags can be seen by everybody on this machine: PARLEY_TURN_USER and PARLEY_TURN_SECRET take the same, one a line.

Clients reach public addresses through it, and each other's relayed ones: not this machine, nor networks that are private or reserved. --allow-peer and --deny-peer
change that.`
}

// secretLines are texts that are never shown, one of each use of a flag, or each line of a variable.
type secretLines []obs.Secret

// UnmarshalText implements encoding.TextUnmarshaler. It adds to those that there are, because the flag can be repeated.
func (l *secretLines) UnmarshalText(b []byte) error {
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			*l = append(*l, obs.NewSecret(line))
		}
	}
	if len(*l) == 0 {
		return errors.New("there is none: is the variable that it comes from empty?")
	}
	return nil
}

// complete fills in what is left out, refuses what contradicts itself, and returns who may relay; nil: nobody.
func (c *turnCommand) complete() (*auth.TURN, error) {
	if len(c.Listen) == 0 {
		c.Listen = []string{fmt.Sprintf(":%d", usualTURN)}
	}
	if _, err := addresses("--listen", c.Listen); err != nil {
		return nil, err
	}
	switch {
	case (c.Cert == "") != (c.Key == ""):
		return nil, errors.New("--cert and --key belong together: give both")
	case len(c.DTLS) > 0 && c.Cert == "":
		return nil, errors.New("--dtls wants a certificate: give --cert and --key")
	case len(c.Realm) > turn.MaxRealm:
		return nil, fmt.Errorf("--realm has %d bytes: give at most %d, so that answers to strangers stay short", len(c.Realm), turn.MaxRealm)
	}
	if _, err := addresses("--dtls", c.DTLS); err != nil {
		return nil, err
	}
	if c.Metrics != "" {
		if _, _, err := splitAddress("--metrics", c.Metrics); err != nil {
			return nil, err
		}
	}
	if err := checkAdvertised(c.Advertise); err != nil {
		return nil, err
	}
	if err := c.check(""); err != nil {
		return nil, err
	}
	return c.credentials()
}

// credentials reads --user and --secret. No refusal quotes what is secret of them.
func (c *turnCommand) credentials() (*auth.TURN, error) {
	users := map[string]string{}
	for i, u := range c.Users {
		name, password, ok := strings.Cut(u.Reveal(), ":")
		if _, twice := users[name]; !ok || twice {
			return nil, fmt.Errorf("--user, number %d: give NAME:PASSWORD, each name once", i+1)
		}
		users[name] = password
	}
	var secrets []auth.Secret
	for i, text := range c.Secrets {
		s, err := auth.NewTURNSecret(text.Reveal())
		if err != nil {
			return nil, fmt.Errorf("--secret, number %d: %w", i+1, err)
		}
		secrets = append(secrets, s)
	}
	keys, err := auth.NewTURN(c.Realm, users, secrets)
	if err != nil {
		return nil, fmt.Errorf("--realm, --user or --secret: %w", err)
	}
	if len(users)+len(secrets) == 0 {
		return nil, nil
	}
	return keys, nil
}

// turn runs a STUN and TURN server until the process is told to end.
func (p process) turn(c *turnCommand) error {
	keys, err := c.complete()
	if err != nil {
		return &usageError{err}
	}
	log := obs.NewLogger(p.stderr, obs.LogConfig{Level: c.LogLevel, JSON: c.LogFormat == "json", Addresses: c.LogAddress})
	raiseFileLimit(log)
	signals := make(chan os.Signal, 1)
	ossignal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer ossignal.Stop(signals)
	s, err := newStandalone(c, keys, log)
	if err != nil {
		return err
	}
	s.write(p.stdout)
	tellSupervisor(log, "READY=1")
	log.Info("ending", "signal", (<-signals).String())
	tellSupervisor(log, "STOPPING=1")
	s.stop()
	log.Info("ended")
	return nil
}

// standalone is a running STUN and TURN server without rooms.
type standalone struct {
	// static after construction
	cmd        *turnCommand
	certs      *certificates // nil: there are none
	listeners  listeners
	relay      *relay.Relay
	dtls       []netip.AddrPort // what DTLS listens on
	offers     []offer
	relayed    []relay.Address
	alternates []turn.Alternate
	metrics    netip.AddrPort // invalid: none
	log        *slog.Logger
	stops      []func() // what stop does, last one first
}

// newStandalone builds and starts one. When it fails, nothing of it is left running.
func newStandalone(c *turnCommand, keys *auth.TURN, log *slog.Logger) (*standalone, error) {
	s := &standalone{cmd: c, log: log}
	for _, build := range []func() error{s.buildCertificates, func() error { return s.buildRelay(keys) }, s.buildMetrics} {
		if err := build(); err != nil {
			s.stop()
			return nil, err
		}
	}
	return s, nil
}

func (s *standalone) stop() {
	for i := len(s.stops) - 1; i >= 0; i-- {
		s.stops[i]()
	}
	s.stops = nil
}

func (s *standalone) onStop(f func()) { s.stops = append(s.stops, f) }

// buildCertificates reads --cert, now and whenever it changes.
func (s *standalone) buildCertificates() error {
	if s.cmd.Cert == "" {
		return nil
	}
	var err error
	s.certs, err = newCertificates(&Config{Cert: s.cmd.Cert, Key: s.cmd.Key}, s.log, time.Now(), certNames{})
	if err != nil {
		return err
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(watchInterval)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				s.certs.refresh(now, certNames{})
			case <-stop:
				return
			}
		}
	}()
	s.onStop(func() {
		close(stop)
		<-done
	})
	return nil
}

// tls is what TLS and DTLS connections begin with; nil: there is no certificate.
func (s *standalone) tls() *tls.Config {
	if s.certs == nil {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: turnProtocols, GetCertificate: s.certs.get}
}

func (s *standalone) buildRelay(keys *auth.TURN) error {
	list, err := interfaces()
	if err != nil {
		return err
	}
	s.offers = chooseAddresses(netip.IPv6Unspecified(), list, s.cmd.Advertise)
	s.relayed = relayAddresses(list, s.cmd.Advertise)
	s.listeners, err = openListeners("--listen", s.cmd.Listen, port.Config{TLS: s.tls, Limits: port.Limits{
		Connections: turnConnections, PerSource: turnConnections, TURN: turnConnections, TURNPerSource: turnConnectionsPerSource,
	}})
	if err != nil {
		return err
	}
	s.onStop(s.listeners.close)
	var credentials turn.Credentials // a nil *auth.TURN would be one
	if keys != nil {
		credentials = keys
	}
	cfg := s.cmd.config(s.cmd.Realm, credentials, s.log)
	cfg.UDP, cfg.Own, cfg.Certificate = s.listeners.udp, s.cmd.Advertise, s.tls
	cfg.Relays = s.relayed
	if cfg.DTLS, err = addresses("--dtls", s.cmd.DTLS); err != nil {
		return &usageError{err}
	}
	if err := addAlternates(&cfg, "--alt-address", s.cmd.AltAddress, s.cmd.Advertise, list); err != nil {
		return &usageError{err}
	}
	s.alternates = cfg.Turn.Alternates
	if s.relay, err = relay.Open(cfg); err != nil {
		return fmt.Errorf("%w; %s", err, portHint("--listen", err))
	}
	s.onStop(func() { _ = s.relay.Close() })
	s.dtls = s.relay.DTLS()
	s.listeners.start(s.relay)
	return nil
}

// buildMetrics shows /metrics on a port of its own.
func (s *standalone) buildMetrics() error {
	if s.cmd.Metrics == "" {
		return nil
	}
	l, err := net.Listen("tcp", s.cmd.Metrics)
	if err != nil {
		return fmt.Errorf("listen on TCP %s: %w; %s", s.cmd.Metrics, err, portHint("--metrics", err))
	}
	metrics := obs.NewMetrics(Version())
	metrics.Collect(func(samples *obs.Samples) { reportRelay(samples, s.relay) })
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics.Handler())
	probes(mux, func() bool { return true })
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ReadTimeout: bodyTimeout, WriteTimeout: bodyTimeout, ErrorLog: obs.StandardLog(s.log, slog.LevelDebug, "http"),
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l) // until stop
	}()
	s.metrics = l.Addr().(*net.TCPAddr).AddrPort()
	s.onStop(func() {
		_ = server.Close()
		<-served
	})
	return nil
}
