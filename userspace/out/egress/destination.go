package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/host/hostport"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/pace"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/wire/bin1"
)

const (
	// sendBatch is how many messages the sink is given at once.
	sendBatch = 128
	// linger is the pause between two looks into the journal. The first change after silence leaves at once. Under load the sender
	// wakes at most once in that time, and sends whole batches.
	linger = 500 * time.Microsecond
	// Where the sink can't take a message at the moment, the sender tries again after retryFirst, and then after twice as long each
	// time, up to retryLast.
	retryFirst, retryLast = 50 * time.Millisecond, time.Second
)

// destination sends to one destination. It has three goroutines: run reads the journal and sends; watch resolves the name and writes
// the log; greetUntil asks the destination who it is, and whether it is there again.
type destination struct {
	cfg    Destination
	egress *Egress
	host   string // "" for a literal address
	port   uint16
	shield *shield.Shield
	pace   pace.Pace
	tail   *Tail
	cancel context.CancelFunc

	located chan struct{} // closed when the endpoint is known for the first time
	poke    chan struct{} // tells watch that the state has changed

	inHand atomic.Uint64 // changes taken from the journal and not yet sent

	mu       sync.Mutex // guards what is below
	endpoint packets.Endpoint
	condition
	counts  counts
	peer    greeted
	paused  bool
	changed chan struct{} // closed and made anew when something changes that run or greetUntil may wait for

	tooLong string // the first change that was too long for a packet; watch logs it

	// Only run uses what is below.
	named    bool // tooLong has been set
	change   changes.Change
	buf      []byte
	messages []packets.Message
	kinds    []dialog.Kind
}

// counts is what a destination has counted.
type counts struct {
	sent                         [dialog.Kinds]uint64
	bytes, own, errors, repeated uint64
	refusals, unreachables, lost uint64
}

