package host

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// childVariable makes a process of this test another machine, which does what the order says and nothing else: the server under
// test shares its scheduler, its collector and its heap with nobody.
const childVariable = "PARLEY_TEST_CHILD"

// childOrder has one of these set.
type childOrder struct {
	Flood    *floodOrder     `json:",omitempty"`
	Messages *messagesOrder  `json:",omitempty"`
	Call     *netip.AddrPort `json:",omitempty"` // of the server
	Relay    []string        `json:",omitempty"` // the command line of a server with a relay
	Main     []string        `json:",omitempty"` // of the command line
}

func TestMain(m *testing.M) {
	order := os.Getenv(childVariable)
	if order == "" {
		os.Exit(m.Run())
	}
	var o childOrder
	err := json.Unmarshal([]byte(order), &o)
	switch {
	case err != nil:
	case o.Flood != nil:
		sent, took := o.Flood.send()
		fmt.Print(sent, int64(took))
	case o.Messages != nil:
		err = o.Messages.run()
	case o.Call != nil:
		err = callChild(*o.Call)
	case o.Relay != nil:
		err = relayChild(o.Relay)
	case o.Main != nil:
		_ = os.Unsetenv(childVariable) // which is no setting
		os.Exit(Main(o.Main))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child is the command that carries out an order in another process.
func child(o childOrder) *exec.Cmd {
	order, _ := json.Marshal(o)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(order))
	cmd.Stderr = os.Stderr
	return cmd
}

// behind lets a process go behind others, with all its threads: what it does not get to do is not taken from the server, as on a machine of
// its own.
func behind(cmd *exec.Cmd) *exec.Cmd {
	if nice, err := exec.LookPath("nice"); err == nil {
		cmd.Path, cmd.Args = nice, append([]string{nice, "-n", "10", cmd.Path}, cmd.Args[1:]...)
	}
	return cmd
}

// hasten lets a process that leads its group go before others, so that it measures the server and not how busy this machine is:
// a client has a machine of its own. Where it may not, nothing changes.
func hasten(t *testing.T, leader int) {
	if err := unix.Setpriority(unix.PRIO_PGRP, leader, clientNice); err != nil {
		t.Logf("clients go before nobody: %v", err)
	}
}

// hastenServer lets this process go before others too, but behind its clients, until the test ends: how long a server is kept from running by what
// else a machine does is no property of the server. Nice is each thread's; those to come have that of who starts them, as processes do.
func hastenServer(t *testing.T) {
	all := func(nice int) error {
		tasks, err := os.ReadDir("/proc/self/task")
		for _, task := range tasks {
			id, _ := strconv.Atoi(task.Name())
			if e := unix.Setpriority(unix.PRIO_PROCESS, id, nice); e != nil && !errors.Is(e, unix.ESRCH) {
				err = e
			}
		}
		return err
	}
	before, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err == nil {
		err = all(serverNice)
	}
	if err != nil {
		t.Logf("the server goes before nobody: %v", err)
		return
	}
	t.Cleanup(func() { _ = all(20 - before) }) // which is how the kernel tells it
}

const (
	clientNice = -10
	serverNice = -5
)

// remoteCall is a quietCall in another process.
type remoteCall struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *bufio.Reader
	ufrags  string
}

// callAnswer is what the process of a call says after each line that it was told.
type callAnswer struct {
	Ufrags    string
	Reception reception
}

// nodeInCall runs a server, and a call on it in another process, until the test ends.
func nodeInCall(t *testing.T) (n *node, address netip.AddrPort, call *remoteCall) {
	t.Helper()
	hastenServer(t)
	n = startNode(t)
	t.Cleanup(n.stop)
	address = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), n.port.Local().Port())
	call, err := startCall(t, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := call.end(); err != nil {
			t.Error(err)
		}
	})
	return n, address, call
}

func startCall(t *testing.T, server netip.AddrPort) (*remoteCall, error) {
	x := &remoteCall{cmd: child(childOrder{Call: &server})}
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := x.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if x.in, err = x.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := x.cmd.Start(); err != nil {
		return nil, err
	}
	hasten(t, x.cmd.Process.Pid)
	x.answers = bufio.NewReader(out)
	a, err := x.answer()
	if err != nil {
		return nil, errors.Join(err, x.end())
	}
	x.ufrags = a.Ufrags
	return x, nil
}

// ask tells the process to do something and waits until it has.
func (x *remoteCall) ask(words ...any) (callAnswer, error) {
	if _, err := fmt.Fprintln(x.in, words...); err != nil {
		return callAnswer{}, err
	}
	return x.answer()
}

func (x *remoteCall) answer() (a callAnswer, err error) {
	line, err := x.answers.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	if err != nil {
		err = fmt.Errorf("the process of the call: %w", err)
	}
	return a, err
}

// end ends the call and its process.
func (x *remoteCall) end() error {
	return errors.Join(x.in.Close(), x.cmd.Wait())
}

// callChild sets a call up and then does what it is told, line by line, until there is no more:
//
//	talk        talk from now on
//	own RATE    send garbage from the publisher's socket
//	stop        stop talking, and tell what was received since talk
func callChild(server netip.AddrPort) error {
	call, err := (&churn{address: server}).callUp()
	if err != nil {
		return err
	}
	defer call.end()
	answers := json.NewEncoder(os.Stdout)
	if err := answers.Encode(callAnswer{Ufrags: call.ufrags}); err != nil {
		return err
	}
	var (
		stop   chan struct{}
		talked = make(chan int)
		first  uint16
	)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var a callAnswer
		switch word, rest, _ := strings.Cut(lines.Text(), " "); word {
		case "talk":
			call.forget()
			first, stop = call.next, make(chan struct{})
			go func() { talked <- call.talk(stop) }()
		case "own":
			rate, err := strconv.Atoi(rest)
			if err != nil {
				return err
			}
			call.fromOwnAddress(rate)
		case "stop":
			close(stop)
			media := <-talked
			time.Sleep(300 * time.Millisecond) // for what is on its way
			a.Reception = call.received(first, media)
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
	return nil
}
