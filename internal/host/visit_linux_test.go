package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	pionice "github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/rtp"
	"github.com/pion/stun/v4"
	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/wire"
)

// visit is one client.
type visit struct {
	*churn
	ctx    context.Context
	number int
	room   string
	socket *websocket.Conn
	conn   *net.UDPConn // of its newest PeerConnection
	id     uint64

	// how it differs from others
	dial    *http.Client                 // for its WebSocket; nil: the default one
	bridge  *bridge                      // its media goes by TCP; nil: by UDP
	arrived func(at time.Time, b []byte) // hears of each datagram that arrives; nil: nobody does
}

func (c *churn) visit(i int, s stage) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	v := &visit{churn: c, ctx: ctx, number: i, room: fmt.Sprint("room", i%7)}
	err := s.run(v)
	if v.socket != nil {
		_ = v.socket.CloseNow()
	}
	return err
}

// own is an address that no other visit has: a pair of addresses stays with its Transport until consent is late, so a port that
// somebody got again too soon would be refused.
func (v *visit) own() *net.UDPAddr {
	return &net.UDPAddr{IP: net.IPv4(127, 1, byte(v.number>>8), byte(v.number))}
}

func (v *visit) openTCP() error {
	conn, err := net.Dial("tcp", v.address.String())
	if err != nil {
		return err
	}
	return conn.Close()
}

func (v *visit) openSocket() error {
	var err error
	v.socket, _, err = websocket.Dial(v.ctx, fmt.Sprintf("ws://%s/v1/session", v.address), &websocket.DialOptions{HTTPClient: v.dial})
	if err == nil {
		v.socket.SetReadLimit(4 << 20) // joined has the chat of late
	}
	return err
}

// waitSocket says nothing until the server has enough of it.
func (v *visit) waitSocket() error {
	if err := v.openSocket(); err != nil {
		return err
	}
	for {
		if _, _, err := v.socket.Read(v.ctx); err != nil {
			if websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
				return fmt.Errorf("not refused: %w", err)
			}
			return nil
		}
	}
}

func (v *visit) halfMessage() error {
	if err := v.openSocket(); err != nil {
		return err
	}
	w, err := v.socket.Writer(v.ctx, websocket.MessageText)
	if err == nil {
		_, err = io.WriteString(w, `{"id":1,"type":"jo`)
	}
	return err
}

// ask sends a request and waits for its reply.
func (v *visit) ask(kind string, body any) (wire.Message, error) {
	v.id++
	if err := put(v.ctx, v.socket, v.id, kind, body); err != nil {
		return wire.Message{}, err
	}
	for {
		_, b, err := v.socket.Read(v.ctx)
		if err != nil {
			return wire.Message{}, fmt.Errorf("waiting for the reply to %s: %w", kind, err)
		}
		var m wire.Message
		switch err := json.Unmarshal(b, &m); {
		case err != nil:
			return m, err
		case m.Reply != v.id:
		case m.Type == wire.TypeError:
			return m, fmt.Errorf("%s: %s", kind, b)
		default:
			return m, nil
		}
	}
}

func (v *visit) joinAndCut() error {
	if err := v.openSocket(); err != nil {
		return err
	}
	_, err := v.ask(wire.TypeJoin, wire.Join{Protocol: wire.Protocol, Room: v.room})
	return err
}

func (v *visit) joinAndLeave() error {
	err := v.joinAndCut()
	if err == nil {
		_, err = v.ask(wire.TypeLeave, wire.Leave{})
	}
	return err
}

// offer joins and offers what pc has.
func (v *visit) offer(pc *webrtc.PeerConnection, o wire.Offer) (answer string, err error) {
	if err := v.joinAndCut(); err != nil {
		return "", err
	}
	if o.SDP, err = describe(pc); err != nil {
		return "", err
	}
	m, err := v.ask(wire.TypeOffer, o)
	if err != nil {
		return "", err
	}
	var a wire.Answer
	err = json.Unmarshal(m.Body, &a)
	if v.bridge != nil {
		a.SDP = v.bridge.through(a.SDP)
	}
	return a.SDP, err
}

