package telemetry

import (
	"slices"
	"testing"
)

func TestStuck(t *testing.T) {
	at := func(steps uint64, waits string) Consumer { return Consumer{Name: "ring", Steps: steps, Waits: waits} }
	for _, test := range []struct {
		name        string
		before, now []Consumer
		want        []Consumer
	}{
		{"nobody", nil, nil, nil},
		{"the first sample", nil, []Consumer{at(5, "x")}, nil},
		{"idle", []Consumer{at(5, "")}, []Consumer{at(5, "")}, nil},
		{"busy", []Consumer{at(5, "x")}, []Consumer{at(6, "x")}, nil},
		{"just arrived", []Consumer{at(5, "")}, []Consumer{at(5, "x")}, nil},
		{"just taken", []Consumer{at(5, "x")}, []Consumer{at(5, "")}, nil},
		{"one of two", []Consumer{at(5, "x"), at(7, "x")}, []Consumer{at(9, "x"), at(7, "y")}, []Consumer{at(7, "y")}},
		{"another", []Consumer{{"socket", 5, "x"}}, []Consumer{at(5, "x")}, nil},
		{"more", []Consumer{at(5, "x")}, []Consumer{at(5, "x"), at(5, "x")}, []Consumer{at(5, "x")}},
	} {
		if got := Stuck(test.before, test.now); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
