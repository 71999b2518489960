package dtls

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/pion/datachannel"
	"github.com/pion/sctp"
)

const lossyKind = datachannel.ChannelTypePartialReliableRexmitUnordered

// talk connects a client with SCTP and runs f in a bubble.
func talk(t *testing.T, f func(s *scene, assoc *sctp.Association)) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, sha256Of(clientCert))
		defer s.end()
		client := s.connect()
		assoc := s.associate(client)
		s.want(Connected)
		f(s, assoc)
		_ = assoc.Close()
		_ = client.Close()
	})
}

// Messages of any length up to the limit pass both ways, in order, on the channel that they were sent on.
func TestMessages(t *testing.T) {
	talk(t, func(s *scene, assoc *sctp.Association) {
		assoc.SetMaxMessageSize(MaxMessage)
		for stream, want := range []Channel{Reliable, Lossy} {
			kind := datachannel.ChannelTypeReliable
			if want == Lossy {
				kind = lossyKind
			}
			dc := s.dial(assoc, uint16(stream), want.String(), kind)
			if e := s.want(ChannelOpened)[0]; e.Channel != want {
				s.t.Errorf("opened %v", e.Channel)
			}
			for _, n := range []int{1, 2, 1000, readBytes, readBytes + 1, 30000, MaxMessage, 3} {
				b := bytes.Repeat([]byte{byte(n)}, n)
				if _, err := dc.Write(b); err != nil {
					s.t.Fatal(err)
				}
				time.Sleep(time.Second)
				if e := s.want(Message)[0]; e.Channel != want || !bytes.Equal(e.Payload, b) {
					s.t.Errorf("%d bytes came as %d on %v", n, len(e.Payload), e.Channel)
				}
				if r := s.a.Send(want, b); r != drop.None {
					s.t.Fatal(r)
				}
				got := make([]byte, MaxMessage)
				if m, err := dc.Read(got); err != nil || !bytes.Equal(got[:m], b) {
					s.t.Errorf("%d bytes came back as %d: %v", n, m, err)
				}
			}
		}
	})
}

// Only the two labels, each with its own kind and each once, are channels. Others are closed and counted, and end nothing.
func TestOtherChannelsAreRefused(t *testing.T) {
	talk(t, func(s *scene, assoc *sctp.Association) {
		refused := uint64(0)
		for i, c := range []struct {
			label string
			kind  datachannel.ChannelType
			ok    bool
		}{
			{"chat", 0, false},
			{"", 0, false},
			{"parley", lossyKind, false},
			{"parley-lossy", 0, false},
			{"parley", 0, true},
			{"parley", 0, false},
			{"parley-lossy", lossyKind, true},
			{"parley-lossy", lossyKind, false},
		} {
			dc := s.dial(assoc, uint16(i), c.label, c.kind)
			time.Sleep(time.Second)
			if c.ok {
				s.want(ChannelOpened)
				continue
			}
			s.want()
			refused++
			if got := s.a.Counts().Refused; got != refused {
				s.t.Errorf("%q %v: %d refused", c.label, c.kind, got)
			}
			if _, err := dc.Read(make([]byte, 10)); err == nil {
				s.t.Errorf("%q %v: still open", c.label, c.kind)
			}
		}
	})
}

// Limit: after maxRefused channels SCTP is given up, and with it the data channels; DTLS and the media go on.
func TestTooManyChannels(t *testing.T) {
	talk(t, func(s *scene, assoc *sctp.Association) {
		s.dial(assoc, 1000, "parley", 0)
		s.want(ChannelOpened)
		for i := range uint16(maxRefused + 10) {
			dc, err := datachannel.Dial(assoc, i, &datachannel.Config{Label: "no", LoggerFactory: silent})
			time.Sleep(time.Second)
			if err == nil {
				_ = dc.Close()
			}
		}
		s.want(ChannelClosed)
		if r := s.a.Send(Reliable, []byte("x")); r != drop.DataNoChannel {
			s.t.Error(r)
		}
		select {
		case <-s.a.Done():
			s.t.Error("the association has ended")
		default:
		}
	})
}

// A client that does not read: the reliable channel is closed when sendBytes wait, with a reason; the lossy one loses messages. The
// caller never waits, and the association goes on.
func TestSlowReader(t *testing.T) {
	for _, c := range []Channel{Reliable, Lossy} {
		talk(t, func(s *scene, assoc *sctp.Association) {
			kind := datachannel.ChannelTypeReliable
			if c == Lossy {
				kind = lossyKind
			}
			s.dial(assoc, 1, c.String(), kind)
			s.want(ChannelOpened)
			s.mu.Lock()
			s.toClient = func([]byte) bool { return false }
			s.mu.Unlock()
			b, sent := make([]byte, 32<<10), 0
			for ; sent < 1000; sent++ {
				if r := s.a.Send(c, b); r == drop.DataQueueFull {
					break
				} else if r != drop.None {
					s.t.Fatal(r)
				}
				synctest.Wait()
			}
			if sent < sendBytes/len(b) || sent > (sendBytes+2*unackedBytes)/len(b) {
				s.t.Errorf("%d messages taken", sent)
			}
			if c == Lossy {
				s.want()
				return
			}
			if e := s.want(ChannelClosed)[0]; e.Reason != "slow reader" {
				s.t.Errorf("got %+v", e)
			}
			if r := s.a.Send(c, b); r != drop.DataNoChannel {
				s.t.Error(r)
			}
		})
	}
}

