package doctor

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// well is a machine on which nothing is wrong.
func well() System {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	return System{
		Now: now, Built: now.AddDate(0, -1, 0), ReceiveBuffer: 8 << 20, SendBuffer: 512 << 10, ReceiveMax: 8 << 20, SendMax: 8 << 20,
		Files: 65536, WantedFiles: 65536, FewFiles: 4096, Clock: ClockSynchronised, ClockError: 20 * time.Millisecond, AES: Yes,
	}
}

// Each thing that can be wrong with a machine is found, with why and what to do; where all is well, nothing is.
func TestSystemFindings(t *testing.T) {
	for _, c := range []struct {
		area  string
		make  func(*System)
		level Level
		text  string
	}{
		{"buffers", func(*System) {}, OK, "8 MiB"},
		{"buffers", func(s *System) { s.ReceiveBuffer, s.ReceiveMax = 208<<10, 208<<10 }, Warning, "208 KiB of 8 MiB"},
		{"buffers", func(s *System) { s.SendBuffer = 208 << 10 }, Warning, "net.core.wmem_max=524288"},
		{"buffers", func(s *System) { s.ReceiveMax = 208 << 10 }, Note, "CAP_NET_ADMIN"},
		{"buffers", func(s *System) { s.ReceiveBuffer = 0 }, Note, "not to be found out"},
		{"open files", func(*System) {}, OK, "65536 at once"},
		{"open files", func(s *System) { s.Files = 1024 }, Warning, "LimitNOFILE=65536"},
		{"open files", func(s *System) { s.Files = 20000 }, Note, "LimitNOFILE=65536"},
		{"open files", func(s *System) { s.Files = 1<<64 - 1 }, OK, "no limit"},
		{"clock", func(*System) {}, OK, "within 20ms"},
		{"clock", func(s *System) { s.Clock = ClockFree }, Note, "corrected by nobody"},
		{"clock", func(s *System) { s.ClockError = 15 * time.Second }, Warning, "tokens"},
		{"clock", func(s *System) { s.Now = s.Built.Add(-time.Hour) }, Fault, "before this program was made"},
		{"clock", func(s *System) { s.Clock = ClockUnknown }, Note, "not to be found out"},
		{"processor", func(*System) {}, OK, "with AES"},
		{"processor", func(s *System) { s.AES = No }, Warning, "host-passthrough"},
		{"processor", func(s *System) { s.AES = Unknown }, Note, runtime.GOARCH},
		{"container", func(s *System) { s.Container = "podman" }, OK, "podman"},
		{"container", func(s *System) { s.Container, s.Memory = "podman", 64<<20 }, Warning, "64 MiB"},
		{"container", func(s *System) { s.Container, s.Cores = "podman", 0.5 }, Warning, "0.5 cores"},
	} {
		s := well()
		c.make(&s)
		found := false
		for _, f := range s.Findings() {
			if f.Area != c.area {
				if f.Level != OK {
					t.Errorf("%s is told besides %s", f.Area, c.area)
				}
				continue
			}
			found = true
			var b strings.Builder
			_ = f.Write(&b)
			if text := strings.Join(strings.Fields(b.String()), " "); f.Level != c.level || !strings.Contains(text, c.text) {
				t.Errorf("%s: %v, want %v with %q", text, f.Level, c.level, c.text)
			}
			if f.Level == Warning && (f.Cause == "" || f.Next == "") {
				t.Errorf("%s: no cause or next step", f.Text)
			}
		}
		if !found {
			t.Errorf("no finding about %s", c.area)
		}
	}
}

// Here and now something is found out, and the socket that was opened for it is closed again.
func TestLookAtSystem(t *testing.T) {
	s := LookAtSystem()
	if time.Since(s.Now) > time.Minute || s.ReceiveBuffer == 0 && runtime.GOOS == "linux" || s.AES == Unknown && runtime.GOARCH == "amd64" {
		t.Errorf("%+v", s)
	}
}

// A clock that goes on as time does is well; one that was set meanwhile, forward or back, is told of.
func TestStepped(t *testing.T) {
	for byClock, want := range map[time.Duration]string{
		10 * time.Second: "", 10*time.Second + 50*time.Millisecond: "", 12 * time.Second: "by 2s", 9 * time.Second: "by -1s",
	} {
		f, stepped := Stepped(byClock, 10*time.Second)
		if stepped != (want != "") || !strings.Contains(f.Text, want) || stepped && (f.Level != Warning || f.Cause == "" || f.Next == "") {
			t.Errorf("%v: %+v", byClock, f)
		}
	}
}
