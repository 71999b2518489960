package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/natcheck"
	"github.com/parley-rtc/parley/internal/stun"
)

// answer is what a STUN server with one address says.
func answer(b []byte, from netip.AddrPort, refused stun.Code) []byte {
	var m stun.Message
	if m.Parse(b) != drop.None {
		return nil
	}
	if refused != 0 {
		w := stun.Begin(nil, stun.TypeOf(stun.Binding, stun.Error), m.ID())
		w.ErrorCode(refused)
		return w.B
	}
	w := stun.Begin(nil, stun.TypeOf(stun.Binding, stun.Success), m.ID())
	w.Address(stun.XORMappedAddress, from)
	return w.B
}

// serveUDP answers on a loopback address until the test ends.
func serveUDP(t *testing.T, refused stun.Code) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			_, _ = c.WriteToUDPAddrPort(answer(b[:n], from, refused), from)
		}
	}()
	t.Cleanup(func() {
		c.Close()
		<-done
	})
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// A server with one address tells that there is no NAT, and not what the filter is; the finding says so, and what to do. Nothing is left
// running.
func TestServerWithOneAddress(t *testing.T) {
	server := serveUDP(t, 0)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	r := NewReport("test")
	r.ExamineNAT(t.Context(), server, func(string) {})
	f := r.Findings[0]
	if !r.OK || f.Level != Warning || f.Text != "no NAT" || !strings.Contains(f.Cause, "one address only") || !strings.Contains(f.Next, "parley turn") {
		t.Errorf("%+v", f)
	}
	if n := r.NAT; n.Mapping != "none" || n.Filtering != "unknown" || n.Local != n.Mapped || n.Other != "" {
		t.Errorf("%+v", n)
	}
}

// A server that wants to know who asks is a fault with its code.
func TestServerThatRefuses(t *testing.T) {
	r := NewReport("test")
	r.ExamineNAT(t.Context(), serveUDP(t, stun.Unauthenticated), func(string) {})
	if f := r.Findings[0]; r.OK || f.Level != Fault || !strings.Contains(f.Text, "401") {
		t.Errorf("%+v", f)
	}
}

// A server to which there is no way is a fault with its cause; whoever does not want to wait is told nothing.
func TestServerOutOfReach(t *testing.T) {
	r := NewReport("test")
	r.ExamineNAT(t.Context(), netip.MustParseAddrPort("[fe80::1%nowhere]:3478"), func(string) {})
	if f := r.Findings[0]; r.OK || f.Level != Fault || f.Cause == "" || f.Next == "" || !strings.Contains(f.Text, "fe80::1") {
		t.Errorf("%+v", f)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	r = NewReport("test")
	if r.ExamineNAT(ended, serveUDP(t, 0), func(string) {}); len(r.Findings) > 0 || r.NAT != nil {
		t.Errorf("%+v", r)
	}
}

// By TCP a STUN server is told from whatever else takes connections.
func TestAnswersSTUN(t *testing.T) {
	for _, c := range []struct {
		name  string
		serve func(net.Conn, []byte)
		want  bool
	}{
		{"STUN", func(c net.Conn, b []byte) {
			_, _ = c.Write(answer(b, netip.MustParseAddrPort("10.0.0.1:1"), 0))
		}, true},
		{"HTTP", func(c net.Conn, _ []byte) {
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
		}, false},
		{"another's answer", func(c net.Conn, b []byte) {
			b[len(b)-20]++ // in the transaction id: FINGERPRINT is 8 bytes behind it
			_, _ = c.Write(b)
		}, false},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			b := make([]byte, stun.HeaderLen+8)
			if _, err := io.ReadFull(conn, b); err == nil {
				c.serve(conn, b)
			}
		}()
		if got := AnswersSTUN(t.Context(), "tcp", netip.MustParseAddrPort(l.Addr().String())); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		l.Close()
		<-done
	}
	if AnswersSTUN(t.Context(), "tcp", netip.MustParseAddrPort("127.0.0.1:1")) {
		t.Error("nobody answers")
	}
	if !AnswersSTUN(t.Context(), "udp", serveUDP(t, 0)) {
		t.Error("a server that answers by UDP is not heard")
	}
}

