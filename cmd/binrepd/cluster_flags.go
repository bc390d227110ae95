package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"binrepd/userspace/cluster/bridge"
	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/cluster/member"
	"binrepd/userspace/in/stream"
)

const categoryCluster = "Clusters"

// clusterFlags returns the flags about clusters of OpenSIPS 2.4 and later.
func clusterFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{
			Name: "cluster", Category: categoryCluster,
			Usage: "be a node of the OpenSIPS cluster with the id `N`, 1 to 65535, and hold its dialogs; repeat for more. The other flags of this " +
				"group are for every cluster, or for one if the value begins with its id and a slash: --cluster-listen 2/bin:10.0.0.3:5567",
		},
		&cli.StringSliceFlag{
			Name: "node", Category: categoryCluster,
			Usage: "be the node with the id `[CLUSTER/]N`, which no other node of the cluster has",
		},
		&cli.StringSliceFlag{
			Name: "cluster-listen", Category: categoryCluster,
			Usage: "let other nodes connect to `[CLUSTER/]URL`, and tell them to: bin:10.0.0.3:5566, or bins:10.0.0.3:5556 for TLS; each cluster needs " +
				"an address or a port of its own",
		},
		&cli.StringSliceFlag{
			Name: "cluster-peer", Category: categoryCluster,
			Usage: "connect to another node, `[CLUSTER/]NODE=URL`, such as 1=bin:10.0.0.1:5566; repeat for more. Those that aren't named are learned " +
				"when they connect, or from other nodes",
		},
		&cli.BoolFlag{
			Name: "cluster-fixed", Category: categoryCluster, DisableDefaultText: true,
			Usage: "learn no nodes: refuse all but those of --cluster-peer. For clusters whose proxies have db_mode 1",
		},
		&cli.StringSliceFlag{
			Name: "donor", Category: categoryCluster, DefaultText: "auto",
			Usage: "give all dialogs to nodes that ask for them, `[CLUSTER/]MODE`: auto while the table is known to be complete; never; or " +
				"seed: this table is the truth once it was filled, even if events were missed",
		},
		&cli.IntFlag{
			Name: "donor-rate", Category: categoryCluster, Value: donor.DefaultRate,
			Usage: "send at most `N` packets a second, of one dialog each, to a node that asked; 0: no limit, which OpenSIPS 4.0 doesn't bear",
		},
		&cli.StringSliceFlag{
			Name: "donor-rewrite", Category: categoryCluster,
			Usage: "replace a socket in the dialogs for a node that asked, `[CLUSTER/]NODE=OLD=NEW`, such as 2=udp:10.0.0.1:5060=udp:10.0.0.2:5060 or, " +
				"by the tag of a socket, 2=udp:edge=udp:core; repeat for more",
		},
		&cli.StringSliceFlag{
			Name: "udp-to-cluster", Category: categoryCluster,
			Usage: "pass calls of UDP sources (1.10, 1.11, 2.1) into the cluster `N`, converted, as if this node had made them: live, and to nodes " +
				"that ask for dialogs; repeat for more. Nodes refuse calls whose sockets aren't theirs: see --donor-rewrite",
		},
		&cli.StringSliceFlag{
			Name: "cluster-bridge", Category: categoryCluster,
			Usage: "pass the calls of one cluster into another, `FROM:TO[:TAG]`, such as 1:2, or 1:2:vip for those of one sharing tag; repeat for " +
				"more, and for the way back",
		},
		&cli.BoolFlag{
			Name: "fence", Category: categoryCluster, DisableDefaultText: true,
			Usage: "refuse events about calls of a sharing tag from a node that acts for the tag although another node has claimed it since; without " +
				"this flag they are applied, and listed by dialogs conflicts",
		},
		&cli.StringFlag{
			Name: "tls-cert", Category: categoryCluster,
			Usage: "for bins URLs: PEM `FILE` with the certificate of this node and its chain",
		},
		&cli.StringFlag{
			Name: "tls-key", Category: categoryCluster,
			Usage: "for bins URLs: PEM `FILE` with its key",
		},
		&cli.StringFlag{
			Name: "tls-ca", Category: categoryCluster,
			Usage: "for bins URLs: PEM `FILE` with the CA certificates that the nodes' certificates must lead to; names in them aren't compared",
		},
		&cli.StringSliceFlag{
			Name: "tls-peer", Category: categoryCluster,
			Usage: "take from a --cluster-peer only the certificate with that SHA-256, `[CLUSTER/]NODE=FINGERPRINT`, as 'openssl x509 -fingerprint " +
				"-sha256' prints it; repeat for more nodes, or for the next certificate of one",
		},
		&cli.BoolFlag{
			Name: "tls-no-verify", Category: categoryCluster, DisableDefaultText: true,
			Usage: "take any certificate, or none, from nodes that --tls-peer doesn't name: any host that reaches the port can then be a node",
		},
	}
}

