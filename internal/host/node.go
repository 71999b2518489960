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
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/parley-rtc/parley/internal/api"
	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/bus/nats"
	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/journal"
	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/obs"
	"github.com/parley-rtc/parley/internal/permit"
	"github.com/parley-rtc/parley/internal/port"
	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/internal/signal/whip"
	"github.com/parley-rtc/parley/internal/signal/ws"
	"github.com/parley-rtc/parley/internal/webui"
	"github.com/parley-rtc/parley/wire"
)

// node is a server: everything that one configuration builds.
//
//	certificates, keys → port → relay → shards → bus → rooms → signal → web server → watch
type node struct {
	// static after construction
	cfg         *Config
	log         *slog.Logger
	certs       *certificates
	tls         func() *tls.Config
	port        *port.Port
	shards      media.Shards
	turn        *turnServer // nil: there is none
	rooms       *rooms.Service
	store       *nats.Node       // nil: nothing is stored
	journal     *journal.Service // nil: rooms have no logs
	scopes      *scopes.Service  // nil: there is none
	durable     bool             // it stores what is durable
	records     bus.Log          // where that is
	people      bus.Log          // where rooms' logs are, but for what is about records
	changes     bus.Log          // where the rest of them is
	signal      *signal.Service
	metrics     *obs.Metrics
	fingerprint sdp.Fingerprint // of the DTLS certificate
	names       []string        // of this machine
	stops       []func()        // what stop does, last one first
	urgent      context.Context // ends when stop shall wait for nobody
	hurry       func()          // ends urgent

	// owned by the goroutine of startWatch
	keysRead, keysLast fileTime // when the keys were read, and at the last look
	rulesFile          watched  // of shared state

	// atomic
	draining   atomic.Bool
	keys       atomic.Pointer[keyring]
	rules      atomic.Pointer[permit.Set] // of shared state; nil: those that hold without a file
	offers     atomic.Pointer[[]offer]
	candidates atomic.Pointer[[]sdp.Candidate]
	media      atomic.Pointer[map[netip.AddrPort]struct{}] // of the candidates by UDP
}

// newNode builds and starts a server. When it fails, nothing of it is left running.
func newNode(cfg *Config, log *slog.Logger) (*node, error) {
	n := &node{cfg: cfg, log: log, metrics: obs.NewMetrics(Version())}
	n.urgent, n.hurry = context.WithCancel(context.Background())
	for _, build := range []func() error{n.buildData, n.buildPort, n.buildRelay, n.buildMedia, n.buildSessions, n.buildWeb} {
		if err := build(); err != nil {
			n.stop()
			return nil, err
		}
	}
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
	n.hurry() // nobody is left to wait for
}

// buildData reads or makes what is in the data folder, and chooses addresses.
func (n *node) buildData() error {
	n.keysRead = timeOf(n.cfg.keysPath()) // before they are read: what changes meanwhile is read again
	keys, err := loadKeys(&n.cfg.Shared)
	if err != nil {
		return err
	}
	if n.keysRead == (fileTime{}) { // they were made just now
		n.keysRead = timeOf(n.cfg.keysPath())
	}
	n.keys.Store(&keys)
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
	media := make(map[netip.AddrPort]struct{})
	for _, o := range offers {
		if o.offered {
			media[netip.AddrPortFrom(o.address, number)] = struct{}{}
		}
	}
	n.offers.Store(&offers)
	n.candidates.Store(&found)
	n.media.Store(&media)
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
	if n.cfg.TURN {
		base.NextProtos = append(base.NextProtos, turnProtocols...)
	}
	n.tls = func() *tls.Config { return base }
	p, err := port.Open(port.Config{
		Listen:       n.cfg.Listen,
		TLS:          n.tls,
		StreamClosed: func(pair datagram.Pair) { n.shards.StreamClosed(pair) },
		Exempt:       n.cfg.Behind,
	})
	if err != nil {
		return fmt.Errorf("%w; %s", err, portHint("--listen", err))
	}
	n.port = p
	n.onStop(func() { _ = p.Close() })
	return n.chooseAddresses(p.Local().Port()) // the number is known now, also where 0 was asked for
}

// turnProtocols are what clients may ask for by ALPN that speak STUN and TURN (RFC 7443).
var turnProtocols = []string{"stun.turn", "stun.nat-discovery"}

