package bin1_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"binrepd/userspace/wire/bin1"
)

// rewrite reads a list and writes it again.
func rewrite(list []byte) ([]byte, error) {
	var out []byte
	pairs := bin1.PairsOf(list)
	for pairs.Next() {
		out = bin1.AppendPair(out, pairs.Name.String(), pairs.Value.String())
	}
	return out, pairs.Err()
}

func TestPairs(t *testing.T) {
	for list, want := range map[string][]string{
		"": nil,
		// These were sent by real proxies.
		`route#gw1;pri=1\|x|account#acct-alice0|`:               {"route", "gw1;pri=1|x", "account", "acct-alice0"},
		`inbound#|caller#alice0|`:                               {"inbound", "", "caller", "alice0"},
		`odd#a\\b\#c\|d|route#gw1;pri=1\|x|account#acct-alice|`: {"odd", `a\b#c|d`, "route", "gw1;pri=1|x", "account", "acct-alice"},
		`odd#a\\b\#c\|d\\\|e\\\\f|`:                             {"odd", `a\b#c|d\|e\\f`},
		"caller/s#alice|caller/s#bob|":                          {"caller/s", "alice", "caller/s", "bob"},
		`tail#a\\|next#b|`:                                      {"tail", `a\`, "next", "b"},
		`\#\|\\#\#\|\\|`:                                        {`#|\`, `#|\`},
		"n#" + "\x00\xff|":                                      {"n", "\x00\xff"},
		`a#x\qy|`:                                               {"a", `x\qy`},
		`a\q#b|`:                                                {`a\q`, "b"},
		// OpenSIPS itself cuts this value at the "#" and loses what is behind.
		`cut#a\\\#b|lost#c|`: {"cut", `a\#b`, "lost", "c"},
	} {
		var got []string
		pairs := bin1.PairsOf([]byte(list))
		for pairs.Next() {
			got = append(got, pairs.Name.String(), pairs.Value.String())
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) || pairs.Err() != nil {
			t.Errorf("%q: %q, %v, want %q", list, got, pairs.Err(), want)
		}
		// Only the backslash before an ordinary byte, which no sender writes, is written differently.
		if again, _ := rewrite([]byte(list)); string(again) != list && !strings.Contains(list, `\q`) {
			t.Errorf("%q is written again as %q", list, again)
		}
	}
}

func TestPairsRefuses(t *testing.T) {
	for list, want := range map[string]error{
		"a":          bin1.ErrPairUnfinished,
		"a#b":        bin1.ErrPairUnfinished,
		"a#b|c#d":    bin1.ErrPairUnfinished,
		`a#b\|`:      bin1.ErrPairUnfinished,
		`a#b\`:       bin1.ErrPairUnfinished,
		`a\#b|`:      bin1.ErrPairNoValue,
		"a|":         bin1.ErrPairNoValue,
		"|":          bin1.ErrPairNoValue,
		"a#b||":      bin1.ErrPairNoValue,
		"a#b#c|":     bin1.ErrPairTwoValues,
		"a##|":       bin1.ErrPairTwoValues,
		"#b|":        bin1.ErrPairNoName,
		"a#b|#|c#d|": bin1.ErrPairNoName,
	} {
		pairs := bin1.PairsOf([]byte(list))
		n := 0
		for pairs.Next() {
			n++
		}
		if !errors.Is(pairs.Err(), want) || n != strings.Count(list, "a#b|") {
			t.Errorf("%q: %d pairs and then %v, want %v", list, n, pairs.Err(), want)
		}
		if pairs.Next() || pairs.Name != nil || pairs.Value != nil {
			t.Errorf("%q: goes on behind the error", list)
		}
	}
}

func TestEscaped(t *testing.T) {
	for escaped, want := range map[string]string{"": "", `\#\|\\`: `#|\`, `\q`: `\q`, `a\`: `a\`, `\\\`: `\\`} {
		if got := bin1.Escaped(escaped).String(); got != want {
			t.Errorf("%q stands for %q, want %q", escaped, got, want)
		}
	}
	if got := bin1.Escaped(`\#b`).AppendTo([]byte("a")); string(got) != "a#b" {
		t.Errorf("appended: %q", got)
	}
}

func TestPairsDoNotAllocate(t *testing.T) {
	list := []byte(`route#gw1;pri=1\|x|account#acct-alice0|`)
	buf := make([]byte, 0, 64)
	n := testing.AllocsPerRun(100, func() {
		pairs := bin1.PairsOf(list)
		for pairs.Next() {
			buf = pairs.Value.AppendTo(buf[:0])
			buf = bin1.AppendPair(buf[:0], "name", `v#\|`)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPairsViewsEnd(t *testing.T) {
	pairs := bin1.PairsOf([]byte("name#value|next#value|"))
	for pairs.Next() {
		if cap(pairs.Name) != len(pairs.Name) || cap(pairs.Value) != len(pairs.Value) {
			t.Errorf("%q and %q can be extended in place", pairs.Name, pairs.Value)
		}
	}
}
