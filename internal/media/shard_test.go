package media_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/big"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pionice "github.com/pion/ice/v4"
	"github.com/pion/rtp"
	"github.com/pion/stun/v4"
	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/ice"
	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/port"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/sim"
)

var serverAddress = netip.MustParseAddrPort("10.0.0.1:8443")

// node is shards on a simulated network, with a port in front of them.
type node struct {
	t           *testing.T
	network     *sim.Network
	port        *port.Port
	shards      media.Shards
	shard       *media.Shard // the first
	fingerprint sdp.Fingerprint
	clients     int
	next        media.TransportID
}

func newNode(t *testing.T, link sim.Link) *node {
	t.Helper()
	return newNodeOf(t, link, 1)
}

func newNodeOf(t *testing.T, link sim.Link, shards int) *node {
	t.Helper()
	return newNodeOn(t, sim.New(sim.Config{Seed: 1, Link: link}), shards)
}

func newNodeOn(t *testing.T, network *sim.Network, shards int) *node {
	t.Helper()
	n := &node{t: t, network: network}
	conn, err := n.network.Listen(serverAddress)
	if err != nil {
		t.Fatal(err)
	}
	n.port = port.New(port.Config{}, conn, nil)
	var cert tls.Certificate
	cert, n.fingerprint = certificate(t)
	n.shards = media.NewShards(shards, media.Config{
		Sender: n.port, Pairs: n.port.Pairs(), Recycle: n.port.Recycle, Certificate: cert, Log: slog.New(slog.DiscardHandler),
	})
	n.shard = n.shards[0]
	var owners []port.Owner
	for _, s := range n.shards {
		owners = append(owners, s)
	}
	n.port.Start(owners...)
	t.Cleanup(func() {
		n.shards.Close()
		if err := n.port.Close(); err != nil {
			t.Error(err)
		}
		n.network.Close()
	})
	return n
}

// ufrag is a user fragment of a Transport.
func ufrag(shard int, id media.TransportID) string {
	return fmt.Sprintf("%cserver%d", ice.ShardLetter(shard), id)
}

func certificate(t *testing.T) (tls.Certificate, sdp.Fingerprint) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		sdp.Fingerprint{Algorithm: "sha-256", Value: strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")}
}

// events is a Sink that a test reads.
type events chan media.Event

func (e events) Post(ev media.Event) bool {
	select {
	case e <- ev:
		return true
	default:
		return false
	}
}

// client is a pion PeerConnection and its Transport on the shard.
type client struct {
	*webrtc.PeerConnection
	id     media.TransportID
	shard  int
	events events
	open   media.OpenTransport
	answer *sdp.Answer
}

func (n *node) client() *client {
	n.t.Helper()
	n.clients++
	var s webrtc.SettingEngine
	s.SetICEMulticastDNSMode(pionice.MulticastDNSModeDisabled)
	s.SetNet(n.network.Net(netip.AddrFrom4([4]byte{10, 0, 1, byte(n.clients)})))
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = pc.GracefulClose() })
	n.next++
	return &client{PeerConnection: pc, id: n.next, events: make(events, 16)}
}

