package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parley-rtc/parley/internal/api"
	"github.com/parley-rtc/parley/internal/auth"
	"github.com/parley-rtc/parley/internal/auth/authtest"
	"github.com/parley-rtc/parley/wire"
)

// cupboard is a store that notes what is asked of it.
type cupboard struct {
	asked []string
	err   error
}

func (c *cupboard) List(_ context.Context, rooms []string) (api.Stored, error) {
	c.asked = append(c.asked, fmt.Sprint("list ", rooms))
	return api.Stored{RecordBytes: 90812, MaxRecordBytes: 1 << 30, ServerBytes: 512, LogBytes: 20411, RoomCount: 1, Rooms: []api.StoredRoom{{Room: "tea<", RecordBytes: 90300, LogBytes: 20411, Open: true}}}, c.err
}

func (c *cupboard) Remove(_ context.Context, room string) (api.StoredRoom, error) {
	c.asked = append(c.asked, "remove "+room)
	return api.StoredRoom{Room: room, RecordBytes: 7}, c.err
}

// Rule: an operator's token lists what is stored, and removes that of one room; nobody else's does, be it an admin's, of another key, or none, and no other method does anything. What goes wrong has its
// status, and faults are told to who runs the server alone.
func TestStored(t *testing.T) {
	store, faults := &cupboard{}, 0
	archive := api.NewArchive(store, func(token string) error { return auth.VerifyOperator(time.Now(), token, authtest.Keys()) }, func(error) { faults++ })
	ask := func(method, query, token string) (int, string) {
		r := httptest.NewRequest(method, api.StoredPath+query, nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		archive.ServeHTTP(w, r)
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	operator, err := auth.SignOperator(time.Now(), authtest.KeyName, time.Minute, authtest.Keys())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, query, token string
		status               int
		answer, asked        string
	}{
		{
			"GET", "", operator, http.StatusOK,
			`{"recordBytes":90812,"maxRecordBytes":1073741824,"serverBytes":512,"logBytes":20411,"roomCount":1,"rooms":[{"room":"tea<","recordBytes":90300,"logBytes":20411,"open":true}]}`, "list []",
		},
		{"GET", "?room=tea&room=a%2Fb", operator, http.StatusOK, `"rooms"`, "list [tea a/b]"},
		{"GET", strings.Replace(strings.Repeat("&room=x", 33), "&", "?", 1), operator, http.StatusBadRequest, "32", ""},
		{"DELETE", "?room=tea+%26", operator, http.StatusOK, `{"room":"tea \u0026","recordBytes":7,"logBytes":0,"open":false}`, "remove tea &"},
		{"DELETE", "", operator, http.StatusBadRequest, "one room", ""},
		{"DELETE", "?room=a&room=b", operator, http.StatusBadRequest, "one room", ""},
		{"POST", "", operator, http.StatusMethodNotAllowed, "", ""},
		{"OPTIONS", "", "", http.StatusMethodNotAllowed, "", ""},
		{"GET", "", "", http.StatusUnauthorized, "unauthorized", ""},
		{"DELETE", "?room=tea", "", http.StatusUnauthorized, "unauthorized", ""},
		{"DELETE", "?room=tea", authtest.Good(time.Now(), authtest.Object{"video": `{"room":"tea","roomJoin":true,"roomAdmin":true}`}), http.StatusUnauthorized, "not an operator", ""},
		{"GET", "", operator + "x", http.StatusUnauthorized, "unauthorized", ""},
	} {
		store.asked = nil
		status, answer := ask(c.method, c.query, c.token)
		answer = strings.ReplaceAll(answer, "tea &", `tea \u0026`)
		if asked := strings.Join(store.asked, ", "); status != c.status || !strings.Contains(answer, c.answer) || asked != c.asked {
			t.Errorf("%s %s: %d %s, asked %q", c.method, c.query, status, answer, asked)
		}
	}
	for _, c := range []struct {
		err    error
		status int
		faults int
	}{
		{wire.NewError(api.CodeInUse, "", ""), http.StatusConflict, 0},
		{fmt.Errorf("remove: %w", wire.NewError(wire.CodeNotFound, "", "")), http.StatusNotFound, 0},
		{errors.New("the disk smells"), http.StatusInternalServerError, 1},
	} {
		store.err, faults = c.err, 0
		if status, answer := ask("DELETE", "?room=tea", operator); status != c.status || faults != c.faults || strings.Contains(answer, "smells") {
			t.Errorf("%v: %d %s, %d faults", c.err, status, answer, faults)
		}
	}
}
