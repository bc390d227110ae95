package egress_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/packets/packetstest"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin2"
)

// site is some appliances, joined by links that lose and reorder packets.
type site struct {
	t       *testing.T
	members []*member
	links   [][2]int
	rng     *rand.Rand
	lossy   bool
	deaf    bool // the network loses all questions and answers, as with an appliance of an earlier version

	log     logged
	way     []underway
	carried map[[2]int]map[string]int // by link and update: packets
}

type underway struct {
	from, to packets.Endpoint
	payload  []byte
}

type member struct {
	table  *dialog.Table
	engine *engine.Engine
	source *packetstest.Source
	sink   *packetstest.Sink
	egress *egress.Egress
	taken  int // packets of sink that are on their way
	done   chan error
}

func at(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 5556)
}

func newSite(t *testing.T, n int, links [][2]int) *site {
	s := &site{t: t, links: links, rng: rand.New(rand.NewPCG(uint64(n), uint64(len(links)))), carried: map[[2]int]map[string]int{}}
	for i := range n {
		m := &member{source: packetstest.NewSource(), sink: packetstest.NewSink(), done: make(chan error, 1)}
		var err error
		if m.table, err = dialog.NewTable(dialog.Config{Shards: 2}); err != nil {
			t.Fatal(err)
		}
		log := slog.New(slog.NewTextHandler(&s.log, nil))
		m.egress, err = egress.New(egress.Config{Sink: m.sink, Origin: uint64(i + 1), Journal: 16 << 20, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		m.engine, err = engine.New(engine.Config{
			Table: m.table, Intakes: packets.Listeners([]netip.AddrPort{at(i)}), Outlet: m.egress, Origin: uint64(i + 1),
			Hear: m.egress.Hear, Log: log,
		})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			m.done <- m.engine.Run(context.Background(), []engine.Input{{Source: m.source, Name: "source"}})
		}()
		s.members = append(s.members, m)
	}
	for _, l := range links {
		s.carried[l] = map[string]int{}
		if err := s.members[l[0]].egress.Add(egress.Destination{Address: at(l[1]).String()}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *site) close() {
	for _, m := range s.members {
		m.source.Stop()
		if err := <-m.done; err != nil {
			s.t.Error(err)
		}
		m.egress.Close(context.Background())
		m.table.Close()
	}
}

// update sends an update of the call to an appliance, as a proxy does.
func (s *site) update(to int, content string) {
	d := dialog.Details{
		CallID: "c", FromTag: "a", ToTag: "b", State: dialog.Confirmed, Start: 100, Timeout: 1 << 31,
		CallerSocket: "udp:10.0.0.1:5060", CalleeSocket: "udp:10.0.0.1:5060", CallerContact: content,
	}
	s.feed(to, packets.EndpointOf(netip.MustParseAddrPort("198.51.100.1:5555")), bin1.Append(nil, dialog.Update, d.AppendPacked(nil)))
}

func (s *site) feed(to int, from packets.Endpoint, payload []byte) {
	s.members[to].source.Feed(packets.Packet{
		Payload: payload, Sender: packets.Sender{Endpoint: from}, Hash: packets.Steering{}.Hash(payload, from), Received: time.Now().UnixNano(),
	})
}

// run lets the network carry packets until nothing has been on its way for that long. It returns how many events it carried.
func (s *site) run(quiet time.Duration) (events int) {
	for idle := time.Duration(0); idle < quiet; {
		synctest.Wait()
		for i, m := range s.members {
			sent := m.sink.Sent()
			for _, p := range sent[m.taken:] {
				s.way = append(s.way, underway{packets.EndpointOf(at(i)), p.To, p.Payload})
			}
			m.taken = len(sent)
		}
		busy := false
		// A packet is overtaken by up to some dozens that are sent after it.
		for len(s.way) > 0 {
			k := s.rng.IntN(min(len(s.way), 40))
			p := s.way[k]
			s.way = slices.Delete(s.way, k, k+1)
			if event := s.carry(p); event {
				busy = true
				if events++; events > 200_000 {
					s.t.Fatal("a storm")
				}
			}
		}
		if busy {
			idle = 0
		}
		const step = time.Millisecond
		time.Sleep(step)
		idle += step
	}
	return events
}

// carry brings one packet to its destination, or loses it. It tells whether it is an event.
func (s *site) carry(p underway) (event bool) {
	link := [2]int{int(p.from.Addr[15]) - 1, int(p.to.Addr[15]) - 1}
	content, stamped, event := eventIn(p.payload)
	if event {
		if !stamped && !s.deaf {
			s.t.Errorf("link %v carries an event without a stamp", link)
		}
		s.carried[link][content]++
	} else if s.deaf {
		return false
	}
	if s.lossy && s.rng.IntN(5) == 0 {
		return event
	}
	s.feed(link[1], p.from, p.payload)
	if s.lossy && s.rng.IntN(20) == 0 { // twice
		s.feed(link[1], p.from, p.payload)
	}
	return event
}

// eventIn returns what the event in a packet of either generation says, if there is one.
func eventIn(packet []byte) (content string, stamped, event bool) {
	var ev dialog.Event
	var d bin2.Decoder
	switch {
	case bin1.Decode(packet, &ev) == bin1.Dialog:
		return ev.Body.Details().CallerContact, ev.Peer != 0, true
	case d.Decode(packet, &ev) == bin2.Event:
		return ev.Kind.String() + string(ev.Body), ev.Peer != 0, true
	}
	return "", false, false
}

// contents returns what each appliance has.
func (s *site) contents() (list []string) {
	for _, m := range s.members {
		held := "nothing"
		m.table.Get(packets.Steering{}.CallID([]byte("c")), []byte("c"), func(v *dialog.View) bool {
			held = v.Body().Details().CallerContact
			return true
		})
		list = append(list, held)
	}
	return list
}

func ring(n int) (links [][2]int) {
	for i := range n {
		links = append(links, [2]int{i, (i + 1) % n})
	}
	return links
}

func both(links [][2]int) [][2]int {
	for _, l := range slices.Clone(links) {
		links = append(links, [2]int{l[1], l[0]})
	}
	return links
}

func mesh(n int) (links [][2]int) {
	for i := range n {
		for k := range i {
			links = append(links, [2]int{k, i})
		}
	}
	return both(links)
}

func star(n int) (links [][2]int) {
	for i := 1; i < n; i++ {
		links = append(links, [2]int{0, i})
	}
	return both(links)
}

type topology struct {
	name  string
	n     int
	links [][2]int
}

func topologies() []topology {
	list := []topology{{"two pairs", 4, both([][2]int{{0, 1}, {2, 3}, {0, 2}, {1, 3}})}}
	for n := 3; n <= 6; n++ {
		list = append(list, topology{"ring", n, ring(n)}, topology{"mesh", n, mesh(n)}, topology{"star", n, star(n)})
	}
	return list
}

// tooMany tells whether so many updates take too long there. Many updates in meshes take a while. Without BINREPD_CHAOS=1 only the
// smallest topologies and the largest ring get a thousand, and the large meshes five at most.
func (c *topology) tooMany(updates int) bool {
	few := updates == 1000 && c.n > 3 && !(c.name == "ring" && c.n == 6) || updates > 5 && c.n > 4 && c.name == "mesh"
	return few && os.Getenv("BINREPD_CHAOS") != "1"
}

// once checks that no link carried anything twice, and that the accounts add up.
func (s *site) once() {
	for link, list := range s.carried {
		for content, n := range list {
			if n > 1 {
				s.t.Fatalf("link %v carried %q %d times", link, content, n)
			}
		}
	}
	for i, m := range s.members {
		st := m.engine.Status()
		if total := st.Total(); total.Sum() != total.Received {
			s.t.Errorf("appliance %d: %d of %d packets accounted for", i, total.Sum(), total.Received)
		}
	}
}

// TestEachLinkCarriesEachUpdateOnce sends updates that no CSeq orders to appliances that replicate to each other.
func TestEachLinkCarriesEachUpdateOnce(t *testing.T) {
	for _, c := range topologies() {
		for _, updates := range []int{1, 2, 5, 100, 1000} {
			if c.tooMany(updates) {
				continue
			}
			for _, lossy := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s of %d, %d updates, lossy %v", c.name, c.n, updates, lossy), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := newSite(t, c.n, c.links)
						defer s.close()
						s.run(time.Second) // until they know each other
						s.lossy = lossy
						last := ""
						for i := range updates {
							last = fmt.Sprintf("update %d", i)
							s.update(s.rng.IntN(c.n), last)
							if s.rng.IntN(10) == 0 {
								s.run(time.Millisecond)
							}
						}
						s.run(5 * time.Second)
						s.once()
						held := s.contents()
						if !lossy && len(slices.Compact(slices.Clone(held))) != 1 {
							t.Errorf("they end with %q", held)
						}
					})
				})
			}
		}
	}
}

// TestAnEarlierVersionAmongThem: where appliances don't know each other, a call's updates go round at most as often as
// one call takes them in.
func TestAnEarlierVersionAmongThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 3, ring(3))
		defer s.close()
		s.deaf = true
		for i := range 5 {
			s.update(i%3, fmt.Sprintf("update %d", i))
		}
		s.run(5 * time.Second)
		first := s.run(time.Second)
		if first > 3*2 {
			t.Errorf("%d events in a second, though a call takes one a second in", first)
		}
	})
}
