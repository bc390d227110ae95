package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Defaults of Config, such that all stages together take less than two minutes.
const (
	DefaultDialogs = 2_000_000
	DefaultRuns    = 7
	// LargeDialogs is how many dialogs the large run has.
	LargeDialogs = 10_000_000
)

// Limits of Config.
const (
	leastDialogs = 1_000
	mostDialogs  = 20_000_000
	mostRuns     = 1000
)

// Config says what to measure.
type Config struct {
	// Stages are the names of those to measure; none: all.
	Stages []string
	// Dialogs is how many are live; 0 is DefaultDialogs.
	Dialogs int
	// Runs is how many rounds a figure is the median of; 0 is DefaultRuns.
	Runs int
	// Large adds the stages that depend on the number of dialogs with LargeDialogs. It takes 6 GB and several minutes.
	Large bool
	// Commit is what was built, for the report.
	Commit string
	// Metrics serves the metrics address for the stage that asks there. That stage can't do without.
	Metrics MetricsFunc
	// Progress is told what is being done; it may be nil.
	Progress io.Writer

	quick bool // rounds of a twentieth, for tests that only look whether it works
}

// stage is one thing to measure.
type stage struct {
	name, about string
	// privileged: it needs root, to load XDP programs and make network namespaces.
	privileged bool
	mode       string
	run        func(ctx context.Context, s *session) error
}

// How a stage runs.
const (
	modeTestRun  = "rings filled by test runs of a program in the kernel"
	modeVeth     = "native XDP and sockets, live over a veth pair"
	modeLoopback = "memory and sockets on the loopback"
	modeMemory   = "memory"
)

var stages = [...]stage{
	{"steer", "XDP program: frame to ring, beside XDP_DROP and a copy", true, modeTestRun, steerStage},
	{"ring", "ring to batch", true, modeTestRun, ringStage},
	{"decode", "verify and decode", false, modeMemory, decodeStage},
	{"apply", "apply to the table", false, modeMemory, applyStage},
	{"generation2", "decode and apply packets of generation 2", false, modeMemory, generation2Stage},
	{"growth", "apply, with 10,000 dialogs and more", false, modeMemory, growthStage},
	{"whole", "ring to table: receive, decode, apply, account", true, modeTestRun, wholeStage},
	{"rings", "the same with one and two rings; contention", true, modeTestRun, ringsStage},
	{"record", "ring to table without and with the flight recorder", true, modeTestRun, recordStage},
	{"socket", "socket to table, beside the naive receiver", false, modeLoopback, socketStage},
	{"live", "processor time of live traffic over veth, XDP and socket; loss at a million events a second", true, modeVeth, liveStage},
	{"latency", "kernel's receipt to applied, at 100,000 events a second over veth; idle", true, modeVeth, latencyStage},
	{"scrape", "ring to table while the metrics address is asked; what an answer costs", true, modeTestRun, scrapeStage},
	{"fanout", "changes to a destination", false, modeLoopback, fanoutStage},
	{"scan", "the whole table, read in steps", false, modeMemory, scanStage},
	{"sync", "the whole table to a standby", false, modeLoopback, syncStage},
	{"donor", "the whole table to a node that asks for it", false, modeMemory, donorStage},
	{"memory", "bytes a dialog, and the garbage collector", false, modeMemory, memoryStage},
}

// Stages lists the names of all stages with what they measure, and whether they need privilege.
func Stages() (names, about []string, privileged []bool) {
	for _, s := range stages {
		names, about, privileged = append(names, s.name), append(about, s.about), append(privileged, s.privileged)
	}
	return names, about, privileged
}

// Validate checks the configuration and puts the defaults in. Its errors are about usage.
func (c *Config) Validate() error {
	if c.Dialogs == 0 {
		c.Dialogs = DefaultDialogs
	}
	if c.Runs == 0 {
		c.Runs = DefaultRuns
	}
	if c.Dialogs < leastDialogs || c.Dialogs > mostDialogs {
		return fmt.Errorf("dialogs %d: choose %d to %d", c.Dialogs, leastDialogs, mostDialogs)
	}
	if c.Runs < 1 || c.Runs > mostRuns {
		return fmt.Errorf("runs %d: choose 1 to %d", c.Runs, mostRuns)
	}
	names, _, _ := Stages()
	for _, name := range c.Stages {
		if !slices.Contains(names, name) {
			return fmt.Errorf("stages %q: there are %s", name, strings.Join(names, ", "))
		}
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	return nil
}

// chosen returns the stages to run, in the order of the list.
func (c *Config) chosen() []stage {
	var list []stage
	for _, s := range stages {
		if len(c.Stages) == 0 || slices.Contains(c.Stages, s.name) {
			list = append(list, s)
		}
	}
	return list
}

// PrivilegeError says that stages need privilege that the process doesn't have.
type PrivilegeError struct {
	Stages []string // that were asked for and need it
	Others []string // that don't
	Err    error
}

func (e *PrivilegeError) Unwrap() error { return e.Err }

func (e *PrivilegeError) Error() string {
	return fmt.Sprintf("%v, and these stages load XDP programs and make network namespaces: %s; run as root, or leave them out: --stages %s",
		e.Err, strings.Join(e.Stages, ", "), strings.Join(e.Others, ","))
}

// checkPrivilege fails if a stage needs what the process may not do.
func checkPrivilege(list []stage) error {
	e := PrivilegeError{}
	for _, s := range list {
		if s.privileged {
			e.Stages = append(e.Stages, s.name)
		}
	}
	for _, s := range stages {
		if !s.privileged {
			e.Others = append(e.Others, s.name)
		}
	}
	if len(e.Stages) == 0 {
		return nil
	}
	if e.Err = mayUseKernel(); e.Err == nil {
		return nil
	}
	return &e
}

// Run measures and returns the report. The error is a *PrivilegeError if privileges are missing; then nothing has
// been measured.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	list := cfg.chosen()
	if err := checkPrivilege(list); err != nil {
		return nil, err
	}
	s := &session{cfg: cfg, report: &Report{Machine: describeMachine(), Commit: cfg.Commit, Dialogs: cfg.Dialogs, Runs: cfg.Runs}}
	s.report.Load.Before = loadAverage()
	began := time.Now()
	for _, st := range list {
		fmt.Fprintf(cfg.Progress, "%-8s %s\n", st.name, st.about)
		s.stage = st.name
		s.report.Modes = append(s.report.Modes, Mode{st.name, st.mode})
		if err := st.run(ctx, s); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", st.name, err), s.close())
		}
	}
	s.report.Load.After = loadAverage()
	s.report.Seconds = time.Since(began).Seconds()
	return s.report, s.close()
}

// session is one call of Run.
type session struct {
	cfg    Config
	report *Report
	stage  string // under way
	common *population
}

// population returns the table that the stages share, with as many live dialogs as asked for. It only grows.
func (s *session) population(ctx context.Context, dialogs int) (*population, error) {
	if s.common == nil {
		p, err := newPopulation(shards)
		if err != nil {
			return nil, err
		}
		s.common = p
	}
	return s.common, s.common.grow(ctx, dialogs)
}

// events is how many events to have in a round of n.
func (s *session) events(n int) int {
	if s.cfg.quick {
		return n / 20
	}
	return n
}

// shards is what one ring has by default.
const shards = 16

func (s *session) close() error {
	if s.common == nil {
		return nil
	}
	p := s.common
	s.common = nil
	return p.close()
}
