package host

import (
	"encoding/json"
	"io"
	"net/http"
	"runtime"

	"github.com/parley-rtc/parley/internal/signal"
	"github.com/parley-rtc/parley/wire"
)

// probes answers what orchestrators and operators ask: whether the process lives (/healthz, /livez), whether it takes new
// sessions (/readyz: 503 before the start and while it drains), and what it is (/version).
func probes(mux *http.ServeMux, ready func() bool) {
	alive := func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") }
	mux.HandleFunc("GET /healthz", alive)
	mux.HandleFunc("GET /livez", alive)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready() {
			signal.WriteProblem(w, http.StatusServiceUnavailable, wire.NewError(wire.CodeDraining, "no new sessions are taken", "ask another server"))
			return
		}
		plain(w, http.StatusOK, "ready\n")
	})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(map[string]any{"version": Version(), "protocol": wire.Protocol, "go": runtime.Version()})
	})
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
