package dtls

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/pion/datachannel"
	pion "github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	"github.com/pion/sctp"
)

var serverCert, clientCert, otherCert = newCert(), newCert(), newCert()

func newCert() tls.Certificate {
	c, err := selfsign.GenerateSelfSigned()
	if err != nil {
		panic(err)
	}
	return c
}

func colons(sum []byte) string {
	return strings.TrimSuffix(strings.ToUpper(fmt.Sprintf("% x", sum)), " ")
}

func sha256Of(c tls.Certificate) sdp.Fingerprint {
	sum := sha256.Sum256(c.Certificate[0])
	return sdp.Fingerprint{Algorithm: "sha-256", Value: strings.ReplaceAll(colons(sum[:]), " ", ":")}
}

func sha512Of(c tls.Certificate) sdp.Fingerprint {
	sum := sha512.Sum512(c.Certificate[0])
	return sdp.Fingerprint{Algorithm: "sha-512", Value: strings.ReplaceAll(colons(sum[:]), " ", ":")}
}

// scene is an association, its sink, and the link to a client, in a bubble with its own time.
type scene struct {
	t    *testing.T
	a    *Association
	pipe *pipe // the client's end

	dialed int // channels, by slowed

	mu       sync.Mutex
	events   []Event
	messages []heard
	held     chan struct{}     // Message waits until it is closed; nil: it does not
	broken   bool              // Message panics
	toClient func([]byte) bool // false: lost
	toServer func([]byte) bool
	sent     [][]byte // datagrams of the association
}

// Datagram implements Sink.
func (s *scene) Datagram(id uint64, b []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != 7 {
		s.t.Errorf("datagram of %d", id)
	}
	s.sent = append(s.sent, bytes.Clone(b))
	if s.toClient == nil || s.toClient(b) {
		s.pipe.put(bytes.Clone(b))
	}
	return true
}

// Event implements Sink.
func (s *scene) Event(id uint64, e Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != 7 {
		s.t.Errorf("event of %d", id)
	}
	s.events = append(s.events, e)
	return true
}

// heard is a message that came.
type heard struct {
	channel Channel
	payload []byte
}

// Message implements Inbox.
func (s *scene) Message(ctx context.Context, c Channel, b []byte) error {
	s.mu.Lock()
	held, broken := s.held, s.broken
	s.mu.Unlock()
	if broken {
		panic("broken")
	}
	if held != nil && c == Reliable {
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, heard{c, bytes.Clone(b)})
	return nil
}

// hold makes messages on the reliable channel wait, until they are let go.
func (s *scene) hold() (letGo func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := make(chan struct{})
	s.held = held
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.held = nil
		close(held)
	}
}

// heard returns the messages so far and forgets them.
func (s *scene) heard() []heard {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.messages
	s.messages = nil
	return m
}

// taken returns the events so far and forgets them.
func (s *scene) taken() []Event {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.events
	s.events = nil
	return e
}

// want fails the test unless the events so far are of these kinds.
func (s *scene) want(kinds ...Kind) []Event {
	s.t.Helper()
	events := s.taken()
	ok := len(events) == len(kinds)
	for i := 0; ok && i < len(kinds); i++ {
		ok = events[i].Kind == kinds[i]
	}
	if !ok {
		s.t.Fatalf("events %+v, want kinds %v", events, kinds)
	}
	return events
}

func newScene(t *testing.T, fingerprints ...sdp.Fingerprint) *scene {
	s := &scene{t: t}
	s.a = Start(Config{ID: 7, Certificate: serverCert, Fingerprints: fingerprints, Sink: s, Inbox: s})
	s.pipe = newPipe(func(b []byte) {
		if s.toServer == nil || s.toServer(b) {
			s.a.Deliver(b)
		}
	})
	return s
}

// end closes the association and waits for it.
func (s *scene) end() {
	s.a.Close()
	<-s.a.Done()
	_ = s.pipe.Close()
}

// client returns a client's DTLS, not yet shaken hands.
func (s *scene) client(options ...pion.ClientOption) *pion.Conn {
	s.t.Helper()
	c, err := pion.ClientWithOptions(s.pipe, address{}, append([]pion.ClientOption{
		pion.WithInsecureSkipVerify(true), pion.WithLoggerFactory(silent),
		pion.WithExtendedMasterSecret(pion.RequireExtendedMasterSecret),
		pion.WithSRTPProtectionProfiles(profiles...),
	}, options...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// connect shakes hands with the certificate of the client.
func (s *scene) connect() *pion.Conn {
	s.t.Helper()
	c := s.client(pion.WithCertificates(clientCert))
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// associate starts the client's SCTP.
func (s *scene) associate(c *pion.Conn, options ...sctp.ClientOption) *sctp.Association {
	s.t.Helper()
	assoc, err := sctp.ClientWithOptions(append([]sctp.ClientOption{
		sctp.WithNetConn(c), sctp.WithLoggerFactory(silent), sctp.WithMTU(sctpMTU),
	}, options...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return assoc
}

// dial opens a data channel of the client.
func (s *scene) dial(assoc *sctp.Association, stream uint16, label string, kind datachannel.ChannelType) *datachannel.DataChannel {
	s.t.Helper()
	dc, err := datachannel.Dial(assoc, stream, &datachannel.Config{Label: label, ChannelType: kind, LoggerFactory: silent})
	if err != nil {
		s.t.Fatal(err)
	}
	return dc
}
