package nats

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/parley-rtc/parley/internal/bus"
)

// The server does not answer where the disk did not take a message, as it is full, say, and writes nothing into that log any more until it is started again. So a Node that hears nothing
// for suspectTime asks the server how it is. Where that cannot write any more, the Node says so, once; what is to be written waits until it can be, or its context ends; what is there is
// read as before. Whether the disk takes anything is tried with a file of the Node's own, at longer and longer intervals; when it does, the server is started again, on what is there then:
//
//	Append ─ no answer ─→ watch ─ not well ─→ probe the disk ┬ no: wait, longer each time
//	                                                        └ yes: look through what is there, start again ─→ Append goes on

// ErrFault: the disk does not take what is written. That may be over later.
var ErrFault = errors.New("the disk does not take what is written")

// restoreDisk is what to do then.
const restoreDisk = "make room on the disk of this folder, or mend it; the server notices by itself"

// taking tells whether the store takes what is written. The Node's mu guards it.
type taking struct {
	ctx   context.Context // ends when it does not; its cause says why
	end   context.CancelCauseFunc
	waits chan struct{} // closed when it does again; nil: it does
}

// begin lets it take what is written.
func (t *taking) begin() {
	t.ctx, t.end = context.WithCancelCause(context.Background())
	if t.waits != nil {
		close(t.waits)
		t.waits = nil
	}
}

// Stats of a Node.
type Stats struct {
	Faulty     bool   // the disk does not take what is written now
	Faults     uint64 // how often it did not
	Unreadable uint64 // readings that failed, as the disk did not give what it has
	Damaged    int    // blocks of logs from which something was set aside since Start
}

// Stats returns counts.
func (n *Node) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return Stats{Faulty: n.faulty.Load(), Faults: n.faults.Load(), Unreadable: n.unreadable.Load(), Damaged: n.damage.Blocks}
}

// Faulty tells whether the disk does not take what is written now. It does not wait.
func (n *Node) Faulty() bool { return n.faulty.Load() }

// writing waits until the store takes what is written, and returns a context that ends where it does not any more. done is called after the writing.
func (n *Node) writing(ctx context.Context) (writing context.Context, done func(), err error) {
	for {
		n.mu.Lock()
		now := n.taking
		n.mu.Unlock()
		if now.waits == nil {
			writing, cancel := context.WithCancelCause(ctx)
			stop := context.AfterFunc(now.ctx, func() { cancel(context.Cause(now.ctx)) })
			timer := time.AfterFunc(suspectTime, n.look)
			return writing, func() { timer.Stop(); stop(); cancel(nil) }, nil
		}
		select {
		case <-now.waits:
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("%w: %w", context.Cause(now.ctx), ctx.Err())
		case <-n.done:
			return nil, nil, bus.ErrClosed
		}
	}
}

// unwritten returns why something was not written, and lets it be looked into.
func (n *Node) unwritten(writing context.Context, err error) error {
	if cause := context.Cause(writing); errors.Is(cause, ErrFault) {
		return cause
	}
	n.look()
	return err
}

// look lets the server be asked how it is.
func (n *Node) look() {
	select {
	case n.suspect <- struct{}{}:
	default:
	}
}

// watch starts the server again where it cannot write any more. It ends with the Node.
func (n *Node) watch() {
	pause, over := faultPause, time.Now()
	for {
		select {
		case <-n.suspect:
		case <-n.done:
			return
		}
		err := n.health()
		if err == nil {
			continue
		}
		if time.Since(over) > maxFaultPause {
			pause = faultPause
		}
		if !n.endure(err, &pause) {
			return
		}
		over = time.Now()
	}
}

// endure waits for the end of a fault, and reports false where the Node is closed.
func (n *Node) endure(why error, pause *time.Duration) bool {
	began := time.Now()
	n.mu.Lock()
	n.taking.waits = make(chan struct{})
	n.faulty.Store(true)
	n.taking.end(fmt.Errorf("%w: %w", ErrFault, why))
	n.mu.Unlock()
	n.faults.Add(1)
	n.config.Logger.Error("nothing can be stored in the data folder at present: rooms' logs stand still, and durable records are refused; what is stored can be read, and all else works. "+
		"What to do: "+restoreDisk, "folder", n.config.Dir, "err", why)
	for {
		select {
		case <-time.After(*pause):
		case <-n.done:
			return false
		}
		*pause = min(2**pause, maxFaultPause)
		err := n.restart()
		if err == nil {
			break
		}
		if errors.Is(err, ErrDamaged) && !errors.Is(why, ErrDamaged) {
			n.config.Logger.Error("what is stored was damaged by this", "folder", n.config.Dir, "err", err)
			why = err
		}
	}
	n.config.Logger.Info("what is stored in the data folder is stored again", "folder", n.config.Dir, "after", time.Since(began).Round(time.Second))
	n.mu.Lock()
	defer n.mu.Unlock()
	n.taking.begin()
	n.faulty.Store(false)
	return true
}

// health returns why the server cannot write.
func (n *Node) health() error {
	n.mu.Lock()
	s := n.server
	n.mu.Unlock()
	if s == nil || !s.JetStreamEnabled() {
		return errors.New("the store has ended")
	}
	if h := s.Healthz(&server.HealthzOptions{}); h.Error != "" {
		return errors.New(h.Error)
	}
	return nil
}

// restart starts the server again, if the disk takes what is written.
func (n *Node) restart() error {
	probe := make([]byte, probeBytes)
	_, _ = rand.Read(probe) // which never fails; a disk may have room for zeros where it has none
	path := filepath.Join(n.config.Dir, "probe")
	err := writeSynced(path, probe)
	if err := errors.Join(err, os.Remove(path)); err != nil {
		return err
	}
	n.shutDown()
	if err := renew(n.config.Dir); err != nil {
		return fmt.Errorf("write the end of the store again: %w", err)
	}
	return n.start()
}

// renew writes the last block of each log again: what the system has in memory is not on disk after a sync that has failed, and would be taken for stored now. The server makes its
// summaries of blocks anew, as what it knew may not be what is there.
func renew(dir string) error {
	logs, err := os.ReadDir(logsFolder(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, log := range logs {
		folder := blocksFolder(dir, log.Name())
		if err := os.Remove(filepath.Join(folder, summary)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		all, err := findBlocks(folder)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			continue
		}
		path := filepath.Join(folder, all[len(all)-1].name)
		b, err := readInto(nil, path)
		if err != nil {
			return err
		}
		if err := replace(path, b); err != nil {
			return err
		}
	}
	return nil
}

// unread counts that something could not be read, says so now and then, and returns it as an error.
func (n *Node) unread(log string) error {
	n.unreadable.Add(1)
	n.mu.Lock()
	silent := !n.complained.IsZero() && time.Since(n.complained) < complaintPause
	if !silent {
		n.complained = time.Now()
	}
	n.mu.Unlock()
	if !silent {
		n.config.Logger.Error("some of what is stored in the data folder cannot be read. What to do: look into the system's log for faults of the disk; if it has any, stop the server, and "+
			"put a copy of the folder on another disk", "folder", n.config.Dir, "log", log)
	}
	return errUnreadable
}
