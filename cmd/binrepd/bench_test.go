package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"binrepd/userspace/watch/doctor"
)

// TestBench measures, through the command line, what takes least. Package bench tries every stage.
func TestBench(t *testing.T) {
	var out, progress bytes.Buffer
	if status := run([]string{"binrepd", "bench", "--stages", "scan", "--dialogs", "1000", "--runs", "1", "--json"}, &out, &progress); status != exitDone {
		t.Fatalf("status %d: %s", status, &progress)
	}
	var report struct {
		Machine struct{ Kernel string }
		Rows    []struct {
			Stage string
			NS    float64 `json:"ns_per_event"`
		}
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	stages := map[string]bool{}
	for _, r := range report.Rows {
		stages[r.Stage] = r.NS > 0
	}
	if len(stages) != 1 || !stages["scan"] || report.Machine.Kernel != doctor.KernelRelease() {
		t.Errorf("%s", &out)
	}
	if !strings.Contains(progress.String(), "scan") {
		t.Errorf("progress: %q", &progress)
	}
}

func TestBenchUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--stages", "scan,hole"}, "steer"}, // the names there are
		{[]string{"--dialogs", "1"}, "--dialogs 1"},
		{[]string{"--runs", "0.5"}, "not a whole number"},
		{[]string{"fast"}, "takes no argument"},
		{[]string{"generate", "--rate", "-5"}, "--rate -5"},
		{[]string{"generate", "--to", "192.0.2.1:5556"}, "only with an interface"},
		{[]string{"generate", "--interface", "eth0", "--to", "192.0.2.1:5556", "--mac", "02:00"}, "--mac 02:00"},
		{[]string{"generate", "--interface", "eth0"}, "Ethernet address"},
	} {
		var out, errs bytes.Buffer
		status := run(append([]string{"binrepd", "bench"}, c.args...), &out, &errs)
		if status != exitUsage || !strings.Contains(errs.String(), c.want) || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%v: status %d, %q", c.args, status, &errs)
		}
	}
}
