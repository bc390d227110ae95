package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"binrepd/userspace/state/engine"
)

// path is a link, what sends over it, and an appliance at the other end, if any.
type path struct {
	*link
	generator *generator
	appliance *appliance
	time      *totalTime
}

// roomPerEvent is the memory for a frame of a mixed stream: 380 bytes on average.
const roomPerEvent = 480

// newPath makes one with an appliance, and room for so many events at once. With no ring the appliance has only its
// socket.
func newPath(ctx context.Context, events, dialogs, rings int, coalesce time.Duration) (_ *path, err error) {
	p := &path{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.link, err = newLink(""); err != nil {
		return nil, err
	}
	if p.appliance, err = newAppliance(ctx, p.link, dialogs, rings, coalesce); err != nil {
		return nil, err
	}
	return p, p.prepare(events, xdpTx)
}

// prepare makes the generator; answer is what it does with its frames.
func (p *path) prepare(events int, answer int32) error {
	p.time = newTotalTime()
	return inNamespace(p.far, func() (err error) {
		p.generator, err = newGenerator(p.farIndex, events*roomPerEvent, answer, newFramer(p.farMAC, p.nearMAC, listener()))
		return err
	})
}

func (p *path) close() error {
	var errs []error
	if p.time != nil {
		errs = append(errs, p.time.close())
	}
	if p.generator != nil {
		errs = append(errs, p.generator.close())
	}
	if p.appliance != nil {
		errs = append(errs, p.appliance.close())
	}
	if p.link != nil {
		errs = append(errs, p.link.close())
	}
	return errors.Join(errs...)
}

// passage is what became of events that were sent over a path.
type passage struct {
	sent
	received int
	// cpu is all processor time that they cost, in this process and in the kernel, without waiting for the time to
	// send.
	cpu time.Duration
}

func (p passage) lap() lap { return lap{events: p.frames, wall: p.wall, cpu: p.cpu} }

// send sends n events of next, a chunk at a time at so many a second, and waits until the appliance, if there is one,
// has them.
func (p *path) send(ctx context.Context, n, rate, chunk int, next func([]byte) ([]byte, uint64)) (r passage, err error) {
	if p.appliance != nil {
		p.appliance.rest()
	}
	err = inNamespace(p.far, func() error {
		if err := p.generator.make(n, next); err != nil {
			return err
		}
		return onSendersCPU(func() error {
			before := p.received()
			others := p.time.read()
			if r.sent, err = p.generator.send(ctx, rate, chunk); err != nil {
				return err
			}
			if err := p.settle(ctx, before+n); err != nil {
				return err
			}
			r.received = p.received() - before
			r.cpu = p.time.read() - others + r.sent.cpu // of this thread only the system calls that send count
			return nil
		})
	})
	return r, err
}

// received is how many datagrams the appliance has had.
func (p *path) received() int {
	if p.appliance == nil {
		return 0
	}
	s := p.appliance.engine.Status()
	total := s.Total()
	return int(total.Received)
}

// taken is in how many batches the appliance took how many events, how often the consumers of its rings slept or napped
// meanwhile, and how long events took from the kernel's receipt to the table.
type taken struct {
	events, batches, sleeps float64
	latency                 engine.Histogram
}

// taken is that since the begin.
func (p *path) taken() (t taken) {
	if p.appliance == nil {
		return t
	}
	s := p.appliance.engine.Status()
	t.events, t.batches, t.latency = float64(s.Batches.Sum), float64(s.Batches.Count()), s.Latency
	for _, r := range p.appliance.rings {
		t.sleeps += float64(r.Stats().Sleeps + r.Stats().Naps)
	}
	return t
}

// since says how it went on average since before.
func (t *taken) since(before taken) string {
	events, batches, sleeps := t.events-before.events, t.batches-before.batches, t.sleeps-before.sleeps
	text := fmt.Sprintf("%.0f events a batch", events/max(batches, 1))
	if sleeps > 0 {
		text += fmt.Sprintf(", %.0f a sleep or nap", events/sleeps)
	}
	return text + fmt.Sprintf("; p50 %.2f ms, p99 %.2f ms", t.latencySince(before, 0.5), t.latencySince(before, 0.99))
}

// latencySince returns that quantile of the time from the kernel's receipt to the table since before, in milliseconds.
func (t *taken) latencySince(before taken, q float64) float64 {
	h := since(&before.latency, &t.latency)
	return h.Quantile(q).Seconds() * 1e3
}

// settle waits until so many datagrams have been received, or nothing has come for a while: then some were lost.
func (p *path) settle(ctx context.Context, want int) error {
	const quiet, look = time.Second, 5 * time.Millisecond
	if p.appliance == nil {
		return nil
	}
	last := -1
	changed := time.Now()
	for {
		now := p.received()
		if now != last {
			last, changed = now, time.Now()
		}
		if now >= want || time.Since(changed) > quiet {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look):
		}
	}
}

// sendAll is send where everything is to arrive. A busy machine may give neither the kernel's receiving thread nor
// the appliance a processor for long enough that a veth pair overflows: then as many others are sent, a few times.
func (p *path) sendAll(ctx context.Context, n, rate, chunk int, next func([]byte) ([]byte, uint64)) (r passage, err error) {
	const tries = 5
	for range tries {
		if r, err = p.send(ctx, n, rate, chunk, next); err != nil || p.appliance == nil || r.received == r.frames {
			return r, err
		}
	}
	return r, fmt.Errorf("of %d events, %d arrived, at the last of %d tries: something else keeps this machine busy", r.frames, r.received, tries)
}

// totalTime is a clock of the processor time that traffic costs: of this process, in whose system calls the kernel
// sends and usually receives frames, and of the kernel's threads that take over when there is much to receive.
type totalTime struct {
	softirq []*os.File // schedstat of each ksoftirqd
}

func newTotalTime() *totalTime {
	t := &totalTime{}
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		if comm, err := os.ReadFile(name); err == nil && strings.HasPrefix(string(comm), "ksoftirqd/") {
			if f, err := os.Open(filepath.Join(filepath.Dir(name), "schedstat")); err == nil {
				t.softirq = append(t.softirq, f)
			}
		}
	}
	return t
}

// read returns the sum so far, without the calling thread.
func (t *totalTime) read() (others time.Duration) {
	var text [128]byte
	for _, f := range t.softirq {
		n, _ := f.ReadAt(text[:], 0)
		first, _, _ := strings.Cut(string(text[:n]), " ") // nanoseconds on a processor; two more numbers
		ns, _ := strconv.ParseInt(first, 10, 64)
		others += time.Duration(ns)
	}
	return others + readClock(processClock) - readClock(threadClock)
}

func (t *totalTime) close() (err error) {
	for _, f := range t.softirq {
		err = errors.Join(err, f.Close())
	}
	return err
}
