package stun

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
)

// Algorithm is a way to make a key of a password (RFC 8489 §18.5).
type Algorithm uint16

// Algorithms.
const (
	MD5    Algorithm = 0x0001
	SHA256 Algorithm = 0x0002
)

// Append appends an algorithm to the value of a PASSWORD-ALGORITHM or PASSWORD-ALGORITHMS (RFC 8489 §14.11). Ours have no parameters.
func (a Algorithm) Append(dst []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(a)), 0, 0)
}

// AlgorithmIn reads the value of a PASSWORD-ALGORITHM.
func AlgorithmIn(value []byte) (a Algorithm, ok bool) {
	if len(value) != 4 || value[2] != 0 || value[3] != 0 {
		return 0, false
	}
	a = Algorithm(binary.BigEndian.Uint16(value))
	return a, a == MD5 || a == SHA256
}

// AppendLongTermKey appends the key of a long-term credential to dst (RFC 8489 §18.5.1): a hash of username ":" realm ":" password.
func AppendLongTermKey(dst []byte, a Algorithm, username, realm, password string) []byte {
	b := []byte(username + ":" + realm + ":" + password)
	if a == SHA256 {
		sum := sha256.Sum256(b)
		return append(dst, sum[:]...)
	}
	sum := md5.Sum(b)
	return append(dst, sum[:]...)
}

// AppendUserhash appends the value of a USERHASH to dst (RFC 8489 §14.4).
func AppendUserhash(dst []byte, username, realm string) []byte {
	sum := sha256.Sum256([]byte(username + ":" + realm))
	return append(dst, sum[:]...)
}
