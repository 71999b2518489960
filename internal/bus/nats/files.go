package nats

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"

	"github.com/nats-io/nats-server/v2/server"
)

// summary is the file in which the server keeps what it needs not read blocks for when it starts; without it, it reads them.
const summary = "index.db"

// logsFolder is where all logs are, in a folder each.
func logsFolder(dir string) string {
	return filepath.Join(dir, server.JetStreamStoreDir, server.DEFAULT_GLOBAL_ACCOUNT, "streams")
}

// blocksFolder is where the blocks of a log are.
func blocksFolder(dir, log string) string { return filepath.Join(logsFolder(dir), log, "msgs") }

// writeSynced writes a file that is on disk then.
func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// replace puts other content into a file: all of it or, after a crash, none.
func replace(path string, b []byte) error {
	next := path + ".tmp" // which the server takes for no block
	if err := writeSynced(next, b); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes names last, where that can be asked for.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
