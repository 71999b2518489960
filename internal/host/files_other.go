//go:build !unix

package host

import (
	"log/slog"
	"math"
)

// raiseFileLimit has nothing to do: this system has no such limit.
func raiseFileLimit(*slog.Logger) {}

// fileLimit is no limit.
func fileLimit() uint64 { return math.MaxUint64 }

// freeSpace is not known.
func freeSpace(string) (uint64, bool) { return 0, false }

// becomeOwner has nothing to do: files have the owner of their folder.
func becomeOwner(*Shared) error { return nil }
