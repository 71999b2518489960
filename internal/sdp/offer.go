package sdp

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pion/sdp/v3"
)

const nextBundle = `create the RTCPeerConnection with bundlePolicy "max-bundle"`

// ParseOffer reads a client's offer. Errors are *Error.
func ParseOffer(text string) (*Offer, error) {
	desc, err := parse(text)
	if err != nil {
		return nil, err
	}
	bundle, err := bundleGroup(desc.Attributes)
	if err != nil {
		return nil, err
	}
	o := &Offer{Bundle: bundle, Sections: make([]Section, 0, len(desc.MediaDescriptions))}
	session, err := parseTransport(desc.Attributes, transport{})
	if err != nil {
		return nil, err
	}
	mixed := has(desc.Attributes, "extmap-allow-mixed")
	for _, m := range desc.MediaDescriptions {
		s, err := parseSection(m, mixed)
		if err != nil {
			return nil, err
		}
		o.Sections = append(o.Sections, s)
	}
	tagged := session
	if i := o.tagged(); i >= 0 {
		if tagged, err = parseTransport(desc.MediaDescriptions[i].Attributes, session); err != nil {
			return nil, withMid(err, o.Sections[i].Mid)
		}
	}
	o.ICE, o.Fingerprints, o.Setup = tagged.ice, tagged.fingerprints, tagged.setup
	o.ICE.Lite = has(desc.Attributes, "ice-lite")
	o.ICE2 = hasOption(desc.Attributes, "ice2")
	if err := o.check(); err != nil {
		return nil, err
	}
	return o, nil
}

// hasOption reports whether the session level names an ICE option (RFC 8839 §5.6).
func hasOption(attributes []sdp.Attribute, option string) bool {
	return slices.ContainsFunc(attributes, func(a sdp.Attribute) bool {
		return a.Key == "ice-options" && slices.Contains(strings.Fields(a.Value), option)
	})
}

// tagged is the index of the m-line whose transport the BUNDLE group uses (RFC 8843 §7.2): the first of the group that is
// not stopped; -1: none.
func (o *Offer) tagged() int {
	for _, mid := range o.Bundle {
		i := slices.IndexFunc(o.Sections, func(s Section) bool { return s.Mid == mid && !s.Rejected })
		if i >= 0 {
			return i
		}
	}
	return -1
}

// parse gives pion's view of a text without control characters.
func parse(text string) (*sdp.SessionDescription, error) {
	if len(text) > MaxBytes {
		return nil, refuse(fmt.Sprintf("%d bytes are more than %d", len(text), MaxBytes),
			"offer fewer m-lines, or fewer codecs with setCodecPreferences")
	}
	if !utf8.ValidString(text) {
		return nil, refuse("not UTF-8", "")
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && (r < ' ' || r == 0x7f) }) {
		return nil, refuse("control characters", "")
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if n := strings.Count(text, "\nm="); n > MaxSections {
		return nil, refuse(fmt.Sprintf("%d m-lines are more than %d", n, MaxSections), "reuse transceivers instead of adding new ones")
	}
	var desc sdp.SessionDescription
	if err := desc.UnmarshalString(text); err != nil {
		return nil, refuse("not SDP: "+syntax(err), "send RTCSessionDescription.sdp unchanged")
	}
	if len(desc.MediaDescriptions) == 0 {
		return nil, refuse("no m-line", "add a transceiver or a data channel before createOffer")
	}
	return &desc, nil
}

// syntax shortens the parser's error, which may quote the line.
func syntax(err error) string {
	text := err.Error()
	if len(text) > 120 {
		text = strings.ToValidUTF8(text[:120], "") + "…"
	}
	return text
}

// bundleGroup gives the mids of the first BUNDLE group (RFC 8843 §5): a client of ours has one transport only.
func bundleGroup(attributes []sdp.Attribute) ([]string, error) {
	for _, a := range attributes {
		if a.Key != "group" {
			continue
		}
		fields := strings.Fields(a.Value)
		if len(fields) == 0 || fields[0] != "BUNDLE" {
			continue
		}
		if len(fields)-1 > MaxSections {
			return nil, badLine(a.Key, a.Value)
		}
		return fields[1:], nil
	}
	return nil, nil
}

// transport is what an m-line, or the session level for all, says of ICE and DTLS.
type transport struct {
	ice          ICE
	fingerprints []Fingerprint
	setup        string
}

// parseTransport reads one level's attributes; what the level leaves out is inherited.
func parseTransport(attributes []sdp.Attribute, inherited transport) (transport, error) {
	t := inherited
	var own []Fingerprint
	for _, a := range attributes {
		switch a.Key {
		case "ice-ufrag":
			t.ice.Ufrag = a.Value
		case "ice-pwd":
			t.ice.Pwd = a.Value
		case "setup":
			t.setup = a.Value
		case "fingerprint":
			f, strong, err := parseFingerprint(a.Value)
			if err != nil {
				return t, err
			}
			if strong {
				own = append(own, f)
			}
			if len(own) > maxFingerprints {
				return t, refuse(fmt.Sprintf("more than %d fingerprints", maxFingerprints), "offer one certificate")
			}
		}
	}
	if own != nil {
		t.fingerprints = own
	}
	return t, nil
}

