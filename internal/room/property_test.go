package room

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// Rule: whatever a crowd does in whatever order, revisions are contiguous, every event leads a replica to the room's own
// snapshot, slots and subscriptions agree with what clients were told and with the media plane, generations grow, ids are
// never used again, pairs hold one participant, and no limit is crossed. The scene checks all of it after every command.
func TestAnyInterleaving(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &crowd{scene: newScene(t), t: t}
		t.Repeat(map[string]func(*rapid.T){
			"join": c.join, "leave": c.leave, "offer": c.offer, "publish": c.publish, "receive": c.receive, "connection": c.connection,
			"codecs": c.codecs, "garble": c.garble, "request": c.request, "subscribe": c.subscribe, "transport": c.transport, "speak": c.speak, "grant": c.grant,
		})
		c.do(End{Code: wire.CodeDraining})
		if !c.r.Empty() || len(c.plane.transports) != 0 || len(c.r.publications) != 0 || c.r.metadata != 0 {
			t.Fatalf("something is left after the end")
		}
	})
}

// crowd is a scene whose clients do anything.
type crowd struct {
	*scene
	t        *rapid.T
	sessions int
}

func (c *crowd) join(t *rapid.T) {
	c.sessions++
	grants := wire.Grants{
		Publish: rapid.IntRange(0, 9).Draw(t, "publish") > 0, Subscribe: rapid.IntRange(0, 9).Draw(t, "subscribe") > 0,
		PublishData: true, Admin: rapid.Bool().Draw(t, "admin"), Hidden: rapid.IntRange(0, 9).Draw(t, "hidden") == 0,
	}
	c.do(Join{
		Session: fmt.Sprint("s", c.sessions), Carrier: rapid.SampledFrom([]Carrier{WS, WS, WS, WHIP, WHEP}).Draw(t, "carrier"),
		Identity: rapid.SampledFrom([]string{"", "ann", "bob", "cid", "dan", "eve"}).Draw(t, "identity"),
		Metadata: rapid.StringN(0, 3, 9).Draw(t, "metadata"), Grants: grants,
		ManualSubscribe: rapid.IntRange(0, 4).Draw(t, "manual") == 0,
		LastN:           rapid.SampledFrom([]int{0, 0, 1, 2, -1}).Draw(t, "last n"),
	})
}

// grant rules what somebody may do, or another identity.
func (c *crowd) grant(t *rapid.T) {
	ruled := func(name string) *bool {
		return rapid.SampledFrom([]*bool{nil, new(true), new(true), new(false)}).Draw(t, name)
	}
	c.do(Grant{
		Identity: rapid.SampledFrom([]string{"ann", "bob", "cid", "dan", "eve"}).Draw(t, "identity"),
		Publish:  ruled("publish"), Subscribe: ruled("subscribe"), PublishData: ruled("data"),
		Sources: rapid.SampledFrom([]*[]wire.Source{nil, nil, {}, {wire.SourceMicrophone}, {"window"}}).Draw(t, "sources"),
	})
}

// some draws one of the clients that are in the room; there is one most of the time.
func (c *crowd) some(t *rapid.T) *client {
	if len(c.r.participants) == 0 {
		t.Skip("nobody is there")
	}
	return c.clients[rapid.SampledFrom(c.r.participants).Draw(t, "who").session]
}

func (c *crowd) leave(t *rapid.T) {
	who := c.some(t)
	if rapid.IntRange(0, 2).Draw(t, "stay") > 0 {
		return
	}
	c.do(Leave{Session: who.session})
}

func (c *crowd) offer(t *rapid.T) { c.send(t, c.some(t)) }

// send offers what the client's connection is like, unless all of it is stopped.
func (c *crowd) send(t *rapid.T, who *client) {
	if slices.ContainsFunc(who.pc.lines, func(l mline) bool { return !l.stopped }) {
		c.do(who.offer(t))
	}
}

