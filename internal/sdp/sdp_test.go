package sdp

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/datagram"
)

var update = flag.Bool("update", false, "write testdata/*.answer.sdp anew")

// decisions takes the roles that a room would take: what is sent is received, what is received is a slot.
func decisions(o *Offer) *Local {
	l := &Local{
		ICE:         ICE{Ufrag: "serverufrag", Pwd: "serverpasswordserverpassword", Lite: true},
		Fingerprint: Fingerprint{Algorithm: "sha-256", Value: strings.TrimSuffix(strings.Repeat("AB:", 32), ":")},
		Setup:       "passive",
		Candidates: []Candidate{
			{Foundation: "1", Priority: 2130706431, Address: "10.77.0.1", Port: 8443, Proto: datagram.UDP},
			{Foundation: "2", Priority: 1677729535, Address: "10.77.0.1", Port: 8443, Proto: datagram.TCP},
		},
		SessionID: 4711, Version: 1, Sections: map[string]LocalSection{},
	}
	for i, s := range o.Sections {
		switch {
		case s.Rejected:
		case s.Kind == Application:
			l.Sections[s.Mid] = LocalSection{Role: RoleData}
		case s.Direction == SendOnly || s.Direction == SendRecv:
			l.Sections[s.Mid] = LocalSection{Role: RoleReceive}
		case s.Direction == RecvOnly:
			n := uint32(1000 + 2*i)
			l.Sections[s.Mid] = LocalSection{
				Role: RoleSend, StreamID: "slot-" + s.Mid, TrackID: "track-" + s.Mid, CNAME: "cname-" + s.Mid, SSRC: n, RTXSSRC: n + 1,
			}
		}
	}
	return l
}

// Every captured offer gets the answer that was looked at and tried in its browser.
func TestGoldenAnswers(t *testing.T) {
	offers, err := filepath.Glob("testdata/*.offer.sdp")
	if err != nil || len(offers) < 10 {
		t.Fatal(offers, err)
	}
	for _, name := range offers {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			o, err := ParseOffer(string(text))
			if err != nil {
				t.Fatal(err)
			}
			a, err := o.Answer(decisions(o))
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(name, ".offer.sdp") + ".answer.sdp"
			if *update {
				if err := os.WriteFile(golden, []byte(a.SDP), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if a.SDP != string(want) {
				t.Errorf("the answer changed (-update writes it):\n%s", a.SDP)
			}
		})
	}
}
