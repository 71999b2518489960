package host

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-rtc/parley/wire"
)

// ICE servers are set by flags, by a variable with lines, and in the file as texts or maps; credentials are never shown, and may
// have commas.
func TestICEServerSettings(t *testing.T) {
	want := []wire.ICEServer{
		{URLs: []string{"stun:stun.example.org"}},
		{URLs: []string{"turns:turn.example.org:443?transport=tcp"}, Username: "ann", Credential: "hunter2,hunter3"},
	}
	const turn = "turns:turn.example.org:443?transport=tcp,ann,hunter2,hunter3"
	texts := writeFile(t, "a.yaml", "ice-server:\n  - stun:stun.example.org\n  - \""+turn+"\"\n")
	maps := writeFile(t, "b.yaml", "ice-server:\n  - url: stun:stun.example.org\n  - url: turns:turn.example.org:443?transport=tcp\n    username: ann\n    credential: \"hunter2,hunter3\"\n")
	file := writeFile(t, "servers", "stun:stun.example.org\n"+turn+"\n")
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
	}{
		"flags":       {nil, []string{"--ice-server", "stun:stun.example.org", "--ice-server=" + turn}},
		"variable":    {map[string]string{"PARLEY_ICE_SERVER": "stun:stun.example.org\n" + turn}, nil},
		"its file":    {map[string]string{"PARLEY_ICE_SERVER_FILE": file}, nil},
		"list":        {nil, []string{"--config", texts}},
		"maps":        {nil, []string{"--config", maps}},
		"flags first": {nil, []string{"--config", writeFile(t, "c.yaml", "ice-server: [stun:other.example.org]\n"), "--ice-server", "stun:stun.example.org\n" + turn}},
	} {
		var cli program
		p := process{env: func(k string) (string, bool) { v, ok := c.env[k]; return v, ok }}
		if _, _, _, err := p.parse(&cli, append([]string{"serve"}, c.args...)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, _ := cli.Serve.ICEServers.forServer(8443, func(string) bool { return false })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		out := stdout(t, c.env, append([]string{"config", "show", "--origin"}, c.args...)...)
		if strings.Contains(out, "hunter") || !strings.Contains(out, "turns:turn.example.org:443?transport=tcp,ann,[redacted]") {
			t.Errorf("%s shows\n%s", name, out)
		}
		if text := fmt.Sprintf("%v %+v %#v", cli.Serve.ICEServers, cli.Serve.Config, cli.Serve.ICEServers); strings.Contains(text, "hunter") {
			t.Errorf("%s prints %s", name, text)
		}
	}
}

// What is no ICE server is refused with what to write instead, and without the credential.
func TestBadICEServers(t *testing.T) {
	for _, c := range []struct{ server, want string }{
		{"turn.example.org", "give stun:HOST"},
		{"http://turn.example.org", "give stun:HOST"},
		{"stun://stun.example.org", "give stun:HOST"},
		{"stun:stun.example.org?transport=udp", "give stun:HOST"},
		{"turn:a b,ann,hunter2", "give stun:HOST"},
		{"turn:a:70000,ann,hunter2", "give stun:HOST"},
		{"turn:[fe80::1%eth0],ann,hunter2", "give stun:HOST"},
		{"turn:a?transport=sctp,ann,hunter2", "give stun:HOST"},
		{"turns:a?transport=udp,ann,hunter2", "give stun:HOST"},
		{"stun:" + strings.Repeat("a", maxICEURIBytes), "give stun:HOST"},
		{"turn:a", "needs a user name"},
		{"turn:a,ann", "needs a user name"},
		{"turn:a,,hunter2", "needs a user name"},
		{"stun:a,ann,hunter2", "has no user name"},
		{strings.Repeat("stun:a\n", maxICEServers+1), "enough for anyone"},
	} {
		_, stderr, exit := run(nil, "config", "show", "--ice-server", c.server)
		if exit != 2 || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "hunter2") {
			t.Errorf("%q: exit %d, %s", c.server, exit, stderr)
		}
	}
	for yaml, want := range map[string]string{
		"ice-server:\n  - {url: 'stun:a', user: ann}\n":               `there is no "user"`,
		"ice-server:\n  - {url: 'turn:a', username: [ann]}\n":         "plain value",
		"ice-server:\n  - {url: 'turn:a', username: 'a,b'}\n":         "not possible there",
		"ice-server: {url: 'stun:a'}\n":                               "is not possible here",
		"ice-server:\n  - {url: 'turn:a', credential: hunter2}\n":     "needs a user name",
		"origins:\n  - {url: 'https://a.example', username: 'ann'}\n": "a list holds plain values",
	} {
		_, stderr, exit := run(nil, "config", "show", "--config", writeFile(t, "c.yaml", yaml))
		if exit != 2 || !strings.Contains(stderr, want) || strings.Contains(stderr, "hunter2") {
			t.Errorf("%q: exit %d, %s", yaml, exit, stderr)
		}
	}
}

