package doctor

import (
	"net"
	"os"
	"slices"
	"strconv"
	"testing"
)

// Whoever listens on a port is named, by TCP and UDP, with the TCP ports that it has; a connection through a port is not somebody who listens
// on it.
func TestOwnerOf(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.ListenPacket("udp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	listens := uint16(l.Addr().(*net.TCPAddr).Port)
	for _, x := range []struct {
		network string
		port    int
		own     bool
	}{
		{"tcp", l.Addr().(*net.TCPAddr).Port, true},
		{"udp", c.LocalAddr().(*net.UDPAddr).Port, true},
		{"tcp", out.LocalAddr().(*net.TCPAddr).Port, false},
	} {
		o, ok := OwnerOf(x.network, uint16(x.port))
		if own := o.PID == strconv.Itoa(os.Getpid()); ok && own != x.own || ok && own && !slices.Contains(o.TCP, listens) || x.own && !ok {
			t.Errorf("%s %d: %+v, %v", x.network, x.port, o, ok)
		}
	}
}

// cpu.max is microseconds of a period, or max.
func TestQuota(t *testing.T) {
	for text, want := range map[string]float64{"50000 100000": 0.5, "400000 100000": 4, "max 100000": 0, "": 0, "1 0": 0} {
		if got := quota(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// Containers leave marks in the environment too.
func TestContainer(t *testing.T) {
	if _, err := os.Stat("/.dockerenv"); err == nil {
		t.Skip("this is one with a mark of its own")
	}
	for name, want := range map[string]string{"KUBERNETES_SERVICE_HOST": "Kubernetes", "container": "x", "other": ""} {
		if got := container(func(n string) (string, bool) { return "x", n == name }); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
