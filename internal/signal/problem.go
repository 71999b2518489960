package signal

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/parley-rtc/parley/wire"
)

// Status is the HTTP status that fits an error.
func Status(e *wire.Error) int {
	switch e.Code {
	case wire.CodeBadRequest, wire.CodeProtocol, wire.CodeSDP:
		return http.StatusBadRequest
	case wire.CodeUnauthorized:
		return http.StatusUnauthorized
	case wire.CodeForbidden:
		return http.StatusForbidden
	case wire.CodeNotFound, wire.CodeSessionExpired:
		return http.StatusNotFound
	case wire.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case wire.CodeUnsupported, wire.CodeUnsupportedCodec:
		return http.StatusUnprocessableEntity
	case wire.CodeRate:
		return http.StatusTooManyRequests
	case wire.CodeLimit, wire.CodeOverloaded, wire.CodeDraining:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// Refuse answers an HTTP request with an error and the status that belongs to it.
func Refuse(w http.ResponseWriter, e *wire.Error) {
	status := Status(e)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	WriteProblem(w, status, e)
}

// WriteProblem answers an HTTP request with an error, as problem details (RFC 9457).
func WriteProblem(w http.ResponseWriter, status int, e *wire.Error) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if e.RetrySeconds > 0 {
		h.Set("Retry-After", strconv.Itoa(e.RetrySeconds))
	}
	w.WriteHeader(status)
	b, err := json.Marshal(struct {
		Title  string    `json:"title"`
		Status int       `json:"status"`
		Detail string    `json:"detail"`
		Code   wire.Code `json:"code"`
		Next   string    `json:"next,omitempty"`
	}{http.StatusText(status), status, e.Message, e.Code, e.Next})
	if err == nil {
		_, _ = w.Write(b) // a client that has gone needs no answer
	}
}
