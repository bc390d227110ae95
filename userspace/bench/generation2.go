package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/wire/bin2"
)

// packet2Size is the size in bytes of a creation or update of generation 2, as real proxies send them.
const packet2Size = 650

// traffic2 makes packets of generation 2: of calls that begin, change and end.
type traffic2 struct {
	rng    *rand.Rand
	live   []uint64
	next   uint64
	cseq   int
	fields layout.Fields
	body   []byte
}

func newTraffic2() *traffic2 {
	t := &traffic2{rng: rand.New(rand.NewPCG(1, 2))}
	for f, s := range map[layout.Field]string{
		layout.FromURI: "sip:alice@example.org", layout.ToURI: "sip:bob@example.com", layout.CallerSocket: "udp:192.0.2.1:5060",
		layout.CalleeSocket: "udp:192.0.2.1:5060", layout.CallerContact: "sip:alice@192.0.2.9:5082", layout.CalleeCSeq: "0",
		layout.CalleeContact: "sip:192.0.2.9:5070;transport=UDP", layout.Values: "dlgX_shtag#1#vip|account#1#acct-alice|",
		layout.Profiles: "inbound#1#|", layout.CalleeSDP: "v=0\r\no=u 1 1 IN IP4 192.0.2.7\r\ns=-\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n",
	} {
		t.fields.Strings[f] = []byte(s)
	}
	t.fields.Numbers[layout.Start], t.fields.Numbers[layout.Timeout] = uint32(time.Now().Unix()), uint32(time.Now().Unix())+36_000
	t.fields.Numbers[layout.Flags] = 1<<4 | 1<<2
	t.name(0)
	t.fields.Strings[layout.CallerCSeq] = []byte("1000000")
	// The caller's SDP makes up the size.
	if missing := packet2Size - len(t.snapshot(nil, 1, dialog.Answered)); missing > 0 {
		t.fields.Strings[layout.CallerSDP] = []byte(strings.Repeat("a=x\r\n", missing/5+1)[:missing])
	}
	return t
}

func (t *traffic2) name(call uint64) {
	f := &t.fields
	f.Strings[layout.CallID] = fmt.Appendf(f.Strings[layout.CallID][:0], "%016x@198.51.100.7", call*0x9e3779b97f4a7c15)
	f.Strings[layout.FromTag] = fmt.Appendf(f.Strings[layout.FromTag][:0], "%010xfrom", call)
	f.Strings[layout.ToTag] = fmt.Appendf(f.Strings[layout.ToTag][:0], "%010xto", call)
	f.Numbers[layout.HID] = uint32(call)
	t.cseq++
	f.Strings[layout.CallerCSeq] = strconv.AppendInt(f.Strings[layout.CallerCSeq][:0], int64(1_000_000+t.cseq), 10)
}

func (t *traffic2) packet(dst []byte, number int32) []byte {
	w := bin2.Begin(dst, 4, bin2.Dialogs.String(), number)
	w.Raw(t.body)
	dst, err := w.EndTrailer(bin2.Trailer{Cluster: 1, Source: 1, Destination: 3})
	if err != nil {
		panic(err) // a packet of a known size always fits
	}
	return dst
}

func (t *traffic2) snapshot(dst []byte, number int32, state dialog.State) []byte {
	t.fields.Numbers[layout.State] = uint32(state)
	t.body, _ = t.fields.Append(t.body[:0], layout.Bin4Typed)
	return t.packet(dst, number)
}

// create appends the packet of a call that begins.
func (t *traffic2) create(dst []byte) ([]byte, uint64) {
	call := t.next
	t.next++
	t.live = append(t.live, call)
	t.name(call)
	return t.snapshot(dst, 1, dialog.Answered), call
}

// mixed appends a creation, an update or a deletion in turn: the number of calls stays the same.
func (t *traffic2) mixed(dst []byte) ([]byte, uint64) {
	if t.next%2 == 0 {
		return t.create(dst)
	}
	i := t.rng.IntN(len(t.live))
	call := t.live[i]
	t.name(call)
	if t.rng.IntN(2) == 0 {
		return t.snapshot(dst, 2, dialog.Confirmed), call
	}
	if len(t.live) > 1 {
		t.live[i] = t.live[len(t.live)-1]
		t.live = t.live[:len(t.live)-1]
	}
	t.next++
	f := &t.fields
	m := layout.Deletion{
		CallID: f.Strings[layout.CallID], FromTag: f.Strings[layout.FromTag], ToTag: f.Strings[layout.ToTag],
		HID: f.Numbers[layout.HID], HasHID: true,
	}
	t.body, _ = m.Append(t.body[:0], 4)
	return t.packet(dst, 3), call
}

