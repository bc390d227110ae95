package wireshark

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"binrepd/deploy/tooltest"
)

// item is an element of tshark's packet details in XML: a packet, a protocol or a field.
type item struct {
	Name   string `xml:"name,attr"`
	Show   string `xml:"show,attr"`
	Value  string `xml:"value,attr"` // the bytes in hexadecimal
	Protos []item `xml:"proto"`
	Items  []item `xml:"field"`
}

// walk calls visit for every field below i, in the order of the packet.
func (i *item) walk(visit func(*item)) {
	for k := range i.Items {
		visit(&i.Items[k])
		i.Items[k].walk(visit)
	}
}

// all returns the fields of that name.
func (i *item) all(name string) []*item {
	var found []*item
	i.walk(func(f *item) {
		if f.Name == name {
			found = append(found, f)
		}
	})
	return found
}

// show returns the display text of the only field with this name.
func (i *item) show(t *testing.T, name string) string {
	t.Helper()
	f := i.all(name)
	if len(f) != 1 {
		t.Fatalf("%d fields %s", len(f), name)
	}
	return f[0].Show
}

// bytes returns the bytes of f.
func (i *item) bytes(t *testing.T) []byte {
	t.Helper()
	b, err := hex.DecodeString(i.Value)
	if err != nil {
		t.Fatalf("%s: %v", i.Name, err)
	}
	return b
}

// dissect makes tshark dissect a capture file, and returns the dissector's result for each of its datagrams.
func dissect(t *testing.T, file string, flags ...string) []item {
	t.Helper()
	return decode(t, essential(details(t, file, flags...)))
}

// details makes tshark dissect a capture file, and returns the packet details in XML.
func details(t *testing.T, file string, flags ...string) []byte {
	t.Helper()
	tooltest.Require(t, "tshark")
	cmd := exec.CommandContext(t.Context(), "tshark",
		append([]string{"-n", "-X", "lua_script:binrepd.lua", "-r", file, "-T", "pdml", "-J", "bin"}, flags...)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=") // no personal settings
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	// Write to a file, since this may be tens of megabytes, and a buffer would be copied each time it grows.
	stdout, err := os.Create(filepath.Join(t.TempDir(), "details.xml"))
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	cmd.Stdout = stdout
	if err := cmd.Run(); err != nil {
		t.Fatalf("tshark: %v\n%s", err, &stderr)
	}
	out, err := os.ReadFile(stdout.Name())
	if err != nil {
		t.Fatal(err)
	}
	if at := bytes.Index(out, []byte("Lua Error")); at >= 0 || strings.Contains(stderr.String(), "Lua Error") {
		t.Fatalf("tshark: %s%s", &stderr, out[max(at, 0):min(max(at, 0)+300, len(out))])
	}
	return out
}

// decode returns the dissector's result for each of its datagrams.
func decode(t *testing.T, out []byte) []item {
	t.Helper()
	var document struct {
		Packets []item `xml:"packet"`
	}
	if err := xml.Unmarshal(legible(out), &document); err != nil {
		t.Fatalf("tshark: output: %v", err)
	}
	var taken []item
	for _, p := range document.Packets {
		for _, proto := range p.Protos {
			if proto.Name == "bin" {
				taken = append(taken, proto)
			}
		}
	}
	return taken
}

// essential removes everything before the dissector's part of each packet, and from each field its description, size
// and position. That is more than half of the output, and no test reads it. Decoding XML takes longer than dissecting,
// above all under the race detector. Quotes and angle brackets in values are escaped, so the searched text can't come
// from a packet.
func essential(out []byte) (kept []byte) {
	begin, end, part := []byte("<packet>"), []byte("</packet>"), []byte(`<proto name="bin"`)
	for {
		packet, rest, found := bytes.Cut(out, end)
		if !found {
			return append(kept, out...)
		}
		if at := bytes.Index(packet, begin); at >= 0 {
			kept = append(kept, packet[:at+len(begin)]...)
			packet = packet[at+len(begin):]
		}
		if at := bytes.Index(packet, part); at >= 0 {
			kept = appendWithout(kept, packet[at:], ` showname="`, ` size="`, ` pos="`)
		}
		kept, out = append(kept, end...), rest
	}
}

// appendWithout appends text to b without the named attributes. The later ones must follow the first, if they are
// there.
func appendWithout(b, text []byte, attributes ...string) []byte {
	for {
		at := bytes.Index(text, []byte(attributes[0]))
		if at < 0 {
			return append(b, text...)
		}
		b, text = append(b, text[:at]...), text[at:]
		for _, attribute := range attributes {
			if rest, ok := bytes.CutPrefix(text, []byte(attribute)); ok {
				text = rest[bytes.IndexByte(rest, '"')+1:]
			}
		}
	}
}

// legible replaces characters that XML can't hold but tshark prints: packets may have any bytes in their strings.
func legible(b []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' && r != '\r' {
			return '?'
		}
		return r
	}, bytes.ToValidUTF8(b, []byte("?")))
}

// writeCapture writes each payload as a UDP datagram from port 5555 to 5556 into a capture file. If captured is 0,
// nothing is cut off. Otherwise the frames are cut to this many bytes of payload.
func writeCapture(t *testing.T, payloads [][]byte, captured int) (file string) {
	t.Helper()
	const headers = 14 + 20 + 8 // Ethernet, IPv4, UDP
	le, be := binary.LittleEndian, binary.BigEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4)
	b = le.AppendUint16(le.AppendUint16(b, 2), 4) // version
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint32(le.AppendUint32(b, 1<<18), 1) // length of snapshots, Ethernet
	for _, p := range payloads {
		frame := make([]byte, 12, headers+len(p))
		frame = append(frame, 0x08, 0x00, 0x45, 0)
		frame = be.AppendUint16(frame, uint16(20+8+len(p)))
		frame = append(frame, 0, 0, 0, 0, 64, 17, 0, 0, 10, 99, 0, 1, 10, 99, 0, 2)
		frame = be.AppendUint16(be.AppendUint16(frame, 5555), 5556)
		frame = be.AppendUint16(frame, uint16(8+len(p)))
		frame = append(append(frame, 0, 0), p...)
		kept := frame
		if captured > 0 {
			kept = frame[:min(len(frame), headers+captured)]
		}
		b = append(b, make([]byte, 8)...) // time
		b = le.AppendUint32(le.AppendUint32(b, uint32(len(kept))), uint32(len(frame)))
		b = append(b, kept...)
	}
	file = filepath.Join(t.TempDir(), "packets.pcap")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestEssential: the removed parts make no difference to the result.
func TestEssential(t *testing.T) {
	var packets [][]byte
	for _, packet := range vectors(t) {
		packets = append(packets, packet, packet[:len(packet)/2])
	}
	all := details(t, writeCapture(t, packets, 0), "-d", "udp.port==5556,bin")
	short := essential(all)
	if want, got := decode(t, all), decode(t, short); len(got) != len(packets) || !reflect.DeepEqual(got, want) {
		t.Errorf("%d datagrams, want %d; other fields than of the whole", len(got), len(want))
	}
	if len(short) > len(all)/2 || len(essential(all[:len(all)/2])) == 0 {
		t.Errorf("%d bytes left of %d", len(short), len(all))
	}
}
