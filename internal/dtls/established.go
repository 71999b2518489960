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
	flight := won.said.Load()
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

// receive opens the records of a datagram. It returns why the last was discarded of which that is so, and what the client is to be
// sent. The caller holds mu.
func (a *Association) receive(b []byte) (r drop.Reason, answer []byte) {
	buf := buffers.Get().(*[maxDatagram]byte)
	defer buffers.Put(buf)
	for forged := 0; ; {
		record, rest, ok := cut(b)
		switch {
		case a.ending:
			return drop.DtlsClosed, answer
		case !ok:
			return drop.DtlsMalformed, answer
		}
		content, why := a.epoch.in.open(buf[:0], record)
		if why == drop.None {
			why = a.heed(record[0], content, &answer)
		}
		if why != drop.None {
			r = why
		}
		if why == drop.DtlsAuth {
			forged++
		}
		if b = rest; len(b) == 0 || forged == maxForged {
			return r, answer
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
func (a *Association) heed(kind byte, content []byte, answer *[]byte) drop.Reason {
	switch {
	case kind == applicationData && len(content) == 0: // RFC 5246 §6.2.1 allows it
	case kind == applicationData:
		return a.inside(bytes.Clone(content))
	case kind == handshake && len(content) > 0 && content[0] == finished:
		// The client repeats its last flight until it has heard ours: it gets that again, to the byte, as if the network had been slow.
		*answer = a.epoch.flight
	case kind == alert && len(content) == 2:
		if content[0] == fatal || content[1] == closeNotify {
			a.end(&Event{Kind: Closed, Reason: "the client has ended the DTLS association"})
		}
	default:
		return drop.DtlsMalformed
	}
	return drop.None
}

// say seals and sends a record. A close_notify is the last.
func (a *Association) say(kind byte, content []byte) error {
	s := &a.epoch.out // which stays, once it is there
	buf := buffers.Get().(*[maxDatagram]byte)
	defer buffers.Put(buf)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return net.ErrClosed
	}
	record, ok := s.seal(buf[:0], kind, content)
	if !ok {
		return errors.New("the DTLS association is used up")
	}
	s.over = kind == alert
	a.send(record)
	return nil
}
