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
