package port_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/port"
)

// turnFirst begins a connection to the STUN and TURN server: an Allocate request.
const turnFirst = "\x00\x03\x00\x00\x21\x12\xa4\x42transaction."

// relay is a STUN and TURN server that keeps what it is given, up to a number, and reads its connections until they end.
type relay struct {
	owner
	conns     chan served
	fromMedia chan string
}

// served is a connection that the relay was given, and how it begins.
type served struct {
	pair  datagram.Pair
	first string
}

func newRelay() *relay {
	return &relay{owner: make(owner, 4), conns: make(chan served, 16), fromMedia: make(chan string, 1)}
}

func (r *relay) Serve(c net.Conn, pair datagram.Pair) {
	b := make([]byte, len(turnFirst))
	n, err := io.ReadFull(c, b)
	r.conns <- served{pair, string(b[:n])}
	for err == nil {
		_, err = c.Read(b)
	}
}

func (r *relay) FromMedia(run datagram.Run) (dropped int) {
	select {
	case r.fromMedia <- fmt.Sprintf("%v %s", run.Pair.Remote, run.B):
		return 0
	default:
		return run.Segments
	}
}

// A connection that begins with a STUN message is the relay's from its first byte on, plain, inside TLS, and by the ALPN of RFC 7443; beside
// it HTTP/2 works as before.
func TestTURNOnOnePort(t *testing.T) {
	p, err := port.Open(port.Config{Listen: "127.0.0.1:0", TLS: testTLS("h2", "http/1.1", "stun.turn")})
	if err != nil {
		t.Fatal(err)
	}
	r := newRelay()
	p.SetRelay(r)
	p.Start(make(owner, 1))
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })}
	ended := make(chan error)
	go func() { ended <- server.Serve(p.HTTP()) }()
	defer func() {
		p.Close()
		<-ended
	}()
	for name, secure := range map[string]*tls.Config{
		"plain": nil, "TLS": {InsecureSkipVerify: true}, "ALPN": {InsecureSkipVerify: true, NextProtos: []string{"stun.turn"}},
	} {
		c, err := net.Dial("tcp", p.Local().String())
		if err != nil {
			t.Fatal(err)
		}
		want := served{datagram.Pair{Local: p.Local(), Remote: c.LocalAddr().(*net.TCPAddr).AddrPort(), Proto: datagram.TCP}, turnFirst}
		if secure != nil {
			c = tls.Client(c, secure)
		}
		if _, err := io.WriteString(c, turnFirst); err != nil {
			t.Fatal(err)
		}
		if got := <-r.conns; got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		c.Close()
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	res, err := (&http.Client{Transport: transport}).Get("https://" + p.Local().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	if res.Body.Close(); res.ProtoMajor != 2 {
		t.Errorf("%s beside TURN", res.Proto)
	}
	if s := p.Stats(); s.Unclassified+s.Insecure+s.Refused != 0 {
		t.Errorf("%+v", s)
	}
}

// A port without UDP serves TCP alike, sends nothing by UDP, which is counted, and ends.
func TestOpenTCP(t *testing.T) {
	p, err := port.OpenTCP(port.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	r := newRelay()
	p.SetRelay(r)
	p.Start()
	c, err := net.Dial("tcp", p.Local().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, turnFirst)
	if got := <-r.conns; got.first != turnFirst || got.pair.Local != p.Local() {
		t.Errorf("%+v", got)
	}
	u, err := net.ListenPacket("udp", p.Local().String())
	if err != nil {
		t.Fatalf("UDP of the same number is not free: %v", err)
	}
	u.Close()
	e := datagram.NewEgress(1000)
	e.Append(datagram.Pair{Local: p.Local(), Remote: clientAddr}, []byte("x"))
	p.Send(e)
	if n := p.Stats().Drops[drop.EgressFull]; n != 1 {
		t.Errorf("%d dropped", n)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Without a relay connections to it are closed, as whatever nobody serves.
func TestTURNWithoutRelay(t *testing.T) {
	inBubble(t, port.Config{}, func(t *testing.T, b *bubble) {
		c := b.tcp.dial("10.0.0.3:1")
		c.Write([]byte(turnFirst[:10]))
		synctest.Wait()
		if s := b.Stats(); isOpen(c) || s.Unclassified != 1 || s.Connections != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// What media send to a relayed address of this process goes to the relay and not into the network; what that has no room for, and what there is
// no relay for, is counted.
func TestMediaToRelayed(t *testing.T) {
	pair := datagram.Pair{Local: serverAddr, Remote: clientAddr, Proto: datagram.Relayed}
	for _, r := range []*relay{newRelay(), nil} {
		inBubbleWith(t, port.Config{}, r, func(t *testing.T, b *bubble) {
			e := datagram.NewEgress(1000)
			e.Append(pair, []byte("one"))
			b.Send(e)
			e.Reset()
			e.Append(pair, []byte("two"))
			e.Append(pair, []byte("six"))
			b.Send(e)
			dropped := uint64(3)
			if r != nil {
				dropped = 2
				if got := <-r.fromMedia; got != "10.0.0.2:5000 one" {
					t.Errorf("%q", got)
				}
			}
			if s := b.Stats(); s.Drops[drop.EgressFull] != dropped || s.UDP.Sent != 0 {
				t.Errorf("%d sent, drops %v; want %d", s.UDP.Sent, s.Drops, dropped)
			}
		})
	}
}
