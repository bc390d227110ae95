package socket

import (
	"sync/atomic"
	"testing"

	"binrepd/userspace/in/packets"
)

// TestAdmit delivers what Config.Admit admits, in order, and counts the rest, whole batches of it, too.
func TestAdmit(t *testing.T) {
	good, denied, fast := newSender(t, loopback4, Config{}), newSender(t, loopback4, Config{}), newSender(t, loopback4, Config{})
	// The wildcard address is not what a receiver sees.
	verdicts := map[uint16]packets.Admission{
		endpoint(denied).Port: packets.Denied, endpoint(fast).Port: packets.RateLimited,
	}
	var asked atomic.Int64
	s := listen(t, loopback4, Config{Admit: func(source packets.Endpoint) packets.Admission {
		asked.Add(1)
		return verdicts[source.Port]
	}})
	const rounds = 300
	var want [][]byte
	for i := range rounds {
		send(t, denied, endpoint(s), packet("denied", i), packet("denied", i))
		send(t, fast, endpoint(s), packet("fast", i))
		if i%100 == 99 { // so that batches come of which nothing is left
			p := packet("good", i)
			want = append(want, p)
			send(t, good, endpoint(s), p)
		}
	}
	got := collect(t, s, len(want), 64)
	for i, d := range got {
		if string(d.Payload) != string(want[i]) || d.Sender.Port != endpoint(good).Port {
			t.Errorf("datagram %d is %q from %s", i, d.Payload, d.Sender)
		}
	}
	st := s.Stats()
	if st.Received != uint64(len(want)) || st.Denied != 2*rounds || st.RateLimited != rounds || st.Dropped != 0 {
		t.Errorf("%+v", st)
	}
	if asked.Load() != int64(st.Received+st.Denied+st.RateLimited) {
		t.Errorf("asked %d times: %+v", asked.Load(), st)
	}
}
