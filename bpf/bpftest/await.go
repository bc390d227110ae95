package bpftest

import (
	"testing"
	"time"
)

// patience is how long Await waits: far longer than anything takes, so that a slow machine fails no test.
const patience = 30 * time.Second

// Await returns when the condition holds, and fails the test if it doesn't in half a minute.
func Await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for this: %s", patience, what)
		}
		time.Sleep(time.Millisecond)
	}
}
