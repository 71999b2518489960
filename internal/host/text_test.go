package host

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
)

var home = []netInterface{loopback, iface("eth0", "192.168.1.20", "2001:db8::20"), iface("docker0", "172.17.0.1")}

// startTexts are machines and settings, and what the text must say of them and must not.
var startTexts = []struct {
	name      string
	cfg       Config
	list      []netInterface
	container bool
	want      []string
	not       []string
}{
	{
		"home",
		Config{Listen: ":8443", Auth: "open"},
		home, false,
		[]string{
			"meet http://localhost:8443 on this machine", "others https://192.168.1.20:8443 the browser warns once; https://192.168.1.20:8443/trust makes it stop",
			"media UDP and TCP 8443", "offered 192.168.1.20 eth0 private", "kept back 172.17.0.1 docker0 leads to containers",
			"access open: whoever reaches", "keys data/keys.yaml", "parley token --room",
		},
		[]string{"container with a network", "Firefox"},
	},
	{
		"loopback",
		Config{Listen: "127.0.0.1:8443", Auth: "open"},
		home, false,
		[]string{"offered 127.0.0.1 lo --listen names it: only browsers on this machine, and no Firefox"},
		[]string{"others https", "192.168"},
	},
	{
		"domain",
		Config{Listen: ":443", Domain: []string{"meet.example.org"}, Auth: "token"},
		home, false,
		[]string{"meet https://meet.example.org meet http://localhost:443", "access token: only who brings a token"},
		[]string{"others https"},
	},
	{
		"container",
		Config{Listen: ":8443", Auth: "open"},
		[]netInterface{loopback, iface("eth0", "172.17.0.3")},
		true,
		[]string{"docker run --network host", "-p 8443:8443/udp", "--advertise IP-OF-THE-HOST"},
		nil,
	},
	{
		"container with an advertised address",
		Config{Listen: ":8443", Advertise: []netip.Addr{public}, Auth: "open"},
		[]netInterface{loopback, iface("eth0", "172.17.0.3")},
		true,
		[]string{"offered 203.0.113.7 --advertise you said so"},
		[]string{"docker run"},
	},
	{
		"proxy",
		Config{Listen: ":8443", Behind: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, PlainHTTP: true, Auth: "token"},
		home, false,
		[]string{"media still comes straight here: open UDP and TCP 8443", "--plain-http: tokens and chat cross the network unprotected"},
		nil,
	},
	{
		"public, open",
		Config{Listen: ":8443", Auth: "open"},
		[]netInterface{loopback, iface("eth0", "9.9.9.9")},
		false,
		[]string{"offered 9.9.9.9 eth0 public", "9.9.9.9 is a public address", "Start it with --auth token"},
		nil,
	},
	{
		"public, by token",
		Config{Listen: ":8443", Auth: "token"},
		[]netInterface{loopback, iface("eth0", "2600::1")},
		false,
		[]string{"offered 2600::1 eth0 public"},
		[]string{"is a public address"},
	},
	{
		"public, on loopback only",
		Config{Listen: "localhost:8443", Auth: "open"},
		[]netInterface{loopback, iface("eth0", "9.9.9.9")},
		false,
		nil,
		[]string{"public"},
	},
	{
		"documentation ranges",
		Config{Listen: ":8443", Auth: "open"},
		[]netInterface{loopback, iface("eth0", "192.0.2.7", "198.51.100.7", "203.0.113.7", "198.18.0.7", "2001:db8::7", "3fff::7")},
		false,
		[]string{"offered 3fff::7 eth0 reserved for documentation"},
		[]string{"public"},
	},
	{
		"no network",
		Config{Listen: ":8443", Auth: "open"},
		[]netInterface{loopback},
		false,
		[]string{"offered 127.0.0.1 lo there is no network: only browsers on this machine, and no Firefox", "Chromium needs microphone or camera allowed, and may be slow"},
		[]string{"others https"},
	},
	{"IPv6 only", Config{Listen: ":8443", Auth: "open"}, []netInterface{loopback, iface("eth0", "2001:db8::20")}, false, []string{"others https://[2001:db8::20]:8443"}, nil},
	{"one address", Config{Listen: "192.168.1.20:8443", Auth: "open"}, home, false, []string{"others https://192.168.1.20:8443"}, []string{"localhost"}},
}

// checkText compares a start text, whatever its columns, with what it must say and must not.
func checkText(t *testing.T, text string, want, not []string) {
	t.Helper()
	flat := strings.Join(strings.Fields(text), " ")
	for _, w := range want {
		if !strings.Contains(flat, w) {
			t.Errorf("no %q in\n%s", w, text)
		}
	}
	for _, n := range not {
		if strings.Contains(flat, n) {
			t.Errorf("%q in\n%s", n, text)
		}
	}
}

