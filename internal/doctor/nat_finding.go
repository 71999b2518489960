package doctor

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/natcheck"
	"github.com/parley-rtc/parley/internal/stun"
)

// NATFacts are what an examination of the NAT has brought, for programs. Where something is unknown, the finding says why.
type NATFacts struct {
	Name           string  `json:"name"`      // in plain words
	Mapping        string  `json:"mapping"`   // in those of RFC 4787
	Filtering      string  `json:"filtering"` // likewise
	PreservesPorts string  `json:"preservesPorts"`
	Hairpins       string  `json:"hairpins"`
	Calls          string  `json:"calls"`
	Local          string  `json:"local"`
	Mapped         string  `json:"mapped,omitempty"` // as the server sees it
	Server         string  `json:"server"`
	Other          string  `json:"other,omitempty"` // the server's other address
	RTT            float64 `json:"rttMs,omitempty"`
}

// facts are the result in words. tcp says that the server answers by TCP.
func (x *examination) facts(server netip.AddrPort, tcp bool) NATFacts {
	r := x.result
	f := NATFacts{
		Name: r.Name(), Mapping: r.Mapping.String(), Filtering: r.Filtering.String(), PreservesPorts: r.PreservesPorts.String(),
		Hairpins: r.Hairpins.String(), Calls: r.Calls(), Local: r.Local.String(), Server: server.String(),
		RTT: float64(r.RTT.Microseconds()) / 1000,
	}
	if tcp {
		f.Name = "UDP blocked"
	}
	if r.Mapped.IsValid() {
		f.Mapped = r.Mapped.String()
	}
	if r.Other.IsValid() {
		f.Other = r.Other.String()
	}
	return f
}

const areaNAT = "NAT"

// twoAddresses is where a server that can tell is to be had.
const twoAddresses = "ask one with two addresses: parley turn --alt-address SECOND-IP on a machine that has two, or coturn"

// findWay is what to do where nothing could be sent.
const findWay = "see that this machine has a way to the server (ip route get), and lets UDP out (nft list ruleset)"

// finding is the result for people.
func (x *examination) finding(server netip.AddrPort, tcp bool) Finding {
	r := x.result
	f := Finding{Area: areaNAT, Level: OK, Text: r.Name()}
	switch r.Fault {
	case natcheck.NoAnswer:
		return x.unanswered(server, tcp)
	case natcheck.Refused:
		f.Level, f.Text = Fault, fmt.Sprintf("%v refuses to tell what it sees of this machine (STUN error %d)", server, r.Code)
		f.Cause = "it answers Binding requests only by its own rules"
		f.Next = twoAddresses
		return f
	case natcheck.NoOther:
		f.Level, f.Cause = Warning, fmt.Sprintf("%v has one address only (no OTHER-ADDRESS): how others are treated cannot be told by it", server)
		f.Next = twoAddresses
	case natcheck.OtherSilent:
		f.Level, f.Cause = Warning, fmt.Sprintf("nothing comes from %v, which %v says to be its other address", r.Other, server)
		f.Next = "see that UDP reaches both addresses and both ports of the server; or " + twoAddresses
	case natcheck.NotChanged:
		f.Level, f.Cause = Warning, fmt.Sprintf("%v does not answer from another address when it is asked to (CHANGE-REQUEST)", server)
		f.Next = twoAddresses
	}
	f.More = describe(r)
	if r.Fault == natcheck.Complete && r.Name() == "symmetric" {
		f.Level = Note
		f.Next = "nothing for calls through a server; where participants send to each other, give them a TURN server"
	}
	return f
}

// describe tells the result in the words of RFC 4787, and what it means.
func describe(r natcheck.Result) []string {
	behaviour := []string{fmt.Sprintf("mapping %v", r.Mapping), fmt.Sprintf("filtering %v", r.Filtering)}
	if r.Mapping == natcheck.None {
		behaviour[0] = "no mapping"
	}
	switch r.PreservesPorts {
	case natcheck.Yes:
		behaviour = append(behaviour, "ports preserved")
	case natcheck.No:
		behaviour = append(behaviour, "ports changed")
	}
	switch r.Hairpins {
	case natcheck.Yes:
		behaviour = append(behaviour, "hairpinning")
	case natcheck.No:
		behaviour = append(behaviour, "no hairpinning")
	}
	seen := fmt.Sprintf("%v is seen as %v", r.Local, r.Mapped)
	if r.RTT > 0 {
		seen += fmt.Sprintf(", %v away", r.RTT.Round(10*time.Microsecond))
	}
	return []string{strings.Join(behaviour, ", "), seen, "calls: " + r.Calls()}
}

// unanswered is the finding where nothing came by UDP.
func (x *examination) unanswered(server netip.AddrPort, tcp bool) Finding {
	f := Finding{Area: areaNAT, Level: Fault, Text: fmt.Sprintf("no answer from %v by UDP", server)}
	switch {
	case tcp:
		f.Text = "UDP blocked"
		f.More = []string{"calls: " + x.result.Calls()}
		f.Cause = fmt.Sprintf("%v answers by TCP and not by UDP: a firewall lets no UDP through", server)
		f.Next = "let UDP out; until then media take TCP, which works and is worse"
	case x.failed != nil:
		f.Cause = x.failed.Error()
		f.Next = findWay
	default:
		f.Cause = "nor by TCP: there is no STUN server, or a firewall is between"
		f.Next = "try another server; one that answers by TCP too, as Parley does, tells a firewall from a dead server"
	}
	return f
}

// AnswersSTUN reports whether a STUN server answers by "udp" or "tcp" at an address.
func AnswersSTUN(ctx context.Context, network string, server netip.AddrPort) bool {
	ctx, cancel := context.WithTimeout(ctx, stunTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, server.String())
	if err != nil {
		return false
	}
	defer conn.Close()
	end, _ := ctx.Deadline()
	_ = conn.SetDeadline(end) // never fails on an open socket
	var id [stun.IDLen]byte
	_, _ = rand.Read(id[:]) // never fails
	w := stun.Begin(nil, stun.TypeOf(stun.Binding, stun.Request), id[:])
	w.Fingerprint()
	if _, err := conn.Write(w.Message()); err != nil {
		return false
	}
	b := make([]byte, datagram.MaxBytes)
	for n := 0; n < len(b); {
		more, err := conn.Read(b[n:])
		if err != nil {
			return false
		}
		n += more
		var m stun.Message
		if n >= stun.HeaderLen && m.Parse(b[:n]) == drop.None {
			return string(m.ID()) == string(id[:])
		}
	}
	return false
}
