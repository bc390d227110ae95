package donor

import (
	"errors"
	"hash/maphash"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/out/pace"
	"binrepd/userspace/out/snapshot"
)

// Tail is a reading position in the journal of changes. It begins at what is forwarded after it was opened.
type Tail interface {
	// Head returns the position of the change that will be forwarded next.
	Head() uint64
	// Read calls fn for each change up to position to. lost counts changes that were overwritten before they were read.
	Read(to uint64, fn func(*changes.Change) error) (lost uint64, err error)
	Close()
}

// Defaults and bounds of a Run.
const (
	// DefaultRate is in packets a second. Real nodes of 4.0 took 2,000 and broke at bursts of 2,000 at once. A Run sends a
	// few packets every millisecond, so that 10,000 dialogs take 2.5 s.
	DefaultRate = 4000
	// DefaultWindow is by how much a live event may come later here than at the requester.
	DefaultWindow = 3 * time.Second
	// maxRepairs bounds the bytes of repairs that wait for the end of the scan. What is more goes at once; a requester
	// queues it.
	maxRepairs = 64 << 20
	// maxBatch is how many packets go before the journal is read again.
	maxBatch = 256
	// maxChain bounds the repairs behind SYNC_END, in windows.
	maxChain = 10
	// maxNamed bounds the sockets of dialogs that were held back.
	maxNamed = 16
)

// Config of a Run.
type Config struct {
	Peer  Peer
	Table *dialog.Table
	// Tail must be open before the Run begins. The Run closes it.
	Tail Tail
	// Serves tells whether dialogs of an origin in a layout belong to the requester's cluster; nil: all do.
	Serves   func(origin uint16, id layout.ID) bool
	Rewrites Rewrites
	// Rate is in packets a second; 0 is no limit.
	Rate   int
	Window time.Duration // 0: DefaultWindow
	// Filter chooses dialogs by their last event and content; nil: all are sent.
	Filter func(origin uint16, id layout.ID, body []byte) bool
	// Push sends to a node that didn't ask: dialogs as live packets, and no end. DryRun, with Push, counts what would be sent,
	// and calls out with it all the same.
	Push, DryRun bool
	// Plain leaves out all repairs, and packs many dialogs in a packet, as OpenSIPS does. It is for tests that show what the
	// repairs cure.
	Plain bool
}

// phase of a Run.
type phase uint8

const (
	scanning phase = iota
	repairing
	ended
)

// Run is one answer to a request for all dialogs. It is driven by Step, by one goroutine.
type Run struct {
	cfg     Config
	encoder *Encoder
	pace    pace.Pace
	began   time.Time

	phase   phase
	cursor  dialog.Cursor
	more    bool // of the table
	entries snapshot.Entries
	at      int // in entries.Dialogs

	// The changes.
	take   func(*changes.Change) error
	marks  marks
	seed   maphash.Seed
	queue  queue
	chains map[uint64]time.Time
	until  time.Time // the repairs end
	rescan bool      // changes were lost: look for ends in the table

	// Of the Step that runs.
	now   time.Time
	out   func([]byte) error
	quota int
	room  int

	body, packet []byte
	chunks       []byte // of a Plain run
	summary      Summary
}

// NewRun returns a Run that begins at now.
func NewRun(now time.Time, cfg Config) *Run {
	if cfg.Window <= 0 {
		cfg.Window = DefaultWindow
	}
	r := &Run{cfg: cfg, encoder: NewEncoder(cfg.Peer.Layout, cfg.Rewrites), pace: pace.New(cfg.Rate, maxBatch), began: now, more: true,
		chains: map[uint64]time.Time{}}
	r.summary = Summary{Node: cfg.Peer.Trailer.Destination, Layout: cfg.Peer.Layout.String(), Began: now, Held: map[string]int{}}
	live := cfg.Table.Counts()
	r.marks.init(int(live.Live()))
	r.take = r.change
	r.seed = maphash.MakeSeed()
	return r
}

// Close frees the Tail. It may be called at any time, and more than once.
func (r *Run) Close() { r.cfg.Tail.Close() }

// Done tells whether the Run has nothing more to send.
func (r *Run) Done() bool { return r.phase == ended }

// errQuota ends the reading of the journal for this Step.
var errQuota = errors.New("quota used up")

// Step sends what may go at now by out, at most room bytes and one packet more, and returns when to call it again. After
// an error of out the Run is over: without SYNC_END the requester knows that the answer isn't complete.
func (r *Run) Step(now time.Time, room int, out func(packet []byte) error) (next time.Time, err error) {
	if r.phase == ended {
		return now, nil
	}
	r.now, r.out, r.room = now, out, room
	r.quota = 0
	if room > 0 {
		r.quota = r.pace.Take(now)
	}
	for err == nil && r.phase != ended {
		before := r.phase
		switch r.phase {
		case scanning:
			err = r.scan()
		case repairing:
			err = r.repair()
		}
		if r.quota <= 0 || r.phase == before {
			break
		}
	}
	if errors.Is(err, errQuota) {
		err = nil
	}
	switch {
	case err != nil:
		r.phase = ended
		r.summary.Failed = err.Error()
		r.summary.Ended = now
		return now, err
	case r.phase == repairing && r.queue.idle(now):
		return now.Add(apart / 2), nil
	}
	return r.pace.Next(now), nil
}

// scan sends dialogs until the quota is used up. At the end of the table it ends the answer.
func (r *Run) scan() error {
	for {
		if err := r.follow(); err != nil {
			return err
		}
		for r.at < len(r.entries.Dialogs) {
			if r.quota <= 0 || r.room <= 0 {
				return errQuota
			}
			c := &r.entries.Dialogs[r.at]
			r.at++
			if r.cfg.Serves != nil && !r.cfg.Serves(c.Origin, c.Layout) {
				continue
			}
			r.summary.Visited++
			if r.cfg.Filter != nil && !r.cfg.Filter(c.Origin, c.Layout, r.entries.Body(c)) {
				r.summary.Filtered++
				continue
			}
			if err := r.dialog(c.Layout, r.entries.Body(c)); err != nil {
				return err
			}
		}
		if !r.more {
			break
		}
		r.entries.Reset()
		r.at = 0
		r.more = r.cfg.Table.Scan(&r.cursor, r.entries.Add)
		// Before the journal is read again: it may tell of the end of a dialog whose copy isn't sent yet.
		for i := range r.entries.Dialogs {
			c := &r.entries.Dialogs[i]
			r.marks.add(r.callHash(c.Layout, r.entries.Key(c)))
		}
	}
	// What is forwarded from now on is for the repairs.
	if err := r.flushPlain(); err != nil {
		return err
	}
	return r.end()
}
