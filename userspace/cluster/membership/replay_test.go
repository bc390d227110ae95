package membership_test

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/wire/bin2"
	"binrepd/userspace/wire/bin2/bin2test"
)

// truth is what the nodes of a capture said at its end.
type truth map[string]struct {
	List struct {
		Clusters []struct {
			Nodes []map[string]any `json:"Nodes"`
		}
	} `json:"clusterer_list"`
	Caps struct {
		Clusters []struct {
			Capabilities []struct{ Name, State string }
		}
	} `json:"clusterer_list_cap"`
	Topology struct {
		Clusters []struct {
			Nodes []struct {
				ID         int32 `json:"node_id"`
				Neighbours []int32
			}
		}
	} `json:"clusterer_list_topology"`
	Tags []map[string]any `json:"clusterer_list_shtags"`
}

// TestReplay feeds a machine what a member of a real cluster received, and answers its pings as the nodes would
// have done. At the end it knows of each node what the node itself said.
func TestReplay(t *testing.T) {
	for _, c := range bin2test.Captures(t) {
		t.Run(c.Name, func(t *testing.T) {
			m := replay(t, c)
			s := m.Status()
			for _, n := range s.Nodes {
				if n.LinkState != membership.Up {
					t.Errorf("node %d is %s", n.Node, n.LinkState)
				}
				want := 0
				if n.Node == 1 && restarts(c.Name) {
					want = 1
				}
				if n.Restarts != want {
					t.Errorf("node %d: %d restarts, want %d", n.Node, n.Restarts, want)
				}
				releases := "3.2.4 to 4.0"
				switch {
				case c.Name[:3] == "2.4" && c.Name[4:] == "S2":
					releases = "2.4.7 to 2.4.11, 3.0.1 to 3.1.6"
				case c.Name[:3] == "2.4":
					releases = "2.4 to 3.1.6"
				case c.Name[4:] == "C" || c.Name[4:] == "S2":
					releases = "3.3 to 4.0"
				}
				if n.Releases != releases && !(c.Name[4:] == "S2" && n.Node == 2) {
					t.Errorf("node %d: releases %s, want %s", n.Node, n.Releases, releases)
				}
			}
			if len(s.Counts.Refused) > 0 {
				t.Errorf("refused: %v", s.Counts.Refused)
			}
			if tag := s.Tags; len(tag) != 1 || tag[0].Tag != "vip" || tag[0].Active != 1 {
				t.Errorf("tags %+v", tag)
			}
			if c.Name[:3] != "2.4" { // the older form of answers says the same in another way
				compare(t, c.Name, s)
			}
		})
	}
}

const member = "10.98.0.3"

// restarts tells of captures in which node 1 is killed and started again.
func restarts(name string) bool { return name[4:] == "S3" || name[4:] == "C" }

// replay runs the capture through a machine with the member's id.
func replay(t *testing.T, c *bin2test.Capture) *membership.Machine {
	t.Helper()
	config := membership.Config{Cluster: 1, Node: 3, URL: "bin:" + member + ":5566", Learn: true,
		Peers: []membership.Peer{{Node: 1, URL: "bin:10.98.0.1:5566"}}}
	if learned, alone := strings.Contains(c.Name, "S1"), c.Name[4:] == "C"; !learned && !alone {
		config.Peers = append(config.Peers, membership.Peer{Node: 2, URL: "bin:10.98.0.2:5566", Priority: 3})
	}
	m, err := membership.New(c.Packets[0].Time, config)
	if err != nil {
		t.Fatal(err)
	}
	var out membership.Output
	var restartBegan, restarted time.Time
	if restarts(c.Name) {
		restartBegan, restarted = absence(c)
	}
	for _, p := range c.Packets {
		for next := m.Next(); next.Before(p.Time); next = m.Next() {
			out.Reset()
			m.Tick(next, &out)
			for _, s := range slices.Clone(out.Sends) {
				if s.Kind != bin2.KindPing {
					continue
				}
				if s.Node == 1 && next.After(restartBegan) && next.Before(restarted) {
					m.SendFailed(next, 1, &out)
					continue
				}
				pong := packet(t, &bin2.Pong{From: from(s.Node)}, bin2.Dialect{})
				addr := netip.AddrFrom4([4]byte{10, 98, 0, byte(s.Node)})
				m.Receive(next, membership.Origin{Addr: addr}, pong, &out)
			}
		}
		if p.To.Addr().String() != member {
			continue
		}
		kind, _, _ := bin2.KindOf(p.Packet, 0)
		if kind == bin2.KindPong {
			continue // of the real member's pings
		}
		out.Reset()
		o := m.Receive(p.Time, membership.Origin{Addr: p.From.Addr()}, p.Packet, &out)
		if o.Verdict == membership.Refused {
			t.Errorf("%v of node %d: %v", kind, o.Source, o.Reason)
		}
		if trailer, ok := p.Trailer(); ok && trailer.Destination != 3 != (o.Verdict == membership.Forward) {
			t.Errorf("%s of %+v: %v", p.Name(), trailer, o.Verdict)
		}
		if kind == bin2.KindPing && len(out.Sends) == 0 {
			t.Error("a PING has no answer")
		}
	}
	return m
}

