package bench

import (
	"time"

	"binrepd/userspace/in/packets"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/wire/bin1/generate"
)

// cycle is a Source that never ends: it updates the same calls again and again. So a lap can be as long as it has to
// be, and none of it is spent on making packets. It belongs to one goroutine, but for Stop.
type cycle struct {
	passes [cyclePasses]encoded
	pass   int
	next   int
}

const (
	// cycleCalls are so many that no cache holds their packets. They fill whole batches, so that a lap ends with one.
	cycleCalls = 80 * engine.DefaultBatch
	// cyclePasses differ in the timeouts of the dialogs. The table takes a content for an old one if it is one of the
	// last three that were overtaken: with five in turn each is news.
	cyclePasses = 5
	// apart is by how many seconds timeouts differ; up to two are no change.
	apart = 100
)

func newCycle(t *traffic) *cycle {
	c := &cycle{}
	chosen := t.random.Perm(len(t.live))[:min(len(t.live), cycleCalls)/engine.DefaultBatch*engine.DefaultBatch]
	for _, i := range chosen {
		t.live[i].Phase, t.live[i].Refreshes = generate.Refresh, 1
	}
	for pass := range c.passes {
		proxy := newProxy(uint32(pass * apart))
		i := 0
		c.passes[pass].make(len(chosen), func(dst []byte) ([]byte, uint64) {
			call := t.live[chosen[i]]
			i++
			return proxy.Append(dst, call), call.Number
		})
	}
	return c
}

func (c *cycle) Receive(b *packets.Batch) error {
	b.Packets = b.Packets[:0]
	p, now := &c.passes[c.pass], time.Now().UnixNano()
	for len(b.Packets) < cap(b.Packets) && c.next < p.len() {
		d := p.datagram(c.next, now)
		d.Sender.Addr[14], d.Sender.Addr[15] = 2, byte(p.calls[c.next]%scrapeSources)
		b.Packets = append(b.Packets, d)
		c.next++
	}
	if c.next == p.len() {
		c.pass, c.next = (c.pass+1)%cyclePasses, 0
	}
	return nil
}

func (c *cycle) Release(b *packets.Batch) { b.Packets = b.Packets[:0] }
func (c *cycle) Stop()                    {}
func (c *cycle) Close() error             { return nil }