var kinds = map[wire.Source][]string{
	wire.SourceMicrophone: {"opus"}, wire.SourceScreenAudio: {"opus"}, wire.SourceCamera: video, wire.SourceScreen: video, wire.SourceOther: video,
}

func (c *crowd) publish(t *rapid.T) {
	who := c.some(t)
	if len(who.pc.lines) > 60 {
		return
	}
	source := rapid.SampledFrom([]wire.Source{
		wire.SourceMicrophone, wire.SourceCamera, wire.SourceCamera, wire.SourceScreen, wire.SourceScreenAudio, wire.SourceOther,
	}).Draw(t, "source")
	codecs := rapid.Permutation(kinds[source]).Draw(t, "codecs")
	mid := fmt.Sprint("m", len(who.pc.lines))
	switch layers := rapid.IntRange(0, 2).Draw(t, "layers"); {
	case layers == 1 && codecs[0] != "opus":
		who.pc.simulcast(mid, source, codecs...)
	case layers == 2 && codecs[0] != "opus":
		who.pc.publish(mid, source, codecs...)
		track := &who.pc.tracks[len(who.pc.tracks)-1]
		track.ScalabilityMode, track.Width, track.Height = "L2T3_KEY", 640, 360
	default:
		who.pc.publish(mid, source, codecs...)
	}
	c.send(t, who)
}

func (c *crowd) receive(t *rapid.T) {
	who := c.some(t)
	if len(who.pc.lines) > 60 {
		return
	}
	codecs := rapid.Permutation(video).Draw(t, "codecs")[:rapid.IntRange(1, 4).Draw(t, "n")]
	who.pc.receive(rapid.IntRange(0, 3).Draw(t, "pairs"), rapid.IntRange(0, 2).Draw(t, "videos"), codecs...)
	c.send(t, who)
}

// connection restarts ICE, or makes a new connection, perhaps with other m-lines.
func (c *crowd) connection(t *rapid.T) {
	who := c.some(t)
	switch rapid.IntRange(0, 3).Draw(t, "how") {
	case 0:
		who.pc.restarts++
	case 1:
		who.pc.renew()
	case 2:
		who.pc.renew()
		who.pc.lines, who.pc.tracks, who.pc.slots = nil, nil, nil
	case 3:
		c.do(Restart{Session: who.session, ICE: sdp.ICE{Ufrag: rapid.SampledFrom([]string{"", "abcd", "efgh"}).Draw(t, "ufrag"), Pwd: "x"}})
	}
}

// codecs changes an m-line: its codecs, its direction, whether it is stopped.
func (c *crowd) codecs(t *rapid.T) {
	who := c.some(t)
	if len(who.pc.lines) == 0 {
		return
	}
	l := &who.pc.lines[rapid.IntRange(0, len(who.pc.lines)-1).Draw(t, "line")]
	switch rapid.IntRange(0, 2).Draw(t, "what") {
	case 0:
		if !l.audio() {
			l.codecs = rapid.Permutation(video).Draw(t, "codecs")[:rapid.IntRange(1, 4).Draw(t, "n")]
		}
	case 1:
		l.direction = rapid.SampledFrom([]string{"sendonly", "recvonly", "sendrecv", "inactive"}).Draw(t, "direction")
	case 2:
		l.stopped = !l.stopped
	}
}

// garble sends an offer whose lists are anything.
func (c *crowd) garble(t *rapid.T) {
	who := c.some(t)
	if !slices.ContainsFunc(who.pc.lines, func(l mline) bool { return !l.stopped }) {
		return
	}
	o := who.offer(t)
	mids := []string{"", "nowhere"}
	for _, l := range who.pc.lines {
		mids = append(mids, l.mid)
	}
	mid := rapid.SampledFrom(mids)
	o.Tracks, o.Slots = slices.Clone(o.Tracks), slices.Clone(o.Slots)
	switch rapid.IntRange(0, 4).Draw(t, "how") {
	case 0:
		o.Tracks = append(o.Tracks, wire.OfferTrack{Mid: mid.Draw(t, "mid"), Source: wire.SourceOther})
	case 1:
		o.Slots = append(o.Slots, wire.OfferSlot{Audio: mid.Draw(t, "audio"), Video: mid.Draw(t, "video")})
	case 2:
		o.Slots = o.Slots[:len(o.Slots)/2]
	case 3:
		o.Tracks = o.Tracks[:len(o.Tracks)/2]
	case 4:
		for i := range o.Tracks {
			o.Tracks[i].Source = wire.SourceOther
		}
	}
	if body, _ := c.do(o); body != nil {
		who.pc.tracks, who.pc.slots = o.Tracks, o.Slots // it was not so wrong
	}
}

