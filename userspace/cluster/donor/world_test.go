package donor_test

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/cluster/donor/donortest"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin2"
)

const (
	source, requester, me = 1, 2, 3
	socket                = "udp:10.0.0.1:5060"
)

// began is when each simulation begins.
func began() time.Time { return time.Unix(1_800_000_000, 0) }

// world is a simulated cluster: a proxy that handles calls, one that asks for a sync, and a donor with a real table.
// Each packet has its own time of arrival at each of them.
type world struct {
	t       testing.TB
	rng     *rand.Rand
	release donortest.Release
	now     time.Time
	due     schedule
	serial  int

	truth    map[string][]byte // the calls, by name
	names    []string
	calls    int
	lastAt   map[string]time.Time // arrival of the last packet of a call at the requester
	lastHere map[string]time.Time // and at the donor
	lateHere time.Duration        // by how much packets may come later at the donor
	lateThem time.Duration        // and at the requester
	q        *donortest.Requester

	table   *dialog.Table
	hash    packets.Steering
	decoder bin2.Decoder
	tails   []*tail
	run     *donor.Run
	lastRun donor.Summary
	wire    time.Time // arrival of the last packet of the run
	deaf    bool      // the requester is down

	missLive bool // live packets don't reach it
}

type item struct {
	at time.Time
	no int
	do func()
}

type schedule []item

func (s schedule) Len() int { return len(s) }
func (s schedule) Less(i, j int) bool {
	return s[i].at.Before(s[j].at) || s[i].at.Equal(s[j].at) && s[i].no < s[j].no
}
func (s schedule) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(x any)   { *s = append(*s, x.(item)) }
func (s *schedule) Pop() any {
	old := *s
	x := old[len(old)-1]
	*s = old[:len(old)-1]
	return x
}

func newWorld(t testing.TB, r donortest.Release, seed uint64) *world {
	t.Helper()
	table, err := dialog.NewTable(dialog.Config{Shards: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	return &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), release: r, now: began(), truth: map[string][]byte{}, lastAt: map[string]time.Time{}, lastHere: map[string]time.Time{},
		lateHere: 50 * time.Millisecond, lateThem: 50 * time.Millisecond, q: donortest.NewRequester(r), table: table,
		hash: packets.Steering{K0: 1, K1: 2}}
}

func (w *world) at(d time.Duration, do func()) {
	w.serial++
	heap.Push(&w.due, item{w.now.Add(d), w.serial, do})
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	end := w.now.Add(d)
	for len(w.due) > 0 && !w.due[0].at.After(end) {
		i := heap.Pop(&w.due).(item)
		w.now = i.at
		w.q.Tick(w.now)
		i.do()
	}
	w.now = end
	w.q.Tick(w.now)
}

// body returns a call.
func (w *world) body(n int, state uint32, socket string) []byte {
	var f layout.Fields
	set := func(at layout.Field, s string) { f.Strings[at] = []byte(s) }
	set(layout.CallID, fmt.Sprintf("call-%d", n))
	set(layout.FromTag, fmt.Sprintf("from-%d", n))
	set(layout.ToTag, fmt.Sprintf("to-%d", n))
	set(layout.CallerSocket, socket)
	set(layout.CalleeSocket, socket)
	set(layout.CallerCSeq, "1")
	set(layout.CalleeCSeq, "1")
	set(layout.CallerContact, "sip:alice@192.0.2.1")
	f.Numbers[layout.HID], f.Numbers[layout.Start], f.Numbers[layout.State] = uint32(n)*7919, uint32(w.now.Unix()), state
	f.Numbers[layout.Flags], f.Numbers[layout.Timeout] = 16, uint32(w.now.Unix())+3600
	b, fault := f.Append(nil, w.release.Layout)
	if fault != layout.NoFault {
		w.t.Fatal(fault)
	}
	return b
}

