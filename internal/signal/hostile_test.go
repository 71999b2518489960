package signal_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/wire"
)

// requestTypes are all that a client may ask, and some that it may not.
var requestTypes = []string{
	wire.TypeJoin, wire.TypeResume, wire.TypeOffer, wire.TypeUnpublish, wire.TypeSubscribe, wire.TypeSlotReady, wire.TypeMute, wire.TypeUpdate, wire.TypeChat,
	wire.TypeKick, wire.TypePing, wire.TypeRecordSubscribe, wire.TypeRecordUnsubscribe, wire.TypeRecordRead, wire.TypeRecordWrite, wire.TypeRecordDelete,
	wire.TypeEventSubscribe, wire.TypeEventUnsubscribe, wire.TypeEventPublish, wire.TypeRPCProvide, wire.TypeRPCUnprovide, wire.TypeRPCRequest, wire.TypeRPCAccept,
	wire.TypeRPCReject, wire.TypeRPCAnswer, wire.TypeListen, wire.TypeUnlisten, wire.TypeListenReject, wire.TypePresenceSubscribe, wire.TypePresenceUnsubscribe,
	wire.TypePresenceRead, wire.TypeLogRead, "attach", "detach", "reset", "gone", "grant", "granted", "snapshot", "\x00", "",
}

// absurdBodies are bodies that no client of ours sends. Members that a request does not know mean nothing to it.
func absurdBodies() []string {
	members := []string{
		"sdp", "tracks", "slots", "publication", "publications", "mid", "generation", "muted", "name", "metadata", "text", "to", "identity", "identities", "room", "records",
		"names", "name", "operations", "version", "incarnation", "value", "call", "pattern", "kind", "scope", "after", "limit", "path", "seq", "session", "token", "protocol", "lastN",
	}
	values := []string{
		`null`, `-1`, `1e400`, `18446744073709551615`, `true`, `""`, `"\u0000"`, `"\ud800"`, `"` + strings.Repeat("x", 100_000) + `"`, `[]`, `[null]`, `[[]]`, `[{}]`, `{}`, `[""]`,
		`[{"name":"a"},{"name":"a"}]`, `[{"op":"set"},{"op":"erase"},{"op":"move","at":-1,"to":-1},{"op":"entries","base":-1}]`, `[` + strings.Repeat(`"a",`, 10_000) + `"a"]`,
	}
	bodies := []string{``, `null`, `{}`, `[]`, `1`, `"x"`, `{`, `{"name":`, `{"a":1}}`, "{\"name\":\"\xff\"}", strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40), `{"name":"a","name":"b"}`}
	for _, v := range values {
		var b strings.Builder
		for i, m := range members {
			fmt.Fprintf(&b, `%c"%s":%s`, "{,"[min(i, 1)], m, v)
		}
		bodies = append(bodies, b.String()+"}")
		for _, m := range []string{"name", "records", "operations", "names", "publications", "call", "tracks"} {
			bodies = append(bodies, fmt.Sprintf(`{"name":"a","text":"x","identity":"x",%q:%s}`, m, v))
		}
	}
	return bodies
}

// Whatever a client sends, before it has joined, while it is in the room, twice under one id, and when it is over, is answered or ends its socket; it is
// no fault of the server, and nothing is left of it. Nobody else is hurt.
func TestAbsurdRequests(t *testing.T) {
	withState(t, func(n *node) {
		bob := n.connect()
		bob.join("bob")
		id := uint64(1)
		for _, typ := range requestTypes {
			before, eve := n.connect(), n.connect()
			eve.join(fmt.Sprintf("eve %q", typ))
			for _, body := range absurdBodies() {
				id++
				message := fmt.Appendf(nil, `{"id":%d,"type":%q,"body":%s}`, id, typ, body)
				if body == "" {
					message = fmt.Appendf(nil, `{"id":%d,"type":%q}`, id, typ)
				}
				if len(message) <= wire.MaxMessageBytesBeforeJoin && before.a.Context().Err() == nil {
					_ = before.a.Receive(bytes.Clone(message))
				}
				for range 2 {
					_ = eve.a.Receive(bytes.Clone(message))
				}
				pass(200 * time.Millisecond) // for the pace
				bob.a.Heard()
			}
			pass(10 * time.Second)
			var last uint64
			for _, m := range eve.messages() {
				last = max(last, m.Seq)
			}
			if contiguous(t, 0, eve.messages()); n.service.Stats().Panics != 0 || n.rooms.Stats().Panics != 0 {
				t.Fatalf("%q is a fault of the server: %s", typ, n.log)
			}
			eve.cut()
			before.cut()
			_ = eve.a.Receive([]byte(`{"id":9007199254740990,"type":"chat","body":{"text":"late"}}`))
			if bob.reply(id, wire.TypePing, nil); bob.a.Context().Err() != nil {
				t.Fatalf("%q has hurt bob", typ)
			}
		}
		for range 3 {
			pass(29 * time.Second)
			bob.reply(id, wire.TypePing, nil)
		}
		synctest.Wait()
		if s := n.service.Stats(); s.Sessions != 1 || s.Unauthenticated != 0 || s.Panics != 0 {
			t.Errorf("left over: %+v", s)
		}
		bob.reply(id+1, wire.TypeRecordWrite, setTo("board", `1`))
	})
}
