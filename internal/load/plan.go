package load

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parley-rtc/parley/internal/codec"
	"github.com/parley-rtc/parley/wire"
)

// Plan is what the load consists of. Its fields are flags of the command line.
type Plan struct {
	URL         string        `name:"url" group:"Server" default:"http://localhost:8443" placeholder:"URL" help:"Address of your server. Default: http://localhost:8443."`
	Insecure    bool          `group:"Server" help:"Do not check the server's certificate, for one of a private authority."`
	WithConsent bool          `name:"with-consent" group:"Server" help:"Load a server on a public address. Only with the consent of whoever runs it: to others this is an attack."`
	Rooms       int           `group:"Load" default:"1" placeholder:"N" help:"Rooms at once. Default: 1."`
	Publishers  int           `group:"Load" default:"1" placeholder:"N" help:"Participants in each room who send a picture and sound. Default: 1."`
	Subscribers int           `group:"Load" default:"3" placeholder:"N" help:"Participants in each room who only receive. Default: 3."`
	Meeting     bool          `group:"Load" help:"Publishers receive each other too."`
	Room        string        `group:"Load" placeholder:"NAME" help:"Name of the rooms, which -1, -2, … is appended to. Default: load- and four digits."`
	Ramp        Rate          `group:"Load" default:"5/s" placeholder:"N/s" help:"How many join in a second. Default: 5/s."`
	Duration    time.Duration `group:"Load" default:"15s" placeholder:"DURATION" help:"How long to measure once everyone has joined. Default: 15s."`
	Video       string        `group:"Media" enum:"vp8,vp9,h264,av1,none" default:"vp8" placeholder:"vp8|vp9|h264|av1|none" help:"Codec of the pictures. Default: vp8."`
	Audio       bool          `group:"Media" default:"true" negatable:"" help:"Send sound. Default: yes."`
	Simulcast   bool          `group:"Media" help:"Send each picture in three sizes; receivers show it in one of them each."`
	Bitrate     Bitrate       `group:"Media" default:"1.5M" placeholder:"BITRATE" help:"Bit/s of each picture, such as 800k; with --simulcast of its largest size. Default: 1.5M."`
	FPS         int           `name:"fps" group:"Media" default:"30" placeholder:"N" help:"Pictures a second. Default: 30."`
	JSON        bool          `name:"json" group:"Result" help:"Print the result as JSON, with each client."`

	Path Path `kong:"-"` // by which media have to go
}

// Bitrate is in bit/s. As text it may end with k, M or G.
type Bitrate int64

var bitrateUnits = map[string]float64{"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "m": 1e6, "G": 1e9}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bitrate) UnmarshalText(text []byte) error {
	s := strings.TrimSuffix(strings.TrimSpace(string(text)), "bit/s")
	number := strings.TrimRight(s, "kKmMG")
	unit, known := bitrateUnits[s[len(number):]]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || !(n > 0 && n*unit < 1e12) {
		return fmt.Errorf("%q is no bitrate: give bit/s, such as 1.5M or 800k", text)
	}
	*b = Bitrate(n*unit + 0.5)
	return nil
}

// String is short: "1.5 Mbit/s".
func (b Bitrate) String() string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e9, "Gbit/s"}, {1e6, "Mbit/s"}, {1e3, "kbit/s"}} {
		if n := float64(b) / u.size; n >= 1 {
			text := strconv.FormatFloat(n, 'f', digits(n), 64)
			if strings.Contains(text, ".") {
				text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
			}
			return text + " " + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + " bit/s"
}

// digits is how many decimals make three digits in all.
func digits(n float64) int {
	switch {
	case n < 10:
		return 2
	case n < 100:
		return 1
	}
	return 0
}

// Rate is in events a second. As text it is "5/s", "5" or "90/m".
type Rate float64

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Rate) UnmarshalText(text []byte) error {
	number, unit, _ := strings.Cut(strings.TrimSpace(string(text)), "/")
	per, known := map[string]float64{"": 1, "s": 1, "m": 60, "min": 60}[unit]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || !(n > 0 && n < 1e9) {
		return fmt.Errorf("%q is no rate: give how many a second, such as 5/s", text)
	}
	*r = Rate(n / per)
	return nil
}

// String is such as "5/s".
func (r Rate) String() string { return strconv.FormatFloat(float64(r), 'f', -1, 64) + "/s" }

