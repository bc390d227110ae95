package membership_test

import (
	"fmt"
	"testing"
	"time"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/wire/bin2"
)

func TestTags(t *testing.T) {
	w := newWorld(t, config())
	claim := func(id int32, tag string) membership.Outcome {
		return w.receive(id, &bin2.TagActive{Trailer: to(id, me), Tag: []byte(tag)})
	}
	claim(1, "vip")
	if e := w.wantEvent(membership.TagChanged, 1); e.Text != "vip" || e.Other != 0 {
		t.Errorf("%+v", e)
	}
	w.now = w.now.Add(time.Hour)
	claim(1, "vip") // it was restarted
	if len(w.out.Events) != 0 || !w.m.Status().Tags[0].Since.Equal(began) {
		t.Errorf("%+v, %+v", w.out.Events, w.m.Status().Tags)
	}
	w.now = w.now.Add(time.Hour)
	claim(2, "vip")
	if e := w.wantEvent(membership.TagChanged, 2); e.Other != 1 {
		t.Errorf("%+v", e)
	}
	w.wantNoEvent(membership.TagConflict)
	w.now = w.now.Add(time.Second)
	claim(1, "vip")
	if e := w.wantEvent(membership.TagConflict, 1); e.Other != 2 || e.Text != "vip" {
		t.Errorf("%+v", e)
	}
	claim(2, "aaa")
	want := membership.TagStatus{Tag: "vip", Cluster: cluster, State: "backup", Active: 1, Since: w.now, Previous: 2, Conflicts: 1, LastConflict: w.now}
	if s := w.m.Status(); len(s.Tags) != 2 || s.Tags[1] != want || s.Tags[0].Tag != "aaa" || s.Counts.TagConflicts != 1 {
		t.Errorf("%+v", s.Tags)
	}
	for i := range 100 {
		claim(1, fmt.Sprint("tag-", i))
	}
	if o := claim(1, "one more"); o.Reason != membership.TooManyTags || len(w.m.Status().Tags) != membership.MaxTags {
		t.Errorf("%+v", o)
	}
	if o := claim(1, ""); o.Reason != membership.TextTooLong {
		t.Errorf("%+v", o)
	}
}

// TestOldTags: in 2.4 a sharing tag is a message of the dialog module, which is delivered as well.
func TestOldTags(t *testing.T) {
	w := newWorld(t, config())
	b := bin2.Begin(nil, 1, dialogs, 4)
	b.Text("vip")
	raw, _ := b.EndTrailer(to(2, me))
	p, err := bin2.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if o := w.receivePacket(origin(2), p); o.Verdict != membership.Deliver {
		t.Errorf("%+v", o)
	}
	w.wantEvent(membership.TagChanged, 2)
}

func TestSync(t *testing.T) {
	w := newWorld(t, config())
	if err := w.m.RequestSync(w.now, 1, dialogs, &w.out); err == nil {
		t.Error("a node that isn't up is asked")
	}
	if err := w.m.RequestSync(w.now, 77, dialogs, &w.out); err == nil {
		t.Error("an unknown node is asked")
	}
	w.up(1)
	w.out.Reset()
	if err := w.m.RequestSync(w.now, 1, dialogs, &w.out); err != nil {
		t.Fatal(err)
	}
	if m := w.sent(bin2.KindSyncRequest, 1)[0].(*bin2.SyncRequest); string(m.Capability) != dialogs || m.Version != 3 || m.Trailer != to(me, 1) {
		t.Errorf("%+v", m)
	}
	w.receive(1, &bin2.SyncRequest{Trailer: to(1, me), Capability: []byte(dialogs), Version: 2})
	if e := w.wantEvent(membership.SyncRequested, 1); e.Text != dialogs || e.Version != 2 {
		t.Errorf("%+v", e)
	}
	w.out.Reset()
	if err := w.m.EmptySync(w.now, 1, dialogs, 2, &w.out); err != nil {
		t.Fatal(err)
	}
	if m := w.sent(bin2.KindSyncEnd, 1)[0].(*bin2.SyncEnd); string(m.Capability) != dialogs || m.HasTotal() || m.Trailer != to(me, 1) {
		t.Errorf("%+v", m)
	}
	if err := w.m.EmptySync(w.now, 77, dialogs, 2, &w.out); err == nil {
		t.Error("an unknown node is answered")
	}
}
