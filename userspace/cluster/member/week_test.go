package member

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/wire/bin2"
)

// tell sends a message about a call to us.
func (w *weekWorld) tell(n *weekNode, kind int32, body []byte, lost func()) {
	p := bin2.Begin(nil, 4, Capability, kind)
	p.Raw(body)
	b, err := p.EndTrailer(bin2.Trailer{Cluster: 1, Source: n.id, Destination: us})
	if err != nil {
		w.t.Fatal(err)
	}
	w.send(n.id, us, b, lost)
}

// value tells of the value that OpenSIPS writes into a dialog of a sharing tag when it packs it (W6).
func (w *weekWorld) value(n *weekNode, callID string, hid uint32) {
	m := layout.ValueChange{CallID: []byte(callID), HID: hid, Name: []byte("dlgX_shtag"), Type: layout.Text, Text: []byte("vip")}
	b, _ := m.Append(nil, 4)
	w.tell(n, 5, b, nil)
}

// call lives at a node: creation, value and update leave in any order within 40 ms, because several processes send
// them (W8).
func (w *weekWorld) call(n *weekNode) {
	w.made++
	callID := fmt.Sprintf("call %d of %d", w.made, n.id)
	c := &weekCall{owner: n.id, hid: w.made, state: 3, made: w.now}
	untold := func() { c.untold = true }
	w.calls[callID] = c
	m := n.machine
	alive := func(do func()) func() {
		return func() {
			if n.machine == m {
				do()
			}
		}
	}
	created := c.body(callID)
	c.state = 4
	updated := c.body(callID)
	w.after(w.upTo(40*time.Millisecond), alive(func() { w.tell(n, 1, created, untold) }))
	w.after(w.upTo(40*time.Millisecond), alive(func() { w.value(n, callID, c.hid) }))
	w.after(w.upTo(40*time.Millisecond), alive(func() { w.tell(n, 2, updated, untold) }))
	var end func()
	end = func() {
		if n.machine == nil || n.paused.After(w.now) { // nobody ends it
			w.after(10*time.Second, end)
			return
		}
		delete(w.calls, callID)
		b, _ := (&layout.Deletion{CallID: []byte(callID), FromTag: []byte("f"), ToTag: []byte("t"), HID: c.hid, HasHID: true}).Append(nil, 4)
		w.tell(n, 3, b, func() { w.lostEnds[callID] = &lostEnd{c, w.now} })
	}
	w.after(2*time.Second+w.upTo(10*time.Minute), end)
}

// answer is a node's answer to a request for a sync, with the weaknesses of OpenSIPS's (spec bin-tcp, 3.7): the chunks
// leave after live packets that are newer (W1, W5), the total may be wrong, or chunks missing (W2), the node may be
// empty (W3), a value of each dialog comes before the data (W6), and a second answer may run at the same time (W7).
func (w *weekWorld) answer(n *weekNode, to int32, version int16) {
	if to != us {
		return // the model proxies always know everything
	}
	trailer := bin2.Trailer{Cluster: 1, Source: n.id, Destination: us}
	m := n.machine
	packet := func(at time.Duration, b []byte, err error) {
		if err != nil {
			w.t.Fatal(err)
		}
		w.after(at, func() {
			if n.machine == m {
				w.send(n.id, us, b, nil)
			}
		})
	}
	var names []string
	if !n.empty {
		names = slices.Sorted(maps.Keys(w.calls))
	}
	excess, stop, answers := int32(0), -1, 1
	if w.weakness {
		switch w.rng.IntN(12) {
		case 0:
			return // no answer at all
		case 1:
			excess = 1
		case 2:
			stop = len(names) / 2
		case 3:
			answers = 2
		}
	}
	for range answers {
		at := w.upTo(50 * time.Millisecond)
		sent := int32(0)
		for i, callID := range names {
			w.value(n, callID, w.calls[callID].hid)
			if i == stop {
				return
			}
			s := bin2.Sync{Trailer: trailer, Version: version, Capability: []byte(Capability), DataVersion: 4,
				Chunks: layout.AppendChunk(nil, version, w.calls[callID].body(callID))}
			b, err := s.Append(nil, bin2.Dialect{})
			at += w.upTo(2 * time.Millisecond)
			packet(at, b, err)
			sent++
		}
		e := bin2.SyncEnd{Trailer: trailer, Version: version, Capability: []byte(Capability), Total: sent + excess}
		b, err := e.Append(nil, bin2.Dialect{})
		packet(at, b, err)
	}
}

// fault does something bad to a node.
func (w *weekWorld) fault(n *weekNode) {
	switch w.rng.IntN(3) {
	case 0: // killed, and started again; sequence numbers begin at 0
		if n.machine == nil {
			return
		}
		w.linkChanged(n, false)
		n.machine, n.paused = nil, time.Time{}
		w.restarts++
		w.after(500*time.Millisecond+w.upTo(2*time.Minute), func() {
			if n.empty = w.rng.IntN(4) == 0; n.empty {
				w.after(30*time.Second, func() { n.empty = false })
			}
			w.begin(n)
		})
	case 1: // paused
		n.paused = w.now.Add(w.upTo(90 * time.Second))
	case 2: // the link to us is cut, and healed
		if n.cut%2 == 1 {
			return
		}
		w.linkChanged(n, false)
		n.cut++
		w.after(100*time.Millisecond+w.upTo(3*time.Minute), func() {
			n.cut++
			w.linkChanged(n, true)
		})
	}
}

