package port

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	stunFrame = "\x00\x14\x00\x01\x00\x00\x21\x12\xa4\x42transaction."
	turnFirst = "\x00\x03\x00\x00\x21\x12\xa4\x42transaction."
)

// The first ten bytes tell what a TCP connection is; what they do not tell is nothing we serve.
func TestClassifyTCP(t *testing.T) {
	for _, c := range []struct {
		name, b string
		want    class
	}{
		{"nothing", "", classUnknown},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03", classTLS},
		{"TLS, cut", "\x16", classTLS},
		{"HTTP/1", "GET / HTTP/1.1", classHTTP},
		{"HTTP/2", "PRI * HTTP/2.0", classHTTP},
		{"HTTP in small letters", "get /", classHTTP},
		{"ICE-TCP", stunFrame, classStream},
		{"ICE-TCP without its cookie", stunFrame[:9], classUnknown},
		{"another cookie", "\x00\x14\x00\x01\x00\x00\x21\x12\xa4\x43", classUnknown},
		{"RTP in a frame", "\x00\x14\x80\x01\x00\x00\x21\x12\xa4\x42", classUnknown},
		{"TURN over TCP", turnFirst, classTURN},
		{"TURN without its cookie", turnFirst[:7], classUnknown},
		{"ChannelData", "\x40\x00\x00\x10\x21\x12\xa4\x42..", classUnknown},
		{"SSLv2", "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00", classUnknown},
		{"a digit", "0123456789", classUnknown},
	} {
		if got := classify([]byte(c.b)); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// Whatever comes first, it is only called TLS, HTTP, ICE-TCP or TURN for a reason.
func FuzzClassifyTCP(f *testing.F) {
	for _, s := range []string{"", "GET /", stunFrame, turnFirst, "\x16\x03\x01"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		letter := len(b) > 0 && (b[0]|0x20 >= 'a' && b[0]|0x20 <= 'z')
		stunAt := func(at int) bool {
			return len(b) >= 10 && b[at] < 0x40 && b[at+4] == 0x21 && b[at+5] == 0x12 && b[at+6] == 0xa4 && b[at+7] == 0x42
		}
		want := classUnknown
		switch {
		case len(b) > 0 && b[0] == 0x16:
			want = classTLS
		case letter:
			want = classHTTP
		case stunAt(2):
			want = classStream
		case stunAt(0):
			want = classTURN
		}
		if got := classify(b); got != want {
			t.Errorf("%x: %d, want %d", b, got, want)
		}
	})
}

// A socket on all addresses offers those that others can use: no link-local ones, loopback only when there is nothing else,
// and of its own families.
func TestReachableAddresses(t *testing.T) {
	cidrs := func(all ...string) (out []net.Addr) {
		for _, s := range all {
			ip, n, err := net.ParseCIDR(s)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, &net.IPNet{IP: ip, Mask: n.Mask})
		}
		return append(out, &net.UnixAddr{Name: "no address"})
	}
	machine := cidrs("127.0.0.1/8", "::1/128", "192.0.2.2/24", "10.0.0.9/8", "2001:db8::2/64", "fe80::1/64", "169.254.3.4/16", "ff02::1/8")
	for _, c := range []struct {
		local string
		all   []net.Addr
		want  []string
	}{
		{"[::]:8443", machine, []string{"192.0.2.2:8443", "10.0.0.9:8443", "[2001:db8::2]:8443"}},
		{"0.0.0.0:8443", machine, []string{"192.0.2.2:8443", "10.0.0.9:8443"}},
		{"[::]:1", cidrs("127.0.0.1/8", "::1/128", "fe80::1/64"), []string{"127.0.0.1:1", "[::1]:1"}},
		{"0.0.0.0:1", cidrs("127.0.0.1/8", "::1/128", "2001:db8::2/64"), []string{"127.0.0.1:1"}},
	} {
		var got []string
		for _, a := range reachable(netip.MustParseAddrPort(c.local), c.all) {
			got = append(got, a.String())
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.local, d)
		}
	}
}
