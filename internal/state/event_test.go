package state

import (
	"fmt"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/wire"
)

func events(c *scene, id string, names ...string) []wire.NameResult {
	c.t.Helper()
	return must[wire.Subscribed](c, EventSubscribe{c.by(id), wire.EventNames{Names: names}}).Results
}

func publish(c *scene, id, name, value string) Command {
	return EventPublish{c.by(id), wire.EventPublish{Name: name, Value: []byte(value)}}
}

// Rule: an event goes to every subscriber but the connection that published it, in order, and is not kept.
func TestEvents(t *testing.T) {
	c := room(t, "ann1", "ann2", "bob1")
	must[wire.OK](c, publish(c, "ann1", "wave", `1`))
	for _, id := range []string{"ann1", "ann2", "bob1", "bob1"} {
		events(c, id, "wave")
	}
	must[wire.OK](c, publish(c, "ann1", "wave", `2`))
	must[wire.OK](c, publish(c, "http", "wave", `3`))
	must[wire.OK](c, publish(c, "ann1", "other", `4`))
	must[wire.OK](c, publish(c, "bob1", "wave", ``))
	for id, want := range map[string]string{"ann1": "http:3 bob:", "ann2": "ann:2 http:3 bob:", "bob1": "ann:2 http:3"} {
		var got []string
		for _, e := range c.events(id) {
			b := e.Body.(wire.EventPublished)
			got = append(got, b.From+":"+string(b.Value))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s was told %v, want %s", id, got, want)
		}
	}
	must[wire.OK](c, EventUnsubscribe{c.by("ann2"), wire.EventNames{Names: []string{"wave", "never"}}})
	must[wire.OK](c, publish(c, "bob1", "wave", `5`))
	if got := c.events("ann2"); len(got) != 0 {
		t.Errorf("unsubscribed, and told %v", got)
	}
	c.refused(wire.CodeBadRequest, publish(c, "ann1", "wave", `{`))
	must[wire.OK](c, publish(c, "ann1", "wave", `"`+strings.Repeat("x", wire.MaxEventBytes-2)+`"`))
	c.refused(wire.CodeTooLarge, publish(c, "ann1", "wave", `"`+strings.Repeat("x", wire.MaxEventBytes-1)+`"`))
}

// Rule: what is told to a thousand is one effect, made without a copy of the list of subscribers.
func TestEventsAreOneEffect(t *testing.T) {
	c := room(t)
	for i := range 1000 {
		c.attach(fmt.Sprintf("sub%d", i))
		events(c, fmt.Sprintf("sub%d", i), "wave")
	}
	c.heard = nil
	must[wire.OK](c, publish(c, "http", "wave", `1`))
	must[wire.OK](c, publish(c, "http", "wave", `2`))
	if len(c.heard) != 2 || len(c.heard[0].Sessions) != 1000 || &c.heard[0].Sessions[0] != &c.heard[1].Sessions[0] {
		t.Errorf("%d effects", len(c.heard))
	}
	// Who was told does not change when somebody leaves meanwhile.
	before := strings.Join(c.heard[0].Sessions, " ")
	c.apply(Detach{"sub500"})
	if strings.Join(c.heard[0].Sessions, " ") != before {
		t.Error("an effect changed after it was handed out")
	}
}
