//go:build !linux

package doctor

// OwnerOf is known on Linux only.
func OwnerOf(string, uint16) (o Owner, ok bool) { return o, false }
