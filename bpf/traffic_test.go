package bpf_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
)

// readFrom reads one datagram, with a generous timeout.
func readFrom(t testing.TB, c net.PacketConn) []byte {
	t.Helper()
	b := make([]byte, 65536)
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, _, err := c.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// TestOtherTraffic checks that other traffic on the interface reaches the kernel: a TCP connection, datagrams to other
// ports and addresses, fragments, and datagrams that are not BIN.
func TestOtherTraffic(t *testing.T) {
	for _, mode := range []bpf.Mode{bpf.Native, bpf.Generic} {
		t.Run(mode.String(), func(t *testing.T) {
			sender, receiver := pair(t, 1500)
			p := load(t, bpf.Config{Rings: 1, Listeners: []netip.AddrPort{netip.MustParseAddrPort("10.1.0.2:5556")}})
			rings := newDrain(t, p)
			var ours, others net.PacketConn
			var server net.Listener
			receiver.Do(func() (err error) {
				if ours, err = net.ListenPacket("udp4", "10.1.0.2:5556"); err != nil {
					return err
				}
				if others, err = net.ListenPacket("udp4", "10.1.0.2:53"); err != nil {
					return err
				}
				server, err = net.Listen("tcp4", "10.1.0.2:22")
				return err
			})
			defer ours.Close()
			defer others.Close()
			defer server.Close()
			follow(t, receiver, p, mode, "in0")

			// A TCP connection that stays in use while datagrams are taken.
			var client net.Conn
			sender.Do(func() (err error) {
				client, err = net.Dial("tcp4", "10.1.0.2:22")
				return err
			})
			conn, err := server.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			sent := bytes.Repeat([]byte("keystroke "), 100_000)
			wrote := make(chan error, 1)
			go func() {
				_, err := client.Write(sent)
				client.Close()
				wrote <- err
			}()
			const calls = 20
			for i := range calls {
				sendFrom(sender, "10.1.0.2:5556", binPacket(fmt.Sprint("call-", i), 500))
			}
			got, err := io.ReadAll(conn)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d of %d bytes over TCP, %v", len(got), len(sent), err)
			}
			if err := <-wrote; err != nil {
				t.Error(err)
			}
			records := 0
			bpftest.Await(t, "all records", func() bool {
				records += len(rings.records())
				return records >= calls
			})
			if records != calls {
				t.Errorf("%d records of %d datagrams", records, calls)
			}

			// The socket gets fragmented datagrams, reassembled. It gets nothing that is in a ring: that would have
			// arrived before.
			pieces := binPacket("in pieces", 3000)
			sendFrom(sender, "10.1.0.2:5556", pieces)
			if got := readFrom(t, ours); !bytes.Equal(got, pieces) {
				t.Errorf("the socket has got %d bytes: %.40q", len(got), got)
			}
			sendFrom(sender, "10.1.0.2:5556", []byte("not BIN, whatever it is"))
			if got := readFrom(t, ours); string(got) != "not BIN, whatever it is" {
				t.Errorf("the socket has got %.40q", got)
			}
			sendFrom(sender, "10.1.0.2:53", binPacket("call", 100))
			if got := readFrom(t, others); !bytes.Equal(got, binPacket("call", 100)) {
				t.Errorf("the other socket has got %.40q", got)
			}

			c, err := p.Counters()
			if err != nil {
				t.Fatal(err)
			}
			l := c.Listeners[0]
			// Generic XDP also sees packets before reassembly. Later fragments have no known listener.
			if l[bpf.Steered] != calls || l[bpf.NotBIN] != 1 || l[bpf.Fragment] != 1 || c.Unknown[bpf.Fragment] != 2 || l.Sum() != calls+2 || c.Unknown[bpf.Other] == 0 {
				t.Errorf("counters %+v", c)
			}
			if n := len(rings.records()); n != 0 {
				t.Errorf("%d more records", n)
			}
		})
	}
}
