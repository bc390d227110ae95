package dialog

// The rules of applying. BIN has no sequence numbers, and packets get lost, repeated and reordered. So the rules let
// every order of the same events end in the same state, wherever that is possible.
//
// The key of a dialog is (Call-ID, from-tag, to-tag), and h_id where the layout names dialogs by it (hasHID): a call that
// comes through a proxy twice has two dialogs with the same tags. A creation and an update are the same thing: a snapshot of the
// whole dialog. Snapshots of one key are ordered by (start, state): another start is another call. A snapshot in state
// 5 is an end that knows the start; a deletion is an end that doesn't. An end may name the tags in either order, so
// tombstones match in either order, too.
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
// Generation 2 has three more events. A chunk is a snapshot out of a sync. It may be older than what live events have told
// since the sync was requested; "touched" is a dialog of which they did.
//
//	event          no entry     early           live                         tombstone
//	-----          --------     -----           ----                         ---------
//	live chunk     Applied      Applied         touched: Duplicate           Late
//	                                            newer start: Applied
//	                                            older start: Duplicate
//	                                            higher state: Applied
//	                                            lower state: Duplicate
//	                                            same content: Duplicate
//	                                            older content: Duplicate
//	                                            else: Applied
//	chunk of an    Late         Late            Late                         Late
//	 ended dialog
//	value, cseq    Waiting, but same: Duplicate same: Duplicate              Late, but if the Call-ID has another dialog
//	               Unknown if   else: Applied   older cseq: Stale             that it concerns, see there
//	               there is no                  cseq of no leg: Unknown
//	               room                         list broken or too long:
//	                                             RefusedChange
//	                                            else: Applied
//
// What waits is taken in by the next snapshot of its dialog that is stored (waiting.go). It never counts as touching.
//
// Further:
//   - An event that stores a live dialog or leaves a tombstone drops the early dialogs of the same Call-ID and
//     from-tag: the call that was being set up has become something else. "The caller has" means an entry of the same
//     Call-ID and from-tag; in a tombstone the tag may be in either position.
//   - A tombstone that knows no start comes from a deletion of an unknown or unanswered call. It makes every snapshot
//     late while it lasts.
//   - A tombstone's time begins with the first end. Repeating the end doesn't prolong it. Only the end of a newer call,
//     which has a newer start, renews it.
//   - Content is the same if all bytes are equal, but for the timeout, which may differ by 2 s: the sender computes it
//     from two clocks, and the result jitters by so much.
//   - Content is older if the moments of appliances or its CSeq numbers say so (newer.go). Where nothing tells, what one
//     source said last, in order of arrival, is the state.
//
// The order matters in three cases, and has to:
//   - Two updates of the same start and state have different content that CSeq numbers don't order. The last to arrive
//     wins, because nothing tells which is newer.
//   - Two creations differ in the same way. The first to arrive wins.
//   - A key is used again while deletions of the older call, which name no start, are still on their way.

// step is what to do with the table.
type step uint8

const (
	leave step = iota // leave it as it is
	put               // put the snapshot in the place of the entry, or insert it
	renew             // like put, unless the content is the same, a Duplicate, or an older one, Stale
	bury              // put a tombstone in the place of the entry, or insert it
)

// decide looks up the table above. state and start are those of the entry that ev meets: Ended for a tombstone, 0 for
// none. taken says, if there is none, whether the caller has a live dialog or a tombstone; it matters only for early
// snapshots.
func decide(ev *Event, state State, start uint32, taken bool) (step, Outcome) {
	switch {
	case ev.ends() && ev.Kind == Chunk:
		return leave, Late
	case ev.ends():
		return decideEnd(ev, state, start)
	case ev.State.BeingSetUp():
		return decideEarly(ev, state, taken)
	case ev.Kind == Chunk:
		return decideChunk(ev, state, start)
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
		return put, stored
	case state == Ended:
		if start != 0 && ev.Start > start {
			return put, stored
		}
		return leave, Late
	case ev.Start > start:
		return put, Applied
	case ev.Start < start:
		return leave, Stale
	case ev.Kind == Create:
		if ev.State > state {
			return put, Applied
		}
		return leave, Duplicate
	case ev.State < state:
		return leave, Stale
	case ev.State > state:
		return put, Applied
	}
	return renew, Applied
}

// decideChunk is decideLive for a snapshot out of a sync.
func decideChunk(ev *Event, state State, start uint32) (step, Outcome) {
	switch {
	case state == 0 || state.BeingSetUp():
		return put, Applied
	case state == Ended:
		return leave, Late
	case ev.Start > start:
		return put, Applied
	case ev.Start < start || ev.State < state:
		return leave, Duplicate
	case ev.State > state:
		return put, Applied
	}
	return renew, Applied
}

func decideEarly(ev *Event, state State, taken bool) (step, Outcome) {
	switch {
	case state == Ended || state == 0 && taken:
		return leave, Late
	case state == 0:
		return put, BeganEarly
	case state > ev.State: // live ones among them
		return leave, Stale
	case state < ev.State:
		return put, BeganEarly
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
		return leave, Duplicate
	case ev.Kind != Delete && state.Live() && start > ev.Start:
		return leave, Stale
	}
	return bury, Applied
}

// ends reports whether ev is the end of its dialog.
func (ev *Event) ends() bool { return ev.Kind == Delete || ev.State == Ended }

// lastStart is the start that goes into the tombstone of the dialog that ev ended: 0 if it isn't known.
func lastStart(ev *Event, state State, start uint32) uint32 {
	if state.Live() {
		return max(start, ev.Start)
	}
	return ev.Start
}
