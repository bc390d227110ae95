package appliance

import (
	"fmt"
	"testing"

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

// TestDestinationStatus: the status of a backup has the errors of each kind, and says that its list of sockets is cut.
func TestDestinationStatus(t *testing.T) {
	d := destinationStatus(&egress.DestinationStatus{
		Address: "standby:5556", Errors: 12, Refusals: 4, Unreachables: 5, Report: crowd(100),
	})
	if d.Errors != 12 || d.Refusals != 4 || d.Unreachables != 5 || len(d.Sockets) != 32 || d.MoreSockets != 108 {
		t.Errorf("%+v", d)
	}
}

// TestSyncSummary: it has the sockets that the table named, those that changes named, and how many of each aren't listed.
func TestSyncSummary(t *testing.T) {
	done := resync.Summary{TailEvents: 300, Tail: crowd(200)}
	done.Report = crowd(100)
	done.Tail.Held[shield.Expired] = 7
	s := syncSummary(control.SyncRequest{To: "standby:5556"}, &done)
	if s.Unmatched != 140 || len(s.Sockets) != 32 || s.Sockets["udp:10.0.100.0:5060"] != 1 || s.MoreSockets != 108 ||
		s.ChangesUnmatched != 240 || len(s.ChangesSockets) != 32 || s.ChangesSockets["udp:10.0.200.0:5060"] != 1 || s.ChangesMoreSockets != 208 ||
		s.ChangesHeld != 7 {
		t.Errorf("%+v", s)
	}
}