func describe(pc *webrtc.PeerConnection) (string, error) {
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return "", err
	}
	return offer.SDP, pc.SetLocalDescription(offer)
}

// connection makes a PeerConnection on its own socket; kill takes the socket away first, so that nothing is said at the end.
func (v *visit) connection() (pc *webrtc.PeerConnection, kill func(), err error) {
	conn, err := net.ListenUDP("udp4", v.own())
	if err != nil {
		return nil, nil, err
	}
	v.conn = conn
	silent := &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}
	var socket net.PacketConn = conn
	if v.arrived != nil {
		if socket, err = newStamped(conn, v.arrived); err != nil {
			return nil, nil, errors.Join(err, conn.Close())
		}
	}
	mux := webrtc.NewICEUDPMux(silent.NewLogger("ice"), socket)
	s := webrtc.SettingEngine{LoggerFactory: silent}
	s.SetICEUDPMux(mux)
	s.SetIncludeLoopbackCandidate(true)
	s.SetICEMulticastDNSMode(pionice.MulticastDNSModeDisabled)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	pc, err = webrtc.NewAPI(webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, nil, errors.Join(err, mux.Close(), conn.Close())
	}
	return pc, func() {
		_ = conn.Close()
		_ = pc.GracefulClose()
		_ = mux.Close()
	}, nil
}

// with runs f with a PeerConnection that is killed afterwards.
func (v *visit) with(f func(pc *webrtc.PeerConnection) error) error {
	pc, kill, err := v.connection()
	if err != nil {
		return err
	}
	defer kill()
	return f(pc)
}

// connected applies an answer and waits until media can flow.
func (v *visit) connected(pc *webrtc.PeerConnection, answer string) error {
	up := make(chan struct{})
	var once sync.Once
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(up) })
		}
	})
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		return err
	}
	select {
	case <-up:
		return nil
	case <-v.ctx.Done():
		return fmt.Errorf("not connected: %v, ICE %v, DTLS %v", pc.ConnectionState(), pc.ICEConnectionState(), pc.SCTP().Transport().State())
	}
}

func (v *visit) offerAndCut() error {
	return v.with(func(pc *webrtc.PeerConnection) error {
		if _, err := pc.CreateDataChannel("parley", nil); err != nil {
			return err
		}
		_, err := v.offer(pc, wire.Offer{})
		return err
	})
}