// absence returns the longest time in which node 1 sent nothing.
func absence(c *bin2test.Capture) (began, ended time.Time) {
	last := c.Packets[0].Time
	for _, p := range c.Packets {
		if p.From.Addr().String() != "10.98.0.1" {
			continue
		}
		if p.Time.Sub(last) > ended.Sub(began) {
			began, ended = last, p.Time
		}
		last = p.Time
	}
	return began, ended
}

// compare compares the machine's picture with what the nodes said, and the keys of both.
func compare(t *testing.T, name string, s membership.Status) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(bin2test.Folder(t), name+".cluster.json"))
	if os.IsNotExist(err) {
		return // capture C has one proxy and no such file
	}
	if len(s.Nodes) != 2 || len(s.Tags) != 1 {
		t.Fatalf("%d nodes, %d tags", len(s.Nodes), len(s.Tags))
	}
	var said truth
	if err == nil {
		var parts map[string]json.RawMessage
		if err = json.Unmarshal(text, &parts); err == nil {
			delete(parts, "read_at")
			text, _ = json.Marshal(parts)
			err = json.Unmarshal(text, &said)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, node := range [...]string{"node1", "node2"} {
		n := s.Nodes[i]
		for _, c := range said[node].Caps.Clusters[0].Capabilities {
			at := slices.IndexFunc(n.Capabilities, func(have membership.CapabilityStatus) bool { return have.Name == c.Name })
			if at < 0 || n.Capabilities[at].State != c.State {
				t.Errorf("%s says that %s is %s; known is %+v", node, c.Name, c.State, n.Capabilities)
			}
		}
		for _, top := range said[node].Topology.Clusters[0].Nodes {
			if top.ID != n.Node || n.TopologySeq < 0 {
				continue // a node whose link is stuck never told its own
			}
			slices.Sort(top.Neighbours)
			if slices.Sort(n.Neighbours); !slices.Equal(n.Neighbours, top.Neighbours) {
				t.Errorf("%s has the neighbours %v; known are %v", node, top.Neighbours, n.Neighbours)
			}
		}
		for _, listed := range said[node].List.Clusters[0].Nodes {
			if listed["node_id"] != float64(3-n.Node) {
				continue
			}
			got := keys(t, s.Nodes[2-n.Node])
			for key, value := range listed {
				if have, ok := got[key]; !ok {
					t.Errorf("clusterer_list has the key %s, the status doesn't", key)
				} else if have != value {
					t.Errorf("%s says that %s of node %d is %v; known is %v", node, key, 3-n.Node, value, have)
				}
			}
		}
		for key := range said[node].Tags[0] {
			if _, ok := keys(t, s.Tags[0])[key]; !ok {
				t.Errorf("clusterer_list_shtags has the key %s, the status doesn't", key)
			}
		}
	}
}

func keys(t *testing.T, v any) (m map[string]any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}
