package host

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	ossignal "os/signal"
	"syscall"
	"time"

	"github.com/parley-rtc/parley/internal/doctor"
)

type doctorCommand struct {
	Config `embed:""`

	NAT      bool   `name:"nat" group:"Doctor" help:"Look at nothing but the NAT between this machine and --server."`
	Server   string `group:"Doctor" placeholder:"HOST[:PORT]" help:"STUN server with two addresses elsewhere, by which the NAT in front of this machine is found out: parley turn --alt-address, or coturn. Default: the NAT is not looked at."`
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
	ctx, stop := ossignal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	stun, err := c.stunServer(ctx)
	if err != nil {
		return &usageError{err}
	}
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
	if stun.IsValid() {
		r.ExamineNAT(ctx, stun, progress.Show)
		progress.Clear()
	}
	if ctx.Err() != nil {
		return errors.New("doctor: it was interrupted, and has not looked at everything")
	}
	// Round takes the reading of the clock that nobody sets away (package time).
	if f, stepped := doctor.Stepped(time.Now().Round(0).Sub(began.Round(0)), time.Since(began)); stepped {
		r.Add(f)
	}
	return p.conclude(c, r)
}

// stunServer finds the server of --server; invalid: there is none. It is looked for before anything else is looked at, which takes a while.
func (c *doctorCommand) stunServer(ctx context.Context) (at netip.AddrPort, err error) {
	const wanted = "a STUN server with two addresses, such as one that runs parley turn --alt-address"
	switch {
	case c.Server != "":
	case c.NAT:
		return at, errors.New("--nat: name " + wanted + ", by --server")
	default:
		return at, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	if at, err = doctor.FindServer(ctx, c.Server); err != nil {
		err = fmt.Errorf("--server %s: %w; give HOST or HOST:PORT of %s. It is asked about the NAT alone: the server that the doctor looks at "+
			"is the one of this machine, by its flags", c.Server, err, wanted)
	}
	return at, err
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
