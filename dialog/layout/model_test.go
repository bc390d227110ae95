package layout_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
)

// model holds the dialogs of a capture as a member of the cluster would: by (Call-ID, h_id), with the rules that the
// captures' README names. It keeps no time: the captures have no key that is used again.
type model struct {
	t         *testing.T
	detectors map[uint32]*layout.Detector
	live      map[modelKey]layout.View
	waiting   map[modelKey][]layout.ValueChange
	ended     map[modelKey]bool
	touched   map[modelKey]bool // by live events since the sync was requested
}

type modelKey struct {
	callID string
	hid    uint32
}

func newModel(t *testing.T) *model {
	return &model{
		t: t, detectors: map[uint32]*layout.Detector{}, live: map[modelKey]layout.View{}, waiting: map[modelKey][]layout.ValueChange{},
		ended: map[modelKey]bool{}, touched: map[modelKey]bool{},
	}
}

func keyOf(v *layout.View) modelKey {
	return modelKey{string(v.Bytes(layout.CallID)), v.Number(layout.HID)}
}

const member = 3 // number of the member at whose port the captures were taken

// packet applies one packet that is meant for the member.
func (m *model) packet(p *layouttest.Packet) {
	m.t.Helper()
	if len(p.Trailer) < 12 {
		return
	}
	source := p.Source()
	sync := bytes.HasPrefix(p.Body, []byte("\x0f\x00"+capability)) && p.Capability == "clusterer-extra"
	if source == member && sync && len(p.Body) == 17 {
		m.touched = map[modelKey]bool{} // SYNC_REQ
	}
	if destination := binary.LittleEndian.Uint32(p.Trailer[8:]); destination != member {
		return
	}
	d := m.detectors[source]
	if d == nil {
		d = &layout.Detector{}
		m.detectors[source] = d
	}
	version := layout.Version(p.Version)
	switch {
	case sync && len(p.Body) > 17+4:
		s, _ := layout.ParseSync(p.Version, p.Body)
		for s.Next() {
			m.snapshot(d, s.Version, s.Chunk, layout.NoKind)
		}
	case p.Capability == capability:
		kind, _ := layout.KindOf(version, p.Type, p.Body)
		m.event(d, version, kind, p.Body)
	}
}

func (m *model) event(d *layout.Detector, version layout.Version, kind layout.Kind, body []byte) {
	switch kind {
	case layout.Created, layout.Updated:
		m.snapshot(d, version, body, kind)
	case layout.Deleted:
		var x layout.Deletion
		layout.ParseDeletion(version, body, &x)
		key := modelKey{string(x.CallID), x.HID}
		for k := range m.live { // 2.4 doesn't name h_id
			if k == key || !x.HasHID && k.callID == key.callID {
				key = k
			}
		}
		delete(m.live, key)
		m.ended[key], m.touched[key] = true, true
	case layout.Value:
		var x layout.ValueChange
		layout.ParseValue(version, body, &x)
		key := modelKey{string(x.CallID), x.HID}
		// One VALUE for each dialog comes before the data of a sync: for unknown dialogs they say nothing of its age.
		if v, ok := m.live[key]; ok {
			m.live[key], m.touched[key] = m.withValue(v, &x), true
		} else if !m.ended[key] {
			m.waiting[key] = append(m.waiting[key], x)
		}
	case layout.CSeq:
		var x layout.CSeqChange
		layout.ParseCSeq(version, body, &x)
		key := modelKey{string(x.CallID), x.HID}
		if v, ok := m.live[key]; ok {
			v.ApplyCSeq(&x)
		}
	}
}

func (m *model) withValue(v layout.View, x *layout.ValueChange) layout.View {
	m.t.Helper()
	out, changed, fault := v.ApplyValue(nil, x)
	if fault != layout.NoFault {
		m.t.Fatalf("value %q: %v", x.Name, fault)
	}
	if changed == layout.Done {
		if fault := layout.Parse(v.Layout(), out, &v); fault != layout.NoFault {
			m.t.Fatalf("value %q: %v", x.Name, fault)
		}
	}
	return v
}

// snapshot applies CREATED, UPDATED, or a chunk (NoKind).
func (m *model) snapshot(d *layout.Detector, version layout.Version, body []byte, kind layout.Kind) {
	m.t.Helper()
	var v layout.View
	if fault := d.Parse(version, bytes.Clone(body), &v); fault != layout.NoFault {
		m.t.Fatal(fault)
	}
	key := keyOf(&v)
	old, known := m.live[key]
	switch {
	case m.ended[key], known && kind == layout.Created, kind == layout.NoKind && m.touched[key]:
		return
	case known && v.Number(layout.State) < old.Number(layout.State):
		v.SetNumber(layout.State, old.Number(layout.State))
	}
	if kind != layout.NoKind {
		m.touched[key] = true
	}
	for _, x := range m.waiting[key] {
		v = m.withValue(v, &x)
	}
	delete(m.waiting, key)
	m.live[key] = v
}
