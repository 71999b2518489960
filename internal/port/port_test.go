package port_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/port"
)

// testTLS makes a configuration with a certificate of its own.
func testTLS(protos ...string) func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: protos}
	return func() *tls.Config { return cfg }
}

// serve opens a real port with an HTTP server on it that tells how it was asked.
func serve(t *testing.T, cfg port.Config) (*port.Port, owner) {
	t.Helper()
	p, err := port.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	o := make(owner, 64)
	p.Start(o)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s tls=%v", r.Proto, r.TLS != nil)
	})}
	ended := make(chan error)
	go func() { ended <- server.Serve(p.HTTP()) }()
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-ended
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, o
}

// One TCP port serves HTTP/1 plain and by TLS, HTTP/2 by ALPN, and clients without ALPN; the server knows which came by TLS.
func TestHTTPOnOnePort(t *testing.T) {
	p, _ := serve(t, port.Config{Listen: "127.0.0.1:0", TLS: testTLS("h2", "http/1.1")})
	for _, c := range []struct {
		scheme string
		alpn   []string
		want   string
	}{
		{"http", nil, "HTTP/1.1 tls=false"},
		{"https", []string{"h2", "http/1.1"}, "HTTP/2.0 tls=true"},
		{"https", []string{"http/1.1"}, "HTTP/1.1 tls=true"},
		{"https", nil, "HTTP/1.1 tls=true"},
	} {
		var protocols http.Protocols
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(len(c.alpn) == 2)
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, NextProtos: c.alpn}, Protocols: &protocols,
		}
		if c.alpn == nil { // net/http always offers http/1.1
			transport.DialTLSContext = func(_ context.Context, network, addr string) (net.Conn, error) {
				return tls.Dial(network, addr, &tls.Config{InsecureSkipVerify: true})
			}
		}
		client := &http.Client{Transport: transport}
		for range 2 { // the second on the same connection
			res, err := client.Get(c.scheme + "://" + p.Local().String() + "/")
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || string(body) != c.want {
				t.Errorf("%s %v: %q, %v; want %q", c.scheme, c.alpn, body, err, c.want)
			}
		}
		client.CloseIdleConnections()
	}
	if s := p.Stats(); s.Accepted != 4 || s.Unclassified+s.Insecure+s.Refused != 0 {
		t.Errorf("%+v", s)
	}
}

// ICE-TCP works on the same port, plain and inside TLS, both ways, and at the same time as HTTP.
func TestICETCPOnOnePort(t *testing.T) {
	p, o := serve(t, port.Config{Listen: "[::1]:0", TLS: testTLS("h2", "http/1.1")})
	for _, secure := range []bool{false, true} {
		c, err := net.Dial("tcp", p.Local().String())
		if err != nil {
			t.Fatal(err)
		}
		remote := c.LocalAddr().(*net.TCPAddr).AddrPort()
		if secure {
			c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		}
		if _, err := io.WriteString(c, iceCheck); err != nil {
			t.Fatal(err)
		}
		b := <-o
		want := datagram.Pair{Local: p.Local(), Remote: remote, Proto: datagram.TCP}
		if b.N != 1 || b.D[0].Pair != want || string(b.D[0].B) != iceCheck[2:] {
			t.Fatalf("secure=%v: %+v", secure, b.D[:b.N])
		}
		e := datagram.NewEgress(1000)
		e.Append(want, []byte("\x80answer"))
		p.Send(e)
		p.Recycle(b)
		got := make([]byte, 9)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "\x00\x07\x80answer" {
			t.Errorf("secure=%v: %q, %v", secure, got, err)
		}
		c.Close()
	}
}

// WebSocket-like use: a handler may take the connection over, and gets what the client has sent already.
func TestHijack(t *testing.T) {
	p, err := port.Open(port.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	p.Start(make(owner, 1))
	taken := make(chan error, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := w.(http.Hijacker).Hijack()
		if err == nil {
			line, _ := rw.ReadString('\n')
			_, err = io.WriteString(c, "took over after "+line)
		}
		taken <- err
	})}
	ended := make(chan error)
	go func() { ended <- server.Serve(p.HTTP()) }()
	c, err := net.Dial("tcp", p.Local().String())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\nmore\n")
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); line != "took over after more\n" {
		t.Errorf("%q, %v", line, err)
	}
	server.Close()
	<-ended
	if s := p.Stats(); s.Connections != 1 {
		t.Errorf("a hijacked connection does not count any more: %+v", s)
	}
	p.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("Close leaves a hijacked connection open")
	}
	c.Close()
}

// Both sockets have one number; a socket on one host offers only that, one on all does not offer loopback beside others.
func TestAddresses(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
		p, _ := serve(t, port.Config{Listen: listen})
		got, err := p.Addresses()
		if err != nil || len(got) != 1 || got[0] != p.Local() || !got[0].Addr().IsLoopback() || got[0].Port() == 0 {
			t.Errorf("%s offers %v, %v", listen, got, err)
		}
		if l := p.HTTP().Addr().(*net.TCPAddr).AddrPort(); l != p.Local() {
			t.Errorf("TCP on %v, UDP on %v", l, p.Local())
		}
	}
	for listen, v6 := range map[string]bool{":0": true, "0.0.0.0:0": false} {
		p, _ := serve(t, port.Config{Listen: listen})
		number := p.Local().Port()
		for _, host := range []string{"127.0.0.1", "::1"} {
			c, err := net.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr(host), number).String())
			if err == nil {
				c.Close()
			}
			if want := host == "127.0.0.1" || v6; (err == nil) != want {
				t.Errorf("%s by %s: %v", listen, host, err)
			}
		}
		got, err := p.Addresses()
		if err != nil || len(got) == 0 {
			t.Errorf("%s offers %v, %v", listen, got, err)
		}
		for _, a := range got {
			if a.Port() != number || a.Addr().IsUnspecified() || a.Addr().IsLoopback() != got[0].Addr().IsLoopback() {
				t.Errorf("%s offers %v", listen, got)
			}
		}
	}
}

// Where one of the two sockets cannot be had, the other is given back, and the error says which it was.
func TestOpenErrors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if p, err := port.Open(port.Config{Listen: l.Addr().String()}); err == nil {
		p.Close()
		t.Error("TCP is taken, and no error")
	} else if !strings.Contains(err.Error(), "TCP "+l.Addr().String()) {
		t.Error(err)
	}
	c, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatalf("UDP was not given back: %v", err)
	}
	defer c.Close()
	if p, err := port.Open(port.Config{Listen: c.LocalAddr().String()}); err == nil {
		p.Close()
		t.Error("UDP is taken, and no error")
	}
}

// From the socket to the owner and back out nothing is allocated.
func TestNoAllocation(t *testing.T) {
	p, o := serve(t, port.Config{Listen: "127.0.0.1:0"})
	pair := datagram.Pair{Local: p.Local(), Remote: p.Local()}
	p.Pairs().Claim(pair, 0)
	e := datagram.NewEgress(1 << 16)
	for range 10 {
		e.Append(pair, make([]byte, 1000)) // 0: as STUN
	}
	work := func() {
		p.Send(e)
		for n := 10; n > 0; {
			b := <-o
			n -= b.N
			p.Recycle(b)
		}
	}
	for range 10 {
		work()
	}
	if n := testing.AllocsPerRun(100, work); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
