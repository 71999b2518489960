package udp_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/udp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var streamPair = datagram.Pair{
	Local:  netip.MustParseAddrPort("192.0.2.1:8443"),
	Remote: netip.MustParseAddrPort("192.0.2.7:40000"),
	Proto:  datagram.TCP,
}

// inbox keeps what a StreamConn gives.
type inbox struct{ got chan datagram.Datagram }

func newInbox() *inbox { return &inbox{got: make(chan datagram.Datagram, 10000)} }

func (i *inbox) Take() *datagram.Batch { return datagram.NewBatch() }

func (i *inbox) Give(b *datagram.Batch) {
	for _, d := range b.D[:b.N] {
		i.got <- d
	}
}

// serve runs a StreamConn over a connection in memory, of which it returns the client's end.
func serve(in *inbox, head []byte) (*udp.StreamConn, net.Conn) {
	server, client := net.Pipe()
	s := udp.NewStreamConn(server, streamPair, head, in)
	go s.Serve()
	return s, client
}

// frame puts RFC 4571's length before b.
func frame(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }

// readFrame reads one frame.
func readFrame(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

// run makes a Run of datagrams of equal size.
func run(pair datagram.Pair, all ...[]byte) datagram.Run {
	return datagram.Run{Pair: pair, B: bytes.Join(all, nil), Size: len(all[0]), Segments: len(all)}
}

// media is an RTP packet with a number in it, control a DTLS record.
func media(i, size int) []byte {
	b := make([]byte, size)
	b[0], b[1] = 0x80, 96
	binary.BigEndian.PutUint32(b[2:], uint32(i))
	return b
}

func control(i, size int) []byte {
	b := media(i, size)
	b[0] = 22
	return b
}

// number returns the number in a packet.
func number(b []byte) int { return int(binary.BigEndian.Uint32(b[2:])) }

// Frames arrive as datagrams with the connection's pair however TCP cuts them, those read before included; empty ones are
// ignored and those that are too long are left out, without losing the framing.
func TestStreamReadsFrames(t *testing.T) {
	var bytesIn []byte
	want := []string{"first", "second", string(make([]byte, datagram.MaxBytes)), "last"}
	for _, s := range []string{"first", "", "second", string(make([]byte, datagram.MaxBytes+1)), string(make([]byte, 65535)), want[2], "last"} {
		bytesIn = append(bytesIn, frame([]byte(s))...)
	}
	for _, cut := range []int{1, 2, 7, 1000, len(bytesIn)} {
		synctest.Test(t, func(t *testing.T) {
			in := newInbox()
			s, client := serve(in, bytesIn[:4])
			for rest := bytesIn[4:]; len(rest) > 0; {
				n := min(cut, len(rest))
				client.Write(rest[:n])
				rest = rest[n:]
			}
			client.Close()
			<-s.Done()
			for i, w := range want {
				if d := <-in.got; string(d.B) != w || d.Pair != streamPair {
					t.Fatalf("cut %d: datagram %d has %d bytes on %+v", cut, i, len(d.B), d.Pair)
				}
			}
			if sent, oversized := s.Dropped(); sent != 0 || oversized != 2 || len(in.got) != 0 {
				t.Errorf("cut %d: %d oversized, %d too many", cut, oversized, len(in.got))
			}
		})
	}
}

// More datagrams than a batch holds, arriving at once, all come through.
func TestStreamFillsBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInbox()
		s, client := serve(in, nil)
		const many = 3*datagram.BatchSize + 1
		var all []byte
		for i := range many {
			all = append(all, frame(media(i, 20))...)
		}
		client.Write(all)
		client.Close()
		<-s.Done()
		for i := range many {
			if d := <-in.got; number(d.B) != i {
				t.Fatalf("datagram %d is %d", i, number(d.B))
			}
		}
	})
}

