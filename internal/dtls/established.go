package dtls

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/parley-rtc/parley/internal/drop"
)

// establish ends everything of a finished handshake and goes on with its keys and counters: half a KiB in place of 60 with the stacks of
// five goroutines. From here on the association is no goroutine; who delivers a record opens it, and the first that brings data starts SCTP.
//
// The records go on with the counters of the snapshot, so the library may send nothing after it: its pipe is muted first, and what still
// comes by was sealed before, and is counted.
func (a *Association) establish(won *attempt) error {
	won.pipe.muted.Store(true)
	snapshot, ok := won.conn.ConnectionState()
	flight := won.flight.Load()
	if !ok || flight == nil {
		return errors.New("the DTLS association has no state")
	}
	e, err := newEpoch(&snapshot, *flight)
	if err != nil {
		return fmt.Errorf("go on from the DTLS handshake: %w", err)
	}
	won.close()
	a.options = nil
	a.latest.Store(nil)
	a.proved.Store(nil)
	a.mu.Lock()
	in := a.in
	a.in, a.epoch = nil, e
	if a.ctx.Err() != nil {
		a.end(nil)
	}
	a.mu.Unlock()
	for _, b := range a.early {
		a.Deliver(b)
	}
	a.early = nil
	for _, left := range []chan []byte{won.pipe.in, in} {
		for more := true; more; {
			select {
			case b := <-left:
				a.Deliver(b)
			default:
				more = false
			}
		}
	}
	return nil
}

// buffers are for one record each.
var buffers = sync.Pool{New: func() any { return new([maxDatagram]byte) }}

// receive opens the records of a datagram. It returns why the last was discarded of which that is so, and whether the client is to be sent
// our last flight again. The caller holds mu.
func (a *Association) receive(b []byte) (r drop.Reason, again bool) {
	buf := buffers.Get().(*[maxDatagram]byte)
	defer buffers.Put(buf)
	for forged := 0; ; {
		record, rest, ok := cut(b)
		switch {
		case a.ending:
			return drop.DtlsClosed, again
		case !ok:
			return drop.DtlsMalformed, again
		}
		content, why := a.epoch.in.open(buf[:0], record)
		if why == drop.None {
			why = a.heed(record[0], content, &again)
		}
		if why != drop.None {
			r = why
		}
		if why == drop.DtlsAuth {
			forged++
		}
		if b = rest; len(b) == 0 || forged == maxForged {
			return r, again
		}
	}
}

// cut returns the record with which a datagram begins.
func cut(b []byte) (record, rest []byte, ok bool) {
	if len(b) < recordHeader {
		return nil, nil, false
	}
	n := recordHeader + int(binary.BigEndian.Uint16(b[11:]))
	if n > len(b) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// heed acts on a record that is the client's. The caller holds mu.
func (a *Association) heed(kind byte, content []byte, again *bool) drop.Reason {
	switch {
	case kind == applicationData && len(content) == 0: // RFC 5246 §6.2.1 allows it
	case kind == applicationData:
		return a.inside(bytes.Clone(content))
	case kind == handshake && len(content) > 0 && content[0] == finished:
		*again = true // the client repeats its last flight until it has heard ours (RFC 6347 §4.2.4)
	case kind == alert && len(content) == 2:
		if content[0] == fatal || content[1] == closeNotify {
			a.broken = content[0] == fatal
			a.end(&Event{Kind: Closed, Reason: "the client has ended the DTLS association"})
		}
	default:
		return drop.DtlsMalformed
	}
	return drop.None
}

// say seals and sends a record. A close_notify is the last.
func (a *Association) say(kind byte, content []byte) error {
	return a.sealed(kind == alert, func(s *sealer, dst []byte) ([]byte, bool) { return s.seal(dst, kind, content) })
}

// repeat sends our last flight of the handshake again.
func (a *Association) repeat() error { return a.sealed(false, (*sealer).flight) }

// sealed sends what seal makes. last: nothing is sent after it.
func (a *Association) sealed(last bool, seal func(s *sealer, dst []byte) ([]byte, bool)) error {
	s := &a.epoch.out // which stays, once it is there
	buf := buffers.Get().(*[maxDatagram]byte)
	defer buffers.Put(buf)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return net.ErrClosed
	}
	b, ok := seal(s, buf[:0])
	if !ok {
		return errors.New("the DTLS association is used up")
	}
	s.over = last
	a.send(b)
	return nil
}
