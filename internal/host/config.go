// Package host is the root of the program: it reads one configuration, builds everything in order, runs it, and stops it in
// reverse.
//
// It owns what belongs to the whole process: the command line, the data folder with its keys and certificates, the choice of the
// addresses that clients are offered, the HTTP routes with what every request passes first, and the signals of the operating
// system.
package host

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/parley-rtc/parley/internal/ice"
	"github.com/parley-rtc/parley/internal/obs"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/internal/state"
)

// Shared are the settings that every verb has.
type Shared struct {
	Config string     `placeholder:"FILE" help:"YAML file with settings, named as the flags are."`
	Data   string     `placeholder:"DIR" help:"Folder for keys, certificates and what lasts of shared state. Default: parley in $$XDG_DATA_HOME (~/.local/share), or ./data where there is no home."`
	Keys   obs.Secret `placeholder:"NAME=SECRET" help:"Key pair for tokens, instead of keys.yaml in the data folder; or several, as lines of NAME: SECRET."`
}

// Config is everything that can be set about a server. Each field is a flag, an environment variable (PARLEY_LISTEN) and a key
// of the YAML file, all by the same name. Load fills it.
type Config struct {
	Shared `embed:""`

	Listen       string         `group:"Network" placeholder:"[HOST]:PORT" help:"TCP and UDP port for everything. Default: :8443, with --domain :443."`
	Advertise    []netip.Addr   `group:"Network" placeholder:"IP" help:"Further addresses under which clients reach this server, such as the public one of a router in front of it."`
	ICEServers   iceServers     `group:"Network" name:"ice-server" placeholder:"URL[,USER,CREDENTIAL]" help:"STUN or TURN server of somebody else that clients are given, for networks that let nothing else out; may be repeated. Default: none."`
	TURN         bool           `group:"STUN and TURN" name:"turn" default:"true" negatable:"" help:"Answer STUN and TURN: on the one port, and on UDP 3478 where it is free. Default: yes."`
	TURNListen   []string       `group:"STUN and TURN" name:"turn-listen" placeholder:"[HOST]:PORT" help:"UDP and TCP port for STUN and TURN, TLS too, instead of UDP 3478; may be repeated."`
	TURNDTLS     []string       `group:"STUN and TURN" name:"turn-dtls" placeholder:"[HOST]:PORT" help:"UDP port for TURN over DTLS; may be repeated. Usual: :5349. Default: none."`
	Relay        relayFlags     `embed:"" prefix:"turn-" group:"STUN and TURN"`
	Domain       []string       `group:"Certificate" placeholder:"NAME" help:"Get a public certificate for this name, by ACME."`
	ACMEEmail    string         `group:"Certificate" name:"acme-email" placeholder:"ADDRESS" help:"Where the certificate authority writes to when something is wrong."`
	ACMECA       string         `group:"Certificate" name:"acme-ca" placeholder:"URL" help:"ACME directory. Default: Let's Encrypt."`
	ACMERoots    string         `group:"Certificate" name:"acme-roots" placeholder:"FILE" help:"PEM file with the roots of the ACME server's own certificate, for a private one."`
	Cert         string         `group:"Certificate" placeholder:"FILE" help:"PEM certificate chain; read again when it changes."`
	Key          string         `group:"Certificate" placeholder:"FILE" help:"PEM private key of --cert."`
	PlainHTTP    bool           `group:"Access" name:"plain-http" help:"Answer plain HTTP from other machines too, instead of sending them to https."`
	Behind       []netip.Prefix `group:"Network" name:"behind-proxy" placeholder:"CIDR" help:"Believe X-Forwarded-For and X-Forwarded-Proto of reverse proxies at these addresses."`
	Auth         string         `group:"Access" placeholder:"open|token" help:"Who may join: everyone, or holders of a token. Default: open, but token with --domain, --cert or --behind-proxy."`
	Origins      []string       `group:"Access" placeholder:"ORIGIN" help:"Origins of other sites whose pages may use this server, such as https://app.example.org."`
	MetricsKey   obs.Secret     `group:"Access" name:"metrics-token" placeholder:"TOKEN" help:"Bearer token with which /metrics is shown to other machines; without it, only to this one."`
	State        bool           `group:"Process" default:"true" negatable:"" help:"Keep shared state for the app and other applications: records, events, RPC, presence. What is durable is in the data folder. Default: yes."`
	StateRules   string         `group:"Process" name:"state-rules" placeholder:"FILE" help:"YAML file that says who may do what with shared state; read again when it changes. Default: in rooms everybody reads, and who may send data the rest."`
	RoomLogAge   time.Duration  `group:"Process" name:"room-log-age" default:"720h" placeholder:"DURATION" help:"How long the log of a room is kept, with shared state: who came and went, chat, changes of durable records. Default: 720h, 30 days."`
	RPCAccept    time.Duration  `group:"Process" name:"rpc-accept" default:"1s" placeholder:"DURATION" help:"How long who provides an RPC may take to accept a call, before the next one is asked. Default: 1s."`
	RPCAnswer    time.Duration  `group:"Process" name:"rpc-answer" default:"10s" placeholder:"DURATION" help:"How long it may take from there to its answer. Default: 10s."`
	StateBytes   int64          `group:"Process" name:"state-bytes" default:"1073741824" placeholder:"BYTES" help:"How large what is stored of durable records may be, of one room a sixteenth of it. Beyond, they can be read and deleted, but not written. Default: 1 GiB."`
	RoomLogBytes int64          `group:"Process" name:"room-log-bytes" default:"1073741824" placeholder:"BYTES" help:"How large the logs of all rooms may be together, with shared state; the oldest entries go. Half is for changes of records. Default: 1 GiB."`
	Shards       int            `group:"Process" default:"0" placeholder:"N" help:"Media loops, each of which one core can drive. Default: as many as cores may be used."`
	Drain        time.Duration  `group:"Process" default:"30s" placeholder:"DURATION" help:"How long running calls may go on after SIGTERM. Default: 30s."`
	Linger       time.Duration  `group:"Process" default:"30s" placeholder:"DURATION" help:"How long a room and its chat outlive the last participant. Default: 30s."`
	LogLevel     slog.Level     `group:"Log" default:"info" placeholder:"LEVEL" help:"debug, info, warn or error. Default: info."`
	LogFormat    string         `group:"Log" enum:"text,json" default:"text" placeholder:"text|json" help:"One line of key=value, or one JSON object. Default: text."`
	LogAddress   bool           `group:"Log" name:"log-addresses" help:"Show network addresses in the log instead of marks."`
}

