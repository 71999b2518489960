package host

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/obs"
	"github.com/parley-rtc/parley/internal/port"
	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/internal/signal/whip"
	"github.com/parley-rtc/parley/internal/signal/ws"
	"github.com/parley-rtc/parley/internal/webui"
)

// node is a server: everything that one configuration builds.
//
//	certificates, keys → port → shard → bus → rooms → signal → web server → watch
type node struct {
	// static after construction
	cfg         *Config
	log         *slog.Logger
	keys        keyring
	certs       *certificates
	port        *port.Port
	shard       *media.Shard
	rooms       *rooms.Service
	signal      *signal.Service
	metrics     *obs.Metrics
	fingerprint sdp.Fingerprint // of the DTLS certificate
	names       []string        // of this machine
	stops       []func()        // what stop does, last one first

	// atomic
	draining   atomic.Bool
	offers     atomic.Pointer[[]offer]
	candidates atomic.Pointer[[]sdp.Candidate]
}

// newNode builds and starts a server. When it fails, nothing of it is left running.
func newNode(cfg *Config, log *slog.Logger) (*node, error) {
	n := &node{cfg: cfg, log: log, metrics: obs.NewMetrics(Version())}
	for _, build := range []func() error{n.buildData, n.buildPort, n.buildMedia, n.buildSessions, n.buildWeb} {
		if err := build(); err != nil {
			n.stop()
			return nil, err
		}
	}
	n.metrics.Collect(n.report)
	return n, nil
}

// onStop notes how to stop what was just built.
func (n *node) onStop(f func()) { n.stops = append(n.stops, f) }

// stop ends everything in the reverse of the order in which it was built.
func (n *node) stop() {
	for _, f := range slices.Backward(n.stops) {
		f()
	}
	n.stops = nil
}

// buildData reads or makes what is in the data folder, and chooses addresses.
func (n *node) buildData() error {
	var err error
	if n.keys, err = loadKeys(&n.cfg.Shared); err != nil {
		return err
	}
	_, number, err := splitListen(n.cfg.Listen)
	if err != nil {
		return err
	}
	if err := n.chooseAddresses(number); err != nil {
		return err
	}
	n.names = machineNames()
	n.certs, err = newCertificates(n.cfg, n.log, time.Now(), ownNames(*n.offers.Load()))
	return err
}

// chooseAddresses looks which addresses there are now.
func (n *node) chooseAddresses(number uint16) error {
	listen, _, err := splitListen(n.cfg.Listen)
	if err != nil {
		return err
	}
	list, err := interfaces()
	if err != nil {
		return err
	}
	offers := chooseAddresses(listen, list, n.cfg.Advertise)
	found := candidates(offers, number)
	n.offers.Store(&offers)
	n.candidates.Store(&found)
	return nil
}

// goesBy reports whether the server goes by a name: one of --domain, of --origins, of this machine, or of the certificate.
func (n *node) goesBy(name string) bool {
	same := func(own string) bool { return strings.EqualFold(own, name) }
	listed := func(origin string) bool {
		u, err := url.Parse(origin)
		return err == nil && same(u.Hostname())
	}
	if slices.ContainsFunc(n.cfg.Domain, same) || slices.ContainsFunc(n.names, same) || slices.ContainsFunc(n.cfg.Origins, listed) {
		return true
	}
	leaf := n.certs.leaf.Load()
	return leaf != nil && leaf.Leaf != nil && leaf.Leaf.VerifyHostname(name) == nil
}

func (n *node) buildPort() error {
	base := n.certs.config()
	p, err := port.Open(port.Config{
		Listen:       n.cfg.Listen,
		TLS:          func() *tls.Config { return base },
		StreamClosed: func(pair datagram.Pair) { n.shard.StreamClosed(pair) },
		Exempt:       n.cfg.Behind,
	})
	if err != nil {
		return fmt.Errorf("%w; is another server running? --listen chooses another port", err)
	}
	n.port = p
	n.onStop(func() { _ = p.Close() })
	return n.chooseAddresses(p.Local().Port()) // the number is known now, also where 0 was asked for
}

func (n *node) buildMedia() error {
	cert, err := dtlsCertificate(time.Now())
	if err != nil {
		return fmt.Errorf("make DTLS certificate: %w", err)
	}
	n.shard = media.NewShard(media.Config{Sender: n.port, Recycle: n.port.Recycle, Certificate: cert, Log: n.log})
	n.onStop(n.shard.Close)
	n.port.Start(n.shard)
	n.fingerprint = sdp.Fingerprint{Algorithm: "sha-256", Value: fingerprint(cert.Certificate[0])}
	return nil
}

