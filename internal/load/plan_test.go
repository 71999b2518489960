package load

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// small is a plan that is fine.
func small() Plan {
	return Plan{
		URL: "localhost:8443", Rooms: 1, Publishers: 1, Subscribers: 3, Ramp: 5, Duration: 15 * time.Second,
		Video: "vp8", Audio: true, Bitrate: 1_500_000, FPS: 30,
	}
}

// Each limit is refused with a next step just beyond it, and not on it.
func TestPlanLimits(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*Plan)
		want   string // empty: it is fine
	}{
		{"default", func(*Plan) {}, ""},
		{"no room", func(p *Plan) { p.Rooms = 0 }, "--rooms 0: give 1"},
		{"most rooms", func(p *Plan) { p.Rooms, p.Subscribers = maxRooms, 1 }, ""},
		{"too many rooms", func(p *Plan) { p.Rooms, p.Subscribers = maxRooms+1, 0 }, "--rooms 501"},
		{"no publisher", func(p *Plan) { p.Publishers = 0 }, "--publishers 0"},
		{"most publishers", func(p *Plan) { p.Publishers = maxPublishers }, ""},
		{"too many publishers", func(p *Plan) { p.Publishers = maxPublishers + 1 }, "--publishers 25"},
		{"negative", func(p *Plan) { p.Subscribers = -1 }, "--subscribers -1"},
		{"nobody receives", func(p *Plan) { p.Subscribers = 0 }, "--meeting"},
		{"a meeting of one", func(p *Plan) { p.Subscribers, p.Meeting = 0, true }, "two participants"},
		{"a meeting of two", func(p *Plan) { p.Subscribers, p.Meeting, p.Publishers = 0, true, 2 }, ""},
		{"most clients", func(p *Plan) { p.Subscribers = maxClients - 1 }, ""},
		{"too many clients", func(p *Plan) { p.Publishers, p.Subscribers = 2, maxClients-1 }, "1001 clients: give 1000"},
		{"far too many", func(p *Plan) { p.Subscribers = 1 << 62 }, "--subscribers 4611686018427387904: give 0 to 999"},
		{"nothing to send", func(p *Plan) { p.Video, p.Audio = "none", false }, "nothing to send"},
		{"sound alone", func(p *Plan) { p.Video = "none" }, ""},
		{"three sizes of nothing", func(p *Plan) { p.Video, p.Simulcast = "none", true }, "no picture"},
		{"thin", func(p *Plan) { p.Bitrate = minBitrate - 1 }, "give 50 kbit/s to 20 Mbit/s"},
		{"thick", func(p *Plan) { p.Bitrate = maxBitrate + 1 }, "--bitrate 20 Mbit/s"},
		{"slow pictures", func(p *Plan) { p.FPS = 4 }, "--fps 4: give 5 to 60"},
		{"fast pictures", func(p *Plan) { p.FPS = 61 }, "--fps 61"},
		{"a moment", func(p *Plan) { p.Duration = time.Second - 1 }, "--duration"},
		{"a day", func(p *Plan) { p.Duration = 24 * time.Hour }, "--duration 24h0m0s: give 1s to 1h0m0s"},
		{"slow ramp", func(p *Plan) { p.Ramp = 0.05 }, "--ramp 0.05/s: give 0.1/s to 50/s"},
		{"steep ramp", func(p *Plan) { p.Ramp = 51 }, "--ramp 51/s"},
		{"long name", func(p *Plan) { p.Room = strings.Repeat("x", 125) }, "too long"},
		{"most traffic", func(p *Plan) { p.Publishers, p.Subscribers, p.Audio, p.Bitrate = 10, 100, false, 2_000_000 }, ""},
		{"too much traffic", func(p *Plan) { p.Publishers, p.Subscribers, p.Bitrate = 10, 100, 2_000_000 }, "send 2.03 Gbit/s: ask for 2 Gbit/s at most"},
		{"a meeting counts", func(p *Plan) { p.Publishers, p.Meeting, p.Rooms, p.Bitrate = 20, true, 40, maxBitrate }, "Gbit/s"},
		{"no server", func(p *Plan) { p.URL = "" }, "--url"},
	} {
		p := small()
		c.change(&p)
		err := p.Check(1 << 20)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
}