func (e *Egress) newDestination(cfg Destination) (*destination, error) {
	target, err := hostport.Parse(cfg.Address)
	if err != nil {
		return nil, err
	}
	if cfg.Rate < 0 {
		return nil, fmt.Errorf("a rate of %d packets a second", cfg.Rate)
	}
	if cfg.Policy.Convert == nil {
		cfg.Policy.Convert = e.cfg.Convert
	}
	sh, err := shield.New(cfg.Policy)
	if err != nil {
		return nil, err
	}
	d := &destination{
		cfg: cfg, egress: e, host: target.Host, port: target.Port, shield: sh, pace: pace.New(cfg.Rate, sendBatch),
		located: make(chan struct{}), poke: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	d.since = time.Now()
	if literal, ok := target.Literal(); ok {
		if e.cfg.Own(literal) {
			return nil, ErrOwn
		}
		d.host = ""
		d.locate(packets.EndpointOf(literal))
	}
	return d, nil
}

func (d *destination) target() packets.Endpoint {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.endpoint
}

// converts tells whether the destination gets dialogs of generation 2 converted, unless it is another binrepd.
func (d *destination) converts() bool { return d.cfg.Policy.Convert != nil }

// aimed returns what Forward needs to know.
func (d *destination) aimed() target {
	d.mu.Lock()
	defer d.mu.Unlock()
	return target{d.endpoint, d.peer.origin != 0, d.converts()}
}

// run sends what is forwarded until ctx ends or the egress is closed and all is sent.
func (d *destination) run(ctx context.Context) {
	defer d.tail.Close()
	if !d.awaitLocation(ctx) {
		return
	}
	d.awaitAnswer(ctx)
	pause := time.NewTimer(linger)
	defer pause.Stop()
	for {
		if d.awaitOpen(ctx) != nil {
			return
		}
		run, n, err := d.tail.take(ctx)
		if err != nil {
			return
		}
		d.inHand.Store(n)
		if err := d.sendRun(ctx, run); err != nil {
			return
		}
		pause.Reset(linger)
		select {
		case <-pause.C:
		case <-d.egress.closing:
		case <-ctx.Done():
			return
		}
	}
}

// awaitLocation waits until the endpoint is known. It gives up when the egress is closed.
func (d *destination) awaitLocation(ctx context.Context) bool {
	select {
	case <-d.located:
		return true
	default:
	}
	select {
	case <-d.located:
		return true
	case <-d.egress.closing:
	case <-ctx.Done():
	}
	return false
}

// sendRun sends a run of the journal, a batch at a time.
func (d *destination) sendRun(ctx context.Context, run []byte) error {
	for len(run) > 0 {
		if err := d.awaitOpen(ctx); err != nil {
			return err
		}
		to, peer, lacks := d.receiver(time.Now())
		d.buf, d.messages, d.kinds = d.buf[:0], d.messages[:0], d.kinds[:0]
		own, taken := uint64(0), uint64(0)
		for len(run) > 0 && len(d.messages) < d.pace.Batch() {
			run = cutChange(run, &d.change)
			taken++
			if peer == 0 && d.converts() && d.change.Layout != bin1.Layout {
				if err := d.awaitVerdict(ctx); err != nil {
					return err
				}
				to, peer, lacks = d.receiver(time.Now())
			}
			if !goesTo(&d.change, to, peer) {
				own++
				continue
			}
			var out shield.Outgoing
			if peer != 0 {
				d.buf, out = d.shield.ProcessStamped(d.buf, &d.change)
			} else {
				d.buf, out = d.shield.Process(d.buf, &d.change)
			}
			if out.Held == shield.TooLong && !d.named {
				d.nameTooLong()
			}
			if out.Held == shield.Passed {
				d.messages = append(d.messages, packets.Message{Payload: out.Packet, To: to})
				d.kinds = append(d.kinds, out.Kind)
				// An OpenSIPS that builds a dialog from an update sets the caller's CSeq to 0, and the next update sets it right. Further
				// back than this the second one would undo a later change.
				if peer == 0 && out.Kind == dialog.Update && (d.change.Began || d.change.Kind == dialog.Chunk || lacks) {
					d.messages = append(d.messages, packets.Message{Payload: out.Packet, To: to})
					d.kinds = append(d.kinds, repeated)
				}
			}
		}
		if err := d.pace.Wait(ctx, len(d.messages)); err != nil {
			return err
		}
		err := d.sendBatch(ctx)
		d.mu.Lock()
		d.counts.own += own
		d.mu.Unlock()
		d.inHand.Add(-taken)
		if err != nil {
			return err
		}
	}
	return nil
}

// sendBatch sends d.messages. Messages that the sink can't take at the moment are tried again, while the journal fills. Those that it will
// never take are given up and counted.
func (d *destination) sendBatch(ctx context.Context) error {
	messages, kinds := d.messages, d.kinds
	for retry := retryFirst; len(messages) > 0; {
		n, err := d.egress.cfg.Sink.Send(messages)
		if n > 0 {
			retry = retryFirst
		}
		if err == nil && n < len(messages) {
			err = io.ErrShortWrite
		}
		d.account(messages[:n], kinds, err)
		messages, kinds = messages[n:], kinds[n:]
		switch {
		case err == nil:
		case errors.Is(err, net.ErrClosed):
			return err
		case passing(err):
			select {
			case <-time.After(retry):
				retry = min(2*retry, retryLast)
			case <-d.egress.closing:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := d.awaitOpen(ctx); err != nil {
				return err
			}
			d.redirect(messages)
		default:
			messages, kinds = messages[1:], kinds[1:]
		}
	}
	return nil
}

// awaitOpen waits while the destination is paused, or doesn't get packets. What is forwarded meanwhile stays in the journal.
func (d *destination) awaitOpen(ctx context.Context) error {
	for {
		d.mu.Lock()
		open, changed := !d.paused && !d.held, d.changed
		d.mu.Unlock()
		if open {
			return nil
		}
		select {
		case <-changed:
		case <-d.egress.closing:
			return net.ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pause makes the destination wait, or go on.
func (d *destination) pause(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.paused != on {
		d.paused = on
		d.pokeWatch()
	}
}

// redirect gives messages that wait the address that the destination has now.
func (d *destination) redirect(messages []packets.Message) {
	to := d.target()
	for i := range messages {
		messages[i].To = to
	}
}

// repeated stands in destination.kinds for a packet that is sent once more.
const repeated = dialog.Kinds

// account counts what was sent, and the error that ended it, if any. kinds begins with those of the messages, behind which is that of the
// message with the error.
func (d *destination) account(messages []packets.Message, kinds []dialog.Kind, err error) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range messages {
		if kinds[i] == repeated {
			d.counts.repeated++
		} else {
			d.counts.sent[kinds[i]]++
		}
		d.counts.bytes += uint64(len(messages[i].Payload))
	}
	changed := len(messages) > 0 && d.sent(now)
	if err != nil {
		if !passing(err) && kinds[len(messages)] != repeated {
			d.counts.lost++
		}
		changed = d.failedLocked(err, now) || changed
	}
	if changed {
		d.pokeWatch()
	}
}

// failed notes an error that the sink reported later. The message that it is about is lost.
func (d *destination) failed(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	changed := d.failedLocked(err, time.Now())
	if d.state == Unreachable && errors.Is(err, packets.ErrNoRoute) {
		d.lost()
	}
	if changed {
		d.pokeWatch()
	}
}

func (d *destination) failedLocked(err error, now time.Time) (changed bool) {
	d.counts.errors++
	changed = d.condition.failed(err, now)
	if d.state != Up {
		d.peer = greeted{}
	}
	switch {
	case errors.Is(err, packets.ErrRefused):
		d.counts.refusals++
	case errors.Is(err, packets.ErrNoRoute):
		d.counts.unreachables++
	}
	return changed
}

// locate notes the endpoint of the destination, and tells whether it differs from the one before.
func (d *destination) locate(e packets.Endpoint) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.endpoint == e {
		return false
	}
	if d.endpoint == (packets.Endpoint{}) {
		close(d.located)
	}
	moved := d.endpoint != (packets.Endpoint{})
	d.endpoint = e
	d.peer = greeted{}
	d.enter(Up, time.Now())
	d.held = false
	if moved {
		d.gap.moved = true
		d.gap.count++
	}
	d.pokeWatch()
	return true
}

// pokeWatch tells the goroutines of the destination that something has changed.
func (d *destination) pokeWatch() {
	close(d.changed)
	d.changed = make(chan struct{})
	select {
	case d.poke <- struct{}{}:
	default:
	}
}
