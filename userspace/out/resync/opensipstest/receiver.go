package opensipstest

import (
	"slices"
	"strings"
	"sync"

	"binrepd/dialog"
)

// Statistics are those of the group "dialog:", and beside them what the binaries only log.
type Statistics struct {
	CreateReceived, UpdateReceived, DeleteReceived uint64
	Processed                                      uint64
	Active                                         int64
	Expired                                        uint64

	Known         uint64 // creations of dialogs that were there, which changed nothing
	RefusedSocket uint64 // dialogs with a socket that is not one of the receiver's own
	RefusedRoute  uint64 // dialogs with a route set that doesn't parse
	NotFound      uint64 // deletions of dialogs that were not there
}

// Faults is what would have damaged the receiver or the calls.
type Faults struct {
	Crashed     string // why it crashed; it handles nothing afterwards
	Undefined   uint64 // fields past the end: it would have gone on with whatever lay in memory
	Overwritten uint64 // more than 64 routes on a leg: memory overwritten
	Astray      uint64 // a list of variables or profiles that leads astray
	Leaked      uint64 // dialogs in a state other than 3 and 4: listed for ever
	NeverExpire uint64 // updates with a timeout further in the past than the receiver runs
	Byes        uint64 // calls ended by itself, because of the flag BYEONTIMEOUT
}

// Config of a Receiver.
type Config struct {
	// Sockets are the receiver's own, in the form udp:10.0.0.2:5060.
	Sockets []string
	// Started is when the receiver was started, in Unix seconds.
	Started int64
}

// Receiver is the model. It is safe for concurrent use.
type Receiver struct {
	mu      sync.Mutex // guards all below
	cfg     Config
	dialogs map[string][]*record // by Call-ID
	stats   Statistics
	faults  Faults
}

type record struct {
	dialog.Details
	vars, profiles []pair
}

// New returns a receiver without dialogs.
func New(cfg Config) *Receiver {
	return &Receiver{cfg: cfg, dialogs: map[string][]*record{}}
}

// Handle does with a datagram that arrives at now, in Unix seconds, what the binaries do.
func (r *Receiver) Handle(packet []byte, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	command, fields, ok := open(packet)
	if !ok || r.faults.Crashed != "" {
		return
	}
	var d dialog.Details
	switch command {
	case create, update:
		d = fields.snapshot()
	case remove:
		d = fields.key()
	default:
		return
	}
	switch command {
	case create:
		r.stats.CreateReceived++
	case update:
		r.stats.UpdateReceived++
	case remove:
		r.stats.DeleteReceived++
	}
	switch {
	case fields.negative:
		r.faults.Crashed = "negative length"
		return
	case fields.cut:
		r.faults.Undefined++
		return
	case d.CallID == "":
		r.faults.Crashed = "empty Call-ID"
		return
	}
	known := r.find(&d)
	switch {
	case command == remove:
		r.delete(known)
	case known == nil:
		r.stats.Processed++
		r.build(d)
	case command == create:
		r.stats.Processed++
		r.stats.Known++
	default:
		r.refresh(known, d, now)
	}
}

// find looks for a dialog that has not ended, with the tags in either order.
func (r *Receiver) find(d *dialog.Details) *record {
	for _, k := range r.dialogs[d.CallID] {
		if k.State != dialog.Ended &&
			(k.FromTag == d.FromTag && k.ToTag == d.ToTag || k.FromTag == d.ToTag && k.ToTag == d.FromTag) {
			return k
		}
	}
	return nil
}

