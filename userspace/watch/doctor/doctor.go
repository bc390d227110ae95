package doctor

import (
	"context"
	"time"

	"binrepd/bpf"
)

// Status of a finding.
const (
	OK      = "ok"
	Warning = "warning" // costs speed or comfort
	Problem = "problem" // keeps the appliance from running at full function
)

// DefaultStall is how long a worker may stop without loss, unless Config.Stall says otherwise: about as long as a restart
// of the appliance under --pin takes.
const DefaultStall = 2 * time.Second

// Finding is one line of the report. Check is a stable name for scripts.
type Finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // OK, Warning or Problem
	Value  string `json:"value"`
	Advice string `json:"advice,omitempty"`
}

// Report is what Examine found.
type Report struct {
	OK         bool         `json:"ok"` // there is no problem
	Findings   []Finding    `json:"findings"`
	Interfaces []LinkReport `json:"interfaces"`
}

// LinkReport is the part about one interface.
type LinkReport struct {
	Interface string    `json:"interface"`
	Mode      string    `json:"mode"`             // what --xdp auto would choose: one of the modes of package control
	Reason    string    `json:"reason,omitempty"` // why not a better one
	Findings  []Finding `json:"findings"`
}

// Config says what to examine.
type Config struct {
	Interfaces []string
	// Control is the path of the control socket of an appliance that may run here. If it answers, its rings are judged.
	Control string
	// Stall is how long a worker may stop before its ring is full.
	Stall time.Duration
}

// Examine makes the report about this host and the interfaces, in the network namespace of the calling thread. It fails
// if an interface can't be looked up; the error begins with "interface" and the name.
func Examine(ctx context.Context, cfg Config) (Report, error) {
	r := Report{Findings: readHostFacts().findings(), Interfaces: []LinkReport{}}
	links := make([]linkFacts, len(cfg.Interfaces))
	indexes := make([]int, len(cfg.Interfaces))
	for i, name := range cfg.Interfaces {
		var err error
		if links[i], err = readLink(name); err != nil {
			return Report{}, err
		}
		indexes[i] = links[i].Index
	}
	for i, trial := range bpf.Try(indexes) {
		links[i].Trial = trial
	}
	for _, l := range links {
		mode, reason := l.auto()
		r.Interfaces = append(r.Interfaces, LinkReport{Interface: l.Name, Mode: mode, Reason: reason, Findings: l.findings()})
	}
	r.tune(ctx, links, cfg)
	r.OK = r.Problems() == 0
	return r, nil
}

// Problems counts the findings that are problems.
func (r *Report) Problems() int {
	n := countProblems(r.Findings)
	for _, l := range r.Interfaces {
		n += countProblems(l.Findings)
	}
	return n
}

func countProblems(findings []Finding) int {
	n := 0
	for _, f := range findings {
		if f.Status == Problem {
			n++
		}
	}
	return n
}
