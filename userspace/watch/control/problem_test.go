package control

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/cluster/membership"
)

// TestProblems: what is wrong beside the word is a problem while it lasts (fault 24).
func TestProblems(t *testing.T) {
	now := time.Unix(testNow, 0)
	found := map[ProblemCode]bool{}
	for _, test := range []struct {
		name string
		with func(*Status)
		code ProblemCode // "": no problem
		text string
	}{
		{"all is well", func(*Status) {}, "", ""},
		{"link up", func(s *Status) { s.Interfaces = []InterfaceStatus{{Name: "eth0", Link: LinkUp}} }, "", ""},
		{"link not known yet", func(s *Status) { s.Interfaces = []InterfaceStatus{{Name: "eth0"}} }, "", ""},
		{"link down", func(s *Status) { s.Interfaces = []InterfaceStatus{{Name: "eth0", Link: LinkDown}} }, InterfaceDown, "interface eth0 is down"},
		{"no carrier, and unused", func(s *Status) { s.Interfaces = []InterfaceStatus{{Name: "eth0", Link: LinkNoCarrier, Unused: true}} }, "", ""},
		{"no carrier", func(s *Status) { s.Interfaces = []InterfaceStatus{{Name: "eth0", Link: LinkNoCarrier}} }, InterfaceDown, "interface eth0 has no carrier"},
		{"no interface", func(s *Status) { s.Interfaces = []InterfaceStatus{{Name: "eth0", Link: LinkMissing}} }, InterfaceDown, "interface eth0 is missing"},
		{"fallback", func(s *Status) { s.Mode, s.FallbackReason = ModeSocket, "no\x1b BPF" }, Fallback, `mode socket: no\x1b BPF`},
		{"dialogs at the limit", func(s *Status) { s.Dialogs, s.Early, s.MaxDialogs = 7, 3, 10 }, TableFull, "the table is full: 10 dialogs, at most 10 (--max-dialogs)"},
		{"below the limit", func(s *Status) { s.Dialogs, s.Early, s.MaxDialogs = 6, 3, 10 }, "", ""},
		{"memory at the limit", func(s *Status) { s.Memory = Memory{Used: 5, Limit: 5} }, TableFull, "the table is full: it uses all of its memory (--max-memory)"},
		{"save", func(s *Status) { s.State = &StateStatus{Error: "no space"} }, SaveFailing, "the table can't be saved: no space"},
		{"recorder", func(s *Status) { s.Record = &RecordStatus{Error: "no space"} }, RecordFailing, "the recorder can't write: no space"},
		{"backup up", func(s *Status) { s.Destinations = []DestinationStatus{{Address: "b:1", State: "up", Cause: "once"}} }, "", ""},
		{"backup being resolved", func(s *Status) { s.Destinations = []DestinationStatus{{Address: "b:1", State: "resolving"}} }, "", ""},
		{"backup not resolved", func(s *Status) {
			s.Destinations = []DestinationStatus{{Address: "b:1", State: "resolving", Cause: "no such host"}}
		}, BackupDown, "backup b:1 is resolving (no such host)"},
		{"backup that was away", func(s *Status) {
			s.Destinations = []DestinationStatus{{Address: "b:1", State: "up", NeedsSync: "was away 26 s"}}
		}, BackupLacking, "backup b:1 was away 26 s, needs a sync"},
		{"backup refused", func(s *Status) { s.Destinations = []DestinationStatus{{Address: "b:1", State: "refused"}} }, BackupDown, "backup b:1 is refused"},
		{"ring", func(s *Status) { s.Rings = []RingStatus{{}, {Refused: 2}} }, RingDefect, "ring 1 had 2 inconsistent records and 0 late wake-ups: a defect"},
		{"restart", func(s *Status) { s.Pin = &PinStatus{Unsaved: 4, Overflowed: 3} }, RestartLost, "the restart 1m0s ago lost at most 7 events"},
		{"tag", func(s *Status) { s.Clusters = conflict(now.Add(-5 * time.Second)) }, TagConflict, `nodes 1 and 2 of cluster 7 both claimed the sharing tag v\x1bp, 5s ago`},
		{"tag, long ago", func(s *Status) { s.Clusters = conflict(now.Add(-10 * time.Minute)) }, "", ""},
		{"audit", func(s *Status) {
			s.Audits = []AuditStatus{{Proxy: "http://a/mi", AuditCounts: AuditCounts{Missing: 2, There: 1, Unchecked: 5}}}
		}, AuditDiffers, "audit of proxy http://a/mi: 2 missing here, 1 missing at the proxy, 0 different, 5 more not checked one by one"},
		{"audit that fails", func(s *Status) {
			s.Audits = []AuditStatus{{Proxy: "http://a/mi", Error: "no answer"}}
		}, AuditFailing, "proxy http://a/mi can't be audited: no answer"},
		{"audit without differences", func(s *Status) {
			s.Audits = []AuditStatus{{Proxy: "http://a/mi", AuditCounts: AuditCounts{Compared: 9}}}
		}, "", ""},
		{"restart, long ago", func(s *Status) { s.Pin, s.Started = &PinStatus{Unsaved: 4}, now.Add(-time.Hour) }, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := statusWith(1, now)
			s.Started = now.Add(-time.Minute)
			test.with(s)
			var h History
			h.Complete(now, s)
			if test.code == "" {
				if len(s.Problems) > 0 {
					t.Errorf("problems %v", s.Problems)
				}
				return
			}
			found[test.code] = true
			if !slices.Equal(s.Problems, []Problem{{test.code, test.text}}) {
				t.Errorf("problems %q", s.Problems)
			}
			if got, want := s.Line(), "READY but "+test.text; got != want {
				t.Errorf("line %q, want %q", got, want)
			}
			if s.ExitStatus(false) != 0 || s.ExitStatus(true) != 6 {
				t.Errorf("exit status %d, strict %d", s.ExitStatus(false), s.ExitStatus(true))
			}
		})
	}
	for _, code := range ProblemCodes() {
		if !found[code] {
			t.Errorf("no case finds %s", code)
		}
		if meaning := code.Meaning(); meaning == string(code) || strings.Contains(meaning, "|") {
			t.Errorf("%s means %q", code, meaning)
		}
	}
}