var errNodeForm = errors.New("not NODE=VALUE with a node id, such as 1=bin:10.0.0.1:5566")

// parseClusters reads the flags about clusters.
func parseClusters(c *cli.Context, o *options) error {
	o.TLS = stream.TLSFiles{Cert: c.String("tls-cert"), Key: c.String("tls-key"), CA: c.String("tls-ca"), NoVerify: c.Bool("tls-no-verify")}
	o.Fence = c.Bool("fence")
	for _, text := range c.StringSlice("cluster-bridge") {
		r, err := bridge.ParseRule(text)
		if err != nil {
			return fmt.Errorf("--cluster-bridge %s: %w", text, err)
		}
		o.Bridges = append(o.Bridges, r)
	}
	for _, text := range c.StringSlice("cluster") {
		id, err := strconv.Atoi(text)
		if err != nil || id < 1 || id > member.MaxCluster {
			return fmt.Errorf("--cluster %s: not an id from 1 to %d", text, member.MaxCluster)
		}
		if slices.ContainsFunc(o.Clusters, func(m member.Config) bool { return m.Cluster == int32(id) }) {
			return fmt.Errorf("--cluster %s: given twice", text)
		}
		o.Clusters = append(o.Clusters, member.Config{Cluster: int32(id), Fixed: c.Bool("cluster-fixed")})
	}
	for _, flag := range [...]struct {
		name string
		take func(m *member.Config, value string) error
	}{{"node", takeNode}, {"cluster-listen", takeListen}, {"cluster-peer", takePeer}, {"tls-peer", takePin},
		{"donor", takeDonor}, {"donor-rewrite", takeRewrite}} {
		if err := eachCluster(c, flag.name, o.Clusters, flag.take); err != nil {
			return err
		}
	}
	for _, text := range c.StringSlice("udp-to-cluster") {
		i := slices.IndexFunc(o.Clusters, func(m member.Config) bool { return strconv.Itoa(int(m.Cluster)) == text })
		if i < 0 {
			return fmt.Errorf("--udp-to-cluster %s: there is no --cluster %[1]s", text)
		}
		o.Clusters[i].Donor.TakesUDP = true
	}
	for i := range o.Clusters {
		switch m := &o.Clusters[i]; {
		case c.Int("donor-rate") < 0:
			return fmt.Errorf("--donor-rate %d: below 0", c.Int("donor-rate"))
		case m.Node == 0:
			return fmt.Errorf("--node: say which node of cluster %d this is, such as --node 3", m.Cluster)
		case !m.Listen.Addr.IsValid():
			return fmt.Errorf("--cluster-listen: say where nodes of cluster %d reach this one, such as --cluster-listen bin:10.0.0.3:5566", m.Cluster)
		}
	}
	for i := range o.Clusters {
		o.Clusters[i].Donor.Rate = c.Int("donor-rate")
	}
	for _, name := range [...]string{"tls-cert", "tls-key", "tls-ca", "tls-no-verify", "cluster-fixed", "fence"} {
		if text := c.String(name); text != "" && text != "false" && len(o.Clusters) == 0 {
			return fmt.Errorf("--%s: there is no --cluster for it", name)
		}
	}
	return nil
}

