package host

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/port"
	"github.com/parley-rtc/parley/internal/relay"
	"github.com/parley-rtc/parley/wire"
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

	open  bool        // nobody needs a token, or is known
	marks auth.Secret // what members' marks are made with

	// atomic
	keys atomic.Pointer[auth.MemberKeys]

	// guarded by itself
	members members
}

// Key implements turn.Credentials.
func (t *turnServer) Key(dst []byte, now time.Time, username []byte, sha256 bool) (key []byte, user string, ok bool) {
	k := t.keys.Load()
	expires, mark, ok := k.Read(username)
	if !ok || !t.members.hold(mark, now.Before(expires)) {
		return dst, "", false
	}
	key, ok = k.Key(dst, username, sha256)
	return key, string(mark[:]), ok
}

// Holds implements turn.Credentials. What began in time goes on while its member is in the room; where nobody is known, always.
func (t *turnServer) Holds(now time.Time, username []byte) bool {
	expires, mark, ok := t.keys.Load().Read(username)
	return ok && t.members.hold(mark, t.open || now.Before(expires))
}

// Entered implements rooms.Presence.
func (t *turnServer) Entered(room, identity string) {
	t.members.enter(t.keys.Load().Mark(room, identity))
}

// Left implements rooms.Presence. Who was sent out has nothing any more, at once.
func (t *turnServer) Left(room, identity string, why wire.Code) {
	who := t.keys.Load().Mark(room, identity)
	t.members.leave(who)
	if why == wire.CodeKicked {
		t.members.sendOut(time.Now(), who)
		t.relay.RecheckUser(string(who[:]))
	}
}

// use takes the key pairs that sign tokens: the first makes credentials, those of all others are good too. What was begun by one that is gone ends.
func (t *turnServer) use(k *keyring) error {
	keys, err := auth.NewMemberKeys(memberRealm, k.first, k.keys, t.marks)
	if err != nil {
		return fmt.Errorf("keys of TURN: %w", err)
	}
	t.keys.Store(keys)
	if t.relay != nil {
		t.relay.Recheck()
	}
	return nil
}

// credentials are a member's, to begin with until its token ends.
func (t *turnServer) credentials(now, until time.Time, room, identity string) (username, password string) {
	k := t.keys.Load()
	return k.Credentials(credentialsEnd(now, until), k.Mark(room, identity))
}

// credentialsEnd is when credentials end that are made for a token until it ends; where none is needed that is zero.
func credentialsEnd(now, until time.Time) time.Time {
	if until.IsZero() {
		return now.Add(openCredentials)
	}
	if least := now.Add(leastCredentials); until.Before(least) {
		return least
	}
	return until
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
	t := &turnServer{open: n.cfg.Auth == "open"}
	var err error
	if t.marks, err = auth.MakeSecret(rand.Reader); err != nil {
		return err
	}
	if err := t.use(n.keys.Load()); err != nil {
		return err
	}
	cfg := n.cfg.Relay.config(memberRealm, t, n.log)
	cfg.Port, cfg.Media, cfg.Own, cfg.Exempt = n.port, n.isMedia, n.cfg.Advertise, n.cfg.Behind
	cfg.Certificate = n.tls
	cfg.Turn.Policy.Closed = t.open // for members of rooms that is enough: each has a relayed address here
	cfg.Turn.NoTCP = true           // browsers relay datagrams; connections to peers are for who runs `parley turn`
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
