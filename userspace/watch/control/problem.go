package control

import (
	"fmt"
	"strings"
)

// Problem is something that is wrong with the appliance or with what it depends on. It stands beside the word: an
// appliance with a problem may still be READY.
//
// A part adds a problem in three steps:
//
//  1. Give it a code in the list below, and a line in problemMeanings. The code is the label of the metric
//     binrepd_problem and part of the JSON, so it never changes.
//  2. Add the problem to the status as long as it lasts. If the status has the data already, do it in findProblems. If not,
//     call Status.AddProblem where the appliance puts the status together.
//  3. Add a case to TestProblems.
//
// `status`, `--check`, `--strict`, the JSON, /readyz, `top`, the page, the metrics, the alert BinrepdProblem and the log
// show it then.
type Problem struct {
	Code ProblemCode `json:"code"`
	// Text is one line for people, which names the object and the cause: "backup 10.0.0.3:5556 is refused".
	Text string `json:"text"`
}

// ProblemCode names a kind of problem. Several objects may have the same problem at a time, such as two interfaces.
type ProblemCode string

const (
	InterfaceDown ProblemCode = "interface_down"
	Fallback      ProblemCode = "fallback"
	TableFull     ProblemCode = "table_full"
	SaveFailing   ProblemCode = "save_failing"
	RecordFailing ProblemCode = "record_failing"
	BackupDown    ProblemCode = "backup_down"
	BackupLacking ProblemCode = "backup_needs_sync"
	RingDefect    ProblemCode = "ring_defect"
	RestartLost   ProblemCode = "restart_lost"
	TagConflict   ProblemCode = "tag_conflict"
	AuditDiffers  ProblemCode = "audit_differs"
	AuditFailing  ProblemCode = "audit_failing"
)

// problemMeanings lists every code, in the order in which problems are shown.
var problemMeanings = [...]struct {
	code    ProblemCode
	meaning string
}{
	{InterfaceDown, "an interface is missing, down or without carrier"},
	{Fallback, "a faster mode was requested but is not available"},
	{TableFull, "the table is at its limit, so that new dialogs are refused"},
	{SaveFailing, "the table can't be saved"},
	{RecordFailing, "the recorder can't write"},
	{BackupDown, "a backup is refused, unreachable, or its name isn't resolved"},
	{BackupLacking, "a backup was away, missed events or has another address, and needs a sync"},
	{RingDefect, "a ring had inconsistent records or a late wake-up"},
	{RestartLost, "the last restart lost events, less than an hour ago"},
	{TagConflict, "two nodes of a cluster claimed a sharing tag within 5 s, less than ten minutes ago"},
	{AuditDiffers, "the last audit of a proxy found differences"},
	{AuditFailing, "a proxy can't be asked for its dialogs"},
}

// ProblemCodes returns all codes, in the order in which problems are shown.
func ProblemCodes() []ProblemCode {
	codes := make([]ProblemCode, len(problemMeanings))
	for i, p := range problemMeanings {
		codes[i] = p.code
	}
	return codes
}

// Meaning returns what the code stands for, for people.
func (c ProblemCode) Meaning() string {
	for _, p := range problemMeanings {
		if p.code == c {
			return p.meaning
		}
	}
	return string(c)
}

// AddProblem adds a problem. The text must have no line break; what came from a packet or from the network goes through
// Printable first.
func (s *Status) AddProblem(code ProblemCode, format string, args ...any) {
	s.Problems = append(s.Problems, Problem{code, fmt.Sprintf(format, args...)})
}

// Line returns the state in one line: the word, its reason, and the problems.
//
//	READY
//	READY but interface eth0 is down; backup 10.0.0.3:5556 is refused
//	STALE: source 10.0.0.1:5555 has been silent for 5m0s, but interface eth0 is down
func (s *Status) Line() string {
	line := string(s.Word)
	if s.Reason != "" {
		line += ": " + s.Reason
	}
	if len(s.Problems) == 0 {
		return line
	}
	if s.Reason != "" {
		line += ","
	}
	return line + " but " + s.But()
}

// But returns the texts of all problems, or "".
func (s *Status) But() string {
	texts := make([]string, len(s.Problems))
	for i, p := range s.Problems {
		texts[i] = p.Text
	}
	return strings.Join(texts, "; ")
}

// ExitStatus is the exit status of `binrepd status --check`: that of the word. If strict, a problem beside a good word
// makes it 6.
func (s *Status) ExitStatus(strict bool) int {
	if status := s.Word.ExitStatus(); status != 0 || !strict || len(s.Problems) == 0 {
		return status
	}
	return exitProblem
}

// exitProblem is the exit status of --check --strict if the word is good but there are problems.
const exitProblem = 6
