package audit_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/mi"
	"binrepd/userspace/mi/mitest"
	"binrepd/userspace/watch/audit"
)

// now is the time of all tests, in Unix seconds.
const now = 1_795_990_000

// side is a table, and what fills it.
type side struct {
	t        *testing.T
	table    *dialog.Table
	steering packets.Steering
	id       layout.ID
}

func newSide(t *testing.T, id layout.ID) *side {
	table, err := dialog.NewTable(dialog.Config{Shards: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = table.Close() })
	return &side{t: t, table: table, steering: packets.Steering{K0: 1, K1: 2}, id: id}
}

// put plays a snapshot of d as of a time.
func (s *side) put(d mi.Dialog, at int64) dialog.Outcome {
	body, ok := audit.Append(nil, &d, s.id)
	if !ok {
		s.t.Errorf("can't build %+v", d)
		return dialog.NoOutcome
	}
	var v layout.View
	if fault := layout.Parse(s.id, body, &v); fault != layout.NoFault {
		s.t.Error(fault)
		return dialog.NoOutcome
	}
	var ev dialog.Event
	ev.SetSnapshot(&v, dialog.Update)
	return s.apply(&ev, at)
}

func (s *side) apply(ev *dialog.Event, at int64) dialog.Outcome {
	ev.Hash = s.steering.CallID(ev.CallID())
	shard := s.table.Lock(s.table.ShardOf(ev.Hash))
	defer shard.Unlock()
	shard.Apply([]*dialog.Event{ev}, at)
	return ev.Outcome
}

// end plays the deletion of the dialog of a name.
func (s *side) end(name dialog.Name, at int64) bool {
	var ev dialog.Event
	if ev.SetDeletion(name.Layout, name.Deletion) != layout.NoFault {
		return false
	}
	return s.apply(&ev, at) == dialog.Applied
}

// remove plays the deletion of d.
func (s *side) remove(d mi.Dialog, at int64) {
	body, _ := audit.Append(nil, &d, s.id)
	var v layout.View
	if fault := layout.Parse(s.id, body, &v); fault != layout.NoFault {
		s.t.Error(fault)
		return
	}
	m := layout.Deletion{
		CallID: v.Bytes(layout.CallID), FromTag: v.Bytes(layout.FromTag), ToTag: v.Bytes(layout.ToTag), HID: v.Number(layout.HID),
		HasHID: s.id >= layout.Bin4Untyped,
	}
	b, fault := m.Append(nil, s.id.Version())
	if fault != layout.NoFault {
		s.t.Error(fault)
		return
	}
	s.end(dialog.Name{Layout: s.id, Deletion: b}, at)
}

func (s *side) config(p audit.Proxy) audit.Config {
	return audit.Config{
		Proxy: p, Table: s.table, Steering: s.steering,
		Wait: func(context.Context) error { return nil }, Now: func() int64 { return now },
	}
}

// both has n calls at a stand-in and in a table, and a client that asks the stand-in.
func both(t *testing.T, release, transport string, n int) (*mitest.Proxy, *side, *mi.Client) {
	t.Helper()
	p := mitest.New(t, release)
	address, err := mi.ParseAddress(p.Start(transport))
	if err != nil {
		t.Fatal(err)
	}
	c, err := mi.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s := newSide(t, audit.LayoutFor(c.Dialect(), c.Version()))
	for i := range n {
		s.put(p.Put(mitest.Call(i)), now-100)
	}
	return p, s, c
}

func eachDialect(t *testing.T, f func(t *testing.T, release, transport string)) {
	for _, release := range mitest.Releases() {
		for _, transport := range mitest.Transports(release) {
			t.Run(release+" "+transport, func(t *testing.T) {
				t.Parallel()
				f(t, release, transport)
			})
		}
	}
}

