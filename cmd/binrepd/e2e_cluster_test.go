package main

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"binrepd/userspace/cluster/member"
	"binrepd/userspace/cluster/member/membertest"
	"binrepd/userspace/wire/bin2"
)

// TestClusterCommands: a process joins a cluster of one model node, and the commands of clusters tell so with OpenSIPS's keys.
func TestClusterCommands(t *testing.T) {
	t.Parallel()
	node := membertest.Start(t, membertest.Config{
		Cluster: 1, ID: 1, Addr: netip.MustParseAddr("127.0.0.31"), Learn: true, Synced: true, Quick: true,
		Donor: membertest.Donor{Chunks: [][]byte{}},
	})
	d := startDaemon(t, nil, "--xdp", "off", "--listen", freePort(t), "--cluster", "1", "--node", "3",
		"--cluster-listen", "bin:127.0.0.33:"+port(freePort(t)), "--cluster-peer", "1="+node.URL())
	d.await("the first sync", func() bool {
		s := d.status()
		return len(s.Clusters) == 1 && s.Clusters[0].Sync.Done > 0 && s.Word == "READY"
	})
	counts, err := bin2.AppendProfiles(nil, 4, bin2.Trailer{Cluster: 1, Source: 1, Destination: 3}, bin2.ProfileCount{Name: []byte("gw"), Value: []byte("a"), Dialogs: 5})
	if err != nil {
		t.Fatal(err)
	}
	d.await("counts of profiles", func() bool {
		if err := node.Send(3, counts); err != nil {
			return false // a new connection is on its way
		}
		out, _, status := command(t, nil, "profiles", "--control", d.socket)
		return status == exitDone && strings.Contains(out, "1: 5")
	})
	for args, keys := range map[string]string{
		"list --json":         "Clusters Nodes cluster_id node_id url link_state state next_hop",
		"capabilities --json": "Clusters Nodes node_id Capabilities name state",
		"tags --json":         "",
		"list":                "Up",
		"sync":                "complete",
	} {
		out, stderr, status := command(t, nil, append(append([]string{"cluster"}, strings.Fields(args)...), "--control", d.socket)...)
		if status != exitDone {
			t.Errorf("cluster %s: status %d, %s", args, status, stderr)
		}
		if strings.HasSuffix(args, "--json") && !json.Valid([]byte(out)) {
			t.Errorf("cluster %s: not JSON: %s", args, out)
		}
		for _, key := range strings.Fields(keys) {
			if !strings.Contains(out, key) {
				t.Errorf("cluster %s has no %s:\n%s", args, key, out)
			}
		}
	}
	push := func(more ...string) (string, string, int) {
		return command(t, nil, append([]string{"sync", "--cluster", "1", "--node", "1", "--control", d.socket}, more...)...)
	}
	if out, stderr, status := push(); status != exitDone || !strings.Contains(out, "0 dialogs and 0 ended ones sent to node 1 of cluster 1") {
		t.Errorf("push: status %d, %s%s", status, out, stderr)
	}
	for _, wrong := range [...][]string{{"--to", "10.0.0.2:5555"}, {"--passes", "2"}, {"--ends", "all"}, {"--no-convert"}, {"--rewrite-socket", "x"}, {"--node", "0"}} {
		if _, stderr, status := push(wrong...); status != exitUsage {
			t.Errorf("push %q: status %d, %s", wrong, status, stderr)
		}
	}
	if _, stderr, status := push("--node", "8"); status != exitFailed && status != exitUsage || !strings.Contains(stderr, "node 8 isn't up") {
		t.Errorf("push to no node: status %d, %s", status, stderr)
	}
	// A sync that fails says so in words, in JSON and by its exit status. Until it has failed, its progress is told.
	node.SetDonor(membertest.Donor{Chunks: [][]byte{}, Excess: 2})
	out, stderr, status := command(t, nil, "cluster", "sync", "--from", "1", "--json", "--control", d.socket)
	var result member.SyncResult
	if err := json.Unmarshal([]byte(out), &result); err != nil || result.Complete || result.Announced != 2 || status != exitFailed ||
		!strings.Contains(stderr, "asked node 1: 0 dialogs") || !strings.Contains(stderr, "it announced 2 dialogs and only 0 came") {
		t.Errorf("a sync that fails: status %d, %s, %s, %v", status, stderr, out, err)
	}
	if _, stderr, status := command(t, nil, "cluster", "list", "--cluster", "7", "--control", d.socket); status != exitFailed ||
		!strings.Contains(stderr, "isn't in cluster 7") {
		t.Errorf("cluster 7: status %d, %s", status, stderr)
	}
	d.stop()
}

// port returns the port of HOST:PORT.
func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
