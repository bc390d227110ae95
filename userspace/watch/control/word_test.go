package control

import (
	"testing"
	"time"
)

// statusWith is a status with one source that counts, last heard at that time.
func statusWith(events uint64, last time.Time) *Status {
	return &Status{Sources: []SourceStatus{{Address: "192.0.2.1:5555", Events: events, Last: last, Counts: events > 0}}}
}

// TestWordAtStart: losses before the first sample count.
func TestWordAtStart(t *testing.T) {
	start := time.Unix(testNow, 0)
	s := statusWith(7, start)
	s.Started = start
	s.Lost = map[string]uint64{"socket_buffer": 3}
	var h History
	h.Sample(start.Add(time.Second), s)
	h.Complete(start.Add(2*time.Second), s)
	if s.Word != Losing || s.Sources[0].Rate != 3.5 {
		t.Errorf("%s %s, %.1f a second", s.Word, s.Reason, s.Sources[0].Rate)
	}
}

func TestWord(t *testing.T) {
	start := time.Unix(testNow, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	lost := func(n uint64) *Status {
		s := statusWith(1, at(100))
		s.Lost = map[string]uint64{"socket_buffer": n}
		return s
	}
	refused := statusWith(1, at(100))
	refused.Rejected = map[string]uint64{"refused_memory": 1, "not_bin": 99}
	rejected := statusWith(1, at(100))
	rejected.Rejected = map[string]uint64{"not_bin": 99}
	dropped := statusWith(1, at(100))
	dropped.Destinations = []DestinationStatus{{Address: "b:1", Dropped: 3}}

	limited := statusWith(1, at(100))
	limited.Lost = map[string]uint64{"rate_limited": 99, "socket_buffer": 0}
	// A restart has restored the dialogs of two sources, and only one of them has been heard since.
	restored := statusWith(1, at(100))
	restored.Sources = append(restored.Sources, SourceStatus{Address: "192.0.2.2:5555", Last: at(40), Counts: true})
	// What fault 25 was about: a stray datagram, and sources that are known only from a file.
	stray := statusWith(1, at(100))
	stray.Sources = append(stray.Sources, SourceStatus{Address: "192.0.2.2:5555", Events: 1, Last: at(1)})
	fromFile := statusWith(1, at(100))
	fromFile.Sources = append(fromFile.Sources, SourceStatus{Address: "192.0.2.2:5555"})
	expected := statusWith(1, at(100))
	expected.Started = at(40)
	expected.Sources = append(expected.Sources, SourceStatus{Address: "192.0.2.2:5555", Counts: true, Expected: true})
	started := statusWith(1, at(100))
	started.Started = at(41)
	started.Sources = append(started.Sources, SourceStatus{Address: "192.0.2.2:5555", Counts: true, Last: at(-500)},
		SourceStatus{Address: "192.0.2.3:5555", Counts: true, Expected: true})
	alone := &Status{Started: at(40), Sources: expected.Sources[1:]}
	retiredButExpected := statusWith(1, at(-100_000))
	retiredButExpected.Sources[0].Expected = true

	loaded := statusWith(0, time.Time{})
	loaded.Started, loaded.Dialogs = at(40), 7
	restoredOnly := statusWith(0, time.Time{})
	restoredOnly.Started, restoredOnly.Dialogs = at(40), 7
	restoredOnly.State = &StateStatus{Restored: at(30)}

	for _, test := range []struct {
		name   string
		before *Status // sampled at second 0 and each second until 100
		now    *Status // at second 100
		stale  time.Duration
		want   Word
		status int
	}{
		{"no source", &Status{}, &Status{}, time.Minute, Idle, 0},
		{"only garbage", &Status{}, statusWith(0, time.Time{}), time.Minute, Idle, 0},
		{"loaded, and no source sends", &Status{}, loaded, time.Minute, Idle, 0},
		{"restored, and no source sends", &Status{}, restoredOnly, time.Minute, Stale, 3},
		{"a stray datagram", &Status{}, stray, time.Minute, Ready, 0},
		{"a source of a file", &Status{}, fromFile, time.Minute, Ready, 0},
		{"expected and never heard", &Status{}, expected, time.Minute, Stale, 3},
		{"expected and never heard, alone", &Status{}, alone, time.Minute, Stale, 3},
		{"just started, and others are not heard yet", &Status{}, started, time.Minute, Ready, 0},
		{"silent for a day, and expected", &Status{}, retiredButExpected, time.Minute, Stale, 3},
		{"sending", statusWith(1, at(0)), statusWith(2, at(99)), time.Minute, Ready, 0},
		{"silent, not for long", statusWith(1, at(41)), statusWith(1, at(41)), time.Minute, Ready, 0},
		{"silent for long", statusWith(1, at(40)), statusWith(1, at(40)), time.Minute, Stale, 3},
		{"silent, without a limit", statusWith(1, at(0)), statusWith(1, at(0)), 0, Ready, 0},
		{"out of service", statusWith(1, at(-100_000)), statusWith(1, at(-100_000)), time.Minute, Ready, 0},
		{"one of two is not heard since the restart", statusWith(1, at(100)), restored, time.Minute, Stale, 3},
		{"above the limit on a source", statusWith(1, at(100)), limited, time.Minute, Ready, 0},
		{"lost just now", lost(0), lost(2), time.Minute, Losing, 4},
		{"lost long ago", lost(2), lost(2), time.Minute, Ready, 0},
		{"refused for want of memory", statusWith(1, at(100)), refused, time.Minute, Losing, 4},
		{"garbage refused", statusWith(1, at(100)), rejected, time.Minute, Ready, 0},
		{"a backup that falls behind", statusWith(1, at(100)), dropped, time.Minute, Losing, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := History{StaleAfter: test.stale}
			for s := range 100 {
				h.Sample(at(s), test.before)
			}
			h.Complete(at(100), test.now)
			if test.now.Word != test.want || test.now.Word.ExitStatus() != test.status {
				t.Errorf("%s (%s), status %d; want %s", test.now.Word, test.now.Reason, test.now.Word.ExitStatus(), test.want)
			}
			if (test.now.Reason == "") != (test.want == Ready) {
				t.Errorf("reason %q", test.now.Reason)
			}
		})
	}
}

// TestLossWeighsForAMinute: a loss affects the word for a minute and no longer.
func TestLossWeighsForAMinute(t *testing.T) {
	h := History{}
	start := time.Unix(testNow, 0)
	s := statusWith(1, start)
	s.Lost = map[string]uint64{"socket_buffer": 0}
	for second := range 200 {
		now := start.Add(time.Duration(second) * time.Second)
		if second == 30 {
			s.Lost = map[string]uint64{"socket_buffer": 5}
		}
		h.Complete(now, s)
		if want := second >= 30 && second < 90; (s.Word == Losing) != want {
			t.Errorf("second %d: %s, losing %v expected", second, s.Word, want)
		}
		h.Sample(now, s)
	}
	if len(h.samples) > 62 {
		t.Errorf("%d samples are kept", len(h.samples))
	}
}

func TestRates(t *testing.T) {
	h := History{}
	start := time.Unix(testNow, 0)
	for second := range 30 {
		now := start.Add(time.Duration(second) * time.Second)
		s := statusWith(uint64(100*second), now)
		h.Complete(now, s)
		if got := s.Sources[0].Rate; second > 0 && got != 100 {
			t.Errorf("second %d: rate %v, want 100", second, got)
		}
		h.Sample(now, s)
	}
}
