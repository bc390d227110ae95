package mi

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Tag is a sharing tag as one node of a cluster sees it.
type Tag struct {
	Name    string
	Cluster int // 0 in 2.4, which doesn't tell
	Active  bool
}

// Tags lists the sharing tags that the proxy knows.
func (c *Client) Tags(ctx context.Context) ([]Tag, error) {
	command := "dlg_list_sharing_tags"
	if c.dialect == RPC {
		command = "clusterer_list_shtags"
	}
	n, err := c.Call(ctx, command)
	if NotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return c.tagsOf(n), nil
}

func (c *Client) tagsOf(n *Node) (tags []Tag) {
	if c.dialect == RPC {
		for i := range n.Children {
			t := &n.Children[i]
			tags = append(tags, Tag{Name: t.text("Tag"), Cluster: int(t.number("Cluster")), Active: t.text("State") == "active"})
		}
		return tags
	}
	for i := range n.Children {
		if t := &n.Children[i]; t.Name == "Tag" {
			tags = append(tags, Tag{Name: t.Value, Active: t.Attr("State") == "1"})
		}
	}
	return tags
}

// ActivateTag makes the proxy the active node for a sharing tag. The tag must exist there: a proxy creates one that
// doesn't, says OK, and tells all others. The command takes effect at once and in the whole cluster.
func (c *Client) ActivateTag(ctx context.Context, name string, cluster int) error {
	tags, err := c.Tags(ctx)
	if err != nil {
		return err
	}
	known := false
	for _, t := range tags {
		known = known || t.Name == name && (t.Cluster == cluster || t.Cluster == 0)
	}
	if !known {
		return fmt.Errorf("the proxy has no sharing tag %q in cluster %d", name, cluster)
	}
	if c.dialect == RPC {
		_, err = c.Call(ctx, "clusterer_shtag_set_active", Param{Name: "tag", Value: name + "/" + strconv.Itoa(cluster)})
		return err
	}
	_, err = c.Call(ctx, "dlg_set_sharing_tag_active", Param{Name: "tag_name", Value: name})
	if NotFound(err) && c.dialect == OldJSON {
		return nil // an empty answer means done
	}
	return err
}

// Peer is another node of a cluster as the proxy sees it. It doesn't list itself.
type Peer struct {
	Cluster, Node int
	URL           string
	Up            bool
}

// Peers lists the other nodes of the proxy's clusters.
func (c *Client) Peers(ctx context.Context) ([]Peer, error) {
	n, err := c.Call(ctx, "clusterer_list")
	if err != nil {
		return nil, err
	}
	return c.peersOf(n), nil
}

func (c *Client) peersOf(n *Node) (peers []Peer) {
	c.eachInCluster(n, "Nodes", func(cluster int, node *Node) {
		p := Peer{Cluster: cluster, URL: node.Attr("URL") + node.text("url")}
		p.Node, _ = strconv.Atoi(node.Value + node.text("node_id"))
		p.Up = strings.TrimSpace(node.Attr("Link_state")+node.text("link_state")) == "Up"
		peers = append(peers, p)
	})
	return peers
}

// eachInCluster calls do for each entry of each cluster in an answer. list is the name under which JSON-RPC has the
// entries of a cluster; in text they are its children.
func (c *Client) eachInCluster(n *Node, list string, do func(cluster int, one *Node)) {
	if c.dialect == RPC {
		n = n.Child("Clusters")
	}
	for i := range n.Children {
		id, entries := n.Children[i].Value, &n.Children[i]
		if c.dialect == RPC {
			id, entries = entries.text("cluster_id"), entries.Child(list)
		}
		number, _ := strconv.Atoi(id)
		for j := range entries.Children {
			do(number, &entries.Children[j])
		}
	}
}

// Capability is something that a node replicates, and whether it is in sync.
type Capability struct {
	Cluster int
	Name    string
	Synced  bool
}

// Capabilities lists what the proxy itself replicates in its clusters. A dialog-dlg-repl that is synced takes part.
func (c *Client) Capabilities(ctx context.Context) ([]Capability, error) {
	n, err := c.Call(ctx, "clusterer_list_cap")
	if err != nil {
		return nil, err
	}
	return c.capabilitiesOf(n), nil
}

func (c *Client) capabilitiesOf(n *Node) (list []Capability) {
	c.eachInCluster(n, "Capabilities", func(cluster int, one *Node) {
		name, state := one.Value, one.Attr("State")
		if c.dialect == RPC {
			name, state = one.text("name"), one.text("state")
		}
		list = append(list, Capability{Cluster: cluster, Name: name, Synced: strings.TrimSpace(state) == "Ok"})
	})
	return list
}
