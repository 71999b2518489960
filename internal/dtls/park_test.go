package dtls

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	pion "github.com/pion/dtls/v3"
)

// isParked reports whether nothing of the association runs.
func (s *scene) isParked() bool {
	synctest.Wait()
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	return s.a.parked != nil
}

// numbers fails the test where two records of the association have one number: they would be sealed with one nonce.
func (s *scene) numbers() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[uint64]bool{}
	for _, d := range s.sent {
		for ; len(d) >= recordHeader; d = d[recordHeader+int(binary.BigEndian.Uint16(d[11:])):] {
			number := binary.BigEndian.Uint64(d[3:])
			if number>>48 > 0 && seen[number] {
				s.t.Errorf("two records are numbered %#x", number)
			}
			seen[number] = true
		}
	}
}

// quiet runs f with a client that has shown that it has the keys, and then said nothing.
func quiet(t *testing.T, f func(s *scene, client *pion.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, sha256Of(clientCert))
		defer s.end()
		client := s.connect()
		s.want(Connected)
		s.a.Settle()
		s.a.Settle() // with each packet, perhaps
		time.Sleep(parkAfter)
		if !s.isParked() {
			t.Fatal("not parked")
		}
		f(s, client)
		_ = client.Close()
		s.numbers()
	})
}

// An association over which nothing is said is parked, without a word to the client, and ends as any other: with a close_notify to
// the client, and nothing told.
func TestParkedCloses(t *testing.T) {
	quiet(t, func(s *scene, client *pion.Conn) {
		s.mu.Lock()
		sent := len(s.sent)
		s.mu.Unlock()
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

// The client's close_notify finds it.
func TestParkedIsClosed(t *testing.T) {
	quiet(t, func(s *scene, client *pion.Conn) {
		_ = client.Close()
		s.want(Closed)
		<-s.a.Done()
	})
}

// Data channels that are opened later work, both ways, and keep it from being parked again.
func TestParkedTalksAgain(t *testing.T) {
	quiet(t, func(s *scene, client *pion.Conn) {
		assoc := s.associate(client)
		defer assoc.Close()
		dc := s.dial(assoc, 1, "parley", 0)
		s.want(ChannelOpened)
		time.Sleep(10 * parkAfter)
		if s.isParked() {
			s.t.Error("parked again")
		}
		if _, err := dc.Write([]byte("up")); err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(time.Second)
		if e := s.want(Message)[0]; string(e.Payload) != "up" {
			s.t.Errorf("%q", e.Payload)
		}
		if r := s.a.Send(Reliable, []byte("down")); r != drop.None {
			s.t.Fatal(r)
		}
		b := make([]byte, 100)
		if n, err := dc.Read(b); err != nil || string(b[:n]) != "down" {
			s.t.Errorf("%q, %v", b[:n], err)
		}
	})
}

// Garbage wakes it, and so do records that were sent before: none of it is taken, and it is parked once only, so that this costs no
// more than not to have been parked.
func TestParkedTakesNothingTwice(t *testing.T) {
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
			before = append(before, append([]byte(nil), b...))
			return true
		}
		client := s.connect()
		defer client.Close()
		s.want(Connected)
		s.a.Settle()
		time.Sleep(parkAfter)
		if !s.isParked() {
			t.Fatal("not parked")
		}
		sent := len(s.sent)
		s.a.Deliver(record(applicationData, 1, 1000, make([]byte, 40)))
		if s.isParked() {
			t.Error("still parked")
		}
		mu.Lock()
		for _, b := range before {
			s.a.Deliver(b)
		}
		mu.Unlock()
		time.Sleep(10 * parkAfter)
		if s.want(); s.isParked() || s.a.talks.Load() || len(s.sent) != sent {
			t.Errorf("parked %v, talks %v, %d datagrams sent", s.isParked(), s.a.talks.Load(), len(s.sent)-sent)
		}
		assoc := s.associate(client)
		defer assoc.Close()
		s.dial(assoc, 1, "parley", 0)
		s.want(ChannelOpened)
		s.numbers()
	})
}

// Who has data channels is not parked, nor is who has not shown that it has the keys: it may ask for the last flight again.
func TestNotParked(t *testing.T) {
	for _, settled := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, sha256Of(clientCert))
			defer s.end()
			client := s.connect()
			defer client.Close()
			if settled {
				assoc := s.associate(client)
				defer assoc.Close()
				s.a.Settle()
			}
			s.want(Connected)
			time.Sleep(10 * parkAfter)
			if s.isParked() {
				t.Errorf("settled %v: parked", settled)
			}
		})
	}
}

// Whatever comes at the moment of parking, be it data or the end, is not lost for good.
func TestParkingRaces(t *testing.T) {
	for i := range 40 {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, sha256Of(clientCert))
			client := s.connect()
			s.want(Connected)
			s.a.Settle()
			time.Sleep(parkAfter) // and both go on at once
			if i%2 == 0 {
				assoc := s.associate(client)
				s.dial(assoc, 1, "parley", 0)
				s.want(ChannelOpened)
				_ = assoc.Close()
			} else {
				s.a.Close()
			}
			_ = client.Close()
			s.end()
			s.numbers()
		})
	}
}
