package scenario

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/stun/v4"

	"github.com/parley-rtc/parley/internal/sim"
	"github.com/parley-rtc/parley/wire"
)

// Crowd posts one offer again and again, over WHIP. Nobody acts on the answers unless told to.
type Crowd struct {
	// static after construction
	plan  *Plan
	offer string
	cert  tls.Certificate
}

// Refusal is how an offer was refused; zero: it was not.
type Refusal struct {
	Status int
	Code   wire.Code
}

// Crowd returns one whose offer has a browser's m-lines and a certificate of its own.
func (p *Plan) Crowd() *Crowd {
	p.Helper()
	b, err := os.ReadFile("../sdp/testdata/chromium-publish.offer.sdp")
	if err != nil {
		p.Fatal(err)
	}
	cert, fingerprint := certificate(p.T)
	old := attribute(string(b), "fingerprint")
	return &Crowd{p, strings.ReplaceAll(string(b), old, fingerprint.Algorithm+" "+fingerprint.Value), cert}
}

// attribute returns the value of the first one of that name.
func attribute(description, name string) string {
	_, rest, _ := strings.Cut(description, "a="+name+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// Post offers from a source, which is not known where it is zero. A refusal must say when to try again.
func (c *Crowd) Post(source netip.Addr, room string) (answer string, refused Refusal) {
	c.plan.Helper()
	r := httptest.NewRequest(http.MethodPost, "/whip/"+room, strings.NewReader(c.offer))
	r.RemoteAddr = netip.AddrPortFrom(source, 1000).String()
	r.Header.Set("Content-Type", "application/sdp")
	a := httptest.NewRecorder()
	c.plan.whip.ServeHTTP(a, r)
	if a.Code == http.StatusCreated {
		return a.Body.String(), Refusal{}
	}
	refused.Status = a.Code
	var problem struct{ Code wire.Code }
	seconds, _ := strconv.Atoi(a.Header().Get("Retry-After"))
	if json.Unmarshal(a.Body.Bytes(), &problem) != nil || seconds == 0 {
		c.plan.Errorf("%d after %d s: %s", a.Code, seconds, a.Body)
	}
	refused.Code = problem.Code
	return "", refused
}

// Fill offers n times from a source, each of which must be answered. It returns the answers.
func (c *Crowd) Fill(source netip.Addr, n int) (answers []string) {
	c.plan.Helper()
	for i := range n {
		answer, refused := c.Post(source, "room"+strconv.Itoa(i%64))
		if refused != (Refusal{}) {
			c.plan.Fatalf("offer %d of %d from %v: %+v", i, n, source, refused)
		}
		answers = append(answers, answer)
	}
	return answers
}

// Refused offers once, which must be refused in that way, and nobody may have joined by it.
func (c *Crowd) Refused(source netip.Addr, room string, want Refusal) {
	c.plan.Helper()
	c.plan.Pass(0) // until rooms have counted
	before := c.plan.rooms.Stats()
	if _, got := c.Post(source, room); got != want {
		c.plan.Errorf("%s from %v: %+v, want %+v", room, source, got, want)
	}
	c.plan.Pass(0)
	if after := c.plan.rooms.Stats(); after.Rooms != before.Rooms || after.Participants != before.Participants {
		c.plan.Errorf("%s: before %+v, after %+v", room, before, after)
	}
}

// Offer sends the offer over a client's socket and returns the reply.
func (c *Crowd) Offer(client *Client) wire.Message {
	c.plan.Helper()
	return client.request(wire.TypeOffer, wire.Offer{SDP: c.offer})
}

// Check does what an ICE agent does first.
func (c *Crowd) Check(answer string) {
	c.plan.Helper()
	_ = c.check(answer).Close()
}

func (c *Crowd) check(answer string) *sim.PacketConn {
	c.plan.Helper()
	request := stun.MustBuild(stun.BindingRequest, stun.TransactionID,
		stun.NewUsername(attribute(answer, "ice-ufrag")+":"+attribute(c.offer, "ice-ufrag")),
		stun.RawAttribute{Type: stun.AttrPriority, Value: []byte{110, 0, 0, 255}}, stun.RawAttribute{Type: stun.AttrUseCandidate},
		stun.RawAttribute{Type: stun.AttrICEControlling, Value: []byte("12345678")},
		stun.NewShortTermIntegrity(attribute(answer, "ice-pwd")), stun.Fingerprint)
	socket, err := c.plan.network.ListenPacket(netip.AddrPortFrom(c.plan.address(40), 1000))
	if err == nil {
		_, err = socket.WriteToAddrPort(request.Raw, server)
	}
	b := make([]byte, 1500)
	if err == nil {
		_ = socket.SetReadDeadline(time.Now().Add(time.Second))
		_, _, err = socket.ReadFromAddrPort(b)
		_ = socket.SetReadDeadline(time.Time{})
	}
	if err != nil || b[0] != 1 || b[1] != 1 {
		c.plan.Fatalf("a check is answered by %x, %v", b[:2], err)
	}
	return socket
}

// Handshake does all of it, until there are keys; the client is then not heard of any more.
func (c *Crowd) Handshake(answer string) {
	c.plan.Helper()
	socket := c.check(answer)
	conn, err := dtls.ClientWithOptions(socket, net.UDPAddrFromAddrPort(server), dtls.WithCertificates(c.cert),
		dtls.WithInsecureSkipVerify(true), dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM))
	if err == nil {
		err = conn.HandshakeContext(context.Background())
	}
	_ = socket.Close() // before the conn could say goodbye
	if err != nil {
		c.plan.Fatal(err)
	}
	_ = conn.Close()
}
