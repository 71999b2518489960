// Package relay is the sockets around turn: the listeners of STUN and TURN, a socket for each relayed address, the connections of clients over
// TCP and TLS, which the port accepts, their DTLS associations, and connections to peers (RFC 6062).
//
// One loop owns the turn.Server and all UDP sockets. It waits in epoll and reads many datagrams at once into buffers of its own, where they stay
// until they have been sent; nothing is copied:
//
//	listener ─ recvmmsg ─→ turn.Handle ──→ Out.Peers ──→ per relayed socket: runs to one peer as one message ─ sendmmsg ─→
//	relayed  ─ recvmmsg ─→ turn.FromPeer ─→ Out.Clients ─→ per listener: runs to one client as one message ─ sendmmsg ─→
//
// A message is gathered from where its parts are: header by turn, payload as received, padding. With receive offload a burst is one read, with
// segmentation offload one write.
//
// A connection of a client, or a DTLS association, has a goroutine that reads and decrypts, and one that encrypts and writes, so that other cores do
// that. The reader hands its buffer to the loop and waits until the loop has done with it, which is its back-pressure. What leaves for a
// connection is copied into a bounded ring, which drops the oldest payload of peers when it is full.
package relay

import (
	"crypto/tls"
	"log/slog"
	"net/netip"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/turn"
)

// Config of a relay.
type Config struct {
	// Turn is the core's configuration, but for Own, which is the relay's.
	Turn turn.Config
	// UDP is what is listened on, beside the one port. Port 0 is any. Connections over TCP and TLS come by Serve.
	UDP []netip.AddrPort
	// DTLS is where clients by DTLS come, over UDP as well.
	DTLS []netip.AddrPort
	// Certificate returns the configuration of TLS for the next DTLS association.
	Certificate func() *tls.Config
	// Relays are the addresses that allocations are made on. Where there is none of a family, it is the address that the client has come to.
	Relays []Address
	// FirstPort and LastPort are the range of relayed ports; 0 means the defaults of limits.go.
	FirstPort, LastPort uint16
	// Own are addresses of this machine that its interfaces do not have: those under which a router makes it reachable.
	Own []netip.Addr
	// Port is the one port, for clients that come by it and for packets to this process's own media; nil: there is none.
	Port Port
	// Media reports whether an address is one that this process's media are at. Nil: none is. It must not block.
	Media func(netip.AddrPort) bool
	// Exempt are sources without limits of their own. Loopback always is one.
	Exempt []netip.Prefix
	// Log hears of what goes wrong with sockets; nil: nobody does.
	Log *slog.Logger
}

// Address is one that relayed sockets are bound to.
type Address struct {
	Bind netip.Addr
	// Advertise is what peers see instead, where a router translates addresses one to one; else it is invalid.
	Advertise netip.Addr
}

// Port is what the relay needs of the one port. Its methods never block, and any goroutine may call them.
type Port interface {
	// Send sends runs to clients that have come by the port.
	Send(*datagram.Egress)
	// Recycle takes a batch back that Batch has been given.
	Recycle(*datagram.Batch)
	// Take returns an empty batch, and Give hands it over as if the port had received it.
	Take() *datagram.Batch
	Give(*datagram.Batch)
}

// Stats is what a relay has seen.
type Stats struct {
	// Turn is what the core has done.
	Turn turn.Stats
	// Drops are datagrams that were discarded, by reason.
	Drops drop.Counts
	// Received and Sent are datagrams by UDP; Messages carried what was sent: Sent/Messages is the mean length of a run.
	Received, ReceivedBytes, Sent, SentBytes, Messages uint64
	// Joined are those of them that were not the first of their message. Rests is how often the loop waited for more before it sent.
	Joined, Rests uint64
	// SendFull were dropped because a socket's buffer was full, SendFailed because the kernel refused them.
	SendFull, SendFailed uint64
	// GSOFallbacks counts runs that the kernel refused as one message and that were then sent one by one.
	GSOFallbacks uint64
	// KernelDrops is how many datagrams the kernel dropped because a receive buffer was full.
	KernelDrops uint64
	// Turns of the loop, and Waits: turns before which it had nothing to do.
	Turns, Waits uint64
	// Relays are relayed addresses now, Streams connections of clients, Peers connections to peers (RFC 6062).
	Relays, Streams, Peers int
	// CarriedToPeers and CarriedToClients are bytes on connections that are joined with those to peers.
	CarriedToPeers, CarriedToClients uint64
	// Panics are broken invariants, each of which has cost a datagram.
	Panics uint64
	// Refused connections by a limit.
	Refused uint64
}
