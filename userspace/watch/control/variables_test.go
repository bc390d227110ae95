package control

import (
	"encoding/json"
	"testing"
)

// TestVariables: nothing in a list of variables is lost in JSON, including names that aren't UTF-8.
func TestVariables(t *testing.T) {
	for _, test := range []struct{ list, vars, raw string }{
		{"a#1|b#2|a#3|", `{"a":"3","b":"2"}`, `""`},
		{"ä#\xff|", `{"ä":"\\xff"}`, `""`},
		{"x\xff#1|x\xfe#2|", `{"x\\xfe":"2","x\\xff":"1"}`, `""`},
		{"x\xff#1", `{}`, `"x\\xff#1"`},
	} {
		vars, raw := variables(test.list)
		for _, part := range []struct {
			of   any
			want string
		}{{vars, test.vars}, {raw, test.raw}} {
			if got, err := json.Marshal(part.of); err != nil || string(got) != part.want {
				t.Errorf("%q: %s, %v; want %s", test.list, got, err, part.want)
			}
		}
	}
}