// portHint is what to do where the port of a flag could not be opened.
func portHint(flag string, err error) string {
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "the address of " + flag + " must be one of this machine"
	case errors.Is(err, os.ErrPermission):
		return "ports below 1024 take a permission: on Linux, sudo setcap cap_net_bind_service=+ep on this program, or " +
			"AmbientCapabilities=CAP_NET_BIND_SERVICE in its systemd unit; or choose a higher port with " + flag
	}
	return "is another server running? " + flag + " chooses another port"
}

func (n *node) buildMedia() error {
	cert, err := dtlsCertificate(time.Now())
	if err != nil {
		return fmt.Errorf("make DTLS certificate: %w", err)
	}
	n.shards = media.NewShards(n.cfg.shards(), media.Config{
		Sender: n.port, Pairs: n.port.Pairs(), Recycle: n.port.Recycle, Certificate: cert, Log: n.log,
	})
	n.onStop(n.shards.Close)
	owners := make([]port.Owner, len(n.shards))
	for i, s := range n.shards {
		owners[i] = s
	}
	n.port.Start(owners...)
	n.fingerprint = sdp.Fingerprint{Algorithm: "sha-256", Value: fingerprint(cert.Certificate[0])}
	return nil
}

func (n *node) buildSessions() error {
	b := local.New()
	n.onStop(func() { _ = b.Close() })
	shards := make([]rooms.Media, len(n.shards))
	for i, s := range n.shards {
		shards[i] = s
	}
	n.openStore()
	if err := n.buildJournal(b); err != nil {
		return err
	}
	if err := n.buildState(b); err != nil {
		return err
	}
	var err error
	n.rooms, err = rooms.New(rooms.Config{
		Bus:         b,
		Shards:      shards,
		Candidates:  n.currentCandidates,
		Fingerprint: n.fingerprint,
		Linger:      n.cfg.Linger,
		Random:      rand.Reader,
		Presence:    n.presence(),
		Journal:     n.logs(),
		State:       n.sharedState(),
		Log:         n.log,
	})
	if err != nil {
		return err
	}
	n.onStop(n.rooms.Close)
	sessions := signal.Config{
		Bus: b, State: n.cfg.State, AcceptTime: n.cfg.RPCAccept, AnswerTime: n.cfg.RPCAnswer, Log: n.log, SourceOf: sourceOf, ICEServers: n.iceServersFor,
	}
	if _, kept := n.givenICEServers(); len(kept) > 0 {
		n.log.Warn("--ice-server: not given to clients, because Chromium would ignore media from this server's own address", "servers", kept)
	}
	if n.cfg.Auth == "token" {
		sessions.Keys = func() auth.Keys { return n.keys.Load().keys }
	}
	n.signal = signal.New(sessions)
	n.onStop(n.signal.Close)
	return nil
}

// logs is who keeps the logs of rooms; nil, without a type, where nobody does.
func (n *node) logs() rooms.Journal {
	if n.journal == nil {
		return nil
	}
	return n.journal
}

// sharedState is who keeps shared state; nil, without a type, where nobody does.
func (n *node) sharedState() rooms.Keeper {
	if n.scopes == nil {
		return nil
	}
	return n.scopes
}

// presence is who hears who is in which room: where participants are known, what they may relay depends on it.
func (n *node) presence() rooms.Presence {
	if n.turn == nil || n.turn.open {
		return nil
	}
	return n.turn
}

func (n *node) currentCandidates() []sdp.Candidate { return *n.candidates.Load() }

