package member

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/stream"
)

// Member is a node of one cluster and a packets.Source: Receive and Release belong to one goroutine, all other methods
// may be called from any.
type Member struct {
	cfg    Config
	log    *slog.Logger
	stream *stream.Stream
	url    stream.URL
	wake   chan struct{} // the waiting goroutine has to look again
	done   chan struct{} // closed by Stop
	stop   sync.Once
	timing sync.WaitGroup
	watch  watch

	profiles profiles

	mu        sync.Mutex // guards what is below, and is never held while something is sent
	machine   *membership.Machine
	nodes     map[int32]*node
	conns     map[uint64]*stream.Conn
	delayed   []delayed // packets with a time, soonest first
	planned   time.Time // when the waiting goroutine wakes up
	fill      fill
	donation  donation
	feed      feed
	counts    counts
	doubts    doubts
	gaps      gaps
	stopped   bool
	listeners []chan SyncResult // of Sync
}

// node is how another node is reached. There is one for each node of the machine, and for those that were removed while
// connections of theirs are open.
type node struct {
	dialed *stream.Peer // nil: its URL has no address
	conns  []*stream.Conn
}

// counts of what the machine doesn't count.
type counts struct {
	malformed uint64 // not even a packet
	unasked   uint64 // parts of syncs that weren't requested
	unpinned  uint64 // connections with another certificate than the node's
	notSent   uint64 // packets for nodes to which there is no connection
	forOthers uint64 // packets for other nodes, which are dropped: no links are announced, so none should come
	gaps      uint64 // after which a sync was wanted
	refused   uint64 // sync requests of others that weren't answered
	answered  uint64 // sync requests of others that were answered with no data
}

// Open listens, and begins to connect to the peers at once. Errors don't name the cluster, but wrap *stream.ListenError.
func Open(ctx context.Context, cfg Config) (*Member, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Times.complete()
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	m := &Member{
		cfg: cfg, log: cfg.Log.With("cluster", cfg.Cluster), wake: make(chan struct{}, 1), done: make(chan struct{}),
		nodes: map[int32]*node{}, conns: map[uint64]*stream.Conn{},
	}
	m.fill.times = cfg.Times
	m.donation.init(time.Now(), &cfg.Donor)
	m.fill.force = m.donation.promise.Mode() == donor.Seed
	var err error
	if m.stream, err = stream.New(stream.Config{
		Limits: cfg.Limits, Handler: m, Hash: cfg.Hash, Admit: m.admit, TLS: cfg.TLS, VerifyPeer: m.verifyPeer,
		Record: cfg.Record,
		Notice: func(n stream.Notice) { m.log.Warn(n.String()) },
	}); err != nil {
		return nil, err
	}
	// Nodes may connect as soon as the listener is there. They wait for the lock.
	m.mu.Lock()
	defer m.mu.Unlock()
	listener, err := m.stream.Listen(ctx, cfg.Listen, cfg.Intake)
	if err != nil {
		m.abandon()
		return nil, err
	}
	m.url = listener.URL()
	now := time.Now()
	if m.machine, err = membership.New(now, cfg.machine(m.url)); err != nil {
		m.abandon()
		return nil, err
	}
	m.planned = now
	m.fill.want(now, "joined the cluster", 0)
	for _, p := range cfg.Peers {
		m.dialLocked(p.Node, p.URL)
	}
	m.timing.Go(m.wait)
	if cfg.Donor.TakesUDP && cfg.Donor.Store != nil {
		m.timing.Go(m.feedNodes)
	}
	return m, nil
}

// abandon ends a Member that Open can't finish. The lock is held; connections that wait for it find no machine.
func (m *Member) abandon() {
	m.stopped = true
	m.mu.Unlock()
	m.stream.Close()
	m.mu.Lock()
}

// Cluster returns the id of the cluster.
func (m *Member) Cluster() int32 { return m.cfg.Cluster }

// URL returns where other nodes reach this one, with the port that the system chose for 0.
func (m *Member) URL() stream.URL { return m.url }

// Stop implements packets.Source.
func (m *Member) Stop() {
	m.stop.Do(func() {
		m.mu.Lock()
		m.stopped = true
		m.mu.Unlock()
		close(m.done)
		m.stream.Stop()
	})
}

// Close implements packets.Source. It waits until every goroutine has ended.
func (m *Member) Close() error {
	m.Stop()
	m.timing.Wait()
	return m.stream.Close()
}

// dialLocked keeps a connection to a node open. Packets must come from the address that the node knows of us.
func (m *Member) dialLocked(id int32, u stream.URL) {
	n := m.nodeLocked(id)
	if n.dialed != nil {
		if n.dialed.URL() == u {
			return
		}
		n.dialed.Close()
		n.dialed = nil
	}
	if u.Addr.Addr().Is4() != m.url.Addr.Addr().Is4() {
		m.log.Warn("a node can't be reached: its address is of another family than ours", "node", id, "url", u.String())
		return
	}
	p, err := m.stream.Dial(stream.Dial{URL: u, Local: m.url.Addr.Addr(), Listener: m.cfg.Intake})
	if err != nil {
		if !m.stopped {
			m.log.Warn("a node can't be reached", "node", id, "error", err)
		}
		return
	}
	n.dialed = p
}

func (m *Member) nodeLocked(id int32) *node {
	n := m.nodes[id]
	if n == nil {
		n = &node{}
		m.nodes[id] = n
	}
	return n
}

// admit decides about a connection by its address.
func (m *Member) admit(source packets.Endpoint) packets.Admission {
	if m.cfg.Fixed {
		from := source.AddrPort().Addr()
		if !slices.ContainsFunc(m.cfg.Peers, func(p Peer) bool { return p.URL.Addr.Addr() == from }) {
			return packets.Denied
		}
	}
	if m.cfg.Admit != nil {
		return m.cfg.Admit(source)
	}
	return packets.Admitted
}
