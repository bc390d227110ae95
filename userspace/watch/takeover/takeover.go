package takeover

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/mi"
	"binrepd/userspace/watch/control"
)

// capability is that of dialogs.
const capability = "dialog-dlg-repl"

// Names of steps.
const (
	Table    = "table"
	Node     = "node"
	Tag      = "tag"
	Sockets  = "sockets"
	Send     = "send"
	Activate = "activate"
)

// Step is what became of a step.
type Step struct {
	Name   string `json:"step"`
	OK     bool   `json:"ok"`
	Text   string `json:"text"`
	Advice string `json:"advice,omitempty"` // what to do about a step that failed
}

// Plan is what to do.
type Plan struct {
	Cluster, Node int32
	Tag           string
	// Own are sockets that the node has. Those of dialogs that it has sent are known anyway.
	Own []string
	// Rewrites are rules OLD=NEW for sockets of dialogs that are sent to the node.
	Rewrites []string
	Rate     int
	// Activate makes the node active; without it nothing is changed.
	Activate bool
}

// Appliance is what a takeover asks of binrepd; *control.Client is one.
type Appliance interface {
	Status(ctx context.Context) (control.Status, error)
	Dialogs(ctx context.Context, f control.Filter, each func(line []byte) error) error
	Sync(ctx context.Context, req control.SyncRequest, progress func(control.SyncProgress)) (control.SyncSummary, error)
}

// Proxy is the management interface of the node; *mi.Client is one.
type Proxy interface {
	Peers(ctx context.Context) ([]mi.Peer, error)
	Tags(ctx context.Context) ([]mi.Tag, error)
	ActivateTag(ctx context.Context, name string, cluster int) error
}

// ErrStopped is the error of a takeover of which a step failed.
var ErrStopped = errors.New("the takeover has stopped at the step that failed")

// Run does the steps in their order, and calls tell after each. The first step that fails is the last one. proxy is
// needed for Plan.Activate only.
func Run(ctx context.Context, p Plan, a Appliance, proxy Proxy, tell func(Step) error) error {
	t := takeover{plan: p, appliance: a, proxy: proxy}
	steps := []struct {
		name string
		do   func(context.Context) (text, advice string, err error)
	}{{Table, t.table}, {Node, t.node}, {Tag, t.tag}, {Sockets, t.sockets}, {Send, t.send}, {Activate, t.activate}}
	for _, s := range steps {
		text, advice, err := s.do(ctx)
		step := Step{Name: s.name, OK: err == nil, Text: text}
		if err != nil {
			step.Text, step.Advice = err.Error(), advice
		}
		if told := tell(step); told != nil {
			return told
		}
		if err != nil {
			return ErrStopped
		}
	}
	return nil
}

type takeover struct {
	plan      Plan
	appliance Appliance
	proxy     Proxy
	cluster   control.ClusterStatus
}

// table: the dialogs here are complete.
func (t *takeover) table(ctx context.Context) (text, advice string, err error) {
	s, err := t.appliance.Status(ctx)
	if err != nil {
		return "", "start binrepd, or name its socket by --control", err
	}
	at := slices.IndexFunc(s.Clusters, func(c control.ClusterStatus) bool { return c.Cluster == t.plan.Cluster })
	if at < 0 {
		return "", "ask the appliance that is in the cluster (--cluster of run)", fmt.Errorf("this binrepd isn't in cluster %d", t.plan.Cluster)
	}
	t.cluster = s.Clusters[at]
	if d := t.cluster.Donor; !d.Announce {
		return "", "run `binrepd cluster sync`, or use another appliance; if no node is left that has more, restart binrepd with --donor seed",
			fmt.Errorf("the dialogs of cluster %d aren't known to be complete here: %s", t.plan.Cluster, d.Why)
	}
	return fmt.Sprintf("the dialogs of cluster %d are complete: %s", t.plan.Cluster, t.cluster.Donor.Why), "", nil
}

// node: it is up and synced.
func (t *takeover) node(context.Context) (text, advice string, err error) {
	at := slices.IndexFunc(t.cluster.Nodes, func(n control.ClusterNode) bool { return n.Node == t.plan.Node })
	if at < 0 {
		return "", "see `binrepd cluster list`", fmt.Errorf("cluster %d has no node %d", t.plan.Cluster, t.plan.Node)
	}
	n := &t.cluster.Nodes[at]
	if n.LinkState != membership.Up {
		return "", "start the proxy, or take another node: see `binrepd cluster list`", fmt.Errorf("node %d is %s", n.Node, n.LinkState)
	}
	synced := slices.ContainsFunc(n.Capabilities, func(c membership.CapabilityStatus) bool { return c.Name == capability && c.State == "Ok" })
	if !synced {
		return "", "wait until it has its dialogs (`binrepd cluster capabilities`), or send them by `binrepd sync --cluster --node`",
			fmt.Errorf("node %d says that its dialogs aren't synced", n.Node)
	}
	return fmt.Sprintf("node %d is up and synced", n.Node), "", nil
}

