package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/pion/webrtc/v4"

	"github.com/parley-rtc/parley/wire"
)

// call publishes by WHIP (RFC 9725), in place of a session, and returns when media can flow.
func (c *client) call(ctx context.Context) (cause string, err error) {
	if c.pc, err = c.connection(ctx); err != nil {
		return "media", err
	}
	c.pc.OnConnectionStateChange(c.changed)
	if err := c.addSenders(); err != nil {
		return "offer", err
	}
	offer, err := c.pc.CreateOffer(nil)
	if err == nil {
		err = c.pc.SetLocalDescription(offer)
	}
	if err != nil {
		return "offer", err
	}
	answer, err := c.post(ctx, offer.SDP)
	if err == nil {
		err = c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer})
	}
	if err != nil {
		return "WHIP", err
	}
	return c.await(ctx)
}

// post sends the offer, and notes how the call is ended.
func (c *client) post(ctx context.Context, offer string) (answer string, err error) {
	at := fmt.Sprintf("%v/whip/%s?identity=%s", c.target.url, url.PathEscape(c.room), url.QueryEscape(c.identity))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(offer))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/sdp")
	if err := c.authorize(r); err != nil {
		return "", err
	}
	response, err := c.target.client.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, wire.MaxSDPBytes))
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("POST %s: %s: %.200s", r.URL.Path, response.Status, body)
	}
	location, err := response.Location()
	if err != nil {
		return "", errors.New("the answer to WHIP has no Location")
	}
	c.location = location.String()
	return string(body), nil
}

// hangUp ends the call.
func (c *client) hangUp(ctx context.Context) {
	r, err := http.NewRequestWithContext(ctx, http.MethodDelete, c.location, nil)
	if err != nil || c.authorize(r) != nil {
		return
	}
	if answer, err := c.target.client.Do(r); err == nil { // it ends anyway
		_ = answer.Body.Close()
	}
}
