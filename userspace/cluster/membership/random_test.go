package membership_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/wire/bin2"
	"binrepd/userspace/wire/bin2/bin2test"
)

// script feeds a machine with operations that bytes choose, and checks after each that nothing is wrong with it.
// When the bytes are used up it returns.
type script struct {
	*world
	bytes []byte
}

func (s *script) next() int {
	if len(s.bytes) == 0 {
		return 0
	}
	b := s.bytes[0]
	s.bytes = s.bytes[1:]
	return int(b)
}

// id is mostly that of one of few nodes: known ones, us, unknown ones, impossible ones.
func (s *script) id() int32 {
	switch b := s.next(); {
	case b < 160:
		return int32(b%4) + 1
	case b < 200:
		return int32(s.next())
	default:
		return int32(b-230) * 1000
	}
}

func (s *script) ids(limit int) (l bin2.IDs) {
	for range s.next() % limit {
		l = l.Append(s.id())
	}
	return l
}

func (s *script) caps() (l bin2.Caps) {
	for range s.next() % 6 {
		l = l.Append(string(bytes.Repeat([]byte{byte('a' + s.next()%60)}, s.next()%3)), s.next()%2 == 0)
	}
	return l
}

func (s *script) message() bin2test.Message {
	from := bin2.From{Cluster: cluster, Source: s.id()}
	to := bin2.Trailer{Cluster: cluster, Source: from.Source, Destination: me}
	if b := s.next(); b > 245 {
		from.Cluster, to.Cluster, to.Destination = 2, 2, s.id()
	} else if b > 230 {
		to.Destination = s.id()
	}
	seq, at := int32(s.next()%8)-1, int32(s.now.Unix())-int32(s.next()%3)
	path := bin2.IDs{}.Append(from.Source)
	if s.next()%2 == 0 {
		path = s.ids(bin2.MaxPath)
	}
	name := []byte{byte('a' + s.next()%100)}
	switch s.next() % 14 {
	case 0:
		return &bin2.Ping{From: from, WantNodes: s.next()%2 == 0}
	case 1:
		return &bin2.Pong{From: from, Nodes: s.ids(4)}
	case 2:
		return &bin2.LinkUpdate{From: from, Seq: seq, Timestamp: at, Neighbour: s.id(), Down: s.next()%2 == 0, Path: path}
	case 3:
		var nodes bin2.NodeEntries
		for range s.next() % 5 {
			id := s.id()
			nodes = nodes.Append(&bin2.NodeEntry{ID: id, Described: s.next()%2 == 0, URL: []byte(url(id)), Priority: int32(s.next()),
				Retries: int32(s.next()) - 100, LinkSeq: int32(s.next()%5) - 1, Neighbours: s.ids(5)})
		}
		return &bin2.Topology{From: from, Seq: seq, Timestamp: at, Nodes: nodes, Path: path}
	case 4:
		return &bin2.UnknownID{From: from}
	case 5:
		return &bin2.Description{From: from, URL: []byte(url(from.Source)), Retries: int32(s.next()) - 100, Path: path}
	case 6:
		m := &bin2.CapUpdate{From: from, HasSeq: s.next()%4 > 0, Seq: seq, Timestamp: at, WantReply: s.next()%2 == 0, Path: path}
		for range s.next() % 4 {
			m.Nodes = m.Nodes.Append(s.id(), s.caps())
		}
		return m
	case 7:
		return &bin2.RemoveNode{Trailer: to, Node: s.id()}
	case 8:
		return &bin2.Generic{Trailer: to, Tag: name}
	case 9:
		return &bin2.Command{Trailer: to, Name: name}
	case 10:
		return &bin2.SyncRequest{Trailer: to, Capability: name, Version: int16(s.next() % 5)}
	case 11:
		return &bin2.Sync{Trailer: to, Capability: name}
	case 12:
		return &bin2.SyncEnd{Trailer: to, Capability: name}
	default:
		return &bin2.TagActive{Trailer: to, Tag: name}
	}
}

// step does one operation.
func (s *script) step() {
	s.out.Reset()
	switch op := s.next(); {
	case op < 170:
		o := origin(s.id())
		if s.next()%8 == 0 {
			o = membership.Origin{}
		}
		d := bin2.Dialect{}
		if s.next()%4 == 0 {
			d.Numbering = bin2.Old
		}
		b, err := s.message().Append(nil, d)
		if err != nil {
			return // a message that the old numbering doesn't have
		}
		if s.next() == 0 && len(b) > 40 {
			b[20+s.next()%(len(b)-20)] ^= byte(s.next()) // damage
		}
		if p, err := bin2.Parse(b); err == nil {
			verdict := s.receivePacket(o, p)
			if verdict.Verdict >= membership.Verdicts || (verdict.Verdict == membership.Refused) != (verdict.Reason != 0 && verdict.Reason < membership.Repeated) {
				s.t.Fatalf("%+v", verdict)
			}
		}
	case op < 215:
		s.tick(time.Duration(s.next()*s.next()) * time.Millisecond)
	case op < 220:
		s.now = s.now.Add(time.Hour)
	case op < 225:
		s.now = s.now.Add(-time.Minute) // a clock may be set back
	case op < 235:
		s.out.Reset()
		s.m.SendFailed(s.now, s.id(), &s.out)
	case op < 240:
		s.m.Disconnected(s.now, s.id())
	case op < 245:
		s.out.Reset()
		s.m.SetCapability(s.now, string([]byte{byte('a' + s.next()%50)}), s.next()%2 == 0, &s.out)
	case op < 248:
		s.m.SetDisabled(s.now, s.id(), s.next()%2 == 0)
	case op < 251:
		_ = s.m.AddPeer(s.now, peer(s.id()))
	case op < 253:
		s.m.RemovePeer(s.id())
	default:
		s.m.Enable(s.now)
	}
}

