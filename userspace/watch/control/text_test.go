package control

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
)

// TestPrintable: no control characters for a terminal come through, and plain text stays unchanged.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"a1b2@10.0.0.1":    "a1b2@10.0.0.1",
		"müller":           "müller",
		"a\x1b[2Jb":        `a\x1b[2Jb`,
		"a\u202eb":         `a\xe2\x80\xaeb`,
		"a\u009b31mb":      `a\xc2\x9b31mb`,
		"line\nline\r\x00": `line\x0aline\x0d\x00`,
		"\xff":             `\xff`,
		"\ufffd":           `\xef\xbf\xbd`,
	} {
		if got := Printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestTextInJSON: any bytes survive JSON, as values and as keys, and nothing that a terminal obeys is in it (fault 29).
func TestTextInJSON(t *testing.T) {
	type both struct {
		Value Text         `json:"value"`
		Keys  ByText[Text] `json:"keys"`
	}
	const evil = "caf\xe9\u009b\u202e\x1b\"\\\\x41"
	in := both{Text(evil), ByText[Text]{evil: evil, "plain": "text"}}
	b, err := json.Marshal(in)
	const text = `caf\\xe9\\xc2\\x9b\\xe2\\x80\\xae\\x1b\"\\\\x5cx41`
	if want := `{"value":"` + text + `","keys":{"` + text + `":"` + text + `","plain":"text"}}`; err != nil || string(b) != want {
		t.Errorf("%s, %v; want %s", b, err, want)
	}
	var out both
	if err := json.Unmarshal(b, &out); err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestOneLine(t *testing.T) {
	err := errors.Join(errors.New("first"), errors.New("second\n\tmore"))
	if got, want := OneLine(err), "first; second; more"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