// find returns the findings as lines.
func find(t *testing.T, cfg audit.Config) (lines []string, r audit.Result) {
	t.Helper()
	cfg.Each = func(f *audit.Finding) error {
		line := string(f.Kind) + " " + strings.TrimSuffix(f.CallID, "@caller.example.org")
		for _, d := range f.Fields {
			line += " " + d.Field
		}
		if f.Repaired {
			line += " repaired"
		}
		lines = append(lines, line)
		return nil
	}
	r, err := audit.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines, r
}

// TestFindings: what is missing here, what is missing at the proxy and what differs is found, and nothing else.
func TestFindings(t *testing.T) {
	eachDialect(t, func(t *testing.T, release, transport string) {
		p, s, c := both(t, release, transport, 700)
		if lines, r := find(t, s.config(c)); len(lines) != 0 || !r.Equal() || r.Compared != 700 || r.Here != 700 || r.Asked != 0 || r.Walks != 1 {
			t.Fatalf("equal tables: %q, %+v", lines, r)
		}
		list := p.List()
		byCall := map[string]mi.Dialog{}
		for _, d := range list {
			byCall[strings.TrimSuffix(d.CallID, "@caller.example.org")] = d
		}
		p.Put(mitest.Call(900)) // not here
		p.Remove(byCall["call-5"])
		s.remove(byCall["call-6"], now-50)
		changed := byCall["call-7"]
		changed.Caller.Contact, changed.Values = "sip:new@192.0.2.99", []mi.Value{{Name: "account", Value: "other"}}
		p.Put(changed)
		tolerated := byCall["call-8"]
		tolerated.Timeout, tolerated.Callees = tolerated.Timeout+2, slices.Clone(tolerated.Callees)
		tolerated.Callees[0].CSeq = "9"
		tolerated.Values = append([]mi.Value{{Name: layout.TagName, Value: "vip"}}, tolerated.Values...)
		p.Put(tolerated)
		for i, state := range []int{1, 2, 5} {
			d := mitest.Call(910 + i)
			d.State, d.Start, d.Timeout = state, 0, 0
			p.Put(d)
		}
		values := " values"
		want := []string{"different call-7 caller_contact" + values, "ended_here call-6", "missing_at_proxy call-5", "missing_here call-900"}
		lines, r := find(t, s.config(c))
		if !slices.Equal(lines, want) || r.Missing != 2 || r.There != 1 || r.Different != 1 || r.Early != 2 || r.Equal() || r.Walks != 2 {
			t.Errorf("%q, %+v", lines, r)
		}
		if release == "1.10" && transport == "fifo" {
			cfg := s.config(c)
			cfg.Expected = func(v *dialog.View) bool { callID, _, _ := v.Names(); return string(callID) != byCall["call-5"].CallID }
			if lines, r := find(t, cfg); r.There != 0 || r.Here != 698 {
				t.Errorf("%q, %+v", lines, r)
			}
		}
	})
}

// TestRepair: ghosts are ended and missing calls taken in, those that ended here aside; a second audit finds nothing more.
func TestRepair(t *testing.T) {
	p, s, c := both(t, "3.6", "http", 50)
	list := p.List()
	p.Remove(list[3])
	p.Put(mitest.Call(901))
	cfg := s.config(c)
	cfg.End = func(name dialog.Name, _ uint32) bool { return s.end(name, now) }
	cfg.Import = func(d *mi.Dialog) bool { return s.put(*d, now).Changed() }
	if lines, r := find(t, cfg); r.Repaired != 2 || len(lines) != 2 || !strings.HasSuffix(lines[0], "repaired") {
		t.Errorf("%q, %+v", lines, r)
	}
	if lines, r := find(t, cfg); !r.Equal() || r.Compared != 50 {
		t.Errorf("after the repair: %q, %+v", lines, r)
	}
}

