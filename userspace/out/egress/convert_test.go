package egress_test

import (
	"testing"
	"testing/synctest"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/out/snapshot"
	"binrepd/userspace/wire/bin1"
)

// generation1 counts the packets about dialogs of generation 1 that an appliance has sent.
func (m *member) generation1() (n int) {
	var ev dialog.Event
	for _, p := range m.sink.Sent() {
		if bin1.Decode(p.Payload, &ev) == bin1.Dialog {
			n++
		}
	}
	return n
}

// TestConvertedForNoAppliance: events of generation 2 wait until it is known whether a backup is a binrepd, which gets them as they
// are. What has been converted for one that answers late has to be made good by a sync.
func TestConvertedForNoAppliance(t *testing.T) {
	for _, deaf := range [...]bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, 2, nil)
			defer s.close()
			from, call, link := s.members[0], newCall2(t), [2]int{0, 1}
			for f, text := range map[layout.Field]string{layout.CallerSocket: "udp:10.0.0.1:5060", layout.CalleeSocket: "udp:10.0.0.1:5060", layout.Values: "", layout.Profiles: ""} {
				call.fields.Strings[f] = []byte(text)
			}
			s.links, s.deaf, s.carried[link] = [][2]int{link}, deaf, map[string]int{}
			policy := shield.Policy{Convert: snapshot.Lookup{Table: from.table, Hash: packets.Steering{}.CallID}}
			if err := from.egress.Add(egress.Destination{Address: at(1).String(), Policy: policy}); err != nil {
				t.Fatal(err)
			}
			for n := range 3 {
				s.node(0, call.snapshot(n))
			}
			s.run(5 * time.Second)
			st := from.egress.Status().Destinations[0]
			converted, asTheyCame := from.generation1(), from.generation2()
			switch {
			case deaf && (asTheyCame > 0 || st.Lost != 0 || st.Report.Lost.Converted != 3 || converted < 3 || uint64(converted) != 3+st.Repeated):
				t.Errorf("an OpenSIPS got %d converted and %d others: %+v", converted, asTheyCame, st)
			case !deaf && (asTheyCame != 3 || converted > 0 || st.NeedsSync()):
				t.Errorf("a binrepd got %d converted and %d others: %+v", converted, asTheyCame, st)
			}
			s.deaf = false
			s.run(time.Minute)
			if st := from.egress.Status().Destinations[0]; deaf && (st.Withheld != 3 || !st.NeedsSync()) {
				t.Errorf("it answers late: %+v", st)
			}
		})
	}
}
