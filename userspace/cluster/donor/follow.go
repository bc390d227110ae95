package donor

import (
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
)

// follow reads the journal. Before the end of the answer it sends calls that have begun.
func (r *Run) follow() error {
	lost, err := r.cfg.Tail.Read(r.cfg.Tail.Head(), r.take)
	if lost > 0 {
		r.summary.Lost += lost
		r.rescan = true
	}
	return err
}

// change takes one change of the journal.
func (r *Run) change(c *changes.Change) error {
	if r.cfg.Plain || r.cfg.DryRun || c.Capability != changes.Dialogs || r.cfg.Serves != nil && !r.cfg.Serves(c.Source, layout.ID(c.Layout)) {
		return nil
	}
	// Any copy that is pushed may be older than what the node knows, and is made good by the change that says so.
	soon := r.cfg.Push || r.now.Sub(r.began) < r.cfg.Window
	snapshot := c.Kind == dialog.Create || c.Kind == dialog.Update || c.Kind == dialog.Chunk
	if snapshot && r.cfg.Filter != nil && !r.cfg.Filter(c.Source, layout.ID(c.Layout), c.Body()) {
		return nil
	}
	h := r.callHash(layout.ID(c.Layout), c.Key())
	switch known := r.marks.has(h); {
	case c.Kind == dialog.Delete && known:
		return r.keep(c)
	case c.Kind == dialog.Delete:
		return nil
	case c.Kind != dialog.Create && c.Kind != dialog.Update && !known:
		return nil
	case !known && r.phase == scanning:
		// A call that has begun meanwhile. A requester that has accepted it itself ends it after the answer if it isn't in
		// there. One that knows it takes no notice.
		if err := r.dialog(layout.ID(c.Layout), c.Body()); err != nil {
			return err
		}
		if r.quota <= 0 || r.room <= 0 {
			return errQuota
		}
		return nil
	case !known && !soon:
		return nil
	case !known:
		// The requester may have missed its beginning before its link was up. CREATED changes nothing at one that knows it.
		r.chains[h] = r.now
		return r.keepDialog(layout.Created, c)
	case c.Kind == dialog.Create:
		return nil
	}
	// What comes long after the requester began to queue live events, it has got itself. But what was repeated must not
	// stay in force where a newer message came before it.
	last, chained := r.chains[h]
	if !soon && (!chained || !last.IsZero() && r.now.Sub(last) > r.cfg.Window) {
		return nil
	}
	r.chains[h] = r.chainTime()
	if c.Kind == dialog.Update {
		return r.keepDialog(layout.Updated, c)
	}
	return r.keep(c)
}

// chainTime is when what is kept now will be sent; the zero time: after the scan.
func (r *Run) chainTime() time.Time {
	if r.phase == scanning {
		return time.Time{}
	}
	return r.now
}
