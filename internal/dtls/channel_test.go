package dtls

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
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
				if m := s.heard(); len(m) != 1 || m[0].channel != want || !bytes.Equal(m[0].payload, b) {
					s.t.Fatalf("%d bytes on %v came as %d messages", n, want, len(m))
				}
				if r, _ := s.a.Send(want, b); r != drop.None {
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
		if r, _ := s.a.Send(Reliable, []byte("x")); r != drop.DataNoChannel {
			s.t.Error(r)
		}
		select {
		case <-s.a.Done():
			s.t.Error("the association has ended")
		default:
		}
	})
}

// slowed is a client that has opened a channel and does not read any more.
func (s *scene) slowed(assoc *sctp.Association, c Channel) {
	kind := datachannel.ChannelTypeReliable
	if c == Lossy {
		kind = lossyKind
	}
	s.dial(assoc, 1+uint16(s.dialed), c.String(), kind)
	s.dialed++
	time.Sleep(time.Second)
	s.want(ChannelOpened)
	s.mu.Lock()
	s.toClient = func([]byte) bool { return false }
	s.mu.Unlock()
}

// fill sends a client as many messages as it takes.
func (s *scene) fill(c Channel, b []byte) (sent int, room <-chan struct{}) {
	s.t.Helper()
	for ; ; sent++ {
		switch r, room := s.a.Send(c, b); r {
		case drop.None:
			if sent*len(b) < 2*unackedBytes {
				synctest.Wait() // until SCTP has what it takes
			}
		case drop.DataQueueFull:
			return sent, room
		default:
			s.t.Fatal(r)
		}
	}
}

// Limit: for a client that does not read, sendBytes of messages wait, each of which counts messageOverhead more than its length; so
// small ones are many, and big ones few.
func TestQueueIsBoundByBytes(t *testing.T) {
	for _, c := range []Channel{Reliable, Lossy} {
		for _, size := range []int{1, 18, 1000, MaxMessage} {
			talk(t, func(s *scene, assoc *sctp.Association) {
				s.slowed(assoc, c)
				sent, room := s.fill(c, make([]byte, size))
				given := (unackedBytes-1)/size + 1
				if waiting, fit := sent-given, sendBytes/(size+messageOverhead); waiting != fit {
					s.t.Errorf("%v: %d messages of %d bytes wait, where %d fit", c, waiting, size, fit)
				}
				if (room == nil) != (c == Lossy) {
					s.t.Errorf("%v: room to wait for: %v", c, room != nil)
				}
			})
		}
	}
}

// A client that has not read for Patience after its queue was full loses the reliable channel, with what waited in it; until then
// nobody can send to it, and who waits for room hears when that is over. Nothing of its other channel is closed. The association
// goes on, and the client may open the channel again; but each further time it has half as long.
func TestSlowReader(t *testing.T) {
	talk(t, func(s *scene, assoc *sctp.Association) {
		s.dial(assoc, 100, "parley-lossy", lossyKind)
		s.want(ChannelOpened)
		for n := range 4 {
			s.slowed(assoc, Reliable)
			start := time.Now()
			time.Sleep(time.Second)
			sent, room := s.fill(Reliable, make([]byte, 32<<10))
			if r, again := s.a.Send(Reliable, []byte("x")); r != drop.DataQueueFull || again != room {
				s.t.Errorf("a small message: %v", r) // would overtake
			}
			<-room
			patience := Patience >> n
			if took := time.Since(start); took != time.Second+patience {
				s.t.Errorf("given up after %v the %dth time", took, n)
			}
			if e := s.want(ChannelClosed)[0]; e.Reason != "slow reader" || e.Lost < sent-4 || e.Lost > sent {
				s.t.Errorf("%d sent, got %+v", sent, e)
			}
			if r, _ := s.a.Send(Reliable, []byte("x")); r != drop.DataNoChannel {
				s.t.Error(r)
			}
			s.mu.Lock()
			s.toClient = nil
			s.mu.Unlock()
			time.Sleep(time.Minute) // for SCTP's retransmissions
			s.want()
		}
	})
}

