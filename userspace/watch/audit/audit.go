package audit

import (
	"context"
	"errors"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/mi"
)

// Proxy is what an audit asks. [mi.Client] is one.
type Proxy interface {
	Dialogs(ctx context.Context, full bool, each func(mi.Dialog) error) (total int, err error)
	Dialog(ctx context.Context, callID, fromTag string, full bool) (d mi.Dialog, found bool, err error)
}

// What is kept of dialogs that seem to differ, and asked for.
const (
	maxKept  = 4096     // of each kind
	maxBytes = 16 << 20 // of Call-IDs and tags, of all kinds
)

// Config says what to compare. Proxy, Table, Steering, Wait and Now are required.
type Config struct {
	Proxy    Proxy
	Table    *dialog.Table
	Steering packets.Steering
	// Expected tells, under a shard's lock, whether the proxy should have a live dialog of the table; nil: all of them.
	Expected func(v *dialog.View) bool
	// Before leaves out dialogs of the table that changed at that time, in Unix seconds, or later; 0: when the audit began.
	Before uint32
	// Towards says that only what is missing at the proxy matters: what isn't here, or differs, isn't looked at.
	Towards bool
	// Wait waits until events that are on their way have arrived.
	Wait func(ctx context.Context) error
	// Now is the time in Unix seconds.
	Now func() int64
	// Each is told of every finding that is certain. Its error ends the audit.
	Each func(*Finding) error
	// End ends a dialog that the proxy doesn't have, unless it changed since it was last looked at, and Import takes one in
	// that isn't here. Each reports whether it did. Nil: nothing is repaired.
	End    func(name dialog.Name, updated uint32) bool
	Import func(d *mi.Dialog) bool
}

// Kind is a kind of finding.
type Kind string

// The kinds of findings.
const (
	MissingHere  Kind = "missing_here"     // the proxy has the call, the table doesn't
	EndedHere    Kind = "ended_here"       // the same, but the table remembers that the call has ended
	MissingThere Kind = "missing_at_proxy" // the table has the call, the proxy doesn't: a ghost, or what a sync didn't bring
	Differs      Kind = "different"
)

// Finding is a difference that was there a second time.
type Finding struct {
	Kind                   Kind
	CallID, FromTag, ToTag string
	Origin                 uint16 // of the dialog here; 0: unknown, or there is none
	Updated                uint32 // Unix seconds of the last event here
	Fields                 []Difference
	Repaired               bool
}

// Result is what an audit found. The counts are of dialogs.
type Result struct {
	Proxy     uint64 // answered ones at the proxy
	Early     uint64 // not answered yet, at the proxy
	Here      uint64 // live ones of the table that the proxy should have
	Compared  uint64 // on both sides
	Recent    uint64 // here, not judged, because events told of them during the audit
	Missing   uint64 // not here: MissingHere and EndedHere
	There     uint64 // not at the proxy
	Different uint64
	Repaired  uint64
	Gone      uint64 // seemed to differ, and didn't when looked at again
	Unclear   uint64 // can't be asked for one by one in this dialect, or the answer doesn't tell
	Unchecked uint64 // seemed to differ, but are beyond those that are asked for
	Walks     int
	Asked     uint64
	Duration  time.Duration // set by the caller
}

// Equal reports whether nothing was found and nothing was left unchecked.
func (r *Result) Equal() bool { return r.Missing+r.There+r.Different+r.Unchecked == 0 }

// Run compares until everything is clear or ctx ends.
func Run(ctx context.Context, cfg Config) (Result, error) {
	a := run{Config: cfg}
	if a.Before == 0 {
		a.Before = uint32(cfg.Now())
	}
	err := a.all(ctx)
	return a.result, err
}

// run is one audit.
type run struct {
	Config
	result Result
	seen   hashes
	// What seemed to differ, up to maxKept of each.
	missing, different []call
	there              []named
	kept               int    // bytes of their Call-IDs and tags
	bytes              []byte // scratch
}

// call is a dialog of the proxy.
type call struct{ callID, from, to string }

// named is a dialog of the table.
type named struct {
	call
	name    dialog.Name
	updated uint32
	origin  uint16
	hash    uint64
}

func (a *run) all(ctx context.Context) error {
	a.seen.init()
	a.result.Walks++
	if _, err := a.Proxy.Dialogs(ctx, !a.Towards, a.join); err != nil {
		return err
	}
	a.seen.sort()
	if err := a.scan(ctx); err != nil {
		return err
	}
	if len(a.there) > 0 {
		if err := a.walkAgain(ctx); err != nil {
			return err
		}
	}
	if len(a.there)+len(a.missing)+len(a.different) == 0 {
		return nil
	}
	if err := a.Wait(ctx); err != nil {
		return err
	}
	for _, c := range a.missing {
		if err := a.askMissing(ctx, c); err != nil {
			return err
		}
	}
	for _, c := range a.different {
		if err := a.askDifferent(ctx, c); err != nil {
			return err
		}
	}
	return a.askThere(ctx)
}

