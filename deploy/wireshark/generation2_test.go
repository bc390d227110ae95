package wireshark

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"binrepd/deploy/tooltest"
	"binrepd/dialog"
	"binrepd/dialog/escape"
	"binrepd/dialog/layout"
	"binrepd/userspace/wire/bin2"
	"binrepd/userspace/wire/bin2/bin2test"
)

// luaNames are the names of fields in the dissector where package layout has others.
var luaNames = map[layout.Field]string{
	layout.MangledFrom: "mangled_from", layout.MangledTo: "mangled_to", layout.Values: "vars",
	layout.CallerGenCSeq: "caller_gen_cseq", layout.CalleeGenCSeq: "callee_gen_cseq",
}

func luaName(f layout.Field) string {
	if name := luaNames[f]; name != "" {
		return "bin.dialog." + name
	}
	return "bin.dialog." + f.String()
}

// messageName returns the name of a packet's message in the dissector; "" for a message that has none, or for one of
// a capability that the tests don't name.
func messageName(p bin2.Packet) string {
	if kind, _, err := bin2.KindOf(p, 0); err == nil && kind != bin2.NoKind {
		return kind.String()
	}
	if p.Capability() == bin2.Dialogs && p.Version() >= 1 && p.Version() <= int16(layout.LastVersion) {
		if kind, fault := layout.KindOf(layout.Version(p.Version()), p.Type(), p.Body()); fault == layout.NoFault {
			return strings.ToUpper(kind.String())
		}
	}
	return ""
}

// compare2 compares the dissector's result for a packet with packages bin2 and layout.
func compare2(t *testing.T, packet []byte, got *item) {
	t.Helper()
	var d bin2.Decoder // the dissector learns nothing from other packets
	var ev dialog.Event
	verdict := d.Decode(packet, &ev)
	if shown := got.show(t, "bin.verdict"); shown != verdict.String() {
		t.Fatalf("verdict %s, want %s", shown, verdict)
	}
	if ok := verdict <= bin2.OtherPacket; !ok && len(got.all("bin.expert."+verdict.String())) == 0 {
		t.Errorf("no expert information about %s", verdict)
	}
	p, err := bin2.Parse(packet)
	if err != nil {
		return
	}
	if want := messageName(p); want != "" {
		if name := got.show(t, "bin.command.name"); name != want {
			t.Errorf("message %s, want %s", name, want)
		}
	}
	if trailer, ok := p.Trailer(); ok {
		if shown := got.all("bin.node.source"); shown[0].Show != fmt.Sprint(trailer.Source) {
			t.Errorf("source %s, want %d", shown[0].Show, trailer.Source)
		}
	}
	switch verdict {
	case bin2.Event:
		if ev.Kind == dialog.Create || ev.Kind == dialog.Update {
			compareSnapshots(t, got, [][]byte{ev.Body}, layout.Version(p.Version()))
		} else if id := got.all("bin.dialog.callid"); len(id) != 1 || !bytes.Equal(id[0].bytes(t), ev.CallID()) {
			t.Errorf("Call-ID %+v, want %q", id, ev.CallID())
		}
	case bin2.Chunks:
		var bodies [][]byte
		version := layout.Version(1)
		for w := d.ChunksOf(packet); w.Next(&ev); {
			if w.Verdict == bin2.Event {
				bodies, version = append(bodies, bytes.Clone(ev.Body)), ev.Layout.Version()
			}
		}
		if len(got.all("bin.dialog.layout")) == len(bodies) {
			compareSnapshots(t, got, bodies, version)
		} else {
			t.Errorf("%d dialogs, want %d", len(got.all("bin.dialog.layout")), len(bodies))
		}
	}
}

