package dtls

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/srtp"
	pion "github.com/pion/dtls/v3"
)

// Both ends derive the same SRTP keys (RFC 5764 §4.2); GCM is preferred whichever order the client offers.
func TestHandshakeGivesKeys(t *testing.T) {
	for _, c := range []struct {
		offer []pion.SRTPProtectionProfile
		want  srtp.Profile
	}{
		{[]pion.SRTPProtectionProfile{pion.SRTP_AES128_CM_HMAC_SHA1_80, pion.SRTP_AEAD_AES_128_GCM}, srtp.AEADAES128GCM},
		{[]pion.SRTPProtectionProfile{pion.SRTP_AES128_CM_HMAC_SHA1_80}, srtp.AES128CMHMACSHA1_80},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, sha256Of(clientCert))
			defer s.end()
			client := s.client(pion.WithCertificates(clientCert), pion.WithSRTPProtectionProfiles(c.offer...))
			if err := client.Handshake(); err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			e := s.want(Connected)[0]
			state, _ := client.ConnectionState()
			material, err := state.ExportKeyingMaterial("EXTRACTOR-dtls_srtp", nil, c.want.MaterialLen())
			if err != nil {
				t.Fatal(err)
			}
			ours, theirs, err := srtp.KeysFromExporter(c.want, material)
			if err != nil || e.Profile != c.want || !bytes.Equal(e.Client.Key, ours.Key) || !bytes.Equal(e.Server.Salt, theirs.Salt) {
				t.Errorf("got %+v, %v", e, err)
			}
		})
	}
}

// RFC 8122 §5, RFC 8827 §6.5: a certificate must match one of the offer's fingerprints, by SHA-256 or better; else there are no keys.
func TestFingerprints(t *testing.T) {
	lower := sha256Of(clientCert)
	lower.Value, lower.Algorithm = strings.ToLower(lower.Value), "SHA-256"
	short := sha256Of(clientCert)
	short.Value = short.Value[:59]
	md5 := sdp.Fingerprint{Algorithm: "md5", Value: "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"}
	for name, c := range map[string]struct {
		offered []sdp.Fingerprint
		certs   pion.ClientOption
		reason  string // empty: connected
	}{
		"match":           {offered: []sdp.Fingerprint{sha256Of(clientCert)}},
		"case":            {offered: []sdp.Fingerprint{lower}},
		"sha-512":         {offered: []sdp.Fingerprint{sha512Of(clientCert)}},
		"second of two":   {offered: []sdp.Fingerprint{sha256Of(otherCert), sha256Of(clientCert)}},
		"beside md5":      {offered: []sdp.Fingerprint{md5, sha512Of(clientCert)}},
		"another":         {offered: []sdp.Fingerprint{sha256Of(otherCert)}, reason: errNotFingerprint.Error()},
		"two others":      {offered: []sdp.Fingerprint{sha256Of(otherCert), sha512Of(serverCert)}, reason: errNotFingerprint.Error()},
		"none":            {reason: errNoFingerprint.Error()},
		"md5":             {offered: []sdp.Fingerprint{md5}, reason: errNoFingerprint.Error()},
		"too short":       {offered: []sdp.Fingerprint{short}, reason: errNoFingerprint.Error()},
		"no hex":          {offered: []sdp.Fingerprint{{Algorithm: "sha-256", Value: "hello"}}, reason: errNoFingerprint.Error()},
		"wrong algorithm": {offered: []sdp.Fingerprint{{Algorithm: "sha-512", Value: sha256Of(clientCert).Value}}, reason: errNoFingerprint.Error()},
		"no certificate":  {offered: []sdp.Fingerprint{sha256Of(clientCert)}, certs: pion.WithLoggerFactory(silent), reason: errNoCertificate.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, c.offered...)
				defer s.end()
				if c.certs == nil {
					c.certs = pion.WithCertificates(clientCert)
				}
				client := s.client(c.certs)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				err := client.HandshakeContext(ctx)
				defer client.Close()
				if c.reason == "" {
					if s.want(Connected); err != nil {
						t.Error(err)
					}
					return
				}
				if e := s.want(Failed)[0]; e.Reason != c.reason || e.Client.Key != nil || e.Stranger != (c.reason == errNotFingerprint.Error() || c.reason == errNoCertificate.Error()) {
					t.Errorf("got %+v", e)
				}
				<-s.a.Done()
				if r := s.a.Deliver(helloOf(t, 1)); r != drop.DtlsClosed {
					t.Errorf("deliver after the end: %v", r)
				}
			})
		})
	}
}