// complete fills in what depends on other settings and refuses what contradicts itself.
func (c *Config) complete(env environment) error {
	if c.Data == "" {
		c.Data = defaultData(env)
	}
	if c.Listen == "" {
		c.Listen = ":8443"
		if len(c.Domain) > 0 {
			c.Listen = ":443"
		}
	}
	if c.Auth == "" {
		c.Auth = "open"
		if c.public() {
			c.Auth = "token"
		}
	}
	return c.check()
}

// shards is the number of media loops.
func (c *Config) shards() int {
	if c.Shards > 0 {
		return c.Shards
	}
	return min(runtime.GOMAXPROCS(0), ice.MaxShards)
}

// fill puts in the place of zeros what the server makes of them.
func (c *Config) fill() {
	c.Shards = c.shards()
	c.Relay.fill()
}

// public reports whether the server is set up to be reached from elsewhere by name: then strangers will come.
func (c *Config) public() bool { return len(c.Domain) > 0 || c.Cert != "" || len(c.Behind) > 0 }

func (c *Config) check() error {
	if _, _, err := splitListen(c.Listen); err != nil {
		return err
	}
	switch {
	case c.Auth != "open" && c.Auth != "token":
		return fmt.Errorf("--auth must be one of open and token, and not %q", c.Auth)
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("--cert and --key belong together: give both")
	case c.Cert != "" && len(c.Domain) > 0:
		return errors.New("--domain gets a certificate and --cert brings one: give one of them")
	case len(c.Domain) == 0 && (c.ACMECA != "" || c.ACMEEmail != "" || c.ACMERoots != ""):
		return errors.New("--acme-… without --domain: name the domain that the certificate is for")
	case c.Shards < 0 || c.Shards > ice.MaxShards:
		return fmt.Errorf("--shards %d: give a number from 1 to %d, or 0 for as many as cores", c.Shards, ice.MaxShards)
	case c.Drain < 0 || c.Drain > maxDrain:
		return fmt.Errorf("--drain %v: give a duration from 0s to %v", c.Drain, maxDrain)
	case c.Linger < time.Second || c.Linger > maxLinger:
		return fmt.Errorf("--linger %v: give a duration from 1s to %v", c.Linger, maxLinger)
	case c.RoomLogAge < time.Minute || c.RoomLogAge > maxLogAge:
		return fmt.Errorf("--room-log-age %v: give a duration from 1m to %v", c.RoomLogAge, maxLogAge)
	case c.RoomLogBytes < minLogBytes || c.RoomLogBytes > maxLogBytes:
		return fmt.Errorf("--room-log-bytes %d: give a number from %d to %d", c.RoomLogBytes, minLogBytes, maxLogBytes)
	case c.StateBytes < minLogBytes || c.StateBytes > maxLogBytes:
		return fmt.Errorf("--state-bytes %d: give a number from %d to %d", c.StateBytes, minLogBytes, maxLogBytes)
	case c.RPCAccept < minRPCTime || c.RPCAccept > state.MaxAcceptTime:
		return fmt.Errorf("--rpc-accept %v: give a duration from %v to %v", c.RPCAccept, minRPCTime, state.MaxAcceptTime)
	case c.RPCAnswer < minRPCTime || c.RPCAnswer > state.MaxAnswerTime:
		return fmt.Errorf("--rpc-answer %v: give a duration from %v to %v", c.RPCAnswer, minRPCTime, state.MaxAnswerTime)
	case len(c.ICEServers) > maxICEServers:
		return fmt.Errorf("--ice-server %d times; %d are enough for anyone, and each slows connecting down", len(c.ICEServers), maxICEServers)
	}
	if err := checkAdvertised(c.Advertise); err != nil {
		return err
	}
	for _, d := range c.Domain {
		if _, err := netip.ParseAddr(d); err == nil || !validName.MatchString(d) || !strings.Contains(d, ".") {
			return fmt.Errorf("--domain %s: give a public name, such as meet.example.org", d)
		}
	}
	if err := c.checkTURN(); err != nil {
		return err
	}
	if _, err := signal.NewOrigins(c.Origins, nil); err != nil {
		return fmt.Errorf("--origins: %w", err)
	}
	return nil
}

