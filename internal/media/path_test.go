package media

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/dtls"
	"github.com/parley-rtc/parley/internal/port"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/srtp"
)

// counter is a Sender that counts.
type counter struct{ datagrams, runs int }

func (c *counter) Send(e *datagram.Egress) {
	c.datagrams += e.Datagrams()
	c.runs += len(e.Runs())
}
func (c *counter) CloseStream(datagram.Pair) {}

type ignored struct{}

func (ignored) Post(Event) bool { return true }

var (
	epoch = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	local = netip.MustParseAddrPort("127.0.0.1:8443")
)

func keys(fill byte) srtp.Keys {
	return srtp.Keys{Key: bytes.Repeat([]byte{fill}, 16), Salt: bytes.Repeat([]byte{fill}, 12)}
}

// loopless is a shard whose loop the test plays, with Transports that are connected.
func loopless(t testing.TB, transports int) (*Shard, *counter) {
	t.Helper()
	out := &counter{}
	s := newShard(Config{Sender: out, Pairs: port.NewPairs(), Recycle: func(*datagram.Batch) {}, Log: slog.New(slog.DiscardHandler)}, 0, nil, nil)
	connectAll(epoch, s, upTo(transports))
	return s, out
}

// upTo lists the numbers of Transports.
func upTo(n int) (all []int) {
	for i := 1; i <= n; i++ {
		all = append(all, i)
	}
	return all
}

func connectAll(now time.Time, s *Shard, transports []int) {
	for _, i := range transports {
		s.wait(now, i, ignored{}, Place{})
		s.check(now, i)
		s.key(now, s.transports[TransportID(i)], &dtls.Event{Profile: srtp.AEADAES128GCM, Client: keys(1), Server: keys(2)})
	}
}

// wait opens a Transport that waits for its client.
func (s *Shard) wait(now time.Time, i int, events Sink, place Place) {
	s.open(now, OpenTransport{
		Transport: TransportID(i), Room: 1, Local: sdp.ICE{Ufrag: fmt.Sprintf("server%d", i), Pwd: "0123456789012345678901ab"},
		Remote: sdp.ICE{Ufrag: "client34", Pwd: "abcdefghijabcdefghijabcd"}, Events: events, Place: place,
	})
}

// check lets a client's ICE check arrive, which is its consent too.
func (s *Shard) check(now time.Time, i int) { s.checkOn(now, i, pairOf(i)) }

func (s *Shard) checkOn(now time.Time, i int, pair datagram.Pair) {
	m := stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.NewUsername(fmt.Sprintf("server%d:client34", i)),
		stun.RawAttribute{Type: stun.AttrPriority, Value: []byte{0x7e, 0, 1, 0xff}}, stun.RawAttribute{Type: stun.AttrUseCandidate},
		stun.RawAttribute{Type: stun.AttrICEControlling, Value: make([]byte, 8)}, stun.NewShortTermIntegrity("0123456789012345678901ab"), stun.Fingerprint)
	s.receive(now, &datagram.Datagram{Pair: pair, B: m.Raw})
}

func pairOf(i int) datagram.Pair {
	return datagram.Pair{Local: local, Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), 5000)}
}

var vp8Codec = []sdp.Codec{{Name: "vp8", PayloadType: 96, ClockRate: 90000, RTX: 97, Feedback: []string{"nack"}}}

// fanOut lets the first of these Transports publish to the others.
func fanOut(now time.Time, s *Shard, transports []int) {
	s.command(now, Negotiate{Transport: 1, Sections: []sdp.Negotiated{{Mid: "0", Kind: sdp.Video, Role: sdp.RoleReceive, Codecs: vp8Codec, SSRCs: []uint32{77}}}})
	s.command(now, Publish{Transport: 1, Mid: "0", Producer: 1})
	subscribe(now, s, transports[1:])
}

func subscribe(now time.Time, s *Shard, transports []int) {
	for _, i := range transports {
		s.command(now, Negotiate{Transport: TransportID(i), Sections: []sdp.Negotiated{{
			Mid: "0", Kind: sdp.Video, Role: sdp.RoleSend, Codecs: vp8Codec, SSRC: uint32(1000 + 2*i), RTXSSRC: uint32(1001 + 2*i), CNAME: "c",
			Extensions: sdp.Extensions{Mid: 4, AbsSendTime: 2, TransportCC: 3},
		}}})
		s.command(now, Assign{Transport: TransportID(i), Mid: "0", Generation: 1, Producer: 1, Immediate: true})
	}
}

// frames returns batches of one frame of five sealed packets each.
func frames(t testing.TB, n int) []*datagram.Batch {
	t.Helper()
	ctx, err := srtp.NewContext(srtp.AEADAES128GCM, keys(1))
	if err != nil {
		t.Fatal(err)
	}
	source, seq := ctx.Source(77), uint16(0)
	out := make([]*datagram.Batch, n)
	for i := range out {
		out[i] = datagram.NewBatch()
		for k := range 5 {
			seq++
			payload := append([]byte{0x80, 0x80, 0x80 | byte(i>>8), byte(i)}, make([]byte, 1160)...)
			if k == 0 {
				payload[0] |= 0x10
				copy(payload[4:], []byte{0x11, 2, 0})
				if i == 0 {
					copy(payload[4:], []byte{0x10, 2, 0, 0x9d, 1, 0x2a, 0x80, 2, 0x68, 1})
				}
			}
			h := rtp.AppendHeader(nil, rtp.Header{PayloadType: 96, SequenceNumber: seq, Timestamp: uint32(i) * 3000, SSRC: 77, Marker: k == 4}, nil)
			b := make([]byte, 1500)
			out[i].Append(pairOf(1), b[:source.SealRTP(b, h, payload)])
		}
	}
	return out
}

// From a batch of datagrams to the runs that leave, for every subscriber, the shard allocates nothing, and each subscriber's share
// of a frame is one run.
func TestShardAllocatesNothing(t *testing.T) {
	const transports, runs = 9, 50
	s, out := loopless(t, transports)
	fanOut(epoch, s, upTo(transports))
	s.readMail(epoch)
	batches := frames(t, runs+2)
	s.read(epoch, batches[0], nil)
	*out = counter{}
	i := 1
	n := testing.AllocsPerRun(runs, func() { s.read(epoch, batches[i], nil); i++ })
	if n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
	if want := (runs + 1) * 5 * (transports - 1); out.datagrams != want || out.runs != want/5 {
		t.Errorf("%d datagrams in %d runs, want %d in %d; drops %v", out.datagrams, out.runs, want, want/5, s.drops)
	}
}

// BenchmarkFanOut is the shard's share of forwarding a packet to one subscriber: no socket is in it.
func BenchmarkFanOut(b *testing.B) {
	for _, subscribers := range []int{10, 50, 200} {
		b.Run(fmt.Sprint(subscribers), func(b *testing.B) {
			s, _ := loopless(b, subscribers+1)
			fanOut(epoch, s, upTo(subscribers+1))
			s.readMail(epoch)
			n := b.N/(5*subscribers) + 2
			batches := frames(b, n)
			s.read(epoch, batches[0], nil)
			b.ReportAllocs()
			b.ResetTimer()
			for _, batch := range batches[1:] {
				s.read(epoch, batch, nil)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64((n-1)*5*subscribers), "ns/packet")
		})
	}
}
