package media_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/internal/media"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/sim"
)

var bothSlots = map[string]sdp.LocalSection{
	"0": {Role: sdp.RoleSend, StreamID: "slot-0", TrackID: "v", CNAME: "pair-0", SSRC: 1000, RTXSSRC: 1001},
	"1": {Role: sdp.RoleSend, StreamID: "slot-0", TrackID: "a", CNAME: "pair-0", SSRC: 1002},
}

// on is a client whose Transport is on this shard.
func (n *node) on(shard int) *client {
	n.t.Helper()
	c := n.client()
	c.shard = shard
	return c
}

// mirror lets Producer 1, fed by the first m-line of c, fill slots on a shard.
func (n *node) mirror(shard int, c *client, producer media.ProducerID) {
	section := c.answer.Sections[producer-1]
	n.shards[shard].Do(media.Mirror{Room: 1, Producer: producer, Shard: c.shard, Section: section})
}

// counts of one shard.
func (n *node) countsOf(shard int) media.Counts {
	n.t.Helper()
	c, err := n.shards[shard].Counts(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

// What one publishes arrives at somebody whose Transport is on another shard, as if it were on the same; and everything ends on both.
func TestCallOverPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNodeOf(t, sim.Link{Delay: 30 * time.Millisecond, Loss: 0.02}, 2)
		pub, sub := n.on(0), n.on(1)
		video, audio := track(t, pub, webrtc.MimeTypeVP8, "video"), track(t, pub, webrtc.MimeTypeOpus, "audio")
		n.connect(pub, 1, map[string]sdp.LocalSection{"0": {Role: sdp.RoleReceive}, "1": {Role: sdp.RoleReceive}}, nil)
		pub.state(t, media.Connected)
		n.shard.Do(media.Publish{Transport: pub.id, Mid: "0", Producer: 1})
		n.shard.Do(media.Publish{Transport: pub.id, Mid: "1", Producer: 2})
		got := received(t, sub)
		n.connect(sub, 1, bothSlots, nil)
		sub.state(t, media.Connected)
		for i := range 2 {
			n.mirror(1, pub, media.ProducerID(i+1))
			n.shards[1].Do(media.Assign{Transport: sub.id, Mid: fmt.Sprint(i), Generation: 1, Producer: media.ProducerID(i + 1), Immediate: i == 0})
		}
		for i := range 200 {
			write(t, video, i, 90000/50, vp8(i))
			write(t, audio, i, 960, []byte{0x78, byte(i)})
			time.Sleep(20 * time.Millisecond)
		}
		for i := range trailing { // with which pion hands on what was repaired before
			time.Sleep(200 * time.Millisecond)
			write(t, video, 200+i, 90000/5, vp8(200+i))
		}
		for kind, want := range map[string]int{"video": 190, "audio": 170} {
			got.check(t, kind, want, kind == "video")
		}
		near, far := n.countsOf(0), n.countsOf(1)
		if near.Producers != 2 || near.Mirrors != 0 || far.Producers != 0 || far.Mirrors != 2 || far.Piped < 380 || near.Piped != 0 {
			t.Errorf("near %+v\nfar %+v", near, far)
		}
		if c := n.counts(); c.Drops[drop.PipeFull] != 0 || c.Panics != 0 {
			t.Errorf("%d faults, drops %v", c.Panics, c.Drops)
		}
		n.shard.Do(media.Unpublish{Producer: 1})
		synctest.Wait()
		if far := n.countsOf(1); far.Mirrors != 1 {
			t.Errorf("%d mirrors after one was unpublished", far.Mirrors)
		}
		n.shard.Do(media.CloseTransport{Transport: pub.id})
		synctest.Wait()
		if far := n.countsOf(1); far.Mirrors != 0 || far.Transports != 1 {
			t.Errorf("far %+v after the publisher has gone", far)
		}
		n.mirror(1, pub, 2) // it has gone meanwhile
		synctest.Wait()
		if far := n.countsOf(1); far.Mirrors != 0 {
			t.Errorf("a mirror of nothing: %+v", far)
		}
		n.shards[1].Do(media.CloseTransport{Transport: sub.id})
		if c := n.counts(); c.Transports != 0 || c.Producers != 0 || c.Rooms != 0 {
			t.Errorf("left behind: %+v", c)
		}
	})
}