// Datagrams leave as frames in their order, STUN and DTLS before the media that waits.
func TestStreamWritesFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := serve(newInbox(), nil)
		s.Send(run(streamPair, media(0, 900), media(1, 900))) // the writer holds this now
		synctest.Wait()
		s.Send(run(streamPair, media(2, 100), media(3, 100), media(4, 7)))
		s.Send(run(streamPair, control(5, 50)))
		var got []int
		for range 6 {
			b, err := readFrame(client)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, number(b))
		}
		for i, w := range []int{0, 1, 5, 2, 3, 4} {
			if got[i] != w {
				t.Fatalf("order %v", got)
			}
		}
		s.Close()
		s.Close()
		<-s.Done()
		if d := s.Send(run(streamPair, media(0, 10), media(0, 10))); d != 2 {
			t.Errorf("%d of 2 dropped after Close", d)
		}
	})
}

// A client with a zero window stalls nobody: Send never waits, memory is bounded, the oldest media goes first and whole, DTLS
// stays. When the client reads again it finds whole frames; when it takes nothing for StallTimeout it is closed.
func TestZeroWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := serve(newInbox(), nil)
		start := time.Now()
		s.Send(run(streamPair, control(1, 100)))
		synctest.Wait() // the writer waits with this one
		const packets = 2 * udp.MediaRingBytes / 1000
		dropped := 0
		for i := range packets {
			dropped += s.Send(run(streamPair, media(i, 998)))
		}
		s.Send(run(streamPair, control(2, 100)))
		if took := time.Since(start); took != 0 {
			t.Errorf("Send waited %v", took)
		}
		const kept = udp.MediaRingBytes / 1000
		if sent, _ := s.Dropped(); dropped != packets-kept || sent != uint64(dropped) {
			t.Errorf("%d dropped, want %d", dropped, packets-kept)
		}
		for i, want := range []int{1, 2, packets - kept, packets - kept + 1} {
			if b, err := readFrame(client); err != nil || number(b) != want {
				t.Fatalf("frame %d: %v, number %d, want %d", i, err, number(b), want)
			}
		}
		stalled := time.Now()
		<-s.Done()
		if took := time.Since(stalled); took != udp.StallTimeout {
			t.Errorf("closed after %v without progress", took)
		}
	})
}

// A client that reads slowly, but reads, is not closed. One that takes a byte now and then is, in the same time as one that takes
// nothing.
func TestSlowClientStays(t *testing.T) {
	for name, x := range map[string]struct {
		bytes int64
		stays bool
	}{"slow": {10 << 10, true}, "drip": {1, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, client := serve(newInbox(), nil)
				start := time.Now()
				for range 20 {
					for range 20 {
						s.Send(run(streamPair, media(1, 1000)))
					}
					time.Sleep(udp.StallTimeout/2 - time.Second)
					if _, err := io.CopyN(io.Discard, client, x.bytes); err != nil {
						break
					}
					client.Write(frame([]byte{0}))
				}
				select {
				case <-s.Done():
					if took := time.Since(start); x.stays || took > 2*udp.StallTimeout {
						t.Errorf("closed by %v", took)
					}
				default:
					if !x.stays {
						t.Error("still open")
					}
				}
				s.Close()
				<-s.Done()
			})
		})
	}
}

// The rings have limits: a datagram that is too long, or DTLS for which there is no room, is dropped and counted.
func TestRingLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := serve(newInbox(), nil)
		defer client.Close()
		if s.Send(run(streamPair, media(0, udp.MaxFrameBytes))) != 0 || s.Send(run(streamPair, media(0, udp.MaxFrameBytes+1))) != 1 {
			t.Error("MaxFrameBytes is not the limit")
		}
		synctest.Wait()
		dropped := 0
		for i := range udp.ControlRingBytes/1000 + 5 {
			dropped += s.Send(run(streamPair, control(i, 998)))
		}
		if dropped != 5 {
			t.Errorf("%d DTLS records dropped, want 5", dropped)
		}
		io.CopyN(io.Discard, client, udp.MaxFrameBytes+2)
		if b, err := readFrame(client); err != nil || number(b) != 0 {
			t.Errorf("the newest is refused, not the oldest dropped: %v, %d", err, number(b))
		}
		s.Close()
		<-s.Done()
	})
}

