package main

import (
	"net"
	"testing"

	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestFullTable: beyond the limit creations are refused and counted; what is known is updated and ended as ever.
func TestFullTable(t *testing.T) {
	t.Parallel()
	const known = 300
	for _, c := range []struct {
		name  string
		flood uint64
		args  []string
	}{
		{"dialogs", 2000, []string{"--max-dialogs", "400", "--shards", "2", "--rings", "1"}},
		{"memory", 12_000, []string{"--max-memory", "4MiB", "--shards", "2", "--rings", "1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := freePort(t)
			d := startDaemon(t, nil, append([]string{"--listen", at, "--xdp", "off"}, c.args...)...)
			conn, err := net.Dial("udp4", at)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			proxy := bin1test.NewProxy(3, bin1test.Options{Now: nowUnix(), Calls: 10})
			sent := uint64(0)
			send := func(from, to uint64, phase bin1test.Phase) control.Status {
				t.Helper()
				s := d.feed(conn, sent, to-from, func(n uint64) []byte { return proxy.AppendPacket(nil, from+n, phase) })
				sent += to - from
				return s
			}
			if s := send(0, known, bin1test.Create); s.Dialogs != known {
				t.Fatalf("%d of %d fit", s.Dialogs, known)
			}
			full := send(known, known+c.flood, bin1test.Create)
			refused := full.Rejected["refused_memory"]
			t.Logf("%d dialogs in %d bytes, %d refused; limits: %d dialogs, %d bytes", full.Dialogs, full.Memory.Used, refused, full.MaxDialogs, full.Memory.Limit)
			if refused == 0 || full.Dialogs != known+c.flood-refused {
				t.Errorf("%d dialogs, %d refused", full.Dialogs, refused)
			}
			d.await("the word of what is lost", func() bool { return d.status().Word == control.Losing }) // a sample each second
			if full.MaxDialogs > 0 && full.Dialogs > full.MaxDialogs || full.Memory.Limit > 0 && full.Memory.Used > full.Memory.Limit {
				t.Errorf("beyond the limit: %+v", full.Memory)
			}
			s := send(0, known, bin1test.Confirm)
			if s.Confirmed != known || s.Rejected["refused_memory"] != refused {
				t.Errorf("%d confirmed, %d refused, before %d", s.Confirmed, s.Rejected["refused_memory"], refused)
			}
			s = send(0, known, bin1test.Delete)
			if s.Dialogs != full.Dialogs-known || s.Rejected["refused_memory"] != refused {
				t.Errorf("%d dialogs after %d deletions of %d", s.Dialogs, known, full.Dialogs)
			}
			// A flood of deletions of calls that never were leaves tombstones, within the same bounds.
			s = send(1_000_000, 1_000_000+c.flood, bin1test.Delete)
			if s.MaxDialogs > 0 && s.Tombstones > s.MaxDialogs || s.Memory.Used > s.Memory.Limit {
				t.Errorf("%d tombstones, %d bytes", s.Tombstones, s.Memory.Used)
			}
			d.stop()
		})
	}
}
