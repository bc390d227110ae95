package dialog

// The rules of applying. BIN has no sequence numbers, and UDP loses, repeats and reorders; so the rules let every order
// of the same events end in the same state, wherever that is possible.
//
// The key of a dialog is (Call-ID, from-tag, to-tag). A creation and an update are the same thing: a snapshot of
// the whole dialog. Snapshots of one key are ordered by (start, state): another start is another call. A snapshot in
// state 5 is an end that knows its start; a deletion is one that doesn't. An end may name the tags in either
// order, so tombstones match in either order, too.
//
//	event          no entry     early           live                         tombstone
//	-----          --------     -----           ----                         ---------
//	live create    Applied      Applied         newer start: Applied         newer start: Applied
//	                                            older start: Stale           else: Late
//	                                            higher state: Applied
//	                                            else: Duplicate
//	live update    Recovered    Recovered       newer start: Applied         newer start: Recovered
//	                                            older start: Stale           else: Late
//	                                            lower state: Stale
//	                                            same content: Duplicate
//	                                            older content: Stale
//	                                            else: Applied
//	early          BeganEarly,  lower state:    Stale                        Late
//	               but Late if   Stale
//	               the caller   same content:
//	               has a live    Duplicate
//	               dialog or    older content:
//	               tombstone     Stale
//	                            else: BeganEarly
//	end            Unknown      Applied         newer start than the end's:  Duplicate, but Unknown if the end's
//	                                             Stale; else Applied          start is newer than a known one
//
// Further:
//   - Whatever stores a live dialog or leaves a tombstone drops the early dialogs of the same Call-ID and from-tag:
//     the call that was being set up has become something else. "The caller has" means: of the same Call-ID and from-tag; of
//     a tombstone in either position.
//   - A tombstone that knows no start (left by a deletion of something unknown or not answered) makes every snapshot late while it lasts.
//   - A tombstone lives from the first end on; repeating the end doesn't prolong it. Only the end of a newer call, which has a newer
//     start, renews it.
//   - Content is the same if all bytes are, but for the timeout, which may differ by 2 s: the senders' two clocks jitter by so much.
//   - Content is older if its CSeq numbers say so, or, where they say nothing, if the table had it and overtook it (newer.go).
//
// Orders do matter, and can't but matter: between two updates of the same start and state with different content that CSeq numbers don't order (the
// last one to arrive wins; there is no telling which is newer), two creations likewise (the first one wins), and when a key is used again
// while deletions of the older call, which name no start, are still under way.

// step is what is to be done with the table.
type step uint8

const (
	keep  step = iota // leave it as it is
	store             // put the snapshot in the place of the entry, or insert it
	renew             // like store, unless the content is the same, a Duplicate, or an older one, Stale
	bury              // put a tombstone in the place of the entry, or insert it
)

// decide looks up the table above. state is that of the entry which ev meets, Ended for a tombstone and 0 for none, and start
// that entry's start. taken tells, if there is none, whether the caller has a live dialog or tombstone; it matters only for early snapshots.
func decide(ev *Event, state State, start uint32, taken bool) (step, Outcome) {
	switch {
	case ev.ends():
		return decideEnd(ev, state, start)
	case ev.State.BeingSetUp():
		return decideEarly(ev, state, taken)
	}
	return decideLive(ev, state, start)
}

func decideLive(ev *Event, state State, start uint32) (step, Outcome) {
	stored := Applied
	if ev.Kind == Update {
		stored = Recovered
	}
	switch {
	case state == 0 || state.BeingSetUp():
		return store, stored
	case state == Ended:
		if start != 0 && ev.Start > start {
			return store, stored
		}
		return keep, Late
	case ev.Start > start:
		return store, Applied
	case ev.Start < start:
		return keep, Stale
	case ev.Kind == Create:
		if ev.State > state {
			return store, Applied
		}
		return keep, Duplicate
	case ev.State < state:
		return keep, Stale
	case ev.State > state:
		return store, Applied
	}
	return renew, Applied
}

func decideEarly(ev *Event, state State, taken bool) (step, Outcome) {
	switch {
	case state == Ended || state == 0 && taken:
		return keep, Late
	case state == 0:
		return store, BeganEarly
	case state > ev.State: // live ones among them
		return keep, Stale
	case state < ev.State:
		return store, BeganEarly
	}
	return renew, BeganEarly
}

func decideEnd(ev *Event, state State, start uint32) (step, Outcome) {
	switch {
	case state == 0:
		return bury, Unknown
	case state == Ended:
		if start != 0 && ev.Start > start {
			return bury, Unknown
		}
		return keep, Duplicate
	case ev.Kind != Delete && state.Live() && start > ev.Start:
		return keep, Stale
	}
	return bury, Applied
}

// ends tells whether ev is the end of its dialog.
func (ev *Event) ends() bool { return ev.Kind == Delete || ev.State == Ended }

// lastStart is what the tombstone knows of the start of the dialog that ev ended: 0 if nothing.
func lastStart(ev *Event, state State, start uint32) uint32 {
	if state.Live() {
		return max(start, ev.Start)
	}
	return ev.Start
}