// build makes a dialog of what came, if the sockets are the receiver's own and the route sets parse. The caller's CSeq is 0 until an
// update.
func (r *Receiver) build(d dialog.Details) {
	if !slices.Contains(r.cfg.Sockets, d.CallerSocket) || !slices.Contains(r.cfg.Sockets, d.CalleeSocket) {
		r.stats.RefusedSocket++
		return
	}
	for _, set := range []string{d.CallerRouteSet, d.CalleeRouteSet} {
		n, ok := routes(set)
		if !ok {
			r.stats.RefusedRoute++
			return
		}
		if n > 64 {
			r.faults.Overwritten++
		}
	}
	if d.CallerContact == "" {
		d.CallerRouteSet = ""
	}
	if d.CalleeContact == "" {
		d.CalleeRouteSet = ""
	}
	if !d.State.Live() {
		r.faults.Leaked++
	}
	d.CallerCSeq = "0" // what came is only the CSeq of the last INVITE
	rec := &record{Details: d}
	rec.vars = mergeVars(nil, r.pairs(d.Vars))
	rec.profiles = mergeProfiles(nil, r.pairs(d.Profiles))
	r.dialogs[d.CallID] = append(r.dialogs[d.CallID], rec)
	r.stats.Active++
}

// refresh takes over what an update overwrites; everything else stays as it is.
func (r *Receiver) refresh(k *record, d dialog.Details, now int64) {
	if !d.State.Live() {
		r.faults.Leaked++
	}
	if d.Timeout != k.Timeout && int64(d.Timeout) < r.cfg.Started {
		r.faults.NeverExpire++
	}
	k.State, k.CallerCSeq, k.CalleeCSeq = d.State, d.CallerCSeq, d.CalleeCSeq
	k.UserFlags, k.Flags, k.Timeout = d.UserFlags, d.Flags, d.Timeout
	k.vars = mergeVars(k.vars, r.pairs(d.Vars))
	k.profiles = mergeProfiles(k.profiles, r.pairs(d.Profiles))
}

func (r *Receiver) delete(k *record) {
	switch {
	case k == nil:
		r.stats.NotFound++
	case k.State.Live():
		r.drop(k)
	}
}

func (r *Receiver) drop(k *record) {
	list := r.dialogs[k.CallID]
	list = slices.Delete(list, slices.Index(list, k), slices.Index(list, k)+1)
	if r.dialogs[k.CallID] = list; len(list) == 0 {
		delete(r.dialogs, k.CallID)
	}
	r.stats.Active--
}

// Tick removes what has expired at now, in Unix seconds.
func (r *Receiver) Tick(now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var due []*record
	for _, list := range r.dialogs {
		for _, k := range list {
			if k.State.Live() && int64(k.Timeout) <= now {
				due = append(due, k)
			}
		}
	}
	for _, k := range due {
		if k.Flags&8 != 0 {
			r.faults.Byes++
		}
		r.stats.Expired++
		r.drop(k)
	}
}

func (r *Receiver) pairs(list string) []pair {
	pairs, astray := readPairs(list)
	if astray {
		r.faults.Astray++
	}
	return pairs
}

// Live returns the dialogs in states 3 and 4, variables and profiles as the receiver understood them.
func (r *Receiver) Live() (list []dialog.Details) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, records := range r.dialogs {
		for _, k := range records {
			if k.State.Live() {
				d := k.Details
				d.Vars, d.Profiles = writePairs(k.vars), writePairs(k.profiles)
				list = append(list, d)
			}
		}
	}
	return list
}

// Statistics returns what has been counted.
func (r *Receiver) Statistics() Statistics {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// Faults returns what went wrong.
func (r *Receiver) Faults() Faults {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.faults
}

// routes counts the name-addr entries of a route set. ok is false if it doesn't parse.
func routes(set string) (n int, ok bool) {
	for set != "" {
		open := strings.IndexByte(set, '<')
		if quote := strings.IndexByte(set, '"'); quote >= 0 && quote < open {
			end := strings.IndexByte(set[quote+1:], '"')
			if end < 0 {
				return n, false
			}
			set = set[quote+end+2:]
			continue
		}
		if open < 0 {
			return n, false
		}
		end := strings.IndexByte(set[open:], '>')
		if end < 0 {
			return n, false
		}
		n++
		set = set[open+end+1:]
		if comma := strings.IndexByte(set, ','); comma >= 0 {
			set = set[comma+1:]
		} else {
			set = ""
		}
	}
	return n, true
}
