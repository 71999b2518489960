package host

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/relay"
	"github.com/parley-rtc/parley/internal/turn"
)

// Settings of `parley turn` that cannot be, or that nothing would come of, are refused by name and with a next step; no refusal quotes a password
// or a secret.
func TestRefusedTurnSettings(t *testing.T) {
	many := func(flag, value string, n int) (args []string) {
		for range n {
			args = append(args, flag, value)
		}
		return args
	}
	for _, c := range []struct {
		args []string
		env  map[string]string
		want string
	}{
		{args: []string{"--listen", "3478"}, want: "--listen 3478: give [HOST]:PORT"},
		{args: []string{"--listen", "turn.example.org:3478"}, want: "must be an IP address of this machine"},
		{args: many("--listen", ":0", maxTURNListeners+1), want: "enough for anyone"},
		{args: []string{"--cert", "a.pem"}, want: "--cert and --key belong together"},
		{args: []string{"--dtls", ":5349"}, want: "--dtls wants a certificate"},
		{args: []string{"--dtls", "here", "--cert", "a.pem", "--key", "b.pem"}, want: "--dtls here: give [HOST]:PORT"},
		{args: []string{"--realm", strings.Repeat("r", 37)}, want: "--realm has 37 bytes: give at most 36"},
		{args: []string{"--realm", `a"b`, "--user", "ann:hunter2"}, want: "realm"},
		{args: []string{"--user", "hunter2"}, want: "--user, number 1: give NAME:PASSWORD"},
		{args: []string{"--user", "ann:hunter2", "--user", "ann:hunter2"}, want: "--user, number 2: give NAME:PASSWORD, each name once"},
		{args: []string{"--user", ":hunter2"}, want: "printable text"},
		{args: []string{"--user", "ann:"}, want: "user ann: a TURN password is printable text"},
		{args: []string{"--secret", "hunter2\x01"}, want: "--secret, number 1"},
		{args: many("--secret", "hunter2", 5), want: "5 secrets"},
		{args: []string{"--advertise", "0.0.0.0"}, want: "not an address that a client could send to"},
		{args: []string{"--allow-peer", "10.0.0.1"}, want: `--allow-peer: "10.0.0.1" is not a network`},
		{args: []string{"--relay-ports", "50000"}, want: "MIN-MAX"},
		{args: []string{"--relay-ports", "60000-50000"}, want: "MIN-MAX"},
		{args: []string{"--relay-ports", "80-90"}, want: "1024 or more first"},
		{args: []string{"--user-allocations=-1"}, want: "--user-allocations -1: give a number"},
		{args: []string{"--allocation-rate", "9999999999"}, want: "--allocation-rate 9999999999: give a number"},
		{args: []string{"--listen", "127.0.0.1:0", "--alt-address", "127.0.0.1"}, want: "--alt-address 127.0.0.1: it is the first address itself"},
		{args: []string{"--listen", "127.0.0.1:0", "--alt-address", "::1"}, want: "it is of another family than 127.0.0.1"},
		{args: []string{"--listen", "127.0.0.1:0", "--alt-address", "127.0.0.2", "--alt-address", "127.0.0.3"}, want: "one is enough"},
		{
			args: []string{"--listen", "127.0.0.1:0", "--alt-address", "127.0.0.2", "--advertise", "203.0.113.7"},
			want: "--advertise has one address of its family: give it twice",
		},
		{args: []string{"--listen", "0.0.0.0:0", "--alt-address", "2001:db8::1"}, want: "only IPv4 is listened on"},
		{args: []string{"--metrics", "9090"}, want: "--metrics 9090: give [HOST]:PORT"},
		{env: map[string]string{"PARLEY_TURN_USRE": "a:b"}, want: "did you mean PARLEY_TURN_USER?"},
	} {
		_, stderr, exit := run(c.env, append([]string{"turn"}, c.args...)...)
		if exit != 2 || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "hunter2") {
			t.Errorf("%.80q %v: exit %d, %s, want %q", c.args, c.env, exit, stderr, c.want)
		}
	}
}

