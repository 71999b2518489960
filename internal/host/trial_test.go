package host

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-rtc/parley/internal/load"
)

// trial runs parley load against a node, as the command line does.
func trial(t *testing.T, n *node, args ...string) (exit int, r load.Report, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	p := process{env: func(string) (string, bool) { return "", false }, stdout: &out, stderr: &errs}
	exit = p.main(append([]string{
		"load", "--json", "--url", fmt.Sprintf("localhost:%d", n.port.Local().Port()), "--ramp", "20/s", "--duration", "1s",
	}, args...))
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
	}
	return exit, r, errs.String()
}

// Two publishers and three subscribers: everyone joins, sees and hears everything, nothing is lost on the loopback interface, and
// nothing is left running afterwards.
func TestLoad(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	n := startNode(t)
	defer n.stop()
	exit, r, stderr := trial(t, n, "--publishers", "2", "--subscribers", "3", "--bitrate", "600k", "--duration", "3s")
	if exit != 0 || !r.OK || r.Joins.Done != 5 || r.FirstPicture.Done != 6 || r.FirstSound.Done != 6 {
		t.Fatalf("exit %d, %+v\n%s", exit, r, stderr)
	}
	if v := r.Video; v.Tracks != 6 || v.Packets < 6*80*2 || v.Lost != 0 {
		t.Errorf("video %+v", v)
	}
	if a := r.Audio; a.Tracks != 6 || a.Packets < 6*45*3 || a.Lost != 0 {
		t.Errorf("audio %+v", a)
	}
	// Anything above the machine's own hiccups would be a queue.
	if r.Video.DelayP50 <= 0 || r.Video.DelayP50 > 50 || r.Audio.DelayP50 > 50 {
		t.Errorf("delays of %v ms and %v ms", r.Video.DelayP50, r.Audio.DelayP50)
	}
	if r.Received.Clients != 3 || r.Received.Lowest < 1_000_000 || r.Sent.Median < 500_000 || r.Sent.Median > 800_000 {
		t.Errorf("received %+v, sent %+v", r.Received, r.Sent)
	}
	if !strings.Contains(stderr, "joining 5 clients\n5 have joined, 0 failed; measuring for 3s\nleaving\n") {
		t.Errorf("progress:\n%s", stderr)
	}
}

// Every codec reaches everyone in a meeting, over more slots than clients begin with, and so does sound alone. Of six who speak the
// server forwards the loudest three: whoever has not had a turn within the second is withheld for that and for nothing else.
func TestLoadOfMeetings(t *testing.T) {
	n := startNode(t)
	defer n.stop()
	for _, video := range []string{"vp8", "vp9", "h264", "av1", "none"} {
		exit, r, stderr := trial(t, n, "--video", video, "--meeting", "--publishers", "6", "--subscribers", "0", "--bitrate", "100k", "--fps", "10")
		pictures := 30
		if video == "none" {
			pictures = 0
		}
		louder := r.Withheld["others are louder"]
		delete(r.Withheld, "others are louder")
		if exit != 0 || !r.OK || r.Joins.Done != 6 || r.FirstPicture.Done != pictures || r.FirstSound.Done+louder != 30 || len(r.Withheld) != 0 {
			t.Errorf("%s: exit %d, %+v\n%s", video, exit, r, stderr)
		}
	}
}

// Subscribers of three sizes get the encoding that they have room for, and what nobody watches is not sent.
func TestLoadWithSimulcast(t *testing.T) {
	n := startNode(t)
	defer n.stop()
	for subscribers, sizes := range map[string][]bool{"3": {true, true, true}, "1": {true, false, false}} {
		exit, r, stderr := trial(t, n, "--simulcast", "--subscribers", subscribers, "--bitrate", "600k", "--duration", "2s")
		if exit != 0 || !r.OK || len(r.Sizes) != 3 {
			t.Fatalf("exit %d, %+v\n%s", exit, r, stderr)
		}
		for i, some := range sizes {
			if (r.Sizes[i].Frames > 10) != some {
				t.Errorf("%s subscribers: sizes %+v", subscribers, r.Sizes)
			}
		}
		if all := r.Sent.Median > 700_000; all != sizes[2] {
			t.Errorf("%s subscribers: %d bit/s sent", subscribers, r.Sent.Median)
		}
	}
}

// A server with tokens lets in who has its keys, and nobody else; causes are counted.
func TestLoadWithTokens(t *testing.T) {
	n := startNode(t, "--auth", "token")
	defer n.stop()
	exit, r, _ := trial(t, n, "--video", "none", "--data", t.TempDir())
	if exit != 1 || r.Joins.Done != 0 {
		t.Errorf("without keys: exit %d, %+v", exit, r)
	}
	exit, r, stderr := trial(t, n, "--video", "none", "--keys", "APIstranger="+aSecret)
	if exit != 1 || r.Joins.Failed != 4 || len(r.Errors) != 1 || r.Errors[0].Cause != "join: unauthorized" || r.Errors[0].Count != 4 {
		t.Errorf("with other keys: exit %d, %+v\n%s", exit, r, stderr)
	}
	if exit, r, stderr = trial(t, n, "--video", "none", "--data", n.cfg.Data); exit != 0 || r.Joins.Done != 4 {
		t.Errorf("with the keys: exit %d, %+v\n%s", exit, r, stderr)
	}
}

