package host

import (
	"context"
	"errors"
	"os"
	ossignal "os/signal"
	"syscall"
	"time"

	"github.com/parley-rtc/parley/internal/doctor"
)

type doctorCommand struct {
	Config `embed:""`

	NAT      bool   `name:"nat" group:"Doctor" help:"Look at nothing but the NAT between this machine and --server."`
	Server   string `group:"Doctor" placeholder:"HOST[:PORT]" help:"STUN server with two addresses, by which the NAT in front of this machine is found out: parley turn --alt-address, or coturn. Default: the NAT is not looked at."`
	Loopback bool   `default:"true" negatable:"" group:"Doctor" help:"Call the server on this machine by every path. Default: yes, where nothing else is broken."`
	JSON     bool   `name:"json" group:"Doctor" help:"Print what was found as JSON."`
}

// Help implements kong.HelpProvider.
func (doctorCommand) Help() string {
	return `The doctor says what is wrong, why, and what to do about it. The exit status is 0 when nothing is broken (warnings do not count), 1 when
something is, and 2 when it was asked wrongly.

It looks at the settings and the machine as a server with the same flags, variables and file would find them: give it those. Then it calls the
server by UDP, ICE-TCP, TURN over UDP, TCP and TLS, WHIP and WebSocket, within this machine and for a second each. Where none runs, it starts
one for that on a free port.

With --server it also names the behaviour of the NAT in front of this machine, in the words of RFC 4787 and in plain ones.`
}

// doctor looks for what is wrong and prints it.
func (p process) doctor(c *doctorCommand, origins Origins) error {
	if c.NAT && c.Server == "" {
		return &usageError{errors.New("--nat: name a STUN server with two addresses by --server, such as one that runs parley turn --alt-address")}
	}
	ctx, stop := ossignal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	progress := doctor.NewProgress(p.stderr, isTerminal(p.stderr))
	r := doctor.NewReport(Version())
	if !c.JSON {
		r.Added = func(f doctor.Finding) {
			progress.Clear()
			_ = f.Write(p.stdout)
		}
	}
	if !c.NAT {
		running := c.examineHost(ctx, origins, r, progress.Show)
		switch {
		case c.Loopback && r.OK:
			c.examinePaths(ctx, p.env, running, r, progress.Show)
		case c.Loopback:
			r.Add(doctor.Finding{Area: areaServer, Level: doctor.Note, Text: "it was not called, because of what is broken above"})
		}
		progress.Clear()
	}
	if c.Server != "" {
		err := r.ExamineNAT(ctx, c.Server, progress.Show)
		progress.Clear()
		if err != nil {
			return err
		}
	}
	// Round takes the reading of the clock that nobody sets away (package time).
	if f, stepped := doctor.Stepped(time.Now().Round(0).Sub(began.Round(0)), time.Since(began)); stepped {
		r.Add(f)
	}
	return p.conclude(c, r)
}

// conclude prints what is left to print.
func (p process) conclude(c *doctorCommand, r *doctor.Report) error {
	write := r.WriteVerdict
	if c.JSON {
		write = r.WriteJSON
	}
	if err := write(p.stdout); err != nil {
		return err
	}
	if !r.OK {
		return errFaults
	}
	return nil
}

// errFaults is what the doctor ends with where something is broken: its report has said what.
var errFaults = errors.New("doctor: something is wrong")
