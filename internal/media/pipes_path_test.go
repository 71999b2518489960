package media

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/port"
	"github.com/parley-rtc/parley/internal/route"
)

// looplessPair is two shards of one room whose loops the test plays: the publisher and every other subscriber on the first, the
// other subscribers on the second.
func looplessPair(t testing.TB, transports int) (near, far *Shard, out [2]*counter) {
	t.Helper()
	peers, spare, pairs := make([]*Shard, 2), make(chan *route.PipeBatch, sparePiped), port.NewPairs()
	for i := range peers {
		out[i] = &counter{}
		peers[i] = newShard(Config{Sender: out[i], Pairs: pairs, Recycle: func(*datagram.Batch) {}, Log: slog.New(slog.DiscardHandler)}, i, peers, spare)
	}
	near, far = peers[0], peers[1]
	var here, there []int
	for i := 1; i <= transports; i++ {
		if i%2 == 1 {
			here = append(here, i)
		} else {
			there = append(there, i)
		}
	}
	connectAll(epoch, near, here)
	connectAll(epoch, far, there)
	fanOut(epoch, near, here)
	section, _ := near.transports[1].transport.Section("0")
	far.command(epoch, Mirror{Room: 1, Producer: 1, Section: section})
	subscribe(epoch, far, there)
	far.readMail(epoch)
	near.readMail(epoch)
	for i, s := range peers { // what is due at once is not what tests count
		s.timeouts(epoch)
		*out[i] = counter{}
	}
	return near, far, out
}

// play lets both shards handle a batch.
func play(near, far *Shard, b *datagram.Batch) {
	near.read(epoch, b, nil)
	far.read(epoch, nil, <-far.pipes)
}

// From a batch of datagrams to the runs that leave on two shards, nothing is allocated, and each subscriber's share of a frame is one
// run.
func TestPipeAllocatesNothing(t *testing.T) {
	const transports, runs = 9, 50
	near, far, out := looplessPair(t, transports)
	batches := frames(t, runs+3)
	play(near, far, batches[0])
	play(near, far, batches[1])
	*out[0], *out[1] = counter{}, counter{}
	i := 2
	if n := testing.AllocsPerRun(runs, func() { play(near, far, batches[i]); i++ }); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
	for k, subscribers := range []int{4, 4} {
		if want := (runs + 1) * 5 * subscribers; out[k].datagrams != want || out[k].runs != want/5 {
			t.Errorf("shard %d: %d datagrams in %d runs, want %d in %d", k, out[k].datagrams, out[k].runs, want, want/5)
		}
	}
}

// A shard that does not keep up loses batches of others, which count them and go on; afterwards pictures begin again.
func TestPipeFull(t *testing.T) {
	near, far, out := looplessPair(t, 3)
	*out[0], *out[1] = counter{}, counter{}
	batches := frames(t, inboxPiped+4)
	for _, b := range batches[:inboxPiped+3] {
		near.read(epoch, b, nil)
	}
	if n := near.drops[drop.PipeFull]; n != 3*5 {
		t.Errorf("%d packets dropped", n)
	}
	if out[0].datagrams != (inboxPiped+3)*5 {
		t.Errorf("subscribers beside the publisher got %d", out[0].datagrams)
	}
	for len(far.pipes) > 0 {
		far.read(epoch, nil, <-far.pipes)
	}
	if out[1].datagrams != inboxPiped*5 {
		t.Errorf("subscribers on the other shard got %d", out[1].datagrams)
	}
	before := out[0].datagrams
	near.timeouts(epoch.Add(time.Second)) // reports of one second, and a request for a key frame
	near.read(epoch.Add(time.Second), batches[inboxPiped+3], nil)
	if out[0].datagrams-before < 5+2 || len(far.pipes) != 1 {
		t.Errorf("%d datagrams, %d batches", out[0].datagrams-before, len(far.pipes))
	}
}

// A fault in what comes from another shard is counted and ends nothing.
func TestFaultInPipe(t *testing.T) {
	near, far, _ := looplessPair(t, 3)
	near.read(epoch, frames(t, 1)[0], nil)
	far.rooms[1].router.Producer(1).Encoding(0).Restart()
	far.rooms[1].router = nil // whatever it was
	far.read(epoch, nil, <-far.pipes)
	if far.counts.Panics != 1 || len(far.transports) != 1 {
		t.Errorf("%d faults, %d Transports left", far.counts.Panics, len(far.transports))
	}
}

// BenchmarkPipe is what one packet costs to cross: copied on the one side, parsed, looked at and cached on the other.
func BenchmarkPipe(b *testing.B) {
	for _, subscribers := range []int{2, 50, 200} {
		b.Run(fmt.Sprint(subscribers), func(b *testing.B) {
			near, far, _ := looplessPair(b, subscribers+1)
			n := b.N/(5*subscribers) + 2
			batches := frames(b, n)
			play(near, far, batches[0])
			b.ReportAllocs()
			b.ResetTimer()
			for _, batch := range batches[1:] {
				play(near, far, batch)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64((n-1)*5*subscribers), "ns/packet")
		})
	}
}

// A fault of a publisher's Transport ends that one and its mirrors elsewhere, and no other Transport of the room on any shard.
func TestFaultStaysOnItsShard(t *testing.T) {
	near, far, out := looplessPair(t, 5)
	batches := frames(t, 2)
	play(near, far, batches[0])
	func() {
		defer near.recover(near.transports[1])
		panic("a broken invariant")
	}()
	far.readMail(epoch)
	if near.transports[1] != nil || len(near.transports) != 2 || len(far.transports) != 2 || far.mirrors != 0 || far.counts.Panics != 0 {
		t.Errorf("%d and %d Transports left, %d mirrors", len(near.transports), len(far.transports), far.mirrors)
	}
	*out[1] = counter{}
	near.read(epoch, batches[1], nil)
	far.readMail(epoch) // what is nobody's here may be somebody's there
	if len(far.pipes) != 0 || far.drops[drop.UnknownSource] != 5 {
		t.Errorf("%d batches crossed, drops %v", len(far.pipes), far.drops)
	}
	far.timeouts(epoch.Add(time.Second))
	if far.counts.Panics != 0 {
		t.Error("the other shard fails too")
	}
}
