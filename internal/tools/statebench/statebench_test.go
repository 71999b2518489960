package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/parley-rtc/parley/internal/host"
	"github.com/parley-rtc/parley/wire"
)

// serverVariable makes a process of this test the server.
const serverVariable = "STATEBENCH_TEST_SERVER" // not PARLEY_…, which would be a setting

func TestMain(m *testing.M) {
	if os.Getenv(serverVariable) != "" {
		os.Exit(host.Main(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// Every part finds its figures, the server a process of its own: moments of it with few sessions. How good they are is no matter here.
func TestScenarioStateBench(t *testing.T) {
	t.Setenv(serverVariable, "1")
	t.Setenv("TMPDIR", t.TempDir())
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	b := &bench{
		binary: os.Args[0], address: address, window: 300 * time.Millisecond, settle: 100 * time.Millisecond,
		subscribers: 5, ahead: 4, eventsPerSecond: 50, writers: 4, ephemeralWriters: 60, durablePerSecond: 100,
		idleSessions: 20, idleRoomSize: 5, records: 50, progress: &progress{out: io.Discard},
	}
	if err := b.run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	b.table.print(&out)
	t.Log("\n" + out.String())
	for _, what := range []string{"sustained", "delay p99", "one under way", "one session", "ephemeral", ", ws,", ", wss,", "stopped", "kill -9"} {
		if !strings.Contains(out.String(), what) {
			t.Errorf("no figure of %s", what)
		}
	}
}

// What is asked for is there.
func TestParts(t *testing.T) {
	b := &bench{progress: &progress{out: io.Discard}}
	if err := b.run(context.Background(), []string{"nothing"}); err == nil || !strings.Contains(err.Error(), `"nothing"`) {
		t.Error(err)
	}
}

// A writer that is answered at once writes what a session may, and no more: the server would refuse it.
func TestAllowance(t *testing.T) {
	var a allowance
	begun := time.Now()
	var taken int
	for d := time.Duration(0); d < 2*time.Second; d += 100 * time.Microsecond {
		if a.take(begun.Add(d)) {
			taken++
		}
	}
	if want := burstWrites + 2*wire.StateRequestsPerSecond; taken < want-1 || taken > want {
		t.Errorf("%d writes in 2 s, not %d", taken, want)
	}
}

// Messages of every length are read as the server writes them, also where they come byte by byte, and a ping in between is answered.
func TestFrames(t *testing.T) {
	sizes := []int{0, 1, 125, 126, readerBytes, readerBytes + 1, 65535, 65536}
	var in []byte
	for _, n := range sizes {
		in = append(in, finalAndText)
		switch {
		case n < 126:
			in = append(in, byte(n))
		case n < 1<<16:
			in = binary.BigEndian.AppendUint16(append(in, 126), uint16(n))
		default:
			in = binary.BigEndian.AppendUint64(append(in, 127), uint64(n))
		}
		in = append(in, strings.Repeat("x", n)...)
		in = append(in, 0x80|opPing, 2, 'h', 'i')
	}
	near, far := net.Pipe()
	pongs := make(chan []byte, 1)
	go func() { b, _ := io.ReadAll(far); pongs <- b }()
	s := &socket{conn: near, in: bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(in)), readerBytes)}
	for _, n := range sizes {
		if b, err := s.next(); err != nil || string(b) != strings.Repeat("x", n) {
			t.Fatalf("%d bytes in place of %d: %v", len(b), n, err)
		}
	}
	if _, err := s.next(); err != io.EOF {
		t.Error(err)
	}
	_ = near.Close()
	if got, want := <-pongs, strings.Repeat("\x8a\x82\x00\x00\x00\x00hi", len(sizes)); string(got) != want {
		t.Errorf("answered %q", got)
	}
}

// Numbers and types are found in messages as the server writes them.
func TestPeek(t *testing.T) {
	m := []byte(`{"seq":12,"reply":7,"type":"event","body":{"type":"no","at":1234567}}`)
	if typeOf(m) != "event" || number(m, `"reply":`) != 7 || number(m, `"at":`) != 1234567 || number(m, `"n":`) != -1 || number(m, `"type":`) != -1 {
		t.Error(typeOf(m), number(m, `"reply":`))
	}
}
