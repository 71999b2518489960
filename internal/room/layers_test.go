package room

import (
	"fmt"
	"testing"

	"github.com/parley-rtc/parley/wire"
)

// size makes a request for a place of this size.
func size(session, publication string, width, height uint16) Subscribe {
	return Subscribe{Session: session, Publications: []string{publication}, Subscribed: true, Width: &width, Height: &height}
}

func pause(session, publication string, paused bool) Subscribe {
	return Subscribe{Session: session, Publications: []string{publication}, Subscribed: true, Paused: &paused}
}

// Rule: a publisher hears what of its publication somebody wants: all sizes up to the largest place, nothing while nobody watches.
// The media plane hears how each slot is used, also when it is filled later.
func TestWishesReachThePublisher(t *testing.T) {
	s := newScene(t)
	ann := s.join("ann")
	ann.pc.simulcast("0", wire.SourceCamera, "vp8")
	s.offer(ann)
	s.transcript(
		"reply answer 0=p1", "open transport 1 for ann", "negotiate 1: 1 m-lines", "start producer 2 on 1/0",
		"tell ann #2 track-published ann p1 camera vp8", "tell ann encodings p1 []",
	)
	pub := s.r.Snapshot().Participants[0].Publications[0]
	if pub.Width != 1280 || pub.Height != 720 || pub.Layers != wire.LayersSimulcast {
		t.Errorf("published %+v", pub)
	}
	bob := s.join("bob")
	bob.pc.receive(1, 0, "vp8")
	s.must(size("bob", "p1", 300, 200))
	s.transcript("reply ok")
	s.offer(bob)
	s.transcript(
		"reply answer", "open transport 3 for bob", "negotiate 3: 2 m-lines", "tell ann,bob #4 codecs opus vp8",
		"tell bob subscription p1 active", "assign 2 to 3/v0 generation 1",
		"prefer {Width:300 Height:200 Priority:100 Paused:false} in 3/v0", "tell bob slot v0 generation 1 p1",
		`tell ann encodings p1 ["q"]`,
	)
	for _, x := range []struct {
		command Command
		want    []string
	}{
		{size("bob", "p1", 600, 200), []string{"prefer {Width:600 Height:200 Priority:100 Paused:false} in 3/v0", "reply ok", `tell ann encodings p1 ["q" "h"]`}},
		{size("bob", "p1", 600, 200), []string{"reply ok"}},
		{size("bob", "p1", 500, 200), []string{"prefer {Width:500 Height:200 Priority:100 Paused:false} in 3/v0", "reply ok"}},
		{size("bob", "p1", 0, 0), []string{"prefer {Width:0 Height:0 Priority:100 Paused:false} in 3/v0", "reply ok", `tell ann encodings p1 ["q" "h" "f"]`}},
		{pause("bob", "p1", true), []string{
			"tell bob subscription p1 paused off", "prefer {Width:0 Height:0 Priority:100 Paused:true} in 3/v0", "reply ok", "tell ann encodings p1 []",
		}},
		{pause("bob", "p1", false), []string{
			"tell bob subscription p1 active", "prefer {Width:0 Height:0 Priority:100 Paused:false} in 3/v0", "reply ok", `tell ann encodings p1 ["q" "h" "f"]`,
		}},
		{Subscribe{Session: "bob", Publications: []string{"p1"}}, []string{
			"tell bob subscription p1 off", "reply ok", "assign 0 to 3/v0 generation 2", "tell bob slot v0 generation 2 ", "tell ann encodings p1 []",
		}},
	} {
		s.must(x.command)
		s.transcript(x.want...)
	}
	s.must(size("bob", "p1", 320, 0))
	s.must(Leave{Session: "bob"})
	s.transcript("close transport 3", "tell ann #5 participant-left bob left", "reply ok", "tell ann #6 codecs opus vp8,vp9,h264,av1", "tell ann encodings p1 []")
}

