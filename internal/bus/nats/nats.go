// Package nats keeps logs on disk: NATS JetStream inside this process, which opens no port.
//
// A Node owns the server, the one connection to it, and the folder in which everything is. It writes with SyncAlways: what Append
// says is stored has been synced. Messages share a sync only if they are one message, so whoever appends puts together what waits.
//
// NATS has goroutines in real sockets and timers of its own, so it does not run in synctest bubbles; tests there use bus/local.
package nats

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-rtc/parley/internal/bus"
)

// Node is an embedded server.
type Node struct {
	// static after construction
	lock   *os.File
	server *server.Server
	conn   *nats.Conn
	stream jetstream.JetStream
}

// Open starts a server on this folder, which is made if it is not there. Another process that uses it is found out.
func Open(dir string) (*Node, error) {
	held, err := lock(dir)
	if err != nil {
		return nil, err
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
	n := &Node{lock: held, server: s}
	if !s.ReadyForConnections(startTime) || !s.JetStreamEnabled() {
		return nil, errors.Join(fmt.Errorf("the store in %s did not start within %v", dir, startTime), n.Close())
	}
	if n.conn, err = nats.Connect("", nats.InProcessServer(s), nats.NoReconnect()); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to the store: %w", err), n.Close())
	}
	if n.stream, err = jetstream.New(n.conn); err != nil {
		return nil, errors.Join(fmt.Errorf("use the store: %w", err), n.Close())
	}
	return n, nil
}

// Close ends all logs and the server, and waits for that.
func (n *Node) Close() error {
	if n.conn != nil {
		n.conn.Close()
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

// Read implements bus.Log.
func (l *Log) Read(ctx context.Context, subject string, after uint64, visit func(bus.Stored) error) error {
	s, err := l.check(subject, nil)
	if err != nil {
		return err
	}
	fault := func(err error) error { return fmt.Errorf("read %s: %w", subject, l.closing(err)) }
	last, err := l.last(ctx, s)
	switch {
	case err != nil:
		return fault(err)
	case last <= after:
		return nil
	}
	consumer, err := l.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{s}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1,
		InactiveThreshold: 2 * readPauses * readPause, // of one that it has replaced on its way
	})
	if err != nil {
		return fault(err)
	}
	defer l.forget(consumer)
	messages, err := consumer.Messages(jetstream.PullMaxBytes(readBytes)) // by default 500 of whatever size come at once
	if err != nil {
		return fault(err)
	}
	defer messages.Stop()
	for seen := after; seen < last; {
		m, err := l.next(ctx, messages, s, seen)
		if err != nil {
			return fault(err)
		}
		if m == nil {
			return nil
		}
		at, err := m.Metadata()
		if err != nil {
			return fault(err)
		}
		if at.Sequence.Stream > last {
			return nil
		}
		if err := visit(bus.Stored{Number: at.Sequence.Stream, At: at.Timestamp, Bytes: m.Data()}); err != nil {
			return err
		}
		if seen = at.Sequence.Stream; at.NumPending == 0 {
			return nil
		}
	}
	return nil
}

// forget ends what the server keeps for a reading: goroutines, for as long as it waits for more to be asked.
func (l *Log) forget(c jetstream.Consumer) {
	if info := c.CachedInfo(); info != nil {
		ctx, cancel := context.WithTimeout(context.Background(), readPause)
		defer cancel()
		_ = l.stream.DeleteConsumer(ctx, info.Name) // else it ends by itself
	}
}

// next returns the next message; nil: there is none any more above what was seen. What was to come may be purged or forgotten meanwhile,
// and nobody says so: after each readPause without a message it is looked what there is.
func (l *Log) next(ctx context.Context, messages jetstream.MessagesContext, s string, seen uint64) (jetstream.Msg, error) {
	for range readPauses {
		limited, cancel := context.WithTimeout(ctx, readPause)
		m, err := messages.Next(jetstream.NextContext(limited))
		cancel()
		if err == nil || !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return m, err
		}
		if last, err := l.last(ctx, s); err != nil || last <= seen {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no message within %v, and there are some", readPauses*readPause)
}

// last is the number of the subject's last message; 0: it has none.
func (l *Log) last(ctx context.Context, s string) (uint64, error) {
	m, err := l.stream.GetLastMsgForSubject(ctx, s)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, nil
	case err != nil:
		return 0, err
	}
	return m.Sequence, nil
}

// First implements bus.Log.
func (l *Log) First(ctx context.Context, subject string) (bus.Stored, error) {
	s, err := l.check(subject, nil)
	if err != nil {
		return bus.Stored{}, err
	}
	m, err := l.stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(s)) // the first of the subject that is not below 1
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return bus.Stored{}, nil
	case err != nil:
		return bus.Stored{}, fmt.Errorf("look for the first of %s: %w", subject, l.closing(err))
	}
	return bus.Stored{Number: m.Sequence, At: m.Time, Bytes: m.Data}, nil
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
