package host

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-rtc/parley/internal/obs"
	"github.com/parley-rtc/parley/internal/port"
	"github.com/parley-rtc/parley/internal/relay"
	"github.com/parley-rtc/parley/internal/turn"
)

// relayFlags are the settings of the STUN and TURN server, whether it stands alone or beside rooms.
type relayFlags struct {
	AllowPeer   []netip.Prefix `name:"allow-peer" placeholder:"CIDR" help:"Network that clients may reach by relayed addresses, though it is not public; may be repeated."`
	DenyPeer    []netip.Prefix `name:"deny-peer" placeholder:"CIDR" help:"Network that they may not reach; may be repeated. Of networks in one another the smaller one decides."`
	AltAddress  []netip.Addr   `name:"alt-address" placeholder:"IP" help:"Second address of this machine, by which clients find out how their NAT behaves (RFC 5780); one of each family. The next port is used too. Default: none."`
	RelayPorts  portRange      `name:"relay-ports" default:"49152-65535" placeholder:"MIN-MAX" help:"Ports of relayed addresses. Default: 49152-65535."`
	Allocations int            `name:"allocations" default:"0" placeholder:"N" help:"Relayed addresses in all. Default: 20000, or half as many as files may be open."`
	PerUser     int            `name:"user-allocations" default:"0" placeholder:"N" help:"Relayed addresses of one user. Default: 64."`
	PerSource   int            `name:"source-allocations" default:"0" placeholder:"N" help:"Relayed addresses of one IPv4 address, or IPv6 /64. Default: 1024."`
	Rate        int            `name:"allocation-rate" default:"0" placeholder:"KBIT" help:"Kilobits a second that go each way through one relayed address; datagrams, each with 28 bytes for its headers, are dropped beyond it, TCP is slowed. Default: no limit."`
	UserRate    int            `name:"user-rate" default:"0" placeholder:"KBIT" help:"The same for all relayed addresses of one user together. Default: no limit."`
}

// portRange is the ports of relayed addresses.
type portRange struct{ first, last uint16 }

// String implements fmt.Stringer.
func (r portRange) String() string { return fmt.Sprintf("%d-%d", r.first, r.last) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *portRange) UnmarshalText(b []byte) error {
	low, high, ok := strings.Cut(string(b), "-")
	first, err1 := strconv.ParseUint(low, 10, 16)
	last, err2 := strconv.ParseUint(high, 10, 16)
	if !ok || err1 != nil || err2 != nil || first < minRelayPort || last < first {
		return fmt.Errorf("%.40q is not MIN-MAX with %d or more first, such as 49152-65535", b, minRelayPort)
	}
	*r = portRange{uint16(first), uint16(last)}
	return nil
}

// check refuses what is no number of anything; prefix is what stands before the names.
func (f *relayFlags) check(prefix string) error {
	for _, x := range []struct {
		name  string
		value int
	}{
		{"allocations", f.Allocations},
		{"user-allocations", f.PerUser},
		{"source-allocations", f.PerSource},
		{"allocation-rate", f.Rate},
		{"user-rate", f.UserRate},
	} {
		if x.value < 0 || x.value > maxRelayNumber {
			return fmt.Errorf("--%s%s %d: give a number from 1 to %d, or 0 for the default", prefix, x.name, x.value, maxRelayNumber)
		}
	}
	return nil
}

// fill puts defaults in the place of zeros, which for rates mean that there is no limit.
func (f *relayFlags) fill() {
	d := &turn.DefaultLimits
	f.Allocations = cmp.Or(f.Allocations, halfOf(fileLimit(), d.Allocations))
	f.PerUser, f.PerSource = cmp.Or(f.PerUser, d.PerUser), cmp.Or(f.PerSource, d.PerSource)
}

// config is what a relay is opened with.
func (f relayFlags) config(realm string, credentials turn.Credentials, log *slog.Logger) relay.Config {
	f.fill()
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	const bytesPerKilobit = 1000 / 8
	return relay.Config{
		Turn: turn.Config{
			Realm: realm, Secret: secret, Credentials: credentials,
			Policy: turn.Policy{Allow: f.AllowPeer, Deny: f.DenyPeer},
			Limits: turn.Limits{
				Allocations: f.Allocations, PerUser: f.PerUser, PerSource: f.PerSource,
				AllocationRate: bytesPerKilobit * f.Rate, UserRate: bytesPerKilobit * f.UserRate,
			},
		},
		FirstPort: f.RelayPorts.first, LastPort: f.RelayPorts.last, Log: log,
	}
}

// halfOf is as many as wanted, or half of the files that may be open where that is less: the others are for connections.
func halfOf(files uint64, wanted int) int { return int(min(uint64(wanted), max(files/2, 1))) }

