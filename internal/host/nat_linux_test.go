package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-rtc/parley/internal/doctor"
)

// natLab is a server with two addresses, and clients behind NATs of one kind each, in network namespaces of their own:
//
//	server ── 20.0.i.1 ─ 20.0.i.2 ── NAT i ── 10.0.i.1 ─ 10.0.i.2 ── client i
type natLab struct {
	t      *testing.T
	prefix string
	names  []string
}

const (
	natServer      = "20.0.0.10"
	natServerOther = "20.0.0.11"
	natPort        = "443" // which the firewall lets TCP out to
	natOtherPort   = "444" // Parley takes the next one
)

// natKind is a NAT as nftables makes it. %[1]d in its rules is the number of the client.
type natKind struct {
	called, mapping, filtering string
	public                     bool // the client has an address of its own that is reached from outside
	rules                      string
}

// The kernel's own tracking keeps the port inside for every destination, and lets in only from where was sent to: endpoint-independent
// mapping, and address-and-port-dependent filtering. Sets of who has opened which port widen the filter; random ports narrow the mapping.
// What is not asked for must be dropped before it is tracked, or it would take the client's port.
var natKinds = map[string]natKind{
	"open": {
		called: "open", mapping: "none", filtering: "endpoint-independent", public: true,
	},
	"firewall": {
		called: "no NAT, but a firewall", mapping: "none", filtering: "address-and-port-dependent", public: true,
		rules: `chain forward { type filter hook forward priority 0; policy drop; iifname "lan" accept; ct state established accept; }`,
	},
	"full cone": {
		called: "full cone", mapping: "endpoint-independent", filtering: "endpoint-independent",
		rules: `set open { type inet_service; flags dynamic,timeout; timeout 60s; }
			chain translate { type nat hook prerouting priority -100; iifname "wan" udp dport @open dnat to 10.0.%[1]d.2; }
			chain leave { type nat hook postrouting priority 100; oifname "wan" masquerade; }
			chain forward { type filter hook forward priority 0; iifname "lan" meta l4proto udp update @open { udp sport }; }
			chain input { type filter hook input priority 0; iifname "wan" drop; }`,
	},
	"address restricted": {
		called: "address-restricted cone", mapping: "endpoint-independent", filtering: "address-dependent",
		rules: `set open { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 60s; }
			chain translate { type nat hook prerouting priority -100; iifname "wan" ip saddr . udp dport @open dnat to 10.0.%[1]d.2; }
			chain leave { type nat hook postrouting priority 100; oifname "wan" masquerade; }
			chain forward { type filter hook forward priority 0; iifname "lan" meta l4proto udp update @open { ip daddr . udp sport }; }
			chain input { type filter hook input priority 0; iifname "wan" drop; }`,
	},
	"port restricted": {
		called: "port-restricted cone", mapping: "endpoint-independent", filtering: "address-and-port-dependent",
		rules: `chain leave { type nat hook postrouting priority 100; oifname "wan" masquerade; }
			chain input { type filter hook input priority 0; iifname "wan" drop; }`,
	},
	"symmetric": {
		called: "symmetric", mapping: "address-and-port-dependent", filtering: "address-and-port-dependent",
		rules: `chain leave { type nat hook postrouting priority 100; oifname "wan" masquerade fully-random; }
			chain input { type filter hook input priority 0; iifname "wan" drop; }`,
	},
	"UDP blocked": {
		called: "UDP blocked", mapping: "unknown", filtering: "unknown",
		rules: `chain leave { type nat hook postrouting priority 100; oifname "wan" masquerade; }
			chain forward { type filter hook forward priority 0; iifname "lan" meta l4proto udp drop; }`,
	},
}

// newNATLab makes the server's namespace, or skips the test where that is not possible.
func newNATLab(t *testing.T) *natLab {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%v: make deps installs it", err)
		}
	}
	removeAbandoned(t)
	l := &natLab{t: t, prefix: fmt.Sprintf("parley-nat-%d-", os.Getpid())}
	t.Cleanup(func() {
		for _, name := range l.names {
			_ = exec.Command("ip", "netns", "del", name).Run()
		}
	})
	if err := l.namespace("server"); err != nil {
		t.Skipf("no network namespaces here: %v", err)
	}
	l.must(l.ip("server", "addr add "+natServer+"/32 dev lo", "addr add "+natServerOther+"/32 dev lo"))
	return l
}

