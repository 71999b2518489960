package media_test

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/stun/v4"
	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/sim"
	"github.com/parley-rtc/parley/internal/srtp"
)

// onlyWhenAsked is a publisher whose key frames come only by request, after the first.
func onlyWhenAsked(t *testing.T, n *node, room media.RoomID) (stop func()) {
	t.Helper()
	pub := n.client()
	tr, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "v", "s")
	if err != nil {
		t.Fatal(err)
	}
	x, err := pub.AddTransceiverFromTrack(tr, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 100)
	go func() {
		for {
			packets, _, err := x.Sender().ReadRTCP()
			if err != nil {
				return
			}
			for _, p := range packets {
				if b, _ := p.Marshal(); b[1] == 206 {
					asked <- struct{}{}
				}
			}
		}
	}()
	n.connect(pub, room, map[string]sdp.LocalSection{"0": {Role: sdp.RoleReceive}}, nil)
	pub.state(t, media.Connected)
	n.shard.Do(media.Publish{Transport: pub.id, Mid: "0", Producer: 1})
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 1; ; i++ {
			k := i*25 + 1
			select {
			case <-asked:
				k = i * 25
			default:
			}
			if i == 1 {
				k = 25
			}
			write(t, tr, i, 3000, vp8(k))
			select {
			case <-time.After(33 * time.Millisecond):
			case <-end:
				return
			}
		}
	}()
	return func() { close(end); <-done }
}

// A subscriber whose slot is filled before its Transport can be sent to gets a key frame when it can.
func TestLateJoinerSees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, sim.Link{Delay: 20 * time.Millisecond})
		stop := onlyWhenAsked(t, n, 1)
		defer stop()
		time.Sleep(3 * time.Second)
		sub := n.client()
		got := received(t, sub)
		n.connect(sub, 1, map[string]sdp.LocalSection{
			"0": {Role: sdp.RoleSend, StreamID: "slot-0", TrackID: "v", CNAME: "pair-0", SSRC: 1000, RTXSSRC: 1001},
			"1": {Role: sdp.RoleSend, StreamID: "slot-0", TrackID: "a", CNAME: "pair-0", SSRC: 1002},
		}, nil)
		n.shard.Do(media.Assign{Transport: sub.id, Mid: "0", Generation: 1, Producer: 1, Immediate: true})
		sub.state(t, media.Connected)
		time.Sleep(10 * time.Second)
		if packets := len(got.numbers["video"]); packets < 270 {
			t.Errorf("%d packets in 10 s of 30 a second", packets)
		}
	})
}

// A client hears at once that the server has ended its Transport, also when all of the shard ends.
func TestFarewell(t *testing.T) {
	for name, end := range map[string]func(*node, *client){
		"Transport": func(n *node, c *client) { n.shard.Do(media.CloseTransport{Transport: c.id}) },
		"shard":     func(n *node, _ *client) { n.shards.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, sim.Link{})
				c := n.client()
				track(t, c, webrtc.MimeTypeVP8, "video")
				states := make(chan webrtc.PeerConnectionState, 32)
				c.OnConnectionStateChange(func(s webrtc.PeerConnectionState) { states <- s })
				n.connect(c, 1, map[string]sdp.LocalSection{"0": {Role: sdp.RoleReceive}}, nil)
				c.state(t, media.Connected)
				time.Sleep(time.Second)
				for len(states) > 0 {
					<-states
				}
				start := time.Now()
				end(n, c)
				select {
				case s := <-states:
					if took := time.Since(start); took > time.Second {
						t.Errorf("%v after %v", s, took)
					}
				case <-time.After(time.Minute):
					t.Error("nothing for a minute")
				}
			})
		})
	}
}

// Who has no data channels costs no goroutine once DTLS has its keys, and hears of the end all the same. Who has one costs two of ours.
func TestSilentAssociationsCostNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, sim.Link{Delay: 20 * time.Millisecond})
		silent, talks := n.client(), n.client()
		track(t, silent, webrtc.MimeTypeOpus, "audio")
		states := make(chan webrtc.PeerConnectionState, 32)
		silent.OnConnectionStateChange(func(s webrtc.PeerConnectionState) { states <- s })
		n.connect(silent, 1, map[string]sdp.LocalSection{"0": {Role: sdp.RoleReceive}}, nil)
		silent.state(t, media.Connected)
		time.Sleep(time.Second)
		if k := associations(); k > 0 {
			t.Errorf("%d goroutines", k)
		}
		if _, err := talks.CreateDataChannel("parley", nil); err != nil {
			t.Fatal(err)
		}
		n.connect(talks, 1, map[string]sdp.LocalSection{"0": {Role: sdp.RoleData}}, nil)
		talks.state(t, media.Connected)
		time.Sleep(time.Second)
		if k := associations(); k != 2 { // SCTP's packets are read, and channels accepted
			t.Errorf("%d goroutines with data channels", k)
		}
		for len(states) > 0 {
			<-states
		}
		n.shard.Do(media.CloseTransport{Transport: silent.id})
		select {
		case <-states:
		case <-time.After(time.Second):
			t.Error("nothing for a second")
		}
	})
}

