package bench

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string // in the error; none: valid
	}{
		{Config{}, ""},
		{Config{Stages: []string{"whole", "scan"}, Dialogs: 1000, Runs: 1}, ""},
		{Config{Stages: []string{"hole"}}, "whole"},
		{Config{Dialogs: 999}, "dialogs 999"},
		{Config{Dialogs: 20_000_001}, "dialogs"},
		{Config{Runs: -1}, "runs -1"},
	} {
		err := c.cfg.Validate()
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
	c := Config{Stages: []string{"scan", "steer"}}
	if list := c.chosen(); len(list) != 2 || list[0].name != "steer" || list[1].name != "scan" {
		t.Errorf("chosen: %v", list)
	}
}

func TestGenerateConfig(t *testing.T) {
	mac, to := [6]byte{2, 0, 0, 0, 0, 1}, netip.MustParseAddrPort("192.0.2.1:5556")
	for _, c := range []struct {
		cfg  GenerateConfig
		want string
	}{
		{GenerateConfig{}, ""},
		{GenerateConfig{Interface: "eth0", To: to, MAC: mac}, ""},
		{GenerateConfig{Interface: "eth0", To: to}, "Ethernet address"},
		{GenerateConfig{Interface: "eth0", MAC: mac}, "IPv4"},
		{GenerateConfig{Interface: "eth0", MAC: mac, To: netip.MustParseAddrPort("[2001:db8::1]:5556")}, "IPv4"},
		{GenerateConfig{To: to, MAC: mac}, "only with an interface"},
		{GenerateConfig{Rate: -1}, "rate"},
		{GenerateConfig{Duration: -time.Second}, "negative"},
		{GenerateConfig{Dialogs: -1}, "dialogs"},
	} {
		err := c.cfg.Validate()
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
}

// TestPrivilegeError names what would run all the same.
func TestPrivilegeError(t *testing.T) {
	err := &PrivilegeError{Stages: []string{"whole"}, Others: []string{"decode", "apply"}, Err: errors.New("no CAP_NET_ADMIN")}
	if text := err.Error(); !strings.Contains(text, "--stages decode,apply") || strings.Contains(text, "\n") {
		t.Error(text)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 100}, 3}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v: %v", c.values, got)
		}
	}
}

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want string
	}{{2_345_678.9, "2345679"}, {50, "50"}, {12.345, "12.3"}, {0.3333, "0.333"}, {-1234.5, "-1234"}} {
		if got := number(c.v); got != c.want {
			t.Errorf("%v is written %s", c.v, got)
		}
	}
}
