package main

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"binrepd/dialog"
	"binrepd/userspace/appliance"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1/bin1test"
)

func TestMetricsOptions(t *testing.T) {
	t.Parallel()
	const listen = "--listen=127.0.0.1:5556"
	checkUsage(t, []usageTest{
		{"run --metrics here " + listen, "--metrics here: not ADDRESS:PORT; write 127.0.0.1:9470"},
		{"run --metrics localhost:9470 " + listen, "--metrics localhost:9470: not ADDRESS:PORT"},
		{"run --metrics off --pprof " + listen, "--pprof: with --metrics off"},
	})
	at := netip.MustParseAddrPort
	for _, test := range []struct {
		args string
		want appliance.Config
	}{
		{"", appliance.Config{Metrics: appliance.Defaults().Metrics}},
		{"--metrics off", appliance.Config{}},
		{"--metrics 127.0.0.1:9470", appliance.Config{Metrics: appliance.Defaults().Metrics, MetricsRequired: true}},
		{"--metrics [::]:1 --pprof", appliance.Config{Metrics: at("[::]:1"), MetricsRequired: true, Profiles: true}},
	} {
		o, err := parse(t, append(strings.Fields(test.args), listen)...)
		if err != nil || o.Metrics != test.want.Metrics || o.MetricsRequired != test.want.MetricsRequired || o.Profiles != test.want.Profiles {
			t.Errorf("%q: %+v, %v; want %+v", test.args, o, err, test.want)
		}
	}
}

