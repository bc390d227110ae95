package serving_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"binrepd/userspace/watch/serving"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestUntil: when the server has ended, the handler of a disconnected client has ended, too.
func TestUntil(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var ended atomic.Bool
	s := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done() // longer than the grace time, so the connection is cut
		ended.Store(true)
	})}
	client := make(chan error, 1)
	go func() {
		transport := &http.Transport{DisableKeepAlives: true}
		answer, err := (&http.Client{Transport: transport}).Get("http://" + l.Addr().String())
		if err == nil {
			answer.Body.Close()
		}
		client <- err
	}()
	if err := serving.Until(ctx, s, l); err != nil {
		t.Error(err)
	}
	if !ended.Load() {
		t.Error("a handler is still running")
	}
	if err := <-client; err == nil {
		t.Error("the disconnected client got an answer")
	}
}

// TestUntilItFails: an end without a request to end is an error.
func TestUntilItFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := serving.Until(context.Background(), &http.Server{Handler: http.NotFoundHandler()}, l); err == nil {
		t.Error("a closed listener gave no error")
	}
}

// TestLateRequest: a request that arrives after the end reaches no handler. Its connection is closed.
func TestLateRequest(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a handler runs after the end") })}
	if err := serving.Until(ctx, s, l); err != nil {
		t.Error(err)
	}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("it was ended by %v, want %v", p, http.ErrAbortHandler)
		}
	}()
	s.Handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}