// record makes a DTLS record.
func record(typ byte, epoch uint16, number uint64, body []byte) []byte {
	b := []byte{typ, 0xfe, 0xfd}
	b = binary.BigEndian.AppendUint64(b, uint64(epoch)<<48|number)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// fragment makes a handshake fragment.
func fragment(typ byte, length int, sequence uint16, offset int, body []byte) []byte {
	b := []byte{typ, byte(length >> 16), byte(length >> 8), byte(length)}
	b = binary.BigEndian.AppendUint16(b, sequence)
	b = append(b, byte(offset>>16), byte(offset>>8), byte(offset), 0, byte(len(body)>>8), byte(len(body)))
	return append(b, body...)
}

// helloOf makes a ClientHello that offers TLS_NULL_WITH_NULL_NULL alone; its random is filled with r.
func helloOf(t testing.TB, r byte) []byte {
	t.Helper()
	body := append([]byte{0xfe, 0xfd}, bytes.Repeat([]byte{r}, 32)...)
	body = append(body, 0, 0, 0, 2, 0, 0, 1, 0) // no session, no cookie, one suite, no compression
	return record(handshake, 0, uint64(r), fragment(clientHello, len(body), 0, 0, body))
}

// garbage is what a stranger throws at a handshake: none of it may end it.
func garbage(t testing.TB, rng *rand.Rand) [][]byte {
	noise := make([]byte, 20+rng.IntN(1200))
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	noise[0] = byte(20 + rng.IntN(44))
	framed := record(handshake, 0, uint64(rng.IntN(1<<20)), noise)
	number := uint64(rng.IntN(60))
	return [][]byte{
		noise,
		framed,
		record(applicationData, 1, number, noise),
		record(handshake, 1, number, noise[:16]),
		record(alert, 0, number, []byte{2, 40}),            // fatal: handshake_failure
		record(alert, 0, number, []byte{1, 0}),             // close_notify
		record(applicationData, 0, number, []byte("data")), // unprotected
		record(99, 0, number, []byte("type")),
		record(changeCipherSpec, 0, number, []byte{2}),
		record(handshake, 0, 1<<47, fragment(clientKeyExchange, 1, 200, 0, []byte{1})),
		record(handshake, 0, number, fragment(20, 12, 1, 0, make([]byte, 12))),            // Finished in the clear
		record(handshake, 0, number, fragment(certificate, 1<<23, 1, 0, make([]byte, 9))), // a message of 8 MiB
		record(handshake, 0, number, fragment(certificate, 900, 1, 0, nil)),               // a fragment of nothing
		record(handshake, 0, number, fragment(2, 40, 1, 0, make([]byte, 40))),             // ServerHello
		record(handshake, 3, number, noise),
		helloOf(t, byte(rng.Uint32())), // no acceptable cipher suite
	}
}

// Whatever a stranger sends from the client's address before, between and after the client's own datagrams, the handshake finishes,
// and the client is never sent an alert in the clear.
func TestGarbageNeverEndsAHandshake(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			s := newScene(t, sha256Of(clientCert))
			defer s.end()
			spray := func() {
				for _, b := range garbage(t, rng) {
					s.a.Deliver(b)
					synctest.Wait()
				}
			}
			s.a.Deliver(helloOf(t, 0xaa))
			synctest.Wait()
			spray()
			s.toServer = func([]byte) bool {
				spray()
				return true
			}
			client := s.connect()
			defer client.Close()
			spray()
			s.want(Connected)
			for _, b := range s.sent {
				if plaintextAlert(b) {
					t.Error("alert in the clear")
				}
			}
		})
	}
}

// Garbage after the handshake ends nothing either.
func TestGarbageAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, sha256Of(clientCert))
		defer s.end()
		client := s.connect()
		defer client.Close()
		s.want(Connected)
		rng := rand.New(rand.NewPCG(9, 9))
		for range 50 {
			for _, b := range garbage(t, rng) {
				s.a.Deliver(b)
			}
			synctest.Wait()
		}
		s.want()
		assoc := s.associate(client)
		defer assoc.Close()
		s.dial(assoc, 1, "parley", 0)
		s.want(ChannelOpened)
	})
}

