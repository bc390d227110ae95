package control

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/cluster/member"
	"binrepd/userspace/in/packets"
)

// TestProfiles: counts of live dialogs by profile and value, of both generations, beside what nodes say.
func TestProfiles(t *testing.T) {
	backend := Backend{
		Origin: func(uint16) netip.AddrPort { return netip.AddrPort{} },
		Sender: func(n uint16) packets.Sender { return packets.Sender{Cluster: 1, Node: uint32(n)} },
		Profiles: func() []ClusterProfiles {
			return []ClusterProfiles{{Cluster: 1, Nodes: []member.NodeProfiles{
				{Node: 1, Counts: []member.ProfileStatus{{Name: "gw", Value: "a|b", Dialogs: 5}, {Name: "tot", Dialogs: 9}}, Last: time.Unix(testNow, 0)},
				{Node: 2, Counts: []member.ProfileStatus{{Name: "gw", Value: "z", Dialogs: 1}, {Name: "tot", Dialogs: -3}}, Refused: 4, Broken: 2},
			}}}
		},
	}
	c, table := serveBackend(t, &backend)
	for n, profiles := range []string{"tot/b#1#|gw#1#a\\|b|", "tot/b#1#|gw#1#b|", "gw#1#b|", "", "broken"} {
		f := &layout.Fields{}
		for field, s := range map[layout.Field]string{
			layout.CallID: fmt.Sprint("call ", n), layout.FromTag: "f", layout.ToTag: "t", layout.Profiles: profiles,
		} {
			f.Strings[field] = []byte(s)
		}
		f.Numbers[layout.State], f.Numbers[layout.Timeout], f.Numbers[layout.HID] = 4, testNow+100, uint32(n)
		applyFields(t, table, layout.Bin4Typed, f, 1)
	}
	applyFrom(t, table, dialog.Details{
		CallID: "of generation 1", FromTag: "a", ToTag: "b", State: dialog.Confirmed, Start: testNow, Timeout: testNow + 100,
		CallerSocket: "udp:192.0.2.1:5060", CalleeSocket: "udp:192.0.2.1:5060", Profiles: "gw#b|",
	}, 1, testNow)
	applyFrom(t, table, dialog.Details{CallID: "early", FromTag: "a", State: dialog.Early, Timeout: testNow + 100, Profiles: "gw#b|"}, 1, testNow)

	for _, test := range []struct {
		q    ProfileQuery
		want []string
	}{
		{ProfileQuery{}, []string{
			"gw 4 [{1 1 5} {1 2 1}] more 0: a|b 1 [{1 1 5}]; b 3 []; z 0 [{1 2 1}]",
			"tot 2 [{1 1 9} {1 2 0}] more 0:  2 [{1 1 9} {1 2 0}]",
		}},
		{ProfileQuery{Name: "gw", Limit: 2}, []string{"gw 4 [{1 1 5} {1 2 1}] more 1: a|b 1 [{1 1 5}]; b 3 []"}},
		{ProfileQuery{Name: "none"}, nil},
	} {
		l, err := c.Profiles(t.Context(), test.q)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range l.Profiles {
			var values []string
			for _, v := range p.Values {
				values = append(values, fmt.Sprint(v.Value, " ", v.Dialogs, " ", v.Nodes))
			}
			got = append(got, fmt.Sprintf("%s %d %v more %d: %s", p.Name, p.Dialogs, p.Nodes, p.MoreValues, strings.Join(values, "; ")))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%+v: %q, want %q", test.q, got, test.want)
		}
		if len(l.Nodes) != 2 || l.Nodes[1].Refused != 4 || l.Nodes[1].Broken != 2 || l.Nodes[0].Counts != 2 {
			t.Errorf("nodes %+v", l.Nodes)
		}
	}
	if _, err := c.Profiles(t.Context(), ProfileQuery{Limit: -1}); err == nil {
		t.Error("a limit below 0 is taken")
	}
}

// TestProfileTallyIsBounded: values that callers choose don't fill the memory.
func TestProfileTallyIsBounded(t *testing.T) {
	tally := profileTally{byName: map[string]map[string]*ProfileSums{}}
	for i := range maxProfileValues + 5 {
		if sums := tally.of([]byte("caller"), fmt.Append(nil, i)); (sums != nil) != (i < maxProfileValues) {
			t.Fatalf("value %d: %v", i, sums)
		}
	}
	if tally.over != 5 || tally.of([]byte("caller"), []byte("0")) == nil {
		t.Errorf("%d found no room", tally.over)
	}
}
