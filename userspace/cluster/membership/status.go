package membership

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"binrepd/userspace/wire/bin2"
)

// Status is all that the machine knows, for people. The first keys of its parts are those of OpenSIPS's
// clusterer_list, clusterer_list_cap and clusterer_list_shtags.
type Status struct {
	Cluster      int32              `json:"cluster_id"`
	Node         int32              `json:"my_node_id"`
	URL          string             `json:"url"`
	State        string             `json:"state"` // enabled, or removed
	Nodes        []NodeStatus       `json:"Nodes"`
	Capabilities []CapabilityStatus `json:"Capabilities"` // ours
	Tags         []TagStatus        `json:"Tags"`
	// OwnIDFrom and OwnIDAt tell who used our id last.
	OwnIDFrom netip.Addr `json:"own_id_from,omitzero"`
	OwnIDAt   time.Time  `json:"own_id_at,omitzero"`
	Counts    Counts     `json:"counts"`
}

// Counts are numbers of packets since the start. Names are those of reasons and of messages; what is 0 is left out.
type Counts struct {
	Delivered uint64            `json:"delivered"`
	Forwarded uint64            `json:"forwarded"`
	Messages  map[string]uint64 `json:"messages"`
	Refused   map[string]uint64 `json:"refused"`
	Ignored   map[string]uint64 `json:"ignored"`
	// TagConflicts is the number of times that two nodes claimed a tag within a short time.
	TagConflicts uint64 `json:"tag_conflicts"`
}

// NodeStatus is another node. Times are zero if the thing never happened.
type NodeStatus struct {
	Node        int32     `json:"node_id"`
	DBID        int       `json:"db_id"` // always -1: there is no database
	URL         string    `json:"url"`
	LinkState   LinkState `json:"link_state"`
	State       string    `json:"state"`    // enabled or disabled
	NextHop     string    `json:"next_hop"` // a node id, or none
	Description string    `json:"description"`

	SIPAddr    string       `json:"sip_addr,omitempty"`
	Priority   int32        `json:"priority"`
	Retries    int32        `json:"no_ping_retries"`
	Learned    bool         `json:"learned"`
	Addresses  []netip.Addr `json:"addresses"`
	LinkSince  time.Time    `json:"link_since"`
	Releases   string       `json:"releases"` // that the node can have
	Dialect    bin2.Dialect `json:"-"`
	Neighbours []int32      `json:"neighbours"`
	// Restarts is the number of new lives that were seen.
	Restarts   int       `json:"restarts"`
	LastPing   time.Time `json:"last_ping,omitzero"` // sent
	LastPong   time.Time `json:"last_pong,omitzero"` // received
	LastPacket time.Time `json:"last_packet,omitzero"`
	// Relay is the node through which a packet of this one came last, at LastRelayed.
	Relay        int32              `json:"relay,omitempty"`
	LastRelayed  time.Time          `json:"last_relayed,omitzero"`
	Capabilities []CapabilityStatus `json:"Capabilities"`
	// Firsthand tells whether the node itself announced its capabilities in this life.
	Firsthand bool `json:"capabilities_firsthand"`
	// CapSeq, LinkSeq and TopologySeq are the last sequence numbers; -1 is none.
	CapSeq      int32 `json:"capability_seq"`
	LinkSeq     int32 `json:"link_seq"`
	TopologySeq int32 `json:"topology_seq"`
}

// CapabilityStatus is a capability of a node.
type CapabilityStatus struct {
	Name    string    `json:"name"`
	State   string    `json:"state"`   // Ok, or not synced
	Enabled string    `json:"enabled"` // always yes
	Since   time.Time `json:"since"`
}

// TagStatus is a sharing tag. State is ours and always backup.
type TagStatus struct {
	Tag     string `json:"Tag"`
	Cluster int32  `json:"Cluster"`
	State   string `json:"State"`

	Active       int32     `json:"active_node"`
	Since        time.Time `json:"since"`
	Previous     int32     `json:"previous_node,omitempty"`
	Conflicts    uint64    `json:"conflicts"`
	LastConflict time.Time `json:"last_conflict,omitzero"`
}