// Too few files are refused before anybody joins, with the number to ask for.
func TestPlanFiles(t *testing.T) {
	p := small()
	need := uint64(4*filesPerClient + otherFiles)
	if err := p.Check(need); err != nil {
		t.Error(err)
	}
	if err := p.Check(need - 1); err == nil || !strings.Contains(err.Error(), "ulimit -n 72") {
		t.Error(err)
	}
}

// Addresses are taken as people write them; what would be ignored is refused.
func TestServer(t *testing.T) {
	for text, want := range map[string]string{
		"localhost:8443":              "http://localhost:8443",
		"127.0.0.1:8443":              "http://127.0.0.1:8443",
		"[::1]:8443":                  "http://[::1]:8443",
		"192.168.1.5:8443":            "https://192.168.1.5:8443",
		"meet.example.org":            "https://meet.example.org",
		"http://localhost:8443/":      "http://localhost:8443",
		"ws://localhost:8443":         "http://localhost:8443",
		"wss://meet.example.org":      "https://meet.example.org",
		"https://meet.example.org/":   "https://meet.example.org",
		"http://localhost:8443/r/tea": "",
		"http://ann@localhost":        "",
		"https://meet.example.org/?x": "",
		"ftp://localhost":             "",
		"http://":                     "",
		"::":                          "",
	} {
		p := small()
		p.URL = text
		u, err := p.server()
		if (err != nil) != (want == "") || err == nil && u.String() != want {
			t.Errorf("%q: %v, %v", text, u, err)
		}
	}
}

// Only addresses that a stranger's server cannot have pass without consent.
func TestNear(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "10.1.2.3": true, "172.31.0.1": true, "192.168.1.5": true, "fd00::1": true, "fe80::1": true,
		"::ffff:10.0.0.1": true, "169.254.1.1": true,
		"8.8.8.8": false, "172.32.0.1": false, "100.64.0.1": false, "2001:db8::1": false, "::ffff:8.8.8.8": false, "0.0.0.0": false, "224.0.0.1": false,
	} {
		if got := near(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// A server on this machine is loaded by all of its addresses, public ones too, and by nobody else's: clients are offered all of them.
func TestOwnAddresses(t *testing.T) {
	p := small()
	p.URL = "localhost"
	server, err := p.resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer server.close()
	for _, a := range machineAddresses() {
		if !server.allowed(a) {
			t.Errorf("%v is refused", a)
		}
	}
	server.machine = []netip.Addr{netip.MustParseAddr("203.0.113.7")}
	for text, want := range map[string]bool{"203.0.113.7": true, "::ffff:203.0.113.7": true, "203.0.113.8": false} {
		if got := server.allowed(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// Bitrates and rates are read as they are written.
func TestUnits(t *testing.T) {
	for text, want := range map[string]string{
		"1.5M": "1.5 Mbit/s", "800k": "800 kbit/s", "64000": "64 kbit/s", "2500kbit/s": "2.5 Mbit/s", "1G": "1 Gbit/s", "999": "999 bit/s",
		"": "", "M": "", "1.5X": "", "-1": "", "1kM": "", "NaN": "", "1e15": "",
	} {
		var b Bitrate
		err := b.UnmarshalText([]byte(text))
		if (err != nil) != (want == "") || err == nil && b.String() != want {
			t.Errorf("%q: %v, %v", text, b, err)
		}
	}
	for text, want := range map[string]string{"5/s": "5/s", "5": "5/s", "90/m": "1.5/s", "0.5/s": "0.5/s", "": "", "0": "", "5/h": "", "x/s": "", "Inf": ""} {
		var r Rate
		err := r.UnmarshalText([]byte(text))
		if (err != nil) != (want == "") || err == nil && r.String() != want {
			t.Errorf("%q: %v, %v", text, r, err)
		}
	}
}

// With simulcast there are three sizes, the smallest first.
func TestEncodings(t *testing.T) {
	p := small()
	if e := p.encodings(); len(e) != 1 || e[0] != (encoding{"", 1_500_000, 1280, 720}) {
		t.Errorf("%+v", e)
	}
	p.Simulcast = true
	if e := p.encodings(); len(e) != 3 || e[0] != (encoding{"q", 125_000, 320, 180}) || e[2] != (encoding{"f", 1_500_000, 1280, 720}) {
		t.Errorf("%+v", e)
	}
}
