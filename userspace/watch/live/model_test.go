package live

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/watch/control"
)

// press passes keys to a model one by one and returns the last action.
func press(m *Model, keys ...string) (a Action) {
	for _, k := range keys {
		a = m.Press(k)
	}
	return a
}

// typeText passes a text to a model.
func typeText(m *Model, text string) {
	for _, r := range text {
		m.Press(string(r))
	}
}

// rows returns the lines of a frame of 80x24.
func rows(m *Model, now time.Time) []string { return strings.Split(m.Frame(80, 24, now).Text(), "\n") }

// firstWords returns the first words of the rows of the table with this name.
func firstWords(m *Model, table string) (words []string) {
	found := false
	for _, row := range rows(m, end(5)) {
		word, _, _ := strings.Cut(row, " ")
		switch {
		case word == table:
			found = true
		case found && strings.Contains(row, ":5555"), found && strings.Contains(row, ":5556"):
			words = append(words, word)
		case found:
			return words
		}
	}
	return words
}

func TestSorting(t *testing.T) {
	m := after(Options{Unicode: true}, 5, healthy)
	for _, test := range []struct{ keys, want string }{
		{"", "10.99.0.3:5555 10.99.0.2:5555 10.99.0.1:5555"},          // by rate
		{"r", "10.99.0.1:5555 10.99.0.2:5555 10.99.0.3:5555"},         // the lowest first
		{"r s", "10.99.0.3:5555 10.99.0.2:5555 10.99.0.1:5555"},       // events
		{"s", "10.99.0.1:5555 10.99.0.2:5555 10.99.0.3:5555"},         // rejected: all equal, so by name
		{"S S S", "10.99.0.1:5555 10.99.0.2:5555 10.99.0.3:5555"},     // back to the first column
		{"r", "10.99.0.3:5555 10.99.0.2:5555 10.99.0.1:5555"},         // reversed
		{"Tab s Tab", "10.99.0.3:5555 10.99.0.2:5555 10.99.0.1:5555"}, // keys for the other table
		{"S S S S S S", "10.99.0.1:5555 10.99.0.2:5555 10.99.0.3:5555"},
	} {
		press(m, strings.Fields(test.keys)...)
		if got := strings.Join(firstWords(m, "SOURCE"), " "); got != test.want {
			t.Errorf("%q: %s, want %s", test.keys, got, test.want)
		}
	}
}

// TestNumbersNotText: addresses are ordered as numbers, and unknown values are handled.
func TestNumbersNotText(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"10.0.0.9:5555", "10.0.0.10:5555", -1}, {"10.0.0.9:99", "10.0.0.9:100", -1}, {"other", "10.0.0.1:1", 1}, {"10.0.0.1:1", "other", -1},
		{"a", "b", -1}, {"[2001:db8::9]:1", "[2001:db8::10]:1", -1},
	} {
		if got := compareAddresses(test.a, test.b); got != test.want {
			t.Errorf("%s, %s: %d", test.a, test.b, got)
		}
	}
	values := []float64{math.NaN(), 1, 2}
	compare := byNumber(func(_ *data, row int) float64 { return values[row] })
	if compare(nil, 0, 1) != -1 || compare(nil, 1, 0) != 1 || compare(nil, 0, 0) != 0 || compare(nil, 1, 2) != -1 {
		t.Error("not a number must be less than all")
	}
}

func TestScrolling(t *testing.T) {
	m := after(Options{Unicode: true}, 5, many)
	first := func() string { return firstWords(m, "SOURCE")[0] }
	m.Frame(80, 24, end(5)) // now it knows the number of rows
	page := m.tables[0].page
	if page < 3 || page > 10 {
		t.Fatalf("%d rows", page)
	}
	for _, test := range []struct {
		key  string
		want int // the rate of the first row is 119 minus this
	}{
		{KeyUp, 0}, {KeyDown, 1}, {"j", 2}, {"k", 1}, {KeyPageDown, 1 + page}, {KeyPageUp, 1}, {KeyEnd, 120 - page}, {KeyDown, 120 - page},
		{KeyHome, 0}, {"G", 120 - page}, {"g", 0},
	} {
		press(m, test.key)
		want := 119 - test.want
		if got := first(); got != fmt.Sprintf("10.99.%d.%d:5555", want/50, want%50) {
			t.Errorf("%s: %s, want the source of rate %d", test.key, got, want)
		}
	}
	press(m, KeyTab, KeyDown)
	if got := firstWords(m, "BACKUP")[0]; got != "10.1.0.1:5556" {
		t.Errorf("the other table begins with %s", got)
	}
	// A table that shrinks below the scrolled position shows its end.
	press(m, KeyTab, KeyEnd)
	m.Take(end(6), healthy(6))
	if got := firstWords(m, "SOURCE"); len(got) != 3 {
		t.Errorf("%q", got)
	}
}

