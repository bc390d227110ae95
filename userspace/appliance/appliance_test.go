package appliance

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"binrepd/userspace/appliance/appliancetest"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1/bin1test"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lockedBuffer takes a log while the test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// testConfig is that of an appliance without XDP, control socket and metrics address, on a free port of the loopback.
func testConfig() Config {
	c := Defaults()
	c.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	c.XDP, c.Rings, c.MaxMemory = XDPOff, 1, 64<<20
	c.Control, c.Metrics = "", netip.AddrPort{}
	c.Log = slog.New(slog.DiscardHandler)
	return c
}

// running is an appliance that runs in this process.
type running struct {
	*Appliance
	t    *testing.T
	stop func() // shuts down cleanly, and waits for that
}

// start opens an appliance and runs it until the test ends or stops it.
func start(t *testing.T, c Config) *running {
	t.Helper()
	return startOn(t, c, func() {})
}

// startOn is start on threads that enter has prepared.
func startOn(t *testing.T, c Config, enter func()) *running {
	t.Helper()
	var a *Appliance
	ctx, cancel := context.WithCancel(context.Background())
	opened, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		enter()
		var err error
		a, err = Open(ctx, c)
		if opened <- err; err == nil {
			ended <- a.Run(ctx)
		}
	}()
	if err := <-opened; err != nil {
		cancel()
		t.Fatal(err)
	}
	r := &running{Appliance: a, t: t}
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		if s := a.Status(); s.Sum() != s.Seen {
			t.Errorf("the account doesn't add up: %+v", s.Account)
		}
		if err := a.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	t.Cleanup(r.stop)
	select {
	case <-a.Ready():
	case err := <-ended:
		ended <- err
		t.Fatal("never ready")
	case <-time.After(appliancetest.Patience):
		t.Fatal("not ready")
	}
	return r
}

// await waits for a status.
func (r *running) await(what string, done func(*control.Status) bool) control.Status {
	r.t.Helper()
	for deadline := time.Now().Add(appliancetest.Patience); ; time.Sleep(2 * time.Millisecond) { // between two looks at a condition
		s := r.Status()
		if done(&s) {
			return s
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("waited in vain for %s: %+v", what, s)
		}
	}
}

