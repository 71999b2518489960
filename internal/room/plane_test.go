package room

import (
	"github.com/parley-rtc/parley/internal/route"
	"github.com/parley-rtc/parley/internal/sdp"
)

// plane is the media plane as the room's commands have made it.
type plane struct {
	transports map[uint64]*planeTransport
	producers  map[uint64]uint64 // to its Transport
	ranked     map[uint64]bool   // producers
	lastID     uint64            // ids are never used again
}

type planeTransport struct {
	shard      byte // as its user fragments say
	sections   map[string]sdp.Negotiated
	producing  map[string]uint64
	assigned   map[string]uint64
	generation map[string]uint64
	wants      map[string]route.Want
	data       bool
}

// command carries out a command as the media plane does, and refuses what makes no sense.
func (p *plane) command(t fataler, e Effect) {
	t.Helper()
	switch e := e.(type) {
	case OpenTransport:
		p.newID(t, e.Transport)
		if len(e.Fingerprints) == 0 || e.Local.Ufrag == "" || e.Remote.Ufrag == "" {
			t.Fatalf("incomplete %+v", e)
		}
		p.transports[e.Transport] = &planeTransport{
			shard: e.Local.Ufrag[0], producing: map[string]uint64{}, assigned: map[string]uint64{}, generation: map[string]uint64{},
			wants: map[string]route.Want{}, data: e.PublishData,
		}
	case RestartICE:
		if x := p.transport(t, e.Transport); e.Local.Ufrag[0] != x.shard {
			t.Fatalf("restart with %s on shard %c", e.Local.Ufrag, x.shard)
		}
	case Negotiate:
		x := p.transport(t, e.Transport)
		x.sections = map[string]sdp.Negotiated{}
		for _, n := range e.Sections {
			x.sections[n.Mid] = n
		}
	case StartProducer:
		p.newID(t, e.Producer)
		x := p.transport(t, e.Transport)
		if n := x.sections[e.Mid]; n.Role != sdp.RoleReceive || x.producing[e.Mid] != 0 {
			t.Fatalf("producer on m-line %s: role %d, feeds %d", e.Mid, n.Role, x.producing[e.Mid])
		}
		x.producing[e.Mid], p.producers[e.Producer] = e.Producer, e.Transport
	case Rank:
		if p.producers[e.Producer] == 0 || p.ranked[e.Producer] == e.Ranked {
			t.Fatalf("useless %+v", e)
		}
		p.ranked[e.Producer] = e.Ranked
	case StopProducer:
		if x := p.transports[p.producers[e.Producer]]; x != nil {
			for mid, producer := range x.producing {
				if producer == e.Producer {
					delete(x.producing, mid)
				}
			}
		}
		delete(p.producers, e.Producer)
	case Assign:
		x := p.transport(t, e.Transport)
		if e.Producer != 0 && (x.sections[e.Mid].Role != sdp.RoleSend || p.producers[e.Producer] == 0) {
			t.Fatalf("assigned producer %d to m-line %s of role %d", e.Producer, e.Mid, x.sections[e.Mid].Role)
		}
		if e.Generation <= x.generation[e.Mid] {
			t.Fatalf("generation %d after %d", e.Generation, x.generation[e.Mid])
		}
		x.assigned[e.Mid], x.generation[e.Mid], x.wants[e.Mid] = e.Producer, e.Generation, route.DefaultWant
	case Prefer:
		x := p.transport(t, e.Transport)
		if x.assigned[e.Mid] == 0 || x.wants[e.Mid] == e.Want {
			t.Fatalf("useless %+v", e)
		}
		x.wants[e.Mid] = e.Want
	case AllowData:
		if x := p.transport(t, e.Transport); x.data == e.PublishData {
			t.Fatalf("useless %+v", e)
		} else {
			x.data = e.PublishData
		}
	case CloseTransport:
		p.transport(t, e.Transport)
		delete(p.transports, e.Transport)
		for producer, transport := range p.producers {
			if transport == e.Transport {
				delete(p.producers, producer)
			}
		}
	case OpenSlot:
		if x := p.transport(t, e.Transport); x.generation[e.Mid] != e.Generation || x.assigned[e.Mid] == 0 {
			t.Fatalf("opened slot %s generation %d, has %d", e.Mid, e.Generation, x.generation[e.Mid])
		}
	default:
		t.Fatalf("the plane knows no %T", e)
	}
}

func (p *plane) transport(t fataler, id uint64) *planeTransport {
	t.Helper()
	x := p.transports[id]
	if x == nil {
		t.Fatalf("no transport %d", id)
	}
	return x
}

func (p *plane) newID(t fataler, id uint64) {
	t.Helper()
	if id <= p.lastID {
		t.Fatalf("id %d is used again", id)
	}
	p.lastID = id
}
