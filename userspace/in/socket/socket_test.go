package socket

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"binrepd/userspace/in/packets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come; what is there already is never waited for.
const patience = 20 * time.Second

var (
	loopback4 = netip.MustParseAddrPort("127.0.0.1:0")
	loopback6 = netip.MustParseAddrPort("[::1]:0")
)

func families(t *testing.T, test func(t *testing.T, local netip.AddrPort)) {
	for name, local := range map[string]netip.AddrPort{"v4": loopback4, "v6": loopback6} {
		t.Run(name, func(t *testing.T) { test(t, local) })
	}
}

func listen(t testing.TB, local netip.AddrPort, cfg Config) *Socket {
	t.Helper()
	return closing(t)(Listen(t.Context(), local, cfg))
}

func newSender(t testing.TB, local netip.AddrPort, cfg Config) *Socket {
	t.Helper()
	return closing(t)(NewSender(t.Context(), local, cfg))
}

func closing(t testing.TB) func(*Socket, error) *Socket {
	return func(s *Socket, err error) *Socket {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
}

func endpoint(s *Socket) packets.Endpoint { return packets.EndpointOf(s.LocalAddr()) }

// send sends all of payloads, which must work.
func send(t testing.TB, from *Socket, to packets.Endpoint, payloads ...[]byte) {
	t.Helper()
	m := make([]packets.Message, len(payloads))
	for i, p := range payloads {
		m[i] = packets.Message{Payload: p, To: to}
	}
	if n, err := from.Send(m); n != len(m) || err != nil {
		t.Fatalf("sent %d of %d: %v", n, len(m), err)
	}
}

// collect receives n datagrams, copied out of their batches of up to size.
func collect(t testing.TB, s *Socket, n, size int) []packets.Packet {
	t.Helper()
	guard := time.AfterFunc(patience, s.Stop)
	defer guard.Stop()
	var all []packets.Packet
	b := packets.NewBatch(size)
	for len(all) < n {
		if err := s.Receive(b); err != nil {
			t.Fatalf("received %d of %d: %v", len(all), n, err)
		}
		if len(b.Packets) == 0 || len(b.Packets) > size {
			t.Fatalf("batch of %d, room for %d", len(b.Packets), size)
		}
		for _, d := range b.Packets {
			d.Payload = bytes.Clone(d.Payload)
			all = append(all, d)
		}
		s.Release(b)
	}
	return all
}

// packet is a BIN packet as far as the steering hash looks at it.
func packet(callID string, number int) []byte {
	p := append([]byte("P4CK\x00\x00\x00\x00\x06\x00\x00\x00dialog\x01\x00\x00\x00"),
		byte(len(callID)), 0, 0, 0)
	p = append(p, callID...)
	return binary.BigEndian.AppendUint32(p, uint32(number))
}

func number(payload []byte) int { return int(binary.BigEndian.Uint32(payload[len(payload)-4:])) }

func TestDatagramCarriesWhatItShould(t *testing.T) {
	families(t, func(t *testing.T, local netip.AddrPort) {
		steering := packets.Steering{K0: 1, K1: 2}
		s := listen(t, local, Config{Intake: 7, Steering: steering})
		from := newSender(t, local, Config{})
		before := time.Now().UnixNano()
		want := packet("a84b4c76e66710", 1)
		send(t, from, endpoint(s), want)
		d := collect(t, s, 1, 4)[0]
		after := time.Now().UnixNano()
		if !bytes.Equal(d.Payload, want) {
			t.Errorf("payload %q, want %q", d.Payload, want)
		}
		if d.Sender != (packets.Sender{Endpoint: endpoint(from)}) {
			t.Errorf("source %s, want %s", d.Sender, endpoint(from))
		}
		if d.Intake != 7 {
			t.Errorf("listener %d, want 7", d.Intake)
		}
		if h := steering.Hash(want, d.Sender.Endpoint); d.Hash != h {
			t.Errorf("hash %#x, want %#x", d.Hash, h)
		}
		if d.Received < before || d.Received > after {
			t.Errorf("received at %d, not between %d and %d", d.Received, before, after)
		}
	})
}

func TestSizes(t *testing.T) {
	families(t, func(t *testing.T, local netip.AddrPort) {
		s := listen(t, local, Config{})
		from := newSender(t, local, Config{})
		sizes := []int{0, 1, 349, 1472, 2600, 9000, 65507, 0, 12}
		var want [][]byte
		for _, size := range sizes {
			p := bytes.Repeat([]byte{byte(size)}, size)
			if size > 8 {
				binary.BigEndian.PutUint64(p[size-8:], uint64(size)) // the last bytes are not like the others
			}
			want = append(want, p)
		}
		send(t, from, endpoint(s), want...)
		for i, d := range collect(t, s, len(sizes), len(sizes)) {
			if !bytes.Equal(d.Payload, want[i]) {
				t.Errorf("datagram %d of %d bytes is not that of %d bytes sent", i, len(d.Payload), len(want[i]))
			}
		}
		st := s.Stats()
		if st.Received != uint64(len(sizes)) || st.Truncated != 0 || st.Dropped != 0 {
			t.Errorf("stats %+v", st)
		}
		if sent := from.Stats(); st.ReceivedBytes != sent.SentBytes || st.Received != sent.Sent {
			t.Errorf("received %d datagrams, %d bytes; sent %d, %d", st.Received, st.ReceivedBytes, sent.Sent, sent.SentBytes)
		}
	})
}

func TestTooLongIsCountedAndNotDelivered(t *testing.T) {
	s := listen(t, loopback4, Config{MaxDatagram: 100})
	from := newSender(t, loopback4, Config{})
	send(t, from, endpoint(s), make([]byte, 100), make([]byte, 101), make([]byte, 5000), []byte("last"))
	got := collect(t, s, 2, 8)
	if len(got[0].Payload) != 100 || string(got[1].Payload) != "last" {
		t.Errorf("got %d and %q", len(got[0].Payload), got[1].Payload)
	}
	if st := s.Stats(); st.Received != 2 || st.Truncated != 2 {
		t.Errorf("received %d, truncated %d, want 2 and 2", st.Received, st.Truncated)
	}
}

func TestBatchesKeepOrder(t *testing.T) {
	s := listen(t, loopback4, Config{Batch: 16})
	from := newSender(t, loopback4, Config{Batch: 32})
	var payloads [][]byte
	for i := range 200 {
		payloads = append(payloads, packet(fmt.Sprintf("call-%d", i%3), i))
	}
	send(t, from, endpoint(s), payloads...)
	for i, d := range collect(t, s, 60, 3) { // less room than the socket's own batch
		if number(d.Payload) != i {
			t.Fatalf("datagram %d came at place %d", number(d.Payload), i)
		}
	}
	for i, d := range collect(t, s, 140, 500) { // more
		if number(d.Payload) != 60+i {
			t.Fatalf("datagram %d came at place %d", number(d.Payload), 60+i)
		}
	}
}

func TestPayloadsOfOneBatchDontOverlap(t *testing.T) {
	s := listen(t, loopback4, Config{})
	from := newSender(t, loopback4, Config{})
	const n = 4 // fits a receive buffer of the usual net.core.rmem_max, as all in these tests
	for i := range n {
		send(t, from, endpoint(s), bytes.Repeat([]byte{byte(i)}, 65507))
	}
	for i, d := range collect(t, s, n, n) {
		if len(d.Payload) != 65507 || bytes.Count(d.Payload, []byte{byte(i)}) != 65507 {
			t.Fatalf("datagram %d was overwritten by a neighbour", i)
		}
	}
	b := packets.NewBatch(4)
	send(t, from, endpoint(s), []byte("abc"))
	if err := s.Receive(b); err != nil {
		t.Fatal(err)
	}
	if c := cap(b.Packets[0].Payload); c != 3 {
		t.Errorf("capacity of a view is %d, so that append would write into a neighbour", c)
	}
	released := b.Packets[:1]
	s.Release(b)
	if released[0].Payload != nil || len(b.Packets) != 0 {
		t.Error("a released batch still shows its payload")
	}
}

func TestManySources(t *testing.T) {
	families(t, func(t *testing.T, local netip.AddrPort) {
		s := listen(t, local, Config{})
		want := map[packets.Endpoint]string{}
		for i := range 50 {
			from := newSender(t, local, Config{})
			payload := fmt.Sprint("from sender ", i)
			send(t, from, endpoint(s), []byte(payload))
			want[endpoint(from)] = payload
		}
		for _, d := range collect(t, s, len(want), 64) {
			if want[d.Sender.Endpoint] != string(d.Payload) {
				t.Errorf("%q came from %s", d.Payload, d.Sender)
			}
			delete(want, d.Sender.Endpoint)
		}
		if len(want) > 0 {
			t.Errorf("nothing came from %v", want)
		}
	})
}

func TestSendMixedDestinationsAndFamilies(t *testing.T) {
	a, b, v6 := listen(t, loopback4, Config{}), listen(t, loopback4, Config{}), listen(t, loopback6, Config{})
	m := []packets.Message{
		{Payload: []byte("a1"), To: endpoint(a)}, {Payload: []byte("b1"), To: endpoint(b)},
		{Payload: []byte("a2"), To: endpoint(a)}, {Payload: []byte("wrong"), To: endpoint(v6)},
		{Payload: []byte("b2"), To: endpoint(b)},
	}
	n, err := a.Send(m)
	if n != 3 || !errors.Is(err, ErrFamily) {
		t.Fatalf("sent %d: %v, want 3 and ErrFamily", n, err)
	}
	if n, err := a.Send(m[4:]); n != 1 || err != nil {
		t.Fatalf("sent %d: %v behind the refused one", n, err)
	}
	if n, err := v6.Send(m[:1]); n != 0 || !errors.Is(err, ErrFamily) {
		t.Errorf("sent %d over IPv6 to an IPv4 address: %v", n, err)
	}
	for s, want := range map[*Socket]string{a: "a1 a2", b: "b1 b2"} {
		got := collect(t, s, 2, 8)
		if text := string(got[0].Payload) + " " + string(got[1].Payload); text != want {
			t.Errorf("got %q, want %q", text, want)
		}
		if got[0].Sender.Endpoint != endpoint(a) {
			t.Errorf("source is %s, not the listen address %s", got[0].Sender, endpoint(a))
		}
	}
	if e := a.Stats().SendErrors; e.Other != 1 {
		t.Errorf("send errors %+v, want one other", e)
	}
}

func TestTooLongToSend(t *testing.T) {
	s, to := newSender(t, loopback4, Config{}), listen(t, loopback4, Config{})
	m := []packets.Message{
		{Payload: []byte("first"), To: endpoint(to)},
		{Payload: make([]byte, 65508), To: endpoint(to)},
		{Payload: []byte("third"), To: endpoint(to)},
	}
	if n, err := s.Send(m); n != 1 || err == nil || errors.Is(err, net.ErrClosed) {
		t.Fatalf("sent %d: %v, want 1 and an error", n, err)
	}
	if n, err := s.Send(m[2:]); n != 1 || err != nil {
		t.Fatalf("sent %d: %v", n, err)
	}
	if st := s.Stats(); st.SendErrors.TooLong != 1 || st.Sent != 2 || st.SentBytes != 10 {
		t.Errorf("stats %+v", st)
	}
	if n, err := s.Send(nil); n != 0 || err != nil {
		t.Errorf("sending nothing: %d, %v", n, err)
	}
}

func TestWildcardsSideBySide(t *testing.T) {
	v4 := listen(t, netip.MustParseAddrPort("0.0.0.0:0"), Config{})
	port := v4.LocalAddr().Port()
	v6 := listen(t, netip.AddrPortFrom(netip.IPv6Unspecified(), port), Config{})
	send(t, newSender(t, netip.MustParseAddrPort("0.0.0.0:0"), Config{}),
		packets.EndpointOf(netip.AddrPortFrom(loopback4.Addr(), port)), []byte("four"))
	send(t, newSender(t, netip.MustParseAddrPort("[::]:0"), Config{}),
		packets.EndpointOf(netip.AddrPortFrom(loopback6.Addr(), port)), []byte("six"))
	if d := collect(t, v4, 1, 2)[0]; string(d.Payload) != "four" {
		t.Errorf("0.0.0.0 got %q", d.Payload)
	}
	if d := collect(t, v6, 1, 2)[0]; string(d.Payload) != "six" {
		t.Errorf(":: got %q", d.Payload)
	}
}

func TestListenErrors(t *testing.T) {
	taken := listen(t, loopback4, Config{}).LocalAddr()
	for _, c := range []struct {
		addr netip.AddrPort
		cfg  Config
		want string
	}{
		{taken, Config{}, fmt.Sprintf("address %s is in use: another process listens there", taken)},
		{netip.MustParseAddrPort("192.0.2.77:5556"), Config{}, "address 192.0.2.77:5556 is not on this host: no interface has it"},
		{netip.MustParseAddrPort("[2001:db8::77]:5556"), Config{}, "address [2001:db8::77]:5556 is not on this host: no interface has it"},
		{netip.AddrPort{}, Config{}, "listen: no address given"},
		{loopback4, Config{Batch: 1025}, "listen on 127.0.0.1:0: batch of 1025 is not between 1 and 1024"},
		{loopback4, Config{ReceiveBuffer: -1}, "listen on 127.0.0.1:0: receive buffer of -1 is not between 1 and 1073741823"},
		{loopback4, Config{MaxDatagram: 65536}, "listen on 127.0.0.1:0: longest datagram of 65536 is not between 1 and 65535"},
	} {
		s, err := Listen(context.Background(), c.addr, c.cfg)
		if err == nil {
			s.Close()
			t.Errorf("%s: no error, want %q", c.addr, c.want)
			continue
		}
		if err.Error() != c.want || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %q, want %q", err, c.want)
		}
	}
}