// connect offers, answers by role, and opens the Transport. change may spoil it.
func (n *node) connect(c *client, room media.RoomID, roles map[string]sdp.LocalSection, change func(*media.OpenTransport)) {
	n.t.Helper()
	offer, err := c.CreateOffer(nil)
	if err != nil {
		n.t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(c.PeerConnection)
	if err := c.SetLocalDescription(offer); err != nil {
		n.t.Fatal(err)
	}
	<-gathered
	parsed, err := sdp.ParseOffer(c.LocalDescription().SDP)
	if err != nil {
		n.t.Fatal(err)
	}
	local := sdp.ICE{Ufrag: ufrag(c.shard, c.id), Pwd: "0123456789012345678901ab", Lite: true}
	c.answer, err = parsed.Answer(&sdp.Local{
		ICE: local, Fingerprint: n.fingerprint, Setup: "passive", SessionID: uint64(c.id), Version: 1, SCTPPort: 5000, MaxMessage: 65536,
		Candidates: []sdp.Candidate{{Foundation: "1", Priority: 1, Address: "10.0.0.1", Port: 8443}},
		Sections:   roles,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	c.open = media.OpenTransport{
		Transport: c.id, Room: room, Identity: fmt.Sprintf("client%d", c.id), PublishData: true,
		Local: local, Remote: parsed.ICE, Fingerprints: parsed.Fingerprints, Events: c.events,
	}
	if change != nil {
		change(&c.open)
	}
	n.shards[c.shard].Do(c.open)
	n.shards[c.shard].Do(media.Negotiate{Transport: c.id, Sections: c.answer.Sections})
	if err := c.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: c.answer.SDP}); err != nil {
		n.t.Fatal(err)
	}
}

// counts are those of all shards, with what the port has dropped.
func (n *node) counts() media.Counts {
	n.t.Helper()
	c, err := n.shards.Counts(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	s := n.port.Stats()
	c.Drops.Merge(&s.Drops)
	return c
}

func (c *client) state(t *testing.T, want media.State) media.Event {
	t.Helper()
	select {
	case e := <-c.events:
		if e.State != want || e.Transport != c.id {
			t.Fatalf("%+v, want %v", e, want)
		}
		return e
	case <-time.After(time.Minute):
		t.Fatalf("no event; want %v", want)
	}
	return media.Event{}
}

// One publishes VP8 and Opus, another has a slot for each: what the one sends arrives at the other, with contiguous numbers and
// in the order of sending, over a link with delay and loss.
func TestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, sim.Link{Delay: 20 * time.Millisecond, Loss: 0.02})
		pub, sub := n.client(), n.client()
		video := track(t, pub, webrtc.MimeTypeVP8, "video")
		audio := track(t, pub, webrtc.MimeTypeOpus, "audio")
		n.connect(pub, 1, map[string]sdp.LocalSection{"0": {Role: sdp.RoleReceive}, "1": {Role: sdp.RoleReceive}}, nil)
		pub.state(t, media.Connected)
		n.shard.Do(media.Publish{Transport: pub.id, Mid: "0", Producer: 1})
		n.shard.Do(media.Publish{Transport: pub.id, Mid: "1", Producer: 2})

		got := received(t, sub)
		n.connect(sub, 1, map[string]sdp.LocalSection{
			"0": {Role: sdp.RoleSend, StreamID: "slot-0", TrackID: "v", CNAME: "pair-0", SSRC: 1000, RTXSSRC: 1001},
			"1": {Role: sdp.RoleSend, StreamID: "slot-0", TrackID: "a", CNAME: "pair-0", SSRC: 1002},
		}, nil)
		sub.state(t, media.Connected)
		n.shard.Do(media.Assign{Transport: sub.id, Mid: "0", Generation: 1, Producer: 1, Immediate: true})
		n.shard.Do(media.Assign{Transport: sub.id, Mid: "1", Generation: 1, Producer: 2})

		for i := range 200 {
			write(t, video, i, 90000/50, vp8(i))
			write(t, audio, i, 960, []byte{0x78, byte(i)})
			time.Sleep(20 * time.Millisecond)
		}
		for i := range trailing { // with which pion hands on what was repaired before
			time.Sleep(200 * time.Millisecond)
			write(t, video, 200+i, 90000/5, vp8(200+i))
		}
		for kind, want := range map[string]int{"video": 190, "audio": 170} { // audio waits 250 ms for nobody's answer, and loses 4 %
			got.check(t, kind, want, kind == "video")
		}
		c := n.counts()
		if c.Transports != 2 || c.Producers != 2 || c.Rooms != 1 || c.Handshakes != 0 || c.Panics != 0 {
			t.Errorf("counts %+v", c)
		}
		n.shard.Do(media.Unpublish{Producer: 1})
		n.shard.Do(media.CloseTransport{Transport: pub.id})
		n.shard.Do(media.CloseTransport{Transport: sub.id})
		if c := n.counts(); c.Transports != 0 || c.Producers != 0 || c.Rooms != 0 {
			t.Errorf("left behind: %+v", c)
		}
	})
}

func track(t *testing.T, c *client, mime, name string) *webrtc.TrackLocalStaticRTP {
	t.Helper()
	tr, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: mime}, name, "stream")
	if err != nil {
		t.Fatal(err)
	}
	x, err := c.AddTransceiverFromTrack(tr, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		t.Fatal(err)
	}
	go func() { // pion answers requests for repair only while somebody reads them
		for {
			if _, _, err := x.Sender().ReadRTCP(); err != nil {
				return
			}
		}
	}()
	return tr
}

func write(t *testing.T, tr *webrtc.TrackLocalStaticRTP, i int, step uint32, payload []byte) {
	t.Helper()
	h := rtp.Header{Version: 2, SequenceNumber: uint16(65500 + i), Timestamp: uint32(i) * step, Marker: true}
	if err := tr.WriteRTP(&rtp.Packet{Header: h, Payload: payload}); err != nil {
		t.Fatal(err)
	}
}

// vp8 is a frame of one packet: a key frame every 25.
func vp8(i int) []byte {
	b := []byte{0x90, 0x80, 0x80 | byte(i>>8), byte(i)}
	if i%25 == 0 {
		return append(b, 0x10, 2, 0, 0x9d, 1, 0x2a, 0x80, 2, 0x68, 1)
	}
	return append(b, 0x11, 2, 0, byte(i))
}

