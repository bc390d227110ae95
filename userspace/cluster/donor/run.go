package donor

import (
	"errors"
	"hash/maphash"
	"slices"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/out/pace"
	"binrepd/userspace/out/snapshot"
	"binrepd/userspace/wire/bin2"
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

// Summary is what a Run did.
type Summary struct {
	Node    int32     `json:"node"`
	Layout  string    `json:"layout"`
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended,omitzero"`
	Dialogs int       `json:"dialogs"` // chunks that were sent
	// Told is set when SYNC_END was sent.
	Told  bool `json:"end_sent"`
	Bytes int  `json:"bytes"`
	// Held counts dialogs that were held back, by reason, and Sockets names sockets of such dialogs.
	Held    map[string]int `json:"held_back"`
	Sockets []string       `json:"sockets,omitempty"`
	Repairs int            `json:"repairs"` // ends, values and CSeq numbers that were repeated
	Lost    uint64         `json:"lost"`    // changes that were overwritten in the journal before they were read
	Failed  string         `json:"failed,omitempty"`

	held [Reasons]int
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

// Summary returns what the Run has done so far. It may be called between steps.
func (r *Run) Summary() Summary {
	s := r.summary
	s.Held = map[string]int{}
	for reason := Passed + 1; reason < Reasons; reason++ {
		if n := s.held[reason]; n > 0 {
			s.Held[reason.String()] = n
		}
	}
	s.Sockets = slices.Clone(s.Sockets)
	return s
}

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
	if r.cfg.Plain || c.Capability != changes.Dialogs || r.cfg.Serves != nil && !r.cfg.Serves(c.Source, layout.ID(c.Layout)) {
		return nil
	}
	soon := r.now.Sub(r.began) < r.cfg.Window
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

// dialog sends one dialog.
func (r *Run) dialog(id layout.ID, body []byte) error {
	var reason Reason
	var sockets [2][]byte
	r.body, reason, sockets = r.encoder.Dialog(r.body[:0], id, body, uint32(r.now.Unix()))
	if reason != Passed {
		r.hold(reason, sockets)
		return nil
	}
	r.marks.add(r.callHash(r.cfg.Peer.Layout, r.body))
	if r.cfg.Plain {
		return r.plain()
	}
	r.summary.Dialogs++
	p := &r.cfg.Peer
	w := bin2.BeginSync(r.packet[:0], p.SyncVersion, p.Dialect, bin2.Dialogs.String(), int32(p.Layout.Version()))
	w.Chunk(r.body, p.SyncVersion)
	return r.finish(&w)
}

// plain puts the dialog in a packet with others.
func (r *Run) plain() error {
	if len(r.chunks)+len(r.body) > 32<<10 {
		if err := r.flushPlain(); err != nil {
			return err
		}
	}
	r.summary.Dialogs++
	r.chunks = layout.AppendChunk(r.chunks, r.cfg.Peer.SyncVersion, r.body)
	return nil
}

func (r *Run) flushPlain() error {
	if len(r.chunks) == 0 {
		return nil
	}
	p := &r.cfg.Peer
	w := bin2.BeginSync(r.packet[:0], p.SyncVersion, p.Dialect, bin2.Dialogs.String(), int32(p.Layout.Version()))
	w.Raw(r.chunks)
	r.chunks = r.chunks[:0]
	return r.finish(&w)
}

// finish sends the packet that w has begun.
func (r *Run) finish(w *bin2.Writer) error {
	var err error
	if r.packet, err = w.EndTrailer(r.cfg.Peer.Trailer); err != nil {
		return err
	}
	return r.send(r.packet)
}

func (r *Run) send(packet []byte) error {
	r.quota--
	r.room -= len(packet)
	r.summary.Bytes += len(packet)
	return r.out(packet)
}

// hold counts a dialog that isn't sent. Being set up or over is no loss for the requester.
func (r *Run) hold(reason Reason, sockets [2][]byte) {
	r.summary.held[reason]++
	if reason != NoSocket && reason != SocketTag && reason != SocketProtocol {
		return
	}
	for _, s := range sockets {
		if len(r.summary.Sockets) < maxNamed && !slices.Contains(r.summary.Sockets, string(s)) {
			r.summary.Sockets = append(r.summary.Sockets, string(s))
		}
	}
}

// end sends SYNC_END. An answer without any dialog has none: if the table is empty, it would end all calls of a requester
// that has some.
func (r *Run) end() error {
	r.phase = repairing
	r.until = r.now.Add(r.cfg.Window)
	r.queue.round = r.now.Add(apart)
	for h := range r.chains {
		r.chains[h] = r.now
	}
	if r.summary.Dialogs == 0 {
		r.phase = ended
		r.summary.Ended = r.now
		r.summary.Failed = "there was no dialog to send"
		return nil
	}
	p := &r.cfg.Peer
	m := bin2.SyncEnd{Trailer: p.Trailer, Version: p.SyncVersion, Capability: []byte(bin2.Dialogs.String()), Total: int32(r.summary.Dialogs)}
	var err error
	if r.packet, err = m.Append(r.packet[:0], p.Dialect); err != nil {
		return err
	}
	r.summary.Told = true
	if err := r.send(r.packet); err != nil || !r.cfg.Plain {
		return err
	}
	r.phase = ended
	r.summary.Ended = r.now
	return nil
}