// TestPause: the view is frozen during the pause. New data is shown afterwards.
func TestPause(t *testing.T) {
	m := after(Options{Unicode: true}, 5, healthy)
	before := m.Frame(80, 24, end(5)).Text()
	press(m, "p")
	paused := m.Frame(80, 24, end(5)).Text()
	for i := 6; i <= 40; i++ {
		m.Take(end(i), losing(i))
	}
	if got := m.Frame(80, 24, end(40)).Text(); got != paused || !strings.Contains(got, "PAUSED") || strings.Contains(got, "LOSING") {
		t.Errorf("the view was not frozen:\n%s\nwas\n%s", got, paused)
	}
	if strings.Replace(paused, "PAUSED", "      ", 1) != before {
		t.Errorf("pausing changed more than it says:\n%s\nwas\n%s", paused, before)
	}
	press(m, " ")
	got := m.Frame(80, 24, end(40)).Text()
	if !strings.Contains(got, "LOSING") || len(m.now.events[0].points) != 39 {
		t.Errorf("%d points after the pause:\n%s", len(m.now.events[0].points), got)
	}
}

// TestLostAndFound: without an answer the age of the data is shown and the rest is grey. Then the view recovers.
func TestLostAndFound(t *testing.T) {
	m := after(Options{Unicode: true}, 5, healthy)
	m.Fail(end(8), errors.New("first"))
	m.Fail(end(9), errors.New("connection refused\x1b[2J"))
	f := m.Frame(80, 24, end(20))
	text := f.Text()
	if !strings.HasPrefix(text, ` NO ANSWER  for 12s: connection refused\x1b[2J`) || !strings.Contains(text, "data is 15s old, from 12:00:05") {
		t.Error(text)
	}
	if c := f.At(12, 4); c.Style != Faint {
		t.Errorf("outdated data looks new: %q in %d", c.Rune, c.Style)
	}
	m.Take(end(21), healthy(21))
	if text := m.Frame(80, 24, end(21)).Text(); !strings.HasPrefix(text, "READY") || len(m.now.events[0].points) != 5 {
		t.Errorf("%d points\n%s", len(m.now.events[0].points), text)
	}
	if got, want := m.now.events[0].last(), float64(healthy(21).CreateRecv-healthy(5).CreateRecv)/16; got != want {
		t.Errorf("%v a second over the gap, want %v", got, want)
	}
}

// TestRestart: the counters of another process don't count as rates, nor its losses as growth.
func TestRestart(t *testing.T) {
	m := after(Options{Unicode: true}, 5, losing)
	if len(m.now.grew) == 0 {
		t.Fatal("nothing grew")
	}
	n := len(m.now.lost.points)
	s := losing(100)
	s.PID++
	m.Take(end(6), s)
	if len(m.now.lost.points) != n || len(m.now.grew) != 0 {
		t.Errorf("%d points, was %d; grew: %v", len(m.now.lost.points), n, m.now.grew)
	}
	s.CreateRecv += 50
	m.Take(end(8), s)
	if got := m.now.events[0].last(); got != 25 {
		t.Errorf("%v a second, want 25", got)
	}
}

// TestRedWhileItGrows: a loss is red for a minute after it grew. Then it is shown in the plain style.
func TestRedWhileItGrows(t *testing.T) {
	status := func(lost uint64) control.Status {
		s := healthy(1)
		s.Lost["ring_full"] = lost
		return s
	}
	m := New(Options{Unicode: true})
	style := func(now time.Time) Style {
		f := m.Frame(80, 24, now)
		for y, row := range strings.Split(f.Text(), "\n") {
			if strings.HasPrefix(row, "lost ") {
				return f.At(labels, y).Style
			}
		}
		t.Fatal("no losses")
		return 0
	}
	m.Take(end(0), status(0))
	if s := style(end(0)); s != Good {
		t.Errorf("nothing lost: style %d", s)
	}
	m.Take(end(1), status(5))
	if s := style(end(1)); s != Bad {
		t.Errorf("growing: style %d", s)
	}
	m.Take(end(60), status(5))
	if s := style(end(60)); s != Bad {
		t.Errorf("a minute ago: style %d", s)
	}
	m.Take(end(61), status(5))
	if s := style(end(61)); s != Plain {
		t.Errorf("longer ago: style %d", s)
	}
}

