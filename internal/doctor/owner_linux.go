package doctor

import (
	"bufio"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// socket is a port of "tcp" or "udp".
type socket struct {
	network string
	port    uint16
}

// OwnerOf finds the process that listens on a port of "tcp" or "udp". It reports false where that is not to be found out: of other users'
// processes root alone sees the sockets.
func OwnerOf(network string, port uint16) (o Owner, ok bool) {
	all, held := listening(), map[string][]uint16{}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, file := range files {
		to, _ := os.Readlink(file) // of what has gone meanwhile there is nothing
		s, listens := all[to]
		if !listens {
			continue
		}
		pid := strings.Split(file, "/")[2]
		if s == (socket{network, port}) {
			o.PID = pid
		}
		if s.network == "tcp" && !slices.Contains(held[pid], s.port) {
			held[pid] = append(held[pid], s.port)
		}
	}
	if o.PID == "" {
		return o, false
	}
	o.Name, o.TCP = line("/proc/"+o.PID+"/comm"), held[o.PID]
	return o, true
}

// listening are the sockets of this machine that listen, by what a process's files of them lead to.
func listening() map[string]socket {
	all := map[string]socket{}
	for _, network := range []string{"tcp", "udp"} {
		for _, family := range []string{"", "6"} {
			f, err := os.Open("/proc/net/" + network + family)
			if err != nil {
				continue
			}
			for lines := bufio.NewScanner(f); lines.Scan(); {
				if port, inode, ok := listener(lines.Text(), network); ok {
					all["socket:["+inode+"]"] = socket{network, port}
				}
			}
			f.Close()
		}
	}
	return all
}

// listener reads a line of /proc/net/tcp or udp, and returns the port and inode of the socket where it listens.
func listener(text, network string) (port uint16, inode string, ok bool) {
	const listening = "0A" // of TCP; UDP has but one state
	fields := strings.Fields(text)
	if len(fields) < 10 {
		return 0, "", false
	}
	_, at, _ := strings.Cut(fields[1], ":")
	b, err := hex.DecodeString(at)
	if err != nil || len(b) != 2 || network == "tcp" && fields[3] != listening {
		return 0, "", false
	}
	_, err = strconv.ParseUint(fields[9], 10, 64)
	return uint16(b[0])<<8 | uint16(b[1]), fields[9], err == nil
}
