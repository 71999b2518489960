package relay_test

import (
	"context"
	"crypto/tls"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
)

// restSecret is one with which others make time-limited credentials.
const restSecret = "a-secret-that-both-know"

// coturn's client loses nothing, whichever way it comes, with IPv4 and IPv6, to a peer that echoes and from client to client, by a password and by time-limited
// credentials.
func TestCoturnClient(t *testing.T) {
	tool, err := exec.LookPath("turnutils_uclient")
	if err != nil {
		t.Skip("coturn's tools are not installed")
	}
	cert := certificate(t)
	all := []netip.AddrPort{loopback, netip.MustParseAddrPort("[::1]:0")}
	cfg := config(t)
	secret, err := auth.NewTURNSecret(restSecret)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Turn.Credentials, err = auth.NewTURN(realm, map[string]string{user: password}, []auth.Secret{secret}); err != nil {
		t.Fatal(err)
	}
	cfg.UDP, cfg.DTLS = all, all
	cfg.Certificate = func() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{cert}} }
	r := open(t, cfg)
	servers := map[string]map[string]netip.AddrPort{}
	for i, at := range all {
		tcp := listenTCP(t, r, at.String()).Local()
		servers[at.Addr().String()] = map[string]netip.AddrPort{"": r.UDP()[i], "-t": tcp, "-t -S": tcp, "-T": tcp, "-S": r.DTLS()[i]}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var clients sync.WaitGroup
	for _, c := range []struct{ at, carrier, flags string }{
		{"127.0.0.1", "", "-e"},
		{"127.0.0.1", "", "-y"},
		{"127.0.0.1", "", "-y -X"},
		{"127.0.0.1", "", "-y -g"},
		{"127.0.0.1", "", "-y -s"},
		{"127.0.0.1", "", "-y -c -D"},
		{"127.0.0.1", "", "-y -W " + restSecret},
		{"127.0.0.1", "-t", "-y -W " + restSecret},
		{"::1", "-S", "-x -y -W " + restSecret},
		{"127.0.0.1", "-t", "-e"},
		{"127.0.0.1", "-t", "-y"},
		{"127.0.0.1", "-t -S", "-y"},
		{"127.0.0.1", "-S", "-e"},
		{"127.0.0.1", "-S", "-y"},
		{"127.0.0.1", "-T", ""},
		{"::1", "", "-x -y"},
		{"::1", "-t", "-x -y"},
		{"::1", "-S", "-x -y"},
	} {
		args := []string{"-u", user, "-n", "20", "-m", "2", "-p", strconv.Itoa(int(servers[c.at][c.carrier].Port()))}
		args = append(args, strings.Fields(c.carrier)...)
		if !strings.Contains(c.flags, "-W") { // with a secret the tool makes time-limited credentials, of a user of its own
			args = append(args, "-w", password)
		}
		if c.flags == "-e" { // one port for RTP, and no RTCP
			peer := netip.MustParseAddrPort(echo(t, c.at+":0").String())
			args = append(args, "-c", "-e", c.at, "-r", strconv.Itoa(int(peer.Port())))
		} else {
			args = append(args, strings.Fields(c.flags)...)
		}
		clients.Go(func() { // the tool takes six seconds, whatever it does
			out, err := exec.CommandContext(ctx, tool, append(args, c.at)...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "Total lost packets 0 ") {
				t.Errorf("%v: %v\n%s", args, err, out)
			}
		})
	}
	clients.Wait()
}