// A server that goes away is told of with what was measured until then, and ends the run.
func TestLoadOfDyingServer(t *testing.T) {
	n := startNode(t)
	gone := make(chan struct{})
	plan := load.Plan{
		URL: fmt.Sprintf("localhost:%d", n.port.Local().Port()), Rooms: 1, Publishers: 1, Subscribers: 2, Ramp: 20, Duration: time.Hour,
		Video: "vp8", Audio: true, Bitrate: 100_000, FPS: 30,
	}
	measuring := false
	r, err := load.Run(t.Context(), &plan, load.Options{Status: func(s load.Status) {
		if s.Phase == load.Measuring && !measuring {
			measuring = true
			go func() { n.stop(); close(gone) }()
		}
	}})
	<-gone
	if err != nil || r.OK || r.Joins.Done != 3 || len(r.Errors) == 0 || r.Errors[0].Count != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := load.Run(t.Context(), &plan, load.Options{}); err == nil || !strings.Contains(err.Error(), "start the server") {
		t.Error(err)
	}
}

// Whoever interrupts gets what was measured so far, and those who were on their way in have not failed.
func TestLoadInterrupted(t *testing.T) {
	n := startNode(t)
	defer n.stop()
	for _, phase := range []load.Phase{load.Joining, load.Measuring} {
		plan := load.Plan{
			URL: fmt.Sprintf("localhost:%d", n.port.Local().Port()), Rooms: 2, Publishers: 1, Subscribers: 3, Ramp: 10, Duration: time.Hour,
			Video: "vp8", Audio: true, Bitrate: 100_000, FPS: 30,
		}
		ctx, cancel := context.WithCancel(t.Context())
		r, err := load.Run(ctx, &plan, load.Options{Status: func(s load.Status) {
			if s.Phase == phase && s.Joined > 0 {
				cancel()
			}
		}})
		if err != nil || !r.OK || !r.Interrupted || r.Joins.Done == 0 || (phase == load.Joining) != (r.Joins.Done < 8) {
			t.Errorf("%v: %+v, %v", phase, r, err)
		}
	}
}

// What is wrong with the command is said before anybody joins, with a next step, and exit status 2.
func TestLoadRefusals(t *testing.T) {
	for args, want := range map[string]string{
		"--rooms 0":                             "--rooms 0: give 1 to 500",
		"--bitrate much":                        "--bitrate: \"much\" is no bitrate: give bit/s, such as 1.5M",
		"--ramp x":                              "--ramp: \"x\" is no rate: give how many a second, such as 5/s",
		"--rooms x":                             "--rooms: \"x\" is not a whole number",
		"--fps":                                 "--fps: its value is missing",
		"--video h265":                          "must be one of",
		"--url http://localhost:8443/r/tea":     "--room names the rooms",
		"--publishers 20 --subscribers 1000":    "--subscribers 1000: give 0 to 999",
		"--duration 2h":                         "--duration 2h0m0s: give 1s to 1h0m0s",
		"--rooms 500 --subscribers 1 --ramp 60": "--ramp 60/s: give 0.1/s to 50/s",
	} {
		var out, errs bytes.Buffer
		p := process{env: func(string) (string, bool) { return "", false }, stdout: &out, stderr: &errs}
		if exit := p.main(append([]string{"load"}, strings.Fields(args)...)); exit != 2 || !strings.Contains(errs.String(), want) || out.Len() > 0 {
			t.Errorf("%s: exit %d, %s", args, exit, errs.String())
		}
	}
	for args, want := range map[string]string{
		"--url 203.0.113.1":                   "--with-consent",
		"--url localhost:1":                   "start the server",
		"--data /nonexistent --url 127.0.0.1": "--data is the data folder of the server",
	} {
		var out, errs bytes.Buffer
		p := process{env: func(string) (string, bool) { return "", false }, stdout: &out, stderr: &errs}
		if exit := p.main(append([]string{"load"}, strings.Fields(args)...)); exit != 1 || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: exit %d, %s", args, exit, errs.String())
		}
	}
}

// The private authority's certificate is refused with the way on, and taken with --insecure.
func TestLoadByHTTPS(t *testing.T) {
	n := startNode(t)
	defer n.stop()
	url := fmt.Sprintf("https://localhost:%d", n.port.Local().Port())
	if exit, _, stderr := trial(t, n, "--video", "none", "--url", url); exit != 1 || !strings.Contains(stderr, "--insecure") {
		t.Errorf("exit %d, %s", exit, stderr)
	}
	if exit, r, stderr := trial(t, n, "--video", "none", "--insecure", "--url", url); exit != 0 || !r.OK {
		t.Errorf("exit %d, %+v, %s", exit, r, stderr)
	}
}

// No flag of load is a setting of the server: it would be read from the server's environment and file.
func TestLoadFlagsAreNoSettings(t *testing.T) {
	var cli program
	p := process{env: func(string) (string, bool) { return "", false }, stdout: os.Stdout, stderr: os.Stderr}
	ctx, _, _, err := p.parse(&cli, []string{"load"})
	if err != nil {
		t.Fatal(err)
	}
	s := sources{known: flagNames(settings(ctx.Model))}
	for _, f := range ctx.Selected().Flags {
		if shared := f.Name == "config" || f.Name == "data" || f.Name == "keys"; s.isSetting(f.Name) != shared {
			t.Errorf("--%s is a setting of the server", f.Name)
		}
	}
}
