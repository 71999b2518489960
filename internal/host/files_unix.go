//go:build unix

package host

import (
	"errors"
	"log/slog"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// raiseFileLimit raises the number of files that this process may have open. Go has raised the soft limit to the hard one by now;
// with the rights to do so, the hard one goes up too. Every ICE-TCP, WebSocket and HTTP connection is a file.
func raiseFileLimit(log *slog.Logger) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return
	}
	if l.Cur < wantedFiles {
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: wantedFiles, Max: max(l.Max, wantedFiles)})
		_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &l)
	}
	if l.Cur < fewFiles {
		log.Warn("few files may be open: raise the limit (ulimit -n, LimitNOFILE=)", "limit", l.Cur)
	}
}

// fileLimit is how many files this process may have open.
func fileLimit() uint64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0
	}
	return l.Cur
}

// freeSpace is how many bytes this user may still write to the disk of a folder.
func freeSpace(folder string) (uint64, bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, false
	}
	return uint64(s.Bavail) * uint64(s.Bsize), true
}

// becomeOwner makes root the owner of the data folder from now on: what is made in it is the server's, which must be able to write it later. The folder is the
// present one then, as its owner may not get there (DynamicUser= of systemd).
func becomeOwner(s *Shared) error {
	info, err := os.Stat(s.Data)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || owner.Uid == 0 {
		return nil
	}
	if err := os.Chdir(s.Data); err != nil {
		return err
	}
	s.Data = "."
	return errors.Join(syscall.Setgroups(nil), syscall.Setgid(int(owner.Gid)), syscall.Setuid(int(owner.Uid)))
}
