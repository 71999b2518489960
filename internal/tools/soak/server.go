package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-rtc/parley/wire"
)

// server is the binary under test.
type server struct {
	// static after construction
	cmd    *exec.Cmd
	folder string
	url    string
	log    *os.File
	done   chan error
}

// counts are metrics by name.
type counts map[string]float64

const (
	heapMetric     = "go_memstats_heap_alloc_bytes"
	residentMetric = "process_resident_memory_bytes"
)

// clientMetrics count what there is of clients.
var clientMetrics = []string{"parley_rooms", "parley_participants", "parley_publications", "parley_sessions", "parley_transports"}

// exact are the metrics that must be at the end what they were at the start.
var exact = append([]string{"go_goroutines", "process_open_fds"}, clientMetrics...)

func startServer(ctx context.Context, binary string) (*server, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	_ = l.Close()
	s := &server{url: "http://" + address, done: make(chan error, 1)}
	if s.folder, err = os.MkdirTemp("", "parley-soak-"); err != nil {
		return nil, err
	}
	if s.log, err = os.Create(s.folder + "/log"); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(binary, "serve", "--listen", address, "--data", s.folder, "--auth", "open", "--linger", "1s")
	s.cmd.Env = append(os.Environ(), "GOGC=10") // what the metric tells is close to what lives
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.done <- s.cmd.Wait() }()
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(100 * time.Millisecond) {
		if _, err = s.scrape(ctx); err == nil {
			return s, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			s.stop()
			return nil, fmt.Errorf("the server does not start: %w", err)
		}
	}
}

const startTimeout = 20 * time.Second

// stop ends the server and waits for it.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(15 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	_ = s.log.Close()
	_ = os.RemoveAll(s.folder)
}

// scrape reads the metrics, those with labels summed. It leaves no connection behind that would count.
func (s *server) scrape(ctx context.Context) (counts, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	r.Close = true
	r.Header.Set("Accept-Encoding", "identity") // the server would keep compressors for the next scrape
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics: %s", a.Status)
	}
	c, err := parse(a.Body)
	for _, name := range append([]string{heapMetric, residentMetric}, exact...) {
		if _, ok := c[name]; err == nil && !ok {
			err = fmt.Errorf("the server tells no %s", name)
		}
	}
	return c, err
}

func parse(r io.Reader) (counts, error) {
	c := counts{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		end := strings.LastIndexByte(line, ' ') // labels may have spaces
		if end < 0 || line[0] == '#' {
			continue
		}
		x, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("metric %q: %w", line, err)
		}
		name, _, _ := strings.Cut(line[:end], "{")
		c[name] += x
	}
	return c, lines.Err()
}

// settle waits until what the server holds is enough, or it has had its time, and returns what it holds then.
func (s *server) settle(ctx context.Context, enough func(counts) bool, limit time.Duration, p *progress) (counts, error) {
	for start := time.Now(); ; {
		c, err := s.collected(ctx)
		if err != nil {
			return nil, err
		}
		p.wait(time.Since(start), limit)
		if enough(c) || time.Since(start) > limit {
			return c, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.New("interrupted")
		case <-time.After(time.Second):
		}
	}
}

// within reports whether nothing is held beyond want, of the heap that part of it.
func (c counts) within(want counts, tolerance float64) bool {
	for _, name := range exact {
		if c[name] > want[name] {
			return false
		}
	}
	return c[heapMetric] <= want[heapMetric]*(1+tolerance)
}

// empty reports whether nothing is left of any client.
func (c counts) empty() bool {
	return !slices.ContainsFunc(clientMetrics, func(name string) bool { return c[name] > 0 })
}

// collected returns the least of each metric among many scrapes. Each makes some garbage, so among them the collector runs, and the least
// heap is what lives; and the connection of the scrape before may not be gone yet.
func (s *server) collected(ctx context.Context) (counts, error) {
	var least counts
	for range scrapes {
		c, err := s.scrape(ctx)
		if err != nil {
			return nil, err
		}
		least = least.least(c)
	}
	return least, nil
}

// least returns the lesser of each metric.
func (c counts) least(o counts) counts {
	for name, x := range c {
		if y, ok := o[name]; ok {
			o[name] = min(x, y)
		}
	}
	return o
}

const scrapes = 300

// visit joins a room, and leaves it.
func (s *server) visit(ctx context.Context, j wire.Join) error {
	c, _, err := websocket.Dial(ctx, s.url+"/v1/session", nil)
	if err != nil {
		return fmt.Errorf("%s: %w", j.Identity, err)
	}
	defer func() { _ = c.CloseNow() }()
	c.SetReadLimit(1 << 20)
	for id, r := range []wire.Request{{Type: wire.TypeJoin, Body: encode(j)}, {Type: wire.TypeLeave, Body: encode(wire.Leave{})}} {
		r.ID = uint64(id + 1)
		if err := c.Write(ctx, websocket.MessageText, encode(r)); err != nil {
			return fmt.Errorf("%s, %s: %w", j.Identity, r.Type, err)
		}
		if err := await(ctx, c, r.ID); err != nil {
			return fmt.Errorf("%s, %s: %w", j.Identity, r.Type, err)
		}
	}
	return nil
}

// await reads until a request is answered.
func await(ctx context.Context, c *websocket.Conn, id uint64) error {
	for {
		_, b, err := c.Read(ctx)
		if err != nil {
			return err
		}
		var m wire.Message
		if err := json.Unmarshal(b, &m); err != nil {
			return err
		}
		if m.Reply == id {
			if m.Type == wire.TypeError {
				return fmt.Errorf("refused: %s", m.Body)
			}
			return nil
		}
	}
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
