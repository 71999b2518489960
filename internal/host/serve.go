package host

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	ossignal "os/signal"
	"runtime/debug"
	"syscall"

	"github.com/parley-rtc/parley/internal/obs"
)

// serve runs a server until the process is told to end. The first signal drains, a second one ends the process within exitTimeout.
func (p process) serve(cfg *Config) error {
	log := obs.NewLogger(p.stderr, obs.LogConfig{Level: cfg.LogLevel, JSON: cfg.LogFormat == "json", Addresses: cfg.LogAddress})
	raiseFileLimit(log)
	collectSooner()
	signals := make(chan os.Signal, 4)
	ossignal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer ossignal.Stop(signals)
	n, err := newNode(cfg, log)
	if err != nil {
		return err
	}
	n.summary(isTerminal(p.stdout)).write(p.stdout)
	tellSupervisor(log, "READY=1")

	s := <-signals
	tellSupervisor(log, "STOPPING=1")
	log.Info("draining: nobody new is taken; the same signal again ends it now", "signal", s.String(), "atMost", cfg.Drain)
	if err := n.end(cfg.Drain, signals); err != nil {
		return err
	}
	log.Info("ended")
	return nil
}

// gcPercent is how much is allocated, in percent of what lives, before memory is collected again. Nothing is allocated while packets are
// forwarded, so what the last joins have left stays for minutes, and is as much as what they need: 20 to 30 KiB for each who takes part.
const gcPercent = 50

// collectSooner sets that, unless the environment has something to say of it.
func collectSooner() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// serverHandler tells a page of this machine where others find the server: its own address, localhost, is no help to them.
func (n *node) serverHandler(w http.ResponseWriter, r *http.Request) {
	var about struct {
		Others string `json:"others,omitempty"`
	}
	if visitorOf(r).local {
		about.Others = n.summary(false).others()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(about)
}

// summary gathers what the start text tells.
func (n *node) summary(codes bool) *summary {
	local := n.port.Local()
	s := &summary{
		cfg: n.cfg, port: local.Port(), loopback: local.Addr().IsLoopback(), offers: *n.offers.Load(), keys: n.keys.Load().origin,
		container: inContainer(), codes: codes, certified: n.certs.certified(),
	}
	if n.turn != nil {
		s.turn, s.turnHidden = n.turn.where(s.port), len(n.turnHosts()) == 0
	}
	if n.certs.ca != nil {
		s.authority = fingerprint(n.certs.ca.cert.Raw)
	}
	return s
}

// tellSupervisor tells systemd (Type=notify) how far the process is, where it was started by it.
func tellSupervisor(log *slog.Logger, state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.Dial("unixgram", path)
	if err == nil {
		_, err = fmt.Fprint(conn, state)
		conn.Close()
	}
	if err != nil {
		log.Warn("cannot tell the supervisor", "state", state, "err", err)
	}
}
