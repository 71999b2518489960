package api_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-rtc/parley/internal/api"
	"github.com/parley-rtc/parley/internal/bus/bustest"
	"github.com/parley-rtc/parley/internal/bus/local"
	"github.com/parley-rtc/parley/internal/permit"
	"github.com/parley-rtc/parley/internal/scopes"
	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/internal/state"
	"github.com/parley-rtc/parley/wire"
)

// Rule: no item is begun after MaxBatchTime, so that the results of those before are still read: the others are refused, and not carried out.
func TestBatchTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, disk := local.New(), bustest.NewSlowLog(local.NewLog(1<<30))
		over, storing := make(chan struct{}), make(chan struct{})
		go func() { // each write takes about as long as it may; one that took longer would be the last that is begun
			defer close(storing)
			for {
				time.Sleep(scopes.StoreTime - time.Second)
				select {
				case disk.Stores <- struct{}{}:
				case <-over:
					return
				}
			}
		}()
		s, err := scopes.NewService(t.Context(), scopes.ServiceConfig{
			Bus: b, Log: disk, Linger: time.Second, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler),
			May: func(scope wire.Scope, _ string) func(state.Access) *wire.Error { return permit.Default(scope, true) },
		})
		if err != nil {
			t.Fatal(err)
		}
		origins, err := signal.NewOrigins(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		sessions, answer := signal.New(signal.Config{Bus: b, State: true}), httptest.NewRecorder()
		var items []string
		for i := range api.MaxItems {
			items = append(items, fmt.Sprintf(`{"type":"record-write","body":{"scope":"server","name":"r%d","operations":[{"op":"set","value":{}}]}}`, i))
		}
		r := httptest.NewRequest(http.MethodPost, api.StatePath, strings.NewReader(`{"room":"tea","items":[`+strings.Join(items, ",")+`]}`))
		r.Header.Set("Content-Type", "application/json")
		start := time.Now()
		api.NewState(sessions, origins, &office{most: 10_000}).ServeHTTP(answer, r)
		took := time.Since(start)
		var results api.Results
		if err := json.Unmarshal(answer.Body.Bytes(), &results); err != nil || len(results.Results) != api.MaxItems {
			t.Fatalf("%v: %s", err, answer.Body)
		}
		begun := 0
		for begun < api.MaxItems && results.Results[begun].Type == wire.TypeWritten {
			begun++
		}
		for i, r := range results.Results[begun:] {
			if r.Error.Code != wire.CodeOverloaded {
				t.Fatalf("item %d, after %d that were begun: %+v", begun+i, begun, r.Error)
			}
		}
		if took < api.MaxBatchTime || took > api.MaxBatchTime+scopes.StoreTime+2*time.Second || begun < 2 {
			t.Errorf("took %v; %d items were begun", took, begun)
		}
		close(over)
		<-storing
		close(disk.Stores)
		sessions.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
