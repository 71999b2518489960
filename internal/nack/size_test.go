package nack

import (
	"testing"
	"unsafe"
)

// There is a ring of entries per Consumer, so one is 16 bytes and no more.
func TestEntrySize(t *testing.T) {
	if n := unsafe.Sizeof(entry{}); n != 16 {
		t.Errorf("an entry is %d bytes", n)
	}
}
