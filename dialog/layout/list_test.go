package layout_test

import (
	"bytes"
	"errors"
	"testing"

	"binrepd/dialog/layout"
)

func TestPairs(t *testing.T) {
	type pair struct {
		name, value string
		kind        layout.ValueType
	}
	for _, c := range [...]struct {
		list  string
		typed bool
		want  []pair
		err   error
	}{
		{"", true, nil, nil},
		{"dlgX_shtag#1#vip|num#2#7|", true, []pair{{"dlgX_shtag", "vip", layout.Text}, {"num", "7", layout.Integer}}, nil},
		{"tot/b#1#|", true, []pair{{"tot/b", "", layout.Text}}, nil},
		{`odd#1#a\|b\#c\\d\|\#|`, true, []pair{{"odd", `a|b#c\d|#`, layout.Text}}, nil},
		{`n#2#-2147483648|m#2#2147483647|`, true, []pair{{"n", "-2147483648", layout.Integer}, {"m", "2147483647", layout.Integer}}, nil},
		{"route#gw1|inbound#|", false, []pair{{"route", "gw1", layout.Text}, {"inbound", "", layout.Text}}, nil},
		{`a\#b#c\xd|`, false, []pair{{"a#b", `c\xd`, layout.Text}}, nil},
		{"a#1#b|c", true, []pair{{"a", "b", layout.Text}}, layout.ErrPairUnfinished},
		{`a#1#b\|`, true, nil, layout.ErrPairUnfinished},
		{"a|", false, nil, layout.ErrPairNoValue},
		{"a#b|", true, nil, layout.ErrPairNoValue},
		{"a#1#b|", false, nil, layout.ErrPairTwoValues},
		{"a#1#b#c|", true, nil, layout.ErrPairTwoValues},
		{"#1#b|", true, nil, layout.ErrPairNoName},
		{"a#3#b|", true, nil, layout.ErrPairType},
		{"a##b|", true, nil, layout.ErrPairType},
		{"a#11#b|", true, nil, layout.ErrPairType},
		{"a#2#x|", true, nil, layout.ErrPairInteger},
		{"a#2#|", true, nil, layout.ErrPairInteger},
		{"a#2#2147483648|", true, nil, layout.ErrPairInteger},
	} {
		var got []pair
		var again []byte
		p := layout.PairsOf([]byte(c.list), c.typed)
		for p.Next() {
			got = append(got, pair{p.Name.String(), p.Value.String(), p.Type})
			again = append(again, p.Raw()...)
			if !p.Name.Equal([]byte(p.Name.String())) || p.Name.Equal([]byte(p.Name.String()+"x")) || p.Name.Equal(nil) {
				t.Errorf("%q: Equal errs", c.list)
			}
		}
		if len(got) != len(c.want) || !errors.Is(p.Err(), c.err) || (c.err == nil) != (p.Err() == nil) {
			t.Errorf("%q: %v, %v; want %v, %v", c.list, got, p.Err(), c.want, c.err)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%q: pair %d is %v, want %v", c.list, i, got[i], c.want[i])
			}
		}
		if c.err == nil && string(again) != c.list {
			t.Errorf("%q: pieces make %q", c.list, again)
		}
	}
}

func TestProfileNames(t *testing.T) {
	for name, want := range map[string]struct {
		plain  string
		shared layout.Sharing
	}{"tot": {"tot", 0}, "tot/b": {"tot", 'b'}, "tot/s": {"tot", 's'}, "tot/x": {"tot/x", 0}, "/b": {"/b", 0}, "": {"", 0}} {
		if plain, shared := layout.Profile(layout.Escaped(name)); string(plain) != want.plain || shared != want.shared {
			t.Errorf("%q is %q shared %q", name, plain, shared)
		}
	}
}

func TestRoutes(t *testing.T) {
	for set, want := range map[string][]string{
		"":                               nil,
		"<sip:a;lr>":                     {"<sip:a;lr>"},
		"<sip:a;lr>,<sip:b;x=1,2;lr>":    {"<sip:a;lr>", "<sip:b;x=1,2;lr>"},
		`"Edge, west" <sip:a> , <sip:b>`: {`"Edge, west" <sip:a>`, "<sip:b>"},
		`"\", <" <sip:a>,<sip:b>`:        {`"\", <" <sip:a>`, "<sip:b>"},
		",,<sip:a>,":                     {"<sip:a>"},
	} {
		var got []string
		for r := layout.RoutesOf([]byte(set)); r.Next(); {
			got = append(got, string(r.Route))
		}
		if len(got) != len(want) {
			t.Errorf("%q: %q", set, got)
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%q: route %d is %q", set, i, got[i])
			}
		}
	}
}

// Whatever is in a list, a walk ends, its pieces are the list, and what it finds encodes to the same bytes.
func FuzzPairs(f *testing.F) {
	for _, list := range [...]string{"", "a#1#b|n#2#-7|", `route#gw1;pri=1\|x|`, "tot/b#1#|", `a\`, "a#2#9999999999|", "#|"} {
		f.Add([]byte(list))
	}
	f.Fuzz(func(t *testing.T, list []byte) {
		fits := 0
		for _, typed := range [...]bool{false, true} {
			var pieces, again []byte
			p := layout.PairsOf(list, typed)
			for p.Next() {
				pieces = append(pieces, p.Raw()...)
				name, value := p.Name.AppendTo(nil), p.Value.AppendTo(nil)
				if !p.Name.Equal(name) || !p.Value.Equal(value) {
					t.Fatalf("%q: Equal and AppendTo differ", list)
				}
				if n, ok := p.Int(); p.Type == layout.Integer && ok {
					again = layout.AppendIntPair(again, typed, name, n)
				} else {
					again = layout.AppendPair(again, typed, name, value)
				}
			}
			if p.Err() == nil && !bytes.Equal(pieces, list) {
				t.Fatalf("%q: pieces make %q", list, pieces)
			}
			if p.Err() == nil && len(list) > 0 {
				fits++
			}
			q, r := layout.PairsOf(pieces, typed), layout.PairsOf(again, typed)
			for q.Next() {
				if !r.Next() || q.Type != r.Type || q.Name.String() != r.Name.String() {
					t.Fatalf("%q: encoded again %q", list, again)
				}
			}
		}
		if fits > 1 {
			t.Fatalf("%q is typed and untyped", list)
		}
	})
}
