package host

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"github.com/parley-rtc/parley/wire"
)

const (
	perSource  = 256  // docs/protocol.md, section 8.4
	allSources = 1024 // likewise
	perShard   = 4096
)

// crowd posts offers to a server, whose answers nobody acts on unless told to.
type crowd struct {
	t     *testing.T
	node  *node
	offer string
}

func newCrowd(t *testing.T, args ...string) *crowd {
	t.Helper()
	n := startNode(t, append([]string{"--linger", "1s"}, args...)...)
	t.Cleanup(n.stop)
	b, err := os.ReadFile("../sdp/testdata/chromium-publish.offer.sdp")
	if err != nil {
		t.Fatal(err)
	}
	return &crowd{t, n, string(b)}
}

// from returns a client whose connections come from 127.0.SOURCE.1.
func (c *crowd) from(source int) *http.Client {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(source), 1)}}
	transport := &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: 8}
	c.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// reply is an answer to a POST.
type reply struct {
	status     int
	code       wire.Code
	retryAfter int
	answer     string
}

func (c *crowd) post(client *http.Client, room string) reply {
	url := fmt.Sprintf("http://127.0.0.1:%d/whip/%s", c.node.port.Local().Port(), room)
	r, err := client.Post(url, "application/sdp", strings.NewReader(c.offer))
	if err != nil {
		c.t.Error(err)
		return reply{}
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	var problem struct{ Code wire.Code }
	_ = json.Unmarshal(b, &problem)
	after, _ := strconv.Atoi(r.Header.Get("Retry-After"))
	return reply{r.StatusCode, problem.Code, after, string(b)}
}

// fill posts n offers, some at once, each of which must be answered with 201.
func (c *crowd) fill(client *http.Client, n int, then func(i int, answer string)) {
	c.t.Helper()
	var running sync.WaitGroup
	for worker := range 8 {
		running.Go(func() {
			for i := worker; i < n; i += 8 {
				r := c.post(client, fmt.Sprint("room", i%64))
				if r.status != http.StatusCreated {
					c.t.Errorf("offer %d of %d: %d %s", i, n, r.status, r.answer)
					return
				}
				if then != nil {
					then(i, r.answer)
				}
			}
		})
	}
	running.Wait()
}

// refused checks that an offer is refused in that way, and that nobody has joined by it.
func (c *crowd) refused(client *http.Client, room string, status int, code wire.Code) {
	c.t.Helper()
	before := c.node.rooms.Stats()
	if r := c.post(client, room); r.status != status || r.code != code || r.retryAfter == 0 {
		c.t.Errorf("%s: %d %s, again after %d s; want %d %s", room, r.status, r.code, r.retryAfter, status, code)
	}
	if after := c.node.rooms.Stats(); after.Rooms != before.Rooms || after.Participants != before.Participants {
		c.t.Errorf("%s: before %+v, after %+v", room, before, after)
	}
}

// check does what an ICE agent does first, from a port of its own.
func (c *crowd) check(answer string) {
	c.t.Helper()
	request := stun.MustBuild(stun.BindingRequest, stun.TransactionID,
		stun.NewUsername(attribute(answer, "ice-ufrag")+":"+attribute(c.offer, "ice-ufrag")),
		stun.RawAttribute{Type: stun.AttrPriority, Value: []byte{110, 0, 0, 255}},
		stun.RawAttribute{Type: stun.AttrICEControlling, Value: []byte("12345678")},
		stun.NewShortTermIntegrity(attribute(answer, "ice-pwd")), stun.Fingerprint)
	conn, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", c.node.port.Local().Port()))
	if err != nil {
		c.t.Error(err)
		return
	}
	defer conn.Close()
	b := make([]byte, 1500)
	for try := 0; ; try++ {
		_, _ = conn.Write(request.Raw)
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := conn.Read(b); err == nil && b[0] <= 1 {
			return
		} else if try == 5 {
			c.t.Errorf("a check was not answered: %v", err)
			return
		}
	}
}

func (c *crowd) transports() int {
	c.t.Helper()
	counts, err := c.node.shards.Counts(context.Background())
	if err != nil {
		c.t.Fatal(err)
	}
	return counts.Transports
}

// One source may have 256 Transports that wait for their first check. One more offer is refused, over HTTP and over a WebSocket, where it
// opens a room not even that. A check makes room for another; a source next to it goes on as if nothing were. All sources may
// have 1024. What is never checked is over after 10 s.
func TestScenarioUnchecked(t *testing.T) {
	c := newCrowd(t)
	first := c.from(1)
	var answer string
	c.fill(first, perSource, func(i int, a string) {
		if i == 0 {
			answer = a
		}
	})
	c.refused(first, "room0", http.StatusTooManyRequests, wire.CodeRate)
	c.refused(first, "new", http.StatusTooManyRequests, wire.CodeRate)
	c.check(answer)
	c.fill(first, 1, nil)
	c.refused(first, "room0", http.StatusTooManyRequests, wire.CodeRate)

	for source := 2; source <= allSources/perSource; source++ {
		c.fill(c.from(source), perSource, nil)
	}
	c.refused(c.from(9), "room0", http.StatusServiceUnavailable, wire.CodeOverloaded)
	c.refused(c.from(9), "new", http.StatusServiceUnavailable, wire.CodeOverloaded)
	if got := c.transports(); got != allSources+1 {
		t.Errorf("%d transports", got)
	}
	c.settle(1)
	c.fill(first, perSource, nil)
}

// settle waits until no more than n Transports are left.
func (c *crowd) settle(n int) {
	c.t.Helper()
	for deadline := time.Now().Add(50 * time.Second); c.transports() > n; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("%d transports are left", c.transports())
		}
	}
}

