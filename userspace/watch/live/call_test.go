package live

import (
	"errors"
	"strings"
	"testing"

	"binrepd/userspace/watch/control"
)

// someDialog has a value in every field.
func someDialog() control.Dialog {
	start := uint32(noon().Unix() - 75)
	return control.Dialog{
		CallID: "call@example.org", FromURI: "sip:alice@example.org", ToURI: "sip:bob@example.com", State: 4, UserFlags: "8",
		Start: start, Timeout: start + 43200, CallerTag: "tagA", CallerContact: "sip:alice@10.0.0.1", CalleeCSeq: "2",
		CallerRouteSet: control.Text("<sip:10.0.0.7;lr>," + strings.Repeat("<sip:proxy.example.org;lr;ftag=abc>,", 5)), CallerSocket: "udp:10.0.0.1:5060",
		Callees: []control.Callee{{Tag: "tagB", Contact: "sip:bob@10.0.0.2", CallerCSeq: "3", Socket: "udp:10.0.0.1:5060"}},
		HID:     77, Flags: 0x21, Vars: map[string]control.Text{"b": "2", "a": "1"},
		Profiles:    []control.Profile{{Name: "caller", Value: "alice"}, {Name: "all"}},
		MangledFrom: "sip:mangled@example.org", Origin: "10.99.0.1:5555", Updated: start + 5,
	}
}

func TestCall(t *testing.T) {
	m := after(Options{Unicode: true}, 5, healthy)
	press(m, "/")
	typeText(m, "callX")
	press(m, KeyBackspace)
	typeText(m, "@example.org q?p")
	for range 4 {
		press(m, KeyBackspace)
	}
	f := m.Frame(80, 24, end(5))
	if last := rows(m, end(5))[23]; last != "Call-ID: call@example.org" || f.CursorX != len(last) || f.CursorY != 23 {
		t.Errorf("%q, cursor at %d, %d", last, f.CursorX, f.CursorY)
	}
	if a := press(m, KeyEnter); a != LookUp || m.CallID() != "call@example.org" {
		t.Fatalf("action %d, asks for %q", a, m.CallID())
	}
	if text := m.Frame(80, 24, end(5)).Text(); !strings.Contains(text, "looking it up") {
		t.Error(text)
	}
	early := someDialog()
	early.State, early.Start, early.Callees = 2, 0, nil
	m.Found(end(5), "another", []control.Dialog{early}, nil) // too late
	m.Found(end(5), "call@example.org", []control.Dialog{someDialog(), early}, nil)
	golden(t, "call_80x24", m.Frame(80, 24, end(5)).Text())
	f = m.Frame(120, 70, end(5))
	checkFrame(t, f, 120, 70)
	golden(t, "call_120x70", f.Text())

	// When a call ends, its last known state stays on the page.
	m.Found(end(9), "call@example.org", nil, nil)
	if text := m.Frame(80, 24, end(9)).Text(); !strings.Contains(text, "no longer in the table; last seen 4s ago") || !strings.Contains(text, "sip:alice") {
		t.Error(text)
	}
	m.Found(end(10), "call@example.org", nil, errors.New("gone\x1b"))
	if text := m.Frame(80, 24, end(10)).Text(); !strings.Contains(text, `gone\x1b`) {
		t.Error(text)
	}
	// Every row can be reached by scrolling.
	m.Frame(80, 24, end(10))
	press(m, KeyEnd)
	if text := m.Frame(80, 24, end(10)).Text(); !strings.Contains(text, "profile           all") {
		t.Errorf("the end can't be reached:\n%s", text)
	}
	if press(m, KeyEscape); m.CallID() != "" || m.page != overview {
		t.Error("Esc doesn't leave the page")
	}
	// Up recalls the last one.
	if press(m, "/", KeyUp, KeyEnter); m.CallID() != "call@example.org" {
		t.Errorf("asks for %q", m.CallID())
	}
}

func TestNoCall(t *testing.T) {
	m := after(Options{Unicode: true}, 1, healthy)
	press(m, "/", "x", KeyEnter)
	m.Found(end(1), "x", nil, nil)
	if text := m.Frame(80, 24, end(1)).Text(); !strings.Contains(text, "no dialog has this Call-ID") {
		t.Error(text)
	}
}

// TestPrompt: every way to leave the prompt works, and it takes only characters.
func TestPrompt(t *testing.T) {
	m := after(Options{}, 1, healthy)
	for _, keys := range [][]string{{KeyEscape}, {KeyBackspace}, {KeyEnter}, {"a", KeyCtrlU, KeyBackspace}} {
		press(m, append([]string{"/"}, keys...)...)
		if m.prompt != nil || m.page != overview {
			t.Errorf("%q doesn't leave it", keys)
		}
	}
	press(m, "/", KeyTab, KeyPageDown, "", "q", "\xff")
	if got := string(m.prompt.text); got != "q" {
		t.Errorf("typed %q", got)
	}
	if press(m, KeyCtrlC) != Quit {
		t.Error("Ctrl-C must quit everywhere")
	}
	// For a text longer than the row, its end is shown.
	typeText(m, strings.Repeat("0123456789", 20)+"end")
	if last := rows(m, end(1))[23]; len(last) != 79 || !strings.HasSuffix(last, "789end") || !strings.HasPrefix(last, "Call-ID: ~") {
		t.Errorf("%d: %q", len(last), last)
	}
}

// TestCallWhilePaused: a call can be looked up while the view is paused. Then it is paused, too.
func TestCallWhilePaused(t *testing.T) {
	m := after(Options{}, 1, healthy)
	if press(m, "p", "/", "x", KeyEnter); m.CallID() != "x" {
		t.Fatalf("asks for %q", m.CallID())
	}
	m.Found(end(2), "x", []control.Dialog{someDialog()}, nil)
	if m.CallID() != "" || len(m.call.dialogs) != 1 {
		t.Errorf("asks for %q, has %d", m.CallID(), len(m.call.dialogs))
	}
}

func TestHostileCall(t *testing.T) {
	d := someDialog()
	d.FromURI, d.CallerRouteSet, d.Origin, d.UserFlags = evil, control.Text(strings.Repeat(evil, 30)), evil, evil
	d.Vars = map[string]control.Text{evil: evil}
	d.Profiles = []control.Profile{{Name: evil, Value: evil}}
	d.RawVars, d.RawProfiles, d.MangledTo = evil, evil, evil
	for _, o := range []Options{{Unicode: true}, {}} {
		m := after(o, 1, hostile)
		press(m, "/", "x", KeyEnter)
		m.call.id = evil
		m.Found(end(1), evil, []control.Dialog{d}, errors.New(evil))
		m.Found(end(1), evil, []control.Dialog{d}, nil)
		for _, key := range []string{"", KeyPageDown, KeyPageDown, KeyEnd} {
			press(m, key)
			f := m.Frame(80, 24, end(1))
			checkFrame(t, f, 80, 24)
			if text := f.ANSI(); strings.Contains(text, "\x1b]") || strings.Contains(text, "\x07") || strings.Contains(text, "\x1b[2J") {
				t.Errorf("%q", text)
			}
		}
	}
}
