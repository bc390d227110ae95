package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadVariables(t *testing.T) {
	for _, test := range []struct{ text, want, err string }{
		{"", "[]", ""},
		{"# c\n; c\n\n  BINREPD_LISTEN = 10.0.0.1:5556 \n", "[[BINREPD_LISTEN 10.0.0.1:5556]]", ""},
		{"BINREPD_A=\"x y\"\nBINREPD_B='#'\nBINREPD_C=\nPATH=/x", "[[BINREPD_A x y] [BINREPD_B #] [BINREPD_C ]]", ""},
		{"BINREPD_A=1=2", "[[BINREPD_A 1=2]]", ""},
		{"BINREPD_A=\"", "[[BINREPD_A \"]]", ""},
		{"\nnonsense", "", "line 2: not NAME=VALUE"},
		{"BINREPD_A=a\\\nb", "", "line 1: continued lines"},
	} {
		got, err := readVariables(strings.NewReader(test.text))
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%q: error %v, want %q", test.text, err, test.err)
			}
		} else if fmt.Sprint(got) != test.want || err != nil {
			t.Errorf("%q: %v (%v), want %s", test.text, got, err, test.want)
		}
	}
}

func TestAllowFile(t *testing.T) {
	for _, test := range []struct{ text, want, err string }{
		{"10.0.0.0/24 # proxies\n\n# all\n2001:db8::1\n", "[10.0.0.0/24 2001:db8::1/128]", ""},
		{"# nothing\n", "", "no source in it"},
		{"10.0.0.1\nten\n", "", "line 2: ten"},
	} {
		file := filepath.Join(t.TempDir(), "allow")
		if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readAllowFile(file)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%q: error %v, want %q", test.text, err, test.err)
			}
		} else if fmt.Sprint(got) != test.want || err != nil {
			t.Errorf("%q: %v (%v), want %s", test.text, got, err, test.want)
		}
	}
}