// A subscriber on another shard who comes when no key frame is due gets one all the same; nothing crosses when he has gone, nor for a
// mirror that nobody watches.
func TestLateJoinerBeyondPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNodeOf(t, sim.Link{Delay: 20 * time.Millisecond}, 2)
		stop := onlyWhenAsked(t, n, 1)
		defer stop()
		time.Sleep(3 * time.Second)
		sub := n.on(1)
		got := received(t, sub)
		n.connect(sub, 1, bothSlots, nil)
		section := sdp.Negotiated{Kind: sdp.Video, Codecs: []sdp.Codec{{Name: "vp8", PayloadType: 96, ClockRate: 90000}}}
		n.shards[1].Do(media.Mirror{Room: 1, Producer: 1, Section: section})
		sub.state(t, media.Connected)
		time.Sleep(3 * time.Second)
		if c := n.countsOf(1); c.Piped != 0 || c.Mirrors != 1 {
			t.Errorf("%d packets crossed for nobody, %d mirrors", c.Piped, c.Mirrors)
		}
		n.shards[1].Do(media.Assign{Transport: sub.id, Mid: "0", Generation: 1, Producer: 1, Immediate: true})
		time.Sleep(20 * time.Second) // longer than a wish counts
		if packets := len(got.numbers["video"]); packets < 580 {
			t.Errorf("%d packets in 20 s of 30 a second", packets)
		}
		n.shards[1].Do(media.Assign{Transport: sub.id, Mid: "0", Generation: 2})
		time.Sleep(time.Second)
		before := n.countsOf(1).Piped
		time.Sleep(time.Second)
		if after := n.countsOf(1).Piped; after != before {
			t.Errorf("%d packets cross for nobody", after-before)
		}
		n.shards[1].Do(media.Assign{Transport: sub.id, Mid: "0", Generation: 3, Producer: 1, Immediate: true})
		time.Sleep(time.Second)
		n.shards[1].Do(media.CloseTransport{Transport: sub.id})
		time.Sleep(time.Second)
		if c := n.countsOf(1); c.Mirrors != 0 || c.Rooms != 0 {
			t.Errorf("left behind: %+v", c)
		}
		before = n.countsOf(1).Drops[drop.Unpublished]
		time.Sleep(time.Second)
		if after := n.countsOf(1).Drops[drop.Unpublished]; after != before {
			t.Errorf("%d packets cross to where nobody is left", after-before)
		}
	})
}

// Data messages reach all others of the room on whatever shard they are, or the one that they are for; and only one shard tells that
// there is no such one.
func TestDataMessagesOnShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNodeOf(t, sim.Link{Delay: 20 * time.Millisecond}, 3)
		var channels [4]*webrtc.DataChannel
		inbox := make(chan string, 16)
		for i := range channels {
			c := n.on(i % 3)
			d, err := c.CreateDataChannel("parley", nil)
			if err != nil {
				t.Fatal(err)
			}
			opened := make(chan struct{})
			d.OnOpen(func() { close(opened) })
			d.OnMessage(func(m webrtc.DataChannelMessage) { inbox <- fmt.Sprintf("%d %q", i+1, m.Data) })
			n.connect(c, 1, map[string]sdp.LocalSection{"0": {Role: sdp.RoleData}}, nil)
			c.state(t, media.Connected)
			<-opened
			channels[i] = d
		}
		for _, x := range []struct {
			message string
			want    []string
		}{
			{"\x01\x00all", []string{`2 "\x01\aclient1all"`, `3 "\x01\aclient1all"`, `4 "\x01\aclient1all"`}},
			{"\x00\x07client3one", []string{`3 "\x00\aclient1one"`}},
			{"\x00\x07client4one", []string{`4 "\x00\aclient1one"`}},
			{"\x00\x07nobody!", nil},
		} {
			if err := channels[0].Send([]byte(x.message)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			var got []string
			for len(inbox) > 0 {
				got = append(got, <-inbox)
			}
			slices.Sort(got)
			if !slices.Equal(got, x.want) {
				t.Errorf("%q: got %v, want %v", x.message, got, x.want)
			}
		}
		if c := n.counts(); c.Data.Messages != 5 || c.Drops[drop.DataUnknownTo] != 1 {
			t.Errorf("messages %d, drops %v", c.Data.Messages, c.Drops)
		}
	})
}
