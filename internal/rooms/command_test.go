package rooms

import (
	"encoding/json"
	"testing"

	"github.com/parley-rtc/parley/internal/sdp"
)

// Rule: whatever comes as a request becomes a command or a refusal with a code, and never a panic.
func FuzzCommand(f *testing.F) {
	for _, seed := range []string{
		`{"session":"s","type":"join","carrier":"ws","join":{"identity":"ann","grants":{"publish":true}}}`,
		`{"session":"s","type":"offer","body":{"sdp":"v=0\r\n","tracks":[{"mid":"0","source":"camera"}],"slots":[{"audio":"1"}]}}`,
		`{"session":"s","type":"subscribe","body":{"publications":["p1"],"subscribed":true}}`,
		`{"session":"s","type":"slot-ready","body":{"mid":"1","generation":18446744073709551615}}`,
		`{"session":"s","type":"restart","body":{"ice":{"Ufrag":"a","Pwd":"b"}}}`,
		`{"session":"s","type":"update","body":{"name":null}}`,
		`{"session":"s","type":"chat","body":[]}`, `{"session":"s","type":"gone"}`, `{"type":"leave"}`, `{`,
	} {
		f.Add([]byte(seed))
	}
	s := &Service{config: Config{Candidates: func() []sdp.Candidate { return nil }}}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Request
		if json.Unmarshal(b, &r) != nil {
			return
		}
		command, refused := s.command(r)
		if refused == nil && command == nil || refused != nil && (refused.Code == "" || refused.Message == "") {
			t.Fatalf("command %v, refusal %+v", command, refused)
		}
	})
}
