// Command board shares a record with whoever else is in a room, for tests in which browsers and a Go client do so together:
//
//	board -url http://localhost:8443 -room tea -identity gopher -record board
//
// It prints a line of JSON for each thing that happens: {"version":3,"document":{…}} at first and when the record is another one,
// {"connection":"resuming"}, and {"done":1} or {"done":1,"error":"…"} when the first line that it has read is carried out. It reads lines:
//
//	[{"op":"set","path":"shapes[0].x","value":17}]    operations, carried out together
//	cut 10s                                           the connection is lost, and there is none for so long
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
	flag.StringVar(&o.Token, "token", "", "token of a server that demands one")
	record := flag.String("record", "board", "record to share")
	flag.Parse()
	if err := run(context.Background(), *url, o, *record, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "board:", err)
		os.Exit(1)
	}
}

// line is what is printed.
type line struct {
	Version    *uint64           `json:"version,omitempty"`
	Document   json.RawMessage   `json:"document,omitempty"`
	Connection client.Connection `json:"connection,omitempty"`
	Done       int               `json:"done,omitempty"`
	Error      string            `json:"error,omitempty"`
}

func run(ctx context.Context, url string, o client.Options, name string, in io.Reader, out io.Writer) error {
	var mu sync.Mutex
	lines := json.NewEncoder(out)
	say := func(l line) {
		mu.Lock()
		defer mu.Unlock()
		_ = lines.Encode(l) // whoever reads has gone
	}
	c := &cable{}
	o.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: c.dial, DisableKeepAlives: true}}
	room, err := client.Join(ctx, url, o)
	if err != nil {
		return err
	}
	defer room.Leave()
	room.Watch(func(c client.Connection, _ error) { say(line{Connection: c}) })
	record, err := room.State().Record(ctx, name, client.RecordOptions{Merge: client.LocalWins})
	if err != nil {
		return err
	}
	show := func(document json.RawMessage) {
		version := record.Version()
		say(line{Version: &version, Document: document})
	}
	show(record.JSON(""))
	if _, err := record.Subscribe("", show); err != nil {
		return err
	}
	var writes sync.WaitGroup
	defer writes.Wait()
	input := bufio.NewScanner(in)
	input.Buffer(nil, wire.MaxMessageBytes)
	for n := 1; input.Scan(); n++ {
		text := strings.TrimSpace(input.Text())
		if after, ok := strings.CutPrefix(text, "cut "); ok {
			d, err := time.ParseDuration(after)
			if err != nil {
				return err
			}
			c.cut(d)
			continue
		}
		var operations []wire.Operation
		if err := json.Unmarshal([]byte(text), &operations); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		result := record.Send(operations, client.WriteOptions{})
		writes.Go(func() {
			l := line{Done: n}
			if err := <-result; err != nil {
				l.Error = err.Error()
			}
			say(l)
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
