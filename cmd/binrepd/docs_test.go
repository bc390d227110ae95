package main

import (
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
)

func document(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{moduleRoot(t)}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDocsPointSomewhere: every relative link, and every path of ours in backquotes, exists.
func TestDocsPointSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	path := regexp.MustCompile("`((?:bpf|cmd|deploy|dialog|docs|userspace)/[\\w./-]*)`")
	for _, f := range repository(t) {
		if !f.is(".md") {
			continue
		}
		for _, m := range link.FindAllSubmatch(f.text, -1) {
			if _, err := os.Stat(filepath.Join(moduleRoot(t), filepath.Dir(f.path), string(m[1]))); err != nil {
				t.Errorf("%s: %v", f.path, err)
			}
		}
		for _, m := range path.FindAllSubmatch(f.text, -1) {
			if _, err := os.Stat(filepath.Join(moduleRoot(t), string(m[1]))); err != nil {
				t.Errorf("%s: %v", f.path, err)
			}
		}
	}
}

// TestProtocolPage: its example is the vector, byte by byte; it names every verdict; its checksum is ours.
func TestProtocolPage(t *testing.T) {
	page := document(t, "docs", "protocol.md")
	var digits strings.Builder
	line := regexp.MustCompile(`(?m)^    {1,}((?:[0-9a-f]{2} +)*[0-9a-f]{2})(?:  .*)?$`)
	_, example, found := strings.Cut(page, "## A packet, byte by byte")
	if !found {
		t.Fatal("no example")
	}
	for _, m := range line.FindAllStringSubmatch(example, -1) {
		digits.WriteString(strings.ReplaceAll(m[1], " ", ""))
	}
	_, want, _ := strings.Cut(document(t, "userspace", "wire", "bin1", "testdata", "vectors", "V03.txt"), "\npacket\n")
	if want = strings.ReplaceAll(want, "\n", ""); digits.String() != want {
		t.Errorf("the example is\n%s, want\n%s", &digits, want)
	}
	packet, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	var ev dialog.Event
	if v := bin1.Decode(packet, &ev); v != bin1.Dialog || ev.Kind != dialog.Delete {
		t.Errorf("the example is a %s, %s", v, ev.Kind)
	}
	for v := bin1.Short; v < bin1.Verdicts; v++ {
		if !strings.Contains(page, "`"+v.String()+"`") {
			t.Errorf("the page doesn't name %s", v)
		}
	}
}

// TestDrawing: it can be parsed, and loads nothing from elsewhere.
func TestDrawing(t *testing.T) {
	text := document(t, "docs", "architecture.svg")
	for dec := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(text, "href") || strings.Contains(text, "url(http") {
		t.Error("it refers to something outside")
	}
}
