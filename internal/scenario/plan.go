// Package scenario runs plans: a whole node without sockets, and clients that call each other through it, on a simulated
// network and in virtual time (testing/synctest, internal/sim). Only tests import it.
//
//	Run(t, Conditions{…}, func(p *Plan) {       network, port, shards, bus, rooms, sessions: what host builds, without the web
//		ann := p.Join("ann", Options{…})    a session and a pion PeerConnection
//		ann.Publish(wire.SourceCamera)
//		p.Pass(20 * time.Second)
//		p.CheckMedia()                      every number at every subscriber, every hole with its cause
//	})                                          the bubble ends only when every goroutine has
//
// It owns what was seen: each datagram on the links (watch.go), each packet at the subscribers (reception.go), each client's
// copy of the room (replica.go). Payloads name their source and its count, so that a check knows what a number ought to be.
package scenario

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/big"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/port"
	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/internal/signal/whip"
	"github.com/parley-rtc/parley/internal/sim"
)

// Conditions under which a plan runs.
type Conditions struct {
	// Seed of the losses.
	Seed uint64
	// Link between each client and the server, in each direction.
	Link sim.Link
	// Shards of the node; 0: one. SpreadFrom is rooms.Config's.
	Shards, SpreadFrom int
}

// Plan is a node with its clients. Its methods are called by the plan's goroutine only.
type Plan struct {
	// static after construction
	*testing.T
	network     *sim.Network
	port        *port.Port
	shards      media.Shards
	bus         *local.Bus
	rooms       *rooms.Service
	signal      *signal.Service
	whip        *whip.Carrier
	fingerprint sdp.Fingerprint
	watch       *watch
	delay       time.Duration // of the links

	// owned by the plan
	clients   []*Client // also those that have left
	addresses int       // made by address

	// guarded by mu
	mu      sync.Mutex
	sources []*Source // by number
}

var server = netip.MustParseAddrPort("10.0.0.1:8443")

// Run builds a node, lets plan use it, and ends everything. It fails where a goroutine of anyone is left.
func Run(t *testing.T, c Conditions, plan func(*Plan)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := start(t, c)
		defer p.end()
		plan(p)
	})
}

func start(t *testing.T, c Conditions) *Plan {
	p := &Plan{T: t, watch: newWatch(), delay: c.Link.Delay}
	p.network = sim.New(sim.Config{Seed: c.Seed, Link: c.Link, Watch: p.watch.see, Missed: p.watch.miss})
	conn, err := p.network.Listen(server)
	if err != nil {
		t.Fatal(err)
	}
	p.port = port.New(port.Config{}, conn, nil)
	cert, fingerprint := certificate(t)
	p.fingerprint = fingerprint
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	p.shards = media.NewShards(max(c.Shards, 1), media.Config{
		Sender: p.port, Pairs: p.port.Pairs(), Recycle: p.port.Recycle, Certificate: cert, Log: log,
	})
	var owners []port.Owner
	var shards []rooms.Media
	for _, s := range p.shards {
		owners, shards = append(owners, s), append(shards, s)
	}
	p.port.Start(owners...)
	p.bus = local.New()
	p.rooms, err = rooms.New(rooms.Config{
		Bus: p.bus, Shards: shards, SpreadFrom: c.SpreadFrom, Fingerprint: fingerprint, Random: rand.Reader, Log: log,
		Candidates: candidates,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.signal = signal.New(signal.Config{Bus: p.bus, Log: log})
	p.whip = whip.New(p.signal, signal.Origins{}, candidates)
	return p
}

// candidates are those of the server.
func candidates() []sdp.Candidate {
	return []sdp.Candidate{{Foundation: "1", Priority: 1, Address: server.Addr().String(), Port: server.Port()}}
}

// end closes clients and node in the order in which a process would.
func (p *Plan) end() {
	for _, c := range p.clients {
		c.close()
	}
	p.signal.Close()
	p.rooms.Close()
	_ = p.bus.Close()
	p.shards.Close()
	_ = p.port.Close()
	p.network.Close()
}

// Pass lets time pass.
func (p *Plan) Pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// CountsByShard returns the counts of each shard.
func (p *Plan) CountsByShard() (all []media.Counts) {
	p.Helper()
	for _, s := range p.shards {
		c, err := s.Counts(context.Background())
		if err != nil {
			p.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// Counts returns the counts of all shards, with what the port has dropped.
func (p *Plan) Counts() media.Counts {
	p.Helper()
	c, err := p.shards.Counts(context.Background())
	if err != nil {
		p.Fatal(err)
	}
	s := p.port.Stats()
	c.Drops.Merge(&s.Drops)
	return c
}

// SetLink changes the links of one client, in both directions.
func (p *Plan) SetLink(c *Client, l sim.Link) { p.network.SetLinks(c.addr, server.Addr(), l) }

// SetDownlink changes the link from the server to one client.
func (p *Plan) SetDownlink(c *Client, l sim.Link) { p.network.SetLink(server.Addr(), c.addr, l) }

func certificate(t *testing.T) (tls.Certificate, sdp.Fingerprint) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		sdp.Fingerprint{Algorithm: "sha-256", Value: strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")}
}