// grouping2 decodes packets of generation 2 and sorts their events by shard, as a worker of the engine does.
type grouping2 struct {
	*grouping
	decoder bin2.Decoder
}

// play decodes packets and applies their events.
func (g *grouping2) play(table *dialog.Table, made *encoded2, now int64) error {
	steering := steering()
	for from := 0; from < made.len(); from += engine.DefaultBatch {
		g.events = g.events[:min(made.len()-from, engine.DefaultBatch)]
		for i := range g.byShard {
			g.byShard[i] = g.byShard[i][:0]
		}
		for i := range g.events {
			ev := &g.events[i]
			if v := g.decoder.Decode(made.at(from+i), ev); v != bin2.Event {
				return fmt.Errorf("decode: %v", v)
			}
			ev.Hash = steering.CallID(ev.CallID())
			shard := packets.Spread(ev.Hash, len(g.byShard))
			g.byShard[shard] = append(g.byShard[shard], ev)
		}
		for shard, evs := range g.byShard {
			if len(evs) > 0 {
				s := table.Lock(shard)
				s.Apply(evs, now)
				s.Unlock()
			}
		}
		for i := range g.events {
			if o := g.events[i].Outcome; o != dialog.Applied {
				return fmt.Errorf("apply: the outcome of a %v is %v", g.events[i].Kind, o)
			}
		}
	}
	return nil
}

// encoded2 is encoded without steering hashes: those of generation 2 are computed when a packet is decoded.
type encoded2 struct{ encoded }

func (p *encoded2) make(n int, next func([]byte) ([]byte, uint64)) {
	p.reset()
	for range n {
		p.bytes, _ = next(p.bytes)
		p.ends = append(p.ends, len(p.bytes))
	}
}

// population2 is a table with dialogs of generation 2, and what made them.
type population2 struct {
	table   *dialog.Table
	traffic *traffic2
	play    *grouping2
	made    encoded2
	now     int64
}

// newPopulation2 makes a table with so many dialogs. The caller closes the table.
func newPopulation2(ctx context.Context, dialogs int) (*population2, error) {
	table, err := dialog.NewTable(dialog.Config{Shards: shards})
	if err != nil {
		return nil, err
	}
	p := &population2{table: table, traffic: newTraffic2(), play: &grouping2{grouping: newGrouping(shards)}, now: time.Now().Unix()}
	for len(p.traffic.live) < dialogs && err == nil {
		p.made.make(min(growStep, dialogs-len(p.traffic.live)), p.traffic.create)
		err = errors.Join(ctx.Err(), p.play.play(table, &p.made, p.now))
	}
	if err != nil {
		return nil, errors.Join(err, table.Close())
	}
	return p, nil
}

// generation2Stage measures decoding and applying packets of generation 2 together.
func generation2Stage(ctx context.Context, s *session) (err error) {
	p, err := newPopulation2(ctx, s.cfg.Dialogs)
	if err != nil {
		return err
	}
	table := p.table
	defer func() { err = errors.Join(err, table.Close()) }()
	c := table.Counts()
	n := s.events(applyEvents)
	var bytes int
	all, err := s.compare(ctx, contender{"generation 2", func() (lap, error) {
		p.now += 100
		table.Expire(p.now)
		p.made.make(n, p.traffic.mixed)
		bytes = len(p.made.bytes) / n
		return timed(n, func() error { return p.play.play(table, &p.made, p.now) })
	}})
	if err != nil {
		return err
	}
	s.add("decode and apply", s.cfg.Dialogs, all[0]).Note = fmt.Sprintf(
		"%d bytes a snapshot, %d a packet; %d bytes of memory a dialog", packet2Size, bytes, c.Mapped/max(c.Live(), 1))
	return nil
}
