package data

import (
	"bytes"
	"testing"

	"github.com/parley-rtc/parley/internal/drop"
	"github.com/parley-rtc/parley/wire"
)

// Whatever a client sends as a data message, parsing does not panic; what is taken is the header's recipient and the rest of the
// message, nothing of it lost, within the limit; and who may not publish data gets nothing through.
func FuzzParse(f *testing.F) {
	for _, seed := range [][]byte{
		nil,
		{1},
		{0, 0},
		{1, 3, 'A', 'n'},
		[]byte("\x01\x03Annhello"), []byte("\x00\x00everyone"), []byte("\xff\xffshort"),
		append([]byte{0, 255}, bytes.Repeat([]byte{0x80}, 255)...),
		append([]byte{1, 1, 'B'}, make([]byte, wire.MaxDataBytes)...),
		append([]byte{1, 1, 'B'}, make([]byte, wire.MaxDataBytes+1)...),
	} {
		f.Add(seed)
	}
	publisher, listener := NewHub().Member(1, "Ann", true), NewHub().Member(1, "Bob", false)
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		if _, _, r := listener.parse(b); r != drop.DataForbidden {
			t.Fatalf("from who may not publish: %v", r)
		}
		to, payload, r := publisher.parse(b)
		if !bytes.Equal(b, before) {
			t.Fatal("the message was changed")
		}
		whole := len(b) >= headerBytes && len(b) >= headerBytes+int(b[1])
		fits := whole && len(b)-headerBytes-int(b[1]) <= wire.MaxDataBytes
		if (r == drop.None) != fits || r != drop.None && (r != drop.DataMalformed || to != "" || payload != nil) {
			t.Fatalf("%d bytes: %v", len(b), r)
		}
		if r == drop.None && !bytes.Equal(append(append(b[:headerBytes:headerBytes], to...), payload...), b) {
			t.Fatalf("%x is taken apart as %q and %x", b, to, payload)
		}
	})
}
