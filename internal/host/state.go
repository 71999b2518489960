package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/bus/nats"
	"github.com/parley-rtc/parley/internal/journal"
	"github.com/parley-rtc/parley/internal/permit"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// stateLog is where durable records are in the store; nothing of it may be lost. Of rooms' logs, roomLog and changesLog, what is whole is served where some is damaged.
const stateLog, roomLog, changesLog = "STATE", "LOG", "CHANGES"

// stateFolder is where the store is in a data folder.
func stateFolder(data string) string { return filepath.Join(data, "state") }

// restoreState is what to do where the store is damaged.
const restoreState = "stop the server and put back a copy of the folder, or move it away to begin anew"

// ownFolder is what to do where two servers have one data folder.
const ownFolder = "give each server a data folder of its own, by --data"

// openStore opens what durable state is stored in, if state is kept: the data folder. Where that cannot be used, nothing is stored.
func (n *node) openStore() {
	if !n.cfg.State {
		return
	}
	folder := stateFolder(n.cfg.Data)
	store, err := startStore(folder, n.log)
	if errors.Is(err, nats.ErrDamaged) {
		n.log.Error("shared state: durable records are refused, and rooms have no logs, because what is stored is damaged. It was left as it is; all else works. "+
			"What to do: "+restoreState, "folder", folder, "err", err)
		return
	}
	if errors.Is(err, nats.ErrInUse) {
		n.log.Warn("shared state: durable records are refused, and rooms have no logs, because another server uses the data folder; all else works. "+
			"What to do: "+ownFolder, "folder", folder)
		return
	}
	if err != nil {
		n.log.Warn("shared state: durable records are refused, and rooms have no logs, because nothing can be stored in the data folder; all else works. "+
			"What to do: make room there, and see that the server may write to it, then start it again", "folder", folder, "err", err)
		return
	}
	n.store = store
	n.onStop(func() { _ = store.Close() })
}

// buildJournal starts what keeps the logs of rooms, where something can be stored.
func (n *node) buildJournal(b bus.Bus) error {
	if n.store == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stateTime)
	defer cancel()
	half := bus.Limits{MaxBytes: n.cfg.RoomLogBytes / 2, MaxAge: n.cfg.RoomLogAge, Forget: true}
	log, err := n.store.Log(ctx, roomLog, half)
	changes, changesErr := n.store.Log(ctx, changesLog, half)
	if err := errors.Join(err, changesErr); err != nil {
		n.log.Error("the logs of rooms cannot be opened in the data folder: rooms have none; all else works", "err", err)
		return nil
	}
	n.journal, err = journal.New(journal.Config{
		Bus: b, Log: log, Changes: changes, Logger: n.log, Mended: func() time.Time { return n.store.Damage().At },
		ReadsAny: func(room string, by state.Caller, record string) bool {
			return state.ReadsAny(n.mayState(wire.ScopeRoom, room), by, record)
		},
		Denied: func(ctx context.Context, room string, by state.Caller, records []string) (map[string]bool, error) {
			return scopes.Denied(ctx, b, room, by, records)
		},
	})
	if err != nil {
		return fmt.Errorf("keep the logs of rooms: %w", err)
	}
	n.people, n.changes = log, changes
	n.onStop(n.journal.Close)
	return nil
}

// buildState starts what keeps shared state, if that is wanted.
func (n *node) buildState(b bus.Bus) error {
	if !n.cfg.State {
		return nil
	}
	if path := n.cfg.StateRules; path != "" {
		n.rulesFile.read = timeOf(path) // before it is read: what changes meanwhile is read again
		rules, err := readRules(path)
		if err != nil {
			return fmt.Errorf("--state-rules: %w", err)
		}
		n.useRules(rules)
	}
	config := scopes.ServiceConfig{
		Bus: b, Linger: n.cfg.Linger, AcceptTime: n.cfg.RPCAccept, AnswerTime: n.cfg.RPCAnswer, Random: rand.Reader, Logger: n.log,
	}
	if n.journal != nil {
		config.Note, config.Loaded = n.journal.Note, n.journal.CatchUp
	}
	ctx, cancel := context.WithTimeout(context.Background(), stateTime)
	defer cancel()
	if err := n.storedState(ctx, config); err != nil {
		n.log.Error("shared state: durable records are refused, because what is stored in the data folder cannot be used; all else works. "+
			"What to do: "+restoreState, "folder", stateFolder(n.cfg.Data), "err", err)
	}
	if n.scopes == nil {
		config.Log, config.May = local.NewLog(0), n.mayUnstored
		var err error
		if n.scopes, err = scopes.NewService(context.Background(), config); err != nil {
			return fmt.Errorf("keep shared state: %w", err)
		}
	}
	n.onStop(func() { _ = n.scopes.Close() })
	return nil
}

// storedState starts what keeps shared state, where something can be stored, with what is.
func (n *node) storedState(ctx context.Context, config scopes.ServiceConfig) (err error) {
	if n.store == nil {
		return nil
	}
	if config.Log, err = n.openState(ctx); err != nil {
		return err
	}
	config.May, config.MaxStored, config.Faulty = n.mayState, n.cfg.StateBytes, n.store.Faulty
	n.scopes, err = scopes.NewService(ctx, config)
	n.durable, n.records = err == nil, config.Log
	return err
}

// openState opens the log of durable records. Where --state-bytes is less than what is there, there is room all the same for deletions, and to say what is not
// needed any more.
func (n *node) openState(ctx context.Context) (bus.Log, error) {
	limits := bus.Limits{MaxBytes: n.cfg.StateBytes + scopes.ShelfReserve}
	log, err := n.store.Log(ctx, stateLog, limits)
	if err != nil {
		return nil, err
	}
	size, err := log.Size(ctx)
	if err != nil || size <= n.cfg.StateBytes {
		return log, err
	}
	limits.MaxBytes = size + scopes.ShelfReserve
	return n.store.Log(ctx, stateLog, limits)
}

// watched is a file: when it was read, and how it was at the last look.
type watched struct{ read, last fileTime }

// mayState is what the rules are now.
func (n *node) mayState(scope wire.Scope, room string) func(state.Access) *wire.Error {
	if rules := n.rules.Load(); rules != nil {
		return rules.May(scope, room, n.isOpen())
	}
	return permit.Default(scope, n.isOpen())
}

// isOpen tells whether everybody may join any room.
func (n *node) isOpen() bool { return n.cfg.Auth == "open" }

// useRules puts rules in use, and says of what they say nothing, and what they cannot do.
func (n *node) useRules(rules *permit.Set) {
	n.rules.Store(rules)
	n.log.Info("the rules of shared state were read; what holds without rules holds for the kinds that they do not name",
		"file", n.cfg.StateRules, "unnamed", strings.Join(rules.Unnamed(), ", "))
	if n.isOpen() && rules.AsksIdentity() {
		n.log.Warn("the rules of shared state ask for user.identity, which without tokens is what somebody says of himself: they keep nobody from saying that he is another; "+
			"--auth token makes it sure", "file", n.cfg.StateRules)
	}
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
// used are logged, and those of before stay. It reports whether they may be changing now.
func (n *node) watchRules(f *watched) (changing bool) {
	path := n.cfg.StateRules
	if n.scopes == nil || path == "" {
		return false
	}
	now, before := timeOf(path), f.last
	f.last = now
	if now == f.read || now != before {
		return now != f.read
	}
	f.read = now
	rules, err := readRules(path)
	if err != nil {
		n.log.Error("--state-rules: those of before stay in use", "err", err)
		return false
	}
	n.useRules(rules)
	n.scopes.Recheck()
	return false
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
