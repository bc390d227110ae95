package statuspage

import (
	"net/http"
	"net/netip"
	"testing"
	"time"
)

func TestHosts(t *testing.T) {
	names := []string{"bin1.example.net", "Bin1", ""}
	for _, test := range []struct {
		bound   string
		allowed []string
		refused []string
	}{
		{
			"127.0.0.1:9470",
			[]string{"127.0.0.1:9470", "127.0.0.1", "127.8.9.10", "localhost", "localhost:8080", "LocalHost.:9470", "[::1]:9470", "[::1]", "::1", "[::ffff:127.0.0.1]:9470"},
			[]string{"", "evil.example", "evil.example:9470", "localhost.evil.example", "bin1.example.net", "bin1", "10.0.0.2:9470", "[2001:db8::1]", "127.0.0.1.evil.example",
				"0.0.0.0", "[::]", "127.1", "2130706433", "0x7f.0.0.1", "localhost:9470:1", "[localhost", "a b", "127.0.0.1@evil.example"},
		},
		{
			"[::1]:9470", []string{"localhost", "[::1]:9470", "127.0.0.1"}, []string{"bin1", "10.0.0.2"},
		},
		{
			"10.0.0.2:9470",
			[]string{"10.0.0.2:9470", "10.0.0.2", "192.0.2.1", "[2001:db8::1]:9470", "localhost", "127.0.0.1", "bin1:9470", "BIN1", "bin1.example.net", "bin1.example.net.:80"},
			[]string{"", "evil.example", "bin1.evil.example", "example.net", "10.0.0.2.evil.example", "[bin1", "10.2", "."},
		},
		{
			"0.0.0.0:9470", []string{"10.0.0.2:9470", "[2001:db8::1]", "bin1"}, []string{"", "evil.example"},
		},
		{
			"[::]:9470", []string{"10.0.0.2:9470", "[fe80::1%25eth0]:9470", "[fe80::1%eth0]"}, []string{"evil.example"},
		},
	} {
		h := newHosts(netip.MustParseAddrPort(test.bound), names)
		for _, host := range test.allowed {
			if !h.allow(host) {
				t.Errorf("bound to %s: %q is refused", test.bound, host)
			}
		}
		for _, host := range test.refused {
			if h.allow(host) {
				t.Errorf("bound to %s: %q is served", test.bound, host)
			}
		}
	}
}

// TestRebinding: a browser that resolves evil.example to our address gets nothing.
func TestRebinding(t *testing.T) {
	a := empty(time.Now())
	h := show(a)
	for _, path := range append(paths[:], "/nothing") {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			r := get(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Host = "evil.example:9470"
				h.ServeHTTP(w, r)
			}), method, path)
			if r.StatusCode != http.StatusMisdirectedRequest {
				t.Errorf("%s %s: %s", method, path, r.Status)
			}
		}
	}
	if a.taken != 0 {
		t.Errorf("%d statuses were taken for it", a.taken)
	}
}
