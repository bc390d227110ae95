package membership_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/wire/bin2"
	"binrepd/userspace/wire/bin2/bin2test"
)

// TestAcceptance has a packet for every reason to refuse or ignore one, from nodes 1 and 2, to node 3 of cluster 1.
func TestAcceptance(t *testing.T) {
	learning, configured, anyAddress := config(), config(), config()
	configured.Learn = false
	anyAddress.AnyAddress = true
	stranger := membership.Origin{Addr: netip.MustParseAddr("192.0.2.1"), Connection: 7}
	mapped := membership.Origin{Addr: netip.MustParseAddr("::ffff:10.0.0.1")}
	long := []byte(strings.Repeat("x", membership.MaxText+1))
	fault := func(p bin2.Packet) bin2.Packet { // one byte more
		w := bin2.Begin(nil, p.Version(), string(p.Name()), p.Type())
		w.Raw(p.Body())
		w.Raw([]byte{0})
		b, _ := w.End()
		if trailer, ok := p.Trailer(); ok {
			w := bin2.Begin(nil, p.Version(), string(p.Name()), p.Type())
			w.Raw(p.Body())
			w.Raw([]byte{0})
			b, _ = w.EndTrailer(trailer)
		}
		q, err := bin2.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	msg := func(m bin2test.Message) bin2.Packet { return packet(t, m, bin2.Dialect{}) }
	ping := func(source int32) bin2.Packet { return msg(&bin2.Ping{From: from(source)}) }
	noType := bin2.Begin(nil, 1, "clusterer-internal", 77)
	noType.Int(1)
	unknownType, _ := noType.End()
	noSender := bin2.Begin(nil, 1, "clusterer-internal", 0)
	noSender.Int(1)
	short, _ := noSender.End()
	link := &bin2.LinkUpdate{From: from(1), Neighbour: 9, Path: ids(1)}
	describe := func(id int32, u string) bin2.Packet {
		return msg(&bin2.Description{From: from(id), URL: []byte(u), Path: ids(id)})
	}
	for _, test := range [...]struct {
		name    string
		config  membership.Config
		origin  membership.Origin
		packet  bin2.Packet
		verdict membership.Verdict
		reason  membership.Reason
	}{
		{"dialog packet", learning, origin(1), modulePacket(t, to(1, me)), membership.Deliver, 0},
		{"dialog packet passed on by node 2", learning, origin(2), modulePacket(t, to(1, me)), membership.Deliver, 0},
		{"dialog packet for node 2", learning, origin(1), modulePacket(t, to(1, 2)), membership.Forward, 0},
		{"dialog packet for nobody", learning, origin(1), modulePacket(t, to(1, 99)), membership.Refused, membership.UnknownDestination},
		{"dialog packet of an unknown node", learning, origin(1), modulePacket(t, to(9, me)), membership.Refused, membership.UnknownSource},
		{"dialog packet from elsewhere", learning, stranger, modulePacket(t, to(1, me)), membership.Refused, membership.WrongAddress},
		{"any address", anyAddress, stranger, modulePacket(t, to(1, me)), membership.Deliver, 0},
		{"no address", learning, membership.Origin{}, modulePacket(t, to(1, me)), membership.Deliver, 0},
		{"mapped address", learning, mapped, modulePacket(t, to(1, me)), membership.Deliver, 0},
		{"own id", learning, origin(1), modulePacket(t, to(me, me)), membership.Refused, membership.OwnID},
		{"PING with our id", learning, stranger, ping(me), membership.Refused, membership.OwnID},
		{"wrong cluster", learning, origin(1), msg(&bin2.Ping{From: bin2.From{Cluster: 2, Source: 1}}), membership.Refused, membership.WrongCluster},
		{"wrong cluster in a trailer", learning, origin(1), modulePacket(t, bin2.Trailer{Cluster: 7, Source: 1, Destination: me}),
			membership.Refused, membership.WrongCluster},
		{"PING", learning, origin(1), ping(1), membership.Handled, 0},
		{"PING with more fields", learning, origin(1), fault(ping(1)), membership.Handled, 0},
		{"PING of an unknown node", learning, stranger, ping(9), membership.Handled, 0},
		{"PING of an unknown node, configured", configured, stranger, ping(9), membership.Refused, membership.UnknownSource},
		{"PING from elsewhere", learning, stranger, ping(1), membership.Refused, membership.WrongAddress},
		{"PING of node 0", learning, origin(1), ping(0), membership.Refused, membership.BadID},
		{"PONG of an unknown node", learning, origin(1), msg(&bin2.Pong{From: from(9)}), membership.Refused, membership.UnknownSource},
		{"unknown type", learning, origin(1), unknownType, membership.Refused, membership.Malformed},
		{"no source", learning, origin(1), short, membership.Refused, membership.Malformed},
		{"damaged LS_UPDATE", learning, origin(1), fault(msg(link)), membership.Refused, membership.Malformed},
		{"LS_UPDATE about nobody", learning, origin(1), msg(link), membership.Ignored, membership.UnknownNode},
		{"description", learning, origin(9), describe(9, url(9)), membership.Handled, 0},
		{"description passed on", learning, origin(2), describe(9, url(9)), membership.Handled, 0},
		{"description with a foreign URL", learning, stranger, describe(9, url(9)), membership.Refused, membership.WrongAddress},
		{"description with our URL", learning, origin(1), describe(9, url(me)), membership.Refused, membership.OwnURL},
		{"description of a known node", learning, origin(1), describe(1, url(7)), membership.Ignored, membership.KnownNode},
		{"description with a long URL", learning, origin(1), describe(9, string(long)), membership.Refused, membership.TextTooLong},
		{"description, configured", configured, origin(9), describe(9, url(9)), membership.Refused, membership.UnknownSource},
		{"REMOVE_NODE of nobody", learning, origin(1), msg(&bin2.RemoveNode{Trailer: to(1, me), Node: 9}), membership.Ignored,
			membership.UnknownNode},
		{"REMOVE_NODE, configured", configured, origin(1), msg(&bin2.RemoveNode{Trailer: to(1, me), Node: 2}), membership.Ignored,
			membership.ConfiguredNode},
		{"MI_CMD", learning, origin(1), msg(&bin2.Command{Trailer: to(1, me), Name: []byte("kill")}), membership.Ignored,
			membership.CommandIgnored},
		{"GENERIC_MSG", learning, origin(1), msg(&bin2.Generic{Trailer: to(1, me), Message: []byte("hi")}), membership.Ignored,
			membership.GenericIgnored},
		{"tag with a long name", learning, origin(1), msg(&bin2.TagActive{Trailer: to(1, me), Tag: long}), membership.Refused,
			membership.TextTooLong},
		{"SYNC_REQ with a long name", learning, origin(1), msg(&bin2.SyncRequest{Trailer: to(1, me), Capability: long}), membership.Refused,
			membership.TextTooLong},
		{"SYNC", learning, origin(1), msg(&bin2.Sync{Trailer: to(1, me), Capability: []byte("a")}), membership.Deliver, 0},
		{"SYNC_END", learning, origin(1), msg(&bin2.SyncEnd{Trailer: to(1, me), Capability: []byte("a")}), membership.Deliver, 0},
		{"SYNC for node 2", learning, origin(1), msg(&bin2.Sync{Trailer: to(1, 2), Capability: []byte("a")}), membership.Forward, 0},
		{"packet over a bridge", learning, origin(1), bridged(t), membership.Refused, membership.Bridged},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, test.config)
			o := w.receivePacket(test.origin, test.packet)
			if o.Verdict != test.verdict || o.Reason != test.reason {
				t.Fatalf("%v, %v; want %v, %v", o.Verdict, o.Reason, test.verdict, test.reason)
			}
			if (o.Reason == membership.Malformed) != (o.Fault != 0) {
				t.Errorf("fault %v with %v", o.Fault, o.Reason)
			}
			if o.Reason == membership.NoReason {
				if o.First {
					t.Error("the first without a reason")
				}
				return
			}
			again := w.receivePacket(test.origin, test.packet)
			if !o.First || again.Reason == o.Reason && again.First || w.m.Count(o.Reason) < 1 {
				t.Errorf("first %v, then %v, counted %d", o.First, again.First, w.m.Count(o.Reason))
			}
		})
	}
}

