package membership_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/wire/bin2"
)

const dialogs = "dialog-dlg-repl"

// capsOf is a CAP_UPDATE of a node about itself.
func capsOf(node, seq, at int32, synced bool) *bin2.CapUpdate {
	return &bin2.CapUpdate{From: from(node), HasSeq: true, Seq: seq, Timestamp: at, Path: ids(node),
		Nodes: bin2.NodeCapsList{}.Append(node, bin2.Caps{}.Append(dialogs, synced))}
}

func withCapability(synced bool) membership.Config {
	c := config()
	c.Capabilities = []membership.Capability{{Name: dialogs, Synced: synced}}
	return c
}

// TestLinkUpSendsCapabilities: by default a node that comes up gets our capabilities, and no links.
func TestLinkUpSendsCapabilities(t *testing.T) {
	w := newWorld(t, withCapability(false))
	for i, id := range [...]int32{1, 2} {
		w.speaks(id)
		w.up(id)
		if len(w.out.Sends) != 1 {
			t.Fatalf("%+v", w.out.Sends)
		}
		m := w.sent(bin2.KindCaps, id)[0].(*bin2.CapUpdate)
		if m.Seq != int32(i) || !m.WantReply || !m.HasSeq || m.Timestamp != int32(w.now.Unix()) || m.Source != me || m.Path.Len() != 1 {
			t.Errorf("%+v", m)
		}
		for n := range m.Nodes.All() {
			for c := range n.Caps.All() {
				if n.ID != me || string(c.Name) != dialogs || c.Synced {
					t.Errorf("%d: %+v", n.ID, c)
				}
			}
		}
	}
	// Without capabilities an empty list still asks for those of the node.
	w = newWorld(t, config())
	w.speaks(1)
	w.up(1)
	if m := w.sent(bin2.KindCaps, 1)[0].(*bin2.CapUpdate); !m.WantReply || m.Nodes.Len() != 1 || m.Seq != 0 {
		t.Errorf("%+v", m)
	}
}

func TestSetCapability(t *testing.T) {
	w := newWorld(t, withCapability(false))
	for _, id := range [...]int32{1, 2} {
		w.up(id)
		w.speaks(id)
	}
	w.out.Reset()
	w.m.SetCapability(w.now, dialogs, true, &w.out)
	for _, id := range [...]int32{1, 2} {
		if m := w.sent(bin2.KindCaps, id)[0].(*bin2.CapUpdate); m.Seq != 2 || m.WantReply {
			t.Errorf("to node %d: %+v", id, m)
		}
	}
	w.out.Reset()
	if w.m.SetCapability(w.now, dialogs, true, &w.out); len(w.out.Sends) != 0 {
		t.Error("no change is announced")
	}
	if s := w.m.Status().Capabilities; len(s) != 1 || s[0].State != "Ok" || s[0].Enabled != "yes" || s[0].Name != dialogs {
		t.Errorf("%+v", s)
	}
}