// metricsAddress is where the daemon answers HTTP, by its log.
func (d *daemon) metricsAddress() string {
	d.t.Helper()
	var rest string
	d.await("the address of the metrics in the log", func() (found bool) { // it may come after the word that all is ready
		_, rest, found = strings.Cut(d.log.String(), "msg=metrics address=")
		return found && strings.Contains(rest, "\n")
	})
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
	t.Parallel()
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
	if l, err := net.Listen("tcp", appliance.Defaults().Metrics.String()); err == nil {
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

// scrape returns the sums of the series of each family, and those of single series by name{labels}.
func (d *daemon) scrape() map[string]float64 {
	d.t.Helper()
	status, text := d.page("/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if status != http.StatusOK || err != nil {
		d.t.Fatalf("%d, %v", status, err)
	}
	sums := map[string]float64{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue() + float64(m.GetHistogram().GetSampleCount())
			sums[name] += v
			sums[name+labelled(m)] = v
		}
	}
	return sums
}

func labelled(m *dto.Metric) string {
	var parts []string
	for _, l := range m.GetLabel() {
		parts = append(parts, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// TestMetricsOfDaemon: what a scrape says of a running daemon adds up, and is what status says.
func TestMetricsOfDaemon(t *testing.T) {
	at, backupAt := freePort(t), freePort(t)
	backup := startDaemon(t, nil, "--listen", backupAt, "--xdp", "off")
	d := startDaemon(t, nil, "--listen", at, "--xdp", "off", "--metrics", "127.0.0.1:0", "--replicate-to", backupAt,
		"--state-dir", filepath.Join(t.TempDir(), "state"))
	conn, err := net.Dial("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	proxy := bin1test.NewProxy(11, bin1test.Realistic(nowUnix(), 100))
	const events = 500
	d.feed(conn, 0, events, func(uint64) []byte { return proxy.Next(nil) })
	for _, junk := range []string{"x", strings.Repeat("y", 100)} {
		if _, err := conn.Write([]byte(junk)); err != nil {
			t.Fatal(err)
		}
	}
	s := d.settle(events + 2)
	d.await("the backup to have everything", func() bool { return backup.status().Dialogs == s.Dialogs })
	d.await("a save, and a scrape that knows of everything", func() bool {
		m := d.scrape()
		return m["binrepd_saves_total"] > 0 && m["binrepd_datagrams_seen_total"] == events+2 && m["binrepd_destination_queued_events"] == 0
	})
	m, s := d.scrape(), d.status()
	if sum := m["binrepd_events_total"] + m["binrepd_datagrams_rejected_total"] + m["binrepd_datagrams_lost_total"]; sum != float64(s.Seen) {
		t.Errorf("the parts are %v, status has seen %d", sum, s.Seen)
	}
	destination := fmt.Sprintf("{destination=%q}", backupAt)
	source := fmt.Sprintf("{source=%q}", conn.LocalAddr().String())
	command := func(k dialog.Kind) (n float64) {
		for name, v := range m {
			if strings.HasPrefix(name, `binrepd_events_total{capability="dialog",command="`+k.String()) {
				n += v
			}
		}
		return n
	}
	checkNumbers(t, map[string][2]float64{
		"seen":        {m["binrepd_datagrams_seen_total"], float64(s.Seen)},
		"socket":      {m[fmt.Sprintf("binrepd_datagrams_received_total{listener=%q,way=\"socket\"}", at)], float64(s.Listeners[0].Socket)},
		"rejected":    {m["binrepd_datagrams_rejected_total"], float64(sum(s.Rejected))},
		"creates":     {command(dialog.Create), float64(s.CreateRecv)},
		"updates":     {command(dialog.Update), float64(s.UpdateRecv)},
		"deletes":     {command(dialog.Delete), float64(s.DeleteRecv)},
		"dialogs":     {m["binrepd_dialogs"], float64(s.Dialogs)},
		"confirmed":   {m[`binrepd_dialogs{state="confirmed"}`], float64(s.Confirmed)},
		"latency":     {m["binrepd_apply_latency_seconds"], events},
		"forwarded":   {m["binrepd_events_forwarded_total"], float64(s.CreateSent + s.UpdateSent + s.DeleteSent)},
		"sent":        {m["binrepd_destination_sent_total"+destination], float64(s.Destinations[0].Sent)},
		"source":      {m["binrepd_source_events_total"+source], events},
		"bad packets": {m["binrepd_source_rejected_total"+source], 2},
		"state":       {m[fmt.Sprintf("binrepd_state{state=%q}", s.Word)], 1},
		"states":      {m["binrepd_state"], 1},
		"mode":        {m[`binrepd_mode_info{mode="socket"}`], 1},
		"losses":      {m["binrepd_losses_total"], 0},
	})
	if m["binrepd_last_save_timestamp_seconds"] == 0 || m["binrepd_batch_datagrams"] == 0 || m["process_open_fds"] == 0 {
		t.Error("nothing of the last save, of batches or of the process")
	}
	d.stop()
	backup.stop()
}

func checkNumbers(t *testing.T, numbers map[string][2]float64) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(numbers)) {
		if n := numbers[name]; n[0] != n[1] {
			t.Errorf("%s: %v in the metrics, want %v", name, n[0], n[1])
		}
	}
}

// TestSyncMetrics counts syncs by how they end.
func TestSyncMetrics(t *testing.T) {
	t.Parallel()
	standbyAt := freePort(t)
	standby := startDaemon(t, nil, "--listen", standbyAt, "--xdp", "off")
	d := startDaemon(t, nil, "--listen", freePort(t), "--xdp", "off", "--metrics", "127.0.0.1:0")
	request := func(to string, dry bool) {
		t.Helper()
		_, err := d.client.Sync(t.Context(), control.SyncRequest{To: to, Passes: 1, DryRun: dry}, func(control.SyncProgress) {})
		if (err == nil) != (to == standbyAt) {
			t.Errorf("sync to %s: %v", to, err)
		}
	}
	request(standbyAt, false)
	request(standbyAt, true)
	request("nowhere", false) // is refused, and isn't a sync
	d.await("a scrape that knows of it", func() bool {
		m := d.scrape()
		return m[`binrepd_syncs_total{result="complete"}`] == 1 && m["binrepd_sync_duration_seconds"] == 1 && m["binrepd_syncs_total"] == 1
	})
	standby.stop()
	d.stop()
}
