package main

import (
	"strings"
	"testing"
	"time"

	"binrepd/userspace/watch/control"
)

func TestPrintProfiles(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	node := func(id int32, dialogs uint64) control.ProfileOfNode {
		return control.ProfileOfNode{Cluster: 1, Node: id, Dialogs: dialogs}
	}
	list := control.ProfileList{
		NotCounted: 7,
		Nodes: []control.ProfileNode{
			{Cluster: 1, Node: 1, Last: now, Counts: 2}, {Cluster: 1, Node: 2, Last: now.Add(-time.Minute), Refused: 1},
		},
		Profiles: []control.ProfileCounts{
			{
				Name: "gw", ProfileSums: control.ProfileSums{Dialogs: 1004, Nodes: []control.ProfileOfNode{node(1, 5), node(2, 0)}}, MoreValues: 1,
				Values: []control.ProfileValue{{Value: "a\x1b", ProfileSums: control.ProfileSums{Dialogs: 1000}}},
			},
			{Name: "tot", ProfileSums: control.ProfileSums{Dialogs: 2}, Values: []control.ProfileValue{{ProfileSums: control.ProfileSums{Dialogs: 2}}}},
		},
	}
	var b strings.Builder
	if err := printProfiles(&b, &list, now); err != nil {
		t.Fatal(err)
	}
	want := `PROFILE  VALUE                      DIALOGS  NODES
gw       (all)                      1,004    1: 5, 2: 0
         a\x1b                      1,000    -
         (and 1 more: see --limit)
tot      -                          2        -
7 memberships aren't counted: there are too many values; see --name
node 2 of cluster 1 has sent no counts for 1m0s
node 2 of cluster 1: 1 counts found no room, 0 packets can't be read to their end
`
	var got strings.Builder
	for line := range strings.Lines(b.String()) {
		got.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	if got.String() != want {
		t.Errorf("\n%s", got.String())
	}
	b.Reset()
	if err := printProfiles(&b, &control.ProfileList{}, now); err != nil || !strings.HasPrefix(b.String(), "no dialog is in a profile") {
		t.Errorf("%q, %v", b.String(), err)
	}
}
