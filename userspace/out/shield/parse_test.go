package shield

import (
	"strings"
	"testing"
)

func TestParseRewrite(t *testing.T) {
	for text, want := range map[string]SocketRewrite{
		"udp:10.0.0.1:5060=udp:10.0.0.2:5060":       {"udp:10.0.0.1:5060", "udp:10.0.0.2:5060"},
		"UDP:10.0.0.1:05060=tls:10.0.0.2:5061":      {"udp:10.0.0.1:5060", "tls:10.0.0.2:5061"},
		"sctp:[::1]:5060=tcp:[2001:db8::a]:5062":    {"sctp:[0:0:0:0:0:0:0:1]:5060", "tcp:[2001:DB8:0:0:0:0:0:A]:5062"},
		"udp:[0:0:0:0:0:0:0:1]:1=udp:[ABCD::]:1":    {"udp:[0:0:0:0:0:0:0:1]:1", "udp:[ABCD:0:0:0:0:0:0:0]:1"},
		"udp:10.0.0.1:5060=udp:[::ffff:10.1.1.1]:1": {"udp:10.0.0.1:5060", "udp:[0:0:0:0:0:FFFF:A01:101]:1"},
	} {
		if got, err := ParseRewrite(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		} else if again, err := ParseRewrite(got.String()); err != nil || again != got {
			t.Errorf("%q: printed as %q, which is %+v, %v", text, got, again, err)
		}
	}
	const good = "udp:10.0.0.1:5060"
	for _, bad := range []string{
		"", "=", good, good + "=", "=" + good, good + "=" + good + "=" + good, "10.0.0.1:5060", "udp", "udp:", "udp:10.0.0.1",
		"udp:10.0.0.1:", "udp:10.0.0.1:0", "udp:10.0.0.1:65536", "udp:10.0.0.1:-1", "udp:host:5060", "xyz:10.0.0.1:5060",
		"udp:::1:5060", "udp:[::1:5060", "udp:[10.0.0.1]:5060", "udp:[fe80::1%eth0]:5060", "udp:10.0.0.1:5060 ",
	} {
		for _, text := range []string{bad, bad + "=" + good, good + "=" + bad} {
			if text == good+"="+good {
				continue
			}
			r, err := ParseRewrite(text)
			if err == nil {
				t.Errorf("%q became %+v", text, r)
			} else if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "rewrite rule") {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
}

func TestParseRewrites(t *testing.T) {
	rules, err := ParseRewrites([]string{"udp:10.0.0.1:1=udp:10.0.0.2:1", "udp:10.0.0.2:1=udp:10.0.0.1:1"})
	if err != nil || len(rules) != 2 {
		t.Errorf("%v, %v", rules, err)
	}
	if _, err := ParseRewrites([]string{"udp:[::1]:1=udp:10.0.0.2:1", "udp:[0::1]:1=udp:10.0.0.1:1"}); err == nil {
		t.Error("two rules for one socket")
	}
	if _, err := ParseRewrites([]string{"nonsense"}); err == nil {
		t.Error("took nonsense")
	}
}

func TestTooManyRoutes(t *testing.T) {
	join := func(n int, entry string) string { return strings.TrimSuffix(strings.Repeat(entry+",", n), ",") }
	for _, c := range []struct {
		set  string
		want bool
	}{
		{"", false},
		{join(64, "<sip:a;lr>"), false},
		{join(65, "<sip:a;lr>"), true},
		{join(65, "<>"), true},
		{join(64, "<sip:a,b;lr>"), false},                              // a comma within brackets
		{join(64, `"a, b \" , c" <sip:a;lr>;x=1`), false},              // commas within a name
		{join(65, `"a, b" <sip:a;lr>`), true},                          //
		{join(33, `<sip:a>`) + `,"` + join(40, "<sip:a>"), true},       // a quote that never ends: readers differ
		{join(33, `<sip:a>`) + `,<sip:` + join(40, "a"), true},         // a bracket that never ends
		{join(33, `<sip:a>`) + `,<sip:"` + join(40, "a") + `">`, true}, // a quote within brackets
		{join(33, `<sip:a>`) + `,>` + join(40, "a"), true},
		{join(33, `<sip:a>`) + `,<<` + join(40, "a") + ">", true},
		{strings.Repeat("x", 1000), false},
		{join(65, "sip:a"), true},
	} {
		if got := tooManyRoutes([]byte(c.set)); got != c.want {
			t.Errorf("%.60q...: %t", c.set, got)
		}
	}
}

func TestReadable(t *testing.T) {
	for list, want := range map[string]bool{
		"": true, "a#b|": true, "a#|": true, "a#b|c#d|": true, "inbound#|caller#alice0|": true,
		`route#gw1;pri=1\|x|account#acct-alice0|`: true, // of a capture
		`a#b\#c\|d|`:    true,
		`a\#b#c|`:       true,
		`a#b\\|c#d|`:    true,  // a value that ends in a backslash
		`a#b`:           true,  // a last pair without '|' is dropped
		`a#b|c#d`:       true,  //
		"#":             false, // no name
		"#b|":           false,
		"a#b|#|":        false,
		"a|":            false, // no '#'
		"|":             false,
		"a#b||":         false,
		"a":             false,
		"a#b|c":         false,
		"a##|":          false, // two '#'
		"a#b#c|":        false,
		"a#b#":          false,
		`v#a\\\#b|`:     false, // the value a\#b: OpenSIPS's reader finds two '#'
		`v#a\\\|b|w#x|`: false, // the value a\|b: it finds the pair b without '#'
		`v#a\\\|w#x|`:   true,  // the value a\|w#... is cut, but into two pairs
		`\#a|`:          false, // only an escaped '#'
		`\|#a|`:         true,
		"a\x00#\xff|":   true,
	} {
		if got := readable([]byte(list)); got != want {
			t.Errorf("%q: %t", list, got)
		}
	}
}

func TestReasonsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range Reasons {
		if r.String() == "" || r.String() == "invalid" || seen[r.String()] {
			t.Errorf("reason %d is %q", r, r)
		}
		seen[r.String()] = true
	}
	if Reasons.String() != "invalid" {
		t.Error("a name for what is no reason")
	}
}