func (c *crowd) request(t *rapid.T) {
	who := c.some(t)
	publication := fmt.Sprint("p", rapid.IntRange(1, int(c.r.lastNumber)+1).Draw(t, "publication"))
	if own := c.r.sessions[who.session].publications; len(own) > 0 {
		publication = own[rapid.IntRange(0, len(own)-1).Draw(t, "own")].ID
	}
	text := rapid.StringN(0, 5, 10).Draw(t, "text")
	identity := rapid.SampledFrom(c.r.participants).Draw(t, "to").identity
	c.do(rapid.SampledFrom([]Command{
		Unpublish{Session: who.session, Publication: publication},
		Mute{Session: who.session, Publication: publication, Muted: true},
		Mute{Session: who.session, Publication: publication},
		Update{Session: who.session, Name: &text},
		Update{Session: who.session, Metadata: &text},
		Chat{Session: who.session, Text: text},
		Chat{Session: who.session, Text: text, To: identity},
		Kick{Session: who.session, Identity: identity},
		Resync{Session: who.session},
		Resync{Session: who.session},
	}).Draw(t, "command"))
}

func (c *crowd) subscribe(t *rapid.T) {
	who := c.some(t)
	if lines := c.r.sessions[who.session].lines(); len(lines) > 0 && rapid.Bool().Draw(t, "ready") {
		l := rapid.SampledFrom(lines).Draw(t, "line")
		c.do(SlotReady{Session: who.session, Mid: l.mid, Generation: l.generation - uint64(rapid.IntRange(0, 1).Draw(t, "older"))})
		return
	}
	if len(c.r.publications) == 0 {
		return
	}
	pub := rapid.SampledFrom(c.r.publications).Draw(t, "publication")
	request := Subscribe{Session: who.session, Publications: []string{pub.ID}, Subscribed: rapid.Bool().Draw(t, "subscribed")}
	if rapid.Bool().Draw(t, "sized") {
		width, height := rapid.SampledFrom([]uint16{0, 100, 500, 5000}).Draw(t, "width"), uint16(0)
		request.Width, request.Height = &width, &height
	}
	if rapid.Bool().Draw(t, "pauses") {
		paused := rapid.Bool().Draw(t, "paused")
		request.Paused = &paused
	}
	if rapid.Bool().Draw(t, "prioritized") {
		priority := rapid.SampledFrom([]uint8{0, 100, 255}).Draw(t, "priority")
		request.Priority = &priority
	}
	c.do(request)
}

func (c *crowd) transport(t *rapid.T) {
	if c.r.lastID == 7<<32 {
		return
	}
	id := 7<<32 + uint64(rapid.IntRange(1, int(c.r.lastID-7<<32)).Draw(t, "transport"))
	if p := c.some(t); c.r.sessions[p.session].transport != nil {
		id = c.r.sessions[p.session].transport.id
	}
	c.do(TransportState{Transport: id, State: rapid.SampledFrom([]string{Connected, Disconnected, Failed}).Draw(t, "state")})
}

func (c *crowd) speak(t *rapid.T) {
	producers := []uint64{0, 1, 7<<32 + 1}
	for _, pub := range c.r.publications {
		producers = append(producers, pub.producer)
	}
	some := rapid.SampledFrom(producers)
	c.do(Speakers{Dominant: some.Draw(t, "dominant"), Speaking: rapid.SliceOfN(some, 0, 4).Draw(t, "speaking")})
}
