package takeover

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"binrepd/userspace/watch/control"
)

// sockets: those of the calls are the node's own, or are replaced. A proxy refuses a call with a socket that it hasn't.
func (t *takeover) sockets(ctx context.Context) (text, advice string, err error) {
	own := map[string]bool{}
	for _, s := range t.plan.Own {
		own[s] = true
	}
	for _, rule := range t.plan.Rewrites {
		if old, _, ok := strings.Cut(rule, "="); ok {
			own[old] = true
		}
	}
	add := func(socket string) error { own[socket] = true; return nil }
	if err := t.each(ctx, control.Filter{Node: uint32(t.plan.Node)}, add); err != nil {
		return "", "try again", err
	}
	foreign := map[string]int{}
	check := func(socket string) error {
		if !own[socket] && (foreign[socket] > 0 || len(foreign) < maxForeign) {
			foreign[socket]++
		}
		return nil
	}
	if err := t.each(ctx, control.Filter{Tag: t.plan.Tag}, check); err != nil {
		return "", "try again", err
	}
	if len(foreign) == 0 {
		return fmt.Sprintf("node %d has the sockets of all calls of %s, or they are replaced", t.plan.Node, control.Printable(t.plan.Tag)), "", nil
	}
	var names []string
	for _, s := range slices.Sorted(maps.Keys(foreign)) {
		names = append(names, control.Printable(s))
	}
	return "", "if the node has them, such as an address that moves with the tag, say --socket " + names[0] + "; otherwise --rewrite-socket " +
			names[0] + "=NEW with one that it has",
		fmt.Errorf("node %d may not have the sockets %s of the calls: it has sent no call with them", t.plan.Node, strings.Join(names, ", "))
}

// maxForeign bounds the sockets that are named.
const maxForeign = 16

// each calls take for the sockets of the dialogs that a filter chooses.
func (t *takeover) each(ctx context.Context, f control.Filter, take func(socket string) error) error {
	return t.appliance.Dialogs(ctx, f, func(line []byte) error {
		var d control.Dialog
		if err := json.Unmarshal(line, &d); err != nil {
			return fmt.Errorf("list: %w", err)
		}
		if d.CallerSocket != "" {
			if err := take(string(d.CallerSocket)); err != nil {
				return err
			}
		}
		for i := range d.Callees {
			if d.Callees[i].Socket == "" {
				continue
			}
			if err := take(string(d.Callees[i].Socket)); err != nil {
				return err
			}
		}
		return nil
	})
}
