package sdp

import (
	"os"
	"testing"

	"github.com/pion/webrtc/v4"
)

// pionClient is a client without a network: it negotiates and never connects.
func pionClient(t *testing.T) *webrtc.PeerConnection {
	t.Helper()
	var media webrtc.MediaEngine
	if err := media.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	var setting webrtc.SettingEngine
	setting.SetInterfaceFilter(func(string) bool { return false })
	api := webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithSettingEngine(setting))
	client, err := api.NewPeerConnection(webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

func negotiate(t *testing.T, client *webrtc.PeerConnection) (string, *Answer) {
	t.Helper()
	description, err := client.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.SetLocalDescription(description); err != nil {
		t.Fatal(err)
	}
	o := offer(t, description.SDP)
	a, err := o.Answer(decisions(o))
	if err != nil {
		t.Fatal(err)
	}
	if err := client.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: a.SDP}); err != nil {
		t.Fatalf("%v\n%s", err, a.SDP)
	}
	return description.SDP, a
}

// pion's client accepts the answers to a publication, and to a later offer that adds slots.
func TestPionAcceptsAnswers(t *testing.T) {
	client := pionClient(t)
	for _, codec := range []string{webrtc.MimeTypeOpus, webrtc.MimeTypeVP8} {
		track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: codec}, codec[:5], "camera")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.CreateDataChannel("parley", nil); err != nil {
		t.Fatal(err)
	}
	text, a := negotiate(t, client)
	if *update {
		if err := os.WriteFile("testdata/pion-publish.offer.sdp", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.Sections) != 3 || a.Sections[1].Role != RoleReceive || a.Sections[2].Role != RoleData {
		t.Errorf("%+v", a.Sections)
	}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if _, err := client.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			t.Fatal(err)
		}
	}
	_, a = negotiate(t, client)
	if len(a.Sections) != 5 || a.Sections[3].Role != RoleSend || a.Sections[4].Role != RoleSend {
		t.Errorf("%+v", a.Sections)
	}
}
