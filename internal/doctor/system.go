package doctor

import (
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/parley-rtc/parley/internal/udp"
)

// System is what the machine gives a server. Zero values are unknown.
type System struct {
	Now   time.Time
	Built time.Time // the revision that the program was built from

	ReceiveBuffer, SendBuffer int // bytes that a UDP socket gets
	ReceiveMax, SendMax       int // net.core.rmem_max and wmem_max

	Files, WantedFiles, FewFiles uint64 // files that may be open; as many as there should be; too few

	Clock      ClockState
	ClockError time.Duration // how far it may be off, where it is synchronised

	AES       Answer
	Container string // how it is known to be one
	Memory    int64  // bytes that a control group allows
	Cores     float64
}

// Answer is yes or no, where that is known.
type Answer uint8

// Answers.
const (
	Unknown Answer = iota
	No
	Yes
)

// ClockState is whether the kernel takes its clock for right.
type ClockState uint8

// States of a clock.
const (
	ClockUnknown ClockState = iota
	ClockSynchronised
	ClockFree // nothing corrects it
)

// LookAtSystem finds out what can be found out here. The files are the caller's to fill in.
func LookAtSystem() System {
	s := System{Now: time.Now(), Built: built(), AES: accelerated()}
	if c, err := udp.Listen(udp.Config{Listen: "127.0.0.1:0"}); err == nil {
		stats := c.Stats()
		s.ReceiveBuffer, s.SendBuffer = stats.ReceiveBuffer, stats.SendBuffer
		_ = c.Close()
	}
	s.look()
	return s
}

// Findings tells what is wrong with the machine, and what is well.
func (s *System) Findings() []Finding {
	all := []Finding{s.buffers(), s.files(), s.clock(), s.aes()}
	if s.Container != "" {
		all = append(all, s.container())
	}
	return all
}

// buffers are those of the one UDP socket.
func (s *System) buffers() Finding {
	f := Finding{Area: "buffers", Level: OK, Text: fmt.Sprintf("%s for what UDP receives, %s for what it sends", size(s.ReceiveBuffer), size(s.SendBuffer))}
	switch {
	case s.ReceiveBuffer == 0:
		f.Level, f.Text = Note, "how much the kernel buffers of UDP is not to be found out here"
	case s.ReceiveBuffer < udp.DefaultReceiveBuffer:
		f.Level, f.Text = Warning, fmt.Sprintf("the kernel grants %s of %s for what UDP receives", size(s.ReceiveBuffer), size(udp.DefaultReceiveBuffer))
		f.Cause = fmt.Sprintf("net.core.rmem_max is %s, and this user may not go beyond: a burst of packets is lost while the server is busy", size(s.ReceiveMax))
		f.Next = sysctl("rmem_max", udp.DefaultReceiveBuffer)
	case s.SendBuffer < udp.DefaultSendBuffer:
		f.Level, f.Text = Warning, fmt.Sprintf("the kernel grants %s of %s for what UDP sends", size(s.SendBuffer), size(udp.DefaultSendBuffer))
		f.Cause = fmt.Sprintf("net.core.wmem_max is %s, and this user may not go beyond", size(s.SendMax))
		f.Next = sysctl("wmem_max", udp.DefaultSendBuffer)
	case s.ReceiveMax > 0 && s.ReceiveMax < udp.DefaultReceiveBuffer:
		f.Level = Note
		f.Cause = fmt.Sprintf("net.core.rmem_max is %s: this user may go beyond, and one without CAP_NET_ADMIN, as in the systemd unit, may not", size(s.ReceiveMax))
		f.Next = sysctl("rmem_max", udp.DefaultReceiveBuffer)
	}
	return f
}

// sysctl raises a limit of the kernel.
func sysctl(name string, n int) string {
	return fmt.Sprintf("echo net.core.%s=%d | sudo tee -a /etc/sysctl.d/parley.conf && sudo sysctl --system", name, n)
}

// files: every TCP connection is one.
func (s *System) files() Finding {
	f := Finding{Area: "open files", Level: OK, Text: fmt.Sprintf("%d at once", s.Files)}
	switch {
	case s.Files == 0:
		f.Level, f.Text = Note, "how many may be open is not to be found out here"
	case s.Files == math.MaxUint64:
		f.Text = "no limit"
	case s.Files < s.FewFiles:
		f.Level = Warning
	case s.Files < s.WantedFiles:
		f.Level = Note
	}
	if s.Files > 0 && s.Files < s.WantedFiles {
		f.Cause = fmt.Sprintf("the hard limit of this user: each WebSocket and each call by TCP is a file, and %d would be better", s.WantedFiles)
		f.Next = fmt.Sprintf("ulimit -Hn %d before the start, or LimitNOFILE=%d in the systemd unit", s.WantedFiles, s.WantedFiles)
	}
	return f
}

