package layout_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
)

// lines flattens JSON into one line "key=value" for each member that holds no other, in order. The containers of a
// list of dialogs differ between releases and are left out, as are dates and the names of user flags. An empty object
// is the empty text: 2.4 writes it so.
func lines(t *testing.T, b []byte) (out []string) {
	t.Helper()
	containers := []string{"children", "attributes", "CALLEES", "callee", "context", "values", "profiles", "Dialogs", "dialog", "result"}
	left := []string{"datestart", "dateout", "user_flags"}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	token := func() json.Token {
		tok, err := dec.Token()
		if err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		return tok
	}
	var walk func(key string)
	walk = func(key string) {
		switch tok := token(); tok {
		case json.Delim('['):
			for dec.More() {
				walk("")
			}
			token()
		case json.Delim('{'):
			if !dec.More() && key != "" && !slices.Contains(containers, key) {
				out = append(out, key+"=")
			}
			for dec.More() {
				walk(token().(string))
			}
			token()
		default:
			if !slices.Contains(left, key) {
				out = append(out, fmt.Sprintf("%s=%v", key, tok))
			}
		}
	}
	walk("")
	return out
}

// listed is a dialog of a proxy's list.
type listed struct {
	lines []string
	size  uint32 // of the proxy's hash table that explains the identifier, 0 if none does
}

// lists reads a list of 2.4 or of 3.0 and later, by (Call-ID, h_id). Only dialogs in state 3 and 4 count.
func lists(t *testing.T, file string) map[modelKey]listed {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var whole struct {
		Result struct{ Dialogs []json.RawMessage }
		Dialog []json.RawMessage
	}
	if err := json.Unmarshal(b, &whole); err != nil {
		t.Fatal(err)
	}
	out := map[modelKey]listed{}
	for _, raw := range append(whole.Result.Dialogs, whole.Dialog...) {
		l := listed{lines: lines(t, raw)}
		id, _ := strconv.ParseUint(value1(l.lines, "db_id"), 10, 64)
		if id == 0 {
			id, _ = strconv.ParseUint(value1(l.lines, "ID"), 10, 64)
		}
		if state := value1(l.lines, "state"); state != "3" && state != "4" {
			continue
		}
		callID := value1(l.lines, "callid")
		if size := uint32(layout.DefaultHashSize); layout.HashEntry([]byte(callID), size) == uint32(id>>32) {
			l.size = size
		}
		out[modelKey{callID, uint32(id)}] = l
	}
	return out
}

func value1(lines []string, key string) string {
	for _, l := range lines {
		if v, ok := strings.CutPrefix(l, key+"="); ok {
			return v
		}
	}
	return ""
}

// differences tells which keys differ, timeouts by more than 2 seconds. The order counts.
func differences(is, want []string) (keys []string) {
	for i := range max(len(is), len(want)) {
		switch {
		case i >= len(is):
			keys = append(keys, "missing "+want[i])
		case i >= len(want):
			keys = append(keys, "extra "+is[i])
		case is[i] != want[i]:
			key, number, _ := strings.Cut(is[i], "=")
			a, _ := strconv.Atoi(number)
			b, _ := strconv.Atoi(strings.TrimPrefix(want[i], "timeout="))
			if key != "timeout" || a-b > 2 || b-a > 2 {
				keys = append(keys, key+" is "+number+", want "+want[i])
			}
		}
	}
	return keys
}