// associations counts goroutines of DTLS associations, once nothing is under way at this moment.
func associations() (n int) {
	synctest.Wait()
	b := make([]byte, 1<<20)
	for g := range strings.SplitSeq(string(b[:runtime.Stack(b, true)]), "\n\n") {
		if strings.Contains(g, "internal/dtls.") {
			n++
		}
	}
	return n
}

// An address that another Transport sends to stays with it, be it on the same shard or another; who claims it gets it when the other
// has lost its consent.
func TestPairIsTaken(t *testing.T) {
	for shards := 1; shards <= 2; shards++ {
		t.Run(fmt.Sprint(shards), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { pairIsTaken(t, shards) })
		})
	}
}

func pairIsTaken(t *testing.T, shards int) {
	n := newNodeOf(t, sim.Link{}, shards)
	socket, err := n.network.ListenPacket(netip.MustParseAddrPort("10.7.7.7:1000"))
	if err != nil {
		t.Fatal(err)
	}
	const pwd = "0123456789012345678901ab"
	for i := 1; i <= 2; i++ {
		n.shards[i%shards].Do(media.OpenTransport{
			Transport: media.TransportID(i), Room: 1, Local: sdp.ICE{Ufrag: ufrag(i%shards, media.TransportID(i)), Pwd: pwd},
			Remote: sdp.ICE{Ufrag: "client34", Pwd: "abcdefghijabcdefghijabcd"}, Fingerprints: []sdp.Fingerprint{n.fingerprint}, Events: make(events, 9),
		})
	}
	check := func(i int) {
		m := stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.NewUsername(ufrag(i%shards, media.TransportID(i))+":client34"),
			stun.RawAttribute{Type: stun.AttrPriority, Value: []byte{0x7e, 0, 1, 0xff}}, stun.RawAttribute{Type: stun.AttrUseCandidate},
			stun.RawAttribute{Type: stun.AttrICEControlling, Value: make([]byte, 8)}, stun.NewShortTermIntegrity(pwd), stun.Fingerprint)
		if _, err := socket.WriteToAddrPort(m.Raw, serverAddress); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
	}
	owner := func() int {
		o, ok := n.port.Pairs().Owner(&datagram.Pair{Local: serverAddress, Remote: netip.MustParseAddrPort("10.7.7.7:1000")})
		if !ok {
			t.Error("nobody's pair")
		}
		return o
	}
	check(1)
	for range 10 {
		check(2)
	}
	if c := n.counts(); c.Drops[drop.PairTaken] != 10 || owner() != 1%shards {
		t.Errorf("refused %d times, owner %d", c.Drops[drop.PairTaken], owner())
	}
	for range 10 {
		check(2)
	}
	if c := n.counts(); c.Drops[drop.PairTaken] > 16 || owner() != 2%shards {
		t.Errorf("refused %d times, owner %d, although the first has no consent any more", c.Drops[drop.PairTaken], owner())
	}
}

