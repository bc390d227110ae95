package appliance

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"binrepd/userspace/cluster/member"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/stream"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/watch/control"
)

// intakes returns the ways in, in the order of their numbers: listen addresses, then clusters.
func (c *Config) intakes() []packets.Intake {
	list := packets.Listeners(c.Listen)
	for i := range c.Clusters {
		list = append(list, packets.Intake{
			Kind: packets.Cluster, Name: strconv.Itoa(int(c.Clusters[i].Cluster)), Address: c.Clusters[i].Listen.Addr,
		})
	}
	return list
}

// validateWaysIn checks the listen addresses, and turns XDP off if there are none.
func (c *Config) validateWaysIn() error {
	if len(c.Listen) > 0 || len(c.Clusters) == 0 {
		return validateListen(c.Listen, c.XDP == XDPOff)
	}
	switch {
	case c.XDP == XDPNative || c.XDP == XDPGeneric:
		return fmt.Errorf("--xdp %s: XDP serves UDP only, and there is no --listen", c.XDP)
	case len(c.Interfaces) > 0:
		return errors.New("--interface: XDP serves UDP only, and there is no --listen")
	case c.XDP == XDPAuto:
		c.XDP = XDPOff
	}
	return nil
}

// validateClusters checks the clusters and the files for TLS.
func (c *Config) validateClusters() error {
	if most := packets.MaxIntakes - len(c.Listen); len(c.Clusters) > most {
		return fmt.Errorf("--cluster: %d clusters are too many; at most %d beside the listen addresses", len(c.Clusters), most)
	}
	uses := false
	for i := range c.Clusters {
		m := c.Clusters[i]
		if c.TLS != (stream.TLSFiles{}) {
			m.TLS = new(stream.TLS) // Run loads it
		}
		if err := m.Validate(); err != nil {
			return fmt.Errorf("--cluster %d: %w", m.Cluster, err)
		}
		uses = uses || usesTLS(&m)
		for _, other := range c.Clusters[:i] {
			switch {
			case other.Cluster == m.Cluster:
				return fmt.Errorf("--cluster %d: given twice", m.Cluster)
			case other.Listen.Addr == m.Listen.Addr:
				return fmt.Errorf("--cluster-listen %s: clusters %d and %d need an address or a port of their own each", m.Listen, other.Cluster, m.Cluster)
			}
		}
	}
	if err := c.validateBridges(); err != nil {
		return err
	}
	return c.validateTLS(uses)
}

func usesTLS(m *member.Config) bool {
	uses := m.Listen.TLS
	for _, p := range m.Peers {
		uses = uses || p.URL.TLS
	}
	return uses
}

func (c *Config) validateTLS(uses bool) error {
	f := &c.TLS
	switch {
	case *f == stream.TLSFiles{}:
		return nil
	case !uses:
		return errors.New("--tls-cert: no --cluster-listen or --cluster-peer has a bins URL, which TLS is for")
	case f.Cert == "" || f.Key == "":
		return errors.New("--tls-cert and --tls-key: both are needed for bins URLs")
	case f.CA == "" && !f.NoVerify:
		return errors.New("--tls-ca: say which CA signs the nodes' certificates, or take any by --tls-no-verify")
	case f.CA != "" && f.NoVerify:
		return errors.New("--tls-no-verify: it makes --tls-ca useless; leave one of them out")
	}
	return nil
}

