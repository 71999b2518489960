//go:build !linux

package udp

import "net"

func listen(cfg Config) (Conn, error) { return listenPlain(cfg) }

// tune leaves the connection's kernel buffers as they are.
func tune(*net.TCPConn) {}
