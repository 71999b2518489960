package doctor

import (
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/cpu"
)

// accelerated reports whether the processor has AES and what GCM needs.
func accelerated() Answer {
	has := false
	switch runtime.GOARCH {
	case "amd64", "386":
		has = cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ
	case "arm64":
		has = cpu.ARM64.HasAES && cpu.ARM64.HasPMULL
	case "s390x":
		has = cpu.S390X.HasAES && cpu.S390X.HasAESGCM
	default:
		return Unknown
	}
	if has {
		return Yes
	}
	return No
}

// built is when the revision was made that the program was built from, where the build recorded it.
func built() time.Time {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range build.Settings {
		if s.Key == "vcs.time" {
			t, _ := time.Parse(time.RFC3339, s.Value)
			return t
		}
	}
	return time.Time{}
}
