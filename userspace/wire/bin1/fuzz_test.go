package bin1_test

import (
	"bytes"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/wire/bin1"
)

// signed returns packet, and a copy with the right checksum, without which hardly any input would get past it.
func signed(packet []byte) [][]byte {
	if len(packet) < offName {
		return [][]byte{packet}
	}
	return [][]byte{packet, sign(bytes.Clone(packet))}
}

func addVectors(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.packet)
		var ev dialog.Event
		if bin1.Decode(v.packet, &ev) == bin1.Dialog {
			f.Add(bin1.Dialect{}.AppendStamped(nil, ev.Kind, ev.Body, &changes.Change{Stamp: changes.Stamp{Origin: 7, Seq: 9}}))
		}
	}
}

// Whatever comes in, Decode doesn't panic, names a verdict, and hands out views of the packet and of nothing else.
func FuzzDecode(f *testing.F) {
	addVectors(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		for _, packet := range signed(input) {
			before := bytes.Clone(packet)
			var ev dialog.Event
			v := bin1.Decode(packet, &ev)
			if v >= bin1.Verdicts {
				t.Fatalf("verdict %d", v)
			}
			if !bytes.Equal(before, packet) {
				t.Fatal("the packet was written to")
			}
			name := bin1.Capability(packet)
			if (v == bin1.Dialog) && string(name) != "dialog" || v == bin1.OtherCapability && (len(name) == 0 || string(name) == "dialog") {
				t.Fatalf("%v for capability %q", v, name)
			}
			if v != bin1.Dialog {
				continue
			}
			fields := packet[offFields:]
			if ev.Peer != 0 {
				fields = fields[:len(fields)-bin1.Dialect{}.StampSize()]
				if stamp := bin1.StampOf(packet); stamp.Origin == 0 || stamp.Seq == 0 || stamp.Peer() != ev.Peer {
					t.Fatalf("stamp %+v", stamp)
				}
			}
			if len(ev.Body) != len(fields) || &ev.Body[0] != &fields[0] || len(ev.Key) > len(fields) || &ev.Key[0] != &fields[0] {
				t.Fatal("views that are not the fields of the packet")
			}
			callID, rest := ev.Key.Part()
			fromTag, rest := rest.Part()
			toTag, rest := rest.Part()
			if len(callID) == 0 || len(rest) > 0 || len(callID)+len(fromTag)+len(toTag)+12 != len(ev.Key) {
				t.Fatalf("key of %q, %q, %q and %q", callID, fromTag, toTag, rest)
			}
			if ev.Kind != dialog.Delete && !ev.State.Valid() || ev.Kind == dialog.Delete && ev.State != 0 {
				t.Fatalf("%v in state %v", ev.Kind, ev.State)
			}
		}
	})
}

// What Decode accepts, Append makes again to the byte, and so do the fields one by one.
func FuzzRoundTrip(f *testing.F) {
	addVectors(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		for _, packet := range signed(input) {
			var ev, again dialog.Event
			if bin1.Decode(packet, &ev) != bin1.Dialog {
				continue
			}
			encoded, size := bin1.Append(nil, ev.Kind, ev.Body), bin1.Size(ev.Body)
			if ev.Peer != 0 {
				c := changes.Change{Stamp: bin1.StampOf(packet), Moment: ev.Moment}
				encoded, size = bin1.Dialect{}.AppendStamped(nil, ev.Kind, ev.Body, &c), size+bin1.Dialect{}.StampSize()
			}
			if !bytes.Equal(encoded, packet) || size != len(packet) {
				t.Fatalf("encodes as\n%x, was\n%x", encoded, packet)
			}
			if v := bin1.Decode(encoded, &again); v != bin1.Dialog || again.Kind != ev.Kind || !bytes.Equal(again.Key, ev.Key) {
				t.Fatalf("decodes as %v, %+v, was %+v", v, again, ev)
			}
			if ev.Kind == dialog.Delete {
				continue
			}
			d := ev.Body.Details()
			if d.State != ev.State || d.Start != ev.Start || d.Timeout != ev.Timeout {
				t.Fatalf("event %+v of dialog %+v", ev, d)
			}
			if packed := d.AppendPacked(nil); !bytes.Equal(packed, ev.Body) {
				t.Fatalf("its fields pack as\n%x, were\n%x", packed, ev.Body)
			}
		}
	})
}

// The walk over a list ends, and what it found means the same when it is written and read again.
func FuzzPairs(f *testing.F) {
	for _, list := range []string{"", `route#gw1;pri=1\|x|account#a|`, "inbound#|", `a\\b\#c\|d#\\\|e\\\\f|`, `x\q#y|`, "a#b", "a|", "a#b#|", "#|", `\`} {
		f.Add([]byte(list))
	}
	f.Fuzz(func(t *testing.T, list []byte) {
		type pair struct{ name, value string }
		read := func(list []byte) (out []pair, err error) {
			pairs := bin1.PairsOf(list)
			for pairs.Next() {
				out = append(out, pair{pairs.Name.String(), pairs.Value.String()})
			}
			return out, pairs.Err()
		}
		first, err := read(list)
		model, modelErr := readPairs(list)
		if (err == nil) != (modelErr == "") || len(first) != len(model) {
			t.Fatalf("%q: %d pairs, %v; the model has %d, %q", list, len(first), err, len(model), modelErr)
		}
		var written []byte
		for i, p := range first {
			if p.name == "" || p.name != model[i][0] || p.value != model[i][1] {
				t.Fatalf("%q: pair %d is %q, the model has %q", list, i, p, model[i])
			}
			written = bin1.AppendPair(written, p.name, p.value)
		}
		second, err := read(written)
		if err != nil || len(second) != len(first) {
			t.Fatalf("%q is written as %q, which has %d pairs instead of %d, %v", list, written, len(second), len(first), err)
		}
		for i := range first {
			if first[i] != second[i] {
				t.Fatalf("%q becomes %q", first[i], second[i])
			}
		}
	})
}

// readPairs is a slow and obvious reader of lists, byte by byte.
func readPairs(list []byte) (pairs [][2]string, fault string) {
	var parts []string // name and value of the pair so far
	part := ""
	for i := 0; i < len(list); i++ {
		switch c := string(list[i]); {
		case c == `\` && i+1 < len(list) && bytes.IndexByte([]byte(`\#|`), list[i+1]) >= 0:
			i++
			part += string(list[i : i+1])
		case c == "#":
			if parts = append(parts, part); len(parts) > 1 || part == "" {
				return pairs, "#"
			}
			part = ""
		case c == "|":
			if len(parts) == 0 {
				return pairs, "|"
			}
			pairs = append(pairs, [2]string{parts[0], part})
			parts, part = nil, ""
		default:
			part += string(list[i : i+1])
		}
	}
	if len(parts) > 0 || part != "" {
		return pairs, "end"
	}
	return pairs, ""
}
