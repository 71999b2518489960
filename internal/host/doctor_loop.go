package host

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/parley-rtc/parley/internal/doctor"
	"github.com/parley-rtc/parley/internal/load"
)

// trialPaths are those by which the doctor calls the server.
var trialPaths = []load.Path{load.PathUDP, load.PathTCP, load.PathTURNUDP, load.PathTURNTCP, load.PathTURNTLS, load.PathWHIP}

const (
	areaServer    = "server"
	areaWebSocket = "WebSocket"
)

// examinePaths calls the server on this machine by every path there is: the one that runs, or one that is started for this.
func (c *doctorCommand) examinePaths(ctx context.Context, env environment, running bool, r *doctor.Report, status func(string)) {
	at, token := c.Listen, func(string, string) (string, error) { return "", nil }
	if !running {
		status("starting a server to call")
		n, folder, err := c.startOwn()
		defer os.RemoveAll(folder)
		if err != nil {
			r.Add(doctor.Finding{Area: areaServer, Level: doctor.Fault, Text: "a server does not start", Cause: err.Error(), Next: "correct that"})
			return
		}
		defer n.stop()
		at = n.port.Local().String()
		r.Add(doctor.Finding{Area: areaServer, Level: doctor.OK, Text: "one was started for the calls below, with these settings but on a free port, and has ended"})
	} else if c.Auth == "token" {
		var err error
		if token, err = signer(&c.Shared, env, time.Hour); err != nil || token == nil {
			r.Add(doctor.Finding{
				Area: areaWebSocket, Level: doctor.Warning, Text: "the running server was not called", Cause: "it lets in who has a token only, and its keys are not here",
				Next: "give the doctor its --data or --keys, as its user",
			})
			return
		}
	}
	hasTURN := true
	for _, path := range trialPaths {
		if path.TURN() && !hasTURN {
			r.Paths = append(r.Paths, doctor.PathFacts{Path: string(path)})
			continue
		}
		status(fmt.Sprintf("%s: a call through the server", path))
		report, err := load.Run(ctx, trialPlan(at, path), load.Options{Token: token})
		if ctx.Err() != nil {
			return
		}
		if err == nil && slices.ContainsFunc(report.Errors, func(c load.Cause) bool { return c.Cause == load.CauseNoTURN }) {
			hasTURN = false
			r.Paths = append(r.Paths, doctor.PathFacts{Path: string(path)})
			r.Add(c.withoutTURN(answersTURN(ctx, at)))
			continue
		}
		if !addPath(r, path, report, err) {
			return
		}
	}
}

// answersTURN reports whether a server on this machine answers STUN, and so TURN, at its one port.
func answersTURN(ctx context.Context, listen string) bool {
	host, number, _ := splitListen(listen)
	return doctor.AnswersSTUN(ctx, "tcp", reached(host, number))
}

// withoutTURN says why the server tells clients of no TURN server: it answers as one and keeps that to itself, or does not.
func (c *doctorCommand) withoutTURN(answers bool) doctor.Finding {
	f := doctor.Finding{Area: "TURN", Level: doctor.Note, Text: "not offered, neither by UDP nor by TCP or TLS"}
	switch {
	case answers:
		f.Cause = "the server has it, and tells clients nothing of it: it has loopback addresses alone, where no relay is needed"
		f.Next = "nothing, unless others are to reach the server: then --listen on more than loopback"
	case !c.TURN:
		f.Cause = "--no-turn"
		f.Next = "nothing, unless some clients are behind firewalls that let nothing else out: then leave it out"
	case runtime.GOOS != "linux":
		f.Cause = "the server has it on Linux only"
		f.Next = "nothing, unless some clients are behind firewalls that let nothing else out: then run parley turn on a Linux machine, and name it with --ice-server"
	default:
		f.Level, f.Cause = doctor.Warning, "the running server was started with --no-turn, or is an older one, and the settings that the doctor was given say otherwise"
		f.Next = "give the doctor the settings of the server"
	}
	return f
}

