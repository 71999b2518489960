//go:build !unix

package host

import "log/slog"

// raiseFileLimit has nothing to do: this system has no such limit.
func raiseFileLimit(*slog.Logger) {}
