// Package drop names every reason for which Parley discards a datagram or packet.
//
// A core answers wire input that it cannot use with a Reason, never with an error: it allocates nothing, and each owner's
// Counts become a metric. No reason is counted without a name, and nothing is discarded without a reason.
package drop

import (
	"fmt"
	"strings"
)

// Reason is why a datagram or packet was discarded. None means that it was not.
type Reason uint8

// Reasons. Their names are label values of parley_dropped_total and never change.
const (
	None Reason = iota

	// The port.
	Empty         // no bytes
	Oversized     // did not fit the receive buffer
	UnknownClass  // first byte is of no protocol (RFC 7983)
	UnknownSource // not STUN, and no ICE check has validated this address
	UnknownUfrag  // a check for no Transport
	InboxFull     // the owner did not keep up
	EgressFull    // the socket or TCP ring did not keep up
	PipeFull      // another shard of the room did not keep up

	// STUN and ICE.
	StunMalformed   // not a STUN message, or attributes out of bounds
	StunIntegrity   // MESSAGE-INTEGRITY missing or wrong
	StunFingerprint // FINGERPRINT wrong
	StunMethod      // a method or class that is not served
	StunUnasked     // an answer to nothing that was asked
	StunRole        // role conflict that a lite agent refuses
	PairTaken       // a pair that another Transport sends on
	PairLimit       // too many validated pairs on this node
	PairDetour      // by this process's own relay, while direct ways are still being tried

	// TURN.
	TurnMalformed    // ChannelData whose length is wrong, or a Send indication without peer or payload
	TurnNoAllocation // from a client, or at a relayed address, without an allocation
	TurnNoChannel    // on a channel that is not bound
	TurnNoPermission // to or from a peer for which there is no permission
	TurnForbidden    // to or from a peer that clients may not reach
	TurnFamily       // to a peer of a family for which the allocation has no address
	TurnRate         // more than the allocation or its user may relay
	TurnUnproven     // more requests from strangers at one source than are answered
	TurnLarge        // a request whose answer, to somebody who has proved nothing, would be more than 3 times as long
	TurnPending      // a request whose first copy is being carried out

	// DTLS and SCTP.
	DtlsQueueFull // the association did not keep up
	DtlsClosed    // no association any more
	DtlsMalformed // no record that a client sends
	DtlsEpoch     // not of the epoch that follows from the handshake: a flight of it that comes again
	DtlsReplay    // seen before, or too old
	DtlsAuth      // authentication failed
	DataNoChannel // the receiver has not opened the data channel
	DataQueueFull // the receiver of lossy data messages did not keep up
	DataSlow      // waited for a receiver that was too slow, and lost its reliable channel for that
	DataRate      // beyond the rate of the sender of lossy data messages
	DataMalformed // a data message without a valid header
	DataForbidden // the sender may not send data
	DataUnknownTo // addressed to nobody

	// SRTP.
	SrtpNoKeys  // media before DTLS has finished
	SrtpShort   // too short
	SrtpAuth    // authentication failed
	SrtpReplay  // seen before, or too old
	SrtpSources // too many SSRCs under one key

	// RTP and RTCP.
	RtpMalformed   // header or extensions out of bounds
	RtpUnknownSSRC // no m-line for this SSRC or MID
	RtpPayloadType // a payload type that was not negotiated
	RtpDuplicate   // retransmitted, but not missing any more
	RtpPadding     // padding only
	RtcpMalformed  // lengths out of bounds
	RtcpUnknown    // about a stream or a number that is not here
	RtcpTooOften   // more feedback than is read

	// Forwarding.
	Unpublished   // a stream that no publication uses
	SlotEmpty     // nobody's slot wants it
	NoKeyFrame    // waits for a key frame
	SlotSwitching // the subscriber has not yet blanked its slot
	CodecMismatch // the subscriber did not negotiate this codec
	TooLate       // older than what has been sent since the switch
	NackUnknown   // missing at the subscriber, but not in the cache
	NackTooOften  // missing at the subscriber, but sent again too often or too soon, or beyond what may be repaired
	Consent       // the subscriber's consent has expired
	NotLoudest    // others in the room are louder
	LayerLeftOut  // of a layer that the subscriber does not get at present
	Paused        // nothing is sent to this slot for now
	Paced         // waited too long for room on the subscriber's network, or another layer came before it left

	NumReasons // not a reason: the number of them
)

