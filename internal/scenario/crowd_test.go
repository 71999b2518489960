package scenario_test

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/scenario"
	"github.com/parley-rtc/parley/wire"
)

const (
	perSource  = 256  // docs/protocol.md, section 8.4
	allSources = 1024 // likewise
	perShard   = 4096
)

var (
	crowded = scenario.Refusal{Status: http.StatusTooManyRequests, Code: wire.CodeRate}
	full    = scenario.Refusal{Status: http.StatusServiceUnavailable, Code: wire.CodeOverloaded}
)

func source(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}) }

// One source may have 256 Transports that wait for their first check. One more offer is refused, where it opens a room not even that. A
// check makes room for another; a source next to it goes on as if nothing were. When all sources have 1024, one that has none comes in, and
// those that have 256 lose their oldest, or are refused. What is never checked is over after 10 s.
func TestScenarioUnchecked(t *testing.T) {
	scenario.Run(t, scenario.Conditions{Seed: 1, Shards: 2}, func(p *scenario.Plan) {
		c := p.Crowd()
		answers := c.Fill(source(1), perSource)
		c.Refused(source(1), "room0", crowded)
		c.Refused(source(1), "new", crowded)
		c.Check(answers[0])
		c.Fill(source(1), 1)
		c.Refused(source(1), "room0", crowded)

		for i := 2; i <= allSources/perSource; i++ {
			c.Fill(source(i), perSource)
		}
		c.Fill(netip.Addr{}, perSource/2)
		c.Fill(source(9), perSource/2)
		p.Pass(0)
		if n := p.Counts(); n.Evicted != perSource || n.Transports != allSources+1 {
			p.Errorf("%d evicted, %d transports", n.Evicted, n.Transports)
		}
		c.Refused(source(1), "room0", full)
		c.Refused(source(1), "new", full)
		p.Pass(11 * time.Second)
		if n := p.Counts().Transports; n != 1 {
			p.Errorf("%d transports after 11 s", n)
		}
		c.Fill(source(1), perSource)
	})
}

// The same over WebSockets: an offer beyond the limit of its source is refused, and may be repeated.
func TestScenarioUncheckedOverWebSocket(t *testing.T) {
	scenario.Run(t, scenario.Conditions{Seed: 1}, func(p *scenario.Plan) {
		c, ann := p.Crowd(), p.Join("ann", scenario.Options{NoMedia: true})
		answers := c.Fill(ann.Source(), perSource)
		var e wire.Error
		if m := c.Offer(ann); m.Type != wire.TypeError || json.Unmarshal(m.Body, &e) != nil || e.Code != wire.CodeRate || e.RetrySeconds == 0 {
			p.Errorf("%s %s", m.Type, m.Body)
		}
		c.Check(answers[0])
		if m := c.Offer(ann); m.Type != wire.TypeAnswer {
			p.Errorf("%s %s", m.Type, m.Body)
		}
	})
}

// Where 1024 wait for their first check, an offer that goes on with its Transport costs nobody a place. One that opens a Transport does.
func TestScenarioRenegotiationEvictsNobody(t *testing.T) {
	scenario.Run(t, scenario.Conditions{Seed: 1}, func(p *scenario.Plan) {
		c := p.Crowd()
		ann, bob := p.Join("ann", scenario.Options{NoMedia: true}), p.Join("bob", scenario.Options{NoMedia: true})
		offer := func(client *scenario.Client, evicted uint64) {
			m := c.Offer(client)
			p.Pass(0)
			if n := p.Counts().Evicted; m.Type != wire.TypeAnswer || n != evicted {
				p.Errorf("%s: %s %s, %d evicted", client.Name, m.Type, m.Body, n)
			}
		}
		offer(ann, 0)
		c.Fill(source(0), perSource-1)
		for i := 1; i < allSources/perSource; i++ {
			c.Fill(source(i), perSource)
		}
		offer(ann, 0)
		offer(bob, 1)
	})
}

// A shard has room for 4096 Transports, whether they are connected, shake hands, or wait for their first check. Whoever comes after is
// told so, and not answered as if there were more; nobody makes way.
func TestScenarioFull(t *testing.T) {
	scenario.Run(t, scenario.Conditions{Seed: 1}, func(p *scenario.Plan) {
		c := p.Crowd()
		for i := range perShard / perSource {
			answers := c.Fill(source(i), perSource)
			for _, answer := range answers {
				switch {
				case i < perShard/perSource/2:
					c.Handshake(answer)
				case i < perShard/perSource/4*3:
					c.Check(answer)
				}
			}
		}
		if n := p.Counts(); n.Transports != perShard || n.Handshakes != perShard/4 || n.Evicted != 0 {
			p.Fatalf("%d transports, %d handshakes, %d evicted", n.Transports, n.Handshakes, n.Evicted)
		}
		c.Refused(source(1), "room0", full)
		c.Refused(source(100), "new", full)
	})
}
