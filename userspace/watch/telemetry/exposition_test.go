package telemetry_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"binrepd/userspace/watch/telemetry"
)

// deaf is a client that reads nothing until it is released.
type deaf struct {
	*httptest.ResponseRecorder
	sending chan<- struct{}
	release <-chan struct{}
}

func (d deaf) Write(b []byte) (int, error) {
	d.sending <- struct{}{}
	<-d.release
	return len(b), nil
}

// TestDeafScrapers: clients that ask for the metrics and read nothing don't keep others out.
func TestDeafScrapers(t *testing.T) {
	page := telemetry.Exposition(slog.New(slog.DiscardHandler))
	ask := func(w http.ResponseWriter) { page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil)) }
	sending, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { ask(deaf{httptest.NewRecorder(), sending, release}) })
		<-sending
	}
	heard := httptest.NewRecorder()
	ask(heard)
	if heard.Code != http.StatusOK || heard.Body.Len() == 0 {
		t.Errorf("beside deaf clients: %d, %d bytes", heard.Code, heard.Body.Len())
	}
	close(release)
	all.Wait()
}