// clock: tokens and certificates are worth nothing by a wrong one.
func (s *System) clock() Finding {
	f := Finding{Area: "clock", Text: s.Now.UTC().Format("2006-01-02 15:04:05") + " UTC"}
	switch {
	case s.Now.Before(s.Built):
		f.Level = Fault
		f.Cause = fmt.Sprintf("that is before this program was made (%s): no token and no certificate is valid yet", s.Built.UTC().Format(time.DateOnly))
		f.Next = "set the clock: sudo timedatectl set-ntp true"
	case s.Clock == ClockSynchronised:
		f.Level = OK
		f.Text += fmt.Sprintf(", synchronised to within %v", s.ClockError.Round(time.Millisecond))
		if s.ClockError > maxClockError {
			f.Level = Warning
			f.Cause = "nothing has corrected it for long: tokens from another machine may seem to be of tomorrow, or over"
			f.Next = "see what timedatectl timesync-status, or chronyc tracking, say"
		}
	case s.Clock == ClockFree:
		f.Level = Note
		f.Text += ", as far as the kernel knows corrected by nobody"
		f.Next = "timedatectl set-ntp true, unless the host of this machine or container keeps its clock right: by it tokens begin and end"
	default:
		f.Level = Note
		f.Text += "; whether it is synchronised is not to be found out here"
	}
	return f
}

// Stepped is the finding where the clock and the time that has passed disagree: somebody sets it. It reports false where they do not.
func Stepped(byClock, passed time.Duration) (f Finding, stepped bool) {
	d := byClock - passed
	if d.Abs() < maxClockStep {
		return f, false
	}
	return Finding{
		Area: "clock", Level: Warning, Text: fmt.Sprintf("it was set by %v while the doctor looked", d.Round(time.Millisecond)),
		Cause: "something sets the clock instead of slewing it: tokens and certificates come and go with it",
		Next:  "let one program alone keep it, such as chrony or systemd-timesyncd; in a virtual machine, not the guest tools besides",
	}, true
}

// aes: media is encrypted once for each receiver.
func (s *System) aes() Finding {
	switch s.AES {
	case Yes:
		return Finding{Area: "processor", Level: OK, Text: fmt.Sprintf("%s with AES in hardware", cores(runtime.GOMAXPROCS(0)))}
	case No:
		return Finding{
			Area: "processor", Level: Warning, Text: fmt.Sprintf("%s without AES in hardware", cores(runtime.GOMAXPROCS(0))),
			Cause: "media is encrypted for each receiver, which then takes several times the work; of some virtual machines the processor is hidden",
			Next:  "give a virtual machine the processor of its host (cpu mode host-passthrough), or expect fewer people on it",
		}
	}
	return Finding{Area: "processor", Level: Note, Text: fmt.Sprintf("%s; whether AES is in hardware is not known for %s", cores(runtime.GOMAXPROCS(0)), runtime.GOARCH)}
}

func cores(n int) string { return plural(n, "core") }

func (s *System) container() Finding {
	f := Finding{Area: "container", Level: OK, Text: "it runs in one (" + s.Container + ")"}
	if s.Memory > 0 {
		f.More = append(f.More, size(int(s.Memory))+" of memory")
		if s.Memory < littleMemory {
			f.Level, f.Cause = Warning, "with so little memory the server is killed when a room fills"
			f.Next = "give it " + size(littleMemory) + " or more"
		}
	}
	if s.Cores > 0 {
		f.More = append(f.More, fmt.Sprintf("%.3g cores by quota", s.Cores))
		if s.Cores < 1 {
			f.Level, f.Cause = Warning, "by a quota below one core the kernel stops the server for some of each 100 ms, which is heard"
			f.Next = "give it one core or more, or no quota"
		}
	}
	return f
}

// size writes one for people.
func size(n int) string {
	switch {
	case n >= 1<<30 && n%(1<<29) == 0 || n >= 10<<30:
		return fmt.Sprintf("%.3g GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.3g MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
