package bpf_test

import (
	"testing"

	"binrepd/bpf"
	"binrepd/userspace/in/packets"
)

// TestRecordLayout pins the layout that package ring and src/record.h agree on.
func TestRecordLayout(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want int
	}{
		{"received", bpf.RecordReceived, 0},
		{"length", bpf.RecordLength, 8},
		{"hash", bpf.RecordHash, 12},
		{"addr", bpf.RecordAddr, 16},
		{"port", bpf.RecordPort, 32},
		{"listener", bpf.RecordListener, 34},
		{"header", bpf.RecordHeader, 40},
		{"sleeper", bpf.SleeperSize, 64},
		{"key", bpf.MaxKey, packets.MaxSteeringKey},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.name, c.got, c.want)
		}
	}
}

// TestVerdictNames checks that every verdict has a unique name.
func TestVerdictNames(t *testing.T) {
	seen := make(map[string]bool)
	for v := range bpf.Verdict(bpf.Verdicts) {
		name := v.String()
		if name == "" || name == "invalid" || seen[name] {
			t.Errorf("verdict %d is called %q", v, name)
		}
		seen[name] = true
	}
	if name := bpf.Verdict(bpf.Verdicts).String(); name != "invalid" {
		t.Errorf("no verdict is called %q", name)
	}
}

func TestModes(t *testing.T) {
	for _, m := range []bpf.Mode{bpf.Auto, bpf.Native, bpf.Generic} {
		text, err := m.MarshalText()
		var back bpf.Mode
		if err != nil || back.UnmarshalText(text) != nil || back != m {
			t.Errorf("%s became %s", m, back)
		}
	}
	if m, err := bpf.ParseMode("fast"); err == nil {
		t.Errorf("fast is %s", m)
	}
}