// An address stays with a Transport for 15 s after anything has come from there that only its client can have sent, though that be no check; what anybody
// can make up keeps nothing.
func TestAddressIsOfWhomIsHeard(t *testing.T) {
	for name, x := range map[string]struct {
		last func(t *testing.T, c *dtls.Conn, socket net.PacketConn)
		kept bool
	}{
		"data": {func(t *testing.T, c *dtls.Conn, _ net.PacketConn) {
			if _, err := c.Write([]byte("of SCTP")); err != nil {
				t.Error(err)
			}
		}, true},
		"feedback": {func(t *testing.T, c *dtls.Conn, socket net.PacketConn) {
			state, _ := c.ConnectionState()
			material, err := state.ExportKeyingMaterial("EXTRACTOR-dtls_srtp", nil, srtp.AEADAES128GCM.MaterialLen())
			if err != nil {
				t.Fatal(err)
			}
			keys, _, err := srtp.KeysFromExporter(srtp.AEADAES128GCM, material)
			if err != nil {
				t.Fatal(err)
			}
			seal, err := srtp.NewContext(srtp.AEADAES128GCM, keys)
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 100)
			_, _ = socket.WriteTo(b[:seal.SealRTCP(b, []byte{0x80, 201, 0, 1, 0, 0, 0, 9})], net.UDPAddrFromAddrPort(serverAddress))
		}, true},
		"nothing authentic": {func(_ *testing.T, _ *dtls.Conn, socket net.PacketConn) {
			for _, head := range [][]byte{{23, 254, 253, 0, 1, 0, 0, 0, 0, 9, 9, 0, 47}, {22, 254, 253, 0, 0, 0, 0, 0, 0, 9, 9, 0, 47}, {0x80, 201, 0, 13}, {0x80, 96}} {
				_, _ = socket.WriteTo(append(head, make([]byte, 60-len(head))...), net.UDPAddrFromAddrPort(serverAddress))
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, sim.Link{Delay: 20 * time.Millisecond})
				c, socket := n.handshake(t, make(events, 9))
				time.Sleep(9 * time.Second)
				x.last(t, c, socket)
				time.Sleep(9 * time.Second)
				n.shard.Do(media.OpenTransport{
					Transport: 2, Room: 1, Local: sdp.ICE{Ufrag: ufrag(0, 2), Pwd: testPwd}, Remote: sdp.ICE{Ufrag: "client", Pwd: testPwd}, Events: make(events, 9),
				})
				_, _ = socket.WriteTo(checkFor(t, ufrag(0, 2)), net.UDPAddrFromAddrPort(serverAddress))
				time.Sleep(time.Second)
				if got := n.counts().Drops[drop.PairTaken] > 0; got != x.kept {
					t.Errorf("9 s later, without a check for 18: another one's check is refused: %v", got)
				}
			})
		})
	}
}

// Who sends checks, and nothing of DTLS or only the beginning of it, is over 30 s after the first check, however often it checks.
func TestHandshakeHasADeadline(t *testing.T) {
	for name, hello := range map[string]bool{"no ClientHello": false, "one, late": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, sim.Link{})
				socket, err := n.network.ListenPacket(netip.MustParseAddrPort("10.7.7.7:1000"))
				if err != nil {
					t.Fatal(err)
				}
				c := n.client()
				track(t, c, webrtc.MimeTypeVP8, "video")
				n.connect(c, 1, map[string]sdp.LocalSection{"0": {Role: sdp.RoleReceive}}, func(o *media.OpenTransport) {
					o.Local.Ufrag, o.Remote.Ufrag = ufrag(0, 77), "client" // not what the PeerConnection knows
				})
				send := func(b []byte) {
					if _, err := socket.WriteToAddrPort(b, serverAddress); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(9 * time.Second)
				start := time.Now()
				for len(c.events) == 0 && time.Since(start) < time.Minute {
					send(checkFor(t, ufrag(0, 77), stun.RawAttribute{Type: stun.AttrUseCandidate}))
					time.Sleep(500 * time.Millisecond)
					if hello && time.Since(start) > 29*time.Second {
						send([]byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
					}
				}
				took := time.Since(start)
				if e := c.state(t, media.Failed); took < 29*time.Second || took > 31*time.Second || !strings.Contains(e.Reason, "DTLS") {
					t.Errorf("after %v: %s", took, e.Reason)
				}
				if got := n.counts(); got.Transports != 0 || got.Handshakes != 0 || got.Unfinished != 1 {
					t.Errorf("left %+v", got)
				}
			})
		})
	}
}

// handshake connects a client that is no more than a socket: it checks once, and finishes the DTLS handshake of Transport 1.
func (n *node) handshake(t *testing.T, told events) (*dtls.Conn, net.PacketConn) {
	t.Helper()
	socket, err := n.network.ListenPacket(netip.MustParseAddrPort("10.7.7.7:1000"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	cert, fingerprint := certificate(t)
	n.shard.Do(media.OpenTransport{
		Transport: 1, Room: 1, Local: sdp.ICE{Ufrag: ufrag(0, 1), Pwd: testPwd}, Remote: sdp.ICE{Ufrag: "client", Pwd: testPwd},
		Fingerprints: []sdp.Fingerprint{fingerprint}, Events: told,
	})
	if _, err := socket.WriteToAddrPort(checkFor(t, ufrag(0, 1)), serverAddress); err != nil {
		t.Fatal(err)
	}
	if _, _, err := socket.ReadFrom(make([]byte, 1500)); err != nil { // the answer to the check
		t.Fatal(err)
	}
	c, err := dtls.ClientWithOptions(socket, net.UDPAddrFromAddrPort(serverAddress), dtls.WithInsecureSkipVerify(true), dtls.WithCertificates(cert),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret), dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c, socket
}

// A client is sent to once it has finished its DTLS handshake, on that pair, though it nominates none: Chromium does so up to 900 ms later.
func TestConnectedBeforeNomination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, sim.Link{Delay: 20 * time.Millisecond})
		told := make(events, 9)
		n.handshake(t, told)
		select {
		case e := <-told:
			if e.State != media.Connected {
				t.Errorf("%+v", e)
			}
		case <-time.After(100 * time.Millisecond):
			t.Error("not connected")
		}
	})
}

