package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/out/egress"
	"binrepd/userspace/out/resync"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/watch/control"
)

// crowd is a report with as many sockets as are listed, and more.
func crowd(first int) shield.Report {
	r := shield.Report{Unmatched: uint64(first) + 40, MoreSockets: uint64(first) + 8}
	for i := range 32 {
		r.Sockets = append(r.Sockets, shield.SocketCount{Socket: fmt.Sprintf("udp:10.0.%d.%d:5060", first, i), Count: 1})
	}
	return r
}

// TestStatusTellsErrorsOfSending: errors of each kind, and that the list of sockets is not complete, are in the status of a backup and in its text.
func TestStatusTellsErrorsOfSending(t *testing.T) {
	d := destinationStatus(&egress.DestinationStatus{
		Address: "standby:5556", Errors: 12, Refusals: 4, Unreachables: 5, Report: crowd(100),
	})
	if d.Errors != 12 || d.Refusals != 4 || d.Unreachables != 5 || len(d.Sockets) != 32 || d.MoreSockets != 108 {
		t.Errorf("%+v", d)
	}
	for _, test := range []struct {
		change func(*control.DestinationStatus)
		want   string // lines that tell of it
	}{
		{func(*control.DestinationStatus) {}, "errors of sending to standby:5556: 3 other, 4 refused, 5 unreachable|" +
			"sockets that no rule for standby:5556 names: 1 s, and 108 of further sockets that aren't listed"},
		{func(d *control.DestinationStatus) { d.Errors, d.Unreachables, d.MoreSockets = 4, 0, 0 }, "errors of sending to standby:5556: 4 refused|" +
			"sockets that no rule for standby:5556 names: 1 s"},
		{func(d *control.DestinationStatus) { *d = control.DestinationStatus{} }, ""},
	} {
		d := d
		d.Sockets = map[string]uint64{"s": 1}
		test.change(&d)
		var out bytes.Buffer
		if err := printBackups(&out, &control.Status{Destinations: []control.DestinationStatus{d}}, time.Now()); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, line := range strings.Split(out.String(), "\n") {
			if strings.Contains(line, "errors of") || strings.Contains(line, "no rule") {
				got = append(got, line)
			}
		}
		if strings.Join(got, "|") != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// TestSyncSummaryTellsAllSockets: those that the table and those that changes behind it named, and how many aren't listed.
func TestSyncSummaryTellsAllSockets(t *testing.T) {
	done := resync.Summary{TailEvents: 300, Tail: crowd(200)}
	done.Report = crowd(100)
	done.Tail.Held[shield.Expired] = 7
	s := syncSummary(control.SyncRequest{To: "standby:5556"}, &done)
	if s.Unmatched != 140 || len(s.Sockets) != 32 || s.Sockets["udp:10.0.100.0:5060"] != 1 || s.MoreSockets != 108 ||
		s.ChangesUnmatched != 240 || len(s.ChangesSockets) != 32 || s.ChangesSockets["udp:10.0.200.0:5060"] != 1 || s.ChangesMoreSockets != 208 ||
		s.ChangesHeld != 7 {
		t.Errorf("%+v", s)
	}
	s.Sockets, s.ChangesSockets = map[string]uint64{"a": 32}, map[string]uint64{"b": 32}
	var out bytes.Buffer
	printSummary(&out, &s)
	for _, want := range []string{
		"unless it is its own: 32 a, and 108 of further sockets that aren't listed\n",
		"240 of the changes with such a socket: 32 b, and 208 of further sockets that aren't listed\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
}
