package bustest

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Apart runs a test in a process that has mounts and limits of its own, and reports false there. It needs no privileges; where the machine gives
// nobody such namespaces the test is skipped.
func Apart(t *testing.T) bool {
	t.Helper()
	const variable = "TEST_APART" // not PARLEY_…, which would be a setting
	if os.Getenv(variable) != "" {
		return false
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), variable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, os.ErrPermission) {
		t.Skip("this machine gives nobody namespaces: ", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return true
}
