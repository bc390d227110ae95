package bench

import (
	"strings"
	"testing"
)

// TestReportSaysHow: the header has the machine, the commit, and how the stages ran that did.
func TestReportSaysHow(t *testing.T) {
	r, err := Run(t.Context(), Config{Stages: []string{"decode", "scan", "fanout"}, Dialogs: leastDialogs, Runs: 1, Commit: "abc", Progress: new(strings.Builder), quick: true})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := r.Text(&out); err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(out.String(), "\n\n")
	for _, want := range []string{"commit abc", "\n" + modeMemory + ": decode, scan", "\n" + modeLoopback + ": fanout"} {
		if !strings.Contains(head, want) {
			t.Errorf("no %q in the header:\n%s", want, head)
		}
	}
	if strings.Contains(head, modeVeth) {
		t.Errorf("a mode in which nothing ran:\n%s", head)
	}
}

func TestEveryStageHasAMode(t *testing.T) {
	for _, s := range stages {
		if s.mode == "" || (s.mode == modeVeth || s.mode == modeTestRun) != s.privileged {
			t.Errorf("%s: mode %q, privileged %t", s.name, s.mode, s.privileged)
		}
	}
}
