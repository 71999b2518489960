// Package mmsg is what recvmmsg and sendmmsg of Linux are given and tell, for those that own the sockets: message headers, socket addresses, and the control
// messages about a datagram's own address, how it is cut (UDP_SEGMENT, UDP_GRO), and what the kernel has dropped.
//
//	| struct cmsghdr: length 8, level 4, type 4 | value, padded to 8 | next one … |
//
// It owns nothing, and nothing in it waits or allocates, but for an interface that Zones hears of for the first time.
package mmsg