// Check refuses what makes no sense, and what is too much. files is how many files the process may have open.
func (p *Plan) Check(files uint64) error {
	switch {
	case p.Rooms < 1 || p.Rooms > maxRooms:
		return fmt.Errorf("--rooms %d: give 1 to %d", p.Rooms, maxRooms)
	case p.Publishers < 1 || p.Publishers > maxPublishers:
		return fmt.Errorf("--publishers %d: give 1 to %d, which is what one participant can receive", p.Publishers, maxPublishers)
	case p.Subscribers < 0 || p.Subscribers >= maxClients:
		return fmt.Errorf("--subscribers %d: give 0 to %d", p.Subscribers, maxClients-1)
	case p.Subscribers == 0 && !p.Meeting:
		return errors.New("--subscribers 0: nobody would receive anything; --meeting lets publishers receive each other")
	case p.Subscribers == 0 && p.Publishers == 1:
		return errors.New("--publishers 1 with --subscribers 0: a meeting has two participants at least")
	case p.Clients() > maxClients:
		return fmt.Errorf("%d clients: give %d at most, and use several machines for more", p.Clients(), maxClients)
	case p.Video == "none" && !p.Audio:
		return errors.New("--video none with --no-audio: there would be nothing to send")
	case p.Video == "none" && p.Simulcast:
		return errors.New("--simulcast with --video none: there is no picture to send")
	case p.Bitrate < minBitrate || p.Bitrate > maxBitrate:
		return fmt.Errorf("--bitrate %v: give %v to %v", p.Bitrate, Bitrate(minBitrate), Bitrate(maxBitrate))
	case p.FPS < minFPS || p.FPS > maxFPS:
		return fmt.Errorf("--fps %d: give %d to %d", p.FPS, minFPS, maxFPS)
	case p.Duration < time.Second || p.Duration > maxDuration:
		return fmt.Errorf("--duration %v: give 1s to %v", p.Duration, maxDuration)
	case p.Ramp < minRamp || p.Ramp > maxRamp:
		return fmt.Errorf("--ramp %v: give %v to %v", p.Ramp, Rate(minRamp), Rate(maxRamp))
	case len(p.Room) > wire.MaxNameBytes-4:
		return fmt.Errorf("--room: a name of %d bytes is too long", len(p.Room))
	case p.Traffic() > maxTraffic:
		return fmt.Errorf("the server would have to send %v: ask for %v at most, by fewer clients or a lower --bitrate", p.Traffic(), Bitrate(maxTraffic))
	}
	if need := uint64(p.Clients()*filesPerClient + otherFiles); files < need {
		return fmt.Errorf("%d clients need %d open files, and this process may have %d: raise the limit (ulimit -n %d) or ask for fewer clients",
			p.Clients(), need, files, need)
	}
	_, err := p.server()
	return err
}

// Clients is how many there are in all.
func (p *Plan) Clients() int { return p.Rooms * (p.Publishers + p.Subscribers) }

// receives is how many publishers' media all clients receive together.
func (p *Plan) receives() int {
	n := p.Rooms * p.Publishers * p.Subscribers
	if p.Meeting {
		n += p.Rooms * p.Publishers * (p.Publishers - 1)
	}
	return n
}

// Traffic is what the server is to send, at most.
func (p *Plan) Traffic() Bitrate {
	each := Bitrate(0)
	if p.Audio {
		each += audioBitrate
	}
	if p.Video != "none" {
		each += p.Bitrate
	}
	return each * Bitrate(p.receives())
}

// codec is the codec of pictures; false: there are none.
func (p *Plan) codec() (codec.Kind, bool) { return codec.Parse(p.Video) }

// audioBitrate is what browsers send by default.
const audioBitrate = 32_000

// encoding is one of the sizes in which a picture is sent.
type encoding struct {
	rid           string
	bitrate       int
	width, height uint16
}

// encodings are those of one publisher, the smallest first: halves and quarters of 1280×720, as browsers have them.
func (p *Plan) encodings() []encoding {
	full := encoding{"f", int(p.Bitrate), 1280, 720}
	if !p.Simulcast {
		full.rid = ""
		return []encoding{full}
	}
	return []encoding{{"q", max(full.bitrate/12, minBitrate/2), 320, 180}, {"h", max(full.bitrate/4, minBitrate/2), 640, 360}, full}
}

// server takes --url apart. Without a scheme it is http on this machine, and https elsewhere, as the server wants it.
func (p *Plan) server() (*url.URL, error) {
	text := strings.TrimSpace(p.URL)
	bare := !strings.Contains(text, "://")
	if bare {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		return nil, fmt.Errorf("--url %s: give the address of a server, such as http://localhost:8443", p.URL)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, fmt.Errorf("--url %s: give the server's address alone, such as %s://%s; --room names the rooms", p.URL, u.Scheme, u.Host)
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	case "http", "https":
	default:
		return nil, fmt.Errorf("--url %s: give http:// or https://", p.URL)
	}
	if a, err := netip.ParseAddr(u.Hostname()); bare && (u.Hostname() == "localhost" || err == nil && a.IsLoopback()) {
		u.Scheme = "http"
	}
	u.Path = ""
	return u, nil
}

// near reports whether an address belongs to this machine or a private network: whoever reaches it is no stranger there.
func near(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()
}
