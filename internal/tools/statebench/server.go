package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	startTimeout = 20 * time.Second
	stopTimeout  = 15 * time.Second
	tick         = 10 * time.Millisecond // of the kernel's counts of CPU time
)

// server is the binary that is measured.
type server struct {
	// static after construction
	cmd     *exec.Cmd
	address string
	core    string
	log     *os.File
	begun   time.Time // when its process was started
	done    chan struct{}
}

// start starts a server on a folder of this name, and waits until something accepts connections.
func (b *bench) start(ctx context.Context, folder string, flags ...string) (*server, error) {
	folder = filepath.Join(b.folder, folder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(b.folder, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	line := append([]string{b.binary, "serve", "--listen", b.address, "--data", folder, "--log-level", "warn", "--drain", "0s"}, flags...)
	if b.serverCore != "" {
		line = append([]string{"taskset", "-c", b.serverCore}, line...)
	}
	s := &server{cmd: exec.Command(line[0], line[1:]...), address: b.address, core: b.serverCore, log: log, begun: time.Now(), done: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	go func() { // ends with the process
		defer close(s.done)
		_ = s.cmd.Wait()
	}()
	for {
		c, err := net.Dial("tcp", s.address)
		if err == nil {
			return s, c.Close()
		}
		select {
		case <-s.done:
			return nil, errors.Join(fmt.Errorf("the server has ended: %s", s.said()), s.stop(syscall.SIGKILL))
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), s.stop(syscall.SIGKILL))
		case <-time.After(time.Millisecond):
		}
		if time.Since(s.begun) > startTimeout {
			return nil, errors.Join(fmt.Errorf("the server does not listen: %w", err), s.stop(syscall.SIGKILL))
		}
	}
}

// said is the end of what it has logged.
func (s *server) said() string {
	b, _ := os.ReadFile(s.log.Name())
	return string(b[max(0, len(b)-1000):])
}

// stop ends the server, and waits for that.
func (s *server) stop(how os.Signal) error {
	_ = s.cmd.Process.Signal(how) // it may have ended
	select {
	case <-s.done:
	case <-time.After(stopTimeout):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	return s.log.Close()
}

// cpu is the time that its threads have run.
func (s *server) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	return ticks(fields[11]) + ticks(fields[12]) // utime, stime
}

func ticks(field string) time.Duration {
	n, _ := strconv.Atoi(field)
	return time.Duration(n) * tick
}

// resident is its memory, in bytes.
func (s *server) resident() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			kib, err := strconv.ParseFloat(f[1], 64)
			return kib * 1024, err
		}
	}
	return 0, errors.New("the kernel tells no VmRSS")
}

// metric reads one that has no labels.
func (s *server) metric(name string) (float64, error) {
	a, err := http.Get("http://" + s.address + "/metrics")
	if err != nil {
		return 0, err
	}
	defer a.Body.Close()
	for lines := bufio.NewScanner(a.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("the server tells no %s", name)
}

// usage is who has used how much of the two cores.
type usage struct {
	wall, server, load time.Duration
	others, stolen     time.Duration // on the server's core: other processes and interrupts, and the hypervisor
}

// usage counts since the start.
func (s *server) usage() usage {
	var self unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &self)
	u := usage{server: s.cpu(), load: time.Duration(self.Utime.Nano() + self.Stime.Nano()), wall: time.Since(s.begun)}
	b, _ := os.ReadFile("/proc/stat")
	for line := range strings.Lines(string(b)) {
		// user nice system idle iowait irq softirq steal
		if f := strings.Fields(line); s.core != "" && len(f) > 8 && f[0] == "cpu"+s.core {
			u.others = ticks(f[1]) + ticks(f[2]) + ticks(f[3]) + ticks(f[6]) + ticks(f[7]) - u.server
			u.stolen = ticks(f[8])
		}
	}
	return u
}

// since is what was used since another look.
func (u usage) since(o usage) usage {
	return usage{u.wall - o.wall, u.server - o.server, u.load - o.load, u.others - o.others, u.stolen - o.stolen}
}

func (u usage) String() string {
	percent := func(d time.Duration) float64 { return 100 * float64(d) / float64(max(u.wall, 1)) }
	return fmt.Sprintf("server %.0f %%, load %.0f %%, others %.0f %%, hypervisor %.0f %%", percent(u.server), percent(u.load), max(0, percent(u.others)), percent(u.stolen))
}

// each is the server's time for one of n things, in µs.
func (u usage) each(n int) float64 {
	return float64(u.server) / float64(time.Microsecond) / float64(max(n, 1))
}