func checkAdvertised(all []netip.Addr) error {
	if len(all) > maxAdvertised {
		return fmt.Errorf("--advertise has %d addresses; %d are enough for anyone", len(all), maxAdvertised)
	}
	for _, a := range all {
		if a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
			return fmt.Errorf("--advertise %v: not an address that a client could send to", a)
		}
	}
	return nil
}

// checkTURN refuses settings of TURN that cannot be, or that nothing would come of.
func (c *Config) checkTURN() error {
	for _, x := range []struct {
		flag string
		all  []string
	}{{"--turn-listen", c.TURNListen}, {"--turn-dtls", c.TURNDTLS}} {
		if !c.TURN && len(x.all) > 0 {
			return fmt.Errorf("%s with --no-turn: leave one of them out", x.flag)
		}
		if _, err := addresses(x.flag, x.all); err != nil {
			return err
		}
	}
	return c.Relay.check("turn-")
}

// splitListen takes --listen apart.
func splitListen(listen string) (netip.Addr, uint16, error) { return splitAddress("--listen", listen) }

// splitAddress takes the value of a flag apart. The host is empty, or an IP address, or "localhost".
func splitAddress(flag, listen string) (netip.Addr, uint16, error) {
	host, port, err := splitHostPort(listen)
	if err != nil {
		return netip.Addr{}, 0, fmt.Errorf("%s %s: give [HOST]:PORT, such as :8443 or 127.0.0.1:8443", flag, listen)
	}
	switch host {
	case "":
		return netip.IPv6Unspecified(), port, nil
	case "localhost":
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), port, nil
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, 0, fmt.Errorf("%s %s: the host must be an IP address of this machine, not a name", flag, listen)
	}
	return a.Unmap(), port, nil
}

// defaultData is a place that does not depend on the folder in which the server was started: phones that trust the private
// certificate authority should still do so next time.
func defaultData(env environment) string {
	if dir, ok := env("XDG_DATA_HOME"); ok && filepath.IsAbs(dir) {
		return filepath.Join(dir, "parley")
	}
	if dir, ok := env("HOME"); ok && filepath.IsAbs(dir) {
		if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
			return filepath.Join(dir, ".local", "share", "parley")
		}
	}
	return "data"
}
