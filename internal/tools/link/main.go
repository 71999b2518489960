// Command link joins two network interfaces like a wire with faults, in user space: a rate with a queue, delay, loss, each direction by
// itself, changed while it runs.
//
//	link -a IFACE -b IFACE
//
// It is told what to do by lines on its standard input, and answers each by one: "up SPEC" (from a to b), "down SPEC" (from b to a), "both
// SPEC", with SPEC as ParseSpec has it; "stats". It ends with its input. The offloads of the interfaces at the far ends must be off, or it
// sees packets that nobody sends.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	a, b := flag.String("a", "", "interface at one end"), flag.String("b", "", "interface at the other")
	seed := flag.Uint64("seed", 1, "of the losses")
	flag.Parse()
	up, down, err := join(*a, *b, *seed)
	if err != nil {
		fmt.Fprintln(os.Stderr, "link:", err)
		os.Exit(1)
	}
	fmt.Println("ok")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(obey(lines.Text(), up, down))
	}
}

// obey does what a line says, and returns the answer.
func obey(line string, up, down *way) string {
	word, text, _ := strings.Cut(strings.TrimSpace(line), " ")
	if word == "stats" {
		b, err := json.Marshal(map[string]stats{"up": up.stats(), "down": down.stats()})
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	ways, ok := map[string][]*way{"up": {up}, "down": {down}, "both": {up, down}}[word]
	if !ok {
		return fmt.Sprintf("%q is none of up, down, both and stats", word)
	}
	s, err := ParseSpec(text)
	if err != nil {
		return err.Error()
	}
	for _, w := range ways {
		w.change(s)
	}
	return "ok"
}
