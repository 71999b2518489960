// Package api serves programs that have no session: POST /v1/state, a batch of requests about shared state, POST /v1/grants, by which an admin
// rules what a participant may do, /v1/stored, by which operators list and remove what is stored of rooms, and GET /v1/openapi.json, which says how these are used. Each item of a batch is a request as sessions send it (docs/protocol.md, section 18), and is carried out and
// answered by itself.
//
// It translates HTTP and owns nothing. The document is made from the Go types, so it says what they are.
package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// StatePath and DocumentPath are where the handlers belong.
const (
	StatePath    = "/v1/state"
	DocumentPath = "/v1/openapi.json"
)

// Batch is the body of POST /v1/state.
type Batch struct {
	// Room, in open mode. A token decides it.
	Room string `json:"room,omitempty"`
	// Identity who asks, in open mode; absent: nobody in particular. A token decides it.
	Identity string `json:"identity,omitempty"`
	Items    []Item `json:"items"`
}

// Item is one request.
type Item struct {
	Type string          `json:"type"`
	Body json.RawMessage `json:"body,omitempty"`
}

// Results answers a Batch, item by item, in the order of the request.
type Results struct {
	Results []Result `json:"results"`
}

// Result is the reply to an item, or why it is refused.
type Result struct {
	Type  string          `json:"type,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`
	Error *wire.Error     `json:"error,omitempty"`
}

// Allowance is how much may be asked by whoever sends a request. A cost is that of so many requests of a session.
type Allowance interface {
	// Admit refuses what is too much.
	Admit(r *http.Request, cost int) *wire.Error
	// Owe takes what could not be known before, whether it is there or not.
	Owe(r *http.Request, cost int)
}

// State serves StatePath. It is safe for concurrent use.
type State struct {
	// static after construction
	service   *signal.Service
	origins   signal.Origins
	allowance Allowance
}

// NewState returns a handler.
func NewState(s *signal.Service, o signal.Origins, a Allowance) *State { return &State{s, o, a} }

// ServeHTTP implements http.Handler.
func (s *State) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if serves(w, r, s.origins) {
		s.answer(w, r)
	}
}

// serves reports whether a request is a POST of JSON that may be answered; others it has answered.
func serves(w http.ResponseWriter, r *http.Request, o signal.Origins) bool {
	if !o.Serves(w, r, http.MethodPost, "Authorization, Content-Type") {
		return false
	}
	if !isJSON(r) {
		w.Header().Set("Accept-Post", "application/json")
		signal.WriteProblem(w, http.StatusUnsupportedMediaType, wire.NewError(wire.CodeBadRequest, "the body is not said to be JSON", "send Content-Type: application/json"))
		return false
	}
	return true
}

func noToken() *wire.Error {
	return wire.NewError(wire.CodeUnauthorized, "there is no token", "send Authorization: Bearer TOKEN")
}

func isJSON(r *http.Request) bool {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && t == "application/json"
}

func (s *State) answer(w http.ResponseWriter, r *http.Request) {
	token, _ := signal.BearerToken(r)
	if s.service.TokenMode() && token == "" {
		signal.Refuse(w, noToken())
		return
	}
	_, _, _, refused := s.service.Bearer(token)
	if refused == nil { // before anything is read: whoever sends it
		refused = s.allowance.Admit(r, 1)
	}
	var batch Batch
	if refused == nil {
		batch, refused = read(w, r)
	}
	var v *signal.Visitor
	if refused == nil {
		v, refused = s.service.Visit(s.service.Source(r), token, batch.Room, batch.Identity)
	}
	if refused != nil {
		signal.Refuse(w, refused)
		return
	}
	results := s.carryOut(r, v, batch.Items)
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(results) // a client that has gone needs no answer
}

// carryOut carries out what is not beyond the limits of a batch, of which one request is paid for.
func (s *State) carryOut(r *http.Request, v *signal.Visitor, items []Item) Results {
	results, size, until := make([]Result, 0, len(items)), 0, time.Now().Add(MaxBatchTime)
	paid := 1
	admit := func(cost int) *wire.Error {
		cost, paid = cost-min(cost, paid), paid-min(cost, paid)
		if cost == 0 {
			return nil
		}
		return s.allowance.Admit(r, cost)
	}
	for _, item := range items {
		result, bytes := Result{}, 0
		switch {
		case size > MaxAnswerBytes:
			result.Error = wire.NewError(wire.CodeLimit, "what is answered together is too large", "ask for this in another request")
		case !time.Now().Before(until):
			result.Error = &wire.Error{
				Code: wire.CodeOverloaded, Message: "the items before have taken too long: this one was not begun",
				Next: "send it in another request", RetrySeconds: 1,
			}
		default:
			result.Type, result.Body, result.Error = v.Ask(r.Context(), item.Type, item.Body, admit)
			bytes = len(result.Body)
			if e := result.Error; e != nil && e.Current != nil { // a conflict has the record in it
				bytes += len(e.Current.Value)
			}
			s.allowance.Owe(r, state.ReplyCost(bytes))
		}
		size += bytes
		results = append(results, result)
	}
	return Results{Results: results}
}

// read reads the body of a request.
func read(w http.ResponseWriter, r *http.Request) (Batch, *wire.Error) {
	b, refused := readAll(w, r)
	if refused != nil {
		return Batch{}, refused
	}
	return Decode(b)
}

func readAll(w http.ResponseWriter, r *http.Request) ([]byte, *wire.Error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBodyBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, wire.NewError(wire.CodeTooLarge, fmt.Sprintf("a body is at most %d bytes", MaxBodyBytes), "send less at once")
	case err != nil:
		return nil, wire.NewError(wire.CodeBadRequest, "the body ended too early", "send all of it")
	}
	return b, nil
}

// Decode reads a Batch.
func Decode(b []byte) (Batch, *wire.Error) {
	var batch Batch
	if refused := signal.CheckJSON(b); refused != nil {
		return batch, refused
	}
	if err := json.Unmarshal(b, &batch); err != nil {
		return batch, wire.NewError(wire.CodeBadRequest, `the body is not a JSON object with "items"`, "see "+DocumentPath)
	}
	switch n := len(batch.Items); {
	case n == 0:
		return batch, wire.NewError(wire.CodeBadRequest, "the batch has no item", "see "+DocumentPath)
	case n > MaxItems:
		return batch, wire.NewError(wire.CodeTooLarge, fmt.Sprintf("a batch has at most %d items", MaxItems), "send fewer at once")
	}
	return batch, nil
}
