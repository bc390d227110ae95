package bin2_test

import (
	"bytes"
	"testing"

	"binrepd/userspace/wire/bin2"
	"binrepd/userspace/wire/bin2/bin2test"
)

// TestCaptures reads every packet of every captured cluster. A message of the clusterer module decodes to its last
// byte and encodes to the same bytes.
func TestCaptures(t *testing.T) {
	for _, c := range bin2test.Captures(t) {
		t.Run(c.Name, func(t *testing.T) {
			if c.Incomplete > 0 {
				t.Errorf("%d streams end within a packet", c.Incomplete)
			}
			// The captures are of one cluster: all nodes but the member speak one dialect.
			var dialect bin2.Dialect
			kinds := map[bin2.Kind]int{}
			others := map[bin2.Capability]int{}
			for i, p := range c.Packets {
				n, err := bin2.Next(p.Packet)
				if err != nil || n != len(p.Packet) || bin2.Wanted(p.Packet) != n {
					t.Fatalf("packet %d: %d bytes, %v", i, n, err)
				}
				kind, _, err := bin2.KindOf(p.Packet, 0)
				if err != nil {
					t.Fatalf("packet %d: %v", i, err)
				}
				kinds[kind]++
				if kind == bin2.NoKind {
					others[p.Capability()]++
					continue
				}
				checkAgain(t, p.Packet)
				checkPassedOn(t, p.Packet)
				if cluster, source, ok := p.Sender(); cluster != 1 || source < 1 || source > 3 || !ok {
					t.Errorf("packet %d of node %d of cluster %d", i, source, cluster)
				}
				dialect.Observe(p.Packet)
			}
			if kinds[bin2.KindPing] == 0 || kinds[bin2.KindCaps] == 0 || others[bin2.Dialogs] == 0 {
				t.Errorf("messages %v, others %v", kinds, others)
			}
			if others[bin2.OtherCapability] > 0 {
				t.Errorf("%d packets of capabilities without a name here", others[bin2.OtherCapability])
			}
			want := bin2.Dialect{Numbering: bin2.New, CapForm: bin2.WithSeq}
			if c.Name[:3] == "2.4" {
				want = bin2.Dialect{Numbering: bin2.Old, CapForm: bin2.WithoutSeq}
			}
			if kinds[bin2.KindSyncRequest]+kinds[bin2.KindSync] > 0 {
				if want.SyncVersion = 3; want.Numbering == bin2.Old {
					want.SyncVersion = 2
				}
			}
			if dialect != want {
				t.Errorf("dialect %+v, want %+v", dialect, want)
			}
		})
	}
}

// checkPassedOn compares passing a message on with decoding it, changing it and encoding it.
func checkPassedOn(t *testing.T, p bin2.Packet) {
	t.Helper()
	const node = 9
	got, ok := bin2.AppendPassedOn([]byte("before"), p, node)
	m, numbering, err := bin2test.Decode(p, 0)
	if err != nil {
		t.Fatal(err)
	}
	var path *bin2.IDs
	switch m := m.(type) {
	case *bin2.LinkUpdate:
		path = &m.Path
	case *bin2.Topology:
		path = &m.Path
	case *bin2.Description:
		path = &m.Path
	case *bin2.CapUpdate:
		path, m.WantReply = &m.Path, false
	}
	if path == nil || path.Len() == bin2.MaxPath {
		if ok || string(got) != "before" {
			t.Errorf("%T is passed on", m)
		}
		return
	}
	longer := ids()
	for i := range path.Len() {
		longer = longer.Append(path.At(i))
	}
	*path = longer.Append(node)
	want, err := m.Append([]byte("before"), bin2.Dialect{Numbering: numbering, SyncVersion: p.Version()})
	if err != nil {
		t.Fatal(err)
	}
	if !ok || !bytes.Equal(got, want) {
		t.Errorf("%T is passed on as %v\n%x, want\n%x", m, ok, got, want)
	}
}