// check fails the test if the machine or what it put out is wrong.
func (s *script) check() {
	for _, send := range s.out.Sends {
		p, err := bin2.Parse(send.Packet)
		if err != nil {
			s.t.Fatalf("sends %x: %v", send.Packet, err)
		}
		kind, _, err := bin2.KindOf(p, 0)
		if err != nil || kind != send.Kind {
			s.t.Fatalf("sends %v as %v, %v", kind, send.Kind, err)
		}
		if _, source, _ := p.Sender(); source == me && send.Node == me || send.Node == 0 && kind != bin2.KindUnknownID {
			s.t.Fatalf("sends %v of %d to %d", kind, source, send.Node)
		}
		if kind == bin2.KindPong && send.At.After(s.now.Add(50*time.Millisecond)) || kind != bin2.KindPong && !send.At.Equal(s.now) {
			s.t.Fatalf("sends %v in %v", kind, send.At.Sub(s.now))
		}
	}
	status := s.m.Status()
	if len(s.out.Sends) > 6*(len(status.Nodes)+1) || len(s.out.Events) > 64 {
		s.t.Fatalf("%d packets and %d events by one step", len(s.out.Sends), len(s.out.Events))
	}
	if len(status.Nodes) > membership.MaxNodes || len(status.Tags) > membership.MaxTags || len(status.Capabilities) > membership.MaxCaps {
		s.t.Fatalf("%d nodes, %d tags, %d capabilities", len(status.Nodes), len(status.Tags), len(status.Capabilities))
	}
	last := int32(0)
	for _, n := range status.Nodes {
		if n.Node <= last || n.Node == me {
			s.t.Fatalf("node %d after node %d", n.Node, last)
		}
		last = n.Node
		if len(n.Capabilities) > membership.MaxCaps || len(n.Neighbours) > bin2.MaxNeighbours || len(n.Addresses) > membership.MaxAddresses {
			s.t.Fatalf("%+v", n)
		}
		if n.LinkState == membership.Up && n.LastPong.IsZero() {
			s.t.Fatalf("node %d is up without a PONG", n.Node)
		}
		sorted := slices.Sorted(slices.Values(n.Neighbours))
		if len(slices.Compact(sorted)) != len(n.Neighbours) {
			s.t.Fatalf("node %d has the neighbours %v", n.Node, n.Neighbours)
		}
		if (n.LinkState == membership.Up && n.State == "enabled") != (n.NextHop == strconv.Itoa(int(n.Node))) {
			s.t.Fatalf("node %d is %s, %s, next hop %s", n.Node, n.LinkState, n.State, n.NextHop)
		}
	}
}

func run(t testing.TB, input []byte, steps int) {
	c := withCapability(false)
	s := &script{world: newWorld(t, c), bytes: input}
	if s.next()%2 == 0 {
		c.AnnounceLinks = true
		s.world = newWorld(t, c)
	}
	for range steps {
		if len(s.bytes) == 0 {
			return
		}
		s.step()
		s.check()
	}
}

// TestRandomOperations runs many long scripts.
func TestRandomOperations(t *testing.T) {
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 7))
		input := make([]byte, 20_000)
		for i := range input {
			input[i] = byte(random.Uint32())
		}
		run(t, input, 1500)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// FuzzMachine: any messages in any order, and anything else that can happen, leave the machine sound and bounded.
func FuzzMachine(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range [...]int{10, 100, 1000} {
		input := make([]byte, n)
		for i := range input {
			input[i] = byte(random.Uint32())
		}
		f.Add(input)
	}
	f.Fuzz(func(t *testing.T, input []byte) { run(t, input, 500) })
}

// FuzzPackets: raw packets, whatever is in them, do no harm.
func FuzzPackets(f *testing.F) {
	f.Add([]byte(packet(f, capsOf(1, 0, 1_795_000_000, true), bin2.Dialect{})))
	f.Add([]byte(packet(f, &bin2.Topology{From: from(1), Path: ids(1), Nodes: bin2.NodeEntries{}.Append(&bin2.NodeEntry{ID: 9, Described: true,
		URL: []byte(url(9)), Neighbours: ids(1, 2)})}, bin2.Dialect{})))
	f.Add([]byte(modulePacket(f, to(1, me))))
	f.Fuzz(func(t *testing.T, input []byte) {
		s := &script{world: newWorld(t, withCapability(true))}
		s.up(1)
		for len(input) > 0 {
			n, err := bin2.Next(input)
			if err != nil || n == 0 {
				return
			}
			if p, err := bin2.Parse(input[:n]); err == nil {
				s.receivePacket(origin(1), p)
				s.check()
			}
			input = input[n:]
		}
	})
}
