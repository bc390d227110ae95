package appliancetest

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// Chaos reports whether tests of faults run in their long form, as in make chaos (BINREPD_CHAOS=1).
func Chaos() bool { return os.Getenv("BINREPD_CHAOS") == "1" }

// Seed returns the seed of a random test: BINREPD_SEED if it is set, else another one each time.
func Seed(t testing.TB) uint64 {
	t.Helper()
	text := os.Getenv("BINREPD_SEED")
	if text == "" {
		return uint64(time.Now().UnixNano())
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