// hashBytes are the hashes strong enough to identify a certificate, with their lengths.
var hashBytes = map[string]int{"sha-256": 32, "sha-384": 48, "sha-512": 64}

// parseFingerprint reads a=fingerprint (RFC 8122 §5). A hash that is too weak, or unknown, is not an error: an offer may
// carry several, of which a strong one counts.
func parseFingerprint(value string) (f Fingerprint, strong bool, err error) {
	algorithm, hash, ok := strings.Cut(value, " ")
	algorithm = strings.ToLower(algorithm)
	hash = strings.ToUpper(strings.TrimSpace(hash))
	if !ok {
		return f, false, badLine("fingerprint", value)
	}
	size, strong := hashBytes[algorithm]
	if !strong {
		return f, false, nil
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(hash, ":", ""))
	if err != nil || len(raw) != size || len(hash) != 3*size-1 {
		return f, false, badLine("fingerprint", value)
	}
	return Fingerprint{Algorithm: algorithm, Value: hash}, true, nil
}

// check refuses an offer that Parley cannot serve as a whole.
func (o *Offer) check() error {
	if err := o.checkSections(); err != nil {
		return err
	}
	if !slices.ContainsFunc(o.Sections, func(s Section) bool { return !s.Rejected }) {
		return nil // everything is stopped: nothing needs a transport
	}
	if o.ICE.Lite {
		return refuse("the client is ICE-lite, and so is the server", "use a full ICE agent")
	}
	if !credential(o.ICE.Ufrag, minUfragBytes) || !credential(o.ICE.Pwd, minPwdBytes) {
		return refuse("no usable a=ice-ufrag and a=ice-pwd in the first m-line of the BUNDLE group", "")
	}
	if len(o.Fingerprints) == 0 {
		return refuse("no a=fingerprint with sha-256, sha-384 or sha-512: media is always encrypted with DTLS-SRTP",
			"offer DTLS; plain RTP and a=crypto are not accepted")
	}
	switch o.Setup {
	case "actpass", "active":
	case "":
		o.Setup = "active" // RFC 4145 §4: the default of an offer
	default:
		return refuse("a=setup:"+o.Setup+": the server only waits for the client's DTLS handshake", "offer a=setup:actpass")
	}
	return nil
}

// checkSections refuses what is inconsistent between m-lines.
func (o *Offer) checkSections() error {
	mids := map[string]bool{}
	uris := map[uint8]string{}
	ssrcs := map[uint32]bool{}
	for i := range o.Sections {
		s := &o.Sections[i]
		if s.Mid != "" && mids[s.Mid] {
			return &Error{Reason: "two m-lines have this a=mid", Mid: s.Mid}
		}
		mids[s.Mid] = true
		if s.Rejected {
			continue
		}
		if s.Mid == "" {
			return refuse("m-line "+strconv.Itoa(i)+" has no a=mid", nextBundle)
		}
		if !slices.Contains(o.Bundle, s.Mid) {
			return &Error{Reason: "it is not in the BUNDLE group: everything shares one transport", Next: nextBundle, Mid: s.Mid}
		}
		for _, e := range s.Extensions {
			// RFC 8843 §9.1: one id has one meaning in a BUNDLE group.
			if uri, ok := uris[e.ID]; ok && uri != e.URI {
				return &Error{Reason: fmt.Sprintf("a=extmap:%d means something else in another m-line", e.ID), Mid: s.Mid}
			}
			uris[e.ID] = e.URI
		}
		for ssrc := range s.ssrcs() {
			if ssrcs[ssrc] {
				return &Error{Reason: fmt.Sprintf("a=ssrc:%d belongs to another m-line", ssrc), Mid: s.Mid}
			}
			ssrcs[ssrc] = true
		}
	}
	return nil
}

// ssrcs iterates over all of a section's SSRCs, those of RTX too.
func (s *Section) ssrcs() func(yield func(uint32) bool) {
	return func(yield func(uint32) bool) {
		for _, ssrc := range s.SSRCs {
			if !yield(ssrc) {
				return
			}
			if rtx, ok := s.RTX[ssrc]; ok && !yield(rtx) {
				return
			}
		}
	}
}

// credential tells whether a user fragment or password has the length and the characters of RFC 8839 §5.4.
func credential(s string, least int) bool {
	return len(s) >= least && len(s) <= maxICEBytes && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '+' && r != '/'
	})
}

func has(attributes []sdp.Attribute, key string) bool {
	return slices.ContainsFunc(attributes, func(a sdp.Attribute) bool { return a.Key == key })
}

// withMid adds the m-line to an error of one of its lines.
func withMid(err error, mid string) error {
	if e, ok := err.(*Error); ok && e.Mid == "" {
		e.Mid = mid
	}
	return err
}
