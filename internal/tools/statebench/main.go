// Command statebench measures shared state over WebSocket against the real server, and prints what it finds beside what is to be reached:
//
//	statebench -binary bin/parley
//	statebench -binary bin/parley -only events,idle-tls
//
// The server runs on the core -server-core, in a process of its own with a folder of its own; statebench itself belongs on another one
// (bench/state.sh does both, in a network namespace). Each part starts a server anew, and ends by itself:
//
//	events      one publisher and 1,000 subscribers in one room: as fast as it goes, then paced
//	durable     64 writers of durable records: one write under way each, paced, and 64 under way in one session; and what a sync takes
//	ephemeral   200 writers of records in memory
//	idle        memory of 10,000 sessions that do nothing, over ws
//	idle-tls    the same over wss
//	start       how long a server with 10,000 durable records takes until it answers
//
// Most deliveries are "sustained" where -ahead events are under way all the time, each published when all subscribers together have had as
// many deliveries as the one so far before it: nobody is slow, and nothing is lost. Percentages are of one core.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// bench is one run.
type bench struct {
	// static after construction
	binary     string
	address    string // of the server
	serverCore string // "": any
	window     time.Duration
	settle     time.Duration // from the last idle session to the look at memory
	folder     string        // of all servers' data

	subscribers, ahead         int
	eventsPerSecond            int // paced
	writers, ephemeralWriters  int
	durablePerSecond           int // paced, of all writers together
	idleSessions, idleRoomSize int
	records                    int

	progress *progress
	table    table
}

func main() {
	b := &bench{progress: &progress{out: os.Stderr}}
	only := flag.String("only", "", "parts to run, joined by commas; default: all")
	b.flags(flag.CommandLine)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := b.run(ctx, strings.FieldsFunc(*only, func(r rune) bool { return r == ',' }))
	b.table.print(os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "statebench:", err)
		os.Exit(1)
	}
}

func (b *bench) flags(f *flag.FlagSet) {
	f.StringVar(&b.binary, "binary", "bin/parley", "the server")
	f.StringVar(&b.address, "address", "127.0.0.1:18443", "where it shall listen: an address of this machine")
	f.StringVar(&b.serverCore, "server-core", "0", "the core that it runs on; empty: any")
	f.DurationVar(&b.window, "window", 5*time.Second, "how long each load is measured")
	f.DurationVar(&b.settle, "settle", 10*time.Second, "from the last idle session until memory is looked at")
	f.IntVar(&b.subscribers, "subscribers", 1000, "of one event, 1024 at most")
	f.IntVar(&b.ahead, "ahead", 32, "events under way where it goes as fast as it can")
	f.IntVar(&b.eventsPerSecond, "events", 20, "events a second where they are paced")
	f.IntVar(&b.writers, "writers", 64, "of durable records")
	f.IntVar(&b.durablePerSecond, "durable", 4000, "durable writes a second where they are paced")
	f.IntVar(&b.ephemeralWriters, "ephemeral-writers", 200, "of records in memory, 256 at most")
	f.IntVar(&b.idleSessions, "idle", 10_000, "sessions that do nothing")
	f.IntVar(&b.idleRoomSize, "idle-room", 10, "of them in one room")
	f.IntVar(&b.records, "records", 10_000, "durable records at the start")
}

// part is one thing that is measured.
type part struct {
	name string
	run  func(context.Context) error
}

func (b *bench) parts() []part {
	return []part{
		{"events", b.events},
		{"durable", b.durable},
		{"ephemeral", b.ephemeral},
		{"idle", func(ctx context.Context) error { return b.idle(ctx, false) }},
		{"idle-tls", func(ctx context.Context) error { return b.idle(ctx, true) }},
		{"start", b.cold},
	}
}

// run measures the parts that are wanted, or all.
func (b *bench) run(ctx context.Context, only []string) error {
	parts := b.parts()
	for _, name := range only {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			return fmt.Errorf("there is no part %q", name)
		}
	}
	if len(only) > 0 {
		parts = slices.DeleteFunc(parts, func(p part) bool { return !slices.Contains(only, p.name) })
	}
	var err error
	if b.folder, err = os.MkdirTemp("", "parley-statebench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.folder)
	for i, p := range parts {
		b.progress.begin(fmt.Sprintf("[%d/%d] %s", i+1, len(parts), p.name))
		if err := p.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}
