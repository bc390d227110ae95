package bin2_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"binrepd/userspace/wire/bin2"
	"binrepd/userspace/wire/bin2/bin2test"
)

// vector returns the packet of testdata/vectors/NAME.txt: a line that describes it, then its bytes in hexadecimal.
func vector(t testing.TB, name string) bin2.Packet {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "vectors", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	_, digits, _ := strings.Cut(string(text), "\n")
	raw, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
	if err != nil {
		t.Fatal(name, err)
	}
	p, err := bin2.Parse(raw)
	if err != nil {
		t.Fatal(name, err)
	}
	return p
}

// vectorNames returns the names of all vectors.
func vectorNames(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/vectors/*.txt")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d vectors: %v", len(files), err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".txt")
	}
	return files
}

func ids(list ...int32) (l bin2.IDs) {
	for _, id := range list {
		l = l.Append(id)
	}
	return l
}

type capState struct {
	name   string
	synced bool
}

func caps(list ...capState) (l bin2.Caps) {
	for _, c := range list {
		l = l.Append(c.name, c.synced)
	}
	return l
}

var (
	oldForm = bin2.Dialect{Numbering: bin2.Old, SyncVersion: 2}
	newForm = bin2.Dialect{Numbering: bin2.New}
)

// TestVectors writes each message of the clusterer module from its fields: the bytes are those that real nodes
// sent. What was sent reads as the same message, because it writes the same bytes again.
func TestVectors(t *testing.T) {
	dlg, ul := "dialog-dlg-repl", "usrloc-contact-repl"
	to := func(source, destination int32) bin2.Trailer {
		return bin2.Trailer{Cluster: 1, Source: source, Destination: destination}
	}
	from := func(source int32) bin2.From { return bin2.From{Cluster: 1, Source: source} }
	var none bin2.NodeEntries
	for _, test := range [...]struct {
		name    string
		kind    bin2.Kind
		message bin2test.Message
		dialect bin2.Dialect
	}{
		{"ping", bin2.KindPing, &bin2.Ping{From: from(2), WantNodes: true}, newForm},
		{"pong", bin2.KindPong, &bin2.Pong{From: from(1)}, newForm},
		{"pong-2", bin2.KindPong, &bin2.Pong{From: from(1), Nodes: ids(2)}, newForm},
		{"ls_update", bin2.KindLink, &bin2.LinkUpdate{From: from(2), Timestamp: 1795401523, Neighbour: 3, Path: ids(2, 1)}, newForm},
		{"ls_update-2", bin2.KindLink,
			&bin2.LinkUpdate{From: from(1), Seq: 1, Timestamp: 1795404256, Neighbour: 2, Down: true, Path: ids(1)}, newForm},
		{"full_top_update", bin2.KindTopology, &bin2.Topology{From: from(2), Timestamp: 1795399636,
			Nodes: none.Append(&bin2.NodeEntry{ID: 2, LinkSeq: -1, Neighbours: ids(1)}), Path: ids(2)}, newForm},
		{"full_top_update-2", bin2.KindTopology, &bin2.Topology{From: from(1), Seq: 1, Timestamp: 1795401523,
			Nodes: none.Append(&bin2.NodeEntry{ID: 1, Neighbours: ids(3, 2)}).Append(&bin2.NodeEntry{ID: 2, Described: true,
				URL: []byte("bin:10.98.0.2:5566"), Priority: 3, Retries: 3, LinkSeq: -1}), Path: ids(1)}, newForm},
		{"unknown_id", bin2.KindUnknownID, &bin2.UnknownID{From: from(1)}, newForm},
		{"node_description", bin2.KindDescription, &bin2.Description{From: from(3), URL: []byte("bin:10.98.0.3:5566"),
			SIPAddr: []byte("10.98.0.3:5060"), Priority: 50, Retries: 3, Path: ids(3)}, newForm},
		{"node_description-2", bin2.KindDescription, &bin2.Description{From: from(3), URL: []byte("bin:10.98.0.3:5566"),
			SIPAddr: []byte("10.98.0.3:5060"), Priority: 50, Retries: 3, Path: ids(3, 1)}, newForm},
		{"cap_update", bin2.KindCaps, &bin2.CapUpdate{From: from(2), HasSeq: true, Seq: 3, Timestamp: 1795399636,
			Nodes: bin2.NodeCapsList{}.Append(2, caps(capState{dlg, true})), Path: ids(2)}, newForm},
		{"cap_update-2", bin2.KindCaps, &bin2.CapUpdate{From: from(2), HasSeq: true, Timestamp: 1795399636,
			Nodes: bin2.NodeCapsList{}.Append(2, caps(capState{dlg, false}, capState{ul, false})), WantReply: true, Path: ids(2)}, newForm},
		{"cap_update-3", bin2.KindCaps, &bin2.CapUpdate{From: from(1),
			Nodes: bin2.NodeCapsList{}.Append(1, caps(capState{dlg, true}, capState{ul, true})), Path: ids(1)}, oldForm},
		{"remove_node", bin2.KindRemove, &bin2.RemoveNode{Trailer: to(1, 3), Node: 3}, newForm},
		{"generic_msg", bin2.KindGeneric, &bin2.Generic{Trailer: to(1, 3), Request: true,
			Tag: []byte("1-1-Cb1T4A3a1nLWiOk24ImDFSWU"), Message: []byte("hello all")}, newForm},
		{"mi_cmd", bin2.KindCommand, &bin2.Command{Trailer: to(1, 3), Name: []byte("which"),
			Params: bin2.Params{}.Append([]byte("dlg_list"))}, newForm},
		{"sync_req", bin2.KindSyncRequest, &bin2.SyncRequest{Trailer: to(2, 1), Capability: []byte(dlg)}, newForm},
		{"sync_req-2", bin2.KindSyncRequest, &bin2.SyncRequest{Trailer: to(3, 1), Capability: []byte(dlg)}, oldForm},
		{"sync_end", bin2.KindSyncEnd, &bin2.SyncEnd{Trailer: to(1, 2), Capability: []byte(dlg), Total: 60}, newForm},
		{"sync_end-2", bin2.KindSyncEnd, &bin2.SyncEnd{Trailer: to(1, 2), Capability: []byte(ul)}, newForm},
		{"sync_end-3", bin2.KindSyncEnd, &bin2.SyncEnd{Trailer: to(1, 3), Capability: []byte(dlg)}, oldForm},
		{"shtag_active", bin2.KindTag, &bin2.TagActive{Trailer: to(1, 2), Tag: []byte("vip")}, newForm},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := vector(t, test.name)
			got, err := test.message.Append([]byte("before"), test.dialect)
			if err != nil || string(got) != "before"+string(want) {
				t.Errorf("%+v encodes as %v\n%x, want\n%x", test.message, err, got[6:], []byte(want))
			}
			kind, numbering, err := bin2.KindOf(want, 0)
			if err != nil || kind != test.kind || numbering != 0 && numbering != test.dialect.Numbering {
				t.Errorf("kind %v, numbering %d, %v", kind, numbering, err)
			}
			checkAgain(t, want)
		})
	}
}

// checkAgain decodes a message of the clusterer module and encodes it to the same bytes.
func checkAgain(t *testing.T, p bin2.Packet) bin2test.Message {
	t.Helper()
	before := bytes.Clone(p)
	m, numbering, err := bin2test.Decode(p, 0)
	if err != nil || m == nil {
		t.Fatalf("%s type %d version %d: %v\n%x", p.Name(), p.Type(), p.Version(), err, []byte(p))
	}
	again, err := m.Append(nil, bin2.Dialect{Numbering: numbering, SyncVersion: p.Version()})
	if err != nil || !bytes.Equal(again, p) {
		t.Errorf("%+v encodes as %v\n%x, was\n%x", m, err, again, []byte(p))
	}
	if !bytes.Equal(before, p) {
		t.Errorf("the packet was written to")
	}
	return m
}

func TestChunksOfSync(t *testing.T) {
	m, ok := checkAgain(t, vector(t, "sync-2")).(*bin2.Sync)
	if !ok || string(m.Capability) != "usrloc-contact-repl" || m.DataVersion != 5 || m.Version != 3 || m.Source != 1 || m.Destination != 3 {
		t.Fatalf("%+v", m)
	}
	r := bin2.NewReader(m.Chunks)
	if size, marker := r.Int(), r.Int(); size != 32 || marker != bin2.ChunkMarker {
		t.Errorf("first chunk: %d bytes, marker %d", size, marker)
	}
}

// TestHeaders reads the header and the trailer of packets of other capabilities.
func TestHeaders(t *testing.T) {
	for _, test := range [...]struct {
		name        string
		capability  bin2.Capability
		kind        int32
		version     int16
		body        int
		destination int32
	}{
		{"dlg_deleted", bin2.Dialogs, 3, 4, 101 - 31 - 12, 2},
		{"dlg_deleted-2", bin2.Dialogs, 3, 1, 96 - 31 - 12, 3},
		{"dlg_value-3", bin2.Dialogs, 5, 4, 79 - 31 - 12, 3},
		{"dlg_profile", bin2.Profiles, 4, 4, 77 - 32 - 12, 3},
		{"ucontact_delete", bin2.Contacts, 5, 5, 119 - 35 - 12, 3},
	} {
		p := vector(t, test.name)
		trailer, ok := p.Trailer()
		if p.Capability() != test.capability || string(p.Name()) != test.capability.String() || p.Type() != test.kind ||
			p.Version() != test.version || len(p.Body()) != test.body || !ok ||
			trailer != (bin2.Trailer{Cluster: 1, Source: 1, Destination: test.destination}) || trailer.Bridged() {
			t.Errorf("%s: %s, type %d, version %d, body of %d bytes, trailer %+v", test.name, p.Name(), p.Type(), p.Version(), len(p.Body()), trailer)
		}
		if kind, _, err := bin2.KindOf(p, 0); kind != bin2.NoKind || err != nil {
			t.Errorf("%s is %v, %v", test.name, kind, err)
		}
		p.SetDestination(77)
		if again, _ := p.Trailer(); again != (bin2.Trailer{Cluster: 1, Source: 1, Destination: 77}) {
			t.Errorf("%s: trailer %+v after the change", test.name, again)
		}
	}
	ping := vector(t, "ping")
	before := bytes.Clone(ping)
	if _, ok := ping.Trailer(); ok {
		t.Error("a ping has a trailer")
	}
	if ping.SetDestination(7); !bytes.Equal(before, ping) {
		t.Error("a ping has a destination")
	}
	if cluster, source, ok := ping.Sender(); cluster != 1 || source != 2 || !ok {
		t.Errorf("a ping from node %d of cluster %d", source, cluster)
	}
}
