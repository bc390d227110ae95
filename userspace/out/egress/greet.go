package egress

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
)

// A destination is asked whether it is another binrepd (bin1.Hello). As long as it says so it gets events with their stamps, so
// that each appliance passes an event on once, wherever it goes. Any other destination gets them as an OpenSIPS sends them.

const (
	// greetFirst is the pause between the first greetFew questions, and between those to a destination that has said that it is
	// a binrepd. greetLater is the pause between those to one that doesn't answer, which may be a binrepd one day.
	greetFirst, greetFew, greetLater = time.Second, 3, 30 * time.Second
	greetAgain                       = 3 * time.Second
	// peerTime is for how long an answer holds: three questions may get lost.
	peerTime = 4 * greetAgain
	// greetWait is for how long a destination whose address has just become known may answer before the first event leaves.
	greetWait = 250 * time.Millisecond
	// unanswered is the number of the question with which a destination that answers none is taken for an OpenSIPS: the one before
	// has had greetFirst for its answer.
	unanswered = 2
	// maxAnswers is how many questions may wait to be answered. Further ones are dropped; they are asked again.
	maxAnswers = 64
)

// errOwn is why a destination gets nothing that turned out to be this appliance, by whatever address.
var errOwn = fmt.Errorf("%w: it is this appliance itself", packets.ErrRefused)

// greeted is what is known of the binrepd at a destination.
type greeted struct {
	asked  uint64    // the nonce of the last question
	before uint64    // that of the one before, whose answer may be on its way
	silent int       // questions since the last answer
	origin uint64    // the number of that appliance; 0: it never answered
	until  time.Time // the answer holds
}

// question is a hello that waits for its answer.
type question struct {
	hello bin1.Hello
	from  packets.Endpoint
}

// Hear takes a packet of bin1.OwnCapability, from whatever socket: a question of another appliance, or an answer to one of
// ours. It neither blocks nor keeps the packet.
func (e *Egress) Hear(p *packets.Packet) {
	h, ok := bin1.ParseHello(p.Payload)
	if !ok || e.cfg.Origin == 0 || p.Sender.Node != 0 {
		return
	}
	if !h.Answer {
		select {
		case e.questions <- question{h, p.Sender.Endpoint}:
		default:
		}
		return
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, d := range e.destinations {
		if d.answered(&h) {
			return
		}
	}
}

// answer answers questions until the egress is closed.
func (e *Egress) answer() {
	for {
		select {
		case <-e.closing:
			return
		case q := <-e.questions:
			to := q.from
			if q.hello.Port != 0 {
				to.Port = q.hello.Port
			}
			h := bin1.Hello{Answer: true, Origin: e.cfg.Origin, Nonce: q.hello.Nonce}
			// A lost answer is asked for again.
			_, _ = e.cfg.Sink.Send([]packets.Message{{Payload: h.Append(nil), To: to}})
		}
	}
}

// greet asks the destination who it is. The question is a probe, too: a destination that doesn't want packets says so.
func (d *destination) greet() {
	d.mu.Lock()
	to := d.endpoint
	nonce := rand.Uint64()
	d.peer.before, d.peer.asked = d.peer.asked, nonce
	d.peer.silent++
	d.mu.Unlock()
	h := bin1.Hello{Origin: d.egress.cfg.Origin, Nonce: nonce, Port: d.egress.cfg.AnswerPort}
	if r, ok := d.egress.cfg.Sink.(packets.Reporter); ok {
		r.Poll() // about the question before, if nothing else is sent or received
	}
	n, err := d.egress.cfg.Sink.Send([]packets.Message{{Payload: h.Append(nil), To: to}})
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	changed := n > 0 && d.sent(now) || d.peer.silent == unanswered // sendRun waits for that
	if err != nil && !errors.Is(err, net.ErrClosed) {
		changed = d.failedLocked(err, now) || changed
	}
	if changed {
		d.pokeWatch()
	}
}

// answered notes an answer and tells whether it is to a question of this destination.
func (d *destination) answered(h *bin1.Hello) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h.Nonce == 0 || h.Nonce != d.peer.asked && h.Nonce != d.peer.before || h.Origin == 0 {
		return false
	}
	if h.Origin == d.egress.cfg.Origin {
		if d.condition.failed(errOwn, time.Now()) {
			d.pokeWatch()
		}
		return true
	}
	back := d.held && d.enter(Up, time.Now()) // it is there again, whatever the network said before
	first := d.peer.origin == 0
	d.peer.origin, d.peer.silent, d.peer.until = h.Origin, 0, time.Now().Add(peerTime)
	if first || back {
		d.pokeWatch()
	}
	return true
}

// receiver returns where the destination is, the number of the binrepd there, 0 if none is known, and whether it was away and may
// lack calls until it is synced. That it lost changes because it doesn't keep up isn't a reason to send it more.
func (d *destination) receiver(now time.Time) (to packets.Endpoint, peer uint64, lacks bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.peer.origin != 0 && now.After(d.peer.until) {
		d.peer = greeted{}
		d.pokeWatch()
	}
	return d.endpoint, d.peer.origin, d.gap.count > d.gap.synced
}

// greetUntil asks the destination again and again until ctx ends or the egress is closed.
func (d *destination) greetUntil(ctx context.Context) {
	if !d.awaitLocation(ctx) {
		return
	}
	asked := time.Time{}
	for {
		d.mu.Lock()
		pause, changed := d.pauseLocked(), d.changed
		d.mu.Unlock()
		due := make(<-chan time.Time) // never
		if pause > 0 || asked.IsZero() && d.egress.cfg.Origin != 0 {
			due = time.After(time.Until(asked.Add(pause)))
		}
		select {
		case <-due:
			d.greet()
			asked = time.Now()
		case <-changed:
		case <-d.egress.closing:
			return
		case <-ctx.Done():
			return
		}
	}
}

// pauseLocked returns the pause between two questions; 0: no question.
func (d *destination) pauseLocked() time.Duration {
	switch {
	case d.held:
		return greetFirst
	case d.egress.cfg.Origin == 0:
		return 0
	case d.peer.origin != 0 && d.peer.silent == 0:
		return greetAgain
	case d.peer.origin != 0 || d.peer.silent <= greetFew:
		return greetFirst
	}
	return greetLater
}

// awaitAnswer gives the destination a moment to answer the first question.
func (d *destination) awaitAnswer(ctx context.Context) {
	if d.egress.cfg.Origin == 0 {
		return
	}
	timeout := time.NewTimer(greetWait)
	defer timeout.Stop()
	for {
		d.mu.Lock()
		known, changed := d.peer.origin != 0, d.changed
		d.mu.Unlock()
		if known {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			return
		case <-d.egress.closing:
			return
		case <-ctx.Done():
			return
		}
	}
}

// awaitVerdict waits until it is known whether the destination is another binrepd, which must not get dialogs converted.
func (d *destination) awaitVerdict(ctx context.Context) error {
	for {
		d.mu.Lock()
		known, changed := d.peer.origin != 0 || d.peer.silent >= unanswered, d.changed
		d.mu.Unlock()
		if known || d.egress.cfg.Origin == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-d.egress.closing:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// goesTo tells whether a change goes to a destination at all: not to where it came from, nor to the appliance that took it in,
// and what merely confirms goes to appliances only.
func goesTo(c *changes.Change, to packets.Endpoint, peer uint64) bool {
	return !cameFrom(c, to) && (peer == 0 || c.Origin != peer) && (peer != 0 || !c.Confirms)
}
