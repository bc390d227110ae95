//go:build !portable

package socket

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"binrepd/bpf"
	"binrepd/userspace/in/packets"
)

// TestRunsDontFitIntoRings: see runAbove.
func TestRunsDontFitIntoRings(t *testing.T) {
	if runAbove < bpf.MaxPayload {
		t.Errorf("runs of more than %d bytes, and a ring takes %d", runAbove, bpf.MaxPayload)
	}
}

// lengths makes messages of these lengths, each with bytes of its own.
func lengths(to packets.Endpoint, sizes ...int) (m []packets.Message) {
	for i, size := range sizes {
		p := bytes.Repeat([]byte{byte(i), byte(i >> 8), byte(i % 251)}, size/3+1)[:size]
		m = append(m, packets.Message{Payload: p, To: to})
	}
	return m
}

// times repeats n.
func times(count, n int) (list []int) {
	for range count {
		list = append(list, n)
	}
	return list
}

func join(lists ...[]int) (all []int) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func TestWhatIsARun(t *testing.T) {
	here, there := packets.Endpoint{Port: 1}, packets.Endpoint{Port: 2}
	for name, c := range map[string]struct {
		sizes []int
		other int // from which one on the destination is another one, 0: never
		n     int
		asOne bool
	}{
		"one":                           {times(1, 20000), 0, 1, false},
		"empty":                         {times(100, 0), 0, 1, false},
		"too short":                     {join(times(18, 500), times(18, 200)), 0, 18, false},
		"long enough":                   {times(19, 500), 0, 19, true},
		"long enough with the last":     {join(times(18, 500), []int{233}), 0, 19, true},
		"not quite":                     {join(times(18, 500), []int{232, 100}), 0, 18, false},
		"not with an empty last":        {join(times(18, 500), []int{0, 1}), 0, 18, false},
		"a shorter last":                {join(times(20, 500), []int{499, 499}), 0, 21, true},
		"no longer last":                {join(times(20, 500), []int{501}), 0, 20, true},
		"an empty last":                 {join(times(20, 500), []int{0}), 0, 20, true},
		"as many segments as go":        {times(70, 200), 0, runSegments, true},
		"never enough segments":         {times(70, 144), 0, 1, false},
		"just enough segments":          {times(70, 145), 0, 64, true},
		"as many bytes as go":           {times(100, 1000), 0, 31, true},
		"no last beyond that":           {join(times(31, 1000), []int{1}), 0, 31, true},
		"two destinations":              {times(40, 500), 25, 25, true},
		"two destinations, too short":   {times(40, 500), 10, 10, false},
		"a shorter last of another one": {join(times(20, 500), []int{499}), 20, 20, true},
		"long ones":                     {times(4, 15000), 0, 2, true},
		"longer ones":                   {times(4, 16000), 0, 1, false},
	} {
		m := lengths(here, c.sizes...)
		for i := range m {
			if c.other > 0 && i >= c.other {
				m[i].To = there
			}
		}
		s := &Socket{}
		n, asOne := s.run(m)
		if asOne != c.asOne || n != c.n {
			t.Errorf("%s: %d, %v; want %d, %v", name, n, asOne, c.n, c.asOne)
		}
		s.cfg.Plain = true
		if _, asOne := s.run(m); asOne {
			t.Errorf("%s: a run though they are to be sent one by one", name)
		}
	}
}

func TestRefusals(t *testing.T) {
	var r refusals
	a, b := packets.Endpoint{Port: 1}, packets.Endpoint{Port: 2}
	r.add(&a, 2000, unix.EINVAL)
	for _, c := range []struct {
		to   packets.Endpoint
		size int
		want bool
	}{{a, 1999, false}, {a, 2000, true}, {a, 3000, true}, {b, 3000, false}} {
		if r.has(&c.to, c.size) != c.want {
			t.Errorf("%v, %d bytes: refused is %v", c.to, c.size, !c.want)
		}
	}
	r.add(&a, 500, unix.EIO)
	if !r.has(&a, 1) {
		t.Error("of what has nothing to do with lengths, short ones are not refused")
	}
	known := r[a]
	known.until = time.Now().Add(-time.Nanosecond)
	r[a] = known
	if r.has(&a, 1) {
		t.Error("a refusal is remembered for ever")
	}
	for port := range uint16(3 * maxRefusals / 2) {
		r.add(&packets.Endpoint{Port: port}, 1, unix.EIO)
	}
	if len(r) > maxRefusals {
		t.Errorf("%d refusals are remembered", len(r))
	}
}

