package appliance

import (
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"binrepd/bpf/bpftest"
	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/appliance/appliancetest"
	"binrepd/userspace/cluster/member/membertest"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin2"
	"binrepd/userspace/wire/bin2/bin2test"
)

// fromNode1 returns what node 1 of a captured cluster sent to the modules of node 3, in order.
func fromNode1(t *testing.T, name string) (list []bin2.Packet) {
	t.Helper()
	for _, p := range bin2test.Load(t, name).Packets {
		if trailer, ok := p.Trailer(); ok && trailer.Source == 1 && trailer.Destination == 3 && p.Capability() != bin2.Extra {
			list = append(list, p.Packet)
		}
	}
	if len(list) < 1000 {
		t.Fatalf("%d packets", len(list))
	}
	return list
}

// contents returns all fields of the live dialogs of a table, each with its layout.
func contents(t *testing.T, table *dialog.Table) map[string]string {
	t.Helper()
	list := map[string]string{}
	var cur dialog.Cursor
	for more := true; more; {
		more = table.Scan(&cur, func(v *dialog.View) {
			var d layout.View
			if !v.State().Live() {
				return
			}
			if fault := layout.Parse(v.Layout(), v.Body(), &d); fault != layout.NoFault {
				t.Errorf("a dialog of the table: %v", fault)
			}
			list[string(v.Key())+string(d.AppendJSON(nil, layout.Print{}))] = v.Layout().String()
		})
	}
	return list
}

// byStream plays packets to a member of the cluster and returns what it then has.
func byStream(t *testing.T, list []bin2.Packet) map[string]string {
	t.Helper()
	node := startModel(t, membertest.Donor{})
	r := start(t, clusterConfig(t, node))
	awaitStatus(t, r, "first sync", func(s *control.Status) bool { return len(s.Clusters) == 1 && s.Clusters[0].Sync.Done > 0 })
	if node.Sees(3) != membership.Up {
		t.Fatalf("the node sees the member in state %s", node.Sees(3))
	}
	before := r.Status().Seen
	for _, p := range list {
		if err := node.Send(3, p); err != nil {
			t.Fatal(err)
		}
	}
	settle(r, before+uint64(len(list)))
	return contents(t, r.table)
}

// settle waits until all of seen packets are applied.
func settle(r *running, seen uint64) control.Status {
	r.t.Helper()
	return r.await("the packets", func(s *control.Status) bool { return s.Seen >= seen && s.Sum() == s.Seen })
}

// byDatagrams sends each packet in a datagram. It never has more under way than a veth has room for, and keeps the order between
// fragments, which come by the socket, and others.
func byDatagrams(r *running, conn net.Conn, list []bin2.Packet) (fragmented uint64) {
	r.t.Helper()
	const whole = 1500 - 20 - 8
	last := false
	for i, p := range list {
		large := len(p) > whole
		if large {
			fragmented++
		}
		if i > 0 && (large != last || i%100 == 0) {
			settle(r, uint64(i))
		}
		last = large
		if _, err := conn.Write(p); err != nil {
			r.t.Fatal(err)
		}
	}
	settle(r, uint64(len(list)))
	return fragmented
}

// same checks the table and the account after the packets came in datagrams.
func same(t *testing.T, r *running, packets int, want map[string]string) {
	t.Helper()
	got := contents(t, r.table)
	for d := range want {
		if got[d] != want[d] {
			t.Errorf("layout %q, want %q of the stream: %s", got[d], want[d], d)
			break
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d dialogs, %d by the stream", len(got), len(want))
	}
	s := r.Status()
	l := s.Listeners[0]
	if s.Seen != uint64(packets) || s.Sum() != s.Seen || l.Seen != s.Seen || l.Sum() != l.Seen || sum(s.Rejected) > 0 || sum(s.Lost) > 0 {
		t.Errorf("%d packets sent, the account is %+v, that of the listener %+v", packets, s.Account, l)
	}
	if len(s.Nodes) != 1 || s.Nodes[0].Node != 1 || s.Nodes[0].Cluster != 1 {
		t.Errorf("nodes: %+v", s.Nodes)
	}
}

// TestGeneration2InDatagrams plays the packets of real clusters as another appliance passes them on: one per datagram. The table
// is the one that a member of the cluster has after the same packets, whether they come in through XDP or by the socket.
func TestGeneration2InDatagrams(t *testing.T) {
	names := []string{"2.4/S1", "3.6/S1"}
	if appliancetest.Chaos() {
		names = append(names, "4.0/S1", "3.6/S4", "2.4/S3")
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			list := fromNode1(t, name)
			want := byStream(t, list)
			if len(want) < 100 {
				t.Errorf("%d dialogs by the stream", len(want))
			}
			t.Run("socket", func(t *testing.T) {
				r := start(t, testConfig())
				byDatagrams(r, dial(t, r.Appliance), list)
				same(t, r, len(list), want)
			})
			t.Run("XDP", func(t *testing.T) {
				edge, central := bpftest.NewNamespace(t), bpftest.NewNamespace(t)
				bpftest.Veth(1500, bpftest.End{In: edge, Name: "edge0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}},
					bpftest.End{In: central, Name: "in0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24")}})
				c := testConfig()
				c.Listen, c.Interfaces = []netip.AddrPort{netip.MustParseAddrPort("10.1.0.2:5556")}, []string{"in0"}
				c.XDP, c.Rings, c.RingSize = XDPNative, 2, 1<<20
				r := startIn(t, central, c)
				var conn net.Conn
				edge.Do(func() (err error) {
					conn, err = net.Dial("udp", "10.1.0.2:5556")
					return err
				})
				defer conn.Close()
				fragmented := byDatagrams(r, conn, list)
				same(t, r, len(list), want)
				l := r.Status().Listeners[0]
				if l.Steered != uint64(len(list))-fragmented || l.Socket != fragmented || (fragmented > 0) != strings.HasSuffix(name, "/S1") {
					t.Errorf("%d steered, %d by the socket, %d of %d were fragmented", l.Steered, l.Socket, fragmented, len(list))
				}
				for i, ring := range r.Status().Rings {
					if ring.Records == 0 {
						t.Errorf("ring %d got nothing", i)
					}
				}
			})
		})
	}
}

// startIn is start in a namespace.
func startIn(t *testing.T, ns *bpftest.Namespace, c Config) *running {
	t.Helper()
	var home int
	ns.Do(func() (err error) {
		home, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	})
	t.Cleanup(func() { unix.Close(home) })
	return startOn(t, c, func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setns(home, unix.CLONE_NEWNET); err != nil {
			t.Error(err)
		}
	})
}
