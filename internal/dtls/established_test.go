package dtls

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	pion "github.com/pion/dtls/v3"
)

// isQuiet reports whether the handshake is over and SCTP has not begun: nothing of the association runs.
func (s *scene) isQuiet() bool {
	synctest.Wait()
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	return s.a.epoch != nil && s.a.link == nil
}

// forge returns what seals records as the client does, numbered from where no record of its own will be.
func (s *scene) forge() *sealer {
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	in := &s.a.epoch.in
	f := &sealer{next: in.seen.next + 1000}
	f.key, f.nonce = in.key, in.nonce
	return f
}

// nonces fails the test where two records of the association have one number, and so one nonce. In the clear it looks at the last flight alone:
// each attempt numbers its own.
func (s *scene) nonces() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[uint64]bool{}
	for _, d := range s.sent {
		for len(d) >= recordHeader {
			n := recordHeader + int(binary.BigEndian.Uint16(d[11:]))
			number := binary.BigEndian.Uint64(d[3:])
			if (number>>48 > 0 || d[0] == changeCipherSpec) && seen[number] {
				s.t.Errorf("two records are numbered %#x", number)
			}
			seen[number], d = true, d[n:]
		}
	}
}

// quiet runs f with a client that has said nothing since the handshake.
func quiet(t *testing.T, f func(s *scene, client *pion.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, sha256Of(clientCert))
		defer s.end()
		client := s.connect()
		if s.want(Connected); !s.isQuiet() {
			t.Fatal("not quiet")
		}
		f(s, client)
		_ = client.Close()
		s.nonces()
	})
}

// A quiet association ends as any other: with a close_notify to the client, and nothing told.
func TestQuietCloses(t *testing.T) {
	quiet(t, func(s *scene, client *pion.Conn) {
		sent := len(s.sent)
		ended := make(chan error)
		go func() {
			_, err := client.Read(make([]byte, 100))
			ended <- err
		}()
		synctest.Wait()
		s.a.Close()
		if err := <-ended; !errors.Is(err, io.EOF) {
			s.t.Errorf("the client reads %v", err)
		}
		<-s.a.Done()
		if s.want(); len(s.sent) != sent+1 {
			s.t.Errorf("%d datagrams, want one", len(s.sent)-sent)
		}
		if r := s.a.Deliver(record(applicationData, 1, 9, make([]byte, 40))); r != drop.DtlsClosed {
			s.t.Error(r)
		}
	})
}

// The client's close_notify ends it, and is answered with ours (RFC 5246 §7.2.1).
func TestQuietIsClosed(t *testing.T) {
	quiet(t, func(s *scene, client *pion.Conn) {
		sent := len(s.sent)
		_ = client.Close()
		s.want(Closed)
		<-s.a.Done()
		if len(s.sent) != sent+1 || s.sent[sent][0] != alert {
			s.t.Errorf("%d datagrams, want one alert", len(s.sent)-sent)
		}
	})
}

// Data channels work, both ways.
func TestQuietTalks(t *testing.T) {
	quiet(t, func(s *scene, client *pion.Conn) {
		assoc := s.associate(client)
		defer assoc.Close()
		dc := s.dial(assoc, 1, "parley", 0)
		s.want(ChannelOpened)
		if _, err := dc.Write([]byte("up")); err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(time.Second)
		if m := s.heard(); len(m) != 1 || string(m[0].payload) != "up" {
			s.t.Errorf("%+v", m)
		}
		if r, _ := s.a.Send(Reliable, []byte("down")); r != drop.None {
			s.t.Fatal(r)
		}
		b := make([]byte, 100)
		if n, err := dc.Read(b); err != nil || string(b[:n]) != "down" {
			s.t.Errorf("%q, %v", b[:n], err)
		}
	})
}

