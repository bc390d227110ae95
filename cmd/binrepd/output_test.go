package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/watch/control"
)

// TestStatusPrintsErrorsOfSending: the text names errors of each kind, and says that the list of sockets is cut.
func TestStatusPrintsErrorsOfSending(t *testing.T) {
	d := control.DestinationStatus{Address: "standby:5556", Errors: 12, Refusals: 4, Unreachables: 5, MoreSockets: 108}
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
		if err := printBackups(sheet{out: &out}, &control.Status{Destinations: []control.DestinationStatus{d}}, time.Now()); err != nil {
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

// TestSyncSummaryPrintsSockets: the text has the sockets that the table named, those that changes named, and how many of
// each aren't listed.
func TestSyncSummaryPrintsSockets(t *testing.T) {
	s := control.SyncSummary{To: "standby:5556", Unmatched: 140, MoreSockets: 108, ChangesUnmatched: 240, ChangesMoreSockets: 208}
	s.Sockets, s.ChangesSockets = map[string]uint64{"a": 32}, map[string]uint64{"b": 32}
	var out bytes.Buffer
	printSummary(&out, &s, []string{"udp:10.0.0.1:5060=udp:10.0.0.4:5060"})
	for _, want := range []string{
		"unless it is its own: 32 a, and 108 of further sockets that aren't listed\n",
		"needs alias=udp:10.0.0.1:5060 in",
		"in reverse: udp:10.0.0.4:5060=udp:10.0.0.1:5060\n",
		"240 of the changes with such a socket: 32 b, and 208 of further sockets that aren't listed\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
}