// room reports whether another dialog can be kept beside n of its kind, and counts it if it can't.
func (a *run) room(n, bytes int) bool {
	if n >= maxKept || a.kept+bytes > maxBytes {
		a.result.Unchecked++
		return false
	}
	a.kept += bytes
	return true
}

func (c *call) size() int { return len(c.callID) + len(c.from) + len(c.to) }

// join takes one dialog of the first walk.
func (a *run) join(d mi.Dialog) error {
	if !d.Answered() || len(d.Callees) == 0 {
		if !d.Ended() {
			a.result.Early++
		}
		return nil
	}
	c := callOf(&d)
	if !a.seen.add(c) {
		return nil // shown twice
	}
	a.result.Proxy++
	if a.Towards {
		return nil
	}
	v := a.find(c, &d)
	switch {
	case v == nil || !v.State().Live():
		if a.room(len(a.missing), c.size()) {
			a.missing = append(a.missing, c)
		}
	default:
		a.result.Compared++
		if len(Compare(&d, v)) > 0 && a.room(len(a.different), c.size()) {
			a.different = append(a.different, c)
		}
	}
	return nil
}

func callOf(d *mi.Dialog) call { return call{d.CallID, d.Caller.Tag, calleeOf(d).Tag} }

// find returns a copy of the table's dialog or tombstone with those tags, nil if there is none. Of several it takes the
// one with the number of d, or else a live one.
func (a *run) find(c call, d *mi.Dialog) *dialog.View {
	best := 0
	a.Table.Get(a.Steering.CallID([]byte(c.callID)), []byte(c.callID), func(v *dialog.View) bool {
		_, from, to := v.Names()
		if string(from) != c.from || string(to) != c.to {
			return true
		}
		rank := 1
		if v.State().Live() {
			rank = 2
			if d != nil && d.ID != 0 && hidOf(v) == uint32(d.ID) {
				rank = 3
			}
		}
		if rank > best {
			best = rank
			a.bytes = v.AppendCopy(a.bytes[:0])
		}
		return best < 3
	})
	if best == 0 {
		return nil
	}
	v := dialog.ViewOf(a.bytes)
	return &v
}

// scan looks for dialogs of the table that the proxy should have and the first walk didn't show.
func (a *run) scan(ctx context.Context) error {
	var cur dialog.Cursor
	for more := true; more; {
		more = a.Table.Scan(&cur, func(v *dialog.View) {
			if !v.State().Live() || a.Expected != nil && !a.Expected(v) {
				return
			}
			a.result.Here++
			callID, from, to := v.Names()
			hash := a.seen.hash(callID, from, to)
			switch {
			case a.seen.has(hash):
			case v.Updated() >= a.Before:
				a.result.Recent++
			default:
				if !a.room(len(a.there), len(callID)+len(from)+len(to)) {
					return
				}
				a.there = append(a.there, named{
					call{string(callID), string(from), string(to)}, v.Name(), v.Updated(), v.Origin(), hash,
				})
			}
		})
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// walkAgain takes off the list what a second walk shows.
func (a *run) walkAgain(ctx context.Context) error {
	at := make(map[uint64]int, len(a.there))
	for i := range a.there {
		at[a.there[i].hash] = i
	}
	a.result.Walks++
	_, err := a.Proxy.Dialogs(ctx, false, func(d mi.Dialog) error {
		if d.Answered() && len(d.Callees) > 0 {
			delete(at, a.seen.hash([]byte(d.CallID), []byte(d.Caller.Tag), []byte(calleeOf(&d).Tag)))
		}
		return nil
	})
	if err != nil {
		return err
	}
	left := a.there[:0]
	for i := range a.there {
		if _, still := at[a.there[i].hash]; still {
			left = append(left, a.there[i])
		} else {
			a.result.Gone++
		}
	}
	a.there = left
	return nil
}

// ask asks for one dialog. clear is false if the answer doesn't tell.
func (a *run) ask(ctx context.Context, c call, full bool) (d mi.Dialog, found, clear bool, err error) {
	a.result.Asked++
	d, found, err = a.Proxy.Dialog(ctx, c.callID, c.from, full)
	switch {
	case errors.Is(err, mi.ErrUnsendable):
		return d, false, false, nil
	case err != nil:
		return d, false, false, err
	case !found || !d.Answered():
		return d, false, true, nil
	case callOf(&d) != c: // it gives one of several with that Call-ID, without a hint
		return d, false, false, nil
	}
	return d, true, true, nil
}