// sendAll sends m, all of which must come as they are, those to one socket in order.
func sendAll(t *testing.T, from *Socket, m []packets.Message, to ...*Socket) {
	t.Helper()
	if n, err := from.Send(m); n != len(m) || err != nil {
		t.Fatalf("sent %d of %d: %v", n, len(m), err)
	}
	for _, s := range to {
		var want [][]byte
		for _, one := range m {
			if one.To == endpoint(s) {
				want = append(want, one.Payload)
			}
		}
		for i, d := range collect(t, s, len(want), 64) {
			if !bytes.Equal(d.Payload, want[i]) {
				t.Fatalf("datagram %d of %d bytes is not that of %d bytes that was sent", i, len(d.Payload), len(want[i]))
			}
		}
		s.Stop()
		if err := s.Receive(packets.NewBatch(1)); err == nil {
			t.Error("more came than was sent")
		}
	}
}

func TestRunsArriveAsTheyWere(t *testing.T) {
	families(t, func(t *testing.T, local netip.AddrPort) {
		s, other := listen(t, local, Config{}), listen(t, local, Config{})
		from := newSender(t, local, Config{})
		m := lengths(endpoint(s), join(
			[]int{12, 0, 0}, times(17, 500), // 17: no run
			times(70, 499), []int{300, 8000}, // 62 and 8; the shorter last of the 8 doesn't help
			times(19, 498), []int{10}, times(40, 600), // 20 and 40
			times(3, 15000), times(2, 20000), // 2
			times(1500, 350), times(200, 60), // more than is loaded at once; too short but for one
		)...)
		for range 40 { // in turn: no runs
			m = append(m, lengths(endpoint(s), 500)...)
			m = append(m, lengths(endpoint(other), 500)...)
		}
		m = append(m, lengths(endpoint(other), times(25, 500)...)...) // with the one before 26
		sendAll(t, from, m, s, other)
		st := from.Stats()
		// Of the 1,500, some at the edges of what is loaded at once are by themselves.
		most := uint64(62 + 20 + 40 + 2 + 1501 + 26)
		if st.Sent != uint64(len(m)) || st.Merged > most || st.Merged < most-100 || st.SendErrors != (ErrorCounts{}) {
			t.Errorf("%+v, of %d at most %d merged", st, len(m), most)
		}
	})
}

func TestRandomRuns(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		a, b := listen(t, loopback4, Config{}), listen(t, loopback4, Config{})
		from := newSender(t, loopback4, Config{Batch: 1 + random.IntN(100)})
		var m []packets.Message
		for len(m) < 2000 {
			to := endpoint(a)
			if random.IntN(3) == 0 {
				to = endpoint(b)
			}
			size := 1 + random.IntN(1<<(1+random.IntN(13)))
			m = append(m, lengths(to, times(1+random.IntN(120), size)...)...)
		}
		sendAll(t, from, m, a, b)
		if st := from.Stats(); st.Merged == 0 || st.Merged >= st.Sent {
			t.Errorf("%+v", st)
		}
	}
}

// TestSegmentsLongerThanMTU: the kernel makes no datagrams of a run if they would have to be fragmented, but fragments single ones.
func TestSegmentsLongerThanMTU(t *testing.T) {
	families(t, func(t *testing.T, local netip.AddrPort) {
		enterNamespace(t, 1500)
		s := listen(t, local, Config{})
		from := newSender(t, local, Config{})
		m := lengths(endpoint(s), join(times(20, 2000), times(30, 500), times(10, 1473), times(30, 1400))...)
		before := fragmentsCreated(t, local.Addr().Is4())
		sendAll(t, from, m, s)
		if n := fragmentsCreated(t, local.Addr().Is4()) - before; n != 2*30 {
			t.Errorf("%d fragments of 30 messages longer than the MTU", n)
		}
		if st := from.Stats(); st.Sent != 90 || st.Merged != 60 || st.SendErrors != (ErrorCounts{}) {
			t.Errorf("%+v", st)
		}
		if got := from.tx.refused[endpoint(s)].size; got != 1473 {
			t.Errorf("refused from %d bytes on", got)
		}
	})
}

