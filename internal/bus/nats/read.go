package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-rtc/parley/internal/bus"
)

// errUnreadable: the server has a message, but does not get it from the disk.
var errUnreadable = errors.New("the store cannot read what it has")

// errLost: some of a batch did not come, as the connection was ended meanwhile.
var errLost = errors.New("a part of what was asked for did not come")

// batchRequest asks for the first messages of a subject from a number on. The server answers each as a message of its own, and then 204, or
// with 404 that there is none. It keeps nothing for who reads, unlike with a consumer, and what is purged meanwhile just does not come.
type batchRequest struct {
	Subject  string `json:"next_by_subj"`
	From     uint64 `json:"seq"`
	Messages int    `json:"batch"`
	Bytes    int    `json:"max_bytes"` // the first message that reaches them is the last
}

// Headers and values of answers, of which the library's names are not all public.
const (
	statusHeader  = "Status"
	pendingHeader = "Nats-Num-Pending"
	statusEnd     = "204"
	statusNone    = "404"
)

// Read implements bus.Log.
func (l *Log) Read(ctx context.Context, subject string, after uint64, visit func(bus.Stored) error) error {
	s, err := l.check(subject, nil)
	if err != nil {
		return err
	}
	ask := batchRequest{Subject: s, From: after + 1, Messages: readMessages, Bytes: firstBytes}
	left := 1 // so many at least were there when it began
	for first := true; left > 0; first = false {
		batch, pending, err := l.whole(ctx, ask)
		if err != nil {
			return fmt.Errorf("read %s: %w", subject, l.closing(err))
		}
		if first {
			left = len(batch) + pending
		}
		batch = batch[:min(left, len(batch))]
		if len(batch) == 0 {
			return nil
		}
		left = min(left-len(batch), pending)
		ask.From, ask.Bytes = batch[len(batch)-1].Number+1, min(2*ask.Bytes, readBytes)
		for _, m := range batch {
			if err := visit(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// First implements bus.Log.
func (l *Log) First(ctx context.Context, subject string) (bus.Stored, error) {
	s, err := l.check(subject, nil)
	if err != nil {
		return bus.Stored{}, err
	}
	batch, _, err := l.whole(ctx, batchRequest{Subject: s, From: 1, Messages: 1, Bytes: 1})
	switch {
	case err != nil:
		return bus.Stored{}, fmt.Errorf("look for the first of %s: %w", subject, l.closing(err))
	case len(batch) == 0:
		return bus.Stored{}, nil
	}
	return batch[0], nil
}

// Last implements bus.Log.
func (l *Log) Last(ctx context.Context, subject string) (bus.Stored, error) {
	s, err := l.check(subject, nil)
	if err != nil {
		return bus.Stored{}, err
	}
	for range 2 { // it may have been stored in between
		m, err := l.stream.GetLastMsgForSubject(ctx, s)
		switch {
		case err == nil:
			return bus.Stored{Number: m.Sequence, At: m.Time, Bytes: m.Data}, nil
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			return bus.Stored{}, fmt.Errorf("look for the last of %s: %w", subject, l.closing(err))
		}
		if some, err := l.has(ctx, s); err != nil || !some {
			return bus.Stored{}, err
		}
	}
	return bus.Stored{}, fmt.Errorf("look for the last of %s: %w", subject, l.node.unread(l.name))
}

// has tells whether there are messages of a subject, as the server knows without reading any.
func (l *Log) has(ctx context.Context, s string) (bool, error) {
	info, err := l.stream.Info(ctx, jetstream.WithSubjectFilter(s))
	if err != nil {
		return false, fmt.Errorf("ask for the number of messages: %w", l.closing(err))
	}
	return info.State.Subjects[s] > 0, nil
}

// whole is batch, but believes that nothing is there only where the server has none of the subject, or a last one that comes before: a message that it cannot
// read is answered like one that is not there.
func (l *Log) whole(ctx context.Context, ask batchRequest) (batch []bus.Stored, pending int, err error) {
	for range 2 { // one may have been stored in between
		if batch, pending, err = l.batch(ctx, ask); err != nil || len(batch) > 0 {
			return batch, pending, err
		}
		if some, err := l.has(ctx, ask.Subject); err != nil || !some {
			return nil, 0, err
		}
		last, err := l.stream.GetLastMsgForSubject(ctx, ask.Subject)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound): // it was forgotten since, or it cannot be read
		case err != nil:
			return nil, 0, err
		case last.Sequence < ask.From:
			return nil, 0, nil
		}
	}
	return nil, 0, l.node.unread(l.name)
}

// batch returns what was asked for, and how many messages follow. What did not come is asked for again.
func (l *Log) batch(ctx context.Context, ask batchRequest) (batch []bus.Stored, pending int, err error) {
	select {
	case l.node.reading <- struct{}{}:
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	case <-l.node.done:
		return nil, 0, bus.ErrClosed
	}
	defer func() { <-l.node.reading }()
	for range readTries {
		if batch, pending, err = l.tryBatch(ctx, ask); !errors.Is(err, errLost) {
			return batch, pending, err
		}
	}
	return nil, 0, err
}

func (l *Log) tryBatch(ctx context.Context, ask batchRequest) (batch []bus.Stored, pending int, err error) {
	request, err := json.Marshal(ask)
	if err != nil {
		return nil, 0, err
	}
	conn := l.node.readers
	messages, inbox := make(chan *nats.Msg, ask.Messages+1), conn.NewInbox() // room for all that can come: what has none is lost
	sub, err := conn.ChanSubscribe(inbox, messages)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = sub.Unsubscribe() }() // it fails where there is no connection any more
	if err := conn.PublishRequest("$JS.API.DIRECT.GET."+l.name, inbox, request); err != nil {
		return nil, 0, err
	}
	pause := time.NewTimer(readPause)
	defer pause.Stop()
	for last := "0"; ; pause.Reset(readPause) {
		select {
		case m := <-messages:
			switch status := m.Header.Get(statusHeader); {
			case status == statusNone && len(batch) == 0:
				return nil, 0, nil
			case status != "" && status != statusEnd:
				return nil, 0, fmt.Errorf("the store answers %s %s", status, m.Header.Get("Description"))
			case m.Header.Get(jetstream.LastSequenceHeader) != last: // the one before it in this batch
				return nil, 0, errLost
			case status == statusEnd:
				pending, err = strconv.Atoi(m.Header.Get(pendingHeader))
				return batch, pending, err
			}
			last = m.Header.Get(jetstream.SequenceHeader)
			stored, err := parse(m)
			if err != nil {
				return nil, 0, err
			}
			batch = append(batch, stored)
		case <-pause.C:
			return nil, 0, errLost
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case <-l.node.done:
			return nil, 0, bus.ErrClosed
		}
	}
}

// parse reads what the server tells of a message.
func parse(m *nats.Msg) (bus.Stored, error) {
	number, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return bus.Stored{}, fmt.Errorf("the number of a message: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.TimeStampHeaer))
	if err != nil {
		return bus.Stored{}, fmt.Errorf("the time of message %d: %w", number, err)
	}
	return bus.Stored{Number: number, At: at, Bytes: m.Data}, nil
}
