package bin1_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
)

// A vector is a packet and what is to be made of it. Packets and fields are those of the test vectors in the
// specification, of real senders (V) and broken ones (X); the verdicts are ours.
type vector struct {
	name       string
	packet     []byte
	verdict    string
	capability string
	kind       string
	fields     dialog.Details
}

// fieldNames are the names of the fields in vector files, in the order of dialog.Details.
var fieldNames = strings.Fields(`callid from_tag to_tag from_uri to_uri h_id start_ts state caller_sock callee_sock caller_cseq callee_cseq
	caller_route_set callee_route_set caller_contact callee_contact mangled_from mangled_to vars profiles user_flags flags timeout
	caller_gen_cseq callee_gen_cseq`)

// vectors reads testdata/vectors. A file has lines of a key and a value, and behind the line "packet" the packet in
// hexadecimal.
func vectors(t testing.TB) []vector {
	t.Helper()
	files, err := filepath.Glob("testdata/vectors/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	var out []vector
	for _, file := range files {
		v, err := readVector(file)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out = append(out, v)
	}
	return out
}

func readVector(file string) (vector, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return vector{}, err
	}
	v := vector{name: strings.TrimSuffix(filepath.Base(file), ".txt")}
	head, digits, found := strings.Cut(string(text), "\npacket\n")
	if !found {
		return vector{}, fmt.Errorf("no packet")
	}
	if v.packet, err = hex.DecodeString(strings.ReplaceAll(digits, "\n", "")); err != nil {
		return vector{}, err
	}
	lines := bufio.NewScanner(strings.NewReader(head))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), " ")
		switch key {
		case "#":
		case "verdict":
			v.verdict = value
		case "capability":
			v.capability = value
		case "kind":
			v.kind = value
		default:
			if err := setField(&v.fields, key, value); err != nil {
				return vector{}, err
			}
		}
	}
	return v, lines.Err()
}

func setField(d *dialog.Details, key, value string) error {
	for i, name := range fieldNames {
		if name != key {
			continue
		}
		f := reflect.ValueOf(d).Elem().Field(i)
		if f.Kind() == reflect.String {
			f.SetString(strings.Trim(value, "`"))
			return nil
		}
		n, err := strconv.ParseUint(value, 10, 32)
		f.SetUint(n)
		return err
	}
	return fmt.Errorf("no field %q", key)
}

// goodPackets returns the well-formed dialog packets among the vectors, by name.
func goodPackets(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, v := range vectors(t) {
		if v.verdict == "dialog" {
			out[v.name] = v.packet
		}
	}
	return out
}

func TestVectors(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range vectors(t) {
		seen[v.name] = true
		t.Run(v.name, func(t *testing.T) {
			var ev dialog.Event
			got := bin1.Decode(v.packet, &ev)
			if got.String() != v.verdict {
				t.Fatalf("verdict %v, want %s", got, v.verdict)
			}
			if got == bin1.OtherCapability {
				if name := bin1.Capability(v.packet); string(name) != v.capability {
					t.Errorf("capability %q, want %q", name, v.capability)
				}
			}
			if got != bin1.Dialog {
				return
			}
			checkDecoded(t, v, &ev)
			if again := bin1.Append(nil, ev.Kind, ev.Body); !bytes.Equal(again, v.packet) {
				t.Errorf("encodes as\n%x, was\n%x", again, v.packet)
			}
			if bin1.Size(ev.Body) != len(v.packet) {
				t.Errorf("Size says %d, the packet has %d", bin1.Size(ev.Body), len(v.packet))
			}
		})
	}
	for prefix, n := range map[string]int{"V": 15, "X": 10} {
		for i := range n {
			if name := fmt.Sprintf("%s%02d", prefix, i+1); !seen[name] {
				t.Errorf("vector %s is missing", name)
			}
		}
	}
}

func checkDecoded(t *testing.T, v vector, ev *dialog.Event) {
	t.Helper()
	if ev.Kind.String() != v.kind {
		t.Errorf("kind %v, want %s", ev.Kind, v.kind)
	}
	if key := v.fields.AppendKey(nil); !bytes.Equal(ev.Key, key) {
		t.Errorf("key %q, want %q", ev.Key, key)
	}
	if ev.Kind == dialog.Delete {
		if !bytes.Equal(ev.Body, ev.Key) || ev.State != 0 || ev.Start != 0 || ev.Timeout != 0 {
			t.Errorf("deletion with more than a key: %+v", ev)
		}
		return
	}
	if got := ev.Body.Details(); got != v.fields {
		t.Errorf("fields\n%+v, want\n%+v", got, v.fields)
	}
	if ev.State != v.fields.State || ev.Start != v.fields.Start || ev.Timeout != v.fields.Timeout {
		t.Errorf("event says state %v, start %d, timeout %d", ev.State, ev.Start, ev.Timeout)
	}
	// From single fields to the packet, not by way of the decoder.
	if packet := bin1.Append(nil, ev.Kind, v.fields.AppendPacked(nil)); !bytes.Equal(packet, v.packet) {
		t.Errorf("its fields make\n%x, want\n%x", packet, v.packet)
	}
}

// The catalogue's check value of CRC-32/JAMCRC is that of the nine digits.
func TestChecksum(t *testing.T) {
	for covered, want := range map[string]uint32{"123456789": 0x340bc6d9, "": 0xffffffff} {
		if got := bin1.Checksum([]byte("P4CK????" + covered)); got != want {
			t.Errorf("checksum of %q is %#x, want %#x", covered, got, want)
		}
	}
}