// A network that carries nothing for five seconds in the middle of the handshake delays it, and ends nothing.
func TestHandshakeOutlivesLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := sim.Link{Delay: 200 * time.Millisecond}
		n := newNode(t, link)
		c := n.client()
		track(t, c, webrtc.MimeTypeVP8, "video")
		n.connect(c, 1, map[string]sdp.LocalSection{"0": {Role: sdp.RoleReceive}}, nil)
		for n.counts().Handshakes == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		client := netip.MustParseAddr("10.0.1.1")
		n.network.SetLinks(client, serverAddress.Addr(), sim.Link{Loss: 1})
		time.Sleep(5 * time.Second)
		if got := n.counts(); got.Handshakes != 1 || len(c.events) > 0 {
			t.Fatalf("%d handshakes, %d events: nothing was lost that mattered", got.Handshakes, len(c.events))
		}
		n.network.SetLinks(client, serverAddress.Addr(), link)
		c.state(t, media.Connected)
		if got := n.counts(); got.Handshakes != 0 {
			t.Errorf("%d handshakes", got.Handshakes)
		}
	})
}

// A fault while a command is carried out ends nothing but what it is about.
func TestFaultInCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, sim.Link{})
		c := n.client()
		track(t, c, webrtc.MimeTypeVP8, "video")
		n.connect(c, 1, map[string]sdp.LocalSection{"0": {Role: sdp.RoleReceive}}, nil)
		c.state(t, media.Connected)
		n.shard.Do(media.OpenTransport{Transport: 99, Room: 1, Local: sdp.ICE{Ufrag: "x"}}) // refused, and nobody to tell
		if got := n.counts(); got.Panics != 1 || got.Transports != 1 {
			t.Errorf("counts %+v", got)
		}
	})
}

// Transports are limited; the one beyond fails at once.
func TestTransportLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, sim.Link{})
		told := make(events, 1)
		for i := range 4096 + 1 {
			spec := media.OpenTransport{
				Transport: media.TransportID(i + 1), Room: 1, Local: sdp.ICE{Ufrag: ufrag(0, media.TransportID(i)), Pwd: "0123456789012345678901ab"},
				Remote: sdp.ICE{Ufrag: "client34", Pwd: "abcdefghijabcdefghijabcd"}, Fingerprints: []sdp.Fingerprint{n.fingerprint}, Events: make(events, 1),
			}
			if i == 4096 {
				spec.Events = told
			}
			n.shard.Do(spec)
			synctest.Wait()
		}
		if e := <-told; e.State != media.Failed {
			t.Errorf("got %v", e.State)
		}
	})
}

// What waits for the loop is limited, in number and in bytes: while the loop is held up, everything beyond is refused. Strangers have a
// part of the room for themselves: whoever comes in while the others' packets wait is heard, and takes no room from them.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, sim.Link{})
		hold := make(chan struct{})
		n.shard.Do(media.OpenTransport{
			Transport: 1, Room: 1, Local: sdp.ICE{Ufrag: "x"}, Remote: sdp.ICE{Ufrag: "client34"}, Events: blocking(hold),
		})
		synctest.Wait()
		taken := 0
		for n.shard.Do(media.Unpublish{Producer: 1}) {
			taken++
		}
		batches, strangers := fill(n.shard.Batch), fill(n.shard.Strangers)
		close(hold)
		synctest.Wait()
		if again := [2]int{fill(n.shard.Batch), fill(n.shard.Strangers)}; again[0] < batches || again[1] < strangers {
			t.Errorf("afterwards there is room for %v batches", again)
		}
		if taken != 16384 || strangers != 64 || batches != 256 {
			t.Errorf("%d commands, %d batches and %d of strangers were taken", taken, batches, strangers)
		}
	})
}

// fill gives batches until one is refused.
func fill(give func(*datagram.Batch) bool) (n int) {
	for give(datagram.NewBatch()) {
		n++
	}
	return n
}

// blocking is a Sink that holds the loop up.
type blocking chan struct{}

func (b blocking) Post(media.Event) bool { <-b; return true }
