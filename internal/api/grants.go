package api

import (
	"encoding/json"
	"net/http"

	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

// GrantsPath is where the handler of grants belongs.
const GrantsPath = "/v1/grants"

// Grants serves GrantsPath. It is safe for concurrent use.
type Grants struct {
	// static after construction
	service   *signal.Service
	origins   signal.Origins
	allowance Allowance
}

// NewGrants returns a handler.
func NewGrants(s *signal.Service, o signal.Origins, a Allowance) *Grants { return &Grants{s, o, a} }

// ServeHTTP implements http.Handler.
func (g *Grants) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !serves(w, r, g.origins) {
		return
	}
	granted, refused := g.rule(w, r)
	if refused != nil {
		signal.Refuse(w, refused)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(granted) // a client that has gone needs no answer
}

func (g *Grants) rule(w http.ResponseWriter, r *http.Request) (wire.GrantsChanged, *wire.Error) {
	token, _ := signal.BearerToken(r)
	if g.service.TokenMode() && token == "" {
		return wire.GrantsChanged{}, noToken()
	}
	_, _, _, refused := g.service.Bearer(token)
	if refused == nil { // before anything is read: whoever sends it
		refused = g.allowance.Admit(r, 1)
	}
	var b []byte
	if refused == nil {
		b, refused = readAll(w, r)
	}
	if refused == nil {
		refused = signal.CheckJSON(b)
	}
	if refused != nil {
		return wire.GrantsChanged{}, refused
	}
	var grant rooms.Grant
	if err := json.Unmarshal(b, &grant); err != nil || grant.Identity == "" {
		return wire.GrantsChanged{}, wire.NewError(wire.CodeBadRequest, `the body is not a JSON object with "identity" and grants`, "see "+DocumentPath)
	}
	return g.service.Grant(token, grant)
}
