package dtls

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	pion "github.com/pion/dtls/v3"
)

// helloOfClient returns an acceptable ClientHello.
func helloOfClient(t *testing.T) []byte {
	t.Helper()
	s := newScene(t, sha256Of(clientCert))
	defer s.end()
	var hello []byte
	s.toServer = func(b []byte) bool {
		hello = bytes.Clone(b)
		return false
	}
	client := s.client(pion.WithCertificates(clientCert))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
	defer cancel()
	_ = client.HandshakeContext(ctx)
	_ = client.Close()
	return hello
}

// forged returns the n-th of acceptable ClientHellos with randoms of their own.
func forged(hello []byte, n int) []byte {
	b := bytes.Clone(hello)
	at := recordHeader + handshakeHeader + 2
	b[at], b[at+1], b[at+2] = 0xff, byte(n>>8), byte(n)
	return b
}

// ClientHellos forged from the client's own address do not lock it out, whether they come all at once before its own, or a few every
// second all the time.
func TestForgedHellosDoNotLockTheClientOut(t *testing.T) {
	for name, c := range map[string]struct {
		before int           // at once, 5 s before the client
		every  time.Duration // from then on; 0: never
	}{
		"none":           {},
		"one":            {before: 1},
		"four":           {before: 4},
		"as many as fit": {before: maxAttempts},
		"a hundred":      {before: 100},
		"five a second":  {before: 1, every: 200 * time.Millisecond},
		"all the time":   {before: 100, every: 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hello := helloOfClient(t)
				s := newScene(t, sha256Of(clientCert))
				defer s.end()
				var present atomic.Bool
				s.toClient = func([]byte) bool { return present.Load() }
				for i := range c.before {
					s.a.Deliver(forged(hello, i))
					synctest.Wait()
				}
				stop := make(chan struct{})
				defer close(stop)
				go func() {
					for i := 1000; c.every > 0; i++ {
						select {
						case <-time.After(c.every):
							s.a.Deliver(forged(hello, i))
						case <-stop:
							return
						}
					}
				}()
				time.Sleep(5*time.Second + 30*time.Millisecond)
				present.Store(true)
				client := s.connect()
				defer client.Close()
				time.Sleep(50 * time.Millisecond)
				s.want(Connected)
			})
		})
	}
}

// The flights of an attempt are sent again only until another ClientHello comes: the client, whose own answer was lost, would take
// those of a forged one for it, and fail.
func TestOnlyTheLatestAttemptIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hello := helloOfClient(t)
		s := newScene(t, sha256Of(clientCert))
		defer s.end()
		start := time.Now()
		s.toClient = func([]byte) bool { return time.Since(start) > 3600*time.Millisecond }
		for i := range 4 {
			s.a.Deliver(forged(hello, i))
		}
		time.Sleep(3500 * time.Millisecond) // their next flight would come after 3.75 s
		client := s.connect()
		defer client.Close()
		time.Sleep(5 * time.Second)
		s.want(Connected)
	})
}

// Limits: maxAttempts handshakes at once, and no more begun in stalledAfter, whatever number of ClientHellos comes and however fast
// they fail. A new one replaces the oldest.
func TestAttemptLimits(t *testing.T) {
	for name, hello := range map[string]func(t *testing.T) func(int) []byte{
		"acceptable": func(t *testing.T) func(int) []byte {
			h := helloOfClient(t)
			return func(n int) []byte { return forged(h, n) }
		},
		"failing at once": func(t *testing.T) func(int) []byte {
			return func(n int) []byte { return helloOf(t, byte(n)) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				next := hello(t)
				s := newScene(t, sha256Of(clientCert))
				defer s.end()
				n := 0
				for round := 1; round <= 5; round++ {
					for range 50 {
						n++
						s.a.Deliver(next(n))
						synctest.Wait()
						if len(s.a.attempts) > maxAttempts {
							t.Fatalf("%d attempts at once", len(s.a.attempts))
						}
					}
					if s.a.ever != round*maxAttempts {
						t.Fatalf("%d attempts begun in %d s", s.a.ever, round)
					}
					time.Sleep(stalledAfter - 1)
					n++
					s.a.Deliver(next(n))
					synctest.Wait()
					if s.a.ever != round*maxAttempts {
						t.Fatal("too early")
					}
					time.Sleep(time.Nanosecond)
				}
			})
		})
	}
}

// An attempt that the client has finished is never replaced, and one that was replaced cannot be finished.
func TestFinishedAttemptStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hello := helloOfClient(t)
		s := newScene(t, sha256Of(clientCert))
		defer s.end()
		for i := range maxAttempts {
			s.a.Deliver(forged(hello, i))
		}
		time.Sleep(stalledAfter)
		synctest.Wait()
		finished, oldest := s.a.attempts[0], s.a.attempts[1]
		if !finished.prove() {
			t.Fatal("not proved")
		}
		s.a.Deliver(forged(hello, maxAttempts))
		synctest.Wait()
		if len(s.a.attempts) != maxAttempts || s.a.attempts[0] != finished || s.a.attempts[1] == oldest {
			t.Error("not the oldest unfinished one was replaced")
		}
		if oldest.prove() {
			t.Error("proved after it was replaced")
		}
	})
}
