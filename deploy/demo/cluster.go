package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"binrepd/dialog/layout"
	"binrepd/userspace/cluster/member/membertest"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin2"
)

const (
	clusterCalls = 120 // in progress at the proxy of the cluster
	proxyNode    = 1
	ourNode      = 3
)

// showCluster shows the appliance in a cluster with one proxy, on loopback: it joins, gets the proxy's calls, and gives them
// back when the proxy has restarted without them.
func showCluster(ctx context.Context, program, dir string) (err error) {
	say("A cluster, as OpenSIPS 3.6 has it: a simulated proxy is node %d, with %d calls in progress. binrepd joins as node %d.",
		proxyNode, clusterCalls, ourNode)
	world := &outside{}
	defer world.end()
	defer func() {
		if failed, ok := recover().(failure); ok {
			err = failed
		}
	}()
	var back membertest.Answers
	proxy := startProxy(world, 0, clusterDialogs(), nil)
	at, err := freePort()
	if err != nil {
		return err
	}
	socket := filepath.Join(dir, "cluster.sock")
	if err := os.Setenv("BINREPD_CONTROL", socket); err != nil {
		return err
	}
	appliance, err := start(ctx, program, []string{
		"--cluster", "1", "--node", fmt.Sprint(ourNode), "--cluster-listen", "bin:" + at,
		"--cluster-peer", fmt.Sprintf("%d=%s", proxyNode, proxy.URL()), "--metrics", "off",
	})
	if err != nil {
		return err
	}
	defer appliance.Process.Kill() // does nothing after a clean shutdown
	client := control.NewClient(socket)
	if err := awaitCluster(ctx, client, "the calls of the proxy", func(s *control.Status, c *control.ClusterStatus) bool {
		return s.Dialogs == clusterCalls && c.Donor.Announce
	}); err != nil {
		return err
	}
	for _, args := range [][]string{{"cluster", "list"}, {"dialogs", "list", "--limit", "3"}, {"dialogs", "count"}} {
		if err := show(ctx, program, args); err != nil {
			return err
		}
	}

	say("The proxy is restarted. It has none of its calls, and asks for them.")
	port := proxy.Port()
	proxy.Stop()
	proxy = startProxy(world, port, nil, back.Take)
	if err := awaitCluster(ctx, client, "the restarted proxy", func(_ *control.Status, c *control.ClusterStatus) bool {
		return c.Donor.Announce && c.Nodes[0].Restarts == 1 && proxy.Sees(ourNode) == membership.Up
	}); err != nil {
		return err
	}
	asked := time.Now()
	if err := proxy.AskSync(ourNode, membertest.Dialogs, 3); err != nil {
		return err
	}
	if err := await(ctx, "the answer", func() bool {
		calls, totals := back.Got() // one call a packet
		return len(totals) == 1 && calls == int(totals[0])
	}); err != nil {
		return err
	}
	calls, _ := back.Got()
	if calls != clusterCalls {
		return fmt.Errorf("the proxy got %d of its %d calls back", calls, clusterCalls)
	}
	say("It has all of its %d calls back, %s after it asked.", calls, time.Since(asked).Round(time.Millisecond))
	if err := appliance.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := appliance.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("binrepd run: %w", err)
	}
	return nil
}

func startProxy(world *outside, port uint16, calls [][]byte, packets func(bin2.Packet)) *membertest.Node {
	return membertest.Start(world, membertest.Config{
		Cluster: 1, ID: proxyNode, Addr: netip.MustParseAddr("127.0.0.1"), Port: port, Learn: true, Quick: true,
		Synced: calls != nil, Donor: membertest.Donor{Chunks: calls}, Packets: packets,
	})
}

func awaitCluster(ctx context.Context, client *control.Client, what string, done func(*control.Status, *control.ClusterStatus) bool) error {
	return await(ctx, what, func() bool {
		s, err := client.Status(ctx)
		return err == nil && len(s.Clusters) == 1 && len(s.Clusters[0].Nodes) == 1 && done(&s, &s.Clusters[0])
	})
}

// clusterDialogs returns calls in the layout of 3.6.
func clusterDialogs() (calls [][]byte) {
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	for range clusterCalls {
		caller, callee := rng.IntN(1e8), rng.IntN(1e8)
		var f layout.Fields
		for field, text := range map[layout.Field]string{
			layout.CallID:  fmt.Sprintf("%016x@proxy.example.net", rng.Uint64()),
			layout.FromTag: fmt.Sprintf("%08x", rng.Uint32()), layout.ToTag: fmt.Sprintf("%08x", rng.Uint32()),
			layout.FromURI: fmt.Sprintf("sip:%08d@example.org", caller), layout.ToURI: fmt.Sprintf("sip:%08d@example.com", callee),
			layout.CallerSocket: "udp:198.51.100.1:5060", layout.CalleeSocket: "udp:198.51.100.1:5060",
			layout.CallerContact: fmt.Sprintf("sip:%08d@192.0.2.11", caller), layout.CalleeContact: fmt.Sprintf("sip:%08d@192.0.2.12", callee),
		} {
			f.Strings[field] = []byte(text)
		}
		f.Numbers[layout.HID] = rng.Uint32()
		f.Numbers[layout.State] = 4
		f.Numbers[layout.Start] = uint32(time.Now().Unix()) - rng.Uint32N(600)
		f.Numbers[layout.Timeout] = uint32(time.Now().Add(12 * time.Hour).Unix())
		body, fault := f.Append(nil, layout.Bin4Typed)
		if fault != layout.NoFault {
			panic(fault)
		}
		calls = append(calls, body)
	}
	return calls
}

// freePort returns an address of loopback that nothing listens at.
func freePort() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// outside lets the model nodes of the tests run outside of a test.
type outside struct {
	testing.TB
	ends []func()
}

// failure is what a model node can't go on with.
type failure struct{ error }

func (*outside) Helper() {}

func (*outside) Fatal(args ...any) { panic(failure{errors.New(fmt.Sprint(args...))}) }

func (o *outside) Cleanup(end func()) { o.ends = append(o.ends, end) }

func (o *outside) end() {
	for _, end := range o.ends {
		end()
	}
}
