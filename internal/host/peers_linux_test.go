package host

import (
	"cmp"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/stun"
)

// peerClass is an address, or a port of one, and what a client may do with it.
type peerClass struct {
	name      string
	peer      netip.AddrPort
	permitted bool // CreatePermission is granted: it says nothing of ports
	open      bool // and so are channels and connections, and datagrams get there
	inside    bool // but by memory, not by a network
}

// peerClasses are those of the Internet and of the registries; classes that are the same everywhere.
func peerClasses() (all []peerClass) {
	for name, ip := range map[string]string{
		"public": "20.9.9.9", "public v6": "2a00:9::9", "NAT64 of a public one": "64:ff9b::1409:909", "6to4 of a public one": "2002:1409:909::1",
	} {
		all = append(all, peerClass{name: name, peer: netip.AddrPortFrom(netip.MustParseAddr(ip), 22), permitted: true, open: true})
	}
	for name, ip := range map[string]string{
		"loopback": "127.0.0.1", "loopback end": "127.255.255.254", "this host": "0.0.0.0", "0/8": "0.1.2.3",
		"10/8": "10.0.0.1", "172.16/12": "172.31.255.1", "192.168/16": "192.168.1.1", "CGNAT": "100.64.0.1", "link local": "169.254.1.1",
		"cloud metadata": "169.254.169.254", "IETF assignments": "192.0.0.8", "TEST-NET-1": "192.0.2.1", "TEST-NET-3": "203.0.113.7",
		"benchmarking": "198.18.0.1", "multicast": "224.0.0.251", "reserved": "240.0.0.1", "broadcast": "255.255.255.255",
		"v6 loopback": "::1", "v6 unspecified": "::", "mapped loopback": "::ffff:127.0.0.1", "mapped 10/8": "::ffff:10.0.0.1",
		"mapped this host": "::ffff:0.0.0.0", "mapped metadata": "::ffff:169.254.169.254", "mapped public": "::ffff:20.9.9.9",
		"mapped own": "::ffff:20.0.0.1", "v4-compatible": "::7f00:1", "NAT64 of 10/8": "64:ff9b::a00:1", "NAT64 of loopback": "64:ff9b::7f00:1",
		"NAT64 of own": "64:ff9b::1400:1", "local NAT64": "64:ff9b:1::1409:909", "6to4 of 10/8": "2002:a00:1::1", "6to4 of own": "2002:1400:1::1",
		"Teredo by 10/8": "2001:0:a00:1::1", "ISATAP of 10/8": "2a00:9::5efe:a00:1", "ULA": "fd00::1", "v6 metadata": "fd00:ec2::254",
		"v6 link local": "fe80::1", "site local": "fec0::1", "v6 multicast": "ff02::1", "v6 documentation": "2001:db8::1", "discard-only": "100::1",
	} {
		all = append(all, peerClass{name: name, peer: netip.AddrPortFrom(netip.MustParseAddr(ip), 22)})
	}
	for _, own := range ownAddresses {
		all = append(all,
			peerClass{name: "own, SSH", peer: netip.AddrPortFrom(own, 22), permitted: true},
			peerClass{name: "own, no port", peer: netip.AddrPortFrom(own, 0), permitted: true},
			peerClass{name: "own, a server's relay", peer: netip.AddrPortFrom(own, 3478), permitted: true},
			peerClass{name: "own, another server's relay", peer: netip.AddrPortFrom(own, 3480), permitted: true},
			peerClass{name: "own, a server's media", peer: netip.AddrPortFrom(own, 8443), permitted: true},
			peerClass{name: "own, as high as relayed ones", peer: netip.AddrPortFrom(own, highPort), permitted: true},
		)
	}
	all = append(all, peerClass{name: "public, no port", peer: netip.MustParseAddrPort("20.9.9.9:0"), permitted: true})
	slices.SortFunc(all, func(a, b peerClass) int { return cmp.Or(a.peer.Compare(b.peer), cmp.Compare(a.name, b.name)) })
	return all
}

var ownAddresses = []netip.Addr{netip.MustParseAddr("20.0.0.1"), netip.MustParseAddr("2a00:1::1")}

