package control

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"slices"
	"testing"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/in/packets"
)

// applyFields puts a dialog of generation 2 into the table.
func applyFields(t *testing.T, table *dialog.Table, id layout.ID, f *layout.Fields, origin uint16) {
	t.Helper()
	body, fault := f.Append(nil, id)
	var v layout.View
	if fault == layout.NoFault {
		fault = layout.Parse(id, body, &v)
	}
	if fault != layout.NoFault {
		t.Fatal(fault)
	}
	var ev dialog.Event
	ev.SetSnapshot(&v, dialog.Create)
	ev.Hash, ev.Origin = steering.CallID(ev.CallID()), origin
	s := table.Lock(table.ShardOf(ev.Hash))
	defer s.Unlock()
	if s.Apply([]*dialog.Event{&ev}, testNow); ev.Outcome != dialog.Applied {
		t.Fatal(ev.Outcome)
	}
}

// Dialogs of generation 2 are chosen by node, tag, profile and variable, and printed with all of their fields.
func TestDialogsOfGeneration2(t *testing.T) {
	backend := Backend{
		Origin: func(uint16) netip.AddrPort { return netip.AddrPort{} },
		Sender: func(n uint16) packets.Sender { return packets.Sender{Cluster: 1, Node: uint32(n)} },
	}
	c, table := serveBackend(t, &backend)
	for n, d := range []struct{ callID, values, profiles string }{
		{"one", "dlgX_shtag#1#vip|num#2#7|", "tot/b#1#|gw#1#a|"},
		{"two", "dlgX_shtag#1#other|num#2#8|x#1#a\\|b|", "gw#1#b|"},
		{"three", "", ""},
	} {
		f := &layout.Fields{}
		for field, s := range map[layout.Field]string{
			layout.CallID: d.callID, layout.FromTag: "f", layout.ToTag: "t", layout.Values: d.values, layout.Profiles: d.profiles,
			layout.CallerSDP: "v=0\r\n", layout.OnHangupRoute: "bye\x1b",
		} {
			f.Strings[field] = []byte(s)
		}
		f.Numbers[layout.State], f.Numbers[layout.Timeout], f.Numbers[layout.HID] = 4, testNow+100, 7
		applyFields(t, table, layout.Bin4Typed, f, uint16(n+1))
	}
	for _, q := range []struct {
		f    Filter
		want []string
	}{
		{Filter{}, []string{"one", "three", "two"}},
		{Filter{Node: 2}, []string{"two"}},
		{Filter{Tag: "vip"}, []string{"one"}},
		{Filter{Profiles: []string{"gw"}}, []string{"one", "two"}},
		{Filter{Profiles: []string{"gw=b"}}, []string{"two"}},
		{Filter{Profiles: []string{"gw", "tot"}}, []string{"one"}},
		{Filter{Vars: []string{"num"}}, []string{"one", "two"}},
		{Filter{Vars: []string{"num=8"}}, []string{"two"}},
		{Filter{Vars: []string{"x=a|b", "num"}}, []string{"two"}},
		{Filter{Vars: []string{"nu"}}, nil},
	} {
		var got []string
		for _, d := range list(t, c, q.f) {
			got = append(got, string(d.CallID))
		}
		if slices.Sort(got); !slices.Equal(got, q.want) {
			t.Errorf("%+v chooses %q, want %q", q.f, got, q.want)
		}
		back, err := ParseFilter(q.f.Query())
		if err != nil || back.Node != q.f.Node || back.Tag != q.f.Tag || !slices.Equal(back.Profiles, q.f.Profiles) || !slices.Equal(back.Vars, q.f.Vars) {
			t.Errorf("%+v comes back as %+v, %v", q.f, back, err)
		}
	}
	for _, bad := range []string{"node=0", "node=x", "profile=%3dx", "var="} {
		q, err := url.ParseQuery(bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseFilter(q); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	err := c.Dialogs(t.Context(), Filter{CallID: "one"}, func(line []byte) error {
		var d struct {
			SDP     string `json:"caller_sdp"`
			Route   string `json:"rt_on_hangup"`
			Origin  string
			Updated int64
			Context struct{ Values []map[string]any }
		}
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if d.SDP != "v=0\r\n" || d.Route != `bye\x1b` || d.Origin != "node 1 of cluster 1" || d.Updated != testNow ||
			len(d.Context.Values) != 2 || d.Context.Values[1]["num"] != 7.0 {
			t.Errorf("%s", line)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	backend.Table, backend.Steering = table, steering
	var found []Dialog
	total := backend.Find("two", func(d *Dialog) bool { found = append(found, *d); return true })
	if total != 1 || found[0].Vars["x"] != "a|b" || len(found[0].Profiles) != 1 || found[0].Origin != "node 2 of cluster 1" {
		t.Errorf("found %d, %+v", total, found)
	}
}
