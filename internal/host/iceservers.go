package host

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/parley-rtc/parley/internal/obs"
	"github.com/parley-rtc/parley/wire"
)

// iceServer is a STUN or TURN server of somebody else that clients are given for their connections to this one.
type iceServer struct {
	uri        iceURI
	username   string
	credential obs.Secret
}

// MarshalText implements encoding.TextMarshaler: URL[,username,credential], without the credential.
func (s iceServer) MarshalText() ([]byte, error) {
	if s.username == "" {
		return []byte(s.uri.text), nil
	}
	return fmt.Appendf(nil, "%s,%s,%s", s.uri.text, s.username, s.credential), nil
}

// iceServers are those of --ice-server.
type iceServers []iceServer

// UnmarshalText implements encoding.TextUnmarshaler: one server a line. It adds to those that there are, because the flag can be
// repeated. Refusals do not quote credentials.
func (l *iceServers) UnmarshalText(b []byte) error {
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		parts := strings.SplitN(line, ",", 3)
		uri, err := parseICEURI(parts[0])
		if err != nil {
			return err
		}
		s := iceServer{uri: uri}
		if len(parts) == 3 {
			s.username, s.credential = parts[1], obs.NewSecret(parts[2])
		}
		switch known := s.username != "" && s.credential.Reveal() != ""; {
		case uri.turn && !known:
			return fmt.Errorf("%s: a TURN server needs a user name and a credential: URL,username,credential", uri.text)
		case !uri.turn && len(parts) > 1:
			return fmt.Errorf("%s: a STUN server has no user name and credential", uri.text)
		}
		*l = append(*l, s)
	}
	return nil
}

// forServer are those that a PeerConnection to this server may be given. Chromium takes nothing else than answers to its own
// STUN or TURN requests from an address that it knows as such a server by UDP, so that none may be one of the media addresses.
func (l iceServers) forServer(port uint16, isOwn func(host string) bool) (given []wire.ICEServer, kept []string) {
	given = []wire.ICEServer{}
	for _, s := range l {
		if s.uri.udp && s.uri.port == port && isOwn(s.uri.host) {
			kept = append(kept, s.uri.text)
			continue
		}
		given = append(given, s.wire())
	}
	return given, kept
}

// all are those that any other PeerConnection may be given.
func (l iceServers) all() []wire.ICEServer {
	given := []wire.ICEServer{}
	for _, s := range l {
		given = append(given, s.wire())
	}
	return given
}

func (s iceServer) wire() wire.ICEServer {
	return wire.ICEServer{URLs: []string{s.uri.text}, Username: s.username, Credential: s.credential.Reveal()}
}

// iceServersFor returns what a participant is given for its connection to this server: what somebody else has, and this server's own.
// Until is when its token ends; zero: it needs none.
func (n *node) iceServersFor(room, identity string, until time.Time) []wire.ICEServer {
	given, _ := n.givenICEServers()
	return append(given, n.ownICEServers(false, room, identity, until)...)
}

// iceServersAmong returns what it is given for connections to others.
func (n *node) iceServersAmong(room, identity string, until time.Time) []wire.ICEServer {
	return append(n.cfg.ICEServers.all(), n.ownICEServers(true, room, identity, until)...)
}

// ownICEServers are of this server's own STUN and TURN: by UDP only for connections among participants, for the reason of forServer.
func (n *node) ownICEServers(among bool, room, identity string, until time.Time) []wire.ICEServer {
	hosts := n.turnHosts()
	if n.turn == nil || len(hosts) == 0 {
		return nil
	}
	number := n.port.Local().Port()
	udp := cmp.Or(n.turn.udp(), number)
	var own, stun wire.ICEServer
	for _, h := range hosts {
		host := bracketed(h.host)
		own.URLs = append(own.URLs, fmt.Sprintf("turn:%s:%d?transport=tcp", host, number))
		if h.certified {
			own.URLs = append(own.URLs, fmt.Sprintf("turns:%s:%d?transport=tcp", host, number))
		}
		if among {
			own.URLs = append(own.URLs, fmt.Sprintf("turn:%s:%d?transport=udp", host, udp))
			stun.URLs = append(stun.URLs, fmt.Sprintf("stun:%s:%d", host, udp))
		}
	}
	own.Username, own.Credential = n.turn.credentials(time.Now(), until, room, identity)
	if !among {
		return []wire.ICEServer{own}
	}
	return []wire.ICEServer{own, stun}
}

