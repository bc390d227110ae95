package appliance

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestAwaitHost: addresses that come late or are still tested for duplicates are waited for (fault 18).
func TestAwaitHost(t *testing.T) {
	late := netip.MustParsePrefix("192.0.2.77/24")
	six := netip.MustParseAddr("2001:db8::1") // of testHost's eth0
	const long = time.Hour
	for _, test := range []struct {
		name             string
		listen           string
		await, tentative time.Duration
		host             func(look int, h *Host)
		looks            int // expected: at least
		err              string
	}{
		{"is there", "192.0.2.1:5556", long, long, func(int, *Host) {}, 1, ""},
		{"comes late", "192.0.2.77:5556", long, 0, func(look int, h *Host) {
			if look >= 3 {
				h.Links[1].Prefixes = append(h.Links[1].Prefixes, late)
			}
		}, 3, ""},
		{"doesn't wait unless told", "192.0.2.77:5556", 0, 0, func(int, *Host) {}, 1, ""},
		{"can be bound before it is there", "192.0.2.77:5556", long, 0, func(_ int, h *Host) { h.Nonlocal4 = true }, 1, ""},
		{"is being tested", "[2001:db8::1]:5556", 0, long, func(look int, h *Host) {
			if look < 4 {
				h.Links[1].Tentative = []netip.Addr{six}
			}
		}, 4, ""},
		{"is tested for too long", "[2001:db8::1]:5556", 0, time.Millisecond, func(_ int, h *Host) {
			h.Links[1].Tentative = []netip.Addr{six}
		}, 1, "duplicate address detection"},
		{"is a duplicate", "[2001:db8::1]:5556", long, long, func(_ int, h *Host) {
			h.Links[1].Duplicate = []netip.Addr{six}
		}, 1, "another host on the link has it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := Defaults()
			c.XDP, c.Log, c.AwaitAddress = XDPOff, slog.New(slog.DiscardHandler), test.await
			c.Listen = []netip.AddrPort{netip.MustParseAddrPort(test.listen)}
			looks := 0
			_, err := c.awaitHost(t.Context(), func() (Host, error) {
				looks++
				h := testHost()
				test.host(looks, &h)
				return h, nil
			}, time.Microsecond, test.tentative)
			if text := ""; err != nil {
				text = err.Error()
				if test.err == "" || !strings.Contains(text, test.err) {
					t.Errorf("error %q, want %q", text, test.err)
				}
			} else if test.err != "" {
				t.Errorf("no error, want %q", test.err)
			}
			if looks < test.looks || test.looks == 1 && test.tentative != time.Millisecond && looks != 1 {
				t.Errorf("%d looks, want %d", looks, test.looks)
			}
		})
	}
	c := Defaults()
	c.XDP, c.Log, c.AwaitAddress = XDPOff, slog.New(slog.DiscardHandler), long
	c.Listen = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.77:5556")}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.awaitHost(ctx, func() (Host, error) { return testHost(), nil }, time.Hour, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("a stop while it waits: %v", err)
	}
}
