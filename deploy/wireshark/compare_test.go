package wireshark

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"binrepd/dialog"
	"binrepd/dialog/escape"
	"binrepd/userspace/wire/bin1"
)

// dialogFields are the names of the fields of a dialog, in the order of dialog.Field.
var dialogFields = [dialog.NumFields]string{
	"callid", "from_tag", "to_tag", "from_uri", "to_uri", "h_id", "start_ts", "state", "caller_sock", "callee_sock",
	"caller_cseq", "callee_cseq", "caller_route_set", "callee_route_set", "caller_contact", "callee_contact",
	"mangled_from", "mangled_to", "vars", "profiles", "user_flags", "flags", "timeout", "caller_gen_cseq", "callee_gen_cseq",
}

// flagBits are the flags that have a name in the dissector.
var flagBits = map[string]uint32{
	"has_bye": 4, "bye_on_timeout": 8, "initial": 0x10, "ping_caller": 0x20, "ping_callee": 0x40,
	"topology_hiding": 0x80, "db_deleted": 0x200, "keep_user": 0x400,
}

// compare compares the dissector's result for packet with package bin1.
func compare(t *testing.T, packet []byte, got *item) {
	t.Helper()
	var ev dialog.Event
	verdict := bin1.Decode(packet, &ev)
	if shown := got.show(t, "bin.verdict"); shown != verdict.String() {
		t.Fatalf("verdict %s, want %s: % x", shown, verdict, packet[:min(len(packet), 64)])
	}
	if ok := verdict == bin1.Dialog || verdict == bin1.OtherCapability; !ok && len(got.all("bin.expert."+verdict.String())) == 0 {
		t.Errorf("no expert information about %s", verdict)
	}
	if verdict == bin1.Short || verdict == bin1.NotBIN {
		return
	}
	status := map[bin1.Verdict]string{bin1.BadChecksum: "bad", bin1.BigEndian: "big_endian"}[verdict]
	if status == "" {
		status = "good"
	}
	if shown := got.show(t, "bin.checksum.status"); shown != status {
		t.Errorf("checksum %s, want %s", shown, status)
	}
	if verdict != bin1.Dialog {
		return
	}
	if name := got.show(t, "bin.command.name"); name != ev.Kind.String() {
		t.Errorf("command %s, want %s", name, ev.Kind)
	}
	compareDialog(t, &ev, got)
}

// compareDialog compares every field of a well-formed event: order, bytes and the text of numbers.
func compareDialog(t *testing.T, ev *dialog.Event, got *item) {
	t.Helper()
	fields := []*item{}
	got.walk(func(f *item) {
		if name, ok := strings.CutPrefix(f.Name, "bin.dialog."); ok && slices.Contains(dialogFields[:], name) {
			fields = append(fields, f)
		}
	})
	key := ev.Key
	for i, name := range dialogFields[:3] {
		var want []byte
		want, key = key.Part()
		checkField(t, fields, i, name, want)
	}
	if ev.Kind == dialog.Delete {
		if len(fields) != 3 {
			t.Errorf("a deletion with %d fields", len(fields))
		}
		return
	}
	if len(fields) != len(dialogFields) {
		t.Fatalf("%d fields, want %d", len(fields), len(dialogFields))
	}
	all := ev.Body.Fields()
	for i := range dialog.NumFields {
		name := dialogFields[i]
		switch i {
		case dialog.HID, dialog.StateField, dialog.CallerGenCSeq, dialog.CalleeGenCSeq:
			checkNumber(t, fields, int(i), name, all.Number(i), fmt.Sprint(all.Number(i)))
		case dialog.Start, dialog.Timeout:
			checkNumber(t, fields, int(i), name, all.Number(i), utc(int64(all.Number(i))))
		case dialog.UserFlags, dialog.Flags:
			checkNumber(t, fields, int(i), name, all.Number(i), fmt.Sprintf("0x%08x", all.Number(i)))
		default:
			checkField(t, fields, int(i), name, all.Bytes(i))
		}
	}
	for name, bit := range flagBits {
		want := map[bool]string{false: "0", true: "1"}[all.Number(dialog.Flags)&bit != 0]
		if shown := got.show(t, "bin.dialog.flags."+name); shown != want {
			t.Errorf("flag %s is %s of flags %#x", name, shown, all.Number(dialog.Flags))
		}
	}
	comparePairs(t, got, "vars", "var", all.Bytes(dialog.Vars))
	comparePairs(t, got, "profiles", "profile", all.Bytes(dialog.Profiles))
}