// live returns the live dialogs of the table, with their states.
func (w *weekWorld) live() map[string]uint32 {
	list := map[string]uint32{}
	var cur dialog.Cursor
	for more := true; more; {
		more = w.table.Scan(&cur, func(v *dialog.View) {
			if v.State().Live() {
				list[string(v.Name().CallID())] = uint32(v.State())
			}
		})
	}
	return list
}

// TestAWeekOfFaults: nodes of a cluster make calls, and are killed, paused and cut off, while the member syncs from
// donors with all weaknesses. When the faults are over, all links are up, a sync is complete, no call is missing, and
// the only calls too many are those whose end was sent while the link was cut, and that no sync of their own node could tell of. make chaos
// plays whole weeks with 2 to 10 nodes.
func TestAWeekOfFaults(t *testing.T) {
	type week struct {
		seed  uint64
		nodes int
		span  time.Duration
		calls time.Duration // between two calls of a node
	}
	weeks := []week{{1, 2, 8 * time.Hour, 20 * time.Second}, {2, 4, 3 * time.Hour, 20 * time.Second}}
	if os.Getenv("BINREPD_CHAOS") == "1" {
		weeks = nil
		for nodes := 2; nodes <= 10; nodes++ {
			weeks = append(weeks, week{uint64(time.Now().UnixNano()), nodes, 7 * 24 * time.Hour / time.Duration(max(1, nodes-2)), time.Minute})
		}
	}
	for _, k := range weeks {
		t.Run(fmt.Sprintf("%d nodes", k.nodes), func(t *testing.T) {
			t.Logf("seed %d, %d nodes, %s", k.seed, k.nodes, k.span)
			w := newWeekWorld(t, k.seed, k.nodes)
			defer w.table.Close()
			end := w.now.Add(k.span)
			for id := int32(1); id <= int32(k.nodes); id++ {
				n := w.nodes[id]
				var calls, faults func()
				calls = func() {
					if n.machine != nil && !n.paused.After(w.now) {
						w.call(n)
					}
					if w.now.Before(end.Add(time.Minute)) { // faults end before calls do
						w.after(w.upTo(2*k.calls), calls)
					}
				}
				faults = func() {
					if w.now.Before(end) {
						w.fault(n)
						w.after(w.upTo(20*time.Minute), faults)
					}
				}
				w.after(time.Second, calls)
				w.after(w.upTo(10*time.Minute), faults)
			}
			w.run(k.span)
			w.weakness = false
			w.run(6 * time.Minute) // all nodes are back, and links that were down are pinged again
			m := w.member
			m.fill.hasten(w.now, 0)
			w.run(30 * time.Second)
			if !m.fill.last.Complete || m.fill.incomplete(w.now, true) != "" || m.fill.run.donor != 0 {
				t.Errorf("the last sync: %+v", m.fill.last)
			}
			restarts := 0
			for _, n := range m.machine.Status().Nodes {
				if n.LinkState != membership.Up || len(n.Capabilities) != 1 || n.Capabilities[0].State != "Ok" {
					t.Errorf("node %d is %s, %+v", n.Node, n.LinkState, n.Capabilities)
				}
				restarts += n.Restarts
			}
			if restarts == 0 || restarts > w.restarts {
				t.Errorf("%d restarts were seen of %d", restarts, w.restarts)
			}
			live, ghosts := w.live(), 0
			for callID := range w.calls {
				if state, ok := live[callID]; !ok || state != 4 {
					t.Errorf("%s: there %v, state %d", callID, ok, state)
				}
			}
			for callID := range live {
				if w.calls[callID] == nil {
					ghosts++
					if e := w.lostEnds[callID]; e == nil {
						t.Errorf("%s has ended, and its end arrived", callID)
					} else if w.decided(e) {
						t.Errorf("%s, made %s, ended %s unheard, and its node was asked since", callID, e.call.made, e.at)
					}
				}
			}
			decided := 0
			for _, e := range w.lostEnds {
				if w.decided(e) {
					decided++
				}
			}
			if decided == 0 || w.gaps.ended == 0 {
				t.Errorf("%d lost ends should have been noticed, and %d were", decided, w.gaps.ended)
			}
			if len(m.nodes) != k.nodes || len(m.fill.tried) > k.nodes || len(w.calls) == 0 {
				t.Errorf("%d nodes, %d tried, %d calls", len(m.nodes), len(m.fill.tried), len(w.calls))
			}
			t.Logf("%d calls, %d at the end, %d ghosts of %d lost ends, %d ended as absent (%d should be); %d of %d restarts seen; %d syncs, %d failed", w.made, len(w.calls), ghosts, len(w.lostEnds), w.gaps.ended, decided,
				restarts, w.restarts, w.syncs, m.fill.failed)
		})
	}
}
