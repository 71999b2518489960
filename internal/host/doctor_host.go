package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/parley-rtc/parley/internal/bus/nats"
	"github.com/parley-rtc/parley/internal/doctor"
)

// examineHost looks at the machine as a server with these settings would find it. It returns whether such a server is running.
func (c *doctorCommand) examineHost(ctx context.Context, origins Origins, r *doctor.Report, status func(string)) (running bool) {
	status("settings")
	r.Add(settingsFinding(origins))
	status("ports")
	finding, running := portFinding(ctx, c.Listen)
	r.Add(finding)
	r.Add(c.turnFindings(ctx, running)...)
	status("addresses")
	r.Add(c.addressFindings()...)
	status("certificate")
	r.Add(c.certificateFindings(ctx, time.Now(), net.DefaultResolver.LookupNetIP)...)
	status("data folder")
	r.Add(dataFinding(c.Data, keysFile))
	if c.State {
		status("shared state")
		f := stateFinding(c.Data)
		if f.Level == doctor.OK && running && storesNothing(ctx, c.Listen, c.MetricsKey.Reveal()) {
			f = unstoredFinding(c.Data)
		}
		r.Add(f)
	}
	status("system")
	r.Add(systemFindings()...)
	return running
}

// systemFindings are those that depend on no setting.
func systemFindings() []doctor.Finding {
	raiseFileLimit(slog.New(slog.DiscardHandler)) // as the server does
	s := doctor.LookAtSystem()
	s.Files, s.WantedFiles, s.FewFiles = fileLimit(), wantedFiles, fewFiles
	return s.Findings()
}

const areaSettings = "settings"

// settingsFinding tells where settings come from that are not the default.
func settingsFinding(origins Origins) doctor.Finding {
	f := doctor.Finding{Area: areaSettings, Level: doctor.OK}
	for _, name := range slices.Sorted(maps.Keys(origins)) {
		if from := origins[name]; from != "default" && name != "config" {
			f.More = append(f.More, name+": "+from)
		}
	}
	f.Text = "all are the defaults"
	if n := len(f.More); n > 0 {
		f.Text = fmt.Sprintf("%d of %d are set; parley config show --origin has all of them", n, len(origins))
	}
	return f
}

// misconfigured is the report where the settings themselves are wrong: what depends on them is not looked at.
func (p process) misconfigured(fault error, args []string) error {
	r := doctor.NewReport(Version())
	c := &doctorCommand{JSON: slices.Contains(args, "--json")}
	if !c.JSON {
		r.Added = func(f doctor.Finding) { _ = f.Write(p.stdout) }
	}
	r.Add(doctor.Finding{
		Area: areaSettings, Level: doctor.Fault, Text: fault.Error(),
		Cause: "the server refuses to start with this",
		Next:  "correct it; parley serve --help lists all settings, and parley config show --origin tells where they come from",
	})
	r.Add(systemFindings()...)
	return p.conclude(c, r)
}

// addressFindings are what clients would be offered, and the hints of the start text.
func (c *doctorCommand) addressFindings() []doctor.Finding {
	const area = "addresses"
	listen, number, err := splitListen(c.Listen)
	if err != nil {
		return nil // the port has it
	}
	list, err := interfaces()
	if err != nil {
		return []doctor.Finding{{Area: area, Level: doctor.Fault, Text: err.Error()}}
	}
	s := summary{cfg: &c.Config, port: number, loopback: listen.IsLoopback(), offers: chooseAddresses(listen, list, c.Advertise), container: inContainer()}
	f := doctor.Finding{Area: area, Level: doctor.OK}
	var offered []string
	beyond, public := false, false
	for _, o := range s.offers {
		verb := "kept back: "
		if o.offered {
			verb = "offered: "
			offered = append(offered, o.address.String())
			beyond = beyond || !o.address.IsLoopback()
			public = public || isPublic(o.address) || o.place == "--advertise"
		}
		f.More = append(f.More, fmt.Sprintf("%s%v, %s: %s", verb, o.address, o.place, o.why))
	}
	f.Text = fmt.Sprintf("clients are offered %s", strings.Join(offered, ", "))
	switch {
	case len(offered) == 0:
		f.Level, f.Text = doctor.Fault, "there is no address that clients could be offered"
		f.Cause, f.Next = "the machine has no network", "connect it, or name an address with --advertise"
	case !beyond:
		f.Level, f.Cause = doctor.Warning, "only this machine reaches itself by these"
		f.Next = "connect the machine to a network, or listen on more than loopback"
	case c.public() && !public:
		f.Level = doctor.Warning
		f.Cause = "the server is set up for the internet, and has private addresses alone: a router or a cloud's NAT is in front"
		f.Next = "--advertise the public address, and pass the port on to this machine, TCP and UDP, with the same number"
	}
	all := []doctor.Finding{f}
	for _, hint := range s.hints() {
		all = append(all, doctor.Finding{Area: "hint", Level: doctor.Note, Text: hint})
	}
	return all
}