func (n *node) buildSessions() error {
	b := local.New()
	n.onStop(func() { _ = b.Close() })
	var err error
	n.rooms, err = rooms.New(rooms.Config{
		Bus:         b,
		Shard:       func(media.RoomID) rooms.Media { return n.shard },
		Candidates:  n.currentCandidates,
		Fingerprint: n.fingerprint,
		Linger:      n.cfg.Linger,
		Random:      rand.Reader,
		Log:         n.log,
	})
	if err != nil {
		return err
	}
	n.onStop(n.rooms.Close)
	sessions := signal.Config{Bus: b, Log: n.log}
	if n.cfg.Auth == "token" {
		sessions.Keys = func() auth.Keys { return n.keys.keys }
	}
	n.signal = signal.New(sessions)
	n.onStop(n.signal.Close)
	return nil
}

func (n *node) currentCandidates() []sdp.Candidate { return *n.candidates.Load() }

// newServer is a web server that gives slow clients no more time than it has to; front limits the rest.
func newServer(f *front, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           f,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          obs.StandardLog(log, slog.LevelDebug, "http"),
	}
}

// buildWeb opens the routes and begins to serve; it comes last, so that nobody finds half a server.
func (n *node) buildWeb() error {
	handler, err := n.routes()
	if err != nil {
		return err
	}
	server := newServer(&front{
		next: handler, trusted: n.cfg.Behind, plainHTTP: n.cfg.PlainHTTP, secure: len(n.cfg.Domain) > 0 || n.cfg.Cert != "",
		named: n.goesBy,
	}, n.log)
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(n.port.HTTP()); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			n.log.Error("the web server has ended", "err", err)
		}
	}()
	n.onStop(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
		<-served
	})
	if n.certs.acm != nil {
		if err := n.startACME(); err != nil {
			return err
		}
	}
	n.startWatch()
	return nil
}

// startACME begins to get public certificates, with port 80 where nobody else has it.
func (n *node) startACME() error {
	http80, err := net.Listen("tcp", ":80")
	if err != nil {
		n.log.Info("port 80 is not free: certificates are checked over the one port alone", "err", err)
	}
	n.onStop(n.certs.acm.stop)
	if err := n.certs.acm.start(http80, n.port.Local().Port()); err != nil {
		return fmt.Errorf("--domain: %w", err)
	}
	return nil
}

// routes is every path that the server has.
func (n *node) routes() (http.Handler, error) {
	origins, err := signal.NewOrigins(n.cfg.Origins, hostOf)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	probes(mux, func() bool { return !n.draining.Load() })
	mux.Handle("GET /metrics", metricsGate(n.cfg.MetricsKey.Reveal(), n.metrics.Handler()))
	mux.Handle("/v1/session", ws.New(n.signal, origins))
	calls := whip.New(n.signal, origins, n.currentCandidates)
	for _, path := range whip.Paths {
		mux.Handle(path, calls)
	}
	if n.certs.ca != nil {
		if err := trustPages(mux, n.certs.ca.cert); err != nil {
			return nil, err
		}
	}
	site, err := webui.New()
	if err != nil {
		return nil, err
	}
	mux.Handle("/", site)
	return mux, nil
}

// startWatch looks now and then whether addresses or certificate files have changed.
func (n *node) startWatch() {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(watchInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				n.watch(time.Now())
			case <-stop:
				return
			}
		}
	}()
	n.onStop(func() {
		close(stop)
		<-done
	})
}

func (n *node) watch(now time.Time) {
	before := n.currentCandidates()
	if err := n.chooseAddresses(n.port.Local().Port()); err != nil {
		n.log.Warn("addresses: those of before stay", "err", err)
	}
	if after := n.currentCandidates(); !slices.Equal(before, after) {
		n.log.Info("addresses have changed: new sessions are offered the new ones", "candidates", len(after))
	}
	n.certs.refresh(now, ownNames(*n.offers.Load()))
}

// drain takes nobody new and waits until everyone has left, or the time is over, or again is told.
func (n *node) drain(limit time.Duration, again <-chan struct{}) {
	n.draining.Store(true)
	n.rooms.Drain()
	over := time.NewTimer(limit)
	defer over.Stop()
	tick := time.NewTicker(drainInterval)
	defer tick.Stop()
	for {
		if s := n.signal.Stats(); s.Sessions+s.Calls == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-over.C:
			n.log.Warn("the time to drain is over: whoever is left is cut off")
			return
		case <-again:
			return
		}
	}
}
