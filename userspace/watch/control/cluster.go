package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"binrepd/userspace/cluster/member"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/wire/bin2"
)

// NotMember is the reason of rejection of packets that come from no node of the cluster, or for another node.
const NotMember = "not_member"

// ClusterStatus is the state of one cluster. Its first keys are those of OpenSIPS's clusterer_list.
type ClusterStatus struct {
	member.Status
	Nodes   []ClusterNode `json:"Nodes"`
	Account Account       `json:"account"`
	// Conflicts are the older claimants of sharing tags that still acted for them.
	Conflicts []ClusterConflict `json:"tag_events_of_older"`
	// RefusedChunks counts dialogs in packets of syncs that can't be read.
	RefusedChunks uint64 `json:"sync_dialogs_refused"`
}

// Unreadable returns the number of packets of dialogs in a version or layout that can't be read. Only nodes of the
// cluster can send any.
func (c *ClusterStatus) Unreadable() uint64 {
	return c.Account.Rejected[bin2.BadVersion.String()] + c.Account.Rejected[bin2.UnknownLayout.String()]
}

// losses adds what the cluster's nodes sent and can't be read, by what it is.
func (c *ClusterStatus) losses(sum map[string]uint64) {
	sum[fmt.Sprintf("packets of cluster %d in a version or layout that can't be read", c.Cluster)] = c.Unreadable()
	sum[fmt.Sprintf("dialogs in a sync of cluster %d that can't be read", c.Cluster)] = c.RefusedChunks
}

// ClusterNode is another node of the cluster.
type ClusterNode struct {
	member.NodeStatus
	Events   uint64    `json:"events"` // good packets of modules
	Rejected uint64    `json:"rejected"`
	Last     time.Time `json:"last,omitzero"` // of the last event
	Rate     float64   `json:"rate"`          // events a second, over the last ten seconds
	Skew     *float64  `json:"clock_skew_seconds"`
	// Layout of its dialogs; empty if it has sent none. Decided: no other layout fits what it sent.
	Layout  string `json:"layout"`
	Decided bool   `json:"layout_decided"`
	address string // under which it is in Status.Sources
}

// Source fills in what the engine knows of the node.
func (n *ClusterNode) Source(s SourceStatus) {
	n.Events, n.Rejected, n.Last, n.Skew, n.address = s.Events, s.Rejected, s.Last, s.Skew, s.Address
}

// Layouts fills in the layout of the node's dialogs.
func (n *ClusterNode) Layouts(cluster int32, nodes []engine.NodeStatus) {
	for i := range nodes {
		if o := &nodes[i]; o.Cluster == cluster && o.Node == n.Node && o.Sender.Cluster == uint16(cluster) {
			n.Layout, n.Decided = o.Layout.String(), o.Decided
		}
	}
}

// ClusterSyncRequest asks for a sync of a cluster's dialogs. Zero values leave the choice to the appliance.
type ClusterSyncRequest struct {
	Cluster int32 `json:"cluster,omitempty"`
	From    int32 `json:"from,omitempty"`
}

// SyncCluster makes the appliance ask a node for its dialogs, and calls progress several times a second until the sync
// has ended. If it failed, the result tells how far it came; Ended is zero if none was begun. If ctx ends, the sync
// goes on.
func (c *Client) SyncCluster(ctx context.Context, req ClusterSyncRequest, progress func(member.SyncStatus)) (member.SyncResult, error) {
	r, err := follow[member.SyncStatus, member.SyncResult](ctx, c, "/v1/cluster/sync", req, progress)
	switch {
	case r == nil && ctx.Err() != nil:
		return member.SyncResult{}, ctx.Err()
	case r == nil:
		return member.SyncResult{}, err
	}
	return *r, err
}

// clusterWord returns the word that the clusters give, with its reason; Ready if they give none. INCOMPLETE comes
// first: it says that dialogs are missing here, STALE only that a node sends nothing. While no node is up, and a sync
// was complete before, the table has all that it could have, and the dead nodes are what an operator has to know:
// member.SyncStatus.Incomplete is empty then.
func (h *History) clusterWord(now time.Time, s *Status) (Word, string) {
	for i := range s.Clusters {
		if why := s.Clusters[i].Sync.Incomplete; why != "" {
			return Incomplete, fmt.Sprintf("cluster %d: %s", s.Clusters[i].Cluster, why)
		}
	}
	for i := range s.Clusters {
		c := &s.Clusters[i]
		if c.State == "removed" {
			return Stale, fmt.Sprintf("cluster %d: this node was removed from it", c.Cluster)
		}
		for k := range c.Nodes {
			if why := h.nodeStale(now, c, &c.Nodes[k]); why != "" {
				return Stale, fmt.Sprintf("node %d of cluster %d %s", c.Nodes[k].Node, c.Cluster, why)
			}
		}
	}
	return Ready, ""
}

// nodeStale says what is wrong with a node; "" if nothing is. A node that is a backup for every sharing tag has nothing
// to send, so it may be silent while its link is up.
func (h *History) nodeStale(now time.Time, c *ClusterStatus, n *ClusterNode) string {
	if n.State != "enabled" {
		return ""
	}
	if n.LinkState == membership.Down {
		if down := now.Sub(n.LinkSince); down < retired {
			return fmt.Sprintf("has been down for %s", down.Truncate(time.Second))
		}
		return ""
	}
	since := n.Last
	if since.IsZero() && c.activeForTag(n.Node) { // it has never sent anything, and should have
		since = n.LinkSince
	}
	silent := now.Sub(since)
	if h.StaleAfter <= 0 || n.LinkState != membership.Up || since.IsZero() || silent < h.StaleAfter || silent >= retired || !c.speaks(n.Node) {
		return ""
	}
	for i := range c.Nodes {
		if other := &c.Nodes[i]; other != n && !other.Last.IsZero() && now.Sub(other.Last) < h.StaleAfter {
			return fmt.Sprintf("answers pings and has sent nothing for %s, while node %d sends", silent.Truncate(time.Second), other.Node)
		}
	}
	return ""
}

// activeForTag reports whether a node is active for a sharing tag.
func (c *ClusterStatus) activeForTag(node int32) bool {
	return slices.ContainsFunc(c.Tags, func(t membership.TagStatus) bool { return t.Active == node })
}

// speaks reports whether a node should send: it is active for a tag, or there are no tags.
func (c *ClusterStatus) speaks(node int32) bool {
	return len(c.Tags) == 0 || c.activeForTag(node)
}

// BridgeStatus is the account of one direction in which calls of a cluster pass into another one.
type BridgeStatus struct {
	From    int32  `json:"from_cluster"`
	To      int32  `json:"to_cluster"`
	Tag     string `json:"tag,omitempty"` // only calls with this sharing tag
	Nodes   int    `json:"nodes"`         // of the second cluster that calls go to now
	Changes uint64 `json:"changes"`       // of calls of the first cluster
	Packets uint64 `json:"packets"`       // sent to nodes of the second one
	NotSent uint64 `json:"not_sent"`      // the queue of a connection was full
	Lost    uint64 `json:"lost"`          // changes that left the journal before they were passed on
	// Held counts what wasn't passed on, by reason: changes as such, or for one node.
	Held map[string]uint64 `json:"held_back"`
}
