package host

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"

	"github.com/parley-rtc/parley/internal/doctor"
)

// portFinding tries whether a server could listen, or finds the one that does.
func portFinding(ctx context.Context, listen string) (f doctor.Finding, running bool) {
	f = doctor.Finding{Area: "port", Level: doctor.OK}
	_, number, err := splitListen(listen)
	if err != nil {
		f.Level, f.Text = doctor.Fault, err.Error()
		return f, false
	}
	var taken []string
	for _, network := range []string{"tcp", "udp"} {
		switch err := tryListen(network, listen); {
		case err == nil:
		case errors.Is(err, syscall.EADDRINUSE):
			taken = append(taken, network)
		default:
			f.Level, f.Text, f.Cause, f.Next = doctor.Fault, fmt.Sprintf("a server cannot listen on %s", listen), err.Error(), portHint("--listen", err)
			return f, false
		}
	}
	if len(taken) == 0 {
		f.Text = fmt.Sprintf("TCP and UDP %d are free; no server is running there", number)
		return f, false
	}
	if version, ok := parleyAt(ctx, listen); ok && len(taken) == 2 {
		f.Text = fmt.Sprintf("Parley %s is running on TCP and UDP %d", version, number)
		f.More = []string{"its page /doctor tells visitors whether calls work from their browser, and if not, why"}
		return f, true
	}
	f.Level, f.Text = doctor.Fault, fmt.Sprintf("%s %d is taken", strings.ToUpper(strings.Join(taken, " and ")), number)
	who := occupantOf(ctx, taken[0], number)
	f.Cause, f.Next = who.text, who.next("--listen")
	return f, false
}

// occupant is who has a port.
type occupant struct {
	text   string
	parley bool   // it is one of ours
	port   uint16 // the one port of the server that it is; 0: it is not known to be a server
}

// occupantOf asks a few ports of a program whether it is a Parley, and no more than greetTimeout long.
func occupantOf(ctx context.Context, network string, number uint16) occupant {
	owner, ok := doctor.OwnerOf(network, number)
	if !ok {
		return occupant{text: "another program listens there, which this user may not look at"}
	}
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	for _, at := range owner.TCP[:min(len(owner.TCP), maxGreeted)] {
		if version, ok := parleyAt(ctx, fmt.Sprintf(":%d", at)); ok {
			return occupant{fmt.Sprintf("Parley %s, which is running on port %d, listens there: %v", version, at, owner), true, at}
		}
	}
	return occupant{text: owner.String() + " listens there", parley: owner.Name == "parley"}
}

// next is what to do where a port of a flag is taken.
func (o occupant) next(flag string) string {
	switch {
	case o.port != 0:
		return fmt.Sprintf("if you mean that server, give the doctor its settings, --listen :%d among them; for another one beside it, choose another port with %s", o.port, flag)
	case o.parley:
		return "if it is the server that you mean, give the doctor its settings; if not, choose another port with " + flag
	}
	return "end it, or choose another port with " + flag
}

// turnPort is a further port of the server, for STUN and TURN.
type turnPort struct {
	at       string
	networks []string
	usual    bool // nobody asked for it: the server does without where it is taken
}

// turnPorts are those that the server would open besides --listen.
func (c *Config) turnPorts() (all []turnPort) {
	if !c.TURN {
		return nil
	}
	for _, at := range c.TURNListen {
		all = append(all, turnPort{at, []string{"tcp", "udp"}, false})
	}
	if host, number, err := splitListen(c.Listen); err == nil && len(c.TURNListen) == 0 && number != usualTURN && number != 0 { // 0: see openRelay
		all = append(all, turnPort{netip.AddrPortFrom(host, usualTURN).String(), []string{"udp"}, true})
	}
	return all
}

// turnFindings tries the ports of STUN and TURN. Those of a running server are expected to be taken, and to answer.
func (c *doctorCommand) turnFindings(ctx context.Context, running bool) []doctor.Finding {
	var all []doctor.Finding
	for _, p := range c.turnPorts() {
		for _, network := range p.networks {
			all = append(all, p.finding(ctx, network, running))
		}
	}
	return all
}

func (p turnPort) finding(ctx context.Context, network string, running bool) doctor.Finding {
	const flag = "--turn-listen"
	host, number, err := splitAddress(flag, p.at)
	name := fmt.Sprintf("%s %d", strings.ToUpper(network), number)
	f := doctor.Finding{Area: "TURN port", Level: doctor.OK, Text: name + " is free"}
	if err == nil {
		err = tryListen(network, p.at)
	}
	switch {
	case err == nil && running && !p.usual:
		f.Level, f.Text = doctor.Warning, name+" is free, though a server is running"
		f.Cause, f.Next = "the running server has other settings than the doctor was given", "give the doctor the settings of the server"
	case err == nil:
	case errors.Is(err, syscall.EADDRINUSE) && running && doctor.AnswersSTUN(ctx, network, reached(host, number)):
		f.Text = name + " answers"
	case errors.Is(err, syscall.EADDRINUSE) && p.usual:
		who := occupantOf(ctx, network, number)
		f.Level, f.Text, f.Cause = doctor.Warning, name+" is taken", who.text
		f.Next = who.next(flag) + "; without, STUN and TURN answer at the one port alone"
	case errors.Is(err, syscall.EADDRINUSE):
		who := occupantOf(ctx, network, number)
		f.Level, f.Text, f.Cause, f.Next = doctor.Fault, name+" is taken", who.text, who.next(flag)
	default:
		f.Level, f.Text, f.Cause, f.Next = doctor.Fault, "a server cannot listen on "+name, err.Error(), portHint(flag, err)
	}
	return f
}

// reached is where this machine reaches a server that listens on an address.
func reached(listen netip.Addr, number uint16) netip.AddrPort {
	if listen.IsUnspecified() {
		listen = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrPortFrom(listen, number)
}

// tryListen opens a socket and closes it.
func tryListen(network, at string) error {
	var socket io.Closer
	var err error
	if network == "tcp" {
		socket, err = net.Listen(network, at)
	} else {
		socket, err = net.ListenPacket(network, at)
	}
	if err != nil {
		return err
	}
	return socket.Close()
}

// localURL is where a server on this machine is asked: by plain HTTP where it takes that.
func localURL(listen string) string {
	host, number, _ := splitListen(listen)
	at := reached(host, number)
	if at.Addr().IsLoopback() {
		return "http://" + at.String()
	}
	return "https://" + at.String()
}

// askLocal sends a request to whoever listens on this machine. The caller closes the answer's body.
func askLocal(ctx context.Context, listen, path, token string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, localURL(listen)+path, nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return (&http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // it is the certificate of whoever listens on this machine
	}}).Do(request)
}

// parleyAt returns the version of a Parley server that listens here.
func parleyAt(ctx context.Context, listen string) (version string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	answer, err := askLocal(ctx, listen, "/version", "")
	if err != nil {
		return "", false
	}
	defer answer.Body.Close()
	var about struct {
		Version  string `json:"version"`
		Protocol int    `json:"protocol"`
	}
	err = json.NewDecoder(io.LimitReader(answer.Body, maxConfigBytes)).Decode(&about)
	return about.Version, err == nil && about.Version != "" && about.Protocol > 0
}

// storesNothing reports whether the server that listens here says in its metrics that it cannot store durable records.
func storesNothing(ctx context.Context, listen, token string) bool {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	answer, err := askLocal(ctx, listen, "/metrics", token)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(io.LimitReader(answer.Body, maxConfigBytes))
	for lines.Scan() {
		if lines.Text() == "parley_state_durable 0" {
			return true
		}
	}
	return false
}