// removeAbandoned removes what runs have left that were killed.
func removeAbandoned(t *testing.T) {
	all, _ := filepath.Glob("/run/netns/parley-nat-*")
	for _, path := range all {
		name := filepath.Base(path)
		pid, _, _ := strings.Cut(strings.TrimPrefix(name, "parley-nat-"), "-")
		if _, err := os.Stat("/proc/" + pid); err != nil {
			t.Logf("removing %s, which an earlier run has left", name)
			_ = exec.Command("ip", "netns", "del", name).Run()
		}
	}
}

func (l *natLab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// namespace makes one with loopback up, and with nothing that comes by itself.
func (l *natLab) namespace(name string) error {
	if err := execute("", "ip", "netns", "add", l.prefix+name); err != nil {
		return err
	}
	l.names = append(l.names, l.prefix+name)
	if err := l.ip(name, "link set lo up"); err != nil {
		return err
	}
	return execute("", "ip", "netns", "exec", l.prefix+name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv4.ip_forward=1")
}

// ip carries out lines of ip -batch in a namespace.
func (l *natLab) ip(name string, lines ...string) error {
	return execute(strings.Join(lines, "\n")+"\n", "ip", "-n", l.prefix+name, "-batch", "-")
}

// inside runs f on a thread that is in a namespace: the sockets that f opens are there as long as they are open.
func (l *natLab) inside(name string, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine, and nothing else ever runs in the namespace
		fd, err := unix.Open("/run/netns/"+l.prefix+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = errors.Join(unix.Setns(fd, unix.CLONE_NEWNET), unix.Close(fd))
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// execute runs a program, and puts into the error what it said.
func execute(input, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// natNames are the kinds in an order that gives their clients numbers.
func natNames() []string { return slices.Sorted(maps.Keys(natKinds)) }

// clientName is the namespace of a client.
func (l *natLab) clientName(number int) string { return fmt.Sprint(l.prefix, "client", number) }

// client puts a client with a number behind a NAT.
func (l *natLab) client(number int, k natKind) {
	l.t.Helper()
	nat, client := fmt.Sprint("nat", number), fmt.Sprint("client", number)
	l.must(l.namespace(nat))
	l.must(l.namespace(client))
	n := func(format string) string { return fmt.Sprintf(format, number) }
	l.must(l.ip("server",
		n("link add c%[1]d type veth peer name wan netns ")+l.prefix+nat, n("addr add 20.0.%[1]d.1/24 dev c%[1]d"), n("link set c%[1]d up")))
	l.must(l.ip(nat,
		"link add lan type veth peer name eth0 netns "+l.prefix+client, n("addr add 20.0.%[1]d.2/24 dev wan"), n("addr add 10.0.%[1]d.1/24 dev lan"),
		"link set wan up", "link set lan up", n("route add default via 20.0.%[1]d.1")))
	l.must(l.ip(client, n("addr add 10.0.%[1]d.2/24 dev eth0"), "link set eth0 up", n("route add default via 10.0.%[1]d.1")))
	if k.public {
		l.must(l.ip("server", n("route add 10.0.%[1]d.0/24 via 20.0.%[1]d.2")))
	}
	if k.rules != "" {
		rules := strings.ReplaceAll(k.rules, "%[1]d", fmt.Sprint(number))
		l.must(execute("table ip nat {\n"+rules+"\n}\n", "ip", "netns", "exec", l.prefix+nat, "nft", "-f", "-"))
	}
}

// start runs a program in the server's namespace until the test ends, and waits until it listens on all four endpoints.
func (l *natLab) start(cmd *exec.Cmd) {
	l.t.Helper()
	l.must(moveInto(l.prefix+"server", cmd))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	l.must(cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed
	}()
	l.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	for start := time.Now(); time.Since(start) < patience; {
		// The namespaces of a process are those of its file in /proc; ip has become the program.
		udp, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/udp", cmd.Process.Pid))
		if strings.Count(string(udp), ":01BB ") >= 2 && strings.Count(string(udp), ":01BC ") >= 2 {
			return
		}
		select {
		case <-ended:
			l.t.Fatalf("%v has ended:\n%s", cmd.Args, &said)
		case <-time.After(10 * time.Millisecond):
		}
	}
	_ = cmd.Process.Kill()
	<-ended
	l.t.Fatalf("%v does not listen:\n%s", cmd.Args, &said)
}

// moveInto lets a command run in a namespace.
func moveInto(namespace string, cmd *exec.Cmd) (err error) {
	cmd.Args = append([]string{"ip", "netns", "exec", namespace, cmd.Path}, cmd.Args[1:]...)
	cmd.Path, err = exec.LookPath("ip")
	return err
}

// doctorIn runs the doctor in a namespace.
func doctorIn(namespace string, args ...string) (r doctor.Report, exit int, err error) {
	cmd := child(childOrder{Main: append([]string{"doctor"}, args...)})
	if err := moveInto(namespace, cmd); err != nil {
		return r, 0, err
	}
	out, err := cmd.Output()
	if cmd.ProcessState == nil {
		return r, 0, err
	}
	return r, cmd.ProcessState.ExitCode(), json.Unmarshal(out, &r)
}

// nameAll asks the doctor behind every kind of NAT for its name.
func (l *natLab) nameAll() {
	var work sync.WaitGroup
	for i, name := range natNames() {
		kind := natKinds[name]
		l.client(1+i, kind)
		work.Go(func() {
			r, exit, err := doctorIn(l.clientName(1+i), "--nat", "--server", natServer+":"+natPort, "--json")
			if err != nil || r.NAT == nil {
				l.t.Errorf("%s: %v, exit %d, %+v", name, err, exit, r)
				return
			}
			if r.NAT.Name != kind.called || r.NAT.Mapping != kind.mapping || r.NAT.Filtering != kind.filtering {
				l.t.Errorf("%s: %+v", name, *r.NAT)
			}
			if blocked := name == "UDP blocked"; r.OK == blocked || (exit != 0) != blocked {
				l.t.Errorf("%s: ok %v, exit %d", name, r.OK, exit)
			}
		})
	}
	work.Wait()
}

// The doctor gives every NAT its right name, by coturn: mapping, filtering, and what people call it.
func TestScenarioNATNamesByCoturn(t *testing.T) {
	program, err := exec.LookPath("turnserver")
	if err != nil {
		t.Skip("turnserver (coturn) is not installed: make deps does that")
	}
	l := newNATLab(t)
	folder := t.TempDir()
	l.start(exec.Command(program, "-n", "--no-auth", "-L", natServer, "-L", natServerOther, "--listening-port", natPort,
		"--alt-listening-port", natOtherPort, "--no-tls", "--no-dtls", "--no-cli", "--log-file", "stdout",
		"--pidfile", filepath.Join(folder, "pid"), "--db", filepath.Join(folder, "db")))
	l.nameAll()
}

// Parley's own server tells the doctor the same, by its second address, and tells it coturn's client too.
func TestScenarioNATNamesByParley(t *testing.T) {
	l := newNATLab(t)
	l.start(child(childOrder{Main: []string{"turn", "--listen", natServer + ":" + natPort, "--alt-address", natServerOther}}))
	l.nameAll()
	program, err := exec.LookPath("turnutils_natdiscovery")
	if err != nil {
		t.Skip("the rest wants turnutils_natdiscovery (coturn): make deps installs it")
	}
	var work sync.WaitGroup
	for i, name := range natNames() {
		kind := natKinds[name]
		if kind.mapping == "unknown" {
			continue // it waits for ever
		}
		for flag, behaviour := range map[string]string{"-m": kind.mapping, "-f": kind.filtering} {
			work.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
				defer cancel()
				out, err := exec.CommandContext(ctx, "ip", "netns", "exec", l.clientName(1+i), program, flag, "-p", natPort, natServer).CombinedOutput()
				if want := coturnWords[flag+behaviour]; !strings.Contains(string(out), want) {
					t.Errorf("%s: %v, no %q in\n%s", name, err, want, out)
				}
			})
		}
	}
	work.Wait()
}

// coturnWords are how coturn's client calls what is found with a flag.
var coturnWords = map[string]string{
	"-mnone":                       "NAT with Endpoint Independent Mapping!",
	"-mendpoint-independent":       "NAT with Endpoint Independent Mapping!",
	"-maddress-and-port-dependent": "NAT with Address and Port Dependent Mapping!",
	"-fendpoint-independent":       "NAT with Endpoint Independent Filtering!",
	"-faddress-dependent":          "NAT with Address Dependent Filtering!",
	"-faddress-and-port-dependent": "NAT with Address and Port Dependent Filtering!",
}
