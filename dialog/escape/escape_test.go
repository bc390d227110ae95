package escape

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

var examples = map[string]string{
	"":                 "",
	"a1b2@10.0.0.1":    "a1b2@10.0.0.1",
	"müller 日本":        "müller 日本",
	"a\x1b[2Jb":        `a\x1b[2Jb`,
	"a\u202eb":         `a\xe2\x80\xaeb`,
	"a\u009b31mb":      `a\xc2\x9b31mb`,
	"line\nline\r\x00": `line\x0aline\x0d\x00`,
	"\xff\xfe":         `\xff\xfe`,
	"\ufffd":           `\xef\xbf\xbd`,
	"caf\xe9\"@x":      `caf\xe9"@x`,
	"a#b\\#c|":         `a#b\#c|`,
	`a\x`:              `a\x`,
	`a\x4`:             `a\x4`,
	`a\x41`:            `a\x5cx41`,
	`a\x4G`:            `a\x4G`,
	"\\\x1b":           `\\x1b`,
	"del\x7f\u00ad":    `del\x7f\xc2\xad`,
}

// plain writes what JSON escapes by itself as text does.
var plain = strings.NewReplacer("\r", `\x0d`, "\n", `\x0a`, "\t", `\x09`)

func TestString(t *testing.T) {
	for s, want := range examples {
		if got := String(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
		if got := Parse(want); got != s {
			t.Errorf("%s means %q, want %q", want, got, s)
		}
		var text string
		if err := json.Unmarshal(AppendJSON(nil, s), &text); err != nil || plain.Replace(text) != want {
			t.Errorf("%q in JSON: %s, %v", s, text, err)
		}
	}
	for text, want := range map[string]string{`\xE9`: "\xe9", `\x4`: `\x4`, `\\x41`: `\A`, `\n`: `\n`} {
		if got := Parse(text); got != want {
			t.Errorf("%s means %q, want %q", text, got, want)
		}
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	dst, s := make([]byte, 0, 256), []byte("caf\xe9 \u202e日本 sip:a@b")
	if n := testing.AllocsPerRun(100, func() { dst = AppendJSON(Append(dst[:0], s), s) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzString: nothing is lost, nothing that can't be shown is left, and JSON is valid.
func FuzzString(f *testing.F) {
	for s := range examples {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := String(s)
		if Parse(text) != s {
			t.Fatalf("%q becomes %q, which means %q", s, text, Parse(text))
		}
		if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Fatalf("%q becomes %q", s, text)
		}
		var back string
		if err := json.Unmarshal(AppendJSON(nil, []byte(s)), &back); err != nil || plain.Replace(back) != text {
			t.Fatalf("%q in JSON is %q, %v; want %q", s, back, err, text)
		}
	})
}