func TestActions(t *testing.T) {
	m := after(Options{}, 1, healthy)
	for key, want := range map[string]Action{"q": Quit, KeyCtrlC: Quit, KeyCtrlL: Repaint, KeyCtrlZ: Suspend, "x": None, "": None, "é": None} {
		if got := m.Press(key); got != want {
			t.Errorf("%q: %d, want %d", key, got, want)
		}
	}
	press(m, "?")
	if text := strings.Join(rows(m, end(1)), "\n"); !strings.Contains(text, "any key back") || m.Press(KeyDown) != None || m.page != helpPage {
		t.Errorf("no help:\n%s", text)
	}
	for _, key := range []string{"x", " ", "p", "/", KeyEscape, "?"} {
		press(m, "?")
		if a := press(m, key); a != None || m.page != overview || m.frozen != nil || m.prompt != nil {
			t.Errorf("%q doesn't only leave the help", key)
		}
	}
}

// TestHelpFits: the help page fits into 80x24.
func TestHelpFits(t *testing.T) {
	m := after(Options{Unicode: true}, 1, healthy)
	press(m, "?")
	text := m.Frame(80, 24, end(1)).Text()
	if strings.Contains(text, "…") {
		t.Error("a line is cut")
	}
	for _, line := range helpText {
		if !strings.Contains(text, line[0]) || !strings.Contains(text, line[1]) {
			t.Errorf("%q is missing", line)
		}
	}
	golden(t, "help_80x24", text)
}

// TestNotes: problems that no counter shows have their own line. If all is well, there is none.
func TestNotes(t *testing.T) {
	for _, test := range []struct {
		change func(*control.Status)
		want   string
	}{
		{func(s *control.Status) {
			s.AddProblem(control.RecordFailing, "the recorder can't write: no space left\x1b[2J")
		},
			`but the recorder can't write: no space left\x1b[2J`},
		{func(s *control.Status) {
			for i := range 7 {
				s.AddProblem(control.InterfaceDown, "interface eth%d is down", i)
			}
		}, "but 3 more: see binrepd status"},
		{func(s *control.Status) {
			s.Record = &control.RecordStatus{Dropped: map[string]uint64{"slow_disk": 1200, "disk_error": 0}}
		}, "the recording misses 1,200 datagrams: slow_disk"},
		{func(s *control.Status) { s.Record = &control.RecordStatus{Recorded: 5} }, ""},
		{func(s *control.Status) { s.Pin = &control.PinStatus{Overflowed: 31, Unsaved: 7} },
			"at most 7 events applied after its last save, and 31 that overflowed"},
		{func(s *control.Status) { s.Pin = &control.PinStatus{Adopted: true, Waited: 9} }, ""},
		{func(s *control.Status) { s.Destinations[0].Paused = true }, "up, paused"},
		{func(s *control.Status) { s.Destinations[0].NeedsSync = "was away 26 s" }, "up, needs sync"},
		{func(s *control.Status) { s.Interfaces[0].Link = control.LinkNoCarrier }, "eth0 no-carrier"},
		{func(s *control.Status) { s.Interfaces[1].Link = control.LinkUp }, "eth1 up"},
		{func(s *control.Status) {
			s.Listeners = []control.ListenerStatus{{Address: "10.0.0.2:5556", Hint: "give --interface eth1"}}
		},
			"10.0.0.2:5556: give --interface eth1"},
	} {
		s := healthy(5)
		plain := New(Options{Unicode: true})
		plain.Take(end(5), s)
		without := plain.Frame(120, 40, end(5)).Text()
		test.change(&s)
		m := New(Options{Unicode: true})
		m.Take(end(5), s)
		got := m.Frame(120, 40, end(5)).Text()
		if test.want == "" && got != without || !strings.Contains(got, test.want) {
			t.Errorf("want %q in\n%s", test.want, got)
		}
	}
}
