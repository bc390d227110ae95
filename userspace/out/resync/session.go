package resync

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/out/snapshot"
	"binrepd/userspace/wire/arrival"
)

const (
	// DefaultPasses is for a session with a rate: the second pass sends again what the first may have lost.
	DefaultPasses = 2
	// maxExtra is how many passes are added because the tail was overwritten. A session that has no complete pass by then
	// will never have one at this rate.
	maxExtra = 3
	// maxOverruns is after how many overruns the session gives up in the middle of a pass: changes come faster than it may send.
	maxOverruns = 8
	// catchUps is how often the tail is sent at the end, at most.
	catchUps = 10
	// answerTime is for how long after its first packet a session waits for the report of a failure, even if it has sent everything:
	// longer than the round trip to any standby.
	answerTime = 250 * time.Millisecond
	// pollInterval is how often the sink is asked for such reports meanwhile.
	pollInterval = 10 * time.Millisecond
	// progressInterval is how often progress is told.
	progressInterval = 100 * time.Millisecond
)

// NoEnds as Config.EndsFrom sends no end that is remembered.
const NoEnds = math.MaxUint32

// Errors that callers branch on. ErrNobodyAnswers and ErrUnreachable stand for packets.ErrRefused and packets.ErrNoRoute.
var (
	ErrNobodyAnswers = errors.New("nobody answers there: the host says that the port is closed")
	ErrUnreachable   = errors.New("there is no way there")
	ErrMissing       = errors.New("not everything arrived")
	ErrOverrun       = errors.New("more changes came than could be sent at this rate: the standby may lack some of them")
)

// Tail reads what is forwarded after it was opened. egress.Tail is one.
type Tail interface {
	// Head returns the position of the change that will come next.
	Head() uint64
	// Read calls fn for each change not read yet, up to position to. The change is valid until fn returns. lost counts changes that were
	// overwritten before they could be read. An error of fn ends it.
	Read(to uint64, fn func(*changes.Change) error) (lost uint64, err error)
	Close()
}

// Subject is what a filter decides about: a snapshot, or a deletion.
type Subject struct {
	Kind dialog.Kind // Delete, or anything else for a snapshot
	// State, Start and Timeout of a snapshot.
	State          dialog.State
	Start, Timeout uint32
	Origin         uint16
	// Body is the packed dialog in Layout, of a deletion what that says. It is a view.
	Body   dialog.Packed
	Layout layout.ID
	// Name is what a deletion of the dialog says. It is only set for a deletion and for a dialog that has ended.
	Name []byte
}

// Config of a Session. Table and To are required, and Sink and OpenTail unless it is a dry run.
type Config struct {
	Table    *dialog.Table
	Sink     packets.Sink
	OpenTail func() Tail
	To       packets.Endpoint
	// Rate is the most packets a second, everything counted; 0 means as fast as it goes. A processor reads, builds and sends
	// 850,000 dialogs a second to its own host. A receiver takes fewer, and loses what its buffer has no room for: by default it has room
	// for 100,000 datagrams. A larger table needs a receiver with more processors, or a rate.
	Rate int
	// Passes is how often the table is sent; 0 means DefaultPasses with a rate, and 1 without.
	Passes int
	// Replace sends each dialog as a deletion, a creation and an update.
	Replace bool
	// EndsFrom is in Unix seconds: of the ends that are remembered, only those from then on are sent. 0: all, NoEnds: none. Ends that
	// come during the session are always sent.
	EndsFrom uint32
	// Steering is the table's, to look for a Call-ID.
	Steering packets.Steering
	// DryRun does all but sending.
	DryRun bool
	// Policy says what is changed on the way out, and what the destination speaks.
	Policy shield.Policy
	// Filter chooses what is sent; nil: everything. It decides about deletions, too, of which only the key is known. It is called without
	// any lock.
	Filter func(Subject) bool
	// Sender returns the source with a number: a dialog of generation 2 that is sent to another binrepd names the node that made it.
	// It may be nil.
	Sender func(origin uint16) packets.Sender
	// Peer asks the destination what arrived there, and Reach waits until the host knows the way to it; both may be nil.
	Peer  Peer
	Reach func(context.Context) error
	// AllEndsToPeer sends all ends that are remembered to another binrepd, whatever EndsFrom says.
	AllEndsToPeer bool
	// OnProgress is called every tenth of a second and at the end, by the goroutine of Run; it may be nil.
	OnProgress func(Progress)
}

