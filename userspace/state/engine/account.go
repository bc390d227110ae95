package engine

import (
	"sync"
	"sync/atomic"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin2"
)

// kinds is the size of an array indexed by dialog.Kind.
const kinds = int(dialog.Kinds)

// Account is what became of the packets of one intake.
type Account struct {
	// Received packets and their bytes, as taken from the sources. It lacks what the kernel lost before.
	Received, Bytes uint64
	// Outcomes of dialog events, by kind. Chunks of syncs are no packets of their own: only Chunks counts them.
	Outcomes [kinds][dialog.Outcomes]uint64
	// Verdicts on packets that are no dialog events; bin1.Dialog stays zero.
	Verdicts [bin1.Verdicts]uint64
	// Verdicts2 on packets of generation 2 that are no dialog events; bin2.Event stays zero. Packets of syncs are among
	// them.
	Verdicts2 [bin2.Verdicts]uint64
	// Chunks is what became of the chunks in these. RefusedChunks are those that are no dialogs.
	Chunks        [dialog.Outcomes]uint64
	RefusedChunks uint64
}

// Add adds o to a.
func (a *Account) Add(o *Account) {
	a.Received += o.Received
	a.Bytes += o.Bytes
	for k := range a.Outcomes {
		for i := range a.Outcomes[k] {
			a.Outcomes[k][i] += o.Outcomes[k][i]
		}
	}
	for v := range a.Verdicts {
		a.Verdicts[v] += o.Verdicts[v]
	}
	for v := range a.Verdicts2 {
		a.Verdicts2[v] += o.Verdicts2[v]
	}
	for i := range a.Chunks {
		a.Chunks[i] += o.Chunks[i]
	}
	a.RefusedChunks += o.RefusedChunks
}

// Outcome returns the number of events with outcome o, of every kind.
func (a *Account) Outcome(o dialog.Outcome) (n uint64) {
	for k := range a.Outcomes {
		n += a.Outcomes[k][o]
	}
	return n
}

// Kind returns the number of events of kind k, whatever became of them.
func (a *Account) Kind(k dialog.Kind) (n uint64) {
	for _, c := range a.Outcomes[k] {
		n += c
	}
	return n
}

// OtherCapability returns the number of packets of other capabilities, and of those that say nothing of a dialog.
func (a *Account) OtherCapability() uint64 {
	return a.Verdicts[bin1.OtherCapability] + a.Verdicts2[bin2.OtherPacket]
}

// Applied returns the number of events that changed a dialog, recovered and early ones among them.
func (a *Account) Applied() uint64 {
	return a.Outcome(dialog.Applied) + a.Outcome(dialog.Recovered) + a.Outcome(dialog.BeganEarly)
}

// Sum returns the number of verdicts and outcomes. At rest it equals Received: the account adds up.
func (a *Account) Sum() (n uint64) {
	for k := range kinds {
		n += a.Kind(dialog.Kind(k))
	}
	for _, c := range a.Verdicts {
		n += c
	}
	for _, c := range a.Verdicts2 {
		n += c
	}
	return n
}

// tally is what a worker counts.
type tally struct {
	intakes      [packets.MaxIntakes]Account
	batches      Sizes
	latency      Histogram
	capabilities capabilities
}

// published lets others read a tally while its worker goes on. Neither waits for the other. There are three copies: the worker has one
// to write, the reader has one, and the third, which was published last, changes hands by one atomic exchange.
type published struct {
	copies [3]tally
	latest atomic.Uint32 // the number of the latest copy, and fresh if nobody has taken it yet
	mine   uint32        // the worker's

	mu    sync.Mutex // guards taken: there is one reader at a time. The worker doesn't take it
	taken uint32
}

// fresh marks a copy that nobody has taken yet.
const fresh = 1 << 8

func (p *published) init() {
	p.mine, p.taken = 1, 2
}

// publish is called by the worker, once a batch.
func (p *published) publish(t *tally, intakes int) {
	c := &p.copies[p.mine]
	copy(c.intakes[:], t.intakes[:intakes])
	c.batches = t.batches
	c.latency = t.latency
	c.capabilities = t.capabilities
	p.mine = p.latest.Swap(p.mine|fresh) &^ fresh
}

// read calls fn with what was published last.
func (p *published) read(fn func(*tally)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latest.Load()&fresh != 0 {
		p.taken = p.latest.Swap(p.taken) &^ fresh
	}
	fn(&p.copies[p.taken])
}

// maxCapabilities bounds the names that are counted one by one. The sender chooses the names. So all further ones are counted
// together.
const maxCapabilities = 16

// OtherCapabilities is the name under which the rest is counted. A sender can't choose it: longer names than capabilityName are
// counted there.
const OtherCapabilities = "(any other name)"

const capabilityName = 32 // bytes of the longest name that is counted by itself

// capabilities counts packets of other capabilities by name, without allocating.
type capabilities struct {
	names  [maxCapabilities][capabilityName]byte
	sizes  [maxCapabilities]uint8
	counts [maxCapabilities]uint64
	used   int
	other  uint64
}

func (c *capabilities) add(name []byte) {
	if len(name) > capabilityName {
		c.other++
		return
	}
	for i := range c.used {
		if string(c.names[i][:c.sizes[i]]) == string(name) {
			c.counts[i]++
			return
		}
	}
	if c.used == maxCapabilities {
		c.other++
		return
	}
	copy(c.names[c.used][:], name)
	c.sizes[c.used] = uint8(len(name))
	c.counts[c.used] = 1
	c.used++
}

// addTo adds the counts to m.
func (c *capabilities) addTo(m map[string]uint64) {
	for i := range c.used {
		m[string(c.names[i][:c.sizes[i]])] += c.counts[i]
	}
	if c.other > 0 {
		m[OtherCapabilities] += c.other
	}
}
