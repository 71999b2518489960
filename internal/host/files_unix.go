//go:build unix

package host

import (
	"log/slog"

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
