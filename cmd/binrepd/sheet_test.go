package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/watch/control"
)

// lines returns what was printed, and checks that no line is longer than width cells.
func lines(t *testing.T, out *bytes.Buffer, width int) []string {
	t.Helper()
	list := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for _, l := range list {
		if n := utf8.RuneCountInString(l); n > width {
			t.Errorf("%d cells, more than %d: %.100s", n, width, l)
		}
		if strings.HasSuffix(l, " ") {
			t.Errorf("%q ends with a space", l)
		}
	}
	return list
}

// TestGridCuts: one long value doesn't make a table wide (fault 31). The longest values are cut first, down to their least
// width, and then spare columns are left out and named.
func TestGridCuts(t *testing.T) {
	var out bytes.Buffer
	s := sheet{out: &out, width: 40, ellipsis: "\u2026"}
	g := s.grid(heading{name: "CALL-ID", least: 10}, heading{name: "STATE"}, heading{name: "FROM", least: 8}, heading{name: "LEFT", spare: 1})
	long := strings.Repeat("0123456789", 6500)
	g.row("short", "confirmed", "sip:a@b", "3h0m0s")
	g.row(long, "confirmed", "sip:somebody@example.com", "3h0m0s")
	if err := g.flush(); err != nil {
		t.Fatal(err)
	}
	got := lines(t, &out, 40)
	want := []string{
		"CALL-ID    STATE      FROM       LEFT",
		"short      confirmed  sip:a@b    3h0m0s",
		"01234\u20266789  confirmed  sip:\u2026.com  3h0m0s",
	}
	for i := range want {
		if fields := strings.Fields(want[i]); i >= len(got) || strings.Join(strings.Fields(got[i])[1:2], "") != fields[1] {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	if !strings.HasPrefix(got[2], "0123") || !strings.Contains(got[2], "\u2026") || !strings.Contains(got[2], "789 ") {
		t.Errorf("%q isn't cut in its middle", got[2])
	}

	out.Reset()
	s.width = 34
	g = s.grid(g.columns...)
	g.row(long, "confirmed", "sip:somebody@example.com", "3h0m0s")
	if err := g.flush(); err != nil {
		t.Fatal(err)
	}
	got = lines(t, &out, 34)
	if len(got) != 3 || strings.Contains(got[0], "LEFT") || got[2] != "not shown: LEFT (--wide)" {
		t.Errorf("%q", got)
	}

	out.Reset()
	s.width = 0
	g = s.grid(g.columns...)
	g.row(long, "confirmed", "x", "3h0m0s")
	if err := g.flush(); err != nil || !strings.Contains(out.String(), long+"  confirmed  x     3h0m0s\n") {
		t.Errorf("--wide cuts: %v", err)
	}
}

func TestCut(t *testing.T) {
	s := sheet{ellipsis: "\u2026"}
	for _, test := range []struct {
		text  string
		width int
		want  string
	}{
		{"", 5, ""}, {"abcde", 5, "abcde"}, {"abcdef", 5, "ab\u2026ef"}, {"abcdefg", 6, "abc\u2026fg"}, {"\u00e4\u00f6\u00fc\u00df", 4, "\u00e4\u00f6\u00fc\u00df"},
		{"\u00e4\u00f6\u00fc\u00df\u00e9", 4, "\u00e4\u00f6\u2026\u00e9"}, {"abc", 1, "a"},
	} {
		if got := s.cut(test.text, test.width); got != test.want {
			t.Errorf("%q in %d: %q, want %q", test.text, test.width, got, test.want)
		}
	}
	if got := (sheet{ellipsis: "..."}).cut("abcdefgh", 6); got != "ab...h" {
		t.Errorf("plain: %q", got)
	}
}

// busyStatus is a status with large numbers and long texts everywhere.
func busyStatus(now time.Time) control.Status {
	const n = 12_345_678_901
	address := "192.168.100.101:55556"
	skew := 0.3
	s := control.Status{
		Word: "LOSING", Reason: "12345 packets were lost within the last minute, because the rings were full", PID: 1234567, Version: "1.2.3-45-gabcdef0",
		Started: now.Add(-40 * 24 * time.Hour), Mode: "xdp-generic", FallbackReason: "native: operation not supported by this driver, as ethtool says",
		Account: control.Account{
			Seen: 5 * n, Applied: n, Recovered: n, BeganEarly: n, Duplicate: n, Stale: n, Late: n, Unknown: n,
			Rejected: map[string]uint64{"bad_checksum": n, "no_call_id": n, "wrong_length": n, "not_allowed": n},
		},
		Problems:  []control.Problem{{Text: "interface eth0 is down: no carrier for three minutes, and nothing else has come in since then"}},
		Listeners: []control.ListenerStatus{{Address: address, Steered: n, Socket: n, Hint: "the route goes by eth1: name it with --interface eth1, or move the address there"}},
		Sources: []control.SourceStatus{
			{Address: address, Events: n, Rate: 123456.7, Rejected: 1, Skew: &skew, Last: now},
			{Address: "10.0.0.10:5556", Events: n, Last: now.Add(-time.Hour)},
			{Address: "10.0.0.9:5556", Events: n, Last: now.Add(-time.Minute)},
			{Address: "10.0.0.11:5556"},
			{Address: "10.0.0.12:5556", Rate: 3, Last: now},
			{Address: "10.0.0.13:5556", Rate: 9, Last: now},
		},
		Destinations: []control.DestinationStatus{{
			Address: address, State: "refused", Cause: "connection refused", Since: now.Add(-time.Hour), Sent: n, Queued: n / 1000, Dropped: n / 1000, Unmatched: n,
			NeedsSync: "was away 26 s", Paused: true, Sockets: map[string]uint64{"udp:10.0.0.1:5060": n, "udp:10.0.0.2:5060": n, "udp:10.0.0.3:5060": 1},
		}},
		Clusters: []control.ClusterStatus{{Nodes: []control.ClusterNode{{Events: n, Rate: 1234567.8, Last: now}}}},
	}
	c := &s.Clusters[0]
	c.Cluster, c.Node, c.URL = 1, 3, "bin:192.168.100.103:5566"
	c.Tags = []membership.TagStatus{{Tag: strings.Repeat("tag", 50), Active: 7, Previous: 2, Conflicts: 3, LastConflict: now, Since: now}}
	c.Nodes[0].URL, c.Nodes[0].Connections = "bin:192.168.100.101:5566", 12
	return s
}

// TestStatusFits: the lines of status fit into 80 columns, whatever it says (fault 31).
func TestStatusFits(t *testing.T) {
	now := time.Now()
	s := busyStatus(now)
	for _, width := range []int{80, 100, 200} {
		var out bytes.Buffer
		if err := printStatus(sheet{out: &out, width: width, ellipsis: "\u2026"}, &s, now); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"LOSING: ", "but     ", "account   61728394505 seen = 12345678901 applied (", "refused, paused"} {
			if !strings.Contains(strings.Join(lines(t, &out, width), "\n"), want) {
				t.Errorf("%q is missing in\n%s", want, &out)
			}
		}
		if wide := strings.Contains(out.String(), "CONNECTIONS  "); wide != (width == 200) {
			t.Errorf("width %d, CONNECTIONS: %v", width, wide)
		}
		t.Logf("\n%s", &out)
	}
}

// TestSourcesAreInAUsefulOrder: trouble first, the most recent first; then by rate (fault 31).
func TestSourcesAreInAUsefulOrder(t *testing.T) {
	now := time.Now()
	s := busyStatus(now)
	var got []string
	for _, src := range bySourceTrouble(s.Sources) {
		got = append(got, src.Address)
	}
	want := "10.0.0.9:5556 10.0.0.10:5556 192.168.100.101:55556 10.0.0.13:5556 10.0.0.12:5556 10.0.0.11:5556"
	if strings.Join(got, " ") != want {
		t.Errorf("%s, want %s", strings.Join(got, " "), want)
	}
	same := []control.SourceStatus{{Address: "10.0.0.10:1"}, {Address: "10.0.0.9:1"}, {Address: "10.0.0.9:2"}}
	if first := fmt.Sprint(bySourceTrouble(same)[0].Address); first != "10.0.0.9:1" {
		t.Errorf("%s comes first", first)
	}
}
