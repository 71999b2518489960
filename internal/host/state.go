package host

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/nats"
	"github.com/parley-rtc/parley/internal/permit"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// buildState starts what keeps shared state, if that is wanted. What is durable is in the data folder.
func (n *node) buildState(b bus.Bus) error {
	if !n.cfg.State {
		return nil
	}
	store, err := nats.Open(filepath.Join(n.cfg.Data, "state"))
	if err != nil {
		return fmt.Errorf("--state: %w", err)
	}
	n.onStop(func() { _ = store.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), stateTime)
	defer cancel()
	log, err := store.Log(ctx, "STATE", nats.Limits{MaxBytes: maxStateBytes})
	if err != nil {
		return fmt.Errorf("--state: %w", err)
	}
	open := n.cfg.Auth == "open"
	s, err := scopes.NewService(ctx, scopes.ServiceConfig{
		Bus: b, Log: log, Linger: n.cfg.Linger, Random: rand.Reader, Logger: n.log,
		May: func(scope wire.Scope, _ string) func(state.Access) *wire.Error { return permit.Default(scope, open) },
	})
	if err != nil {
		return fmt.Errorf("--state: %w", err)
	}
	n.onStop(func() { _ = s.Close() })
	return nil
}
