package host

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
	"github.com/pion/turn/v5"
	"github.com/pion/webrtc/v4"
	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/port"
)

// startTurn runs `parley turn` on a free port of the loopback interface.
func startTurn(t *testing.T, args ...string) *standalone {
	t.Helper()
	var cli program
	p := process{env: func(string) (string, bool) { return "", false }}
	_, _, _, err := p.parse(&cli, append([]string{"turn", "--listen", "127.0.0.1:0"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := cli.Turn.complete()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStandalone(&cli.Turn, keys, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// turnClient is a client of the server at an address, by UDP, TCP, TLS or DTLS, and its relayed address.
func turnClient(t *testing.T, at netip.AddrPort, how, username, password string) (relayed net.PacketConn, err error) {
	t.Helper()
	var conn net.PacketConn
	switch how {
	case "udp":
		conn, err = net.ListenPacket("udp4", "127.0.0.1:0")
	case "tcp":
		var c net.Conn
		c, err = net.Dial("tcp", at.String())
		conn = turn.NewSTUNConn(c)
	case "tls":
		var c net.Conn
		c, err = tls.Dial("tcp", at.String(), &tls.Config{InsecureSkipVerify: true})
		conn = turn.NewSTUNConn(c)
	case "dtls":
		below, listenErr := net.ListenPacket("udp4", "127.0.0.1:0")
		if listenErr != nil {
			t.Fatal(listenErr)
		}
		t.Cleanup(func() { _ = below.Close() })
		var c net.Conn
		c, err = dtls.ClientWithOptions(below, net.UDPAddrFromAddrPort(at), dtls.WithInsecureSkipVerify(true))
		conn = datagrams{c}
	}
	if err != nil {
		t.Fatal(err)
	}
	c, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: at.String(), TURNServerAddr: at.String(), Conn: conn, Username: username, Password: password, Realm: "parley",
		LoggerFactory: logging.NewDefaultLoggerFactory(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		_ = conn.Close()
	})
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	relayed, err = c.Allocate()
	if err == nil {
		t.Cleanup(func() { _ = relayed.Close() })
	}
	return relayed, err
}

// datagrams is a DTLS connection as pion's client wants it.
type datagrams struct{ net.Conn }

func (d datagrams) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := d.Read(b)
	return n, d.RemoteAddr(), err
}

func (d datagrams) WriteTo(b []byte, _ net.Addr) (int, error) { return d.Write(b) }

// `parley turn` answers on one port by UDP, TCP and TLS, and on another by DTLS, to users with passwords and to holders of time-limited credentials, and to nobody else; clients
// reach each other whichever way they have come; its metrics tell of it; and nothing of it is left when it stops.
func TestTurnAlone(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) }) // after those of the clients
	files := &Config{Cert: filepath.Join(t.TempDir(), "c.pem"), Key: filepath.Join(t.TempDir(), "k.pem")}
	writeOwnCertificate(t, files, &x509.Certificate{SerialNumber: serial(), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"turn.example.org"}})
	s := startTurn(t, "--user", "ann:hunter2", "--secret", "north", "--cert", files.Cert, "--key", files.Key, "--metrics", "127.0.0.1:0",
		"--dtls", "127.0.0.1:0")
	t.Cleanup(s.stop)
	at := s.listeners.udp[0]
	clients := map[string]net.PacketConn{}
	for how, who := range map[string][2]string{
		"udp": {"ann", "hunter2"}, "tcp": {"ann", "hunter2"}, "tls": turnCredentials("north"), "dtls": {"ann", "hunter2"},
	} {
		where := at
		if how == "dtls" {
			where = s.dtls[0]
		}
		c, err := turnClient(t, where, how, who[0], who[1])
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		clients[how] = c
	}
	for from, to := range map[string]string{"udp": "tcp", "tcp": "tls", "tls": "dtls", "dtls": "udp"} {
		exchange(t, clients[from], clients[to])
	}
	for _, who := range [][2]string{{"ann", "hunter3"}, {"bob", "hunter2"}, turnCredentials("south")} {
		if _, err := turnClient(t, at, "udp", who[0], who[1]); err == nil {
			t.Errorf("%s may relay", who[0])
		}
	}
	res, err := http.Get(fmt.Sprintf("http://%s/metrics", s.metrics))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	for _, want := range []string{
		"parley_turn_allocations 4", "parley_turn_allocations_total 4", `parley_turn_relayed_bytes_total{direction="to_peer"} 104`,
		`parley_turn_refusals_total{code="401"}`, `parley_dropped_datagrams_total{owner="relay",reason="turn_no_permission"}`,
	} {
		if err != nil || !bytes.Contains(body, []byte("\n"+want)) {
			t.Errorf("%v, metrics without %s:\n%s", err, want, body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// turnCredentials are time-limited ones, made with a secret as others make them.
func turnCredentials(secret string) [2]string {
	username := fmt.Sprint(time.Now().Add(time.Hour).Unix(), ":ann")
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(username))
	return [2]string{username, base64.StdEncoding.EncodeToString(mac.Sum(nil))}
}

// exchange sends both ways between two relayed addresses. The first datagrams may come before the other side has permitted them.
func exchange(t *testing.T, a, b net.PacketConn) {
	t.Helper()
	buf := make([]byte, 100)
	for _, way := range [][2]net.PacketConn{{a, b}, {b, a}} {
		from, to := way[0], way[1]
		if _, err := to.WriteTo([]byte("may come"), from.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		if _, err := from.WriteTo([]byte("hello"), to.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		_ = to.SetReadDeadline(time.Now().Add(10 * time.Second))
		for {
			n, where, err := to.ReadFrom(buf)
			if err != nil {
				t.Fatalf("%v to %v: %v", from.LocalAddr(), to.LocalAddr(), err)
			}
			if string(buf[:n]) == "hello" && where.String() == from.LocalAddr().String() {
				break
			}
		}
	}
}

// Whom UDP does not reach takes part by TURN over TCP: his media go from there through memory, and not one datagram of them is on a network.
func TestMediaByRelay(t *testing.T) {
	n := startNode(t)
	defer n.stop()
	at := n.port.Local()
	username, password := n.turn.credentials(time.Now(), time.Time{}, "tea", "ann")
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{
		ICETransportPolicy: webrtc.ICETransportPolicyRelay,
		ICEServers:         []webrtc.ICEServer{{URLs: []string{fmt.Sprintf("turn:%s?transport=tcp", at)}, Username: username, Credential: password}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "a", "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pc.AddTrack(track); err != nil {
		t.Fatal(err)
	}
	connected := make(chan struct{})
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			close(connected)
		}
	})
	publishByWHIP(t, pc, fmt.Sprintf("http://%s/whip/tea", at))
	select {
	case <-connected:
	case <-time.After(20 * time.Second):
		t.Fatalf("not connected; dropped by the port %v, by the relay %v", n.port.Stats().Drops, n.turn.relay.Stats().Drops)
	}
	if u, r := n.port.Stats().UDP, n.turn.relay.Stats(); u.Received+u.Sent+r.Received+r.Sent != 0 {
		t.Errorf("by the network: port %d in, %d out; relay %d in, %d out", u.Received, u.Sent, r.Received, r.Sent)
	}
}

// publishByWHIP publishes what a PeerConnection has.
func publishByWHIP(t *testing.T, pc *webrtc.PeerConnection, url string) {
	t.Helper()
	gathered := webrtc.GatheringCompletePromise(pc)
	offer, err := pc.CreateOffer(nil)
	if err == nil {
		err = pc.SetLocalDescription(offer)
	}
	if err != nil {
		t.Fatal(err)
	}
	<-gathered
	res, err := http.Post(url, "application/sdp", strings.NewReader(pc.LocalDescription().SDP))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(res.Body)
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("%s: %s, %v", res.Status, answer, err)
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}); err != nil {
		t.Fatal(err)
	}
}