func TestCapUpdate(t *testing.T) {
	at := int32(began.Unix())
	w := newWorld(t, withCapability(false))
	for _, id := range [...]int32{1, 2} {
		w.speaks(id)
		w.up(id)
	}
	m := capsOf(1, 0, at, true)
	m.WantReply = true
	m.Nodes = m.Nodes.Append(2, bin2.Caps{}.Append(dialogs, true).Append("other", false))
	w.receive(1, m)
	reply := w.sent(bin2.KindCaps, 1)
	if len(reply) != 1 || reply[0].(*bin2.CapUpdate).WantReply || w.out.Sends[0].Connection != 101 {
		t.Fatalf("reply %+v", reply)
	}
	if got := w.m.Synced(dialogs); !slices.Equal(got, []int32{1, 2}) {
		t.Errorf("synced: %v", got)
	}
	// What a node says about itself counts more than what another one said or will say.
	w.receive(2, capsOf(2, 0, at, false))
	if e := w.wantEvent(membership.CapabilityChanged, 2); e.Text != dialogs || e.On {
		t.Errorf("%+v", e)
	}
	about2 := capsOf(1, 1, at, true)
	about2.Nodes = about2.Nodes.Append(2, bin2.Caps{}.Append(dialogs, true))
	w.receive(1, about2)
	w.wantNoEvent(membership.CapabilityChanged)
	if got := w.m.Synced(dialogs); !slices.Equal(got, []int32{1}) {
		t.Errorf("synced: %v", got)
	}
	// A repeat gets no reply, nor does one that was passed on.
	if w.receive(1, m); len(w.out.Sends) != 0 {
		t.Errorf("a repeat is answered: %+v", w.out.Sends)
	}
	relayed := capsOf(1, 2, at, true)
	relayed.WantReply, relayed.Path = true, ids(1, 2)
	if w.receiveFrom(origin(2), relayed); len(w.out.Sends) != 0 {
		t.Errorf("a message that was passed on is answered: %+v", w.out.Sends)
	}
	// A node that isn't known ends the message.
	unknown := capsOf(1, 3, at, false)
	unknown.Nodes = bin2.NodeCapsList{}.Append(99, bin2.Caps{}).Append(1, bin2.Caps{}.Append(dialogs, false))
	if o := w.receive(1, unknown); o.Reason != membership.UnknownNode || len(w.m.Synced(dialogs)) != 1 {
		t.Errorf("%+v", o)
	}
	// An entry about us is passed over.
	aboutUs := capsOf(1, 4, at, false)
	aboutUs.Nodes = bin2.NodeCapsList{}.Append(me, bin2.Caps{}.Append(dialogs, true))
	if w.receive(1, aboutUs); w.m.Status().Capabilities[0].State != "not synced" {
		t.Error("a peer changed our capability")
	}
}

func TestTooManyCapabilities(t *testing.T) {
	w := newWorld(t, config())
	var caps bin2.Caps
	for i := range 100 {
		caps = caps.Append(fmt.Sprint("capability-", i), true)
	}
	caps = caps.Append("", true).Append(strings.Repeat("x", 256), true)
	m := capsOf(1, 0, int32(began.Unix()), true)
	m.Nodes = bin2.NodeCapsList{}.Append(1, caps)
	w.receive(1, m)
	if s := w.status(1); len(s.Capabilities) != membership.MaxCaps {
		t.Errorf("%d capabilities", len(s.Capabilities))
	}
}

// TestOldDialect: a node of 2.4 gets CAP_UPDATE in its own form as soon as that is known.
func TestOldDialect(t *testing.T) {
	w := newWorld(t, withCapability(false))
	w.dialect = bin2.Dialect{Numbering: bin2.Old, CapForm: bin2.WithoutSeq}
	w.up(1)
	w.tick(time.Second)
	first, _ := bin2.Parse(w.out.Sends[0].Packet)
	if first.Type() != 9 {
		t.Errorf("type %d while the dialect isn't known", first.Type())
	}
	m := capsOf(1, 0, 0, true)
	m.HasSeq = false
	w.receive(1, m)
	if e := w.wantEvent(membership.DialectLearned, 1); e.Text != "2.4 to 3.1.6" || w.status(1).Releases != e.Text {
		t.Errorf("%+v", e)
	}
	second, err := bin2.Parse(w.out.Sends[0].Packet)
	var got bin2.CapUpdate
	if err != nil || second.Type() != 8 || got.Decode(second) != nil || got.HasSeq || !got.WantReply {
		t.Errorf("type %d, %+v", second.Type(), got)
	}
	// It has no number, so each one counts.
	m.Nodes = bin2.NodeCapsList{}.Append(1, bin2.Caps{}.Append(dialogs, false))
	w.receive(1, m)
	w.wantEvent(membership.CapabilityChanged, 1)
	w.out.Reset()
	if err := w.m.RequestSync(w.now, 1, dialogs, &w.out); err != nil {
		t.Fatal(err)
	}
	if p, _ := bin2.Parse(w.out.Sends[0].Packet); p.Type() != 9 || w.m.Dialect(1).Numbering != bin2.Old {
		t.Errorf("SYNC_REQ has type %d", p.Type())
	}
}