func TestMappedAddressIsIPv4(t *testing.T) {
	s := listen(t, netip.MustParseAddrPort("[::ffff:127.0.0.1]:0"), Config{})
	if !s.LocalAddr().Addr().Is4() {
		t.Errorf("listens on %s", s.LocalAddr())
	}
}

func TestSendWhileReceiving(t *testing.T) {
	s := listen(t, loopback4, Config{})
	const senders, each = 4, 80
	var wg sync.WaitGroup
	for g := range senders {
		wg.Go(func() {
			for i := range each / 20 {
				var m []packets.Message
				for j := range 20 {
					m = append(m, packets.Message{Payload: packet(fmt.Sprint(g), i*20+j), To: endpoint(s)})
				}
				if n, err := s.Send(m); n != len(m) || err != nil { // to itself, all through one socket
					t.Errorf("sent %d: %v", n, err)
				}
			}
		})
	}
	next := map[uint32]int{}
	for _, d := range collect(t, s, senders*each, 64) {
		if number(d.Payload) != next[d.Hash] {
			t.Fatalf("datagram %d of a sender came at place %d", number(d.Payload), next[d.Hash])
		}
		next[d.Hash]++
	}
	wg.Wait()
	if st := s.Stats(); st.Sent != senders*each || st.Received != st.Sent || st.Dropped != 0 {
		t.Errorf("stats %+v", st)
	}
}