// The start text says where to go, which addresses are offered and why, who may join, and what will go wrong.
func TestStartText(t *testing.T) {
	for _, c := range startTexts {
		t.Run(c.name, func(t *testing.T) {
			listen, port, err := splitListen(c.cfg.Listen)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			s := &summary{
				cfg: &c.cfg, port: port, loopback: listen.IsLoopback(), keys: "data/keys.yaml", container: c.container,
				offers: chooseAddresses(listen, c.list, c.cfg.Advertise),
			}
			s.write(&out)
			checkText(t, out.String(), c.want, c.not)
		})
	}
}

// What a note stands behind is as wide in every line, however long other lines are, and lines without one; nothing is padded at the end.
func TestStartTextColumns(t *testing.T) {
	var out strings.Builder
	s := &summary{
		cfg: &Config{Listen: ":8443", Auth: "open"}, port: 8443, turn: "UDP and TCP 8443", keys: "/root/.local/share/parley/keys.yaml",
		authority: strings.Repeat("AB:", 31) + "AB", offers: chooseAddresses(netip.IPv6Unspecified(), home, nil),
	}
	s.write(&out)
	at := map[int][]string{}
	for _, note := range []string{"on this machine", "the browser warns once", "STUN and TURN", "eth0", "docker0", "parley token"} {
		found := 0
		for line := range strings.Lines(out.String()) {
			if i := strings.Index(line, "  "+note); i >= 0 {
				at[i] = append(at[i], note)
				found++
			}
			if strings.HasSuffix(line, " \n") {
				t.Errorf("%q", line)
			}
		}
		if found == 0 {
			t.Errorf("no %q in\n%s", note, out.String())
		}
	}
	if want := len("  kept back  /root/.local/share/parley/keys.yaml"); len(at) != 1 || at[want] == nil {
		t.Errorf("notes begin at %v, want %d, in\n%s", at, want, out.String())
	}
}

// A server that has loopback addresses alone says that it tells clients of no relay, and why; one that others reach does not.
func TestStartTextOfHiddenRelay(t *testing.T) {
	n := startNode(t)
	defer n.stop()
	text := func() string {
		var out strings.Builder
		n.summary(false).write(&out)
		return out.String()
	}
	told := fmt.Sprintf("relay UDP and TCP %d STUN and TURN", n.port.Local().Port())
	hidden := told + ", of which clients are not told: no relay is needed on loopback"
	checkText(t, text(), []string{hidden}, nil)
	others := chooseAddresses(netip.IPv6Unspecified(), home, nil)
	n.offers.Store(&others)
	checkText(t, text(), []string{told}, []string{hidden})
}

// A QR code is drawn for terminals, square, with its quiet zone; escape codes never reach a file.
func TestQRCode(t *testing.T) {
	var out strings.Builder
	drawCode(&out, "https://192.168.1.20:8443")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) < 12 || len(lines) > 20 {
		t.Errorf("%d lines", len(lines))
	}
	for i, l := range lines {
		l = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(l), "\x1b[40;97m"), "\x1b[0m")
		if w := len([]rune(l)); (w+1)/2 != len(lines) {
			t.Errorf("%d wide, %d high: %q", w, len(lines), l)
		}
		if i < len(lines)-1 && !(strings.HasPrefix(l, "██") && strings.HasSuffix(l, "██")) {
			t.Errorf("no quiet zone: %q", l)
		}
	}
	for _, path := range []string{os.DevNull, t.TempDir() + "/out"} {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if isTerminal(f) {
			t.Errorf("%s is no terminal", path)
		}
		f.Close()
	}
}

// Pages of this machine are told where others find the server, others' are told nothing.
func TestOthers(t *testing.T) {
	n := startNode(t)
	defer n.stop()
	ask := func(v visitor) string {
		w := httptest.NewRecorder()
		n.serverHandler(w, httptest.NewRequest("GET", "/v1/server", nil).WithContext(context.WithValue(t.Context(), visitorKey{}, v)))
		return strings.TrimSpace(w.Body.String())
	}
	if got := ask(visitor{local: true}); got != "{}" {
		t.Errorf("on loopback only: %s", got)
	}
	n.cfg.Domain = []string{"meet.example.org"}
	port := n.port.Local().Port()
	if got, want := ask(visitor{local: true}), fmt.Sprintf(`{"others":"https://meet.example.org:%d"}`, port); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := ask(visitor{}); got != "{}" {
		t.Errorf("to a visitor from elsewhere: %s", got)
	}
	if _, body := get(t, n.client(t), fmt.Sprintf("http://localhost:%d/v1/server", port)); !strings.Contains(body, "meet.example.org") {
		t.Errorf("by a browser here: %s", body)
	}
	s := &summary{cfg: &Config{}, port: 443, offers: chooseAddresses(netip.IPv4Unspecified(), home, nil)}
	if got := s.others(); got != "https://192.168.1.20" {
		t.Errorf("others: %q", got)
	}
}