func bridged(t *testing.T) bin2.Packet {
	w := bin2.Begin(nil, 1, "ratelimit-pipe-repl", 10)
	w.Int(2)
	b, err := w.EndTrailer(bin2.Trailer{Cluster: cluster, Source: 1, Destination: bin2.BridgeDestination})
	if err != nil {
		t.Fatal(err)
	}
	p, err := bin2.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestVia(t *testing.T) {
	w := newWorld(t, config())
	if o := w.receivePacket(origin(2), modulePacket(t, to(1, me))); o.Source != 1 || o.Via != 2 {
		t.Errorf("%+v", o)
	}
	if s := w.status(1); s.Relay != 2 || !s.LastRelayed.Equal(w.now) || !s.LastPacket.IsZero() {
		t.Errorf("%+v", s)
	}
	if o := w.receivePacket(origin(1), modulePacket(t, to(1, me))); o.Source != 1 || o.Via != 1 || o.Destination != me {
		t.Errorf("%+v", o)
	}
	if s := w.status(1); !s.LastPacket.Equal(w.now) {
		t.Errorf("%+v", s)
	}
}

// TestNamesInURLs: a node whose URL holds a name is accepted once its address was looked up.
func TestNamesInURLs(t *testing.T) {
	c := config()
	c.Peers[0].URL = "bin:proxy-1.example.org:5566"
	w := newWorld(t, c)
	if o := w.receivePacket(origin(1), modulePacket(t, to(1, me))); o.Reason != membership.WrongAddress {
		t.Errorf("%+v", o)
	}
	if !w.m.SetAddresses(1, []netip.Addr{addr(8), addr(1)}) || w.m.SetAddresses(77, nil) {
		t.Error("addresses of a known node are refused, or those of an unknown one accepted")
	}
	if o := w.receivePacket(origin(1), modulePacket(t, to(1, me))); o.Verdict != membership.Deliver {
		t.Errorf("%+v", o)
	}
}

func TestURLs(t *testing.T) {
	for text, want := range map[string]string{
		"bin:10.0.0.1:5566": "10.0.0.1", "bins:10.0.0.1:5556": "10.0.0.1", "bin:10.0.0.1": "10.0.0.1", "10.0.0.1:5566": "10.0.0.1",
		"10.0.0.1": "10.0.0.1", "bin:[2001:db8::1]:5566": "2001:db8::1", "bin:[2001:db8::1]": "2001:db8::1",
	} {
		c := config()
		c.Peers[0].URL = text
		w := newWorld(t, c)
		if got := w.status(1).Addresses; len(got) != 1 || got[0].String() != want {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
	for _, text := range [...]string{"", "bin:", "bin:name", "bin:name:5566", "::::", "bin:10.0.0.1:port"} {
		c := config()
		c.Peers[0].URL = text
		if got := newWorld(t, c).status(1).Addresses; len(got) != 0 {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestDisabledNode(t *testing.T) {
	w := newWorld(t, config())
	w.up(1)
	if !w.m.SetDisabled(w.now, 1, true) || w.m.SetDisabled(w.now, 77, true) {
		t.Fatal("not disabled")
	}
	if o := w.receivePacket(origin(1), modulePacket(t, to(1, me))); o.Reason != membership.SourceDisabled {
		t.Errorf("%+v", o)
	}
	if s := w.status(1); s.State != "disabled" || s.NextHop != "none" {
		t.Errorf("%+v", s)
	}
	if w.tick(time.Hour); len(w.sent(bin2.KindPing, 1)) != 0 {
		t.Error("a disabled node is pinged")
	}
	w.m.SetDisabled(w.now, 1, false)
	if w.tick(0); len(w.sent(bin2.KindPing, 1)) != 1 {
		t.Error("a node isn't pinged after it was enabled")
	}
}

func TestOwnIDIsShown(t *testing.T) {
	w := newWorld(t, config())
	w.receivePacket(origin(9), packet(t, &bin2.Ping{From: from(me)}, bin2.Dialect{}))
	if s := w.m.Status(); s.OwnIDFrom != addr(9) || !s.OwnIDAt.Equal(w.now) || s.Counts.Refused["another node uses our id"] != 1 {
		t.Errorf("%+v", s)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*membership.Config){
		"cluster":        func(c *membership.Config) { c.Cluster = 0 },
		"node":           func(c *membership.Config) { c.Node = -1 },
		"own URL":        func(c *membership.Config) { c.URL = strings.Repeat("x", 256) },
		"peer id":        func(c *membership.Config) { c.Peers[0].Node = 0 },
		"peer is us":     func(c *membership.Config) { c.Peers[0].Node = me },
		"peer with ours": func(c *membership.Config) { c.Peers[0].URL = url(me) },
		"peer twice":     func(c *membership.Config) { c.Peers[0].Node = 2 },
		"capability":     func(c *membership.Config) { c.Capabilities = []membership.Capability{{}} },
		"capabilities":   func(c *membership.Config) { c.Capabilities = make([]membership.Capability, 33) },
	} {
		c := config()
		change(&c)
		if m, err := membership.New(began, c); !errors.Is(err, membership.ErrConfig) || m != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := newWorld(t, config())
	if err := w.m.AddPeer(w.now, peer(1)); !errors.Is(err, membership.ErrConfig) {
		t.Errorf("a known peer is added: %v", err)
	}
	if err := w.m.AddPeer(w.now, peer(5)); err != nil || w.status(5).URL != url(5) {
		t.Errorf("a peer isn't added: %v", err)
	}
	if !w.m.RemovePeer(5) || w.m.RemovePeer(5) || w.status(5).Node != 0 {
		t.Error("a peer isn't removed")
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	check := func(kind string, n int, text string) {
		if text == "" || text == "unknown" || seen[kind+text] {
			t.Errorf("%s %d is %q", kind, n, text)
		}
		seen[kind+text] = true
	}
	for r := range membership.Reasons {
		check("reason", int(r), r.String())
	}
	for v := range membership.Verdicts {
		check("verdict", int(v), v.String())
	}
	for c := range membership.Causes {
		check("cause", int(c), c.String())
	}
	for k := membership.EventKind(1); k < membership.EventKinds; k++ {
		check("event", int(k), k.String())
	}
}
