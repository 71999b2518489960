package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	ossignal "os/signal"
	"syscall"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/load"
	"github.com/parley-rtc/parley/wire"
)

type loadCommand struct {
	Shared    `embed:""`
	load.Plan `embed:""`
}

// Help implements kong.HelpProvider.
func (loadCommand) Help() string {
	return `Rooms of synthetic participants join the server and talk for a while; then a table says how long joining took, when the first
picture was there, and what was lost, late or frozen. It ends by itself; Ctrl-C ends it sooner and shows what was measured so far. The
exit status is 1 when something failed.

Load only what is yours: other people's servers only with their consent. Without --with-consent, public addresses are refused.

A server that asks for tokens is joined with those that the keys of --keys or --data can sign.

Pictures are packets of the right size, in time, with valid headers and nothing to see in them. Nobody adapts to the network: who
sends keeps the bitrate. Clients ask for repairs and key frames, and report like browsers.`
}

// load carries out a plan and prints what came of it.
func (p process) load(c *loadCommand) error {
	if err := c.Check(fileLimit()); err != nil {
		return &usageError{err}
	}
	token, err := signer(&c.Shared, p.env, c.Duration+time.Hour)
	if err != nil {
		return err
	}
	ctx, stop := ossignal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() { // ends with ctx, which stop ends at the latest
		<-ctx.Done()
		stop() // the second signal ends the process
	}()
	progress := load.NewProgress(p.stderr, isTerminal(p.stderr))
	report, err := load.Run(ctx, &c.Plan, load.Options{Token: token, Status: progress.Show})
	progress.Close()
	if err != nil {
		return err
	}
	write := report.WriteTable
	if c.JSON {
		write = report.WriteJSON
	}
	if err := write(p.stdout); err != nil {
		return err
	}
	if !report.OK {
		return errors.New("load: not everything went well; the errors are listed above")
	}
	return nil
}

// signer makes tokens with the key pairs of the server, where they can be had, that are valid so long. A server without tokens ignores them.
// nil: there are no key pairs.
func signer(s *Shared, env environment, valid time.Duration) (func(room, identity string) (string, error), error) {
	named := s.Keys.Reveal() != "" || s.Data != ""
	s.Data = cmp.Or(s.Data, defaultData(env))
	if path := s.keysPath(); path != "" {
		if _, err := os.Stat(path); err != nil {
			if named {
				return nil, fmt.Errorf("keys: %w: --data is the data folder of the server", err)
			}
			return nil, nil
		}
	}
	k, err := loadKeys(s)
	if err != nil {
		return nil, err
	}
	return func(room, identity string) (string, error) {
		now := time.Now()
		return auth.Sign(now, auth.Claims{
			Key: k.first, Identity: identity, Name: identity, Room: room,
			Grants: wire.Grants{Publish: true, Subscribe: true}, Expires: now.Add(valid),
		}, k.keys)
	}, nil
}
