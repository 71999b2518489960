package scenario

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"

	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/internal/sdp"
	"github.com/parley-rtc/parley/wire"
)

// whipSession is a client's resource at the server, in place of a session of its own.
type whipSession struct {
	// static after construction
	room string

	// owned by the holder of the client's negotiating
	location string // empty before the first offer
	answer   string
}

// Whip lets somebody publish a microphone and a camera by WHIP, connected.
func (p *Plan) Whip(name string) *Client {
	p.Helper()
	c := p.newClient(name, Options{})
	c.whip = &whipSession{room: "tea"}
	c.newConnection()
	for _, kind := range []wire.Source{wire.SourceMicrophone, wire.SourceCamera} {
		s := c.newSource(kind)
		c.sources = append(c.sources, s)
		s.attach()
	}
	c.Offer()
	c.Connected()
	for _, s := range c.sources {
		s.Resume()
	}
	return c
}

// negotiate offers by POST the first time, and restarts ICE by PATCH afterwards (RFC 9725 §4.2, §4.3.2).
func (w *whipSession) negotiate(c *Client, offer string) {
	p := c.plan
	p.Helper()
	if w.location == "" {
		a := p.ask(http.MethodPost, "/whip/"+w.room+"?identity="+c.Name, "application/sdp", "", offer)
		if a.Code != http.StatusCreated {
			p.Fatalf("%s: POST is answered by %d %s", c.Name, a.Code, a.Body)
		}
		w.location, w.answer = a.Header().Get("Location"), a.Body.String()
	} else {
		a := p.ask(http.MethodPatch, w.location, "application/trickle-ice-sdpfrag", "*", fragment(offer))
		f, err := sdp.ParseFragment(a.Body.String())
		if a.Code != http.StatusOK || err != nil {
			p.Fatalf("%s: PATCH is answered by %d %s", c.Name, a.Code, a.Body)
		}
		w.answer = ufragLine.ReplaceAllString(w.answer, "a=ice-ufrag:"+f.ICE.Ufrag)
		w.answer = pwdLine.ReplaceAllString(w.answer, "a=ice-pwd:"+f.ICE.Pwd)
	}
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: w.answer}); err != nil {
		p.Errorf("%s: answer: %v\n%s", c.Name, err, w.answer)
	}
}

var (
	ufragLine = regexp.MustCompile("a=ice-ufrag:[^\r\n]*")
	pwdLine   = regexp.MustCompile("a=ice-pwd:[^\r\n]*")
)

// fragment has an offer's credentials and its first m-line (RFC 8840 §4.4).
func fragment(offer string) string {
	lines := []string{ufragLine.FindString(offer), pwdLine.FindString(offer), "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0", ""}
	return strings.Join(lines, "\r\n")
}

// ask sends an HTTP request to the carrier of WHIP.
func (p *Plan) ask(method, path, contentType, match, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	if match != "" {
		r.Header.Set("If-Match", match)
	}
	a := httptest.NewRecorder()
	p.whip.ServeHTTP(a, r)
	return a
}
