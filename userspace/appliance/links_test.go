package appliance

import (
	"testing"

	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/links"
)

// TestUnusedInterface: under a wildcard listen address an interface that never had a carrier is no problem. One that had
// one, or that is named, or that has a listen address, is.
func TestUnusedInterface(t *testing.T) {
	up, cut := links.Reading{Index: 3, Link: links.Up}, links.Reading{Index: 3, Link: links.NoCarrier}
	for _, test := range []struct {
		name     string
		readings []links.Reading
		expected []string
		want     bool
	}{
		{"never used", []links.Reading{cut, cut}, nil, true},
		{"used before", []links.Reading{up, cut}, nil, false},
		{"named, or has the listen address", []links.Reading{cut, cut}, []string{"eth0"}, false},
		{"another one is named", []links.Reading{cut, cut}, []string{"eth1"}, true},
		{"up", []links.Reading{cut, up}, nil, false},
	} {
		var a Appliance
		a.expected.Store(&test.expected)
		for _, r := range test.readings {
			a.links.Sample([]string{"eth0"}, []links.Reading{r}, 0)
		}
		var s control.Status
		a.linkStatus(&s)
		if len(s.Interfaces) != 1 || s.Interfaces[0].Unused != test.want {
			t.Errorf("%s: %+v, want unused %v", test.name, s.Interfaces, test.want)
		}
	}
}