// Whichever way a client comes (UDP, TCP, TLS, DTLS; IPv4, IPv6), and however it tries (Send, a channel, a connection), it reaches what is globally routable
// through `parley turn` and through a server of rooms, live relayed addresses, and of own addresses besides those exactly the media's. What
// leaves relayed addresses is seen from below: nothing else does.
func TestScenarioRefusedPeers(t *testing.T) {
	l := newNATLab(t)
	l.publicNamespace("public")
	files := &Config{Cert: filepath.Join(t.TempDir(), "c.pem"), Key: filepath.Join(t.TempDir(), "k.pem")}
	writeOwnCertificate(t, files, &x509.Certificate{SerialNumber: serial(), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"turn.example.org"}})
	l.relayIn("public", "turn", "--listen", ":3478", "--user", "ann:hunter2", "--cert", files.Cert, "--key", files.Key, "--dtls", ":5349")
	rooms := l.relayIn("public", "serve", "--auth", "token", "--listen", ":8443", "--data", t.TempDir(), "--turn-listen", ":3480", "--turn-dtls", ":5350").first
	var seen *watch
	l.must(l.inside("public", func() (err error) {
		seen, err = openWatch()
		return err
	}))
	t.Cleanup(seen.close)
	classes := peerClasses()
	ofRooms := slices.DeleteFunc(slices.Clone(classes), func(c peerClass) bool { return c.peer.Port() == 8443 })
	for _, own := range ownAddresses {
		ofRooms = append(ofRooms, peerClass{name: "media", peer: netip.AddrPortFrom(own, 8443), permitted: true, open: true, inside: true})
	}
	for _, own := range ownAddresses {
		at := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(own, port) }
		for _, x := range []peerTrial{
			{how: "udp", at: at(3478)},
			{how: "tcp", at: at(3478), connects: true},
			{how: "tls", at: at(3478), connects: true},
			{how: "dtls", at: at(5349)},
			{how: "udp", at: at(3480), rooms: true},
			{how: "udp", at: at(8443), rooms: true},
			{how: "tcp", at: at(8443), rooms: true},
			{how: "tls", at: at(8443), rooms: true},
			{how: "dtls", at: at(5350), rooms: true},
		} {
			t.Run(fmt.Sprintf("%s to %v", x.how, x.at), func(t *testing.T) {
				x.seen, x.classes, x.username, x.password = seen, classes, "ann", "hunter2"
				if x.rooms {
					x.classes, x.username, x.password = ofRooms, rooms.Username, rooms.Password
				}
				if err := l.inside("public", x.run); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// peerTrial is all classes tried by clients that come one way.
type peerTrial struct {
	how                string
	at                 netip.AddrPort
	username, password string
	rooms              bool // the server is one of rooms
	connects           bool // it relays connections (RFC 6062) for these clients
	classes            []peerClass
	seen               *watch
	wrong              []error
}

func (x *peerTrial) run() error {
	err := x.datagrams()
	for _, six := range []bool{false, true} {
		if err == nil && (x.connects || x.rooms) {
			err = x.connections(six)
		}
	}
	return errors.Join(append(x.wrong, err)...)
}

func (x *peerTrial) wrongly(format string, args ...any) {
	x.wrong = append(x.wrong, fmt.Errorf(format, args...))
}

// highPort is one of those of relayed addresses, which no client here has.
const highPort = 65535

// client is one with an allocation.
func (x *peerTrial) client(want stun.Code, attributes ...stunAttribute) (*asker, error) {
	for {
		a, err := dialAsker(x.how, x.at, x.username, x.password)
		if err != nil {
			return nil, err
		}
		code, err := a.allocate(attributes...)
		if err == nil && code != want {
			err = fmt.Errorf("an allocation: %d, want %d", code, want)
		}
		if err != nil || !slices.ContainsFunc(a.relayed, func(r netip.AddrPort) bool { return r.Port() == highPort }) {
			return a, err
		}
		_, _, err = a.ask(stun.Refresh, bytesOf(stun.Lifetime, 0, 0, 0, 0))
		a.close()
		if err != nil {
			return nil, err
		}
	}
}

// granted asks for something and notes where the answer is another than it should be.
func (x *peerTrial) granted(a *asker, want bool, what string, m stun.Method, attributes ...stunAttribute) error {
	_, code, err := a.ask(m, attributes...)
	if forbidden := code == stun.Forbidden; err == nil && (want && code != 0 || !want && !forbidden) {
		x.wrongly("%s: code %d, want it granted: %v", what, code, want)
	}
	return err
}

// datagrams tries each class by a permission and Send, and by a channel; then another client's relayed addresses, also once they are no more.
func (x *peerTrial) datagrams() error {
	ann, err := x.client(0, askUDP, askBoth)
	if err != nil {
		return err
	}
	defer ann.close()
	bob, err := x.client(0, askUDP, askBoth)
	if err != nil {
		return err
	}
	defer bob.close()
	classes := x.classes
	for _, r := range bob.relayed {
		classes = append(classes[:len(classes):len(classes)], peerClass{"another's relayed address", r, true, true, true})
	}
	_, _, err = bob.ask(stun.CreatePermission, toward(ann.relayed[0]), toward(ann.relayed[1]))
	want := departures{}
	for i, c := range classes {
		number := 0x4000 + uint16(i)
		err = errors.Join(err,
			x.granted(ann, c.permitted, fmt.Sprintf("%s, %v: permission", c.name, c.peer), stun.CreatePermission, toward(c.peer)),
			x.granted(ann, c.open, fmt.Sprintf("%s, %v: channel", c.name, c.peer), stun.ChannelBind, bind(number), toward(c.peer)),
			ann.send(c.peer, []byte("by Send")), ann.channelData(number, []byte("by ChannelData")))
		if err != nil {
			return err
		}
		if c.open && !c.inside {
			want[departure{"udp", c.peer}] = 2
		}
	}
	for range 2 * len(bob.relayed) { // a Send and a ChannelData to each
		if _, err := bob.next(askPatience); err != nil {
			return fmt.Errorf("from relayed to relayed address: %w", err)
		}
	}
	// What was a live relayed address is any other port from now on, whatever the channel was bound for.
	if err := x.granted(bob, true, "end", stun.Refresh, bytesOf(stun.Lifetime, 0, 0, 0, 0)); err != nil {
		return err
	}
	for i, r := range bob.relayed {
		err = errors.Join(err, ann.send(r, []byte("too late")), ann.channelData(0x4000+uint16(len(x.classes)+i), []byte("too late")))
	}
	return errors.Join(err, x.left(ann, want))
}

// left sends something more, which shows that all that was sent before has left, and compares what did with what should have.
func (x *peerTrial) left(a *asker, want departures) error {
	var last []departure
	_, _, err := a.ask(stun.Refresh)
	for _, ip := range []string{"20.9.9.9", "2a00:9::9"} {
		p := netip.AddrPortFrom(netip.MustParseAddr(ip), 9)
		last = append(last, departure{"udp", p})
		want[departure{"udp", p}] = 1
		err = errors.Join(err, a.send(p, []byte("the last one")))
	}
	if err != nil {
		return err
	}
	got, err := x.seen.until(a.relayed, last...)
	if !maps.Equal(got, want) {
		x.wrongly("what left relayed addresses: %v, want %v", got, want)
	}
	return err
}

// connections tries to connect to each class of a family.
func (x *peerTrial) connections(six bool) error {
	transport := []stunAttribute{askTCP}
	if six {
		transport = append(transport, askIPv6)
	}
	if x.rooms { // browsers relay datagrams
		a, err := x.client(stun.UnsupportedTransport, transport...)
		if a != nil {
			a.close()
		}
		return err
	}
	var all [3]*asker
	for i, attributes := range [][]stunAttribute{transport, transport, {askUDP, askBoth}} {
		a, err := x.client(0, attributes...)
		if err != nil {
			return err
		}
		defer a.close()
		all[i] = a
	}
	ann, bob, carol := all[0], all[1], all[2]
	classes := slices.Clone(x.classes)
	for _, r := range carol.relayed {
		classes = append(classes, peerClass{name: "another's relayed address for datagrams", peer: r})
	}
	want := map[departure]bool{}
	_, _, err := bob.ask(stun.CreatePermission, toward(ann.relayed[0]))
	for _, c := range classes {
		switch {
		case err != nil:
			return err
		case c.peer.Addr().Is6() != six:
		case c.open: // nobody answers there, so neither does the server
			want[departure{"tcp", c.peer}] = true
			_, err = ann.message(stun.TypeOf(stun.Connect, stun.Request), toward(c.peer))
		default:
			err = x.granted(ann, false, fmt.Sprintf("%s, %v: connection", c.name, c.peer), stun.Connect, toward(c.peer))
		}
	}
	want[departure{"tcp", bob.relayed[0]}] = true
	err = errors.Join(err, x.granted(ann, true, "another's relayed address for connections", stun.Connect, toward(bob.relayed[0])))
	if err != nil {
		return err
	}
	got, err := x.seen.until(ann.relayed, slices.Collect(maps.Keys(want))...)
	for d := range got { // how often: a SYN is repeated
		if !want[d] {
			x.wrongly("a connection to %v", d)
		}
	}
	return err
}

// departure is where something went that left an address.
type departure struct {
	protocol string // "udp", or "tcp" for the beginning of a connection
	to       netip.AddrPort
}

type departures map[departure]int

// watch sees what is sent in a namespace, on any interface, loopback among them.
type watch struct{ fd int }

// openWatch opens one in the namespace of this thread.
func openWatch() (*watch, error) {
	all := int(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))) // as the network has it
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, all)
	if err != nil {
		return nil, err
	}
	patience := unix.NsecToTimeval(int64(askPatience))
	return &watch{fd}, errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20), // it is read after each trial
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience))
}