// joinClusters opens the members. It comes after the table is restored, so that the first sync finds what is newer there.
func (a *Appliance) joinClusters(ctx context.Context) error {
	var members []*member.Member
	if len(a.config.Clusters) == 0 {
		return nil
	}
	var tls *stream.TLS
	if a.config.TLS != (stream.TLSFiles{}) {
		var err error
		if tls, err = stream.LoadTLS(a.config.TLS); err != nil {
			return fmt.Errorf("--tls-cert: %w", err)
		}
	}
	for i := range a.config.Clusters {
		c := a.config.Clusters[i]
		c.TLS, c.Log, c.Filler, c.Judge = tls, a.log, a.engine, judge{a}
		c.Claimed, c.Announce = a.conflicts.Claim, a.bridges.announced(c.Cluster)
		c.Intake = uint8(len(a.config.Listen) + i)
		c.Admit = a.input.gate.Admit
		c.Record = a.recordedConnection(i)
		counts := a.table.Counts()
		c.Donor.Store, c.Donor.Restored = store{a}, counts.Live() > 0
		m, err := member.Open(ctx, c)
		if err != nil {
			for _, m := range members {
				err = errors.Join(err, m.Close())
			}
			return fmt.Errorf("--cluster-listen: %w", err)
		}
		members = append(members, m)
		a.log.Info("joining cluster", "cluster", c.Cluster, "node", c.Node, "url", m.URL().String(), "peers", len(c.Peers))
	}
	a.members.Store(&members)
	return nil
}

// joined returns the members; none before Run.
func (a *Appliance) joined() []*member.Member {
	if list := a.members.Load(); list != nil {
		return *list
	}
	return nil
}

// ClusterURLs returns where the nodes of each cluster reach this one, when Run has begun.
func (a *Appliance) ClusterURLs() (urls []stream.URL) {
	for _, m := range a.joined() {
		urls = append(urls, m.URL())
	}
	return urls
}

func (a *Appliance) clusterInputs() (list []engine.Input) {
	for _, m := range a.joined() {
		list = append(list, engine.Input{Source: m, Name: fmt.Sprintf("cluster %d", m.Cluster())})
	}
	return list
}

func (a *Appliance) leaveClusters() (err error) {
	for _, m := range a.joined() {
		err = errors.Join(err, m.Close())
	}
	return err
}

// Profiles returns what the nodes of each cluster say of their dialog profiles.
func (a *Appliance) Profiles() (list []control.ClusterProfiles) {
	for _, m := range a.joined() {
		list = append(list, control.ClusterProfiles{Cluster: m.Cluster(), Nodes: m.Profiles()})
	}
	return list
}

// clusterStatus fills in the clusters, and returns how many packets were refused because of their source.
func (a *Appliance) clusterStatus(s *control.Status, e *engine.Status) (refused uint64) {
	s.Clusters, s.Bridges = []control.ClusterStatus{}, a.bridges.status()
	_, sides := a.conflicts.Sums()
	sources := map[packets.Sender]*engine.SourceStatus{}
	for i := range e.Sources {
		sources[e.Sources[i].Sender] = &e.Sources[i]
	}
	for i, m := range a.joined() {
		st := m.Status()
		c := control.ClusterStatus{Status: st, Nodes: []control.ClusterNode{}, Conflicts: control.NewClusterConflicts(m.Cluster(), sides)}
		rejected := st.Stream.Reasons[stream.Rejected].Dropped.Packets
		lost := map[string]uint64{"queue_full": st.Stream.Totals.Dropped.Packets - min(st.Stream.Totals.Dropped.Packets, rejected)}
		intake := &e.Intakes[len(a.config.Listen)+i].Account
		// What waits in the queue is seen when it is taken.
		seen := max(st.Stream.Delivered.Packets, intake.Received) + rejected + lost["queue_full"]
		c.Account = control.NewAccount(seen, intake, 0, lost)
		c.Account.Rejected[control.NotMember], c.RefusedChunks = rejected, intake.RefusedChunks
		refused += rejected
		for _, n := range st.Nodes {
			node := control.ClusterNode{NodeStatus: n}
			if src := sources[packets.Sender{Cluster: uint16(m.Cluster()), Node: uint32(n.Node)}]; src != nil {
				known := control.NewSource(*src)
				node.Source(known)
				for k := range s.Sources {
					if s.Sources[k].Address == known.Address {
						s.Sources[k].Restarts = n.Restarts
					}
				}
			}
			node.Layouts(m.Cluster(), e.Nodes)
			c.Nodes = append(c.Nodes, node)
		}
		s.Clusters = append(s.Clusters, c)
	}
	return refused
}