func dial(t *testing.T, a *Appliance) net.Conn {
	t.Helper()
	conn, err := net.Dial("udp", a.Listening()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// feed sends n new calls, few enough for the buffer of the socket, and waits until they are applied.
func (r *running) feed(n uint64) control.Status {
	r.t.Helper()
	conn := dial(r.t, r.Appliance)
	proxy := bin1test.NewProxy(3, bin1test.Options{Now: time.Now().Unix(), Calls: 10})
	for i := range n {
		if _, err := conn.Write(proxy.AppendPacket(nil, i, bin1test.Create)); err != nil {
			r.t.Fatal(err)
		}
	}
	return r.await("the calls", func(s *control.Status) bool { return s.Seen == n && s.Sum() == n })
}

const calls = 40

// TestReplicates sends calls to one appliance, which passes them on to a second, and then syncs them to a third.
func TestReplicates(t *testing.T) {
	second, third := start(t, testConfig()), start(t, testConfig())
	c := testConfig()
	c.Replicate = []egress.Destination{{Address: second.Listening()[0].String()}}
	first := start(t, c)
	if s := first.feed(calls); s.Dialogs != calls || s.CreateRecv != calls || s.Mode != control.ModeSocket || len(s.Sources) != 1 {
		t.Errorf("%+v", s)
	}
	// The account follows the table at the end of a batch.
	second.await("the events", func(s *control.Status) bool { return s.Dialogs == calls && s.CreateRecv == calls })
	summary, err := first.Sync(t.Context(), control.SyncRequest{To: third.Listening()[0].String(), Rate: 10_000, Passes: 2}, func(control.SyncProgress) {})
	if err != nil || !summary.Complete || summary.Dialogs != 2*calls && summary.Dialogs != calls {
		t.Errorf("%+v, %v", summary, err)
	}
	third.await("the dialogs", func(s *control.Status) bool { return s.Dialogs == calls })
	if _, err := first.Sync(t.Context(), control.SyncRequest{To: "nowhere", Passes: 1}, func(control.SyncProgress) {}); err == nil {
		t.Error("a sync to nowhere")
	}
	first.stop()
	second.stop()
	if s := third.Status(); s.Dialogs != calls {
		t.Errorf("after the others have stopped: %d dialogs", s.Dialogs)
	}
}

// TestRestores saves the table at a clean shutdown and restores it in the next appliance, and loads a file into a third.
func TestRestores(t *testing.T) {
	c := testConfig()
	c.StateDir = filepath.Join(t.TempDir(), "state")
	a := start(t, c)
	a.feed(calls)
	if other, err := Open(t.Context(), c); err == nil || !strings.HasPrefix(err.Error(), "--state-dir: ") {
		t.Errorf("a second appliance with that folder: %v, %v", other, err)
	}
	path := filepath.Join(t.TempDir(), "file")
	if s, err := a.SaveFile(t.Context(), control.FileRequest{Path: path}); err != nil || s.Dialogs != calls {
		t.Errorf("%+v, %v", s, err)
	}
	a.stop()

	b := start(t, c)
	if s := b.Status(); s.Dialogs != calls || s.State == nil || s.State.RestoredDialogs != calls {
		t.Errorf("restored: %+v", s.State)
	}
	b.stop()

	c = testConfig()
	c.Load = path
	if s := start(t, c).Status(); s.Dialogs != calls || s.Seen != 0 {
		t.Errorf("loaded: %+v", s)
	}
}

// TestAnswers asks over the control socket and over HTTP.
func TestAnswers(t *testing.T) {
	c := testConfig()
	c.Control = filepath.Join(t.TempDir(), "control.sock")
	c.Metrics, c.MetricsRequired = netip.MustParseAddrPort("127.0.0.1:0"), true
	a := start(t, c)
	a.feed(calls)
	if n, err := control.NewClient(c.Control).Count(t.Context(), control.Filter{}); err != nil || n != calls {
		t.Errorf("%d dialogs, %v", n, err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + a.MetricsAddress().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Error(r.Status)
	}
	if list, err := a.Allow(t.Context(), control.AllowRequest{Add: []string{"192.0.2.0/24"}}); err != nil || len(list.Allow) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	dial(t, a.Appliance).Write([]byte("from a source that isn't allowed"))
	a.await("the refusal", func(s *control.Status) bool { return s.Rejected["denied"] == 1 })
}

// TestCloseWithoutRun frees everything that Open took.
func TestCloseWithoutRun(t *testing.T) {
	c := testConfig()
	c.StateDir, c.Record = filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "record")
	for range 2 {
		a, err := Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		c.Listen = a.Listening() // the second one needs the very same port
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestOpenErrors name the setting as a flag, and leave nothing open.
func TestOpenErrors(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"--listen: say where":            func(c *Config) { c.Listen = nil },
		"--xdp fast: choose":             func(c *Config) { c.XDP, c.Listen[0] = "fast", netip.MustParseAddrPort("127.0.0.1:5556") },
		"--replicate-to: ":               func(c *Config) { c.Replicate = []egress.Destination{{Address: "a:1"}, {Address: "a:1"}} },
		"--state-dir: ":                  func(c *Config) { c.StateDir = "/proc/none" },
		"--record: ":                     func(c *Config) { c.Record = "/proc/none" },
		"--metrics 192.0.2.77:1: listen": func(c *Config) { c.Metrics, c.MetricsRequired = netip.MustParseAddrPort("192.0.2.77:1"), true },
	} {
		c := testConfig()
		change(&c)
		if a, err := Open(t.Context(), c); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
			if a != nil {
				a.Close()
			}
		}
	}
}
