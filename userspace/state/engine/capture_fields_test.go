package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/wire/bin2"
	"binrepd/userspace/wire/bin2/bin2test"
)

// reinvites is how many calls of the captures S1 and S2 have a re-INVITE with a new SDP and new values, of which node
// 1 announces less than it lists (README of the captures).
const reinvites = 20

// said is what a list says of a dialog: its SDPs, and its values with their types and its profiles, each in a line,
// sorted.
type said struct{ sdps, context string }

func contextOf(t *testing.T, raw []byte) said {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	fields = plain(fields).(map[string]any)
	var sdps, lines []string
	add := func(key string, v any) {
		if v != nil && v != "" {
			sdps = append(sdps, fmt.Sprintf("%s=%T %v", key, v, v))
		}
	}
	legs := []any{fields}
	switch callees := fields["CALLEES"].(type) {
	case []any:
		legs = append(legs, callees...)
	case map[string]any:
		legs = append(legs, callees["callee"].([]any)...)
	}
	for _, leg := range legs {
		for key, v := range leg.(map[string]any) {
			if strings.HasSuffix(key, "_sdp") {
				add(key, v)
			}
		}
	}
	if context, ok := fields["context"].(map[string]any); ok {
		for _, list := range [...]string{"values", "profiles"} {
			var members []any
			switch v := context[list].(type) {
			case []any:
				members = v
			case map[string]any: // 2.4
				members = []any{v}
			}
			for _, one := range members {
				for name, v := range one.(map[string]any) {
					lines = append(lines, fmt.Sprintf("%s %s=%T %v", list, name, v, v))
				}
			}
		}
	}
	slices.Sort(sdps)
	slices.Sort(lines)
	return said{strings.Join(sdps, "\n"), strings.Join(lines, "\n")}
}

// listedContents returns the contents of the live dialogs in a proxy's list of dlg_list_ctx.
func listedContents(t *testing.T, name string) map[string]said {
	t.Helper()
	list := map[string]said{}
	for _, raw := range readList(t, name+".dlg_list_ctx") {
		if key, l := parseListed(t, raw); l.State == 3 || l.State == 4 {
			list[key] = contextOf(t, raw)
		}
	}
	return list
}

// sameContents compares SDPs, values with their types, tags (which are values) and profiles with what the proxies
// list. A call with a re-INVITE may be as node 2 has it, which got the same packets.
func sameContents(t *testing.T, name string, table *dialog.Table) {
	t.Helper()
	one, two := listedContents(t, name), listedContents(t, name+".node2")
	asTwo, tagged := 0, 0
	var cur dialog.Cursor
	for more := true; more; {
		more = table.Scan(&cur, func(v *dialog.View) {
			if !v.State().Live() {
				return
			}
			var d layout.View
			if fault := layout.Parse(v.Layout(), v.Body(), &d); fault != layout.NoFault {
				t.Fatalf("a dialog of the table: %v", fault)
			}
			raw := d.AppendJSON(nil, layout.Print{HashSize: layout.DefaultHashSize, Listed: true})
			key, _ := parseListed(t, raw)
			got := contextOf(t, raw)
			if strings.Contains(got.context, "values dlgX_shtag=string vip") {
				tagged++
			}
			// A re-INVITE's SDP isn't announced, and on node 2 a removed value becomes a number by chance (spec bin-
			// tcp, E10).
			a, b := one[key], two[key]
			if got.sdps != a.sdps && got.sdps != b.sdps || got.context != a.context && got.context != b.context {
				t.Errorf("%s is said to be\n%+v\nwant\n%+v\nor\n%+v", key, got, a, b)
			}
			if _, listed := one[key]; listed && got != a {
				asTwo++
			}
		})
	}
	if asTwo > reinvites {
		t.Errorf("%d calls are as node 2 has them, and not node 1", asTwo)
	}
	if tagged == 0 {
		t.Error("no call has a sharing tag")
	}
}

// withDropped returns the list of node 2, which must have all that node 1 has, and 28 calls more.
func withDropped(t *testing.T, one, two map[string]string) map[string]string {
	t.Helper()
	for key := range one {
		if _, ok := two[key]; !ok {
			t.Errorf("node 2 doesn't list %s", key)
		}
	}
	if len(two)-len(one) != 28 {
		t.Errorf("node 1 lists %d calls, node 2 %d", len(one), len(two))
	}
	return two
}

// TestDonorCapture: the capture C has one proxy and a member that keeps its calls. Before the proxy is killed the
// table equals its list, when it asks the member for its calls nothing is missing, and at the end all calls have
// ended.
func TestDonorCapture(t *testing.T) {
	const name = "3.6/C"
	capture := bin2test.Load(t, name)
	m := newMemberRig(t)
	asked := false
	for i := range capture.Packets {
		p := &capture.Packets[i]
		if !forMember(p.Packet) {
			continue
		}
		if kind, _, _ := bin2.KindOf(p.Packet, 0); kind == bin2.KindSyncRequest && !asked {
			asked = true
			got, _ := tableList(t, m.table)
			sameLists(t, "before the restart", got, proxyList(t, name+".before"))
			sameLists(t, "what the proxy took back", got, proxyList(t, name+".after"))
		}
		m.take(p.Packet)
	}
	if got, _ := tableList(t, m.table); !asked || len(got) != 0 {
		t.Errorf("asked: %v, %d calls are left", asked, len(got))
	}
	s := m.Status()
	if total := s.Total(); total.Sum() != total.Received || total.Kind(dialog.Delete) != 60 {
		t.Errorf("account %+v", total)
	}
}
