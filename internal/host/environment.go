package host

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/parley-rtc/parley/internal/obs"
)

// environment looks up a variable: os.LookupEnv, or a test's table.
type environment func(name string) (string, bool)

const variablePrefix = "PARLEY_"

// variable is the name of a setting in the environment.
func variable(name string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// serviceLinks are what Kubernetes sets by itself for each service whose name begins with parley.
var serviceLinks = regexp.MustCompile(`^PARLEY(_.+)?_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// checkVariables refuses PARLEY_… variables that are no setting, and no flag of another verb that has a variable of its own, and would be
// ignored otherwise. all has lines of NAME=VALUE.
func checkVariables(all []string, flags []*kong.Flag, others []string) error {
	var known []string
	for _, f := range flags {
		known = append(known, variable(f.Name))
		if mayBeFile(f) {
			known = append(known, variable(f.Name)+"_FILE")
		}
	}
	known = append(known, others...)
	for _, line := range all {
		name, _, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(name, variablePrefix) || slices.Contains(known, name) || serviceLinks.MatchString(name) {
			continue
		}
		if best := nearest(name, known); best != "" {
			return fmt.Errorf("environment: there is no setting %s; did you mean %s?", name, best)
		}
		return fmt.Errorf("environment: there is no setting %s; `parley serve --help` lists them", name)
	}
	return nil
}

// mayBeFile reports whether a setting's variable may name a file that holds the value.
func mayBeFile(f *kong.Flag) bool {
	t := f.Target.Type()
	return t == reflect.TypeFor[obs.Secret]() || t == reflect.TypeFor[iceServers]()
}

var flagName = regexp.MustCompile(`--[a-z][a-z-]*[a-z]`)

// blame names in a fault, in place of a flag that was not given, the variable or line of a file that its value comes from.
func (o Origins) blame(fault string) string {
	return flagName.ReplaceAllStringFunc(fault, func(flag string) string {
		name := flag[2:]
		origin, known := o[name]
		if v, ok := strings.CutPrefix(origin, "environment "); ok {
			return v
		}
		if !known || origin == "default" || strings.HasPrefix(origin, "flag ") {
			return flag
		}
		return origin + ": " + name
	})
}

// nearest returns what was probably meant by a name, or nothing.
func nearest(name string, known []string) (best string) {
	least := 1 + len(strings.TrimPrefix(name, variablePrefix))/3
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d <= least {
			best, least = k, d-1
		}
	}
	return best
}
