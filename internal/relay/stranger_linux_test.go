package relay_test

import (
	"net"
	"runtime"
	"testing"

	"github.com/parley-rtc/parley/internal/stun"
)

// BenchmarkStrangers is what a TCP connection takes of this process that has been told 401, or has only begun to ask, with the client's end, which is in this process
// too: b.N connections.
func BenchmarkStrangers(b *testing.B) {
	for name, bytes := range map[string]int{"half a request": 12, "a refused request": 28} {
		b.Run(name, func(b *testing.B) {
			b.StopTimer()
			r := open(b, config(b))
			p := listenTCP(b, r, "127.0.0.1:0")
			w := stun.Begin(nil, stun.TypeOf(stun.Allocate, stun.Request), []byte("test12345678"))
			w.Bytes(stun.RequestedTransport, []byte{17, 0, 0, 0})
			memory := func() uint64 {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				return m.HeapInuse + m.StackInuse
			}
			before, goroutines := memory(), runtime.NumGoroutine()
			b.StartTimer()
			answer := make([]byte, 200)
			for range b.N {
				c, err := net.Dial("tcp", p.Local().String())
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				if _, err := c.Write(w.Message()[:bytes]); err != nil {
					b.Fatal(err)
				}
				if bytes == len(w.Message()) {
					if _, err := c.Read(answer); err != nil {
						b.Fatal(err)
					}
				}
			}
			for r.Stats().Streams < b.N {
				runtime.Gosched()
			}
			b.StopTimer()
			b.ReportMetric(float64(memory()-before)/float64(b.N), "bytes/connection")
			b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/float64(b.N), "goroutines/connection")
		})
	}
}
