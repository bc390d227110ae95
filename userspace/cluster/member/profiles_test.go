package member

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/wire/bin2"
)

func profilePacket(t testing.TB, counts ...bin2.ProfileCount) bin2.Packet {
	t.Helper()
	b, err := bin2.AppendProfiles(nil, 4, bin2.Trailer{Cluster: 1, Source: 1, Destination: 3}, counts...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := bin2.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func count(name, value string, dialogs int32) bin2.ProfileCount {
	return bin2.ProfileCount{Name: []byte(name), Value: []byte(value), Dialogs: dialogs}
}

// TestProfileCounts: the last count holds, for 10 s.
func TestProfileCounts(t *testing.T) {
	var ps profiles
	began := time.Unix(1_800_000_000, 0)
	at := func(s float64) time.Time { return began.Add(time.Duration(s * float64(time.Second))) }
	show := func(now time.Time) string {
		var b strings.Builder
		for _, n := range ps.status(now) {
			fmt.Fprintf(&b, "node %d:", n.Node)
			for _, c := range n.Counts {
				fmt.Fprintf(&b, " %s=%s %d", c.Name, c.Value, c.Dialogs)
			}
			fmt.Fprintf(&b, " (%d refused, %d broken) ", n.Refused, n.Broken)
		}
		return strings.TrimSpace(b.String())
	}
	ps.take(at(0), 1, profilePacket(t, count("tot", "", 4), count("gw", "a", 3), count("gw", "b", 1)))
	ps.take(at(0.1), 2, profilePacket(t, count("tot", "", 9)))
	ps.take(at(5), 1, profilePacket(t, count("tot", "", 2), count("gw", "b", 0), count("gw", "z", 0)))
	for _, step := range []struct {
		now  float64
		want string
	}{
		{5, "node 1: gw=a 3 tot= 2 (0 refused, 0 broken) node 2: tot= 9 (0 refused, 0 broken)"},
		{10, "node 1: tot= 2 (0 refused, 0 broken) node 2: tot= 9 (0 refused, 0 broken)"},
		{15, "node 1: (0 refused, 0 broken) node 2: (0 refused, 0 broken)"},
	} {
		if got := strings.ReplaceAll(show(at(step.now)), ":  ", ": "); got != step.want {
			t.Errorf("after %g s: %s, want %s", step.now, got, step.want)
		}
	}
	// What comes before the fault counts.
	ps.take(at(20), 1, profilePacket(t, count("tot", "", 7), count("gw", "a", -1), count("gw", "b", 2)))
	if got, want := show(at(20)), "node 1: tot= 7 (0 refused, 1 broken) node 2: (0 refused, 0 broken)"; strings.ReplaceAll(got, ":  ", ": ") != want {
		t.Errorf("%s, want %s", got, want)
	}
	ps.forget(1)
	if got := show(at(20)); strings.Contains(got, "node 1") {
		t.Error(got)
	}
}

// TestProfilesAreBounded: a node can't fill the memory, and its old counts make room.
func TestProfilesAreBounded(t *testing.T) {
	var ps profiles
	now := time.Unix(1_800_000_000, 0)
	long := strings.Repeat("v", 60_000)
	for i := range 100 {
		ps.take(now, 1, profilePacket(t, count("p", fmt.Sprint(long, i), 1)))
	}
	if n := ps.nodes[1]; n.bytes > maxProfileBytes || len(n.counts) != 17 || n.refused != 83 {
		t.Errorf("%d bytes in %d counts, %d refused", n.bytes, len(n.counts), n.refused)
	}
	for i := range maxProfileCounts + 10 {
		ps.take(now, 2, profilePacket(t, count("p", fmt.Sprint(i), 1)))
	}
	if n := ps.nodes[2]; len(n.counts) != maxProfileCounts || n.refused != 10 {
		t.Errorf("%d counts, %d refused", len(n.counts), n.refused)
	}
	now = now.Add(profileLife)
	ps.take(now, 1, profilePacket(t, count("q", "", 1)))
	if n := ps.nodes[1]; len(n.counts) != 1 || n.bytes != 1 {
		t.Errorf("%d bytes in %d counts", n.bytes, len(n.counts))
	}
}

// TestProfilesAllocateNothing: counts that are repeated take nothing from the heap.
func TestProfilesAllocateNothing(t *testing.T) {
	var ps profiles
	now := time.Unix(1_800_000_000, 0)
	p := profilePacket(t, count("tot", "", 4), count("gw", "a", 3))
	ps.take(now, 1, p)
	if n := testing.AllocsPerRun(100, func() { now = now.Add(time.Second); ps.take(now, 1, p) }); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}
