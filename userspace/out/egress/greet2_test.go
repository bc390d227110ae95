package egress_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"binrepd/dialog/layout"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/wire/bin2"
)

// logged is a log in memory.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// generation2 counts the packets of generation 2 that an appliance has sent.
func (m *member) generation2() (n int) {
	for _, p := range m.sink.Sent() {
		if bin2.IsPacket(p.Payload) {
			n++
		}
	}
	return n
}

// TestGeneration2OnlyToAppliances: a backup gets nothing of generation 2 until it has said that it is a binrepd, and nothing any more when
// it has stopped saying so, because an OpenSIPS has taken its address. When it says so again, status asks for a sync.
func TestGeneration2OnlyToAppliances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 2, [][2]int{{0, 1}})
		defer s.close()
		from, call := s.members[0], newCall2(t)
		state := func() egress.DestinationStatus { return from.egress.Status().Destinations[0] }
		tell := func(n int) {
			for range n {
				s.node(0, call.snapshot(s.rng.Int()))
			}
			s.run(time.Second)
		}
		expect := func(when string, sent int, held, withheld uint64) {
			t.Helper()
			st := state()
			if got := from.generation2(); got != sent || st.Held[shield.OtherLayout] != held || st.Withheld != withheld || st.NeedsSync() != (withheld > 0) {
				t.Errorf("%s: %d sent, %d held back, %d withheld; want %d, %d, %d", when, got, st.Held[shield.OtherLayout], st.Withheld, sent, held, withheld)
			}
		}
		s.deaf = true // an OpenSIPS says nothing
		s.run(5 * time.Second)
		tell(3)
		expect("unknown", 0, 3, 0)
		if sent := from.egress.Status().Sent; sent != [len(sent)]uint64{} {
			t.Errorf("passed on to nobody: %v", sent)
		}
		s.deaf = false
		s.run(time.Minute)
		tell(2)
		expect("an appliance that answers late", 2, 3, 3)
		from.egress.Syncing(packetsEndpoint(1))(false)
		expect("a sync to what didn't answer", 2, 3, 3)
		from.egress.Syncing(packetsEndpoint(1))(true)
		expect("synced", 2, 3, 0)
		s.deaf = true
		s.run(15 * time.Second) // its last answer doesn't hold any more
		tell(4)
		expect("replaced by an OpenSIPS", 2, 7, 0)
		s.deaf = false
		s.run(time.Minute)
		tell(1)
		expect("back", 3, 7, 4)
	})
}

func packetsEndpoint(member int) packets.Endpoint { return packets.EndpointOf(at(member)) }

// TestWhatIsTooLongForADatagram: it is counted, and the first is named. What follows it goes out.
func TestWhatIsTooLongForADatagram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 2, [][2]int{{0, 1}})
		defer s.close()
		s.run(5 * time.Second)
		call := newCall2(t)
		call.fields.Strings[layout.CallerSDP] = nil
		call.fields.Strings[layout.CallerSDP] = make([]byte, 65_500-len(call.snapshot(1))) // with the stamp it is too long
		for n := range 3 {
			s.node(0, call.snapshot(n))
		}
		call.fields.Strings[layout.CallerSDP] = nil
		s.node(0, call.snapshot(4))
		s.run(5 * time.Second)
		st := s.members[0].egress.Status().Destinations[0]
		if st.Held[shield.TooLong] != 3 || s.members[0].generation2() != 1 || st.NeedsSync() {
			t.Errorf("%+v", st)
		}
		if n := s.log.count("an event is too long for a datagram"); n != 1 || s.log.count(`call="\"c\", 65500 bytes"`) != 1 {
			t.Errorf("named %d times: %s", n, s.log.b.String())
		}
	})
}