// No server by UDP is given to clients that has one of this server's own media addresses: Chromium would not hear the media.
func TestOwnICEServersAreKeptBack(t *testing.T) {
	own := func(host string) bool { return host == "meet.example.org" || host == "2001:db8::1" }
	for text, given := range map[string]bool{
		"stun:meet.example.org:8443":                   false,
		"stun:MEET.example.org:8443":                   false,
		"stun:[2001:db8::1]:8443":                      false,
		"turn:meet.example.org:8443,a,b":               false,
		"turn:[2001:db8::1]:8443?transport=udp,a,b":    false,
		"turn:meet.example.org:8443?transport=tcp,a,b": true,
		"turns:meet.example.org:8443,a,b":              true,
		"stun:meet.example.org":                        true, // another port is another address
		"stun:stun.example.org:8443":                   true,
	} {
		var l iceServers
		if err := l.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, kept := l.forServer(8443, own); (len(got) == 1) != given || len(got)+len(kept) != 1 {
			t.Errorf("%s: given %v, kept back %v", text, got, kept)
		}
	}
}

// linksOf are the Link headers of WHIP's answer to who asks what there is.
func linksOf(t *testing.T, n *node) []string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "OPTIONS", fmt.Sprintf("http://%s/whip/tea", n.port.Local()), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answer.Header.Values("Link")
}

// What is set reaches participants: in joined, and as Link of WHIP; what is not leaves both empty.
func TestICEServersAreGiven(t *testing.T) {
	for _, set := range []bool{false, true} {
		var args []string
		if set {
			args = []string{"--ice-server", "stun:stun.example.org", "--ice-server", "turn:turn.example.org?transport=tcp,ann,hunter2"}
		}
		n := startNode(t, args...)
		s := dial(t, n)
		s.send(wire.TypeJoin, wire.Join{Protocol: wire.Protocol, Room: "tea"})
		var joined wire.Joined
		if err := json.Unmarshal(s.await(wire.TypeJoined).Body, &joined); err != nil {
			t.Fatal(err)
		}
		go s.readToEnd()
		links := strings.Join(linksOf(t, n), "\n")
		if !set && (len(joined.ICEServers) != 0 || links != "") {
			t.Errorf("none set: %v, %s", joined.ICEServers, links)
		}
		if set && (len(joined.ICEServers) != 2 || joined.ICEServers[1].Credential != "hunter2" ||
			links != `<stun:stun.example.org>; rel="ice-server"`+"\n"+
				`<turn:turn.example.org?transport=tcp>; rel="ice-server"; username="ann"; credential="hunter2"; credential-type="password"`) {
			t.Errorf("%v, %s", joined.ICEServers, links)
		}
		n.stop()
	}
	http.DefaultClient.CloseIdleConnections()
}

// A server that is taken has a host and a port, and reads the same when it is shown; no refusal quotes what follows the URL.
func FuzzICEServer(f *testing.F) {
	for _, s := range []string{"stun:a", "turn:[::1]:1?transport=tcp,a,b", "turns:a.b:1,a,b,c", "stun:[", "stun::1", "turn:a\nstun:b", ",,,", "stun:[::1]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var l iceServers
		if l.UnmarshalText([]byte(text)) != nil {
			return
		}
		for _, s := range l {
			if s.uri.host == "" || s.uri.port == 0 || s.uri.turn != (s.username != "") {
				t.Errorf("%q: %+v", text, s.uri)
			}
			if again, err := parseICEURI(s.uri.text); err != nil || again != s.uri {
				t.Errorf("%q: %+v, then %+v, %v", text, s.uri, again, err)
			}
		}
	})
}
