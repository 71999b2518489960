package host

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/port"
	"github.com/parley-rtc/parley/internal/relay"
)

const (
	// memberRealm is the realm of credentials for members of rooms. Clients only repeat it.
	memberRealm = "parley"
	// usualTURN is where clients expect STUN and TURN by UDP (RFC 8656 §3.1).
	usualTURN = 3478
)

// turnServer is the STUN and TURN server beside the rooms: on the one port, on UDP 3478 where that is free, and on more ports where asked for.
type turnServer struct {
	// static after construction
	relay     *relay.Relay
	listeners listeners

	// atomic
	members atomic.Pointer[memberKeys]
}

// memberKeys are what credentials of members are made with, and told by.
type memberKeys struct {
	keys   *auth.TURN
	secret auth.Secret
}

// Key implements turn.Credentials.
func (t *turnServer) Key(dst []byte, now time.Time, username []byte, sha256 bool) (key []byte, user string, ok bool) {
	return t.members.Load().keys.Key(dst, now, username, sha256)
}

// use takes the secrets of the key pairs that sign tokens: that of the first makes credentials, those of a few others are still good.
func (t *turnServer) use(k *keyring) error {
	secrets := []auth.Secret{auth.TURNSecret(k.keys[k.first])}
	for _, name := range slices.Sorted(maps.Keys(k.keys)) {
		if name != k.first && len(secrets) < auth.MaxTURNSecrets {
			secrets = append(secrets, auth.TURNSecret(k.keys[name]))
		}
	}
	keys, err := auth.NewTURN(memberRealm, nil, secrets)
	if err != nil {
		return fmt.Errorf("keys of TURN: %w", err)
	}
	t.members.Store(&memberKeys{keys, secrets[0]})
	return nil
}

// credentials are a member's, for as long as they may last.
func (t *turnServer) credentials(now time.Time, room, identity string) (username, password string) {
	return auth.TURNCredentials(now, t.members.Load().secret, now.Add(auth.MaxTURNLifetime), room, identity)
}

// udp is the number of the UDP port that clients are told for connections among themselves; 0: the one port's.
func (t *turnServer) udp() uint16 {
	for _, at := range t.relay.UDP() {
		return at.Port()
	}
	return 0
}

// where tells people at which ports it is.
func (t *turnServer) where(one uint16) string {
	text := fmt.Sprintf("UDP and TCP %d", one)
	for _, p := range t.listeners.tcp {
		text += fmt.Sprintf(", UDP and TCP %d", p.Local().Port())
	}
	if own := t.relay.UDP(); len(t.listeners.tcp) == 0 && len(own) > 0 {
		text += fmt.Sprintf(", UDP %d", own[0].Port())
	}
	for _, at := range t.relay.DTLS() {
		text += fmt.Sprintf(", DTLS %d", at.Port())
	}
	return text
}

// buildRelay opens the STUN and TURN server. It comes before the port starts, which then gives it what is for it.
func (n *node) buildRelay() error {
	if !n.cfg.TURN {
		return nil
	}
	t := &turnServer{}
	if err := t.use(n.keys.Load()); err != nil {
		return err
	}
	cfg := n.cfg.Relay.config(memberRealm, t, n.log)
	cfg.Port, cfg.Media, cfg.Own, cfg.Exempt = n.port, n.isMedia, n.cfg.Advertise, n.cfg.Behind
	cfg.Certificate = n.tls
	cfg.Turn.NoTCP = true // browsers relay datagrams; connections to peers are for who runs `parley turn`
	list, err := interfaces()
	if err != nil {
		return err
	}
	cfg.Relays = relayAddresses(list, n.cfg.Advertise)
	if cfg.DTLS, err = addresses("--turn-dtls", n.cfg.TURNDTLS); err != nil {
		return err
	}
	t.listeners, err = openListeners("--turn-listen", n.cfg.TURNListen, port.Config{TLS: n.tls, Exempt: n.cfg.Behind})
	if err != nil {
		return err
	}
	cfg.UDP = t.listeners.udp
	if t.relay, err = n.openRelay(cfg, list); err != nil {
		t.listeners.close()
		if errors.Is(err, errors.ErrUnsupported) && len(n.cfg.TURNListen)+len(n.cfg.TURNDTLS) == 0 { // nobody has asked for it
			n.log.Info("rooms go without STUN and TURN", "why", err)
			return nil
		}
		return err
	}
	n.onStop(func() {
		_ = t.relay.Close()
		t.listeners.close()
	})
	n.turn = t
	n.port.SetRelay(t.relay)
	t.listeners.start(t.relay)
	return nil
}

// openRelay opens a relay with UDP 3478 besides what was asked for. Without that port everything else works as well: some clients
// are only farther away from each other.
func (n *node) openRelay(cfg relay.Config, list []netInterface) (*relay.Relay, error) {
	_, asked, _ := splitListen(n.cfg.Listen)
	also := cfg
	usual := len(cfg.UDP) == 0 && asked != usualTURN && asked != 0 // 0: where any port will do, none is special
	if usual {
		also.UDP = []netip.AddrPort{netip.AddrPortFrom(n.port.Local().Addr(), usualTURN)}
	}
	if err := addAlternates(&also, "--turn-alt-address", n.cfg.Relay.AltAddress, n.cfg.Advertise, list); err != nil {
		return nil, &usageError{err}
	}
	r, err := relay.Open(also)
	taken := errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EACCES)
	if !usual || !taken || len(n.cfg.Relay.AltAddress) > 0 {
		return r, err
	}
	n.log.Warn("STUN and TURN answer at the one port alone: UDP 3478 cannot be had; is another TURN server running? --turn-listen chooses other ports", "err", err)
	return relay.Open(cfg)
}

// isMedia reports whether an address is exactly one at which this process's media are: clients may reach it by relayed addresses.
func (n *node) isMedia(a netip.AddrPort) bool {
	_, ok := (*n.media.Load())[a]
	return ok
}

// addresses reads the values of a flag for listeners, each [HOST]:PORT.
func addresses(flag string, all []string) (list []netip.AddrPort, err error) {
	if len(all) > maxTURNListeners {
		return nil, fmt.Errorf("%s has %d ports; %d are enough for anyone", flag, len(all), maxTURNListeners)
	}
	for _, text := range all {
		host, number, err := splitAddress(flag, text)
		if err != nil {
			return nil, err
		}
		list = append(list, netip.AddrPortFrom(host, number))
	}
	return list, nil
}
