// Package whip carries calls over HTTP: WHIP (RFC 9725) to publish, WHEP (draft-ietf-wish-whep-04) to watch.
//
//	POST   /whip/{room}       offer → 201, answer, Location
//	PATCH  /whip/{room}/{id}  candidates → 204; ICE restart → 200
//	DELETE /whip/{room}/{id}  end → 200
//
// and the same under /whep. It translates each request to a signal.Call and owns nothing.
package whip

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/parley-rtc/parley/internal/rooms"
	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

// Paths are where the carrier belongs.
var Paths = []string{"/whip/", "/whep/"}

const (
	sdpType      = "application/sdp"
	fragmentType = "application/trickle-ice-sdpfrag"
)

// Carrier serves Paths. It is safe for concurrent use.
type Carrier struct {
	// static after construction
	service    *signal.Service
	origins    signal.Origins
	candidates func() []sdp.Candidate
}

// New returns a carrier. Candidates are those of the server now; a client that restarts ICE is told them again.
func New(s *signal.Service, o signal.Origins, candidates func() []sdp.Candidate) *Carrier {
	return &Carrier{s, o, candidates}
}

// target is what a path names.
type target struct {
	carrier  rooms.Carrier
	room, id string // id is empty for the endpoint itself
}

// ServeHTTP answers one request.
func (c *Carrier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, refused := c.origins.Cross(w, r, exposed); refused != nil {
		signal.Refuse(w, refused)
		return
	}
	t, ok := parse(r.URL)
	if !ok {
		signal.Refuse(w, wire.NewError(wire.CodeNotFound, "there is nothing under this path", "use /whip/ROOM or /whep/ROOM"))
		return
	}
	allowed := "POST, OPTIONS"
	if t.id != "" {
		allowed = "PATCH, DELETE, OPTIONS"
	}
	switch {
	case r.Method == http.MethodOptions:
		c.options(w, r, t, allowed)
	case t.id == "" && r.Method == http.MethodPost:
		c.post(w, r, t)
	case t.id != "" && r.Method == http.MethodPatch:
		c.patch(w, r, t)
	case t.id != "" && r.Method == http.MethodDelete:
		c.delete(w, r, t)
	default: // RFC 9725 §4.2: GET, HEAD and PUT are reserved
		w.Header().Set("Allow", allowed)
		signal.WriteProblem(w, http.StatusMethodNotAllowed, wire.NewError(wire.CodeBadRequest, "the method is not for this resource", "use "+allowed))
	}
}

// parse splits the path before it unescapes it: a room's name may hold a slash.
func parse(u *url.URL) (target, bool) {
	parts := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	if len(parts) < 2 || len(parts) > 3 || parts[1] == "" || len(parts) == 3 && parts[2] == "" {
		return target{}, false
	}
	room, err := url.PathUnescape(parts[1])
	t := target{carrier: rooms.Carrier(parts[0]), room: room}
	if len(parts) == 3 {
		t.id = parts[2]
	}
	return t, err == nil && (t.carrier == rooms.CarrierWHIP || t.carrier == rooms.CarrierWHEP)
}

// location is the path of a call; it has no host, so it is of the same origin whatever is in front of the server.
func location(t target, id string) string {
	return "/" + string(t.carrier) + "/" + url.PathEscape(t.room) + "/" + id
}

// post opens a call.
func (c *Carrier) post(w http.ResponseWriter, r *http.Request, t target) {
	if !isType(r, sdpType) {
		w.Header().Set("Accept-Post", sdpType)
		signal.WriteProblem(w, http.StatusUnsupportedMediaType, wire.NewError(wire.CodeBadRequest, "the body is not "+sdpType, "send an SDP offer with that Content-Type"))
		return
	}
	if !accepts(r.Header.Values("Accept"), sdpType) {
		signal.WriteProblem(w, http.StatusNotAcceptable, wire.NewError(wire.CodeBadRequest, "Accept excludes "+sdpType, "accept it: the answer is SDP"))
		return
	}
	token, ok := c.admitted(w, r)
	if !ok {
		return
	}
	body, ok := readBody(w, r, wire.MaxSDPBytes)
	if !ok {
		return
	}
	query := r.URL.Query()
	o := signal.CallOffer{Carrier: t.carrier, Token: token, Room: t.room, SDP: body, Source: c.service.Source(r)}
	if t.carrier == rooms.CarrierWHIP {
		o.Identity = query.Get("identity")
	} else {
		o.Follow = query.Get("participant")
	}
	call, answer, err := c.service.OpenCall(o)
	if err != nil {
		signal.Refuse(w, err)
		return
	}
	head := w.Header()
	head.Set("Location", location(t, call.ID()))
	head.Set("ETag", `"`+call.Tag()+`"`)
	head.Set("Content-Type", sdpType)
	head.Set("Cache-Control", "no-store")
	c.link(head, r, t.room, call.Identity(), call.Until())
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer) // a client that has gone is found out by its silence
}