func TestLearning(t *testing.T) {
	w := newWorld(t, config())
	w.up(1)
	// A node that doesn't know us says so, and gets our description on that connection; once a second at most.
	if o := w.receive(1, &bin2.UnknownID{From: from(1)}); o.Verdict != membership.Handled || w.out.Sends[0].Connection != 101 {
		t.Fatalf("%+v", o)
	}
	if m := w.sent(bin2.KindDescription, 1)[0].(*bin2.Description); string(m.URL) != url(me) || m.Source != me || m.Path.Len() != 1 ||
		m.Retries != 3 || m.Priority != 50 {
		t.Errorf("%+v", m)
	}
	if o := w.receive(1, &bin2.UnknownID{From: from(1)}); o.Reason != membership.TooOften || len(w.out.Sends) != 0 {
		t.Errorf("%+v", o)
	}
	// A node that we don't know gets the same from us.
	w.receive(9, &bin2.Ping{From: from(9), WantNodes: true})
	if s := w.out.Sends; len(s) != 1 || s[0].Node != 0 || s[0].Connection != 109 || s[0].Kind != bin2.KindUnknownID {
		t.Fatalf("%+v", s)
	}
	w.receive(9, &bin2.Description{From: from(9), URL: []byte(url(9)), SIPAddr: []byte("10.0.0.9:5060"), Priority: 7, Retries: 2, Path: ids(9)})
	if e := w.wantEvent(membership.NodeLearned, 9); e.Text != url(9) {
		t.Errorf("%+v", e)
	}
	if s := w.status(9); !s.Learned || s.URL != url(9) || s.SIPAddr != "10.0.0.9:5060" || s.Priority != 7 || s.Retries != 2 {
		t.Errorf("%+v", s)
	}
	if w.tick(0); len(w.sent(bin2.KindPing, 9)) != 1 {
		t.Error("a node that was learned isn't pinged")
	}
	// The topology of a node tells of others.
	entries := bin2.NodeEntries{}.Append(&bin2.NodeEntry{ID: 1, Neighbours: ids(2, me, 8)}).
		Append(&bin2.NodeEntry{ID: 8, Described: true, URL: []byte(url(8)), LinkSeq: -1, Neighbours: ids(1)}).
		Append(&bin2.NodeEntry{ID: 7, LinkSeq: -1}).Append(&bin2.NodeEntry{ID: me, Described: true, URL: []byte(url(5))})
	w.receive(1, &bin2.Topology{From: from(1), Timestamp: int32(began.Unix()), Nodes: entries, Path: ids(1)})
	if s := w.status(8); !s.Learned || s.URL != url(8) || s.NextHop != "1" || !slices.Equal(s.Neighbours, []int32{1}) {
		t.Errorf("%+v", s)
	}
	if s := w.status(1); !slices.Equal(s.Neighbours, []int32{2, me, 8}) {
		t.Errorf("%+v", s)
	}
	if s := w.status(7); s.Node != 0 {
		t.Errorf("%+v", s)
	}
	// An attacker can't make us send without end.
	answers := 0
	for i := range 1000 {
		w.now = w.now.Add(time.Millisecond)
		w.receive(200, &bin2.Ping{From: from(int32(1000 + i))})
		answers += len(w.out.Sends)
	}
	if answers > 20 {
		t.Errorf("%d answers to unknown nodes in a second", answers)
	}
}

func TestLinkUpdate(t *testing.T) {
	at := int32(began.Unix())
	w := newWorld(t, config())
	w.up(1)
	w.receive(1, &bin2.LinkUpdate{From: from(1), Timestamp: at, Neighbour: 2, Path: ids(1)})
	if s := w.status(2); s.NextHop != "1" || s.LinkState != membership.Probe {
		t.Errorf("%+v", s)
	}
	w.receive(1, &bin2.LinkUpdate{From: from(1), Seq: 1, Timestamp: at, Neighbour: 2, Down: true, Path: ids(1)})
	if s := w.status(2); s.NextHop != "none" {
		t.Errorf("%+v", s)
	}
}

