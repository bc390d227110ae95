package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/bench"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/socket"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/state/engine"
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

// TestWatchedAppliance: all that an appliance looks at is there in the one whose metrics address the bench asks.
func TestWatchedAppliance(t *testing.T) {
	table, err := dialog.NewTable(dialog.Config{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	local := netip.MustParseAddrPort("127.0.0.1:0")
	s, err := socket.Listen(t.Context(), local, socket.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e, err := engine.New(engine.Config{Table: table, Intakes: packets.Listeners([]netip.AddrPort{local})})
	if err != nil {
		t.Fatal(err)
	}
	out, err := egress.New(egress.Config{Sink: s})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close(context.Background())
	a := watchedAppliance(bench.Watched{Table: table, Engine: e, Socket: s, Listen: local, Egress: out}, slog.New(slog.DiscardHandler))
	if status, consumers := a.look(); len(status.Listeners) != 1 || len(consumers) == 0 || consumers[0].Name != "socket "+local.String() {
		t.Errorf("%+v, %+v", status.Listeners, consumers)
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