// What a member prints of the dialogs of a capture is what the proxy's own dlg_list_ctx prints, key by key and in its
// order. The captures' README explains the only differences: a re-INVITE announces neither its SDP nor, in 2.4, the
// values written by it.
func TestPrintedAsTheProxyLists(t *testing.T) {
	for _, c := range [...]struct {
		name           string
		dialogs        int
		reinvites      int // dialogs that may differ
		inSDP, inValue bool
	}{
		{"2.4/S1", 120, 20, false, true}, {"2.4/S2", 400, 20, false, true},
		{"3.6/S1", 120, 20, true, false}, {"3.6/S1b", 120, 20, true, false}, {"3.6/S2", 400, 0, false, false},
		{"3.6/S4", 100, 0, false, false}, {"3.6/S5", 20, 0, false, false}, {"4.0/S1", 120, 20, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := layouttest.Captures(t, "tcp/"+c.name+".pcap")[0]
			packets, err := layouttest.Packets(file, port)
			if err != nil {
				t.Fatal(err)
			}
			m := newModel(t)
			for i := range packets {
				m.packet(&packets[i])
			}
			want := lists(t, strings.TrimSuffix(file, ".pcap")+".dlg_list_ctx.json")
			brief := lists(t, strings.TrimSuffix(file, ".pcap")+".dlg_list.json")
			if len(want) != c.dialogs || len(m.live) != c.dialogs {
				t.Fatalf("%d dialogs, the proxy lists %d, want %d", len(m.live), len(want), c.dialogs)
			}
			different := 0
			for key, v := range m.live {
				w, ok := want[key]
				if !ok || w.size == 0 {
					t.Errorf("%v: in the list: %v, hash size %d", key, ok, w.size)
					continue
				}
				keys := differences(lines(t, v.AppendJSON(nil, layout.Print{HashSize: w.size, Listed: true})), w.lines)
				keys = append(keys, differences(lines(t, v.AppendJSON(nil, layout.Print{HashSize: w.size, Listed: true, Brief: true})), brief[key].lines)...)
				if len(keys) > 0 {
					different++
				}
				for _, k := range keys {
					if strings.Contains(k, "_sdp") && c.inSDP || c.inValue && !strings.HasPrefix(k, "c") {
						continue
					}
					t.Errorf("%v: %s", key, k)
				}
			}
			if different > c.reinvites {
				t.Errorf("%d dialogs differ, at most %d may", different, c.reinvites)
			}
		})
	}
}

// A replica of generation 1 prints what the sender's dlg_list prints. The list of the capture has other identifiers
// and another order.
func TestPrintedAsGeneration1Lists(t *testing.T) {
	for _, file := range layouttest.Captures(t, "*.pcap") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			datagrams, err := layouttest.Datagrams(file)
			if err != nil {
				t.Fatal(err)
			}
			live := map[string]layout.View{}
			for _, b := range datagrams {
				if string(b[12:18]) != "dialog" || b[18] == 3 {
					continue
				}
				var v layout.View
				if fault := layout.Parse(layout.UDP, b[22:], &v); fault != layout.NoFault {
					t.Fatal(fault)
				}
				key := string(v.Bytes(layout.CallID))
				if old, ok := live[key]; !ok || v.Number(layout.State) >= old.Number(layout.State) {
					live[key] = v
				}
			}
			list, err := os.ReadFile(strings.TrimSuffix(file, ".pcap") + ".dialogs.jsonl")
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for line := range bytes.Lines(list) {
				want := lines(t, line)
				if value1(want, "state") != "4" && value1(want, "state") != "3" {
					continue
				}
				n++
				v, ok := live[value1(want, "callid")]
				if !ok {
					t.Errorf("%s isn't there", value1(want, "callid"))
					continue
				}
				is := lines(t, v.AppendJSON(nil, layout.Print{HashSize: layout.DefaultHashSize, Listed: true, Brief: true}))
				if hash := value1(want, "h_entry") + ":" + value1(want, "h_id"); value1(is, "hash") != hash {
					t.Errorf("hash %s, want %s", value1(is, "hash"), hash)
				}
				drop := func(l string) bool {
					return strings.HasPrefix(l, "h_") || strings.HasPrefix(l, "hash=") || strings.HasPrefix(l, "dialog_id=")
				}
				is, want = slices.DeleteFunc(is, drop), slices.DeleteFunc(want, drop)
				sort.Strings(is)
				sort.Strings(want)
				if d := differences(is, want); len(d) > 0 {
					t.Errorf("%s: %v", value1(want, "callid"), d)
				}
			}
			if n < 120 {
				t.Errorf("%d dialogs compared", n)
			}
		})
	}
}

