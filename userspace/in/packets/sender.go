package packets

import "fmt"

// Sender is who sent a packet: an endpoint, or a node of a cluster. It has no pointers, and two of them can be compared. The
// zero value is nobody.
type Sender struct {
	// Endpoint is where a packet came from. Of a node it is zero: a node may have several connections, one after the other. If
	// another appliance passed the node's packet on it is that appliance's.
	Endpoint
	// Cluster and Node are the numbers of a node, as OpenSIPS has them in cluster_id and node_id. Node 0 is no node.
	Cluster uint16
	Node    uint32
}

// String returns "192.0.2.1:5556", "node 3 of cluster 1", or "node 3 of cluster 1 by 192.0.2.1:5556".
func (s Sender) String() string {
	switch {
	case s.Node != 0 && s.Endpoint != (Endpoint{}):
		return fmt.Sprintf("node %d of cluster %d by %s", s.Node, s.Cluster, s.Endpoint)
	case s.Node != 0:
		return fmt.Sprintf("node %d of cluster %d", s.Node, s.Cluster)
	}
	return s.Endpoint.String()
}