// queue tells what waits for the reliable channel, and what memory is kept for that.
func (s *scene) queue() (bytes, held int, behind bool) {
	s.t.Helper()
	s.a.mu.Lock()
	c := s.a.channels[Reliable]
	s.a.mu.Unlock()
	if c == nil {
		s.t.Fatal("the channel was closed")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes, cap(c.waiting), c.late != nil
}

// A client that is behind keeps its channel if it catches up in time: room comes when the queue is down to resumeBytes, everything
// arrives, in order, and nothing is left of the queue afterwards.
func TestCatchingUp(t *testing.T) {
	talk(t, func(s *scene, assoc *sctp.Association) {
		const rounds = 5
		dc := s.dial(assoc, 1, "parley", 0)
		s.want(ChannelOpened)
		read := make(chan string, 20_000)
		go func() {
			defer close(read)
			for buf := make([]byte, 2000); ; {
				n, err := dc.Read(buf)
				if err != nil {
					return
				}
				read <- string(buf[:n])
			}
		}()
		cut := func(is bool) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.toClient = func([]byte) bool { return !is }
		}
		var sent []string
		for range rounds {
			cut(true)
			var room <-chan struct{}
			for room == nil {
				b := fmt.Appendf(make([]byte, 1000), "%d", len(sent))
				var r drop.Reason
				switch r, room = s.a.Send(Reliable, b); r {
				case drop.None:
					sent = append(sent, string(b))
				case drop.DataQueueFull:
				default:
					s.t.Fatal(r)
				}
			}
			time.Sleep(Patience / 2)
			cut(false)
			<-room
			if bytes, _, _ := s.queue(); bytes >= resumeBytes || bytes < resumeBytes/2 { // it goes on while this looks
				s.t.Fatalf("room when %d bytes wait", bytes)
			}
		}
		time.Sleep(time.Minute)
		s.want()
		if bytes, held, behind := s.queue(); bytes != 0 || held != 0 || behind {
			s.t.Errorf("%d bytes are left, and memory for %d messages; behind: %v", bytes, held, behind)
		}
		_ = assoc.Close()
		var got []string
		for m := range read {
			got = append(got, m)
		}
		if !slices.Equal(got, sent) {
			s.t.Errorf("%d of %d messages arrived, or not in order", len(got), len(sent))
		}
	})
}

