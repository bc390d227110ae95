package bin1test

import (
	"strings"
	"testing"

	"binrepd/dialog"
)

// someDialog has something else in every field.
func someDialog() dialog.Details {
	return dialog.Details{
		CallID: "call", FromTag: "ft", ToTag: "tt", FromURI: "sip:f", ToURI: "sip:t", HID: 1, Start: 1000, State: dialog.Confirmed,
		CallerSocket: "udp:192.0.2.1:5060", CalleeSocket: "udp:192.0.2.2:5060", CallerCSeq: "3", CalleeCSeq: "40",
		CallerRouteSet: "<sip:r1>", CalleeRouteSet: "<sip:r2>", CallerContact: "sip:c1", CalleeContact: "sip:c2",
		MangledFrom: "sip:m1", MangledTo: "sip:m2", Vars: "a#b|", Profiles: "c#d|",
		UserFlags: 8, Flags: 24, Timeout: 5000, CallerGenCSeq: 6, CalleeGenCSeq: 7,
	}
}

// someLine is how dlg_list prints someDialog, numbers partly as text.
const someLine = `{"CALLEES": [{"callee_tag": "tt", "callee_contact": "sip:c2", "caller_cseq": "40", "callee_route_set": "<sip:r2>",
	"callee_bind_addr": "udp:192.0.2.2:5060"}], "h_entry": 1, "h_id": 1, "state": 4, "user_flags": "8", "timestart": "1000",
	"timeout": 5001, "callid": "call", "from_uri": "sip:f", "to_uri": "sip:t", "caller_tag": "ft", "caller_contact": "sip:c1",
	"callee_cseq": "3", "caller_route_set": "<sip:r1>", "caller_bind_addr": "udp:192.0.2.1:5060"}`

func TestDiff(t *testing.T) {
	want, err := ReadListed(strings.NewReader(someLine))
	if err != nil {
		t.Fatal(err)
	}
	if lines := Diff([]dialog.Details{someDialog()}, want); lines != nil {
		t.Fatalf("differences where there are none: %q", lines)
	}
	for name, c := range map[string]struct {
		change func(d *dialog.Details)
		line   string // part of the line that must be reported; "" where there must be none
	}{
		"from_uri":         {func(d *dialog.Details) { d.FromURI = "x" }, `from_uri is "x", expected "sip:f"`},
		"to_uri":           {func(d *dialog.Details) { d.ToURI = "x" }, `to_uri is "x"`},
		"state":            {func(d *dialog.Details) { d.State = dialog.Answered }, "state is 3, expected 4"},
		"user_flags":       {func(d *dialog.Details) { d.UserFlags = 0 }, "user_flags is 0, expected 8"},
		"start":            {func(d *dialog.Details) { d.Start++ }, "timestart is 1001"},
		"timeout, near":    {func(d *dialog.Details) { d.Timeout -= 1 }, ""},
		"timeout, early":   {func(d *dialog.Details) { d.Timeout -= 2 }, "timeout is 4998, expected 5001"},
		"timeout, late":    {func(d *dialog.Details) { d.Timeout += 4 }, "timeout is 5004"},
		"caller contact":   {func(d *dialog.Details) { d.CallerContact = "x" }, "caller_contact is"},
		"callee contact":   {func(d *dialog.Details) { d.CalleeContact = "x" }, "callee_contact is"},
		"caller route set": {func(d *dialog.Details) { d.CallerRouteSet = "x" }, "caller_route_set is"},
		"callee route set": {func(d *dialog.Details) { d.CalleeRouteSet = "x" }, "callee_route_set is"},
		"caller socket":    {func(d *dialog.Details) { d.CallerSocket = "x" }, "caller_bind_addr is"},
		"callee socket":    {func(d *dialog.Details) { d.CalleeSocket = "x" }, "callee_bind_addr is"},
		"CSeqs swapped":    {func(d *dialog.Details) { d.CallerCSeq, d.CalleeCSeq = "40", "3" }, `callee_cseq is "40", expected "3"`},
		"older CSeq":       {func(d *dialog.Details) { d.CalleeCSeq = "9" }, ""},
		"newer CSeq":       {func(d *dialog.Details) { d.CalleeCSeq = "41" }, `caller_cseq is "41"`},
		"no CSeq":          {func(d *dialog.Details) { d.CalleeCSeq = "" }, `caller_cseq is ""`},
		"not in dlg_list":  {func(d *dialog.Details) { d.MangledTo, d.Vars, d.Flags = "x", "x", 0 }, ""},
		"Call-ID":          {func(d *dialog.Details) { d.CallID = "x" }, `["call" "ft" "tt"] is missing`},
		"from-tag":         {func(d *dialog.Details) { d.FromTag = "x" }, `["call" "x" "tt"] should not be there`},
		"to-tag":           {func(d *dialog.Details) { d.ToTag = "x" }, "should not be there"},
	} {
		d := someDialog()
		c.change(&d)
		lines := Diff([]dialog.Details{d}, want)
		if (c.line == "") != (len(lines) == 0) || !strings.Contains(strings.Join(lines, "\n"), c.line) {
			t.Errorf("%s: %q, want %q", name, lines, c.line)
		}
	}
}

func TestDiffSeesDoubles(t *testing.T) {
	want, err := ReadListed(strings.NewReader(someLine + "\n" + someLine))
	if err != nil {
		t.Fatal(err)
	}
	d := someDialog()
	if lines := Diff([]dialog.Details{d}, want); len(lines) != 1 || !strings.Contains(lines[0], "twice in what is expected") {
		t.Errorf("%q", lines)
	}
	if lines := Diff([]dialog.Details{d, d}, want[:1]); len(lines) != 1 || !strings.Contains(lines[0], "twice in what is there") {
		t.Errorf("%q", lines)
	}
}

func TestDiffDetails(t *testing.T) {
	d := someDialog()
	other := d
	other.Timeout += TimeoutJitter
	if lines := DiffDetails([]dialog.Details{other}, []dialog.Details{d}); lines != nil {
		t.Errorf("%q", lines)
	}
	other.Timeout++
	other.MangledTo = "x"
	lines := DiffDetails([]dialog.Details{other}, []dialog.Details{d})
	if len(lines) != 2 || !strings.Contains(lines[0], "MangledTo is x, expected sip:m2") || !strings.Contains(lines[1], "Timeout is 5003") {
		t.Errorf("%q", lines)
	}
}

func TestReadListedRefuses(t *testing.T) {
	for _, text := range []string{`{"state": "many"}`, `{"state": -1}`, `{"state"`, `[]`} {
		if got, err := ReadListed(strings.NewReader(text)); err == nil {
			t.Errorf("%s: read %+v", text, got)
		}
	}
}

func TestListedWithoutCallee(t *testing.T) {
	d := dialog.Details{CallID: "call", FromTag: "ft", State: dialog.Answered}
	if l := ListedOf(d); l.Callees != nil {
		t.Errorf("a callee out of nothing: %+v", l)
	}
	if lines := Diff([]dialog.Details{d}, []Listed{{CallID: "call", CallerTag: "ft", State: 3}}); lines != nil {
		t.Errorf("%q", lines)
	}
}