// Settings of TURN beside rooms are refused alike, by the names that they have there.
func TestRefusedTURNOfRooms(t *testing.T) {
	for want, args := range map[string][]string{
		"leave one of them out":                       {"--no-turn", "--turn-listen", ":3478"},
		"--turn-listen 3478: give [HOST]:PORT":        {"--turn-listen", "3478"},
		"--turn-dtls 5349: give [HOST]:PORT":          {"--turn-dtls", "5349"},
		"enough for anyone":                           {"--turn-listen", strings.Repeat(":0,", maxTURNListeners) + ":0"},
		"--turn-source-allocations -1: give a number": {"--turn-source-allocations=-1"},
	} {
		if _, stderr, exit := run(nil, append([]string{"config", "show"}, args...)...); exit != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit %d, %s, want %q", args, exit, stderr, want)
		}
	}
}

// The start text says what clients are told, who may relay to whom, and what will go wrong.
func TestTurnText(t *testing.T) {
	for _, c := range []struct {
		name   string
		cmd    turnCommand
		listen string
		list   []netInterface
		want   []string
		not    []string
	}{
		{
			"STUN alone",
			turnCommand{},
			"[::]:3478",
			[]netInterface{loopback, iface("eth0", "9.9.9.9")},
			[]string{"listens UDP and TCP [::]:3478 no TLS without --cert and --key", "clients stun:9.9.9.9:3478", "nobody may relay: --user NAME:PASSWORD or --secret"},
			[]string{"turn:", "no public address", "short"},
		},
		{
			"at home",
			turnCommand{Realm: "home", Users: lines("ann:x"), Secrets: lines("short", strings.Repeat("x", 40))},
			"[::]:3478", home,
			[]string{
				"clients turn:192.168.1.20:3478?transport=tcp", "access 1 user, holders of time-limited credentials, by 2 secrets, in realm home",
				"peers public addresses, and each other's relayed ones", "192.168.1.20 is no public address", "--advertise PUBLIC-IP", "Secret number 1 is short",
				"on the address that the client has come to",
			},
			[]string{"Secret number 2", "ann:"},
		},
		{
			"behind a router",
			turnCommand{
				Users: lines("ann:x", "bob:x"), Advertise: []netip.Addr{public},
				relayFlags: relayFlags{
					RelayPorts: portRange{50000, 50100},
					AllowPeer:  []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, DenyPeer: []netip.Prefix{netip.MustParsePrefix("9.0.0.0/8")},
				},
			},
			"0.0.0.0:5000", home,
			[]string{
				"clients turn:203.0.113.7:5000 ", "relayed ports 50000-50100 on 192.168.1.20, which peers see as 203.0.113.7", "access 2 users",
				"peers public addresses, each other's relayed ones, and 10.0.0.0/8, without 9.0.0.0/8",
			},
			nil,
		},
		{
			"on loopback",
			turnCommand{Users: lines("ann:x")},
			"127.0.0.1:3478", home,
			[]string{"clients turn:127.0.0.1:3478"},
			[]string{"public address:", "192.168"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			s := &standalone{cmd: &c.cmd, offers: chooseAddresses(netip.IPv6Unspecified(), c.list, c.cmd.Advertise), relayed: relayAddresses(c.list, c.cmd.Advertise)}
			s.listeners.udp = []netip.AddrPort{netip.MustParseAddrPort(c.listen)}
			s.write(&out)
			checkText(t, out.String(), c.want, c.not)
		})
	}
}

func lines(texts ...string) (l secretLines) {
	_ = l.UnmarshalText([]byte(strings.Join(texts, "\n"))) // never fails
	return l
}

