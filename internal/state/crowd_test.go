package state

import (
	"slices"

	"pgregory.net/rapid"

	"github.com/parley-rtc/parley/wire"
)

func (c *crowd) listens(t *rapid.T) {
	id := c.some(t)
	x := c.clients[id]
	kind := rapid.SampledFrom([]wire.ListenKind{wire.ListenRecords, wire.ListenEvents}).Draw(t, "kind")
	pattern := rapid.SampledFrom([]string{"*", "a*", `\*`}).Draw(t, "pattern")
	switch rapid.IntRange(0, 3).Draw(t, "what") {
	case 0:
		before := c.provided(id, kind)
		must[wire.OK](c.scene, Unlisten{c.by(id), wire.Unlisten{Kind: kind, Pattern: pattern}})
		c.heeds(x, func() { // it knows by itself what it provides no longer
			for _, name := range before {
				if !c.isProvider(id, kind, name) {
					delete(x.provided, string(kind)+" "+name)
				}
			}
		})
	case 1:
		name := c.names.Draw(t, "name")
		if _, refused := c.do(ListenReject{c.by(id), wire.ListenReject{Kind: kind, Name: name}}); refused == nil {
			c.heeds(x, func() { delete(x.provided, string(kind)+" "+name) })
		}
	default:
		listen(c.scene, kind, pattern, id)
	}
	c.checkProviders()
}

func (c *crowd) provision(kind wire.ListenKind, name string) *provision {
	if w := c.s.watches[name]; w != nil && kind == wire.ListenRecords {
		return &w.provision
	}
	if e := c.s.events[name]; e != nil && kind == wire.ListenEvents {
		return &e.provision
	}
	return nil
}

// listening tells whether somebody is yet to be told of what it listens to.
func (c *crowd) listening() bool {
	for x := range c.s.unsettled {
		if x.kind == listening {
			return true
		}
	}
	return false
}

// provided returns what somebody provides.
func (c *crowd) provided(id string, kind wire.ListenKind) (names []string) {
	for _, name := range []string{"a", "b", "*", "a/b"} {
		if c.isProvider(id, kind, name) {
			names = append(names, name)
		}
	}
	return names
}

func (c *crowd) isProvider(id string, kind wire.ListenKind, name string) bool {
	v := c.provision(kind, name)
	return v != nil && v.by != nil && v.by.session.id == id
}

// checkProviders: every name that is subscribed to and matches a pattern of somebody who has not rejected it has one provider, and that
// one knows.
func (c *crowd) checkProviders() {
	c.t.Helper()
	for _, kind := range []wire.ListenKind{wire.ListenRecords, wire.ListenEvents} {
		for _, name := range []string{"a", "b", "*", "a/b"} {
			v := c.provision(kind, name)
			told := providers(c.scene, kind, name)
			if c.listening() {
				continue
			}
			if v == nil || v.by == nil {
				if len(told) > 0 {
					c.t.Fatalf("%v provide %s %q, and nobody shall", told, kind, name)
				}
				if v != nil && slices.ContainsFunc(c.s.listeners, func(l *listener) bool {
					return l.kind == kind && l.pattern.matches(name) && !slices.Contains(v.rejected, l.session)
				}) {
					c.t.Fatalf("nobody provides %s %q", kind, name)
				}
				continue
			}
			if len(told) != 1 || told[0] != v.by.session.id {
				c.t.Fatalf("%v provide %s %q, and %s shall", told, kind, name, v.by.session.id)
			}
		}
	}
}

func (c *crowd) presences(t *rapid.T) {
	id := c.some(t)
	identities := rapid.SampledFrom([][]string{nil, {"ann"}, {"ann", "bob"}}).Draw(t, "identities")
	x := c.clients[id]
	if rapid.IntRange(0, 3).Draw(t, "end") == 0 {
		must[wire.OK](c.scene, PresenceUnsubscribe{c.by(id), wire.PresenceUnsubscribe{Identities: identities}})
		c.heeds(x, func() {
			x.everybody = x.everybody && len(identities) > 0
			for _, name := range identities {
				delete(x.follows, name)
			}
			x.forget()
		})
		return
	}
	body := must[wire.Present](c.scene, PresenceSubscribe{c.by(id), wire.PresenceSubscribe{Identities: identities}})
	c.heeds(x, func() {
		x.everybody = x.everybody || len(identities) == 0
		for _, name := range identities {
			x.follows[name] = true
		}
		for _, name := range []string{"ann", "bob"} {
			if len(identities) == 0 || slices.Contains(identities, name) {
				delete(x.present, name)
			}
		}
		for _, name := range body.Identities {
			x.present[name] = true
		}
	})
}

// heeds does something when the reply of the last Apply leaves, unless that client has begun anew by then.
func (c *crowd) heeds(x *client, then func()) {
	began := x.cleared
	c.leaves(func() {
		if x.cleared == began {
			then()
		}
	})
}

// forget forgets who is there of those about whom it does not ask any more.
func (x *client) forget() {
	for name := range x.present {
		if !x.everybody && !x.follows[name] {
			delete(x.present, name)
		}
	}
}
