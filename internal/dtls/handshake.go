package dtls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/parley-rtc/parley/internal/srtp"
	pion "github.com/pion/dtls/v3"
	"github.com/pion/logging"
)

// attempt is the handshake that one ClientHello began.
type attempt struct {
	// static after construction
	random random
	pipe   *pipe
	conn   *pion.Conn

	// atomic
	fate   atomic.Uint32
	flight atomic.Pointer[[]byte] // the last of the handshake that it has sent, in one datagram; nil: it has not
}

// Fates of an attempt. The second and the third exclude each other, so that a client that is connected is never forgotten.
const (
	undecided = iota
	proved    // the other end holds the key of its certificate and has finished the handshake
	replaced  // by a later one
)

// prove makes the attempt the one that is to win, and reports false when it has been replaced.
func (t *attempt) prove() bool {
	return t.fate.CompareAndSwap(undecided, proved) || t.fate.Load() == proved
}

type result struct {
	attempt *attempt
	err     error
}

// profiles in order of preference.
var profiles = []pion.SRTPProtectionProfile{pion.SRTP_AEAD_AES_128_GCM, pion.SRTP_AES128_CM_HMAC_SHA1_80}

// silent is for the libraries, which log nothing: what goes wrong is an event or a count. All share one logger, of which each
// association would otherwise have several.
var silent = oneLogger{logging.NewDefaultLeveledLoggerForScope("", logging.LogLevelDisabled, io.Discard)}

type oneLogger struct{ logger logging.LeveledLogger }

// NewLogger implements logging.LoggerFactory.
func (l oneLogger) NewLogger(string) logging.LeveledLogger { return l.logger }

