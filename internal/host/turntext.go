package host

import (
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/parley-rtc/parley/internal/auth"
)

// write prints the start text of a STUN and TURN server: what to tell clients, who may use it, and what might go wrong.
func (s *standalone) write(out io.Writer) {
	fmt.Fprintf(out, "\nParley %s, STUN and TURN\n\n", Version())
	s.table().write(out)
	for _, hint := range s.hints() {
		fmt.Fprintf(out, "\n  %s\n", hint)
	}
	fmt.Fprintln(out)
}

// table is what the start text tells line by line.
func (s *standalone) table() (t table) {
	for _, at := range s.listeners.udp {
		t.add("listens", fmt.Sprintf("UDP and TCP %v", at), s.tlsNote())
	}
	for _, at := range s.dtls {
		t.add("listens", fmt.Sprintf("UDP %v", at), "DTLS")
	}
	for _, a := range s.alternates {
		t.add("second", fmt.Sprintf("UDP %v", netip.AddrPortFrom(a.Local[1], a.Ports[1])), "NAT behaviour (RFC 5780)")
	}
	for _, uri := range s.uris() {
		t.add("clients", uri)
	}
	t.add("relayed", fmt.Sprintf("ports %v", s.cmd.RelayPorts), s.relayedNote())
	t.add("access", s.access())
	t.add("peers", s.peers())
	if s.metrics.IsValid() {
		t.add("metrics", fmt.Sprintf("http://%v/metrics", s.metrics))
	}
	return t
}

func (s *standalone) tlsNote() string {
	if s.certs == nil {
		return "no TLS without --cert and --key"
	}
	return "TLS too"
}

// uris are what clients are told (RFC 7065), of the first listener.
func (s *standalone) uris() []string {
	host, ok := s.address()
	if !ok {
		return nil
	}
	number := s.listeners.udp[0].Port()
	address := netip.AddrPortFrom(host, number).String()
	uris := []string{"stun:" + address}
	if s.relays() {
		uris = append(uris, "turn:"+address, "turn:"+address+"?transport=tcp")
		if s.certs != nil {
			for _, name := range s.certs.certified()[:min(1, len(s.certs.certified()))] {
				uris = append(uris, fmt.Sprintf("turns:%s:%d?transport=tcp", bracketed(name), number))
				for _, at := range s.dtls[:min(1, len(s.dtls))] {
					uris = append(uris, fmt.Sprintf("turns:%s:%d?transport=udp", bracketed(name), at.Port()))
				}
			}
		}
	}
	return uris
}

// address is where the first listener is for others.
func (s *standalone) address() (netip.Addr, bool) {
	if len(s.listeners.udp) == 0 {
		return netip.Addr{}, false
	}
	if at := s.listeners.udp[0].Addr(); !at.IsUnspecified() {
		return at, true
	}
	return bestAddress(s.offers)
}

// relays reports whether anybody may use relayed addresses.
func (s *standalone) relays() bool { return len(s.cmd.Users)+len(s.cmd.Secrets) > 0 }

func (s *standalone) relayedNote() string {
	var notes []string
	for _, a := range s.relayed {
		note := "on " + a.Bind.String()
		if a.Advertise.IsValid() {
			note += ", which peers see as " + a.Advertise.String()
		}
		notes = append(notes, note)
	}
	if len(notes) == 0 {
		return "on the address that the client has come to"
	}
	return strings.Join(notes, "; ")
}

func (s *standalone) access() string {
	var who []string
	switch n := len(s.cmd.Users); {
	case n == 1:
		who = append(who, "1 user")
	case n > 1:
		who = append(who, fmt.Sprintf("%d users", n))
	}
	switch n := len(s.cmd.Secrets); {
	case n == 1:
		who = append(who, "holders of time-limited credentials")
	case n > 1:
		who = append(who, fmt.Sprintf("holders of time-limited credentials, by %d secrets", n))
	}
	if len(who) == 0 {
		return "STUN for everybody; nobody may relay: --user NAME:PASSWORD or --secret TEXT changes that"
	}
	return strings.Join(who, ", ") + ", in realm " + s.cmd.Realm
}

func (s *standalone) peers() string {
	text := "public addresses, and each other's relayed ones"
	if list := prefixes(s.cmd.AllowPeer); list != "" {
		text = "public addresses, each other's relayed ones, and " + list
	}
	if list := prefixes(s.cmd.DenyPeer); list != "" {
		text += ", without " + list
	}
	return text
}

func prefixes(all []netip.Prefix) string {
	var texts []string
	for _, p := range all {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, ", ")
}

// hints name what newcomers trip over, where it can be seen from here.
func (s *standalone) hints() (hints []string) {
	if a, ok := s.address(); s.relays() && ok && !isPublic(a) && !a.IsLoopback() {
		hints = append(hints, fmt.Sprintf("%s is no public address: peers elsewhere cannot reach what is relayed on it. Behind a router that translates addresses, start\n"+
			"  with --advertise PUBLIC-IP, and let the router pass on the ports above.", a))
	}
	for i, secret := range s.cmd.Secrets {
		if len(secret.Reveal()) < auth.MinSecretBytes/2 {
			hints = append(hints, fmt.Sprintf("Secret number %d is short: whoever has one credential can guess it. `openssl rand -base64 32` makes a better one.", i+1))
		}
	}
	return hints
}

// bestAddress is the first offered address that others can use, IPv4 if there is one.
func bestAddress(offers []offer) (best netip.Addr, ok bool) {
	for _, o := range offers {
		if o.offered && !o.address.IsLoopback() && (!best.IsValid() || best.Is6() && o.address.Is4()) {
			best = o.address
		}
	}
	return best, best.IsValid()
}

// bracketed is a host as URIs have it.
func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}