// A connection that nothing is sent to is nobody's: it ends after AnswerTimeout, however busy it is. An answered one ends when
// it has been silent for IdleTimeout; single bytes are no datagrams.
func TestStreamTimeouts(t *testing.T) {
	for _, c := range []struct {
		name     string
		answered bool
		send     []byte
		want     time.Duration
	}{
		{"unanswered", false, nil, udp.AnswerTimeout},
		{"unanswered and busy", false, frame([]byte("x")), udp.AnswerTimeout},
		{"answered", true, nil, udp.IdleTimeout},
		{"answered, trickling", true, []byte{0xff}, udp.IdleTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, client := serve(newInbox(), nil)
				start := time.Now()
				go io.Copy(io.Discard, client)
				if c.answered {
					time.Sleep(time.Second)
					s.Send(run(streamPair, control(0, 20)))
				}
				go func() {
					for c.send != nil {
						time.Sleep(time.Second)
						if _, err := client.Write(c.send); err != nil {
							return
						}
					}
				}()
				<-s.Done()
				if took := time.Since(start); took != c.want {
					t.Errorf("closed after %v, want %v", took, c.want)
				}
				client.Close()
				time.Sleep(2 * time.Second)
			})
		})
	}
}

// Over real TCP, too, a client that does not read holds up nobody, and what it reads at last are whole frames in order.
func TestZeroWindowOverTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s := udp.NewStreamConn(server, streamPair, nil, newInbox())
	go s.Serve()
	const packets = 20000 // 20 MB: more than all buffers
	dropped := 0
	for i := range packets {
		dropped += s.Send(run(streamPair, media(i, 1000)))
	}
	if dropped == 0 {
		t.Error("nothing was dropped")
	}
	last, got := -1, 0
	for last != packets-1 {
		b, err := readFrame(client)
		if err != nil {
			t.Fatal(err)
		}
		if n := number(b); len(b) != 1000 || n <= last {
			t.Fatalf("%d bytes, number %d after %d", len(b), n, last)
		} else {
			last = n
		}
		got++
	}
	if got+dropped != packets {
		t.Errorf("%d arrived and %d dropped of %d", got, dropped, packets)
	}
	s.Close()
	<-s.Done()
}

// Queueing allocates nothing once the ring has grown.
func TestStreamSendDoesNotAllocate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := serve(newInbox(), nil)
		defer client.Close()
		r := run(streamPair, media(0, 1000), media(1, 1000), media(2, 1000))
		for range udp.MediaRingBytes / 1000 {
			s.Send(r)
		}
		if n := testing.AllocsPerRun(100, func() { s.Send(r) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
		s.Close()
		<-s.Done()
	})
}

// Any bytes, cut anywhere, give the datagrams that a plain reading of RFC 4571 gives.
func FuzzStreamFrames(f *testing.F) {
	f.Add(append(frame([]byte("ab")), 0, 0, 0, 1, 'c'), uint16(1))
	f.Add(append(frame(make([]byte, 3000)), frame(make([]byte, 2048))...), uint16(999))
	f.Add([]byte{0xff, 0xff, 1, 2}, uint16(3))
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		if len(b) > 20000 {
			return
		}
		var want [][]byte
		for rest := b; len(rest) >= 2; {
			n := int(binary.BigEndian.Uint16(rest))
			if len(rest) < 2+n {
				break
			}
			if n > 0 && n <= datagram.MaxBytes {
				want = append(want, rest[2:2+n])
			}
			rest = rest[2+n:]
		}
		in := newInbox()
		s, client := serve(in, nil)
		for rest := b; len(rest) > 0; {
			n := min(int(cut)+1, len(rest))
			client.Write(rest[:n])
			rest = rest[n:]
		}
		client.Close()
		<-s.Done()
		if len(in.got) != len(want) {
			t.Fatalf("%d datagrams, want %d", len(in.got), len(want))
		}
		for i, w := range want {
			if d := <-in.got; !bytes.Equal(d.B, w) {
				t.Fatalf("datagram %d differs", i)
			}
		}
	})
}
