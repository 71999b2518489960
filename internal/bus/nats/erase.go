package nats

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-rtc/parley/internal/bus"
)

// Erase implements bus.Log. What is purged is synced before the last message is, as the server does not: it removes whole blocks, and notes the rest at the end of the last one.
func (l *Log) Erase(ctx context.Context, subject string) error {
	last, err := l.Last(ctx, subject)
	if err != nil {
		return fmt.Errorf("erase %s: %w", subject, err)
	}
	for _, below := range []uint64{last.Number, last.Number + 1} { // no more, as a purge that was given up may be carried out later
		if err := l.Purge(ctx, subject, below); err != nil {
			return err
		}
		if err := l.sync(); err != nil {
			return fmt.Errorf("erase %s: %w", subject, err)
		}
	}
	return nil
}

// sync returns when all that the server has written of the log is on disk. Blocks that were so already cost next to nothing.
func (l *Log) sync() error {
	folder := blocksFolder(l.node.config.Dir, l.name)
	all, err := findBlocks(folder)
	if err != nil {
		return err
	}
	for _, block := range all {
		err := syncFile(filepath.Join(folder, block.name))
		if err != nil && !errors.Is(err, os.ErrNotExist) { // the server has removed it since
			return err
		}
	}
	return syncFolder(folder)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // Windows syncs nothing that is open for reading alone
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Sizes implements bus.Log. The server knows how many messages a subject has, and not how large they are; it tells that with the head of each.
func (l *Log) Sizes(ctx context.Context) (map[string]int64, error) {
	if l.closed.Load() || l.node.conn.IsClosed() {
		return nil, bus.ErrClosed
	}
	sizes, err := l.sizes(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask what is in %s: %w", l.name, l.closing(err))
	}
	return sizes, nil
}

func (l *Log) sizes(ctx context.Context) (map[string]int64, error) {
	readers, err := jetstream.New(l.node.readers)
	if err != nil {
		return nil, err
	}
	stream, err := readers.Stream(ctx, l.name)
	sizes := map[string]int64{}
	if err != nil || stream.CachedInfo().State.Msgs == 0 {
		return sizes, err
	}
	heads, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		return nil, err
	}
	messages, err := heads.Messages(jetstream.PullMaxMessages(headsMessages))
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, err
		}
		at, err := m.Metadata()
		if err != nil {
			return nil, err
		}
		size, err := sizeOf(m)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", at.Sequence.Stream, err)
		}
		sizes[strings.TrimPrefix(m.Subject(), l.name+".")] += size
		if at.NumPending == 0 {
			return sizes, nil
		}
	}
}

// recordBytes is what a record takes in a block beside what it says, and headBytes its head beside what that says.
const recordBytes, headBytes = 22 + 8, 4 + len("NATS/1.0\r\n\r\n")

// sizeOf is what a message takes of which the head is there.
func sizeOf(m jetstream.Msg) (int64, error) {
	size, err := strconv.ParseInt(m.Headers().Get(nats.MsgSize), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("its size: %w", err)
	}
	head := 0
	for key, values := range m.Headers() {
		for _, value := range values {
			if key != nats.MsgSize {
				head += len(key) + len(": \r\n") + len(value)
			}
		}
	}
	if head > 0 {
		head += headBytes
	}
	return size + int64(recordBytes+len(m.Subject())+head), nil
}
