package main

import "testing"

func TestShowsUnicode(t *testing.T) {
	for _, test := range []struct {
		all, ctype, lang, term string
		want                   bool
	}{
		{"", "", "", "xterm", false},
		{"", "", "C", "xterm", false},
		{"", "", "en_US.UTF-8", "xterm", true},
		{"", "", "C.utf8", "xterm", true},
		{"C", "", "en_US.UTF-8", "xterm", false},
		{"", "POSIX", "en_US.UTF-8", "xterm", false},
		{"", "de_DE.UTF-8@euro", "C", "xterm", true},
		{"", "", "de_DE.ISO-8859-1", "xterm", false},
		{"", "", "en_US.UTF-8", "linux", false},
	} {
		environment := map[string]string{"LC_ALL": test.all, "LC_CTYPE": test.ctype, "LANG": test.lang, "TERM": test.term}
		if got := showsUnicode(func(name string) string { return environment[name] }); got != test.want {
			t.Errorf("%v: %v", environment, got)
		}
	}
}
