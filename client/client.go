// Package client joins rooms of a Parley server from Go: it follows who is there, chats, and shares state.
//
//	room, err := client.Join(ctx, "https://parley.example", client.Options{Room: "tea", Token: token})
//	board, err := room.State().Record(ctx, "board", client.RecordOptions{})
//	err = board.Set(ctx, "shapes[0].x", 17)
//
// A Room outlives its connection. While that is lost it is sought again, with growing pauses: writes to records wait, as many as
// MaxWaitingWrites, and are seen here at once; subscriptions are made again, naming the versions that are here, so that only what differs
// is sent. Room.Watch tells how the connection is.
//
// Functions that are given to subscribe are called one after the other, by one goroutine, in the order in which things happened. They may
// use the Room. One that waits keeps those after it waiting, but neither replies nor what is seen here: where MaxWaitingCalls wait, calls of one
// function become one. None is called any more once what was returned to stop it has returned; one that is running then is not waited for.
//
// Errors of the server are *wire.Error, whose codes do not change. ErrConnection says that the connection was lost for good before there
// was a reply.
//
// Media are not part of this package yet: it neither publishes nor receives tracks, and opens no data channel.
//
// A Room owns a goroutine that reads, one that writes while there is a connection, one that calls the application, and one for each call
// that the application answers as an RPC provider. All have ended when Done is closed.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// Errors that are not the server's.
var (
	// ErrConnection: the connection was lost for good before the reply; it is not known whether the server has done what was asked.
	ErrConnection = errors.New("the connection was lost before the server answered")
	// ErrClosed: the room was left, or the record closed.
	ErrClosed = errors.New("closed")
)

// Options say whom to join as.
type Options struct {
	// Room by name. With a token it may be empty.
	Room string
	// Token of a server that demands one. One lets in once: after a longer outage, or when the server has started again, the room is joined anew.
	Token string
	// TokenSource, unless nil, is asked for the token each time the room is joined, as the one before may be over by then. It returns when ctx ends,
	// which is after 10 s, or with the Room. While it fails after the first time, that is as if the server could not be reached.
	TokenSource func(ctx context.Context) (string, error)
	// Identity, in open mode; empty: the server makes one.
	Identity string
	// Name and Metadata that the others see.
	Name, Metadata string
	// HTTPClient opens the WebSocket; nil: http.DefaultClient. It has no Timeout.
	HTTPClient *http.Client
	// GiveUp is how long a lost connection is sought; 0: five minutes.
	GiveUp time.Duration
}

// Join joins a room of the server at an address such as https://parley.example. It tries once. The Room that it returns goes on when ctx
// ends.
func Join(ctx context.Context, address string, o Options) (*Room, error) {
	u, err := endpoint(address)
	if err != nil {
		return nil, err
	}
	r := newRoom(u, o)
	if err := r.session.open(ctx); err != nil {
		return nil, fmt.Errorf("join %s: %w", address, err)
	}
	return r, nil
}

// endpoint is where a server has its WebSocket.
func endpoint(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("the server's address: %w", err)
	}
	switch u.Scheme {
	case "http", "https", "ws", "wss":
	default:
		return "", fmt.Errorf("the server's address %q does not begin with https://", address)
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "/v1/session"
	u.RawQuery, u.Fragment = "", ""
	return u.String(), nil
}

// Connection is how a Room is connected.
type Connection string

// Connections.
const (
	Connected Connection = "connected"
	Resuming  Connection = "resuming"  // lost; the server still keeps the session
	Rejoining Connection = "rejoining" // lost for longer: the same participant joins anew
	Ended     Connection = "ended"
)

func codeOf(err error) wire.Code {
	var refused *wire.Error
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

// passing tells whether trying again can help.
func passing(err error) bool {
	switch codeOf(err) {
	case "", wire.CodeTimeout, wire.CodeOverloaded, wire.CodeDraining, wire.CodeRate, wire.CodeInternal:
		return true
	}
	return false
}

// crowded tells whether the server says that it was too much at once.
func crowded(err error) bool {
	code := codeOf(err)
	return code == wire.CodeRate || code == wire.CodeOverloaded
}

// pauseOf is as long as the server says, and longer with each attempt.
func pauseOf(err error, attempt int) time.Duration {
	pause := min(crowdedTime<<min(attempt, 16), keptPause)
	var refused *wire.Error
	if errors.As(err, &refused) {
		pause = max(pause, time.Duration(refused.RetrySeconds)*time.Second)
	}
	return pause
}

// refusal returns refused as an error: a nil *wire.Error is no error.
func refusal(refused *wire.Error) error {
	if refused == nil {
		return nil
	}
	return refused
}

// encode writes a value of the application as JSON.
func encode(v any) (json.RawMessage, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // documents have a limit in bytes
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode a value: %w", err)
	}
	return json.RawMessage(strings.TrimSuffix(b.String(), "\n")), nil
}

// payload is a value that may be left out: nil is.
func payload(what string, v any, maxBytes int) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	b, err := encode(v)
	if err == nil {
		err = refusal(state.CheckPayload(what, b, maxBytes))
	}
	return b, err
}