// Limit: many small messages count as well as bytes. One longer than MaxMessage is refused.
func TestSendLimits(t *testing.T) {
	c := &channel{kind: Lossy, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	for range sendMessages {
		if r := c.push([]byte{1}); r != drop.None {
			t.Fatal(r)
		}
	}
	if r := c.push([]byte{1}); r != drop.DataQueueFull {
		t.Error(r)
	}
	talk(t, func(s *scene, assoc *sctp.Association) {
		dc := s.dial(assoc, 1, "parley", 0)
		s.want(ChannelOpened)
		if r := s.a.Send(Reliable, make([]byte, MaxMessage+1)); r != drop.DataMalformed {
			s.t.Error(r)
		}
		if r := s.a.Send(Lossy, []byte{1}); r != drop.DataNoChannel {
			s.t.Error(r)
		}
		if r := s.a.Send(numChannels, []byte{1}); r != drop.DataNoChannel {
			s.t.Error(r)
		}
		assoc.SetMaxMessageSize(MaxMessage + 1)
		if _, err := dc.Write(make([]byte, MaxMessage+1)); err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(time.Second)
		if e := s.want(ChannelClosed)[0]; e.Reason != "a message is too long" {
			s.t.Errorf("got %+v", e)
		}
	})
}

// Where the sink is full, reliable messages wait (SCTP's flow control holds the client back) and come in order; lossy ones are lost
// and counted.
func TestFullSink(t *testing.T) {
	talk(t, func(s *scene, assoc *sctp.Association) {
		reliable, lossy := s.dial(assoc, 1, "parley", 0), s.dial(assoc, 2, "parley-lossy", lossyKind)
		time.Sleep(time.Second)
		s.want(ChannelOpened, ChannelOpened)
		s.setFull(true)
		for i := range 100 {
			if _, err := reliable.Write(fmt.Appendf(nil, "%d", i)); err != nil {
				s.t.Fatal(err)
			}
		}
		for range 3 {
			if _, err := lossy.Write([]byte("x")); err != nil {
				s.t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		s.want()
		s.setFull(false)
		time.Sleep(10 * time.Second)
		events := s.taken()
		if len(events) != 100 || s.a.Counts().Lost != 3 {
			s.t.Fatalf("%d messages, %d lost", len(events), s.a.Counts().Lost)
		}
		for i, e := range events {
			if string(e.Payload) != fmt.Sprint(i) {
				s.t.Errorf("message %d: %q", i, e.Payload)
			}
		}
	})
}

// A client may close a channel and open it again; when it ends DTLS, Closed is the last event.
func TestClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, sha256Of(clientCert))
		client := s.connect()
		assoc := s.associate(client)
		s.want(Connected)
		for stream := range uint16(3) {
			dc := s.dial(assoc, stream, "parley", 0)
			s.want(ChannelOpened)
			_ = dc.Close()
			time.Sleep(time.Second)
			if e := s.want(ChannelClosed)[0]; e.Reason != "closed by the client" {
				t.Errorf("got %+v", e)
			}
		}
		s.dial(assoc, 9, "parley", 0)
		s.want(ChannelOpened)
		_ = assoc.Close()
		_ = client.Close()
		s.want(ChannelClosed, Closed)
		<-s.a.Done()
		s.end()
	})
}

// What comes inside DTLS and is not SCTP ends neither it nor the association.
func TestGarbageInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, sha256Of(clientCert))
		defer s.end()
		client := s.connect()
		defer client.Close()
		for n := range 100 {
			if _, err := client.Write(bytes.Repeat([]byte{byte(n)}, n*11)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		s.want(Connected)
	})
}

// Limit: maxPendingChannels streams may begin without their opening message being whole; more are refused.
func TestPendingChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, sha256Of(clientCert))
		defer s.end()
		client := s.connect()
		assoc := s.associate(client, sctp.WithMinCwnd(1<<20))
		s.want(Connected)
		s.mu.Lock()
		s.toServer = func(b []byte) bool { return len(b) > 1000 } // only the first of two fragments arrives
		s.mu.Unlock()
		for i := range uint16(maxPendingChannels + 3) {
			stream, err := assoc.OpenStream(i, sctp.PayloadTypeWebRTCDCEP)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Write(make([]byte, sctpMTU+20)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		s.want()
		if got := s.a.Counts().Refused; got != 3 {
			t.Errorf("%d refused", got)
		}
		_ = assoc.Close()
		_ = client.Close()
	})
}

// warned is a DTLS connection on which nothing but warnings arrive.
type warned struct{ left int }

func (w *warned) Read([]byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, io.EOF
	}
	return 0, errors.New("alert: a warning")
}

func (w *warned) Write(b []byte) (int, error) { return len(b), nil }

// Limit: maxWarnings alerts end nothing, the next one ends the association.
func TestMaxWarnings(t *testing.T) {
	a := &Association{}
	few, many := &warned{left: maxWarnings}, &warned{left: maxWarnings + 10}
	a.serve(few)
	a.serve(many)
	if few.left != -1 || many.left != 9 {
		t.Errorf("%d and %d left", few.left, many.left)
	}
}

// A panic on a goroutine of the association ends the association, with an event, and nothing else.
func TestPanicEndsOneAssociation(t *testing.T) {
	talk(t, func(s *scene, assoc *sctp.Association) {
		dc := s.dial(assoc, 1, "parley", 0)
		s.want(ChannelOpened)
		s.mu.Lock()
		s.broken = true
		s.mu.Unlock()
		if _, err := dc.Write([]byte("x")); err != nil {
			s.t.Fatal(err)
		}
		<-s.a.Done()
		if e := s.taken(); len(e) == 0 || e[0].Kind != Failed || e[0].Reason != "internal fault: broken" {
			s.t.Errorf("got %+v", e)
		}
	})
}