// stateFinding looks through what is stored of shared state.
func stateFinding(data string) doctor.Finding {
	folder := fullPath(stateFolder(data))
	f := doctor.Finding{Area: "shared state", Level: doctor.OK, Text: "what is stored is whole"}
	if err := nats.Check(folder, stateLog); err != nil {
		f.Level, f.Text, f.Cause = doctor.Fault, "durable records are refused", err.Error()
		f.Next = restoreState + ": " + folder
		return f
	}
	for _, log := range []string{roomLog, changesLog} {
		if err := nats.Check(folder, log); err != nil {
			f.Level, f.Text, f.Cause = doctor.Warning, "some of the rooms' logs is damaged", err.Error()
			f.Next = "nothing, for the server sets aside what is damaged when it starts, and the rest is there; but look into the system's log for faults of the disk"
			return f
		}
	}
	return f
}

// unstoredFinding is of a running server that can store nothing, though what is stored is whole.
func unstoredFinding(data string) doctor.Finding {
	return doctor.Finding{
		Area: "shared state", Level: doctor.Fault, Text: "the running server refuses durable records, and its rooms have no logs",
		Cause: "it cannot use " + fullPath(stateFolder(data)) + ": another server had it at the start, it may not write there, or the disk is full or fails; its log says which",
		Next:  ownFolder + ", and start it again; make room, or mend the disk",
	}
}

// dataFinding tries whether the server could keep its keys and certificates.
func dataFinding(folder, keys string) doctor.Finding {
	f := doctor.Finding{Area: "data folder", Level: doctor.OK, Text: fullPath(folder)}
	at, there := fullPath(folder), true
	for {
		fi, err := os.Stat(at)
		if err == nil && !fi.IsDir() {
			f.Level, f.Cause, f.Next = doctor.Fault, at+" is no folder", "choose another with --data"
			return f
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) || at == filepath.Dir(at) {
			break
		}
		there, at = false, filepath.Dir(at)
	}
	probe, err := os.CreateTemp(at, ".parley-doctor-*")
	if err != nil {
		f.Level, f.Cause = doctor.Fault, fmt.Sprintf("%s may not write there: %v", userName(), err)
		f.Next = "choose another folder with --data, or run the doctor as the server's user"
		return f
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
	if !there {
		f.Text += ", which the server will make"
		return f
	}
	if free, ok := freeSpace(at); ok && free < littleSpace {
		f.Level, f.Cause, f.Next = doctor.Warning, fmt.Sprintf("%d MiB are free on its disk", free>>20), "make room"
	}
	if fi, err := os.Stat(filepath.Join(at, keys)); err == nil && fi.Mode().Perm()&0o077 != 0 {
		path := filepath.Join(at, keys)
		f.Level = doctor.Warning
		f.Cause = fmt.Sprintf("others on this machine may read %s (mode %04o), and with it let anybody in", path, fi.Mode().Perm())
		f.Next = "chmod 600 " + strconv.Quote(path)
	}
	return f
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return "user " + u.Username
	}
	return "this user"
}
