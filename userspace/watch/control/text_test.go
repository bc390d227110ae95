package control

import (
	"errors"
	"testing"
)

// TestPrintable: no control characters for a terminal come through, and plain text stays unchanged.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"a1b2@10.0.0.1":    "a1b2@10.0.0.1",
		"müller":           "müller",
		"a\x1b[2Jb":        `a\x1b[2Jb`,
		"a\u202eb":         `a\u202eb`,
		"a\u009b31mb":      `a\u009b31mb`,
		"line\nline\r\x00": `line\nline\r\x00`,
		"\xff":             `\xff`,
		"\ufffd":           `\ufffd`,
	} {
		if got := Printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestOneLine(t *testing.T) {
	err := errors.Join(errors.New("first"), errors.New("second\n\tmore"))
	if got, want := OneLine(err), "first; second; more"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