// Limit: one message longer than MaxMessage is refused.
func TestSendLimits(t *testing.T) {
	talk(t, func(s *scene, assoc *sctp.Association) {
		dc := s.dial(assoc, 1, "parley", 0)
		s.want(ChannelOpened)
		for _, x := range []struct {
			to   Channel
			size int
			want drop.Reason
		}{{Reliable, MaxMessage + 1, drop.DataMalformed}, {Lossy, 1, drop.DataNoChannel}, {NumChannels, 1, drop.DataNoChannel}} {
			if r, _ := s.a.Send(x.to, make([]byte, x.size)); r != x.want {
				s.t.Error(r)
			}
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

// As long as messages are held, the client's sending waits, with at most receiveBytes on this side and none of it lost; when they are
// let go the client goes on at once, not when it tries again. The smallest messages there are come in order too.
func TestBackPressure(t *testing.T) {
	for _, c := range []struct{ size, count int }{{3, 30_000}, {18, 20_000}, {1000, 1000}, {MaxMessage, 10}} {
		talk(t, func(s *scene, assoc *sctp.Association) {
			assoc.SetMaxMessageSize(MaxMessage)
			dc := s.dial(assoc, 1, "parley", 0)
			s.want(ChannelOpened)
			letGo := s.hold()
			message := func(i int) []byte {
				b := make([]byte, max(c.size, 4))
				binary.BigEndian.PutUint32(b, uint32(i))
				return b[max(0, 4-c.size):][:c.size]
			}
			for i := range c.count {
				if _, err := dc.Write(message(i)); err != nil {
					s.t.Fatal(err)
				}
			}
			time.Sleep(70 * time.Second) // the next try is at 127 s
			if m, here := s.heard(), c.size*c.count-int(dc.BufferedAmount()); len(m) != 0 || here > receiveBytes+sctpMTU+c.size {
				s.t.Errorf("%d bytes: %d messages passed on, %d bytes acknowledged", c.size, len(m), here)
			}
			letGo()
			start := time.Now()
			for dc.BufferedAmount() > 0 && time.Since(start) < time.Minute {
				time.Sleep(time.Millisecond)
			}
			took := time.Since(start)
			messages := s.heard()
			if len(messages) != c.count {
				s.t.Errorf("%d bytes: %d of %d messages arrived", c.size, len(messages), c.count)
			}
			for i, m := range messages {
				if !bytes.Equal(m.payload, message(i)) {
					s.t.Fatalf("%d bytes: message %d is %x", c.size, i, m.payload)
				}
			}
			if took > 10*time.Second {
				s.t.Errorf("%d messages of %d bytes: all there %v after they were let go", c.count, c.size, took)
			}
		})
	}
}

// A client waits for no more than a moment where what fills the window is a message that has only begun.
func TestBackPressureWithinMessage(t *testing.T) {
	for _, sizes := range [][]int{{1000, 40_000, 65_000, 1000, 1000}, {1000, 20_000, 25_000, 60_000, 5}} {
		talk(t, func(s *scene, assoc *sctp.Association) {
			assoc.SetMaxMessageSize(MaxMessage)
			dc := s.dial(assoc, 1, "parley", 0)
			s.want(ChannelOpened)
			letGo := s.hold()
			for _, size := range sizes {
				if _, err := dc.Write(make([]byte, size)); err != nil {
					s.t.Fatal(err)
				}
			}
			time.Sleep(70 * time.Second) // the next try is at 127 s
			letGo()
			time.Sleep(time.Second)
			if n := len(s.heard()); n != len(sizes) {
				s.t.Errorf("%d of the messages of %v bytes are there a second after they were let go", n, sizes)
			}
		})
	}
}

// Limit: with more than maxUnread unread messages in one stream, which only empty ones can be, SCTP is given up, since they could not be told
// apart.
func TestMaxUnread(t *testing.T) {
	talk(t, func(s *scene, assoc *sctp.Association) {
		dc := s.dial(assoc, 1, "parley", 0)
		s.want(ChannelOpened)
		letGo := s.hold()
		defer letGo()
		for i := range maxUnread + 100 {
			if i == maxUnread-100 {
				time.Sleep(time.Minute)
				s.want()
			}
			if _, err := dc.Write([]byte{0, 0}); err != nil {
				s.t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		s.want(ChannelClosed, Closed) // this client ends DTLS with SCTP
	})
}

// Who has left is not waited for: a message that is held when its client goes keeps nothing from ending.
func TestLeavingWhileHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, sha256Of(clientCert))
		client := s.connect()
		assoc := s.associate(client)
		dc := s.dial(assoc, 1, "parley", 0)
		s.want(Connected, ChannelOpened)
		s.hold()
		if _, err := dc.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		_ = assoc.Close()
		_ = client.Close()
		s.want(ChannelClosed, Closed)
		<-s.a.Done()
		s.end()
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
		if !slices.ContainsFunc(s.taken(), func(e Event) bool { return e.Kind == Failed && e.Reason == "internal fault: broken" }) {
			s.t.Error("it has not failed")
		}
	})
}

// What only acknowledges brings no channel anything to read, data bring it to their own, and what else there is to any.
func TestNews(t *testing.T) {
	packet := func(chunks ...[]byte) []byte { return append(make([]byte, firstChunk), bytes.Join(chunks, nil)...) }
	sack := []byte{sackChunk, 0, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0}
	data := func(stream byte) []byte {
		return []byte{dataChunk, 3, 0, 17, 1, 2, 3, 4, 0, stream, 0, 0, 0, 0, 0, 51, 'x', 0, 0, 0}
	}
	reset := []byte{130, 0, 0, 8, 0, 13, 0, 4}
	for _, c := range []struct {
		b         []byte
		some, all bool
		streams   []uint16
	}{
		{packet(sack), false, false, nil},
		{packet(sack, data(7)), true, false, []uint16{7}},
		{packet(data(7), data(9), sack, data(7)), true, false, []uint16{7, 9, 7}},
		{packet(data(7), reset, data(8)), true, true, []uint16{7, 8}},
		{packet(reset), true, true, nil},
		{packet(data(7)[:dataHeader-1]), true, true, nil},                            // cut off
		{packet([]byte{dataChunk, 3, 0xff, 0xff}), true, true, nil},                  // longer than the packet
		{packet([]byte{dataChunk, 3, 0, 0}, data(7)), true, false, []uint16{258, 7}}, // of no length: SCTP refuses it
		{packet(), false, false, nil},
		{packet([]byte{sackChunk, 0, 0}), false, false, nil},
		{make([]byte, 5), false, false, nil},
		{nil, false, false, nil},
	} {
		n := news{some: true, all: true, streams: []uint16{1, 2, 3}}
		if n.take(c.b); n.some != c.some || n.all != c.all || !slices.Equal(n.streams, c.streams) {
			t.Errorf("%x: %+v", c.b, n)
		}
	}
}

// Channels that were refused, and that the client does not close, cost nothing while it sends on the one that is open: each message lets one
// channel read, and not all that there are. What comes on them is read, or it would fill the window.
func TestRefusedChannelsCostNothing(t *testing.T) {
	talk(t, func(s *scene, assoc *sctp.Association) {
		dc := s.dial(assoc, 1000, "parley", 0)
		s.want(ChannelOpened)
		var refused *datachannel.DataChannel
		for i := range uint16(maxRefused - 1) {
			refused = s.dial(assoc, i, "no", 0)
			time.Sleep(time.Second)
		}
		l := s.a.link
		looked := func(f func()) (n int) {
			s.t.Helper()
			l.mu.Lock()
			for _, c := range l.channels { // as if each had a reader already: it is only noted that something has come
				c.mu.Lock()
				c.reading, c.arrived = c.stream != 1000, false
				c.mu.Unlock()
			}
			l.mu.Unlock()
			f()
			time.Sleep(time.Second)
			l.mu.Lock()
			defer l.mu.Unlock()
			if len(l.channels) != maxRefused {
				s.t.Errorf("%d channels are left", len(l.channels))
			}
			for _, c := range l.channels {
				c.mu.Lock()
				if c.arrived {
					n++
				}
				c.reading = false
				c.mu.Unlock()
			}
			return n
		}
		send := func(dc *datachannel.DataChannel) func() {
			return func() {
				for range 10 {
					if _, err := dc.Write(make([]byte, 1000)); err != nil {
						s.t.Error(err)
					}
					time.Sleep(time.Second)
				}
			}
		}
		if n := looked(send(dc)); n != 0 || len(s.heard()) != 10 {
			s.t.Errorf("%d refused channels were looked at, or messages are missing", n)
		}
		if n := looked(send(refused)); n != 1 {
			s.t.Errorf("%d refused channels were looked at, for what came on one", n)
		}
	})
}

// Limit: a channel that is closed for a message that is too long counts as one that is refused, or a client could open channels without end.
func TestTooLongTooOften(t *testing.T) {
	talk(t, func(s *scene, assoc *sctp.Association) {
		assoc.SetMaxMessageSize(MaxMessage + 1)
		for i := range uint16(maxRefused) {
			dc := s.dial(assoc, i, "parley", 0)
			s.want(ChannelOpened)
			if _, err := dc.Write(make([]byte, MaxMessage+1)); err != nil {
				s.t.Fatal(err)
			}
			time.Sleep(time.Second)
			s.want(ChannelClosed)
			if got := s.a.Counts().Refused; got != uint64(i+1) {
				s.t.Errorf("%d refused after %d", got, i+1)
			}
		}
		s.dial(assoc, 1000, "parley", 0)
		time.Sleep(time.Second)
		s.want()
	})
}
