package main

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// syncs is how many are measured at once.
const syncs = 200

// syncTime is the median time that 4 KiB take to be appended to a file and to be on disk.
func syncTime(folder string) (time.Duration, error) {
	f, err := os.Create(filepath.Join(folder, "probe"))
	if err != nil {
		return 0, err
	}
	var took delays
	block := make([]byte, 4<<10)
	for range syncs {
		begun := time.Now()
		_, err := f.Write(block)
		if err = errors.Join(err, unix.Fdatasync(int(f.Fd()))); err != nil {
			return 0, errors.Join(err, f.Close())
		}
		took = append(took, time.Since(begun))
	}
	return took.at(0.5), errors.Join(f.Close(), os.Remove(f.Name()))
}