// serverOptions configures the DTLS library. A HelloVerifyRequest would only repeat what ICE has proved: that the client receives at
// its address.
func serverOptions(cfg *Config) []pion.ServerOption {
	return []pion.ServerOption{
		pion.WithCertificates(cfg.Certificate),
		pion.WithCipherSuites(pion.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, pion.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
		pion.WithSRTPProtectionProfiles(profiles...),
		pion.WithExtendedMasterSecret(pion.RequireExtendedMasterSecret),
		pion.WithClientAuth(pion.RequestClientCert), // that there is one, and which, is for verify to say
		pion.WithInsecureSkipVerifyHello(true),
		pion.WithMTU(mtu),
		pion.WithReplayProtectionWindow(replayWindow),
		pion.WithFlightInterval(flightInterval),
		pion.WithLoggerFactory(silent),
	}
}

// handshake runs attempts until one is finished, which it returns. It returns nil for both when the association is closed.
func (a *Association) handshake() (*attempt, error) {
	deadline := time.NewTimer(a.cfg.Deadline)
	defer deadline.Stop()
	var stop context.CancelFunc
	a.trying, stop = context.WithCancel(a.ctx)
	defer stop()
	var won *attempt
	defer func() {
		for _, t := range a.attempts {
			if t != won {
				t.close()
			}
		}
		a.attempts = nil
	}()
	for {
		select {
		case b := <-a.in:
			a.route(b)
		case r := <-a.results:
			switch {
			case r.err == nil:
				won = r.attempt
				return won, nil
			case errors.Is(r.err, errNotFingerprint), errors.Is(r.err, errNoCertificate):
				// Only who took part in the key exchange gets this far.
				return nil, rootOf(r.err)
			}
			a.last = r.err
			a.forget(r.attempt)
		case <-deadline.C:
			if a.last != nil {
				return nil, fmt.Errorf("no DTLS handshake within %v; the last attempt: %w", a.cfg.Deadline, a.last)
			}
			return nil, fmt.Errorf("no DTLS handshake within %v", a.cfg.Deadline)
		case <-a.ctx.Done():
			return nil, nil
		}
	}
}

// rootOf returns the verdict without what the library wraps around it.
func rootOf(err error) error {
	if errors.Is(err, errNoCertificate) {
		return errNoCertificate
	}
	return errNotFingerprint
}

// route gives a datagram to the attempt that it belongs to: a ClientHello to its own, anything else to all, as nothing in it tells.
// A ClientHello that no attempt has begins one, at most maxAttempts in stalledAfter. Where as many are there, the oldest is replaced:
// it is older than that, and the client would have answered it.
func (a *Association) route(b []byte) {
	hello, ok := helloRandom(b)
	if !ok {
		if finishes, says := inspect(b); says && !finishes {
			a.keep(b)
			return
		}
		for _, t := range a.attempts {
			t.pipe.put(b)
		}
		return
	}
	for _, t := range a.attempts {
		if t.random == hello {
			a.latest.Store(t)
			t.pipe.put(b)
			return
		}
	}
	now := time.Now()
	if last := &a.begun[a.ever%maxAttempts]; last.IsZero() || now.Sub(*last) >= stalledAfter {
		*last = now
		a.ever++
		a.replaceOldest()
		a.attempt(hello, b)
	}
}

// keep puts aside what a client says that has finished its handshake, before this side knows of that: an attempt would take it with it
// to its end. What is more than a few the client says again.
func (a *Association) keep(b []byte) {
	if len(a.early) < maxEarly {
		a.early = append(a.early, b)
	}
}

// replaceOldest makes room for one more attempt.
func (a *Association) replaceOldest() {
	for i := 0; len(a.attempts) >= maxAttempts && i < len(a.attempts); i++ {
		if t := a.attempts[i]; t.fate.CompareAndSwap(undecided, replaced) {
			a.forget(t)
			return
		}
	}
}

// attempt begins a handshake.
func (a *Association) attempt(hello random, b []byte) {
	t := &attempt{random: hello}
	t.pipe = newPipe(func(b []byte) { a.speak(t, b) })
	verify := pion.WithVerifyConnection(func(s *pion.State) error {
		if !t.prove() {
			return errReplaced
		}
		a.proved.Store(t)
		return a.expected.verify(s)
	})
	var err error
	if t.conn, err = pion.ServerWithOptions(t.pipe, address{}, append(slices.Clip(a.options), verify)...); err != nil {
		a.last = err
		return
	}
	a.attempts = append(a.attempts, t)
	a.latest.Store(t)
	t.pipe.put(b)
	trying := a.trying
	a.work.Go(func() {
		defer a.recover()
		err := t.conn.HandshakeContext(trying)
		if t.fate.Load() == replaced {
			return
		}
		select {
		case a.results <- result{t, err}:
		case <-trying.Done():
		}
	})
}

// speak sends what an attempt says, if it is its turn: until one is proved, only the attempt whose ClientHello came last is heard.
// The flights of another one would end the handshake of a client that waits for its own, and a client that has lost a flight asks
// for it by its ClientHello.
func (a *Association) speak(t *attempt, b []byte) {
	turn := a.proved.Load()
	if turn == nil {
		turn = a.latest.Load()
	}
	if t == turn {
		a.send(b)
	}
	if len(b) > 0 && b[0] == changeCipherSpec { // with which it begins
		b = bytes.Clone(b)
		t.flight.Store(&b)
	}
}

func (a *Association) forget(t *attempt) {
	t.close()
	for i, x := range a.attempts {
		if x == t {
			a.attempts = append(a.attempts[:i], a.attempts[i+1:]...)
			return
		}
	}
}

func (t *attempt) close() { _ = t.conn.Close() }

// connected makes the event of a finished handshake.
func connected(conn *pion.Conn, e *expected) (Event, error) {
	profile, ok := conn.SelectedSRTPProtectionProfile()
	if !ok {
		return Event{}, errNoProfile
	}
	p := srtp.Profile(profile)
	state, ok := conn.ConnectionState()
	if !ok {
		return Event{}, errors.New("the DTLS association has no state")
	}
	if err := e.verify(&state); err != nil { // again, in case the library ever lets one pass
		return Event{}, err
	}
	material, err := state.ExportKeyingMaterial("EXTRACTOR-dtls_srtp", nil, p.MaterialLen())
	if err != nil {
		return Event{}, fmt.Errorf("export SRTP keys: %w", err)
	}
	event := Event{Kind: Connected, Profile: p}
	event.Client, event.Server, err = srtp.KeysFromExporter(p, material)
	return event, err
}
