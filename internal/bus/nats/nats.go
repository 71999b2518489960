// Package nats keeps logs on disk: NATS JetStream inside this process, which opens no port.
//
// A Node owns the server, the connections to it, and the folder in which everything is. It writes with SyncAlways: what Append
// says is stored has been synced. Messages share a sync only if they are one message, so whoever appends puts together what waits.
//
// One connection is for writing and one for reading, so that no write stands behind what others read. The server ends a connection that does not
// take what it sends (maxPending), and one that takes nothing for ten seconds, as where the whole process was stopped: there is a new one at once, and what
// was being read is asked for again.
//
// Where the disk does not take what is written, NATS writes nothing any more until it is started again; so the Node does that: see fault.go.
//
// NATS has goroutines in real sockets and timers of its own, so it does not run in synctest bubbles; tests there use bus/local.
package nats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-rtc/parley/internal/bus"
)

// Config of a Node.
type Config struct {
	// Dir is the folder, which is made if it is not there.
	Dir string
	// Whole are logs of which nothing may be lost: where one is damaged, the Node is not opened, and nothing is changed.
	Whole []string
	// Mended are logs of which what is damaged is set aside, and the rest is there.
	Mended []string
	Logger *slog.Logger
}

// Node is an embedded server.
type Node struct {
	// static after construction
	config  Config
	lock    *os.File
	conn    *nats.Conn // for all but reading
	readers *nats.Conn
	stream  jetstream.JetStream
	reading chan struct{} // has one for each batch that is on its way
	suspect chan struct{} // capacity 1: something could not be written
	done    chan struct{} // closed by Close
	end     sync.Once     // closes it
	watcher sync.WaitGroup

	// guarded by mu
	mu     sync.Mutex
	server *server.Server // the present one; nil: there is none
	taking taking
	damage Damage
	// when it was logged last that something cannot be read
	complained time.Time

	// atomic
	faults, unreadable atomic.Uint64
	faulty             atomic.Bool
}

// ErrInUse: another process has the folder.
var ErrInUse = errors.New("another process uses it")

// Open starts a server on this folder, of which these logs have to be whole.
func Open(dir string, whole ...string) (*Node, error) {
	return Start(Config{Dir: dir, Whole: whole, Logger: slog.New(slog.DiscardHandler)})
}

// Start starts a server. Another process that uses the folder is found out, and damage to logs of which nothing may be lost (ErrDamaged), before anything is changed: see
// Check and Mend.
func Start(c Config) (*Node, error) {
	held, err := lock(c.Dir)
	if err != nil {
		return nil, err
	}
	n := &Node{config: c, lock: held, reading: make(chan struct{}, maxReading), suspect: make(chan struct{}, 1), done: make(chan struct{})}
	n.taking.begin()
	if err := n.start(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	for _, conn := range []**nats.Conn{&n.conn, &n.readers} {
		*conn, err = nats.Connect("", nats.InProcessServer(n), nats.MaxReconnects(-1), nats.ReconnectWait(connectPause), nats.ReconnectJitter(0, 0))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("connect to the store: %w", err), n.Close())
		}
	}
	if n.stream, err = jetstream.New(n.conn); err != nil {
		return nil, errors.Join(fmt.Errorf("use the store: %w", err), n.Close())
	}
	n.watcher.Go(n.watch)
	return n, nil
}

// Damage is what was found damaged in Config.Mended.
func (n *Node) Damage() Damage {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.damage
}

// start looks through what is on disk, and starts a server on it.
func (n *Node) start() error {
	for _, log := range n.config.Whole {
		if err := Check(n.config.Dir, log); err != nil {
			return err
		}
	}
	damage, err := Mend(n.config.Dir, n.config.Mended...)
	n.mu.Lock()
	n.damage = n.damage.and(damage)
	n.mu.Unlock()
	if err != nil {
		return err
	}
	if damage.Blocks > 0 {
		n.config.Logger.Error("some of the rooms' logs was damaged on disk: what is no message any more was set aside, the rest is there. What to do: look into the system's log for faults of the disk; "+
			"the folder named here has the damaged files, and may be deleted", "folder", damage.Aside, "files", damage.Blocks, "bytes", damage.Bytes)
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "parley", DontListen: true, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: n.config.Dir, SyncAlways: true,
		MaxPayload: maxPayload, MaxPending: maxPending, JetStreamMaxMemory: maxMemory, JetStreamMaxStore: maxStore,
	})
	if err != nil {
		return fmt.Errorf("set up the store: %w", err)
	}
	n.mu.Lock()
	n.server = s
	n.mu.Unlock()
	s.Start()
	if !s.ReadyForConnections(startTime) || !s.JetStreamEnabled() {
		n.shutDown()
		return fmt.Errorf("the store in %s did not start within %v", n.config.Dir, startTime)
	}
	return nil
}