// Rule: the largest place counts, and layers of one stream are counted by their sizes: halves of the picture's.
func TestWishesOfSeveralViewers(t *testing.T) {
	s := newScene(t)
	ann := s.join("ann")
	ann.pc.publish("0", wire.SourceScreen, "vp9")
	ann.pc.tracks[0].ScalabilityMode, ann.pc.tracks[0].Width, ann.pc.tracks[0].Height = "L3T3_KEY", 1280, 720
	s.offer(ann)
	if pub := s.r.Snapshot().Participants[0].Publications[0]; pub.Layers != wire.LayersSVC || pub.Width != 1280 {
		t.Errorf("published %+v", pub)
	}
	for i := range 2 {
		viewer := s.join(fmt.Sprint("viewer", i))
		viewer.pc.receive(0, 1, "vp9")
		s.offer(viewer)
	}
	for _, x := range []struct {
		width0, width1 uint16
		want           int
	}{{320, 320, 1}, {640, 320, 2}, {640, 641, 3}, {320, 640, 2}, {1, 1, 1}, {0, 1, 3}} {
		s.must(size("viewer0", "p1", x.width0, 0))
		s.must(size("viewer1", "p1", x.width1, 0))
		if got := ann.encodings["p1"].Spatial; got != x.want {
			t.Errorf("%d and %d wide: %d layers", x.width0, x.width1, got)
		}
	}
	if d := s.must(Resync{Session: "ann"}).(wire.Resync).Encodings; len(d) != 1 || d[0].Spatial != 3 {
		t.Errorf("after a resync: %+v", d)
	}
}

// Rule: encodings are those of the m-line, and other ones are another publication.
func TestEncodingsOfAnOffer(t *testing.T) {
	s := newScene(t)
	ann := s.join("ann")
	ann.pc.simulcast("0", wire.SourceCamera, "vp8")
	good := ann.pc.tracks[0]
	for what, change := range map[string]func(*wire.OfferTrack){
		"a rid twice":             func(t *wire.OfferTrack) { t.Encodings = []wire.OfferEncoding{{RID: "q"}, {RID: "q"}} },
		"a rid of nobody":         func(t *wire.OfferTrack) { t.Encodings = []wire.OfferEncoding{{RID: "x"}} },
		"a mode that is none":     func(t *wire.OfferTrack) { t.ScalabilityMode = "L9T9" },
		"both kinds of layers":    func(t *wire.OfferTrack) { t.ScalabilityMode = "L3T3" },
		"a mode with more behind": func(t *wire.OfferTrack) { t.ScalabilityMode = "L1T3 " },
	} {
		bad := good
		change(&bad)
		ann.pc.tracks[0] = bad
		if refused := s.refused(ann.offer(t), wire.CodeBadRequest); refused == nil {
			t.Errorf("%s is accepted", what)
		}
	}
	many := good
	many.Encodings = make([]wire.OfferEncoding, wire.MaxEncodings+1)
	ann.pc.tracks[0] = many
	s.refused(ann.offer(t), wire.CodeLimit)
	ann.pc.publish("1", wire.SourceMicrophone, "opus")
	ann.pc.tracks[0], ann.pc.tracks[1].ScalabilityMode = good, "L1T1"
	s.refused(ann.offer(t), wire.CodeBadRequest)
	ann.pc.tracks[1].ScalabilityMode = ""

	same := func(want string) {
		t.Helper()
		if got := s.offer(ann)[0].Publication; got != want {
			t.Errorf("publication %s, want %s", got, want)
		}
	}
	same("p1")
	same("p1")
	ann.pc.tracks[0].Encodings = good.Encodings[:2]
	same("p3")
	ann.pc.lines[0].rids, ann.pc.tracks[0].Encodings = nil, nil
	same("p4")
	ann.pc.tracks[0].ScalabilityMode = "L1T3"
	same("p5")
	same("p5")
}

// Rule: where a client does not list encodings, they are those of its m-line.
func TestImpliedEncodings(t *testing.T) {
	s := newScene(t)
	s.must(Join{Session: "studio", Carrier: WHIP, Identity: "studio", Grants: allGrants})
	studio := &client{session: "studio", carrier: WHIP, identity: "studio"}
	studio.pc.simulcast("0", wire.SourceCamera, "vp8")
	s.must(studio.offer(t))
	pub := s.r.publications[0]
	if pub.Layers != wire.LayersSimulcast || len(pub.encodings) != 3 || pub.encodings[0].RID != "q" || pub.sizes() != 3 {
		t.Errorf("published %+v, %+v", pub.Publication, pub.encodings)
	}
}