var names = [NumReasons]string{
	None:  "none",
	Empty: "empty", Oversized: "oversized", UnknownClass: "unknown_class", UnknownSource: "unknown_source",
	UnknownUfrag: "unknown_ufrag", InboxFull: "inbox_full", EgressFull: "egress_full", PipeFull: "pipe_full",
	StunMalformed: "stun_malformed", StunIntegrity: "stun_integrity", StunFingerprint: "stun_fingerprint",
	StunMethod: "stun_method", StunUnasked: "stun_unasked", StunRole: "stun_role", PairTaken: "pair_taken",
	PairLimit: "pair_limit", PairDetour: "pair_detour",
	TurnMalformed: "turn_malformed", TurnNoAllocation: "turn_no_allocation", TurnNoChannel: "turn_no_channel",
	TurnNoPermission: "turn_no_permission", TurnForbidden: "turn_forbidden", TurnFamily: "turn_family", TurnRate: "turn_rate",
	TurnUnproven: "turn_unproven", TurnLarge: "turn_large", TurnPending: "turn_pending",
	DtlsQueueFull: "dtls_queue_full", DtlsClosed: "dtls_closed", DtlsMalformed: "dtls_malformed",
	DtlsEpoch: "dtls_epoch", DtlsReplay: "dtls_replay", DtlsAuth: "dtls_auth",
	DataNoChannel: "data_no_channel", DataQueueFull: "data_queue_full", DataSlow: "data_slow", DataRate: "data_rate",
	DataMalformed: "data_malformed", DataForbidden: "data_forbidden", DataUnknownTo: "data_unknown_to",
	SrtpNoKeys: "srtp_no_keys", SrtpShort: "srtp_short", SrtpAuth: "srtp_auth", SrtpReplay: "srtp_replay",
	SrtpSources:  "srtp_sources",
	RtpMalformed: "rtp_malformed", RtpUnknownSSRC: "rtp_unknown_ssrc", RtpPayloadType: "rtp_payload_type",
	RtpDuplicate: "rtp_duplicate", RtpPadding: "rtp_padding", RtcpMalformed: "rtcp_malformed", RtcpUnknown: "rtcp_unknown",
	RtcpTooOften: "rtcp_too_often",
	Unpublished:  "unpublished", SlotEmpty: "slot_empty", NoKeyFrame: "no_key_frame", SlotSwitching: "slot_switching",
	CodecMismatch: "codec_mismatch", TooLate: "too_late", NackUnknown: "nack_unknown", NackTooOften: "nack_too_often",
	Consent: "consent", NotLoudest: "not_loudest", LayerLeftOut: "layer_left_out", Paused: "paused",
	Paced: "paced",
}

// String returns the reason's metric label.
func (r Reason) String() string {
	if r < NumReasons {
		return names[r]
	}
	return "invalid"
}

// Counts counts per reason. It belongs to one owner; others get copies.
type Counts [NumReasons]uint64

// Add counts one more for r. None is not counted.
func (c *Counts) Add(r Reason) {
	if r != None {
		c[r]++
	}
}

// Merge adds o to c.
func (c *Counts) Merge(o *Counts) {
	for i := range c {
		c[i] += o[i]
	}
}

// String lists the reasons that have occurred, with their counts.
func (c Counts) String() string {
	var all []string
	for r, n := range c {
		if n > 0 {
			all = append(all, fmt.Sprintf("%s %d", Reason(r), n))
		}
	}
	return strings.Join(all, ", ")
}
