package dtls

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/parley-rtc/parley/internal/drop"
	pion "github.com/pion/dtls/v3"
)

// park ends everything of a finished handshake that costs memory, and keeps its keys and counters: 1 KiB in place of 60 with the
// stacks of five goroutines. A client without data channels says nothing over DTLS any more until it closes.
//
// What is resumed goes on with the counters of the snapshot, so nothing new may be sent after it: the pipe is muted first, and what
// still comes by was sealed before, and is counted.
func (a *Association) park(won *attempt) bool {
	won.pipe.muted.Store(true)
	state, ok := won.conn.ConnectionState()
	flight := won.said.Load()
	if !ok || flight == nil {
		won.pipe.muted.Store(false)
		return false
	}
	state.PeerCertificates = nil // verified long ago
	won.close()
	a.latest.Store(nil)
	a.proved.Store(nil)
	a.mu.Lock()
	in := a.in
	a.in, a.parked, a.flight = nil, &state, *flight
	if a.ctx.Err() != nil {
		a.unpark()
	}
	a.mu.Unlock()
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
	return true
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
	a.parked, a.resumed, a.in = nil, true, make(chan []byte, queueDatagrams)
	go a.run(func() *attempt { return a.resume(state) })
}

// resume makes an association of what was kept.
func (a *Association) resume(state *pion.State) *attempt {
	t := &attempt{pipe: newPipe(a.send)}
	var err error
	t.conn, err = pion.ResumeWithOptions(state, t.pipe, address{},
		pion.WithMTU(mtu), pion.WithReplayProtectionWindow(replayWindow), pion.WithLoggerFactory(silent))
	if err == nil {
		err = t.conn.HandshakeContext(context.Background()) // which is over already
	}
	if err != nil {
		a.tell(Event{Kind: Closed, Reason: fmt.Sprintf("resume the DTLS association: %v", err)})
		return nil
	}
	return t
}
