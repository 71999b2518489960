//go:build linux

package scopes_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

var (
	entries      = regexp.MustCompile(`\\"n\\":\\"(record\d+)\\",\\"i\\":\d+,\\"v\\":(\d+)`)
	acknowledged = regexp.MustCompile(`^write\(1<.*"(record\d+ \d+)\\n"`)
)

// Rule: as the kernel sees it, no write is acknowledged before a sync has ended that began after the write's commit was written.
func TestNoAcknowledgementBeforeTheSync(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace")
	cmd := exec.CommandContext(t.Context(), strace, "-f", "-y", "-e", "trace=fsync,fdatasync,write,pwrite64", "-s", "1048576", "-o", trace, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+filepath.Join(dir, "store"))
	acks, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // strace and the child end together
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(acks)
	for n := 0; n < 50 && said.Scan(); n++ {
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	k := kernel{writing: map[string][]string{}, syncing: map[string][]string{}, synced: map[string]bool{}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		k.line(t, lines.Text())
	}
	if k.acks < 50 || k.syncs == 0 || k.acks < k.syncs {
		t.Errorf("%d acknowledgements, %d syncs, %v", k.acks, k.syncs, lines.Err())
	}
	t.Logf("%d acknowledgements, %d syncs", k.acks, k.syncs)
}

// kernel follows the calls of the child. A call that another thread interrupts in the trace has two lines.
type kernel struct {
	writing map[string][]string // by thread: entries that are being written
	written []string
	syncing map[string][]string // by thread: what was written when its sync began
	synced  map[string]bool

	acks, syncs int
}

func (k *kernel) line(t *testing.T, text string) {
	thread, call, _ := strings.Cut(text, " ")
	call = strings.TrimSpace(call)
	unfinished := strings.HasSuffix(call, "<unfinished ...>")
	switch {
	case strings.HasPrefix(call, "pwrite64("):
		var found []string
		for _, m := range entries.FindAllStringSubmatch(call, -1) {
			found = append(found, m[1]+" "+m[2])
		}
		if unfinished {
			k.writing[thread] = found
		} else {
			k.written = append(k.written, found...)
		}
	case strings.HasPrefix(call, "<... pwrite64"):
		k.written = append(k.written, k.writing[thread]...)
	case strings.HasPrefix(call, "fsync("), strings.HasPrefix(call, "fdatasync("):
		if unfinished {
			k.syncing[thread] = k.written[:len(k.written):len(k.written)]
		} else {
			k.sync(k.written)
		}
	case strings.HasPrefix(call, "<... fsync"), strings.HasPrefix(call, "<... fdatasync"):
		k.sync(k.syncing[thread])
	default:
		if m := acknowledged.FindStringSubmatch(call); m != nil {
			k.acks++
			if !k.synced[m[1]] {
				t.Errorf("%s was acknowledged before it was synced", m[1])
			}
		}
	}
}

func (k *kernel) sync(written []string) {
	k.syncs++
	for _, w := range written {
		k.synced[w] = true
	}
}
