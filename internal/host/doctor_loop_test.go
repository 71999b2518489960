package host

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/doctor"
	"github.com/parley-rtc/parley/internal/load"
)

// A running server that wants tokens is called by every path there is, each with a picture that arrives, a round-trip time and no loss to speak
// of; afterwards nobody is in it, and nothing is left running.
func TestScenarioDoctorCallsARunningServer(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	data := t.TempDir()
	n := startNode(t, "--listen", "0.0.0.0:0", "--auth", "token", "--data", data, // relays have no use for loopback addresses alone
		"--ice-server", "turn:192.0.2.1,ann,hunter2") // somebody else's is not what is tried
	defer n.stop()
	at := fmt.Sprintf("0.0.0.0:%d", n.port.Local().Port())
	r, exit, stderr := examine(t, nil, "--listen", at, "--auth", "token", "--data", data)
	if exit != 0 || !r.OK {
		t.Errorf("exit %d, %s, %+v", exit, stderr, r.Findings)
	}
	var paths []load.Path
	for _, p := range r.Paths {
		paths = append(paths, load.Path(p.Path))
		if !p.OK || !p.Offered || p.Mbit < 1 || p.Mbit > 3 || p.LostPercent > 5 || p.RTT <= 0 || p.RTT > 1000 || p.Joined <= 0 {
			t.Errorf("%+v", p)
		}
	}
	if !slices.Equal(paths, trialPaths) {
		t.Errorf("called by %v", paths)
	}
	s := n.signal.Stats()
	for start := time.Now(); s.Sessions+s.Calls > 0 && time.Since(start) < patience; s = n.signal.Stats() {
		time.Sleep(10 * time.Millisecond) // the last one has left, and its session ends when it has been told so
	}
	if s.Sessions+s.Calls > 0 {
		t.Errorf("%+v is left", s)
	}
	// Without its keys nobody gets in, which is not a fault of the server.
	r, exit, _ = examine(t, nil, "--listen", at, "--auth", "token", "--data", t.TempDir())
	i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.Area == areaWebSocket })
	if exit != 0 || i < 0 || len(r.Paths) > 0 {
		t.Fatalf("exit %d, %+v", exit, r)
	}
	check(t, r.Findings[i], doctor.Warning, "its keys are not here")
}

// Where no server runs, one is started as it is set up, called, and ended: nothing is left of it, and nothing was made in the data folder. What it
// does not offer is no fault.
func TestScenarioDoctorStartsAServer(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	data := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir()) // others may be examined at the same time
	r, exit, stderr := examine(t, nil, "--listen", "127.0.0.1:0", "--data", data)
	if exit != 0 || !r.OK || len(r.Paths) != len(trialPaths) {
		t.Errorf("exit %d, %s, %+v", exit, stderr, r)
	}
	for _, p := range r.Paths {
		if turn := strings.HasPrefix(p.Path, "TURN/"); p.Offered == turn || p.OK == turn {
			t.Errorf("%+v", p)
		}
	}
	if left, _ := os.ReadDir(data); len(left) > 0 {
		t.Errorf("the doctor made %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "parley-doctor-*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// A server that is running without TURN, which the doctor was not told, is told from one that has it and offers it to nobody.
func TestScenarioDoctorFindsOtherSettings(t *testing.T) {
	data := t.TempDir()
	n := startNode(t, "--listen", "127.0.0.1:0", "--no-turn", "--data", data)
	defer n.stop()
	at := n.port.Local().String()
	for _, c := range []struct {
		flags []string
		level doctor.Level
		text  string
	}{
		{nil, doctor.Warning, "started with --no-turn"},
		{[]string{"--no-turn"}, doctor.Note, "why --no-turn"},
	} {
		r, exit, stderr := examine(t, nil, append([]string{"--listen", at, "--data", data}, c.flags...)...)
		i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.Area == "TURN" })
		if exit != 0 || i < 0 || len(r.Paths) != len(trialPaths) {
			t.Fatalf("exit %d, %s, %+v", exit, stderr, r)
		}
		check(t, r.Findings[i], c.level, c.text)
	}
}

// Why there is no TURN is told by whether the server answers, and by the settings.
func TestFindingsWithoutTURN(t *testing.T) {
	for _, c := range []struct {
		turn, answers bool
		level         doctor.Level
		text          string
	}{
		{true, true, doctor.Note, "loopback addresses alone"},
		{false, true, doctor.Note, "loopback addresses alone"}, // it is the running server that counts
		{false, false, doctor.Note, "why --no-turn"},
		{true, false, doctor.Warning, "the settings that the doctor was given say otherwise"},
	} {
		cmd := &doctorCommand{}
		cmd.TURN = c.turn
		check(t, cmd.withoutTURN(c.answers), c.level, c.text)
	}
}

// What goes wrong with a call is told by what it is, with a next step; whether others make sense depends on it.
func TestFindingsOfCalls(t *testing.T) {
	good := func() *load.Report {
		return &load.Report{
			Joins: load.Times{Done: 2, P50: 12}, FirstPicture: load.Times{Done: 1}, Video: &load.Media{Packets: 300},
			Received: load.Spread{Clients: 1, Median: 1_900_000}, RTT: 0.4, Ping: 0.1,
		}
	}
	for _, c := range []struct {
		name  string
		path  load.Path
		make  func(*load.Report)
		level doctor.Level
		text  string
		goOn  bool
	}{
		{"well", load.PathTCP, func(*load.Report) {}, doctor.OK, "ICE-TCP 1.9 Mbit/s, nothing lost, RTT 0.4 ms, connected in 12 ms", true},
		{"lossy", load.PathUDP, func(r *load.Report) { r.Video.Lost, r.Video.LostPercent = 30, 9.1 }, doctor.Warning, "9.1 % lost", true},
		{"no media", load.PathUDP, func(r *load.Report) {
			r.Errors = []load.Cause{{Cause: "media", Example: "not connected after 6s"}}
		}, doctor.Fault, "no call by this path why not connected after 6s next see that no firewall on this machine drops UDP", true},
		{"no TCP", load.PathTURNTLS, func(r *load.Report) {
			r.Errors = []load.Cause{{Cause: "media", Example: "not connected after 6s"}}
		}, doctor.Fault, "closes the TCP port", true},
		{"no picture", load.PathWHIP, func(r *load.Report) { r.FirstPicture = load.Times{Failed: 1} }, doctor.Fault, "no picture came", true},
		{"refused", load.PathUDP, func(r *load.Report) {
			r.Errors = []load.Cause{{Cause: "join", Example: "unauthorized", Next: "bring a token"}}
		}, doctor.Fault, "WebSocket nobody can join why unauthorized next bring a token", false},
	} {
		report := good()
		c.make(report)
		r := doctor.NewReport("")
		if goOn := addPath(r, c.path, report, nil); goOn != c.goOn {
			t.Errorf("%s: others make sense: %v", c.name, goOn)
		}
		check(t, r.Findings[len(r.Findings)-1], c.level, c.text)
	}
	r := doctor.NewReport("")
	if addPath(r, load.PathUDP, nil, os.ErrDeadlineExceeded) || r.OK {
		t.Errorf("%+v", r)
	}
}
