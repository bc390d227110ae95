package appliance

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/appliance/appliancetest"
	"binrepd/userspace/watch/telemetry"
	"binrepd/userspace/wire/bin1/bin1test"
)

// hanging is an appliance whose worker a test can make hang, by a lock of its table.
type hanging struct {
	*Appliance
	t     *testing.T
	conn  net.Conn
	proxy *bin1test.Proxy
}

func newHanging(t *testing.T) *hanging {
	t.Helper()
	a, err := Open(t.Context(), testConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	conn := dial(t, a)
	return &hanging{a, t, conn, bin1test.NewProxy(7, bin1test.Options{Now: time.Now().Unix()})}
}

func (h *hanging) send() {
	h.t.Helper()
	if _, err := h.conn.Write(h.proxy.Next(nil)); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hanging) run() {
	ctx, cancel := context.WithCancel(h.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.engine.Run(ctx, h.input.inputs(ctx)) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
	})
}

// hang takes the locks of which the worker needs one, and sends it a packet. It returns a function that lets the worker go
// on; so does the end of the test.
func (h *hanging) hang() (goOn func()) {
	var shards []*dialog.Shard
	for i := range h.table.Shards() {
		shards = append(shards, h.table.Lock(i))
	}
	goOn = sync.OnceFunc(func() {
		for _, s := range shards {
			s.Unlock()
		}
	})
	h.t.Cleanup(goOn)
	h.send()
	return goOn
}

// await looks until done agrees. done gets what made no step between two looks.
func (h *hanging) await(what string, done func(stuck []telemetry.Consumer) bool) (now []telemetry.Consumer) {
	h.t.Helper()
	var before []telemetry.Consumer
	for deadline := time.Now().Add(appliancetest.Patience); ; before = now {
		if _, now = h.look(); before != nil && done(telemetry.Stuck(before, now)) {
			return now
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("waited in vain for %s: %v", what, now)
		}
		time.Sleep(2 * time.Millisecond) // between two looks at a condition
	}
}

func names(list []telemetry.Consumer, name string) bool {
	for _, c := range list {
		if strings.HasPrefix(c.Name, name) {
			return true
		}
	}
	return false
}

func nothingStuck(stuck []telemetry.Consumer) bool { return len(stuck) == 0 }

// TestStuckWorkerSilencesWatchdog: while a worker of a socket is stuck in the middle of a batch, systemd gets no sign of
// life. When the worker goes on, it does.
func TestStuckWorkerSilencesWatchdog(t *testing.T) {
	systemd := appliancetest.NewSystemd(t)
	t.Setenv("NOTIFY_SOCKET", systemd.Path)
	h := newHanging(t)
	h.run()
	var log lockedBuffer
	s := &supervisor{deadline: 30 * time.Millisecond, log: slog.New(slog.NewTextHandler(&log, nil))}
	ctx, cancel := context.WithCancel(t.Context())
	var reassuring sync.WaitGroup
	reassuring.Go(func() { s.reassure(ctx, func() []telemetry.Consumer { _, consumers := h.look(); return consumers }) })
	defer func() {
		cancel()
		systemd.Close() // or a message to it may block
		reassuring.Wait()
	}()
	systemd.Read()

	goOn := h.hang()
	missed := func() int { return strings.Count(log.String(), `consumer="worker of socket`) }
	h.await("a worker that is missed", func([]telemetry.Consumer) bool {
		systemd.Discard() // earlier messages; the socket holds few
		return missed() > 0
	})
	systemd.Discard()
	begun := missed()
	h.await("more looks", func([]telemetry.Consumer) bool { return missed() >= begun+3 })
	if n := systemd.Discard(); n > 0 {
		t.Errorf("%d signs of life while a worker hangs", n)
	}
	goOn()
	if said := systemd.Read(); said != "WATCHDOG=1" {
		t.Errorf("when it goes on: %q", said)
	}
}

// TestStuckWorkerFailsHealth: the probe fails because of a stuck worker, and works again when the worker goes on.
func TestStuckWorkerFailsHealth(t *testing.T) {
	h := newHanging(t)
	h.run()
	begin := time.Now()
	goOn := h.hang()
	now := h.await("a worker that hangs", func(stuck []telemetry.Consumer) bool { return names(stuck, "worker of socket") })
	check := func(after time.Duration, want string) {
		t.Helper()
		h.health.Sample(begin.Add(after), now)
		if err := h.health.Check(begin.Add(after)); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("after %s: %v, want %q", after, err, want)
		}
	}
	check(0, "")
	check(9*time.Second, "")
	_, now = h.look()
	check(10*time.Second, "worker of socket "+h.config.Listen[0].String()+" has been stuck for 10s")
	goOn()
	now = h.await("a worker that goes on", nothingStuck)
	check(11*time.Second, "")
}

// TestUnreadSocket: a socket without a reader is stuck, although no worker has begun anything. With a reader it isn't.
func TestUnreadSocket(t *testing.T) {
	h := newHanging(t)
	h.await("a quiet socket", nothingStuck)
	h.send()
	name := "socket " + netip.MustParseAddrPort(h.conn.RemoteAddr().String()).String()
	h.await("a socket without a reader", func(stuck []telemetry.Consumer) bool { return names(stuck, name) })
	h.run()
	h.await("a socket with a reader", nothingStuck)
}
