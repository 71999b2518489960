package host

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// pebbleVersion is the ACME server that the tests run: Let's Encrypt's own, for testing.
const pebbleVersion = "v2.10.1"

// With --domain, a certificate is asked for and served, checked over the one port by TLS-ALPN or over port 80 by HTTP; port 80
// sends everything else to https.
func TestACME(t *testing.T) {
	loop := netip.MustParseAddr("127.0.0.1")
	one, eighty := listenLocal(t), listenLocal(t)
	directory, roots := startPebble(t, portOf(one), portOf(eighty), startDNS(t))
	for _, c := range []struct {
		name   string
		domain string
		http80 net.Listener
		tls    bool
	}{
		{"TLS-ALPN", "alpn.example.test", nil, true},
		{"HTTP", "http.example.test", eighty, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := &Config{Listen: fmt.Sprintf("127.0.0.1:%d", portOf(one)), Domain: []string{c.domain}, ACMECA: directory, ACMERoots: roots}
			cfg.Data = t.TempDir()
			events := make(logLines, 64)
			certs, err := newCertificates(cfg, slog.New(events), time.Now(), certNames{dns: []string{"localhost"}, addresses: []netip.Addr{loop}})
			if err != nil {
				t.Fatal(err)
			}
			certs.acm.issuer.DisableTLSALPNChallenge = !c.tls
			shaken := make(chan struct{})
			server := tls.NewListener(keepOpen{one}, certs.config())
			go func() {
				defer close(shaken)
				for {
					conn, err := server.Accept()
					if err != nil {
						return
					}
					go func() { // a stranger's connection must not hold up the next
						_ = conn.(*tls.Conn).Handshake()
						conn.Close()
					}()
				}
			}()
			if err := certs.acm.start(c.http80, portOf(one)); err != nil {
				t.Fatal(err)
			}
			events.await(t, "public certificate in use")
			conn, err := tls.Dial("tcp", one.Addr().String(), &tls.Config{ServerName: c.domain, InsecureSkipVerify: true}) //nolint:gosec // its root is made at run time
			if err != nil {
				t.Fatal(err)
			}
			leaf := conn.ConnectionState().PeerCertificates[0]
			conn.Close()
			if err := leaf.VerifyHostname(c.domain); err != nil || !strings.HasPrefix(leaf.Issuer.CommonName, "Pebble") {
				t.Errorf("served %v, issued by %v: %v", leaf.DNSNames, leaf.Issuer, err)
			}
			if c.http80 != nil {
				expectRedirect(t, portOf(eighty), portOf(one))
			}
			certs.acm.stop()
			_ = one.(*net.TCPListener).SetDeadline(time.Unix(1, 0)) // ends Accept, keeps the port
			<-shaken
			_ = one.(*net.TCPListener).SetDeadline(time.Time{})
		})
	}
}

func expectRedirect(t *testing.T, from, to uint16) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	r, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/r/tea", from))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if want := fmt.Sprintf("https://127.0.0.1:%d/r/tea", to); r.StatusCode != http.StatusPermanentRedirect || r.Header.Get("Location") != want {
		t.Errorf("port 80 answers %d to %q, want %q", r.StatusCode, r.Header.Get("Location"), want)
	}
}

// A listener that is closed by others stays open for the next test.
type keepOpen struct{ net.Listener }

func (keepOpen) Close() error { return nil }

func listenLocal(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func portOf(l net.Listener) uint16 { return uint16(l.Addr().(*net.TCPAddr).Port) }

// startDNS answers every question for an IPv4 address with 127.0.0.1.
func startDNS(t *testing.T) string {
	t.Helper()
	l := listenLocal(t) // pebble asks over TCP
	server := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			m.Answer = []dns.RR{&dns.A{
				Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1),
			}}
		}
		_ = w.WriteMsg(m)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ActivateAndServe()
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

// startPebble builds and runs the ACME server and returns its directory and the file with its root.
func startPebble(t *testing.T, tlsPort, httpPort uint16, dnsServer string) (directory, roots string) {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("go", "install", "github.com/letsencrypt/pebble/v2/cmd/pebble@"+pebbleVersion)
	build.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build pebble: %v\n%s", err, out)
	}
	own := certNames{dns: []string{"localhost"}, addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
	ca, err := loadAuthority(dir, time.Now(), own)
	if err == nil {
		_, err = ca.leaf(dir, time.Now(), own)
	}
	if err != nil {
		t.Fatal(err)
	}
	free := listenLocal(t)
	address := free.Addr().String()
	free.Close()
	config, _ := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": address, "certificate": filepath.Join(dir, leafFile), "privateKey": filepath.Join(dir, leafFile),
		"httpPort": httpPort, "tlsPort": tlsPort, "retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": map[string]any{"description": "test", "validityPeriod": 86400 * 90}},
	}})
	path := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	pebble := exec.Command(filepath.Join(dir, "pebble"), "-config", path, "-dnsserver", dnsServer)
	pebble.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0")
	if err := pebble.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = pebble.Process.Kill()
		_ = pebble.Wait()
	})
	awaitPort(t, address)
	return "https://" + address + "/dir", filepath.Join(dir, authorityCert)
}

// awaitPort returns once somebody listens. Another process says so in no other way.
func awaitPort(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(errors.Join(err, ctx.Err()))
		}
	}
}

// logLines is a log that a test waits on.
type logLines chan string

func (l logLines) Enabled(context.Context, slog.Level) bool { return true }
func (l logLines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l logLines) WithGroup(string) slog.Handler            { return l }

func (l logLines) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	select {
	case l <- line:
	default:
	}
	return nil
}

func (l logLines) await(t *testing.T, want string) {
	t.Helper()
	timeout := time.After(60 * time.Second)
	for {
		select {
		case line := <-l:
			if strings.Contains(line, "no certificate") {
				t.Fatal(line)
			}
			if strings.Contains(line, want) {
				return
			}
		case <-timeout:
			t.Fatalf("the log never said %q", want)
		}
	}
}