// The same over WebSockets: an offer beyond the limit of its source is refused, and may be repeated.
func TestUncheckedOverWebSocket(t *testing.T) {
	c := newCrowd(t)
	s := dial(t, c.node)
	s.send(wire.TypeJoin, wire.Join{Protocol: wire.Protocol, Room: "room0"})
	s.await(wire.TypeJoined)
	var answer string
	c.fill(c.from(0), perSource, func(i int, a string) {
		if i == 0 {
			answer = a
		}
	})
	offer := wire.Offer{SDP: c.offer}
	s.sendAs(2, wire.TypeOffer, offer)
	var e wire.Error
	if m := s.replyTo(2); m.Type != wire.TypeError || json.Unmarshal(m.Body, &e) != nil || e.Code != wire.CodeRate || e.RetrySeconds == 0 {
		t.Errorf("%s %s", m.Type, m.Body)
	}
	c.check(answer)
	s.sendAs(2, wire.TypeOffer, offer)
	if m := s.replyTo(2); m.Type != wire.TypeAnswer {
		t.Errorf("%s %s", m.Type, m.Body)
	}
}

func (s *session) sendAs(id uint64, kind string, body any) {
	s.t.Helper()
	b, _ := json.Marshal(body)
	m, _ := json.Marshal(wire.Request{ID: id, Type: kind, Body: b})
	if err := s.conn.Write(s.ctx, 1, m); err != nil {
		s.t.Fatal(err)
	}
}

// replyTo reads until the reply to a request comes.
func (s *session) replyTo(id uint64) wire.Message {
	s.t.Helper()
	for {
		_, b, err := s.conn.Read(s.ctx)
		if err != nil {
			s.t.Fatalf("waiting for the reply to %d: %v", id, err)
		}
		var m wire.Message
		if err := json.Unmarshal(b, &m); err != nil {
			s.t.Fatal(err)
		}
		if m.Reply == id {
			return m
		}
	}
}

// A shard has room for 4096 Transports. Whoever comes after is told so, and not answered as if there were more.
func TestScenarioFull(t *testing.T) {
	c := newCrowd(t, "--shards", "1")
	first := c.from(1)
	c.fill(first, perShard, func(_ int, a string) { c.check(a) })
	if got := c.transports(); got != perShard {
		t.Fatalf("%d transports", got)
	}
	c.refused(first, "room0", http.StatusServiceUnavailable, wire.CodeOverloaded)
	c.refused(c.from(2), "new", http.StatusServiceUnavailable, wire.CodeOverloaded)
}