func TestRemoveNode(t *testing.T) {
	w := newWorld(t, config())
	w.up(1)
	w.receive(1, &bin2.RemoveNode{Trailer: to(1, me), Node: 2})
	if e := w.wantEvent(membership.NodeRemoved, 2); e.Other != 1 || w.status(2).Node != 0 {
		t.Errorf("%+v", e)
	}
	w.receive(1, &bin2.RemoveNode{Trailer: to(1, me), Node: me})
	w.wantEvent(membership.WeAreRemoved, 1)
	if o := w.receive(1, &bin2.Ping{From: from(1)}); o.Reason != membership.Removed || len(w.out.Sends) != 0 {
		t.Errorf("%+v", o)
	}
	if w.tick(time.Hour); len(w.out.Sends) != 0 || w.m.Status().State != "removed" {
		t.Errorf("%+v", w.out.Sends)
	}
	w.m.Enable(w.now)
	if w.tick(0); len(w.sent(bin2.KindPing, 1)) != 1 || w.m.Status().State != "enabled" {
		t.Errorf("%+v", w.out.Sends)
	}
}

// TestAnnouncedLinks: a machine that is told to announce its links does all that a node of the mesh does.
func TestAnnouncedLinks(t *testing.T) {
	at := int32(began.Unix())
	c := withCapability(false)
	c.AnnounceLinks = true
	c.Peers = append(c.Peers, peer(4))
	w := newWorld(t, c)
	w.speaks(1)
	w.speaks(2)
	w.up(1)
	w.up(2)
	if m := w.sent(bin2.KindLink, 1)[0].(*bin2.LinkUpdate); m.Neighbour != 2 || m.Down || m.Seq != 1 {
		t.Errorf("%+v", m)
	}
	if len(w.sent(bin2.KindLink, 2)) != 0 {
		t.Error("a node is told about its own link")
	}
	m := w.sent(bin2.KindTopology, 2)[0].(*bin2.Topology)
	for e := range m.Nodes.All() {
		if e.ID != me || e.Described || e.LinkSeq != 1 || e.Neighbours.Len() != 2 || m.Seq != 1 {
			t.Errorf("%+v in %+v", e, m)
		}
	}
	// What node 1 tells goes on to node 2, and not back.
	caps := capsOf(1, 0, at, true)
	caps.WantReply = true
	w.receive(1, caps)
	on := w.sent(bin2.KindCaps, 2)[0].(*bin2.CapUpdate)
	if on.WantReply || on.Source != 1 || on.Path.Len() != 2 || on.Path.At(1) != me || len(w.sent(bin2.KindCaps, 4)) != 0 {
		t.Errorf("%+v", on)
	}
	if len(w.sent(bin2.KindCaps, 1)) != 1 {
		t.Error("node 1 has no reply, or its own message back")
	}
	if w.receive(1, caps); len(w.out.Sends) != 0 {
		t.Error("a repeat is passed on")
	}
	w.receive(9, &bin2.Description{From: from(9), URL: []byte(url(9)), Path: ids(9)})
	if len(w.sent(bin2.KindDescription, 1)) != 1 || len(w.sent(bin2.KindDescription, 2)) != 1 {
		t.Errorf("%+v", w.out.Sends)
	}
	var long bin2.IDs
	for i := range bin2.MaxPath {
		long = long.Append(int32(i + 50))
	}
	w.receive(1, &bin2.LinkUpdate{From: from(1), Timestamp: at, Neighbour: 4, Path: long})
	if len(w.out.Sends) != 0 {
		t.Error("a message with a full path is passed on")
	}
	for range 6 {
		w.tick(w.m.Next().Sub(w.now))
		if down := w.sent(bin2.KindLink, 1); len(down) == 1 && down[0].(*bin2.LinkUpdate).Down {
			return
		}
		w.receive(1, &bin2.Pong{From: from(1)})
	}
	t.Error("a lost link isn't announced")
}