// A full print, field by field, of one dialog with odd bytes.
func TestPrint(t *testing.T) {
	var f layout.Fields
	for i := range layout.NumFields {
		f.Numbers[i] = uint32(i)
		f.Strings[i] = []byte(i.String())
	}
	f.Strings[layout.CallID] = []byte("a\"\\\n\x1b\x7f\xc2\x9b\xe9\xc3\xa9")
	f.Strings[layout.Values] = []byte(`dlgX_shtag#1#vip|n#2#-007|o\|d\##1#\\|`)
	f.Strings[layout.Profiles] = []byte(`broken`)
	f.Numbers[layout.State] = 4
	f.Numbers[layout.Flags] = layout.FlagByeOnTimeout | layout.FlagInitialised | 1<<31
	body, _ := f.Append(nil, layout.Bin5)
	var v layout.View
	if fault := layout.Parse(layout.Bin5, body, &v); fault != layout.NoFault {
		t.Fatal(fault)
	}
	got := v.AppendJSON(nil, layout.Print{})
	const want = `{"state":4,"user_flags":"26","timestart":6,"timeout":31,` +
		`"callid":"a\"\\\n\\x1b\\x7f\\xc2\\x9b\\xe9é","from_uri":"from_uri","to_uri":"to_uri","caller_tag":"from_tag",` +
		`"caller_contact":"caller_contact","callee_cseq":"caller_cseq","caller_route_set":"caller_route_set","caller_bind_addr":"caller_sock",` +
		`"caller_sdp":"caller_in_sdp","caller_sent_sdp":"caller_out_sdp","CALLEES":[{"callee_tag":"to_tag","callee_contact":"callee_contact",` +
		`"caller_cseq":"callee_cseq","callee_route_set":"callee_route_set","callee_bind_addr":"callee_sock","callee_sdp":"callee_in_sdp",` +
		`"callee_sent_sdp":"callee_out_sdp"}],"context":{"values":[{"dlgX_shtag":"vip"},{"n":-7},{"o|d#":"\\"}],"profiles_raw":"broken"},` +
		`"h_id":5,"mangled_from_uri":"mangled_from_uri","mangled_to_uri":"mangled_to_uri","caller_adv_contact":"caller_adv_contact",` +
		`"callee_adv_contact":"callee_adv_contact","mod_flags":27,"flags":2147483672,"options_ping_interval":29,"reinvite_ping_interval":30,` +
		`"caller_last_gen_cseq":32,"callee_last_gen_cseq":33,"rt_on_answer":"rt_on_answer","rt_on_timeout":"rt_on_timeout",` +
		`"rt_on_hangup":"rt_on_hangup","flag_names":["bye_on_timeout","initialised"],"layout":"bin 5 (next)"}`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if tag := v.Tag(); string(tag) != "vip" {
		t.Errorf("tag %q", tag)
	}
}

// Whatever a dialog holds, the print is valid JSON.
func TestPrintIsJSON(t *testing.T) {
	var v layout.View
	every(t, 200, func(t *testing.T, rng *rand.Rand, id layout.ID, body []byte) {
		layout.Parse(id, body, &v)
		for _, p := range [...]layout.Print{{}, {HashSize: 4096}, {Brief: true}, {Listed: true}} {
			if b := v.AppendJSON(nil, p); !json.Valid(b) {
				t.Fatalf("%s", b)
			}
		}
	})
}

// Values of HashEntry in the specification of generation 1, section 2.5, and identifiers of MI answers.
func TestIdentifiers(t *testing.T) {
	for callID, want := range map[string]uint32{
		"": 0, "a": 109, "abcd": 1048, "102-28794@127.0.0.1": 16, "3-28797@127.0.0.1": 21, "45-28924@127.0.0.1": 9,
		"\xc3\xa9t\xc3\xa9@x": 3462,
	} {
		if got := layout.HashEntry([]byte(callID), 4096); got != want {
			t.Errorf("%q: %d, want %d", callID, got, want)
		}
	}
	if id := layout.AppendDialogID(nil, 161, 0x4e0aab21); string(id) != "1a.12baa0e4" {
		t.Errorf("%s", id)
	}
	if id := layout.AppendDialogID(nil, 2335, 0x1a0f4c24); string(id) != "f19.42c4f0a1" {
		t.Errorf("%s", id)
	}
}
