package turn_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/stun"
	"github.com/parley-rtc/parley/internal/turn"
)

// While one secret takes another's place, time-limited passwords of both prove a request, by either algorithm, and no others do.
func TestSeveralSecrets(t *testing.T) {
	var secrets []auth.Secret
	for _, text := range []string{"new", "old", "somebody else's"} {
		s, err := auth.NewTURNSecret(text)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, s)
	}
	keys, err := auth.NewTURN(realm, nil, secrets[:2])
	if err != nil {
		t.Fatal(err)
	}
	sc := newScene(t, func(c *turn.Config) { c.Credentials = keys })
	for i, s := range secrets {
		for _, strong := range []bool{false, true} {
			c := sc.client(uint16(4000 + 2*i))
			if strong {
				c = sc.client(uint16(4001 + 2*i))
			}
			c.sha256 = strong
			c.username = fmt.Sprint(sc.now.Add(time.Hour).Unix(), ":ann")
			mac := hmac.New(sha1.New, s.Reveal())
			mac.Write([]byte(c.username))
			c.password = base64.StdEncoding.EncodeToString(mac.Sum(nil))
			want := stun.Code(0)
			if i == 2 {
				want = stun.Unauthenticated
			}
			c.learn(c.once(stun.Allocate, udp))
			if r := c.once(stun.Allocate, udp); r.code != want {
				t.Errorf("secret %d, SHA-256 %v: %d", i, strong, r.code)
			}
		}
	}
}