// nominate does what an ICE agent would, once: one check that nominates its pair.
func (v *visit) nominate() (net.Conn, error) {
	var offer, answer string
	err := v.with(func(pc *webrtc.PeerConnection) (err error) {
		if _, err = pc.CreateDataChannel("parley", nil); err == nil {
			answer, err = v.offer(pc, wire.Offer{})
			offer = pc.LocalDescription().SDP
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	request, err := stun.Build(stun.BindingRequest, stun.TransactionID,
		stun.NewUsername(attribute(answer, "ice-ufrag")+":"+attribute(offer, "ice-ufrag")),
		stun.RawAttribute{Type: stun.AttrPriority, Value: []byte{110, 0, 0, 255}},
		stun.RawAttribute{Type: stun.AttrICEControlling, Value: []byte("12345678")},
		stun.RawAttribute{Type: stun.AttrUseCandidate},
		stun.NewShortTermIntegrity(attribute(answer, "ice-pwd")), stun.Fingerprint)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialUDP("udp4", v.own(), net.UDPAddrFromAddrPort(v.address))
	if err != nil {
		return nil, err
	}
	b := make([]byte, 1500)
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err = conn.Write(request.Raw); err == nil {
		_, err = conn.Read(b)
	}
	if err == nil && b[0] != 1 {
		err = fmt.Errorf("the check was answered by % x", b[:8])
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func attribute(description, name string) string {
	_, rest, _ := strings.Cut(description, "a="+name+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

func (v *visit) checkOnly() error {
	conn, err := v.nominate()
	if err != nil {
		return err
	}
	return conn.Close()
}

// shake sends so many flights of a DTLS handshake and vanishes.
func (v *visit) shake(flights int) error {
	conn, err := v.nominate()
	if err != nil {
		return err
	}
	defer conn.Close()
	cert, err := selfsign.GenerateSelfSigned()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(v.ctx)
	defer cancel()
	last := &lastFlight{Conn: conn, left: flights, over: cancel}
	client, err := dtls.ClientWithOptions(packets{last}, conn.RemoteAddr(), dtls.WithCertificates(cert), dtls.WithInsecureSkipVerify(true))
	if err != nil {
		return err
	}
	if client.HandshakeContext(ctx) == nil {
		err = errors.New("the handshake was finished")
	}
	return errors.Join(err, client.Close())
}

// lastFlight is a connection that swallows what follows some writes.
type lastFlight struct {
	net.Conn
	left int
	over func()
}

func (l *lastFlight) Write(b []byte) (int, error) {
	if l.left--; l.left == 0 {
		defer l.over()
	}
	if l.left < 0 {
		return len(b), nil
	}
	return l.Conn.Write(b)
}

// packets is a connected socket as a net.PacketConn.
type packets struct{ net.Conn }

func (p packets) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := p.Read(b)
	return n, p.RemoteAddr(), err
}

func (p packets) WriteTo(b []byte, _ net.Addr) (int, error) { return p.Write(b) }

func (v *visit) connectAndClose() error {
	pc, kill, err := v.connection()
	if err != nil {
		return err
	}
	defer kill()
	if _, err = pc.CreateDataChannel("parley", nil); err != nil {
		return err
	}
	answer, err := v.offer(pc, wire.Offer{})
	if err == nil {
		err = v.connected(pc, answer)
	}
	return errors.Join(err, pc.GracefulClose())
}

// publish sends some packets of Opus.
func (v *visit) publish(pc *webrtc.PeerConnection) error {
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "audio", "mic")
	if err != nil {
		return err
	}
	if _, err = pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}); err != nil {
		return err
	}
	answer, err := v.offer(pc, wire.Offer{Tracks: []wire.OfferTrack{{Mid: "0", Source: wire.SourceMicrophone}}})
	if err != nil {
		return err
	}
	if err := v.connected(pc, answer); err != nil {
		return err
	}
	for i := range 20 {
		h := rtp.Header{Version: 2, SequenceNumber: uint16(i), Timestamp: uint32(i * 960)}
		if err := track.WriteRTP(&rtp.Packet{Header: h, Payload: []byte{0x78, 1, 2}}); err != nil {
			return err
		}
	}
	return nil
}

func (v *visit) publishAndDie() error { return v.with(v.publish) }

func (v *visit) publishAndLeave() error {
	return v.with(func(pc *webrtc.PeerConnection) error {
		err := v.publish(pc)
		if err == nil {
			_, err = v.ask(wire.TypeLeave, wire.Leave{})
		}
		return err
	})
}

// subscribe offers a pair of slots, and connects.
func (v *visit) subscribe(pc *webrtc.PeerConnection) error {
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if _, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			return err
		}
	}
	answer, err := v.offer(pc, wire.Offer{Slots: []wire.OfferSlot{{Audio: "0", Video: "1"}}})
	if err == nil {
		err = v.connected(pc, answer)
	}
	return err
}

func (v *visit) subscribeAndDie() error { return v.with(v.subscribe) }

func (v *visit) whip() (location string, err error) {
	err = v.with(func(pc *webrtc.PeerConnection) error {
		if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}); err != nil {
			return err
		}
		offer, err := describe(pc)
		if err != nil {
			return err
		}
		location, err = v.call(http.MethodPost, "/whip/"+v.room, offer, http.StatusCreated)
		return err
	})
	return location, err
}

func (v *visit) call(method, path, body string, want int) (location string, err error) {
	r, err := http.NewRequestWithContext(v.ctx, method, fmt.Sprintf("http://%s%s", v.address, path), strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/sdp")
	answer, err := v.web.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	b, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != want {
		return "", fmt.Errorf("%s %s: %s %s", method, path, answer.Status, b)
	}
	return answer.Header.Get("Location"), nil
}

func (v *visit) whipOnly() error {
	_, err := v.whip()
	return err
}

func (v *visit) whipAndDelete() error {
	location, err := v.whip()
	if err == nil {
		_, err = v.call(http.MethodDelete, location, "", http.StatusOK)
	}
	return err
}
