package nats

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/minio/highwayhash"
)

// ErrDamaged: what is on disk is not what was written.
var ErrDamaged = errors.New("what is on disk is not what was written")

// Check looks whether all that was stored in a log is on disk as it was written, else it returns ErrDamaged. It changes nothing, and what it has looked at may be in
// use. The server itself cuts a file off, without a word, where it finds the first thing that is wrong, and all that was stored behind it is gone.
//
// A log is a folder of blocks, N.blk, which hold records one behind the other. A record is, with numbers in little endian:
//
//	length, with bit 31 if there are headers (4) number (8) time (8) length of the subject (2) subject [length of headers (4) headers] message sum (8)
//
// The sum is HighwayHash-64 of all but the lengths; its key is the SHA-256 of the log's name, a dash and N. A record without subject and message says that a message is
// gone. Each message is one write, which is synced; so what a crash leaves half written is the end of the last block. That is no damage: nobody was told that it is stored.
func Check(dir, log string) error {
	folder := blocksFolder(dir, log)
	all, err := findBlocks(folder)
	if err != nil {
		return fmt.Errorf("look through the store: %w", err)
	}
	var b []byte
	for i, block := range all {
		path := filepath.Join(folder, block.name)
		if b, err = readInto(b, path); errors.Is(err, fs.ErrNotExist) {
			continue // it was in use, and all of it was purged meanwhile
		} else if err != nil {
			return fmt.Errorf("look through the store: %w", err)
		}
		c, err := newChecker(log, block)
		if err != nil {
			return fmt.Errorf("look through the store: %w", err)
		}
		if at := c.wrong(b); at < len(b) && !(i == len(all)-1 && c.torn(b, at)) {
			return fmt.Errorf("%w: %s from byte %d on, of %d", ErrDamaged, path, at, len(b))
		}
	}
	return nil
}

// block is a file.
type block struct {
	name   string
	number int
}

// findBlocks returns the files of a log that have something in them, the oldest first.
func findBlocks(folder string) (all []block, err error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), ".blk")
		number, notNumber := strconv.Atoi(digits)
		if info, gone := e.Info(); ok && notNumber == nil && gone == nil && info.Size() > 0 {
			all = append(all, block{e.Name(), number})
		}
	}
	slices.SortFunc(all, func(a, b block) int { return a.number - b.number })
	return all, err
}

// readInto reads a file, into b if there is room.
func readInto(b []byte, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return b, err
	}
	defer f.Close()
	into := bytes.NewBuffer(b[:0])
	_, err = into.ReadFrom(f)
	return into.Bytes(), err
}

const (
	recordHead   = 22
	recordSum    = 8
	headersBit   = 1 << 31
	headersStart = "NATS/1.0\r\n"
	headersEnd   = "\r\n\r\n"
	// sectorSize is what a disk writes as a whole, or less than that.
	sectorSize = 512
	// pageSize is what is read at once where a disk does not give all that it has.
	pageSize = 4096
	// maxBlockBytes is more than the server makes a block.
	maxBlockBytes = 64 << 20
)

// checker knows the records of one block.
type checker struct {
	sum     hash.Hash64
	subject []byte // with which those of all messages begin
}

func newChecker(log string, of block) (*checker, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", log, of.number))
	sum, err := highwayhash.NewDigest64(key[:])
	if err != nil {
		return nil, err
	}
	return &checker{sum: sum, subject: []byte(log + ".")}, nil
}

// wrong returns where what is no record begins; the end of b: nowhere.
func (c *checker) wrong(b []byte) (at int) {
	for at < len(b) {
		n := c.record(b[at:])
		if n == 0 {
			break
		}
		at += n
	}
	return at
}

// record returns the length of the record that b begins with; 0: there is none.
func (c *checker) record(b []byte) int {
	if n := length(b); n >= recordHead+recordSum && n <= len(b) && c.whole(b[:n]) {
		return n
	}
	return 0
}

// length is what the record says; 0: not even that is there.
func length(b []byte) int {
	if len(b) < recordHead {
		return 0
	}
	return int(binary.LittleEndian.Uint32(b) &^ headersBit)
}

// whole tells whether b is a record, whatever it says of its length.
func (c *checker) whole(b []byte) bool {
	if len(b) < recordHead+recordSum {
		return false
	}
	rest, sum := b[recordHead:len(b)-recordSum], b[len(b)-recordSum:]
	n := int(binary.LittleEndian.Uint16(b[20:]))
	if n > len(rest) {
		return false
	}
	subject, rest := rest[:n], rest[n:]
	if binary.LittleEndian.Uint32(b)&headersBit != 0 {
		if len(rest) < 4 {
			return false
		}
		said := int(binary.LittleEndian.Uint32(rest)) // which is not in the sum
		rest = rest[4:]
		if end := bytes.Index(rest, []byte(headersEnd)); !bytes.HasPrefix(rest, []byte(headersStart)) || said != end+len(headersEnd) {
			return false
		}
	}
	c.sum.Reset()
	for _, part := range [][]byte{b[4:20], subject, rest} {
		_, _ = c.sum.Write(part) // it takes everything
	}
	var room [recordSum]byte
	return bytes.Equal(c.sum.Sum(room[:0]), sum)
}

// torn tells whether what is at the end of the last block was being written when the process or the machine ended: it is shorter than it says, or a
// sector of it is blank; and it is the last.
func (c *checker) torn(b []byte, at int) bool {
	rest := b[at:]
	switch {
	case c.whole(rest): // its length has changed, and nothing else
		return false
	case blank(b, at): // of several that are gone, which are one write, any sectors may be there
		return !c.follows(rest, false)
	}
	return (len(rest) < recordHead || length(rest) > len(rest)) && !c.follows(rest, true)
}

// blank tells whether nothing was written into a sector behind a place.
func blank(b []byte, at int) bool {
	for at < len(b) {
		end := min(len(b), at-at%sectorSize+sectorSize)
		if len(bytes.Trim(b[at:end], "\x00")) == 0 {
			return true
		}
		at = end
	}
	return false
}

// follows tells whether there is a record behind the first byte: a message, or also one that says that a message is gone.
func (c *checker) follows(b []byte, gone bool) bool {
	for at := 1; at+recordHead+recordSum <= len(b); at++ {
		if c.begins(b[at:], gone) {
			return true
		}
	}
	return false
}

// begins tells whether b, which has room for a record, begins with one: a message, or also one that says that a message is gone.
func (c *checker) begins(b []byte, gone bool) bool {
	return (bytes.HasPrefix(b[recordHead:], c.subject) || gone && length(b) == recordHead+recordSum) && c.record(b) > 0
}
