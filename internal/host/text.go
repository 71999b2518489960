package host

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"rsc.io/qr"
)

// summary is what the start text tells.
type summary struct {
	cfg  *Config
	port uint16
	turn string // where STUN and TURN are; empty: nowhere
	// turnHidden: clients are not told of them.
	turnHidden bool
	loopback   bool // --listen names a loopback address
	offers     []offer
	certified  []string // names and addresses of --cert
	keys       string
	authority  string // fingerprint of the private certificate authority; empty: none
	container  bool
	codes      bool // draw a QR code
}

// write prints the start text: where to go, on what, and what might go wrong.
func (s *summary) write(out io.Writer) {
	fmt.Fprintf(out, "\nParley %s\n\n", Version())
	s.table().write(out)
	for _, hint := range s.hints() {
		fmt.Fprintf(out, "\n  %s\n", hint)
	}
	if phones := s.phones(); s.codes && phones != "" {
		drawCode(out, phones)
	}
	fmt.Fprintln(out)
}

// table is what the start text tells line by line.
func (s *summary) table() (t table) {
	for _, host := range s.hosts() {
		t.add("meet", s.url(host))
	}
	if host, ok := s.localHost(); ok {
		t.add("meet", "http://"+net.JoinHostPort(host, strconv.Itoa(int(s.port))), "on this machine")
	}
	if phones := s.phones(); phones != "" {
		note := "the browser warns once; " + phones + "/trust makes it stop"
		if s.cfg.Cert != "" {
			note = "if --cert names this address"
		}
		t.add("others", phones, note)
	}
	t.add("media", fmt.Sprintf("UDP and TCP %d", s.port))
	if s.turn != "" {
		note := "STUN and TURN"
		if s.turnHidden {
			note += ", of which clients are not told: no relay is needed on loopback"
		}
		t.add("relay", s.turn, note)
	}
	for _, o := range s.offers {
		verb := "offered"
		if !o.offered {
			verb = "kept back"
		}
		t.add(verb, o.address.String(), o.place, o.why)
	}
	t.add("access", s.access())
	t.add("keys", s.keys, fmt.Sprintf("parley token%s --room ROOM --name NAME", s.dataFlag()))
	if s.authority != "" {
		t.add("authority", s.authority+" (SHA-256, to compare at /trust)")
	}
	return t
}

// table is the lines of a start text. What is last in one is as long as it likes; whatever else is in a column is as wide as the widest there.
type table [][]string

func (t *table) add(cells ...string) { *t = append(*t, cells) }

