package sources

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"binrepd/userspace/state/engine"
	"binrepd/userspace/watch/control"
)

// verdicts tells of each source whether it counts: - no, + yes, ! expected.
func verdicts(list []control.SourceStatus) (out []string) {
	for _, s := range list {
		mark := "-"
		switch {
		case s.Counts && s.Expected:
			mark = "!"
		case s.Counts:
			mark = "+"
		}
		out = append(out, mark+s.Address)
	}
	return out
}

func source(address string, applied uint64, last time.Time) control.SourceStatus {
	return control.SourceStatus{Address: address, Events: applied, Applied: applied, Last: last}
}

// TestBook: what counts, over forgetting, expecting and a restart (fault 25).
func TestBook(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	dir := t.TempDir()
	var b Book
	if err := b.Open(dir); err != nil {
		t.Fatal(err)
	}
	check := func(step string, list []control.SourceStatus, want ...string) []control.SourceStatus {
		t.Helper()
		list = b.Complete(list)
		if got := verdicts(list); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", step, got, want)
		}
		return list
	}
	const enough = engine.CountsFrom
	heard := func() []control.SourceStatus {
		return []control.SourceStatus{
			source("10.0.0.1:5555", enough, now), source("10.0.0.2:5555", enough-1, now),
			source("10.0.0.3:5555", 0, time.Time{}), source("other", 99, now), source("[2001:db8::1]:5555", 1, now),
		}
	}
	check("by events", heard(), "+10.0.0.1:5555", "-10.0.0.2:5555", "-10.0.0.3:5555", "-other", "-[2001:db8::1]:5555")
	for _, name := range []string{"10.0.0.3:5555", "2001:db8::1", "10.0.0.9"} {
		if err := b.Expect(name); err != nil {
			t.Fatal(err)
		}
	}
	check("expected", heard(), "+10.0.0.1:5555", "-10.0.0.2:5555", "!10.0.0.3:5555", "-other", "![2001:db8::1]:5555", "!10.0.0.9")
	if err := b.Save(); err != nil {
		t.Fatal(err)
	}

	b = Book{}
	if err := b.Open(dir); err != nil {
		t.Fatal(err)
	}
	list := check("after a restart", nil, "+10.0.0.1:5555", "!10.0.0.3:5555", "!10.0.0.9", "!2001:db8::1")
	if !list[0].Last.Equal(now) || !list[1].Last.IsZero() {
		t.Errorf("heard last: %v, %v", list[0].Last, list[1].Last)
	}
	for _, name := range []string{"10.0.0.1", "2001:db8::1", "10.0.0.9"} {
		if known, err := b.Forget(name); !known || err != nil {
			t.Errorf("forget %s: %v, %v", name, known, err)
		}
	}
	if known, err := b.Forget("10.0.0.77"); known || err != nil {
		t.Errorf("forgot what it never knew: %v", err)
	}
	check("forgotten", nil, "!10.0.0.3:5555")
	b = Book{}
	if err := b.Open(dir); err != nil {
		t.Fatal(err)
	}
	check("forgotten, after a restart", nil, "!10.0.0.3:5555")
}

func TestBookForgetsRetired(t *testing.T) {
	var b Book
	b.Complete([]control.SourceStatus{source("10.0.0.1:5555", 99, time.Now().Add(-2*retired))})
	if list := b.Complete(nil); len(list) != 0 {
		t.Errorf("%v", verdicts(list))
	}
}

// TestHostWithManyPorts: of an expected host, the source that was heard last counts.
func TestHostWithManyPorts(t *testing.T) {
	var b Book
	if err := b.Expect("10.0.0.1"); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	got := verdicts(b.Complete([]control.SourceStatus{source("10.0.0.1:1", 1, now.Add(-time.Hour)), source("10.0.0.1:2", 1, now)}))
	if want := []string{"-10.0.0.1:1", "!10.0.0.1:2"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestDamagedBook(t *testing.T) {
	for _, text := range []string{"", "{", `{"a":1}`, `[{"address":"\u001b"}]`, `[{"address":7}]`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var b Book
		if err := b.Open(dir); err == nil && text != `[{"address":"\u001b"}]` {
			t.Errorf("%q: no error", text)
		}
		if list := b.Complete(nil); len(list) != 0 {
			t.Errorf("%q: %v", text, list)
		}
		if err := b.Expect("10.0.0.1"); err != nil {
			t.Error(err)
		}
	}
}

func TestNames(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "10.0.0.1:5555": "10.0.0.1:5555", "[2001:db8::1]:1": "[2001:db8::1]:1", "[2001:db8::1]": "2001:db8::1",
		"2001:DB8:0::1": "2001:db8::1", "::ffff:10.0.0.1": "10.0.0.1", "10.0.0.1:0": "", "proxy": "", "": "", "[]": "", "10.0.0.1:99999": "",
	} {
		if got, err := Parse(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	at := netip.MustParseAddrPort("10.0.0.1:5555")
	if !Matches("10.0.0.1", at) || !Matches("10.0.0.1:5555", at) || Matches("10.0.0.1:5556", at) || Matches("10.0.0.2", at) ||
		Matches("10.0.0.1", netip.AddrPort{}) {
		t.Error("Matches")
	}
}
