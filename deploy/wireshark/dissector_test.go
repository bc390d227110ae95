package wireshark

import (
	"encoding/binary"
	"encoding/hex"
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
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

// vectors returns the packets of the test vectors of package bin1, by name.
func vectors(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../../userspace/wire/bin1/testdata/vectors/*.txt")
	if err != nil || len(files) < 25 {
		t.Fatalf("%d vectors, %v", len(files), err)
	}
	packets := map[string][]byte{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, digits, _ := strings.Cut(string(text), "\npacket\n")
		packet, err := hex.DecodeString(strings.ReplaceAll(digits, "\n", ""))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		packets[strings.TrimSuffix(filepath.Base(file), ".txt")] = packet
	}
	return packets
}

// compareAll dissects the packets and compares each result. It selects packets by port, since broken ones may lack the
// marker.
func compareAll(t *testing.T, packets [][]byte) []item {
	t.Helper()
	got := dissect(t, writeCapture(t, packets, 0), "-d", "udp.port==5556,bin")
	if len(got) != len(packets) {
		t.Fatalf("%d of %d packets were dissected", len(got), len(packets))
	}
	for i := range packets {
		compare(t, packets[i], &got[i])
		if t.Failed() {
			t.Fatalf("packet %d: %x", i, packets[i])
		}
	}
	return got
}

func TestVectors(t *testing.T) {
	packets := vectors(t)
	names := make([]string, 0, len(packets))
	list := make([][]byte, 0, len(packets))
	for name, packet := range packets {
		names, list = append(names, name), append(list, packet)
	}
	got := compareAll(t, list)
	for i := range got {
		if want, ok := registrations[names[i]]; ok {
			compareRegistration(t, names[i], &got[i], want)
		}
	}
}

// TestCaptures dissects packets of real proxies: recognized by their marker, some reassembled from fragments.
func TestCaptures(t *testing.T) {
	tooltest.Require(t, "tshark")
	folder, err := bin1test.CaptureFolder()
	if err != nil {
		bin1test.NoCaptures(t, err)
	}
	for _, c := range bin1test.Captures(t) {
		t.Run(c.Name, func(t *testing.T) {
			got := dissect(t, filepath.Join(folder, c.Name+".pcap"))
			if len(got) != len(c.Datagrams) {
				t.Fatalf("%d datagrams dissected, want %d", len(got), len(c.Datagrams))
			}
			registrations := 0
			for i, d := range c.Datagrams {
				compare(t, d.Payload, &got[i])
				if string(bin1.Capability(d.Payload)) == "ul" {
					registrations++
					walkRegistration(t, d.Payload, &got[i])
				}
				if experts := got[i].all("_ws.expert"); len(experts) > 0 {
					t.Errorf("datagram %d: expert information %+v about a good packet", i, experts[0].Items)
				}
			}
			t.Logf("%d datagrams, %d registrations", len(got), registrations)
		})
	}
}

// TestDamaged cuts packets at every place, and puts wrong lengths and other bytes into them, with a new checksum.
func TestDamaged(t *testing.T) {
	whole := vectors(t)
	var packets [][]byte
	add := func(packet []byte) {
		if len(packet) >= 8 {
			binary.LittleEndian.PutUint32(packet[4:], bin1.Checksum(packet))
		}
		packets = append(packets, packet)
	}
	for _, name := range []string{"V01", "V03", "V05", "V09"} {
		for size := 1; size < len(whole[name]); size++ { // empty datagrams reach no dissector
			add(slices.Clone(whole[name][:size]))
		}
		for at := 8; at+4 <= len(whole[name]); at++ {
			for _, value := range []uint32{0, 0xffffffff, 0x80000000, 0x7fffffff, binary.LittleEndian.Uint32(whole[name][at:]) + 1} {
				packet := slices.Clone(whole[name])
				binary.LittleEndian.PutUint32(packet[at:], value)
				if at%3 == 0 || value == 0 {
					add(packet)
				}
			}
		}
	}
	const seed = 1
	r := rand.New(rand.NewPCG(seed, seed))
	for range 500 {
		packet := slices.Clone(whole[fmt.Sprintf("V%02d", 1+r.IntN(14))])
		for range 1 + r.IntN(4) {
			packet[r.IntN(len(packet))] = byte(r.Uint32())
		}
		if r.IntN(4) > 0 {
			add(packet)
		} else {
			packets = append(packets, packet) // with the wrong checksum, too
		}
	}
	for _, name := range []string{"V01", "V03"} { // big-endian
		packet := swap(whole[name])
		packets = append(packets, packet)
	}
	nameless := dialog.Details{State: dialog.Answered, FromURI: "sip:a@example.org"}
	packets = append(packets, bin1.Append(nil, dialog.Create, nameless.AppendPacked(nil)), bin1.Append(nil, dialog.Delete, nameless.AppendKey(nil)))
	counts := map[string]int{}
	for _, got := range compareAll(t, packets) {
		counts[got.show(t, "bin.verdict")]++
	}
	for v := range bin1.Verdicts {
		if counts[v.String()] == 0 {
			t.Errorf("no packet was %s", v)
		}
	}
	t.Logf("%d packets: %v", len(packets), counts)
}

// swap turns a little-endian packet into one of a big-endian sender, but only its header.
func swap(packet []byte) []byte {
	p := slices.Clone(packet)
	slices.Reverse(p[8:12])
	binary.BigEndian.PutUint32(p[4:], bin1.Checksum(p))
	return p
}

// TestRemarkable checks packets that binrepd applies but an operator should know about.
func TestRemarkable(t *testing.T) {
	packets := vectors(t)
	var ev dialog.Event
	if v := bin1.Decode(packets["V01"], &ev); v != bin1.Dialog {
		t.Fatal(v)
	}
	base := ev.Body.Details()
	routes := strings.TrimSuffix(strings.Repeat("<sip:p.example.net;lr>,", 65), ",")
	tests := []struct {
		change        func(*dialog.Details)
		field, expert string
	}{
		{func(d *dialog.Details) {}, "", ""},
		{func(d *dialog.Details) { d.State = 1 }, "state", "set_up"},
		{func(d *dialog.Details) { d.State = 2 }, "state", "set_up"},
		{func(d *dialog.Details) { d.State = 5 }, "state", "ended"},
		{func(d *dialog.Details) { d.CallerRouteSet = routes }, "caller_route_set", "many_routes"},
		{func(d *dialog.Details) { d.CalleeRouteSet = routes }, "callee_route_set", "many_routes"},
		{func(d *dialog.Details) { d.CalleeRouteSet = routes[len("<sip:p.example.net;lr>,"):] }, "", ""},
		{func(d *dialog.Details) { d.Vars = string(bin1.AppendPair(nil, "a", `x\#y`)) }, "vars", "misread_pairs"},
		{func(d *dialog.Details) { d.Vars = string(bin1.AppendPair(nil, "a", `x\|y`)) }, "vars", "misread_pairs"},
		{func(d *dialog.Details) { d.Vars = string(bin1.AppendPair(nil, `a\`, `\\x#|y\`)) }, "", ""},
		{func(d *dialog.Details) { d.Vars = `a\qb#c\d|` }, "", ""},
		{func(d *dialog.Details) { d.Vars = "a|" }, "vars", "bad_pairs"},
		{func(d *dialog.Details) { d.Vars = "#b|" }, "vars", "bad_pairs"},
		{func(d *dialog.Details) { d.Profiles = "a#b#|" }, "profiles", "bad_pairs"},
		{func(d *dialog.Details) { d.Profiles = `a#b\|` }, "profiles", "bad_pairs"},
		{func(d *dialog.Details) { d.Profiles = "caller/s#alice|inbound#|inbound#|" }, "", ""},
		{func(d *dialog.Details) { d.CallID, d.Vars = "a\x00b\xff<&>\"'\n", "n\x01\xc3\xa9#\xe9\x00|" }, "", ""},
		{func(d *dialog.Details) { d.Flags, d.UserFlags = 0xffffffff, 0xffffffff }, "", ""},
		{func(d *dialog.Details) { d.Start, d.Timeout, d.CallerGenCSeq = 0, 0xffffffff, 0xffffffff }, "", ""},
		{func(d *dialog.Details) { d.Vars = strings.Repeat(`variable#\|\\\##|`, 0) + strings.Repeat("x#y|", 500) }, "", ""},
		{func(d *dialog.Details) { d.MangledFrom = strings.Repeat("m", 60000) }, "", ""},
	}
	var list [][]byte
	for _, test := range tests {
		d := base
		test.change(&d)
		list = append(list, bin1.Append(nil, dialog.Update, d.AppendPacked(nil)))
	}
	for i, got := range compareAll(t, list) {
		test := tests[i]
		if test.expert != "" && !said(&got, "bin.dialog."+test.field, "bin.expert."+test.expert) {
			t.Errorf("packet %d: no %s at %s", i, test.expert, test.field)
		}
		if test.expert == "" {
			got.walk(func(f *item) { // Wireshark itself reports a zero byte in a string
				if strings.HasPrefix(f.Name, "bin.expert.") {
					t.Errorf("packet %d: %s", i, f.Name)
				}
			})
		}
	}
}

// TestCutByTheCapture checks packets that the capture has cut off: their checksum can't be verified.
func TestCutByTheCapture(t *testing.T) {
	got := dissect(t, writeCapture(t, [][]byte{vectors(t)["V01"]}, 100))
	if len(got) != 1 {
		t.Fatalf("%d packets", len(got))
	}
	if s := got[0].show(t, "bin.checksum.status"); s != "unverified" {
		t.Errorf("checksum %s", s)
	}
	if id := got[0].show(t, "bin.dialog.callid"); id != "1-28794@127.0.0.1" {
		t.Errorf("Call-ID %s", id)
	}
	if len(got[0].all("bin.expert.unverified")) != 1 {
		t.Error("no expert information")
	}
}

// TestOnlyBIN leaves other datagrams alone.
func TestOnlyBIN(t *testing.T) {
	if got := dissect(t, writeCapture(t, [][]byte{[]byte("P4C"), []byte("OPTIONS sip:a SIP/2.0\r\n\r\n"), {}}, 0)); len(got) != 0 {
		t.Errorf("took %d", len(got))
	}
}

// TestControlBytes: nothing that a terminal obeys comes out of tshark, and nothing is cut (fault 29).
func TestControlBytes(t *testing.T) {
	tooltest.Require(t, "tshark")
	var ev dialog.Event
	if v := bin1.Decode(vectors(t)["V01"], &ev); v != bin1.Dialog {
		t.Fatal(v)
	}
	d := ev.Body.Details()
	d.CallID = "a\x1b[2J\r\x00caf\xe9\u009b\u202e\\x41é日"
	file := writeCapture(t, [][]byte{bin1.Append(nil, dialog.Update, d.AppendPacked(nil))}, 0)
	const want = `a\x1b[2J\x0d\x00caf\xe9\xc2\x9b\xe2\x80\xae\x5cx41é日`
	cmd := exec.CommandContext(t.Context(), "tshark", "-n", "-X", "lua_script:binrepd.lua", "-r", file,
		"-T", "fields", "-e", "bin.dialog.callid", "-e", "_ws.col.Info")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=", "LC_ALL=C.UTF-8")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	callID, info, _ := strings.Cut(strings.TrimSuffix(string(out), "\n"), "\t")
	if callID != want || escape.Parse(callID) != d.CallID {
		t.Errorf("Call-ID %q, want %q", callID, want)
	}
	if !strings.Contains(info, want) {
		t.Errorf("info %q, want %q in it", info, want)
	}
}
