package wireshark

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// binrepd keeps no registrations, so there is no decoder to compare with. Here are the expected values of the test
// vectors, and a walk over the layout for the captures.

// registrations are the displayed fields of the vectors for capability ul, in the order of the packet.
var registrations = map[string]string{
	"V04": "aor_insert domain=location aor=alice0",
	"V05": "contact_insert domain=location aor=alice0 contact=sip:alice0@127.0.0.1:5090 callid=1-28796@127.0.0.1 user_agent=sipp " +
		"path= attr= received= instance= expires=1795400089 q=700 sock=udp:127.0.0.1:5060 cseq=1 flags=0x00000000 " +
		"cflags=0x00000000 methods=0xffffffff last_modified=1795399489",
	"V06": "contact_update domain=location aor=alice0 contact=sip:alice0@127.0.0.1:5090 callid=1-28796@127.0.0.1 user_agent=sipp " +
		"path= attr= received= instance= expires=1795400689 q=700 sock=udp:127.0.0.1:5060 cseq=2 flags=0x00000000 " +
		"cflags=0x00000000 methods=0xffffffff last_modified=1795399489",
	"V11": "contact_delete domain=location aor=alice contact=sip:alice@127.0.0.1:5090 callid=regcall@x cseq=2",
	"V12": "aor_delete domain=location aor=alice",
}

func compareRegistration(t *testing.T, name string, got *item, want string) {
	t.Helper()
	shown := got.show(t, "bin.command.name")
	got.walk(func(f *item) {
		if field, ok := strings.CutPrefix(f.Name, "bin.ul."); ok {
			value := f.Show
			if field == "expires" || field == "last_modified" {
				seconds := int64(binary.LittleEndian.Uint64(f.bytes(t)))
				if value != utc(seconds) {
					t.Errorf("%s: %s is shown as %s, want %s", name, field, value, utc(seconds))
				}
				value = fmt.Sprint(seconds)
			}
			shown += " " + field + "=" + value
		}
	})
	if shown != want {
		t.Errorf("%s: %s, want %s", name, shown, want)
	}
}

// ulLayout lists for each command which fields are strings (s), objects in strings (o) and numbers (n).
var ulLayout = map[uint32]string{1: "ss", 2: "ss", 3: "sssssssssoosnnnno", 4: "sssssssssoosnnnno", 5: "ssssn"}

// walkRegistration checks the bytes of every field of a registration.
func walkRegistration(t *testing.T, packet []byte, got *item) {
	t.Helper()
	fields := slices.DeleteFunc(got.all("bin.ul.aor"), func(*item) bool { return true })
	got.walk(func(f *item) {
		if strings.HasPrefix(f.Name, "bin.ul.") {
			fields = append(fields, f)
		}
	})
	layout := ulLayout[binary.LittleEndian.Uint32(packet[14:])]
	if len(fields) != len(layout) {
		t.Fatalf("%d fields, want %d", len(fields), len(layout))
	}
	rest := packet[18:]
	for i, kind := range layout {
		size := uint32(4)
		if kind != 'n' {
			size, rest = binary.LittleEndian.Uint32(rest), rest[4:]
		}
		if b := fields[i].bytes(t); !bytes.Equal(b, rest[:size]) {
			t.Errorf("%s is % x, want % x", fields[i].Name, b, rest[:size])
		}
		rest = rest[size:]
	}
	if len(rest) != 0 {
		t.Errorf("%d bytes left", len(rest))
	}
}