// arrivals are the numbers that a client has received, by kind of track.
type arrivals struct{ numbers map[string]chan uint16 }

func received(t *testing.T, c *client) arrivals {
	t.Helper()
	a := arrivals{map[string]chan uint16{"video": make(chan uint16, 1000), "audio": make(chan uint16, 1000)}}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if _, err := c.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			t.Fatal(err)
		}
	}
	c.OnTrack(func(tr *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			p, _, err := tr.ReadRTP()
			if err != nil {
				return
			}
			a.numbers[tr.Kind().String()] <- p.SequenceNumber
		}
	})
	return a
}

// trailing is the number of packets at the end of a stream that check leaves out: pion reads repairs only when another packet has come.
const trailing = 10

func (a arrivals) check(t *testing.T, kind string, atLeast int, contiguous bool) {
	t.Helper()
	seen := map[uint16]bool{}
	var first, last uint16
	for {
		select {
		case n := <-a.numbers[kind]:
			if len(seen) == 0 {
				first, last = n, n
			}
			if int16(n-last) > 0 {
				last = n
			}
			seen[n] = true
			continue
		default:
		}
		break
	}
	if len(seen) < atLeast {
		t.Errorf("%s: %d packets, want %d", kind, len(seen), atLeast)
	}
	var missing []uint16
	for i := first; contiguous && i != last-trailing; i++ {
		if !seen[i] {
			missing = append(missing, i)
		}
	}
	if len(missing) > 0 {
		t.Errorf("%s: %d packets between numbers %d and %d; missing %v", kind, len(seen), first, last, missing)
	}
}

// A data message goes to all others in the room, or to one, with its sender's name.
func TestDataMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, sim.Link{Delay: 20 * time.Millisecond})
		var channels [3]*webrtc.DataChannel
		inbox := make(chan string, 16)
		for i := range channels {
			c := n.client()
			d, err := c.CreateDataChannel("parley", nil)
			if err != nil {
				t.Fatal(err)
			}
			opened := make(chan struct{})
			d.OnOpen(func() { close(opened) })
			d.OnMessage(func(m webrtc.DataChannelMessage) { inbox <- fmt.Sprintf("%d %q", i+1, m.Data) })
			n.connect(c, 1, map[string]sdp.LocalSection{"0": {Role: sdp.RoleData}}, nil)
			c.state(t, media.Connected)
			<-opened
			channels[i] = d
		}
		for _, x := range []struct {
			message string
			want    []string
		}{
			{"\x01\x00all", []string{`2 "\x01\aclient1all"`, `3 "\x01\aclient1all"`}},
			{"\x00\x07client3one", []string{`3 "\x00\aclient1one"`}},
			{"\x00\x07nobody!", nil},
			{"\x00\xff", nil},
		} {
			if err := channels[0].Send([]byte(x.message)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			got := map[string]bool{}
			for len(inbox) > 0 {
				got[<-inbox] = true
			}
			if len(got) != len(x.want) {
				t.Errorf("%q: got %v, want %v", x.message, got, x.want)
			}
			for _, w := range x.want {
				if !got[w] {
					t.Errorf("%q: %q is missing in %v", x.message, w, got)
				}
			}
		}
		c := n.counts()
		if c.Data.Messages != 3 || c.Drops[drop.DataUnknownTo] != 1 || c.Drops[drop.DataMalformed] != 1 {
			t.Errorf("messages %d, drops %v", c.Data.Messages, c.Drops)
		}
	})
}

// A client whose certificate is not the offered one never gets keys, and its Transport fails.
func TestWrongFingerprintFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, sim.Link{})
		c := n.client()
		track(t, c, webrtc.MimeTypeVP8, "video")
		n.connect(c, 1, map[string]sdp.LocalSection{"0": {Role: sdp.RoleReceive}}, func(o *media.OpenTransport) {
			o.Fingerprints = []sdp.Fingerprint{n.fingerprint}
		})
		c.state(t, media.Failed)
		if got := n.counts(); got.Transports != 0 || got.Handshakes != 0 || got.Strangers != 1 || got.Unfinished != 0 {
			t.Errorf("left behind: %+v", got)
		}
	})
}

// A client that vanishes is told of as disconnected, then as failed (RFC 7675).
func TestConsentEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, sim.Link{})
		c := n.client()
		track(t, c, webrtc.MimeTypeVP8, "video")
		n.connect(c, 1, map[string]sdp.LocalSection{"0": {Role: sdp.RoleReceive}}, nil)
		c.state(t, media.Connected)
		start := time.Now()
		n.network.SetLinks(netip.MustParseAddr("10.0.1.1"), serverAddress.Addr(), sim.Link{Loss: 1})
		c.state(t, media.Disconnected)
		c.state(t, media.Failed)
		if took := time.Since(start); took < 25*time.Second || took > 31*time.Second {
			t.Errorf("failed after %v", took)
		}
		if got := n.counts(); got.Transports != 0 {
			t.Errorf("left behind: %+v", got)
		}
	})
}

