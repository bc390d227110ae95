package main

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestMetricsOptions(t *testing.T) {
	const listen = "--listen=127.0.0.1:5556"
	checkUsage(t, []usageTest{
		{"run --metrics here " + listen, "--metrics here: not ADDRESS:PORT; write 127.0.0.1:9470"},
		{"run --metrics localhost:9470 " + listen, "--metrics localhost:9470: not ADDRESS:PORT"},
		{"run --metrics off --pprof " + listen, "--pprof: with --metrics off"},
	})
	at := netip.MustParseAddrPort
	for _, test := range []struct {
		args string
		want metricsOptions
	}{
		{"", metricsOptions{Metrics: at(defaultMetrics)}},
		{"--metrics off", metricsOptions{}},
		{"--metrics 127.0.0.1:9470", metricsOptions{Metrics: at(defaultMetrics), MetricsNamed: true}},
		{"--metrics [::]:1 --pprof", metricsOptions{Metrics: at("[::]:1"), MetricsNamed: true, Profiles: true}},
	} {
		o, err := parse(t, append(strings.Fields(test.args), listen)...)
		if err != nil || o.metricsOptions != test.want {
			t.Errorf("%q: %+v, %v; want %+v", test.args, o.metricsOptions, err, test.want)
		}
	}
}

// metricsAddress is where the daemon answers HTTP, by its log.
func (d *daemon) metricsAddress() string {
	d.t.Helper()
	_, rest, found := strings.Cut(d.log.String(), "msg=metrics address=")
	if !found {
		d.t.Fatal("the log doesn't say where the metrics are")
	}
	return rest[:strings.IndexAny(rest, " \n")]
}

// page asks the daemon's HTTP server.
func (d *daemon) page(path string) (status int, text string) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, "http://"+d.metricsAddress()+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	r.Close = true // leaves no goroutine behind
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

func TestProbesOfDaemon(t *testing.T) {
	d := startDaemon(t, nil, "--listen", freePort(t), "--xdp", "off", "--metrics", "127.0.0.1:0")
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "IDLE: no source", "/metrics": "go_goroutines"} {
		if status, text := d.page(path); status != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if status, _ := d.page("/debug/pprof/"); status != http.StatusNotFound {
		t.Errorf("profiles without --pprof: %d", status)
	}
	d.stop()
	d = startDaemon(t, nil, "--listen", freePort(t), "--xdp", "off", "--metrics", "127.0.0.1:0", "--pprof")
	if status, text := d.page("/debug/pprof/"); status != http.StatusOK || !strings.Contains(text, "goroutine") {
		t.Errorf("profiles: %d %s", status, text)
	}
	d.stop()
}

// TestMetricsAddressTaken: a second appliance on a host goes without the default address, with one warning, but not without one that
// somebody named.
func TestMetricsAddressTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := taken.Addr().String()
	status, _, stderr := call("run", "--listen", freePort(t), "--xdp", "off", "--metrics", at, "--control", t.TempDir()+"/control.sock")
	if status != exitFailed {
		t.Errorf("exit status %d", status)
	}
	checkError(t, "--metrics "+at, stderr, "--metrics "+at+": listen tcp "+at+": bind: address already in use: choose another address, or off")

	// The default may be taken already by whatever runs on this host; afterwards it is in any case.
	if l, err := net.Listen("tcp", defaultMetrics); err == nil {
		defer l.Close()
	}
	d := prepareDaemon(t, "--listen", freePort(t), "--xdp", "off", "--metrics", "default")
	d.cmd.Args = withoutMetrics(d.cmd.Args)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.awaitReady()
	d.stop()
	if n := strings.Count(d.log.String(), "no metrics: their default address can't be had"); n != 1 {
		t.Errorf("warned %d times", n)
	}
}

// withoutMetrics leaves the metrics address to the default.
func withoutMetrics(args []string) (kept []string) {
	for i := 0; i < len(args); i++ {
		if args[i] == "--metrics" {
			i++
			continue
		}
		kept = append(kept, args[i])
	}
	return kept
}
