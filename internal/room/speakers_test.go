package room

import (
	"testing"

	"github.com/parley-rtc/parley/wire"
)

// Rule: who speaks is part of the room and told as a change of it, by identity and only where it differs; Producers that nobody knows
// are passed over, and whoever leaves speaks no more.
func TestSpeakers(t *testing.T) {
	s := newScene(t)
	producers := map[string]uint64{}
	for _, name := range []string{"ann", "bob"} {
		c := s.join(name)
		c.pc.publish("0", wire.SourceMicrophone, "opus")
		c.pc.publish("1", wire.SourceMicrophone, "opus")
		s.offer(c)
		producers[name] = s.r.identities[name].publications[0].producer
		producers[name+"2"] = s.r.identities[name].publications[1].producer
	}
	s.do(Speakers{Dominant: producers["ann"], Speaking: []uint64{producers["bob2"], 4711, producers["ann"], producers["bob"]}})
	s.transcript(`tell ann,bob #7 speakers "ann" [bob ann]`)
	s.do(Speakers{Dominant: producers["ann2"], Speaking: []uint64{producers["bob"], producers["ann2"]}})
	s.transcript()
	late := s.join("cid")
	if late.room.Speakers.Dominant != "ann" {
		t.Errorf("who comes later knows %+v", late.room.Speakers)
	}
	s.must(Leave{Session: "ann"})
	if got := late.room.Speakers; got.Dominant != "" || len(got.Speaking) != 1 {
		t.Errorf("after ann has left: %+v", got)
	}
}
