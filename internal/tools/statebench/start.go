package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// cold measures how long a server with many durable records takes to start.
func (b *bench) cold(ctx context.Context) error {
	s, err := b.start(ctx, "start", "--auth", "open")
	if err != nil {
		return err
	}
	if err := errors.Join(b.fill(ctx), s.stop(syscall.SIGTERM)); err != nil {
		return err
	}
	for _, how := range []string{"after it was stopped", "after kill -9"} {
		b.progress.step("start " + how)
		if s, err = b.start(ctx, "start", "--auth", "open"); err != nil {
			return err
		}
		listening := time.Since(s.begun)
		answered, err := b.firstRead(s)
		if err := errors.Join(err, s.stop(syscall.SIGKILL)); err != nil {
			return err
		}
		b.table.atMost(fmt.Sprintf("start with %d durable records, %s", b.records, how), milliseconds(answered), 1000, "ms",
			fmt.Sprintf("until the first read is answered; listening after %.0f ms", milliseconds(listening)))
	}
	return nil
}

// firstRead is how long after its start a server has answered a read.
func (b *bench) firstRead(s *server) (time.Duration, error) {
	k, err := b.join(0, wire.Join{Room: "tea"}, false)
	if err != nil {
		return 0, err
	}
	defer k.conn.Close()
	name := fmt.Sprint("record ", b.records-1)
	body, err := k.ask(wire.TypeRecordRead, wire.RecordRead{Scope: wire.ScopeServer, Records: []wire.RecordWanted{{Name: name}}})
	answered := time.Since(s.begun)
	var found wire.Records
	if err == nil {
		err = json.Unmarshal(body, &found)
	}
	if err == nil && (len(found.Results) != 1 || found.Results[0].Record == nil) {
		err = fmt.Errorf("%s is not there: %s", name, body)
	}
	return answered, err
}

// fill writes the records.
func (b *bench) fill(ctx context.Context) error {
	all, err := b.joinAll(ctx, b.writers, "writers", func(i int) (*session, error) { return b.join(i, wire.Join{Room: "tea"}, false) })
	if err != nil {
		return err
	}
	defer closeAll(all)
	b.progress.step(fmt.Sprintf("%d records are written", b.records))
	var running sync.WaitGroup
	failed := make([]error, len(all))
	for i, s := range all {
		running.Go(func() {
			for n := i; n < b.records && failed[i] == nil && ctx.Err() == nil; n += len(all) {
				_, failed[i] = s.ask(wire.TypeRecordWrite, wire.RecordWrite{
					Scope: wire.ScopeServer, Name: fmt.Sprint("record ", n),
					Operations: []wire.Operation{{Op: wire.OperationSet, Value: []byte(`{"shapes":[{"x":1,"y":2,"colour":"red"},{"x":3,"y":4,"colour":"blue"}],"title":"a record"}`)}},
				})
			}
		})
	}
	running.Wait()
	return errors.Join(ctx.Err(), errors.Join(failed...))
}
