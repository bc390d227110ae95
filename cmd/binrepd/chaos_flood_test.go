package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/appliance/appliancetest"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1/bin1test"
)

// quietAt is a second listen address, on an interface of its own: a quiet source shares rings and processors with the others, but
// not the queue of a network card, which nobody can defend from within a host.
const quietAt = "10.98.0.2:5556"

func newFloodPair(t *testing.T) pair {
	p := newPair(t)
	bpftest.Veth(1500,
		bpftest.End{In: p.proxy, Name: "quiet0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.98.0.1/24")}},
		bpftest.End{In: p.appliance, Name: "bin1", Addresses: []netip.Prefix{netip.MustParsePrefix("10.98.0.2/24")}})
	return p
}

// garbage is frames from an allowed address that look like BIN and aren't.
func garbage(seed uint64, to []byte) (frames [][]byte) {
	random := rand.New(rand.NewPCG(seed, 3))
	for range 256 {
		payload := []byte("P4CK")
		for range 20 + random.IntN(800) {
			payload = append(payload, byte(random.Uint32()))
		}
		f := bpftest.Frame{
			From: netip.MustParseAddrPort(secondAddr + ":5555"), To: netip.MustParseAddrPort(listenAt), Payload: payload,
		}.Bytes()
		copy(f, to)
		frames = append(frames, f)
	}
	return frames
}

// TestFlood has valid packets from allowed sources come as fast as the kernel can make them, and garbage from another, while a quiet
// one sends 1,000 a second. With --source-rate that one loses nothing. Without, the account tells what it loses.
func TestFlood(t *testing.T) {
	for _, limited := range []bool{true, false} {
		t.Run(map[bool]string{true: "source-rate", false: "no limit"}[limited], func(t *testing.T) {
			p := newFloodPair(t)
			const quietRate = 1000
			length := time.Second
			if appliancetest.Chaos() {
				length = 15 * time.Second
			}
			args := []string{
				"--listen", listenAt, "--listen", quietAt, "--interface", "bin0", "--interface", "bin1", "--xdp", "native", "--rings", "2",
				"--ring-size", "1MiB", "--allow", "198.18.0.0/15", "--allow", secondAddr, "--allow", "10.98.0.1",
			}
			if limited {
				args = append(args, "--source-rate", "5000")
			}
			d := survivorOf(t, p, args...)
			seed := appliancetest.Seed(t)

			var out, problems bytes.Buffer
			valid := program(t, "bench", "generate", "--interface", "proxy0", "--to", listenAt, "--json", "--rate", "3000000", "--dialogs", "20000",
				"--duration", length.String(), "--mac", hardwareAddr(p.appliance, "bin0").String())
			valid.Path, valid.Stdout, valid.Stderr = d.cmd.Path, &out, &problems
			p.proxy.Do(valid.Start)
			stop := make(chan struct{})
			var rubbish uint64
			var others sync.WaitGroup
			w := newWire(t, p.proxy, "proxy0", hardwareAddr(p.appliance, "bin0"))
			others.Go(func() { rubbish = pour(w, garbage(seed, w.to), stop) })

			conn := dial(t, p.proxy, "10.98.0.1:5555", quietAt)
			proxy := bin1test.NewProxy(41, bin1test.Options{Now: nowUnix(), Calls: 200, Name: "quiet.example.net"})
			var quiet uint64
			tick := time.NewTicker(time.Second / quietRate)
			for range int(length.Seconds() * quietRate) {
				<-tick.C
				if _, err := conn.Write(proxy.Next(nil)); err != nil && !errors.Is(err, unix.ECONNREFUSED) {
					t.Error(err)
				}
				quiet++
			}
			tick.Stop()
			close(stop)
			others.Wait()
			if err := valid.Wait(); err != nil {
				t.Fatalf("generate: %v, %s", err, problems.String())
			}
			var sent struct {
				Events    uint64  `json:"events"`
				PerSecond float64 `json:"events_per_second"`
			}
			if err := json.Unmarshal(out.Bytes(), &sent); err != nil {
				t.Fatal(err)
			}

			s := settleAny(t, d)
			l := s.Listeners[1]
			wrong := bin1test.DiffListed(listedWith(d, "@quiet."), listedOf(proxy))
			rings := s.Listeners[0].Passed["ring_full"] + l.Passed["ring_full"]
			t.Logf("sent: %d valid ones at %.0f a second, %d of garbage, %d quiet ones; seen %d: %d applied, %d rejected, %d limited, %d lost at the socket, "+
				"%d times a ring was full; of the quiet ones %d were seen and %d lost; %d of its dialogs are wrong",
				sent.Events, sent.PerSecond, rubbish, quiet, s.Seen, s.Applied, s.Rejected["bad_checksum"], s.Lost["rate_limited"], s.Lost["socket_buffer"],
				rings, l.Seen, sum(l.Lost), len(wrong))
			if s.Sum() != s.Seen || l.Sum() != l.Seen || l.Seen != quiet {
				t.Errorf("the account of %d doesn't add up: %+v", s.Seen, s.Account)
			}
			if s.Rejected["bad_checksum"] == 0 {
				t.Error("no garbage came through")
			}
			if limited {
				if sum(l.Lost) > 0 || len(wrong) > 0 {
					t.Errorf("the quiet source lost %v, and %d of its dialogs are wrong", l.Lost, len(wrong))
				}
				if s.Lost["rate_limited"] == 0 || len(s.RateLimited) == 0 {
					t.Errorf("nobody was limited: %v", s.Lost)
				}
			}
			d.stop()
		})
	}
}

// pour writes frames as fast as it goes until stop is closed.
func pour(w *wire, frames [][]byte, stop chan struct{}) (n uint64) {
	for {
		for _, f := range frames {
			select {
			case <-stop:
				return n
			default:
			}
			if _, err := unix.Write(w.fd, f); err == nil {
				n++
			} else if err != unix.ENOBUFS && err != unix.EINTR {
				w.t.Errorf("garbage: %v", err)
				return n
			}
		}
	}
}

// settleAny waits until nothing comes any more and everything has its place in the account.
func settleAny(t *testing.T, d *daemon) (s control.Status) {
	t.Helper()
	last, same := uint64(0), 0
	d.await("rest", func() bool {
		if s = d.status(); s.Seen != last {
			last, same = s.Seen, 0
		}
		same++
		return same > 10 && s.Sum() == s.Seen
	})
	return s
}

// listedWith lists the live dialogs whose Call-ID contains part.
func listedWith(d *daemon, part string) (out []bin1test.Listed) {
	for _, l := range d.listed() {
		if strings.Contains(l.CallID, part) {
			out = append(out, l)
		}
	}
	return out
}

// survivorOf starts binrepd as it is delivered: the race detector would make it too slow for load.
func survivorOf(t *testing.T, p pair, args ...string) *daemon {
	t.Helper()
	d := prepareDaemon(t, args...)
	d.cmd.Path = builtStatic(t)
	p.appliance.Do(d.cmd.Start)
	d.awaitReady()
	return d
}