// shutDown ends the server, and waits for that.
func (n *Node) shutDown() {
	n.mu.Lock()
	s := n.server
	n.server = nil
	n.mu.Unlock()
	if s != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// InProcessConn is how the connections find the present server.
func (n *Node) InProcessConn() (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server == nil {
		return nil, errors.New("the store is not running")
	}
	return n.server.InProcessConn()
}

// Close ends all logs and the server, and waits for that.
func (n *Node) Close() error {
	n.end.Do(func() { close(n.done) })
	n.watcher.Wait()
	for _, conn := range []*nats.Conn{n.conn, n.readers} {
		if conn != nil {
			conn.Close()
		}
	}
	n.shutDown()
	return n.lock.Close()
}

// Log opens a log, or makes it. Its name is a token of a subject.
func (n *Node) Log(ctx context.Context, name string, limits bus.Limits) (*Log, error) {
	if err := bus.CheckSubject(name); err != nil {
		return nil, fmt.Errorf("log %q: %w", name, err)
	}
	c := jetstream.StreamConfig{
		Name: name, Subjects: []string{name + ".>"}, Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy,
		Discard: jetstream.DiscardNew, MaxBytes: limits.MaxBytes, MaxAge: limits.MaxAge, AllowDirect: true,
	}
	if limits.Forget {
		c.Discard = jetstream.DiscardOld
	}
	stream, err := n.stream.CreateOrUpdateStream(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", name, err)
	}
	return &Log{node: n, name: name, stream: stream, forgets: limits.Forget || limits.MaxAge > 0}, nil
}

// Find opens a log as it is, with the limits that it has; nil: there is none of that name.
func (n *Node) Find(ctx context.Context, name string) (*Log, error) {
	stream, err := n.stream.Stream(ctx, name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("open log %s: %w", name, err)
	}
	c := stream.CachedInfo().Config
	return &Log{node: n, name: name, stream: stream, forgets: c.Discard == jetstream.DiscardOld || c.MaxAge > 0}, nil
}

// Log implements bus.Log.
type Log struct {
	// static after construction
	node    *Node
	name    string
	stream  jetstream.Stream
	forgets bool

	// atomic
	closed atomic.Bool
}

// check returns the subject in NATS.
func (l *Log) check(subject string, b []byte) (string, error) {
	switch err := bus.CheckSubject(subject); {
	case l.closed.Load() || l.node.conn.IsClosed():
		return "", bus.ErrClosed
	case err != nil:
		return "", fmt.Errorf("%q: %w", subject, err)
	case len(b) > bus.MaxStoredBytes:
		return "", fmt.Errorf("%d bytes on %s: %w", len(b), subject, bus.ErrTooLarge)
	}
	return l.name + "." + subject, nil
}

// Append implements bus.Log.
func (l *Log) Append(ctx context.Context, subject string, after uint64, b []byte) (uint64, error) {
	s, err := l.check(subject, b)
	if err != nil {
		return 0, err
	}
	number, err := l.append(ctx, s, after, b)
	if l.forgets && after > 0 && errors.Is(err, bus.ErrSequence) {
		number, err = l.append(ctx, s, 0, b) // the last message may be forgotten
	}
	if err != nil {
		return 0, fmt.Errorf("append to %s after %d: %w", subject, after, l.closing(err))
	}
	return number, nil
}

func (l *Log) append(ctx context.Context, s string, after uint64, b []byte) (uint64, error) {
	ctx, done, err := l.node.writing(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	ack, err := l.node.stream.Publish(ctx, s, b, jetstream.WithExpectLastSequencePerSubject(after), jetstream.WithRetryAttempts(0))
	if err == nil {
		return ack.Sequence, nil
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch {
		case api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
			return 0, bus.ErrSequence
		case api.Description == tooManyBytes:
			return 0, bus.ErrFull
		}
	}
	return 0, l.node.unwritten(ctx, err)
}

// Purge implements bus.Log.
func (l *Log) Purge(ctx context.Context, subject string, below uint64) error {
	s, err := l.check(subject, nil)
	if err != nil || below == 0 {
		return err
	}
	ctx, done, err := l.node.writing(ctx)
	if err != nil {
		return fmt.Errorf("purge %s below %d: %w", subject, below, err)
	}
	defer done()
	if err := l.stream.Purge(ctx, jetstream.WithPurgeSubject(s), jetstream.WithPurgeSequence(below)); err != nil {
		return fmt.Errorf("purge %s below %d: %w", subject, below, l.closing(l.node.unwritten(ctx, err)))
	}
	return nil
}

// Size implements bus.Log.
func (l *Log) Size(ctx context.Context) (int64, error) {
	if l.closed.Load() || l.node.conn.IsClosed() {
		return 0, bus.ErrClosed
	}
	info, err := l.stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask for the size of %s: %w", l.name, l.closing(err))
	}
	return int64(min(info.State.Bytes, math.MaxInt64)), nil
}

// Close implements bus.Log. What was stored stays for the next one that is opened.
func (l *Log) Close() error {
	l.closed.Store(true)
	return nil
}

// closing says ErrClosed where the connection went away under a call.
func (l *Log) closing(err error) error {
	if errors.Is(err, nats.ErrConnectionClosed) {
		return bus.ErrClosed
	}
	return err
}
