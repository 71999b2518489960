// Command parley is the server side of WebRTC in one program. `parley` alone serves; `parley --help` tells the rest.
package main

import (
	"os"

	"github.com/parley-rtc/parley/internal/host"
)

func main() { os.Exit(host.Main(os.Args[1:])) }