// What anybody can send starts nothing, ends nothing and is answered by nothing: records that are made up, those of the handshake once
// more, alerts in the clear, records of other epochs. Each is counted under its reason.
func TestNothingForgedIsHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, sha256Of(clientCert))
		defer s.end()
		var (
			mu     sync.Mutex
			before [][]byte
		)
		s.toServer = func(b []byte) bool {
			mu.Lock()
			defer mu.Unlock()
			before = append(before, bytes.Clone(b))
			return true
		}
		client := s.connect()
		defer client.Close()
		if s.want(Connected); !s.isQuiet() {
			t.Fatal("not quiet")
		}
		mu.Lock()
		old := before
		mu.Unlock()
		sent := len(s.sent)
		for _, b := range old {
			if r := s.a.Deliver(b); r != drop.DtlsEpoch && r != drop.DtlsReplay {
				t.Errorf("the handshake again: %v", r)
			}
		}
		for _, c := range []struct {
			record []byte
			want   drop.Reason
		}{
			{record(applicationData, 1, 1000, make([]byte, 40)), drop.DtlsAuth},
			{record(alert, 1, 1001, make([]byte, 26)), drop.DtlsAuth},
			{record(handshake, 1, 1002, make([]byte, 40)), drop.DtlsAuth},
			{record(applicationData, 1, 1003, make([]byte, overhead-1)), drop.DtlsMalformed},
			{record(applicationData, 1, 1004, nil), drop.DtlsMalformed},
			{record(alert, 0, 9, []byte{fatal, 40}), drop.DtlsEpoch},
			{record(alert, 0, 9, []byte{warning, closeNotify}), drop.DtlsEpoch},
			{record(applicationData, 0, 9, make([]byte, 40)), drop.DtlsEpoch},
			{record(applicationData, 2, 9, make([]byte, 40)), drop.DtlsEpoch},
			{record(applicationData, 0xffff, 9, make([]byte, 40)), drop.DtlsEpoch},
			{helloOf(t, 9), drop.DtlsEpoch},
			{[]byte{applicationData, 0xfe, 0xfd}, drop.DtlsMalformed},
			{record(applicationData, 1, 1005, make([]byte, 40))[:50], drop.DtlsMalformed},
		} {
			if r := s.a.Deliver(c.record); r != c.want {
				t.Errorf("%x: %v, want %v", c.record, r, c.want)
			}
		}
		if s.want(); !s.isQuiet() || len(s.sent) != sent {
			t.Errorf("it runs, or has sent %d datagrams", len(s.sent)-sent)
		}
		assoc := s.associate(client)
		defer assoc.Close()
		s.dial(assoc, 1, "parley", 0)
		s.want(ChannelOpened)
		s.nonces()
	})
}

// Records of the client that come twice are taken once.
func TestReplays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, sha256Of(clientCert))
		defer s.end()
		client := s.connect()
		defer client.Close()
		s.want(Connected)
		s.toServer = func(b []byte) bool {
			if r := s.a.Deliver(b); r != drop.None {
				t.Error(r)
			}
			if r := s.a.Deliver(b); r != drop.DtlsReplay {
				t.Errorf("a second time: %v", r)
			}
			return false
		}
		assoc := s.associate(client)
		defer assoc.Close()
		dc := s.dial(assoc, 1, "parley", 0)
		s.want(ChannelOpened)
		for range 10 {
			if _, err := dc.Write([]byte("once")); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if n := len(s.heard()); n != 10 {
			t.Errorf("%d messages", n)
		}
		s.toServer = nil
	})
}

// Of the client's own alerts a fatal one ends the association, without another word, and warnings end nothing (RFC 5246 §7.2). Other records that it may not
// send are discarded.
func TestAlerts(t *testing.T) {
	quiet(t, func(s *scene, client *pion.Conn) {
		f := s.forge()
		for i, c := range []struct {
			kind    byte
			content []byte
			want    drop.Reason
		}{
			{alert, []byte{warning, 90}, drop.None},
			{alert, []byte{warning}, drop.DtlsMalformed},
			{changeCipherSpec, []byte{1}, drop.DtlsMalformed},
			{handshake, nil, drop.DtlsMalformed},
			{handshake, []byte{clientHello}, drop.DtlsMalformed}, // renegotiation
			{99, []byte{1}, drop.DtlsMalformed},
		} {
			b, _ := f.seal(nil, c.kind, c.content)
			if r := s.a.Deliver(b); r != c.want {
				s.t.Errorf("%d: %v, want %v", i, r, c.want)
			}
		}
		if s.want(); !s.isQuiet() {
			s.t.Error("not quiet any more")
		}
		sent := len(s.sent)
		b, _ := f.seal(nil, alert, []byte{fatal, 40})
		b, _ = f.seal(b, applicationData, []byte("afterwards"))
		if r := s.a.Deliver(b); r != drop.DtlsClosed {
			s.t.Errorf("a record after the end: %v", r)
		}
		s.want(Closed)
		<-s.a.Done()
		if len(s.sent) != sent {
			s.t.Errorf("a fatal alert is answered with %x", s.sent[sent:])
		}
	})
}

