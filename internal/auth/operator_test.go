package auth_test

import (
	"errors"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/auth/authtest"
	"github.com/parley-rtc/parley/wire"
)

// Rule: an operator's token is one of its own: no participant's token is taken for one, whatever grants it has, nor one that is both, nor any forgery; and it lets nobody into a room.
func TestOperator(t *testing.T) {
	token, err := auth.SignOperator(now, authtest.KeyName, time.Minute, authtest.Keys())
	if err != nil {
		t.Fatal(err)
	}
	if err := auth.VerifyOperator(now, token, authtest.Keys()); err != nil {
		t.Error(err)
	}
	if c, err := auth.Verify(now, token, authtest.Keys()); err == nil {
		t.Errorf("it is taken for that of %+v", c)
	}
	refused := func(name string, now time.Time, token string, keys auth.Keys) {
		t.Helper()
		var told *wire.Error
		if err := auth.VerifyOperator(now, token, keys); !errors.As(err, &told) || told.Code != wire.CodeUnauthorized {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused("expired", now.Add(time.Minute+auth.MaxSkew), token, authtest.Keys())
	refused("of another server", now, token, auth.Keys{"APIother": authtest.Keys()["APIother"]})
	const all = `{"room":"tea","roomJoin":true,"roomAdmin":true,"roomCreate":true,"roomList":true}`
	for name, change := range map[string]authtest.Object{
		"a participant's":               {},
		"an admin's":                    {"video": all},
		"of another audience":           {"aud": `"parley"`},
		"of several audiences":          {"aud": `["parley/operator","other"]`},
		"of a list of the one":          {"aud": `["parley/operator"]`},
		"a participant's with audience": {"aud": `"parley/operator"`},
		"with a participant's grants":   {"aud": `"parley/operator"`, "sub": "", "video": all},
		"with an identity":              {"aud": `"parley/operator"`, "video": ""},
		"without an end":                {"aud": `"parley/operator"`, "video": "", "sub": "", "exp": ""},
	} {
		refused(name, now, authtest.Good(now, change), authtest.Keys())
	}
	for _, f := range authtest.Forgeries(now) {
		refused(f.Name, now, f.Token, authtest.Keys())
	}
	if err := auth.VerifyOperator(now, authtest.Good(now, authtest.Object{"aud": `"parley/operator"`, "video": "", "sub": ""}), authtest.Keys()); err != nil {
		t.Errorf("as a back end makes it: %v", err)
	}
	for _, c := range []struct {
		key      string
		lifetime time.Duration
	}{{"nobody", time.Minute}, {authtest.KeyName, 25 * time.Hour}, {authtest.KeyName, -time.Hour}} {
		if token, err := auth.SignOperator(now, c.key, c.lifetime, authtest.Keys()); err == nil {
			t.Errorf("%v: %s", c, token)
		}
	}
}