// Session sends the table to one destination.
type Session struct {
	cfg      Config
	reporter packets.Reporter // the sink, if it is one and the session sends
	failure  chan error       // what the sink reported about the destination

	mu       sync.Mutex // guards progress
	progress Progress

	// Only Run uses what is below.
	line    *line
	tail    Tail
	entries snapshot.Entries  // of the last steps of the scan
	again   []*snapshot.Entry // of entries, to be sent again as updates
	change  changes.Change    // being sent
	live    *shield.Shield    // for the tail
	shield  *shield.Shield    // for the pass
	repeats *shield.Shield    // for what is sent again: its report would count twice
	summary Summary
	pass    PassSummary
	dirty   bool          // the tail was overwritten in this pass
	ended   bool          // the scan looks for ends that are remembered, and not for dialogs
	sent    arrival.Count // what was put in line since the last answer of the peer
	arrived arrival.Count // that answer
	peer    bool          // the destination has answered
	// Of pass.Total and pass.Visited, ends that are remembered.
	ends, endsVisited uint64
	// repeat: each dialog of the table is sent again behind a creation, and repeatTail: each change.
	repeat, repeatTail bool
	reported           time.Time
	started            time.Time
}

// New returns a session that is not running yet.
func New(cfg Config) (*Session, error) {
	switch {
	case cfg.Table == nil:
		return nil, errors.New("resync: no table")
	case !cfg.DryRun && (cfg.Sink == nil || cfg.OpenTail == nil):
		return nil, errors.New("resync: no sink or no tail")
	case !cfg.DryRun && cfg.To.Port == 0:
		return nil, errors.New("resync: no destination")
	case cfg.Rate < 0 || cfg.Passes < 0:
		return nil, fmt.Errorf("resync: a rate of %d, %d passes", cfg.Rate, cfg.Passes)
	}
	switch {
	case cfg.Passes == 0 && cfg.Rate > 0:
		cfg.Passes = DefaultPasses
	case cfg.Passes == 0:
		cfg.Passes = 1
	}
	// A further pass is an update behind a creation, too. Without a rate the receiver is another binrepd, which needs none.
	repeatTail := cfg.Replace || cfg.Rate > 0
	repeat := cfg.Replace || repeatTail && cfg.Passes == 1
	if cfg.DryRun {
		cfg.Passes = 1
	}
	if cfg.Sender == nil {
		cfg.Sender = func(uint16) packets.Sender { return packets.Sender{} }
	}
	live, err := shield.New(cfg.Policy)
	if err != nil {
		return nil, err
	}
	repeats, err := shield.New(cfg.Policy)
	if err != nil {
		return nil, err
	}
	s := &Session{cfg: cfg, live: live, repeats: repeats, failure: make(chan error, 1), repeat: repeat, repeatTail: repeatTail}
	if !cfg.DryRun {
		s.reporter, _ = cfg.Sink.(packets.Reporter)
	}
	s.line = newLine(&cfg, s.failure)
	return s, nil
}

// failed takes what the sink reported about a message.
func (s *Session) failed(to packets.Endpoint, err error) {
	if to != s.cfg.To {
		return
	}
	select {
	case s.failure <- err:
	default:
	}
}

