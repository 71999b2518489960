package doctor

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// look fills in what Linux tells.
func (s *System) look() {
	s.ReceiveMax, s.SendMax = number("/proc/sys/net/core/rmem_max"), number("/proc/sys/net/core/wmem_max")
	var t unix.Timex // asks, and changes nothing
	if state, err := unix.Adjtimex(&t); err == nil {
		s.Clock, s.ClockError = ClockSynchronised, time.Duration(t.Maxerror)*time.Microsecond
		if state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0 {
			s.Clock, s.ClockError = ClockFree, 0
		}
	}
	s.Container = container(os.LookupEnv)
	s.Memory = int64(number("/sys/fs/cgroup/memory.max")) // "max" is no number, and no limit
	s.Cores = quota(line("/sys/fs/cgroup/cpu.max"))
}

// container returns by what mark this is one.
func container(env func(string) (string, bool)) string {
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(mark); err == nil {
			return mark
		}
	}
	if _, ok := env("KUBERNETES_SERVICE_HOST"); ok {
		return "Kubernetes"
	}
	if of, ok := env("container"); ok { // systemd's convention, which podman and LXC follow
		return of
	}
	return ""
}

// quota reads cpu.max of a control group: microseconds of each period, or "max".
func quota(text string) float64 {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return 0
	}
	of, err := strconv.ParseFloat(fields[0], 64)
	period, err2 := strconv.ParseFloat(fields[1], 64)
	if err != nil || err2 != nil || period <= 0 {
		return 0
	}
	return of / period
}

// line returns a file of one line; empty where there is none.
func line(path string) string {
	b, _ := os.ReadFile(path)
	return strings.TrimSpace(string(b))
}

// number reads a file with one number; 0 where there is none.
func number(path string) int {
	n, _ := strconv.Atoi(line(path))
	return n
}
