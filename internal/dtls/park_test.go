package dtls

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"sync/atomic"
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

// nonces fails the test where two different records of the association have one number, and so one nonce.
func (s *scene) nonces() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[uint64][]byte{}
	for _, d := range s.sent {
		for len(d) >= recordHeader {
			n := recordHeader + int(binary.BigEndian.Uint16(d[11:]))
			number := binary.BigEndian.Uint64(d[3:])
			if before := seen[number]; number>>48 > 0 && before != nil && !bytes.Equal(before, d[:n]) {
				s.t.Errorf("two records are numbered %#x", number)
			}
			seen[number], d = d[:n], d[n:]
		}
	}
}

// quiet runs f with a client that has said nothing since the handshake.
func quiet(t *testing.T, f func(s *scene, client *pion.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, sha256Of(clientCert))
		defer s.end()
		client := s.connect()
		if s.want(Connected); !s.isParked() {
			t.Fatal("not parked")
		}
		f(s, client)
		_ = client.Close()
		s.nonces()
	})
}

// A parked association ends as any other: with a close_notify to the client, and nothing told.
func TestParkedCloses(t *testing.T) {
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

// The client's close_notify finds it.
func TestParkedIsClosed(t *testing.T) {
	quiet(t, func(s *scene, client *pion.Conn) {
		_ = client.Close()
		s.want(Closed)
		<-s.a.Done()
	})
}

// Data channels work, both ways.
func TestParkedTalks(t *testing.T) {
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

// Forged records wake it, once; those of the handshake that come again do not. Neither ends it, or is taken for the client's.
func TestParkedTakesNothingForged(t *testing.T) {
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
		s.want(Connected)
		mu.Lock()
		old := before
		before = nil
		mu.Unlock()
		again := func() {
			for _, b := range old {
				s.a.Deliver(b)
			}
		}
		if again(); !s.isParked() {
			t.Error("woken by the handshake")
		}
		for range 3 {
			s.a.Deliver(record(applicationData, 1, 1000, make([]byte, 40)))
			s.a.Deliver(record(alert, 1, 1001, make([]byte, 40)))
			again()
		}
		if s.want(); s.isParked() {
			t.Error("parked again, which a forger could repeat")
		}
		assoc := s.associate(client)
		defer assoc.Close()
		s.dial(assoc, 1, "parley", 0)
		s.want(ChannelOpened)
		s.nonces()
	})
}

// The client may lose our last flight any number of times: it asks, and gets it again, also where forged records have woken the
// association meanwhile.
func TestParkedRepeatsItsLastFlight(t *testing.T) {
	for _, woken := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, sha256Of(clientCert))
			defer s.end()
			var lost atomic.Int32
			s.toClient = func(b []byte) bool {
				if b[0] != changeCipherSpec {
					return true
				}
				if woken {
					go s.a.Deliver(record(alert, 1, 1000, make([]byte, 40)))
				}
				return lost.Add(1) > 4
			}
			client := s.connect()
			if s.want(Connected); s.isParked() == woken {
				t.Errorf("parked %v", !woken)
			}
			_ = client.Close()
			s.want(Closed)
			s.nonces()
		})
	}
}

// Whatever comes at the moment of parking is not lost: data channels do not wait until the client tries again, and its end is heard of.
func TestParkingRaces(t *testing.T) {
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