// Where UDP 3478 is somebody else's, that is a warning with what to do about it, and STUN and TURN are on the one port; a port that was asked for must be
// had.
func TestUsualPortIsTaken(t *testing.T) {
	var log bytes.Buffer
	start := func(args ...string) (*node, error) {
		var cli program
		p := process{env: func(string) (string, bool) { return "", false }}
		free, err := port.Open(port.Config{Listen: "127.0.0.1:0"}) // by UDP and TCP
		if err != nil {
			t.Fatal(err)
		}
		at := free.Local().String()
		_ = free.Close()
		args = append([]string{"serve", "--data", t.TempDir(), "--listen", at}, args...)
		if _, _, _, err := p.parse(&cli, args); err != nil {
			t.Fatal(err)
		}
		if err := cli.Serve.complete(p.env); err != nil {
			t.Fatal(err)
		}
		return newNode(&cli.Serve.Config, slog.New(slog.NewTextHandler(&log, nil)))
	}
	first, err := start() // it has 3478, or has it from nobody
	if err != nil {
		t.Fatal(err)
	}
	defer first.stop()
	log.Reset()
	second, err := start()
	if err != nil {
		t.Fatal(err)
	}
	defer second.stop()
	if !strings.Contains(log.String(), "UDP 3478 cannot be had") || !strings.Contains(log.String(), "--turn-listen") || second.turn.udp() != 0 {
		t.Errorf("UDP %d; %s", second.turn.udp(), log.String())
	}
	username, password := second.turn.credentials(time.Now(), time.Time{}, "tea", "ann")
	if _, err := turnClient(t, second.port.Local(), "udp", username, password); err != nil {
		t.Errorf("by the one port: %v", err)
	}
	if n, err := start("--turn-listen", first.port.Local().String()); err == nil {
		n.stop()
		t.Error("a port that is taken was asked for, and no error")
	} else if !strings.Contains(err.Error(), "--turn-listen chooses another port") {
		t.Error(err)
	}
}

// The start text tells at which ports STUN and TURN are.
func TestTextOfTURN(t *testing.T) {
	n := startNode(t, "--turn-listen", "127.0.0.1:0", "--turn-dtls", "127.0.0.1:0")
	defer n.stop()
	var out strings.Builder
	n.summary(false).write(&out)
	want := fmt.Sprintf("relay UDP and TCP %d, UDP and TCP %d, DTLS %d STUN and TURN", n.port.Local().Port(), n.turn.udp(), n.turn.relay.DTLS()[0].Port())
	if text := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(text, want) {
		t.Errorf("no %q in\n%s", want, out.String())
	}
}

// WHIP's answers tell of the server's own TURN with credentials (RFC 9725 §4.6), by TCP alone.
func TestLinkOfTURN(t *testing.T) {
	n := startNode(t, "--advertise", "203.0.113.7")
	defer n.stop()
	links := linksOf(t, n)
	http.DefaultClient.CloseIdleConnections()
	want := fmt.Sprintf(`<turn:203.0.113.7:%d?transport=tcp>; rel="ice-server"; username="`, n.port.Local().Port())
	if len(links) != 1 || !strings.HasPrefix(links[0], want) || !strings.HasSuffix(links[0], `credential-type="password"`) {
		t.Errorf("%q", links)
	}
}
