package bin2_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"binrepd/userspace/wire/bin2"
)

// counts returns what a walk finds, and how it ends.
func counts(p bin2.Packet) (list []string, err error) {
	w := bin2.ProfilesOf(p)
	var c bin2.ProfileCount
	for w.Next(&c) {
		list = append(list, fmt.Sprintf("%s=%s %d", c.Name, c.Value, c.Dialogs))
	}
	return list, w.Err()
}

// TestProfilesOfVector: the packet of a real node, read, and written to the same bytes.
func TestProfilesOfVector(t *testing.T) {
	p := vector(t, "dlg_profile")
	got, err := counts(p)
	if want := []string{"tot= 4", "shared=k1 4"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	trailer, _ := p.Trailer()
	again, err := bin2.AppendProfiles(nil, p.Version(), trailer,
		bin2.ProfileCount{Name: []byte("tot"), Dialogs: 4}, bin2.ProfileCount{Name: []byte("shared"), Value: []byte("k1"), Dialogs: 4})
	if err != nil || !bytes.Equal(again, p) {
		t.Errorf("%v\n%x, want\n%x", err, again, p)
	}
}

func TestBadProfiles(t *testing.T) {
	make := func(kind int32, fill func(*bin2.Writer)) bin2.Packet {
		w := bin2.Begin(nil, 4, "dialog-prof-repl", kind)
		fill(&w)
		b, err := w.EndTrailer(bin2.Trailer{Cluster: 1, Source: 1, Destination: 3})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, test := range map[string]struct {
		kind int32
		fill func(*bin2.Writer)
		want bin2.Fault
	}{
		"nothing":         {4, func(*bin2.Writer) {}, 0},
		"another type":    {5, func(w *bin2.Writer) { w.Text("tot"); w.Int(0); w.Int(1) }, bin2.UnknownType},
		"no count":        {4, func(w *bin2.Writer) { w.Text("tot"); w.Int(0) }, bin2.Truncated},
		"value past end":  {4, func(w *bin2.Writer) { w.Text("tot"); w.Int(1); w.Int(1 << 20) }, bin2.Truncated},
		"neither 0 nor 1": {4, func(w *bin2.Writer) { w.Text("tot"); w.Int(2); w.Int(1) }, bin2.BadValue},
		"below 0":         {4, func(w *bin2.Writer) { w.Text("tot"); w.Int(0); w.Int(-1) }, bin2.BadValue},
		"no name":         {4, func(w *bin2.Writer) { w.Text(""); w.Int(0); w.Int(1) }, bin2.BadValue},
	} {
		got, err := counts(make(test.kind, test.fill))
		if len(got) > 0 || test.want == 0 && err != nil || test.want != 0 && err != test.want {
			t.Errorf("%s: %q, %v, want %v", name, got, err, test.want)
		}
	}
}

// FuzzProfiles: whatever comes in, the walk ends, reads nothing past the end, and gives no negative count.
func FuzzProfiles(f *testing.F) {
	f.Add([]byte(vector(f, "dlg_profile")))
	f.Fuzz(func(t *testing.T, input []byte) {
		p, err := bin2.Parse(input[:len(input):len(input)])
		if err != nil {
			return
		}
		w, left := bin2.ProfilesOf(p), len(p)
		var c bin2.ProfileCount
		for w.Next(&c) {
			if left--; left < 0 || c.Dialogs < 0 || len(c.Name) == 0 {
				t.Fatalf("%+v", c)
			}
		}
	})
}