// compareSnapshots compares every field of the dialogs in a packet: order, bytes and text.
func compareSnapshots(t *testing.T, got *item, bodies [][]byte, version layout.Version) {
	t.Helper()
	var fields []*item
	names := map[string]layout.Field{}
	for f := range layout.NumFields {
		names[luaName(f)] = f
	}
	got.walk(func(f *item) {
		if _, is := names[f.Name]; is {
			fields = append(fields, f)
		}
	})
	layouts := got.all("bin.dialog.layout")
	for i, body := range bodies {
		id := layout.Fitting(version, body).Last()
		if i >= len(layouts) || layouts[i].Show != id.String() {
			t.Fatalf("dialog %d of %d: layout %+v, want %s", i, len(bodies), layouts, id)
		}
		var v layout.View
		if fault := layout.Parse(id, body, &v); fault != layout.NoFault {
			t.Fatal(fault)
		}
		for f, rest := v.Fields().Next(); f < layout.NumFields; f, rest = rest.Next() {
			if len(fields) == 0 || fields[0].Name != luaName(f) {
				t.Fatalf("dialog %d: %d fields left, and the next one is not %s", i, len(fields), f)
			}
			want := v.Bytes(f)
			if f.IsNumber() {
				want = binary.LittleEndian.AppendUint32(nil, v.Number(f))
			} else if !shows(fields[0].Show, want) {
				t.Errorf("%s is shown as %q, want %q", f, fields[0].Show, want)
			}
			if b := fields[0].bytes(t); !bytes.Equal(b, want) {
				t.Errorf("%s is %q, want %q", f, b, want)
			}
			fields = fields[1:]
		}
	}
	if len(fields) > 0 {
		t.Errorf("%d fields too many", len(fields))
	}
}

// TestClusterCaptures dissects connections of real clusters: every packet, whatever segments it came in.
func TestClusterCaptures(t *testing.T) {
	for _, name := range []string{"2.4/S1", "3.6/S2"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := bin2test.Load(t, name)
			got := dissect(t, filepath.Join(bin2test.Folder(t), filepath.FromSlash(name)+".pcap"))
			if len(got) != len(c.Packets) {
				t.Fatalf("%d packets dissected, want %d", len(got), len(c.Packets))
			}
			for i, p := range c.Packets {
				compare2(t, p.Packet, &got[i])
				if experts := got[i].all("_ws.expert"); len(experts) > 0 {
					t.Errorf("expert information %+v about a good packet", experts[0].Items)
				}
				if t.Failed() {
					t.Fatalf("packet %d: %x", i, []byte(p.Packet))
				}
			}
		})
	}
}

