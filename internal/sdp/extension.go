package sdp

// URIs of the header extensions that the server understands.
const (
	URIMid                  = "urn:ietf:params:rtp-hdrext:sdes:mid"
	URIRID                  = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
	URIRepairedRID          = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
	URIAbsSendTime          = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
	URITransportCC          = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
	URIAudioLevel           = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
	URIVideoOrientation     = "urn:3gpp:video-orientation"
	URIDependencyDescriptor = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
)

// field gives the place of an extension's id, nil for one that is not used in this role.
func (x *Extensions) field(uri string, kind Kind, role Role) *uint8 {
	switch uri {
	case URIMid:
		return &x.Mid
	case URIAbsSendTime:
		return &x.AbsSendTime
	case URITransportCC:
		return &x.TransportCC
	case URIAudioLevel:
		if kind == Audio {
			return &x.AudioLevel
		}
	case URIVideoOrientation:
		if kind == Video {
			return &x.VideoOrientation
		}
	case URIDependencyDescriptor:
		if kind == Video {
			return &x.DependencyDescriptor
		}
	}
	if role == RoleSend {
		return nil
	}
	// An inactive m-line keeps what a publisher needs: Chromium's later offers only repeat what was accepted before, so that
	// publishing again on this m-line with simulcast would fail outright.
	switch uri {
	case URIRID:
		return &x.RID
	case URIRepairedRID:
		return &x.RepairedRID
	}
	return nil
}

// acceptExtensions gives the ids of an m-line's extensions, and the lines that answer them.
func acceptExtensions(s *Section, role Role) (ids Extensions, lines []Extension) {
	for _, e := range s.Extensions {
		f := ids.field(e.URI, s.Kind, role)
		if f == nil || *f != 0 || !flows(e.Direction, role) {
			continue
		}
		// A descriptor with its template structure is longer than the 16 bytes of the one-byte form, and packets around it
		// use that form: without both in one stream (RFC 8285 §4.1.2, §6) the packet that begins a key frame could not be sent.
		if e.URI == URIDependencyDescriptor && !s.MixedHeaders {
			continue
		}
		*f = e.ID
		lines = append(lines, Extension{ID: e.ID, URI: e.URI, Direction: reverse(e.Direction)})
	}
	return ids, lines
}

// flows tells whether an extension that the offer limits to d is carried where the server has this role.
func flows(d Direction, role Role) bool {
	return !(d == RecvOnly && role == RoleReceive || d == SendOnly && role == RoleSend)
}

// reverse is a direction seen from the other side.
func reverse(d Direction) Direction {
	switch d {
	case SendOnly:
		return RecvOnly
	case RecvOnly:
		return SendOnly
	}
	return d
}