// A ClientHello in several fragments (with post-quantum key shares it is longer than a datagram) finds its attempt.
func TestFragmentedHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, sha256Of(clientCert))
		defer s.end()
		client := s.client(pion.WithCertificates(clientCert), pion.WithMTU(60))
		if err := client.Handshake(); err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		s.want(Connected)
	})
}

// Flights are sent again: a handshake survives the loss of any datagram, and of a third of them.
func TestHandshakeSurvivesLoss(t *testing.T) {
	for lost := range 12 {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, sha256Of(clientCert))
			defer s.end()
			var passed atomic.Int32
			pass := func([]byte) bool {
				n := int(passed.Add(1))
				return n != lost && (lost < 10 || n%3 != lost-10)
			}
			s.toClient, s.toServer = pass, pass
			client := s.connect()
			defer client.Close()
			time.Sleep(5 * time.Second)
			s.want(Connected)
		})
	}
}

// Without a client, or with garbage alone, it is over after the deadline, and not before.
func TestDeadline(t *testing.T) {
	for _, noisy := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, sha256Of(clientCert))
			defer s.end()
			rng := rand.New(rand.NewPCG(5, 5))
			for range 29 {
				time.Sleep(time.Second)
				if noisy {
					for _, b := range garbage(t, rng) {
						s.a.Deliver(b)
					}
				}
			}
			s.want()
			time.Sleep(time.Second)
			if e := s.want(Failed)[0]; !strings.Contains(e.Reason, "30s") {
				t.Error(e.Reason)
			}
			<-s.a.Done()
		})
	}
}

// However far a handshake has come when it is closed, or when the client vanishes, every goroutine ends (the bubble would tell).
func TestAbortedHandshakesLeaveNothing(t *testing.T) {
	for stop := range 14 {
		for _, closed := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, sha256Of(clientCert))
				var passed atomic.Int32
				pass := func([]byte) bool {
					n := int(passed.Add(1))
					if n == stop && closed {
						s.a.Close()
					}
					return n < stop
				}
				s.toClient, s.toServer = pass, pass
				client := s.client(pion.WithCertificates(clientCert))
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_ = client.HandshakeContext(ctx)
				_ = client.Close()
				s.end()
				s.end() // twice is nothing
			})
		}
	}
}

// Limits of Deliver: too long, malformed, more than the queue holds.
func TestDeliverLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, sha256Of(clientCert))
		defer s.end()
		if r := s.a.Deliver(make([]byte, maxDatagram+1)); r != drop.Oversized {
			t.Error(r)
		}
		if r := s.a.Deliver(record(alert, 0, 1, []byte{2, 40})); r != drop.DtlsMalformed {
			t.Error(r)
		}
		s.a.Close()
		if r := s.a.Deliver(helloOf(t, 1)); r != drop.DtlsClosed {
			t.Error(r)
		}
		idle := &Association{in: make(chan []byte, queueDatagrams), ctx: t.Context()}
		for range queueDatagrams {
			if r := idle.Deliver(helloOf(t, 1)); r != drop.None {
				t.Fatal(r)
			}
		}
		if r := idle.Deliver(helloOf(t, 1)); r != drop.DtlsQueueFull {
			t.Error(r)
		}
	})
}

// What is admitted is whole records that were there, and is admitted again as it is; the rest of a datagram with one bad record
// counts.
func FuzzAdmit(f *testing.F) {
	hello := helloOf(f, 3)
	f.Add(hello)
	f.Add(append(record(alert, 0, 1, []byte{2, 40}), hello...))
	for _, b := range garbage(f, rand.New(rand.NewPCG(1, 1))) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := admit(nil, b)
		if len(got) > len(b) {
			t.Fatal("longer")
		}
		if again := admit(nil, got); !bytes.Equal(again, got) {
			t.Fatalf("%x admitted as %x", got, again)
		}
		if len(got) > 0 {
			helloRandom(got)
			plaintextAlert(got)
		}
		if with := admit(nil, append(bytes.Clone(hello), b...)); !bytes.HasPrefix(with, hello) {
			t.Fatal("a good record was left out")
		}
	})
}

// Limit: no handshake message of the client is numbered above maxMessageSequence. A record with one is dropped before anything is
// allocated for it.
func TestMaxMessageSequence(t *testing.T) {
	for sequence, want := range map[uint16]bool{1: true, 8: true, 9: false, 0xffff: false} {
		if got := plausibleHandshake(fragment(certificateVerify, 1, sequence, 0, []byte{0})); got != want {
			t.Errorf("message %d: taken %v", sequence, got)
		}
	}
}
