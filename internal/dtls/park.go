package dtls

import (
	"context"
	"fmt"
	"time"

	pion "github.com/pion/dtls/v3"
)

// Settle says that the client has the keys: something that it sealed with them has been opened. It has finished the handshake then,
// so nobody asks for the last flight again, and an association over which nothing is said may be parked.
func (a *Association) Settle() { a.settle.Do(func() { close(a.settled) }) }

// carry gives the association that won every datagram until it is over. It returns true where it has been parked instead, which
// happens once at most.
func (a *Association) carry(won *attempt) (parked bool) {
	defer won.close()
	ended := make(chan struct{})
	a.work.Go(func() {
		defer close(ended)
		a.serve(won.conn)
	})
	settled, quiet := a.settled, (<-chan time.Time)(nil)
	if a.resumed {
		settled = nil
	}
	for {
		select {
		case b := <-a.in:
			won.pipe.put(b)
		case <-settled:
			settled, quiet = nil, time.After(parkAfter)
		case <-quiet:
			if quiet = nil; !a.talks.Load() && a.park(won, ended) {
				return true
			}
		case <-ended:
			a.tell(Event{Kind: Closed, Reason: "the client has ended the DTLS association"})
			return false
		case <-a.ctx.Done():
			return false
		}
	}
}

// park ends all goroutines of an association and keeps its keys and counters: 1 KiB in place of 60. A client that only watches says
// nothing over DTLS until it closes.
//
// What is resumed goes on with the counters of the snapshot, so nothing may be sent after it: the pipe is muted first, and what
// comes by in time was sealed before, and is counted.
func (a *Association) park(won *attempt, ended <-chan struct{}) bool {
	won.pipe.muted.Store(true)
	state, ok := won.conn.ConnectionState()
	if !ok {
		won.pipe.muted.Store(false)
		return false
	}
	state.PeerCertificates = nil // verified long ago
	won.close()
	<-ended
	a.latest.Store(nil)
	a.proved.Store(nil)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.parked = &state
	if len(a.in) > 0 || a.ctx.Err() != nil {
		a.unpark()
	} else {
		a.in = nil
	}
	return true
}

// unpark starts the association again, where it is parked. The caller holds mu.
func (a *Association) unpark() {
	state := a.parked
	if state == nil {
		return
	}
	a.parked, a.resumed = nil, true
	if a.in == nil {
		a.in = make(chan []byte, queueDatagrams)
	}
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
