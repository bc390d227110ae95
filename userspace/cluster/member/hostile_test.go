package member_test

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/cluster/member"
	"binrepd/userspace/cluster/member/membertest"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/in/stream"
	"binrepd/userspace/in/stream/streamtest"
	"binrepd/userspace/wire/bin2"
)

// stranger connects to a Member from an address and sends what it is told.
func stranger(t *testing.T, m *member.Member, from netip.Addr, packets ...[]byte) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	c, err := d.Dial("tcp", m.URL().Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	for _, p := range packets {
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func dialogPacket(t *testing.T, trailer bin2.Trailer) []byte {
	t.Helper()
	w := bin2.Begin(nil, 4, membertest.Dialogs, 3)
	w.Text("a call")
	b, err := w.EndTrailer(trailer)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRefused: what comes from nobody of the cluster is refused by its reason, and delivered nowhere.
func TestRefused(t *testing.T) {
	one := model(t, 1, nil)
	m, f := join(t, config(t, one))
	await(t, "node 1 is up, and the sync is over", func() bool { return up(m, 1)() && m.Status().Sync.Done > 0 })
	before := f.count(1)
	for reason, test := range map[string]struct {
		from    netip.Addr
		trailer bin2.Trailer
	}{
		membership.WrongCluster.String():       {address(1), bin2.Trailer{Cluster: 9, Source: 1, Destination: me}},
		membership.OwnID.String():              {address(1), bin2.Trailer{Cluster: cluster, Source: me, Destination: me}},
		membership.UnknownSource.String():      {address(1), bin2.Trailer{Cluster: cluster, Source: 77, Destination: me}},
		membership.WrongAddress.String():       {address(9), bin2.Trailer{Cluster: cluster, Source: 1, Destination: me}},
		membership.UnknownDestination.String(): {address(1), bin2.Trailer{Cluster: cluster, Source: 1, Destination: 88}},
	} {
		stranger(t, m, test.from, dialogPacket(t, test.trailer))
		await(t, reason, func() bool { return m.Status().Refused[reason] == 1 })
	}
	// A sync that nobody asked for: it would empty the table of its marks.
	end := bin2.SyncEnd{Trailer: bin2.Trailer{Cluster: cluster, Source: 1, Destination: me}, Version: 3, Capability: []byte(membertest.Dialogs)}
	b, err := end.Append(nil, bin2.Dialect{})
	if err != nil {
		t.Fatal(err)
	}
	stranger(t, m, address(1), b)
	await(t, "the unasked sync", func() bool { return m.Status().Refused["sync that wasn't requested"] == 1 })
	if got := f.count(1); got != before {
		t.Errorf("%d packets were delivered", got-before)
	}
	// Not a packet at all ends the connection.
	stranger(t, m, address(1), []byte("GET / HTTP/1.1\r\n\r\n"))
	await(t, "wrong marker", func() bool { return m.Status().Stream.Reasons[stream.WrongMarker].Conns == 1 })
	if !up(m, 1)() {
		t.Error("node 1 isn't up any more")
	}
}

// TestRequestsOfOthers: a request for dialogs stays unanswered, one for another capability is answered with no data, a
// command is not executed.
func TestRequestsOfOthers(t *testing.T) {
	one := model(t, 1, nil)
	m, _ := join(t, config(t, one))
	await(t, "node 1 is up", up(m, 1))
	trailer := bin2.Trailer{Cluster: cluster, Source: 1, Destination: me}
	var sent []byte
	for _, capability := range [...]string{membertest.Dialogs, "usrloc-contact-repl"} {
		req := bin2.SyncRequest{Trailer: trailer, Version: 3, Capability: []byte(capability)}
		var err error
		if sent, err = req.Append(sent, bin2.Dialect{}); err != nil {
			t.Fatal(err)
		}
	}
	c := stranger(t, m, address(1), sent)
	command := bin2.Command{Trailer: trailer, Name: []byte("dlg_end_dlg")}
	b, err := command.Append(nil, bin2.Dialect{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	await(t, "the request for dialogs is refused", func() bool { return m.Status().Refused["sync request not answered"] == 1 })
	await(t, "the command is ignored", func() bool { return m.Status().Counts.Ignored[membership.CommandIgnored.String()] == 1 })
	await(t, "the other request is answered", func() bool { return m.Status().Answered == 1 })
}

// TestPongDelay: a PONG comes between 50 and 150 ms after its PING, on the same connection.
func TestPongDelay(t *testing.T) {
	one := model(t, 1, nil)
	m, _ := join(t, config(t, one))
	await(t, "node 1 is up", up(m, 1))
	ping := bin2.Ping{From: bin2.From{Cluster: cluster, Source: 1}}
	b, err := ping.Append(nil, bin2.Dialect{})
	if err != nil {
		t.Fatal(err)
	}
	// The model pings as well, and one PONG may answer both. So the delay is taken as the least of a few.
	least := time.Hour
	for range 3 {
		began := time.Now()
		c := stranger(t, m, address(1), b)
		if err := c.SetReadDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 64)
		if n, err := c.Read(answer); err == nil && n > 0 {
			least = min(least, time.Since(began))
		} else if err != nil && !os.IsTimeout(err) {
			t.Fatal(err)
		}
		time.Sleep(60 * time.Millisecond) // let the next PING have a PONG of its own
	}
	if least < 50*time.Millisecond {
		t.Errorf("a PONG came after %s", least)
	}
}

// TestTLS: two Members over TLS. One is pinned to a certificate; with another pin the link never comes up.
func TestTLS(t *testing.T) {
	ca := streamtest.NewCA(t, "CA")
	certs := map[int32]*stream.TLS{}
	pins := map[int32]string{}
	for _, id := range [...]int32{1, 3} {
		c := ca.Issue(t, "any name")
		certs[id], pins[id] = stream.NewTLS(c, ca.Pool()), stream.Fingerprint(c.Leaf)
	}
	one := config(t)
	one.Node, one.TLS, one.Listen = 1, certs[1], stream.URL{TLS: true, Addr: netip.AddrPortFrom(address(1), 0)}
	m1, _ := join(t, one)
	for name, pin := range map[string]string{"right pin": pins[1], "wrong pin": strings.Repeat("ab", 32)} {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			c.TLS, c.Listen.TLS = certs[3], true
			c.Peers = []member.Peer{{Node: 1, URL: m1.URL(), Pins: []string{pin}}}
			m, _ := join(t, c)
			if pin != pins[1] {
				await(t, "the certificate is refused", func() bool { return m.Status().Stream.Reasons[stream.PeerCertificate].Conns > 0 })
				if n := node(m, 1); n.LinkState == membership.Up || n.Connections != 0 {
					t.Errorf("%+v", n)
				}
				return
			}
			await(t, "both are up", func() bool { return up(m, 1)() && up(m1, me)() })
			if n := node(m, 1); !n.TLS {
				t.Errorf("%+v", n)
			}
		})
	}
}
