package bpf_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestObjectFresh fails if a source has changed since the object was built. It needs no compiler.
func TestObjectFresh(t *testing.T) {
	recorded, err := os.ReadFile("sources.sha256")
	if err != nil {
		t.Fatal(err)
	}
	var now strings.Builder
	for _, pattern := range []string{"src/*.c", "src/*.h"} { // the order of gen.go
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&now, "%x  %s\n", sha256.Sum256(b), filepath.Base(f))
		}
	}
	all, err := os.ReadDir("src")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(now.String(), "\n"); lines != len(all) {
		t.Errorf("src has %d files, of which %d are sources", len(all), lines)
	}
	if now.String() != string(recorded) {
		t.Errorf("the object was built from other sources: run go generate ./bpf\nrecorded:\n%snow:\n%s", recorded, &now)
	}
}
