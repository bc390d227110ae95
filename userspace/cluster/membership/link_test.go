package membership_test

import (
	"testing"
	"time"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/wire/bin2"
)

// TestPongIsDue50msAfterPing has the delay, the connection, and the bound on answers.
func TestPongIsDue50msAfterPing(t *testing.T) {
	w := newWorld(t, config())
	w.up(1)
	ping := &bin2.Ping{From: from(1)}
	w.receive(1, ping)
	if len(w.out.Sends) != 1 || w.out.Sends[0].Kind != bin2.KindPong {
		t.Fatalf("%+v", w.out.Sends)
	}
	s := w.out.Sends[0]
	if s.Node != 1 || s.Connection != 101 || !s.At.Equal(w.now.Add(50*time.Millisecond)) {
		t.Errorf("PONG to node %d on connection %d after %v", s.Node, s.Connection, s.At.Sub(w.now))
	}
	if pong := w.read(s).(*bin2.Pong); pong.Source != me || pong.Cluster != cluster || pong.Nodes.Len() != 0 {
		t.Errorf("%+v", pong)
	}
	// A second PING shortly after is answered by the same PONG, a later one by its own.
	w.now = w.now.Add(20 * time.Millisecond)
	if w.receive(1, ping); len(w.out.Sends) != 0 {
		t.Errorf("two PONGs for two pings 20 ms apart: %+v", w.out.Sends)
	}
	w.now = w.now.Add(10 * time.Millisecond)
	if w.receive(1, ping); len(w.out.Sends) != 1 || !w.out.Sends[0].At.Equal(w.now.Add(50*time.Millisecond)) {
		t.Errorf("PONG for a PING 30 ms after the first: %+v", w.out.Sends)
	}
	// However many pings come, at most one PONG each 25 ms goes out.
	pongs := 0
	for range 10_000 {
		w.now = w.now.Add(100 * time.Microsecond)
		w.receive(1, ping)
		pongs += len(w.sent(bin2.KindPong, 1))
	}
	if pongs < 20 || pongs > 41 {
		t.Errorf("%d PONGs in a second of 10,000 pings", pongs)
	}
}

// TestEveryPingIsAnsweredInTime: whenever pings come, each has a PONG 25 to 50 ms after it.
func TestEveryPingIsAnsweredInTime(t *testing.T) {
	w := newWorld(t, config())
	w.up(1)
	var answers []time.Time
	var asked []time.Time
	for i := range 2000 {
		w.now = w.now.Add(time.Duration(i*7919%60_000) * time.Microsecond)
		w.receive(1, &bin2.Ping{From: from(1), WantNodes: i%2 == 0})
		asked = append(asked, w.now)
		for _, s := range w.out.Sends {
			if s.Kind == bin2.KindPong {
				answers = append(answers, s.At)
			}
		}
	}
	for i, at := range asked {
		found := false
		for _, a := range answers {
			found = found || a.Sub(at) >= 25*time.Millisecond && a.Sub(at) <= 50*time.Millisecond
		}
		if !found {
			t.Fatalf("PING %d has no PONG", i)
		}
	}
}

// TestUnansweredPings has the rules of a node that never answers: 4 pings a second apart, then one a minute.
func TestUnansweredPings(t *testing.T) {
	c := config()
	c.Peers = c.Peers[:1]
	for _, failing := range [...]bool{false, true} {
		w := newWorld(t, c)
		var at []time.Duration
		var states []membership.LinkState
		for range 200 {
			sends := w.tick(w.m.Next().Sub(w.now))
			for _, s := range sends {
				at = append(at, w.now.Sub(began))
				if ping := w.read(s).(*bin2.Ping); !ping.WantNodes {
					t.Error("a PING without the wish for nodes though the link isn't up")
				}
				if failing {
					w.m.SendFailed(w.now, s.Node, &w.out)
				}
			}
			states = append(states, w.status(1).LinkState)
			if len(at) == 6 {
				break
			}
		}
		s := time.Second
		want := []time.Duration{0, s, 2 * s, 3 * s, 64 * s, 124 * s}
		for i, d := range want {
			if at[i] != d {
				t.Fatalf("sending fails %v: pings at %v, want %v", failing, at, want)
			}
		}
		if states[0] != membership.Probe || states[3] != membership.Probe || states[4] != membership.Down || states[5] != membership.Down {
			t.Errorf("sending fails %v: states %v", failing, states)
		}
		if !w.status(1).LinkSince.Equal(began.Add(4 * s)) {
			t.Errorf("down since %v", w.status(1).LinkSince.Sub(began))
		}
	}
}