func (t table) write(out io.Writer) {
	var widths []int
	for _, cells := range t {
		for i, cell := range cells[:len(cells)-1] {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, cells := range t {
		last := len(cells) - 1
		for i, cell := range cells[:last] {
			fmt.Fprintf(out, "  %-*s", widths[i], cell)
		}
		fmt.Fprintf(out, "  %s\n", cells[last])
	}
}

// dataFlag is what `parley token` needs to find this server's keys.
func (s *summary) dataFlag() string {
	if s.cfg.Data == "" || s.cfg.Data == defaultData(os.LookupEnv) {
		return ""
	}
	return " --data " + s.cfg.Data
}

// localHost is how this machine's own browser gets here; plain HTTP will do, because browsers take localhost for secure.
func (s *summary) localHost() (string, bool) {
	listen, _, _ := splitListen(s.cfg.Listen)
	switch {
	case listen.IsUnspecified() || listen == netip.MustParseAddr("127.0.0.1"):
		return "localhost", true
	case listen.IsLoopback():
		return listen.String(), true
	}
	return "", false
}

// others is where others find this server: by a name that it has a certificate for, or at the address for other devices; empty: nowhere.
func (s *summary) others() string {
	if hosts := s.hosts(); len(hosts) > 0 {
		return s.url(hosts[0])
	}
	return s.phones()
}

// hosts are those for which browsers take the server's certificate: of --domain, or of --cert, the first ones of many.
func (s *summary) hosts() []string {
	if len(s.cfg.Domain) > 0 {
		return s.cfg.Domain
	}
	if s.loopback {
		return nil
	}
	return s.certified[:min(len(s.certified), maxToldHosts)]
}

func (s *summary) url(host string) string {
	return "https://" + bracketed(host) + portSuffix(s.port, 443)
}

// phones is the address for other devices: that of the first offered address, IPv4 if there is one, because it is shorter to type.
func (s *summary) phones() string {
	if s.loopback || len(s.hosts()) > 0 {
		return ""
	}
	best, ok := bestAddress(s.offers)
	if !ok {
		return ""
	}
	return s.url(best.String())
}

func portSuffix(port, usual uint16) string {
	if port == usual {
		return ""
	}
	return ":" + strconv.Itoa(int(port))
}

func (s *summary) access() string {
	if s.cfg.Auth == "token" {
		return "token: only who brings a token gets in"
	}
	return "open: whoever reaches this server can join every room; --auth token changes that"
}

// hints name what newcomers trip over, where it can be seen from here.
func (s *summary) hints() []string {
	var hints []string
	only172 := len(s.offers) > 0
	for _, o := range s.offers {
		if o.place == advertised || o.offered && !netip.MustParsePrefix("172.16.0.0/12").Contains(o.address) {
			only172 = false
		}
	}
	if s.container && only172 {
		hints = append(hints, fmt.Sprintf("This looks like a container with a network of its own, which clients cannot reach. Start it with\n"+
			"    docker run --network host …\n  or\n    docker run -p %[1]d:%[1]d/tcp -p %[1]d:%[1]d/udp … parley --advertise IP-OF-THE-HOST", s.port))
	}
	if a, ok := s.publicAddress(); ok && s.cfg.Auth == "open" {
		relay := ""
		if s.turn != "" && len(s.cfg.Relay.AllowPeer) > 0 {
			relay = ", and send to others through it"
		}
		hints = append(hints, fmt.Sprintf("%s is a public address: unless a firewall is in front, anybody on the internet can join every room here, under\n"+
			"  any name%s. Start it with --auth token to let in only whom `parley token` has made a token for.", a, relay))
	}
	if len(s.cfg.Behind) > 0 {
		hints = append(hints, fmt.Sprintf("Behind a proxy, media still comes straight here: open UDP and TCP %d, and --advertise the public address.", s.port))
	}
	if s.cfg.PlainHTTP {
		hints = append(hints, "--plain-http: tokens and chat cross the network unprotected, and browsers give such pages no camera.")
	}
	return hints
}

// publicAddress returns an offered address that strangers may reach, if there is one.
func (s *summary) publicAddress() (netip.Addr, bool) {
	for _, o := range s.offers {
		if o.offered && isPublic(o.address) && !tunnels.MatchString(o.place) {
			return o.address, true
		}
	}
	return netip.Addr{}, false
}

// drawCode draws a QR code with half blocks, light on dark and with its quiet zone, so that it can be read in any terminal.
func drawCode(out io.Writer, text string) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return // too long for a code: the text stands above
	}
	const quiet = 4 // modules (ISO 18004)
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		b.WriteString("  \x1b[40;97m")
		for x := -quiet; x < code.Size+quiet; x++ {
			top, bottom := code.Black(x, y), code.Black(x, y+1) || y+1 >= code.Size+quiet
			switch {
			case top && bottom:
				b.WriteByte(' ')
			case top:
				b.WriteString("▄")
			case bottom:
				b.WriteString("▀")
			default:
				b.WriteString("█")
			}
		}
		b.WriteString("\x1b[0m\n")
	}
	fmt.Fprintf(out, "\n%s", b.String())
}

// isTerminal reports whether a stream is one; escape codes go nowhere else, and nobody else is asked.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	fi, err := f.Stat()
	if err != nil || fi.Mode()&os.ModeCharDevice == 0 || os.Getenv("TERM") == "dumb" {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(fi, null)
}

// inContainer reports whether the usual container engines left their marks.
func inContainer() bool {
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(mark); err == nil {
			return true
		}
	}
	_, ok := os.LookupEnv("KUBERNETES_SERVICE_HOST")
	return ok
}