// tag: it exists, and moves.
func (t *takeover) tag(ctx context.Context) (text, advice string, err error) {
	if t.plan.Activate {
		if err := t.proxyHasTag(ctx); err != nil {
			return "", "check --tag and --mi: the URL must be that of the node itself", err
		}
	}
	for _, s := range t.cluster.Tags {
		if s.Tag == t.plan.Tag && s.Active == t.plan.Node {
			return fmt.Sprintf("node %d is active for %s already", s.Active, control.Printable(s.Tag)), "", nil
		} else if s.Tag == t.plan.Tag {
			return fmt.Sprintf("node %d is active for %s now", s.Active, control.Printable(s.Tag)), "", nil
		}
	}
	return fmt.Sprintf("no node has told that it is active for %s", control.Printable(t.plan.Tag)), "", nil
}

// proxyHasTag asks the proxy, which must be the node, whether it knows the tag: it would create one that it doesn't know.
func (t *takeover) proxyHasTag(ctx context.Context) error {
	peers, err := t.proxy.Peers(ctx)
	if err != nil {
		return fmt.Errorf("management interface: %w", err)
	}
	for _, p := range peers {
		if p.Cluster == int(t.plan.Cluster) && p.Node == int(t.plan.Node) {
			return fmt.Errorf("the management interface isn't that of node %d: it lists node %d as another one", t.plan.Node, t.plan.Node)
		}
	}
	tags, err := t.proxy.Tags(ctx)
	if err != nil {
		return fmt.Errorf("management interface: %w", err)
	}
	if slices.ContainsFunc(tags, t.isTag) {
		return nil
	}
	return fmt.Errorf("node %d knows no sharing tag %s in cluster %d", t.plan.Node, control.Printable(t.plan.Tag), t.plan.Cluster)
}

// isTag tells whether a tag of the proxy is that of the plan. 2.4 doesn't tell the cluster.
func (t *takeover) isTag(o mi.Tag) bool {
	return o.Name == t.plan.Tag && (o.Cluster == int(t.plan.Cluster) || o.Cluster == 0)
}

func (t *takeover) send(ctx context.Context) (text, advice string, err error) {
	again := "repeat the takeover: sending twice does no harm"
	s, err := t.appliance.Sync(ctx, control.SyncRequest{
		Cluster: t.plan.Cluster, Node: t.plan.Node, Rate: t.plan.Rate, Rewrites: t.plan.Rewrites, DryRun: !t.plan.Activate,
		Filter: control.Filter{Tag: t.plan.Tag}.Query().Encode(),
	}, func(control.SyncProgress) {})
	if err != nil {
		return "", again, err
	}
	if !s.Complete {
		return "", again, fmt.Errorf("not all dialogs were sent to node %d", t.plan.Node)
	}
	held := uint64(0)
	var why []string
	for _, reason := range slices.Sorted(maps.Keys(s.Held)) {
		if n := s.Held[reason]; n > 0 {
			held += n
			why = append(why, fmt.Sprintf("%s %d", reason, n))
		}
	}
	if held > 0 {
		return "", "see --rewrite-socket; `binrepd sync --cluster --node --dry-run` names the sockets",
			fmt.Errorf("%d dialogs can't be sent to node %d: %s", held, t.plan.Node, strings.Join(why, ", "))
	}
	if s.DryRun {
		return fmt.Sprintf("would send %d dialogs to node %d", s.Dialogs, t.plan.Node), "", nil
	}
	return fmt.Sprintf("sent %d dialogs to node %d", s.Dialogs, t.plan.Node), "", nil
}

func (t *takeover) activate(ctx context.Context) (text, advice string, err error) {
	name := control.Printable(t.plan.Tag)
	if !t.plan.Activate {
		return fmt.Sprintf("nothing was changed: --activate --mi URL sends, and makes node %d active for %s", t.plan.Node, name), "", nil
	}
	hand := fmt.Sprintf("activate it by hand at node %d: opensips-cli -x mi clusterer_shtag_set_active %s/%d", t.plan.Node, name, t.plan.Cluster)
	if err := t.proxy.ActivateTag(ctx, t.plan.Tag, int(t.plan.Cluster)); err != nil {
		return "", hand, fmt.Errorf("management interface: %w", err)
	}
	tags, err := t.proxy.Tags(ctx)
	if err != nil {
		return "", hand, fmt.Errorf("management interface: %w", err)
	}
	if !slices.ContainsFunc(tags, func(o mi.Tag) bool { return t.isTag(o) && o.Active }) {
		return "", hand, fmt.Errorf("node %d took the command, and isn't active for %s", t.plan.Node, name)
	}
	return fmt.Sprintf("node %d is active for %s", t.plan.Node, name), "", nil
}
