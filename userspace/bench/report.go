package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Row is one figure of the table. What doesn't apply is zero and left out.
type Row struct {
	Stage string `json:"stage"`
	Case  string `json:"case"`
	// Dialogs is how many were live.
	Dialogs int `json:"dialogs,omitempty"`
	// NS and CPU are medians in nanoseconds an event: by the clock, and of processor time, kernel included.
	NS      float64 `json:"ns_per_event,omitempty"`
	CPU     float64 `json:"cpu_ns_per_event,omitempty"`
	Fastest float64 `json:"fastest_ns_per_event,omitempty"`
	// PerSecond is what NS makes in events a second, unless it was measured itself.
	PerSecond float64 `json:"events_per_second,omitempty"`
	// Allocs is allocations an event; -1 where it wasn't measured.
	Allocs float64 `json:"allocs_per_event"`
	Bytes  float64 `json:"bytes_per_dialog,omitempty"`
	Note   string  `json:"note,omitempty"`
}

// Target is a goal and what was reached.
type Target struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	// Limit is the least value allowed with AtLeast, else the most.
	Limit   float64 `json:"limit"`
	AtLeast bool    `json:"at_least"`
	Met     bool    `json:"met"`
}

// Mode is how a stage ran.
type Mode struct {
	Stage string `json:"stage"`
	Mode  string `json:"mode"`
}

// modes tells in one line for each mode which stages ran so.
func (r *Report) modes(w io.Writer) {
	stages := map[string][]string{}
	var order []string
	for _, m := range r.Modes {
		if stages[m.Mode] == nil {
			order = append(order, m.Mode)
		}
		stages[m.Mode] = append(stages[m.Mode], m.Stage)
	}
	for _, mode := range order {
		fmt.Fprintf(w, "%s: %s\n", mode, strings.Join(stages[mode], ", "))
	}
	fmt.Fprintln(w)
}

// Report is everything that a run found out.
type Report struct {
	Machine Machine `json:"machine"`
	Commit  string  `json:"commit"`
	Dialogs int     `json:"dialogs"`
	Runs    int     `json:"runs"`
	Seconds float64 `json:"seconds"`
	Load    struct {
		Before float64 `json:"before"`
		After  float64 `json:"after"`
	} `json:"load_average"`
	Modes   []Mode   `json:"modes"`
	Rows    []Row    `json:"rows"`
	Targets []Target `json:"targets"`
}

// add puts the laps of a case into the report.
func (s *session) add(name string, dialogs int, l laps) *Row {
	r := Row{
		Case: name, Dialogs: dialogs, NS: l.wall(), CPU: l.cpu(), Fastest: l.fastest(), Allocs: l.allocs(),
	}
	if r.NS > 0 {
		r.PerSecond = 1e9 / r.NS
	}
	return s.row(r)
}

// row puts a row of the stage under way into the report. The pointer is good until the next one.
func (s *session) row(r Row) *Row {
	r.Stage = s.stage
	s.report.Rows = append(s.report.Rows, r)
	return &s.report.Rows[len(s.report.Rows)-1]
}

func (s *session) atLeast(name string, value, limit float64) {
	s.report.Targets = append(s.report.Targets, Target{Name: name, Value: value, Limit: limit, AtLeast: true, Met: value >= limit})
}

func (s *session) atMost(name string, value, limit float64) {
	s.report.Targets = append(s.report.Targets, Target{Name: name, Value: value, Limit: limit, Met: value <= limit})
}

// JSON writes the report as one object.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Text writes the report for people.
func (r *Report) Text(w io.Writer) error {
	m := &r.Machine
	fmt.Fprintf(w, "%s, %d CPUs; Linux %s; %s; commit %s; %s\n", m.CPU, m.CPUs, m.Kernel, m.Go, r.Commit, m.Date.Format(time.DateOnly))
	fmt.Fprintf(w, "%d dialogs, medians of %d rounds; load average %.2f before, %.2f after; %.0f s\n",
		r.Dialogs, r.Runs, r.Load.Before, r.Load.After, r.Seconds)
	r.modes(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "stage\tcase\tdialogs\tns/event\tCPU ns\tevents/s\tallocs\tbytes/dialog\t")
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", row.Stage, row.Case, blank(float64(row.Dialogs), 0),
			blank(row.NS, 1), blank(row.CPU, 1), blank(row.PerSecond, 0), allocsText(row.Allocs), blank(row.Bytes, 1), row.Note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(r.Targets) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	fmt.Fprintln(t, "target\treached\tlimit\t")
	for _, g := range r.Targets {
		relation, verdict := "at most", "met"
		if g.AtLeast {
			relation = "at least"
		}
		if !g.Met {
			verdict = "NOT MET"
		}
		fmt.Fprintf(t, "%s\t%s\t%s %s\t%s\n", g.Name, number(g.Value), relation, number(g.Limit), verdict)
	}
	return t.Flush()
}

// blank is v with so many decimals, and nothing for zero.
func blank(v float64, decimals int) string {
	if v == 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// number shows four digits that count, without an exponent.
func number(v float64) string {
	switch {
	case v >= 1000 || v <= -1000 || v == float64(int64(v)):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10 || v <= -10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

func allocsText(v float64) string {
	if v < 0 {
		return ""
	}
	if v < 0.0005 { // the runtime's own, now and then
		return "0"
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}