// TestPingsOfALink: one each 4 s, and a link whose PING isn't answered within a second is lost.
func TestPingsOfALink(t *testing.T) {
	c := config()
	c.Peers = c.Peers[:1]
	w := newWorld(t, c)
	w.up(1)
	w.wantEvent(membership.LinkUp, 1)
	w.wantNoEvent(membership.Gap)
	w.speaks(1)
	if next := w.m.Next().Sub(w.now); next != 4*time.Second {
		t.Fatalf("next PING in %v", next)
	}
	for range 2 {
		if sends := w.tick(4 * time.Second); len(sends) != 1 || w.sent(bin2.KindPing, 1)[0].(*bin2.Ping).WantNodes {
			t.Fatalf("%+v", sends)
		}
		w.now = w.now.Add(900 * time.Millisecond)
		w.receive(1, &bin2.Pong{From: from(1)})
		w.now = w.now.Add(-900 * time.Millisecond)
	}
	w.tick(4 * time.Second)
	w.tick(time.Second)
	w.wantEvent(membership.LinkLost, 1)
	if !w.sent(bin2.KindPing, 1)[0].(*bin2.Ping).WantNodes {
		t.Error("no PING with the wish for nodes after the loss")
	}
	lost := w.now
	if s := w.status(1); s.LinkState != membership.Probe || !s.LinkSince.Equal(lost) {
		t.Errorf("%s since %v", s.LinkState, s.LinkSince)
	}
	w.now = w.now.Add(300 * time.Millisecond)
	w.receive(1, &bin2.Pong{From: from(1)})
	w.wantEvent(membership.LinkUp, 1)
	if e := w.wantEvent(membership.Gap, 1); e.Cause != membership.LinkWasLost {
		t.Errorf("%+v", e)
	}
	// Again, and now without end.
	w.tick(4*time.Second - 300*time.Millisecond)
	for range 3 {
		w.tick(time.Second)
	}
	w.wantNoEvent(membership.LinkDown)
	w.tick(time.Second)
	w.wantEvent(membership.LinkDown, 1)
	if s := w.status(1); s.LinkState != membership.Down {
		t.Errorf("%+v", s)
	}
	// Anything that comes makes us look for the node, but it is the PONG that brings the link up.
	w.tick(10 * time.Second)
	if w.receivePacket(origin(1), modulePacket(t, to(1, me))); w.m.Next().After(w.now) {
		t.Errorf("next step in %v after a packet of a node that was down", w.m.Next().Sub(w.now))
	}
	if w.tick(0); len(w.sent(bin2.KindPing, 1)) != 1 || w.status(1).LinkState != membership.Probe {
		t.Errorf("%+v", w.out.Sends)
	}
	w.receive(1, &bin2.Pong{From: from(1)})
	w.wantEvent(membership.LinkUp, 1)
}

// TestPingOfANodeThatIsDown is answered, and followed by a PING of ours at once.
func TestPingOfANodeThatIsDown(t *testing.T) {
	w := newWorld(t, config())
	for w.status(1).LinkState != membership.Down {
		w.tick(w.m.Next().Sub(w.now))
	}
	w.tick(5 * time.Second)
	w.receive(1, &bin2.Ping{From: from(1), WantNodes: true})
	if len(w.sent(bin2.KindPong, 1)) != 1 || len(w.sent(bin2.KindPing, 1)) != 1 {
		t.Fatalf("%+v", w.out.Sends)
	}
	// Not without end: two sides that look for each other don't drive each other on.
	pings := 0
	for range 1000 {
		w.now = w.now.Add(time.Millisecond)
		w.receive(1, &bin2.Ping{From: from(1), WantNodes: true})
		pings += len(w.sent(bin2.KindPing, 1))
		if !w.m.Next().After(w.now) {
			w.tick(0)
			pings += len(w.sent(bin2.KindPing, 1))
		}
	}
	if pings > 5 {
		t.Errorf("%d pings in a second", pings)
	}
}

// TestTrafficIsALife: a PONG that waits behind other packets takes no link down.
func TestTrafficIsALife(t *testing.T) {
	c := config()
	c.Peers = c.Peers[:1]
	w := newWorld(t, c)
	w.up(1)
	w.tick(4 * time.Second)
	for range 100 {
		w.now = w.now.Add(100 * time.Millisecond)
		w.receivePacket(origin(1), modulePacket(t, to(1, me)))
		if w.tick(0); w.status(1).LinkState != membership.Up {
			t.Fatalf("the link is %s after %v", w.status(1).LinkState, w.now.Sub(began))
		}
	}
	w.tick(2 * time.Second)
	w.wantEvent(membership.LinkLost, 1)
}