func (w *watch) close() { _ = unix.Close(w.fd) }

// until reads what was sent until it has seen the last ones leave, and returns what has left some addresses.
func (w *watch) until(from []netip.AddrPort, last ...departure) (departures, error) {
	got := departures{}
	missing := slices.Clone(last)
	for b := make([]byte, 1<<16); len(missing) > 0; {
		n, sender, err := unix.Recvfrom(w.fd, b, 0)
		if err != nil {
			return got, fmt.Errorf("the watch, without %v: %w", missing, err)
		}
		source, d := parseDeparture(b[:n])
		if link, ok := sender.(*unix.SockaddrLinklayer); !ok || link.Pkttype != unix.PACKET_OUTGOING || !slices.Contains(from, source) {
			continue
		}
		got[d]++
		missing = slices.DeleteFunc(missing, func(m departure) bool { return m == d })
	}
	s, err := unix.GetsockoptTpacketStats(w.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err == nil && s.Drops > 0 {
		err = fmt.Errorf("the watch has not seen %d packets", s.Drops)
	}
	return got, err
}

// parseDeparture reads the headers of a UDP datagram, or of a TCP segment that begins a connection, without extensions.
func parseDeparture(b []byte) (from netip.AddrPort, d departure) {
	var addresses, rest []byte
	var protocol byte
	switch {
	case len(b) >= 40 && b[0]>>4 == 6:
		protocol, addresses, rest = b[6], b[8:40], b[40:]
	case len(b) >= 20 && b[0]>>4 == 4 && len(b) >= int(b[0]&15)*4:
		protocol, addresses, rest = b[9], b[12:20], b[b[0]&15*4:]
	}
	switch {
	case len(rest) < 8:
		return from, d
	case protocol == unix.IPPROTO_UDP:
		d.protocol = "udp"
	case protocol == unix.IPPROTO_TCP && len(rest) >= 20 && rest[13]&0x12 == 2: // SYN without ACK
		d.protocol = "tcp"
	default:
		return from, d
	}
	half := len(addresses) / 2
	source, _ := netip.AddrFromSlice(addresses[:half])
	destination, _ := netip.AddrFromSlice(addresses[half:])
	d.to = netip.AddrPortFrom(destination, binary.BigEndian.Uint16(rest[2:]))
	return netip.AddrPortFrom(source, binary.BigEndian.Uint16(rest)), d
}