// Every result is told in words of RFC 4787 and plain ones; what is wrong has a cause and a next step.
func TestFindingsOfNAT(t *testing.T) {
	server, other := netip.MustParseAddrPort("20.0.0.10:3478"), netip.MustParseAddrPort("20.0.0.11:3479")
	full := natcheck.Result{
		Local: netip.MustParseAddrPort("10.0.0.2:4000"), Mapped: netip.MustParseAddrPort("20.0.0.1:4000"), Other: other, RTT: 1234567,
		Mapping: natcheck.EndpointIndependent, Filtering: natcheck.AddressAndPortDependent, PreservesPorts: natcheck.Yes, Hairpins: natcheck.No,
	}
	with := func(f func(*natcheck.Result)) natcheck.Result {
		r := full
		f(&r)
		return r
	}
	for _, c := range []struct {
		result natcheck.Result
		tcp    bool
		level  Level
		text   []string
	}{
		{full, false, OK, []string{
			"port-restricted cone", "mapping endpoint-independent, filtering address-and-port-dependent, ports preserved, no hairpinning",
			"10.0.0.2:4000 is seen as 20.0.0.1:4000, 1.23ms away", "all but those behind symmetric NATs",
		}},
		{with(func(r *natcheck.Result) { r.Mapping = natcheck.AddressAndPortDependent }), false, Note, []string{"symmetric", "TURN server"}},
		{with(func(r *natcheck.Result) {
			r.Fault, r.Mapping, r.Filtering = natcheck.OtherSilent, natcheck.Unknown, natcheck.Unknown
		}), false, Warning, []string{"unknown", "why", "20.0.0.11:3479", "next"}},
		{with(func(r *natcheck.Result) { r.Fault, r.Filtering = natcheck.NotChanged, natcheck.Unknown }), false, Warning, []string{"CHANGE-REQUEST"}},
		{natcheck.Result{Fault: natcheck.NoAnswer}, true, Fault, []string{"UDP blocked", "why", "next", "ICE-TCP"}},
		{natcheck.Result{Fault: natcheck.NoAnswer}, false, Fault, []string{"no answer from 20.0.0.10:3478", "nor by TCP", "next"}},
	} {
		x := examination{result: c.result}
		f := x.finding(server, c.tcp)
		var b bytes.Buffer
		if err := f.Write(&b); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(b.String()), " ")
		for _, want := range c.text {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in\n%s", want, &b)
			}
		}
		if f.Level != c.level || (f.Level == Warning || f.Level == Fault) && (f.Cause == "" || f.Next == "") {
			t.Errorf("%+v", f)
		}
	}
}

// Lines are broken between words, and go on under where they began.
func TestWrap(t *testing.T) {
	f := Finding{Area: "buffers", Level: Warning, Text: strings.Repeat("word ", 40) + "end", Next: "one\ntwo"}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	if len(lines) != 5 || lines[4] != strings.Repeat(" ", 23)+"two" {
		t.Errorf("%q", lines)
	}
	for _, l := range lines {
		if len(l) > textWidth+len("✔") || strings.HasSuffix(l, " ") {
			t.Errorf("%q", l)
		}
	}
}

// The verdict counts what is wrong, and JSON has it all.
func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		levels []Level
		ok     bool
		want   string
	}{
		{nil, true, "Nothing is wrong."},
		{[]Level{OK, Note}, true, "Nothing is wrong."},
		{[]Level{Warning, OK}, true, "Nothing is broken; 1 warning."},
		{[]Level{Fault, Warning, Warning}, false, "1 fault, 2 warnings."},
	} {
		r := NewReport("1.2")
		added := 0
		r.Added = func(Finding) { added++ }
		for _, l := range c.levels {
			r.Add(Finding{Area: "x", Level: l})
		}
		var text, object bytes.Buffer
		if r.WriteVerdict(&text) != nil || strings.TrimSpace(text.String()) != c.want || r.OK != c.ok || added != len(c.levels) {
			t.Errorf("%v: %q, ok %v", c.levels, text.String(), r.OK)
		}
		var back Report
		if r.WriteJSON(&object) != nil || json.Unmarshal(object.Bytes(), &back) != nil || back.OK != c.ok || len(back.Findings) != len(c.levels) || back.Version != "1.2" {
			t.Errorf("%s", &object)
		}
	}
}

// On a terminal one line says what is looked at, and goes away; elsewhere there is none.
func TestProgress(t *testing.T) {
	for terminal, want := range map[bool]string{true: "\r\x1b[2K  … one\r\x1b[2K  … two\r\x1b[2K", false: ""} {
		var b bytes.Buffer
		p := NewProgress(&b, terminal)
		p.Show("one")
		p.Show("two")
		p.Clear()
		p.Clear()
		if b.String() != want {
			t.Errorf("%q", b.String())
		}
	}
}

// A server is HOST or HOST:PORT, without a port that of STUN; what cannot be one is refused.
func TestFindServer(t *testing.T) {
	for server, want := range map[string]string{
		"127.0.0.1": "127.0.0.1:3478", "127.0.0.1:99": "127.0.0.1:99", "[::1]:99": "[::1]:99", "::1": "[::1]:3478", "[::1]": "[::1]:3478",
	} {
		if got, err := FindServer(t.Context(), server); err != nil || got.String() != want {
			t.Errorf("%s: %v, %v", server, got, err)
		}
	}
	for server, want := range map[string]string{"127.0.0.1:nothing": "nothing", "https://127.0.0.1:8443": "a URL"} {
		if got, err := FindServer(t.Context(), server); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", server, got, err)
		}
	}
}
