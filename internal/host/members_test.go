package host

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/wire"
)

// memberServer makes credentials by one key pair.
func memberServer(t *testing.T, open bool) *turnServer {
	t.Helper()
	k, err := parseKeys([]byte("a: 0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	s := &turnServer{open: open}
	if err := s.use(&k); err != nil {
		t.Fatal(err)
	}
	return s
}

// Credentials end with the token, though not before an allocation that is made at once would have to be refreshed. While their member is in the room they are good
// beyond that; where no token is needed, what began in time goes on.
func TestCredentialsEndWithTheToken(t *testing.T) {
	now := time.Unix(1795770000, 0)
	for _, c := range []struct {
		name         string
		token        time.Duration // 0: none is needed
		identity     string
		enter, leave []string
		after        time.Duration
		begins, goes bool // may begin something, and go on
	}{
		{name: "in time", token: time.Hour, identity: "ann", after: time.Hour - time.Second, begins: true, goes: true},
		{name: "too late", token: time.Hour, identity: "ann", after: time.Hour},
		{name: "a token that is nearly over", token: time.Second, identity: "ann", after: leastCredentials - time.Second, begins: true, goes: true},
		{name: "and is", token: time.Second, identity: "ann", after: leastCredentials},
		{name: "in the room", token: time.Hour, identity: "ann", enter: []string{"ann"}, after: 20 * time.Hour, begins: true, goes: true},
		{name: "somebody else is", token: time.Hour, identity: "ann", enter: []string{"bob"}, after: time.Hour},
		{name: "has left", token: time.Hour, identity: "ann", enter: []string{"ann", "bob"}, leave: []string{"ann"}, after: time.Hour},
		{name: "has left in time", token: time.Hour, identity: "ann", enter: []string{"ann"}, leave: []string{"ann"}, begins: true, goes: true},
		{name: "was replaced", token: time.Hour, identity: "ann", enter: []string{"ann", "ann"}, leave: []string{"ann"}, after: time.Hour, begins: true, goes: true},
		{name: "no token is needed", identity: "192.0.2.1", after: openCredentials - time.Second, begins: true, goes: true},
		{name: "or was", identity: "192.0.2.1", after: openCredentials, goes: true},
	} {
		s := memberServer(t, c.token == 0)
		until := time.Time{}
		if c.token > 0 {
			until = now.Add(c.token)
		}
		username, _ := s.credentials(now, until, "tea", c.identity)
		for _, who := range c.enter {
			s.Entered("tea", who)
		}
		for _, who := range c.leave {
			s.Left("tea", who, wire.CodeLeft)
		}
		_, _, begins := s.Key(nil, now.Add(c.after), []byte(username), true)
		if goes := s.Holds(now.Add(c.after), []byte(username)); begins != c.begins || goes != c.goes {
			t.Errorf("%s: begins %v, goes on %v", c.name, begins, goes)
		}
		if len(c.enter) == len(c.leave) && len(s.members.here) != 0 {
			t.Errorf("%s: %d marks are left of nobody", c.name, len(s.members.here))
		}
	}
}

// Those who were sent out are noted up to maxSentOut, and no longer than a token lives; the first is forgotten first.
func TestSentOutIsBounded(t *testing.T) {
	var m members
	mark := func(i int) (a auth.Mark) {
		binary.BigEndian.PutUint64(a[:], uint64(i))
		return a
	}
	now := time.Unix(1795770000, 0)
	for i := range maxSentOut + 10 {
		m.sendOut(now.Add(time.Duration(i)), mark(i))
	}
	if len(m.out) != maxSentOut || !m.hold(mark(9), true) || m.hold(mark(10), true) || m.hold(mark(maxSentOut+9), true) {
		t.Errorf("%d are noted", len(m.out))
	}
	if m.sendOut(now.Add(auth.MaxLifetime+auth.MaxSkew+leastCredentials+time.Hour), mark(0)); len(m.out) != 1 {
		t.Errorf("%d are noted a day later", len(m.out))
	}
}

// Who is kicked has no relayed address any more, at once, and gets none by the credentials that it has or asks for, though its token is good, also as a viewer; let in
// again it does. Whoever else relays goes on.
func TestKickEndsWhatIsRelayed(t *testing.T) {
	n := startNode(t, "--auth", "token", "--advertise", "203.0.113.7", "--turn-listen", "127.0.0.1:0")
	defer n.stop()
	enter := func(identity string) *session {
		s := dial(t, n)
		s.send(wire.TypeJoin, wire.Join{Protocol: wire.Protocol, Room: "tea", Token: tokenOf(t, n, identity)})
		s.await(wire.TypeJoined)
		return s
	}
	enter("ann")
	enter("bob")
	for _, who := range []string{"ann", "bob"} {
		if err := allocate(t, n, memberCredentials(t, n, who)); err != nil {
			t.Fatal(err)
		}
	}
	boss := enter("boss")
	boss.send(wire.TypeKick, wire.Kick{Identity: "ann"})
	boss.await(wire.TypeOK)
	if got := n.turn.relay.Stats().Turn.Allocations; got != 1 {
		t.Errorf("%d allocations, of two, after a kick", got)
	}
	for _, c := range []wire.ICEServer{memberCredentials(t, n, "ann"), viewerCredentials(t, n, "ann")} {
		if err := allocate(t, n, c); err == nil {
			t.Errorf("who was kicked allocates again by %s", c.Username)
		}
	}
	enter("ann")
	if err := allocate(t, n, memberCredentials(t, n, "ann")); err != nil {
		t.Errorf("who was let in again: %v", err)
	}
}

// tokenOf is good for an hour.
func tokenOf(t *testing.T, n *node, identity string) string {
	t.Helper()
	k := n.keys.Load()
	claims := auth.Claims{Key: k.first, Identity: identity, Room: "tea", Grants: wire.Grants{Admin: true, Subscribe: true}, Expires: time.Now().Add(time.Hour)}
	token, err := auth.Sign(time.Now(), claims, k.keys)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func memberCredentials(t *testing.T, n *node, identity string) wire.ICEServer {
	t.Helper()
	var got answered
	b := askICE(n, "203.0.113.9:5", "?for=participant", "Authorization", "Bearer "+tokenOf(t, n, identity)).Body.Bytes()
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.TTLSeconds < 3590 || got.TTLSeconds > 3600 {
		t.Errorf("credentials for %d s, the token for an hour", got.TTLSeconds)
	}
	return got.ICEServers[0]
}

// viewerCredentials are those of a Link header of WHEP (draft-ietf-wish-whep).
func viewerCredentials(t *testing.T, n *node, identity string) wire.ICEServer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, fmt.Sprintf("http://127.0.0.1:%d/whep/tea", n.port.Local().Port()), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+tokenOf(t, n, identity))
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	found := regexp.MustCompile(`username="([^"]+)"; credential="([^"]+)"`).FindStringSubmatch(w.Header.Get("Link"))
	if found == nil {
		t.Fatalf("%d %v", w.StatusCode, w.Header)
	}
	return wire.ICEServer{Username: found[1], Credential: found[2]}
}

// allocate makes an allocation that lasts as long as the test.
func allocate(t *testing.T, n *node, by wire.ICEServer) error {
	t.Helper()
	_, err := newTURNClient(t, n, by.Username, by.Credential).Allocate()
	return err
}

// Where nobody needs a token, clients reach by relay each other and what a rule allows, and nothing else on the Internet; with tokens public addresses too.
func TestOpenModeRelaysAmongItsOwn(t *testing.T) {
	public, ruled := &net.UDPAddr{IP: net.IPv4(20, 9, 9, 9), Port: 9}, &net.UDPAddr{IP: net.IPv4(20, 1, 1, 1), Port: 9}
	for _, auth := range []string{"open", "token"} {
		n := startNode(t, "--auth", auth, "--turn-listen", "127.0.0.1:0", "--turn-allow-peer", "20.1.0.0/16")
		defer n.stop()
		username, password := n.turn.credentials(time.Now(), time.Time{}, "tea", "ann")
		var relayed [2]net.PacketConn
		var clients [2]*turn.Client
		for i := range relayed {
			clients[i] = newTURNClient(t, n, username, password)
			var err error
			if relayed[i], err = clients[i].Allocate(); err != nil {
				t.Fatal(err)
			}
		}
		if err := clients[0].CreatePermission(public); (err == nil) != (auth == "token") {
			t.Errorf("%s: to a public address: %v", auth, err)
		}
		if err := clients[0].CreatePermission(ruled); err != nil {
			t.Errorf("%s: to what a rule allows: %v", auth, err)
		}
		exchange(t, relayed[0], relayed[1])
	}
}

// newTURNClient is a client by UDP.
func newTURNClient(t *testing.T, n *node, username, password string) *turn.Client {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := n.turn.relay.UDP()[0].String()
	c, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: at, TURNServerAddr: at, Conn: conn, Username: username, Password: password,
		LoggerFactory: &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		conn.Close()
	})
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	return c
}
