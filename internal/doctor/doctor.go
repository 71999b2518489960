// Package doctor says what is wrong with a server, its machine and its network, why, and what to do about it.
//
// A Report is a list of Findings, gathered by whoever knows what to look at. ExamineNAT asks a STUN server, and is the thin runtime of package
// natcheck: its goroutines read its sockets, and end with it.
package doctor

import (
	"encoding/json"
	"io"
)

// Level is how bad a finding is.
type Level string

// Levels.
const (
	OK      Level = "ok"
	Note    Level = "note"    // nothing is wrong, but good to know
	Warning Level = "warning" // works, but not for all, or not well
	Fault   Level = "fault"   // does not work
)

// Finding is one thing that was looked at. Its JSON form is for programs: fields are only ever added.
type Finding struct {
	Area  string `json:"area"` // what was looked at: a word or two
	Level Level  `json:"level"`
	Text  string `json:"text"`
	// More has further facts, a line each.
	More []string `json:"more,omitempty"`
	// Cause is why it is so, and Next what to do, where something is wrong.
	Cause string `json:"cause,omitempty"`
	Next  string `json:"next,omitempty"`
}

// Report is everything that was found.
type Report struct {
	Version  string      `json:"version"`
	OK       bool        `json:"ok"` // there is no fault
	Findings []Finding   `json:"findings"`
	Paths    []PathFacts `json:"paths,omitempty"`
	NAT      *NATFacts   `json:"nat,omitempty"`

	// Added is called for each finding; nil: nobody waits for them.
	Added func(Finding) `json:"-"`
}

// PathFacts are what a call by one path has brought, for programs.
type PathFacts struct {
	Path        string  `json:"path"`
	Offered     bool    `json:"offered"`
	OK          bool    `json:"ok"` // it works
	Mbit        float64 `json:"mbit"`
	LostPercent float64 `json:"lostPercent"`
	RTT         float64 `json:"rttMs"`
	Joined      float64 `json:"joinedMs"` // from nothing to media that can flow
}

// NewReport returns an empty one of a version of the program.
func NewReport(version string) *Report {
	return &Report{Version: version, OK: true, Findings: []Finding{}}
}

// Add adds findings.
func (r *Report) Add(all ...Finding) {
	for _, f := range all {
		r.Findings = append(r.Findings, f)
		r.OK = r.OK && f.Level != Fault
		if r.Added != nil {
			r.Added(f)
		}
	}
}

// count is how many findings there are of a level.
func (r *Report) count(l Level) (n int) {
	for _, f := range r.Findings {
		if f.Level == l {
			n++
		}
	}
	return n
}

// WriteJSON writes the report for programs.
func (r *Report) WriteJSON(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}
