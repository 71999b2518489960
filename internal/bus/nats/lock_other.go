//go:build !unix

package nats

import (
	"fmt"
	"os"
	"path/filepath"
)

// lock makes the folder. That no other process uses it is not seen here.
func lock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the store: %w", err)
	}
	return os.Create(filepath.Join(dir, "lock"))
}
