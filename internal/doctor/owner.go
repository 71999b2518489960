package doctor

import "fmt"

// Owner is a process that listens on a port.
type Owner struct {
	Name string // of its program
	PID  string
	TCP  []uint16 // the TCP ports that it listens on
}

// String is such as "parley (process 12)".
func (o Owner) String() string { return fmt.Sprintf("%s (process %s)", o.Name, o.PID) }
