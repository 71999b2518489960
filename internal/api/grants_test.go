package api_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/client"
	"github.com/parley-rtc/parley/internal/api"
	"github.com/parley-rtc/parley/internal/auth/authtest"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

func bearer(identity, video string) []string {
	return []string{"Authorization", "Bearer " + authtest.Good(time.Now(), authtest.Object{"sub": `"` + identity + `"`, "video": `{"room":"tea","roomJoin":true` + video + `}`})}
}

// Rule: an admin rules what a participant may do; its client is told, and what it may not do is refused.
func TestGrants(t *testing.T) {
	o := open(t, signal.Config{State: true, Keys: authtest.Keys})
	admin := bearer("boss", `,"roomAdmin":true`)
	token, _ := strings.CutPrefix(bearer("bob", "")[1], "Bearer ")
	bob, err := client.Join(t.Context(), o.url, client.Options{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		bob.Leave()
		<-bob.Done()
	}()
	changed := make(chan wire.GrantsChanged, 2)
	bob.Subscribe(func(e any) {
		if g, ok := e.(wire.GrantsChanged); ok {
			changed <- g
		}
	})
	status, answer := o.postTo(api.GrantsPath, `{"identity":"bob","publishData":false,"sources":["microphone"]}`, admin...)
	want := `{"grants":{"publish":true,"subscribe":true,"publishData":false,"admin":false,"hidden":false},"sources":["microphone"]}`
	if status != http.StatusOK || answer != want {
		t.Errorf("%d %s", status, answer)
	}
	if g := <-changed; g.Grants.PublishData || !g.Grants.Publish || len(g.Sources) != 1 || bob.Grants().PublishData {
		t.Errorf("bob was told %+v, and has %+v", g, bob.Grants())
	}
	var refused *wire.Error
	if err := bob.Chat(t.Context(), "hello", ""); !errors.As(err, &refused) || refused.Code != wire.CodeForbidden {
		t.Errorf("chat: %v", err)
	}
	if status, answer := o.postTo(api.GrantsPath, `{"identity":"bob","publishData":true}`, admin...); status != http.StatusOK || !strings.Contains(answer, `"publishData":true`) {
		t.Errorf("given back: %d %s", status, answer)
	}
	<-changed
	if err := bob.Chat(t.Context(), "hello", ""); err != nil {
		t.Errorf("given back: %v", err)
	}
}

// Rule: what is wrong with such a request is told as a problem, and nothing is changed.
func TestRefusedGrants(t *testing.T) {
	o := open(t, signal.Config{State: true, Keys: authtest.Keys})
	admin, bob := bearer("boss", `,"roomAdmin":true`), bearer("bob", "")
	with := func(more ...string) []string { return append(append([]string{}, admin...), more...) }
	for name, c := range map[string]struct {
		body    string
		headers []string
		status  int
	}{
		"no token":       {`{"identity":"bob","publish":false}`, nil, 401},
		"nonsense":       {`{"identity":"bob","publish":false}`, []string{"Authorization", "Bearer nonsense"}, 401},
		"no admin":       {`{"identity":"bob","publish":false}`, bob, 403},
		"nobody there":   {`{"identity":"bob","publish":false}`, admin, 404},
		"null":           {`null`, admin, 400},
		"a list":         {`[]`, admin, 400},
		"no identity":    {`{"publish":false}`, admin, 400},
		"nothing":        {`{"identity":"bob"}`, admin, 400},
		"a text":         {`{"identity":"bob","publish":"no"}`, admin, 400},
		"not UTF-8":      {"{\"identity\":\"\xff\",\"publish\":false}", admin, 400},
		"a name of NUL":  {`{"identity":"\u0000","publish":false}`, admin, 400},
		"deep":           {strings.Repeat("[", 40), admin, 400},
		"a long name":    {`{"identity":"` + strings.Repeat("b", 1000) + `","publish":false}`, admin, 413},
		"too large":      {`{"identity":"` + strings.Repeat("b", api.MaxBodyBytes) + `"}`, admin, 413},
		"another type":   {`{"identity":"bob","publish":false}`, with("Content-Type", "text/plain"), 415},
		"another origin": {`{"identity":"bob","publish":false}`, with("Origin", "https://other.example"), 403},
	} {
		if status, answer := o.postTo(api.GrantsPath, c.body, c.headers...); status != c.status {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	o.spent = o.most
	if status, answer := o.postTo(api.GrantsPath, `{"identity":"bob","publish":false}`, admin...); status != http.StatusTooManyRequests {
		t.Errorf("too many: %d %s", status, answer)
	}
	everybody := open(t, signal.Config{State: true})
	if status, answer := everybody.postTo(api.GrantsPath, `{"identity":"bob","publish":false}`); status != http.StatusForbidden {
		t.Errorf("in open mode: %d %s", status, answer)
	}
}