// turnHost is where clients find this server.
type turnHost struct {
	host      string
	certified bool // browsers take its certificate for this host
}

// turnHosts are a name that there is a certificate for; else the first offered address of each family, of which no client needs a loopback one:
// browsers take no certificate of a private authority for TURN.
func (n *node) turnHosts() (hosts []turnHost) {
	names := n.cfg.Domain
	if len(names) == 0 {
		names = n.certs.certified()
	}
	if len(names) > 0 {
		return []turnHost{{names[0], true}}
	}
	for _, six := range []bool{false, true} {
		i := slices.IndexFunc(*n.offers.Load(), func(o offer) bool { return o.offered && !o.address.IsLoopback() && o.address.Is6() == six })
		if i >= 0 {
			hosts = append(hosts, turnHost{(*n.offers.Load())[i].address.String(), false})
		}
	}
	return hosts
}

// givenICEServers are those of somebody else.
func (n *node) givenICEServers() (given []wire.ICEServer, kept []string) {
	return n.cfg.ICEServers.forServer(n.port.Local().Port(), func(host string) bool {
		a, err := netip.ParseAddr(host)
		if err != nil {
			return n.goesBy(host)
		}
		return slices.ContainsFunc(*n.offers.Load(), func(o offer) bool { return o.address == a.Unmap() })
	})
}

// iceURI is the URI of a STUN or TURN server (RFC 7064, RFC 7065).
type iceURI struct {
	text string
	host string // name in lower case, or address
	port uint16
	turn bool
	udp  bool // by UDP, without TLS
}

func parseICEURI(text string) (iceURI, error) {
	scheme, rest, _ := strings.Cut(text, ":")
	rest, transport, limited := strings.Cut(rest, "?transport=")
	u := iceURI{text: text, turn: scheme == "turn" || scheme == "turns", udp: scheme == "stun" || scheme == "turn"}
	bad := fmt.Errorf("%.100q: give stun:HOST[:PORT], turn:HOST[:PORT][?transport=udp|tcp] or turns:HOST[:PORT][?transport=tcp]", text)
	switch {
	case len(text) > maxICEURIBytes, !u.turn && scheme != "stun" && scheme != "stuns", limited && !u.turn:
		return u, bad
	case limited && transport != "tcp" && (transport != "udp" || scheme == "turns"):
		return u, bad
	}
	u.udp = u.udp && transport != "tcp"
	u.port = 3478
	if strings.HasSuffix(scheme, "s") {
		u.port = 5349
	}
	host := rest
	if i := strings.LastIndexByte(rest, ':'); i >= 0 && !strings.HasSuffix(rest, "]") {
		n, err := strconv.ParseUint(rest[i+1:], 10, 16)
		if err != nil || n == 0 {
			return u, bad
		}
		host, u.port = rest[:i], uint16(n)
	}
	if six, ok := strings.CutPrefix(host, "["); ok {
		six, ok = strings.CutSuffix(six, "]")
		a, err := netip.ParseAddr(six)
		if !ok || err != nil || !a.Is6() || a.Zone() != "" {
			return u, bad
		}
		u.host = a.Unmap().String()
		return u, nil
	}
	if !validName.MatchString(host) {
		return u, bad
	}
	u.host = strings.ToLower(host)
	return u, nil
}

// iceServerText writes a map of url, username and credential as a flag would have it.
func iceServerText(pairs []*ast.MappingValueNode) (string, error) {
	parts := map[string]string{}
	names := []string{"url", "username", "credential"}
	for _, p := range pairs {
		name := p.Key.GetToken().Value
		if !slices.Contains(names, name) {
			return "", fmt.Errorf("there is no %q; an ICE server has url, username and credential", name)
		}
		_, scalar := p.Value.(ast.ScalarNode)
		value, ok, err := settingValue(p.Value, "")
		if err != nil || !ok || !scalar {
			return "", errors.Join(fmt.Errorf("%s is a plain value", name), err)
		}
		if strings.ContainsAny(value, "\n\r") || name != "credential" && strings.Contains(value, ",") {
			return "", fmt.Errorf("%s has a character that is not possible there", name)
		}
		parts[name] = value
	}
	if len(parts) == 1 {
		return parts["url"], nil
	}
	return parts["url"] + "," + parts["username"] + "," + parts["credential"], nil
}
