package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/bus/nats"
	"github.com/parley-rtc/parley/internal/permit"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// buildState starts what keeps shared state, if that is wanted. What is durable is in the data folder; where that cannot be used, nothing is.
func (n *node) buildState(b bus.Bus) error {
	if !n.cfg.State {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stateTime)
	defer cancel()
	may := n.mayState
	log, err := n.openStore(ctx)
	if err != nil {
		n.log.Warn("shared state: durable records are refused, because nothing can be stored in the data folder; all else works", "err", err)
		log, may = local.NewLog(0), n.mayUnstored
	}
	if path := n.cfg.StateRules; path != "" {
		n.rulesFile.read = timeOf(path) // before it is read: what changes meanwhile is read again
		rules, err := readRules(path)
		if err != nil {
			return fmt.Errorf("--state-rules: %w", err)
		}
		n.rules.Store(rules)
	}
	n.scopes, err = scopes.NewService(ctx, scopes.ServiceConfig{
		Bus: b, Log: log, Linger: n.cfg.Linger, Random: rand.Reader, Logger: n.log, May: may,
	})
	if err != nil {
		return fmt.Errorf("--state: %w", err)
	}
	n.onStop(func() { _ = n.scopes.Close() })
	return nil
}

func (n *node) openStore(ctx context.Context) (bus.Log, error) {
	store, err := nats.Open(filepath.Join(n.cfg.Data, "state"))
	if err != nil {
		return nil, err
	}
	log, err := store.Log(ctx, "STATE", nats.Limits{MaxBytes: maxStateBytes})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	n.onStop(func() { _ = store.Close() })
	return log, nil
}

// watched is a file: when it was read, and how it was at the last look.
type watched struct{ read, last fileTime }

// mayState is what the rules are now.
func (n *node) mayState(scope wire.Scope, room string) func(state.Access) *wire.Error {
	if rules := n.rules.Load(); rules != nil {
		return rules.May(scope, room)
	}
	return permit.Default(scope, n.cfg.Auth == "open")
}

// mayUnstored is the same where nothing can be stored: what was acknowledged as durable has to be there later.
func (n *node) mayUnstored(scope wire.Scope, room string) func(state.Access) *wire.Error {
	may := n.mayState(scope, room)
	return func(a state.Access) *wire.Error {
		if a.Kind == state.Records && a.Action == state.Create && a.Durable {
			return &wire.Error{
				Code: wire.CodeUnsupported, Message: "this server stores no records, because its data folder cannot be used",
				Next: "do without durable, or tell whoever runs the server: its log says why",
			}
		}
		if may == nil {
			return nil
		}
		return may(a)
	}
}

// watchRules reads the rules again where their file has changed, and was not changed any more since the last look. Those that cannot be
// used are logged, and those of before stay.
func (n *node) watchRules(f *watched) {
	path := n.cfg.StateRules
	if n.scopes == nil || path == "" {
		return
	}
	now, before := timeOf(path), f.last
	f.last = now
	if now == f.read || now != before {
		return
	}
	f.read = now
	rules, err := readRules(path)
	if err != nil {
		n.log.Error("--state-rules: those of before stay in use", "err", err)
		return
	}
	n.rules.Store(rules)
	ctx, cancel := context.WithTimeout(context.Background(), stateTime)
	defer cancel()
	if err := n.scopes.Recheck(ctx); err != nil {
		n.log.Error("--state-rules: not every scope has them yet", "err", err)
		return
	}
	n.log.Info("the rules of shared state have changed and were read again", "file", path)
}

// readRules reads a file of rules. A condition may be true or false without quotes.
func readRules(path string) (*permit.Set, error) {
	b, err := readLimited(path, maxConfigBytes)
	if err != nil {
		return nil, err
	}
	var written map[wire.Scope]map[state.Kind]map[string]map[state.Action]any
	if err := yaml.UnmarshalWithOptions(b, &written, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	rules := permit.Rules{}
	for scope, kinds := range written {
		rules[scope] = map[state.Kind]map[string]map[state.Action]string{}
		for kind, patterns := range kinds {
			rules[scope][kind] = map[string]map[state.Action]string{}
			for pattern, conditions := range patterns {
				rules[scope][kind][pattern] = map[state.Action]string{}
				for action, condition := range conditions {
					rules[scope][kind][pattern][action] = fmt.Sprint(condition)
				}
			}
		}
	}
	set, err := permit.Compile(rules)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return set, nil
}
