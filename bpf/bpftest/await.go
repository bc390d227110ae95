package bpftest

import (
	"testing"
	"time"
)

// patience is how long Await waits. It is far longer than anything takes, so that a slow machine fails no test.
const patience = 30 * time.Second

// Await returns when the condition holds. It fails the test if that takes more than half a minute.
func Await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
		time.Sleep(time.Millisecond)
	}
}
