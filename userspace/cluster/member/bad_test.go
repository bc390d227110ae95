package member_test

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/in/stream"
	"binrepd/userspace/wire/bin2"
)

// journal keeps the log.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

// lines returns how many lines have the reason. Others contain it: too many connections of one address, for an unknown node.
func (j *journal) lines(reason string) (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.text.String()) {
		if strings.Contains(line, reason) && !strings.Contains(line, reason+" of ") && !strings.Contains(line, "an "+reason) {
			n++
		}
	}
	return n
}

// length returns a packet that says it has that many bytes.
func length(p []byte, n uint32) []byte {
	p = bytes.Clone(p)
	binary.LittleEndian.PutUint32(p[4:], n)
	return p
}

// TestBadInput: each kind of bad input is bounded, counted under its reason in the status each time, and logged the
// first time. A good node doesn't notice, and its packets arrive.
func TestBadInput(t *testing.T) {
	const (
		packetTimeout = 300 * time.Millisecond
		perAddress    = 8
		most          = 20
		atLeast       = 1000
	)
	one := model(t, 1, nil)
	log := &journal{}
	c := config(t, one)
	c.Log = slog.New(slog.NewTextHandler(log, nil))
	c.Limits.PacketTimeout, c.Limits.FirstTimeout = packetTimeout, 2*time.Second
	c.Limits.MaxConns, c.Limits.MaxConnsPerAddress = most, perAddress
	m, f := join(t, c)
	await(t, "node 1 is up, and the sync is over", func() bool { return up(m, 1)() && m.Status().Sync.Done > 0 })
	good := dialogPacket(t, bin2.Trailer{Cluster: cluster, Source: 1, Destination: me})
	trailer := func(cluster, source, destination int32) []byte {
		return dialogPacket(t, bin2.Trailer{Cluster: cluster, Source: source, Destination: destination})
	}
	var open []net.Conn
	connect := func(from int32, packets ...[]byte) net.Conn {
		c := stranger(t, m, address(from), packets...)
		open = append(open, c)
		return c
	}
	once := func(from int32, packets ...[]byte) func() int {
		return func() int { connect(from, packets...); return 1 }
	}
	// flood opens two more connections than are allowed. Which of them are too many depends on when others end.
	flood := func(allowed int, from func(i int) netip.Addr) int {
		for i := range allowed + 2 {
			d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from(i), 0))}
			if c, err := d.Dial("tcp", m.URL().Addr.String()); err == nil { // else the reset came before connect had returned
				open = append(open, c)
			}
		}
		return atLeast + 2
	}
	for name, test := range map[string]struct {
		reason string
		does   func() int // returns how often the reason must be counted
	}{
		"wrong marker":    {stream.WrongMarker.String(), once(20, []byte("GET / HTTP/1.1\r\n\r\n"))},
		"TLS":             {stream.WrongMarker.String(), once(21, []byte("\x16\x03\x01\x02\x00\x01"))},
		"length 0":        {stream.TooShort.String(), once(22, length(good, 0))},
		"length 16":       {stream.TooShort.String(), once(23, length(good, 16))},
		"length 4 GiB":    {stream.TooLong.String(), once(24, length(good, 1<<32-1))},
		"nothing":         {stream.Silent.String(), once(25)},
		"wrong cluster":   {membership.WrongCluster.String(), once(1, trailer(9, 1, me))},
		"unknown node":    {membership.UnknownSource.String(), once(1, trailer(cluster, 77, me))},
		"our own id":      {membership.OwnID.String(), once(1, trailer(cluster, me, me))},
		"another address": {membership.WrongAddress.String(), once(26, trailer(cluster, 1, me))},
		"no such node":    {membership.UnknownDestination.String(), once(1, trailer(cluster, 1, 88))},
		"a cut at every byte, and silence": {stream.SlowPacket.String(), func() int {
			for cut := 1; cut < len(good); cut++ {
				await(t, "room for one more", func() bool { return len(m.Status().Stream.Conns) < most-perAddress })
				accepted := m.Status().Stream.Accepted
				connect(int32(30+cut%16), good[:cut])
				await(t, "it is accepted", func() bool { return m.Status().Stream.Accepted > accepted })
			}
			return len(good) - 1
		}},
		"a byte at a time": {stream.SlowPacket.String(), func() int {
			c := connect(50)
			began, slow := time.Now(), length(good, 1000)
			for i := range slow {
				if _, err := c.Write(slow[i : i+1]); err != nil {
					break
				}
				time.Sleep(20 * time.Millisecond) // the pace of the peer
			}
			if took := time.Since(began); took < packetTimeout {
				t.Errorf("the connection ended after %s", took)
			}
			return 1
		}},
		"too many of an address": {stream.TooManyOfAddress.String(), func() int { return flood(perAddress, func(int) netip.Addr { return address(60) }) }},
		"too many":               {stream.TooMany.String(), func() int { return flood(most, func(i int) netip.Addr { return address(int32(70 + i)) }) }},
	} {
		t.Run(name, func(t *testing.T) {
			count := func() uint64 { s := m.Status(); return s.Refused[test.reason] + s.Ended[test.reason] }
			for round := range 2 {
				await(t, "what was before is over", func() bool { return len(m.Status().Stream.Conns) <= 4 })
				before := count()
				n := test.does()
				await(t, "it is counted as "+test.reason, func() bool { return count() >= before+uint64(n%atLeast) })
				if got := count() - before; n < atLeast && got != uint64(n) {
					t.Errorf("round %d: counted %d times, want %d", round, got, n)
				}
				if got := log.lines(test.reason); got != 1 {
					t.Errorf("round %d: %d lines of the log tell of %q", round, got, test.reason)
				}
				for _, c := range open {
					c.Close()
				}
				open = nil
			}
		})
	}
	await(t, "a packet of the good node", func() bool {
		before := f.count(1)
		return one.Send(me, good) == nil && up(m, 1)() && f.count(1) >= before
	})
	if s := m.Status().Stream; s.Blocks > most {
		t.Errorf("%d blocks of memory", s.Blocks)
	}
}
