// Package nats keeps logs on disk: NATS JetStream inside this process, which opens no port.
//
// A Node owns the server, the connections to it, and the folder in which everything is. It writes with SyncAlways: what Append
// says is stored has been synced. Messages share a sync only if they are one message, so whoever appends puts together what waits.
//
// One connection is for writing and one for reading, so that no write stands behind what others read. The server ends a connection that does not
// take what it sends (maxPending), and one that takes nothing for ten seconds, as where the whole process was stopped: there is a new one at once, and what
// was being read is asked for again.
//
// NATS has goroutines in real sockets and timers of its own, so it does not run in synctest bubbles; tests there use bus/local.
package nats

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-rtc/parley/internal/bus"
)

// Node is an embedded server.
type Node struct {
	// static after construction
	lock    *os.File
	server  *server.Server
	conn    *nats.Conn // for all but reading
	readers *nats.Conn
	stream  jetstream.JetStream
	reading chan struct{} // has one for each batch that is on its way
	done    chan struct{} // closed by Close
	end     sync.Once     // closes it
}

// Open starts a server on this folder, which is made if it is not there. Another process that uses it is found out, and damage to logs of which nothing may be
// lost (ErrDamaged), before anything is changed: see Check.
func Open(dir string, whole ...string) (*Node, error) {
	held, err := lock(dir)
	if err != nil {
		return nil, err
	}
	for _, log := range whole {
		if err := Check(dir, log); err != nil {
			return nil, errors.Join(err, held.Close())
		}
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "parley", DontListen: true, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: dir, SyncAlways: true,
		MaxPayload: maxPayload, MaxPending: maxPending, JetStreamMaxMemory: maxMemory, JetStreamMaxStore: maxStore,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set up the store: %w", err), held.Close())
	}
	s.Start()
	n := &Node{lock: held, server: s, reading: make(chan struct{}, maxReading), done: make(chan struct{})}
	if !s.ReadyForConnections(startTime) || !s.JetStreamEnabled() {
		return nil, errors.Join(fmt.Errorf("the store in %s did not start within %v", dir, startTime), n.Close())
	}
	for _, conn := range []**nats.Conn{&n.conn, &n.readers} {
		*conn, err = nats.Connect("", nats.InProcessServer(s), nats.MaxReconnects(-1), nats.ReconnectWait(connectPause), nats.ReconnectJitter(0, 0))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("connect to the store: %w", err), n.Close())
		}
	}
	if n.stream, err = jetstream.New(n.conn); err != nil {
		return nil, errors.Join(fmt.Errorf("use the store: %w", err), n.Close())
	}
	return n, nil
}

// Close ends all logs and the server, and waits for that.
func (n *Node) Close() error {
	n.end.Do(func() { close(n.done) })
	for _, conn := range []*nats.Conn{n.conn, n.readers} {
		if conn != nil {
			conn.Close()
		}
	}
	n.server.Shutdown()
	n.server.WaitForShutdown()
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
	ack, err := l.node.stream.Publish(ctx, s, b, jetstream.WithExpectLastSequencePerSubject(after), jetstream.WithRetryAttempts(0))
	if err == nil {
		return ack.Sequence, nil
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch {
		case api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
			err = bus.ErrSequence
		case api.Description == tooManyBytes:
			err = bus.ErrFull
		}
	}
	return 0, err
}

// Purge implements bus.Log.
func (l *Log) Purge(ctx context.Context, subject string, below uint64) error {
	s, err := l.check(subject, nil)
	if err != nil || below == 0 {
		return err
	}
	if err := l.stream.Purge(ctx, jetstream.WithPurgeSubject(s), jetstream.WithPurgeSequence(below)); err != nil {
		return fmt.Errorf("purge %s below %d: %w", subject, below, l.closing(err))
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