// eachCluster calls take for each value of a flag and each cluster that the value is for: the one before a slash, or all.
func eachCluster(c *cli.Context, flag string, list []member.Config, take func(*member.Config, string) error) error {
	for _, text := range c.StringSlice(flag) {
		id, value, named := strings.Cut(text, "/")
		if !named {
			value = text
		}
		found := false
		for i := range list {
			if named && strconv.Itoa(int(list[i].Cluster)) != id {
				continue
			}
			found = true
			if err := take(&list[i], value); err != nil {
				return fmt.Errorf("--%s %s: %w", flag, text, err)
			}
		}
		switch {
		case !found && named:
			return fmt.Errorf("--%s %s: %q is no --cluster", flag, text, id)
		case !found && flag == "donor" && text == "auto": // a default that is named changes nothing
		case !found:
			return fmt.Errorf("--%s %s: there is no --cluster for it", flag, text)
		}
	}
	return nil
}

func takeNode(m *member.Config, value string) (err error) {
	if m.Node != 0 {
		return fmt.Errorf("cluster %d has node %d already", m.Cluster, m.Node)
	}
	m.Node, err = parseNode(value)
	return err
}

func takeDonor(m *member.Config, value string) (err error) {
	m.Donor.Mode, err = donor.ParseMode(value)
	return err
}

func takeRewrite(m *member.Config, value string) error {
	id, rule, ok := strings.Cut(value, "=")
	node, err := parseNode(id)
	if !ok || err != nil {
		return errors.New("not NODE=OLD=NEW with a node id, such as 2=udp:10.0.0.1:5060=udp:10.0.0.2:5060")
	}
	from, to, err := donor.ParseRewrite(rule)
	if err != nil {
		return err
	}
	if m.Donor.Rewrites == nil {
		m.Donor.Rewrites = map[int32]donor.Rewrites{}
	}
	if m.Donor.Rewrites[node] == nil {
		m.Donor.Rewrites[node] = donor.Rewrites{}
	}
	if _, twice := m.Donor.Rewrites[node][from]; twice {
		return fmt.Errorf("there is already a rule for %s", from)
	}
	m.Donor.Rewrites[node][from] = to
	return nil
}

func parseNode(value string) (int32, error) {
	id, err := strconv.ParseInt(value, 10, 32)
	if err != nil || id < 1 {
		return 0, errors.New("not a node id, 1 or more")
	}
	return int32(id), nil
}

func takeListen(m *member.Config, value string) (err error) {
	if m.Listen.Addr.IsValid() {
		return fmt.Errorf("cluster %d has %s already; a node has one URL", m.Cluster, m.Listen)
	}
	if m.Listen, err = stream.ParseURL(value); err == nil && m.Listen.Addr.Port() == 0 {
		return errors.New("port 0 is none; write the port that other nodes connect to")
	}
	return err
}

func takePeer(m *member.Config, value string) error {
	id, text, ok := strings.Cut(value, "=")
	node, err := parseNode(id)
	if !ok || err != nil {
		return errNodeForm
	}
	u, err := stream.ParseURL(text)
	if err != nil {
		return err
	}
	m.Peers = append(m.Peers, member.Peer{Node: node, URL: u})
	return nil
}

func takePin(m *member.Config, value string) error {
	id, text, ok := strings.Cut(value, "=")
	node, err := parseNode(id)
	if !ok || err != nil {
		return errors.New("not NODE=FINGERPRINT with a node id")
	}
	pin, err := member.ParsePin(text)
	if err != nil {
		return err
	}
	for i := range m.Peers {
		if m.Peers[i].Node == node {
			m.Peers[i].Pins = append(m.Peers[i].Pins, pin)
			return nil
		}
	}
	return fmt.Errorf("node %d is no --cluster-peer", node)
}
