package host

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/parley-rtc/parley/internal/relay"
)

// relayAnswer is what the process of a relay says once it listens, and after each line that it gets.
type relayAnswer struct {
	Username, Password string // of a member, where there are rooms
	Heap               uint64
	Stats              relay.Stats
}

// relayChild runs `parley turn` or `parley serve` by its command line until its input ends.
func relayChild(args []string) error {
	var (
		cli program
		a   relayAnswer
		r   *relay.Relay
		p   = process{env: func(string) (string, bool) { return "", false }}
		log = slog.New(slog.DiscardHandler)
	)
	if _, _, _, err := p.parse(&cli, args); err != nil {
		return err
	}
	if args[0] == "turn" {
		keys, err := cli.Turn.complete()
		if err != nil {
			return err
		}
		s, err := newStandalone(&cli.Turn, keys, log)
		if err != nil {
			return err
		}
		defer s.stop()
		r = s.relay
	} else {
		if err := cli.Serve.complete(p.env); err != nil {
			return err
		}
		n, err := newNode(&cli.Serve.Config, log)
		if err != nil {
			return err
		}
		defer n.stop()
		r = n.turn.relay
		a.Username, a.Password = n.turn.credentials(time.Now(), time.Time{}, "tea", "ann")
	}
	answers := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); ; {
		a.Heap, a.Stats = heap(), r.Stats()
		if err := answers.Encode(a); err != nil {
			return err
		}
		if !lines.Scan() {
			return lines.Err()
		}
	}
}

// remoteRelay is a relay in another process, in a namespace.
type remoteRelay struct {
	in      io.WriteCloser
	answers *json.Decoder
	first   relayAnswer
}

// relayIn runs a relay in a namespace until the test ends.
func (l *natLab) relayIn(name string, args ...string) *remoteRelay {
	l.t.Helper()
	cmd := child(childOrder{Relay: args})
	l.must(moveInto(l.prefix+name, cmd))
	in, err := cmd.StdinPipe()
	l.must(err)
	out, err := cmd.StdoutPipe()
	l.must(err)
	l.must(cmd.Start())
	l.t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			l.t.Errorf("%v: %v", args, err)
		}
	})
	r := &remoteRelay{in: in, answers: json.NewDecoder(out)}
	l.must(r.answers.Decode(&r.first))
	return r
}

// tally tells how it is now.
func (r *remoteRelay) tally() (a relayAnswer, err error) {
	if _, err = fmt.Fprintln(r.in); err == nil {
		err = r.answers.Decode(&a)
	}
	return a, err
}

// publicNamespace makes a namespace whose addresses are public ones: 20.0.0.1 and 2a00:1::1. What leaves it reaches nobody, and is seen on its interface d0.
func (l *natLab) publicNamespace(name string) {
	l.t.Helper()
	l.must(l.namespace(name))
	l.must(execute("", "ip", "netns", "exec", l.prefix+name, "sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.disable_ipv6=0",
		"net.ipv6.conf.default.disable_ipv6=0", "net.ipv6.conf.lo.disable_ipv6=0"))
	l.must(l.ip(name,
		"link add d0 type veth peer name d1", "link set d0 arp off", "link set d1 arp off",
		"addr add 20.0.0.1/24 dev d0", "addr add 2a00:1::1/64 dev d0 nodad",
		"link set d0 up", "link set d1 up", "route add default dev d0", "route add ::/0 dev d0"))
}
