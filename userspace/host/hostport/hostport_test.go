package hostport_test

import (
	"net/netip"
	"strings"
	"testing"

	"binrepd/userspace/host/hostport"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]hostport.Target{
		"10.0.0.3:5556":            {Host: "10.0.0.3", Port: 5556, Addr: netip.MustParseAddr("10.0.0.3")},
		"[2001:db8::3]:1":          {Host: "2001:db8::3", Port: 1, Addr: netip.MustParseAddr("2001:db8::3")},
		"[::ffff:10.0.0.3]:65535":  {Host: "::ffff:10.0.0.3", Port: 65535, Addr: netip.MustParseAddr("10.0.0.3")},
		"backup.example.net:05556": {Host: "backup.example.net", Port: 5556},
	} {
		got, err := hostport.Parse(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
		if to, ok := got.Literal(); ok != want.Addr.IsValid() || ok && to != netip.AddrPortFrom(want.Addr, want.Port) {
			t.Errorf("%s: literal %v, %v", text, to, ok)
		}
	}
	for text, want := range map[string]string{
		"": "HOST:PORT", "10.0.0.3": "HOST:PORT", ":5556": "HOST:PORT", "2001:db8::3:5556": "HOST:PORT",
		"a:": `"" is no port`, "a:0": `"0" is no port`, "a:65536": `"65536" is no port`, "a:sip": `"sip" is no port`, "a:-1": `"-1" is no port`,
	} {
		if got, err := hostport.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %s", text, got, err, want)
		}
	}
}

func TestResolve(t *testing.T) {
	for text, want := range map[string]string{
		"[::ffff:10.0.0.3]:5556": "10.0.0.3:5556", "[2001:db8::3]:5556": "[2001:db8::3]:5556", "localhost:5556": "127.0.0.1:5556",
	} {
		target, err := hostport.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := target.Resolve(t.Context()); err != nil || got.String() != want {
			t.Errorf("%s: %v, %v; want %s", text, got, err, want)
		}
	}
	target, err := hostport.Parse("no-such-host.invalid:5556")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Resolve(t.Context()); err == nil || !strings.Contains(err.Error(), "no-such-host.invalid") {
		t.Errorf("%v", err)
	}
}