// utc formats a time as tshark does.
func utc(seconds int64) string {
	return time.Unix(seconds, 0).UTC().Format("Jan _2, 2006 15:04:05.000000000 UTC")
}

func checkField(t *testing.T, fields []*item, i int, name string, want []byte) {
	t.Helper()
	if i >= len(fields) {
		t.Fatalf("field %d, %s, is missing", i, name)
	}
	f := fields[i]
	if f.Name != "bin.dialog."+name {
		t.Errorf("field %d is %s, want %s", i, f.Name, name)
	}
	if got := f.bytes(t); !bytes.Equal(got, want) {
		t.Errorf("%s is %q, want %q", name, got, want)
	}
	if !shows(f.Show, want) {
		t.Errorf("%s is shown as %q, want %q", name, f.Show, want)
	}
}

func checkNumber(t *testing.T, fields []*item, i int, name string, value uint32, shown string) {
	t.Helper()
	f := fields[i]
	if f.Name != "bin.dialog."+name || f.Show != shown {
		t.Errorf("field %d is %s, %q, want %s, %q", i, f.Name, f.Show, name, shown)
	}
	if got := f.bytes(t); !bytes.Equal(got, binary.LittleEndian.AppendUint32(nil, value)) {
		t.Errorf("%s has the bytes % x, want those of %d", name, got, value)
	}
}

// comparePairs compares the names and values of a list, and checks that a malformed list is reported.
func comparePairs(t *testing.T, got *item, field, pair string, list []byte) {
	t.Helper()
	names, values := got.all("bin.dialog."+pair+".name"), got.all("bin.dialog."+pair+".value")
	pairs := bin1.PairsOf(list)
	n := 0
	for ; pairs.Next(); n++ {
		if n >= len(names) || n >= len(values) {
			t.Fatalf("%s: %d pairs, want more: %q", field, n, list)
		}
		for _, part := range [...]struct {
			got  *item
			want bin1.Escaped
		}{{names[n], pairs.Name}, {values[n], pairs.Value}} {
			if !shows(part.got.Show, []byte(part.want.String())) {
				t.Errorf("%s: pair %d: %q, want %q", field, n, part.got.Show, part.want)
			}
			if raw := part.got.bytes(t); !bytes.Equal(raw, part.want) {
				t.Errorf("%s: pair %d: bytes %q, want %q", field, n, raw, part.want)
			}
		}
	}
	if n != len(names) || n != len(values) {
		t.Errorf("%s: %d names and %d values, want %d: %q", field, len(names), len(values), n, list)
	}
	if bad := pairs.Err() != nil; bad != said(got, "bin.dialog."+field, "bin.expert.bad_pairs") {
		t.Errorf("%s: expert information about %q, which is wrong: %t", field, list, bad)
	}
}

// said reports whether a field with this name has expert information of this kind.
func said(got *item, field, expert string) bool {
	return slices.ContainsFunc(got.all(field), func(f *item) bool { return len(f.all(expert)) > 0 })
}

// shows reports whether text is a string in the notation of package escape, with nothing in it that a terminal obeys.
func shows(text string, of []byte) bool {
	return escape.Parse(text) == string(of) && strings.IndexFunc(text, unicode.IsControl) < 0
}
