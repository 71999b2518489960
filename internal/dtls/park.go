package dtls

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/parley-rtc/parley/internal/drop"
	pion "github.com/pion/dtls/v3"
)

// park ends everything of a finished handshake, and keeps its keys and counters: 1 KiB in place of 60 with the stacks of five
// goroutines. A client without data channels says nothing over DTLS any more until it closes. What one with data channels says starts
// the association again, without all that a handshake takes and leaves.
//
// What is resumed goes on with the counters of the snapshot, so nothing new may be sent after it: the pipe is muted first, and what
// still comes by was sealed before, and is counted.
func (a *Association) park(won *attempt) error {
	won.pipe.muted.Store(true)
	state, ok := won.conn.ConnectionState()
	flight := won.said.Load()
	if !ok || flight == nil {
		return errors.New("the DTLS association has no state")
	}
	state.PeerCertificates = nil // verified long ago
	won.close()
	a.options = nil
	a.latest.Store(nil)
	a.proved.Store(nil)
	a.mu.Lock()
	in := a.in
	a.in, a.parked, a.flight = nil, &state, *flight
	if a.ctx.Err() != nil {
		a.unpark()
	}
	a.mu.Unlock()
	for _, b := range a.early {
		a.take(b)
	}
	a.early = nil
	for _, left := range []chan []byte{won.pipe.in, in} {
		for more := true; more; {
			select {
			case b := <-left:
				a.take(b)
			default:
				more = false
			}
		}
	}
	return nil
}

// take gives the loop a datagram. The client repeats its last flight until it has heard our answer: it then gets that again, to the
// byte, as if the network had been slow. Only what is said after a handshake starts a parked association.
func (a *Association) take(b []byte) drop.Reason {
	finished, says := inspect(b)
	a.mu.Lock()
	again := finished && a.flight != nil
	if a.parked != nil && says {
		a.unpark()
	}
	r := drop.None
	if a.parked == nil {
		select {
		case a.in <- b:
		default:
			r = drop.DtlsQueueFull
		}
	}
	a.mu.Unlock()
	if again {
		a.send(a.flight) // which never changes once it is there
	}
	return r
}

// inspect tells whether an admitted datagram ends a handshake, and whether it has records from after one. They are protected, so
// anybody could have made them up.
func inspect(b []byte) (finished, says bool) {
	for ; len(b) >= recordHeader; b = b[recordHeader+int(binary.BigEndian.Uint16(b[11:])):] {
		if binary.BigEndian.Uint16(b[3:]) > 0 {
			finished = finished || b[0] == handshake
			says = says || b[0] == alert || b[0] == applicationData
		}
	}
	return finished, says
}

// unpark starts the association again, where it is parked. The caller holds mu.
func (a *Association) unpark() {
	state := a.parked
	if state == nil {
		return
	}
	p := newPipe(a.send)
	a.parked, a.in = nil, p.in
	go a.run(func() bool { a.resume(state, p); return false })
}

// resume goes on with what was kept, until the client or Close ends it. What is resumed is not parked again: forged records cost then no
// more than they did.
func (a *Association) resume(state *pion.State, p *pipe) {
	conn, err := pion.ResumeWithOptions(state, p, address{},
		pion.WithMTU(mtu), pion.WithReplayProtectionWindow(replayWindow), pion.WithLoggerFactory(silent))
	if err == nil {
		err = conn.HandshakeContext(context.Background()) // which is over already
	}
	if err != nil {
		a.tell(Event{Kind: Closed, Reason: fmt.Sprintf("resume the DTLS association: %v", err)})
		return
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(a.ctx, func() {
		defer close(closed)
		_ = conn.Close()
	})
	defer func() {
		if !stop() {
			<-closed
		}
		_ = conn.Close()
	}()
	a.serve(conn)
	if a.ctx.Err() == nil {
		a.tell(Event{Kind: Closed, Reason: "the client has ended the DTLS association"})
	}
}
