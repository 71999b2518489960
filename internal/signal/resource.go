package signal

import (
	"net/http"
	"strings"

	"github.com/parley-rtc/parley/wire"
)

// Cross names in the answer the origin of a page elsewhere that may read it, with these headers, or refuses the page. There are no cookies, hence no
// credentials to allow.
func (o Origins) Cross(w http.ResponseWriter, r *http.Request, exposed string) (cross bool, refused *wire.Error) {
	head := w.Header()
	head.Add("Vary", "Origin")
	origin, refused := o.Allowed(r)
	if origin != "" {
		head.Set("Access-Control-Allow-Origin", origin)
		head.Set("Access-Control-Expose-Headers", exposed)
	}
	return origin != "", refused
}

// Serves answers what a resource with one method is not for: pages that may not use it, preflight requests, and other methods. It reports whether
// the request is left to answer.
func (o Origins) Serves(w http.ResponseWriter, r *http.Request, method, headers string) bool {
	allowed, head := method+", OPTIONS", w.Header()
	head.Set("Cache-Control", "no-store")
	cross, refused := o.Cross(w, r, "Retry-After")
	switch {
	case refused != nil:
		Refuse(w, refused)
	case r.Method == http.MethodOptions:
		if cross && r.Header.Get("Access-Control-Request-Method") != "" {
			Preflight(w, allowed, headers)
		} else {
			head.Set("Allow", allowed)
		}
		w.WriteHeader(http.StatusNoContent)
	case r.Method != method:
		head.Set("Allow", allowed)
		WriteProblem(w, http.StatusMethodNotAllowed, wire.NewError(wire.CodeBadRequest, "the method is not for this resource", "use "+method))
	default:
		return true
	}
	return false
}

// Preflight tells a page elsewhere what it may send.
func Preflight(w http.ResponseWriter, methods, headers string) {
	head := w.Header()
	head.Set("Access-Control-Allow-Methods", methods)
	head.Set("Access-Control-Allow-Headers", headers)
	head.Set("Access-Control-Max-Age", "600")
}

// BearerToken reads the Authorization header (RFC 6750 §2.1). It reports false where there is none of that kind.
func BearerToken(r *http.Request) (string, bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(token), true
}
