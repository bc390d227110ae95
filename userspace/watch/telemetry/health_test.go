package telemetry

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/watch/control"
)

func TestHealth(t *testing.T) {
	begin := time.Unix(1_000_000, 0)
	at := func(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }
	look := func(steps0, steps1 uint64, waits0, waits1 string) []Consumer {
		return []Consumer{{Name: "ring 0", Steps: steps0, Waits: waits0}, {Name: "ring 1", Steps: steps1, Waits: waits1}}
	}
	var h Health
	check := func(seconds int, want string) {
		t.Helper()
		err := h.Check(at(seconds))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("after %d s: %v, want %q", seconds, err, want)
		}
	}
	check(100, "") // no sample yet
	h.Sample(at(100), look(5, 7, "", "100 bytes"))
	check(101, "")
	h.Sample(at(105), look(5, 8, "", "100 bytes"))
	h.Sample(at(114), look(5, 8, "", "900 bytes"))
	check(114, "") // ring 0 has no work, so it needs no step; ring 1 has been stuck for 9 s
	h.Sample(at(116), look(5, 8, "", "900 bytes"))
	check(116, "ring 1 has been stuck for 11s: 900 bytes")
	h.Sample(at(117), append(look(6, 9, "50 bytes", "900 bytes"), Consumer{Name: "expiry", Waits: "a round"}))
	check(117, "")
	h.Sample(at(127), append(look(7, 10, "50 bytes", ""), Consumer{Name: "expiry", Waits: "a round"}))
	check(127, "expiry has been stuck for 10s: a round")
	h.Sample(at(128), look(7, 10, "50 bytes", ""))
	check(128, "") // a consumer that is gone is not stuck
	h.Sample(at(117), look(7, 11, "50 bytes", ""))
	// The sampling itself is stuck.
	check(126, "")
	check(127, "could not be read for 10s")
	h.Stopping()
	check(127, "")
}

func TestProbes(t *testing.T) {
	var h Health
	ask := func(handler http.Handler) (int, string) {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	check := func(what string, handler http.Handler, code int, text string) {
		t.Helper()
		if c, s := ask(handler); c != code || s != text {
			t.Errorf("%s: %d %q, want %d %q", what, c, s, code, text)
		}
	}
	var s control.Status
	ready := h.Readiness(func() control.Status { return s })
	for _, c := range []struct {
		word   control.Word
		reason string
		code   int
		text   string
	}{
		{control.Ready, "", http.StatusOK, "READY"},
		{control.Idle, "no source has been seen yet", http.StatusOK, "IDLE: no source has been seen yet"},
		{control.Stale, "source a", http.StatusServiceUnavailable, "STALE: source a"},
		{control.Losing, "3 lost", http.StatusServiceUnavailable, "LOSING: 3 lost"},
	} {
		s.Word, s.Reason = c.word, c.reason
		check("readyz", ready, c.code, c.text)
	}
	s.Word, s.Reason = control.Ready, ""
	s.AddProblem(control.InterfaceDown, "interface eth0 is down")
	check("readyz with a problem", ready, http.StatusOK, "READY but interface eth0 is down")
	s.Problems = nil
	check("healthz", &h, http.StatusOK, "ok")
	h.Sample(time.Now().Add(-time.Hour), nil)
	if code, _ := ask(&h); code != http.StatusServiceUnavailable {
		t.Errorf("healthz of a stuck process: %d", code)
	}
	h.Stopping()
	s.Word, s.Reason = control.Ready, ""
	check("readyz at the end", ready, http.StatusServiceUnavailable, "STOPPING")
	check("healthz at the end", &h, http.StatusOK, "ok")
}
