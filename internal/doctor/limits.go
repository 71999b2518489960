package doctor

import "time"

const (
	// maxArrivals is how many datagrams wait for an examination of the NAT; a reader waits while it is full.
	maxArrivals = 64
	// tcpTimeout is how long a server has to take a TCP connection, and then to answer.
	tcpTimeout = 4 * time.Second
)
