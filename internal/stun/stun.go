// Package stun reads and writes STUN messages (RFC 8489), in place and in the caller's buffer. It knows no method's meaning: ice and turn do.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|0 0|     STUN Message Type     |         Message Length        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                   Magic Cookie 0x2112A442                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                Transaction ID (96 bits) …                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|         Type                  |   Length without padding      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|          Value, padded to four bytes …                        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
package stun

import "encoding/binary"

// HeaderLen is the length of a header, IDLen that of the transaction id with which it ends.
const (
	HeaderLen = 20
	IDLen     = 12

	magicCookie = 0x2112A442
	idAt        = HeaderLen - IDLen
)

// Type is a method and a class, as in the first two bytes of a message (RFC 8489 §5).
type Type uint16

// Class is what a message is to its method.
type Class uint16

// Classes, as bits of a Type.
const (
	Request    Class = 0x000
	Indication Class = 0x010
	Success    Class = 0x100
	Error      Class = 0x110

	classBits Type = 0x110
)

// Method is what a message is about, as bits of a Type.
type Method uint16

// Methods (RFC 8489 §18.2, RFC 8656 §17, RFC 6062 §6.1). None is above 15, where the bits of a method and of a class come apart.
const (
	Binding           Method = 0x001
	Allocate          Method = 0x003
	Refresh           Method = 0x004
	Send              Method = 0x006
	Data              Method = 0x007
	CreatePermission  Method = 0x008
	ChannelBind       Method = 0x009
	Connect           Method = 0x00A
	ConnectionBind    Method = 0x00B
	ConnectionAttempt Method = 0x00C
)

// TypeOf puts a Type together.
func TypeOf(m Method, c Class) Type { return Type(m) | Type(c) }

// Class returns the class.
func (t Type) Class() Class { return Class(t & classBits) }

// Method returns the method. One of more than four bits is returned as it is in the message, and is none of those above.
func (t Type) Method() Method { return Method(t &^ classBits) }

// Attr is the type of an attribute.
type Attr uint16

// Attributes (RFC 8489 §18.3, RFC 8656 §18, RFC 8445 §16.1, RFC 6062 §6.2, RFC 8016 §3.3, RFC 5780 §7).
const (
	MappedAddress           Attr = 0x0001
	ChangeRequest           Attr = 0x0003
	Username                Attr = 0x0006
	MessageIntegrity        Attr = 0x0008
	ErrorCode               Attr = 0x0009
	UnknownAttributes       Attr = 0x000A
	ChannelNumber           Attr = 0x000C
	Lifetime                Attr = 0x000D
	XORPeerAddress          Attr = 0x0012
	DataValue               Attr = 0x0013
	Realm                   Attr = 0x0014
	Nonce                   Attr = 0x0015
	XORRelayedAddress       Attr = 0x0016
	RequestedAddressFamily  Attr = 0x0017
	EvenPort                Attr = 0x0018
	RequestedTransport      Attr = 0x0019
	DontFragment            Attr = 0x001A
	MessageIntegritySHA256  Attr = 0x001C
	PasswordAlgorithm       Attr = 0x001D
	Userhash                Attr = 0x001E
	XORMappedAddress        Attr = 0x0020
	ReservationToken        Attr = 0x0022
	Priority                Attr = 0x0024
	UseCandidate            Attr = 0x0025
	Padding                 Attr = 0x0026
	ResponsePort            Attr = 0x0027
	ConnectionID            Attr = 0x002A
	AdditionalAddressFamily Attr = 0x8000
	AddressErrorCode        Attr = 0x8001
	PasswordAlgorithms      Attr = 0x8002
	ICMP                    Attr = 0x8004
	Software                Attr = 0x8022
	Fingerprint             Attr = 0x8028
	ICEControlled           Attr = 0x8029
	ICEControlling          Attr = 0x802A
	ResponseOrigin          Attr = 0x802B
	OtherAddress            Attr = 0x802C
	MobilityTicket          Attr = 0x8030
)

// Required reports whether who does not understand the attribute must refuse the message (RFC 8489 §14).
func (a Attr) Required() bool { return a < 0x8000 }

// Code is an error code.
type Code int

// Error codes (RFC 8489 §14.8, RFC 8656 §19, RFC 8445 §16.1, RFC 6062 §6.3, RFC 8016 §3.4).
const (
	BadRequest                 Code = 400
	Unauthenticated            Code = 401
	Forbidden                  Code = 403
	MobilityForbidden          Code = 405
	UnknownAttribute           Code = 420
	AllocationMismatch         Code = 437
	StaleNonce                 Code = 438
	FamilyNotSupported         Code = 440
	WrongCredentials           Code = 441
	UnsupportedTransport       Code = 442
	PeerFamilyMismatch         Code = 443
	ConnectionExists           Code = 446
	ConnectionTimeoutOrFailure Code = 447
	AllocationQuota            Code = 486
	RoleConflict               Code = 487
	InsufficientCapacity       Code = 508
)

// Address families, as in REQUESTED-ADDRESS-FAMILY and in addresses (RFC 8489 §14.1).
const (
	IPv4 = 0x01
	IPv6 = 0x02
)

const (
	attrHeaderLen  = 4
	sha1Len        = 20
	sha256Len      = 32
	fingerprintLen = attrHeaderLen + 4
	fingerprintXOR = 0x5354554e
)

// Is reports whether b begins like a STUN message with the magic cookie (RFC 8489 §5).
func Is(b []byte) bool {
	return len(b) >= HeaderLen && b[0] < 4 && binary.BigEndian.Uint32(b[4:]) == magicCookie
}

// TypeIn returns the type of a message for which Is holds.
func TypeIn(b []byte) Type { return Type(binary.BigEndian.Uint16(b)) }

// padded is n with what fills it up to four bytes.
func padded(n int) int { return (n + 3) &^ 3 }
