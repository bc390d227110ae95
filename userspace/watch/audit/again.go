package audit

import (
	"context"

	"binrepd/dialog"
	"binrepd/dialog/layout"
)

// askMissing looks again for a dialog of the proxy that wasn't here.
func (a *run) askMissing(ctx context.Context, c call) error {
	d, found, clear, err := a.ask(ctx, c, a.Import != nil)
	if err != nil {
		return err
	}
	v := a.find(c, nil)
	switch {
	case v != nil && v.State().Live(), clear && !found:
		a.result.Gone++
		return nil
	case !clear:
		a.result.Unclear++
		return nil
	}
	f := Finding{Kind: MissingHere, CallID: c.callID, FromTag: c.from, ToTag: c.to}
	if v != nil && v.Tombstone() {
		f.Kind, f.Updated, f.Origin = EndedHere, v.Updated(), v.Origin()
	}
	a.result.Missing++
	f.Repaired = f.Kind == MissingHere && a.Import != nil && a.Import(&d)
	return a.found(&f)
}

// askDifferent compares a dialog again.
func (a *run) askDifferent(ctx context.Context, c call) error {
	d, found, clear, err := a.ask(ctx, c, true)
	if err != nil {
		return err
	}
	v := a.find(c, &d)
	switch {
	case !clear:
		a.result.Unclear++
		return nil
	case !found, v == nil || !v.State().Live():
		a.result.Gone++
		return nil
	}
	fields := Compare(&d, v)
	if len(fields) == 0 {
		a.result.Gone++
		return nil
	}
	a.result.Different++
	return a.found(&Finding{
		Kind: Differs, CallID: c.callID, FromTag: c.from, ToTag: c.to, Origin: v.Origin(), Updated: v.Updated(), Fields: fields,
	})
}

// askThere looks again for the dialogs that the proxy didn't show: once, and before it ends them, after a while, once
// more.
func (a *run) askThere(ctx context.Context) error {
	left := a.there[:0]
	for _, n := range a.there {
		still, err := a.stillMissing(ctx, &n)
		if err != nil {
			return err
		}
		if still {
			left = append(left, n)
		}
	}
	if len(left) > 0 && a.End != nil {
		if err := a.Wait(ctx); err != nil {
			return err
		}
	}
	for i := range left {
		n := &left[i]
		f := Finding{
			Kind: MissingThere, CallID: n.callID, FromTag: n.from, ToTag: n.to, Origin: n.origin, Updated: n.updated,
		}
		if a.End != nil {
			still, err := a.stillMissing(ctx, n)
			if err != nil {
				return err
			}
			if !still {
				continue
			}
			f.Repaired = a.End(n.name, n.updated)
		}
		a.result.There++
		if err := a.found(&f); err != nil {
			return err
		}
	}
	return nil
}

// stillMissing asks for a dialog of the table and looks whether it is still here as it was.
func (a *run) stillMissing(ctx context.Context, n *named) (bool, error) {
	_, found, clear, err := a.ask(ctx, n.call, false)
	if err != nil {
		return false, err
	}
	v := a.find(n.call, nil)
	switch {
	case v == nil, !v.State().Live(), v.Updated() != n.updated, found:
		a.result.Gone++
	case !clear:
		a.result.Unclear++
	default:
		return true, nil
	}
	return false, nil
}

func (a *run) found(f *Finding) error {
	if f.Repaired {
		a.result.Repaired++
	}
	if a.Each == nil {
		return nil
	}
	return a.Each(f)
}

// hidOf returns the number of the dialog.
func hidOf(v *dialog.View) uint32 {
	var have layout.View
	if layout.Parse(max(v.Layout(), layout.UDP), v.Body(), &have) != layout.NoFault {
		return 0
	}
	return have.Number(layout.HID)
}
