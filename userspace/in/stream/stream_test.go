package stream

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"binrepd/userspace/in/packets"
)

func TestPacketsArrive(t *testing.T) {
	w := &watcher{}
	s := open(t, Config{Handler: w, Hash: func(p []byte, e packets.Endpoint) uint32 { return uint32(len(p)) + uint32(e.Addr[15]) }})
	u := listen(t, s, "bin")
	peer := connect(t, u)
	for i, size := range []int{smallest, 650, MaxPacket} {
		if err := write(peer, packet(uint64(i), size)); err != nil {
			t.Fatal(err)
		}
		b := packets.NewBatch(4)
		before := time.Now().UnixNano()
		if err := s.Receive(b); err != nil || len(b.Packets) != 1 {
			t.Fatalf("%d packets, %v", len(b.Packets), err)
		}
		d := b.Packets[0]
		if n, err := number(d.Payload); n != uint64(i) || err != nil || len(d.Payload) != size {
			t.Errorf("number %d, %v", n, err)
		}
		want := packets.Sender{Endpoint: packets.EndpointOf(netip.MustParseAddrPort("127.0.0.1:0"))}
		if d.Sender != want || d.Intake != 3 || d.Hash != uint32(size)+1 || cap(d.Payload) != size {
			t.Errorf("%+v", d)
		}
		if d.Received < before-int64(time.Minute) || d.Received > time.Now().UnixNano() {
			t.Errorf("received at %d", d.Received)
		}
		s.Release(b)
	}
	peer.Close()
	reason(t, s, PeerClosed, 1)
	if e := w.endings(); len(e) != 1 || e[0].reason != PeerClosed || e[0].err != nil {
		t.Errorf("%+v", e)
	}
}

func TestReceiveNeedsRoom(t *testing.T) {
	s := open(t, Config{})
	if err := s.Receive(&packets.Batch{}); !errors.Is(err, errNoRoom) {
		t.Error(err)
	}
}

// Every split of two packets, and of one behind another of each capacity of a batch.
func TestSplitAtEveryByte(t *testing.T) {
	s := open(t, Config{})
	u := listen(t, s, "bin")
	c := collect(s, 2)
	peer := connect(t, u)
	want := 0
	for cut := 1; cut < 2*40; cut++ {
		both := append(packet(uint64(want), 40), packet(uint64(want+1), 40)...)
		write(peer, both[:cut])
		// The first part has been read before the second is sent.
		await(t, "the first part", func() bool { return s.Status().Totals.Read.Bytes == uint64(want/2*80+cut) })
		write(peer, both[cut:])
		want += 2
		await(t, "both packets", func() bool { return c.count() == want })
	}
	c.inOrder(t, want)
	s.Stop()
	<-c.done
	if !errors.Is(c.err, net.ErrClosed) {
		t.Error(c.err)
	}
}

// One byte at a time, and all in one write.
func TestTrickleAndBurst(t *testing.T) {
	s := open(t, Config{Limits: Limits{Block: 512, MaxPacket: 200}})
	c := collect(s, 7)
	peer := connect(t, listen(t, s, "bin"))
	var all []byte
	n := 0
	for ; n < 20; n++ {
		all = append(all, packet(uint64(n), smallest+n)...)
	}
	for _, b := range all {
		write(peer, []byte{b})
	}
	all = all[:0]
	for ; n < 3000; n++ {
		all = append(all, packet(uint64(n), smallest+n%150)...)
	}
	write(peer, all)
	await(t, "all packets", func() bool { return c.count() == n })
	c.inOrder(t, n)
	s.Stop()
	<-c.done
}

func TestManyConnections(t *testing.T) {
	w := &watcher{}
	s := open(t, Config{Handler: w, Limits: Limits{MaxConnsPerAddress: 200}})
	c := collect(s, 128)
	u := listen(t, s, "bin")
	const conns, each = 100, 50
	var wg sync.WaitGroup
	for i := range conns {
		peer := connect(t, u)
		wg.Go(func() {
			for k := range each {
				write(peer, packet(uint64(i*each+k), 40+i))
			}
			peer.Close()
		})
	}
	wg.Wait()
	await(t, "all packets", func() bool { return c.count() == conns*each })
	reason(t, s, PeerClosed, conns)
	s.Stop()
	<-c.done
	last := make(map[uint64]uint64)
	for _, n := range c.numbers {
		i, k := n/each, n%each
		if k != last[i] {
			t.Fatalf("connection %d: packet %d after %d", i, k, last[i])
		}
		last[i] = k + 1
	}
	if len(c.sources) != 1 || len(w.conns()) != conns || len(w.endings()) != conns {
		t.Errorf("%d sources, %d connected, %d gone", len(c.sources), len(w.conns()), len(w.endings()))
	}
}

func TestVerdicts(t *testing.T) {
	w := &watcher{}
	other := packets.Sender{Endpoint: packets.EndpointOf(netip.MustParseAddrPort("192.0.2.9:7"))}
	w.onPacket = func(c *Conn, p []byte) Verdict {
		n, _ := number(p)
		if n == 50 {
			c.SetSender(other)
		}
		switch {
		case n == 99:
			return Disconnect
		case n%10 == 3:
			return Consume
		case n%10 == 5:
			return Reject
		}
		return Deliver
	}
	s := open(t, Config{Handler: w})
	c := collect(s, 16)
	peer := connect(t, listen(t, s, "bin"))
	var all []byte
	for n := range uint64(120) {
		all = append(all, packet(n, 100)...)
	}
	write(peer, all)
	reason(t, s, Refused, 1)
	await(t, "the packets", func() bool { return c.count() == 79 })
	st := s.Status()
	want := ConnCounts{
		Read: Count{100, 12000}, Queued: Count{79, 7900}, Consumed: Count{11, 1100}, Dropped: Count{10, 3000},
	}
	if st.Totals != want {
		t.Errorf("%+v, want %+v", st.Totals, want)
	}
	if st.Reasons[Rejected].Dropped != (Count{10, 1000}) || st.Reasons[Refused].Dropped != (Count{0, 2000}) {
		t.Errorf("%+v", st.Reasons)
	}
	if c.sources[other] != 40-1 {
		t.Errorf("%d packets after the change of the source, %v", c.sources[other], c.sources)
	}
	s.Stop()
	<-c.done
}
