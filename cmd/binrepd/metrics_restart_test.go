package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"binrepd/userspace/state/engine"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestRestartRemembersDeadProxy: of two proxies one is dead when the appliance starts anew. That the other one sends doesn't make it READY.
func TestRestartRemembersDeadProxy(t *testing.T) {
	t.Parallel()
	at, states := freePort(t), filepath.Join(t.TempDir(), "state")
	args := []string{"--listen", at, "--xdp", "off", "--metrics", "127.0.0.1:0", "--state-dir", states, "--stale-after", "1s"}
	d := startDaemon(t, nil, args...)
	from := func(seed uint64, conn net.Conn) {
		t.Helper()
		proxy := bin1test.NewProxy(seed, bin1test.Realistic(nowUnix(), 10))
		for call := range uint64(engine.CountsFrom) {
			if _, err := conn.Write(proxy.AppendPacket(nil, call, bin1test.Create)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var proxies [2]net.Conn
	for i := range proxies {
		conn, err := net.Dial("udp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		proxies[i] = conn
		from(uint64(90+i), conn)
	}
	d.await("both", func() bool { return len(d.status().Sources) == 2 && d.status().Dialogs == 2*engine.CountsFrom })
	d.stop()

	d = startDaemon(t, nil, args...)
	dead := proxies[0].LocalAddr().String()
	d.await("the dead one to be missed while the other one sends", func() bool {
		from(95, proxies[1])
		s := d.status()
		return s.Word == control.Stale && strings.Contains(s.Reason, "source "+dead+" has been silent")
	})
	if m := d.scrape(); m[`binrepd_source_last_event_timestamp_seconds{source="`+dead+`"}`] == 0 {
		t.Error("no metric says when it was last heard")
	}
	d.stop()
}
