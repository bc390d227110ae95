package ring

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestStuckPatient waits for a record that is submitted late. Within the patience time there is no nap.
func TestStuckPatient(t *testing.T) {
	m := newMemory(4096)
	r := m.ring()
	w := stuck{patience: time.Hour}
	one := sample("payload", 7, 8)
	for range 100 {
		at, ok := m.reserve(one)
		if !ok || !r.look() || !r.busy() {
			t.Fatal("no busy record")
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 { // mostly while the consumer waits for it
				runtime.Gosched()
			}
			m.submit(at, len(one))
		}()
		w.wait(&r)
		if r.busy() {
			t.Fatal("the wait ended early")
		}
		<-done
		if got, err := r.take(r.end); err != nil || string(got) != string(one) {
			t.Fatalf("%v, took %q", err, got)
		}
		m.consumer.Store(r.next)
	}
	if w.naps != 0 {
		t.Errorf("%d naps", w.naps)
	}
}

// TestStuck naps once when the patience time is over, and then lets the caller look again. It doesn't allocate.
func TestStuck(t *testing.T) {
	m := newMemory(4096)
	if _, ok := m.reserve(sample("payload", 7, 8)); !ok {
		t.Fatal("no room")
	}
	r := m.ring()
	if !r.look() || !r.busy() {
		t.Fatal("the record isn't busy")
	}
	w := stuck{}
	const runs = 10
	if n := testing.AllocsPerRun(runs, func() { w.wait(&r) }); n != 0 {
		t.Errorf("%v allocations a wait", n)
	}
	if want := runs + 1; w.naps != want { // one more to warm up
		t.Errorf("%d naps, want %d", w.naps, want)
	}
}

// TestNapsEnd by time, and at once after wake, before it began or during it. They don't allocate.
func TestNapsEnd(t *testing.T) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPoller(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(p.close(), unix.Close(fd)); err != nil {
			t.Error(err)
		}
	}()
	start := time.Now()
	if n := testing.AllocsPerRun(3, func() {
		if err := p.nap(time.Millisecond); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a nap", n)
	}
	if took := time.Since(start); took < time.Millisecond {
		t.Errorf("four naps of a millisecond took %v", took)
	}
	done := make(chan error)
	go func() { done <- p.nap(time.Hour) }()
	if err := p.wake(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-done, p.nap(time.Hour)); err != nil {
		t.Error(err)
	}
}
