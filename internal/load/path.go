package load

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/wire"
)

// Path is how the media of clients reach the server.
type Path string

// Paths. The zero one is UDP, and what was selected is not looked at.
const (
	PathUDP     Path = "UDP"
	PathTCP     Path = "ICE-TCP"
	PathTURNUDP Path = "TURN/UDP"
	PathTURNTCP Path = "TURN/TCP"
	PathTURNTLS Path = "TURN/TLS"
	PathWHIP    Path = "WHIP" // publishers call by WHIP, with media by UDP
)

// CauseNoTURN is the cause of a fault where the server does not offer what a Path needs.
const CauseNoTURN = "no TURN"

var errNoTURN = errors.New("the server offers no TURN server of its own")

// relayCause tells what is missing from what has failed.
func relayCause(err error) string {
	if errors.Is(err, errNoTURN) {
		return CauseNoTURN
	}
	return "media"
}

// TURN reports whether it leads through a TURN server.
func (p Path) TURN() bool { return strings.HasPrefix(string(p), "TURN/") }

// patience is how long joining may take.
func (p *Plan) patience() time.Duration {
	if p.Path != "" {
		return pathTimeout
	}
	return joinTimeout
}

// settle sets up how a PeerConnection reaches the server.
func (c *client) settle(ctx context.Context, s *webrtc.SettingEngine) (webrtc.Configuration, error) {
	config := webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle}
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	s.DisableActiveTCP(true)
	switch path := c.plan.Path; {
	case path == PathTCP:
		s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6})
		s.DisableActiveTCP(false)
	case path.TURN():
		server, err := c.relay(ctx)
		if err != nil {
			return config, err
		}
		s.SetRelayAcceptanceMinWait(0)
		if path != PathTURNUDP {
			s.SetICEProxyDialer(turnDialer{c.target, path == PathTURNTLS, c.plan.Insecure})
		}
		config.ICEServers, config.ICETransportPolicy = []webrtc.ICEServer{server}, webrtc.ICETransportPolicyRelay
	}
	// Otherwise no ICE servers: those that the server names are perhaps not its own.
	return config, nil
}

// relay asks the server for its own TURN server. It is looked for at the server's address: what the server tells others need not lead
// there from here.
func (c *client) relay(ctx context.Context) (webrtc.ICEServer, error) {
	var told struct {
		ICEServers []wire.ICEServer `json:"iceServers"`
	}
	if err := c.get(ctx, "/v1/ice-servers?for=participant", &told); err != nil {
		return webrtc.ICEServer{}, err
	}
	for _, s := range slices.Backward(told.ICEServers) { // its own is behind those of others
		for _, url := range s.URLs {
			rest, isTURN := strings.CutPrefix(url, "turn:")
			at, udp := strings.CutSuffix(rest, "?transport=udp")
			if !isTURN || udp != (c.plan.Path == PathTURNUDP) {
				continue
			}
			_, port, err := net.SplitHostPort(strings.TrimSuffix(at, "?transport=tcp"))
			if err != nil {
				continue
			}
			transport := map[bool]string{true: "udp", false: "tcp"}[udp]
			url = fmt.Sprintf("turn:%s?transport=%s", net.JoinHostPort(c.target.addresses[0].String(), port), transport)
			return webrtc.ICEServer{URLs: []string{url}, Username: s.Username, Credential: s.Credential}, nil
		}
	}
	return webrtc.ICEServer{}, errNoTURN
}

// get asks the server for something.
func (c *client) get(ctx context.Context, path string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.target.url.String()+path, nil)
	if err != nil {
		return err
	}
	if err := c.authorize(r); err != nil {
		return err
	}
	answer, err := c.target.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
		return json.NewDecoder(io.LimitReader(answer.Body, maxMessage)).Decode(into)
	case http.StatusNotFound:
		return errNoTURN // a server from before there was one
	}
	return fmt.Errorf("GET %s: %s", path, answer.Status)
}

// authorize adds the client's token to a request, where it has one.
func (c *client) authorize(r *http.Request) error {
	if c.token == nil {
		return nil
	}
	token, err := c.token(c.room, c.identity)
	if err == nil {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return err
}

// turnDialer opens the connections to a TURN server by TCP or TLS. It implements proxy.Dialer of pion's choice; pion by itself checks
// certificates, which a private authority's does not pass.
type turnDialer struct {
	target   *target
	tls      bool
	insecure bool
}

// Dial implements proxy.Dialer.
func (d turnDialer) Dial(network, address string) (net.Conn, error) {
	ctx, done := context.WithTimeout(context.Background(), replyTimeout)
	defer done()
	conn, err := d.target.connect(ctx, network, address)
	if err != nil || !d.tls {
		return conn, err
	}
	secured := tls.Client(conn, &tls.Config{ServerName: d.target.url.Hostname(), InsecureSkipVerify: d.insecure})
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secured, nil
}

// selected is the pair over which a client's media go.
func (c *client) selected() (pair *webrtc.ICECandidatePair, rtt time.Duration) {
	if c.pc == nil {
		return nil, 0
	}
	ice := c.pc.SCTP().Transport().ICETransport() // all of it is bundled
	pair, err := ice.GetSelectedCandidatePair()
	if err != nil || pair == nil {
		return nil, 0
	}
	stats, _ := ice.GetSelectedCandidatePairStats()
	return pair, time.Duration(stats.CurrentRoundTripTime * float64(time.Second))
}

// measurePing notes the quickest of a few requests by WebSocket: others have waited for the processor.
func (c *client) measurePing(ctx context.Context) {
	if c.session == nil {
		return
	}
	for range pingTries {
		began := time.Now()
		if err := c.session.request(ctx, wire.TypePing, wire.Ping{}, nil); err != nil {
			return // which is a fault of its own where it matters
		}
		took := time.Since(began)
		c.mu.Lock()
		if c.ping == 0 || took < c.ping {
			c.ping = took
		}
		c.mu.Unlock()
	}
}

// astray says where media go another way than they should.
func (p Path) astray(pair *webrtc.ICECandidatePair) error {
	relayed, tcp := pair.Local.Typ == webrtc.ICECandidateTypeRelay, pair.Local.Protocol == webrtc.ICEProtocolTCP
	if p == "" || relayed == p.TURN() && tcp == (p == PathTCP) {
		return nil
	}
	return fmt.Errorf("media go by %v to %v, and not by %s", pair.Local, pair.Remote, p)
}
