package audit

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/mi"
	"binrepd/userspace/mi/mitest"
)

func TestUnescape(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "plain", `\xe9`: "\xe9", `a\tb\n\r`: "a\tb\n\r", `a|b#c\d|#"q"`: `a|b#c\d|#"q"`, `\x`: `\x`, `\xz9`: `\xz9`, `\`: `\`, "": "",
	} {
		if got := unescape(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestLayoutFor(t *testing.T) {
	for version, want := range map[string]layout.ID{
		"OpenSIPS (1.10.5-notls (x86_64/linux))": layout.UDP, "OpenSIPS (2.1.6 (x86_64/linux))": layout.UDP,
		"OpenSIPS (2.2.0 (x86_64/linux))": layout.Bin1Plain, "OpenSIPS (2.4.11 (x86_64/linux))": layout.Bin1TwoSDP, "": layout.UDP, "OpenSIPS": layout.UDP,
	} {
		if got := LayoutFor(mi.Text, version); got != want {
			t.Errorf("%q: %s, want %s", version, got, want)
		}
	}
	if got := LayoutFor(mi.RPC, "OpenSIPS (3.6.8 (x86_64/linux))"); got != layout.Bin4Typed {
		t.Error(got)
	}
}

// TestEveryField: a change of any field that is compared is found, under its name.
func TestEveryField(t *testing.T) {
	base := mitest.Call(1)
	base.ID = 5<<32 | 77
	base.Caller.SDP, base.Callees[0].SentSDP = "v=0", "v=1"
	base.Callees[0].CSeq = "7"
	view := viewOf(t, base)
	if d := Compare(&base, view); len(d) != 0 {
		t.Fatalf("equal: %v", d)
	}
	for field, change := range map[string]func(d *mi.Dialog){
		"h_id": func(d *mi.Dialog) { d.ID++ }, "timestart": func(d *mi.Dialog) { d.Start++ }, "timeout": func(d *mi.Dialog) { d.Timeout -= 3 },
		"from_uri": func(d *mi.Dialog) { d.From = "x" }, "to_uri": func(d *mi.Dialog) { d.To = "x" },
		"caller_contact": func(d *mi.Dialog) { d.Caller.Contact = "x" }, "callee_contact": func(d *mi.Dialog) { d.Callees[0].Contact = "x" },
		"caller_route_set": func(d *mi.Dialog) { d.Caller.Routes = "" }, "callee_route_set": func(d *mi.Dialog) { d.Callees[0].Routes = "x" },
		"caller_bind_addr": func(d *mi.Dialog) { d.Caller.Socket = "udp:192.0.2.9:5060" },
		"callee_bind_addr": func(d *mi.Dialog) { d.Callees[0].Socket = "udp:192.0.2.9:5060" },
		"caller_cseq":      func(d *mi.Dialog) { d.Callees[0].CSeq = "6" }, "user_flags": func(d *mi.Dialog) { d.Flags = "4" },
		"caller_sdp": func(d *mi.Dialog) { d.Caller.SDP = "x" }, "callee_sent_sdp": func(d *mi.Dialog) { d.Callees[0].SentSDP = "x" },
		"values": func(d *mi.Dialog) { d.Values = d.Values[:1] }, "profiles": func(d *mi.Dialog) { d.Profiles = []mi.Value{{Name: "caller", Value: "b"}} },
	} {
		d := base
		d.Callees = []mi.Leg{base.Callees[0]}
		change(&d)
		if got := Compare(&d, view); len(got) != 1 || got[0].Field != field || got[0].Here == got[0].Proxy {
			t.Errorf("%s: %+v", field, got)
		}
	}
	for what, change := range map[string]func(d *mi.Dialog){
		"timeout": func(d *mi.Dialog) { d.Timeout += 2 }, "newer cseq": func(d *mi.Dialog) { d.Callees[0].CSeq = "8" },
		"cseq 0": func(d *mi.Dialog) { d.Callees[0].CSeq = "0" }, "state": func(d *mi.Dialog) { d.State = 3 },
		"names of flags": func(d *mi.Dialog) { d.Flags, d.FlagNames = "4", true }, "no context": func(d *mi.Dialog) { d.Values, d.Profiles = nil, nil },
		"lost profiles": func(d *mi.Dialog) { d.Profiles, d.ProfilesLost = d.Profiles[:1], true }, "no SDP": func(d *mi.Dialog) { d.Caller.SDP = "" },
		"no number": func(d *mi.Dialog) { d.ID = 0 },
	} {
		d := base
		d.Callees = []mi.Leg{base.Callees[0]}
		change(&d)
		if got := Compare(&d, view); len(got) != 0 {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

// viewOf returns a dialog as the table holds it.
func viewOf(t *testing.T, d mi.Dialog) *dialog.View {
	t.Helper()
	body, ok := Append(nil, &d, layout.Bin4Typed)
	if !ok {
		t.Fatalf("can't build %+v", d)
	}
	table, err := dialog.NewTable(dialog.Config{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	var v layout.View
	if fault := layout.Parse(layout.Bin4Typed, body, &v); fault != layout.NoFault {
		t.Fatal(fault)
	}
	var ev dialog.Event
	ev.SetSnapshot(&v, dialog.Update)
	s := table.Lock(0)
	s.Apply([]*dialog.Event{&ev}, d.Start)
	s.Unlock()
	var copied []byte
	table.Get(0, []byte(d.CallID), func(v *dialog.View) bool { copied = v.AppendCopy(nil); return false })
	out := dialog.ViewOf(copied)
	return &out
}

// TestRecordedAnswers: what real proxies answered is built into dialogs, and compares as equal.
func TestRecordedAnswers(t *testing.T) {
	folder := filepath.Join("..", "..", "..", "..", "shared", "captures", "mi")
	if _, err := os.Stat(folder); err != nil {
		if os.Getenv("BINREPD_REQUIRE_CAPTURES") == "1" {
			t.Fatalf("needs answers of real proxies, and BINREPD_REQUIRE_CAPTURES=1 forbids skipping: %v", err)
		}
		t.Skipf("needs answers of real proxies: %v", err)
	}
	for _, release := range []string{"1.11", "2.1", "2.4", "3.4", "3.6", "4.0"} {
		t.Run(release, func(t *testing.T) {
			read := func(name string) []byte {
				b, err := os.ReadFile(filepath.Join(folder, release, name))
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
			version, list := read("http.version.json"), read("http.dlg_list_ctx.json")
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				answer, body := list, make([]byte, 1000)
				n, _ := r.Body.Read(body)
				if strings.Contains(string(body[:n])+r.URL.Path, "version") {
					answer = version
				}
				// The answers have the id of the recorded requests.
				if id := strings.Index(string(body[:n]), `"id":`); id >= 0 {
					asked, _, _ := strings.Cut(string(body[id+len(`"id":`):n]), ",")
					at := strings.LastIndex(string(answer), `"id":`)
					answer = []byte(string(answer[:at]) + `"id":` + asked + "}")
				}
				_, _ = w.Write(answer)
			}))
			defer server.Close()
			address, err := mi.ParseAddress(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			c, err := mi.Connect(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			id := LayoutFor(c.Dialect(), c.Version())
			table, err := dialog.NewTable(dialog.Config{Shards: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer table.Close()
			steering := packets.Steering{K0: 3}
			_, err = c.Dialogs(t.Context(), true, func(d mi.Dialog) error {
				body, ok := Append(nil, &d, id)
				if !ok {
					if d.Answered() {
						t.Errorf("can't build %+v", d)
					}
					return nil
				}
				var v layout.View
				if fault := layout.Parse(id, body, &v); fault != layout.NoFault {
					t.Fatal(fault)
				}
				var ev dialog.Event
				ev.SetSnapshot(&v, dialog.Update)
				ev.Hash = steering.CallID(ev.CallID())
				s := table.Lock(table.ShardOf(ev.Hash))
				s.Apply([]*dialog.Event{&ev}, 1_795_883_000)
				s.Unlock()
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			counts := table.Counts()
			if counts.Live() < 15 {
				t.Fatalf("%d live dialogs", counts.Live())
			}
			r, err := Run(t.Context(), Config{
				Proxy: c, Table: table, Steering: steering, Now: func() int64 { return 1_795_890_000 },
				Wait: func(context.Context) error { return nil },
				Each: func(f *Finding) error { t.Errorf("%+v", f); return nil },
			})
			if err != nil || r.Compared < 15 || r.Compared != r.Proxy {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}