// newServer is a web server that gives slow clients no more time than it has to; front limits the rest.
func newServer(f *front, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           f,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
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
	n.metrics.Collect(n.report) // before anybody can ask
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(n.port.HTTP()); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			n.log.Error("the web server has ended", "err", err)
		}
	}()
	n.onStop(func() {
		ctx, cancel := context.WithTimeout(n.urgent, stopTimeout)
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
	n.leaveAddress()
	n.startWatch()
	return nil
}

// startACME begins to get public certificates, with port 80 where nobody else has it.
func (n *node) startACME() error {
	http80, err := net.Listen("tcp", ":80")
	if err != nil {
		n.log.Info("port 80 cannot be used: certificates are checked over the one port alone, and browsers are not sent to https", "err", err)
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
	origins = origins.Telling(func(origin string, refused *wire.Error) {
		n.log.Warn("a page was refused: "+refused.Message, "origin", origin, "toAllow", "--origins "+origin)
	})
	mux := http.NewServeMux()
	probes(mux, func() bool { return !n.draining.Load() })
	mux.Handle("GET /metrics", metricsGate(n.cfg.MetricsKey.Reveal(), n.metrics.Handler()))
	mux.Handle("/v1/session", ws.New(n.signal, origins))
	mux.HandleFunc("GET /v1/server", n.serverHandler)
	mux.Handle("/v1/ice-servers", newICEHandler(n, origins))
	asked := newSourceLimit(wire.MaxStateBurst, time.Second/wire.StateRequestsPerSecond)
	mux.Handle(api.StatePath, api.NewState(n.signal, origins, &asked))
	mux.Handle(api.GrantsPath, api.NewGrants(n.signal, origins, &asked))
	mux.Handle(api.StoredPath, api.NewArchive(n.buildArchive(), n.isOperator, func(err error) { n.log.Error("`parley state` was not answered", "err", err) }))
	mux.Handle(api.DocumentPath, api.ServeDocument())
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

// startWatch looks now and then whether addresses or certificate files have changed, and more often whether the keys or the rules have.
func (n *node) startWatch() {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(watchInterval)
		defer tick.Stop()
		look := time.NewTimer(keysInterval)
		defer look.Stop()
		for {
			select {
			case <-tick.C:
				n.watch(time.Now())
			case <-look.C:
				wait := keysInterval
				if keys, rules := n.watchKeys(), n.watchRules(&n.rulesFile); keys || rules {
					wait = settleTime
				}
				look.Reset(wait)
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

// watchKeys reads the keys again where their file has changed, and was not changed any more since the last look: half a file has
// half of the keys. Whoever came with a key that is gone now is sent away. What goes wrong is logged, and the keys of before stay. It reports whether
// they may be changing now.
func (n *node) watchKeys() (changing bool) {
	path := n.cfg.keysPath()
	if path == "" {
		return false
	}
	now, before := timeOf(path), n.keysLast
	n.keysLast = now
	if now == n.keysRead || now != before {
		return now != n.keysRead
	}
	n.keysRead = now
	keys, err := readKeys(path)
	if err != nil {
		n.log.Error("keys: those of before stay in use", "err", err)
		return false
	}
	n.keys.Store(&keys)
	if n.turn != nil {
		if err := n.turn.use(&keys); err != nil {
			n.log.Error("TURN: the keys of before stay in use", "err", err)
		}
	}
	n.log.Info("the keys have changed and were read again", "file", path, "keys", len(keys.keys))
	n.signal.Recheck()
	return false
}

// end ends a server that was told to: it drains, then stops. Told again, it cuts both short and is over within exitTimeout; the
// error says that it could not be.
func (n *node) end(limit time.Duration, signals <-chan os.Signal) error {
	again := n.drain(limit, signals)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		n.stop()
	}()
	if !again {
		select {
		case <-stopped:
			return nil
		case <-signals:
		}
	}
	n.hurry()
	over := time.NewTimer(exitTimeout)
	defer over.Stop()
	select {
	case <-stopped:
		return nil
	case <-over.C:
		return fmt.Errorf("told twice to end, and something is not over after %v: it is cut off", exitTimeout)
	}
}

// drain takes nobody new, tells those who are there, and waits until everyone has left, or the time is over, or a signal comes, which it
// reports.
func (n *node) drain(limit time.Duration, signals <-chan os.Signal) (again bool) {
	n.draining.Store(true)
	n.rooms.Drain()
	n.signal.Drain(limit)
	over := time.NewTimer(limit)
	defer over.Stop()
	tick := time.NewTicker(drainInterval)
	defer tick.Stop()
	for {
		if s := n.signal.Stats(); s.Sessions+s.Calls == 0 {
			return false
		}
		select {
		case <-tick.C:
		case <-over.C:
			n.log.Warn("the time to drain is over: whoever is left is cut off")
			return false
		case <-signals:
			return true
		}
	}
}