// TestRefusedRuns lets the kernel refuse every run, as it does on a socket without checksums.
func TestRefusedRuns(t *testing.T) {
	s := listen(t, loopback4, Config{})
	from := newSender(t, loopback4, Config{})
	if err := from.raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	sendAll(t, from, lengths(endpoint(s), join(times(200, 600), []int{5, 9, 7}, times(100, 500), times(300, 700), []int{699})...), s)
	if st := from.Stats(); st.Sent != 604 || st.Merged != 0 || st.SendErrors != (ErrorCounts{}) {
		t.Errorf("%+v", st)
	}
}

// TestErrorWithinRuns tells which message was refused, exactly.
func TestErrorWithinRuns(t *testing.T) {
	enterNamespace(t, 1500)
	s := listen(t, loopback4, Config{})
	from := newSender(t, netip.MustParseAddrPort("0.0.0.0:0"), Config{})
	nowhere := packets.EndpointOf(netip.MustParseAddrPort("192.0.2.1:5556"))
	m := append(lengths(endpoint(s), times(30, 500)...), lengths(nowhere, times(30, 500)...)...)
	if n, err := from.Send(m); n != 30 || !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("sent %d: %v", n, err)
	}
	m = append(m[:30], lengths(packets.EndpointOf(netip.MustParseAddrPort("[::1]:5")), times(30, 500)...)...)
	if n, err := from.Send(m); n != 30 || err != ErrFamily {
		t.Errorf("sent %d: %v", n, err)
	}
	if st := from.Stats(); st.Sent != 60 || st.Merged != 60 || st.SendErrors != (ErrorCounts{Unreachable: 1, Other: 1}) {
		t.Errorf("%+v", st)
	}
	collect(t, s, 60, 64)
}

// TestRunsToNobody: runs to a destination that refuses are sent all the same, and so are those to others.
func TestRunsToNobody(t *testing.T) {
	families(t, func(t *testing.T, local netip.AddrPort) {
		s := listen(t, local, Config{})
		dead := deadEndpoint(t, local)
		var refused int
		from := newSender(t, local, Config{Batch: 3})
		from.Watch(func(to packets.Endpoint, err error) {
			if to == dead && errors.Is(err, syscall.ECONNREFUSED) {
				refused++
			}
		})
		var m []packets.Message
		for range 10 {
			m = append(m, lengths(dead, times(30, 500)...)...)
			m = append(m, lengths(endpoint(s), times(30, 500)...)...)
		}
		sendAll(t, from, m, s)
		if refused == 0 {
			t.Error("nobody told of the dead destination")
		}
		if st := from.Stats(); st.Merged != 600 {
			t.Errorf("%+v", st)
		}
	})
}

func TestRunsDontAllocate(t *testing.T) {
	s := listen(t, loopback4, Config{})
	from := newSender(t, loopback4, Config{})
	m := lengths(endpoint(s), join(times(200, 500), times(100, 499))...)
	b := packets.NewBatch(64)
	if allocs := testing.AllocsPerRun(20, func() {
		if n, err := from.Send(m); n != len(m) || err != nil {
			t.Fatalf("sent %d: %v", n, err)
		}
		for got := 0; got < len(m); {
			if err := s.Receive(b); err != nil {
				t.Fatal(err)
			}
			got += len(b.Packets)
			s.Release(b)
		}
	}); allocs != 0 {
		t.Errorf("%.0f allocations for %d messages", allocs, len(m))
	}
	if st := from.Stats(); st.Merged < st.Sent*9/10 {
		t.Errorf("%+v", st)
	}
}
