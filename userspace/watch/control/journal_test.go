package control

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestJournal: each change is logged once, when it happens (fault 26).
func TestJournal(t *testing.T) {
	start := time.Unix(testNow, 0)
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	h, j := History{StaleAfter: time.Minute}, Journal{StaleAfter: time.Minute}
	const source = "192.0.2.1:5555"
	idle := func(s *Status) { s.Sources[0].Events = 0 }
	down := func(s *Status) { s.Interfaces = []InterfaceStatus{{Name: "eth0", Link: LinkDown}} }
	full := func(dialogs uint64) func(*Status) {
		return func(s *Status) { s.Dialogs, s.MaxDialogs = dialogs, 10 }
	}
	nothing := func(*Status) {}
	heard := start
	for _, step := range []struct {
		second int
		last   int // when the source was heard last
		with   func(*Status)
		want   string
	}{
		{0, 0, idle, `level=INFO msg=state is=IDLE was="" reason="no source has been seen yet"`},
		{1, 0, idle, ""},
		{2, 2, nothing, "level=INFO msg=state is=READY was=IDLE reason=\"\"\nlevel=INFO msg=\"a source sends\" source=" + source},
		{3, 3, nothing, ""},
		{4, 4, down, `level=WARN msg=problem code=interface_down problem="interface eth0 is down"`},
		{5, 5, down, ""},
		{6, 6, nothing, `level=INFO msg="problem is over" code=interface_down problem="interface eth0 is down"`},
		{7, 7, full(10), `level=WARN msg=problem code=table_full problem="the table is at its limit, so that new dialogs are refused"`},
		{8, 8, full(11), ""},
		{9, 9, full(9), `level=INFO msg="problem is over" code=table_full problem="the table is at its limit, so that new dialogs are refused"`},
		{29, 29, nothing, `level=WARN msg="the process stood still" seconds=20`},
		{30, 29, nothing, ""},
		{89, 29, nothing, "level=WARN msg=\"the process stood still\" seconds=59\n" +
			"level=WARN msg=state is=STALE was=READY reason=\"source 192.0.2.1:5555 has been silent for 1m0s\"\n" +
			"level=WARN msg=\"a source is silent\" source=" + source + " seconds=60"},
		{90, 90, nothing, "level=INFO msg=state is=READY was=STALE reason=\"\"\nlevel=INFO msg=\"a source sends\" source=" + source},
	} {
		now := start.Add(time.Duration(step.second) * time.Second)
		heard = start.Add(time.Duration(step.last) * time.Second)
		s := statusWith(1, heard)
		s.Started = start
		step.with(s)
		h.Sample(now, s)
		h.Complete(now, s)
		out.Reset()
		j.Sample(now, s, log)
		if got := strings.TrimSuffix(out.String(), "\n"); got != step.want {
			t.Errorf("second %d: logged\n%s\nwant\n%s", step.second, got, step.want)
		}
	}
}

// TestJournalOfManySources: invented sources don't fill the log or the memory.
func TestJournalOfManySources(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	j := Journal{}
	for round := range 5 {
		s := &Status{Word: Ready}
		for i := range 1000 {
			s.Sources = append(s.Sources, SourceStatus{Address: string(rune('a'+round)) + time.Duration(i).String(), Events: 1, Counts: true})
		}
		out.Reset()
		j.Sample(time.Unix(testNow+int64(round), 0), s, log)
		if n := strings.Count(out.String(), "\n"); n > mostSources+3 {
			t.Errorf("round %d: %d lines", round, n)
		}
	}
	if len(j.sources) > 2010 {
		t.Errorf("%d sources are kept", len(j.sources))
	}
}
