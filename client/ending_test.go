package client

import "testing"

// Rule: a record keeps nothing of what was stopped, and after Close nothing begins.
func TestViewForgets(t *testing.T) {
	room := newRoom("", Options{})
	c := &core{records: room.room.records, ready: make(chan struct{}), over: make(chan struct{}), users: 1}
	v := newRecord(c)
	for range 3 {
		stop, also := v.watch(nil, false, func(change) {}), v.SubscribeProvided(func(bool) {})
		stop()
		also()
		stop() // nothing
	}
	v.watch(nil, false, func(change) {})
	if len(v.ending) != 1 || len(c.watchers) != 1 || len(c.providing) != 0 {
		t.Errorf("kept: %d to end, %d watchers, %d", len(v.ending), len(c.watchers), len(c.providing))
	}
	v.Close()
	v.watch(nil, false, func(change) {})
	if len(v.ending)+len(c.watchers) != 0 {
		t.Errorf("kept after Close: %d to end, %d watchers", len(v.ending), len(c.watchers))
	}
}

// Rule: of records that are closed while there is no connection nothing is kept.
func TestRecordsForget(t *testing.T) {
	play(t, func(p *played) {
		r := p.record(RecordOptions{})
		p.lose()
		r.Send(set("a", "2"), WriteOptions{})
		if all := p.room.room.records; len(all.ready) != 1 {
			t.Errorf("%d have something to send", len(all.ready))
		}
		r.Close()
		if all := p.room.room.records; len(all.ready)+len(all.open)+len(all.order)+all.writes+all.bytes != 0 {
			t.Errorf("kept: %d to send, %d writes of %d bytes", len(all.ready), all.writes, all.bytes)
		}
	})
}