// Rule: nothing is sent to a client whose consent is over, neither media nor DTLS with what it carries: no new data messages, and
// no repetition of those that are not acknowledged (RFC 7675 §5.1).
func TestNothingWithoutConsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			mu            sync.Mutex
			checked, sent time.Time
			late          int
		)
		gone := netip.MustParseAddr("10.0.1.2")
		n := newNodeOn(t, sim.New(sim.Config{Seed: 1, Watch: func(from, to netip.AddrPort, b []byte, delivered bool) {
			mu.Lock()
			defer mu.Unlock()
			switch now := time.Now(); {
			case from.Addr() == gone && b[0] == 0 && delivered:
				checked = now
			case to.Addr() == gone:
				sent = now
				if now.Sub(checked) >= ice.ConsentFor {
					late++
				}
			}
		}}), 1)
		var channels [2]*webrtc.DataChannel
		var clients [2]*client
		for i := range channels {
			c := n.client()
			d, err := c.CreateDataChannel("parley", nil)
			if err != nil {
				t.Fatal(err)
			}
			opened := make(chan struct{})
			d.OnOpen(func() { close(opened) })
			n.connect(c, 1, map[string]sdp.LocalSection{"0": {Role: sdp.RoleData}}, nil)
			c.state(t, media.Connected)
			<-opened
			channels[i], clients[i] = d, c
		}
		n.network.SetLink(gone, serverAddress.Addr(), sim.Link{Loss: 1})
		for range 280 {
			if err := channels[0].Send([]byte("\x00\x00hello")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		clients[1].state(t, media.Disconnected)
		mu.Lock()
		defer mu.Unlock()
		if late > 0 || sent.Sub(checked) < ice.ConsentFor/2 {
			t.Errorf("%d datagrams without consent; the last %v after the last check", late, sent.Sub(checked))
		}
	})
}

// Nothing but STUN is looked at from an address that no check has validated, and a shard that is closed refuses commands and
// fails what asks for a Transport.
func TestStrangersAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, sim.Link{})
		stranger, err := n.network.ListenPacket(netip.MustParseAddrPort("10.9.9.9:1000"))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{{22, 254, 253}, {128, 96, 0, 1}, {0, 1, 0, 0}} {
			if _, err := stranger.WriteToAddrPort(b, serverAddress); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		time.Sleep(time.Millisecond)
		c := n.counts()
		if c.Drops[drop.UnknownSource] != 2 || c.Drops[drop.UnknownUfrag] != 1 {
			t.Errorf("drops %v", c.Drops)
		}
		n.shards.Close()
		if n.shard.Do(media.Unpublish{Producer: 1}) {
			t.Error("a closed shard takes commands")
		}
		if _, err := n.shard.Counts(context.Background()); err == nil {
			t.Error("a closed shard answers")
		}
	})
}

// What was ordered before a datagram came is in force when it is read: the first check of a client that is as fast as can be
// finds its Transport, whatever else waits.
func TestCommandsComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, sim.Link{})
		const clients = 200
		for i := range clients {
			from := datagram.Pair{Local: serverAddress, Remote: netip.AddrPortFrom(netip.MustParseAddr("10.0.1.1"), uint16(1000+i))}
			local := ufrag(0, media.TransportID(i))
			n.shard.Do(media.OpenTransport{
				Transport: media.TransportID(i + 1), Room: 1, Local: sdp.ICE{Ufrag: local, Pwd: testPwd},
				Remote:       sdp.ICE{Ufrag: "client", Pwd: testPwd},
				Fingerprints: []sdp.Fingerprint{n.fingerprint}, Events: make(events, 16),
			})
			check := checkFor(t, local)
			b := datagram.NewBatch()
			b.Append(from, check)
			for !n.shard.Batch(b) { // the loop does not keep up with this loop
				time.Sleep(time.Millisecond)
			}
		}
		synctest.Wait()
		if c := n.counts(); c.Received != clients || c.Drops[drop.UnknownUfrag] != 0 {
			t.Errorf("%d received, %d for unknown transports", c.Received, c.Drops[drop.UnknownUfrag])
		}
	})
}

const testPwd = "0123456789012345678901ab"

// checkFor is an authentic check for the Transport with that ufrag.
func checkFor(t *testing.T, ufrag string, more ...stun.Setter) []byte {
	t.Helper()
	attributes := append([]stun.Setter{stun.BindingRequest, stun.TransactionID, stun.NewUsername(ufrag + ":client")}, more...)
	m, err := stun.Build(append(attributes, stun.NewShortTermIntegrity(testPwd), stun.Fingerprint)...)
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}
