package telemetry

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/control"
)

func TestHealth(t *testing.T) {
	begin := time.Unix(1_000_000, 0)
	at := func(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }
	rings := func(list ...control.RingStatus) *control.Status { return &control.Status{Rings: list} }
	var h Health
	check := func(seconds int, want string) {
		t.Helper()
		err := h.Check(at(seconds))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("after %d s: %v, want %q", seconds, err, want)
		}
	}
	check(100, "") // nothing is known yet
	h.Sample(at(100), rings(control.RingStatus{Records: 5, Fill: 0}, control.RingStatus{Records: 7, Fill: 100}))
	check(101, "")
	h.Sample(at(105), rings(control.RingStatus{Records: 5, Fill: 0}, control.RingStatus{Records: 8, Fill: 100}))
	h.Sample(at(114), rings(control.RingStatus{Records: 5, Fill: 0}, control.RingStatus{Records: 8, Fill: 900}))
	check(114, "") // an empty ring may stand still for ever, and the other has stood for 9 s
	h.Sample(at(116), rings(control.RingStatus{Records: 5, Fill: 0}, control.RingStatus{Records: 8, Fill: 900}))
	check(116, "ring 1 has not been read for 11s, and 900 bytes wait")
	h.Sample(at(117), rings(control.RingStatus{Records: 6, Fill: 50}, control.RingStatus{Records: 9, Fill: 900}))
	check(117, "")
	// The watch itself hangs, as it does when a consumer dies with a lock.
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
	check("healthz", &h, http.StatusOK, "ok")
	h.Sample(time.Now().Add(-time.Hour), &s)
	if code, _ := ask(&h); code != http.StatusServiceUnavailable {
		t.Errorf("healthz of one that hangs: %d", code)
	}
	h.Stopping()
	s.Word, s.Reason = control.Ready, ""
	check("readyz at the end", ready, http.StatusServiceUnavailable, "STOPPING")
	check("healthz at the end", &h, http.StatusOK, "ok")
}
