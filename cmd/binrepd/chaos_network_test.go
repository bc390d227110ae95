package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/appliance"
	"binrepd/userspace/appliance/appliancetest"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestBadNetwork has a network between proxy and appliance that loses, repeats, reorders and damages, with what real proxies
// sent and with made-up calls. Every datagram that arrived has its place in the account; no dialog is live of which
// the end arrived, or nothing; none is missing of which something arrived, and no end.
func TestBadNetwork(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{appliance.XDPNative, appliance.XDPOff} {
		t.Run(mode, func(t *testing.T) {
			for i, name := range []string{"opensips-1.10", "opensips-1.11"} {
				t.Run(name, func(t *testing.T) {
					captures := bin1test.Captures(t)
					c := captures[i]
					badNetworkTest(t, mode, c.Expected, func(r *relay, flush func(uint64)) {
						w := newWire(t, r.proxy, "proxy0", r.far)
						var whole uint64
						for n, f := range c.Frames {
							w.send(f.Data)
							if isUDP(f.Data) && f.Data[20]&0x20 == 0 { // no more fragments
								whole++
							}
							if n%32 == 31 || n == len(c.Frames)-1 {
								flush(whole)
							}
						}
					})
				})
			}
			// Identifications of IPv4 packets begin anew after 65,536, and fragments of two that have the same would be mixed up.
			events, rounds := uint64(6_000), 1
			if appliancetest.Chaos() {
				events, rounds = 20_000, 6
			}
			for round := range rounds {
				t.Run(fmt.Sprintf("generated %d", round), func(t *testing.T) {
					proxy := bin1test.NewProxy(uint64(31+round), bin1test.Realistic(nowUnix(), 60))
					badNetworkTest(t, mode, nil, func(r *relay, flush func(uint64)) {
						conn := dial(t, r.proxy, proxyAddr+":5555", listenAt)
						var buffer []byte
						for n := range events {
							buffer = buffer[:0]
							if n%10 == 9 {
								buffer = proxy.AppendRefresh(buffer)
							}
							if len(buffer) == 0 {
								buffer = proxy.Next(buffer)
							}
							if _, err := conn.Write(buffer); err != nil {
								t.Fatal(err)
							}
							if n%32 == 31 || n == events-1 {
								flush(n + 1)
							}
						}
					})
				})
			}
		})
	}
}

// badNetworkTest plays something over a bad network. play calls flush now and then, and at the end, with the number of
// datagrams so far, so that no queue between the namespaces runs over.
func badNetworkTest(t *testing.T, mode string, expected []bin1test.Listed, play func(*relay, func(uint64))) {
	bpftest.RequireKernel(t)
	seed := appliancetest.Seed(t)
	r := newRelay(t, seed, badNetwork)
	d := startDaemon(t, r.appliance, "--listen", listenAt, "--interface", "bin0", "--xdp", mode, "--rings", "2", "--ring-size", "4MiB")
	r.bad.Store(true)
	before := droppedBetween(r)
	play(r, func(n uint64) {
		// A veth pair has room for 256 frames.
		d.await("the network", func() bool { return r.whole.Load() >= n && r.received() >= int64(r.out.Load())-64 })
	})
	r.stop()
	if n := droppedBetween(r) - before; n > 0 {
		t.Fatalf("the veth pairs themselves dropped %d frames, nobody knows which", n)
	}
	a := arrive(r.emitted, mode == appliance.XDPNative)
	s := settleLossy(t, d, uint64(len(a.payloads)))
	if n := s.Lost["socket_buffer"]; n > uint64(a.unsound) {
		t.Errorf("%d lost at the socket, %d had a wrong UDP checksum", n, a.unsound)
	}
	for v, want := range a.verdicts() {
		verdict := bin1.Verdict(v)
		if verdict >= bin1.Short && s.Rejected[verdict.String()] != want {
			t.Errorf("%d datagrams rejected as %v, want %d", s.Rejected[verdict.String()], verdict, want)
		}
	}
	live := compareLive(t, d.listed(), &a)
	c := &r.count
	t.Logf("%s (BINREPD_SEED=%d): %d frames: %d lost, %d repeated, %d reordered, %d damaged; of %d datagrams that arrived %d changed something, "+
		"%d duplicate, %d stale, %d late, %d rejected for their checksum, %d lost to a wrong UDP checksum; %d dialogs live, all as what arrived says",
		mode, seed, c.frames, c.lost, c.duplicated, c.reordered, c.corrupted, len(a.payloads), s.Applied+s.Unknown,
		s.Duplicate, s.Stale, s.Late, s.Rejected[bin1.BadChecksum.String()], a.unsound, live)
	if expected != nil {
		missing, ghosts := apart(d.listed(), expected)
		t.Logf("compared with the sender: of %d dialogs %d are missing, and %d are there that have ended", len(expected), missing, ghosts)
		if missing+ghosts > c.lost+c.corrupted {
			t.Errorf("%d missing and %d ghosts, and only %d frames were lost", missing, ghosts, c.lost+c.corrupted)
		}
	}
	if c.lost == 0 || c.duplicated == 0 || c.reordered == 0 || c.corrupted == 0 || live == 0 {
		t.Errorf("the network was not bad: %+v", *c)
	}
	d.stop()
}

// settleLossy is settle where the kernel may have counted datagrams as lost that it dropped for their checksum.
func settleLossy(t *testing.T, d *daemon, n uint64) (s control.Status) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) { // between two looks at a condition
		if s = d.status(); s.Seen == n+s.Lost["socket_buffer"] && s.Sum() == s.Seen {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d datagrams arrived, the account is %+v", n, s.Account)
		}
	}
}

// received is how many frames the appliance's interface has received.
func (r *relay) received() (n int64) {
	r.appliance.Do(func() error {
		link, err := netlink.LinkByName("bin0")
		if err == nil {
			n = int64(link.Attrs().Statistics.RxPackets)
		}
		return err
	})
	return n
}

// droppedBetween is how many frames the interfaces themselves have dropped, and the relay's socket.
func droppedBetween(r *relay) (n uint64) {
	for ns, names := range map[*bpftest.Namespace][]string{r.proxy: {"proxy0"}, r.middle: {"left0", "right0"}, r.appliance: {"bin0"}} {
		for _, name := range names {
			ns.Do(func() error {
				link, err := netlink.LinkByName(name)
				if err == nil {
					st := link.Attrs().Statistics
					n += st.TxDropped + st.RxDropped
				}
				return err
			})
		}
	}
	return n
}

// apart counts dialogs that only one of two lists has.
func apart(got, want []bin1test.Listed) (missing, ghosts int) {
	key := func(l bin1test.Listed) (k [2]string) {
		k[0] = l.CallID
		if len(l.Callees) > 0 {
			k[1] = l.Callees[0].Tag
		}
		return k
	}
	have := map[[2]string]bool{}
	for _, l := range got {
		have[key(l)] = true
	}
	for _, l := range want {
		if !have[key(l)] {
			missing++
		}
		delete(have, key(l))
	}
	return missing, len(have)
}
