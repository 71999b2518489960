// Package turn is a STUN and TURN server without sockets or clock: bindings (RFC 8489), NAT behaviour discovery (RFC 5780), and
// allocations with permissions and channels (RFC 8656), over TCP (RFC 6062), and from changing addresses (RFC 8016).
//
// One Server belongs to one goroutine. Datagrams, times and the results of commands go in; what is to be sent and done is appended to an Out.
//
//	client ─ STUN request ──→ Handle ─→ Out.Clients (the answer), Out.Commands (sockets to open and close)
//	client ─ ChannelData ───→ Handle ─→ Out.Peers
//	peer   ─ datagram ──────→ FromPeer ─→ Out.Clients, as ChannelData or a Data indication
//	peer   ─ connects ──────→ Accepted ─→ Out.Clients, a ConnectionAttempt; then JoinConn
//
// ChannelData (RFC 8656 §12.4; over TCP and TLS padded to four bytes):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------------------------------+-------------------------------+
//	|  Channel Number 0x4000–0x7FFF |             Length            |
//	+-------------------------------+-------------------------------+
//	|                        Application Data                       |
//	+---------------------------------------------------------------+
package turn

import (
	"net/netip"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
)

// RelayID names a relayed address: the runtime's index of its socket. IDs are small and used again.
type RelayID int32

// ConnID names a TCP connection between a relayed address and a peer (CONNECTION-ID of RFC 6062 §4.3.1). It is never 0 and not used again.
type ConnID uint32

// Place is where a peer address leads.
type Place uint8

// Places.
const (
	Elsewhere Place = iota // into the network, by the relayed socket
	Relayed                // a live relayed address of this process: through memory, to the runtime's own socket table
	Media                  // a media candidate of this process: through memory, to the one port
	Own                    // another port of an own address: nowhere
)

// OwnAddresses tells about this process's own addresses. The runtime implements it; it is asked for each packet to an own address, and must not block.
type OwnAddresses interface {
	// IsOwn reports whether an address is one of this machine or one under which it is reached (advertised).
	IsOwn(netip.Addr) bool
	// PlaceOf tells what an address and port is: Elsewhere where the address is not own.
	PlaceOf(netip.AddrPort) Place
	// HasFamily reports whether there is an address, IPv6 or IPv4, for the relayed one of a client that has come to local. It may come and go.
	HasFamily(local netip.Addr, v6 bool) bool
}

// Credentials tells keys of users. auth implements it. It must not block.
type Credentials interface {
	// Key returns the long-term key of a username as it came (RFC 8489 §9.2.2): MD5, or SHA-256 where wanted, of user:realm:password, appended to
	// dst; where several secrets may have made the password, a key for each, one after the other. User is what quotas count by: of time-limited
	// names the part after the expiry, told apart from users of the same name. It reports false for whom it does not know, or whose time is over.
	Key(dst []byte, now time.Time, username []byte, sha256 bool) (key []byte, user string, ok bool)
	// Holds reports whether who has an allocation by a username may keep it, though the time of that may be over. It is asked for each request.
	Holds(now time.Time, username []byte) bool
}

// ToClient is a datagram to a client: Head, B and Tail, one after the other. Head and Tail are the Out's; B aliases the datagram it
// came in, or is empty.
type ToClient struct {
	Pair          datagram.Pair
	Head, B, Tail []byte
}

// ToPeer is a datagram that leaves a relayed address. B aliases the datagram it came in.
type ToPeer struct {
	Relay        RelayID
	Peer         netip.AddrPort
	Place        Place
	DontFragment bool // DONT-FRAGMENT of a Send indication (RFC 8656 §18.9)
	B            []byte
}

// Do is what a Command asks for.
type Do uint8

// Commands. The runtime carries each out before it gives the Server anything else, and answers those that say so.
const (
	OpenRelay   Do = iota + 1 // bind a relayed address; answered by Opened
	CloseRelay                // close it, with what waits on it
	Dial                      // connect from a relayed TCP address to Peer (RFC 6062 §5.2); answered by Dialed, at any later time
	JoinConn                  // carry bytes between client connection Pair and connection Conn once the answer is out (RFC 6062 §5.4): no more STUN on it
	CloseConn                 // close, or stop dialing, the connection Conn to a peer, with its client's
	CloseClient               // close the connection of Pair, where there is one: its client is elsewhere now (RFC 8016)
)

// Command asks the runtime to do something.
type Command struct {
	Do    Do
	Relay RelayID // CloseRelay, Dial
	Conn  ConnID  // Dial, JoinConn, CloseConn
	Pair  datagram.Pair
	Peer  netip.AddrPort
	Open  Open
}

// Open says what relayed address an allocation needs.
type Open struct {
	Token uint64 // to give back with Opened
	IPv6  bool
	TCP   bool
	Even  bool // an even port (EVEN-PORT), for UDP
	Next  bool // and the port above it reserved (RESERVATION-TOKEN): bind both, or try others
	// Local is the client's local address: on a machine with several, the relayed one of the same family is the same.
	Local netip.Addr
}

// Opened is the runtime's answer to OpenRelay. Where Err is set the address could not be had, and the client is told 508.
type Opened struct {
	Token    uint64
	Relay    RelayID        // of the socket
	Address  netip.AddrPort // as peers see it
	Reserved RelayID        // of the socket on the port above it, where Open.Next; what comes to it is dropped until it is an allocation's
	Failed   bool
}

// Dialed is the runtime's answer to Dial.
type Dialed struct {
	Conn   ConnID
	Failed bool // refused, unreachable, or no answer; the client is told 447
}

// Out is what a Server makes of its input. The caller owns it and empties it by Reset. Its bytes are valid until then.
type Out struct {
	Clients  []ToClient
	Peers    []ToPeer
	Commands []Command
	buf      []byte // chunks are never moved: a full one is left to those who alias it, and a new one begun
}

// keepOut is how many of a kind an Out keeps memory for, and keepBytes how many bytes of its own: what a peak has taken is given back.
const (
	keepOut   = 8192
	keepBytes = 1 << 20
)

// Reset empties o and keeps its memory.
func (o *Out) Reset() {
	o.Clients, o.Peers, o.Commands, o.buf = kept(o.Clients, keepOut), kept(o.Peers, keepOut), kept(o.Commands, keepOut), kept(o.buf, keepBytes)
}

// kept is s, empty, or nothing where it is too large.
func kept[T any](s []T, most int) []T {
	if cap(s) > most {
		return nil
	}
	return s[:0]
}

// Pending reports whether there is anything in o.
func (o *Out) Pending() bool { return len(o.Clients)+len(o.Peers)+len(o.Commands) > 0 }
