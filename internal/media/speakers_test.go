package media

import (
	"fmt"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/datagram"
	"github.com/parley-rtc/parley/internal/rtp"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/srtp"
)

// meeting is a shard whose Transports each publish a microphone, and what it told the room.
type meeting struct {
	*Shard
	t       *testing.T
	sources []*srtp.Source
	number  uint16
	now     time.Time
	told    []time.Duration // when
	last    Speakers
}

// Post implements Sink.
func (m *meeting) Post(e Event) bool {
	if e.Speakers != nil {
		m.told, m.last = append(m.told, m.now.Sub(epoch)), *e.Speakers
	}
	return true
}

func newMeeting(t *testing.T, people int) *meeting {
	m := &meeting{t: t, now: epoch}
	m.Shard, _ = loopless(t, people)
	opus := []sdp.Codec{{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2}}
	for i := 1; i <= people; i++ {
		m.transports[TransportID(i)].spec.Events = m
		ctx, err := srtp.NewContext(srtp.AEADAES128GCM, keys(1))
		if err != nil {
			t.Fatal(err)
		}
		m.sources = append(m.sources, ctx.Source(uint32(i)))
		m.command(epoch, Negotiate{Transport: TransportID(i), Sections: []sdp.Negotiated{{
			Mid: "0", Kind: sdp.Audio, Role: sdp.RoleReceive, Codecs: opus, SSRCs: []uint32{uint32(i)}, Extensions: sdp.Extensions{AudioLevel: 1},
		}}})
		m.command(epoch, Publish{Transport: TransportID(i), Mid: "0", Producer: ProducerID(i), Microphone: true})
	}
	return m
}

// talk lets time pass in which everybody sends packets of these levels.
func (m *meeting) talk(d time.Duration, levels ...byte) {
	for end := m.now.Add(d); m.now.Before(end); {
		m.now = m.now.Add(20 * time.Millisecond)
		m.number++
		for i, level := range levels {
			header := rtp.AppendHeader(nil, rtp.Header{PayloadType: 111, SequenceNumber: m.number, Timestamp: uint32(m.number) * 960, SSRC: uint32(i + 1)},
				[]rtp.Extension{{ID: 1, B: []byte{level}}})
			batch, b := datagram.NewBatch(), make([]byte, 100)
			batch.Append(pairOf(i+1), b[:m.sources[i].SealRTP(b, header, []byte{0x78, 1, 2})])
			m.read(m.now, batch, nil)
		}
		m.timeouts(m.now)
	}
}

func (m *meeting) says(want string) {
	m.t.Helper()
	if got := fmt.Sprint(m.last.Dominant, m.last.Speaking); got != want {
		m.t.Errorf("after %v: told %s, want %s", m.now.Sub(epoch), got, want)
	}
}

// The room is told who speaks and who is dominant, at most every 300 ms, and not again what it knows; a Producer that ends speaks no
// more, and when nobody sends anything the shard has nothing to do.
func TestSpeakersAreTold(t *testing.T) {
	m := newMeeting(t, 3)
	m.talk(time.Second, 80, 80, 80)
	if len(m.told) != 0 {
		t.Errorf("told at %v that nobody speaks", m.told)
	}
	m.talk(time.Second, 20, 80, 80)
	m.says("1 [1]")
	m.talk(3*time.Second, 80, 20, 80)
	m.says("2 [2]")
	quiet := len(m.told)
	m.talk(4*time.Second, 80, 20, 80)
	if len(m.told) != quiet {
		t.Errorf("told at %v, and nothing had changed", m.told[quiet:])
	}
	for range 8 {
		m.talk(180*time.Millisecond, 20, 20, 80)
		m.talk(900*time.Millisecond, 80, 80, 20)
	}
	for i := range m.told[1:] {
		if pause := m.told[i+1] - m.told[i]; pause < speakersPause {
			t.Errorf("told %v after %v", pause, m.told[i])
		}
	}
	if len(m.told) < 8 {
		t.Errorf("told %d times", len(m.told))
	}
	m.talk(3*time.Second, 80, 20, 80)
	m.unpublish(2)
	m.rank(m.now, m.rooms[1])
	m.talk(time.Second)
	m.says("0 []")
	m.talk(6 * time.Second)
	if next := m.rooms[1].router.Floor().Next(); !next.IsZero() {
		t.Errorf("the floor does not rest: %v", next)
	}
}

// Of the shards of a room only the first tells who speaks; when another becomes the first, it tells at once how things are.
func TestOneShardTells(t *testing.T) {
	m := newMeeting(t, 3)
	m.command(m.now, Span{Room: 1, Shards: []int{0, 1}})
	m.talk(2*time.Second, 20, 80, 80)
	m.says("1 [1]")
	m.command(m.now, Span{Room: 1, Shards: []int{1, 2}})
	told := len(m.told)
	m.talk(3*time.Second, 80, 20, 80)
	if len(m.told) != told {
		t.Errorf("told at %v by a shard that is not the first", m.told[told:])
	}
	m.talk(2*time.Second, 20, 80, 80)
	m.last = Speakers{Dominant: 3} // what the other shard told
	m.command(m.now, Span{Room: 1, Shards: []int{0, 1}})
	m.talk(20*time.Millisecond, 20, 80, 80)
	m.rank(m.now, m.rooms[1])
	m.says("1 [1]")
}