func (w *world) packet(kind layout.Kind, body []byte) []byte {
	v := w.release.Layout.Version()
	number, ok := kind.Number(v)
	if !ok {
		w.t.Fatalf("no %v in version %d", kind, v)
	}
	p := bin2.Begin(nil, int16(v), "dialog-dlg-repl", number)
	p.Raw(body)
	b, err := p.EndTrailer(bin2.Trailer{Cluster: 1, Source: source, Destination: requester})
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// tell sends a live packet about a call to both. Those of different calls come in any order, and earlier here or there.
// Those of one call keep their order, because OpenSIPS has no cure for what is in the wrong order.
func (w *world) tell(name string, kind layout.Kind, body []byte) {
	b := w.packet(kind, body)
	w.at(w.arrival(w.lastHere, name, w.lateHere), func() { w.apply(b) })
	w.at(w.arrival(w.lastAt, name, w.lateThem), func() {
		if !w.deaf && !w.missLive {
			w.q.Receive(w.now, b)
		}
	})
}

// arrival returns when a packet arrives: within late, behind the last one of its call.
func (w *world) arrival(last map[string]time.Time, name string, late time.Duration) time.Duration {
	at := w.now.Add(time.Duration(w.rng.Int64N(int64(late))))
	if before := last[name]; !at.After(before) {
		at = before.Add(time.Microsecond)
	}
	last[name] = at
	return at.Sub(w.now)
}

// call begins a call.
func (w *world) call() {
	w.calls++
	n := w.calls
	body := w.body(n, 3, socket)
	name := w.q.NameOf(body)
	w.truth[name] = body
	w.names = append(w.names, name)
	w.tell(name, layout.Created, body)
	w.at(time.Duration(1+w.rng.IntN(30))*time.Millisecond, func() {
		if w.truth[name] != nil {
			body := w.body(n, 4, socket)
			body = w.carry(name, body)
			w.truth[name] = body
			w.tell(name, layout.Updated, body)
		}
	})
}

// carry takes start, timeout, values and generated CSeq of what is known over into body.
func (w *world) carry(name string, body []byte) []byte {
	var old, v layout.View
	layout.Parse(w.release.Layout, w.truth[name], &old)
	layout.Parse(w.release.Layout, body, &v)
	out, fault := v.AppendWith(nil, layout.Values, old.Bytes(layout.Values))
	if fault != layout.NoFault || layout.Parse(w.release.Layout, out, &v) != layout.NoFault {
		w.t.Fatal(fault)
	}
	for _, f := range [...]layout.Field{layout.Start, layout.Timeout, layout.CalleeGenCSeq} {
		v.SetNumber(f, old.Number(f))
	}
	return out
}

// change does something to a random call.
func (w *world) change() {
	if len(w.names) == 0 {
		return
	}
	i := w.rng.IntN(len(w.names))
	name := w.names[i]
	var v layout.View
	if layout.Parse(w.release.Layout, w.truth[name], &v) != layout.NoFault {
		w.t.Fatal("the truth can't be read")
	}
	switch k := w.rng.IntN(4); {
	case k == 0 && w.release.Values:
		m := layout.ValueChange{CallID: v.Bytes(layout.CallID), HID: v.Number(layout.HID), Name: []byte("counter"), Type: layout.Integer, Int: int32(w.serial)}
		body, _ := m.Append(nil, w.release.Layout.Version())
		if out, changed, fault := v.ApplyValue(nil, &m); fault == layout.NoFault && changed == layout.Done {
			w.truth[name] = out
		}
		w.tell(name, layout.Value, body)
	case k == 1:
		m := layout.CSeqChange{CallID: v.Bytes(layout.CallID), OtherTag: v.Bytes(layout.FromTag), Tag: v.Bytes(layout.ToTag), HID: v.Number(layout.HID),
			Number: v.Number(layout.CalleeGenCSeq) + 1}
		body, _ := m.Append(nil, w.release.Layout.Version())
		out := slices.Clone(w.truth[name])
		layout.Parse(w.release.Layout, out, &v)
		v.SetNumber(layout.CalleeGenCSeq, m.Number)
		w.truth[name] = out
		w.tell(name, layout.CSeq, body)
	case len(w.names) > 150:
		w.end(i)
	}
}

func (w *world) end(i int) {
	name := w.names[i]
	var v layout.View
	layout.Parse(w.release.Layout, w.truth[name], &v)
	m := layout.Deletion{CallID: v.Bytes(layout.CallID), FromTag: v.Bytes(layout.FromTag), ToTag: v.Bytes(layout.ToTag), HID: v.Number(layout.HID)}
	body, _ := m.Append(nil, w.release.Layout.Version())
	delete(w.truth, name)
	w.names = slices.Delete(w.names, i, i+1)
	w.tell(name, layout.Deleted, body)
}

// load makes calls and changes for a time.
func (w *world) load(d time.Duration, perSecond int) {
	for i := range int(d.Seconds() * float64(perSecond)) {
		at := time.Duration(i) * time.Second / time.Duration(perSecond)
		w.at(at, w.call)
		w.at(at+time.Millisecond, w.change)
		w.at(at+2*time.Millisecond, w.change)
	}
}

// apply plays a packet on the donor's table, as the engine does.
func (w *world) apply(b []byte) {
	var ev dialog.Event
	if v := w.decoder.Decode(b, &ev); v != bin2.Event {
		w.t.Fatalf("the donor got a packet that is %v", v)
	}
	ev.Hash, ev.Origin = w.hash.CallID(ev.CallID()), 1
	s := w.table.Lock(w.table.ShardOf(ev.Hash))
	defer s.Unlock()
	s.Apply([]*dialog.Event{&ev}, w.now.Unix())
	if !ev.Changed() {
		return
	}
	var c changes.Change
	bin2.Describe(&c, b, &ev)
	c.Source = 1
	for _, t := range w.tails {
		t.list = append(t.list, c)
	}
}

// tail is the journal of one run.
type tail struct {
	list []changes.Change
	from int
	lose bool // what is read next is lost
}

func (t *tail) Head() uint64 { return uint64(len(t.list)) }

func (t *tail) Read(to uint64, fn func(*changes.Change) error) (lost uint64, err error) {
	if t.lose && t.from < int(to) {
		lost, t.from = to-uint64(t.from), int(to)
	}
	for t.from < int(to) && err == nil {
		err = fn(&t.list[t.from])
		t.from++
	}
	return lost, err
}

func (t *tail) Close() {}

// config is that of a run for the requester.
func (w *world) config() donor.Config {
	t := &tail{}
	w.tails = append(w.tails, t)
	return donor.Config{
		Peer: donor.Peer{Trailer: bin2.Trailer{Cluster: 1, Source: me, Destination: requester}, Dialect: w.release.Dialect,
			SyncVersion: w.release.SyncVersion, Layout: w.release.Layout},
		Table: w.table, Tail: t, Rate: donor.DefaultRate,
	}
}

// restart makes the requester an empty node that is deaf for a while, and then asks.
func (w *world) restart(away time.Duration, answer func()) {
	w.q, w.deaf = donortest.NewRequester(w.release), true
	w.at(away, func() { w.deaf = false })
	w.at(away+time.Duration(4+w.rng.IntN(22))*time.Millisecond, func() { w.at(donor.DefaultSettle, answer) })
}

// serve runs a run to its end. Its packets overtake each other by a little, as they do between the processes of 3.1 and
// later.
func (w *world) serve(cfg donor.Config) {
	run := donor.NewRun(w.now, cfg)
	w.run = run
	var step func()
	step = func() {
		next, err := run.Step(w.now, 1<<20, func(b []byte) error { w.deliver(b); return nil })
		if err != nil {
			w.t.Fatal(err)
		}
		if run.Done() {
			w.lastRun = run.Summary()
			run.Close()
			return
		}
		if !next.After(w.now) {
			w.t.Fatal("the run asks to be called again at once")
		}
		w.at(next.Sub(w.now), step)
	}
	step()
}

func (w *world) deliver(b []byte) {
	b = slices.Clone(b)
	q := w.q
	at := w.now.Add(200 * time.Microsecond)
	if !at.After(w.wire) {
		at = w.wire.Add(time.Microsecond)
	}
	w.wire = at
	if w.release.Layout != layout.Bin1TwoSDP { // 2.4 handles one packet after the other
		at = at.Add(time.Duration(w.rng.IntN(300)) * time.Microsecond)
	}
	w.at(at.Sub(w.now), func() {
		if q == w.q && !w.deaf {
			q.Receive(w.now, b)
		}
	})
}

// compare returns what differs between the requester and the truth.
func (w *world) compare() (missing, ghosts, different int) {
	for name, body := range w.truth {
		switch have, ok := w.q.Dialogs[name]; {
		case !ok:
			missing++
		case string(have) != string(body):
			different++
		}
	}
	for name := range w.q.Dialogs {
		if w.truth[name] == nil {
			ghosts++
		}
	}
	return missing, ghosts, different
}

// donorHas tells how the donor's table has a call, for messages.
func (w *world) donorHas(name string) string {
	text := "not"
	var cur dialog.Cursor
	for more := true; more; {
		more = w.table.Scan(&cur, func(v *dialog.View) {
			callID, from, to := v.Names()
			if w.q.Name(callID, from, to, 0)[:len(callID)+1] == name[:min(len(callID)+1, len(name))] {
				text = v.State().String()
			}
		})
	}
	return text
}
