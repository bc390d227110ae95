package bin1test

import (
	"fmt"
	"iter"
	"math/rand/v2"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/generate"
)

// Options say what a Proxy sends. The zero value of each field but Now is useful.
type Options struct {
	// Now is the time at the proxy in Unix seconds. Starts and timeouts follow from it.
	Now int64
	// Calls is how many calls are in progress, at most, in the steady state of the stream; 0 means 1.
	Calls int
	// The others are those of package generate.
	Lifetime                   uint32
	Name                       string
	CallerSocket, CalleeSocket string
	SkippedCreates, Large      float64
}

// Realistic returns the options of a proxy like those of the captures, with so many calls in progress.
func Realistic(now int64, calls int) Options {
	return Options{Now: now, Calls: calls, SkippedCreates: 0.02, Large: 0.03}
}

// The phases and calls of package generate, which makes the packets.
type (
	Phase = generate.Phase
	Call  = generate.Call
)

// The moments in the life of a call at which a packet is sent.
const (
	Create  = generate.Create
	Confirm = generate.Confirm
	Refresh = generate.Refresh
	Delete  = generate.Delete
)

// Proxy makes up what a proxy sends, the same for the same seed and options. A stream of Next ramps up to
// Options.Calls calls and then repeats: one call begins, one is confirmed, one ends. AppendPacket makes the packet
// of any call without a stream, and may be called from several goroutines; everything else belongs to one.
type Proxy struct {
	o         Options
	generator *generate.Generator
	random    *rand.Rand

	now       uint32
	next      uint64 // number of the next call
	turn      int
	confirmed []Call // in no order
	waiting   []Call // answered but not confirmed, oldest first, at most inFlight
}

// inFlight is how many calls there are between their answer and their confirmation.
const inFlight = 8

// NewProxy returns a proxy. Proxies with different names or seeds have no call in common, as generate.New explains.
func NewProxy(seed uint64, o Options) *Proxy {
	if o.Calls == 0 {
		o.Calls = 1
	}
	return &Proxy{
		o: o, random: rand.New(rand.NewPCG(seed, 0)), now: uint32(o.Now), waiting: make([]Call, 0, inFlight),
		generator: generate.New(seed, generate.Options{
			Lifetime: o.Lifetime, Name: o.Name, CallerSocket: o.CallerSocket, CalleeSocket: o.CalleeSocket,
			SkippedCreates: o.SkippedCreates, Large: o.Large,
		}),
	}
}

// AppendPacket appends the packet of a call in a phase to dst. It depends on nothing but the seed, the options and
// its arguments; the call started at Options.Now, and a Refresh is its first. It doesn't look at what the stream has
// done.
func (p *Proxy) AppendPacket(dst []byte, call uint64, phase Phase) []byte {
	return p.generator.Append(dst, Call{Number: call, Start: uint32(p.o.Now), Phase: phase, Refreshes: 1})
}

// Next appends the next packet of the stream to dst.
func (p *Proxy) Next(dst []byte) []byte {
	for {
		// With fewer calls than there should be the first case goes; with enough of them the third, or the second.
		full := p.LiveCount() >= p.o.Calls
		p.turn++
		switch p.turn % 3 {
		case 1:
			if !full && len(p.waiting) < inFlight {
				return p.begin(dst)
			}
		case 2:
			if len(p.waiting) == inFlight || full && len(p.waiting) > 0 {
				return p.confirm(dst)
			}
		case 0:
			if full && len(p.confirmed) > 0 {
				return p.end(dst)
			}
		}
	}
}

// begin appends the first packet of a new call: its creation, or where that is skipped, its confirmation.
func (p *Proxy) begin(dst []byte) []byte {
	c := Call{Number: p.next, Start: p.now, Phase: p.generator.First(p.next)}
	p.next++
	if c.Phase == Confirm {
		p.confirmed = append(p.confirmed, c)
		p.turn++ // in place of the confirmation of another, so that as many calls as before wait for theirs
	} else {
		p.waiting = append(p.waiting, c)
	}
	return p.generator.Append(dst, c)
}

// confirm appends the confirmation of the oldest call that waits for it.
func (p *Proxy) confirm(dst []byte) []byte {
	c := p.waiting[0]
	p.waiting = p.waiting[:copy(p.waiting, p.waiting[1:])]
	c.Phase = Confirm
	p.confirmed = append(p.confirmed, c)
	return p.generator.Append(dst, c)
}

// end appends the deletion of a random confirmed call.
func (p *Proxy) end(dst []byte) []byte {
	i, last := p.random.IntN(len(p.confirmed)), len(p.confirmed)-1
	c := p.confirmed[i]
	p.confirmed[i] = p.confirmed[last]
	p.confirmed = p.confirmed[:last]
	c.Phase = Delete
	return p.generator.Append(dst, c)
}

// AppendRefresh appends an update of a random confirmed call of the stream to dst, as a re-INVITE causes it: a newer
// CSeq and a later timeout. Without such a call it appends nothing.
func (p *Proxy) AppendRefresh(dst []byte) []byte {
	if len(p.confirmed) == 0 {
		return dst
	}
	c := &p.confirmed[p.random.IntN(len(p.confirmed))]
	c.Phase = Refresh
	c.Refreshes++
	return p.generator.Append(dst, *c)
}

// SetNow moves the proxy's clock: calls that begin from now on start, and expire, accordingly.
func (p *Proxy) SetNow(now int64) { p.now = uint32(now) }

// Live yields the calls of the stream that are in progress, in no order.
func (p *Proxy) Live() iter.Seq[Call] {
	return func(yield func(Call) bool) {
		for _, calls := range [...][]Call{p.confirmed, p.waiting} {
			for _, c := range calls {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// LiveCount returns how many calls of the stream are in progress.
func (p *Proxy) LiveCount() int { return len(p.confirmed) + len(p.waiting) }

// LiveDetails returns the dialogs of the calls in progress as their last packets told them.
func (p *Proxy) LiveDetails() []dialog.Details {
	out := make([]dialog.Details, 0, p.LiveCount())
	var ev dialog.Event
	var packet []byte
	for c := range p.Live() {
		packet = p.generator.Append(packet[:0], c)
		if v := bin1.Decode(packet, &ev); v != bin1.Dialog {
			panic(fmt.Sprintf("bin1test: a packet of call %d in phase %v decodes as %v", c.Number, c.Phase, v))
		}
		out = append(out, ev.Body.Details())
	}
	return out
}