// Run sends the table. It returns when everything has been sent, or with an error when it can't be or ctx ends; the summary
// tells how far it came in any case. Run may be called once.
func (s *Session) Run(ctx context.Context) (Summary, error) {
	s.started = time.Now()
	if !s.cfg.DryRun {
		s.tail = s.cfg.OpenTail()
		defer s.tail.Close()
	}
	if s.reporter != nil {
		defer s.reporter.Watch(s.failed)()
	}
	err := s.approach(ctx)
	if err == nil {
		err = s.sendAll(ctx)
	}
	if err == nil && s.summary.Arrival == Missing {
		s.summary.Complete = true
		err = fmt.Errorf("%w: %d of the %d packets of the last pass are missing; repeat the sync, with a lower --rate if this happens again",
			ErrMissing, s.summary.Missing, s.summary.LastPass)
	} else {
		s.summary.Complete = err == nil
	}
	if err != nil {
		err = fmt.Errorf("sync to %s: %w", s.cfg.To, err)
	}
	s.summary.Duration = time.Since(s.started)
	if s.shield != nil {
		s.pass.Report = s.shield.Report()
	}
	// An interrupted pass says less than the complete one before it.
	if s.summary.Passes == 0 {
		s.summary.PassSummary = s.pass
	}
	s.summary.Peer = s.peer
	s.summary.Packets, s.summary.Bytes = s.line.packets.Load(), s.line.bytes.Load()
	s.summary.SendErrors = s.line.failures.Load()
	s.summary.Tail = s.live.Report()
	s.report(true)
	return s.summary, err
}

// sendAll reads the table in this goroutine and sends in another.
func (s *Session) sendAll(ctx context.Context) error {
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	go s.line.run(running, fail)
	err := s.run(running)
	s.line.close()
	if cause := context.Cause(running); cause != nil {
		return cause
	}
	if err != nil {
		return err
	}
	return s.awaitFailure(ctx)
}

// run puts everything in line.
func (s *Session) run(ctx context.Context) error {
	for passes, extra := s.cfg.Passes, 0; s.summary.Passes < passes; {
		s.dirty = false
		if err := s.scan(ctx); err != nil {
			return err
		}
		s.summary.Passes++
		s.pass.Report = s.shield.Report()
		s.summary.PassSummary = s.pass
		if s.summary.Passes < passes {
			if err := s.settleArrival(ctx); err != nil {
				return err
			}
			continue
		}
		if err := s.catchUp(ctx); err != nil {
			return err
		}
		if err := s.settleArrival(ctx); err != nil {
			return err
		}
		if s.dirty {
			if extra == maxExtra {
				return ErrOverrun
			}
			extra++
			passes++
		}
	}
	return nil
}

// drain sends what the tail has at this moment.
func (s *Session) drain(ctx context.Context) error {
	if s.tail == nil {
		return ctx.Err()
	}
	lost, err := s.tail.Read(s.tail.Head(), func(c *changes.Change) error { return s.sendChange(ctx, c) })
	if lost > 0 {
		s.dirty = true
		s.summary.Overruns++
		s.summary.TailLost += lost
	}
	switch {
	case err != nil:
		return err
	case s.summary.Overruns > maxOverruns:
		return ErrOverrun
	}
	return s.flush(ctx)
}

// catchUp sends what came until a moment that is as late as possible: while the tail is being sent, further changes come,
// though fewer each time if the rate suffices.
func (s *Session) catchUp(ctx context.Context) error {
	for range catchUps {
		if s.line.gather { // what is in line takes long enough for further changes
			if err := s.line.settle(ctx); err != nil {
				return err
			}
		}
		before := s.summary.TailEvents
		if err := s.drain(ctx); err != nil {
			return err
		}
		if s.summary.TailEvents-before <= uint64(min(s.line.size, sendBatch)) {
			break
		}
	}
	return nil
}

// awaitFailure waits until enough time has passed since the first packet for a report that the destination doesn't take packets.
func (s *Session) awaitFailure(ctx context.Context) error {
	if s.line.first.IsZero() || s.reporter == nil {
		return nil
	}
	wait := time.NewTimer(answerTime - time.Since(s.line.first))
	defer wait.Stop()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		select {
		case <-poll.C:
			s.reporter.Poll()
		case err := <-s.failure:
			if err := final(err); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-wait.C:
			return nil
		}
	}
}
