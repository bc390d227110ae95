package membertest

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/wire/bin2"
)

// Dialogs is the capability that model nodes have.
const Dialogs = "dialog-dlg-repl"

// Config of a Node.
type Config struct {
	Cluster, ID int32
	// Addr is the address that it listens at and connects from, such as 127.0.0.2; Port 0 is any.
	Addr  netip.Addr
	Port  uint16
	Peers map[int32]string // URLs by id
	Learn bool             // db_mode 0
	// Synced announces complete dialogs.
	Synced bool
	Donor  Donor
	Old    bool // speak as 2.4.11 does
	// Packets is called with every packet that is delivered to the node: what others send of a sync, and live packets.
	Packets func(p bin2.Packet)
	// Quick shortens the times of pings, for tests of nodes that go away.
	Quick bool
}

// Donor says how a node answers a request for a sync.
type Donor struct {
	Chunks [][]byte
	// Version of the data, 0 is 4.
	Version int32
	Silent  bool
	Stop    int // after so many chunks it says no more; 0: never
	// Excess is added to the number that it announces.
	Excess int32
	// PerPacket is the number of chunks in a packet; 0 is 20.
	PerPacket int
	// Before is called when a request has come, before the first chunk is sent.
	Before func(n *Node, requester int32)
}

// Node is a model node.
type Node struct {
	t        testing.TB
	cfg      Config
	listener net.Listener
	url      string
	done     chan struct{}
	wake     chan struct{}
	all      sync.WaitGroup

	mu      sync.Mutex
	machine *membership.Machine
	conns   map[uint64]*conn
	byNode  map[int32]*conn
	lastID  uint64
	events  []membership.Event
	asked   int // sync requests
	closed  bool
}

type conn struct {
	net.Conn
	id   uint64
	node int32
	mu   sync.Mutex // one packet at a time
}

// Start starts a node. It ends with the test, or by Stop.
func Start(t testing.TB, cfg Config) *Node {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(cfg.Addr, cfg.Port).String())
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{t: t, cfg: cfg, listener: l, url: "bin:" + l.Addr().String(), done: make(chan struct{}), wake: make(chan struct{}, 1),
		conns: map[uint64]*conn{}, byNode: map[int32]*conn{}}
	mc := membership.Config{Cluster: cfg.Cluster, Node: cfg.ID, URL: n.url, Learn: cfg.Learn, AnnounceLinks: true,
		Capabilities: []membership.Capability{{Name: Dialogs, Synced: cfg.Synced}}}
	if cfg.Quick {
		mc.PingInterval, mc.PingTimeout, mc.NodeTimeout = 200*time.Millisecond, 100*time.Millisecond, 500*time.Millisecond
	}
	for id, url := range cfg.Peers {
		mc.Peers = append(mc.Peers, membership.Peer{Node: id, URL: url})
	}
	if n.machine, err = membership.New(time.Now(), mc); err != nil {
		t.Fatal(err)
	}
	n.all.Go(n.accept)
	n.all.Go(n.tick)
	t.Cleanup(n.Stop)
	return n
}

// URL returns where the node listens.
func (n *Node) URL() string { return n.url }

// Port returns the port of URL.
func (n *Node) Port() uint16 { return netip.MustParseAddrPort(n.listener.Addr().String()).Port() }

// ID returns the id of the node.
func (n *Node) ID() int32 { return n.cfg.ID }

// Stop ends the node: it closes all its connections, as a process that ends.
func (n *Node) Stop() {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return
	}
	n.closed = true
	close(n.done)
	n.listener.Close()
	for _, c := range n.conns {
		c.Close()
	}
	n.mu.Unlock()
	n.all.Wait()
}

// Cut closes all connections and goes on.
func (n *Node) Cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		c.Close()
	}
}

// Status returns what its machine knows.
func (n *Node) Status() membership.Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.machine.Status()
}

// Sees returns the state of the link to a node; "" if it isn't known.
func (n *Node) Sees(id int32) membership.LinkState {
	for _, o := range n.Status().Nodes {
		if o.Node == id {
			return o.LinkState
		}
	}
	return ""
}

// Asked returns how many requests for a sync came.
func (n *Node) Asked() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

// SetSynced changes what it announces.
func (n *Node) SetSynced(synced bool) {
	var out membership.Output
	n.mu.Lock()
	n.machine.SetCapability(time.Now(), Dialogs, synced, &out)
	n.mu.Unlock()
	n.perform(&out)
}

func (n *Node) dialect() bin2.Dialect {
	if n.cfg.Old {
		return bin2.Dialect{Numbering: bin2.Old, CapForm: bin2.WithoutSeq, SyncVersion: 2}
	}
	return bin2.Dialect{}
}

