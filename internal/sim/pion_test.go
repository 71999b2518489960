package sim_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/internal/sim"
)

// engine returns settings of a pion client on the simulated network.
func engine() webrtc.SettingEngine {
	var s webrtc.SettingEngine
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetIncludeLoopbackCandidate(true)
	return s
}

// pion clients run on the network, with its Net or with a muxed PacketConn: over 80 ms and 5 % loss two of them connect and
// exchange a data message in virtual time.
func TestPionClients(t *testing.T) {
	for _, c := range []struct {
		name   string
		attach func(*testing.T, *sim.Network, *webrtc.SettingEngine, netip.Addr) (stop func())
	}{
		{"net", func(_ *testing.T, n *sim.Network, s *webrtc.SettingEngine, a netip.Addr) func() {
			s.SetNet(n.Net(a))
			return func() {}
		}},
		{"mux", func(t *testing.T, n *sim.Network, s *webrtc.SettingEngine, a netip.Addr) func() {
			conn, err := n.ListenPacket(netip.AddrPortFrom(a, 6000))
			if err != nil {
				t.Fatal(err)
			}
			mux := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: conn, Net: n.Net(a)})
			s.SetNet(n.Net(a))
			s.SetICEUDPMux(mux)
			return func() { _ = mux.Close() }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := sim.New(sim.Config{Seed: 3, Link: sim.Link{Delay: 80 * time.Millisecond, Loss: 0.05}})
				defer n.Close()
				one, two := engine(), engine()
				defer c.attach(t, n, &one, addrA)()
				defer c.attach(t, n, &two, addrB)()
				a, b := client(t, one), client(t, two)
				defer a.GracefulClose()
				defer b.GracefulClose()
				got := make(chan string, 1)
				b.OnDataChannel(func(d *webrtc.DataChannel) {
					d.OnMessage(func(m webrtc.DataChannelMessage) { got <- string(m.Data) })
				})
				d, err := a.CreateDataChannel("parley", nil)
				if err != nil {
					t.Fatal(err)
				}
				d.OnOpen(func() { _ = d.SendText("hello") })
				start := time.Now()
				negotiate(t, a, b)
				select {
				case m := <-got:
					if took := time.Since(start); m != "hello" || took < 400*time.Millisecond {
						t.Errorf("%q after %v: the delay does not count", m, took)
					}
				case <-time.After(time.Minute):
					t.Errorf("no message; %+v", n.Stats())
				}
			})
		})
	}
}

func client(t *testing.T, s webrtc.SettingEngine) *webrtc.PeerConnection {
	t.Helper()
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	return pc
}

// negotiate exchanges complete descriptions.
func negotiate(t *testing.T, a, b *webrtc.PeerConnection) {
	t.Helper()
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	offer, err := a.CreateOffer(nil)
	check(err)
	gathered := webrtc.GatheringCompletePromise(a)
	check(a.SetLocalDescription(offer))
	<-gathered
	check(b.SetRemoteDescription(*a.LocalDescription()))
	answer, err := b.CreateAnswer(nil)
	check(err)
	gathered = webrtc.GatheringCompletePromise(b)
	check(b.SetLocalDescription(answer))
	<-gathered
	check(a.SetRemoteDescription(*b.LocalDescription()))
}
