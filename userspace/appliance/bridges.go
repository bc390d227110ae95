package appliance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"binrepd/userspace/changes"
	"binrepd/userspace/cluster/bridge"
	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/cluster/member"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/watch/control"
)

// Times of bridges between clusters.
const (
	bridgeEvery = 5 * time.Millisecond
	// bridgeBurst is how many changes go at once: bursts of thousands of packets break OpenSIPS 4.0. A first fill of one
	// cluster comes into the other at 10,000 calls a second.
	bridgeBurst = 50
	bridgeLook  = 100 * time.Millisecond // at the nodes that are up, and at what they announce
)

// bridges pass calls of one cluster into another.
type bridges struct {
	rules []bridge.Rule
	// brought tells from which clusters a node brings calls into its own: it is another appliance.
	brought atomic.Pointer[map[clusterNode][]int32]

	mu   sync.Mutex // guards what is below
	list []*bridge.Bridge
	lost uint64 // changes that were overwritten in the journal before they were passed on
}

var errBurst = errors.New("burst used up")

type clusterNode struct{ cluster, node int32 }

// validateBridges checks the rules.
func (c *Config) validateBridges() error {
	for i, r := range c.Bridges {
		for _, id := range [...]int32{r.From, r.To} {
			if !slices.ContainsFunc(c.Clusters, func(m member.Config) bool { return m.Cluster == id }) {
				return fmt.Errorf("--cluster-bridge %s: this binrepd isn't in cluster %d; add --cluster %[2]d", r, id)
			}
		}
		for _, other := range c.Bridges[:i] {
			if other.From == r.From && other.To == r.To {
				return fmt.Errorf("--cluster-bridge %s: there is already %s", r, other)
			}
		}
	}
	return nil
}

// announced returns the capabilities that bridges announce in a cluster.
func (b *bridges) announced(cluster int32) (names []string) {
	for _, r := range b.rules {
		if r.To == cluster {
			names = append(names, r.Announced())
		}
	}
	return names
}

// serves tells whether a call that a node told of belongs into the answers to nodes of another cluster. Calls of a rule
// with a tag go live only.
func (b *bridges) serves(from packets.Sender, cluster int32) bool {
	n := clusterNode{int32(from.Cluster), int32(from.Node)}
	var brought []int32
	if known := b.brought.Load(); known != nil {
		brought = (*known)[n]
	}
	if slices.Contains(brought, cluster) {
		return true // a call of that cluster, which another appliance told of first
	}
	for _, r := range b.rules {
		if r.From == n.cluster && r.To == cluster && r.Tag == "" && len(brought) == 0 {
			return true
		}
	}
	return false
}

// bridgeClusters passes calls on until ctx ends.
func (a *Appliance) bridgeClusters(ctx context.Context) {
	b := &a.bridges
	tail := a.output.egress.Tail()
	defer tail.Close()
	tick := time.NewTicker(bridgeEvery)
	defer tick.Stop()
	var looked time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		b.mu.Lock()
		if now.Sub(looked) >= bridgeLook {
			looked = now
			a.lookAtBridges()
		}
		left := bridgeBurst
		lost, _ := tail.Read(tail.Head(), func(c *changes.Change) error { // its only error is errBurst
			for _, one := range b.list {
				if one.Change(c, uint32(now.Unix())) {
					left--
				}
			}
			if left <= 0 {
				return errBurst
			}
			return nil
		})
		b.lost += lost
		b.mu.Unlock()
	}
}

// lookAtBridges tells the bridges which nodes are up, and which nodes are bridges themselves. The lock is held.
func (a *Appliance) lookAtBridges() {
	b := &a.bridges
	brought := map[clusterNode][]int32{}
	reached := map[int32][]bridge.Target{}
	for _, m := range a.joined() {
		m.Announced(func(node int32, capability string) {
			if from, ok := bridge.Source(capability, m.Cluster()); ok {
				n := clusterNode{m.Cluster(), node}
				brought[n] = append(brought[n], from)
			}
		})
		for _, r := range m.Reached() {
			reached[m.Cluster()] = append(reached[m.Cluster()], bridge.Target{Peer: r.Peer, Rewrites: r.Rewrites, Send: r.Send})
		}
	}
	b.brought.Store(&brought)
	if b.list == nil {
		for _, r := range b.rules {
			b.list = append(b.list, bridge.New(r))
		}
	}
	for _, one := range b.list {
		r := one.Rule()
		others := map[int32]bool{}
		for n := range brought {
			if n.cluster == r.From {
				others[n.node] = true
			}
		}
		var targets []bridge.Target
		for _, t := range reached[r.To] {
			// A bridge back to where the calls come from is an appliance, which has them.
			if !slices.Contains(brought[clusterNode{r.To, t.Peer.Trailer.Destination}], r.From) {
				targets = append(targets, t)
			}
		}
		one.Know(targets, others)
	}
}

// status returns the account of each direction.
func (b *bridges) status() []control.BridgeStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := []control.BridgeStatus{}
	for _, one := range b.list {
		r := one.Rule()
		s := control.BridgeStatus{From: r.From, To: r.To, Tag: r.Tag, Nodes: one.Nodes(), Changes: one.Changes, Packets: one.Packets, NotSent: one.NotSent, Lost: b.lost,
			Held: map[string]uint64{}}
		for reason := bridge.Passed + 1; reason < bridge.Reasons; reason++ {
			s.Held[reason.String()] = one.Held[reason]
		}
		for reason := donor.Passed + 1; reason < donor.Reasons; reason++ {
			if n := one.NotFit[reason]; n > 0 {
				s.Held[reason.String()] = n
			}
		}
		list = append(list, s)
	}
	return list
}