// dialogPacket is a packet of dialogs with this body, version and type.
func dialogPacket(t *testing.T, version layout.Version, number int32, body []byte) []byte {
	t.Helper()
	w := bin2.Begin(nil, int16(version), bin2.Dialogs.String(), number)
	w.Raw(body)
	packet, err := w.EndTrailer(bin2.Trailer{Cluster: 1, Source: 2, Destination: 3})
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

// oddDialog has different bytes in every field, some of which a terminal would obey.
func oddDialog(id layout.ID) *layout.Fields {
	f := &layout.Fields{}
	for i := range layout.NumFields {
		f.Strings[i], f.Numbers[i] = []byte(fmt.Sprintf("%s\x1b[2J\x00\xe9\u202e%d", i, i)), 1_800_000_000+uint32(i)
	}
	f.Numbers[layout.State] = 4
	pair := layout.AppendIntPair(layout.AppendPair(nil, id.Typed(), []byte("n|#"), []byte("v\x1b\\")), id.Typed(), []byte("i"), -7)
	f.Strings[layout.Values], f.Strings[layout.Profiles] = pair, layout.AppendPair(nil, id.Typed(), []byte("p/b"), nil)
	return f
}

// TestLayouts dissects dialogs in all layouts of generation 2, whole and damaged, in datagrams: the verdict is that of
// package bin2, and nothing that a terminal obeys is shown.
func TestLayouts(t *testing.T) {
	const seed = 1
	random := rand.New(rand.NewPCG(seed, seed))
	var packets [][]byte
	for id := layout.Bin1Plain; id < layout.IDs; id++ {
		body, fault := oddDialog(id).Append(nil, id)
		if fault != layout.NoFault {
			t.Fatal(fault)
		}
		longer := append(slices.Clone(body), 0)
		packets = append(packets, dialogPacket(t, id.Version(), 1, body), dialogPacket(t, id.Version(), 2, body), dialogPacket(t, id.Version(), 1, longer))
		chunks, _ := layout.AppendSync(nil, 3, []byte(bin2.Dialogs.String()), id.Version())
		for range 2 {
			chunks = layout.AppendChunk(chunks, 3, body)
		}
		w := bin2.Begin(nil, 3, bin2.Extra.String(), 11)
		w.Raw(chunks)
		sync, err := w.EndTrailer(bin2.Trailer{Cluster: 1, Source: 2, Destination: 3})
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, sync)
	}
	for version := layout.Version(1); version <= layout.LastVersion; version++ {
		for _, m := range []layout.ValueChange{
			{CallID: []byte("c\x1b"), HID: 7, Name: []byte("n"), Type: layout.Text, Text: []byte("\x00v")},
			{CallID: []byte("c"), HID: 7, Name: []byte("n"), Type: layout.Integer, Int: -1}, {CallID: []byte("c"), HID: 7, Name: []byte("n")},
		} {
			if body, fault := m.Append(nil, version); fault == layout.NoFault {
				packets = append(packets, dialogPacket(t, version, 5, body))
			}
		}
		m := layout.CSeqChange{CallID: []byte("c"), Tag: []byte("t"), OtherTag: []byte("o"), HID: 3, Number: 9}
		if body, fault := m.Append(nil, version); fault == layout.NoFault {
			packets = append(packets, dialogPacket(t, version, 4, body))
		}
		gone := layout.Deletion{CallID: []byte("c"), FromTag: []byte("f"), ToTag: []byte("t"), HID: 3}
		if body, fault := gone.Append(nil, version); fault == layout.NoFault {
			packets = append(packets, dialogPacket(t, version, 3, body))
		}
	}
	for range 600 {
		packet := slices.Clone(packets[random.IntN(len(packets))])
		if p, err := bin2.Parse(packet); err == nil && p.Capability() == bin2.Extra {
			continue // a chunk may be damaged in ways that leave another number of dialogs
		}
		from := 12 + len(bin2.Dialogs.String())
		for range 1 + random.IntN(3) {
			packet[from+random.IntN(len(packet)-from-12)] = byte(random.IntN(4) * random.IntN(80))
		}
		if random.IntN(3) == 0 {
			packet = slices.Delete(packet, from+4, from+4+random.IntN(len(packet)-from-16))
			binary.LittleEndian.PutUint32(packet[4:], uint32(len(packet)))
		}
		if random.IntN(9) == 0 {
			packet[8] = byte(random.IntN(8)) // another version
		}
		packets = append(packets, packet)
	}
	got := dissect(t, writeCapture(t, packets, 0))
	if len(got) != len(packets) {
		t.Fatalf("%d packets dissected, want %d", len(got), len(packets))
	}
	verdicts := map[string]int{}
	for i := range packets {
		compare2(t, packets[i], &got[i])
		if t.Failed() {
			t.Fatalf("packet %d: %x", i, packets[i])
		}
		verdicts[got[i].show(t, "bin.verdict")]++
	}
	for _, v := range []bin2.Verdict{
		bin2.Event, bin2.Chunks, bin2.BadVersion, bin2.BadCommand, bin2.TooShort, bin2.PastEnd, bin2.TrailingBytes, bin2.UnknownLayout, bin2.BadChange,
	} {
		if verdicts[v.String()] == 0 {
			t.Errorf("no packet was %s: %v", v, verdicts)
		}
	}
}

// TestClusterControlBytes: what nodes call themselves can't command a terminal (fault 29).
func TestClusterControlBytes(t *testing.T) {
	tooltest.Require(t, "tshark")
	const odd = "a\x1b[2J\r\x00\u009b\u202e"
	m := bin2.Description{From: bin2.From{Cluster: 1, Source: 2}, URL: []byte(odd), SIPAddr: []byte(odd)}
	packet, err := m.Append(nil, bin2.Dialect{})
	if err != nil {
		t.Fatal(err)
	}
	w := bin2.Begin(nil, 1, odd, 1) // a capability of that name
	other, err := w.EndTrailer(bin2.Trailer{Cluster: 1, Source: 2, Destination: 3})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "tshark", "-n", "-X", "lua_script:binrepd.lua", "-r", writeCapture(t, [][]byte{packet, other}, 0),
		"-T", "fields", "-e", "bin.node.url", "-e", "bin.node.sip_addr", "-e", "bin.capability", "-e", "_ws.col.Info")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=", "LC_ALL=C.UTF-8")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(out), escape.String(odd)); n != 4 || strings.ContainsAny(string(out), "\x1b\r\x00\u009b\u202e") {
		t.Errorf("%d times in %q, want 4", n, out)
	}
}
