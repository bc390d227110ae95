package takeover

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/mi"
	"binrepd/userspace/watch/control"
)

// world is an appliance and a proxy, and what they were asked to do.
type world struct {
	status  control.Status
	dialogs []control.Dialog
	held    map[string]uint64
	peers   []mi.Peer
	tags    []mi.Tag
	deaf    bool // the proxy takes the command, and does nothing
	failing error
	did     []string
}

func newWorld() *world {
	w := &world{held: map[string]uint64{}, tags: []mi.Tag{{Name: "vip", Cluster: 1}}, peers: []mi.Peer{{Cluster: 1, Node: 1}}}
	c := control.ClusterStatus{}
	c.Cluster = 1
	c.Donor.Announce, c.Donor.Why = true, "a sync was complete"
	c.Tags = []membership.TagStatus{{Tag: "vip", Cluster: 1, Active: 1}}
	n := control.ClusterNode{}
	n.Node, n.LinkState = 2, membership.Up
	n.Capabilities = []membership.CapabilityStatus{{Name: capability, State: "Ok"}}
	c.Nodes = []control.ClusterNode{n}
	w.status.Clusters = []control.ClusterStatus{c}
	w.dialogs = []control.Dialog{{CallerSocket: "udp:10.0.0.1:5060", Callees: []control.Callee{{Socket: "udp:10.0.0.1:5060"}}}}
	return w
}

func (w *world) Status(context.Context) (control.Status, error) { return w.status, nil }

func (w *world) Dialogs(_ context.Context, f control.Filter, each func([]byte) error) error {
	if f.Node != 0 {
		return nil // node 2 has sent none
	}
	for i := range w.dialogs {
		line, err := json.Marshal(&w.dialogs[i])
		if err != nil {
			return err
		}
		if err := each(line); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) Sync(_ context.Context, req control.SyncRequest, _ func(control.SyncProgress)) (control.SyncSummary, error) {
	if !req.DryRun {
		w.did = append(w.did, "send")
	}
	if req.Cluster != 1 || req.Node != 2 || !strings.Contains(req.Filter, "vip") {
		return control.SyncSummary{}, errors.New("wrong request")
	}
	return control.SyncSummary{Complete: w.failing == nil, Dialogs: 1, Held: w.held, DryRun: req.DryRun}, w.failing
}

func (w *world) Peers(context.Context) ([]mi.Peer, error) { return w.peers, nil }
func (w *world) Tags(context.Context) ([]mi.Tag, error)   { return slices.Clone(w.tags), nil }

func (w *world) ActivateTag(context.Context, string, int) error {
	w.did = append(w.did, "activate")
	for i := range w.tags {
		w.tags[i].Active = !w.deaf
	}
	return nil
}

func (w *world) run(p Plan) (steps []Step, err error) {
	return steps, Run(context.Background(), p, w, w, func(s Step) error { steps = append(steps, s); return nil })
}

var plan = Plan{Cluster: 1, Node: 2, Tag: "vip", Own: []string{"udp:10.0.0.1:5060"}}

// TestTakeover: all steps succeed. Only with Activate something is done, and the node is made active last.
func TestTakeover(t *testing.T) {
	for _, activate := range []bool{false, true} {
		w, p := newWorld(), plan
		p.Activate = activate
		steps, err := w.run(p)
		var want []string
		if activate {
			want = []string{"send", "activate"}
		}
		if err != nil || len(steps) != 6 || !slices.Equal(w.did, want) {
			t.Errorf("activate %v: %+v, %v, did %v", activate, steps, err, w.did)
		}
	}
}

// TestRewritten: a socket that a rule replaces needs not be the node's own.
func TestRewritten(t *testing.T) {
	w, p := newWorld(), plan
	p.Own, p.Rewrites = nil, []string{"udp:10.0.0.1:5060=udp:10.0.0.2:5060"}
	if steps, err := w.run(p); err != nil {
		t.Errorf("%+v, %v", steps, err)
	}
}

// TestFailures: each failure ends the takeover at its step, names what to do, and leaves the tag where it is.
func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		step string
		did  int // things done before
		make func(w *world, p *Plan)
	}{
		"another cluster":    {Table, 0, func(_ *world, p *Plan) { p.Cluster = 9 }},
		"incomplete":         {Table, 0, func(w *world, _ *Plan) { w.status.Clusters[0].Donor.Announce = false }},
		"another node":       {Node, 0, func(_ *world, p *Plan) { p.Node = 7 }},
		"node down":          {Node, 0, func(w *world, _ *Plan) { w.status.Clusters[0].Nodes[0].LinkState = membership.Down }},
		"node not synced":    {Node, 0, func(w *world, _ *Plan) { w.status.Clusters[0].Nodes[0].Capabilities[0].State = "not synced" }},
		"tag unknown":        {Tag, 0, func(w *world, _ *Plan) { w.tags = nil }},
		"tag of another one": {Tag, 0, func(w *world, _ *Plan) { w.tags[0].Cluster = 2 }},
		"another proxy":      {Tag, 0, func(w *world, _ *Plan) { w.peers = append(w.peers, mi.Peer{Cluster: 1, Node: 2}) }},
		"foreign socket":     {Sockets, 0, func(_ *world, p *Plan) { p.Own = nil }},
		"held back":          {Send, 1, func(w *world, _ *Plan) { w.held["socket_tag"] = 2 }},
		"push fails":         {Send, 1, func(w *world, _ *Plan) { w.failing = errors.New("connection lost") }},
		"proxy does nothing": {Activate, 2, func(w *world, _ *Plan) { w.deaf = true }},
	} {
		w, p := newWorld(), plan
		p.Activate = true
		c.make(w, &p)
		steps, err := w.run(p)
		last := steps[len(steps)-1]
		if !errors.Is(err, ErrStopped) || last.Name != c.step || last.OK || last.Text == "" || last.Advice == "" || len(w.did) != c.did {
			t.Errorf("%s: %+v, %v, did %v", name, last, err, w.did)
		}
		for _, s := range steps[:len(steps)-1] {
			if !s.OK {
				t.Errorf("%s: went on after %+v", name, s)
			}
		}
	}
}
