//go:build linux

package nats_test

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-rtc/parley/internal/bus"
	"github.com/parley-rtc/parley/internal/bus/nats"
)

// Rule: a folder is one node's at a time.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	n := open(t, dir)
	if _, err := nats.Open(dir); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("opened twice: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir).Close(); err != nil {
		t.Error(err)
	}
}

// Rule: the server inside opens no port.
func TestNoPort(t *testing.T) {
	if _, err := open(t, t.TempDir()).Log(t.Context(), "STATE", bus.Limits{MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	own := map[string]bool{}
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(fds) == 0 {
		t.Fatal(fds, err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil {
			own[to] = true
		}
	}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		f, err := os.Open("/proc/self/net/" + table)
		if err != nil {
			continue // no IPv6
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			// sl, local address, remote address, state, queues, timer, retransmissions, uid, timeout, inode
			if fields := strings.Fields(lines.Text()); len(fields) > 9 && own["socket:["+fields[9]+"]"] {
				t.Errorf("this process has a %s socket at %s", table, fields[1])
			}
		}
	}
}