// patch takes candidates, or restarts ICE (RFC 9725 §4.3).
func (c *Carrier) patch(w http.ResponseWriter, r *http.Request, t target) {
	call, ok := c.find(w, r, t)
	if !ok {
		return
	}
	if !isType(r, fragmentType) {
		w.Header().Set("Accept-Patch", fragmentType)
		signal.WriteProblem(w, http.StatusUnsupportedMediaType, wire.NewError(wire.CodeBadRequest, "the body is not "+fragmentType, "send a fragment with that Content-Type"))
		return
	}
	match := strings.Join(r.Header.Values("If-Match"), ",")
	if strings.TrimSpace(match) == "" {
		signal.WriteProblem(w, http.StatusPreconditionRequired, wire.NewError(wire.CodeBadRequest, "If-Match is missing", `send the ETag of the answer, or "*" to restart ICE`))
		return
	}
	body, ok := readBody(w, r, sdp.MaxFragmentBytes)
	if !ok {
		return
	}
	fragment, err := sdp.ParseFragment(body)
	if err != nil {
		signal.Refuse(w, wire.NewError(wire.CodeSDP, "the fragment is refused: "+err.Error(), "send a fragment as in RFC 8840"))
		return
	}
	switch {
	case strings.TrimSpace(match) == "*":
		c.restart(w, call, fragment)
	case matches(match, call.Tag()):
		w.WriteHeader(http.StatusNoContent) // the server is ICE-lite: checks tell it all that candidates could
	default:
		signal.WriteProblem(w, http.StatusPreconditionFailed, wire.NewError(wire.CodeBadRequest, "If-Match has an outdated entity tag", "use the ETag of the last answer"))
	}
}

func (c *Carrier) restart(w http.ResponseWriter, call *signal.Call, f sdp.Fragment) {
	if f.ICE.Ufrag == "" {
		signal.Refuse(w, wire.NewError(wire.CodeSDP, "the fragment has no ice-ufrag and ice-pwd", "send the new ones to restart ICE"))
		return
	}
	local, tag, err := call.Restart(f.ICE)
	if err != nil {
		signal.Refuse(w, err)
		return
	}
	mid := "0"
	if len(f.Mids) > 0 {
		mid = f.Mids[0]
	}
	w.Header().Set("ETag", `"`+tag+`"`)
	w.Header().Set("Content-Type", fragmentType)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(sdp.AppendFragment(nil, local, mid, c.candidates()))
}

// delete ends a call. Entity tags do not matter here (RFC 9725 §4.3).
func (c *Carrier) delete(w http.ResponseWriter, r *http.Request, t target) {
	call, ok := c.find(w, r, t)
	if !ok {
		return
	}
	call.Hangup()
	w.WriteHeader(http.StatusOK)
}

// find returns the call of the path, to who may change it.
func (c *Carrier) find(w http.ResponseWriter, r *http.Request, t target) (*signal.Call, bool) {
	token, ok := c.bearer(w, r)
	if !ok {
		return nil, false
	}
	call, ok := c.service.FindCall(t.carrier, t.id)
	if !ok || call.Room() != t.room {
		signal.Refuse(w, wire.NewError(wire.CodeNotFound, "this session is over, or never was", "POST a new offer"))
		return nil, false
	}
	if err := call.Authorize(token); err != nil {
		signal.Refuse(w, err)
		return nil, false
	}
	return call, true
}

// options answers preflight requests, and tells what the endpoint takes.
func (c *Carrier) options(w http.ResponseWriter, r *http.Request, t target, allowed string) {
	head := w.Header()
	if r.Header.Get("Access-Control-Request-Method") != "" {
		if r.Header.Get("Origin") != "" {
			signal.Preflight(w, allowed, "Authorization, Content-Type, If-Match")
		}
	} else {
		head.Set("Allow", allowed)
		if t.id == "" {
			head.Set("Accept-Post", sdpType)
			token, _ := signal.BearerToken(r)
			if who, ok := c.service.Admits(token, t.room); ok {
				c.link(head, r, t.room, who.Identity, who.Expires)
			}
		} else {
			head.Set("Accept-Patch", fragmentType)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// readBody reads at most limit bytes, or answers 413; or 408, where host's time limit for bodies is over.
func readBody(w http.ResponseWriter, r *http.Request, limit int) (string, bool) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		signal.Refuse(w, wire.NewError(wire.CodeTooLarge, "the body is too large", "leave out what is not needed"))
	case errors.Is(err, os.ErrDeadlineExceeded):
		signal.WriteProblem(w, http.StatusRequestTimeout, wire.NewError(wire.CodeTimeout, "the body came too slowly", "send it again, at once"))
	case err != nil:
		signal.Refuse(w, wire.NewError(wire.CodeBadRequest, "the body could not be read", "send it again"))
	}
	return string(b), err == nil
}