// TestLine: the word and its reason come first, then all problems in a fixed order.
func TestLine(t *testing.T) {
	now := time.Unix(testNow, 0)
	s := statusWith(1, now.Add(-time.Minute))
	s.AddProblem(RecordFailing, "added by a part")
	s.Interfaces = []InterfaceStatus{{Name: "eth0", Link: LinkDown}}
	h := History{StaleAfter: time.Minute}
	h.Complete(now, s)
	const want = "STALE: source 192.0.2.1:5555 has been silent for 1m0s, but interface eth0 is down; added by a part"
	if got := s.Line(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if s.ExitStatus(true) != 3 {
		t.Errorf("exit status %d: a bad word comes before the problems", s.ExitStatus(true))
	}
	s = statusWith(1, now)
	h.Complete(now, s)
	if got := s.Line(); got != "READY" || s.ExitStatus(true) != 0 {
		t.Errorf("%q, exit status %d", got, s.ExitStatus(true))
	}
	if b, err := json.Marshal(s); err != nil || !strings.Contains(string(b), `"problems":[]`) {
		t.Errorf("%s, %v: no empty list of problems", b, err)
	}
}

// TestInterfaceLosses: what an interface loses in front of XDP makes the word LOSING while it rises.
func TestInterfaceLosses(t *testing.T) {
	start := time.Unix(testNow, 0)
	h := History{}
	s := statusWith(1, start)
	s.Interfaces = []InterfaceStatus{{Name: "eth0", Link: LinkUp, Lost: 7}}
	h.Sample(start, s)
	h.Complete(start.Add(time.Second), s)
	if s.Word != Ready {
		t.Errorf("%s before anything was lost", s.Line())
	}
	s.Interfaces[0].Lost += 3
	h.Complete(start.Add(2*time.Second), s)
	if s.Line() != "LOSING: 3 lost within 2s: interface eth0" {
		t.Error(s.Line())
	}
}

// conflict is a cluster in which node 2 claimed a tag of node 1 at that time.
func conflict(at time.Time) []ClusterStatus {
	c := ClusterStatus{}
	c.Cluster = 7
	c.Tags = []membership.TagStatus{{Tag: "v\x1bp", Active: 2, Previous: 1, Conflicts: 1, LastConflict: at}}
	return []ClusterStatus{c}
}