func (n *Node) accept() {
	for {
		c, err := n.listener.Accept()
		if err != nil {
			return
		}
		n.serve(c, 0)
	}
}

// serve reads a connection until it ends.
func (n *Node) serve(nc net.Conn, node int32) *conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		nc.Close()
		return nil
	}
	n.lastID++
	c := &conn{Conn: nc, id: n.lastID, node: node}
	n.conns[c.id] = c
	if node != 0 {
		n.byNode[node] = c
	}
	n.all.Go(func() { n.read(c) })
	return c
}

func (n *Node) read(c *conn) {
	defer func() {
		c.Close()
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.conns, c.id)
		for id, o := range n.byNode {
			if o == c {
				delete(n.byNode, id)
				n.machine.Disconnected(time.Now(), id)
				n.rouse()
			}
		}
	}()
	head := make([]byte, 8)
	for {
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		length := bin2.Wanted(head)
		if length < bin2.MinSize || length > bin2.MaxSize {
			n.t.Errorf("node %d: a packet of %d bytes", n.cfg.ID, length)
			return
		}
		b := make([]byte, length)
		copy(b, head)
		if _, err := io.ReadFull(c, b[len(head):]); err != nil {
			return
		}
		p, err := bin2.Parse(b)
		if err != nil {
			n.t.Errorf("node %d: %v", n.cfg.ID, err)
			return
		}
		n.receive(c, p)
	}
}

func (n *Node) receive(c *conn, p bin2.Packet) {
	var out membership.Output
	from := netip.MustParseAddrPort(c.RemoteAddr().String()).Addr()
	n.mu.Lock()
	o := n.machine.Receive(time.Now(), membership.Origin{Addr: from, Connection: c.id}, p, &out)
	if o.Via != 0 && n.byNode[o.Via] == nil {
		n.byNode[o.Via] = c
	}
	n.mu.Unlock()
	if o.Verdict == membership.Deliver && n.cfg.Packets != nil {
		n.cfg.Packets(p)
	}
	n.perform(&out)
	n.rouse()
}

func (n *Node) rouse() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *Node) tick() {
	for {
		n.mu.Lock()
		pause := time.Until(n.machine.Next())
		n.mu.Unlock()
		timer := time.NewTimer(min(max(pause, 0), time.Second))
		select {
		case <-n.done:
			timer.Stop()
			return
		case <-n.wake:
		case <-timer.C:
		}
		timer.Stop()
		var out membership.Output
		n.mu.Lock()
		n.machine.Tick(time.Now(), &out)
		n.mu.Unlock()
		n.perform(&out)
	}
}

// perform sends, and answers requests. Answers with a delay have a goroutine of their own.
func (n *Node) perform(out *membership.Output) {
	for _, s := range out.Sends {
		if wait := time.Until(s.At); wait > 0 {
			n.all.Go(func() {
				select {
				case <-time.After(wait):
					n.sendTo(s)
				case <-n.done:
				}
			})
			continue
		}
		n.sendTo(s)
	}
	n.mu.Lock()
	n.events = append(n.events, out.Events...)
	n.mu.Unlock()
	for _, e := range out.Events {
		if e.Kind == membership.SyncRequested && e.Text == Dialogs {
			n.mu.Lock()
			n.asked++
			n.mu.Unlock()
			n.all.Go(func() { n.answer(e.Node, e.Version) })
		}
	}
}

func (n *Node) sendTo(s membership.Send) {
	n.mu.Lock()
	c := n.conns[s.Connection]
	if c == nil {
		c = n.byNode[s.Node]
	}
	var url string
	for _, o := range n.machine.Status().Nodes {
		if o.Node == s.Node {
			url = o.URL
		}
	}
	n.mu.Unlock()
	if c == nil && s.Node != 0 && url != "" {
		c = n.dial(s.Node, url)
	}
	if c != nil && c.send(s.Packet) == nil || s.Node == 0 {
		return
	}
	var out membership.Output
	n.mu.Lock()
	n.machine.SendFailed(time.Now(), s.Node, &out)
	n.mu.Unlock()
	n.perform(&out)
	n.rouse()
}

// dial opens a connection from the node's own address.
func (n *Node) dial(id int32, url string) *conn {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(n.cfg.Addr, 0)), Timeout: time.Second}
	nc, err := d.Dial("tcp", url[len("bin:"):])
	if err != nil {
		return nil
	}
	return n.serve(nc, id)
}

func (c *conn) send(packet []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.SetWriteDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	_, err := c.Write(packet)
	return err
}
