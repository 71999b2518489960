package nats

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Damage is what was found damaged in logs, and set aside.
type Damage struct {
	// Blocks that were damaged, and Bytes of them that were no message, or could not be read.
	Blocks, Bytes int
	// Aside is the folder where the blocks are as they were found.
	Aside string
	// At is when damage was found last, now or before: of what was stored before that, anything may be gone. Zero: never.
	At time.Time
}

func (d Damage) and(more Damage) Damage {
	d.Blocks, d.Bytes = d.Blocks+more.Blocks, d.Bytes+more.Bytes
	if more.Blocks > 0 {
		d.Aside = more.Aside
	}
	if more.At.After(d.At) {
		d.At = more.At
	}
	return d
}

// mendedFile has the time of Damage.At, in milliseconds.
const mendedFile = "mended"

// Mend looks through logs as Check does, and makes usable what it finds damaged: a block is set aside as it is, and replaced by one of the messages in it that are as they were written, before the
// damage and behind it. The logs may not be in use.
func Mend(dir string, logs ...string) (d Damage, err error) {
	if len(logs) == 0 {
		return d, nil
	}
	if d.At, err = readMended(dir); err != nil {
		return d, fmt.Errorf("mend the store: %w", err)
	}
	for _, log := range logs {
		if err := d.mend(dir, log); err != nil {
			return d, fmt.Errorf("mend log %s: %w", log, err)
		}
	}
	return d, nil
}

// mend mends one log.
func (d *Damage) mend(dir, log string) error {
	folder := blocksFolder(dir, log)
	all, err := findBlocks(folder)
	if err != nil {
		return err
	}
	var b []byte
	for i, block := range all {
		path := filepath.Join(folder, block.name)
		unread := 0
		if b, err = readInto(b, path); err != nil {
			b, unread = readAround(path)
		}
		c, err := newChecker(log, block)
		if err != nil {
			return err
		}
		if at := c.wrong(b); unread == 0 && (at == len(b) || i == len(all)-1 && c.torn(b, at)) {
			continue
		}
		whole := c.salvage(b)
		d.Blocks, d.Bytes = d.Blocks+1, d.Bytes+len(b)-len(whole)
		if err := d.setAside(dir, log, path); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(folder, summary)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(whole) > 0 {
			err = replace(path, whole)
		} else if err = os.Remove(path); err == nil || errors.Is(err, fs.ErrNotExist) {
			err = syncFolder(folder)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// setAside keeps a block as it is under another name, and notes when that was. Where a file can have but one name, it is gone from its place then.
func (d *Damage) setAside(dir, log, path string) error {
	if d.Aside == "" {
		d.At = time.Now()
		d.Aside = filepath.Join(dir, "damaged", strconv.FormatInt(d.At.UnixMilli(), 10))
	}
	to := filepath.Join(d.Aside, log)
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	if err := replace(filepath.Join(dir, mendedFile), strconv.AppendInt(nil, d.At.UnixMilli(), 10)); err != nil {
		return err
	}
	to = filepath.Join(to, filepath.Base(path))
	if err := os.Link(path, to); err != nil {
		return os.Rename(path, to)
	}
	return nil
}

func readMended(dir string) (at time.Time, err error) {
	b, err := os.ReadFile(filepath.Join(dir, mendedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return at, nil
	}
	if err != nil {
		return at, err
	}
	milliseconds, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return time.Now(), nil // it was damaged as well
	}
	return time.UnixMilli(milliseconds), nil
}

// readAround reads what can be read of a file, with zeros in place of what cannot, and returns how many these are. A file of which nothing can be read has one.
func readAround(path string) (b []byte, unread int) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 1
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() > maxBlockBytes {
		return nil, 1
	}
	b = make([]byte, info.Size())
	for at := 0; at < len(b); at += pageSize {
		page := b[at:min(len(b), at+pageSize)]
		if n, err := f.ReadAt(page, int64(at)); n < len(page) && err != nil {
			clear(page)
			unread += len(page)
		}
	}
	return b, max(unread, 1)
}

// salvage returns the records of a block that are as they were written.
func (c *checker) salvage(b []byte) (whole []byte) {
	for at := 0; at < len(b); {
		n := c.record(b[at:])
		if n == 0 {
			at += c.next(b[at:])
			continue
		}
		whole = append(whole, b[at:at+n]...)
		at += n
	}
	return whole
}

// next returns where the next record begins, behind the first byte; the end of b: nowhere.
func (c *checker) next(b []byte) int {
	for at := 1; at+recordHead+recordSum <= len(b); at++ {
		if c.begins(b[at:], true) {
			return at
		}
	}
	return len(b)
}