// The client may lose our last flight any number of times: it asks, and gets it again, as records with new numbers (RFC 6347 §4.2.2).
func TestLastFlightIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, sha256Of(clientCert))
		defer s.end()
		var lost atomic.Int32
		s.toClient = func(b []byte) bool {
			return b[0] != changeCipherSpec || lost.Add(1) > 4
		}
		client := s.connect()
		if s.want(Connected); !s.isQuiet() {
			t.Error("not quiet")
		}
		_ = client.Close()
		s.want(Closed)
		s.nonces()
	})
}

// What is repeated is the last flight, whatever the library has said after it: an alert, or a record in the clear.
func TestOnlyTheFlightIsRepeated(t *testing.T) {
	quiet(t, func(s *scene, _ *pion.Conn) {
		var flight []byte
		for _, d := range s.sent {
			if d[0] == changeCipherSpec {
				flight = d
			}
		}
		won := new(attempt)
		for _, b := range [][]byte{flight, record(alert, 1, 9, make([]byte, 26)), record(handshake, 0, 9, make([]byte, 40))} {
			s.a.speak(won, b)
		}
		if got := won.flight.Load(); got == nil || !bytes.Equal(*got, flight) {
			t.Errorf("%x is taken for the last flight", got)
		}
		out := &s.a.epoch.out
		var again sealer
		again.key, again.nonce = out.key, out.nonce
		for _, b := range [][]byte{flight[:len(flight)-1], flight[14:], append(bytes.Clone(flight), flight...), flight[:14], nil} {
			if again.remember(b) == nil {
				t.Errorf("%x is taken for a flight", b)
			}
		}
		if err := again.remember(flight); err != nil || !bytes.Equal(again.finished, out.finished) || again.plain != out.plain {
			t.Error(err)
		}
	})
}

// Whatever comes at the moment when the handshake is over is not lost: data channels do not wait until the client tries again, and its end is heard of.
func TestEstablishingRaces(t *testing.T) {
	for i := range 300 {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, sha256Of(clientCert))
			client := s.connect() // and both go on at once
			start := time.Now()
			switch i % 3 {
			case 0:
				assoc := s.associate(client)
				s.dial(assoc, 1, "parley", 0)
				s.want(Connected, ChannelOpened)
				_ = assoc.Close()
			case 1:
				_ = client.Close()
				s.want(Connected, Closed)
			case 2:
				s.a.Close()
			}
			if took := time.Since(start); took > 0 {
				t.Errorf("%d: it took %v", i, took)
			}
			_ = client.Close()
			s.end()
			s.nonces()
		})
	}
}

// Of what comes before the handshake is finished little is kept for later, as it may be forged. What the client says is among it, or is
// said again.
func TestMaxEarly(t *testing.T) {
	for _, forged := range []int{1, maxEarly + 1} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, sha256Of(clientCert))
			defer s.end()
			for i := range forged {
				s.a.Deliver(record(applicationData, 1, 1000+uint64(i), make([]byte, 40)))
			}
			if synctest.Wait(); len(s.a.early) != min(forged, maxEarly) {
				t.Errorf("%d datagrams are kept", len(s.a.early))
			}
			client := s.connect()
			defer client.Close()
			assoc := s.associate(client)
			defer assoc.Close()
			s.dial(assoc, 1, "parley", 0)
			s.want(Connected, ChannelOpened)
		})
	}
}

// Limit: for an SCTP that does not keep up queueDatagrams packets wait; more are dropped, as are those that come when it is over.
func TestPacketsForSCTP(t *testing.T) {
	a := &Association{ctx: t.Context()}
	l := a.newLink()
	for range queueDatagrams {
		if r := l.put([]byte{1}); r != drop.None {
			t.Fatal(r)
		}
	}
	if r := l.put([]byte{1}); r != drop.DtlsQueueFull {
		t.Error(r)
	}
	if n, err := l.Read(make([]byte, 9)); n != 1 || err != nil {
		t.Error(n, err)
	}
	if r := l.put([]byte{1}); r != drop.None {
		t.Error(r)
	}
	_ = l.Close()
	if r := l.put([]byte{1}); r != drop.DtlsClosed {
		t.Error(r)
	}
	if _, err := l.Read(make([]byte, 9)); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
