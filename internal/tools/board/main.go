// Command board shares records with whoever else is in a room, for tests in which browsers and a Go client do so together:
//
//	board -url http://localhost:8443 -room tea -identity gopher RECORD…
//
// It prints a line of JSON for each thing that happens: {"record":"board","document":{…}} at first and when the record is another one,
// {"connection":"resuming"}, and {"done":1} or {"done":1,"error":"…"} when the first line that it has read is carried out. It reads lines:
//
//	{"record":"board","operations":[{"op":"set","path":"shapes[0].x","value":17}]}    carried out together
//	cut 10s                                                                           the connection is lost, and there is none for so long
//
// It leaves when its input ends.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/parley-rtc/parley/client"
	"github.com/parley-rtc/parley/wire"
)

func main() {
	url := flag.String("url", "http://localhost:8443", "address of the server")
	o := client.Options{}
	flag.StringVar(&o.Room, "room", "tea", "room to join")
	flag.StringVar(&o.Identity, "identity", "", "who to join as")
	flag.StringVar(&o.Name, "name", "", "what others see as the name")
	flag.StringVar(&o.Token, "token", "", "token of a server that demands one")
	flag.Parse()
	if err := run(context.Background(), *url, o, flag.Args(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "board:", err)
		os.Exit(1)
	}
}

// line is what is printed.
type line struct {
	Record     string            `json:"record,omitempty"`
	Document   json.RawMessage   `json:"document,omitempty"`
	Connection client.Connection `json:"connection,omitempty"`
	Done       int               `json:"done,omitempty"`
	Error      string            `json:"error,omitempty"`
}

// order is what is read.
type order struct {
	Record     string           `json:"record"`
	Operations []wire.Operation `json:"operations"`
}

// table is a room's records, and where what happens to them is told.
type table struct {
	// static after construction
	cable   *cable
	records map[string]*client.Record

	// guarded by mu
	mu    sync.Mutex
	lines *json.Encoder
}

func (t *table) say(l line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.lines.Encode(l) // whoever reads has gone
}

// show tells what a record is now, so that no line is older than the one before it.
func (t *table) show(r *client.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	document := r.JSON("")
	if document == nil {
		document = json.RawMessage("null")
	}
	_ = t.lines.Encode(line{Record: r.Name(), Document: document})
}

func run(ctx context.Context, url string, o client.Options, names []string, in io.Reader, out io.Writer) error {
	t := &table{cable: &cable{}, records: map[string]*client.Record{}, lines: json.NewEncoder(out)}
	o.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: t.cable.dial, DisableKeepAlives: true}}
	room, err := client.Join(ctx, url, o)
	if err != nil {
		return err
	}
	defer room.Leave()
	room.Watch(func(c client.Connection, _ error) { t.say(line{Connection: c}) })
	for _, name := range names {
		record, err := room.State().Record(ctx, name, client.RecordOptions{Merge: client.LocalWins})
		if err != nil {
			return err
		}
		t.records[name] = record
		if _, err := record.Subscribe("", func(client.Change) { t.show(record) }); err != nil {
			return err
		}
		t.show(record)
	}
	return t.obey(in)
}

// obey carries out what is read, until the input ends.
func (t *table) obey(in io.Reader) error {
	var writes sync.WaitGroup
	defer writes.Wait()
	input := bufio.NewScanner(in)
	input.Buffer(nil, wire.MaxMessageBytes)
	for n := 1; input.Scan(); n++ {
		text := strings.TrimSpace(input.Text())
		if after, ok := strings.CutPrefix(text, "cut "); ok {
			d, err := time.ParseDuration(after)
			if err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
			t.cable.cut(d)
			continue
		}
		var o order
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		record := t.records[o.Record]
		if record == nil {
			return fmt.Errorf("line %d: %q is no record of those that are shared", n, o.Record)
		}
		result := record.Send(o.Operations, client.WriteOptions{})
		writes.Go(func() {
			l := line{Done: n}
			if err := <-result; err != nil {
				l.Error = err.Error()
			}
			t.say(l)
		})
	}
	return input.Err()
}

// cable is the way to the server.
type cable struct {
	mu    sync.Mutex
	conn  net.Conn
	until time.Time // there is none before
}

func (c *cable) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wait := time.Until(c.until); wait > 0 {
		return nil, fmt.Errorf("cut off for %v more", wait)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	c.conn = conn
	return conn, err
}

func (c *cable) cut(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = time.Now().Add(d)
	if c.conn != nil {
		_ = c.conn.Close()
	}
}