// startOwn starts a server as it is set up, with what it makes in a folder that goes away.
func (c *doctorCommand) startOwn() (n *node, folder string, err error) {
	if folder, err = os.MkdirTemp("", "parley-doctor-"); err != nil {
		return nil, "", err
	}
	cfg := c.Config
	host, _, err := splitListen(cfg.Listen)
	if err != nil {
		return nil, folder, err
	}
	cfg.Listen = netip.AddrPortFrom(host, 0).String()
	cfg.Shared = Shared{Data: folder}
	cfg.Auth, cfg.Domain, cfg.Behind, cfg.TURNListen = "open", nil, nil, nil
	n, err = newNode(&cfg, slog.New(slog.DiscardHandler))
	return n, folder, err
}

// trialPlan is a call of two: one sends what a camera does, the other receives it.
func trialPlan(at string, path load.Path) *load.Plan {
	return &load.Plan{
		URL: localURL(at), Insecure: true, WithConsent: true, Rooms: 1, Publishers: 1, Subscribers: 1, Ramp: 50,
		Duration: trialTime, Video: "vp8", Audio: true, Bitrate: trialBitrate, FPS: 30, Path: path,
	}
}

// addPath adds what came of a call, and reports whether the next one makes sense.
func addPath(r *doctor.Report, path load.Path, report *load.Report, err error) (goOn bool) {
	if err != nil {
		r.Add(doctor.Finding{
			Area: areaWebSocket, Level: doctor.Fault, Text: "the server is not reached on its own machine", Cause: err.Error(),
			Next: "see its log, and that no firewall is between this machine and itself: nft list ruleset",
		})
		return false
	}
	if i := slices.IndexFunc(report.Errors, func(c load.Cause) bool { return slices.Contains([]string{"connect", "token", "join"}, c.Cause) }); i >= 0 {
		r.Add(failed(areaWebSocket, "nobody can join", report.Errors[i], "see the log of the server"))
		return false
	}
	if path == trialPaths[0] {
		r.Add(doctor.Finding{Area: areaWebSocket, Level: doctor.OK, Text: fmt.Sprintf("%.2g ms for a request and its reply", report.Ping)})
	}
	f := pathFinding(path, report)
	facts := doctor.PathFacts{
		Path: string(path), Offered: true, OK: f.Level == doctor.OK || f.Level == doctor.Warning, RTT: report.RTT, Joined: report.Joins.P50,
	}
	if facts.OK {
		facts.LostPercent, facts.Mbit = report.Video.LostPercent, float64(report.Received.Median)/1e6
	}
	r.Paths = append(r.Paths, facts)
	r.Add(f)
	return true
}

// pathFinding is what came of a call.
func pathFinding(path load.Path, report *load.Report) doctor.Finding {
	area := string(path)
	if len(report.Errors) > 0 {
		return failed(area, "no call by this path", report.Errors[0], pathNext(path))
	}
	if report.Video == nil || report.FirstPicture.Failed+report.FirstPicture.Done == 0 || report.FirstPicture.Failed > 0 {
		return failed(area, "connected, and no picture came", load.Cause{Example: "nothing was forwarded within " + trialTime.String()}, pathNext(path))
	}
	f := doctor.Finding{Area: area, Level: doctor.OK}
	lost := "nothing lost"
	if report.Video.Lost > 0 {
		lost = fmt.Sprintf("%.2g %% lost", report.Video.LostPercent)
	}
	f.Text = fmt.Sprintf("%v, %s, RTT %.2g ms, connected in %.0f ms", load.Bitrate(report.Received.Median), lost, report.RTT, report.Joins.P50)
	if report.Video.LostPercent > maxTrialLoss {
		f.Level, f.Cause = doctor.Warning, "what was sent within this machine got lost in it: it is busy, or its buffers are small"
		f.Next = "see the buffers above, and what else keeps the processor"
	}
	return f
}

// failed is the finding of what did not work.
func failed(area, text string, cause load.Cause, next string) doctor.Finding {
	if cause.Next != "" {
		next = cause.Next
	}
	return doctor.Finding{Area: area, Level: doctor.Fault, Text: text, Cause: cause.Example, Next: next}
}

// pathNext is what to do where a path does not work.
func pathNext(path load.Path) string {
	switch path {
	case load.PathTCP, load.PathTURNTCP, load.PathTURNTLS:
		return "see that no firewall on this machine closes the TCP port, and the log of the server"
	}
	return "see that no firewall on this machine drops UDP of the server's port (nft list ruleset), and the log of the server"
}
