package doctor

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// OwnerOf names the process that listens on a port of "tcp" or "udp"; empty where it is not to be found out: of other users' processes root
// alone sees the sockets.
func OwnerOf(network string, port uint16) string {
	sockets := map[string]bool{}
	for _, family := range []string{"", "6"} {
		f, err := os.Open("/proc/net/" + network + family)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if inode, ok := listensOn(lines.Text(), network, port); ok {
				sockets["socket:["+inode+"]"] = true
			}
		}
		f.Close()
	}
	if len(sockets) == 0 {
		return ""
	}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, file := range files {
		if to, err := os.Readlink(file); err == nil && sockets[to] {
			pid := strings.Split(file, "/")[2]
			return fmt.Sprintf("%s (process %s)", line("/proc/"+pid+"/comm"), pid)
		}
	}
	return ""
}

// listensOn reads a line of /proc/net/tcp or udp, and returns the inode of the socket where it listens on the port.
func listensOn(text, network string, port uint16) (inode string, ok bool) {
	const listening = "0A" // of TCP; UDP has but one state
	fields := strings.Fields(text)
	if len(fields) < 10 {
		return "", false
	}
	_, at, _ := strings.Cut(fields[1], ":")
	b, err := hex.DecodeString(at)
	if err != nil || len(b) != 2 || uint16(b[0])<<8|uint16(b[1]) != port || network == "tcp" && fields[3] != listening {
		return "", false
	}
	_, err = strconv.ParseUint(fields[9], 10, 64)
	return fields[9], err == nil
}