// The alternate of a listener on all addresses is an address of this machine beside the first that others can use, with the next port on all of them; that of one
// on a single address takes three listeners more; behind a router both have the router's addresses.
func TestAlternates(t *testing.T) {
	machine := []netInterface{loopback, iface("eth0", "192.168.1.20", "192.168.1.21", "2001:db8::20", "2001:db8::21")}
	addr := netip.MustParseAddr
	for _, c := range []struct {
		listen    string
		alternate []netip.Addr
		advertise []netip.Addr
		udp       string
		want      []turn.Alternate
	}{
		{"[::]:3478", nil, nil, "[[::]:3478]", nil},
		{
			"[::]:3478",
			[]netip.Addr{addr("192.168.1.21"), addr("2001:db8::21")},
			nil, "[[::]:3478 [::]:3479]",
			[]turn.Alternate{
				{Local: [2]netip.Addr{addr("192.168.1.20"), addr("192.168.1.21")}, Ports: [2]uint16{3478, 3479}},
				{Local: [2]netip.Addr{addr("2001:db8::20"), addr("2001:db8::21")}, Ports: [2]uint16{3478, 3479}},
			},
		},
		{
			"192.168.1.21:65535",
			[]netip.Addr{addr("192.168.1.20")},
			[]netip.Addr{addr("203.0.113.1"), addr("203.0.113.2")},
			"[192.168.1.21:65535 192.168.1.21:65534 192.168.1.20:65535 192.168.1.20:65534]",
			[]turn.Alternate{{
				Local:  [2]netip.Addr{addr("192.168.1.21"), addr("192.168.1.20")},
				Public: [2]netip.Addr{addr("203.0.113.1"), addr("203.0.113.2")}, Ports: [2]uint16{65535, 65534},
			}},
		},
	} {
		cfg := relay.Config{UDP: []netip.AddrPort{netip.MustParseAddrPort(c.listen)}}
		if err := addAlternates(&cfg, "--alt-address", c.alternate, c.advertise, machine); err != nil {
			t.Errorf("%s: %v", c.listen, err)
		}
		if got := fmt.Sprint(cfg.UDP); got != c.udp || !slices.Equal(cfg.Turn.Alternates, c.want) {
			t.Errorf("%s: %s, %v; want %s, %v", c.listen, got, cfg.Turn.Alternates, c.udp, c.want)
		}
	}
	if err := addAlternates(&relay.Config{}, "--turn-alt-address", []netip.Addr{addr("192.168.1.21")}, nil, machine); err == nil {
		t.Error("an alternate to no listener")
	}
}

// A relay behind a router is bound to an address of this machine and named by the router's, of each family that has one; where this machine has the
// advertised address itself, peers see that.
func TestRelayAddresses(t *testing.T) {
	public6 := netip.MustParseAddr("2600::7")
	for _, c := range []struct {
		name      string
		list      []netInterface
		advertise []netip.Addr
		want      []relay.Address
	}{
		{"nothing advertised", home, nil, nil},
		{"IPv4", home, []netip.Addr{public}, []relay.Address{{Bind: netip.MustParseAddr("192.168.1.20"), Advertise: public}}},
		{"both", home, []netip.Addr{public6, public}, []relay.Address{
			{Bind: netip.MustParseAddr("192.168.1.20"), Advertise: public}, {Bind: netip.MustParseAddr("2001:db8::20"), Advertise: public6},
		}},
		{"its own", []netInterface{loopback, iface("eth0", "10.0.0.1"), iface("eth1", "203.0.113.7")}, []netip.Addr{public}, []relay.Address{{Bind: public}}},
		{"only loopback", []netInterface{loopback}, []netip.Addr{public}, nil},
	} {
		got := relayAddresses(c.list, c.advertise)
		if len(got) != len(c.want) {
			t.Errorf("%s: %v", c.name, got)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v, want %v", c.name, got[i], c.want[i])
			}
		}
	}
}

// Where few files may be open, relayed addresses leave half of them to others.
func TestHalfOf(t *testing.T) {
	for _, c := range []struct {
		files uint64
		want  int
	}{{0, 1}, {1024, 512}, {40_000, 20_000}, {1 << 62, 20_000}} {
		if got := halfOf(c.files, 20_000); got != c.want {
			t.Errorf("%d of %d files, want %d", got, c.files, c.want)
		}
	}
}
