package host

import (
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/obs"
	"github.com/parley-rtc/parley/internal/port"
)

// counted is an owner that tells how much each batch holds, and does not keep it.
type counted chan int

func (c counted) Batch(b *datagram.Batch) bool {
	c <- b.N
	return false
}

func (c counted) Strangers(b *datagram.Batch) bool { return c.Batch(b) }

// What the kernel drops because nobody reads for a moment is in /metrics, to the datagram, beside the size of the buffer that was
// too small; what it kept is read afterwards.
func TestMetricsOfKernelDrops(t *testing.T) {
	const sent = 300
	n := startNode(t)
	defer n.stop()
	p, err := port.Open(port.Config{Listen: "127.0.0.1:0", ReceiveBuffer: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	m := obs.NewMetrics("test")
	m.Collect((&node{port: p, shards: n.shards}).reportPort)
	metrics := func() string {
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w.Body.String()
	}
	client, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(p.Local()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	media := append([]byte{0x80, 111}, make([]byte, 1000)...)
	for range sent {
		if _, err := client.Write(media); err != nil {
			t.Fatal(err)
		}
	}
	drops := int(p.Stats().UDP.KernelDrops)
	if drops < sent/2 || drops >= sent {
		t.Fatalf("the kernel has dropped %d of %d", drops, sent)
	}
	body := metrics()
	for _, want := range []string{
		fmt.Sprintf("\nparley_udp_kernel_dropped_datagrams_total %d\n", drops),
		"\nparley_udp_received_datagrams_total 0\n",
		fmt.Sprintf("\nparley_udp_receive_buffer_bytes %d\n", 16<<10),
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the metrics lack %q", want)
		}
	}
	owner := make(counted)
	p.Pairs().Claim(datagram.Pair{Local: p.Local(), Remote: client.LocalAddr().(*net.UDPAddr).AddrPort()}, 0)
	p.Start(owner)
	for read := 0; read < sent-drops; {
		read += <-owner
	}
	if want := fmt.Sprintf("\nparley_udp_received_datagrams_total %d\n", sent-drops); !strings.Contains(metrics(), want) {
		t.Errorf("the metrics lack %q", want)
	}
}