// TestGhostSpeaks: a dialog of which an event told between the looks is not ended.
func TestGhostSpeaks(t *testing.T) {
	p, s, c := both(t, "3.6", "http", 20)
	ghost := p.List()[3]
	p.Remove(ghost)
	cfg := s.config(c)
	waits := 0
	cfg.Wait = func(context.Context) error {
		if waits++; waits == 2 {
			ghost.Caller.Contact = "sip:again@192.0.2.9"
			s.put(ghost, now)
		}
		return nil
	}
	cfg.End = func(dialog.Name, uint32) bool { t.Error("ended"); return true }
	if lines, r := find(t, cfg); len(lines) != 0 || r.Gone == 0 || waits != 2 {
		t.Errorf("%q, %+v, %d waits", lines, r, waits)
	}
}

// TestUnderLoad: calls come and go before each answer. The audit finds the three differences that stay, and invents none.
func TestUnderLoad(t *testing.T) {
	eachDialect(t, func(t *testing.T, release, transport string) {
		p, s, c := both(t, release, transport, 700)
		ghost := mitest.Call(5000)
		s.put(ghost, now-100)
		missing := mitest.Call(5001)
		p.Put(missing)
		list := p.List()
		next, oldest := 10_000, 0
		p.Before(func(command string) {
			if !strings.HasPrefix(command, "dlg_list") {
				return
			}
			for range 10 {
				d := p.Put(mitest.Call(next))
				list = append(list, d)
				s.put(d, now)
				next++
			}
			for range 10 {
				at := oldest * 37 % len(list)
				oldest++
				if d := list[at]; d.CallID != missing.CallID {
					p.Remove(d)
					s.remove(d, now)
					list = slices.Delete(list, at, at+1)
				}
			}
		})
		lines, r := find(t, s.config(c))
		if want := []string{"missing_at_proxy call-5000", "missing_here call-5001"}; !slices.Equal(lines, want) {
			t.Errorf("%q, %+v", lines, r)
		}
	})
}

// TestTooMany: differences beyond those that are kept are counted, and the audit isn't equal.
func TestTooMany(t *testing.T) {
	s := newSide(t, layout.UDP)
	const n = 5000
	p := &list{}
	for i := range n {
		p.dialogs = append(p.dialogs, mitest.Call(i))
	}
	if _, r := find(t, s.config(p)); r.Missing+r.Unchecked != n || r.Unchecked == 0 || r.Equal() {
		t.Errorf("%+v", r)
	}
	empty := &list{}
	for i := range p.dialogs {
		s.put(p.dialogs[i], now-100)
	}
	if _, r := find(t, s.config(empty)); r.There+r.Unchecked != n || r.Unchecked == 0 || r.Equal() {
		t.Errorf("%+v", r)
	}
}

// list is a proxy without an interface.
type list struct{ dialogs []mi.Dialog }

func (l *list) Dialogs(_ context.Context, _ bool, each func(mi.Dialog) error) (int, error) {
	for i := range l.dialogs {
		if err := each(l.dialogs[i]); err != nil {
			return i, err
		}
	}
	return len(l.dialogs), nil
}

func (l *list) Dialog(_ context.Context, callID, fromTag string, _ bool) (d mi.Dialog, found bool, err error) {
	if strings.Contains(callID, `"`) {
		return d, false, fmt.Errorf("dlg_list: %w", mi.ErrUnsendable)
	}
	i := slices.IndexFunc(l.dialogs, func(d mi.Dialog) bool {
		return d.CallID == callID && (fromTag == "" || d.Caller.Tag == fromTag)
	})
	if i < 0 {
		return d, false, nil
	}
	return l.dialogs[i], true, nil
}

// TestUnclear: a Call-ID that can't be sent, and a call of which the proxy shows another branch, are no findings.
func TestUnclear(t *testing.T) {
	s := newSide(t, layout.UDP)
	odd, fork := mitest.Call(1), mitest.Call(2)
	odd.CallID = `odd"quote@x`
	s.put(odd, now-100)
	s.put(fork, now-100)
	fork.Callees = []mi.Leg{{Tag: "another"}}
	if lines, r := find(t, s.config(&list{[]mi.Dialog{fork}})); r.Unclear != 2 || r.There != 0 || len(lines) != 1 {
		t.Errorf("%q, %+v", lines, r)
	}
}