func TestSendFailedAndDisconnected(t *testing.T) {
	c := config()
	c.Peers = c.Peers[:1]
	w := newWorld(t, c)
	w.up(1)
	w.now = w.now.Add(time.Second)
	// A closed connection is looked into at once, and takes nothing down.
	w.m.Disconnected(w.now, 1)
	if w.tick(0); len(w.sent(bin2.KindPing, 1)) != 1 || w.status(1).LinkState != membership.Up {
		t.Fatalf("%s, %+v", w.status(1).LinkState, w.out.Sends)
	}
	w.m.SendFailed(w.now, 1, &w.out)
	w.wantEvent(membership.LinkLost, 1)
	w.out.Reset()
	w.m.SendFailed(w.now, 1, &w.out)
	w.m.SendFailed(w.now, 77, &w.out)
	w.m.Disconnected(w.now, 77)
	w.wantNoEvent(membership.LinkLost)
	for range 3 {
		if w.tick(time.Second); len(w.sent(bin2.KindPing, 1)) != 1 {
			t.Fatalf("%+v", w.out.Sends)
		}
	}
	w.tick(time.Second)
	w.wantEvent(membership.LinkDown, 1)
}

// TestNudge: a node that answers pings and sends nothing gets one PONG that it didn't ask for.
func TestNudge(t *testing.T) {
	c := config()
	c.Peers = c.Peers[:1]
	w := newWorld(t, c)
	w.up(1)
	nudges := 0
	for range 30 {
		w.tick(w.m.Next().Sub(w.now))
		nudges += len(w.sent(bin2.KindPong, 1))
		if len(w.sent(bin2.KindPong, 1)) > 0 {
			w.wantEvent(membership.Nudged, 1)
			if silent := w.now.Sub(began); silent < 10*time.Second || silent > 14*time.Second {
				t.Errorf("nudged after %v", silent)
			}
		}
		w.receive(1, &bin2.Pong{From: from(1)})
	}
	if nudges != 1 {
		t.Errorf("%d nudges", nudges)
	}
	// A node that pings isn't nudged.
	w = newWorld(t, c)
	w.up(1)
	for range 100 {
		w.tick(w.m.Next().Sub(w.now))
		w.wantNoEvent(membership.Nudged)
		w.receive(1, &bin2.Pong{From: from(1)})
		w.receive(1, &bin2.Ping{From: from(1)})
	}
}

// TestStoppedProcess: when this process was stopped for a while, answers may wait to be read, so no link is lost
// for it.
func TestStoppedProcess(t *testing.T) {
	w := newWorld(t, config())
	w.up(1)
	w.up(2)
	w.speaks(1)
	w.speaks(2)
	w.tick(4 * time.Second)
	w.tick(time.Minute)
	w.wantNoEvent(membership.LinkLost)
	w.receive(1, &bin2.Pong{From: from(1)})
	if w.tick(time.Second); w.status(1).LinkState != membership.Up || w.status(2).LinkState != membership.Probe {
		t.Errorf("node 1 %s, node 2 %s", w.status(1).LinkState, w.status(2).LinkState)
	}
	// A caller that is always late loses links all the same.
	w = newWorld(t, config())
	w.up(1)
	for range 5 {
		w.tick(30 * time.Second)
	}
	if s := w.status(1); s.LinkState == membership.Up {
		t.Error("a node that doesn't answer for two minutes is up")
	}
}

// TestAWeek lets a week pass with two nodes of which one is away for an hour each day.
func TestAWeek(t *testing.T) {
	w := newWorld(t, config())
	const hour = time.Hour
	pings, ups := map[int32]int{}, 0
	for w.now.Sub(began) < 7*24*hour {
		w.tick(max(0, w.m.Next().Sub(w.now)))
		for _, s := range append([]membership.Send(nil), w.out.Sends...) {
			if s.Kind != bin2.KindPing {
				continue
			}
			pings[s.Node]++
			away := s.Node == 2 && w.now.Sub(began)%(24*hour) >= 23*hour
			if away {
				continue
			}
			w.receive(s.Node, &bin2.Pong{From: from(s.Node)})
			if _, up := w.event(membership.LinkUp); up && s.Node == 2 {
				ups++
			}
			w.receive(s.Node, &bin2.Ping{From: from(s.Node)})
		}
	}
	if n := pings[1]; n != 7*24*900+1 {
		t.Errorf("%d pings to node 1 in a week, want one each 4 s and the first", n)
	}
	if n := pings[2]; n < 7*23*900 || n > 7*(23*900+64) {
		t.Errorf("%d pings to node 2 in a week", n)
	}
	if ups != 7 {
		t.Errorf("node 2 came up %d times in a week with 6 whole absences", ups)
	}
}