// Status returns a copy of all that is known.
func (m *Machine) Status() Status {
	s := Status{Cluster: m.config.Cluster, Node: m.config.Node, URL: m.config.URL, State: "enabled",
		OwnIDFrom: m.intruder.addr, OwnIDAt: m.intruder.at, Capabilities: capStatus(m.own), Counts: m.Counts(),
		Nodes: make([]NodeStatus, 0, len(m.order)), Tags: make([]TagStatus, 0, len(m.tags))}
	if m.removed {
		s.State = "removed"
	}
	hops := m.nextHops()
	for _, n := range m.order {
		s.Nodes = append(s.Nodes, n.status(hops[n.Node]))
	}
	for _, name := range slices.Sorted(maps.Keys(m.tags)) {
		t := m.tags[name]
		s.Tags = append(s.Tags, TagStatus{Tag: name, Cluster: m.config.Cluster, State: "backup", Active: t.active, Since: t.since,
			Previous: t.previous, Conflicts: t.conflicts, LastConflict: t.conflict})
	}
	return s
}

func (n *node) status(hop int32) NodeStatus {
	s := NodeStatus{Node: n.Node, DBID: -1, URL: n.URL, LinkState: n.link.state(), State: "enabled", NextHop: "none",
		Description: cmp.Or(n.Description, "none"), SIPAddr: n.SIPAddr, Priority: n.Priority, Retries: n.Retries, Learned: n.learned,
		Addresses: slices.Clone(n.Addresses), LinkSince: n.since, Releases: n.dialect.Releases(), Dialect: n.dialect,
		Neighbours: slices.Clone(n.neighbours), Restarts: n.lives, LastPing: n.lastPing, LastPong: n.lastPong,
		LastPacket: n.lastHeard, Relay: n.via, LastRelayed: n.lastVia, Capabilities: capStatus(n.caps), Firsthand: n.ownCaps,
		CapSeq: n.numbers[capsNumber].seq, LinkSeq: n.numbers[linkNumber].seq, TopologySeq: n.numbers[topologyNumber].seq}
	if n.disabled {
		s.State = "disabled"
	}
	if hop != 0 {
		s.NextHop = strconv.Itoa(int(hop))
	}
	return s
}

func capStatus(list []capability) []CapabilityStatus {
	s := make([]CapabilityStatus, 0, len(list))
	for _, c := range list {
		state := "not synced"
		if c.synced {
			state = "Ok"
		}
		s = append(s, CapabilityStatus{Name: c.name, State: state, Enabled: "yes", Since: c.since})
	}
	return s
}

// nextHops returns for each node that can be reached which neighbour of ours is the first on the way: fewest hops,
// then lower priority value, then lower id, as OpenSIPS chooses.
func (m *Machine) nextHops() map[int32]int32 {
	hops := map[int32]int32{}
	var front []*node
	for _, n := range m.order {
		if n.link == linkUp && !n.disabled {
			hops[n.Node] = n.Node
			front = append(front, n)
		}
	}
	for len(front) > 0 {
		slices.SortFunc(front, func(a, b *node) int {
			return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Node, b.Node))
		})
		var behind []*node
		for _, n := range front {
			for _, id := range n.neighbours {
				if other := m.find(id); other != nil && hops[id] == 0 {
					hops[id] = hops[n.Node]
					behind = append(behind, other)
				}
			}
		}
		front = behind
	}
	return hops
}

// Counts returns the numbers of packets since the start.
func (m *Machine) Counts() Counts {
	c := Counts{Delivered: m.delivered, Forwarded: m.forwarded, TagConflicts: m.conflicts,
		Messages: map[string]uint64{}, Refused: map[string]uint64{}, Ignored: map[string]uint64{}}
	for k, n := range m.kinds {
		if n > 0 {
			c.Messages[bin2.Kind(k).String()] = n
		}
	}
	for r, n := range m.reasons {
		switch {
		case n == 0:
		case Reason(r) < Repeated:
			c.Refused[Reason(r).String()] = n
		default:
			c.Ignored[Reason(r).String()] = n
		}
	}
	return c
}

// Count returns how many packets had that reason since the start.
func (m *Machine) Count(r Reason) uint64 {
	if r >= Reasons {
		return 0
	}
	return m.reasons[r]
}