// relayAddresses are where relayed sockets are bound where --advertise names what others see: an address that this machine has itself, or
// that of a router, which translates it to the first fitting one here. Of a family without, they are where the client has come to.
func relayAddresses(list []netInterface, advertise []netip.Addr) (all []relay.Address) {
	own := chooseAddresses(netip.IPv6Unspecified(), list, nil)
	for _, six := range []bool{false, true} {
		seen := slices.IndexFunc(advertise, func(a netip.Addr) bool { return a.Unmap().Is6() == six })
		if seen < 0 {
			continue
		}
		public := advertise[seen].Unmap()
		if slices.ContainsFunc(own, func(o offer) bool { return o.address == public }) {
			all = append(all, relay.Address{Bind: public})
			continue
		}
		i := slices.IndexFunc(own, func(o offer) bool { return o.offered && o.address.Is6() == six && !o.address.IsLoopback() })
		if i >= 0 {
			all = append(all, relay.Address{Bind: own[i].address, Advertise: public})
		}
	}
	return all
}

// listeners are further ports of a relay: UDP is its own, TCP and TLS come by a port without UDP.
type listeners struct {
	udp []netip.AddrPort
	tcp []*port.Port
}

// openListeners binds TCP, so that it is known which number UDP has to have, also where any would do.
func openListeners(flag string, listen []string, cfg port.Config) (l listeners, err error) {
	for _, at := range listen {
		cfg.Listen = at
		p, err := port.OpenTCP(cfg)
		if err != nil {
			l.close()
			return l, fmt.Errorf("%w; %s", err, portHint(flag, err))
		}
		l.tcp = append(l.tcp, p)
		l.udp = append(l.udp, p.Local())
	}
	return l, nil
}

// start gives all connections to the relay.
func (l *listeners) start(r *relay.Relay) {
	for _, p := range l.tcp {
		p.SetRelay(r)
		_ = p.HTTP().Close() // nobody serves it here
		p.Start()
	}
}

func (l *listeners) close() {
	for _, p := range l.tcp {
		_ = p.Close()
	}
}

// reportRelay tells what a STUN and TURN server has seen.
func reportRelay(s *obs.Samples, r *relay.Relay) {
	x := r.Stats()
	s.Gauge("turn_allocations", "Relayed addresses now, reserved ones among them.", float64(x.Turn.Allocations))
	s.Counter("turn_allocations_total", "Relayed addresses that there ever were.", float64(x.Turn.Allocated))
	for direction, traffic := range map[string]turn.Traffic{"to_peer": x.Turn.ToPeers, "to_client": x.Turn.ToClients} {
		s.Counter("turn_relayed_packets_total", "Datagrams relayed, by where to.", float64(traffic.Packets), "direction", direction)
		s.Counter("turn_relayed_bytes_total", "Bytes of their payloads.", float64(traffic.Bytes), "direction", direction)
	}
	for direction, bytes := range map[string]uint64{"to_peer": x.CarriedToPeers, "to_client": x.CarriedToClients} {
		s.Counter("turn_carried_bytes_total", "Bytes carried by TCP between clients and peers (RFC 6062), by where to.", float64(bytes), "direction", direction)
	}
	for code, count := range x.Turn.Refused {
		const help = "Error answers, by code; 401 and 438 are also the first step of those who then say who they are."
		s.Counter("turn_refusals_total", help, float64(count), "code", strconv.Itoa(int(code)))
	}
	s.Gauge("turn_client_connections", "Connections of clients to the STUN and TURN server now.", float64(x.Streams))
	s.Gauge("turn_peer_connections", "TCP connections between relayed addresses and peers now.", float64(x.Peers))
	counters(s, []counter{
		{"turn_received_datagrams_total", "Datagrams received by the relay's own sockets: from peers, and from clients that do not come by the one port.", x.Received},
		{"turn_received_bytes_total", "Bytes of these datagrams.", x.ReceivedBytes},
		{"turn_sent_datagrams_total", "Datagrams sent by the relay's own sockets.", x.Sent},
		{"turn_sent_bytes_total", "Bytes of these datagrams.", x.SentBytes},
		{"turn_sent_messages_total", "Messages in which they were sent: a run to one destination is one.", x.Messages},
		{"turn_send_full_datagrams_total", "Datagrams dropped because a socket's send buffer was full.", x.SendFull},
		{"turn_send_failed_datagrams_total", "Datagrams that the kernel refused to send.", x.SendFailed},
		{"turn_gso_fallbacks_total", "Runs that the kernel refused as one message.", x.GSOFallbacks},
		{"turn_refused_connections_total", "Connections of clients refused by a limit.", x.Refused},
		{"turn_faults_total", "Internal faults of the STUN and TURN server, each of which has cost a datagram.", x.Panics},
		{"turn_kernel_dropped_datagrams_total", "Datagrams that the kernel dropped because a receive buffer was full.", x.KernelDrops},
	})
	reportDropsOf(s, "relay", &x.Drops)
}
